"""Values beyond the server's default limits, which this server has raised."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import acsylla_like
from acsylla_like.testing import Cassandra


@pytest.fixture(scope="module")
def roomy() -> Iterator[Cassandra]:
    with Cassandra(max_value_mib=64, heap_mb=1024) as server:
        yield server


async def test_large_values_come_back(roomy: Cassandra) -> None:
    async with acsylla_like.connect(roomy.contact_points, port=roomy.port, request_timeout=60.0) as session:
        await session.execute("CREATE KEYSPACE large WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        await session.execute("CREATE TABLE large.values (k int PRIMARY KEY, b blob, t text, l list<blob>, n varint)")
        blob = bytes(range(256)) * (20 * 4096)
        text = "é" * 10_000_000
        items = [blob[: 5 << 20]] * 4
        number = 1 << (8 * 4_000_000)
        insert = await session.create_prepared("INSERT INTO large.values (k, b, t, l, n) VALUES (?, ?, ?, ?, ?)")
        for values in (
            [1, blob, None, None, None],
            [2, None, text, None, None],
            [3, None, None, items, None],
            [4, None, None, None, number],
        ):
            await session.execute(insert, values)
            row = (await session.execute("SELECT k, b, t, l, n FROM large.values WHERE k = ?", values[:1])).one()
            assert row is not None
            assert list(row) == values
