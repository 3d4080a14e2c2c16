"""Many rows with one statement: each row's fate known, whatever the rows, the server or the caller do in the middle."""

from __future__ import annotations

import asyncio
import itertools
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from reports import report_of
from waiting import until

import acsylla_like
from acsylla_like.testing import ScriptedServer, cql

INSERT = "INSERT INTO many (k, v) VALUES (?, ?)"


@pytest.fixture
async def table(session: acsylla_like.Session) -> acsylla_like.Session:
    await session.execute("CREATE TABLE IF NOT EXISTS many (k int PRIMARY KEY, v text)")
    await session.execute("TRUNCATE many")
    return session


async def keys(session: acsylla_like.Session) -> set[int]:
    return {row.k for row in await session.execute("SELECT k FROM many")}


class Written:
    """A server that keeps the keys it is told to write; `fails` may answer a write otherwise, by its key and try."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.tries: Counter[int] = Counter()
        self.keys: list[int] = []
        self.most = 0  # in flight
        self._in_flight = 0
        self.delay = 0.0
        self.gate: threading.Event | None = None
        self.fails: Any = lambda key, tries: None
        server.answer(INSERT, cql.void(), [("k", "int"), ("v", "text")], key=[0])
        server.handler = self._answer

    async def _answer(self, request: cql.Request) -> cql.Answer | None:
        if request.opcode != cql.EXECUTE:
            return None
        self._in_flight += 1
        self.most = max(self.most, self._in_flight)
        try:
            data = request.parameters[0]
            assert isinstance(data, bytes)
            (key,) = struct.unpack(">i", data)
            self.tries[key] += 1
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.gate is not None:
                await asyncio.to_thread(self.gate.wait, 30)
            answer = self.fails(key, self.tries[key])
            if answer is None:
                self.keys.append(key)
            return answer or cql.void()
        finally:
            self._in_flight -= 1


@pytest.fixture
def written(scripted: ScriptedServer) -> Written:
    return Written(scripted)


@pytest.fixture
async def to_scripted(scripted: ScriptedServer, written: Written) -> AsyncIterator[acsylla_like.Session]:
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        yield session


def rows(count: int) -> Iterator[tuple[int, str]]:
    return ((k, f"value {k}") for k in range(count))


async def later(items: Any, every: int = 100) -> AsyncIterator[Any]:
    for n, item in enumerate(items):
        if n % every == 0:
            await asyncio.sleep(0.001)
        yield item


# ---- rows of every kind


@pytest.mark.parametrize(
    "given",
    [
        list(rows(3000)),
        rows(3000),
        [list(row) for row in rows(3000)],
        ({"k": k, "v": v} for k, v in rows(3000)),
        later(rows(3000)),
        later(rows(3000), every=10_000),
        map(tuple, rows(3000)),
    ],
    ids=["list", "generator", "lists", "mappings", "asynchronous", "asynchronous at once", "iterator"],
)
async def test_every_row_is_written(table: acsylla_like.Session, given: Any) -> None:
    report = await table.execute_many(INSERT, given, concurrency=256)
    assert (report.rows, report.failed, report.settled, report.taken, report.in_flight) == (3000, 0, 3000, 3000, 0)
    assert report.errors == report.unknown == ()
    assert 0 < report.latency.p50 <= report.latency.p95 <= report.latency.p99 <= report.latency.max < report.seconds * 1.1
    assert report.rate == pytest.approx(3000 / report.seconds)
    assert await keys(table) == set(range(3000))


async def test_none_writes_null_and_unset_leaves_alone(table: acsylla_like.Session) -> None:
    await table.execute_many(INSERT, rows(3))
    await table.execute_many(INSERT, [(0, None), (1, acsylla_like.UNSET)])
    assert {row.k: row.v for row in await table.execute("SELECT k, v FROM many")} == {0: None, 1: "value 1", 2: "value 2"}


async def test_no_rows_are_a_report_of_none(table: acsylla_like.Session) -> None:
    for nothing in ([], later([])):
        report = await table.execute_many(INSERT, nothing)
        assert (report.rows, report.taken, report.latency.max, report.rate) == (0, 0, 0.0, 0.0)


async def test_a_prepared_statements_options_count(to_scripted: acsylla_like.Session, scripted: ScriptedServer) -> None:
    insert = await to_scripted.create_prepared(INSERT, consistency="TWO", timestamp=77)
    await to_scripted.execute_many(insert, rows(5), serial_consistency="LOCAL_SERIAL")
    executed = [request for request in scripted.requests if request.opcode == cql.EXECUTE]
    assert {(request.consistency, request.timestamp, request.serial_consistency) for request in executed} == {(2, 77, 9)}


async def test_changing_a_row_after_it_was_given_changes_nothing(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE lists (k int PRIMARY KEY, v list<int>)")

    def growing() -> Iterator[list[Any]]:
        row: list[Any] = [0, []]
        for k in range(500):
            row[0] = k
            row[1].append(k)
            yield row

    await session.execute_many("INSERT INTO lists (k, v) VALUES (?, ?)", growing())
    found = {row.k: row.v for row in await session.execute("SELECT k, v FROM lists")}
    assert all(found[k] == list(range(k + 1)) for k in range(500))


# ---- the window


async def test_no_more_rows_are_in_flight_than_allowed_and_no_more_are_asked_for(
    to_scripted: acsylla_like.Session, written: Written
) -> None:
    written.gate = threading.Event()
    taken = 0

    def counted() -> Iterator[tuple[int, str]]:
        nonlocal taken
        for row in rows(1000):
            taken += 1
            yield row

    task = asyncio.create_task(to_scripted.execute_many(INSERT, counted(), concurrency=37))
    await until(lambda: written.most == 37)
    await asyncio.sleep(0.05)
    assert taken == 37
    written.gate.set()
    assert (await task).rows == 1000
    assert written.most == 37


async def test_an_endless_generator_runs_in_flat_memory(table: acsylla_like.Session) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    marks = []

    def endless() -> Iterator[tuple[int, str]]:
        for n in itertools.count():
            if n % 20_000 == 0:
                marks.append(resident())
            if n == 100_000:
                return
            yield n % 100, f"{n}" * 50

    await table.execute_many(INSERT, endless(), concurrency=512)
    assert marks[-1] - marks[1] < 8 << 20


async def test_a_rate_is_kept(to_scripted: acsylla_like.Session) -> None:
    report = await to_scripted.execute_many(INSERT, rows(600), max_rate=1000)
    assert report.seconds >= 0.55
    report = await to_scripted.execute_many(INSERT, later(rows(300)), max_rate=1000.0)
    assert report.seconds >= 0.25


async def test_progress_is_told_of_while_it_goes_on_and_at_the_end(to_scripted: acsylla_like.Session) -> None:
    told: list[acsylla_like.BulkReport] = []
    report = await to_scripted.execute_many(INSERT, rows(1300), max_rate=1000, progress=told.append)
    assert len(told) >= 3
    assert [each.rows for each in told] == sorted(each.rows for each in told)
    assert told[-1].rows == report.rows == 1300


async def test_the_loop_is_woken_a_few_times_per_thousand_rows(table: acsylla_like.Session) -> None:
    insert = await table.create_prepared(INSERT)
    before = acsylla_like._native.loop_counters()
    await table.execute_many(insert, rows(20_000))
    wakes, tickets = (now - then for now, then in zip(acsylla_like._native.loop_counters(), before, strict=True))
    assert tickets < 200  # no completion of a row reaches the loop by itself
    assert wakes < 300


# ---- rows that fail


async def test_a_row_that_does_not_fit_stops_it_and_is_named(table: acsylla_like.Session) -> None:
    bad: Any = [(k, "v" if k != 50 else 7) for k in range(1000)]
    with pytest.raises(
        acsylla_like.BulkError, match=r'INSERT INTO many .*: row 50: column "v" \(text\): expected a str, got int 7'
    ) as caught:
        await table.execute_many(INSERT, bad)
    error = caught.value
    assert (error.row, error.column, error.code) == (50, "v", None)
    assert isinstance(error.__cause__, TypeError)
    assert (error.report.rows, error.report.failed, error.report.taken, error.report.unknown) == (50, 1, 51, ())
    assert await keys(table) == set(range(50))


async def test_collected_errors_have_row_parameters_and_error_and_the_rest_is_written(table: acsylla_like.Session) -> None:
    bad: list[Any] = [(k, "v") for k in range(2000)]
    bad[7], bad[100], bad[1500], bad[1999] = (1 << 40, "v"), (100,), {"k": 1, "w": 2}, "text"
    report = await table.execute_many(INSERT, bad, on_error="collect")
    assert (report.rows, report.failed, report.taken, report.settled) == (1996, 4, 2000, 2000)
    found = {error.row: error for error in report.errors}
    assert {row: type(error.error) for row, error in found.items()} == {
        7: OverflowError,
        100: ValueError,
        1500: acsylla_like.BindError,
        1999: TypeError,
    }
    assert all(error.parameters == bad[row] and not error.may_be_written and error.code is None for row, error in found.items())
    assert found[7].column == "k"
    assert await keys(table) == set(range(2000)) - {7, 100, 1500, 1999}


async def test_errors_of_the_server_are_collected_with_what_it_said(to_scripted: acsylla_like.Session, written: Written) -> None:
    written.fails = lambda key, tries: (
        cql.error(cql.INVALID, "not this one") if key % 100 == 3 else cql.error(cql.WRITE_TIMEOUT) if key % 100 == 4 else None
    )
    report = await to_scripted.execute_many(INSERT, rows(1000), on_error="collect")
    assert (report.rows, report.failed, report.retries) == (980, 20, 0)
    assert {type(error.error) for error in report.errors if error.row % 100 == 3} == {acsylla_like.InvalidQuery}
    timeouts = [error for error in report.errors if error.row % 100 == 4]
    assert all(isinstance(error.error, acsylla_like.WriteTimeout) and error.error.write_type == "SIMPLE" for error in timeouts)
    assert report.unknown == tuple(range(4, 1000, 100))
    assert all(error.parameters == (error.row, f"value {error.row}") for error in report.errors)
    assert sorted(written.keys) == [k for k in range(1000) if k % 100 not in (3, 4)]


async def test_no_more_errors_are_collected_than_asked_for(to_scripted: acsylla_like.Session) -> None:
    with pytest.raises(acsylla_like.BulkError, match="more than 10 rows failed, the first of them row 0: ") as caught:
        await to_scripted.execute_many(INSERT, itertools.repeat(("x", "v")), on_error="collect", max_errors=10)
    assert len(caught.value.report.errors) == 11


async def test_a_function_is_told_of_each_failure(table: acsylla_like.Session) -> None:
    told: list[acsylla_like.RowError] = []
    bad: Any = [(k if k % 10 else "x", "v") for k in range(5000)]
    report = await table.execute_many(INSERT, bad, on_error=told.append, max_errors=0)
    assert (report.rows, report.failed, report.errors) == (4500, 500, ())
    assert sorted(error.row for error in told) == list(range(0, 5000, 10))


async def test_what_the_function_raises_ends_it_with_the_report(table: acsylla_like.Session) -> None:
    def refuse(error: acsylla_like.RowError) -> None:
        raise LookupError(f"row {error.row}")

    with pytest.raises(LookupError, match="row 500") as caught:
        await table.execute_many(INSERT, [(k if k != 500 else "x", "v") for k in range(1000)], on_error=refuse)
    report = report_of(caught.value)
    assert (report.rows, report.failed, report.taken) == (500, 1, 501)


async def test_rows_that_raise_end_it_with_the_report(table: acsylla_like.Session) -> None:
    def broken() -> Iterator[tuple[int, str]]:
        yield from rows(700)
        raise LookupError("the source is gone")

    for given in (broken(), later(broken())):
        with pytest.raises(LookupError, match="the source is gone") as caught:
            await table.execute_many(INSERT, given)
        report = report_of(caught.value)
        assert (report.rows, report.failed, report.taken, report.settled) == (700, 0, 700, 700)
    assert await keys(table) == set(range(700))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 5}, "rows must be an iterable or an asynchronous iterable, not int"),
        ({"rows": "text"}, "rows must be an iterable or an asynchronous iterable, not str"),
        ({"query": 7}, "a str or PreparedStatement can be executed many times, not int"),
        ({"concurrency": 0}, "concurrency must be an int of 1 to 32768, not 0"),
        ({"retries": -1}, "retries must be an int of 0 to "),
        ({"on_error": "ignore"}, "on_error must be 'stop', 'collect' or a function, not 'ignore'"),
        ({"max_rate": 0}, "max_rate must be a positive number of rows per second, not 0"),
        ({"timeout": -1}, "timeout must be positive"),
    ],
)
async def test_mistakes_are_named(to_scripted: acsylla_like.Session, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        await to_scripted.execute_many(**{"query": INSERT, "rows": [], **arguments})


# ---- failures that pass


@pytest.mark.parametrize("code", [cql.OVERLOADED, cql.UNAVAILABLE, cql.IS_BOOTSTRAPPING])
async def test_rows_that_were_refused_for_now_are_sent_again(to_scripted: acsylla_like.Session, written: Written, code: int) -> None:
    written.fails = lambda key, tries: cql.error(code) if key % 7 == 0 and tries < 3 else None
    report = await to_scripted.execute_many(INSERT, rows(700), concurrency=64)
    assert (report.rows, report.failed, report.retries) == (700, 0, 200)
    assert sorted(written.keys) == list(range(700))


async def test_an_overloaded_server_gets_fewer_rows_at_a_time(to_scripted: acsylla_like.Session, written: Written) -> None:
    written.delay = 0.002
    capacity = 40
    written.fails = lambda key, tries: cql.error(cql.OVERLOADED) if written._in_flight > capacity else None
    report = await to_scripted.execute_many(INSERT, rows(3000), concurrency=512, retries=30)
    assert (report.rows, report.failed) == (3000, 0)
    assert sorted(written.keys) == list(range(3000))
    assert report.retries < 3000  # a window that stays wide has most rows refused again and again


async def test_rows_that_may_be_written_are_repeated_only_when_idempotent(to_scripted: acsylla_like.Session, written: Written) -> None:
    written.fails = lambda key, tries: cql.error(cql.WRITE_TIMEOUT) if tries == 1 and key % 10 == 0 else None
    report = await to_scripted.execute_many(INSERT, rows(100), idempotent=True)
    assert (report.rows, report.failed, report.retries) == (100, 0, 10)
    written.tries.clear()
    report = await to_scripted.execute_many(INSERT, rows(100), on_error="collect")
    assert (report.rows, report.failed, report.retries) == (90, 10, 0)
    written.tries.clear()
    written.fails = lambda key, tries: cql.error(cql.OVERLOADED) if tries == 1 and key % 10 == 0 else None
    report = await to_scripted.execute_many(INSERT, rows(100), idempotent=False, on_error="collect")
    assert (report.rows, report.failed, report.unknown) == (90, 10, tuple(range(0, 100, 10)))


async def test_a_row_is_sent_again_only_so_often(to_scripted: acsylla_like.Session, written: Written) -> None:
    written.fails = lambda key, tries: cql.error(cql.UNAVAILABLE) if key == 5 else None
    report = await to_scripted.execute_many(INSERT, rows(10), retries=2, on_error="collect")
    assert (report.rows, report.retries, written.tries[5]) == (9, 2, 3)
    assert isinstance(report.errors[0].error, acsylla_like.Unavailable)


async def test_a_full_queue_slows_it_down(scripted: ScriptedServer, written: Written) -> None:
    options: dict[str, Any] = {"port": scripted.port, "queue_size_io": 64}
    async with acsylla_like.connect(scripted.address, **options) as session:
        report = await session.execute_many(INSERT, rows(20_000), concurrency=4096, retries=0)
    assert (report.rows, report.failed) == (20_000, 0)
    assert sorted(written.keys) == list(range(20_000))


async def test_lost_connections_are_told_as_such_and_bridged_when_idempotent(
    to_scripted: acsylla_like.Session, scripted: ScriptedServer, written: Written
) -> None:
    def drop(key: int, tries: int) -> cql.Answer | None:
        return cql.void().then_close() if key == 500 and tries == 1 else None

    written.fails = drop
    report = await to_scripted.execute_many(INSERT, rows(2000), concurrency=128, idempotent=True, retries=20)
    assert (report.rows, report.failed) == (2000, 0)
    assert set(written.keys) == set(range(2000)) - {500} or set(written.keys) == set(range(2000))
    written.tries.clear()
    report = await to_scripted.execute_many(INSERT, rows(2000), concurrency=128, on_error="collect")
    lost = [error for error in report.errors if isinstance(error.error, acsylla_like.ConnectionLost)]
    assert lost
    assert all(error.may_be_written for error in lost)
    assert report.rows + report.failed == 2000


async def test_a_server_that_is_away_is_waited_for(to_scripted: acsylla_like.Session, scripted: ScriptedServer, written: Written) -> None:
    async def away() -> AsyncIterator[tuple[int, str]]:
        for row in rows(3000):
            if row[0] == 1000:
                await asyncio.to_thread(scripted.stop_listening)
                await asyncio.to_thread(scripted.drop_connections)
                asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(asyncio.to_thread(scripted.listen)))
            yield row

    report = await to_scripted.execute_many(INSERT, away(), idempotent=True, retries=50, concurrency=64)
    assert (report.rows, report.failed) == (3000, 0)
    assert set(written.keys) == set(range(3000))


async def test_a_statement_that_was_forgotten_is_prepared_anew(table: acsylla_like.Session, cassandra: Any) -> None:
    """A column is renamed back and forth: the driver's own preparing fails, ours meets the present table."""
    await table.execute("CREATE TABLE renamed (k int, c int, v text, PRIMARY KEY (k, c))")
    insert = await table.create_prepared("INSERT INTO renamed (k, c, v) VALUES (?, ?, ?)")

    async def changing() -> AsyncIterator[tuple[int, int, str]]:
        for k in range(3000):
            if k == 1000:
                async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=table.keyspace) as other:
                    await other.execute("ALTER TABLE renamed RENAME c TO d")
                    await other.execute("ALTER TABLE renamed RENAME d TO c")
            yield k, k, "v"

    report = await table.execute_many(insert, changing(), concurrency=64)
    assert (report.rows, report.failed) == (3000, 0)


async def test_a_statement_that_no_longer_fits_gets_the_servers_own_error(table: acsylla_like.Session, cassandra: Any) -> None:
    await table.execute("CREATE TABLE shrunk (k int PRIMARY KEY, v text)")
    insert = await table.create_prepared("INSERT INTO shrunk (k, v) VALUES (?, ?)")

    async def changing() -> AsyncIterator[tuple[int, str]]:
        for k in range(2000):
            if k == 1000:
                async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=table.keyspace) as other:
                    await other.execute("ALTER TABLE shrunk DROP v")
            yield k, "v"

    with pytest.raises(acsylla_like.BulkError, match=r"[Uu]n(known|defined) column") as caught:
        await table.execute_many(insert, changing(), concurrency=64)
    assert isinstance(caught.value.__cause__, acsylla_like.InvalidQuery)
    assert caught.value.report.rows >= 900


# ---- an end in the middle


async def test_cancelled_it_waits_for_what_is_in_flight_and_tells_each_rows_fate(table: acsylla_like.Session) -> None:
    task = asyncio.create_task(table.execute_many(INSERT, rows(10_000_000)))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    report = report_of(caught.value)
    assert report.in_flight == 0
    assert report.rows == report.taken == report.settled
    assert report.rows > 100
    assert await keys(table) == set(range(report.taken))


async def test_cancelled_many_times_it_still_waits(to_scripted: acsylla_like.Session, written: Written) -> None:
    written.gate = threading.Event()
    task = asyncio.create_task(to_scripted.execute_many(INSERT, rows(100), concurrency=10, timeout=5.0))
    await until(lambda: written.most == 10)
    for _ in range(5):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    written.gate.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    report = report_of(caught.value)
    assert (report.rows, report.taken, report.failed) == (10, 10, 0)


async def test_cancelled_while_rows_fail_it_knows_which_are_unknown(to_scripted: acsylla_like.Session, written: Written) -> None:
    written.fails = lambda key, tries: (
        cql.error(cql.WRITE_TIMEOUT) if key % 3 == 0 else cql.error(cql.UNAVAILABLE) if key % 3 == 1 else None
    )
    written.gate = threading.Event()
    task = asyncio.create_task(to_scripted.execute_many(INSERT, rows(100), concurrency=30))
    await until(lambda: written.most == 30)
    task.cancel()
    await asyncio.sleep(0.01)
    written.gate.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    report = report_of(caught.value)
    assert (report.rows, report.failed, report.taken) == (10, 20, 30)
    assert report.unknown == tuple(range(0, 30, 3))
    assert sorted(error.row for error in report.errors) == [k for k in range(30) if k % 3 != 2]
    assert sorted(written.keys) == [k for k in range(30) if k % 3 == 2]


async def test_a_timeout_around_it_ends_it(to_scripted: acsylla_like.Session) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(to_scripted.execute_many(INSERT, itertools.cycle(rows(10))), 0.1)


async def test_an_idle_source_can_be_cancelled(to_scripted: acsylla_like.Session) -> None:
    was_closed = False

    async def idle() -> AsyncIterator[tuple[int, str]]:
        nonlocal was_closed
        try:
            yield 1, "v"
            await asyncio.Event().wait()
        finally:
            was_closed = True

    task = asyncio.create_task(to_scripted.execute_many(INSERT, idle()))
    await until(lambda: to_scripted.metrics()["session"] is not None)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert report_of(caught.value).rows == 1
    await until(lambda: was_closed)


async def test_closing_the_session_ends_it(cassandra: Any, table: acsylla_like.Session) -> None:
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=table.keyspace) as session:
        task = asyncio.create_task(session.execute_many(INSERT, rows(10_000_000)))
        await asyncio.sleep(0.1)
    with pytest.raises(acsylla_like.SessionClosed) as caught:
        await task
    report = report_of(caught.value)
    assert report.in_flight == 0
    assert report.rows + report.failed == report.taken
    assert await keys(table) >= set(range(report.taken)) - {error.row for error in report.errors}


async def test_two_at_once_do_not_disturb_each_other(table: acsylla_like.Session) -> None:
    both = [table.execute_many(INSERT, ((k, "v") for k in range(start, 8000, 2)), concurrency=200) for start in (0, 1)]
    assert [report.rows for report in await asyncio.gather(*both)] == [4000, 4000]
    assert await keys(table) == set(range(8000))
