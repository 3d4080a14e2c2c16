"""Which shards own the requests that a session sends."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from covering import covering
from waiting import until

import acsylla_like
from acsylla_like.policies import ConstantReconnection
from acsylla_like.testing import ScyllaFacade, cql


@pytest.fixture
async def table(session, keyspace):
    """Its name; dropped at the end."""
    yield "t"
    await session.execute(f"DROP TABLE IF EXISTS {keyspace}.t")


def owners_seen(facade, keyspace):
    """Where the façade's own arithmetic says that what arrived belongs."""
    found = Counter()
    for arrival in tuple(facade.arrivals):
        if arrival.token is None or (arrival.keyspace, arrival.table) != (keyspace, "t"):
            continue
        node, shard = facade.owners(keyspace, "t", arrival.token)[0]
        found[node.address, shard] += 1
    return found


def counted(session):
    counts = session.shard_counts()
    return Counter({(owner.address, owner.shard): count for owner, count in counts.by_shard.items()}), counts.unknown


async def settled(session, requests):
    """Waits until what came first has been counted, too."""
    await until(lambda: sum(session.shard_counts().by_shard.values()) == requests)


@pytest.mark.parametrize("tablets", [False, True])
async def test_every_kind_of_request_is_counted_for_the_shard_that_owns_it(cassandra, keyspace, table, tablets):
    with ScyllaFacade(cassandra, (4, 7, 1), tablets=tablets) as facade:
        async with covering(facade, keyspace=keyspace, count_shards=True) as session:
            await session.execute("CREATE TABLE t (a text, k bigint, v int, PRIMARY KEY ((a, k)))")
            if tablets:
                facade.split_into_tablets(keyspace, "t", 64)
            insert = await session.create_prepared("INSERT INTO t (a, k, v) VALUES (?, ?, ?)")
            facade.clear()
            await asyncio.gather(*(session.execute(insert, ["x", k, k]) for k in range(300)))
            await asyncio.gather(*(session.execute("SELECT v FROM t WHERE k = ? AND a = ?", [k, "x"]) for k in range(200)))
            await session.execute_many(insert, ((str(k), k, k) for k in range(1000)))
            for k in range(50):
                batch = acsylla_like.create_batch_unlogged()
                batch.add("UPDATE t SET v = 5 WHERE a = 'fixed' AND k = 5")
                batch.add(insert, ["y", k, k])
                batch.add(insert, ["z", k, k])
                await session.execute(batch)
            await settled(session, 1550)
            found, unknown = counted(session)
            assert unknown == 0
            assert found == owners_seen(facade, keyspace)
            assert len(found) > 8

            await session.execute("SELECT v FROM t WHERE token(a, k) > ? LIMIT 1", [0])
            await until(lambda: session.shard_counts().unknown == 1)
            assert counted(session)[0] == found

            assert session.shard_counts(reset=True).unknown == 1
            assert counted(session) == (Counter(), 0)


async def test_nodes_without_shards_count_as_nodes(session, cassandra, keyspace, table):
    await session.execute(f"CREATE TABLE {keyspace}.t (k int PRIMARY KEY)")
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace, count_shards=True) as counting:
        await counting.execute_many("INSERT INTO t (k) VALUES (?)", [[k] for k in range(100)])
        await settled(counting, 100)
        ((owner, count),) = counting.shard_counts().by_shard.items()
        assert (owner.address, owner.shard, count) == (cassandra.contact_points[0], None, 100)


class Overloaded:
    """Refuses the first two executions."""

    def __init__(self):
        self.tries = 0

    def __call__(self, request):
        if request.opcode != cql.EXECUTE:
            return None
        self.tries += 1
        return cql.error(cql.OVERLOADED) if self.tries < 3 else cql.void()


async def test_tries_and_rows_that_do_not_fit_are_no_requests_of_their_own(scripted):
    scripted.handler = overloaded = Overloaded()
    policy = acsylla_like.RetryPolicy(first_pause=0.001, longest_pause=0.002)
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port, count_shards=True) as session:
        insert = await session.create_prepared("INSERT INTO ks.t (k) VALUES (?)")
        with pytest.raises(TypeError):
            await session.execute(insert, [object()])
        await session.execute(insert, [b"1"], idempotent=True, retry_policy=policy)
        assert overloaded.tries == 3
        counts = session.shard_counts()
        assert sum(counts.by_shard.values()) + counts.unknown == 1


async def test_without_the_option_nothing_is_counted(session):
    with pytest.raises(acsylla_like.ClientError, match="count_shards=True is needed"):
        session.shard_counts()
    with pytest.raises(TypeError, match="count_shards must be a bool, not 1"):
        acsylla_like.create_cluster("127.0.0.1", count_shards=1)  # type: ignore[arg-type]


async def test_a_node_that_comes_with_other_shards_counts_by_these_after_a_while(cassandra, keyspace, table, monkeypatch):
    monkeypatch.setattr("acsylla_like.shard_counts._AGE", 0.2)
    monkeypatch.setattr("acsylla_like.routing._SHARDS_AGE", 0.1)
    with ScyllaFacade(cassandra, (2, 2)) as facade:
        options = {"keyspace": keyspace, "count_shards": True, "reconnection": ConstantReconnection(0.2)}
        async with covering(facade, **options) as session:
            await session.execute("CREATE TABLE t (k int PRIMARY KEY)")
            insert = await session.create_prepared("INSERT INTO t (k) VALUES (?)")
            await session.execute(insert, [1])
            for node in facade.nodes:
                await asyncio.to_thread(node.stop)
                await until(lambda node=node: session.shards()[node.address].reason == "it is down")
                await asyncio.to_thread(lambda node=node: node.start(nr_shards=32))
                await until(lambda node=node: (found := session.shards()[node.address].sharding) is not None and found.nr_shards == 32)

            async def reaches_beyond_the_second_shard():
                await asyncio.gather(*(session.execute(insert, [k]) for k in range(20)))
                return any((owner.shard or 0) > 1 for owner in session.shard_counts().by_shard)

            ends = asyncio.get_running_loop().time() + 10
            while not await reaches_beyond_the_second_shard():
                assert asyncio.get_running_loop().time() < ends
                await asyncio.sleep(0.1)
