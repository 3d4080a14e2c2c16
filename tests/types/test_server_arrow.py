"""Arrow data from a real server: every type in one table, read whole and page by page."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

from arrow_values import check_same  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like import Date, Duration, Time, Timestamp  # noqa: E402

pytestmark = pytest.mark.usefixtures("arrow_released")

EVERY_TYPE = {
    "k": "int", "a": "ascii", "b": "bigint", "c": "blob", "d": "boolean", "e": "date", "f": "decimal", "g": "double", "h": "duration",
    "i": "float", "j": "inet", "l": "int", "m": "smallint", "n": "text", "o": "time", "p": "timestamp", "q": "timeuuid", "r": "tinyint",
    "s": "uuid", "t": "varint", "u": "list<int>", "v": "set<text>", "w": "map<text, frozen<list<decimal>>>", "x": "tuple<int, text, uuid>",
    "y": "vector<float, 3>", "z": "frozen<spot>", "aa": "list<frozen<map<int, frozen<set<inet>>>>>", "ab": "list<duration>",
    "ac": "vector<smallint, 2>", "ad": "frozen<set<frozen<tuple<date, time>>>>",
}  # fmt: skip


def every_value(n: int) -> list[Any]:
    """A row of the types above; some cells null."""
    spot = {"name": f"spot {n}", "at": (float(n), None), "seen": {uuid.UUID(int=n)}}
    row = [
        n, f"ascii {n}", n * 2**40, bytes(range(n % 256)), n % 2 == 0, Date(10**6 * (n - 50)) if n % 3 else Date(-(2**31)),
        Decimal(n).scaleb(n - 5),
        n / 3, Duration(-n, 0, -n * 10**9), float(n), "10.0.0.1" if n % 2 else "2001:db8::1", -n, n, "grüße " * n,
        Time.from_nanosecond_of_day(n * 10**9 + n), Timestamp(2**62 + n) if n % 5 == 0 else 1000 * n, uuid.uuid1(),
        n % 128, uuid.uuid4(), -(7**n),
        [n] * (n % 4) or None, {f"s{i}" for i in range(n % 5)} or None, {"x": [Decimal("1.50")] * (n % 3)}, (n, None, uuid.UUID(int=n)),
        [n, 0.5, -1.5], spot, [{1: {"::1", "1.2.3.4"}}], [Duration(1, 2, 3)], [n, -n], {(Date(n), Time(1, 2, 3, nanosecond=n))},
    ]  # fmt: skip
    return [None if i and (i + n) % 7 == 0 else value for i, value in enumerate(row)]


async def make_table(session: acsylla_like.Session, keyspace: str, rows: int) -> None:
    await session.execute(f"CREATE TYPE IF NOT EXISTS {keyspace}.spot (name text, at frozen<tuple<double, int>>, seen frozen<set<uuid>>)")
    columns = ", ".join(f"{name} {kind}" for name, kind in EVERY_TYPE.items())
    await session.execute(f"CREATE TABLE IF NOT EXISTS {keyspace}.every ({columns}, PRIMARY KEY (k))")
    insert = await session.create_prepared(
        f"INSERT INTO {keyspace}.every ({', '.join(EVERY_TYPE)}) VALUES ({', '.join('?' * len(EVERY_TYPE))})"
    )
    await asyncio.gather(*(session.execute(insert, every_value(n)) for n in range(rows)))


@pytest.mark.usefixtures("both_ways")
async def test_every_type_from_a_real_server(session: acsylla_like.Session, keyspace: str) -> None:
    await make_table(session, keyspace, 100)
    result = await session.execute(f"SELECT * FROM {keyspace}.every")
    assert len(result) == 100
    check_same(result, pa.table(result.to_arrow()))
    for query in (f"SELECT * FROM {keyspace}.every", await session.create_prepared(f"SELECT * FROM {keyspace}.every")):
        table = await session.fetch_arrow(query, page_size=7)
        assert len(table.batches) == 15
        check_same(result, pa.table(table))


async def test_a_counter_from_a_real_server(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE hits (k int PRIMARY KEY, n counter)")
    await session.execute("UPDATE hits SET n = n + 5 WHERE k = 1")
    table = pa.table(await session.fetch_arrow("SELECT k, n FROM hits"))
    assert table.to_pylist() == [{"k": 1, "n": 5}]
    assert table.schema.field("n").type == pa.int64()
