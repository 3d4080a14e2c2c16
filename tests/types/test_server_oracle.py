"""Written by us and read by the official driver, written by it and read by us, on the same server."""

from __future__ import annotations

import datetime
import decimal
import ipaddress
from array import array
from collections.abc import Mapping, Set
from typing import Any

import pytest
from conftest import TwoClients
from cql_values import MOMENTS, SCALARS, UTC, same, vector_of
from hypothesis import given, settings
from hypothesis import strategies as st

from acsylla_like import UNSET
from acsylla_like.types import Date, Duration, FrozenMap, Time, Timestamp

util = pytest.importorskip("cassandra.util")

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
FEW = settings(max_examples=8)


def to_oracle(value: Any) -> Any:
    """A value of ours as the official driver wants it."""
    if isinstance(value, Timestamp):
        return value.milliseconds
    if isinstance(value, Date):
        return util.Date(value.days)
    if isinstance(value, Time):
        return util.Time(value.nanosecond_of_day)
    if isinstance(value, Duration):
        return util.Duration(value.months, value.days, value.nanoseconds)
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return str(value)
    if isinstance(value, Address):
        return tuple(to_oracle(item) for item in value.values())
    if isinstance(value, Mapping):
        return util.OrderedMap([(to_oracle(key), to_oracle(item)) for key, item in value.items()])
    if isinstance(value, (list, array, Set)):
        return [to_oracle(item) for item in value]
    if isinstance(value, tuple):
        return tuple(to_oracle(item) for item in value)
    return value


class Address(dict[str, Any]):
    """Marks a user type's value, which the official driver takes as a tuple."""


def plain(value: Any) -> Any:
    """A value of either client in a form that both share."""
    if isinstance(value, datetime.datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return "timestamp", (value - EPOCH) // datetime.timedelta(milliseconds=1)
    if isinstance(value, Timestamp):
        return "timestamp", value.milliseconds
    if isinstance(value, util.DatetimeMillis if hasattr(util, "DatetimeMillis") else ()):
        return "timestamp", value.milliseconds_since_epoch
    if isinstance(value, datetime.date):
        return "date", (value - EPOCH.date()).days
    if isinstance(value, Date):
        return "date", value.days
    if isinstance(value, util.Date):
        return "date", value.days_from_epoch
    if isinstance(value, Time):
        return "time", value.nanosecond_of_day
    if isinstance(value, util.Time):
        return "time", value.nanosecond_time
    if isinstance(value, (Duration, util.Duration)):
        return "duration", value.months, value.days, value.nanoseconds
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, decimal.Decimal):
        return value.as_tuple()
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return frozenset((plain(key), plain(item)) for key, item in value.items())
    if isinstance(value, (Set, util.SortedSet)):
        return frozenset(plain(item) for item in value)
    if isinstance(value, (list, tuple, array)):
        return tuple(plain(item) for item in value)
    return value


ADDRESSES = st.builds(
    lambda street, number, since: Address(street=street, Number=number, since=since),
    st.none() | SCALARS["text"],
    st.none() | SCALARS["int"],
    st.none() | MOMENTS,
)
INTS, TEXTS = SCALARS["int"], SCALARS["text"]
LISTS = st.lists(INTS, max_size=4)

COMPOSITES: dict[str, st.SearchStrategy[Any]] = {
    "frozen<list<int>>": LISTS,
    "list<text>": st.lists(TEXTS, min_size=1, max_size=4),
    "set<inet>": st.lists(SCALARS["inet"], min_size=1, max_size=4).map(set),
    "map<uuid, decimal>": st.dictionaries(SCALARS["uuid"], SCALARS["decimal"], min_size=1, max_size=3),
    "map<timeuuid, time>": st.dictionaries(SCALARS["timeuuid"], SCALARS["time"], min_size=1, max_size=3),
    "set<frozen<list<int>>>": st.lists(LISTS.map(tuple), min_size=1, max_size=4).map(set),
    "set<frozen<set<text>>>": st.lists(st.frozensets(TEXTS, max_size=3), min_size=1, max_size=4).map(set),
    "map<frozen<map<int, text>>, frozen<list<frozen<set<int>>>>>": st.dictionaries(
        st.dictionaries(INTS, TEXTS, max_size=2).map(FrozenMap),
        st.lists(st.frozensets(INTS, max_size=2), max_size=2),
        min_size=1,
        max_size=2,
    ),
    "frozen<map<text, frozen<map<int, frozen<list<varint>>>>>>": st.dictionaries(
        TEXTS, st.dictionaries(INTS, st.lists(SCALARS["varint"], max_size=2), max_size=2), max_size=2
    ),
    "tuple<int, text, frozen<list<int>>>": st.tuples(st.none() | INTS, st.none() | TEXTS, st.none() | LISTS),
    "list<frozen<tuple<double, blob>>>": st.lists(st.tuples(SCALARS["double"], st.none() | SCALARS["blob"]), min_size=1, max_size=3),
    "map<frozen<tuple<int, text>>, int>": st.dictionaries(st.tuples(INTS, st.none() | TEXTS), INTS, min_size=1, max_size=3),
    # One that is not frozen and has nothing but nulls is null to the server.
    "address": ADDRESSES.filter(lambda value: any(item is not None for item in value.values())),
    "frozen<address>": ADDRESSES,
    "list<frozen<address>>": st.lists(ADDRESSES, min_size=1, max_size=3),
    "map<int, frozen<address>>": st.dictionaries(INTS, ADDRESSES, min_size=1, max_size=3),
    "tuple<frozen<address>, int>": st.tuples(ADDRESSES, INTS),
}
VECTORS = {
    f"vector<{element}, 3>": vector_of(element, 3)
    for element in ("float", "double", "int", "bigint", "smallint", "tinyint", "date", "time", "uuid", "text", "timestamp", "varint")
}
VECTORS["vector<frozen<list<int>>, 2>"] = st.lists(LISTS, min_size=2, max_size=2)
VECTORS["vector<vector<float, 2>, 2>"] = st.lists(vector_of("float", 2), min_size=2, max_size=2)


def is_readable_by_the_oracle(value: Any) -> bool:
    """It has no class for timestamps beyond Python's years, computes far ones in floats, and negates the smallest decimal
    scale in 32 bits."""
    if isinstance(value, Mapping):
        return all(map(is_readable_by_the_oracle, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_readable_by_the_oracle, value))
    if isinstance(value, decimal.Decimal):
        return value.as_tuple().exponent != 2**31
    if isinstance(value, datetime.datetime):
        return 1700 < value.year < 2240
    return not isinstance(value, Timestamp)


@pytest.mark.parametrize("text", [*SCALARS, *COMPOSITES, *VECTORS])
def test_both_clients_agree(clients: TwoClients, text: str) -> None:
    values = {**SCALARS, **COMPOSITES, **VECTORS}[text]
    table = clients.table(f"v {text}")
    insert = f"INSERT INTO {table} (k, v) VALUES (?, ?)"
    select = f"SELECT v FROM {table} WHERE k = "
    oracle_insert = clients.oracle.prepare(insert)

    @FEW
    @given(st.lists(values, min_size=1, max_size=8))
    def check(values: list[Any]) -> None:
        # By position and by name; then by the oracle, under other keys.
        clients.run(*(clients.session.execute(insert, [k, v] if k % 2 else {"v": v, "k": k}) for k, v in enumerate(values)))
        for k, value in enumerate(values):
            clients.oracle.execute(oracle_insert, (100 + k, to_oracle(value)))
        keys = [*range(len(values)), *range(100, 100 + len(values))]
        unprepared = clients.run(*(clients.session.execute(f"{select}{k}") for k in keys))
        prepared = clients.run(*(clients.session.execute(f"{select}?", [k]) for k in keys))
        for k, value, one, other in zip(keys, values * 2, unprepared, prepared, strict=True):
            expected = _normal(value)
            assert same(one.one()[0], expected), (k, one.one()[0], expected)
            assert same(other.one()[0], expected), (k, other.one()[0], expected)
            if is_readable_by_the_oracle(value):
                assert plain(clients.oracle.execute(f"{select}{k}").one()[0]) == plain(expected)

    check()


def _normal(value: Any) -> Any:
    """What comes back of it: user types as dicts."""
    if isinstance(value, Address):
        return dict(value)
    if type(value) is list:
        return [_normal(item) for item in value]
    if type(value) is tuple:
        return tuple(_normal(item) for item in value)
    if type(value) is dict:
        return {key: _normal(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("text", [*SCALARS, *COMPOSITES, *VECTORS])
def test_null_and_unset(clients: TwoClients, text: str) -> None:
    table = clients.table(f"v {text}")
    value = {**SCALARS, **COMPOSITES, **VECTORS}[text]
    insert = f"INSERT INTO {table} (k, v) VALUES (?, ?)"
    select = f"SELECT v FROM {table} WHERE k = 1"

    @settings(max_examples=1, database=None)
    @given(value)
    def check(value: Any) -> None:
        clients.execute(insert, [1, value])
        clients.execute(insert, {"k": 1, "v": UNSET})
        assert same(clients.execute(select).one()[0], _normal(value))
        clients.execute(insert, [1, None])
        assert clients.execute(select).one()[0] is None
        assert clients.oracle.execute(select).one()[0] is None

    check()
