"""What `Session.execute` returns: a coroutine to whoever asks, a future to asyncio, sent when someone shows interest."""

from __future__ import annotations

import asyncio
import collections.abc
import contextvars
import gc
import inspect
import sys
import warnings

import pytest
from waiting import until

import acsylla_like
from acsylla_like.testing import ScriptedServer, cql

NUMBER = cql.rows([("n", "int")], [[7]])
SLOW = "SELECT slow"
BAD = "SELECT bad"


@pytest.fixture
def server():
    """Answers `SELECT slow` when it is told to, `SELECT bad` with an error, everything else with a row."""
    with ScriptedServer() as server:
        server.go = lambda: server._loop.call_soon_threadsafe(gate.set)

        async def handler(request):
            if "slow" in request.query:
                await gate.wait()
            if "bad" in request.query:
                return cql.error(cql.INVALID, "bad")
            return None if request.opcode == cql.PREPARE else NUMBER

        gate = asyncio.Event()
        server.handler = handler
        yield server
        server.go()


@pytest.fixture
async def session(server):
    async with acsylla_like.connect(server.address, port=server.port) as session:
        yield session
        server.go()


async def arrived(server, text, count=1):
    """Waits until the server has got a query `count` times."""
    await asyncio.to_thread(server.wait_for, lambda server: server.queries().count(text) >= count)


# ---- ways to wait for it -----------------------------------------------------------------------------------------------


async def awaited(session):
    return await session.execute("SELECT n")


async def gathered(session):
    first, second = await asyncio.gather(session.execute("SELECT n"), session.execute("SELECT n"))
    assert first is not second
    return second


async def shielded(session):
    return await asyncio.shield(session.execute("SELECT n"))


async def waited_for(session):
    return await asyncio.wait_for(session.execute("SELECT n"), 10)


async def waited_for_without_bound(session):
    return await asyncio.wait_for(session.execute("SELECT n"), None)


async def completed(session):
    (first,) = [await one for one in asyncio.as_completed([session.execute("SELECT n")], timeout=10)]
    return first


async def as_a_task(session):
    return await asyncio.create_task(session.execute("SELECT n"))


async def as_a_named_task(session):
    task = asyncio.create_task(session.execute("SELECT n"), name="a name")
    assert task.get_name() == "a name"
    return await task


async def waited(session):
    tasks = {asyncio.create_task(session.execute("SELECT n")) for _ in range(2)}
    done, pending = await asyncio.wait(tasks)
    assert done == tasks
    assert not pending
    return done.pop().result()


async def ensured(session):
    return await asyncio.ensure_future(session.execute("SELECT n"))


async def delegated(session):
    async def outer():
        async def inner():
            return await session.execute("SELECT n")

        return await inner()

    return await outer()


async def called_back(session):
    request = session.execute("SELECT n")
    done = asyncio.get_running_loop().create_future()
    request.add_done_callback(done.set_result)
    assert await done is request
    return request.result()


async def by_hand(session):
    request = session.execute("SELECT n")
    waiter = request.send(None)
    assert waiter is request
    await until(request.done)
    with pytest.raises(StopIteration) as end:
        request.send(None)
    return end.value.value


async def from_a_generator(session):
    class Awaitable:
        def __await__(self):
            return (yield from session.execute("SELECT n").__await__())

    return await Awaitable()


WAYS = [awaited, gathered, shielded, waited_for, waited_for_without_bound, completed, as_a_task, as_a_named_task, waited, ensured]
WAYS += [delegated, called_back, by_hand, from_a_generator]

if sys.version_info >= (3, 11):

    async def within_a_timeout(session):
        async with asyncio.timeout(10):
            return await session.execute("SELECT n")

    async def in_a_task_group(session):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(session.execute("SELECT n"))
        return task.result()

    async def in_a_runner(session):
        def run():
            async def connect_and_ask():
                async with acsylla_like.connect(session.cluster.contact_points, port=session.cluster.port) as own:
                    return await own.execute("SELECT n")

            with asyncio.Runner() as runner:
                return runner.run(connect_and_ask())

        return await asyncio.to_thread(run)

    WAYS += [within_a_timeout, in_a_task_group, in_a_runner]

if sys.version_info >= (3, 12):

    async def eagerly(session):
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        try:
            return await asyncio.create_task(session.execute("SELECT n"))
        finally:
            loop.set_task_factory(None)

    WAYS.append(eagerly)


@pytest.mark.parametrize("way", WAYS)
async def test_it_is_sent_once_and_gives_its_result(way, session, server):
    result = await way(session)
    assert result[0].n == 7
    assert set(server.queries()) == {"SELECT n"}
    assert len(server.queries()) == (2 if way in (gathered, waited) else 1)


@pytest.mark.parametrize("way", [way for way in WAYS if way not in (by_hand, called_back, waited)])
async def test_its_error_is_raised(way, session, server):
    server.handler = lambda request: cql.error(cql.INVALID, "bad")
    with pytest.raises((acsylla_like.InvalidQuery, Exception)) as caught:
        await way(session)
    errors = [caught.value]
    while hasattr(errors[0], "exceptions"):
        errors = list(errors[0].exceptions)
    assert isinstance(errors[0], acsylla_like.InvalidQuery)


def test_loops_run_it_like_any_coroutine(server, loop_factory):
    loop = loop_factory()

    async def connect():
        return await acsylla_like.connect(server.address, port=server.port)

    session = loop.run_until_complete(connect())
    assert loop.run_until_complete(session.execute("SELECT n"))[0].n == 7
    task = loop.create_task(session.execute("SELECT n"))
    assert loop.run_until_complete(task)[0].n == 7
    loop.run_until_complete(session.close())
    loop.close()


def test_asyncio_run_takes_one(server):
    async def connect():
        return await acsylla_like.connect(server.address, port=server.port)

    session = asyncio.run(connect())
    assert asyncio.run(session.execute("SELECT n"))[0].n == 7
    with pytest.raises(acsylla_like.InvalidQuery):
        asyncio.run(session.execute(BAD))
    asyncio.run(session.close())


# ---- what it is --------------------------------------------------------------------------------------------------------


async def test_it_looks_like_a_coroutine_and_sends_nothing_before_interest_is_shown(session, server):
    request = session.execute("SELECT n")
    assert asyncio.iscoroutine(request)
    assert inspect.isawaitable(request)
    assert isinstance(request, collections.abc.Awaitable)
    assert isinstance(request, collections.abc.Coroutine)
    assert repr(request) == "<Request new 'SELECT n'>"
    assert not request.done()
    assert not request.cancelled()
    with pytest.raises(asyncio.InvalidStateError):
        request.result()
    with pytest.raises(asyncio.InvalidStateError):
        request.exception()
    await session.execute("SELECT another")  # whatever had been sent before would have arrived before
    assert server.queries() == ["SELECT another"]
    await request
    assert server.queries() == ["SELECT another", "SELECT n"]
    assert repr(request) == "<Request done 'SELECT n'>"


async def test_ensure_future_is_interest_even_when_nobody_awaits_it(session, server):
    request = asyncio.ensure_future(session.execute("SELECT n"))
    await arrived(server, "SELECT n")
    assert (await request)[0].n == 7


async def test_it_can_be_awaited_twice(session, server):
    request = session.execute("SELECT n")
    assert await request is await request
    assert server.queries() == ["SELECT n"]
    failing = session.execute(BAD)
    for _ in range(2):
        with pytest.raises(acsylla_like.InvalidQuery):
            await failing
    assert isinstance(failing.exception(), acsylla_like.InvalidQuery)


async def test_two_tasks_can_wait_for_the_same_one(session, server):
    request = session.execute(SLOW)

    async def wait():
        return await request

    tasks = [asyncio.create_task(wait()) for _ in range(3)]
    await arrived(server, SLOW)
    server.go()
    first, second, third = await asyncio.gather(*tasks)
    assert first is second is third
    assert server.queries() == [SLOW]


async def test_one_that_is_dropped_unused_gives_a_warning_that_names_it(session, server):
    with pytest.warns(RuntimeWarning, match="<Request new 'SELECT n'> was never awaited"):
        session.execute("SELECT n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.execute("SELECT n").close()  # as of a coroutine
        gc.collect()
    assert server.queries() == []


async def test_an_error_that_nobody_reads_reaches_the_loops_exception_handler(session):
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    done = asyncio.Event()
    request = session.execute(BAD)
    request.add_done_callback(lambda request: done.set())
    await done.wait()
    del request
    gc.collect()
    assert [type(context["exception"]) for context in told] == [acsylla_like.InvalidQuery]
    assert "never retrieved" in told[0]["message"]

    request = session.execute(BAD)
    with pytest.raises(acsylla_like.InvalidQuery):
        await request
    del request
    gc.collect()
    assert len(told) == 1


# ---- mistakes and their place ------------------------------------------------------------------------------------------


async def test_a_mistake_is_raised_by_the_await_and_sends_nothing(session, server):
    for wrong in (None, 7, b"SELECT", object(), ["SELECT n"]):
        request = session.execute(wrong)
        assert asyncio.iscoroutine(request)
        with pytest.raises(TypeError, match="can be executed, not"):
            await request
    for options in ({"timeout": -1}, {"page_size": -1}, {"page_size": 2**31}, {"timestamp": 2**63}, {"consistency": "MOST"}):
        with pytest.raises((ValueError, OverflowError)):
            await session.execute("SELECT n", **options)
    assert server.queries() == []


async def test_a_negative_count_or_index_is_no_way_into_memory(session):
    result = await session.execute("SELECT n")
    for index in (-2, 1, 2**31, -(2**31), 2**63 - 1, -(2**63)):
        with pytest.raises(IndexError):
            result[index]
    for index in (2**64, -(2**64)):
        with pytest.raises((IndexError, OverflowError)):
            result[index]
    with pytest.raises(TypeError):
        result["n"]
    row = result[0]
    for index in (-2, 1, 2**63):
        with pytest.raises(IndexError):
            row[index]
    prepared = await session.create_prepared("SELECT n FROM t WHERE k = ?")
    for parameters in (-1, -(2**63), 3):
        with pytest.raises(TypeError):
            await session.execute(prepared, parameters)
        with pytest.raises(TypeError):
            prepared.bind(parameters)


async def test_the_trace_shows_the_callers_line(session):
    with pytest.raises(acsylla_like.InvalidQuery) as caught:
        await session.execute(BAD)  # this line
    assert any("this line" in str(entry.statement) for entry in caught.traceback)


async def test_an_answer_of_another_kind_is_an_error(session, server):
    server.handler = lambda request: NUMBER if request.opcode == cql.PREPARE else None
    with pytest.raises(acsylla_like.ProtocolError):
        await session.create_prepared("SELECT n FROM t WHERE k = ?")
    server.handler = lambda request: cql.prepared(b"0123456789abcdef")
    assert len(await session.execute("SELECT n")) == 0
    server.handler = lambda request: cql.Answer(cql.READY)
    with pytest.raises(acsylla_like.Error):
        await session.execute("SELECT n")


# ---- cancelling --------------------------------------------------------------------------------------------------------


async def test_cancelling_reaches_whoever_waits_and_carries_its_message(session, server):
    task = asyncio.create_task(session.execute(SLOW))
    await arrived(server, SLOW)
    assert task.cancel("no longer wanted")
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert task.cancelled()
    if sys.version_info >= (3, 11):
        assert caught.value.args == ("no longer wanted",)

    request = session.execute(SLOW)
    waiting = asyncio.create_task(_await(request))
    await arrived(server, SLOW, 2)
    assert request.cancel("nor this")
    assert not request.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await waiting
    if sys.version_info >= (3, 11):  # before, a task makes an error of its own without the message
        assert caught.value.args == ("nor this",)
    assert request.cancelled()
    assert request.done()
    with pytest.raises(asyncio.CancelledError):
        request.result()
    with pytest.raises(asyncio.CancelledError):
        request.exception()
    assert session.metrics()["session"]["cancelled"] == 2
    server.go()


async def _await(request):
    return await request


async def test_one_that_is_cancelled_before_it_is_sent_is_never_sent(session, server):
    request = session.execute("SELECT n")
    assert request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    task = asyncio.create_task(session.execute("SELECT n"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await session.execute("SELECT another")
    assert server.queries() == ["SELECT another"]


async def test_a_timeout_cancels_it(session, server):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(session.execute(SLOW), 0.05)
    request = session.execute(SLOW)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(request, 0.05)
    assert request.cancelled()
    if sys.version_info >= (3, 11):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.execute(SLOW)


async def test_a_shield_keeps_it_alive(session, server):
    request = session.execute(SLOW)
    task = asyncio.create_task(_await(asyncio.shield(request)))
    await arrived(server, SLOW)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not request.done()
    server.go()
    assert (await request)[0].n == 7


async def test_closing_a_coroutine_that_waits_for_it_cancels_it(session, server):
    request = session.execute(SLOW)
    waiting = _await(request)
    assert waiting.send(None) is request
    waiting.close()
    assert request.cancelled()
    other = session.execute(SLOW)
    waiting = _await(other)
    waiting.send(None)
    with pytest.raises(KeyError):
        waiting.throw(KeyError("mine"))
    assert other.cancelled()


async def test_a_cancelled_gather_cancels_its_requests(session, server):
    requests = [session.execute(SLOW) for _ in range(3)]
    gathering = asyncio.gather(*requests)
    await arrived(server, SLOW, 3)
    gathering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathering
    assert all(request.cancelled() for request in requests)


@pytest.mark.parametrize("message", [None, "for good"])
async def test_a_gather_that_takes_errors_takes_cancelled_requests(session, server, message):
    cancelled, good = session.execute(SLOW), session.execute("SELECT n")
    gathering = asyncio.gather(cancelled, good, return_exceptions=True)
    await arrived(server, SLOW)
    cancelled.cancel(message)
    first, second = await asyncio.wait_for(gathering, 5.0)
    assert type(first) is asyncio.CancelledError
    assert first.args == (message or "",)
    assert second.single() == (7,)


async def test_a_late_answer_to_a_cancelled_request_is_taken(session, server):
    request = session.execute(SLOW)
    task = asyncio.create_task(_await(request))
    await arrived(server, SLOW)
    task.cancel()
    await asyncio.wait([task])
    assert session.in_flight == 1
    server.go()
    await until(lambda: session.in_flight == 0)
    assert request.cancelled()


# ---- callbacks ---------------------------------------------------------------------------------------------------------


async def test_callbacks_run_in_order_with_their_context(session):
    variable = contextvars.ContextVar("variable", default="outside")
    seen = []
    done = asyncio.Event()
    request = session.execute("SELECT n")
    variable.set("first")
    request.add_done_callback(lambda request: seen.append(("first", variable.get(), request.done())))
    variable.set("second")
    request.add_done_callback(lambda request: seen.append(("second", variable.get(), request.done())))
    other = contextvars.copy_context()
    other.run(variable.set, "given")
    request.add_done_callback(lambda request: (seen.append(("third", variable.get(), request.done())), done.set()), context=other)
    variable.set("later")
    assert seen == []
    await done.wait()
    assert seen == [("first", "first", True), ("second", "second", True), ("third", "given", True)]

    done.clear()
    request.add_done_callback(lambda request: done.set())  # of one that is done: soon, not at once
    assert not done.is_set()
    await done.wait()


async def test_callbacks_can_be_taken_back(session):
    calls = []

    def taken_back(request):
        calls.append("taken back")

    done = asyncio.Event()
    request = session.execute("SELECT n")
    request.add_done_callback(taken_back)
    request.add_done_callback(lambda request: done.set())
    request.add_done_callback(taken_back)
    assert request.remove_done_callback(taken_back) == 2
    assert request.remove_done_callback(taken_back) == 0
    await done.wait()
    assert calls == []


async def test_what_a_task_asks_for_quickly_is_what_the_methods_say(session):
    """awaiting.pyx answers four attributes by itself: in every form of the call as the methods do."""
    request = session.execute("SELECT n")
    loop = asyncio.get_running_loop()
    assert request.get_loop() is loop
    calls = []
    first, second = contextvars.copy_context(), contextvars.copy_context()
    quick = request.add_done_callback
    assert callable(quick)
    with pytest.raises(asyncio.InvalidStateError):
        request.result()
    for arguments, keywords in (((), {}), ((calls.append, 1), {}), ((calls.append,), {"other": 1}), ((), {"context": first})):
        with pytest.raises(TypeError):
            quick(*arguments, **keywords)
    assert quick(calls.append) is None
    assert quick(calls.append, context=first) is None
    assert quick(calls.append, **{"con" + "text": second}) is None
    assert quick(callback=calls.append, context=None) is None
    assert request._asyncio_future_blocking is False
    request._asyncio_future_blocking = True
    assert request._asyncio_future_blocking is True
    request._asyncio_future_blocking = False
    assert request.get_loop() is loop
    rows = await request
    await until(lambda: len(calls) == 4)
    assert calls == [request] * 4
    assert request.result() is rows
    assert getattr(request, "".join(["res", "ult"]))() is rows
    for arguments, keywords in (((1,), {}), ((), {"timeout": 1})):
        with pytest.raises(TypeError):
            request.result(*arguments, **keywords)
    failed = session.execute("SELECT bad")
    with pytest.raises(acsylla_like.errors.InvalidQuery):
        await failed
    with pytest.raises(acsylla_like.errors.InvalidQuery):
        failed.result()
    with pytest.raises(AttributeError, match="results"):
        request.results  # noqa: B018
    with pytest.raises(AttributeError):
        request.other = 1


async def test_an_error_in_a_callback_is_the_loops_business(session):
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    done = asyncio.Event()

    def fails(request):
        raise ValueError("mine")

    request = session.execute("SELECT n")
    request.add_done_callback(fails)
    request.add_done_callback(lambda request: done.set())
    await done.wait()
    assert [str(error) for error in told] == ["mine"]
    assert (await request)[0].n == 7


async def test_context_variables_and_the_current_task_are_those_of_the_caller(session):
    variable = contextvars.ContextVar("variable")

    async def work(n):
        task = asyncio.current_task()
        variable.set(n)
        await session.execute("SELECT n")
        assert variable.get() == n
        assert asyncio.current_task() is task
        return n

    assert await asyncio.gather(*(work(n) for n in range(50))) == list(range(50))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_callback_stops_the_loop_and_loses_no_answer(error, server, loop_factory):
    loop = loop_factory()

    async def connect():
        return await acsylla_like.connect(server.address, port=server.port)

    session = loop.run_until_complete(connect())

    def interrupt(request):
        raise error

    async def main():
        requests = [session.execute("SELECT n") for _ in range(100)]
        requests[10].add_done_callback(interrupt)
        return await asyncio.gather(*requests)

    task = loop.create_task(main())
    with pytest.raises(error):
        loop.run_until_complete(task)
    results = loop.run_until_complete(task)
    assert [result[0].n for result in results] == [7] * 100
    loop.run_until_complete(session.close())
    loop.close()


def test_an_interrupt_in_the_middle_of_a_drain_leaves_nobody_waiting(server, loop_factory, monkeypatch):
    loop = loop_factory()

    async def connect():
        return await acsylla_like.connect(server.address, port=server.port)

    session = loop.run_until_complete(connect())
    class_of_code = acsylla_like.errors.class_of_code
    calls = []

    def interrupted(code):
        calls.append(code)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return class_of_code(code)

    monkeypatch.setattr(acsylla_like.errors, "class_of_code", interrupted)

    async def main():
        return await asyncio.gather(*(session.execute(BAD) for _ in range(100)), return_exceptions=True)

    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    results = loop.run_until_complete(task)
    assert sorted(type(result).__name__ for result in results) == ["InvalidQuery"] * 99 + ["KeyboardInterrupt"]
    assert session.in_flight == 0
    loop.run_until_complete(session.close())
    loop.close()
