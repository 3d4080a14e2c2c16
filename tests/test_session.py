"""Sessions: opening, asking, USE, counting, closing."""

from __future__ import annotations

import asyncio
import hashlib
import math
import subprocess
import sys
import time
import uuid

import pytest

import acsylla_like
from acsylla_like import errors
from acsylla_like.testing import cql

QUERY = "SELECT v FROM ks.t"
V = [("v", "int")]


@pytest.fixture
async def asking(scripted):
    scripted.answer(QUERY, cql.rows(V, [[1]]))
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        yield session


async def _until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


# ---- opening ----------------------------------------------------------------------------------------------------------


async def test_the_ways_to_open_a_session(scripted):
    scripted.answer(QUERY, cql.rows(V, [[1]]))
    where = {"port": scripted.port}
    async with acsylla_like.connect(scripted.address, **where) as session:
        assert (await session.execute(QUERY)).single() == (1,)
        assert session.is_open
    assert not session.is_open
    session = await acsylla_like.connect([scripted.address], **where)
    async with session as same:
        assert same is session
    assert not session.is_open
    cluster = acsylla_like.create_cluster(scripted.address, **where)
    session = await cluster.create_session()
    await session.close()
    async with await cluster.create_session() as one, await cluster.create_session() as two:
        assert one is not two
        assert one.cluster is cluster
        assert (await two.execute(QUERY)).single() == (1,)


async def test_connecting_twice_opens_two_sessions(scripted):
    connecting = acsylla_like.connect(scripted.address, port=scripted.port)
    async with await connecting as one, await connecting as two:
        assert one is not two


async def test_the_body_of_async_with_may_raise(scripted):
    with pytest.raises(KeyError, match="mine"):
        async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
            raise KeyError("mine")
    assert not session.is_open


async def test_an_unknown_keyspace_is_an_error_that_names_it(cassandra):
    with pytest.raises(errors.Error, match="no_such_keyspace"):
        await acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace="no_such_keyspace")
    cluster = acsylla_like.create_cluster(cassandra.contact_points, port=cassandra.port)
    with pytest.raises(errors.Error, match="no_such_keyspace"):
        await cluster.create_session(keyspace="no_such_keyspace")


@pytest.mark.parametrize("keyspace", [5, b"ks", ["ks"]])
async def test_a_keyspace_is_a_str(scripted, keyspace):
    with pytest.raises(TypeError, match="keyspace must be a str"):
        acsylla_like.connect(scripted.address, port=scripted.port, keyspace=keyspace)
    with pytest.raises(TypeError, match="keyspace must be a str"):
        await acsylla_like.create_cluster(scripted.address, port=scripted.port).create_session(keyspace=keyspace)


async def test_the_keyspace_of_the_session_wins_over_that_of_the_cluster(cassandra, keyspace):
    cluster = acsylla_like.create_cluster(cassandra.contact_points, port=cassandra.port, keyspace="system")
    async with await cluster.create_session() as session:
        assert session.keyspace == "system"
        await session.execute("SELECT key FROM local")
    async with await cluster.create_session(keyspace=keyspace) as session:
        assert session.keyspace == keyspace
        with pytest.raises(errors.InvalidQuery):
            await session.execute("SELECT key FROM local")


async def test_a_keyspace_whose_name_needs_quotes(cassandra, session):
    name = f"Mixed_{uuid.uuid4().hex[:8]}_Case"
    await session.execute(f"CREATE KEYSPACE \"{name}\" WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
    try:
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=name) as quoted:
            assert quoted.keyspace == name
            await quoted.execute("CREATE TABLE t (k int PRIMARY KEY, v int)")
            await quoted.execute("INSERT INTO t (k, v) VALUES (?, ?)", [1, 2])
            assert (await quoted.execute("SELECT * FROM t WHERE k = ?", [1])).single() == (1, 2)
            await quoted.execute("USE system")
            assert quoted.keyspace == "system"
            await quoted.execute(f'USE "{name}";')
            assert quoted.keyspace == name
            assert (await quoted.execute("SELECT v FROM t WHERE k = ?", [1])).single() == (2,)
    finally:
        await session.execute(f'DROP KEYSPACE "{name}"')


# ---- USE --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["USE {}", "use {} ;", "\n  Use\t{}\n", '/* to */ USE "{}" /* done */', "-- x\nUSE {}"])
async def test_use_changes_the_keyspace_of_all_connections(cassandra, keyspace, session, text):
    await session.execute("CREATE TABLE IF NOT EXISTS here (k int PRIMARY KEY)")
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, core_connections_per_host=3) as moving:
        assert moving.keyspace is None
        await moving.execute(text.format(keyspace))
        assert moving.keyspace == keyspace
        await asyncio.gather(*[moving.execute("SELECT k FROM here") for _ in range(50)])


async def test_a_refused_use_changes_nothing(session, keyspace):
    with pytest.raises(errors.InvalidQuery, match="no_such_keyspace"):
        await session.execute("USE no_such_keyspace")
    assert session.keyspace == keyspace


# ---- asking -----------------------------------------------------------------------------------------------------------


async def test_execute_takes_every_kind_of_query(scripted, asking):
    prepared = await asking.create_prepared(QUERY)
    for query in (QUERY, prepared, prepared.bind(), acsylla_like.create_statement(QUERY), acsylla_like.create_statement(prepared)):
        assert (await asking.execute(query)).single() == (1,)
    assert len(await asking.execute(acsylla_like.create_batch_logged().add("INSERT INTO ks.t (k) VALUES (1)"))) == 0


async def test_prepare_is_another_name_of_create_prepared(asking):
    assert (await asking.execute(await asking.prepare(QUERY))).single() == (1,)


async def test_thousands_at_once(scripted, asking):
    results = await asyncio.gather(*[asking.execute(QUERY) for _ in range(3000)])
    assert {result.single() for result in results} == {(1,)}
    assert asking.in_flight == 0


async def test_the_sessions_timeout_holds_for_every_request(scripted):
    scripted.handler = lambda request: cql.SILENCE
    cluster = acsylla_like.create_cluster(scripted.address, port=scripted.port)
    async with await cluster.create_session(timeout=0.05) as session:
        for request in (session.execute(QUERY), session.execute(QUERY + " WHERE k = ?", [1]), session.create_prepared(QUERY)):
            started = time.monotonic()
            with pytest.raises(errors.RequestTimeout):
                await request
            assert time.monotonic() - started < 1.0
    async with acsylla_like.connect(scripted.address, port=scripted.port, request_timeout=0.05) as session:
        with pytest.raises(errors.RequestTimeout):
            await session.execute(QUERY)


async def test_infinity_is_no_timeout(scripted):
    scripted.answer(QUERY, cql.rows(V, [[1]]).delayed(0.3))
    async with acsylla_like.connect(scripted.address, port=scripted.port, request_timeout=0.1) as session:
        assert (await session.execute(QUERY, timeout=math.inf)).single() == (1,)
    async with acsylla_like.connect(scripted.address, port=scripted.port, request_timeout=math.inf) as session:
        assert (await session.execute(QUERY)).single() == (1,)
        assert (await session.execute(QUERY + " WHERE k = ?", [b""])).all() == []
        with pytest.raises(errors.RequestTimeout):
            await session.execute(QUERY, timeout=0.05)


async def test_the_repr_tells_where_and_in_what_state(scripted):
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        assert repr(session) == f"<Session open {scripted.address} keyspace None>"
    assert repr(session).startswith("<Session closed")


# ---- metrics ----------------------------------------------------------------------------------------------------------


async def test_what_the_session_asks_for_itself_is_counted_apart(cassandra, keyspace):
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as session:
        await session.execute("CREATE TABLE IF NOT EXISTS counted (k int PRIMARY KEY, v int)")
        before = session.metrics()["session"]
        insert = await session.create_prepared("INSERT INTO counted (k, v) VALUES (?, ?)")
        await session.metadata()
        await session.explain(insert, [1, 2])
        asked = session.metrics()["session"]
        assert {name: asked[name] - before[name] for name in ("started", "failed", "cancelled")} == {
            "started": 0,
            "failed": 0,
            "cancelled": 0,
        }
        assert asked["asked"] - before["asked"] > 5
        with pytest.raises(errors.InvalidQuery):
            await session.create_prepared("SELECT nothing FROM counted")
        batch = acsylla_like.create_batch_unlogged().add("INSERT INTO counted (k, v) VALUES (?, 1)", [1])
        await session.execute(batch)  # prepared, and executed
        with pytest.raises(errors.InvalidQuery):
            await session.execute("SELECT nothing FROM counted WHERE k = ?", [1])
        rows = [row async for row in session.stream("SELECT k FROM counted", page_size=1)]
        after = session.metrics()["session"]
        assert after["started"] - asked["started"] == 2 + len(rows) + 1  # the last page is empty
        assert after["failed"] - asked["failed"] == 1


async def test_metrics_count(scripted, asking):
    before = asking.metrics()
    for _ in range(20):
        await asking.execute(QUERY)
    scripted.answer("SELECT slow FROM ks.t", cql.SILENCE)
    with pytest.raises(errors.RequestTimeout):
        await asking.execute("SELECT slow FROM ks.t", timeout=0.05)
    task = asyncio.create_task(asking.execute("SELECT slow FROM ks.t", timeout=0.5))
    await _until(lambda: asking.in_flight == 1)
    assert asking.metrics()["session"]["in_flight"] == 1
    task.cancel()
    await asyncio.wait([task])
    await asking.execute(QUERY + " WHERE k = ?", [b"1"])
    after = asking.metrics()
    counted = {name: after["session"][name] - before["session"][name] for name in ("failed", "cancelled", "prepared")}
    assert counted == {"failed": 1, "cancelled": 1, "prepared": 1}
    assert after["session"]["started"] - before["session"]["started"] == 23
    assert after["errors"]["request_timeouts"] == 1
    assert after["connections"]["total"] >= 1
    requests = after["requests"]
    assert 0 < requests["min"] <= requests["median"] <= requests["p75"] <= requests["p99"] <= requests["max"] < 1
    assert set(requests) == {
        "min", "max", "mean", "stddev", "median", "p75", "p95", "p98", "p99", "p999", "mean_rate", "one_minute_rate",
        "five_minute_rate", "fifteen_minute_rate",
    }  # fmt: skip


async def test_metrics_of_a_closed_session_are_refused(scripted):
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        pass
    with pytest.raises(errors.SessionClosed):
        session.metrics()


# ---- closing ----------------------------------------------------------------------------------------------------------


async def test_a_closed_session_refuses_everything_and_closes_again(scripted):
    scripted.answer(QUERY, cql.rows(V, [[1]]))
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        prepared = await session.create_prepared(QUERY)
        kept = session.execute(QUERY)
    for request in (
        kept,
        session.execute(QUERY),
        session.execute(prepared),
        session.execute(QUERY + " WHERE k = ?", [1]),
        session.execute(acsylla_like.create_batch_logged().add("INSERT INTO ks.t (k) VALUES (1)")),
        session.execute("USE ks"),
        session.execute("CREATE TABLE ks.t (k int PRIMARY KEY)"),
        session.create_prepared(QUERY),
        anext(aiter(session.stream(QUERY))),
    ):
        with pytest.raises(errors.SessionClosed) as caught:
            await request
        assert caught.value.retryable
    await session.close()
    await session.close()
    assert await session.drain(timeout=1.0) == 0
    await _until(lambda: scripted.open_connections == 0)


async def test_close_waits_for_requests_in_flight(scripted):
    scripted.answer(QUERY, cql.rows(V, [[1]]).delayed(0.3))
    session = await acsylla_like.connect(scripted.address, port=scripted.port)
    tasks = [asyncio.create_task(session.execute(QUERY)) for _ in range(20)]
    await _until(lambda: session.in_flight == 20)
    await asyncio.gather(session.close(), session.close())
    assert {task.result().single() for task in tasks if task.done()} == {(1,)}
    assert {result.single() for result in await asyncio.gather(*tasks)} == {(1,)}


async def test_close_waits_for_requests_of_several_steps(scripted):
    text = QUERY + " WHERE k = ?"
    scripted.answer(text, cql.rows(V, [[1]]), [("k", "int")], key=[0])
    steps = []

    def answer(request):
        steps.append(request.opcode)
        if request.opcode == cql.PREPARE:
            return cql.prepared(hashlib.md5(text.encode()).digest(), [("k", "int")], cql.rows(V).columns).delayed(0.2)
        page = int(request.paging_state or b"0")
        return cql.rows(V, [[page]], paging_state=str(page + 1).encode() if page < 2 else None).delayed(0.1)

    scripted.handler = answer
    session = await acsylla_like.connect(scripted.address, port=scripted.port)
    requests = [
        asyncio.create_task(session.execute(text, [1])),
        asyncio.create_task(session.execute(QUERY)),
        asyncio.create_task(session.execute(acsylla_like.create_batch_logged().add(text, [1]))),
        asyncio.create_task(session.create_prepared(QUERY)),
    ]
    await _until(lambda: len(steps) >= 3)
    await session.close()
    rows, more, _, prepared = await asyncio.gather(*requests)
    assert [row.v for row in rows] == [row.v for row in more] == [0, 1, 2]
    assert prepared.query == QUERY
    with pytest.raises(errors.SessionClosed):
        await session.execute(QUERY)


async def test_nothing_new_is_taken_while_closing(scripted):
    scripted.answer(QUERY, cql.rows(V, [[1]]).delayed(0.2))
    session = await acsylla_like.connect(scripted.address, port=scripted.port)
    task = asyncio.create_task(session.execute(QUERY))
    await _until(lambda: session.in_flight == 1)
    closing = asyncio.create_task(session.close())
    await asyncio.sleep(0)
    for request in (session.execute(QUERY), session.execute(QUERY, [1]), session.create_prepared(QUERY)):
        with pytest.raises(errors.SessionClosed):
            await request
    await closing
    assert (await task).single() == (1,)


async def test_drain_waits_no_longer_than_it_may(scripted):
    scripted.handler = lambda request: cql.SILENCE if request.opcode == cql.QUERY else None
    session = await acsylla_like.connect(scripted.address, port=scripted.port)
    tasks = [asyncio.create_task(session.execute(QUERY, timeout=1.0)) for _ in range(7)]
    await _until(lambda: session.in_flight == 7)
    started = time.monotonic()
    assert await session.drain(timeout=0.1) == 7
    assert time.monotonic() - started < 0.8
    assert not session.is_open
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {errors.RequestTimeout, errors.ConnectionLost}
    await session.close()
    await _until(lambda: scripted.open_connections == 0)


async def test_drain_of_an_idle_session_is_a_close(scripted):
    session = await acsylla_like.connect(scripted.address, port=scripted.port)
    assert await session.drain(timeout=5.0) == 0
    assert not session.is_open


@pytest.mark.parametrize("timeout", [0, -1, math.nan, "1"])
async def test_a_drain_needs_a_positive_time(asking, timeout):
    with pytest.raises((TypeError, ValueError), match="timeout"):
        await asking.drain(timeout=timeout)
    assert asking.is_open


async def test_a_cancelled_close_goes_on(scripted):
    scripted.answer(QUERY, cql.rows(V, [[1]]).delayed(0.2))
    session = await acsylla_like.connect(scripted.address, port=scripted.port)
    task = asyncio.create_task(session.execute(QUERY))
    await _until(lambda: session.in_flight == 1)
    closing = asyncio.create_task(session.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert (await task).single() == (1,)
    await session.close()
    await _until(lambda: scripted.open_connections == 0)


GIVEN_UP = """
import asyncio, random
import acsylla_like
from acsylla_like.testing import ScriptedServer, cql

async def main(server, way):
    session = await acsylla_like.connect(server.contact_points, port=server.port)
    tasks = [asyncio.create_task(session.execute("SELECT v FROM ks.t", timeout=0.1)) for _ in range(7)]
    while session.in_flight < 7:
        await asyncio.sleep(0)
    if way == 0:
        await session.drain(timeout=0.01)
    else:
        closing = asyncio.create_task(session.close())
        await asyncio.sleep(random.random() * 0.1)

for number in range(40):
    with ScriptedServer() as server:
        server.answer("SELECT v FROM ks.t", cql.SILENCE)
        asyncio.run(main(server, number % 2))
print("survived")
"""


def test_a_close_that_is_given_up_does_not_free_the_session_under_the_drivers_threads():
    run = subprocess.run([sys.executable, "-c", GIVEN_UP], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "survived\n"), run.stderr[-2000:]


async def test_user_types_come_back_as_the_registered_class(cassandra, session, keyspace):
    class Address:
        def __init__(self, street=None, number=None):
            self.street, self.number = street, number

    await session.execute("CREATE TYPE address (street text, number int)")
    await session.execute("CREATE TABLE homes (k int PRIMARY KEY, home frozen<address>)")
    session.register_user_type(keyspace, "address", Address)
    await session.execute("INSERT INTO homes (k, home) VALUES (?, ?)", [1, Address("Long Lane", 5)])
    home = (await session.execute("SELECT home FROM homes WHERE k = ?", [1])).single().home
    assert isinstance(home, Address)
    assert (home.street, home.number) == ("Long Lane", 5)
    with pytest.raises(TypeError, match="cls must be a class"):
        session.register_user_type(keyspace, "address", 5)
