"""Requests that are cancelled while thousands are in flight."""

from __future__ import annotations

import asyncio
import random

from waiting import until

import acsylla_like


async def test_cancelled_requests_free_what_they_hold_and_disturb_nobody(session):
    await session.execute("CREATE TABLE cancelled (k int PRIMARY KEY, v text)")
    insert = await session.create_prepared("INSERT INTO cancelled (k, v) VALUES (?, ?)")
    select = await session.create_prepared("SELECT v FROM cancelled WHERE k = ?")
    await asyncio.gather(*(session.execute(insert, [k, f"value {k}"]) for k in range(100)))
    chance = random.Random(7)

    async def one(n):
        k = chance.randrange(100)
        result = await session.execute(select, [k])
        assert result[0].v == f"value {k}"
        return n

    for _ in range(5):
        tasks = [asyncio.create_task(one(n)) for n in range(2000)]
        doomed = set(chance.sample(range(2000), 1000))
        for n in doomed:
            if n % 3 == 0:
                await asyncio.sleep(0)  # some before they are sent, some in flight, some when the answer is there
            tasks[n].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for n, result in enumerate(results):
            assert result == n or (n in doomed and isinstance(result, asyncio.CancelledError)), result
    await until(lambda: session.in_flight == 0)
    counted = session.metrics()["session"]
    assert counted["failed"] == 0
    assert counted["cancelled"] > 0


async def test_timeouts_in_droves_leave_the_session_usable(session):
    async def one():
        try:
            await asyncio.wait_for(session.execute("SELECT release_version FROM system.local"), 0.001)
        except asyncio.TimeoutError:
            return 1
        return 0

    assert sum(await asyncio.gather(*(one() for _ in range(3000)))) > 0
    await until(lambda: session.in_flight == 0)
    assert len(await session.execute("SELECT release_version FROM system.local")) == 1


async def test_leaving_a_stream_early_leaves_nothing_in_flight(session):
    await session.execute("CREATE TABLE streamed (p int, k int, v text, PRIMARY KEY (p, k))")
    insert = await session.create_prepared("INSERT INTO streamed (p, k, v) VALUES (0, ?, ?)")
    await asyncio.gather(*(session.execute(insert, [k, "x" * 100]) for k in range(1000)))
    for _ in range(30):
        async with session.stream("SELECT * FROM streamed", page_size=10) as rows:
            seen = 0
            async for row in rows:
                assert row.v == "x" * 100
                seen += 1
                if seen == 15:
                    break
        task = asyncio.create_task(_count(session.stream("SELECT * FROM streamed", page_size=10)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await until(lambda: session.in_flight == 0)
    assert await _count(session.stream("SELECT * FROM streamed", page_size=10)) == 1000


async def _count(stream):
    count = 0
    async for _ in stream:
        count += 1
    return count


async def test_drain_bounds_the_wait_and_close_takes_the_rest(cassandra):
    session = await acsylla_like.connect(cassandra.contact_points, port=cassandra.port)
    tasks = [asyncio.create_task(session.execute("SELECT release_version FROM system.local")) for _ in range(1000)]
    await asyncio.sleep(0)
    await session.drain(timeout=30)
    results = await asyncio.gather(*tasks)
    assert len(results) == 1000
