"""Sessions that are dropped instead of closed, also while they connect: no block, and their threads and sockets go away."""

from __future__ import annotations

import asyncio
import gc
import socket
import time

import pytest
from waiting import until

import acsylla_like
from acsylla_like.testing import ScriptedServer, cql

# What fix_leaks.py finds left behind fails each of these tests.


@pytest.fixture
def black_hole():
    """A socket that accepts connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        yield listening.getsockname()


class Stopwatch:
    """How long the loop was held at worst while it is on."""

    async def __aenter__(self):
        self.worst = 0.0
        self.task = asyncio.create_task(self.watch())
        await asyncio.sleep(0)
        return self

    async def watch(self):
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            self.worst = max(self.worst, time.monotonic() - before)

    async def __aexit__(self, *error):
        await asyncio.sleep(0.05)
        self.task.cancel()


async def test_a_dropped_session_warns_where_it_was_opened_and_does_not_block(cassandra):
    kept = [await acsylla_like.connect(cassandra.contact_points, port=cassandra.port)]
    async with Stopwatch() as stopwatch:
        with pytest.warns(ResourceWarning, match=r"unclosed session opened at .*test_unclosed_session.py:\d+"):
            kept.clear()
    assert stopwatch.worst < 0.5


async def test_a_session_dropped_under_load_does_not_block(cassandra):
    async def forget():
        session = await acsylla_like.connect(cassandra.contact_points, port=cassandra.port)
        requests = [asyncio.ensure_future(session.execute("SELECT release_version FROM system.local")) for _ in range(2000)]
        del session
        await asyncio.gather(*requests)
        del requests
        await asyncio.sleep(0)  # the loop lets go of gather's future, and that of its requests
        gc.collect()

    async with Stopwatch() as stopwatch:
        with pytest.warns(ResourceWarning, match="unclosed session"):
            await forget()
    assert stopwatch.worst < 0.5


async def test_a_session_dropped_while_the_server_is_silent_does_not_block():
    with ScriptedServer(lambda request: cql.SILENCE) as server:
        async with Stopwatch() as stopwatch:
            session = await acsylla_like.connect(server.address, port=server.port, request_timeout=1.0)
            tasks = [asyncio.ensure_future(session.execute("SELECT silent")) for _ in range(50)]
            session._release()  # as when it is collected
            del session
        assert stopwatch.worst < 0.5
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, acsylla_like.Error) for result in results)


async def test_a_cancelled_connect_does_not_block(cassandra):
    async with Stopwatch() as stopwatch:
        for delay in (0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02):
            for _ in range(5):
                cluster = acsylla_like.create_cluster(cassandra.contact_points, port=cassandra.port)
                task = asyncio.create_task(cluster.create_session())
                await asyncio.sleep(delay)
                task.cancel()
                results = await asyncio.gather(task, return_exceptions=True)
                if isinstance(results[0], acsylla_like.Session):  # connected before
                    await results[0].close()
    assert stopwatch.worst < 1.0


async def test_a_connect_into_a_black_hole_can_be_cancelled_and_the_next_session_need_not_wait_for_it(black_hole, cassandra):
    host, port = black_hole
    async with Stopwatch() as stopwatch:
        tasks = []
        for _ in range(5):
            cluster = acsylla_like.create_cluster(host, port=port, connect_timeout=2.0)
            tasks.append(asyncio.create_task(cluster.create_session()))
        await asyncio.sleep(0.1)
        before = time.monotonic()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert time.monotonic() - before < 0.5
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port) as session:
            assert len(await session.execute("SELECT release_version FROM system.local")) == 1
    assert stopwatch.worst < 0.5


async def test_a_connect_into_a_black_hole_ends_by_its_own_timeout(black_hole):
    host, port = black_hole
    with pytest.raises((acsylla_like.UnableToConnect, acsylla_like.NoHostsAvailable)):
        await acsylla_like.connect(host, port=port, connect_timeout=0.3)


async def test_a_connect_bounded_by_wait_for(black_hole):
    host, port = black_hole
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(acsylla_like.create_cluster(host, port=port, connect_timeout=1.0).create_session(), 0.1)


async def test_connecting_to_nobody_is_an_error():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises((acsylla_like.UnableToConnect, acsylla_like.NoHostsAvailable)):
            await acsylla_like.connect("127.0.0.1", port=unused.getsockname()[1])


async def test_a_closed_session_says_so(cassandra):
    session = await acsylla_like.connect(cassandra.contact_points, port=cassandra.port)
    star = await session.create_prepared("SELECT * FROM system.local")
    await session.close()
    await session.close()
    closed = time.monotonic()
    await until(lambda: time.monotonic() > closed + 0.2)  # what it remembers of the schema is older than that
    for query in ("SELECT release_version FROM system.local", star, star.bind()):
        with pytest.raises(acsylla_like.SessionClosed):
            await session.execute(query)
    with pytest.raises(acsylla_like.SessionClosed):
        await session.create_prepared("SELECT release_version FROM system.local")
    with pytest.raises(acsylla_like.SessionClosed):
        session.metrics()
