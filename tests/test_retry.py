"""Retry policies: what is sent again, when, to whom, and what the caller sees of it."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from test_error_matrix import INSERT, KINDS, PLAIN, SELECT, _second_page, _stream, _text, _text_with_values
from waiting import until

import acsylla_like
from acsylla_like import IGNORE, RETHROW, Consistency, FailedRequest, Retry, RetryBudget, RetryPolicy, errors
from acsylla_like.retry import back_off
from acsylla_like.testing import ScriptedServer, cql

QUICK = RetryPolicy(first_pause=0.001, longest_pause=0.002)
OVERLOADED = cql.error(cql.OVERLOADED)
UNAVAILABLE = cql.error(cql.UNAVAILABLE)
ROW = cql.rows([("v", "int")], [[7]])


@pytest.fixture
async def asking(scripted: ScriptedServer) -> AsyncIterator[acsylla_like.Session]:
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        yield session


class Failing:
    """Answers the first requests of each statement with failures, and the others with a row."""

    def __init__(self, *failures: cql.Answer, answer: cql.Answer | None = None) -> None:
        self.failures = failures
        self.answer = ROW if answer is None else answer
        self.tries: list[cql.Request] = []

    def __call__(self, request: cql.Request) -> cql.Answer | None:
        if request.opcode not in (cql.QUERY, cql.EXECUTE, cql.BATCH):
            return None
        if "system." in request.query:  # where the nodes are; the server answers that itself
            return None
        self.tries.append(request)
        if len(self.tries) <= len(self.failures):
            return self.failures[len(self.tries) - 1]
        return self.answer


def _retries(session: acsylla_like.Session) -> dict[str, float]:
    return session.metrics()["retries"]


# ---- every kind of request --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [kind for kind in KINDS if kind not in (_stream, _second_page)])
async def test_each_kind_of_request_is_sent_again_until_it_succeeds(scripted, asking, ask):
    await asking._retries._read_hosts(5.0)  # one of whose questions fails, as the server has no system.peers_v2
    failed = asking.metrics()["session"]["failed"]
    scripted.handler = failing = Failing(OVERLOADED, UNAVAILABLE)
    await ask(asking, retry_policy=QUICK)
    assert len(failing.tries) == 3
    assert len({(try_.opcode, try_.query, tuple(try_.parameters or ())) for try_ in failing.tries}) == 1
    assert _retries(asking) == {"sent": 2, "succeeded": 1, "ignored": 0, "over_budget": 0}
    assert asking.metrics()["session"]["failed"] == failed


@pytest.mark.parametrize("ask", KINDS)
async def test_without_a_policy_nothing_is_sent_again(scripted, asking, ask):
    scripted.handler = failing = Failing(UNAVAILABLE, UNAVAILABLE)
    with pytest.raises(errors.Unavailable) as caught:
        await ask(asking)
    assert len(failing.tries) == 1
    assert caught.value.attempts == ()
    assert _retries(asking)["sent"] == 0


@pytest.mark.parametrize("where", ["cluster", "session", "connect", "prepared", "statement", "call", "batch"])
async def test_a_policy_is_given_for_a_cluster_a_session_a_statement_or_a_call(scripted, where):
    at, port = scripted.contact_points, scripted.port
    cluster = acsylla_like.create_cluster(at, port=port, **({"retry_policy": QUICK} if where == "cluster" else {}))
    session = (
        await acsylla_like.connect(at, port=port, retry_policy=QUICK)
        if where == "connect"
        else await cluster.create_session(**({"retry_policy": QUICK} if where == "session" else {}))
    )
    async with session:
        prepared = await session.create_prepared(SELECT, **({"retry_policy": QUICK} if where == "prepared" else {}))
        scripted.handler = failing = Failing(UNAVAILABLE)
        if where == "statement":
            await session.execute(acsylla_like.create_statement(prepared, [b"1"], retry_policy=QUICK))
        elif where == "batch":
            await session.execute(acsylla_like.create_batch_unlogged(retry_policy=QUICK).add(INSERT.replace("?", "1")))
        elif where == "call":
            await session.execute(prepared, [b"1"], retry_policy=QUICK)
        else:
            await session.execute(prepared, [b"1"])
        assert len(failing.tries) == 2


async def test_the_nearest_policy_wins(scripted):
    never = RetryPolicy(retries=0)
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port, retry_policy=QUICK) as session:
        scripted.handler = failing = Failing(UNAVAILABLE, UNAVAILABLE)
        with pytest.raises(errors.Unavailable):
            await session.execute(PLAIN, retry_policy=never)
        assert len(failing.tries) == 1


async def test_an_execution_profile_may_have_a_policy(scripted):
    seen = []

    class Watching(RetryPolicy):
        def decide(self, error: errors.Error, request: FailedRequest) -> Any:
            seen.append(error)
            return RETHROW

    slow = acsylla_like.ExecutionProfile(consistency="TWO", retry_policy=Watching())
    profiles = {"slow": slow, "plain": acsylla_like.ExecutionProfile()}
    at = {"port": scripted.port, "retry_policy": QUICK, "execution_profiles": profiles}
    async with acsylla_like.connect(scripted.contact_points, **at) as session:
        scripted.handler = failing = Failing(UNAVAILABLE)
        with pytest.raises(errors.Unavailable):
            await session.execute(PLAIN, execution_profile="slow")
        assert len(seen) == 1
        assert failing.tries[0].consistency == Consistency.TWO
        for options in ({"execution_profile": "slow", "retry_policy": QUICK}, {"execution_profile": "plain"}, {}):
            scripted.handler = failing = Failing(UNAVAILABLE)
            await session.execute(PLAIN, **options)
            assert len(failing.tries) == 2
        assert len(seen) == 1
    async with acsylla_like.connect(scripted.contact_points, execution_profile="slow", **at) as session:
        scripted.handler = Failing(UNAVAILABLE)
        with pytest.raises(errors.Unavailable):
            await session.execute(PLAIN)
        assert len(seen) == 2
    with pytest.raises(TypeError, match="execution profile 'slow': retry_policy must be a RetryPolicy, not str"):
        acsylla_like.create_cluster("127.0.0.1", execution_profiles={"slow": acsylla_like.ExecutionProfile(retry_policy="x")})


@pytest.mark.parametrize("wrong", ["always", 3, RetryPolicy, object()])
async def test_what_is_no_policy_is_refused(scripted, asking, wrong):
    with pytest.raises(TypeError, match="retry_policy must be a RetryPolicy"):
        await asking.execute(PLAIN, retry_policy=wrong)
    with pytest.raises(TypeError, match="retry_policy must be a RetryPolicy"):
        acsylla_like.create_cluster("127.0.0.1", retry_policy=wrong)


# ---- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["execute", "stream", "next_page"])
async def test_a_page_that_fails_is_asked_for_again_and_no_other(scripted, asking, way):
    states: list[bytes | None] = []
    pages = {None: ([[1], [2]], b"a"), b"a": ([[3], [4]], b"b"), b"b": ([[5]], None)}

    def handle(request: cql.Request) -> cql.Answer | None:
        if "system." in request.query:
            return None
        states.append(request.paging_state)
        if states.count(request.paging_state) < 3:
            return UNAVAILABLE
        rows, following = pages[request.paging_state]
        return cql.rows([("v", "int")], rows, paging_state=following)

    scripted.handler = handle
    if way == "execute":
        values = [row.v for row in await asking.execute(PLAIN, retry_policy=QUICK)]
    elif way == "stream":
        values = [row.v async for row in asking.stream(PLAIN, page_size=2, retry_policy=QUICK)]
    else:
        values = [row.v async for row in await asking.execute(PLAIN, page_size=2, retry_policy=QUICK)]
    assert values == [1, 2, 3, 4, 5]
    assert states == [None] * 3 + [b"a"] * 3 + [b"b"] * 3


async def test_a_prepared_select_goes_on_at_the_page_that_failed(scripted, asking):
    states: list[bytes | None] = []

    def handle(request: cql.Request) -> cql.Answer | None:
        if request.opcode != cql.EXECUTE:
            return None
        states.append(request.paging_state)
        if request.paging_state is None:
            return cql.rows([("v", "int")], [[1]], paging_state=b"a")
        return OVERLOADED if states.count(b"a") < 3 else cql.rows([("v", "int")], [[2]])

    scripted.handler = handle
    scripted.answer(SELECT, ROW, [("k", "blob")])
    result = await asking.execute(SELECT, [b"1"], retry_policy=QUICK)
    assert [row.v for row in result] == [1, 2]
    assert states == [None, b"a", b"a", b"a"]


# ---- what may be repeated ---------------------------------------------------------------------------------------------

LATE_WRITE = cql.error(cql.WRITE_TIMEOUT, received=1, required=2)


@pytest.mark.parametrize(
    ("query", "answer", "options", "policy", "repeats"),
    [
        ("INSERT INTO ks.t (k) VALUES (1)", LATE_WRITE, {}, {}, False),
        ("INSERT INTO ks.t (k) VALUES (1)", LATE_WRITE, {"idempotent": True}, {}, True),
        ("INSERT INTO ks.t (k) VALUES (1)", LATE_WRITE, {}, {"only_idempotent": False}, True),
        ("INSERT INTO ks.t (k) VALUES (1)", cql.CLOSE, {}, {}, False),
        ("INSERT INTO ks.t (k) VALUES (1)", UNAVAILABLE, {}, {}, True),
        ("INSERT INTO ks.t (k) VALUES (1)", UNAVAILABLE, {"idempotent": False}, {}, True),
        ("INSERT INTO ks.t (k) VALUES (1)", OVERLOADED, {}, {}, True),
        ("INSERT INTO ks.t (k) VALUES (1)", OVERLOADED, {"idempotent": False}, {}, False),
        ("INSERT INTO ks.t (k) VALUES (1)", cql.error(cql.WRITE_TIMEOUT, write_type="COUNTER"), {"idempotent": True}, {}, False),
        ("INSERT INTO ks.t (k) VALUES (1) IF NOT EXISTS", cql.error(cql.WRITE_TIMEOUT, write_type="CAS"), {"idempotent": True}, {}, False),
        (PLAIN, cql.error(cql.READ_TIMEOUT), {}, {}, True),
        ("/* first */ select v FROM ks.t", cql.error(cql.READ_FAILURE), {}, {}, True),
        (PLAIN, cql.error(cql.READ_TIMEOUT), {"idempotent": False}, {}, False),
        (PLAIN, cql.error(cql.INVALID), {"idempotent": True}, {"only_idempotent": False}, False),
        (PLAIN, cql.error(cql.SYNTAX_ERROR), {}, {}, False),
        (PLAIN, cql.error(cql.UNAUTHORIZED), {}, {}, False),
        (PLAIN, cql.error(cql.FUNCTION_FAILURE), {}, {}, False),
    ],
)
async def test_only_what_may_be_repeated_is_repeated(scripted, asking, query, answer, options, policy, repeats):
    scripted.handler = failing = Failing(answer)
    request = asking.execute(query, retry_policy=RetryPolicy(first_pause=0.001, longest_pause=0.002, **policy), **options)
    if repeats:
        await request
    else:
        with pytest.raises(errors.Error):
            await request
    assert len(failing.tries) == 1 + repeats


def _error(error_class: type[errors.Error], **fields: Any) -> errors.Error:
    error = error_class("made")
    error.__dict__.update(fields)
    return error


def _failed(**fields: Any) -> FailedRequest:
    said = {"is_batch": False, "is_read": True, "idempotent": None, "attempts": (), "elapsed": 0.1, "remaining": 1.0}
    return FailedRequest(query=PLAIN, **{**said, **fields})


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (_error(errors.Unavailable), Retry("next")),
        (_error(errors.Overloaded), Retry("next")),
        (_error(errors.IsBootstrapping), Retry("next")),
        (_error(errors.ConnectionLost), Retry("next")),
        (_error(errors.RequestTimeout), Retry("next")),
        (_error(errors.NoHostsAvailable), Retry("any")),
        (_error(errors.RequestQueueFull), Retry("any")),
        (_error(errors.ReadTimeout, received=2, required=2, data_present=False), Retry("same")),
        (_error(errors.ReadTimeout, received=2, required=2, data_present=True), Retry("next")),
        (_error(errors.ReadTimeout, received=1, required=2, data_present=False), Retry("next")),
        (_error(errors.WriteTimeout, write_type="BATCH_LOG"), Retry("same")),
        (_error(errors.WriteTimeout, write_type="SIMPLE"), Retry("next")),
        (_error(errors.WriteTimeout, write_type="COUNTER"), RETHROW),
        (_error(errors.WriteTimeout, write_type="CAS"), RETHROW),
        (_error(errors.WriteFailure, write_type="CAS"), RETHROW),
        (_error(errors.CasWriteUnknown), RETHROW),
        (_error(errors.InvalidQuery), RETHROW),
        (_error(errors.SessionClosed), RETHROW),
        (_error(errors.DecodeError), RETHROW),
    ],
    ids=str,
)
def test_what_is_decided_by_default(error, decision):
    assert RetryPolicy().decide(error, _failed()) == decision


async def test_the_policy_is_told_of_the_request(scripted, asking):
    seen: list[FailedRequest] = []

    class Watching(RetryPolicy):
        def decide(self, error: errors.Error, request: FailedRequest) -> Any:
            seen.append(request)
            return super().decide(error, request)

    scripted.handler = Failing(OVERLOADED, UNAVAILABLE)
    insert = await asking.create_prepared(INSERT)
    await asking.execute(insert, [b"1"], retry_policy=Watching(first_pause=0.02), idempotent=True, timeout=5.0)
    assert [(request.query, request.idempotent, request.is_read, request.is_batch) for request in seen] == [
        (INSERT, True, False, False)
    ] * 2
    assert [len(request.attempts) for request in seen] == [0, 1]
    assert type(seen[1].attempts[0].error) is errors.Overloaded
    assert 0.01 <= seen[1].attempts[0].pause <= 0.03
    assert seen[0].elapsed < seen[1].elapsed < 1.0
    assert seen[0].remaining > seen[1].remaining > 4.0
    scripted.handler = Failing(OVERLOADED)
    await asking.execute(acsylla_like.create_batch_unlogged().add(insert, [b"1"]), retry_policy=Watching(), timeout=math.inf)
    assert (seen[2].is_batch, seen[2].is_read, seen[2].idempotent, seen[2].remaining) == (True, False, None, math.inf)
    scripted.handler = Failing(UNAVAILABLE)
    await asking.execute(SELECT, [b"1"], retry_policy=Watching(), idempotent=False)
    assert (seen[3].is_read, seen[3].idempotent) == (True, False)


# ---- how it ends ------------------------------------------------------------------------------------------------------


async def test_the_last_error_tells_of_all_tries(scripted, asking):
    await asking._retries._read_hosts(5.0)
    failed = asking.metrics()["session"]["failed"]
    scripted.handler = failing = Failing(OVERLOADED, UNAVAILABLE, cql.error(cql.READ_TIMEOUT), cql.error(cql.READ_TIMEOUT, "the last"))
    with pytest.raises(errors.ReadTimeout, match="the last") as caught:
        await asking.execute(PLAIN, retry_policy=QUICK)
    error = caught.value
    assert len(failing.tries) == 4
    assert [type(attempt.error) for attempt in error.attempts] == [errors.Overloaded, errors.Unavailable, errors.ReadTimeout]
    assert all(attempt.coordinator.port == scripted.port for attempt in error.attempts)
    assert 0 < error.attempts[0].seconds < error.attempts[1].seconds < error.attempts[2].seconds
    assert "4 tries" in str(error)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert [type(attempt.error) for attempt in twin.attempts] == [errors.Overloaded, errors.Unavailable, errors.ReadTimeout]
    assert _retries(asking) == {"sent": 3, "succeeded": 0, "ignored": 0, "over_budget": 0}
    assert asking.metrics()["session"]["failed"] == failed + 1


class Deciding(RetryPolicy):
    """Decides what a test says."""

    def __init__(self, decision: Any, **options: Any) -> None:
        super().__init__(first_pause=0.001, longest_pause=0.002, **options)
        self.decision = decision

    def decide(self, error: errors.Error, request: FailedRequest) -> Any:
        return self.decision(error, request) if callable(self.decision) else self.decision


async def test_an_error_that_is_ignored_is_an_empty_result(scripted, asking):
    scripted.handler = Failing(cql.error(cql.INVALID), UNAVAILABLE, UNAVAILABLE)
    policy = Deciding(lambda error, request: IGNORE if request.attempts or isinstance(error, errors.InvalidQuery) else Retry())
    for _ in range(2):
        result = await asking.execute(PLAIN, retry_policy=policy)
        assert (len(result), list(result), result.one(), result.has_more_pages, result.columns) == (0, [], None, False, ())
        assert (result.coordinator, result.tracing_id, result.applied) == (None, None, None)
        assert [row async for row in result] == []
    assert _retries(asking) == {"sent": 1, "succeeded": 0, "ignored": 2, "over_budget": 0}


async def test_a_policy_that_fails_is_told(scripted, asking):
    scripted.handler = Failing(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE)

    def divide(error: errors.Error, request: FailedRequest) -> Any:
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        await asking.execute(PLAIN, retry_policy=Deciding(divide))
    with pytest.raises(TypeError, match="must decide for a Retry, RETHROW or IGNORE, not None") as caught:
        await asking.execute(PLAIN, retry_policy=Deciding(None))
    assert isinstance(caught.value.__cause__, errors.Unavailable)
    with pytest.raises(ValueError, match="consistency 'SOME' is none of"):
        await asking.execute(PLAIN, retry_policy=Deciding(Retry(consistency="SOME")))


async def test_the_limits_hold_for_whatever_a_policy_decides(scripted, asking):
    scripted.handler = failing = Failing(*[UNAVAILABLE] * 50)
    with pytest.raises(errors.Unavailable):
        await asking.execute(PLAIN, retry_policy=Deciding(Retry(), retries=7))
    assert len(failing.tries) == 8
    scripted.handler = failing = Failing(LATE_WRITE, LATE_WRITE)
    with pytest.raises(errors.WriteTimeout):
        await asking.execute("INSERT INTO ks.t (k) VALUES (1)", retry_policy=Deciding(Retry()))
    assert len(failing.tries) == 1


# ---- time -------------------------------------------------------------------------------------------------------------


async def test_the_timeout_spans_all_tries(scripted, asking):
    scripted.handler = failing = Failing(UNAVAILABLE.delayed(0.1), UNAVAILABLE.delayed(0.1), cql.SILENCE)
    started = time.monotonic()
    with pytest.raises(errors.RequestTimeout) as caught:
        await asking.execute(PLAIN, timeout=0.5, retry_policy=QUICK)
    assert 0.49 <= time.monotonic() - started < 1.5
    assert len(failing.tries) == 3
    assert [type(attempt.error) for attempt in caught.value.attempts] == [errors.Unavailable] * 2


@pytest.mark.parametrize("ask", [_text, _text_with_values])
async def test_a_pause_that_would_outlast_the_timeout_is_not_begun(scripted, asking, ask):
    scripted.handler = failing = Failing(UNAVAILABLE)
    started = time.monotonic()
    with pytest.raises(errors.Unavailable):
        await ask(asking, timeout=2.0, retry_policy=RetryPolicy(first_pause=5.0, longest_pause=5.0))
    assert time.monotonic() - started < 1.5
    assert len(failing.tries) == 1


async def test_the_timeout_spans_retries_and_pages(scripted, asking):
    asked = 0

    def handle(request: cql.Request) -> cql.Answer:
        nonlocal asked
        asked += 1
        if asked % 2:
            return UNAVAILABLE.delayed(0.05)
        return cql.rows([("v", "int")], [[asked]], paging_state=b"more").delayed(0.05)

    scripted.handler = lambda request: None if "system." in request.query else handle(request)
    started = time.monotonic()
    with pytest.raises((errors.RequestTimeout, errors.Unavailable)):
        await asking.execute(PLAIN, timeout=0.6, retry_policy=RetryPolicy(retries=1000, first_pause=0.001, longest_pause=0.002))
    assert time.monotonic() - started < 1.5
    assert asked > 4


@pytest.mark.parametrize("ask", [kind for kind in KINDS if kind not in (_stream, _second_page)])
async def test_a_try_that_takes_too_long_is_given_up_for_another(scripted, asking, ask):
    await ask(asking)  # prepares
    scripted.handler = failing = Failing(cql.SILENCE, cql.SILENCE)
    started = time.monotonic()
    policy = RetryPolicy(first_pause=0.001, longest_pause=0.002, try_timeout=0.1)
    await ask(asking, retry_policy=policy, timeout=20.0, idempotent=True)
    assert 0.19 <= time.monotonic() - started < 5.0
    assert len(failing.tries) == 3


async def test_a_page_that_takes_too_long_is_given_up_for_another_try(scripted, asking):
    states: list[bytes | None] = []

    def handle(request: cql.Request) -> cql.Answer | None:
        if "system." in request.query:
            return None
        states.append(request.paging_state)
        if request.paging_state is None:
            return cql.rows([("v", "int")], [[1]], paging_state=b"a")
        return cql.SILENCE if len(states) < 4 else cql.rows([("v", "int")], [[2]])

    scripted.handler = handle
    started = time.monotonic()
    policy = RetryPolicy(first_pause=0.001, longest_pause=0.002, try_timeout=0.1)
    assert [row.v for row in await asking.execute(PLAIN, retry_policy=policy, timeout=20.0)] == [1, 2]
    assert time.monotonic() - started < 5.0
    assert states == [None, b"a", b"a", b"a"]


@pytest.mark.parametrize("ask", KINDS)
async def test_cancelling_ends_the_pause_at_once(scripted, asking, ask):
    scripted.handler = _always(UNAVAILABLE)
    started = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(ask(asking, retry_policy=RetryPolicy(first_pause=10.0, longest_pause=10.0), timeout=60.0), 0.3)
    assert time.monotonic() - started < 2.0
    asked = len(scripted.requests)
    await asyncio.sleep(0.1)
    assert len(scripted.requests) == asked
    assert asking.in_flight == 0


def _always(answer: cql.Answer) -> Callable[[cql.Request], cql.Answer | None]:
    return lambda request: answer if request.opcode in (cql.QUERY, cql.EXECUTE, cql.BATCH) and "system." not in request.query else None


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with CPython 3.11")
async def test_asyncio_timeout_ends_a_pause_and_leaves_no_trace(scripted, asking):
    scripted.handler = _always(UNAVAILABLE)
    started = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.2):
            await asking.execute(PLAIN, retry_policy=RetryPolicy(first_pause=10.0, longest_pause=10.0), timeout=60.0)
    assert not isinstance(caught.value, errors.Error)
    assert time.monotonic() - started < 2.0
    scripted.handler = None
    await asking.execute(PLAIN)


async def test_a_cancelled_pause_sends_nothing_when_it_would_have_ended(scripted, asking):
    scripted.handler = failing = Failing(UNAVAILABLE, UNAVAILABLE)
    task = asyncio.create_task(asking.execute(PLAIN, retry_policy=Deciding(Retry(pause=0.3))))
    await until(lambda: _retries(asking)["sent"] == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.4)
    assert len(failing.tries) == 1
    assert asking.metrics()["session"]["cancelled"] == 1


def test_pauses_grow_and_differ():
    for tries, whole in ((1, 0.05), (2, 0.1), (3, 0.2), (7, 3.2), (8, 3.2), (5000, 3.2)):
        drawn = [back_off(tries, 0.05, 3.2) for _ in range(300)]
        assert whole / 2 <= min(drawn)
        assert max(drawn) <= whole * 1.5
        assert statistics.stdev(drawn) > whole / 5
    assert back_off(1, 0.0, 0.0) == 0.0


async def test_requests_that_failed_together_do_not_come_back_together(scripted, asking):
    times: dict[str, float] = {}

    def handle(request: cql.Request) -> cql.Answer | None:
        if "ks.t" not in request.query:
            return None
        if request.query in times:
            times[request.query] = time.monotonic()
            return ROW
        times[request.query] = 0.0
        return UNAVAILABLE

    scripted.handler = handle
    policy = RetryPolicy(first_pause=0.4, longest_pause=0.4)
    await asyncio.gather(*[asking.execute(f"{PLAIN} -- {i}", retry_policy=policy) for i in range(40)])
    assert max(times.values()) - min(times.values()) > 0.1


# ---- storms -----------------------------------------------------------------------------------------------------------


async def test_a_budget_prevents_storms(scripted, asking):
    scripted.handler = failing = Failing(*[UNAVAILABLE] * 10_000)
    policy = RetryPolicy(first_pause=0.0, longest_pause=0.0, budget=RetryBudget(share=0.1, per_second=0.0, most=20.0))
    outcomes = await asyncio.gather(*[asking.execute(PLAIN, retry_policy=policy) for _ in range(300)], return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {errors.Unavailable}
    # Without the budget there would be 1,200: three more for each.
    assert 320 <= len(failing.tries) <= 300 + 20 + 30 + 5
    counts = _retries(asking)
    assert counts["sent"] == len(failing.tries) - 300
    assert counts["over_budget"] >= 250
    scripted.handler = failing = Failing(UNAVAILABLE)
    with pytest.raises(errors.Unavailable):  # by an equal budget of another policy, which is the same
        await asking.execute(PLAIN, retry_policy=RetryPolicy(budget=RetryBudget(share=0.1, per_second=0.0, most=20.0)))
    scripted.handler = failing = Failing(UNAVAILABLE)
    await asking.execute(PLAIN, retry_policy=QUICK)
    assert len(failing.tries) == 2


async def test_a_budget_fills_up_with_requests_and_with_time(scripted, asking):
    by_requests = RetryPolicy(first_pause=0.0, longest_pause=0.0, retries=1, budget=RetryBudget(share=0.5, per_second=0.0, most=2.0))
    by_time = RetryPolicy(first_pause=0.0, longest_pause=0.0, retries=1, budget=RetryBudget(share=0.0, per_second=20.0, most=2.0))

    async def tries(policy: RetryPolicy) -> int:
        scripted.handler = failing = Failing(UNAVAILABLE, UNAVAILABLE)
        with pytest.raises(errors.Unavailable):
            await asking.execute(PLAIN, retry_policy=policy)
        scripted.handler = None
        return len(failing.tries)

    assert [await tries(by_requests) for _ in range(5)].count(1) >= 1
    for _ in range(10):
        await asking.execute(PLAIN)
    assert await tries(by_requests) == 2
    while await tries(by_time) == 2:
        pass
    await asyncio.sleep(0.11)
    assert await tries(by_time) == 2


async def test_no_budget_is_no_limit(scripted, asking):
    scripted.handler = failing = Failing(*[UNAVAILABLE] * 500)
    await asking.execute(PLAIN, retry_policy=RetryPolicy(retries=1000, first_pause=0.0, longest_pause=0.0, budget=None))
    assert len(failing.tries) == 501


# ---- what is sent -----------------------------------------------------------------------------------------------------


async def test_another_consistency_is_for_the_next_tries(scripted, asking):
    scripted.handler = failing = Failing(UNAVAILABLE, UNAVAILABLE)
    levels = iter([Retry(consistency="ONE"), Retry()])
    await asking.execute(PLAIN, consistency="QUORUM", retry_policy=Deciding(lambda error, request: next(levels)))
    assert [request.consistency for request in failing.tries] == [Consistency.QUORUM, Consistency.ONE, Consistency.ONE]
    scripted.handler = failing = Failing(UNAVAILABLE)
    batch = acsylla_like.create_batch_unlogged(consistency="QUORUM").add("INSERT INTO ks.t (k) VALUES (1)")
    await asking.execute(batch, retry_policy=Deciding(Retry(consistency=Consistency.LOCAL_ONE)))
    assert [request.consistency for request in failing.tries] == [Consistency.QUORUM, Consistency.LOCAL_ONE]


async def test_every_option_is_sent_again(scripted, asking):
    scripted.handler = failing = Failing(UNAVAILABLE, OVERLOADED)
    await asking.execute(
        PLAIN,
        page_size=17,
        consistency="TWO",
        serial_consistency="LOCAL_SERIAL",
        timestamp=42,
        tracing=True,
        custom_payload={"a": b"b"},
        paging_state=b"here",
        retry_policy=QUICK,
    )
    seen = [(r.page_size, r.consistency, r.serial_consistency, r.timestamp, r.paging_state) for r in failing.tries]
    assert len(seen) == 3
    assert seen[0][:4] == (17, Consistency.TWO, Consistency.LOCAL_SERIAL, 42)
    assert seen[0][4] == b"here"
    assert seen == [seen[0]] * 3


async def test_what_the_caller_changes_meanwhile_is_not_sent(scripted, asking):
    scripted.answer(INSERT, cql.void(), [("k", "list<int>")])
    insert = await asking.create_prepared(INSERT)
    scripted.handler = failing = Failing(UNAVAILABLE, UNAVAILABLE, answer=cql.void())
    value = [1, 2, 3]
    batch = acsylla_like.create_batch_unlogged().add(insert, [value])
    slow = RetryPolicy(first_pause=0.05, longest_pause=0.05)
    for query, parameters in ((insert, [value]), (batch, None), (INSERT, [value])):
        failing.tries.clear()
        task = asyncio.ensure_future(asking.execute(query, parameters, retry_policy=slow))
        await until(lambda: len(failing.tries) == 1)
        value.append(4)
        batch.add(insert, [value])
        await task
        assert len(failing.tries) == 3
        assert len({repr((request.parameters, request.query)) for request in failing.tries}) == 1
        value.pop()
        batch = acsylla_like.create_batch_unlogged().add(insert, [value])


async def test_a_failure_to_prepare_is_retried_with_the_rest(scripted, asking):
    prepares = 0

    def handle(request: cql.Request) -> cql.Answer | None:
        nonlocal prepares
        if request.opcode == cql.PREPARE:
            prepares += 1
            return OVERLOADED if prepares < 3 else None
        return None

    scripted.handler = handle
    await asking.execute(INSERT, [b"1"], retry_policy=QUICK)
    assert prepares == 3
    prepares = 0
    await asking.execute(acsylla_like.create_batch_unlogged().add(INSERT + " ", [b"1"]), retry_policy=QUICK)
    assert prepares == 3


class Preparing:
    """Answers the first preparations with failures."""

    def __init__(self, *failures: cql.Answer) -> None:
        self.failures = failures
        self.tries = 0

    def __call__(self, request: cql.Request) -> cql.Answer | None:
        if request.opcode != cql.PREPARE:
            return None
        self.tries += 1
        return self.failures[self.tries - 1] if self.tries <= len(self.failures) else None


@pytest.mark.parametrize("of", ["statement", "session", "profile"])
async def test_create_prepared_is_sent_again(scripted, asking, of):
    scripted.handler = preparing = Preparing(OVERLOADED, cql.CLOSE)
    policy = RetryPolicy(first_pause=0.2, longest_pause=0.3)  # until the connection is there again
    if of == "statement":
        await asking._retries._read_hosts(5.0)
        insert = await asking.create_prepared(INSERT, retry_policy=policy)
        assert _retries(asking) == {"sent": 2, "succeeded": 1, "ignored": 0, "over_budget": 0}
        await asking.create_prepared(INSERT, retry_policy=policy)  # which nobody needs to send again
        assert _retries(asking) == {"sent": 2, "succeeded": 1, "ignored": 0, "over_budget": 0}
    else:
        profiles = {"patient": acsylla_like.ExecutionProfile(retry_policy=policy)}
        options = {"execution_profiles": profiles} if of == "profile" else {"retry_policy": policy}
        cluster = acsylla_like.create_cluster(
            scripted.contact_points, port=scripted.port, reconnection=acsylla_like.ConstantReconnection(0.02), **options
        )
        async with await cluster.create_session() as session:
            insert = await session.create_prepared(INSERT, execution_profile="patient" if of == "profile" else None)
    assert preparing.tries == (4 if of == "statement" else 3)
    assert insert.query == INSERT


@pytest.mark.parametrize(
    ("failure", "options", "tries", "error_class"),
    [
        (OVERLOADED, {}, 1, errors.Overloaded),
        (OVERLOADED, {"retry_policy": QUICK}, 4, errors.Overloaded),
        (OVERLOADED, {"retry_policy": QUICK, "idempotent": False}, 4, errors.Overloaded),  # a preparation applies nothing
        (OVERLOADED, {"retry_policy": RetryPolicy(retries=0)}, 1, errors.Overloaded),
        (cql.error(cql.SYNTAX_ERROR), {"retry_policy": QUICK}, 1, errors.QuerySyntaxError),
        (cql.SILENCE, {"retry_policy": RetryPolicy(try_timeout=0.05, first_pause=0.001), "timeout": 5.0}, 4, errors.RequestTimeout),
        (OVERLOADED, {"retry_policy": RetryPolicy(first_pause=5.0, longest_pause=5.0), "timeout": 1.0}, 1, errors.Overloaded),
    ],
)
async def test_how_a_preparation_ends_that_goes_on_failing(scripted, asking, failure, options, tries, error_class):
    await asking._retries._read_hosts(5.0)
    scripted.handler = preparing = Preparing(*[failure] * 9)
    with pytest.raises(error_class) as caught:
        await asking.create_prepared(INSERT, **options)
    assert preparing.tries == tries
    assert len(caught.value.attempts) == tries - 1
    assert caught.value.query == INSERT


async def test_there_is_no_statement_for_a_preparation_that_is_ignored(scripted, asking):
    scripted.handler = preparing = Preparing(OVERLOADED)
    with pytest.raises(errors.Overloaded):
        await asking.create_prepared(INSERT, retry_policy=Deciding(IGNORE))
    assert preparing.tries == 1


@pytest.mark.parametrize("failing", [1, 2])
async def test_all_that_wait_for_one_preparation_try_again(scripted, asking, failing):
    prepares = 0

    def handle(request: cql.Request) -> cql.Answer | None:
        nonlocal prepares
        prepares += request.opcode == cql.PREPARE
        return OVERLOADED.delayed(0.1) if request.opcode == cql.PREPARE and prepares <= failing else None

    scripted.handler = handle
    await asyncio.gather(*[asking.execute(INSERT, [b"%d" % n], retry_policy=RetryPolicy()) for n in range(20)])
    assert prepares >= 1 + failing


async def test_who_waits_for_a_preparation_gets_an_error_of_its_own(scripted, asking):
    scripted.handler = lambda request: UNAVAILABLE.delayed(0.05) if request.opcode == cql.PREPARE else None
    policies = [None, QUICK, None, RetryPolicy(retries=0)]
    requests = [asking.execute(INSERT, [b"1"], retry_policy=policy) for policy in policies]
    caught = await asyncio.gather(*requests, return_exceptions=True)
    assert {type(error) for error in caught} == {errors.Unavailable}
    assert len({id(error) for error in caught}) == 4
    assert [len(error.attempts) for error in caught] == [0, 3, 0, 0]
    assert all(error.__context__ is None and error.query == INSERT for error in caught)


async def test_a_statement_that_was_forgotten_meanwhile(scripted, asking):
    insert = await asking.create_prepared(INSERT)
    executed = 0

    def handle(request: cql.Request) -> cql.Answer | None:
        nonlocal executed
        if request.opcode == cql.EXECUTE:
            executed += 1
            if executed == 1:
                scripted._texts.clear()  # here, in the server's thread
                return UNAVAILABLE
        return None

    scripted.handler = handle
    await asking.execute(insert, [b"1"], retry_policy=QUICK)
    assert executed == 3


async def test_a_statement_that_is_forgotten_twice_and_prepared_anew_each_time(scripted, asking):
    insert = await asking.create_prepared(INSERT)
    prepares: list[int] = []
    answers = iter(["forget", UNAVAILABLE, "forget", None])

    def handle(request: cql.Request) -> cql.Answer | None:
        if request.opcode == cql.PREPARE:
            prepares.append(1)
            return cql.error(cql.INVALID) if len(prepares) in (1, 3) else None  # to the driver, which says that there is no host
        if request.opcode != cql.EXECUTE or "system." in request.query:
            return None
        answer = next(answers)
        if answer == "forget":
            return cql.error(cql.UNPREPARED, statement_id=request.statement_id)
        return answer

    scripted.handler = handle
    await asking.execute(insert, [b"1"], retry_policy=QUICK)
    assert len(prepares) == 4
    assert next(answers, "none is left") == "none is left"


@pytest.mark.parametrize("ask", KINDS)
async def test_steps_of_a_request_do_not_multiply_its_tries(scripted, asking, ask):
    scripted.handler = _answering_always(UNAVAILABLE)
    with pytest.raises(errors.Unavailable) as caught:
        await ask(asking, retry_policy=QUICK)
    asked = [request for request in scripted.requests if request.opcode != cql.PREPARE and request.paging_state is None]
    asked = [request for request in asked if "system." not in request.query]
    assert len(asked) == 4
    assert len(caught.value.attempts) == 3


def _answering_always(answer: cql.Answer) -> Callable[[cql.Request], cql.Answer | None]:
    return lambda request: None if request.opcode == cql.PREPARE or "system." in request.query else answer


async def test_a_scan_does_not_multiply_its_tries(scripted):
    options = acsylla_like.connect(scripted.contact_points, port=scripted.port, retry_policy=QUICK)
    async with options as session:
        scan = session.scan("ks.t", columns=["k"])
        assert scan._options.over(session.options).retry_policy.retries == 0


# ---- other nodes ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nodes(simulacron):
    with simulacron.create_cluster(3, 2) as cluster:
        yield cluster


@pytest.fixture
async def many(nodes) -> AsyncIterator[acsylla_like.Session]:
    nodes.clear_primes()
    nodes.clear_queries()
    async with acsylla_like.connect(nodes.contact_points, port=nodes.port, local_dc="dc1") as session:
        yield session


def _asked(nodes: Any) -> list[str]:
    return [query["node"] for query in nodes.queries() if query["query"] == PLAIN]


async def test_another_node_is_asked_next(nodes, many):
    """Two of three nodes are overloaded: with two retries that never meet a node twice, every request succeeds."""
    first, second, _ = nodes.datacenters["dc1"]
    nodes.prime_error(PLAIN, "overloaded", node=first)
    nodes.prime_error(PLAIN, "overloaded", node=second)
    nodes.prime(PLAIN, [{"v": 1}], {"v": "int"}, node=nodes.datacenters["dc1"][2])
    policy = RetryPolicy(retries=2, first_pause=0.001, longest_pause=0.002)
    for _ in range(12):
        assert (await many.execute(PLAIN, retry_policy=policy)).single().v == 1
    assert {*_asked(nodes)} == {*nodes.datacenters["dc1"]}
    nodes.clear_queries()
    once = RetryPolicy(retries=1, first_pause=0.001, longest_pause=0.002)
    outcomes = await asyncio.gather(*[many.execute(PLAIN, retry_policy=once) for _ in range(30)], return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, errors.Overloaded)]
    assert 3 <= len(refused) <= 27
    for error in refused:
        assert {error.coordinator.address, error.attempts[0].coordinator.address} == {first, second}


async def test_the_same_node_is_asked_again(nodes, many):
    nodes.prime_error(PLAIN, "read_timeout", received=2, block_for=2, data_present=False)
    for _ in range(6):
        nodes.clear_queries()
        with pytest.raises(errors.ReadTimeout):
            await many.execute(PLAIN, retry_policy=RetryPolicy(retries=2, first_pause=0.001, longest_pause=0.002))
        asked = _asked(nodes)
        assert len(asked) == 3
        assert len({*asked}) == 1


async def test_a_node_that_the_caller_chose_is_kept(nodes, many):
    chosen = nodes.datacenters["dc1"][1]
    nodes.prime_error(PLAIN, "overloaded")
    with pytest.raises(errors.Overloaded):
        await many.execute(PLAIN, host=(chosen, nodes.port), retry_policy=QUICK)
    assert _asked(nodes) == [chosen] * 4


async def test_a_killed_node_costs_reads_nothing(simulacron):
    with simulacron.create_cluster(3) as cluster:
        cluster.prime(PLAIN, [{"v": 1}], {"v": "int"}, delay=0.05)
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port, retry_policy=RetryPolicy()) as session:
            tasks = [asyncio.create_task(session.execute(PLAIN, timeout=20.0)) for _ in range(90)]
            await asyncio.sleep(0.02)
            cluster.stop_listening(cluster.nodes[1], "stop")
            for _ in range(5):
                tasks += [asyncio.create_task(session.execute(PLAIN, timeout=20.0)) for _ in range(20)]
                await asyncio.sleep(0.02)
            assert {row.v for result in await asyncio.gather(*tasks) for row in result} == {1}
            assert _retries(session)["sent"] >= 5


async def test_a_server_that_comes_back_is_waited_for(scripted, asking):
    scripted.handler = failing = Failing(cql.CLOSE)
    policy = RetryPolicy(retries=30, first_pause=0.05, longest_pause=0.2)
    assert (await asking.execute(PLAIN, retry_policy=policy, timeout=20.0)).single().v == 7
    assert len(failing.tries) == 2


# ---- ends -------------------------------------------------------------------------------------------------------------


async def test_closing_waits_for_what_is_sent_again(scripted, asking):
    scripted.handler = Failing(UNAVAILABLE, UNAVAILABLE)
    task = asyncio.create_task(asking.execute(PLAIN, retry_policy=RetryPolicy(first_pause=0.1, longest_pause=0.1)))
    await until(lambda: _retries(asking)["sent"] == 1)
    await asking.close()
    assert (await task).single().v == 7


async def test_draining_waits_no_longer_than_it_should(scripted, asking):
    scripted.handler = Failing(UNAVAILABLE)
    task = asyncio.create_task(asking.execute(PLAIN, timeout=60.0, retry_policy=RetryPolicy(first_pause=20.0, longest_pause=20.0)))
    await until(lambda: _retries(asking)["sent"] == 1)
    started = time.monotonic()
    await asking.drain(timeout=0.2)
    assert time.monotonic() - started < 5.0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_session_of_two_loops_retries_in_each(scripted, asking, loop_factory):
    scripted.handler = _always(UNAVAILABLE)

    async def fail() -> type[BaseException]:
        with pytest.raises(errors.Unavailable) as caught:
            await asking.execute(PLAIN, retry_policy=QUICK)
        return type(caught.value)

    def run() -> type[BaseException]:
        loop = loop_factory()
        try:
            return loop.run_until_complete(fail())
        finally:
            loop.close()

    outcomes = await asyncio.gather(fail(), asyncio.to_thread(run), fail())
    assert {*outcomes} == {errors.Unavailable}
    assert _retries(asking)["sent"] == 9


# ---- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"retries": -1}, ValueError),
        ({"retries": 1.5}, ValueError),
        ({"retries": True}, ValueError),
        ({"only_idempotent": 1}, TypeError),
        ({"first_pause": -0.1}, ValueError),
        ({"first_pause": "1"}, TypeError),
        ({"first_pause": math.nan}, ValueError),
        ({"first_pause": 2.0, "longest_pause": 1.0}, ValueError),
        ({"try_timeout": 0}, ValueError),
        ({"budget": 10}, TypeError),
    ],
)
def test_options_that_do_not_fit_are_refused(options, error):
    with pytest.raises(error, match=[*options][-1]):
        RetryPolicy(**options)


@pytest.mark.parametrize("options", [{"share": -1.0}, {"per_second": math.nan}, {"most": "5"}])
def test_budgets_that_do_not_fit_are_refused(options):
    with pytest.raises((TypeError, ValueError), match=next(iter(options))):
        RetryBudget(**options)


# ---- for real ---------------------------------------------------------------------------------------------------------


async def test_unavailable_for_real_is_tried_again_with_less(session):
    await session.execute("CREATE KEYSPACE IF NOT EXISTS thrice WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
    try:
        await session.execute("CREATE TABLE IF NOT EXISTS thrice.t (k int PRIMARY KEY, v int)")

        class Downgrading(RetryPolicy):
            def decide(self, error: errors.Error, request: FailedRequest) -> Any:
                return Retry(consistency="ONE") if isinstance(error, errors.Unavailable) and error.received else RETHROW

        policy = Downgrading(first_pause=0.001, longest_pause=0.002)
        insert = await session.create_prepared("INSERT INTO thrice.t (k, v) VALUES (?, ?)", retry_policy=policy, consistency="QUORUM")
        await session.execute(insert, [1, 2])
        await session.execute(acsylla_like.create_batch_logged(retry_policy=policy, consistency="QUORUM").add(insert, [2, 3]))
        rows = await session.execute("SELECT k, v FROM thrice.t WHERE k IN (1, 2)", consistency="QUORUM", retry_policy=policy)
        assert sorted(map(tuple, rows)) == [(1, 2), (2, 3)]
        assert _retries(session)["sent"] >= 3
        with pytest.raises(errors.Unavailable) as caught:
            await session.execute(insert, [1, 2], retry_policy=QUICK, consistency="ALL")
        assert len(caught.value.attempts) == 3
    finally:
        await session.execute("DROP KEYSPACE thrice")
