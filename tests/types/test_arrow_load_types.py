"""Each Arrow type into each CQL type that holds it: the very bytes, or an error that names row and column."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

from cql_values import SCALARS, TYPES, USER_TYPES  # noqa: E402
from fix_wire import Loader, Wire  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like import Date, Duration, Time, Timestamp  # noqa: E402
from acsylla_like._native import parse_type  # noqa: E402
from acsylla_like.testing import cql  # noqa: E402

D = decimal.Decimal
PATIENT = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=40)

pytestmark = pytest.mark.usefixtures("arrow_released")


def keyed(column: Any) -> Any:
    """A table with the column `c`, and its row numbers as `k`."""
    return pa.table({"k": pa.array(range(len(column)), pa.int32()), "c": column})


# ---- what came out goes in again


@pytest.mark.parametrize("name", sorted(SCALARS))
@PATIENT
@given(data=st.data())
def test_values_that_were_read_are_written_as_the_same_bytes(name: str, data: st.DataObject, wire: Wire, loader: Loader) -> None:
    cql_type = parse_type(name)
    cells = [cql_type.encode(value) for value in data.draw(st.lists(SCALARS[name] | st.none(), max_size=10))]
    check_round_trip(cql_type, cells, wire, loader)


@PATIENT
@given(data=st.data())
def test_nested_values_that_were_read_are_written_as_the_same_bytes(data: st.DataObject, wire: Wire, loader: Loader) -> None:
    text, values = data.draw(TYPES)
    cql_type = parse_type(text)
    cells = [cql_type.encode(value) for value in data.draw(st.lists(values | st.none(), max_size=5))]
    check_round_trip(cql_type, cells, wire, loader)


def test_user_types_that_were_read_are_written_as_the_same_bytes(wire: Wire, loader: Loader) -> None:
    cql_type = parse_type("person", user_types=USER_TYPES)
    home = {"street": None, "Number": 5, "since": datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)}
    values = [{"name": "x", "home": home, "tags": {"a"}, "marks": {"m": [1, 2]}}, {"name": None, "home": None, "tags": None, "marks": None}]
    check_round_trip(cql_type, [cql_type.encode(value) for value in values], wire, loader)


def check_round_trip(cql_type: Any, cells: list[bytes | None], wire: Wire, loader: Loader) -> None:
    rows = [[cql.integer(i), cell] for i, cell in enumerate(cells)]
    table = wire.result([("k", "int"), ("c", cql_type)], rows).to_arrow()
    report = loader.load(cql_type, table, nulls="null")
    assert report.rows == len(cells)
    assert [loader.written[i] for i in range(len(cells))] == cells


# ---- types that do not come out


def times(unit: str, *values: int) -> Any:
    return pa.array(values, pa.int64()).cast(pa.timestamp(unit))


TEXTS = ["a", None, "ä" * 20]
BLOBS = [b"a", None, b"\xff" * 20]

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
GOOD = [
    *((pa.array([1, None, -2], kind), cql_kind, [1, None, -2]) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())
      for cql_kind in ("tinyint", "smallint", "int", "bigint", "counter", "varint")),
    *((pa.array([1, 200], kind), "int", [1, 200]) for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())),
    (pa.array([2**64 - 1, 0], pa.uint64()), "varint", [2**64 - 1, 0]),
    (pa.array([5, -5], pa.int64()), "decimal", [D(5), D(-5)]),
    (pa.array([5, 2**53], pa.int64()), "double", [5.0, 2.0**53]),
    (pa.array([1.5, None], pa.float64()), "float", [1.5, None]),
    (pa.array([0.1], pa.float64()), "float", [0.1]),
    (pa.array([1.5], pa.float32()), "double", [1.5]),
    (pa.array([1.5, -0.0, 65504.0, 6e-8, float("inf")], pa.float16()), "double", [1.5, -0.0, 65504.0, 2.0**-24, float("inf")]),
    (pa.array([3.0, None, -4.0]), "int", [3, None, -4]),
    (pa.array([True, None, False]), "boolean", [True, None, False]),
    *((pa.array(TEXTS, kind), "text", TEXTS) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    *((pa.array(BLOBS, kind), "blob", BLOBS) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())),
    (pa.array([b"abc"], pa.binary(3)), "blob", [b"abc"]),
    (pa.array([bytes(range(16))], pa.binary(16)), "uuid", [uuid.UUID(bytes=bytes(range(16)))]),
    (pa.array([bytes(range(16))]), "uuid", [uuid.UUID(bytes=bytes(range(16)))]),
    (pa.array(["12345678-1234-1234-8234-1234567890aB", "12345678123412348234123456789012"]), "uuid",
     [uuid.UUID("12345678-1234-1234-8234-1234567890ab"), uuid.UUID("12345678123412348234123456789012")]),
    (pa.array(["1.2.3.4", "::", "1::", "::1", "2001:db8::5:6", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8"]), "inet",
     ["1.2.3.4", "::", "1::", "::1", "2001:db8::5:6", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8"]),
    (pa.array([b"\x01\x02\x03\x04"]), "inet", ["1.2.3.4"]),
    (pa.array(["1.50", "-0.001", "1E+5", "+12", ".5", "5.", "1e-3", "0" * 50 + "7"]), "decimal",
     [D("1.50"), D("-0.001"), D("1E+5"), D(12), D("0.5"), D(5), D("0.001"), D(7)]),
    (pa.array(["-" + "9" * 60, "+0"]), "varint", [-int("9" * 60), 0]),
    (pa.array([D("1.50"), None, D("-2.25")]), "decimal", [D("1.50"), None, D("-2.25")]),
    (pa.array([D("1.50")], pa.decimal256(60, 2)), "decimal", [D("1.50")]),
    (pa.array([D("15.00"), D("-1.00")], pa.decimal128(10, 2)), "varint", [15, -1]),
    (pa.array([0, -1, 18000], pa.int32()).cast(pa.date32()), "date", [Date(0), Date(-1), Date(18000)]),
    (pa.array([0, -86_400_000], pa.int64()).cast(pa.date64()), "date", [Date(0), Date(-1)]),
    (pa.array([1], pa.int32()).cast(pa.date32()), "timestamp", [EPOCH + datetime.timedelta(days=1)]),
    (times("s", 5, -5), "timestamp", [EPOCH + datetime.timedelta(seconds=5), EPOCH - datetime.timedelta(seconds=5)]),
    (times("ms", 5, -(2**62)), "timestamp", [EPOCH + datetime.timedelta(milliseconds=5), Timestamp(-(2**62))]),
    (times("us", 5000, -5000), "timestamp", [EPOCH + datetime.timedelta(milliseconds=5), EPOCH - datetime.timedelta(milliseconds=5)]),
    (times("ns", 5_000_000), "timestamp", [EPOCH + datetime.timedelta(milliseconds=5)]),
    (pa.array([EPOCH], pa.timestamp("us", "Europe/Berlin")), "timestamp", [EPOCH]),
    (pa.array([5], pa.int32()).cast(pa.time32("s")), "time", [Time(0, 0, 5)]),
    (pa.array([5], pa.int32()).cast(pa.time32("ms")), "time", [Time(0, 0, 0, 5000)]),
    (pa.array([5], pa.int64()).cast(pa.time64("us")), "time", [Time(0, 0, 0, 5)]),
    (pa.array([5], pa.int64()).cast(pa.time64("ns")), "time", [Time(nanosecond=5)]),
    (pa.array([5, -5], pa.duration("s")), "duration", [Duration(0, 0, 5 * 10**9), Duration(0, 0, -5 * 10**9)]),
    (pa.array([pa.MonthDayNano([1, 2, 3])]), "duration", [Duration(1, 2, 3)]),
    (pa.array(["x", None, "y", "x"]).dictionary_encode(), "text", ["x", None, "y", "x"]),
    (pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.uint8()), pa.array([7, None])), "bigint", [7, None, None]),
    (pa.nulls(2), "int", [None, None]),
    *((pa.array([[1, 2], None, []], kind(pa.int32())), "list<int>", [[1, 2], None, []])
      for kind in (pa.list_, pa.large_list, *([pa.list_view, pa.large_list_view] if hasattr(pa, "list_view") else []))),
    (pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)), "list<int>", [[1, 2], [3, 4]]),
    (pa.array([[1, 2], None], pa.list_(pa.float64(), 2)), "vector<float, 2>", [[1.0, 2.0], None]),
    (pa.array([[1, 2]], pa.list_(pa.int64())), "vector<smallint, 2>", [[1, 2]]),
    (pa.array([["a", "bc"]]), "vector<text, 2>", [["a", "bc"]]),
    (pa.array([["a"], ["b", "c"]]), "set<text>", [{"a"}, {"b", "c"}]),
    (pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int32())), "map<text, int>", [{"a": 1}, {}, None]),
    (pa.array([{"x": 1, "y": None}, None]), "tuple<int, text>", [(1, None), None]),
    (pa.array([[{"a": [1]}]]), "list<frozen<tuple<list<int>>>>", [[([1],)]]),
    (pa.array([bytes(range(16)), None], pa.uuid()), "uuid", [uuid.UUID(bytes=bytes(range(16))), None]),
    *((pa.array([D("1.50"), None, D("-2.25")], kind), "decimal", [D("1.50"), None, D("-2.25")])
      for kind in (pa.decimal32(5, 2), pa.decimal64(18, 2), pa.decimal128(38, 2), pa.decimal256(76, 2))),
    (pa.array([D("1500"), D("-2000")], pa.decimal128(5, -2)), "decimal", [D("15E+2"), D("-20E+2")]),
    (pa.array([D("1500"), D("-2000")], pa.decimal128(5, -2)), "varint", [1500, -2000]),
    (pa.array([D(10**76 - 1), D(1 - 10**76)], pa.decimal256(76, 0)), "varint", [10**76 - 1, 1 - 10**76]),
    (pa.array([9.21e18, -(2.0**63)]), "bigint", [int(9.21e18), -(2**63)]),
    (pa.array([2.0**100, None]), "varint", [2**100, None]),
    *((pa.array(["x", None, "y", "x"], pa.dictionary(kind, pa.string())), "text", ["x", None, "y", "x"])
      for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())),
    (pa.array([["x", "y"], None, ["x"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), "list<text>", [["x", "y"], None, ["x"]]),
    *((pa.RunEndEncodedArray.from_arrays(pa.array([1, 3, 4], kind), ["x", None, "y"]), "text", ["x", None, None, "y"])
      for kind in (pa.int16(), pa.int32(), pa.int64())),
    (pa.array([[{"key": "a", "value": 1}], [], None]), "map<text, int>", [{"a": 1}, {}, None]),
    (pa.array([[{"x": "a", "y": 1}]], pa.large_list(pa.struct({"x": pa.string(), "y": pa.int8()}))), "map<text, int>", [{"a": 1}]),
    (pa.array([{"a": {"b": 1}, "c": [[1.5]]}]), "tuple<frozen<tuple<int, text>>, list<frozen<list<double>>>>", [((1, None), [[1.5]])]),
    (pa.array([[["a"], []], [["b"], ["c"]]]), "vector<list<text>, 2>", [[["a"], []], [["b"], ["c"]]]),
    (pa.array([uuid.UUID(int=1 << 76).bytes], pa.binary(16)), "timeuuid", [uuid.UUID(int=1 << 76)]),
]  # fmt: skip


@pytest.mark.parametrize(("column", "kind", "values"), GOOD, ids=[f"{column.type}-{kind}" for column, kind, _ in GOOD])
def test_values_are_those_that_python_would_write(column: Any, kind: str, values: list[Any], loader: Loader) -> None:
    cql_type = parse_type(kind)
    expected = {i: cql_type.encode(value) for i, value in enumerate(values)}
    loader.load(kind, keyed(column), nulls="null")
    assert _sets(loader.written, kind) == _sets(expected, kind)
    # Sliced, so that every buffer is read from an offset on.
    longer = pa.concat_arrays([column, column, column])
    loader.load(kind, keyed(longer.slice(len(column), len(column))), nulls="null")
    assert _sets(loader.written, kind) == _sets(expected, kind)


def _sets(written: dict[int, Any], kind: str) -> Any:
    """Sets have no order in Python."""
    return {key: parse_type(kind).decode(value) for key, value in written.items()} if kind.startswith("set") else written


def test_fields_of_a_user_type_go_by_name(loader: Loader) -> None:
    cql_type = parse_type("address", user_types=USER_TYPES)
    column = pa.array([{"Number": 5, "street": "here"}, {"Number": None, "street": None}, None])
    loader.load(cql_type, keyed(column), nulls="null")
    empty = cql_type.encode({"street": None, "Number": None, "since": None})
    assert loader.written == {0: cql_type.encode({"street": "here", "Number": 5, "since": None}), 1: empty, 2: None}
    with pytest.raises(TypeError, match=r"column 'c': .*: type address has no field for 'zip'$"):
        loader.load(cql_type, keyed(pa.array([{"street": "x", "zip": 1}])))


BAD_TYPES = [
    (pa.array(["1"]), "int"), (pa.array([1]), "text"), (pa.array([b"x"]), "text"), (pa.array([1.5]), "decimal"),
    (pa.array([True]), "int"),
    (pa.array([1]), "timestamp"), (pa.array([1]), "boolean"), (times("ms", 1), "date"), (times("ms", 1), "bigint"),
    (pa.array([[1]]), "int"),
    (pa.array([[1]]), "map<int, int>"), (pa.array([["x"]]), "list<int>"), (pa.array([{"a": 1}]), "int"),
    (pa.array([{"a": 1, "b": 2}]), "tuple<int>"), (pa.array([[1, 2, 3]], pa.list_(pa.float32(), 3)), "vector<float, 2>"),
    (pa.array([D(1)]), "int"), (pa.array([D(1)]), "double"), (pa.array(["x"]).dictionary_encode(), "int"),
    (pa.array(["2020-01-01"]), "date"), (pa.array([1], pa.duration("s")), "time"),
    (pa.array([1], pa.int64()).cast(pa.time64("us")), "bigint"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "kind"), BAD_TYPES, ids=[f"{column.type}-{kind}" for column, kind in BAD_TYPES])
def test_types_that_do_not_convert_are_refused_before_the_first_row(column: Any, kind: str, loader: Loader) -> None:
    with pytest.raises(TypeError, match=r"^column 'c': .*(cannot become values of|has no field|are no values of) ?"):
        loader.load(kind, keyed(column))
    assert loader.written == {}


WORDS = [
    (pa.array([1]), "text", "int64"), (times("us", 1), "date", "timestamp[us]"), (pa.array([1], pa.duration("s")), "time", "duration[s]"),
    (pa.array([EPOCH], pa.timestamp("ns", "Europe/Berlin")), "bigint", "timestamp[ns, tz=Europe/Berlin]"),
    (pa.array([D("1.5")]), "int", "decimal128(2, 1)"), (pa.array([b"12345"], pa.binary(5)), "uuid", "fixed_size_binary[5]"),
    (pa.array(["x"]).dictionary_encode(), "int", "dictionary<int32, string>: Arrow values of type string"),
    (pa.array([[{"a": ["x"]}]]), "list<frozen<tuple<list<int>>>>", "list<struct<a: list<string>>>: Arrow values of type string"),
    (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())), "map<text, text>", "map<string, int32>: Arrow values of type int32"),
    (pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array(["x"])]), "text", "sparse_union<0: string>"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "kind", "words"), WORDS, ids=[f"{column.type}-{kind}" for column, kind, _ in WORDS])
def test_a_refusal_names_the_arrow_type_in_words(column: Any, kind: str, words: str, loader: Loader) -> None:
    whole, _, part = words.partition(": Arrow")
    with pytest.raises(TypeError) as caught:
        loader.load(kind, keyed(column))
    message = str(caught.value)
    assert message.startswith(f"column 'c': Arrow values of type {whole} cannot become values of type {parse_type(kind).name}")
    if part:
        assert f": Arrow{part} cannot become values of type" in message


BAD_VALUES = [
    (pa.array([0, 128]), "tinyint"), (pa.array([0, -129]), "tinyint"), (pa.array([0, 2**15]), "smallint"), (pa.array([0, 2**31]), "int"),
    (pa.array([0, 2**63], pa.uint64()), "bigint"), (pa.array([0, 2**53 + 1]), "double"), (pa.array([0, 2**24 + 1]), "float"),
    (pa.array([0, 1.5]), "int"), (pa.array([0, float("nan")]), "int"), (pa.array([0, 1e19]), "bigint"), (pa.array([0, 1e300]), "float"),
    (pa.array(["a", "ä"]), "ascii"), (pa.array(["0" * 32, "x"]), "uuid"), (pa.array(["0" * 32, "g" * 32]), "uuid"),
    (pa.array([bytes(16), bytes(15)]), "uuid"), (pa.array(["::", "1.2.3"]), "inet"), (pa.array(["::", ":::"]), "inet"),
    (pa.array(["::", "1.2.3.256"]), "inet"), (pa.array(["::", "1:2:3:4:5:6:7:8:9"]), "inet"), (pa.array(["::", "1:2:3:4:5:6:7:"]), "inet"),
    (pa.array(["::", "12345::"]), "inet"), (pa.array([bytes(4), bytes(5)]), "inet"), (pa.array(["1", ""]), "decimal"),
    (pa.array(["1", "NaN"]), "decimal"), (pa.array(["1", "1E+9999999999"]), "decimal"), (pa.array(["1", "1.5"]), "varint"),
    (pa.array(["1", "1e"]), "decimal"), (pa.array(["1", "1 "]), "decimal"), (pa.array([D("1.00"), D("1.50")]), "varint"),
    (times("us", 0, 1), "timestamp"), (times("ns", 0, -1), "timestamp"), (times("s", 0, 2**60), "timestamp"),
    (pa.array([0, 86_400], pa.int32()).cast(pa.time32("s")), "time"), (pa.array([0, -1], pa.int64()).cast(pa.time64("ns")), "time"),
    (pa.array([pa.MonthDayNano([0, 0, 0]), pa.MonthDayNano([1, -1, 0])]), "duration"), (pa.array([0, 2**62], pa.duration("s")), "duration"),
    (pa.array([[1], [1, None]]), "list<int>"), (pa.array([[1.0, 2.0], [1.0]]), "vector<float, 2>"),
    (pa.array([[("a", 1)], [("a", None)]], pa.map_(pa.string(), pa.int32())), "map<text, int>"),
    (pa.array([[1], [2**40]]), "list<int>"), (pa.array([{"a": 1}, {"a": 2**40}]), "tuple<int>"),
    (pa.array([0.0, 2.0**63]), "bigint"), (pa.array([0.0, float("inf")]), "varint"), (pa.array([0.0, 1.5]), "varint"),
    (pa.array([uuid.UUID(int=1 << 76).bytes, uuid.UUID(int=4 << 76).bytes], pa.binary(16)), "timeuuid"),
    (pa.array([str(uuid.UUID(int=1 << 76)), str(uuid.UUID(int=4 << 76))]), "timeuuid"),
    (pa.Array.from_buffers(pa.date64(), 2, pa.array([0, 1], pa.int64()).buffers()), "date"),
    (pa.array([[{"key": "a", "value": 1}], [None]]), "map<text, int>"),
    (pa.array([[{"key": "a", "value": 1}], [{"key": None, "value": 1}]]), "map<text, int>"),
    (pa.array([["x"], ["x", None]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), "set<text>"),
    (pa.array([[[1]], [[None]]]), "list<frozen<list<int>>>"), (pa.array([[1.0], [None]]), "vector<float, 1>"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "kind"), BAD_VALUES, ids=[f"{i}-{column.type}-{kind}" for i, (column, kind) in enumerate(BAD_VALUES)])
def test_values_that_do_not_fit_are_an_error_that_names_row_and_column(column: Any, kind: str, loader: Loader) -> None:
    with pytest.raises(acsylla_like.BulkError, match=r"^ks\.t: row 1, column 'c': .* is no value of type") as caught:
        loader.load(kind, keyed(column))
    assert (caught.value.row, caught.value.column) == (1, "c")
    assert isinstance(caught.value.__cause__, ValueError)
    assert set(loader.written) == {0}


def test_parts_of_a_millisecond_are_cut_and_counted_when_asked(loader: Loader) -> None:
    report = loader.load("timestamp", keyed(times("ns", 1, 1_000_000, -1, 1_999_999)), truncate=True)
    assert report.truncated == 3
    encode = parse_type("timestamp").encode
    assert loader.written == {i: encode(EPOCH + datetime.timedelta(milliseconds=n)) for i, n in enumerate([0, 1, -1, 1])}


def test_a_null_leaves_its_column_alone_unless_it_is_to_be_written(loader: Loader) -> None:
    loader.load("int", keyed(pa.array([None, 1], pa.int32())))
    assert loader.written[0] is cql.UNSET
    loader.load("int", keyed(pa.array([None, 1], pa.int32())), nulls="null")
    assert loader.written[0] is None


def test_a_null_key_is_an_error_that_names_row_and_column(loader: Loader) -> None:
    table = pa.table({"k": pa.array([0, None], pa.int32()), "c": [1, 2]})
    with pytest.raises(acsylla_like.BulkError, match="row 1, column 'k': null in a column of the primary key"):
        loader.load("bigint", table)
