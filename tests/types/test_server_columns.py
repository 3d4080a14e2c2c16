"""Values in columns of every sort, and what happens at the edges of the server and of the driver."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
from typing import Any

import pytest
from conftest import TwoClients
from cql_values import UTC

import acsylla_like
from acsylla_like import UNSET
from acsylla_like.types import Duration, Time


def test_counters(clients: TwoClients) -> None:
    clients.execute("CREATE TABLE counters (k int PRIMARY KEY, n counter)")
    clients.execute("UPDATE counters SET n = n + ? WHERE k = 1", [2**62])
    clients.execute("UPDATE counters SET n = n - ? WHERE k = 1", [5])
    assert clients.execute("SELECT n FROM counters").one()[0] == 2**62 - 5
    with pytest.raises(OverflowError, match=r'column "n" \((bigint|counter)\): expected an int from'):
        clients.execute("UPDATE counters SET n = n + ? WHERE k = 1", [2**63])


def test_static_and_reversed_columns(clients: TwoClients) -> None:
    clients.execute(
        "CREATE TABLE reversed (k int, t timestamp, d decimal, s set<text> static, v text, PRIMARY KEY (k, t, d)) "
        "WITH CLUSTERING ORDER BY (t DESC, d ASC)"
    )
    moments = [datetime.datetime(2000, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    clients.execute("INSERT INTO reversed (k, s) VALUES (?, ?)", [1, {"a"}])
    insert = "INSERT INTO reversed (k, t, d, v) VALUES (?, ?, ?, ?)"
    clients.run(*(clients.session.execute(insert, [1, t, decimal.Decimal("1.0"), "x"]) for t in moments))
    rows = clients.execute("SELECT * FROM reversed WHERE k = ?", [1]).all()
    assert [row.t for row in rows] == moments[::-1]
    assert all(row.s == {"a"} for row in rows)
    assert str(clients.execute("SELECT t FROM reversed").columns[0].type) == "timestamp"
    found = clients.execute("SELECT v FROM reversed WHERE k = ? AND t = ? AND d = ?", [1, moments[1], decimal.Decimal("1.0")])
    assert found.one()[0] == "x"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("frozen<list<int>>", [1, 2]),
        ("frozen<map<text, int>>", {"a": 1}),
        ("frozen<address>", {"street": "a", "Number": None, "since": None}),
        ("frozen<tuple<int, text>>", (1, None)),
        ("vector<float, 2>", [1.0, 2.0]),
        ("timestamp", datetime.datetime(2000, 1, 1, tzinfo=UTC)),
        ("time", Time(1, 2, 3, nanosecond=4)),
        ("decimal", decimal.Decimal("-1.50")),
        ("varint", 10**30),
        ("blob", b"\0"),
        ("boolean", False),
    ],
)
def test_values_find_their_rows_as_partition_keys(clients: TwoClients, text: str, key: Any) -> None:
    table = "keys_" + "".join(letter if letter.isalnum() else "_" for letter in text)
    clients.execute(f"CREATE TABLE {table} (k {text} PRIMARY KEY, v int)")
    clients.execute(f"INSERT INTO {table} (k, v) VALUES (?, 1)", [key])
    assert clients.execute(f"SELECT v FROM {table} WHERE k = ?", [key]).one()[0] == 1


def test_parts_of_collections(clients: TwoClients) -> None:
    clients.execute("CREATE TABLE parts (k int PRIMARY KEY, l list<int>, s set<text>, m map<text, frozen<list<int>>>, u address)")
    clients.execute("INSERT INTO parts (k, l, s, m) VALUES (1, [1], {'a'}, {'a': [1]})")
    clients.execute("UPDATE parts SET l = l + ?, s = s + ?, m = m + ? WHERE k = 1", [[2], {"b"}, {"b": []}])
    clients.execute("UPDATE parts SET m[?] = ?, l[?] = ?, u.street = ? WHERE k = 1", ["c", [3], 0, 9, "x"])
    row = clients.execute("SELECT l, s, m, u FROM parts").one()
    assert row.as_tuple() == ([9, 2], {"a", "b"}, {"a": [1], "b": [], "c": [3]}, {"street": "x", "Number": None, "since": None})
    clients.execute("UPDATE parts SET s = s - ?, l = ?, m = ? WHERE k = 1", [{"a", "b"}, [], {}])
    assert clients.execute("SELECT l, s, m FROM parts").one().as_tuple() == (None, None, None)
    assert clients.execute("SELECT k FROM parts WHERE k IN ?", [[1, 2]]).one()[0] == 1


def test_a_user_type_with_a_new_field(clients: TwoClients) -> None:
    clients.execute("CREATE TYPE growing (a int)")
    clients.execute("CREATE TABLE grown (k int PRIMARY KEY, f frozen<growing>, l list<frozen<growing>>)")
    insert = "INSERT INTO grown (k, f, l) VALUES (?, ?, ?)"
    clients.execute(insert, [1, {"a": 1}, [{"a": 2}]])
    clients.execute("ALTER TYPE growing ADD b text")
    assert clients.execute("SELECT f, l FROM grown WHERE k = 1").one().as_tuple() in (
        ({"a": 1, "b": None}, [{"a": 2, "b": None}]),
        ({"a": 1}, [{"a": 2}]),
    )
    clients.execute("INSERT INTO grown (k, f) VALUES (2, {a: 1, b: 'x'})")
    assert clients.execute("SELECT f FROM grown WHERE k = 2").one()[0]["a"] == 1
    clients.execute(insert, [3, {"a": 3}, [{"a": 4}]])
    assert clients.execute("SELECT f FROM grown WHERE k = 3").one()[0]["a"] == 3


@dataclasses.dataclass(frozen=True)
class Place:
    street: str | None
    Number: int | None = None


def test_a_registered_class(clients: TwoClients, keyspace: str) -> None:
    clients.session.register_user_type(keyspace, "address", Place)
    try:
        table = clients.table("f frozen<address>", "s set<frozen<address>>")
        clients.execute(f"INSERT INTO {table} (k, f, s) VALUES (?, ?, ?)", [1, Place("a", 1), {Place("b"), Place("c")}])
        row = clients.execute(f"SELECT f, s FROM {table}").one()
        assert row.as_tuple() == (Place("a", 1), {Place("b"), Place("c")})
    finally:
        clients.session.register_user_type(keyspace, "address", dict)


def test_a_bind_error_names_everything_and_leaves_the_statement_usable(clients: TwoClients) -> None:
    table = clients.table("v map<text, frozen<list<int>>>", "n int")
    (insert,) = clients.run(clients.session.create_prepared(f"INSERT INTO {table} (k, v, n) VALUES (?, ?, ?)"))
    with pytest.raises(TypeError) as caught:
        clients.execute(insert, [1, {"a": [1, "x"]}, 2])
    assert str(caught.value) == (
        "column \"v\" (map<text, frozen<list<int>>>): value of key 'a': item 1: expected an int, got str 'x', in dict {'a': [1, 'x']}"
    )
    with pytest.raises(OverflowError, match=r'^column "n" \(int\): expected an int from -2147483648 to 2147483647, got int of 33220 bits$'):
        clients.execute(insert, {"k": 1, "v": UNSET, "n": 10**10_000})
    with pytest.raises(TypeError, match=r'^column "n" \(int\): expected an int, got bool True$'):
        clients.execute(insert, [1, UNSET, True])
    clients.execute(insert, [1, {"a": [1]}, 2])
    assert clients.execute(f"SELECT v, n FROM {table}").one().as_tuple() == ({"a": [1]}, 2)


def test_durations_and_times_the_server_refuses_are_refused_here(clients: TwoClients) -> None:
    table = clients.table("d duration", "t time")
    with pytest.raises(ValueError, match="same sign"):
        clients.execute(f"INSERT INTO {table} (k, d) VALUES (1, ?)", [Duration(1, -1, 0)])
    with pytest.raises(OverflowError, match="86399999999999"):
        clients.execute(f"INSERT INTO {table} (k, t) VALUES (1, ?)", [86_400_000_000_000])


def test_a_blob_beyond_the_servers_limit_is_the_servers_error(clients: TwoClients) -> None:
    table = clients.table("v blob")
    with pytest.raises(acsylla_like.Error, match=r"exceeds (maximum allowed|allowed maximum)"):
        clients.execute(f"INSERT INTO {table} (k, v) VALUES (1, ?)", [bytes(17 * 1024 * 1024)])
    clients.execute(f"INSERT INTO {table} (k, v) VALUES (1, ?)", [bytes(1024)])
    assert clients.execute(f"SELECT v FROM {table}").one()[0] == bytes(1024)


def test_values_of_all_types_in_one_row_keep_apart(clients: TwoClients) -> None:
    """More than a statement's inline storage holds, with nulls between."""
    columns = [f"c{i} {text}" for i, text in enumerate(["text", "blob", "list<int>", "int", "map<int, text>"] * 4)]
    table = clients.table(*columns)
    values = ["x" * 600, b"y" * 5000, list(range(200)), None, {1: "z" * 1000}] * 4
    markers = ", ".join("?" * (len(values) + 1))
    names = ", ".join(column.split()[0] for column in columns)
    insert = f"INSERT INTO {table} (k, {names}) VALUES ({markers})"

    async def many() -> None:
        await asyncio.gather(*(clients.session.execute(insert, [k, *values]) for k in range(50)))

    clients.run(many())
    rows = clients.execute(f"SELECT {names} FROM {table}").all()
    assert len(rows) == 50
    assert all(row.as_tuple() == tuple(values) for row in rows)
