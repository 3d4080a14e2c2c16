"""Values as acsylla's users bind and read them, prepared or not, in columns and within collections."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address

import pytest

import acsylla_like.compat as acsylla
from acsylla_like._native import parse_type
from acsylla_like.compat.values import bindable, reader
from acsylla_like.types import Date, Duration, FrozenMap, Time, Timestamp

UTC = datetime.timezone.utc
A_UUID = "3cd1a00b-7bee-11ed-aff2-510dcc4598b0"
NOON = datetime.datetime(2022, 12, 14, 12, 0, 1, 789000, tzinfo=UTC)

# CQL type -> what is bound, what is read without native_types, and with them
VALUES = {
    "ascii": [(12, "12", "12"), (b"abc", "abc", "abc")],
    "bigint": [("-9223372036854775808", -(2**63), -(2**63)), (12.9, 12, 12)],
    "blob": [(b"\x00\xff", b"\x00\xff", b"\x00\xff")],
    "boolean": [(1, True, True), (False, False, False)],
    "date": [
        ("2022-12-14 18:34", datetime.date(2022, 12, 14), "2022-12-14"),
        (datetime.datetime(1, 2, 3, 4), datetime.date(1, 2, 3), "0001-02-03"),
        (1671036203.6, datetime.date(2022, 12, 14), "2022-12-14"),
        (-1, datetime.date(1969, 12, 31), "1969-12-31"),
        (Date(4_000_000), Date(4_000_000), "12921-08-18"),
    ],
    "decimal": [
        (
            "3.14159265358979311599796346854418516",
            Decimal("3.14159265358979311599796346854418516"),
            "3.14159265358979311599796346854418516",
        ),
        (-1.5, Decimal("-1.5"), "-1.5"),
        (Decimal("1E+3"), Decimal("1E+3"), "1000"),
    ],
    "double": [("123.5", 123.5, 123.5)],
    "duration": [
        ("-1y2mo297d544h5m10s60ms634us3ns", "-1y2mo297d544h5m10s60ms634us3ns", (-14, -297, -1958710060634003)),
        (datetime.timedelta(days=-1, seconds=-5), "-1d5s", (0, -1, -5_000_000_000)),
        ((0, 0, 1), "1ns", (0, 0, 1)),
        (Duration(1, 2, 3), "1mo2d3ns", (1, 2, 3)),
    ],
    "float": [(3, 3.0, 3.0)],
    "inet": [(IPv4Address("127.0.0.1"), "127.0.0.1", "127.0.0.1"), ("::1", "::1", "::1"), (IPv6Address("::2"), "::2", "::2")],
    "int": [("-2147483648", -(2**31), -(2**31))],
    "smallint": [(1.9, 1, 1)],
    "text": [(datetime.date(1, 2, 3), "0001-02-03", "0001-02-03"), ("é", "é", "é")],
    "time": [
        (86300.999999999, datetime.time(23, 58, 20, 999999), "23:58:20.999999999"),
        ("12:24", datetime.time(12, 24), "12:24:00.000000000"),
        ("12:24:00.123456789", datetime.time(12, 24, 0, 123456), "12:24:00.123456789"),
        (NOON.time(), datetime.time(12, 0, 1, 789000), "12:00:01.789000000"),
        (datetime.time(12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))), datetime.time(10), "10:00:00.000000000"),
        (Time(1, nanosecond=7), datetime.time(1), "01:00:00.000000007"),
    ],
    "timestamp": [
        (NOON.replace(tzinfo=None, microsecond=789999), NOON, "2022-12-14 12:00:01.789Z"),
        ("2022-12-14 14:00:01.789+02:00", NOON, "2022-12-14 12:00:01.789Z"),
        (1671019201.789, NOON, "2022-12-14 12:00:01.789Z"),
        (-0.0015, datetime.datetime(1969, 12, 31, 23, 59, 59, 998000, tzinfo=UTC), "1969-12-31 23:59:59.998Z"),
        (Timestamp(253402300800000 + 1), Timestamp(253402300800001), "10000-01-01 00:00:00.001Z"),
    ],
    "timeuuid": [(A_UUID, A_UUID, A_UUID)],
    "tinyint": [("127", 127, 127)],
    "uuid": [(uuid.UUID(A_UUID), A_UUID, A_UUID)],
    "varint": [
        (b"9223372036854775807", b"9223372036854775807", b"9223372036854775807"),
        (-129, b"\xff\x7f", b"\xff\x7f"),
        (0, b"\0", b"\0"),
    ],
}
CASES = [(cql_type, *case) for cql_type, cases in VALUES.items() for case in cases]

REFUSED = [
    ("ascii", "é", UnicodeEncodeError),
    ("bigint", 2**63, OverflowError),
    ("blob", "text", ValueError),
    ("boolean", "yes", ValueError),
    ("boolean", 2, ValueError),
    ("date", "no date", ValueError),
    ("decimal", "1.2.3", ValueError),
    ("decimal", "NaN", ValueError),
    ("duration", 5, ValueError),
    ("duration", "soon", ValueError),
    ("duration", (1, -1, 0), ValueError),
    ("inet", 1234, ValueError),
    ("int", "1.5", ValueError),
    ("int", 2**31, OverflowError),
    ("list<int>", "12", ValueError),
    ("list<int>", [1, "x"], ValueError),
    ("map<text, int>", {"a": "b"}, ValueError),
    ("smallint", -32769, OverflowError),
    ("time", datetime.date(2000, 1, 1), TypeError),
    ("time", 90_000, ValueError),
    ("time", 10**20, OverflowError),
    ("timestamp", "then", ValueError),
    ("tinyint", 128, OverflowError),
    ("tuple<int, int>", (1, 2, 3), ValueError),
    ("uuid", 1234, ValueError),
    ("varint", "1234", ValueError),
]


@pytest.mark.parametrize(("cql_type", "value", "error_class"), REFUSED)
def test_values_that_do_not_fit(cql_type, value, error_class):
    with pytest.raises(error_class):
        bindable(parse_type(cql_type), value)


@pytest.fixture(scope="module")
def columns() -> str:
    return ", ".join(f"c_{name} {name}" for name in VALUES)


@pytest.fixture
async def table(session, columns):
    await session.execute(acsylla.create_statement(f"CREATE TABLE IF NOT EXISTS all_types (id int PRIMARY KEY, {columns})"))
    return session


@pytest.mark.parametrize("is_prepared", [True, False])
@pytest.mark.parametrize(("cql_type", "value", "read", "native"), CASES)
async def test_a_value_there_and_back(table, is_prepared, cql_type, value, read, native):
    insert = f"INSERT INTO all_types (id, c_{cql_type}) VALUES (?, ?)"
    statement = (await table.create_prepared(insert)).bind([1, value]) if is_prepared else table.query(insert, [1, value])
    await table.execute(statement)
    select = acsylla.create_statement(f"SELECT c_{cql_type} FROM all_types WHERE id = 1")
    found = (await table.execute(select)).first()[0]
    assert (found, type(found)) == (read, type(read))
    found = (await table.execute(select, native_types=True)).first()[0]
    assert (found, type(found)) == (native, type(native))


NESTED = [
    ("list<frozen<set<uuid>>>", [[A_UUID]], [frozenset([A_UUID])]),
    ("set<frozen<list<inet>>>", [["::1"]], {("::1",)}),
    ("map<uuid, varint>", {uuid.UUID(A_UUID): b"\x05"}, {A_UUID: b"\x05"}),
    ("map<frozen<tuple<uuid, int>>, duration>", {(A_UUID, "5"): "3d"}, {(A_UUID, 5): "3d"}),
    ("tuple<inet, text, uuid>", ("::1", 5), ("::1", "5", None)),
    ("frozen<pair>", {"a": A_UUID}, {"a": A_UUID, "b": None}),
    ("frozen<pair>", [A_UUID, "12"], {"a": A_UUID, "b": 12}),
    ("set<frozen<pair>>", [{"a": A_UUID, "b": 1}], {FrozenMap({"a": A_UUID, "b": 1})}),
    ("list<int>", ("1", 2.0), [1, 2]),
    ("map<text, int>", [("a", 1)], {"a": 1}),
    ("vector<float, 2>", [1.0, 2.0], [1.0, 2.0]),
]


@pytest.mark.parametrize(("cql_type", "value", "read"), NESTED)
async def test_values_of_values(session, cql_type, value, read):
    await session.execute(acsylla.create_statement("CREATE TYPE IF NOT EXISTS pair (a uuid, b int)"))
    await session.execute(acsylla.create_statement("DROP TABLE IF EXISTS nested"))
    await session.execute(acsylla.create_statement(f"CREATE TABLE nested (id int PRIMARY KEY, v {cql_type})"))
    insert = await session.create_prepared("INSERT INTO nested (id, v) VALUES (?, ?)")
    await insert([1, value])
    found = (await session.query("SELECT v FROM nested")).first()[0]
    assert (list(found) if "vector" in cql_type else found) == read
    await insert([2, found])  # what is read can be bound again
    await insert([3, None])
    rows = {row.id: row.v for row in await session.query("SELECT id, v FROM nested")}
    assert rows[2] == found
    assert rows[3] is None


async def test_a_field_that_a_user_type_does_not_have(session):
    await session.execute(acsylla.create_statement("CREATE TYPE IF NOT EXISTS pair (a uuid, b int)"))
    await session.execute(acsylla.create_statement("CREATE TABLE IF NOT EXISTS of_pairs (id int PRIMARY KEY, v pair)"))
    insert = await session.create_prepared("INSERT INTO of_pairs (id, v) VALUES (?, ?)")
    with pytest.raises(acsylla.errors.CassErrorLibNameDoesNotExist, match="no field 'c', but a, b"):
        insert([1, {"c": 5}])
    with pytest.raises(ValueError, match="at most 2 fields"):
        insert([1, [A_UUID, 1, 2]])


def test_nothing_is_converted_where_the_values_are_the_same():
    for text in ("int", "list<text>", "map<int, text>", "frozen<tuple<int, text>>"):
        assert reader(parse_type(text), False) is None


@pytest.mark.parametrize("value", [0, 1, -1, 127, 128, -128, -129, 255, 256, 2**64, -(2**63)])
def test_the_bytes_of_a_varint_are_the_shortest(value):
    data = reader(parse_type("varint"), False)(value)
    assert int.from_bytes(data, "big", signed=True) == value
    assert parse_type("varint").encode(value) == data
