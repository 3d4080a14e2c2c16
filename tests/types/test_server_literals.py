"""The server's own reading: CQL literals that it parsed and we read; values that we wrote and it prints as JSON."""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import uuid
from array import array
from typing import Any

import pytest
from conftest import TwoClients
from cql_values import UTC, same

from acsylla_like.types import Date, Duration, FrozenMap, Time, Timestamp

ONE = uuid.UUID("a4fda222-e551-11f1-a7ec-02fc00000001")

# Type, literal, and the value that it is.
CASES: list[tuple[str, str, Any]] = [
    ("ascii", "'plain'", "plain"),
    ("ascii", "''", ""),
    ("bigint", "-9223372036854775808", -(2**63)),
    ("blob", "0x", b""),
    ("blob", "0x00ff", b"\x00\xff"),
    ("boolean", "true", True),
    ("boolean", "false", False),
    ("date", "'1970-01-01'", datetime.date(1970, 1, 1)),
    ("date", "'2024-02-29'", datetime.date(2024, 2, 29)),
    ("date", "0", Date(-(2**31))),
    ("date", "4294967295", Date(2**31 - 1)),
    ("decimal", "1E-7", decimal.Decimal("1E-7")),
    ("decimal", "1E+300", decimal.Decimal("1E+300")),
    ("decimal", "-12.340", decimal.Decimal("-12.340")),
    ("decimal", "1." + "7" * 199, decimal.Decimal("1." + "7" * 199)),
    ("double", "0.1", 0.1),
    ("double", "-1.5e300", -1.5e300),
    ("duration", "1y2mo3w4d5h6m7s8ms9us10ns", Duration(14, 25, 18_367_008_009_010)),
    ("duration", "-1mo1d1ns", Duration(-1, -1, -1)),
    ("float", "1.5", 1.5),
    ("inet", "'127.0.0.1'", ipaddress.ip_address("127.0.0.1")),
    ("inet", "'2001:db8::1'", ipaddress.ip_address("2001:db8::1")),
    ("int", "-2147483648", -(2**31)),
    ("smallint", "-32768", -32768),
    ("text", "''", ""),
    ("text", "'Grüße, 世界 🌍 it''s'", "Grüße, 世界 🌍 it's"),
    ("time", "'08:12:54.123456789'", Time(8, 12, 54, nanosecond=123_456_789)),
    ("time", "'23:59:59.999999999'", Time.max),
    ("timestamp", "'2024-02-29T01:02:03.004+0000'", datetime.datetime(2024, 2, 29, 1, 2, 3, 4000, UTC)),
    ("timestamp", "'1969-12-31T23:59:59.999+0000'", datetime.datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)),
    ("timestamp", "-9223372036854775808", Timestamp(-(2**63))),
    ("timestamp", "9223372036854775807", Timestamp(2**63 - 1)),
    ("timestamp", "253402300800000", Timestamp(253_402_300_800_000)),
    ("timeuuid", str(ONE), ONE),
    ("tinyint", "-128", -128),
    ("uuid", "00000000-0000-4000-8000-000000000001", uuid.UUID("00000000-0000-4000-8000-000000000001")),
    ("varint", "-170141183460469231731687303715884105729", -(2**127) - 1),
    ("varint", "1" + "0" * 9_999, 10**9_999),
    ("frozen<list<int>>", "[]", []),
    ("list<int>", "[1, 2]", [1, 2]),
    ("set<text>", "{'b', 'a'}", {"a", "b"}),
    ("map<text, frozen<list<frozen<set<int>>>>>", "{'a': [{1}, {}]}", {"a": [frozenset({1}), frozenset()]}),
    ("set<frozen<list<int>>>", "{[1, 2], []}", {(1, 2), ()}),
    ("map<frozen<map<int, text>>, int>", "{{1: 'a'}: 2}", {FrozenMap({1: "a"}): 2}),
    ("set<frozen<tuple<int, text>>>", "{(1, null)}", {(1, None)}),
    ("tuple<int, text>", "(1, null)", (1, None)),
    ("tuple<int, text>", "(null, 'a')", (None, "a")),
    ("address", "{street: 'a'}", {"street": "a", "Number": None, "since": None}),
    ("frozen<address>", "{street: 'a', \"Number\": 5}", {"street": "a", "Number": 5, "since": None}),
    ("set<frozen<address>>", "{{street: 'a'}}", {FrozenMap({"street": "a", "Number": None, "since": None})}),
    ("vector<float, 3>", "[1, 2.5, -3]", array("f", [1, 2.5, -3])),
    ("vector<double, 2>", "[0.1, -1e300]", array("d", [0.1, -1e300])),
    ("vector<int, 2>", "[1, -2147483648]", array("i", [1, -(2**31)])),
    ("vector<bigint, 2>", "[1, -9223372036854775808]", array("q", [1, -(2**63)])),
    ("vector<smallint, 2>", "[1, -32768]", array("h", [1, -32768])),
    ("vector<tinyint, 2>", "[1, -128]", array("b", [1, -128])),
    ("vector<date, 2>", "['1970-01-01', '2024-02-29']", [datetime.date(1970, 1, 1), datetime.date(2024, 2, 29)]),
    ("vector<time, 1>", "['00:00:00.000000001']", [Time(nanosecond=1)]),
    ("vector<timestamp, 1>", "[0]", [datetime.datetime(1970, 1, 1, tzinfo=UTC)]),
    ("vector<uuid, 1>", f"[{ONE}]", [ONE]),
    ("vector<timeuuid, 1>", f"[{ONE}]", [ONE]),
    ("vector<boolean, 2>", "[true, false]", [True, False]),
    ("vector<text, 2>", f"['{'a' * 300}', '']", ["a" * 300, ""]),
    ("vector<blob, 1>", "[0x]", [b""]),
    ("vector<inet, 1>", "['::1']", [ipaddress.ip_address("::1")]),
    ("vector<decimal, 1>", "[1.50]", [decimal.Decimal("1.50")]),
    ("vector<varint, 2>", "[0, 128]", [0, 128]),
    ("vector<duration, 1>", "[1mo]", [Duration(1)]),
    ("vector<frozen<list<int>>, 2>", "[[1], []]", [[1], []]),
    ("vector<frozen<tuple<int, text>>, 1>", "[(1, null)]", [(1, None)]),
    ("vector<frozen<address>, 1>", "[{street: 'a'}]", [{"street": "a", "Number": None, "since": None}]),
    ("vector<vector<float, 2>, 2>", "[[1, 2], [3, 4]]", [array("f", [1, 2]), array("f", [3, 4])]),
    ("vector<vector<text, 1>, 1>", "[['a']]", [["a"]]),
]


@pytest.fixture(scope="module")
def tables(clients: TwoClients) -> dict[str, str]:
    """A table with a column `v` for each type."""
    return {text: clients.table(f"v {text}") for text in dict.fromkeys(text for text, _, _ in CASES)}


@pytest.mark.parametrize(("text", "literal", "value"), CASES, ids=[f"{text} {literal[:30]}" for text, literal, _ in CASES])
def test_the_server_reads_what_we_mean(clients: TwoClients, tables: dict[str, str], text: str, literal: str, value: Any) -> None:
    table = tables[text]
    clients.execute(f"INSERT INTO {table} (k, v) VALUES (1, {literal})")
    clients.execute(f"INSERT INTO {table} (k, v) VALUES (?, ?)", [2, value])
    clients.execute(f"INSERT INTO {table} (k, v) VALUES (:k, :v)", {"v": value, "k": 3})
    result = clients.execute(f"SELECT k, v, toJson(v) AS json FROM {table}")
    rows = {row.k: row for row in result}
    assert rows.keys() == {1, 2, 3}
    for row in rows.values():
        assert same(row.v, value)
        assert row.json == rows[1].json


def test_columns_tell_their_types(clients: TwoClients, tables: dict[str, str]) -> None:
    for text, table in tables.items():
        (column,) = clients.execute(f"SELECT v FROM {table}").columns
        assert str(column.type) in (text, text.removeprefix("frozen<").removesuffix(">"))
