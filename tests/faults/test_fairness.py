"""However much is ready at once, the loop gets its turns: about every 2 ms, measured as the loop thread's own CPU time."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import acsylla_like
from acsylla_like import _native
from acsylla_like.testing import ScriptedServer, cql

sys.path.append(str(Path(__file__).parents[2] / "scripts" / "bench"))

import programs
from work import STATEMENTS, values_of

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the null server uses epoll"),
    pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler"),
]

COMPLETIONS = 10_000
ROWS = 5_000
LONGEST = 0.005  # seconds


@pytest.fixture(scope="module")
def null_server() -> Iterator[programs.NullServer]:
    with programs.NullServer(table_rows=2 * ROWS) as server:
        yield server


@pytest.fixture
async def session(null_server: programs.NullServer) -> AsyncIterator[acsylla_like.Session]:
    options = {"port": null_server.port, "keyspace": "bench", "queue_size_io": 2 * COMPLETIONS}
    async with acsylla_like.connect(null_server.address, **options) as session:
        yield session


class Turns:
    """What the loop's thread computed between one of its turns and the next."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.count = 0
        self._last = time.thread_time()

    def note(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self.count += 1
        self._last = now


@asynccontextmanager
async def watched() -> AsyncIterator[Turns]:
    """Has another task take a turn whenever it can; the garbage collector, whose pauses are not ours, is off meanwhile."""
    is_over = False

    async def tick() -> None:
        turns.note()
        while not is_over:
            await asyncio.sleep(0)
            turns.note()

    gc.collect()
    gc.disable()
    turns = Turns()
    ticking = asyncio.create_task(tick())
    try:
        await asyncio.sleep(0)
        yield turns
    finally:
        is_over = True
        await ticking
        gc.enable()


@pytest.mark.parametrize("waiting", ["tasks", "callbacks"])
async def test_a_burst_of_completions_is_taken_in_slices(session: acsylla_like.Session, waiting: str) -> None:
    insert = await session.create_prepared(STATEMENTS["insert"])
    values = values_of(7)
    left = COMPLETIONS
    ended = asyncio.Event()

    def has_ended(request: object = None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            ended.set()

    async def one() -> None:
        await session.execute(insert, values)
        has_ended()

    if waiting == "tasks":
        pending: list[object] = [asyncio.create_task(one()) for _ in range(COMPLETIONS)]
        await asyncio.sleep(0)  # each has sent its request
    else:
        pending = [session.execute(insert, values) for _ in range(COMPLETIONS)]
        for request in pending:
            request.add_done_callback(has_ended)  # type: ignore[attr-defined]
    before = _native.loop_counters()
    time.sleep(0.5)  # noqa: ASYNC251 - the loop stands still until the answers are here
    async with watched() as turns:
        await asyncio.wait_for(ended.wait(), 30)
    wakes, completions = (now - then for now, then in zip(_native.loop_counters(), before, strict=True))
    assert completions == COMPLETIONS
    assert wakes < COMPLETIONS / 100, "no burst"
    assert turns.longest < LONGEST
    assert turns.count > 1


@pytest.mark.parametrize("how", ["stream", "result"])
async def test_a_page_of_rows_is_read_in_slices(session: acsylla_like.Session, how: str) -> None:
    scan = await session.create_prepared(STATEMENTS["scan"])
    rows = session.stream(scan, page_size=ROWS) if how == "stream" else await session.execute(scan, page_size=ROWS)
    read = 0
    async with watched() as turns:
        async for row in rows:
            assert row.id == read
            read += 1
            sum(range(300))  # the caller's own work
    assert read == 2 * ROWS
    assert turns.longest < LONGEST
    assert turns.count > read * 1e-6 / LONGEST


async def test_many_rows_leave_the_loop_its_turns(session: acsylla_like.Session) -> None:
    insert = await session.create_prepared(STATEMENTS["insert"])
    async with watched() as turns:
        report = await session.execute_many(insert, (values_of(n % 1000) for n in range(50_000)), concurrency=COMPLETIONS)
    assert report.rows == 50_000
    assert turns.longest < LONGEST
    assert turns.count > 20


async def test_rows_that_do_not_fit_leave_the_loop_its_turns(session: acsylla_like.Session) -> None:
    insert = await session.create_prepared(STATEMENTS["insert"])
    told = 0

    def count(error: acsylla_like.RowError) -> None:
        nonlocal told
        told += 1

    async with watched() as turns:
        report = await session.execute_many(insert, (("x", *values_of(n)[1:]) for n in range(20_000)), on_error=count)
    assert (report.rows, report.failed, told) == (0, 20_000, 20_000)
    assert turns.longest < LONGEST


async def test_rows_that_the_server_refuses_leave_the_loop_its_turns() -> None:
    with ScriptedServer() as server:
        server.answer("INSERT INTO t (k) VALUES (?)", cql.error(cql.INVALID), [("k", "int")])
        async with acsylla_like.connect(server.address, port=server.port) as session:
            insert = await session.create_prepared("INSERT INTO t (k) VALUES (?)")
            async with watched() as turns:
                report = await session.execute_many(
                    insert, ([n] for n in range(8000)), on_error="collect", max_errors=8000, concurrency=2000
                )
    assert report.failed == 8000
    assert turns.longest < LONGEST
