"""Event loops that are closed while requests are in flight, and the loops that come after them."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest
from waiting import wait_until

import acsylla_like
from acsylla_like import _native
from acsylla_like.testing import ScriptedServer, cql

QUERY = "SELECT release_version FROM system.local"


def later_loops_work(server, loop_factory):
    """Sessions of later loops in the process, and the end of what was in flight."""

    async def work():
        async with acsylla_like.connect(server.contact_points, port=server.port) as session:
            results = await asyncio.gather(*(session.execute(QUERY) for _ in range(100)))
            assert all(len(result) == 1 for result in results)

    for _ in range(2):
        run(loop_factory, work())
    wait_until(lambda: _native.requests_in_flight() == 0, 30)
    assert _native.requests_in_flight() == 0


def run(loop_factory, coroutine):
    """As asyncio.run, on the kind of loop that the run of the tests asks for."""
    loop = loop_factory()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.run_until_complete(cancel_the_rest())
        loop.close()


async def cancel_the_rest():
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def test_a_run_that_ends_with_thousands_unawaited(cassandra, loop_factory):
    async def main():
        session = await acsylla_like.connect(cassandra.contact_points, port=cassandra.port)
        kept.append(session)
        kept.extend(asyncio.ensure_future(session.execute(QUERY)) for _ in range(5000))

    kept = []
    run(loop_factory, main())
    later_loops_work(cassandra, loop_factory)
    session = kept[0]
    assert session.in_flight == 0
    del kept[1:]
    # A session outlives the loop it was opened on.
    assert len(run(loop_factory, awaited(session.execute(QUERY)))) == 1
    run(loop_factory, session.close())


async def awaited(awaitable):
    return await awaitable


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_twenty_thousand_tasks_left_unawaited_half_of_them_cancelled(cassandra, loop_factory):
    loop = loop_factory()

    async def open_session():
        return await acsylla_like.connect(cassandra.contact_points, port=cassandra.port, queue_size_io=65536)

    session = loop.run_until_complete(open_session())

    async def flood():
        tasks = [asyncio.create_task(session.execute(QUERY)) for _ in range(20000)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # they are sent
        for task in tasks[::2]:
            task.cancel()
        return tasks

    tasks = loop.run_until_complete(flood())
    assert session.in_flight > 1000
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # destroyed but pending: what this test does
        loop.set_exception_handler(lambda *_: None)
        for task in tasks:
            task._log_destroy_pending = False
        del tasks, task
        gc.collect()
    later_loops_work(cassandra, loop_factory)
    run(loop_factory, session.close())
    assert session.in_flight == 0


def test_a_loop_closed_under_a_server_that_answers_later(loop_factory):
    with ScriptedServer(lambda request: cql.void().delayed(0.5)) as server:

        async def main():
            session = await acsylla_like.connect(server.address, port=server.port)
            kept.append(session)
            kept.extend(asyncio.ensure_future(session.execute("SELECT late")) for _ in range(100))

        kept = []
        run(loop_factory, main())
        assert _native.requests_in_flight() == 100
        session = kept[0]
        kept.clear()
        wait_until(lambda: _native.requests_in_flight() == 0)
        run(loop_factory, session.close())


def test_a_closed_loop_that_nobody_keeps_gives_its_descriptor_back(cassandra, loop_factory):
    # fix_leaks.py looks at the descriptors.
    async def main():
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port) as session:
            await session.execute(QUERY)

    for _ in range(20):
        run(loop_factory, main())


def test_an_unclosed_session_whose_loop_is_gone_is_still_given_back(cassandra, loop_factory):
    async def main():
        session = await acsylla_like.connect(cassandra.contact_points, port=cassandra.port)
        requests = [asyncio.ensure_future(session.execute(QUERY)) for _ in range(500)]
        assert requests

    def forget():
        run(loop_factory, main())
        wait_until(lambda: _native.requests_in_flight() == 0)
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed session"):
        forget()
