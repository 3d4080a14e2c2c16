"""acsylla always asks for ScyllaDB's shard-aware port: here it is used where it works, and where it does not, requests arrive, too."""

from __future__ import annotations

import asyncio

import pytest
from waiting import until

import acsylla_like.compat as acsylla
from acsylla_like.testing import ScyllaFacade


@pytest.mark.parametrize(
    ("shard_aware", "nat", "mode", "reason"),
    [
        ("open", False, "advanced", "choose the shard on port"),
        ("open", True, "basic", "a NAT is between"),
        ("closed", False, "basic", "cannot be used"),
        ("absent", False, "basic", "announces no shard-aware port"),
    ],
)
async def test_every_request_reaches_its_shard(cassandra, keyspace, shard_aware, nat, mode, reason):
    with ScyllaFacade(cassandra, (4, 7)) as facade:
        facade.nat = nat
        if shard_aware != "open":
            facade.set_shard_aware_port(shard_aware)
        session = await acsylla.create_cluster(facade.contact_points, port=facade.port).create_session(keyspace)
        shards = session._session.shards
        await until(lambda: len(shards()) == 2 and {host.mode for host in shards().values()} == {mode}, 20.0)
        await until(lambda: all(reason in host.reason for host in shards().values()), 20.0)
        await asyncio.to_thread(facade.wait_for, lambda facade: facade.is_covered, 10.0)
        await until(lambda: session.metrics().stats_total_connections >= 11)
        await session.query("CREATE TABLE IF NOT EXISTS by_shard (id int PRIMARY KEY, v text)")
        insert = await session.create_prepared("INSERT INTO by_shard (id, v) VALUES (?, ?)")
        await insert([0, "x"])
        facade.clear()
        await asyncio.gather(*(insert([number, "x"]).execute() for number in range(500)))
        hits = facade.hits("EXECUTE")
        assert (hits.requests, hits.shard, hits.unknown) == (500, 500, 0), hits
        await session.close()
