"""The text forms of the command line: every value of every CQL type comes back from its text as the same bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

from cql_values import SCALARS, TYPES, USER_TYPES  # noqa: E402
from fix_wire import Loader, Wire  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from acsylla_like._native import parse_type  # noqa: E402
from acsylla_like.cli.text import Number, Texts, cells_of, json_texts, load_json  # noqa: E402
from acsylla_like.testing import cql  # noqa: E402

PATIENT = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=40)
_NANS = {"float": b"\x7f\xc0\x00\x00", "double": b"\x7f\xf8" + bytes(6)}


@pytest.mark.parametrize("name", sorted(SCALARS))
@PATIENT
@given(data=st.data())
def test_values_come_back_from_their_text(name: str, data: st.DataObject, wire: Wire, loader: Loader) -> None:
    cql_type = parse_type(name)
    values = data.draw(st.lists(SCALARS[name] | st.none(), max_size=10))
    # A NaN has one text, whatever its bits.
    check(cql_type, [_NANS[name] if value != value and value is not None else cql_type.encode(value) for value in values], wire, loader)


@PATIENT
@given(data=st.data())
def test_nested_values_come_back_from_their_text(data: st.DataObject, wire: Wire, loader: Loader) -> None:
    text, values = data.draw(TYPES)
    cql_type = parse_type(text)
    drawn = data.draw(st.lists(values.filter(lambda value: "nan" not in repr(value)) | st.none(), max_size=5))
    check(cql_type, [cql_type.encode(value) for value in drawn], wire, loader)


def test_user_types_come_back_from_their_text(wire: Wire, loader: Loader) -> None:
    cql_type = parse_type("person", user_types=USER_TYPES)
    home = {"street": None, "Number": 5, "since": None}
    values = [{"name": "x", "home": home, "tags": {"a"}, "marks": {"m": [1, 2]}}, {"name": None, "home": None, "tags": None, "marks": None}]
    check(cql_type, [cql_type.encode(value) for value in values], wire, loader)


def check(cql_type: Any, cells: list[bytes | None], wire: Wire, loader: Loader) -> None:
    table = pa.table(wire.result([("k", "int"), ("c", cql_type)], [[cql.integer(i), cell] for i, cell in enumerate(cells)]).to_arrow())
    column = table.column("c").combine_chunks() if cells else pa.nulls(0, table.schema.field("c").type)
    texts = Texts(cql_type)
    strict = Texts(cql_type, checks=True)
    of_cells = texts.of_cells(cells_of(column)[0])
    of_json = texts.of_json([load_json(text, exactly=True) for text in json_texts(column).to_pylist()])
    checked = strict.of_cells(cells_of(column)[0])
    for array, refused in (of_cells, of_json, checked):
        assert refused == {}
        loader.load(cql_type, pa.table({"k": pa.array(range(len(cells)), pa.int32()), "c": array}), nulls="null")
        assert [loader.written[i] for i in range(len(cells))] == cells


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("int", " +5 ", 5),
        ("int", "5.0", 5),
        ("bigint", "1e3", 1000),
        ("boolean", "TRUE", True),
        ("boolean", "0", False),
        ("timestamp", "2026-01-02", 1767312000000),
        ("timestamp", "2026-01-02 03:04:05+02:00", 1767315845000),
        ("timestamp", "2026-01-02T03:04", 1767323040000),
        ("timestamp", "-5", -5),
        ("date", "-719163", -719163),
        ("time", "03:04", 11_040_000_000_000),
        ("duration", "-1w2h", (0, -7, -7_200_000_000_000)),
        ("duration", "0ns", (0, 0, 0)),
        ("double", "Infinity", float("inf")),
        ("blob", "0X00fF", b"\x00\xff"),
        ("map<frozen<tuple<int>>, int>", "[[[1], 2]]", [({"0": 1}, 2)]),
        ("list<text>", "[]", []),
    ],
)
def test_other_ways_to_write_a_value(kind: str, cell: str, value: Any) -> None:
    array, refused = Texts(parse_type(kind)).of_cells(pa.array([cell, None]))
    assert refused == {}
    assert array.equals(pa.array([value, None], array.type))


@pytest.mark.parametrize(
    ("kind", "cell", "why"),
    [
        ("tinyint", "128", "does not fit 8 bits"),
        ("int", "5.5", "not whole"),
        ("int", "", ""),
        ("bigint", "1_000", ""),
        ("double", "1e999", "too large"),
        ("float", "1e39", "too large"),
        ("double", "1_0", ""),
        ("boolean", "yes", ""),
        ("timestamp", "2026-13-01", "month"),
        ("timestamp", "2026-01-01T00:00:00.0001Z", "parts of a millisecond"),
        ("timestamp", str(1 << 63), "64 bits"),
        ("date", "2026-02-30", "day"),
        ("time", "24:00", ""),
        ("duration", "", "it is written as"),
        ("blob", "00ff", "0x"),
        ("list<int>", "[1", "delimiter"),
        ("list<int>", "[true]", "a number is expected"),
        ("list<text>", "[1]", "a string is expected"),
        ("vector<float, 2>", "[1]", "2 items"),
        ("tuple<int>", "[1, 2]", "an array of 1"),
        ("map<text, int>", "7", "an object"),
    ],
)
def test_what_is_no_value_is_named_and_the_others_are_read(kind: str, cell: str, why: str) -> None:
    texts = Texts(parse_type(kind))
    good = {"boolean": "true", "blob": "0x", "duration": "1d", "time": "01:00", "date": "2026-01-01", "timestamp": "0"}.get(kind, "1")
    if "<" in kind:
        good = {"vector<float, 2>": "[1, 2]", "map<text, int>": "{}"}.get(kind, "[]")
    array, refused = texts.of_cells(pa.array([good] * 20 + [cell] + [good] * 20))
    assert list(refused) == [20]
    assert json.dumps(cell) in refused[20]
    assert kind in refused[20]
    assert why in refused[20]
    assert array.null_count == 1
    assert array[0] == array[40] != array[20]


def test_numbers_with_fractions_keep_their_digits_where_these_count() -> None:
    number = load_json("1.50", exactly=True)
    assert isinstance(number, Number)
    assert Texts(parse_type("decimal")).of_json([number])[0].to_pylist() == ["1.50"]
    assert Texts(parse_type("double")).of_json([number, 1, "NaN"])[1] == {}
    assert list(Texts(parse_type("text")).of_json([number, "x"])[1]) == [0]
    assert list(Texts(parse_type("int")).of_json([True, 1, None, 1.5])[1]) == [0, 3]


def test_parts_of_a_millisecond_are_cut_and_counted_when_asked() -> None:
    texts = Texts(parse_type("timestamp"), truncate=True)
    array, refused = texts.of_cells(pa.array(["1969-12-31T23:59:59.9999Z", "1970-01-01T00:00:00.001Z"]))
    assert refused == {}
    assert array.cast(pa.int64()).to_pylist() == [-1, 1]
    assert texts.truncated == 1


LISTS = [
    pa.array([[1, 2], None, [], [3]]),
    pa.array([[1, 2], None, [], [3]], pa.large_list(pa.int64())),
    pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int64(), 2)),
    *([pa.array([[1, 2], None, [], [3]], pa.list_view(pa.int64()))] if hasattr(pa, "list_view") else []),
]


@pytest.mark.parametrize("array", LISTS, ids=lambda array: str(array.type))
def test_lists_of_every_kind_and_their_slices_have_their_items(array: Any) -> None:
    for start in range(5):
        for end in range(start, 5):
            assert [json.loads(text) for text in json_texts(array[start:end]).to_pylist()] == array[start:end].to_pylist()
