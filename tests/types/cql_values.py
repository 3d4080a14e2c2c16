"""What the tests of types share: values of every CQL type as hypothesis strategies, and the round trip."""

from __future__ import annotations

import array
import datetime
import decimal
import uuid
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from acsylla_like._native import parse_type
from acsylla_like.types import Date, Duration, FrozenMap, Time, Timestamp

UTC = datetime.timezone.utc
USER_TYPES = {
    "address": {"street": "text", "Number": "int", "since": "timestamp"},
    "person": {"name": "text", "home": "frozen<address>", "tags": "set<text>", "marks": "map<text, frozen<list<int>>>"},
}


def round_trip(text: str, value: object, **options: Any) -> Any:
    """What comes back of `value` as a column of the type named by `text`."""
    cql_type = parse_type(text, **options)
    return cql_type.decode(cql_type.encode(value))


def same(one: object, other: object) -> bool:
    """Equal, of the same classes all the way down, a NaN equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, decimal.Decimal) and isinstance(other, decimal.Decimal):
        return one.as_tuple() == other.as_tuple()
    if isinstance(one, (list, tuple, array.array)) and isinstance(other, (list, tuple, array.array)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def integers(bits: int) -> st.SearchStrategy[int]:
    top = 1 << (bits - 1)
    return st.sampled_from([0, 1, -1, top - 1, -top]) | st.integers(-top, top - 1)


def duration(months: int, days: int, nanoseconds: int, sign: int) -> Duration:
    return Duration(sign * months, sign * days, sign * nanoseconds)


def make_decimal(unscaled: int, scale: int) -> decimal.Decimal:
    digits = tuple(int(digit) for digit in str(abs(unscaled)))
    return decimal.Decimal((int(unscaled < 0), digits, -scale))


UUID1 = st.builds(lambda number: uuid.UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 1 << 76 | 2 << 62), st.integers(0, 2**128 - 1))
MOMENTS = st.builds(lambda value: value.replace(microsecond=value.microsecond // 1000 * 1000), st.datetimes(timezones=st.just(UTC)))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)

# Each value is just what a column of the type gives back.
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "ascii": st.text(st.characters(max_codepoint=127), max_size=50),
    "bigint": integers(64),
    "blob": st.binary(max_size=100),
    "boolean": st.booleans(),
    "date": st.dates() | st.builds(Date, st.integers(-(2**31), -719163) | st.integers(2932897, 2**31 - 1)),
    "decimal": st.builds(
        make_decimal,
        st.integers() | st.integers(-(10**200), 10**200),
        st.integers(-400, 400) | st.sampled_from([-(2**31), 2**31 - 1]),
    ),
    "double": st.floats(allow_nan=True),
    "duration": st.builds(
        duration, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1), st.sampled_from([1, -1])
    ),
    "float": st.floats(allow_nan=True, width=32),
    # The server turns IPv4-mapped addresses into IPv4 ones when it reads a collection.
    "inet": st.ip_addresses(v=4) | st.ip_addresses(v=6).filter(lambda address: getattr(address, "ipv4_mapped", None) is None),
    "int": integers(32),
    "smallint": integers(16),
    "text": TEXTS,
    "time": st.builds(Time.from_nanosecond_of_day, st.integers(0, 86_400_000_000_000 - 1)),
    "timestamp": MOMENTS | st.builds(Timestamp, st.integers(-(2**63), -62_135_596_800_001) | st.integers(253_402_300_800_000, 2**63 - 1)),
    "timeuuid": UUID1,
    "tinyint": integers(8),
    "uuid": st.uuids(),
    "varint": st.integers() | st.integers(-(2**4000), 2**4000),
}

ARRAY_CODES = {"float": "f", "double": "d", "tinyint": "b", "smallint": "h", "int": "i", "bigint": "q"}


def _array(code: str, items: list[Any]) -> array.array[Any]:
    return array.array(code, items)


def vector_of(element: str, n: int) -> st.SearchStrategy[Any]:
    items = st.lists(SCALARS[element], min_size=n, max_size=n)
    return items.map(lambda items: _array(ARRAY_CODES[element], items)) if element in ARRAY_CODES else items


def hashable(value: Any) -> Any:
    """The form that a value of a collection takes as a set member or map key."""
    if isinstance(value, (list, array.array)):
        return tuple(hashable(item) for item in value)
    if isinstance(value, tuple):
        return tuple(hashable(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return frozenset(value)
    if isinstance(value, Mapping):
        return FrozenMap({key: hashable(item) for key, item in value.items()})
    return value


def without_nan(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Members and keys that are equal to themselves."""
    return values.filter(lambda value: "nan" not in repr(value))


def nested(value: Any) -> Any:
    """The form that a value takes inside another: sets are frozen."""
    return frozenset(value) if isinstance(value, set) else value


def _lists(inner: tuple[str, st.SearchStrategy[Any]]) -> tuple[str, st.SearchStrategy[Any]]:
    text, values = inner
    return f"list<{text}>", st.lists(values.map(nested), max_size=4)


def _sets(inner: tuple[str, st.SearchStrategy[Any]]) -> tuple[str, st.SearchStrategy[Any]]:
    text, values = inner
    return f"set<{text}>", st.lists(without_nan(values.map(hashable)), max_size=4).map(set)


def _maps(pair: tuple[tuple[str, st.SearchStrategy[Any]], tuple[str, st.SearchStrategy[Any]]]) -> tuple[str, st.SearchStrategy[Any]]:
    (key_text, keys), (value_text, values) = pair
    keys = without_nan(keys.map(hashable))
    return f"map<{key_text}, {value_text}>", st.dictionaries(keys, values.map(nested), max_size=4)


def _tuples(inner: list[tuple[str, st.SearchStrategy[Any]]]) -> tuple[str, st.SearchStrategy[Any]]:
    text = ", ".join(text for text, _ in inner)
    return f"tuple<{text}>", st.tuples(*(values.map(nested) | st.none() for _, values in inner))


def _vectors(inner: tuple[str, st.SearchStrategy[Any]], n: int) -> tuple[str, st.SearchStrategy[Any]]:
    text, values = inner
    if text in ARRAY_CODES:
        return f"vector<{text}, {n}>", vector_of(text, n)
    return f"vector<{text}, {n}>", st.lists(values.map(nested), min_size=n, max_size=n)


# Pairs of a type's text and the strategy of its values, up to three collections deep.
TYPES: st.SearchStrategy[tuple[str, st.SearchStrategy[Any]]] = st.recursive(
    st.sampled_from(sorted(SCALARS.items(), key=lambda item: item[0])),
    lambda inner: st.one_of(
        inner.map(_lists),
        inner.map(_sets),
        st.tuples(inner, inner).map(_maps),
        st.lists(inner, min_size=1, max_size=3).map(_tuples),
        st.builds(_vectors, inner, st.integers(1, 4)),
    ),
    max_leaves=5,
)
