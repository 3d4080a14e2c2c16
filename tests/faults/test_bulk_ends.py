"""Thousands of rows in flight without a future each, and the loop, the session, the process or their owner goes away."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from reports import report_of
from waiting import until, wait_until

import acsylla_like
from acsylla_like import _native

INSERT = "INSERT INTO ends (k, v) VALUES (?, ?)"


@pytest.fixture
async def table(session: acsylla_like.Session) -> acsylla_like.Session:
    await session.execute("CREATE TABLE IF NOT EXISTS ends (k int PRIMARY KEY, v text)")
    return session


def rows(count: int = 10_000_000) -> Any:
    return ((k % 5000, f"value {k}") for k in range(count))


def test_a_loop_that_is_closed_in_the_middle(cassandra: Any, keyspace: str, loop_factory: Any) -> None:
    """What it had in flight goes its way; later loops work."""
    kept: list[Any] = []

    async def begin() -> None:
        session = await acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace)
        await session.execute("CREATE TABLE IF NOT EXISTS ends (k int PRIMARY KEY, v text)")
        kept.append(session)
        kept.append(asyncio.ensure_future(session.execute_many(INSERT, rows())))
        await asyncio.sleep(0.2)
        assert session.in_flight == 0  # not one request of the loop's: they are counted by their writer

    async def work() -> None:
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as session:
            assert (await session.execute_many(INSERT, rows(2000))).rows == 2000

    for _ in range(3):
        loop = loop_factory()
        loop.run_until_complete(begin())
        loop.close()
        session, task = kept
        del task
        kept.clear()
        gc.collect()
        loop = loop_factory()
        loop.run_until_complete(work())
        loop.run_until_complete(session.close())
        loop.close()
        del session
        gc.collect()
    wait_until(lambda: _native.requests_in_flight() == 0, 30)


async def test_thousands_of_calls_leave_nothing_behind(table: acsylla_like.Session) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    insert = await table.create_prepared(INSERT)

    async def some(count: int) -> None:
        for n in range(count):
            task = asyncio.ensure_future(table.execute_many(insert, rows(50 if n % 3 else 10_000_000), concurrency=64))
            if n % 3 == 0:
                await asyncio.sleep(0.001)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    await some(300)
    gc.collect()
    before = resident()
    await some(1500)
    gc.collect()
    assert resident() - before < 6 << 20
    await until(lambda: _native.requests_in_flight() == 0)


async def test_cancelled_under_load_again_and_again(table: acsylla_like.Session) -> None:
    async def slowly() -> AsyncIterator[tuple[int, str]]:
        for row in rows():
            if row[0] % 100 == 0:
                await asyncio.sleep(0)
            yield row

    for n in range(40):
        tasks = [asyncio.ensure_future(table.execute_many(INSERT, source, concurrency=200)) for source in (rows(), slowly(), rows())]
        await asyncio.sleep(0.002 * (n % 10) + (0.001 if n else 0))
        for task in tasks:
            task.cancel()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            if n != 0:  # else it may never have run
                report = report_of(caught.value)
                assert (report.in_flight, report.rows + report.failed) == (0, report.taken)
    assert (await table.execute_many(INSERT, rows(100))).rows == 100


LEAVES = """
import asyncio, sys
import acsylla_like

async def main():
    session = await acsylla_like.connect(sys.argv[1], port=int(sys.argv[2]), keyspace=sys.argv[3])
    rows = ((k % 5000, "v") for k in range(10_000_000))
    load = asyncio.ensure_future(session.execute_many("INSERT INTO ends (k, v) VALUES (?, ?)", rows))
    await asyncio.sleep(0.2)
    kept.extend((session, load))
    WAY

kept = []
MAIN
"""


@pytest.mark.parametrize(
    ("way", "run", "status"),
    [
        ("return", "asyncio.run(main())", 0),
        ("sys.exit(3)", "asyncio.run(main())", 3),
        ("return", "loop = asyncio.new_event_loop(); loop.run_until_complete(main())", 0),
        ("return", "loop = asyncio.new_event_loop(); loop.run_until_complete(main()); loop.close()", 0),
    ],
    ids=["asyncio.run", "sys.exit", "a loop left open", "a loop closed"],
)
async def test_leaving_in_the_middle(table: acsylla_like.Session, cassandra: Any, way: str, run: str, status: int) -> None:
    code = LEAVES.replace("WAY", way).replace("MAIN", run)
    command = [sys.executable, "-X", "faulthandler", "-W", "ignore", "-c", code]
    command += [cassandra.contact_points[0], str(cassandra.port), str(table.keyspace)]
    for _ in range(3):
        started = time.monotonic()
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr.replace("Task was destroyed but it is pending", "")
        assert time.monotonic() - started < 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
async def test_a_forked_child_leaves_the_rows_to_its_parent(table: acsylla_like.Session) -> None:
    task = asyncio.ensure_future(table.execute_many(INSERT, rows()))
    await asyncio.sleep(0.1)

    def drop() -> None:
        gc.collect()

    child = multiprocessing.get_context("fork").Process(target=drop)
    child.start()
    await asyncio.to_thread(child.join, 30)
    assert child.exitcode == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert report_of(caught.value).rows > 0
