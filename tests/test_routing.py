"""Tokens as the server computes them, for keys of every type, and the shards that own them."""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import random
import struct
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import acsylla_like
from acsylla_like._native import parse_type
from acsylla_like.key_order import in_order
from acsylla_like.routing import routing_key_of, shard_of, token_of
from acsylla_like.testing import _ring
from acsylla_like.types import Date, Time, Timestamp

LOWEST, HIGHEST = -(2**63), 2**63 - 1

# How many keys of each type the server is asked for.
KEYS = 10_000

Random = random.Random
Make = Callable[[Random], Any]


def signed(bits: int) -> Make:
    top = 1 << (bits - 1)
    return lambda rnd: rnd.choice((0, 1, -1, top - 1, -top)) if rnd.random() < 0.01 else rnd.randrange(-top, top)


def text(rnd: Random) -> str:
    # Also characters of two, three and four bytes, whose bytes are negative to Java.
    alphabet = rnd.choice(("abc DEF 123", "äöüß", "水火木金土", "🙂🐍", "\x00\x7f"))
    return "".join(rnd.choice(alphabet) for _ in range(rnd.randrange(1, 40)))


def number_of_any_size(rnd: Random) -> int:
    return rnd.choice((1, -1)) * rnd.getrandbits(rnd.choice((1, 7, 8, 31, 64, 65, 300)))


def any_float(rnd: Random) -> float:
    return rnd.choice((0.0, -0.0, float("inf"), float("-inf"))) if rnd.random() < 0.01 else struct.unpack("d", rnd.randbytes(8))[0]


def single_float(rnd: Random) -> float:
    return struct.unpack("f", rnd.randbytes(4))[0]


def uuid1(rnd: Random) -> uuid.UUID:
    return uuid.UUID(int=rnd.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | 1 << 76 | 2 << 62)


def address(rnd: Random) -> Any:
    if rnd.random() < 0.5:
        return ipaddress.IPv4Address(rnd.getrandbits(32))
    return ipaddress.IPv6Address(rnd.getrandbits(128) | 1 << 127)


def several(make: Make, most: int = 5) -> Make:
    return lambda rnd: [make(rnd) for _ in range(rnd.randrange(most + 1))]


def or_none(make: Make) -> Make:
    return lambda rnd: None if rnd.random() < 0.1 else make(rnd)


def of(*makes: Make) -> Make:
    return lambda rnd: tuple(make(rnd) for make in makes)


def mapped(keys: Make, values: Make) -> Make:
    return lambda rnd: {keys(rnd): values(rnd) for _ in range(rnd.randrange(5))}


PLAIN: dict[str, Make] = {
    "ascii": lambda rnd: rnd.randbytes(rnd.randrange(1, 30)).hex(),
    "bigint": signed(64),
    "blob": lambda rnd: rnd.randbytes(rnd.randrange(1, 70)),
    "boolean": lambda rnd: rnd.random() < 0.5,
    "date": lambda rnd: Date(rnd.randrange(-(2**31), 2**31)),
    "decimal": lambda rnd: decimal.Decimal(number_of_any_size(rnd)).scaleb(rnd.randrange(-20, 20), decimal.Context(prec=400)),
    "double": any_float,
    "float": single_float,
    "inet": address,
    "int": signed(32),
    "smallint": signed(16),
    "text": text,
    "time": lambda rnd: Time.from_nanosecond_of_day(rnd.randrange(86_400_000_000_000)),
    "timestamp": lambda rnd: Timestamp(rnd.randrange(-(2**63), 2**63)),
    "timeuuid": uuid1,
    "tinyint": signed(8),
    "uuid": lambda rnd: uuid.UUID(int=rnd.getrandbits(128)),
    "varint": number_of_any_size,
}


def person(rnd: Random) -> dict[str, Any]:
    return {"name": or_none(text)(rnd), "numbers": several(PLAIN["int"])(rnd), "born": or_none(PLAIN["date"])(rnd)}


# The columns of the key, and what makes them.
KEY_TYPES: dict[str, list[Make]] = {
    **{name: [make] for name, make in PLAIN.items()},
    **{f"frozen<set<{name}>>": [several(make)] for name, make in PLAIN.items()},
    "frozen<list<bigint>>": [several(PLAIN["bigint"])],
    "frozen<map<text, double>>": [mapped(text, any_float)],
    "frozen<map<uuid, frozen<set<varint>>>>": [mapped(PLAIN["uuid"], several(number_of_any_size))],
    "frozen<set<frozen<list<text>>>>": [several(of(text, text))],
    "frozen<set<frozen<set<int>>>>": [lambda rnd: [frozenset(several(PLAIN["int"])(rnd)) for _ in range(rnd.randrange(4))]],
    "frozen<set<frozen<tuple<int, text>>>>": [several(of(or_none(PLAIN["int"]), or_none(text)))],
    "frozen<tuple<int, text, frozen<set<text>>>>": [of(or_none(PLAIN["int"]), or_none(text), or_none(several(text)))],
    "frozen<person>": [person],
    "frozen<list<frozen<person>>>": [several(person, 2)],
    "vector<float, 3>": [of(single_float, single_float, single_float)],
    "int, text": [PLAIN["int"], lambda rnd: rnd.choice(("", text(rnd)))],
    "blob, uuid, frozen<set<int>>": [lambda rnd: rnd.randbytes(rnd.choice((0, 1, 300))), PLAIN["uuid"], several(PLAIN["int"])],
    "text, text": [lambda rnd: "", lambda rnd: rnd.choice(("", text(rnd)))],
}


def columns_of(types: str) -> list[str]:
    """`int, frozen<map<int, text>>` has two."""
    found, depth = [""], 0
    for letter in types:
        depth += (letter == "<") - (letter == ">")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [column.strip() for column in found]


@pytest.mark.parametrize("types", KEY_TYPES)
async def test_tokens_agree_with_the_servers(session: acsylla_like.Session, keyspace: str, types: str) -> None:
    makes = KEY_TYPES[types]
    names = [f"k{i}" for i in range(len(makes))]
    key = ", ".join(names)
    await session.execute("CREATE TYPE IF NOT EXISTS person (name text, numbers frozen<set<int>>, born date)")
    table = f"keys_{list(KEY_TYPES).index(types)}"
    columns = ", ".join(f"{name} {column}" for name, column in zip(names, columns_of(types), strict=True))
    await session.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY (({key})))")
    insert = await session.create_prepared(f"INSERT INTO {table} ({key}) VALUES ({', '.join('?' * len(names))})")
    rnd = Random(types)
    rows = [[make(rnd) for make in makes] for _ in range(KEYS)]
    ours = {}
    for row in rows:
        parts = []
        for parameter, value in zip(insert.parameters, row, strict=True):
            data = parameter.type.encode(value)
            assert data is not None
            parts.append(in_order(parameter.type, data))
        ours[token_of(parts)] = row
    await session.execute_many(insert, rows)
    theirs = {row[0] async for row in session.stream(f"SELECT token({key}) FROM {table}")}
    await session.execute(f"DROP TABLE {table}")
    assert len(theirs) > min(KEYS / 50, 1)
    assert theirs == ours.keys(), [ours[token] for token in ours.keys() - theirs][:5]


# ---- without a server


@given(st.binary(max_size=100))
def test_tokens_are_those_of_the_facade(key: bytes) -> None:
    assert token_of(key or b"x") == _ring.murmur3_token(key or b"x")
    assert token_of([key, key]) == _ring.murmur3_token(_ring.partition_key([key, key]))


def test_a_key_of_one_column_is_its_bytes_and_of_several_each_with_length_and_end() -> None:
    assert routing_key_of(b"abc") == routing_key_of([b"abc"]) == routing_key_of((bytearray(b"abc"),)) == b"abc"
    assert routing_key_of([b"abc", b""]) == b"\0\3abc\0\0\0\0"
    assert routing_key_of([b"x" * 0xFFFF, memoryview(b"y")]) == b"\xff\xff" + b"x" * 0xFFFF + b"\0\0\1y\0"
    assert token_of([b"abc", b""]) == token_of(b"\0\3abc\0\0\0\0")


def test_the_empty_key_is_at_the_start_of_the_ring() -> None:
    assert token_of(b"") == LOWEST


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ("abc", TypeError, "bytes or a sequence of bytes, not str"),
        (None, TypeError, "not NoneType"),
        (5, TypeError, "not int"),
        ({b"a": 1}, TypeError, "not dict"),
        ([b"a", "b"], TypeError, "part 1 of the partition key must be bytes, not str"),
        ([b"a", None], TypeError, "part 1 .* NoneType"),
        ([], ValueError, "one column at least"),
        ([b"a", b"x" * 0x10000], ValueError, "part 1 of the partition key has 65536 bytes"),
    ],
)
def test_what_is_no_partition_key_is_refused(key: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        token_of(key)


def test_shards_are_those_of_the_formula() -> None:
    rnd = Random(5)
    for _ in range(2000):
        token = rnd.choice((LOWEST, HIGHEST, 0, -1, rnd.randrange(LOWEST, HIGHEST + 1)))
        shards, ignored = rnd.choice((1, 2, 3, 7, 16, 255, 2**32 - 1)), rnd.choice((0, 1, 12, 63))
        expected = ((token + 2**63 << ignored) % 2**64) * shards >> 64
        assert shard_of(token, shards, ignored) == expected


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((2**63, 4, 12), ValueError, f"token must be between {LOWEST} and {HIGHEST}"),
        ((0, 0, 12), ValueError, "nr_shards must be between 1"),
        ((0, -1, 12), ValueError, "nr_shards must be between 1"),
        ((0, 4, 64), ValueError, "ignore_msb must be between 0 and 63"),
        ((0, 4, -1), ValueError, "ignore_msb must be between 0 and 63"),
        ((0.5, 4, 12), TypeError, "token must be an int, not float"),
        ((0, True, 12), TypeError, "nr_shards must be an int, not bool"),
    ],
)
def test_shard_of_refuses_what_no_node_says(arguments: tuple[Any, ...], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        shard_of(*arguments)


# ---- the order of sets and maps


@pytest.mark.parametrize(
    ("cql_type", "members", "expected"),
    [
        ("set<int>", [3, -1, 0, 3], [-1, 0, 3]),
        ("set<text>", ["b", "", "ä", "a"], ["", "a", "b", "ä"]),
        ("set<double>", [float("nan"), 1.0, -0.0, 0.0, float("-inf")], [float("-inf"), -0.0, 0.0, 1.0, float("nan")]),
        ("set<varint>", [2**70, -(2**70), 1], [-(2**70), 1, 2**70]),
        ("set<boolean>", [True, False], [False, True]),
        ("set<date>", [datetime.date(1970, 1, 2), datetime.date(1969, 1, 1)], [datetime.date(1969, 1, 1), datetime.date(1970, 1, 2)]),
    ],
)
def test_members_are_sorted_as_the_server_sorts_them(cql_type: str, members: list[Any], expected: list[Any]) -> None:
    made = parse_type(cql_type)
    data = made.encode(members)
    assert data is not None
    assert in_order(made, data) == parse_type(cql_type.replace("set", "list")).encode(expected)


def test_decimals_are_compared_by_value_and_of_equal_ones_the_first_stays() -> None:
    made = parse_type("set<decimal>")
    numbers = [decimal.Decimal(text) for text in ("1.0", "-2", "1.00", "1E+2000000000", "0", "-1E+2000000000", "0.5", "0.0", "-0.1")]
    data = made.encode(numbers)
    assert data is not None
    expected = [decimal.Decimal(text) for text in ("-1E+2000000000", "-2", "-0.1", "0", "0.5", "1.0", "1E+2000000000")]
    assert in_order(made, data) == parse_type("list<decimal>").encode(expected)


def test_only_types_with_sets_or_maps_have_an_order() -> None:
    user_types = {"p": {"tags": "set<text>"}, "q": {"name": "text"}}
    for text, expected in (
        ("int", False),
        ("list<text>", False),
        ("set<text>", True),
        ("list<frozen<map<int, int>>>", True),
        ("tuple<int, frozen<set<int>>>", True),
        ("p", True),
        ("frozen<p>", True),
        ("frozen<q>", False),
        ("vector<float, 2>", False),
    ):
        assert parse_type(text, keyspace="ks", user_types=user_types).has_order is expected, text


def test_cut_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        in_order(parse_type("set<int>"), b"\0\0\0\1\0\0\0\4\0")
