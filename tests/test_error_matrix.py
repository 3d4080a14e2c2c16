"""Each error of the server by every kind of request, from a real server, simulated nodes and a scripted one: caught by its class,
with all its fields. Where a connection is lost, that is what is told."""

from __future__ import annotations

import asyncio
import math
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import acsylla_like
from acsylla_like import errors
from acsylla_like.errors import ErrorCode
from acsylla_like.testing import ScriptedServer, cql

ROOT = Path(__file__).resolve().parent.parent
SELECT = "SELECT v FROM ks.t WHERE k = ?"
INSERT = "INSERT INTO ks.t (k) VALUES (?)"
PLAIN = "SELECT v FROM ks.t"
FIELDS = {
    "consistency", "received", "required", "failures", "data_present", "write_type", "keyspace", "table", "function",
    "argument_types",
}  # fmt: skip
COUNTS = {"consistency": 4, "received": 1, "required": 2}
TOLD = {"consistency": "QUORUM", "received": 1, "required": 2}

# code → what the scripted server sends with it, the class, and what the error then has
SCRIPTED: dict[ErrorCode, tuple[dict[str, Any], type[errors.Error], dict[str, Any]]] = {
    ErrorCode.SERVER_SERVER_ERROR: ({}, errors.ServerError, {}),
    ErrorCode.SERVER_PROTOCOL_ERROR: ({}, errors.ProtocolError, {}),
    ErrorCode.SERVER_BAD_CREDENTIALS: ({}, errors.AuthenticationError, {}),
    ErrorCode.SERVER_UNAVAILABLE: ({"consistency": 4, "required": 2, "alive": 1}, errors.Unavailable, TOLD),
    ErrorCode.SERVER_OVERLOADED: ({}, errors.Overloaded, {}),
    # The driver (2.16.2, RequestExecution::on_error_response) asks the next node by itself; there is none.
    ErrorCode.SERVER_IS_BOOTSTRAPPING: ({}, errors.NoHostsAvailable, {}),
    ErrorCode.SERVER_TRUNCATE_ERROR: ({}, errors.TruncateError, {}),
    ErrorCode.SERVER_WRITE_TIMEOUT: ({**COUNTS, "write_type": "CAS"}, errors.WriteTimeout, {**TOLD, "write_type": "CAS"}),
    ErrorCode.SERVER_READ_TIMEOUT: ({**COUNTS, "data_present": True}, errors.ReadTimeout, {**TOLD, "data_present": True}),
    ErrorCode.SERVER_READ_FAILURE: (
        {**COUNTS, "failures": 3, "data_present": False},
        errors.ReadFailure,
        {**TOLD, "failures": 3, "data_present": False},
    ),
    ErrorCode.SERVER_FUNCTION_FAILURE: (
        {"keyspace": "Ks", "function": "f", "arguments": ["int", "list<text>"]},
        errors.FunctionFailure,
        {"keyspace": "Ks", "function": "f", "argument_types": ("int", "list<text>")},
    ),
    ErrorCode.SERVER_WRITE_FAILURE: (
        {**COUNTS, "failures": 3, "write_type": "VIEW"},
        errors.WriteFailure,
        {**TOLD, "failures": 3, "write_type": "VIEW"},
    ),
    ErrorCode.SERVER_CDC_WRITE_FAILURE: ({}, errors.CdcWriteFailure, {}),
    ErrorCode.SERVER_CAS_WRITE_UNKNOWN: ({}, errors.CasWriteUnknown, {}),
    ErrorCode.SERVER_SYNTAX_ERROR: ({}, errors.QuerySyntaxError, {}),
    ErrorCode.SERVER_UNAUTHORIZED: ({}, errors.Unauthorized, {}),
    ErrorCode.SERVER_INVALID_QUERY: ({}, errors.InvalidQuery, {}),
    ErrorCode.SERVER_CONFIG_ERROR: ({}, errors.ConfigurationError, {}),
    ErrorCode.SERVER_ALREADY_EXISTS: ({"keyspace": "ks", "table": "t"}, errors.AlreadyExists, {"keyspace": "ks", "table": "t"}),
}


def test_every_code_of_the_server_is_tried():
    # An UNPREPARED is the driver's own business, and what it cannot mend this package does (test_prepared.py).
    assert {*SCRIPTED, ErrorCode.SERVER_UNPREPARED} == {code for code in ErrorCode if code.name.startswith("SERVER_")}


def test_every_class_of_the_list_has_its_fields():
    for name in errors.__all__:
        found = getattr(errors, name)
        if issubclass(found, errors.Error):
            assert {*found.fields} <= FIELDS
            assert not found.retryable or found.transient or not found.fields, found
    assert {field for found in errors.CLASS_OF_CODE.values() for field in found.fields} == FIELDS


def test_the_lists_numbers_are_the_drivers():
    """By name and number, as every library's documented header has them."""
    listed = {code.name: int(code) for code in ErrorCode}
    text = (ROOT / "src_cpp" / "error_codes.def").read_text()
    for source, name, number in re.findall(r"(?m)^CODE\((\w+), (\w+), (\w+),", text):
        assert listed[f"{source}_{name}"] == {"LIB": 1, "SERVER": 2, "SSL": 3}[source] << 24 | int(number, 0)
    assert len(listed) == len(set(listed.values())) == text.count("\nCODE(")


# ---- by every kind of request, scripted -------------------------------------------------------------------------------


@pytest.fixture
async def asking(scripted: ScriptedServer) -> AsyncIterator[acsylla_like.Session]:
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        yield session


async def _text(session: acsylla_like.Session, **options: Any) -> object:
    return await session.execute(PLAIN, **options)


async def _text_with_values(session: acsylla_like.Session, **options: Any) -> object:
    return await session.execute(SELECT, [b"1"], **options)


async def _prepared(session: acsylla_like.Session, **options: Any) -> object:
    return await session.execute(await session.create_prepared(SELECT), [b"1"], **options)


async def _statement(session: acsylla_like.Session, **options: Any) -> object:
    return await session.execute(acsylla_like.create_statement(SELECT, [b"1"], **options))


async def _batch(session: acsylla_like.Session, **options: Any) -> object:
    return await session.execute(acsylla_like.create_batch_unlogged().add(INSERT, [b"1"]).add(INSERT.replace("?", "0x31")), **options)


async def _stream(session: acsylla_like.Session, **options: Any) -> object:
    return [row async for row in session.stream(PLAIN, page_size=2, **options)]


async def _second_page(session: acsylla_like.Session, **options: Any) -> object:
    return await session.execute("SELECT paged FROM ks.t", **options)


async def _concurrent(session: acsylla_like.Session, **options: Any) -> object:
    return [result async for result in session.execute_concurrent([PLAIN], **options)]


KINDS: list[Callable[..., Awaitable[object]]] = [
    _text, _text_with_values, _prepared, _statement, _batch, _stream, _second_page, _concurrent,
]  # fmt: skip


def _answering(answer: cql.Answer) -> Callable[[cql.Request], cql.Answer | None]:
    """Answers every query so, but preparing, and the first page of the statement that has two."""

    def handle(request: cql.Request) -> cql.Answer | None:
        if request.opcode not in (cql.QUERY, cql.EXECUTE, cql.BATCH):
            return None
        if request.query == "SELECT paged FROM ks.t" and request.paging_state is None:
            return cql.rows([("v", "int")], [[1]], paging_state=b"next")
        return answer

    return handle


@pytest.mark.parametrize("ask", KINDS)
@pytest.mark.parametrize("code", SCRIPTED, ids=lambda code: code.name)
async def test_each_error_by_each_kind_of_request(scripted, asking, code, ask):
    sent, error_class, fields = SCRIPTED[code]
    scripted.handler = _answering(cql.error(code & 0xFFFFFF, "what the server says", **sent))
    with pytest.raises(error_class) as caught:
        await ask(asking)
    error = caught.value
    assert type(error) is error_class
    assert {name: getattr(error, name) for name in FIELDS} == {**dict.fromkeys(FIELDS), **fields}
    assert error.query
    if code is ErrorCode.SERVER_IS_BOOTSTRAPPING:
        assert error.code == ErrorCode.LIB_NO_HOSTS_AVAILABLE
    else:
        assert error.code == code
        assert (error.coordinator.address, error.coordinator.port) == (scripted.address, scripted.port)
        assert "what the server says" in str(error)
    assert error.transient is (ErrorCode(error.code) in TRANSIENT)
    assert error.retryable is (ErrorCode(error.code) in NOTHING_APPLIED)


NOTHING_APPLIED = {ErrorCode.SERVER_UNAVAILABLE, ErrorCode.LIB_NO_HOSTS_AVAILABLE}
TRANSIENT = NOTHING_APPLIED | {
    ErrorCode.SERVER_SERVER_ERROR,
    ErrorCode.SERVER_OVERLOADED,
    ErrorCode.SERVER_TRUNCATE_ERROR,
    ErrorCode.SERVER_WRITE_TIMEOUT,
    ErrorCode.SERVER_READ_TIMEOUT,
    ErrorCode.SERVER_READ_FAILURE,
    ErrorCode.SERVER_WRITE_FAILURE,
}


@pytest.mark.parametrize("code", SCRIPTED, ids=lambda code: code.name)
async def test_each_error_of_a_row_of_many(scripted, asking, code):
    sent, error_class, fields = SCRIPTED[code]
    scripted.handler = _answering(cql.error(code & 0xFFFFFF, "what the server says", **sent))
    with pytest.raises(acsylla_like.BulkError) as caught:
        await asking.execute_many(INSERT, [[b"1"]], retries=0)
    error = caught.value.__cause__
    assert type(error) is error_class
    assert {name: getattr(error, name) for name in FIELDS} == {**dict.fromkeys(FIELDS), **fields}


async def test_a_code_that_nobody_knows_may_have_applied_something(scripted, asking):
    scripted.handler = _answering(cql.error(0x7777))
    with pytest.raises(errors.ServerError) as caught:
        await asking.execute(PLAIN)
    assert not caught.value.retryable
    assert not caught.value.transient
    report = await asking.execute_many(INSERT, [[b"1"]], on_error="collect")
    assert [failed.may_be_written for failed in report.errors] == [True]


# ---- for real ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def three(session: acsylla_like.Session) -> AsyncIterator[str]:
    """A table of which there should be three replicas, on one node."""
    name = f"three_{uuid.uuid4().hex[:8]}"
    await session.execute(f"CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 3}}")
    await session.execute(f"CREATE TABLE {name}.t (k int PRIMARY KEY, v int)")
    yield f"{name}.t"
    await session.execute(f"DROP KEYSPACE {name}")


async def test_unavailable_for_real_by_each_kind_of_request(session, three):
    insert = await session.create_prepared(f"INSERT INTO {three} (k, v) VALUES (?, ?)")
    batch = acsylla_like.create_batch_unlogged(consistency="TWO").add(insert, [1, 1])
    requests: list[tuple[Awaitable[object], str, int]] = [
        (session.execute(insert, [1, 1], consistency="QUORUM"), "QUORUM", 2),
        (session.execute(f"INSERT INTO {three} (k, v) VALUES (1, 1)", consistency="ALL"), "ALL", 3),
        (session.execute(f"INSERT INTO {three} (k, v) VALUES (1, ?)", [1], consistency="THREE"), "THREE", 3),
        (session.execute(f"SELECT v FROM {three} WHERE k = 1", consistency="QUORUM"), "QUORUM", 2),
        (session.execute(batch), "TWO", 2),
        (session.execute(f"INSERT INTO {three} (k, v) VALUES (1, 1) IF NOT EXISTS"), "QUORUM", 2),
    ]
    for request, consistency, required in requests:
        with pytest.raises(errors.Unavailable) as caught:
            await request
        error = caught.value
        assert (error.consistency, error.required, error.received) == (consistency, required, 1)
        assert error.retryable
        assert error.transient
        assert error.coordinator is not None


async def test_a_function_that_throws_for_real(session, keyspace):
    await session.execute("CREATE TABLE numbers (k int PRIMARY KEY, v int, w text)")
    await session.execute("INSERT INTO numbers (k, v, w) VALUES (1, 2, 'x')")
    body = 'if (true) throw new IllegalStateException("no luck"); return 1;'
    await session.execute(
        f"CREATE FUNCTION throws (number int, texts text) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS $${body}$$", timeout=30.0
    )
    for request in (
        session.execute("SELECT throws(v, w) FROM numbers"),
        session.execute("SELECT throws(v, w) FROM numbers WHERE k = ?", [1]),
    ):
        with pytest.raises(errors.FunctionFailure, match="no luck") as caught:
            await request
        error = caught.value
        assert (error.keyspace, error.function, error.argument_types) == (keyspace, "throws", ("int", "text"))
        assert not error.transient


async def test_a_read_that_fails_for_real(session):
    await session.execute("CREATE TABLE removed (k int PRIMARY KEY, s set<int>)")
    # More tombstones than the server reads (tombstone_failure_threshold, 100,000).
    await session.execute("UPDATE removed SET s = s - ? WHERE k = 1", [set(range(100_100))], timeout=60.0)
    with pytest.raises(errors.ReadFailure) as caught:
        await session.execute("SELECT s FROM removed WHERE k = 1", timeout=60.0)
    error = caught.value
    assert (error.consistency, error.received, error.required, error.failures) == ("LOCAL_ONE", 0, 1, 1)
    assert error.data_present is False
    assert error.transient
    assert not error.retryable


async def test_what_exists_and_what_is_not_configured_for_real(session, keyspace):
    await session.execute("CREATE TABLE exists_already (k int PRIMARY KEY)")
    with pytest.raises(errors.AlreadyExists) as caught:
        await session.execute("CREATE TABLE exists_already (k int PRIMARY KEY)")
    assert (caught.value.keyspace, caught.value.table) == (keyspace, "exists_already")
    with pytest.raises(errors.AlreadyExists) as caught:
        await session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
    assert (caught.value.keyspace, caught.value.table) == (keyspace, None)
    with pytest.raises(errors.ConfigurationError):
        await session.execute("CREATE TABLE u (k int PRIMARY KEY) WITH gc_grace_seconds = -1")
    with pytest.raises(errors.QuerySyntaxError):
        await session.execute("SELEKT 1")
    with pytest.raises(errors.InvalidQuery):
        await session.execute("SELECT nothing FROM exists_already")
    with pytest.raises(errors.InvalidQuery):
        await session.execute("USE nowhere_at_all")
    with pytest.raises(errors.InvalidQuery):
        await session.execute("TRUNCATE nothing_there")


# ---- simulated nodes --------------------------------------------------------------------------------------------------

FAILED = {"consistency_level": "QUORUM", "received": 1, "block_for": 2}
SIMULATED: list[tuple[str, type[errors.Error], dict[str, Any], dict[str, Any]]] = [
    ("unavailable", errors.Unavailable, {"consistency_level": "QUORUM", "alive": 1, "required": 2}, TOLD),
    ("read_timeout", errors.ReadTimeout, {**FAILED, "data_present": True}, {**TOLD, "data_present": True}),
    ("write_timeout", errors.WriteTimeout, {**FAILED, "write_type": "CAS"}, {**TOLD, "write_type": "CAS"}),
    ("write_timeout", errors.WriteTimeout, {**FAILED, "write_type": "BATCH_LOG"}, {**TOLD, "write_type": "BATCH_LOG"}),
    (
        "read_failure",
        errors.ReadFailure,
        {**FAILED, "data_present": False, "failure_reasons": {"127.0.0.1": "UNKNOWN"}},
        {**TOLD, "data_present": False, "failures": 1},
    ),
    (
        "write_failure",
        errors.WriteFailure,
        {**FAILED, "write_type": "SIMPLE", "failure_reasons": {"127.0.0.1": "UNKNOWN", "127.0.0.2": "UNKNOWN"}},
        {**TOLD, "write_type": "SIMPLE", "failures": 2},
    ),
    (
        "function_failure",
        errors.FunctionFailure,
        {"keyspace": "k", "function": "f", "arg_types": ["int"], "detail": "words"},
        {"keyspace": "k", "function": "f", "argument_types": ("int",)},
    ),
    ("already_exists", errors.AlreadyExists, {"keyspace": "k", "table": "t"}, {"keyspace": "k", "table": "t"}),
    ("overloaded", errors.Overloaded, {}, {}),
    ("is_bootstrapping", errors.NoHostsAvailable, {}, {}),
    ("server_error", errors.ServerError, {}, {}),
    ("truncate_error", errors.TruncateError, {}, {}),
    ("protocol_error", errors.ProtocolError, {}, {}),
    ("authentication_error", errors.AuthenticationError, {}, {}),
    ("unauthorized", errors.Unauthorized, {}, {}),
    ("syntax_error", errors.QuerySyntaxError, {}, {}),
    ("invalid", errors.InvalidQuery, {}, {}),
    ("config_error", errors.ConfigurationError, {}, {}),
    ("close_connection", errors.ConnectionLost, {}, {}),
]


@pytest.fixture(scope="module")
def nodes(simulacron):
    with simulacron.create_cluster(3) as cluster:
        yield cluster


@pytest.mark.parametrize(("kind", "error_class", "said", "fields"), SIMULATED, ids=[f"{case[0]}-{i}" for i, case in enumerate(SIMULATED)])
async def test_each_error_of_three_simulated_nodes(nodes, kind, error_class, said, fields):
    nodes.clear_primes()
    nodes.clear_queries()
    nodes.prime_error(PLAIN, kind, **said)
    async with acsylla_like.connect(nodes.contact_points, port=nodes.port) as session:
        with pytest.raises(error_class) as caught:
            await session.execute(PLAIN, timeout=10.0)
    error = caught.value
    assert type(error) is error_class
    assert {name: getattr(error, name) for name in FIELDS} == {**dict.fromkeys(FIELDS), **fields}
    asked = [query["node"] for query in nodes.queries() if query["query"] == PLAIN]
    if kind == "is_bootstrapping":
        assert sorted(asked) == sorted(nodes.nodes)
    else:  # nobody but who asks decides whether it is sent again
        assert asked == [error.coordinator.address]


# ---- lost connections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", KINDS)
@pytest.mark.parametrize("timeout", [None, 0.5, math.inf])
async def test_a_lost_connection_by_each_kind_of_request(scripted, asking, ask, timeout):
    scripted.handler = _answering(cql.CLOSE)
    with pytest.raises(errors.ConnectionLost) as caught:
        await ask(asking, timeout=timeout)
    error = caught.value
    assert not isinstance(error, TimeoutError)
    assert isinstance(error, ConnectionError)
    assert (error.coordinator.address, error.coordinator.port) == (scripted.address, scripted.port)
    assert error.code == ErrorCode.LIB_WRITE_ERROR
    assert error.transient
    assert not error.retryable


@pytest.mark.parametrize("ask", KINDS)
async def test_a_timeout_by_each_kind_of_request(scripted, asking, ask):
    scripted.handler = _answering(cql.SILENCE)
    with pytest.raises(errors.RequestTimeout) as caught:
        await ask(asking, timeout=0.1)
    assert caught.value.coordinator is None
    assert caught.value.code in (ErrorCode.LIB_REQUEST_TIMED_OUT, None)


async def test_a_connection_that_is_lost_just_before_the_timeout_is_lost(scripted):
    """No clock decides: the timeout is 500 ms, and it breaks in the last twentieth of them."""
    outcomes = []
    for delay in (0.478, 0.484, 0.488):
        scripted.handler = _answering(cql.CLOSE.delayed(delay))
        async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
            with pytest.raises((errors.ConnectionLost, errors.RequestTimeout)) as caught:
                await session.execute(PLAIN, timeout=0.5)
            outcomes.append(type(caught.value))
    assert errors.ConnectionLost in outcomes  # a busy machine may be late twice


async def test_a_row_of_many_whose_connection_is_lost(scripted, asking):
    scripted.handler = _answering(cql.CLOSE)
    report = await asking.execute_many(INSERT, [[b"1"]], on_error="collect", timeout=math.inf)
    (failed,) = report.errors
    assert type(failed.error) is errors.ConnectionLost
    assert failed.code == ErrorCode.LIB_WRITE_ERROR
    assert failed.may_be_written


@pytest.mark.parametrize("idempotent", [True, None])
async def test_a_row_that_found_no_other_node_after_its_connection_was_lost(scripted, asking, idempotent):
    """An idempotent one is sent to the next node by the driver, of which there is none: the first may have written it."""
    scripted.handler = _answering(cql.CLOSE)
    report = await asking.execute_many(INSERT, [[b"1"]], on_error="collect", retries=0, idempotent=idempotent)
    (failed,) = report.errors
    assert type(failed.error) is (errors.NoHostsAvailable if idempotent else errors.ConnectionLost)
    assert failed.may_be_written
    scripted.stop_listening()
    scripted.drop_connections()
    deadline = time.monotonic() + 5.0
    while type(failed.error) is not errors.NoHostsAvailable or idempotent:
        assert time.monotonic() < deadline  # until the driver has seen it
        (failed,) = (await asking.execute_many(INSERT, [[b"1"]], on_error="collect", retries=0)).errors
        idempotent = None
    assert not failed.may_be_written


async def test_a_node_that_goes_away_under_load(simulacron):
    with simulacron.create_cluster(3) as cluster:
        cluster.prime(PLAIN, [{"v": 1}], {"v": "int"}, delay=0.3)
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port) as session:
            tasks = [asyncio.create_task(session.execute(PLAIN, timeout=20.0)) for _ in range(60)]
            await asyncio.sleep(0.1)
            cluster.drop_connections(cluster.nodes[1])
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            lost = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            assert {type(error) for error in lost} == {errors.ConnectionLost}
            assert {error.coordinator.address for error in lost} == {cluster.nodes[1]}
            assert 5 <= len(lost) <= 40


# ---- whoever is unavailable stays it ----------------------------------------------------------------------------------


async def test_unavailable_stays_unavailable_whatever_the_other_nodes_say(simulacron):
    with simulacron.create_cluster(3) as cluster:
        first, second, third = cluster.nodes
        cluster.prime_error(PLAIN, "unavailable", node=first)
        cluster.prime_error(PLAIN, "unavailable", node=second)
        cluster.stop_listening(third, "stop")
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port) as session:
            for _ in range(12):
                with pytest.raises(errors.Unavailable) as caught:
                    await session.execute(PLAIN)
                assert caught.value.required == 2
                assert caught.value.coordinator.address in (first, second)
