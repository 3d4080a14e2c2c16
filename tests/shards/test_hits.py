"""Each request comes to the shard that owns its key: in each mode, and after what upsets the driver."""

from __future__ import annotations

import asyncio
import logging

import pytest
from covering import covered
from waiting import until
from workload import PROVEN_IN, TABLE, all_hit, create_table, hits_of

import acsylla_like
from acsylla_like import shard_watch
from acsylla_like.testing import ScyllaFacade
from acsylla_like.testing.scylla_facade import FacadeNode

# Seconds that a node takes at least to start. The driver's session that was replaced when it went down has ended by then; it would not
# survive a node with more shards.
_RESTART = 0.5


def modes(session: acsylla_like.Session) -> set[str]:
    return {host.mode for host in session.shards().values()}


def shards_of(session: acsylla_like.Session, node: FacadeNode) -> int | None:
    found = session.shards()[node.address].sharding
    return None if found is None else found.nr_shards


async def at_rest(session: acsylla_like.Session) -> None:
    """Waits until nothing is done about its shards. A driver session that connects while its nodes vanish ends seconds later, which is a
    leak to those who look after each test."""
    guarded = shard_watch._watcher.guarded[session.number]
    await until(lambda: not guarded.has_work and (guarded.work is None or guarded.work.done()))


async def settled(session: acsylla_like.Session, facade: ScyllaFacade, mode: str, seconds: float = 10.0) -> None:
    """Waits until the session is in this mode and has all its connections."""
    await until(lambda: len(session.shards()) == len(facade.nodes) and modes(session) == {mode}, seconds)
    await covered(session, facade)


@pytest.mark.parametrize(
    ("port", "shard_aware", "nat", "mode", "reason"),
    [
        (False, "open", False, "basic", "the shard-aware port is not asked for"),
        (False, "open", True, "basic", "the shard-aware port is not asked for"),
        (True, "open", False, "advanced", "choose the shard on port"),
        (True, "open", True, "basic", "a NAT is between"),
        (True, "closed", False, "basic", "cannot be used"),
        (True, "silent", False, "basic", "did not answer within 2 s"),
        (True, "absent", False, "basic", "announces no shard-aware port"),
    ],
    ids=["basic", "basic behind a NAT", "advanced", "advanced behind a NAT", "port closed", "port silent", "port absent"],
)
async def test_every_request_reaches_its_shard(facade, keyspace, requests_of_each_kind, caplog, port, shard_aware, nat, mode, reason):
    facade.nat = nat
    if shard_aware != "open":
        facade.set_shard_aware_port(shard_aware)
    with caplog.at_level(logging.INFO, "acsylla_like.shards"):
        async with acsylla_like.connect(facade.contact_points[0], port=facade.port, shard_aware_port=port) as session:
            await create_table(session, keyspace)
            await settled(session, facade, mode, PROVEN_IN)
            await until(lambda: all(reason in host.reason for host in session.shards().values()), PROVEN_IN)
            await all_hit(session, facade, keyspace, requests_of_each_kind)
    lines = [record for record in caplog.records if record.name == "acsylla_like.shards" and f"{mode} mode" in record.message]
    assert len(lines) == len(facade.nodes)
    assert all(record.levelno == logging.INFO for record in lines)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("port", [False, True], ids=["basic", "advanced"])
async def test_a_node_that_comes_back_with_other_shards(facade, keyspace, requests_of_each_kind, port):
    mode = "advanced" if port else "basic"
    async with acsylla_like.connect(facade.contact_points, port=facade.port, shard_aware_port=port) as session:
        await create_table(session, keyspace)
        await settled(session, facade, mode, PROVEN_IN)
        node = facade.nodes[1]
        for shards in (16, 3):
            await asyncio.to_thread(node.stop)
            await until(lambda: session.shards()[node.address].reason == "it is down")
            await until(lambda: session.metrics()["connections"]["total"] == sum(n.nr_shards or 1 for n in facade.nodes if n is not node))
            await asyncio.sleep(_RESTART)
            await asyncio.to_thread(lambda count=shards: node.start(nr_shards=count))
            await until(lambda count=shards: shards_of(session, node) == count, 10.0)
            await settled(session, facade, mode)
            await all_hit(session, facade, keyspace, requests_of_each_kind)


@pytest.mark.parametrize("port", [False, True], ids=["basic", "advanced"])
async def test_a_node_that_joins(cassandra, keyspace, requests_of_each_kind, monkeypatch, port):
    """With more shards than local ports were reserved for: where the driver has none for a connection, it ends the process."""
    monkeypatch.setattr("acsylla_like.shard_guard._PEERS_EVERY", 1.0)
    with ScyllaFacade(cassandra, (2, 2, 2)) as facade:
        mode = "advanced" if port else "basic"
        node = facade.nodes[2]
        node.leave()
        present = facade.contact_points[:2]
        async with acsylla_like.connect(present, port=facade.port, shard_aware_port=port) as session:
            await create_table(session, keyspace)

            async def is_left() -> None:
                await until(lambda: session.shards().keys() == set(present) and modes(session) == {mode}, PROVEN_IN)

            for shards in (30, 3):
                await is_left()
                await asyncio.to_thread(lambda count=shards: node.join(nr_shards=count))
                await until(lambda count=shards: node.address in session.shards() and shards_of(session, node) == count)
                await settled(session, facade, mode, PROVEN_IN)
                await all_hit(session, facade, keyspace, requests_of_each_kind)
                await asyncio.to_thread(node.leave)
            await is_left()
            await at_rest(session)


async def test_a_node_that_comes_back_with_more_shards_than_there_are_ports(cassandra, keyspace, requests_of_each_kind):
    with ScyllaFacade(cassandra, (2, 2)) as facade:
        async with acsylla_like.connect(facade.contact_points, port=facade.port, shard_aware_port=True) as session:
            await create_table(session, keyspace)
            await settled(session, facade, "advanced", PROVEN_IN)
            node = facade.nodes[1]
            await asyncio.to_thread(node.stop)
            await until(lambda: session.shards()[node.address].reason == "it is down")
            await asyncio.sleep(_RESTART)
            await asyncio.to_thread(lambda: node.start(nr_shards=40))
            await until(lambda: shards_of(session, node) == 40)
            await settled(session, facade, "advanced", PROVEN_IN)
            await all_hit(session, facade, keyspace, requests_of_each_kind)


@pytest.mark.parametrize("port", [False, True], ids=["basic", "advanced"])
async def test_every_node_comes_back_with_more_shards(cassandra, keyspace, requests_of_each_kind, port):
    """The driver's session from before must not meet them, nor may requests meet a crash meanwhile."""
    with ScyllaFacade(cassandra, (2, 3)) as facade:
        mode = "advanced" if port else "basic"
        async with acsylla_like.connect(facade.contact_points, port=facade.port, shard_aware_port=port) as session:
            await create_table(session, keyspace)
            insert = await session.create_prepared(f"INSERT INTO {keyspace}.{TABLE} (city, id, name) VALUES (?, ?, ?)")
            for shards in (40, 5):
                await settled(session, facade, mode, PROVEN_IN)
                await at_rest(session)
                for node in facade.nodes:
                    await asyncio.to_thread(node.stop)
                await until(lambda: all(host.reason == "it is down" for host in session.shards().values()))
                refused = await asyncio.gather(
                    *(session.execute(insert, ["", i, "x"]) for i in range(200)),
                    session.execute("SELECT key FROM system.local"),
                    session.create_prepared("SELECT release_version FROM system.local"),
                    session.execute_many(insert, [["", i, "x"] for i in range(200)], on_error="collect", retries=0),
                    return_exceptions=True,
                )
                report = refused.pop()
                assert isinstance(report, acsylla_like.BulkReport)
                assert report.failed == 200
                assert {type(error) for error in refused} <= {acsylla_like.NoHostsAvailable, acsylla_like.ConnectionLost}
                await asyncio.sleep(2.5)  # the driver's first try to reconnect would come to nothing
                for node in facade.nodes:
                    await asyncio.to_thread(lambda node=node, count=shards: node.start(nr_shards=count))
                await until(lambda count=shards: all(shards_of(session, node) == count for node in facade.nodes))
                await settled(session, facade, mode, PROVEN_IN)
                await all_hit(session, facade, keyspace, requests_of_each_kind)


async def test_a_cassandra_node_beside(cassandra, keyspace, requests_of_each_kind):
    with ScyllaFacade(cassandra, (5, None)) as facade:
        async with acsylla_like.connect(facade.contact_points, port=facade.port, shard_aware_port=True) as session:
            await create_table(session, keyspace)
            await until(lambda: len(session.shards()) == 2)
            await until(lambda: modes(session) == {"advanced", "none"}, PROVEN_IN)
            await covered(session, facade)
            await all_hit(session, facade, keyspace, requests_of_each_kind)


async def test_plain_cassandra_gives_no_line_above_debug(cassandra, keyspace, caplog):
    with caplog.at_level(logging.DEBUG, "acsylla_like.shards"):
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, shard_aware_port=True) as session:
            await until(session.shards)
            assert modes(session) == {"none"}
    lines = [record for record in caplog.records if record.name == "acsylla_like.shards"]
    assert {record.levelno for record in lines} == {logging.DEBUG}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_tablets_are_learned_and_a_moved_one_anew(cassandra, keyspace, requests_of_each_kind):
    with ScyllaFacade(cassandra, (4, 7, 16), tablets=True) as facade:
        async with acsylla_like.connect(facade.contact_points, port=facade.port) as session:
            await create_table(session, keyspace)
            facade.split_into_tablets(keyspace, TABLE, 8)
            await covered(session, facade)
            await hits_of(session, facade, keyspace, "insert", 500)  # teaches
            for _ in range(2):
                hits = await hits_of(session, facade, keyspace, "insert", requests_of_each_kind)
                assert hits.share == 1.0, hits
                moved = facade.move_tablet(keyspace, TABLE, 2**62)
                assert moved.last >= 2**62
                hits = await hits_of(session, facade, keyspace, "insert", 500)
                assert hits.share < 1.0  # only the answer to one that misses tells of the move


async def test_requests_in_flight_are_answered_by_the_driver_session_that_was_replaced(facade, keyspace):
    """Under load, through replacements by a node that changes its shards again and again."""
    async with acsylla_like.connect(facade.contact_points, port=facade.port) as session:
        await create_table(session, keyspace)
        await settled(session, facade, "basic")
        insert = await session.create_prepared(f"INSERT INTO {keyspace}.{TABLE} (city, id, name) VALUES (?, ?, ?)")
        # A node that is not in use by these: its tokens are left out.
        victim = facade.nodes[0]
        ids = [i for i in range(3000) if not await _is_on(session, insert, i, victim.address)]
        is_over = False
        done = 0

        async def work(which: int) -> None:
            nonlocal done
            while not is_over:
                for i in ids[which::32]:
                    await session.execute(insert, ["", i, "x"])
                    done += 1

        workers = [asyncio.ensure_future(work(i)) for i in range(32)]
        for shards in (5, 6, 2):
            await asyncio.to_thread(victim.stop)
            await until(lambda: session.shards()[victim.address].reason == "it is down")
            await asyncio.sleep(_RESTART)
            await asyncio.to_thread(lambda count=shards: victim.start(nr_shards=count))
            await until(lambda count=shards: shards_of(session, victim) == count)
            await settled(session, facade, "basic")
        is_over = True
        await asyncio.gather(*workers)  # none failed
        assert done > 1000


async def _is_on(session, insert, i, address):
    route = await session.explain(insert, ["", i, "x"])
    return any(str(replica.address) == address for replica in route.replicas)
