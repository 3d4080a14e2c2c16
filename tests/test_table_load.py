"""Loads: every row of the data in the table or accounted for, whatever the data are and whatever happens in the middle."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.dataset  # noqa: E402
from fix_wire import of_the_schema  # noqa: E402
from reports import report_of  # noqa: E402
from waiting import until  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like.testing import ScriptedServer, cql  # noqa: E402

NAMES = ("k", "c", "v", "w")
UTC = datetime.timezone.utc


@pytest.fixture(scope="module", autouse=True)
def _pools() -> None:
    """Lets the libraries that make the data start the threads that they keep."""
    pyarrow.dataset.dataset(arrow([(1,)], ["k"])).scanner().to_reader().read_all()


@pytest.fixture
async def table(session: acsylla_like.Session) -> acsylla_like.Session:
    await session.execute("CREATE TABLE IF NOT EXISTS loaded (k int, c int, v text, w double, PRIMARY KEY (k, c))")
    await session.execute("TRUNCATE loaded")
    return session


def rows(count: int) -> list[tuple[int, int, str | None, float]]:
    return [(n % 7, n, None if n % 5 == 0 else f"value {n}", n / 7) for n in range(count)]


def arrow(given: Sequence[tuple[Any, ...]], names: Sequence[str] = NAMES) -> Any:
    return pa.table(dict(zip(names, (list(column) for column in zip(*given, strict=True)), strict=True)))


async def stored(session: acsylla_like.Session) -> set[tuple[Any, ...]]:
    return {row.as_tuple() for row in await session.execute("SELECT k, c, v, w FROM loaded")}


def batches(given: Sequence[tuple[Any, ...]], size: int, then: Exception | None = None) -> Any:
    """A reader that makes its batches as they are asked for."""

    def made() -> Iterator[Any]:
        for start in range(0, len(given), size):
            yield arrow(given[start : start + size]).to_batches()[0]
        if then is not None:
            raise then

    return pa.RecordBatchReader.from_batches(arrow(given[1:2]).schema, made())


# ---- data of every kind


@dataclasses.dataclass
class Item:
    k: int
    c: int
    v: str | None
    w: float


class Named(NamedTuple):
    k: int
    c: int
    v: str | None
    w: float


def polars_frame(given: Any) -> Any:
    return pytest.importorskip("polars").DataFrame(given, schema=list(NAMES), orient="row")


def pandas_frame(given: Any) -> Any:
    return pytest.importorskip("pandas").DataFrame(given, columns=list(NAMES))


async def asynchronously(items: Any) -> AsyncIterator[Any]:
    for n, item in enumerate(items):
        if n % 100 == 0:
            await asyncio.sleep(0.001)
        yield item


@pytest.mark.parametrize(
    "make",
    [
        arrow,
        lambda given: arrow(given).combine_chunks().to_batches()[0],
        lambda given: arrow(given).to_struct_array().combine_chunks(),
        lambda given: batches(given, 100),
        lambda given: pyarrow.dataset.dataset(arrow(given)),
        lambda given: pyarrow.dataset.dataset(arrow(given)).scanner(batch_size=50),
        pytest.param(polars_frame, marks=pytest.mark.keeps_open("polars keeps its threads")),
        pandas_frame,
        lambda given: [dict(zip(NAMES, row, strict=True)) for row in given],
        lambda given: [{name: value for name, value in zip(NAMES, row, strict=True) if value is not None} for row in given],
        lambda given: (Item(*row) for row in given),
        lambda given: map(Named._make, given),
        lambda given: asynchronously(Item(*row) for row in given),
    ],
    ids=[
        "table", "batch", "struct array", "reader", "dataset", "scanner", "polars", "pandas", "mappings", "mappings without nulls",
        "dataclasses", "named tuples", "asynchronous",
    ],
)  # fmt: skip
async def test_every_row_is_written(table: acsylla_like.Session, make: Any) -> None:
    report = await table.copy_from("loaded", make(rows(1000)))
    assert (report.rows, report.failed, report.settled, report.taken, report.in_flight) == (1000, 0, 1000, 1000, 0)
    assert 0 < report.latency.p50 <= report.latency.p99 <= report.latency.max
    assert await stored(table) == set(rows(1000))


async def test_rows_of_a_result_and_plain_sequences(table: acsylla_like.Session) -> None:
    await table.copy_from("loaded", rows(100), columns=NAMES)
    result = await table.execute("SELECT k, c, v, w FROM loaded")
    await table.execute("TRUNCATE loaded")
    await table.copy_from(f"{table.keyspace}.loaded", result)
    assert await stored(table) == set(rows(100))


async def test_a_scan_of_another_table_is_data(table: acsylla_like.Session) -> None:
    await table.copy_from("loaded", arrow(rows(500)))
    await table.execute("CREATE TABLE copied (k int, c int, v text, w double, PRIMARY KEY (c, k))")
    await table.copy_from("copied", await table.fetch_arrow("SELECT * FROM loaded"))
    assert {row.as_tuple() for row in await table.execute("SELECT k, c, v, w FROM copied")} == set(rows(500))


async def test_columns_are_chosen_and_renamed(table: acsylla_like.Session) -> None:
    data = arrow([(1, 2, "x", 0.5)], ["key", "c", "v", "other"])
    await table.copy_from("loaded", data, columns={"key": "k", "c": "c"})
    assert await stored(table) == {(1, 2, None, None)}
    await table.copy_from("loaded", [{"key": 1, "c": 3, "v": "y", "z": 7}], columns={"key": "k", "c": "c", "v": "v"})
    await table.copy_from("loaded", arrow([(1, 4, "z", 0.5)]), columns=["c", "k", "w"])
    assert await stored(table) == {(1, 2, None, None), (1, 3, "y", None), (1, 4, None, 0.5)}


@pytest.mark.parametrize("make", [arrow, lambda given: [dict(zip(NAMES, row, strict=True)) for row in given]])
async def test_a_null_leaves_the_old_value_or_removes_it(table: acsylla_like.Session, make: Any) -> None:
    await table.copy_from("loaded", make([(1, 1, "old", 1.0)]))
    await table.copy_from("loaded", make([(1, 1, None, 2.0)]))
    assert await stored(table) == {(1, 1, "old", 2.0)}
    await table.copy_from("loaded", make([(1, 1, None, 3.0)]), nulls="null")
    assert await stored(table) == {(1, 1, None, 3.0)}


@pytest.mark.parametrize("make", [arrow, lambda given: [dict(zip(NAMES, row, strict=True)) for row in given]])
async def test_time_to_live_and_timestamp(table: acsylla_like.Session, make: Any) -> None:
    await table.copy_from("loaded", make([(1, 1, "x", 1.0)]), ttl=1000, timestamp=123_456)
    row = (await table.execute("SELECT ttl(v) AS t, writetime(v) AS w FROM loaded")).single()
    assert 900 < row["t"] <= 1000
    assert row["w"] == 123_456


@pytest.mark.parametrize("make", [lambda values: pa.table({"k": range(len(values)), "v": values}), None], ids=["arrow", "rows"])
async def test_parts_of_a_millisecond_are_refused_or_cut_and_counted(session: acsylla_like.Session, make: Any) -> None:
    await session.execute("CREATE TABLE IF NOT EXISTS moments (k int PRIMARY KEY, v timestamp)")
    moments = [datetime.datetime(2026, 1, 2, 3, 4, 5, part) for part in (1000, 1001, 999_999, 0)]
    data = make(moments) if make else [{"k": k, "v": v} for k, v in enumerate(moments)]
    with pytest.raises(acsylla_like.BulkError, match=r"row 1[:,] column ['\"]v") as caught:
        await session.copy_from("moments", data)
    assert (caught.value.row, caught.value.column) == (1, "v")
    report = await session.copy_from("moments", data, truncate=True)
    assert (report.rows, report.truncated) == (4, 2)
    found = {row.k: row.v for row in await session.execute("SELECT k, v FROM moments")}
    assert [found[k].microsecond for k in range(4)] == [1000, 1000, 999_000, 0]
    assert found[0] == moments[0].replace(tzinfo=UTC)  # naive ones are UTC


@pytest.mark.parametrize(
    "make", [arrow, lambda given: (Named(*row) for row in given), lambda given: asynchronously(Item(*row) for row in given)]
)
async def test_rows_of_a_partition_go_together(table: acsylla_like.Session, make: Any) -> None:
    report = await table.copy_from("loaded", make(rows(20_000)), batch=4000, concurrency=64)
    assert (report.rows, report.failed, report.settled, report.taken) == (20_000, 0, 20_000, 20_000)
    assert await stored(table) == set(rows(20_000))


@pytest.mark.parametrize("make", [arrow, lambda given: (Named(*row) for row in given)], ids=["arrow", "rows"])
async def test_batches_have_one_partition_and_are_bounded(make: Any) -> None:
    """Seen by the server: k and c of each row; the values of a row take 20 bytes without their length words."""
    batches: list[list[tuple[int, int]]] = []

    def handle(request: cql.Request) -> cql.Answer | None:
        if "system_schema" in request.query:
            return of_the_schema(request, [("k", "partition_key", 0), ("c", "clustering", 0)])
        numbers = [[int.from_bytes(data, "big") for data in values] for _, values in request.batch]  # type: ignore[arg-type]
        if request.opcode == cql.BATCH:
            assert request.batch_type == 1
            batches.append([(k, c) for k, c in numbers])
        elif request.opcode == cql.EXECUTE:
            k, c = (int.from_bytes(data, "big") for data in request.parameters)  # type: ignore[arg-type]
            batches.append([(k, c)])
        return None

    with ScriptedServer(handle) as server:
        server.answer('INSERT INTO "ks"."t" ("k", "c") VALUES (?, ?)', cql.void(), [("k", "int"), ("c", "int")], key=[0])
        async with acsylla_like.connect(server.address, port=server.port) as session:
            given = [(n * 7 % 10, n) for n in range(1000)]
            data = (
                pa.table({"k": [k for k, _ in given], "c": [c for _, c in given]})
                if make is arrow
                else [{"k": k, "c": c} for k, c in given]
            )
            report = await session.copy_from("ks.t", data, batch=160)
    assert (report.rows, report.failed) == (1000, 0)
    assert sorted(row for batch in batches for row in batch) == sorted(given)
    assert all(len({k for k, _ in batch}) == 1 for batch in batches)
    assert {len(batch) for batch in batches} == {10}  # of 16 bytes each


@pytest.mark.parametrize("make", [arrow, lambda given: [dict(zip(NAMES, row, strict=True)) for row in given]], ids=["arrow", "rows"])
async def test_a_bad_row_leaves_its_batch_alone(table: acsylla_like.Session, make: Any) -> None:
    given: list[Any] = rows(1000)
    given[500] = (3, None, "x", 0.5)
    report = await table.copy_from("loaded", make(given), batch=4000, on_error="collect")
    assert (report.rows, report.failed, report.errors[0].row, report.errors[0].column) == (999, 1, 500, "c")
    assert await stored(table) == set(given[:500] + given[501:])


@pytest.mark.parametrize("make", [arrow, lambda given: [dict(zip(NAMES, row, strict=True)) for row in given]], ids=["arrow", "rows"])
async def test_a_batch_that_the_server_refuses_is_all_its_rows(make: Any) -> None:
    def handle(request: cql.Request) -> cql.Answer | None:
        if "system_schema" in request.query:
            return of_the_schema(request, [("k", "partition_key", 0), ("c", "clustering", 0), ("v", "regular", -1), ("w", "regular", -1)])
        if request.opcode == cql.BATCH and request.batch[0][1][0] == (5).to_bytes(4, "big"):
            return cql.error(cql.INVALID, "batch too large")
        return None

    with ScriptedServer(handle) as server:
        kinds = [("k", "int"), ("c", "int"), ("v", "text"), ("w", "double")]
        server.answer('INSERT INTO "ks"."t" ("k", "c", "v", "w") VALUES (?, ?, ?, ?)', cql.void(), kinds, key=[0])
        async with acsylla_like.connect(server.address, port=server.port) as session:
            report = await session.copy_from("ks.t", make(rows(700)), batch=1 << 20, on_error="collect")
    assert {error.row for error in report.errors} == {n for n in range(700) if n % 7 == 5}
    assert {type(error.error) for error in report.errors} == {acsylla_like.InvalidQuery}
    assert (report.rows, report.failed) == (600, 100)


# ---- what cannot be loaded is refused before anything is sent


@pytest.mark.parametrize(
    ("name", "data", "options", "error", "message"),
    [
        ("nowhere", arrow(rows(1)), {}, ValueError, r"there is no table \w+\.nowhere"),
        ("loaded", arrow([(1, "x")], ["k", "v"]), {}, KeyError, r"the data lacks 'c' of the primary key of \w+\.loaded"),
        ("loaded", arrow([(1, 2, "x")], ["k", "c", "z"]), {}, KeyError, r"no column 'z' in \w+\.loaded, which has k, c, v, w"),
        ("loaded", arrow(rows(1)), {"columns": ["k", "c", "z"]}, KeyError, "no column 'z' in the data, which has k, c, v, w"),
        ("loaded", arrow(rows(1)), {"columns": {"k": "k", "c": "c", "v": "c"}}, ValueError, "two columns of the data are for 'c'"),
        ("loaded", arrow([(1, 2, 3, "x")]), {}, TypeError, "column 'v': .*(text|varchar)"),
        ("loaded", 7, {}, TypeError, "data must be Arrow data, or an iterable .* not int"),
        ("loaded", "k,c", {}, TypeError, "data must be Arrow data, or an iterable .* not str"),
        ("loaded", [(1, 2)], {"columns": ["k"]}, KeyError, "the data lacks 'c' of the primary key"),
        ("loaded", [], {"batch": 0}, ValueError, "batch must be an int of 1 to "),
        ("loaded", [], {"concurrency": 0}, ValueError, "concurrency must be an int of 1 to 32768, not 0"),
        ("loaded", [], {"nulls": "none"}, ValueError, "nulls must be 'unset' or 'null', not 'none'"),
        ("loaded", [], {"ttl": -1}, ValueError, "ttl must be an int of 0 to "),
        ("loaded", pa.array([1, 2]), {}, TypeError, "Arrow data of columns was expected"),
    ],
)  # fmt: skip
async def test_mistakes_are_named(
    table: acsylla_like.Session, name: str, data: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await table.copy_from(name, data, **options)
    assert await stored(table) == set()


# ---- rows that cannot be written


BAD_ROWS: list[tuple[Any, str | None, str]] = [
    ({"k": 1, "c": None}, "c", 'column "c": null in a column of the primary key'),
    ({"k": 1}, "c", 'column "c": null in a column of the primary key'),
    ({"k": 1, "c": 2, "z": 3}, "z", "no column 'z' in "),
    ({"k": "x", "c": 2}, "k", r'column "k" \(int\): expected an int, got str'),
    ({"k": 1 << 40, "c": 2}, "k", r'column "k" \(int\): .* 1099511627776'),
    (Item(1, 2, 3, 4.0), "v", r'column "v" \(text\): expected a str, got int 3'),  # type: ignore[arg-type]
    ([1, 2, 3, 4], None, r"a row without names \(list\) needs columns="),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "column", "message"), BAD_ROWS)
async def test_a_bad_row_is_named_and_the_others_written(table: acsylla_like.Session, bad: Any, column: str | None, message: str) -> None:
    data = [dict(zip(NAMES, row, strict=True)) for row in rows(100)]
    report = await table.copy_from("loaded", [*data[:60], bad, *data[60:]], on_error="collect")
    assert (report.rows, report.failed) == (100, 1)
    (error,) = report.errors
    assert (error.row, error.column, error.may_be_written, error.code) == (60, column, False, None)
    assert pytest.importorskip("re").search(message, error.message)
    assert error.parameters is bad
    assert await stored(table) == set(rows(100))


async def test_bad_arrow_rows_are_named_and_the_others_written(table: acsylla_like.Session) -> None:
    given: list[Any] = rows(3000)
    for n in range(0, 3000, 100):
        given[n] = (None, *given[n][1:])
    given[50] = (1 << 40, *given[50][1:])
    data = arrow([(1 << 40, 0, "", 0.0), *given])  # a column of bigint
    report = await table.copy_from("loaded", data, on_error="collect")
    assert (report.rows, report.failed, report.settled) == (2969, 32, 3001)
    assert {error.row for error in report.errors} == {0, 51, *range(1, 3001, 100)}
    assert {error.column for error in report.errors} == {"k"}
    assert await stored(table) == {row for row in given if row[0] is not None and row[0] < 1 << 32}


async def test_a_null_in_the_place_of_a_row_is_refused(table: acsylla_like.Session) -> None:
    data = pa.array([{"k": 1, "c": 2}, None, {"k": 3, "c": 4}, None, {"k": 5, "c": 6}])
    for part, rows_written in ((data, {1, 3, 5}), (data[1:4], {3})):
        await table.execute("TRUNCATE loaded")
        report = await table.copy_from("loaded", part, on_error="collect")
        assert (report.rows, report.failed) == (len(rows_written), 2)
        assert {error.message for error in report.errors} == {"null instead of a row"}
        assert {row[0] for row in await stored(table)} == rows_written


async def test_the_first_bad_row_ends_a_load(table: acsylla_like.Session) -> None:
    given: list[Any] = rows(5000)
    given[3000] = (None, *given[3000][1:])
    with pytest.raises(acsylla_like.BulkError, match=r"^\w+\.loaded: row 3000, column 'k': null in a column of the primary key$") as caught:
        await table.copy_from("loaded", arrow(given))
    error = caught.value
    assert (error.row, error.column, error.report.failed) == (3000, "k", 1)
    assert await stored(table) == set(given[:3000])
    assert (error.report.rows, error.report.settled) == (3000, 3000)


async def test_a_function_is_told_of_bad_arrow_rows_and_may_end_the_load(table: acsylla_like.Session) -> None:
    told: list[acsylla_like.RowError] = []
    given: list[Any] = [(None if n % 10 == 0 else n, n, "v", 0.0) for n in range(20_000)]
    report = await table.copy_from("loaded", arrow(given), on_error=told.append)
    assert (report.rows, report.failed, report.errors) == (18_000, 2000, ())
    assert sorted(error.row for error in told) == list(range(0, 20_000, 10))

    def refuse(error: acsylla_like.RowError) -> None:
        raise LookupError(f"row {error.row}")

    with pytest.raises(LookupError, match="row 0") as caught:
        await table.copy_from("loaded", arrow(given), on_error=refuse)
    report = report_of(caught.value)
    assert report.in_flight == 0
    assert report.rows + report.failed >= report.settled


# ---- ends in the middle


async def test_a_stream_that_raises_ends_the_load_with_its_error(table: acsylla_like.Session) -> None:
    with pytest.raises(acsylla_like.BulkError, match=r"loaded: the stream failed: .*the disk is gone") as caught:
        await table.copy_from("loaded", batches(rows(1000), 100, LookupError("the disk is gone")))
    assert caught.value.report.rows == 1000
    assert await stored(table) == set(rows(1000))


async def test_a_cancelled_load_has_written_what_its_report_says(table: acsylla_like.Session) -> None:
    given = [(n, n, "v" * 50, 0.0) for n in range(300_000)]
    data = arrow(given)
    task = asyncio.create_task(table.copy_from("loaded", data))
    await asyncio.sleep(0.6)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    report = report_of(caught.value)
    assert 0 < report.rows == report.settled == report.taken < 300_000
    assert report.in_flight == 0
    assert await stored(table) == set(given[: report.rows])


async def test_a_table_that_changes_gives_the_servers_own_error(table: acsylla_like.Session, cassandra: Any) -> None:
    await table.execute("CREATE TABLE shrinks (k int PRIMARY KEY, v text)")
    shrunk = threading.Event()

    def made() -> Iterator[Any]:
        yield pa.record_batch({"k": range(100), "v": ["x"] * 100})
        assert shrunk.wait(30)
        yield pa.record_batch({"k": range(100, 200), "v": ["x"] * 100})

    data = pa.RecordBatchReader.from_batches(pa.schema([("k", pa.int64()), ("v", pa.string())]), made())
    task = asyncio.create_task(table.copy_from("shrinks", data, retries=1))
    await asyncio.sleep(0.3)
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=table.keyspace) as other:
        await other.execute("ALTER TABLE shrinks DROP v")
    shrunk.set()
    with pytest.raises(acsylla_like.BulkError, match=r"shrinks: row 1\d\d: Un(known|defined) column") as caught:
        await task
    assert isinstance(caught.value.__cause__, acsylla_like.InvalidQuery)
    assert caught.value.report.rows == 100


async def test_closing_the_session_ends_a_load(cassandra: Any, table: acsylla_like.Session) -> None:
    given = [(n, n, "v" * 50, 0.0) for n in range(300_000)]
    data = arrow(given)
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=table.keyspace) as session:
        task = asyncio.create_task(session.copy_from("loaded", data))
        await asyncio.sleep(0.6)
    with pytest.raises(acsylla_like.BulkError, match="the session was closed") as caught:
        await task
    assert await stored(table) == set(given[: caught.value.report.rows])


async def test_progress_is_told_of(table: acsylla_like.Session) -> None:
    told: list[acsylla_like.BulkReport] = []
    for data in (arrow(rows(1200)), [Named(*row) for row in rows(1200)]):
        told.clear()
        report = await table.copy_from("loaded", data, max_rate=1000, progress=told.append)
        assert report.seconds > 1.0
        assert [each.rows for each in told] == sorted(each.rows for each in told)
        assert 0 < told[0].rows < told[-1].rows == 1200


# ---- checkpoints


@pytest.mark.parametrize("make", [arrow, lambda given: map(Named._make, given)], ids=["arrow", "rows"])
async def test_a_load_that_failed_goes_on_behind_what_is_settled(table: acsylla_like.Session, tmp_path: Path, make: Any) -> None:
    checkpoint = tmp_path / "load.json"
    given: list[Any] = rows(3000)
    given[2000] = (None, *given[2000][1:])
    with pytest.raises(acsylla_like.BulkError):
        await table.copy_from("loaded", make(given), resume=checkpoint)
    saved = json.loads(checkpoint.read_text())
    assert saved == {"table": f"{table.keyspace}.loaded", "columns": list(NAMES), "done": 2000}
    report = await table.copy_from("loaded", make(given), resume=checkpoint, on_error="collect")
    assert (report.skipped, report.skipped + report.rows + report.failed) == (saved["done"], 3000)
    assert await stored(table) == {row for row in given if row[0] is not None}
    assert json.loads(checkpoint.read_text())["done"] == 3000
    report = await table.copy_from("loaded", make(given), resume=checkpoint)
    assert (report.rows, report.skipped) == (0, 3000)


async def test_a_checkpoint_of_another_load_is_refused(table: acsylla_like.Session, tmp_path: Path) -> None:
    checkpoint = tmp_path / "load.json"
    await table.copy_from("loaded", arrow(rows(10)), resume=checkpoint)
    with pytest.raises(ValueError, match=r"is the checkpoint of a load of \w+\.loaded \(k, c, v, w\), not of \w+\.loaded \(k, c\)"):
        await table.copy_from("loaded", arrow([(1, 2)], ["k", "c"]), resume=checkpoint)
    checkpoint.write_text("[]")
    with pytest.raises(ValueError, match="is no checkpoint of a load"):
        await table.copy_from("loaded", arrow(rows(10)), resume=checkpoint)
    checkpoint.write_text("half of it")
    with pytest.raises(ValueError, match="is no checkpoint of a load"):
        await table.copy_from("loaded", arrow(rows(10)), resume=checkpoint)


KILLED = """
import asyncio, sys
import pyarrow as pa
import acsylla_like

async def main():
    points, port, keyspace, checkpoint = sys.argv[1:]
    data = pa.table({"k": range(200_000), "c": range(200_000), "v": ["x" * 40] * 200_000})
    async with acsylla_like.connect(points, port=int(port), keyspace=keyspace) as session:
        report = await session.copy_from("loaded", data, resume=checkpoint, progress=lambda report: print(report.rows, flush=True))
        print("end", report.skipped, report.rows, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
async def test_a_killed_load_goes_on_where_every_earlier_row_is_known(
    table: acsylla_like.Session, cassandra: Any, tmp_path: Path, ending: signal.Signals
) -> None:
    checkpoint = tmp_path / "load.json"
    command = [sys.executable, "-c", KILLED, ",".join(cassandra.contact_points), str(cassandra.port), table.keyspace, str(checkpoint)]

    def half() -> int:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(ending)
        process.communicate(timeout=30)
        return process.returncode

    assert await asyncio.to_thread(half) != 0
    settled = json.loads(checkpoint.read_text())["done"]
    assert 0 < settled < 200_000
    assert {row.k for row in await table.execute("SELECT k FROM loaded")} >= set(range(settled))
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == f"end {settled} {200_000 - settled}"
    assert {row.k for row in await table.execute("SELECT k FROM loaded")} == set(range(200_000))


EXITS = """
import asyncio, sys, time
import pyarrow as pa
import acsylla_like

def batches():
    for start in range(0, 10_000_000, 1000):
        yield pa.record_batch({"k": range(start, start + 1000), "c": range(start, start + 1000)})

async def main():
    points, port, keyspace, way = sys.argv[1:]
    session = await acsylla_like.connect(points, port=int(port), keyspace=keyspace)
    data = pa.RecordBatchReader.from_batches(pa.schema([("k", pa.int64()), ("c", pa.int64())]), batches())
    load = asyncio.ensure_future(session.copy_from("loaded", data))
    await asyncio.sleep(0.5)
    print("loading", flush=True)
    if way == "exit":
        sys.exit(3)
    if way == "loop":
        asyncio.get_running_loop().stop()
        await asyncio.sleep(10)

if sys.argv[-1] == "loop":
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    except RuntimeError as error:
        print(error)
    loop.close()
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize(("way", "code"), [("end", 0), ("exit", 3), ("loop", 0)])
def test_an_interpreter_that_ends_in_the_middle_ends_the_load(cassandra: Any, keyspace: str, way: str, code: int) -> None:
    async def prepare() -> None:
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as session:
            await session.execute("CREATE TABLE IF NOT EXISTS loaded (k int, c int, v text, w double, PRIMARY KEY (k, c))")

    asyncio.run(prepare())
    command = [sys.executable, "-W", "ignore", "-c", EXITS, ",".join(cassandra.contact_points), str(cassandra.port), keyspace, way]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "loading" in done.stdout
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr or way == "loop"
    assert time.monotonic() - started < 30


async def test_the_longest_stall_of_the_loop_is_short(table: acsylla_like.Session) -> None:
    """Of a load of Arrow data, one of rows, and a scan: under 20 ms."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        last = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            longest = max(longest, now - last)
            last = now

    data = arrow([(n % 100, n, "v" * 20, 0.5) for n in range(100_000)])
    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    await table.copy_from("loaded", data)
    assert longest < 0.02
    given = ((n % 100, n, "v" * 20, 0.5) for n in range(50_000))
    await table.copy_from("loaded", given, columns=NAMES)
    assert longest < 0.02
    total = 0
    async for batch in table.scan("loaded"):
        total += len(batch)
    assert total == 100_000
    assert longest < 0.02
    ticking.cancel()
    await until(ticking.done)
