"""Tasks that go on straight from the drain: whatever one of them does, the others of the same burst are served."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

import acsylla_like
from acsylla_like import _native
from acsylla_like.testing import ScriptedServer, cql

NUMBER = cql.rows([("n", "int")], [[7]])
BURST = 300


@pytest.fixture
def server():
    """Holds its answers to `SELECT slow` until `server.go()`, and then gives all of them at once."""
    with ScriptedServer() as server:
        gate = asyncio.Event()
        server.go = lambda: server._loop.call_soon_threadsafe(gate.set)

        async def handler(request):
            if "slow" in request.query:
                await gate.wait()
            return None if request.opcode == cql.PREPARE else NUMBER

        server.handler = handler
        yield server
        server.go()


async def burst(session, server, step):
    """Tasks whose requests are all answered at once; `step(index, task list)` is awaited by each when it goes on."""
    tasks: list[asyncio.Task] = []

    async def one(index):
        row = (await session.execute("SELECT slow")).single()
        await step(index, tasks)
        return row.n

    tasks.extend(asyncio.ensure_future(one(index)) for index in range(BURST))
    await asyncio.to_thread(server.wait_for, lambda server: server.queries().count("SELECT slow") >= BURST)
    server.go()
    return tasks


async def test_one_that_closes_the_session_leaves_the_others_their_rows(server):
    async with acsylla_like.connect(server.address, port=server.port) as session:

        async def step(index, tasks):
            if index == 0:
                await session.close()

        tasks = await burst(session, server, step)
        assert await asyncio.gather(*tasks) == [7] * BURST
    assert not session.is_open


async def test_one_that_cancels_the_others_meets_no_task_that_is_being_entered(server):
    async with acsylla_like.connect(server.address, port=server.port) as session:
        first = []

        async def step(index, tasks):
            if not first:
                first.append(index)
                for task in tasks:
                    if task is not asyncio.current_task():
                        task.cancel()

        tasks = await burst(session, server, step)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert outcomes[first[0]] == 7
        assert all(isinstance(outcome, (asyncio.CancelledError, int)) for outcome in outcomes)
        assert sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes) > BURST // 2
        assert (await session.execute("SELECT n")).single().n == 7


async def test_those_that_send_more_are_served_too(server):
    async with acsylla_like.connect(server.address, port=server.port) as session:
        found = []

        async def step(index, tasks):
            for _ in range(3):
                found.append((await session.execute("SELECT n")).single().n)
            inner = asyncio.create_task(awaited(session))
            found.append(await inner)

        await asyncio.gather(*await burst(session, server, step))
        assert found == [7] * (4 * BURST)


async def awaited(session):
    return (await session.execute("SELECT n")).single().n


async def test_each_keeps_its_context_and_is_the_current_task(server):
    mine = contextvars.ContextVar("mine", default=-1)
    async with acsylla_like.connect(server.address, port=server.port) as session:
        seen = {}

        async def one(index):
            mine.set(index)
            before = asyncio.current_task()
            await session.execute("SELECT slow")
            seen[index] = mine.get() == index and asyncio.current_task() is before
            mine.set(-index)

        tasks = [asyncio.ensure_future(one(index)) for index in range(BURST)]
        await asyncio.to_thread(server.wait_for, lambda server: server.queries().count("SELECT slow") >= BURST)
        server.go()
        await asyncio.gather(*tasks)
        assert seen == dict.fromkeys(range(BURST), True)
        assert mine.get() == -1


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_one_that_ends_the_loop_leaves_the_others_to_its_next_run(server, interrupt, loop_factory):
    loop = loop_factory()
    try:
        session = loop.run_until_complete(connected(server))

        async def step(index, tasks):
            if index == BURST // 3:
                raise interrupt

        tasks = loop.run_until_complete(burst(session, server, step))
        with pytest.raises(interrupt):
            loop.run_until_complete(asyncio.wait(tasks))

        async def rest():
            return await asyncio.gather(*(task for index, task in enumerate(tasks) if index != BURST // 3))

        assert loop.run_until_complete(rest()) == [7] * (BURST - 1)
        assert isinstance(tasks[BURST // 3].exception(), interrupt)
        loop.run_until_complete(session.close())
    finally:
        loop.close()
    assert _native.requests_in_flight() == 0


async def connected(server):
    return await acsylla_like.connect(server.address, port=server.port)


async def test_a_burst_lets_the_loop_do_its_other_work_in_between(server):
    async with acsylla_like.connect(server.address, port=server.port) as session:
        turns = 0
        working = True

        async def ticker():
            nonlocal turns
            while working:
                turns += 1
                await asyncio.sleep(0)

        async def step(index, tasks):
            sum(range(20_000))  # some tenths of a millisecond of the caller's own work

        ticking = asyncio.create_task(ticker())
        tasks = await burst(session, server, step)
        before = turns
        await asyncio.gather(*tasks)
        during = turns - before
        working = False
        await ticking
        assert during > BURST // 100
