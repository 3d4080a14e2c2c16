"""Sessions with a connection to each shard of a façade."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from waiting import until

import acsylla_like
from acsylla_like.testing import ScyllaFacade

_SECONDS = 5.0
_TRIES = 8


@asynccontextmanager
async def covering(facade: ScyllaFacade, **options: Any) -> AsyncIterator[acsylla_like.Session]:
    """A session that covers each shard. The driver forgets one at times: it asks for no more connections when the last of those
    that it asked for is a good one, though others were for shards that it had (2.16.2, ConnectionPool::on_reconnect)."""
    for tries_left in reversed(range(_TRIES)):
        async with acsylla_like.connect(facade.contact_points, port=facade.port, **options) as session:
            try:
                await until(lambda: facade.is_covered, _SECONDS)
            except TimeoutError:
                if tries_left:
                    continue
                raise
            yield session
            return
