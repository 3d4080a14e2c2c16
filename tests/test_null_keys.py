"""What cannot be a partition key is refused before it is sent, with the column's name; other columns take it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from waiting import until

import acsylla_like
from acsylla_like import UNSET, errors
from acsylla_like._native import parse_type
from acsylla_like.routing import token_of


async def make_table(session: acsylla_like.Session, definition: str) -> str:
    """A table that the driver knows, too."""
    table = f"t{time.monotonic_ns()}"
    await session.execute(f"CREATE TABLE {table} ({definition})")
    await known(session, table)
    return table


async def known(session: acsylla_like.Session, table: str, key: str | None = None) -> None:
    """Waits until the driver knows the table, and that `key` is its key, if that is given."""
    keyspace = session.keyspace
    assert keyspace is not None

    def is_known() -> bool:
        found = session._partition_key_of(keyspace, table)
        return found is not None and key in (None, *found)

    await until(is_known)


async def test_null_and_unset_keys_are_refused_in_every_statement(session: acsylla_like.Session) -> None:
    table = await make_table(session, "a int, b text, c int, v int, PRIMARY KEY ((a, b), c)")
    for text, good in (
        (f"INSERT INTO {table} (v, b, a, c) VALUES (?, ?, ?, ?)", [None, "x", 1, 2]),
        (f"INSERT INTO {table} (v, b, a, c) VALUES (:v, :text, :number, :c)", [None, "x", 1, 2]),
        (f"UPDATE {table} SET v = ? WHERE b = ? AND a = ? AND c = ?", [None, "x", 1, 2]),
        (f"DELETE v FROM {table} WHERE c = ? AND b = ? AND a = ?", [2, "x", 1]),
        (f"SELECT v FROM {table} WHERE c = ? AND b = ? AND a = ?", [2, "x", 1]),
        (f"UPDATE {table} SET v = ? WHERE b = ? AND a = ? AND c IN (?, ?)", [None, "x", 1, 2, 3]),
    ):
        prepared = await session.create_prepared(text)
        for place, column, name in ((1, "text", "b"), (2, "int", "a")):
            for absent in (None, UNSET):
                values: list[Any] = list(good)
                values[place] = absent
                shown = prepared.parameters[place].name
                assert shown == name or ":text" in text
                with pytest.raises(ValueError, match=rf'column "{shown}" \({column}\): expected a value, since it is a part of the p'):
                    await session.execute(prepared, values)
        await session.execute(prepared, good)


async def test_the_part_of_a_key_that_is_bound_beside_a_literal_is_not_null(session: acsylla_like.Session) -> None:
    table = await make_table(session, "a int, b text, v int, PRIMARY KEY ((a, b))")
    update = await session.create_prepared(f"UPDATE {table} SET v = ? WHERE a = 5 AND b = ?")
    with pytest.raises(ValueError, match='column "b"'):
        await session.execute(update, [None, None])
    await session.execute(update, [None, ""])


async def test_rows_of_batches_and_bulk_calls_are_refused_one_by_one(session: acsylla_like.Session) -> None:
    table = await make_table(session, "k int PRIMARY KEY, v int")
    insert = await session.create_prepared(f"INSERT INTO {table} (k, v) VALUES (?, ?)")
    batch = acsylla_like.create_batch_unlogged()
    batch.add(insert, [1, None])
    with pytest.raises(ValueError, match='column "k"'):
        batch.add(insert, [None, 1])
    with pytest.raises(ValueError, match='row 1: column "k"'):
        batch.add_many(insert, [[2, 2], [None, 1]])
    await session.execute(batch)
    report = await session.execute_many(insert, [[3, 3], [None, 3], [4, UNSET]], on_error="collect")
    assert [(error.row, 'column "k" (int)' in str(error.error)) for error in report.errors] == [(1, True)]
    with pytest.raises(ValueError, match='column "k"'):
        await session.execute(f"INSERT INTO {table} (k, v) VALUES (?, ?)", [None, 1])
    assert sorted(row.k for row in await session.execute(f"SELECT k FROM {table}")) == [1, 3, 4]


async def test_the_only_column_of_a_key_is_not_empty(session: acsylla_like.Session) -> None:
    for kind, empty in (("text", ""), ("blob", b""), ("ascii", "")):
        table = await make_table(session, f"k {kind} PRIMARY KEY, v {kind}")
        insert = await session.create_prepared(f"INSERT INTO {table} (k, v) VALUES (?, ?)")
        with pytest.raises(ValueError, match=rf'column "k" \({kind}\): expected a value that is not empty'):
            await session.execute(insert, [empty, empty])
        # So says the server itself.
        with pytest.raises(errors.InvalidQuery, match="Key may not be empty"):
            await session.execute(f"INSERT INTO {table} (k) VALUES ({'0x' if kind == 'blob' else repr(empty)})")
        table = await make_table(session, f"a {kind}, b {kind}, PRIMARY KEY ((a, b))")
        await session.execute(f"INSERT INTO {table} (a, b) VALUES (?, ?)", [empty, empty])
        found = await session.execute(f"SELECT a, b FROM {table} WHERE a = ? AND b = ?", [empty, empty])
        assert found.single() == (empty, empty)


async def test_a_table_made_anew_with_another_key_is_looked_at_anew(session: acsylla_like.Session) -> None:
    table = await make_table(session, "k int PRIMARY KEY, v int")
    insert = await session.create_prepared(f"INSERT INTO {table} (k, v) VALUES (?, ?)")
    with pytest.raises(ValueError, match='column "k"'):
        await session.execute(insert, [None, 1])
    await session.execute(f"DROP TABLE {table}")
    await session.execute(f"CREATE TABLE {table} (v int PRIMARY KEY, k int)")
    await known(session, table, "v")
    await session.execute(insert, [None, 1])
    assert (await session.execute(f"SELECT k, v FROM {table}")).single() == (None, 1)


async def test_sets_in_a_key_are_sent_in_the_servers_order(session: acsylla_like.Session) -> None:
    table = await make_table(session, "k frozen<tuple<int, frozen<set<int>>>> PRIMARY KEY, v frozen<set<int>>")
    insert = await session.create_prepared(f"INSERT INTO {table} (k, v) VALUES (?, ?)")
    await session.execute(insert, [(1, [3, 1, 2]), [3, 1, 2]])
    await session.execute(insert, [(1, [2, 3, 1]), [5]])  # the same row
    kind = parse_type("frozen<tuple<int, frozen<list<int>>>>")
    assert (await session.execute(f"SELECT v FROM {table}")).single() == ({5},)
    found = (await session.execute(f"SELECT token(k) AS place FROM {table}")).single()
    assert found.place == token_of(kind.encode((1, [1, 2, 3])) or b"")
