"""Arrow arrays of whatever type, sliced and in pieces: what is written is what they hold."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.compute as pc  # noqa: E402
from cql_values import ARRAY_CODES, same  # noqa: E402
from fix_wire import Loader  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like import Duration, Time  # noqa: E402
from acsylla_like._native import parse_type  # noqa: E402

pytestmark = pytest.mark.usefixtures("arrow_released")

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


class Kind(NamedTuple):
    """An Arrow type, a CQL type for it, values as pyarrow takes them, and what Python reads of each from the CQL type."""

    arrow: Any
    cql: str
    values: st.SearchStrategy[Any]
    read: Callable[[Any], Any]
    is_key: bool = False
    """Whether the values may be keys of maps."""


def _as_it_is(value: Any) -> Any:
    return value


def _numbers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MILLISECONDS = st.integers(-(10**12), 10**12).map(lambda n: EPOCH + datetime.timedelta(milliseconds=n))


def _decimal(digits: int, scale: int) -> st.SearchStrategy[decimal.Decimal]:
    return st.integers(1 - 10**digits, 10**digits - 1).map(lambda n: decimal.Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -scale)))


LEAVES = [
    *(Kind(getattr(pa, f"int{bits}")(), cql, _numbers(bits, True), _as_it_is, True)
      for bits, cql in [(8, "tinyint"), (8, "varint"), (16, "smallint"), (16, "bigint"), (32, "int"), (64, "bigint"), (64, "varint")]),
    *(Kind(getattr(pa, f"uint{bits}")(), cql, _numbers(bits, False), _as_it_is, True)
      for bits, cql in [(8, "smallint"), (16, "int"), (32, "bigint"), (64, "varint")]),
    Kind(pa.int32(), "decimal", _numbers(32, True), decimal.Decimal),
    Kind(pa.float32(), "float", st.floats(width=32), _as_it_is), Kind(pa.float32(), "double", st.floats(width=32), _as_it_is),
    Kind(pa.float64(), "double", st.floats(), _as_it_is),
    Kind(pa.float64(), "bigint", st.integers(-(2**53), 2**53).map(float), int),
    Kind(pa.bool_(), "boolean", st.booleans(), _as_it_is, True),
    *(Kind(kind, "text", TEXT, _as_it_is, True) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    *(Kind(kind, "blob", st.binary(max_size=30), _as_it_is, True) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())),
    Kind(pa.binary(16), "uuid", st.binary(min_size=16, max_size=16), lambda value: uuid.UUID(bytes=value), True),
    Kind(pa.string(), "uuid", st.uuids().map(str), uuid.UUID), Kind(pa.string_view(), "varint", st.integers().map(str), int),
    Kind(pa.string(), "decimal", _decimal(30, 5).map(str), decimal.Decimal),
    *(Kind(kind, "decimal", _decimal(kind.precision, kind.scale), _as_it_is)
      for kind in (pa.decimal32(9, 2), pa.decimal64(18, 0), pa.decimal128(38, 10), pa.decimal256(76, 76))),
    Kind(pa.date32(), "date", st.dates(), _as_it_is, True), Kind(pa.date64(), "date", st.dates(), _as_it_is),
    *(Kind(pa.timestamp(unit), "timestamp", MILLISECONDS.map(lambda moment: moment.replace(tzinfo=None)),
           lambda moment: moment.replace(tzinfo=UTC)) for unit in ("ms", "us", "ns")),
    Kind(pa.timestamp("ms", "UTC"), "timestamp", MILLISECONDS, _as_it_is, True),
    Kind(pa.time64("us"), "time", st.times(), lambda t: Time(t.hour, t.minute, t.second, t.microsecond)),
    Kind(pa.time64("ns"), "time", st.integers(0, 86_400 * 10**9 - 1), Time.from_nanosecond_of_day),
    Kind(pa.duration("ns"), "duration", st.integers(-(2**63) + 1, 2**63 - 1), lambda n: Duration(0, 0, n)),
    Kind(pa.month_day_nano_interval(), "duration", st.tuples(*3 * [st.integers(0, 2**31 - 1)]), lambda parts: Duration(*parts)),
]  # fmt: skip


def _inner(kind: Kind) -> str:
    return f"frozen<{kind.cql}>" if "<" in kind.cql and not kind.cql.startswith("vector") else kind.cql


def _listed(kind: Kind, shape: str) -> Kind:
    make = {"list": pa.list_, "large_list": pa.large_list, "list_view": pa.list_view, "large_list_view": pa.large_list_view}
    return Kind(
        make[shape](kind.arrow),
        f"list<{_inner(kind)}>",
        st.lists(kind.values, max_size=4),
        lambda value: [kind.read(item) for item in value],
    )


def _fixed(kind: Kind, size: int, is_vector: bool) -> Kind:
    def read(value: Any) -> Any:
        items = [kind.read(item) for item in value]
        return parse_type(cql).decode(parse_type(cql).encode(items)) if is_vector and kind.cql in ARRAY_CODES else items

    cql = f"vector<{_inner(kind)}, {size}>" if is_vector else f"list<{_inner(kind)}>"
    return Kind(pa.list_(kind.arrow, size), cql, st.lists(kind.values, min_size=size, max_size=size), read)


def _mapped(key: Kind, value: Kind, is_list: bool) -> Kind:
    entries = pa.list_(pa.struct([("k", key.arrow), ("v", value.arrow)])) if is_list else pa.map_(key.arrow, value.arrow)
    values = st.dictionaries(key.values, value.values, max_size=4).map(
        lambda made: [{"k": k, "v": v} for k, v in made.items()] if is_list else list(made.items())
    )

    def read(made: Any) -> Any:
        pairs = [(entry["k"], entry["v"]) for entry in made] if is_list else made
        return {key.read(k): value.read(v) for k, v in pairs}

    return Kind(entries, f"map<{_inner(key)}, {_inner(value)}>", values, read)


def _struct(kinds: list[Kind]) -> Kind:
    def read(value: Any) -> Any:
        return tuple(None if item is None else kind.read(item) for kind, item in zip(kinds, value.values(), strict=True))

    names = [f"f{i}" for i in range(len(kinds))]
    values = st.tuples(*(kind.values | st.none() for kind in kinds)).map(lambda items: dict(zip(names, items, strict=True)))
    fields = pa.struct([(name, kind.arrow) for name, kind in zip(names, kinds, strict=True)])
    return Kind(fields, f"tuple<{', '.join(_inner(kind) for kind in kinds)}>", values, read)


def _dictionary(kind: Kind, index: Any) -> Kind:
    return kind._replace(arrow=pa.dictionary(index, kind.arrow), is_key=False)


LEAF = st.sampled_from(LEAVES)
KEY = st.sampled_from([kind for kind in LEAVES if kind.is_key])
CODED = st.builds(
    _dictionary,
    st.sampled_from([kind for kind in LEAVES if kind.arrow in (pa.string(), pa.int64(), pa.float64(), pa.binary())]),
    st.sampled_from([pa.int8(), pa.int16(), pa.uint32(), pa.int64()]),
)
KINDS: st.SearchStrategy[Kind] = st.recursive(
    LEAF | CODED,
    lambda inner: st.one_of(
        st.builds(_listed, inner, st.sampled_from(["list", "large_list", "list_view", "large_list_view"])),
        st.builds(_fixed, inner, st.integers(1, 3), st.booleans()),
        st.builds(_mapped, KEY, inner, st.booleans()),
        st.lists(inner, min_size=1, max_size=3).map(_struct),
    ),
    max_leaves=4,
)


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)
@given(data=st.data())
def test_what_is_written_is_what_the_arrays_hold(data: st.DataObject, loader: Loader) -> None:
    kind = data.draw(KINDS)
    cells = st.none() | kind.values
    pieces = data.draw(
        st.lists(st.tuples(st.lists(cells, max_size=2), st.lists(cells, max_size=5), st.lists(cells, max_size=2)), max_size=3)
    )
    chunks = [pa.array([*before, *held, *after], kind.arrow).slice(len(before), len(held)) for before, held, after in pieces]
    # pyarrow gives the dictionaries in maps indexes of its own choice.
    column = pa.chunked_array(chunks, chunks[0].type if chunks else kind.arrow)
    held = [value for _, values, _ in pieces for value in values]
    if data.draw(st.booleans()) and pa.types.is_primitive(kind.arrow) and not pa.types.is_interval(kind.arrow):
        column = pa.chunked_array([pc.run_end_encode(chunk) for chunk in column.chunks], pa.run_end_encoded(pa.int32(), kind.arrow))
    loader.load(kind.cql, pa.table({"k": pa.array(range(len(held)), pa.int32()), "c": column}), nulls="null")
    cql_type = parse_type(kind.cql)
    assert sorted(loader.written) == list(range(len(held)))
    for i, value in enumerate(held):
        written = loader.written[i]
        found = None if written is None else cql_type.decode(written)
        expected = None if value is None else kind.read(value)
        assert same(found, expected), f"{found!r} is not {expected!r}"


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=40)
@given(kind=KINDS, other=LEAF, data=st.data())
def test_any_two_types_are_written_or_refused(kind: Kind, other: Kind, data: st.DataObject, loader: Loader) -> None:
    """Whatever meets whatever: values that Python reads again, a TypeError before the first row or a row that is named."""
    held = data.draw(st.lists(kind.values, min_size=1, max_size=5))
    table = pa.table({"k": pa.array(range(len(held)), pa.int32()), "c": pa.array(held, kind.arrow)})
    refusal: Exception | None = None
    try:
        loader.load(other.cql, table, truncate=True)
    except (TypeError, acsylla_like.BulkError) as error:
        refusal = error
    if isinstance(refusal, TypeError):
        assert str(refusal).startswith("column 'c': Arrow values of type ")
        assert loader.written == {}
    if isinstance(refusal, acsylla_like.BulkError):
        assert refusal.column == "c"
    for written in loader.written.values():
        parse_type(other.cql).decode(written)
