"""Out of a table and into another by way of every format: each value of every type is the same."""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import uuid
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

import acsylla_like  # noqa: E402
from acsylla_like import Date, Duration, Time, Timestamp  # noqa: E402

FORMATS = ("csv", "tsv", "jsonl", "parquet", "arrow", "arrows")
COMPRESSIONS = ("", ".gz", ".zst", ".bz2")
UTC = datetime.timezone.utc
IDS = [uuid.UUID(int=n << 64 | 0x4000_8000 | n) for n in range(6)]
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)

# Of each type the values of three rows; a row of nulls is added.
VALUES: dict[str, tuple[Any, Any, Any]] = {
    "ascii": ("a,b", '"', "\x00\x7f"),
    "bigint": (0, 2**63 - 1, -(2**63)),
    "blob": (b"", b"\x00\xff", b"x" * 100),
    "boolean": (True, False, True),
    "date": (datetime.date(1, 1, 1), Date(-(2**31)), Date(2**31 - 1)),
    "decimal": (decimal.Decimal("1.500"), decimal.Decimal("-1E+400"), decimal.Decimal("0E-50")),
    "double": (0.1, float("inf"), -0.0),
    "duration": (Duration(14, 3, 5_000_000_001), Duration(-1, 0, -7), Duration()),
    "float": (0.5, float("-inf"), 3.4028234663852886e38),
    "inet": (ipaddress.ip_address("1.2.3.4"), ipaddress.ip_address("::1"), ipaddress.ip_address("2001:db8::5")),
    "int": (0, 2**31 - 1, -(2**31)),
    "smallint": (0, 2**15 - 1, -(2**15)),
    "text": ("", 'say "ä"\r\n,\t', "null"),
    "time": (Time(), Time(23, 59, 59, nanosecond=999_999_999), Time(1, 2, 3)),
    "timestamp": (MOMENT, Timestamp(253_402_300_800_000), Timestamp(-(2**63))),
    "timeuuid": tuple(uuid.UUID(f"0000000{n}-0000-1000-8000-000000000000") for n in range(3)),
    "tinyint": (0, 127, -128),
    "uuid": tuple(IDS[:3]),
    "varint": (0, 10**50, -(10**50)),
    "list<text>": (["", "a,b"], ["\n"], ["]"]),
    "set<frozen<list<int>>>": ({(1, 2)}, {(), (3,)}, {(0,)}),
    "map<text, double>": ({"a": 0.1, "": -0.0}, {"\n": 1e300}, {"x": float("inf")}),
    "map<timestamp, duration>": ({MOMENT: Duration(1, 2, 3)}, {MOMENT: Duration()}, {MOMENT: Duration(0, 0, -5)}),
    "map<frozen<tuple<int, text>>, uuid>": ({(1, None): IDS[0]}, {(2, "x"): IDS[1], (3, "y"): IDS[2]}, {(None, "z"): IDS[3]}),
    "tuple<int, blob, frozen<set<inet>>>": (
        (1, b"x", {ipaddress.ip_address("::")}),
        (None, None, None),
        (2, b"", {ipaddress.ip_address("1.1.1.1")}),
    ),
    "frozen<place>": (
        {"name": "x", "Where To": (1, 2.5), "since": None},
        {"name": None, "Where To": None, "since": MOMENT},
        {"name": "", "Where To": (None, 0.5), "since": MOMENT},
    ),
    "vector<float, 3>": ([1.0, 0.5, -2.0], [0.0, 0.0, 0.25], [1.5, 2.5, 3.5]),
    "vector<text, 2>": (["a", "b"], ["", '"'], ["c", "d"]),
}
COLUMNS = [f"c{i}" for i in range(len(VALUES))]


async def make_tables(session: acsylla_like.Session) -> None:
    """`source` with every type and rows of them, and `target`, which is like it and empty."""
    await session.execute('CREATE TYPE place (name text, "Where To" frozen<tuple<int, double>>, since timestamp)')
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, VALUES, strict=True))
    for name in ("source", "target"):
        await session.execute(f'CREATE TABLE {name} ("the Key" int, c int, {columns}, PRIMARY KEY ("the Key", c))')
    insert = f'INSERT INTO source ("the Key", c, {", ".join(COLUMNS)}) VALUES (?, ?, {", ".join("?" * len(COLUMNS))})'
    for row in range(3):
        await session.execute(insert, [row, 5, *(values[row] for values in VALUES.values())])
    await session.execute('INSERT INTO source ("the Key", c) VALUES (3, 5)')


async def rows(session: acsylla_like.Session, table: str) -> dict[int, dict[str, str]]:
    return {
        row["the Key"]: {name: _shown(value) for name, value in row.as_dict().items()}
        for row in await session.execute(f"SELECT * FROM {table}")
    }


def _shown(value: Any) -> str:
    """Sets have no order in Python."""
    return repr(sorted(value, key=repr)) if isinstance(value, (set, frozenset)) else repr(value)


@pytest.fixture
async def session(session: acsylla_like.Session) -> acsylla_like.Session:
    tables = "SELECT * FROM system_schema.tables WHERE keyspace_name = ?"
    if not len(await session.execute(tables, [session.keyspace])):
        await make_tables(session)
    await session.execute("TRUNCATE target")
    return session


@pytest.mark.parametrize("format", FORMATS)
async def test_every_value_of_every_type_comes_through(cli: Any, session: acsylla_like.Session, format: str) -> None:
    name = f"out.{format}"
    cli("unload", f"{session.keyspace}.source", name)
    cli("load", name, f"{session.keyspace}.target", "--dry-run", "--quiet")
    assert await rows(session, "target") == {}
    cli("load", name, f"{session.keyspace}.target")
    expected = await rows(session, "source")
    assert len(expected) == 4
    assert await rows(session, "target") == expected


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "arrow", "arrows"])
async def test_compressed_files_and_pipes(cli: Any, session: acsylla_like.Session, format: str, compression: str) -> None:
    """Out by the file's name and in from a pipe, or the other way round: either half of them one way."""
    name = f"out.{format}{compression}"
    options = ["--format", format, "--compression", compression.removeprefix(".") or "none"]
    if (FORMATS.index(format) + COMPRESSIONS.index(compression)) % 2:
        cli("unload", f"{session.keyspace}.source", name)
        written = (cli.folder / name).read_bytes()
        cli("load", "-", f"{session.keyspace}.target", *options, input=written)
    else:
        written = cli("unload", f"{session.keyspace}.source", "-", *options).stdout
        (cli.folder / name).write_bytes(written)
        cli("load", name, f"{session.keyspace}.target")
    magic = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd", ".bz2": b"BZh", "": b""}[compression]
    assert written.startswith(magic)
    assert await rows(session, "target") == await rows(session, "source")


async def test_another_null_another_delimiter_and_no_header(cli: Any, session: acsylla_like.Session) -> None:
    options = ["--null", "\\N", "--delimiter", ";", "--no-header"]
    cli("unload", f"{session.keyspace}.source", "out.csv", *options)
    first = (cli.folder / "out.csv").read_text().partition(";")[0]
    assert first in ("0", "1", "2", "3")
    names = ",".join(["the Key", "c", *sorted(COLUMNS)])
    cli("load", "out.csv", f"{session.keyspace}.target", *options, "--columns", names)
    assert await rows(session, "target") == await rows(session, "source")


async def test_a_query_with_uuids_in_lists_and_no_rows_has_its_columns(cli: Any, session: acsylla_like.Session) -> None:
    query = f'SELECT "the Key", c25 AS place, c23 FROM {session.keyspace}.source WHERE "the Key" = 77'
    for format in FORMATS:
        cli("unload", query, f"empty.{format}")
    assert (cli.folder / "empty.csv").read_text() == "the Key,place,c23\n"
    assert (cli.folder / "empty.jsonl").read_bytes() == b""
    import pyarrow.parquet

    assert pyarrow.parquet.read_schema(cli.folder / "empty.parquet").names == ["the Key", "place", "c23"]
    cli("load", "empty.parquet", f"{session.keyspace}.target", "--columns", "the Key", code=2)


async def test_decimals_that_are_asked_for_are_decimals(cli: Any, session: acsylla_like.Session) -> None:
    import pyarrow.parquet

    column = COLUMNS[list(VALUES).index("varint")]
    cli("unload", f"SELECT {column} FROM {session.keyspace}.source", "out.parquet", "--decimals", f"{column}=60,0")
    schema = pyarrow.parquet.read_schema(cli.folder / "out.parquet")
    assert schema.field(column).type == pa.decimal256(60, 0)
    cli("unload", f"{session.keyspace}.source", Path("x.parquet"), "--columns", column, "--decimals", f"{column}=10,0", code=1)
    assert not list(cli.folder.glob("x.parquet*"))
