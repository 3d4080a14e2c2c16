"""A scan of three nodes with random tokens, one of which is killed in the middle."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

import acsylla_like  # noqa: E402
from acsylla_like.testing import Cassandra  # noqa: E402

ROWS = 20_000


async def read(scan: acsylla_like.Scan, after: int = 0, then: Any = None) -> Counter[int]:
    """How often each key came; `then()` is called and awaited after that many batches."""
    found: Counter[int] = Counter()
    batches = 0
    async for batch in scan:
        found.update(pa.record_batch(batch).column(0).to_pylist())
        batches += 1
        if batches == after:
            await then()
    return found


async def test_every_row_comes_once_whatever_node_dies() -> None:
    async with (
        Cassandra(nodes=3, heap_mb=400, yaml={"initial_token": None}) as server,
        acsylla_like.connect(server.contact_points, port=server.port, request_timeout=30.0) as session,
    ):
        await session.execute("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
        await session.execute("CREATE TABLE ks.t (k int PRIMARY KEY, v text)")
        insert = await session.create_prepared("INSERT INTO ks.t (k, v) VALUES (?, ?)")
        for start in range(0, ROWS, 500):
            await asyncio.gather(*(session.execute(insert, [k, "v" * 100], consistency="ALL") for k in range(start, start + 500)))
        everything = Counter(range(ROWS))

        splits = await session.scan("ks.t").splits()
        assert len({split.host for split in splits}) == 3  # each node is asked for its own
        assert len(splits) == 3 * 16 + 1
        assert await read(session.scan("ks.t", consistency="ONE", page_size=100)) == everything

        killed = server.nodes[1]
        scan = session.scan("ks.t", consistency="QUORUM", page_size=50, timeout=3.0)
        assert await read(scan, after=20, then=lambda: asyncio.to_thread(killed.kill)) == everything
        # And from its beginning with a node that is down.
        assert await read(session.scan("ks.t", consistency="ONE", page_size=1000)) == everything
