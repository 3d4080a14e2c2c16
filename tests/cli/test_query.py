"""`query`: the result of a statement, for people and for programs."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import acsylla_like


@pytest.fixture
async def table(session: acsylla_like.Session) -> str:
    await session.execute("CREATE TABLE IF NOT EXISTS asked (k int, c int, name text, tags list<text>, PRIMARY KEY (k, c))")
    await session.execute("INSERT INTO asked (k, c, name, tags) VALUES (1, 1, 'a\nb', ['x', 'y'])")
    await session.execute("INSERT INTO asked (k, c) VALUES (1, 20)")
    return f"{session.keyspace}.asked"


async def test_a_table_for_people(cli: Any, table: str) -> None:
    assert cli("query", f"SELECT * FROM {table}").stdout.decode().splitlines() == [
        "k | c  | name | tags",
        "--+----+------+-----------",
        '1 |  1 | a\\nb | ["x", "y"]',
        "1 | 20 | null | null".replace("null | null", "null |       null"),
        "(2 rows)",
    ]


async def test_csv_and_json_for_programs(cli: Any, table: str) -> None:
    assert (
        cli("query", f"SELECT * FROM {table}", "--format", "csv").stdout.decode() == 'k,c,name,tags\n1,1,"a\nb","[""x"", ""y""]"\n1,20,,\n'
    )
    lines = cli("query", f"SELECT * FROM {table}", "--format", "json", "--page-size", "1").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"k": 1, "c": 1, "name": "a\nb", "tags": ["x", "y"]},
        {"k": 1, "c": 20, "name": None, "tags": None},
    ]


async def test_a_result_without_rows_and_a_statement_without_result(cli: Any, session: acsylla_like.Session, table: str) -> None:
    assert cli("query", f"SELECT k FROM {table} WHERE k = 5").stdout == b"k\n-\n(0 rows)\n"
    assert cli("query", f"INSERT INTO {table} (k, c) VALUES (7, 7)").stdout == b""
    assert len(await session.execute(f"SELECT * FROM {table} WHERE k = 7")) == 1
    await session.execute(f"DELETE FROM {table} WHERE k = 7")


async def test_mistakes_are_named(cli: Any, table: str) -> None:
    ran = cli("query", "SELEC 1", code=2)
    assert "no viable alternative" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert cli("query", f"SELECT nme FROM {table}", code=2).stdout == b""
