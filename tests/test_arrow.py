"""Arrow out: batches and pages, hostile answers, lifetimes, consumers. (Its types: tests/types/test_arrow_types.py.)"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import threading
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

from fix_wire import Wire, item  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like import _native  # noqa: E402
from acsylla_like._native import parse_type  # noqa: E402
from acsylla_like.testing import ScriptedServer, cql  # noqa: E402

pytestmark = pytest.mark.usefixtures("arrow_released")


@pytest.mark.usefixtures("both_ways")
def test_an_answer_cut_at_any_byte_is_an_error_and_never_other_rows(wire: Wire) -> None:
    columns = [
        ("k", "int"),
        ("t", "text"),
        ("l", "list<int>"),
        ("m", "map<text, int>"),
        ("p", "tuple<int, text>"),
        ("v", "vector<float, 2>"),
    ]
    row = [1, "text", [1, 2], {"a": 1}, (1, "b"), bytes(8)]
    whole = cql.rows(columns, [row, row, row])
    walks = _native.walks_rows_in_memory()

    async def decode(answer: cql.Answer) -> Any:
        wire.server.handler = lambda request: answer
        async with acsylla_like.connect(wire.server.address, port=wire.server.port) as session:
            try:
                return pa.table((await session.execute("SELECT * FROM ks.t", timeout=5.0)).to_arrow())
            except acsylla_like.Error as error:
                return error

    assert wire.loop.run_until_complete(decode(whole)).num_rows == 3
    # The driver's own steps are kept within the answer where it walks alone; see row_walk.hpp.
    for size in range(len(whole.body) - (3 * 75 if walks else 20), len(whole.body)):
        outcome = wire.loop.run_until_complete(decode(whole.cut(size)))
        assert isinstance(outcome, acsylla_like.Error), f"{outcome} from the first {size} bytes"


def test_a_count_of_rows_that_the_answer_does_not_hold_asks_for_no_memory(wire: Wire) -> None:
    whole = cql.rows([("k", "int"), ("t", "bigint")], [[1, 1]])
    at = len(whole.body) - 4 - 20 + 4
    for count in (2, 100, 2**31 - 1, -1, -(2**31)):
        answer = cql.raw(whole.body[: at - 4] + cql.integer(count) + whole.body[at:])
        wire.server.handler = lambda request, answer=answer: answer

        async def execute() -> Any:
            return (await wire.session.execute("SELECT * FROM ks.t")).to_arrow()

        with pytest.raises((acsylla_like.Error, MemoryError)):
            wire.loop.run_until_complete(execute())


# ---- batches and pages


def test_a_batch_that_grows_too_large_is_followed_by_another(wire: Wire) -> None:
    rows = [[cql.integer(i), b"x" * 100] for i in range(100)]
    result = wire.result([("k", "int"), ("t", "text")], rows)
    schema = _native.arrow_schema_of(result)
    batches = _native.decode_arrow(result, schema, batch_bytes=1000)
    assert [len(batch) for batch in batches] == [9] * 11 + [1]  # 112 bytes each, with their length words
    table = acsylla_like.ArrowTable(schema, batches)
    assert pa.table(table).column("k").to_pylist() == list(range(100))
    assert table.num_rows == len(table) == 100


def test_a_result_without_rows_has_its_types(wire: Wire) -> None:
    table = pa.table(wire.result([("k", "int"), ("l", "list<uuid>")], []).to_arrow())
    assert table.schema == pa.schema([("k", pa.int32()), ("l", pa.list_(pa.uuid()))])
    assert table.num_rows == 0


def test_columns_of_the_same_name_stay_apart(wire: Wire) -> None:
    table = pa.table(wire.result([("a", "int"), ("a", "text")], [[cql.integer(1), b"x"]]).to_arrow())
    assert table.column_names == ["a", "a"]
    assert [column.to_pylist() for column in table.columns] == [[1], ["x"]]


async def test_a_result_without_columns_is_refused(scripted: ScriptedServer) -> None:
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        result = await session.execute("INSERT INTO t (k) VALUES (1)")
        with pytest.raises(ValueError, match="has no columns"):
            result.to_arrow()
        with pytest.raises(ValueError, match="has no columns"):
            await session.fetch_arrow("INSERT INTO t (k) VALUES (1)")


async def test_fetch_arrow_takes_parameters_and_statements(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE numbers (k int, c int, PRIMARY KEY (k, c))")
    insert = await session.create_prepared("INSERT INTO numbers (k, c) VALUES (1, ?)")
    await asyncio.gather(*(session.execute(insert, [n]) for n in range(30)))
    query = "SELECT c FROM numbers WHERE k = 1 AND c < ?"
    for table in (
        await session.fetch_arrow(query, [20], page_size=6),
        await session.fetch_arrow(acsylla_like.create_statement(query, [20], page_size=6)),
        await session.fetch_arrow(await session.create_prepared(query), {"c": 20}, page_size=6),
    ):
        assert pa.table(table).column("c").to_pylist() == list(range(20))
        assert len(table.batches) == 4
    with pytest.raises(TypeError, match="read page by page, not Batch"):
        await session.fetch_arrow(acsylla_like.create_batch_logged())  # type: ignore[arg-type]
    with pytest.raises(acsylla_like.InvalidQuery):
        await session.fetch_arrow("SELECT x FROM numbers")


async def test_an_error_in_a_later_page_counts_rows_from_the_first(scripted: ScriptedServer) -> None:
    columns = [("k", "int"), ("t", "int")]

    def handle(request: cql.Request) -> cql.Answer:
        if request.paging_state is None:
            return cql.rows(columns, [[1, 1], [2, 2]], paging_state=b"more")
        return cql.rows(columns, [[3, 3], [4, b"\x01"]])

    scripted.handler = handle
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        with pytest.raises(acsylla_like.DecodeError, match=r"^row 3, column 't': 1 bytes are no value of type int"):
            await session.fetch_arrow("SELECT k, t FROM t")
        with pytest.raises(acsylla_like.DecodeError, match=r"^row 3, column 't'"):
            (await session.execute("SELECT k, t FROM t")).to_arrow()


async def test_columns_that_change_from_page_to_page_are_an_error(scripted: ScriptedServer) -> None:
    def handle(request: cql.Request) -> cql.Answer:
        if request.paging_state is None:
            return cql.rows([("k", "int")], [[1]], paging_state=b"more")
        return cql.rows([("k", "bigint")], [[1]])

    scripted.handler = handle
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        with pytest.raises(acsylla_like.DecodeError, match="columns changed"):
            await session.fetch_arrow("SELECT * FROM t")


async def test_a_cancelled_fetch_leaves_nothing_behind(scripted: ScriptedServer) -> None:
    scripted.handler = lambda request: cql.rows([("k", "int")], [[1]], paging_state=b"more")  # for ever
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        task = asyncio.ensure_future(session.fetch_arrow("SELECT k FROM t"))
        await asyncio.to_thread(scripted.wait_for, lambda server: len(server.requests) > 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("batch_bytes", [1, 100, 1000, 10**9])
def test_batches_of_any_size_have_the_same_rows(batch_bytes: int, wire: Wire) -> None:
    items = [item(b"%d" % i) for i in range(5)]
    rows = [[cql.integer(i), None if i % 3 else cql.integer(i % 5) + b"".join(items[: i % 5])] for i in range(100)]
    result = wire.result([("k", "int"), ("l", "list<text>")], rows)
    schema = _native.arrow_schema_of(result)
    batches = _native.decode_arrow(result, schema, batch_bytes=batch_bytes)
    assert sum(map(len, batches)) == 100
    assert all(len(batch) > 0 for batch in batches)
    assert len(batches) == 100 if batch_bytes == 1 else len(batches) < 20
    table = pa.table(acsylla_like.ArrowTable(schema, batches))
    table.validate(full=True)
    assert table.to_pylist() == [{"k": i, "l": None if i % 3 else [str(k) for k in range(i % 5)]} for i in range(100)]


# ---- lifetimes and consumers


def test_a_capsule_may_be_consumed_once_or_never(wire: Wire) -> None:
    table = wire.result([("k", "int"), ("t", "list<text>")], [[cql.integer(1), None]]).to_arrow()
    never = [table.__arrow_c_stream__(), table.__arrow_c_schema__(), table.batches[0].__arrow_c_array__()]
    assert _native.arrow_structures() > 0
    del never
    stream = table.__arrow_c_stream__()
    reader = pa.RecordBatchReader._import_from_c_capsule(stream)
    with pytest.raises((ValueError, pa.ArrowInvalid)):
        pa.RecordBatchReader._import_from_c_capsule(stream)
    assert reader.read_all().to_pylist() == [{"k": 1, "t": None}]
    assert pa.table(table) == pa.table(table)  # another capsule each time


def test_an_array_outlives_all_it_came_from(wire: Wire) -> None:
    table = wire.result([("k", "int"), ("t", "list<text>")], [[cql.integer(1), cql.integer(1) + item(b"kept")]]).to_arrow()
    column = pa.record_batch(table.batches[0]).column(1)
    del table
    gc.collect()
    assert column.to_pylist() == [["kept"]]
    del column


async def test_a_table_outlives_its_session(scripted: ScriptedServer) -> None:
    scripted.handler = lambda request: cql.rows([("k", "int")], [[1], [2]])
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        table = await session.fetch_arrow("SELECT k FROM t")
        result = await session.execute("SELECT k FROM t")
    assert pa.table(table).column("k").to_pylist() == [1, 2]
    assert pa.table(result.to_arrow()).column("k").to_pylist() == [1, 2]


def test_a_half_read_stream_releases_the_rest(wire: Wire) -> None:
    result = wire.result([("t", "text")], [[b"x" * 100] for _ in range(50)])
    schema = _native.arrow_schema_of(result)
    table = acsylla_like.ArrowTable(schema, _native.decode_arrow(result, schema, batch_bytes=500))
    reader = pa.RecordBatchReader.from_stream(table)
    assert reader.read_next_batch().num_rows == 5
    del reader


def test_several_threads_decode_one_result_at_once(wire: Wire) -> None:
    result = wire.result([("k", "int"), ("t", "text")], [[cql.integer(i), b"text"] for i in range(2000)])
    tables: list[Any] = []

    def decode() -> None:
        tables.extend(pa.table(result.to_arrow()) for _ in range(5))

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tables) == 20
    assert all(table == tables[0] for table in tables)


@pytest.mark.keeps_open("polars and pandas have pools of threads")
def test_pandas_polars_and_pyarrow_take_a_table(wire: Wire) -> None:
    pl = pytest.importorskip("polars")
    pd = pytest.importorskip("pandas")
    rows = [[cql.integer(1), b"one", cql.integer(1) + item(b"a")], [cql.integer(2), None, None]]
    table = wire.result([("k", "int"), ("t", "text"), ("l", "list<text>")], rows).to_arrow()
    assert pl.DataFrame(table).rows() == [(1, "one", ["a"]), (2, None, None)]
    assert pl.DataFrame(table.batches[0]).rows() == [(1, "one", ["a"]), (2, None, None)]
    frame = pd.DataFrame.from_arrow(table) if hasattr(pd.DataFrame, "from_arrow") else pa.table(table).to_pandas()
    assert list(frame["k"]) == [1, 2]
    assert frame["t"][0] == "one"
    assert pa.RecordBatchReader.from_stream(table).read_all().num_rows == 2


def test_requested_schemas_are_taken_and_mistakes_refused(wire: Wire) -> None:
    table = wire.result([("k", "int")], [[cql.integer(1)]]).to_arrow()
    wish = table.__arrow_c_schema__()
    assert pa.RecordBatchReader._import_from_c_capsule(table.__arrow_c_stream__(wish)).read_all().num_rows == 1
    with pytest.raises(TypeError, match="arrow_schema capsule, not str"):
        table.__arrow_c_stream__("int64")
    with pytest.raises(TypeError, match="arrow_schema capsule, not int"):
        table.batches[0].__arrow_c_array__(5)


def test_schemas_compare_and_pickle(wire: Wire) -> None:
    table = wire.result([("k", "int"), ("d", "decimal")], [])
    schema = table.to_arrow(decimals={"d": (10, 2)}).schema
    assert pickle.loads(pickle.dumps(schema)) == schema
    assert schema != table.to_arrow().schema
    assert repr(schema) == "ArrowSchema(k: int, d: decimal)"
    other = acsylla_like.ArrowSchema(["x"], [parse_type("int")])
    batch = wire.result([("k", "int")], [[cql.integer(1)]]).to_arrow().batches[0]
    with pytest.raises(ValueError, match="other columns"):
        acsylla_like.ArrowTable(other, [batch])


@pytest.mark.parametrize(
    ("names", "types"), [(["a"], [None]), (["a"], ["int"]), ([None], [parse_type("int")]), ([b"a"], [parse_type("int")])]
)
def test_a_schema_of_anything_but_names_and_types_is_refused(names: Any, types: Any) -> None:
    with pytest.raises(TypeError, match="names must be str and types CqlType"):
        acsylla_like.ArrowSchema(names, types)


# ---- streams whose batches are still to come


class Source:
    """Gives its batches one by one, raises the exceptions among them, and counts how often it was closed."""

    schema = acsylla_like.ArrowSchema(["k"], [parse_type("int")])

    def __init__(self, *batches: Any) -> None:
        self.batches = list(batches)
        self.closed = 0

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return _native.arrow_stream(self.schema, self, requested_schema)

    def next_batch(self) -> Any:
        batch = self.batches.pop(0) if self.batches else None
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def close(self) -> None:
        self.closed += 1


def test_a_stream_that_an_exception_drops_is_closed_and_the_exception_goes_on() -> None:
    source = Source()

    def take(stream: Any, number: float) -> None:
        raise AssertionError("it was never called")

    with pytest.raises(ZeroDivisionError):
        take(source.__arrow_c_stream__(), 1 / 0)  # the capsule goes while the exception is on its way
    assert source.closed == 1


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (ValueError("told"), "ValueError: told"),
        (Unspeakable(), "Unspeakable"),
        (5, "TypeError: "),
        (ValueError("\ud800 \0 x"), "ValueError: [?] "),
    ],
)
def test_what_ends_a_stream_is_told_to_its_consumer(failure: Any, text: str, wire: Wire) -> None:
    (batch,) = wire.result([("k", "int")], [[cql.integer(1)]]).to_arrow().batches
    source = Source(batch, failure, batch)
    reader = pa.RecordBatchReader.from_stream(source)
    assert reader.read_next_batch().num_rows == 1
    with pytest.raises(OSError, match=f"^{text}"):
        reader.read_next_batch()
    reader.close()
    del reader
    gc.collect()
    assert source.closed >= 1


def test_a_stream_is_closed_at_its_end_and_when_it_is_left(wire: Wire) -> None:
    (batch,) = wire.result([("k", "int")], [[cql.integer(1)]]).to_arrow().batches
    source = Source(batch, batch)
    assert pa.table(source).num_rows == 2
    assert source.closed >= 1
    left = Source(batch, batch)
    reader = pa.RecordBatchReader.from_stream(left)
    reader.read_next_batch()
    assert left.closed == 0
    del reader
    gc.collect()
    assert left.closed == 1
    never = Source(batch)
    never.__arrow_c_stream__()
    assert never.closed == 1


@pytest.mark.parametrize("cls", [acsylla_like.ArrowSchema, acsylla_like.ArrowBatch, acsylla_like.ArrowTable])
def test_objects_made_by_new_raise(cls: Any) -> None:
    made = cls.__new__(cls)
    repr(made)
    for name in ("__arrow_c_schema__", "__arrow_c_array__", "__arrow_c_stream__"):
        if hasattr(made, name):
            with pytest.raises(TypeError, match="made by __new__"):
                getattr(made, name)()
    with contextlib.suppress(TypeError):
        len(made)
    if cls is not acsylla_like.ArrowSchema:
        return
    with pytest.raises(TypeError, match="made by __new__"):
        pickle.dumps(made)
