"""Sessions with a connection to each shard of a façade."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from waiting import until

import acsylla_like
from acsylla_like.testing import ScyllaFacade


async def covered(session: acsylla_like.Session, facade: ScyllaFacade, seconds: float = 10.0) -> None:
    """Waits until the only session of a façade has a connection to each shard, and sends requests by it."""
    await until(lambda: facade.is_covered, seconds)
    # The façade has answered STARTUP by then; the driver may still say USE, and learn of the answer.
    shards = sum(node.nr_shards or 1 for node in facade.nodes if node.is_running)
    await until(lambda: session.metrics()["connections"]["total"] >= shards, seconds)


@asynccontextmanager
async def covering(facade: ScyllaFacade, **options: Any) -> AsyncIterator[acsylla_like.Session]:
    """A session that covers each shard."""
    async with acsylla_like.connect(facade.contact_points, port=facade.port, **options) as session:
        await covered(session, facade, 20.0)
        yield session
