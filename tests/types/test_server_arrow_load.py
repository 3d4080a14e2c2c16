"""Arrow data into a real server's table, and the same rows back by the ordinary decoder and by a scan."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from decimal import Decimal
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

from arrow_values import of_arrow  # noqa: E402
from conftest import TwoClients  # noqa: E402
from cql_values import SCALARS, same  # noqa: E402
from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from test_server_arrow import EVERY_TYPE, make_table  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like import Date, Duration, Time  # noqa: E402

pytestmark = pytest.mark.usefixtures("arrow_released")

UTC = datetime.timezone.utc


def by_key(rows: Any) -> dict[int, tuple[Any, ...]]:
    return {row[0]: tuple(row) for row in rows}


def check_rows(found: dict[int, tuple[Any, ...]], expected: dict[int, tuple[Any, ...]]) -> None:
    assert sorted(found) == sorted(expected)
    for key, row in expected.items():
        for one, other in zip(found[key], row, strict=True):
            assert same(one, other), f"row {key}: {one!r} is not {other!r}"


def in_order(table: Any) -> list[list[Any]]:
    """The columns of the rows in the order of their keys, with a NaN equal to itself."""
    table = pa.table(table)
    order = sorted(range(table.num_rows), key=table.column("k").to_pylist().__getitem__)
    return [[of_arrow(column[i]) for i in order] for column in table.columns]


@pytest.mark.parametrize("batch", [None, 4096])
async def test_every_type_goes_in_as_it_came_out(session: acsylla_like.Session, keyspace: str, batch: int | None) -> None:
    await make_table(session, keyspace, 100)
    copy = "copy_of_every" if batch is None else "copy_in_batches"
    columns = ", ".join(f"{name} {kind}" for name, kind in EVERY_TYPE.items())
    await session.execute(f"CREATE TABLE {copy} ({columns}, PRIMARY KEY (k))")
    source = await session.fetch_arrow("SELECT * FROM every")
    report = await session.copy_from(copy, source, batch=batch)
    assert (report.rows, report.failed) == (100, 0)
    check_rows(by_key(await session.execute(f"SELECT * FROM {copy}")), by_key(await session.execute("SELECT * FROM every")))
    # A scan as the source, without a table in between; and as what is compared.
    await session.execute(f"TRUNCATE {copy}")
    assert (await session.copy_from(copy, session.scan("every"), batch=batch)).rows == 100
    assert in_order(await session.scan(copy).to_table()) == in_order(source)


async def test_each_arrow_type_is_read_by_execute(session: acsylla_like.Session) -> None:
    moment = datetime.datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    address = uuid.UUID("12345678-1234-1234-8234-1234567890ab")
    columns = {
        "a": ("tinyint", pa.array([-5], pa.int64()), -5),
        "b": ("varint", pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
        "c": ("double", pa.array([1.5], pa.float16()), 1.5),
        "d": ("text", pa.array(["grüße, die lang genug sind"], pa.string_view()), "grüße, die lang genug sind"),
        "e": ("blob", pa.array([b"\0" * 20], pa.binary_view()), b"\0" * 20),
        "f": ("uuid", pa.array([address.bytes], pa.uuid()), address),
        "g": ("date", pa.array([moment.date()], pa.date64()), moment.date()),
        "h": ("time", pa.array([datetime.time(1, 2, 3)], pa.time32("s")), Time(1, 2, 3)),
        "i": ("timestamp", pa.array([moment], pa.timestamp("ns", "Asia/Tokyo")), moment),
        "j": ("decimal", pa.array([Decimal("-1.50")], pa.decimal256(50, 2)), Decimal("-1.50")),
        "l": ("duration", pa.array([(1, 2, 3)], pa.month_day_nano_interval()), Duration(1, 2, 3)),
        "m": ("text", pa.array(["x"]).dictionary_encode(), "x"),
        "n": ("text", pa.RunEndEncodedArray.from_arrays([1], ["y"]), "y"),
        "o": ("set<text>", pa.array([["b", "a", "b"]], pa.large_list(pa.string())), {"a", "b"}),
        "p": ("list<double>", pa.array([[1.0, 2.0]], pa.list_view(pa.float64())), [1.0, 2.0]),
        "q": ("map<text, int>", pa.array([[{"key": "a", "value": 1}]]), {"a": 1}),
        "r": ("tuple<int, text>", pa.array([{"x": 1, "y": None}], pa.struct({"x": pa.int32(), "y": pa.string()})), (1, None)),
        "s": ("vector<smallint, 2>", pa.array([[1, -2]], pa.list_(pa.int64(), 2)), [1, -2]),
        "t": ("date", pa.array([2**31 - 1], pa.int32()).cast(pa.date32()), Date(2**31 - 1)),
        "u": ("int", pa.nulls(1), None),
    }  # fmt: skip
    types = ", ".join(f"{name} {kind}" for name, (kind, _, _) in columns.items())
    await session.execute(f"CREATE TABLE each_arrow_type (k int PRIMARY KEY, {types})")
    data = pa.table({"k": pa.array([1], pa.int32()), **{name: values for name, (_, values, _) in columns.items()}})
    assert (await session.copy_from("each_arrow_type", data)).rows == 1
    row = (await session.execute("SELECT * FROM each_arrow_type")).single().as_dict()
    for name, (_, _, expected) in columns.items():
        assert (list(row[name]) if name == "s" else row[name]) == expected


async def test_fields_of_a_user_type_go_by_name(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TYPE place (name text, x int, tags frozen<set<text>>)")
    await session.execute("CREATE TABLE places (k int PRIMARY KEY, p place, q list<frozen<place>>)")
    place = {"x": 5, "name": "here"}
    data = pa.table({"k": pa.array([1, 2], pa.int32()), "p": [place, None], "q": [[place, {"x": None, "name": "there"}], None]})
    assert (await session.copy_from("places", data)).rows == 2
    here, there = ({"name": "here", "x": 5, "tags": None}, {"name": "there", "x": None, "tags": None})
    rows = {row.k: (row.p, row.q) for row in await session.execute("SELECT * FROM places")}
    assert rows == {1: (here, [here, there]), 2: (None, None)}


def test_any_values_come_back_from_the_server(clients: TwoClients) -> None:
    """A table with many columns of nested types: what `execute` wrote, `copy_from` writes again from Arrow data."""
    nested = list(TYPES_OF_COLUMNS.items())
    columns = ", ".join(f"c{i} {text}" for i, (text, _) in enumerate(nested))
    for name in ("written", "copied"):
        clients.execute(f"CREATE TABLE {name} (k int PRIMARY KEY, {columns})")
    names = ["k", *(f"c{i}" for i in range(len(nested)))]
    insert = f"INSERT INTO written ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"

    @settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=30, phases=[Phase.generate])
    @given(st.lists(st.tuples(*(values | st.none() for _, values in nested)), min_size=1, max_size=4))
    def check(rows: list[tuple[Any, ...]]) -> None:
        for name in ("written", "copied"):
            clients.execute(f"TRUNCATE {name}")
        clients.run(*(clients.session.execute(insert, (k, *row)) for k, row in enumerate(rows)))

        async def copy() -> Any:
            await clients.session.copy_from("copied", clients.session.scan("written", splits=2), nulls="null")
            return await asyncio.gather(*(clients.session.scan(name, splits=2).to_table() for name in ("written", "copied")))

        written, copied = clients.run(copy())[0]
        assert in_order(copied) == in_order(written)
        check_rows(by_key(clients.execute("SELECT * FROM copied")), by_key(clients.execute("SELECT * FROM written")))

    check()


def _frozen(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values.map(lambda value: frozenset(value) if isinstance(value, set) else value)


# Empty collections that are not frozen are null to the server, which is the same on both ways.
TYPES_OF_COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    **{name: values for name, values in SCALARS.items() if name != "counter"},
    "list<frozen<list<decimal>>>": st.lists(st.lists(SCALARS["decimal"], max_size=3), max_size=3),
    "map<uuid, frozen<set<varint>>>": st.dictionaries(SCALARS["uuid"], _frozen(st.sets(SCALARS["varint"], max_size=3)), max_size=3),
    "tuple<inet, duration, list<time>>": st.tuples(SCALARS["inet"] | st.none(), SCALARS["duration"], st.lists(SCALARS["time"], max_size=3)),
    "frozen<map<text, frozen<map<int, date>>>>": st.dictionaries(
        SCALARS["text"], st.dictionaries(SCALARS["int"], SCALARS["date"], max_size=2), max_size=2
    ),
    "vector<text, 2>": st.lists(SCALARS["text"], min_size=2, max_size=2),
    "set<timestamp>": st.sets(SCALARS["timestamp"], max_size=3),
}
