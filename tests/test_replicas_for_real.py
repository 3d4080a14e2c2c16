"""Three real nodes: the replicas that are computed are those that write the rows, and requests go to one of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

import acsylla_like
from acsylla_like.testing import Cassandra

KEYSPACES = {
    "one": "{'class': 'SimpleStrategy', 'replication_factor': 1}",
    "two": "{'class': 'SimpleStrategy', 'replication_factor': 2}",
    "racks": "{'class': 'NetworkTopologyStrategy', 'dc1': 2}",
}
COPIES = {"one": 1, "two": 2, "racks": 2}


@pytest.fixture
async def session() -> AsyncIterator[acsylla_like.Session]:
    placement = [("dc1", "r1"), ("dc1", "r1"), ("dc1", "r2")]
    async with (
        Cassandra(nodes=3, heap_mb=400, placement=placement) as server,
        acsylla_like.connect(server.contact_points, port=server.port) as session,
    ):
        yield session


async def written_by(session: acsylla_like.Session, tracing_id: object, copies: int) -> set[str]:
    """The nodes that put the row into their commit log, once there are as many as there should be."""
    deadline = time.monotonic() + 30
    while True:
        events = await session.execute(
            "SELECT source, activity FROM system_traces.events WHERE session_id = ?", [tracing_id], consistency="ALL"
        )
        found = {str(event.source) for event in events if event.activity.startswith("Appending to commitlog")}
        if len(found) >= copies:
            return found
        assert time.monotonic() < deadline, events.all()
        await asyncio.sleep(0.05)


async def test_replicas_and_coordinators(session: acsylla_like.Session) -> None:
    await session.execute("ALTER KEYSPACE system_traces WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
    for keyspace, replication in KEYSPACES.items():
        await session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {replication}")
        await session.execute(f"CREATE TABLE {keyspace}.t (a text, b int, v int, PRIMARY KEY ((a, b)))")
    for keyspace in KEYSPACES:
        insert = await session.create_prepared(f"INSERT INTO {keyspace}.t (a, b, v) VALUES (?, ?, ?)")
        seen = set()
        for b in range(25):
            values = ["key", b, 1]
            route = await session.explain(insert, values)
            assert route.replicas is not None
            nodes = [replica.address for replica in route.replicas]
            assert len(nodes) == COPIES[keyspace]
            result = await session.execute(insert, values, consistency="ALL", tracing=True)
            assert await written_by(session, result.tracing_id, COPIES[keyspace]) == set(nodes)
            if keyspace == "racks":
                assert {replica.rack for replica in route.replicas} == {"r1", "r2"}
            seen.update(nodes)
            # However it is sent, one of them coordinates it.
            batch = acsylla_like.create_batch_unlogged()
            batch.add(f"INSERT INTO {keyspace}.t (a, b, v) VALUES ('other', {b + 1000}, 1)").add(insert, values).add(insert, ["x", 5, 5])
            text = f"SELECT v FROM {keyspace}.t WHERE a = 'key' AND b = {b}"
            for answer in (
                result,
                await session.execute(f"SELECT v FROM {keyspace}.t WHERE a = ? AND b = ?", values[:2]),
                await session.execute(batch),
                await session.execute(text, routing_key=values[:2]),
            ):
                assert answer.coordinator is not None
                assert answer.coordinator.address in nodes
        assert len(seen) == 3
        groups = await session.group_by_replica(insert, [["key", b, 1] for b in range(300)])
        assert len(groups) == 3
        assert {owner.shard for owner in groups} == {None}
