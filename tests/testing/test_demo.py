"""The demonstration with files: text becomes values of the table's types, and any difference is found."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import acsylla_like

LIB = Path(__file__).parents[2] / "scripts" / "lib"
sys.path.append(str(LIB))

import convert  # noqa: E402

SCHEMA = """
    CREATE TYPE {ks}.point (x int, y frozen<list<text>>);
    CREATE TABLE {ks}."Every" (
        id int, "Part" text, tiny tinyint, small smallint, big bigint, whole varint, yes boolean, f float, d double,
        dec decimal, u uuid, tu timeuuid, address inet, ts timestamp, day date, at time, lasts duration, data blob, plain ascii,
        l list<int>, s set<frozen<list<int>>>, sp set<frozen<{ks}.point>>,
        sm set<frozen<map<text, frozen<set<int>>>>>, m map<text, frozen<set<int>>>, tup tuple<int, text>, p frozen<{ks}.point>,
        v vector<float, 3>, PRIMARY KEY ((id, "Part"))
    ) WITH default_time_to_live = 0
"""

EVERY = {
    "id": 1,
    "Part": "ü",
    "tiny": -128,
    "small": "32767",
    "big": 9223372036854775807,
    "whole": "123456789012345678901234567890",
    "yes": True,
    "f": 0.1,
    "d": 0.1,
    "dec": "-0.00",
    "u": "00000000-0000-4000-8000-000000000001",
    "tu": "8d8f8a40-0000-11ef-8000-000000000001",
    "address": "::1",
    "ts": "2024-02-29 12:34:56.789999+0200",
    "day": "2024-02-29",
    "at": "12:34:56.123456789",
    "lasts": "-1y2mo3w4d5h6m7s8ms9us10ns",
    "data": "0xCAFE",
    "plain": "",
    "l": [1, 2],
    "s": [[1], [2, 3]],
    "sp": [{"x": 2, "y": ["z"]}],
    "sm": [{"k": [1]}],
    "m": {"a": [1, 2], "b": []},
    "tup": [None, "x"],
    "p": {"x": 1},
    "v": [1, 2.5, -3],
}


@pytest.fixture(scope="module")
def table(cassandra, keyspace, tmp_path_factory):
    """A schema file for the table, run once."""
    path = tmp_path_factory.mktemp("schema") / "schema.cql"
    path.write_text(SCHEMA.format(ks=keyspace))
    empty = path.with_name("empty.csv")
    empty.write_text("id,Part\n")
    outcome = demo(cassandra, empty, f'{keyspace}."Every"', "--schema", path)
    assert "has no rows" in outcome.stderr
    return f'{keyspace}."Every"'


def demo(server, file, table, *arguments) -> subprocess.CompletedProcess[str]:
    address = ["--contact-points", ",".join(server.contact_points), "--port", str(server.port)]
    command = [sys.executable, LIB / "demo.py", file, "--table", table, *address, *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def last_line(outcome: subprocess.CompletedProcess[str]) -> str:
    return (outcome.stdout.splitlines() or [""])[-1] + outcome.stderr


def test_json_lines_of_every_type(cassandra, table, tmp_path):
    file = tmp_path / "rows.jsonl"
    nothing = dict.fromkeys(EVERY) | {"id": 2, "Part": ""}
    file.write_text("\n".join(json.dumps(row) for row in [EVERY, nothing, {"id": 3, "Part": "only the key"}, EVERY]))
    outcome = demo(cassandra, file, table)
    assert last_line(outcome) == "3 rows, 0 differences"
    assert "1 lines are left out" in outcome.stdout
    assert outcome.returncode == 0


def test_csv_of_every_type(cassandra, table, tmp_path):
    def cell(value: object) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = [EVERY, *[EVERY | {"id": i, "l": "", "at": "00:00"} for i in range(10, 1500)]]
    file = tmp_path / "rows.csv"
    file.write_text("\n".join([",".join(EVERY), *(",".join(quoted(cell(item)) for item in line.values()) for line in lines)]))
    assert last_line(demo(cassandra, file, table)) == "1491 rows, 0 differences"


def test_bulk_of_every_type(cassandra, table, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in [EVERY | {"id": n} for n in range(20, 1000)]))
    outcome = demo(cassandra, file, table, "--bulk")
    assert last_line(outcome) == "980 rows, 0 differences"
    assert "loaded 980 rows of rows" in outcome.stdout


def test_bulk_of_simple_types_goes_as_arrow_data(cassandra, table, tmp_path):
    simple = {name: value for name, value in EVERY.items() if not isinstance(value, (list, dict))}
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in [simple | {"id": n} for n in range(20, 1000)]))
    outcome = demo(cassandra, file, table, "--bulk")
    assert last_line(outcome) == "980 rows, 0 differences"
    assert "loaded 980 rows of Arrow data" in outcome.stdout


@pytest.mark.keeps_open("pyarrow keeps its threads")
@pytest.mark.parametrize("arguments", [[], ["--bulk"]], ids=["one by one", "bulk"])
async def test_parquet(cassandra, table, tmp_path, session, arguments):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    data = [{**EVERY, "id": n} for n in range(2000, 2500)]
    await session.execute(f"TRUNCATE {table}")
    kinds = {parameter.name: parameter.type for parameter in (await session.create_prepared(insert_of(table, EVERY))).parameters}
    rows = [{name: convert.from_file(kinds[name], value) for name, value in row.items()} for row in data]
    await session.execute_many(insert_of(table, EVERY), rows)
    file = tmp_path / "rows.parquet"
    stored = pa.table(await session.fetch_arrow(f"SELECT {', '.join(map(quoted_name, EVERY))} FROM {table}"))
    lasts = stored.schema.get_field_index("lasts")  # Parquet has no such type
    pq.write_table(stored.remove_column(lasts), file)
    await session.execute(f"TRUNCATE {table}")
    assert last_line(demo(cassandra, file, table, *arguments)) == "500 rows, 0 differences"


def insert_of(table, names):
    return f"INSERT INTO {table} ({', '.join(map(quoted_name, names))}) VALUES ({', '.join('?' * len(names))})"


def quoted_name(name):
    return f'"{name}"'


async def test_a_difference_is_shown_counted_and_the_exit_code(cassandra, table, tmp_path, session):
    # Written from the future, so that the demonstration's own write is not what is read.
    await session.execute(f"INSERT INTO {table} (id, \"Part\", tiny) VALUES (4, 'x', 5) USING TIMESTAMP 9000000000000000")
    file = tmp_path / "rows.csv"
    file.write_text("id,Part,tiny\n4,x,6\n5,x,6\n")
    outcome = demo(cassandra, file, table)
    assert last_line(outcome) == "2 rows, 1 differences"
    assert "wrote 6, read 5" in outcome.stdout
    assert outcome.returncode == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,Part,tiny\n1,x,many\n", ":2: tiny tinyint: invalid literal for int() with base 10: 'many'"),
        ("id,tiny\n1,2\n", "has no column Part, which the primary key"),
        ("id,Part\n1\n", ":2: not as many cells as the header has"),
        ("id,Part,nosuch\n1,x,2\n", "nosuch"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line_that_says_where(cassandra, table, tmp_path, text, problem):
    file = tmp_path / "rows.csv"
    file.write_text(text)
    outcome = demo(cassandra, file, table)
    assert problem in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert outcome.returncode == 1


def test_a_table_that_is_not_there_is_one_line(cassandra, keyspace, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("id\n1\n")
    assert "is not there; make it with --schema" in demo(cassandra, file, f"{keyspace}.nosuch").stderr


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.0"), Decimal("1.00")),
        (0.0, -0.0),
        (1, True),
        (1, 1.0),
        (acsylla_like.Time(1, nanosecond=1), acsylla_like.Time(1, nanosecond=2)),
        ([1.0], [1]),
        ("a", b"a"),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        (None, ""),
    ],
)
def test_values_that_merely_compare_equal_are_different(one, other):
    assert convert.same(one, one)
    assert not convert.same(one, other)


def test_nan_is_the_same_as_nan():
    assert convert.same([float("nan")], [float("nan")])


def test_timestamps_are_cut_towards_the_past():
    kind = type("Kind", (), {"name": "timestamp", "types": (), "field_names": ()})()
    for text, wanted in [("1969-12-31T23:59:59.999999Z", -1), ("1970-01-01 00:00:00.0019", 1), ("86400000", 86_400_000)]:
        value = convert.expected(kind, convert.from_file(kind, text))
        assert (value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) / datetime.timedelta(milliseconds=1) == wanted
