"""One session on several event loops: two in two threads at once, several one after another, of every kind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from waiting import wait_until

import acsylla_like
from acsylla_like import _native

REQUESTS = 4000


def in_threads(*works):
    errors = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def run(loop_factory, coroutine):
    loop = loop_factory()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


async def write_and_read(session, insert, select, worker, requests):
    """Each request's answer must come to the loop, and to the task, that asked."""
    limit = asyncio.Semaphore(256)
    loop = asyncio.get_running_loop()

    async def one(k):
        async with limit:
            await session.execute(insert, [worker, k, f"{worker}/{k}"])
            assert asyncio.get_running_loop() is loop
            row = (await session.execute(select, [worker, k])).single()
            assert row.v == f"{worker}/{k}"
            if k % 7 == 0:
                again = await session.execute("SELECT v FROM shared WHERE worker = ? AND k = ?", [worker, k])
                assert again[0].v == row.v
            if k % 11 == 0:
                task = asyncio.ensure_future(session.execute(select, [worker, k]))
                await asyncio.sleep(0)
                task.cancel()

    await asyncio.gather(*(one(k) for k in range(requests)))


@pytest.fixture
def shared(cassandra, keyspace, loop_factory):
    """A session made on a loop that is gone, with a table and two statements."""

    async def make():
        session = await acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace)
        await session.execute("CREATE TABLE IF NOT EXISTS shared (worker int, k int, v text, PRIMARY KEY (worker, k))")
        insert = await session.create_prepared("INSERT INTO shared (worker, k, v) VALUES (?, ?, ?)")
        select = await session.create_prepared("SELECT v FROM shared WHERE worker = ? AND k = ?")
        return session, insert, select

    session, insert, select = run(loop_factory, make())
    yield session, insert, select
    run(loop_factory, session.close())
    wait_until(lambda: _native.requests_in_flight() == 0)


def test_two_loops_in_two_threads_share_a_session_under_load(shared, loop_factory):
    in_threads(*(lambda worker=worker: run(loop_factory, write_and_read(*shared, worker, REQUESTS)) for worker in range(2)))
    session = shared[0]
    wait_until(lambda: _native.requests_in_flight() == 0)
    assert session.in_flight == 0
    assert session.metrics()["session"]["failed"] == 0


def test_many_loops_that_come_and_go_in_threads(shared, loop_factory):
    def work(worker):
        for n in range(10):
            run(loop_factory, write_and_read(*shared, worker * 100 + n, 50))

    in_threads(*(lambda worker=worker: work(worker) for worker in range(4)))
    wait_until(lambda: _native.requests_in_flight() == 0)


def test_loops_one_after_another(shared, loop_factory):
    for n in range(30):
        run(loop_factory, write_and_read(*shared, 1000 + n, 20))


def test_a_session_is_opened_on_one_loop_and_closed_on_another_in_a_thread(cassandra, loop_factory):
    async def connect():
        return await acsylla_like.connect(cassandra.contact_points, port=cassandra.port)

    session = run(loop_factory, connect())
    in_threads(lambda: run(loop_factory, session.close()))
    assert not session.is_open


@pytest.mark.parametrize("options", ["--loop debug", "--loop uvloop", "--wakeup pipe", "--loop uvloop --wakeup pipe"])
def test_every_kind_of_loop_and_wake_up_does_the_same(options, cassandra, tmp_path):
    """The tests of this module and of closed loops again, where the run of the tests has chosen another kind."""
    if "uvloop" in options:
        pytest.importorskip("uvloop")
    here = Path(__file__).parent
    root = here.parent.parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not every_kind", *options.split()]
    command += ["-c", str(root / "pyproject.toml"), f"--rootdir={root}"]
    command += [str(here / "test_several_loops.py"), str(here / "test_loop_closed.py"), str(here / "test_cancellation.py")]
    server = f"{','.join(cassandra.contact_points)}:{cassandra.port}"
    # The package under test, wherever it is: the folder of the repository may have none that is built.
    environment = {**os.environ, "ACSYLLA_LIKE_TEST_SERVER": server, "PYTHONPATH": str(Path(acsylla_like.__file__).parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
