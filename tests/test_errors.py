"""Every error: its class, its fields, what it says, and whether the request may be sent again."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle
import time
import traceback
import uuid

import pytest

import acsylla_like
from acsylla_like import errors
from acsylla_like.testing import cql

QUERY = "SELECT v FROM ks.t"


@pytest.fixture
async def asking(scripted):
    """A session on the scripted server, which answers QUERY as `scripted.answer` says."""
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        yield session


async def _error_of(awaitable) -> errors.Error:
    with pytest.raises(errors.Error) as caught:
        await awaitable
    return caught.value


# ---- one class for each code ------------------------------------------------------------------------------------------

COUNTS = {"consistency": "QUORUM", "received": 1, "required": 2}

SERVER_ERRORS = [
    (cql.SERVER_ERROR, {}, errors.ServerError, {}, False),
    (cql.PROTOCOL_ERROR, {}, errors.ProtocolError, {}, False),
    (cql.BAD_CREDENTIALS, {}, errors.AuthenticationError, {}, False),
    (cql.UNAVAILABLE, {"consistency": 4, "required": 2, "alive": 1}, errors.Unavailable, COUNTS, True),
    (cql.OVERLOADED, {}, errors.Overloaded, {}, False),
    (cql.TRUNCATE_ERROR, {}, errors.TruncateError, {}, False),
    (
        cql.WRITE_TIMEOUT,
        {"consistency": 4, "received": 1, "required": 2, "write_type": "BATCH_LOG"},
        errors.WriteTimeout,
        {**COUNTS, "write_type": "BATCH_LOG"},
        False,
    ),
    (
        cql.READ_TIMEOUT,
        {"consistency": 4, "received": 1, "required": 2, "data_present": True},
        errors.ReadTimeout,
        {**COUNTS, "data_present": True},
        False,
    ),
    (
        cql.READ_FAILURE,
        {"consistency": 4, "received": 1, "required": 2, "failures": 3, "data_present": False},
        errors.ReadFailure,
        {**COUNTS, "failures": 3, "data_present": False},
        False,
    ),
    (
        cql.WRITE_FAILURE,
        {"consistency": 4, "received": 1, "required": 2, "failures": 3, "write_type": "COUNTER"},
        errors.WriteFailure,
        {**COUNTS, "failures": 3, "write_type": "COUNTER"},
        False,
    ),
    (
        cql.FUNCTION_FAILURE,
        {"keyspace": "Ks", "function": "f", "arguments": ["int", "list<text>"]},
        errors.FunctionFailure,
        {"keyspace": "Ks", "function": "f", "argument_types": ("int", "list<text>")},
        False,
    ),
    (cql.SYNTAX_ERROR, {}, errors.QuerySyntaxError, {}, False),
    (cql.UNAUTHORIZED, {}, errors.Unauthorized, {}, False),
    (cql.INVALID, {}, errors.InvalidQuery, {}, False),
    (cql.CONFIG_ERROR, {}, errors.ConfigurationError, {}, False),
    (cql.ALREADY_EXISTS, {"keyspace": "ks", "table": "t"}, errors.AlreadyExists, {"keyspace": "ks", "table": "t"}, False),
    (cql.ALREADY_EXISTS, {"keyspace": "ks", "table": ""}, errors.AlreadyExists, {"keyspace": "ks", "table": None}, False),
]

FIELDS = (
    "consistency", "received", "required", "failures", "data_present", "write_type", "keyspace", "table", "function",
    "argument_types",
)  # fmt: skip


@pytest.mark.parametrize("idempotent", [None, True])
@pytest.mark.parametrize(("code", "sent", "error_class", "fields", "retryable"), SERVER_ERRORS)
async def test_a_servers_error_has_its_class_and_its_fields(scripted, asking, code, sent, error_class, fields, retryable, idempotent):
    scripted.answer(QUERY, cql.error(code, "what the server says", **sent))
    error = await _error_of(asking.execute(QUERY, idempotent=idempotent))
    assert type(error) is error_class
    assert {name: getattr(error, name) for name in FIELDS} == {**dict.fromkeys(FIELDS), **fields}
    assert error.code == 2 << 24 | code
    assert error.query == QUERY
    assert (error.coordinator.address, error.coordinator.port) == (scripted.address, scripted.port)
    assert error.retryable is (retryable or bool(idempotent))
    assert "what the server says" in str(error)
    assert QUERY in str(error)
    assert f"{scripted.address}:{scripted.port}" in str(error)


@pytest.mark.parametrize("write_type", ["SIMPLE", "BATCH", "UNLOGGED_BATCH", "COUNTER", "BATCH_LOG", "CAS", "VIEW", "CDC"])
async def test_every_write_type_is_told(scripted, asking, write_type):
    scripted.answer(QUERY, cql.error(cql.WRITE_TIMEOUT, write_type=write_type))
    assert (await _error_of(asking.execute(QUERY))).write_type == write_type


async def test_unknown_codes_write_types_and_levels_are_still_errors(scripted, asking):
    scripted.answer(QUERY, cql.error(0x7777))
    assert type(await _error_of(asking.execute(QUERY))) is errors.ServerError
    scripted.answer(QUERY, cql.error(cql.WRITE_TIMEOUT, consistency=0x77))
    error = await _error_of(asking.execute(QUERY))
    assert type(error) is errors.WriteTimeout
    assert error.consistency is None
    # The driver (2.16.2, ErrorResponse::decode) takes this for a broken connection.
    scripted.answer(QUERY, cql.error(cql.WRITE_TIMEOUT, write_type="TELEPATHY"))
    assert type(await _error_of(asking.execute(QUERY))) is errors.ConnectionLost


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (1 << 24 | 5, errors.HostResolutionError),
        (1 << 24 | 7, errors.RequestQueueFull),
        (1 << 24 | 10, errors.NoHostsAvailable),
        (1 << 24 | 14, errors.RequestTimeout),
        (1 << 24 | 22, errors.UnableToConnect),
        (1 << 24 | 1, errors.ClientError),
        (1 << 24 | 99, errors.ClientError),
        (2 << 24 | 0x1002, errors.IsBootstrapping),
        (2 << 24 | 0x2500, errors.Unprepared),
        (2 << 24 | 0x9999, errors.ServerError),
        (3 << 24 | 1, errors.TlsError),
        (3 << 24 | 4, errors.TlsError),
        (9 << 24, errors.ClientError),
    ],
)
def test_the_class_of_a_code(code, error_class):
    assert errors.class_of_code(code) is error_class


def test_every_class_is_public_and_of_one_tree():
    for name in errors.__all__:
        assert getattr(acsylla_like, name) is getattr(errors, name)
        assert name == "BindError" or issubclass(getattr(errors, name), errors.Error)
    for code, error_class in errors.CLASS_OF_CODE.items():
        source = {1: errors.ClientError, 2: errors.ServerError, 3: errors.TlsError}[code >> 24]
        assert issubclass(error_class, source), error_class


@pytest.mark.parametrize("name", ["RequestTimeout", "ReadTimeout", "WriteTimeout"])
def test_timeouts_are_timeout_errors(name):
    assert issubclass(getattr(errors, name), TimeoutError)
    assert issubclass(getattr(errors, name), asyncio.TimeoutError)


@pytest.mark.parametrize("name", ["ConnectionLost", "NoHostsAvailable", "UnableToConnect", "TlsError"])
def test_errors_of_connections_are_connection_errors(name):
    assert issubclass(getattr(errors, name), ConnectionError)


@pytest.mark.parametrize(
    ("name", "retryable"),
    [
        ("Unavailable", True),
        ("IsBootstrapping", True),
        ("RequestQueueFull", True),
        ("NoHostsAvailable", True),
        ("SessionClosed", True),
        ("RequestTimeout", False),
        ("ConnectionLost", False),
        ("WriteTimeout", False),
        ("ReadTimeout", False),
        ("Overloaded", False),
        ("ServerError", False),
    ],
)
def test_what_is_certain_not_to_be_applied(name, retryable):
    assert getattr(errors, name).retryable is retryable


# ---- the driver's own -------------------------------------------------------------------------------------------------


async def test_unavailable_stays_unavailable_on_every_kind_of_request(scripted, asking):
    text = "INSERT INTO ks.t (k) VALUES (?)"
    insert = await asking.create_prepared(text)

    def refuse(request):
        return cql.error(cql.UNAVAILABLE) if request.opcode in (cql.EXECUTE, cql.BATCH, cql.QUERY) else None

    scripted.handler = refuse
    batch = acsylla_like.create_batch_unlogged().add(insert, [b"1"])
    for request in (asking.execute(insert, [b"1"]), asking.execute(text, [b"1"]), asking.execute(batch), asking.execute(QUERY)):
        error = await _error_of(request)
        assert type(error) is errors.Unavailable
        assert error.retryable


async def test_a_bootstrapping_node_is_no_host(scripted, asking):
    # The driver (2.16.2, RequestExecution::on_error_response) asks the next node, whichever policy is set.
    scripted.answer(QUERY, cql.error(cql.IS_BOOTSTRAPPING))
    error = await _error_of(asking.execute(QUERY))
    assert type(error) is errors.NoHostsAvailable
    assert error.retryable


@pytest.mark.parametrize("answer", [cql.CLOSE, cql.rows([("v", "text")], [["x" * 1000]]).torn(100)])
@pytest.mark.parametrize("timeout", [None, 5.0, math.inf])
async def test_a_lost_connection_is_told_apart_from_a_timeout(scripted, asking, answer, timeout):
    scripted.answer(QUERY, answer)
    error = await _error_of(asking.execute(QUERY, timeout=timeout))
    assert type(error) is errors.ConnectionLost
    assert not isinstance(error, TimeoutError)
    assert "connection was lost" in str(error)
    assert error.query == QUERY
    assert not error.retryable


async def test_what_was_in_flight_when_a_server_error_closed_the_connection_is_lost(scripted, asking):
    scripted.answer("SELECT slow FROM ks.t", cql.SILENCE)
    scripted.answer(QUERY, cql.error(cql.SERVER_ERROR))
    slow = [asyncio.create_task(asking.execute("SELECT slow FROM ks.t", timeout=5.0)) for _ in range(10)]
    await asyncio.to_thread(scripted.wait_for, lambda server: server.queries().count("SELECT slow FROM ks.t") == 10)
    assert type(await _error_of(asking.execute(QUERY))) is errors.ServerError
    outcomes = await asyncio.gather(*slow, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {errors.ConnectionLost}


async def test_a_lost_idempotent_request_is_retryable_or_was_retried(scripted, asking):
    scripted.answer(QUERY, cql.CLOSE)
    error = await _error_of(asking.execute(QUERY, idempotent=True))
    assert isinstance(error, ConnectionError)
    assert error.retryable


@pytest.mark.parametrize("timeout", [0.05, 0.0001])
async def test_no_answer_within_the_timeout(scripted, asking, timeout):
    scripted.answer(QUERY, cql.SILENCE)
    started = time.monotonic()
    error = await _error_of(asking.execute(QUERY, timeout=timeout))
    assert time.monotonic() - started < 2.0
    assert type(error) is errors.RequestTimeout
    assert error.query == QUERY
    assert not error.retryable
    assert (await _error_of(asking.execute(QUERY, timeout=timeout, idempotent=True))).retryable
    with pytest.raises(TimeoutError):
        await asking.execute(QUERY, timeout=timeout)
    with pytest.raises(asyncio.TimeoutError):
        await asking.execute(QUERY, timeout=timeout)


async def test_preparing_that_takes_too_long_is_a_timeout_that_applied_nothing(scripted):
    scripted.handler = lambda request: cql.SILENCE if request.opcode == cql.PREPARE else None
    text = "INSERT INTO ks.t (k) VALUES (?)"
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port, request_timeout=0.5) as session:
        for request in (session.execute(text, [1], timeout=0.05), session.create_prepared(text, timeout=0.05)):
            error = await _error_of(request)
            assert type(error) is errors.RequestTimeout
            assert error.retryable
            assert error.query == text


async def test_a_full_queue_is_told_at_once(scripted):
    scripted.answer(QUERY, cql.SILENCE)
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port, queue_size_io=2, request_timeout=2.0) as session:
        started = time.monotonic()
        tasks = [asyncio.create_task(session.execute(QUERY)) for _ in range(5000)]
        done, _ = await asyncio.wait(tasks, timeout=1.5)
        full = [task for task in done if type(task.exception()) is errors.RequestQueueFull]
        assert full
        assert time.monotonic() - started < 2.0
        error = full[0].exception()
        assert error.retryable
        assert error.query == QUERY
        await asyncio.wait(tasks)
        assert {type(task.exception()) for task in tasks} <= {errors.RequestQueueFull, errors.RequestTimeout}


async def test_nobody_listens(scripted):
    scripted.stop_listening()
    error = await _error_of(acsylla_like.connect(scripted.contact_points, port=scripted.port))
    assert isinstance(error, ConnectionError)
    assert isinstance(error, (errors.NoHostsAvailable, errors.UnableToConnect))
    assert error.retryable


async def test_every_node_is_gone(scripted, asking):
    scripted.stop_listening()
    scripted.drop_connections()
    deadline = time.monotonic() + 5.0
    while type(error := await _error_of(asking.execute(QUERY))) is not errors.NoHostsAvailable:
        assert type(error) is errors.ConnectionLost
        assert time.monotonic() < deadline
    assert error.retryable


@pytest.mark.keeps_open("libuv's threads that resolve names")
async def test_a_name_that_does_not_resolve():
    error = await _error_of(acsylla_like.connect("no-such-host.invalid"))
    assert isinstance(error, (errors.HostResolutionError, errors.NoHostsAvailable))
    assert "no-such-host.invalid" in str(error)


async def test_an_answer_that_is_no_cql(scripted, asking):
    scripted.answer(QUERY, cql.raw(b"\0\0\0\x63"))
    error = await _error_of(asking.execute(QUERY, timeout=5.0))
    assert type(error) in (errors.ConnectionLost, errors.ProtocolError, errors.ClientError)


# ---- for real ---------------------------------------------------------------------------------------------------------


async def test_what_a_real_server_refuses(session, keyspace):
    await session.execute("CREATE TABLE t (k int PRIMARY KEY, v int)")
    refused = [
        ("SELEKT 1", errors.QuerySyntaxError),
        ("SELECT nothing FROM t", errors.InvalidQuery),
        ("SELECT * FROM nowhere", errors.InvalidQuery),
        ("CREATE TABLE u (k int PRIMARY KEY) WITH gc_grace_seconds = -1", errors.ConfigurationError),
        ("CREATE TABLE t (k int PRIMARY KEY)", errors.AlreadyExists),
        (f"CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}", errors.AlreadyExists),
    ]
    for query, error_class in refused:
        error = await _error_of(session.execute(query))
        assert type(error) is error_class
        assert error.query == query
        assert error.coordinator is not None
        assert not error.retryable
        if error_class is errors.AlreadyExists:
            assert (error.keyspace, error.table) == (keyspace, "t" if "TABLE" in query else None)
        if "CREATE" not in query:
            for failed in (await _error_of(session.create_prepared(query)), await _error_of(session.execute(query + " ", [1]))):
                assert type(failed) is error_class
                assert failed.query.strip() == query


async def test_too_few_nodes_for_real(session):
    name = f"three_{uuid.uuid4().hex[:8]}"
    await session.execute(f"CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 3}}")
    try:
        await session.execute(f"CREATE TABLE {name}.t (k int PRIMARY KEY)")
        query = f"INSERT INTO {name}.t (k) VALUES (?)"
        for request in (
            session.execute(query, [1], consistency="QUORUM"),
            session.execute(query.replace("?", "1"), consistency="QUORUM"),
        ):
            error = await _error_of(request)
            assert type(error) is errors.Unavailable
            assert (error.consistency, error.required, error.received, error.retryable) == ("QUORUM", 2, 1, True)
            assert "1 of 2 replicas answered" in str(error)
    finally:
        await session.execute(f"DROP KEYSPACE {name}")


@pytest.mark.parametrize(
    ("kind", "error_class", "said", "fields"),
    [
        ("read_timeout", errors.ReadTimeout, {"consistency_level": "TWO"}, {"consistency": "TWO", "received": 1, "required": 2}),
        ("write_timeout", errors.WriteTimeout, {"write_type": "CAS"}, {"consistency": "ONE", "write_type": "CAS"}),
        ("unavailable", errors.Unavailable, {"alive": 0, "required": 1}, {"received": 0, "required": 1}),
        ("overloaded", errors.Overloaded, {}, {}),
        ("syntax_error", errors.QuerySyntaxError, {}, {}),
        ("unauthorized", errors.Unauthorized, {}, {}),
        ("function_failure", errors.FunctionFailure, {}, {"keyspace": "ks", "function": "f", "argument_types": ()}),
        ("close_connection", errors.ConnectionLost, {}, {}),
        ("is_bootstrapping", errors.NoHostsAvailable, {}, {}),
    ],
)
async def test_errors_of_three_simulated_nodes(simulacron, kind, error_class, said, fields):
    with simulacron.create_cluster(3) as cluster:
        cluster.prime_error(QUERY, kind, **said)
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port) as session:
            error = await _error_of(session.execute(QUERY, timeout=5.0))
            assert type(error) is error_class
            assert {name: getattr(error, name) for name in fields} == fields


# ---- as objects -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
async def test_errors_are_copied_and_pickled_with_their_fields(scripted, asking, duplicate):
    for code in (cql.WRITE_TIMEOUT, cql.UNAVAILABLE, cql.FUNCTION_FAILURE, cql.INVALID):
        scripted.answer(QUERY, cql.error(code, "words", arguments=["int"]))
        error = await _error_of(asking.execute(QUERY))
        twin = duplicate(error)
        assert type(twin) is type(error)
        assert twin.__dict__ == error.__dict__
        assert str(twin) == str(error)
        assert twin.coordinator.port == scripted.port


@pytest.mark.parametrize("name", errors.__all__)
def test_every_class_is_made_copied_and_pickled_by_hand(name):
    error = getattr(errors, name)("words")
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin), twin.args) == (type(error), "words", ("words",))
    assert str(copy.copy(error)) == "words"
    assert str(getattr(errors, name)()) == ""


async def test_a_message_says_what_failed_and_where_in_one_readable_line(scripted, asking):
    scripted.answer(QUERY, cql.error(cql.WRITE_FAILURE, "broken", failures=3, consistency=4, received=1, required=2))
    error = await _error_of(asking.execute(QUERY))
    where = f"{scripted.address}:{scripted.port}"
    facts = "consistency QUORUM; 1 of 2 replicas answered; 3 failed; write type SIMPLE"
    assert str(error) == f"broken [{facts}; coordinator {where}; query {QUERY!r}]"
    long = "SELECT " + ", ".join(f"column_{i}" for i in range(1000)) + " FROM ks.t"
    scripted.answer(long, cql.error(cql.INVALID))
    error = await _error_of(asking.execute(long))
    assert error.query == long
    assert len(str(error)) < 400


async def test_messages_with_odd_characters(scripted, asking):
    scripted.answer(QUERY, cql.error(cql.INVALID, "größe \N{SNOWMAN}\n%s {}"))
    assert "größe \N{SNOWMAN}\n%s {}" in str(await _error_of(asking.execute(QUERY)))


# ---- where it failed --------------------------------------------------------------------------------------------------


async def test_the_traceback_shows_the_callers_line(scripted, asking):
    scripted.handler = lambda request: cql.error(cql.INVALID, "no")
    batch = acsylla_like.create_batch_logged().add("INSERT INTO ks.t (k) VALUES (1)")
    prepared_text = "SELECT v FROM ks.t WHERE k = ?"

    async def by_text():
        await asking.execute(QUERY)  # the line

    async def by_text_and_values():
        await asking.execute(prepared_text, [1])  # the line

    async def by_batch():
        await asking.execute(batch)  # the line

    async def by_preparing():
        await asking.create_prepared(prepared_text)  # the line

    async def by_streaming():
        async for _ in asking.stream(QUERY):  # the line
            pass

    async def by_mistake():
        await asking.execute(None)  # the line

    for ask in (by_text, by_text_and_values, by_batch, by_preparing, by_streaming, by_mistake):
        with pytest.raises((errors.InvalidQuery, TypeError)) as caught:
            await asyncio.create_task(ask())
        lines = [frame.line for frame in traceback.extract_tb(caught.tb) if frame.filename == __file__]
        assert lines[-1].endswith("# the line"), ask


async def test_an_error_read_twice_does_not_grow_its_traceback(scripted, asking):
    scripted.answer(QUERY, cql.error(cql.INVALID))
    task = asyncio.ensure_future(asking.execute(QUERY))
    sizes = []
    for _ in range(3):
        error = await _error_of(asyncio.shield(task))
        sizes.append(len(traceback.extract_tb(error.__traceback__)))
    assert sizes[1] == sizes[2]


async def test_an_error_does_not_hide_behind_another(scripted, asking):
    scripted.answer(QUERY, cql.error(cql.INVALID))
    error = await _error_of(asking.execute(QUERY))
    assert error.__cause__ is None
    assert error.__context__ is None


# ---- what a preparation leaves behind ---------------------------------------------------------------------------------


async def test_a_statement_does_not_inherit_the_timeout_of_its_preparation(scripted, asking):
    text = "SELECT v FROM ks.t WHERE k = ?"
    scripted.answer(text, cql.rows([("v", "int")], [[1]]).delayed(0.4), [("k", "int")], key=[0])
    prepared = await asking.create_prepared(text)
    await asking._renew(prepared, 0.2)
    assert (await asking.execute(prepared, [1])).single() == (1,)
