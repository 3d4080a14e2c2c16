"""Requests of every kind with random keys, and how many of them came to the shard that owns their key."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import acsylla_like
from acsylla_like.testing import ScyllaFacade
from acsylla_like.testing.scylla_facade import Hits

KINDS = ("insert", "select", "batch", "text and parameters")
TABLE = "people"
#: Seconds until a session uses the shard-aware port: on a machine under load the first proof of it may take too long, and it is repeated
#: after 15 s.
PROVEN_IN = 40.0


async def create_table(session: acsylla_like.Session, keyspace: str) -> None:
    await session.execute(f"CREATE TABLE IF NOT EXISTS {keyspace}.{TABLE} (city text, id bigint, name text, PRIMARY KEY ((city, id)))")


async def hits_of(session: acsylla_like.Session, facade: ScyllaFacade, keyspace: str, kind: str, count: int) -> Hits:
    """Sends `count` requests of one kind and returns where they came to; each must succeed."""
    chance = random.Random(kind)
    insert = await session.create_prepared(f"INSERT INTO {keyspace}.{TABLE} (city, id, name) VALUES (?, ?, ?)")
    select = await session.create_prepared(f"SELECT name FROM {keyspace}.{TABLE} WHERE city = ? AND id = ?")
    update = f"UPDATE {keyspace}.{TABLE} SET name = ? WHERE city = ? AND id = ?"
    await session.execute(update, ["", "", 0])  # prepared by now
    facade.clear()

    def request(city: str, id: int) -> Any:
        if kind == "insert":
            return session.execute(insert, [city, id, "x"])
        if kind == "select":
            return session.execute(select, [city, id])
        if kind == "batch":
            batch = acsylla_like.create_batch_unlogged()
            batch.add(insert, [city, id, "x"])
            batch.add(insert, [city, id, "y"])
            return session.execute(batch)
        return session.execute(update, ["z", city, id])

    async def work(share: int) -> None:
        for _ in range(share):
            await request(chance.choice(("", "Bern", "Zürich")) + str(chance.randrange(50)), chance.randrange(-(2**63), 2**63))

    workers = 64
    await asyncio.gather(*(work(count // workers + (i < count % workers)) for i in range(workers)))
    hits = facade.hits("BATCH" if kind == "batch" else "EXECUTE")
    assert hits.requests == count, hits
    return hits


async def all_hit(session: acsylla_like.Session, facade: ScyllaFacade, keyspace: str, count: int) -> None:
    """Fails unless each request of each kind came to a replica and there to the owning shard."""
    for kind in KINDS:
        hits = await hits_of(session, facade, keyspace, kind, count)
        assert (hits.node, hits.shard, hits.unknown) == (count, count, 0), f"{kind}: {hits}"
