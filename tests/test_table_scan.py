"""Scans: each row once, whatever the ring, the pages and the failures on the way."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like import ScanSplit, table_scan  # noqa: E402
from acsylla_like.table_scan import split_ring  # noqa: E402
from acsylla_like.testing import ScriptedServer, cql  # noqa: E402

pytestmark = pytest.mark.usefixtures("arrow_released")

LOWEST, HIGHEST = -(2**63), 2**63 - 1
TOKENS = st.lists(st.integers(LOWEST, HIGHEST) | st.sampled_from([LOWEST, HIGHEST, 0]) | st.integers(-5, 5), max_size=60)


# ---- where the ring is cut


@given(TOKENS, st.integers(1, 300))
def test_ranges_follow_one_another_and_leave_no_token_out(tokens: list[int], count: int) -> None:
    ranges = split_ring(tokens, count)
    assert ranges[0][0] == LOWEST
    assert ranges[-1][1] == HIGHEST
    assert all(start < end for start, end in ranges)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(ranges))
    # As many as wanted, unless a range between the ring's tokens is too narrow for its share.
    assert len(ranges) == count


@given(TOKENS, st.integers(60, 300))
def test_the_rings_own_tokens_are_cuts_where_there_are_enough_ranges(tokens: list[int], count: int) -> None:
    ends = {end for _, end in split_ring(tokens, count)}
    assert {token for token in tokens if token > LOWEST} <= ends


def test_wide_ranges_are_cut_more_often() -> None:
    ranges = split_ring([0, 2**62], 8)
    assert len(ranges) == 8
    assert all(abs(end - start - 2**61) <= 1 for start, end in ranges)


# ---- a real server


async def make_table(session: acsylla_like.Session, rows: int) -> str:
    """Rows under keys with names that need quotes; few partitions are large, most have one row."""
    await session.execute(
        'CREATE TABLE IF NOT EXISTS "Scanned" ("Key" int, k2 text, c int, v double, s text static, PRIMARY KEY (("Key", k2), c))'
    )
    insert = await session.create_prepared('INSERT INTO "Scanned" ("Key", k2, c, v) VALUES (?, ?, ?, ?)')
    keys = [(n if n % 10 else n // 100, str(n % 3), n, n / 7) for n in range(rows)]
    await asyncio.gather(*(session.execute(insert, key) for key in keys))
    return '"Scanned"'


async def rows_of(scan: acsylla_like.Scan) -> list[tuple[Any, ...]]:
    found = []
    async for batch in scan:
        assert len(batch) > 0
        found += [tuple(row.values()) for row in pa.record_batch(batch).to_pylist()]
    return found


@pytest.mark.parametrize(
    "options", [{}, {"splits": 1}, {"splits": 3}, {"splits": 100, "concurrency": 50}, {"page_size": 7}, {"concurrency": 1}]
)
async def test_every_row_comes_once(session: acsylla_like.Session, keyspace: str, options: dict[str, Any]) -> None:
    table = await make_table(session, 2000)
    expected = Counter(tuple(row) for row in await session.execute(f"SELECT * FROM {table}"))
    assert len(expected) == 2000
    scan = session.scan(table, **options)
    assert Counter(await rows_of(scan)) == expected
    assert Counter(await rows_of(scan)) == expected  # anew
    if "splits" in options:
        assert len(await scan.splits()) == options["splits"]


async def test_columns_and_restrictions(session: acsylla_like.Session, keyspace: str) -> None:
    table = await make_table(session, 2000)
    scan = session.scan(f"{keyspace}.{table}", columns=["v", "Key", "writetime(v)"], where="c < ? AND v > ?", parameters=[50, 2.0])
    assert (await scan.schema()).names == ("v", "Key", "writetime(v)")
    expected = {
        tuple(row) for row in await session.execute(f'SELECT v, "Key", writetime(v) FROM {table} WHERE c < 50 AND v > 2.0 ALLOW FILTERING')
    }
    assert set(await rows_of(scan)) == expected
    assert len(expected) == 35


async def test_an_empty_table_has_its_columns(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE empty (k uuid PRIMARY KEY, price decimal)")
    scan = session.scan("empty", decimals={"price": (10, 2)})
    assert await rows_of(scan) == []
    table = pa.table(await scan.to_table())
    assert table.schema == pa.schema([("k", pa.uuid()), ("price", pa.decimal128(10, 2))])
    assert pa.schema(scan) == table.schema


async def test_splits_that_were_pickled_make_up_the_table(session: acsylla_like.Session) -> None:
    table = await make_table(session, 2000)
    splits = await session.scan(table, columns=["c"], splits=7).splits()
    parts = [await rows_of(session.scan(pickle.loads(pickle.dumps(split)))) for split in splits]
    assert sorted(row[0] for part in parts for row in part) == list(range(2000))
    assert len(parts) == 7


def _read_in_another_process(contact_points: list[str], port: int, split: acsylla_like.ScanSplit) -> list[int]:
    async def read() -> list[int]:
        async with acsylla_like.connect(contact_points, port=port) as session:
            return [row[0] for row in await rows_of(session.scan(split))]

    return asyncio.run(read())


@pytest.mark.keeps_open("multiprocessing keeps a process that tracks its resources")
async def test_splits_are_read_by_other_processes(session: acsylla_like.Session, cassandra: Any) -> None:
    table = await make_table(session, 2000)
    splits = await session.scan(table, columns=["c"], splits=4).splits()

    def read() -> list[list[int]]:
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            work = [(list(cassandra.contact_points), cassandra.port, split) for split in splits]
            try:
                return pool.starmap(_read_in_another_process, work)
            finally:
                pool.close()
                pool.join()

    parts = await asyncio.to_thread(read)
    assert sorted(number for part in parts for number in part) == list(range(2000))


async def test_a_scan_is_an_arrow_stream_in_any_thread(session: acsylla_like.Session) -> None:
    table = await make_table(session, 2000)
    scan = session.scan(table, columns=["c"], page_size=100)
    for read in (await asyncio.to_thread(pa.table, scan), pa.table(scan)):
        assert sorted(read.column("c").to_pylist()) == list(range(2000))


@pytest.mark.keeps_open("polars has a pool of threads")
async def test_polars_reads_a_scan(session: acsylla_like.Session) -> None:
    pl = pytest.importorskip("polars")
    table = await make_table(session, 2000)
    frame = await asyncio.to_thread(pl.DataFrame, session.scan(table, columns=["c"]))
    assert sorted(frame["c"].to_list()) == list(range(2000))


async def test_a_stream_that_is_not_read_to_its_end_leaves_nothing_behind(session: acsylla_like.Session) -> None:
    table = await make_table(session, 2000)
    scan = session.scan(table, page_size=50)
    threads = threading.active_count()
    capsule = scan.__arrow_c_stream__()
    assert threading.active_count() > threads
    del capsule
    reader = await asyncio.to_thread(pa.RecordBatchReader.from_stream, scan)
    assert (await asyncio.to_thread(reader.read_next_batch)).num_rows <= 50
    del reader
    async for _ in scan:
        break


async def test_a_session_that_closes_ends_its_scans(cassandra: Any, keyspace: str) -> None:
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as session:
        table = await make_table(session, 2000)
        batches = aiter(session.scan(table, page_size=10, concurrency=1, splits=1))
        await anext(batches)
        reader = await asyncio.to_thread(pa.RecordBatchReader.from_stream, session.scan(table, page_size=10, concurrency=1, splits=1))
        await asyncio.to_thread(reader.read_next_batch)
    with pytest.raises(acsylla_like.Error):
        async for _ in batches:
            pass
    with pytest.raises(OSError, match="SessionClosed"):
        await asyncio.to_thread(reader.read_all)


async def test_mistakes_are_told_before_anything_is_sent(session: acsylla_like.Session) -> None:
    for wrong in ({"splits": 0}, {"concurrency": 0}, {"retries": -1}, {"concurrency": 2.0}, {"page_size": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            session.scan("t", **wrong)
    for wrong in ({"parameters": [1]}, {"where": "k = :k", "parameters": {"k": 1}}, {"paging_state": b"x"}, {"host": "127.0.0.1"}):
        with pytest.raises(TypeError, match=r"parameters|paging_state|host"):
            session.scan("t", **wrong)
    with pytest.raises(TypeError, match="not int"):
        session.scan(5)  # type: ignore[arg-type]


async def test_what_is_not_there_is_told_when_it_is_read(session: acsylla_like.Session, keyspace: str) -> None:
    table = await make_table(session, 20)
    with pytest.raises(ValueError, match="there is no table"):
        await session.scan("no_such_table").to_table()
    with pytest.raises(ValueError, match="named as"):
        await session.scan("a.b.c").to_table()
    with pytest.raises(KeyError, match=r"no column 'x' in .*\.Scanned, which has Key, k2, c"):
        await session.scan(table, columns=["x"]).to_table()
    with pytest.raises(TypeError, match="sequence of names"):
        await session.scan(table, columns="c").to_table()
    with pytest.raises(acsylla_like.InvalidQuery):
        await session.scan(table, where="nonsense = 1").to_table()
    with pytest.raises(ValueError, match="there is no table"):
        pa.table(session.scan("no_such_table"))


async def test_the_loop_goes_on_while_a_table_is_read(session: acsylla_like.Session) -> None:
    table = await make_table(session, 2000)
    longest = 0.0
    done = False

    async def tick() -> None:
        nonlocal longest
        while not done:
            before = time.thread_time()  # the loop's own time: on a busy machine the clock says nothing
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    ticker = asyncio.ensure_future(tick())
    for _ in range(5):
        await session.scan(table, page_size=1000).to_table()
    done = True
    await ticker
    assert longest < 0.02


# ---- failures on the way, from a scripted server


class Table:
    """A table of 8 ranges with 3 pages of 2 rows each; `before(request, start, page)` may answer in place of a page."""

    COLUMNS = (("k", "bigint"), ("page", "int"))

    def __init__(self, server: ScriptedServer, before: Callable[[cql.Request, int, int], cql.Answer | None] | None = None) -> None:
        self.before = before
        self.asked: Counter[tuple[int, int]] = Counter()
        server.handler = self.handle

    def handle(self, request: cql.Request) -> cql.Answer | None:
        if "system_schema.columns" in request.query:
            if "partition_key" in request.query:
                answer = cql.rows([("column_name", "text"), ("position", "int")], [["k", 0]])
            else:
                answer = cql.rows(
                    [("column_name", "text"), ("kind", "text"), ("position", "int")], [["k", "partition_key", 0], ["page", "regular", -1]]
                )
            if request.opcode == cql.PREPARE:
                return cql.prepared(request.query.encode()[-16:], [(f"p{i}", "text") for i in range(2)], answer.columns)
            return answer
        if request.opcode == cql.PREPARE:
            return cql.prepared(b"scan", [("start", "bigint"), ("end", "bigint")], cql.rows(self.COLUMNS).columns)
        start, end = (int.from_bytes(value, "big", signed=True) for value in request.parameters if isinstance(value, bytes))
        if start >= end:
            return cql.rows(self.COLUMNS)
        page = 0 if request.paging_state is None else int(request.paging_state)
        self.asked[start, page] += 1
        answer = self.before(request, start, page) if self.before else None
        if answer is not None:
            return answer
        state = None if page == 2 else str(page + 1).encode()
        return cql.rows(self.COLUMNS, [[start, page], [start + 1, page]], paging_state=state)


def check_rows(rows: list[tuple[Any, ...]]) -> None:
    starts = [start for start, _ in split_ring([0], 8)]
    assert Counter(rows) == Counter((start + i, page) for start in starts for i in (0, 1) for page in range(3))


PASSING = [
    cql.error(cql.UNAVAILABLE), cql.error(cql.READ_TIMEOUT), cql.error(cql.READ_FAILURE), cql.error(cql.OVERLOADED),
    cql.error(cql.IS_BOOTSTRAPPING), cql.error(cql.SERVER_ERROR), cql.CLOSE, cql.rows(Table.COLUMNS, [[1, 2]] * 9).torn(60),
]  # fmt: skip


# Those that take the connection down (a server error does, too) cost seconds each, until the driver has another one.
CASES = [(i, page) for i in range(len(PASSING)) for page in range(3) if i < 5 or page == 1]


@pytest.mark.parametrize(("number", "failing_page"), CASES)
async def test_a_page_that_fails_in_passing_is_asked_for_again(number: int, failing_page: int, scripted: ScriptedServer) -> None:
    failure = PASSING[number]
    failed = set()

    def before(request: cql.Request, start: int, page: int) -> cql.Answer | None:
        if page == failing_page and start not in failed and len(failed) < 3:
            failed.add(start)
            return failure
        return None

    table = Table(scripted, before)
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        check_rows(await rows_of(session.scan("ks.t", splits=8, concurrency=2, retries=12, timeout=5.0)))
    assert len(failed) == 3
    # From the page that failed on: what came before is not asked for again, unless its connection went down with the failure.
    if number < 5:
        assert all(count == 1 + (start in failed and page == failing_page) for (start, page), count in table.asked.items())


async def test_a_page_without_an_answer_is_asked_for_again(scripted: ScriptedServer) -> None:
    table = Table(
        scripted, lambda request, start, page: cql.SILENCE if page == 1 and table.asked[start, page] == 1 and start >= 0 else None
    )
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        check_rows(await rows_of(session.scan("ks.t", splits=8, timeout=0.5)))


async def test_a_page_that_keeps_failing_ends_the_scan_with_its_error(scripted: ScriptedServer) -> None:
    table = Table(scripted, lambda request, start, page: cql.error(cql.UNAVAILABLE) if page == 1 and start == 0 else None)
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        with pytest.raises(acsylla_like.Unavailable):
            await session.scan("ks.t", splits=8, retries=2).to_table()
        assert table.asked[0, 1] == 3
        reader = await asyncio.to_thread(pa.RecordBatchReader.from_stream, session.scan("ks.t", splits=8, retries=0))
        with pytest.raises(OSError, match="Unavailable"):
            await asyncio.to_thread(reader.read_all)
        with pytest.raises(acsylla_like.Unavailable):
            await session.scan("ks.t", splits=8, retries=0).to_table()


@pytest.mark.parametrize("code", [cql.INVALID, cql.UNAUTHORIZED, cql.SYNTAX_ERROR])
async def test_an_error_that_will_not_pass_ends_the_scan_at_once(code: int, scripted: ScriptedServer) -> None:
    table = Table(scripted, lambda request, start, page: cql.error(code) if page == 1 and start == 0 else None)
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        with pytest.raises(acsylla_like.Error, match="scripted"):
            await session.scan("ks.t", splits=8).to_table()
    assert table.asked[0, 1] == 1


async def test_a_value_that_cannot_be_decoded_is_named_with_its_tokens(scripted: ScriptedServer) -> None:
    bad = cql.rows(Table.COLUMNS, [[1, 1], [1, b"\x01"]])
    Table(scripted, lambda request, start, page: bad if page == 2 and start == 0 else None)
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        with pytest.raises(acsylla_like.DecodeError, match=r"^ks\.t, tokens 0 to 2305843009213693951, row 5, column 'page': 1 bytes"):
            await session.scan("ks.t", splits=8).to_table()


async def test_whoever_takes_batches_slowly_holds_the_reading_up(scripted: ScriptedServer) -> None:
    table = Table(scripted)
    table.before = lambda request, start, page: cql.rows(Table.COLUMNS, [[start, page]], paging_state=str(page + 1).encode())  # for ever
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        taken = 0
        async for _ in session.scan("ks.t", splits=8, concurrency=4):
            taken += 1
            if taken == 20:
                asked = -1
                while asked != sum(table.asked.values()):  # until nothing more is asked for
                    asked = sum(table.asked.values())
                    await asyncio.sleep(0.2)
                # Four in the queue, and for each of four ranges one that waits for a place and one ahead.
                assert asked <= 20 + 4 + 4 * 2
                break


# ---- checkpoints


@given(TOKENS, st.integers(1, 40), st.lists(st.tuples(st.integers(LOWEST, HIGHEST), st.integers(LOWEST, HIGHEST)), max_size=8))
def test_what_is_left_and_what_was_taken_are_all_tokens_once(tokens: list[int], count: int, taken: list[tuple[int, int]]) -> None:
    done = table_scan._merged([(min(pair), max(pair)) for pair in taken if pair[0] != pair[1]])
    splits = [ScanSplit("ks", "t", "", (), each, None) for each in split_ring(tokens, count)]
    left = [part.tokens for split in splits for part in table_scan._without(split, done)]
    together = sorted([*done, *(part for part in left if part is not None)])
    assert together[0][0] == LOWEST
    assert together[-1][1] == HIGHEST
    assert all(one[1] == other[0] for one, other in itertools.pairwise(together))


@pytest.mark.parametrize("later", [{}, {"splits": 3}, {"splits": 57, "concurrency": 1}, {"page_size": 1000}])
async def test_a_scan_that_was_left_goes_on_and_each_row_comes_once(
    session: acsylla_like.Session, tmp_path: Path, later: dict[str, Any]
) -> None:
    table = await make_table(session, 2000)
    checkpoint = tmp_path / "scan.json"
    found: list[int] = []
    for number in itertools.count(1):
        options = {"splits": 10, "page_size": 17, "concurrency": 4, **(later if number > 1 else {})}
        batches = aiter(session.scan(table, columns=["c"], resume=checkpoint, **options))
        taken = 0
        async for batch in batches:
            if taken == 20 and number < 4:
                break  # it was not taken: it comes again
            found += pa.record_batch(batch).column(0).to_pylist()
            taken += 1
        else:
            break
        await batches.aclose()  # type: ignore[attr-defined]
    assert number > 1
    assert sorted(found) == list(range(2000))
    assert await rows_of(session.scan(table, columns=["c"], resume=checkpoint)) == []


async def test_a_checkpoint_of_another_scan_is_refused(session: acsylla_like.Session, tmp_path: Path) -> None:
    table = await make_table(session, 100)
    checkpoint = tmp_path / "scan.json"
    await rows_of(session.scan(table, columns=["c"], resume=checkpoint))
    with pytest.raises(ValueError, match=r"is the checkpoint of a scan of .*, not of "):
        await rows_of(session.scan(table, columns=["v"], resume=checkpoint))
    checkpoint.write_text("{}")
    with pytest.raises(ValueError, match="is no checkpoint of a scan"):
        await rows_of(session.scan(table, columns=["c"], resume=checkpoint))
