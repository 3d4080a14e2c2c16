"""A forked child drops what it inherited, is told when it uses it, and opens sessions of its own; the parent goes on."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import sys
import time
import traceback
import weakref

import pytest
from waiting import until

import acsylla_like
from acsylla_like import _native

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning"),
]
QUERY = "SELECT release_version FROM system.local"


def in_a_child(work) -> None:
    """Runs it in a forked child, in which no loop runs; its errors are the caller's."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            asyncio.events._set_running_loop(None)
            work()
            status = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(writing)
    try:
        assert wait_for(child) == 0, os.read(reading, 10000).decode()
    finally:
        os.close(reading)


def wait_for(child: int, seconds: float = 30.0) -> int:
    """The exit code of a child; one that hangs is killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise TimeoutError("the child hangs")


async def use_a_session_of_its_own(cassandra):
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port) as session:
        results = await asyncio.gather(*(session.execute(QUERY) for _ in range(100)))
        assert all(len(result) == 1 for result in results)


class Load:
    """Requests on the session, all the time while it is on, each of which must succeed."""

    def __init__(self, session):
        self.session = session
        self.done = 0

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(self.work()) for _ in range(20)]
        await until(lambda: self.done >= 100)
        return self

    async def work(self):
        while True:
            assert len(await self.session.execute(QUERY)) == 1
            self.done += 1

    async def __aexit__(self, *error):
        before = self.done
        await until(lambda: self.done >= before + 100 or any(task.done() for task in self.tasks))
        for task in self.tasks:
            task.cancel()
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results


async def test_a_child_that_drops_the_inherited_session_does_not_hang(session):
    cluster = session.cluster
    kept = [await cluster.create_session() for _ in range(3)]
    freed = weakref.WeakSet(kept)

    def work():
        kept.clear()
        gc.collect()
        assert not freed

    async with Load(session):
        for _ in range(10):
            in_a_child(work)
    for one in kept:
        await one.close()


async def test_a_child_that_closes_or_uses_the_inherited_session_is_told(session):
    prepared = await session.create_prepared("SELECT release_version FROM system.local WHERE key = ?")
    star = await session.create_prepared("SELECT * FROM system.local")

    async def use():
        text = "SELECT key FROM system.local WHERE key = ?"
        for query, parameters in ((QUERY, None), (prepared, ["local"]), (star, None), (text, ["local"])):
            with pytest.raises(acsylla_like.ForkError):
                await session.execute(query, parameters)
        with pytest.raises(acsylla_like.ForkError):
            await session.create_prepared(QUERY)
        with pytest.raises(acsylla_like.ForkError):
            session.metrics()
        await session.close()

    async with Load(session):
        for _ in range(5):
            in_a_child(lambda: asyncio.run(use()))


async def test_children_open_sessions_of_their_own_while_the_parent_is_under_load(session, cassandra):
    async with Load(session) as load:
        for _ in range(10):
            before = load.done
            in_a_child(lambda: asyncio.run(use_a_session_of_its_own(cassandra)))
            await until(lambda before=before: load.done >= before + 20)


async def test_a_child_leaves_through_the_interpreters_exit(session):
    """Its exit handlers run: they leave the parent's sessions alone."""
    sys.stdout.flush()
    sys.stderr.flush()
    async with Load(session):
        child = os.fork()
        if child == 0:
            try:
                gc.collect()
                _native._end_sessions()
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert await asyncio.to_thread(wait_for, child) == 0


def _work_of_a_process(contact_points, port, queue):
    async def work():
        async with acsylla_like.connect(contact_points, port=port) as session:
            return len(await session.execute(QUERY))

    asyncio.events._set_running_loop(None)
    queue.put(asyncio.run(work()))


async def test_processes_of_multiprocessing_started_by_fork(session, cassandra):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    async with Load(session):
        arguments = (cassandra.contact_points, cassandra.port, queue)
        processes = [context.Process(target=_work_of_a_process, args=arguments, daemon=True) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            await asyncio.to_thread(process.join, 30)
            assert process.exitcode == 0
            process.close()
    assert [queue.get() for _ in processes] == [1, 1, 1]
    queue.close()


async def test_a_child_of_a_process_with_closed_sessions_starts_afresh(cassandra):
    await use_a_session_of_its_own(cassandra)
    in_a_child(lambda: asyncio.run(use_a_session_of_its_own(cassandra)))
