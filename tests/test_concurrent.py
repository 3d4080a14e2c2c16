"""Many statements at once: results in order or as they come, errors in place or raised, bounded memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from waiting import until

import acsylla_like
from acsylla_like.testing import ScriptedServer, cql

SELECT = "SELECT k, v FROM kept WHERE k = ?"
COUNT = 500


@pytest.fixture
async def table(session: acsylla_like.Session) -> acsylla_like.Session:
    await session.execute("CREATE TABLE IF NOT EXISTS kept (k int PRIMARY KEY, v text)")
    await session.execute_many("INSERT INTO kept (k, v) VALUES (?, ?)", ((k, str(k)) for k in range(COUNT)))
    return session


async def asynchronously(items: Any) -> AsyncIterator[Any]:
    for n, item in enumerate(items):
        if n % 50 == 0:
            await asyncio.sleep(0.001)
        yield item


@pytest.mark.parametrize("wrap", [list, iter, asynchronously])
async def test_results_come_in_the_order_of_the_parameters(table: acsylla_like.Session, wrap: Any) -> None:
    prepared = await table.create_prepared(SELECT)
    for statement in (SELECT, prepared):
        found = [result.single().k async for result in table.execute_concurrent(statement, wrap([[k] for k in range(COUNT)]))]
        assert found == list(range(COUNT))


@pytest.mark.parametrize("wrap", [list, iter, asynchronously])
async def test_results_come_with_their_index_as_they_are_answered(table: acsylla_like.Session, wrap: Any) -> None:
    found = {}
    async for index, result in table.execute_concurrent(SELECT, wrap([{"k": k} for k in range(COUNT)]), ordered=False):
        found[index] = result.single().k
    assert found == {k: k for k in range(COUNT)}


async def test_any_mix_of_statements(table: acsylla_like.Session) -> None:
    prepared = await table.create_prepared(SELECT)
    batch = acsylla_like.create_batch_unlogged().add("INSERT INTO kept (k, v) VALUES (?, ?)", [1000, "new"])
    mix: list[Any] = [
        "SELECT v FROM kept WHERE k = 1",
        (SELECT, [2]),
        (prepared, {"k": 3}),
        prepared.bind([4]),
        acsylla_like.create_statement(SELECT, [5], consistency="ONE"),
        batch,
        ("SELECT v FROM kept WHERE k = 6", None),
    ]
    results = [result async for result in table.execute_concurrent(mix, concurrency=3)]
    assert [len(result) for result in results] == [1, 1, 1, 1, 1, 0, 1]
    assert (await table.execute(SELECT, [1000])).single().v == "new"


async def test_errors_take_the_place_of_results(table: acsylla_like.Session) -> None:
    given: list[Any] = [[1], ["x"], [2], [3, 4]]
    found = [outcome async for outcome in table.execute_concurrent(SELECT, given, raise_on_error=False)]
    assert [type(outcome) for outcome in found] == [acsylla_like.Result, TypeError, acsylla_like.Result, ValueError]
    both: list[Any] = [("SELECT nothing FROM kept", None), 7, (SELECT, [1])]
    by_index = {index: type(outcome) async for index, outcome in table.execute_concurrent(both, ordered=False, raise_on_error=False)}
    assert by_index == {0: acsylla_like.InvalidQuery, 1: TypeError, 2: acsylla_like.Result}


async def test_the_first_error_is_raised_and_the_rest_given_up(table: acsylla_like.Session) -> None:
    found = []

    async def read() -> None:
        async for result in table.execute_concurrent(SELECT, ([k if k != 5 else "x"] for k in itertools.count())):
            found.append(result.single().k)

    with pytest.raises(TypeError, match='column "k"'):
        await read()
    assert found == [0, 1, 2, 3, 4]
    await until(lambda: table.in_flight == 0)


@pytest.mark.parametrize("ordered", [True, False])
async def test_no_more_are_taken_than_may_wait(scripted: ScriptedServer, ordered: bool) -> None:
    scripted.answer("SELECT 1", cql.rows([("a", "int")], [[1]]))
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "SELECT 1"

    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        seen = 0
        results = session.execute_concurrent(endless(), concurrency=20, ordered=ordered)  # type: ignore[call-overload]
        async for _ in results:
            seen += 1
            await asyncio.sleep(0.002)
            assert taken <= seen + 20
            if seen == 100:
                break
        await results.aclose()
        await until(lambda: session.in_flight == 0)


async def test_a_slow_statement_holds_nobody_up_where_the_order_does_not_matter(scripted: ScriptedServer) -> None:
    scripted.answer("SELECT slow", cql.rows([("a", "int")], [[1]]).delayed(0.5))
    scripted.answer("SELECT fast", cql.rows([("a", "int")], [[1]]))
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        given = ["SELECT slow", *["SELECT fast"] * 50]
        indexes = [index async for index, _ in session.execute_concurrent(given, concurrency=10, ordered=False)]
    assert indexes[-1] == 0
    assert sorted(indexes) == list(range(51))


async def test_results_come_while_the_source_waits(scripted: ScriptedServer) -> None:
    scripted.answer("SELECT 1", cql.rows([("a", "int")], [[1]]))
    goes_on = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "SELECT 1"
        await goes_on.wait()
        yield "SELECT 1"

    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        results = session.execute_concurrent(source())
        assert (await asyncio.wait_for(results.__anext__(), 5)).single().a == 1
        goes_on.set()
        assert len([result async for result in results]) == 1


async def test_what_the_source_raises_is_raised(table: acsylla_like.Session) -> None:
    def broken() -> Iterator[list[int]]:
        yield [1]
        raise LookupError("the source is gone")

    for given in (broken(), asynchronously(broken())):
        with pytest.raises(LookupError, match="the source is gone"):
            async for _ in table.execute_concurrent(SELECT, given):
                pass


async def test_mistakes_are_named(table: acsylla_like.Session) -> None:
    with pytest.raises(ValueError, match="concurrency must be an int of at least 1, not 0"):
        table.execute_concurrent(SELECT, [], concurrency=0)
    with pytest.raises(TypeError, match="parameters are missing"):
        table.execute_concurrent(SELECT)
    with pytest.raises(TypeError, match="parameters belong to a str or PreparedStatement, not list"):
        table.execute_concurrent([(SELECT, [1])], [[1]])
    with pytest.raises(TypeError, match="the statements must be an iterable or an asynchronous iterable, not int"):
        async for _ in table.execute_concurrent(5):  # type: ignore[call-overload]
            pass
