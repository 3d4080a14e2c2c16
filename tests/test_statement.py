"""Statements: their values, their options, and what is frozen when."""

from __future__ import annotations

import asyncio
import math
import uuid

import pytest

import acsylla_like
from acsylla_like import UNSET, Consistency, errors
from acsylla_like.testing import cql

TEXT = "INSERT INTO ks.t (k, name, tags) VALUES (?, ?, ?)"
PARAMETERS = [("k", "int"), ("name", "text"), ("tags", "list<int>")]


@pytest.fixture
async def asking(scripted):
    scripted.answer(TEXT, cql.void(), PARAMETERS, key=[0])
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        yield session


def _sent(scripted):
    return scripted.requests[-1]


# ---- values -----------------------------------------------------------------------------------------------------------

ONE = [b"\0\0\0\1", b"x", b"\0\0\0\1\0\0\0\4\0\0\0\7"]


@pytest.mark.parametrize("how", ["prepared", "text", "statement of a text", "statement of a prepared", "bound", "batch"])
@pytest.mark.parametrize(
    "values",
    [
        [1, "x", [7]],
        (1, "x", (7,)),
        {"k": 1, "name": "x", "tags": [7]},
        {"tags": [7], "name": "x", "k": 1},
        "generators",
    ],
)
async def test_values_by_position_and_by_name(scripted, asking, how, values):
    if values == "generators":
        values = (value for value in [1, "x", (tag for tag in [7])])
    prepared = await asking.create_prepared(TEXT)
    if how == "prepared":
        await asking.execute(prepared, values)
    elif how == "text":
        await asking.execute(TEXT, values)
    elif how == "statement of a text":
        await asking.execute(acsylla_like.create_statement(TEXT, values))
    elif how == "statement of a prepared":
        await asking.execute(acsylla_like.create_statement(prepared, values))
    elif how == "bound":
        await asking.execute(prepared.bind(values))
    else:
        await asking.execute(acsylla_like.create_batch_unlogged().add(prepared, values))
        assert _sent(scripted).batch == [(TEXT, ONE)]
        return
    assert _sent(scripted).opcode == cql.EXECUTE
    assert _sent(scripted).parameters == ONE


@pytest.mark.parametrize("how", ["prepared", "text", "bind", "batch", "statement"])
@pytest.mark.parametrize(
    ("values", "error_class", "words"),
    [
        ([1, "x"], ValueError, "missing tags"),
        ([], ValueError, "missing k, name, tags"),
        ([1, "x", [], 4], ValueError, "1 too many"),
        ({"k": 1, "name": "x"}, errors.BindError, "no value for tags"),
        ({"k": 1, "name": "x", "tags": [], "other": 1}, errors.BindError, "unknown parameter 'other'"),
        ({"K": 1, "name": "x", "tags": []}, KeyError, "no value for k"),
        (["1", "x", []], TypeError, "k.*int"),
        ([2**40, "x", []], OverflowError, "k.*int"),
        ([1, 5, []], TypeError, "name.*text"),
        ([1, "x", ["7"]], TypeError, "tags"),
        ("abc", TypeError, "parameters must be a sequence or a mapping"),
        (b"abc", TypeError, "parameters must be a sequence or a mapping"),
        ({1, 2, 3}, TypeError, "parameters must be a sequence or a mapping"),
        (5, TypeError, "parameters must be a sequence or a mapping"),
    ],
)
async def test_mistakes_are_told_before_anything_is_sent(scripted, asking, how, values, error_class, words):
    prepared = await asking.create_prepared(TEXT)
    if how == "text" and not values:
        return  # a text without values is sent as it is
    before = len(scripted.requests)

    async def use():
        if how == "prepared":
            await asking.execute(prepared, values)
        elif how == "text":
            await asking.execute(TEXT, values)
        elif how == "bind":
            prepared.bind(values)
        elif how == "batch":
            acsylla_like.create_batch_unlogged().add(prepared, values)
        else:
            await asking.execute(acsylla_like.create_statement(prepared, values))

    with pytest.raises(error_class, match=words):
        await use()
    assert [request.opcode_name for request in scripted.requests[before:] if request.opcode != cql.PREPARE] == []
    await asking.execute(prepared, [1, "x", [7]])
    assert _sent(scripted).parameters == ONE


async def test_no_values_for_a_statement_that_takes_some(asking):
    prepared = await asking.create_prepared(TEXT)
    with pytest.raises(ValueError, match=r"3 values expected .*missing k, name, tags"):
        await asking.execute(prepared)
    none = await asking.create_prepared("SELECT v FROM ks.t")
    with pytest.raises(ValueError, match="no values expected, got 1"):
        await asking.execute(none, [1])
    with pytest.raises(errors.BindError, match="the statement has none"):
        await asking.execute(none, {"a": 1})


async def test_null_and_unset(scripted, asking):
    prepared = await asking.create_prepared(TEXT)
    for query in (prepared, TEXT):
        await asking.execute(query, [1, None, UNSET])
        assert _sent(scripted).parameters == [ONE[0], None, cql.UNSET]
        await asking.execute(query, {"k": 1, "name": UNSET, "tags": None})
        assert _sent(scripted).parameters == [ONE[0], cql.UNSET, None]


async def test_unset_leaves_a_column_alone_for_real(session):
    await session.execute("CREATE TABLE alone (k int PRIMARY KEY, a int, b int)")
    insert = await session.create_prepared("INSERT INTO alone (k, a, b) VALUES (?, ?, ?)")
    await session.execute(insert, [1, 2, 3])
    await session.execute(insert, [1, UNSET, None])
    assert (await session.execute("SELECT a, b FROM alone")).single() == (2, None)
    with pytest.raises((ValueError, errors.InvalidQuery)):  # as soon as the driver knows the table, before it is sent
        await session.execute(insert, [UNSET, 1, 1])


async def test_named_markers_for_real(session):
    await session.execute('CREATE TABLE named (k int PRIMARY KEY, "Odd name" int)')
    await session.execute('INSERT INTO named (k, "Odd name") VALUES (:key, :"Odd value")', {"key": 1, "Odd value": 2})
    found = await session.execute('SELECT "Odd name" FROM named WHERE k = :key', {"key": 1})
    assert found.single() == (2,)
    # a name that stands twice is given once, by position it is two values
    twice = await session.create_prepared("SELECT k FROM named WHERE k IN (:a, :a)")
    assert (await session.execute(twice, {"a": 1})).all() == [(1,)]
    assert (await session.execute(twice, [1, 5])).all() == [(1,)]


@pytest.mark.parametrize("text", ["SELECT v FROM ks.t WHERE k = %s", "SELECT v FROM ks.t WHERE k = %(k)s"])
async def test_markers_of_another_driver_are_named_in_the_error(scripted, asking, text):
    for use in (
        lambda: asking.execute(text, [1]),
        lambda: asking.execute(acsylla_like.create_statement(text, [1])),
        lambda: asking.execute(acsylla_like.create_batch_logged().add(text, [1])),
    ):
        with pytest.raises(ValueError, match=r"\? and :name"):
            await use()
    assert scripted.requests == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT v FROM ks.t WHERE k = ? AND v = '%s'",
        "SELECT v -- %s\n FROM ks.t WHERE k = ?",
        "SELECT k%s FROM ks.t WHERE k = ?",
    ],
)
async def test_percent_signs_elsewhere_are_left_alone(scripted, asking, text):
    await asking.execute(text, [b"1"])
    assert _sent(scripted).query == text


@pytest.mark.parametrize(
    "text", ["CREATE TABLE t (k int PRIMARY KEY)", "-- x\nalter table t add a int", "DROP TABLE t", "USE ks", "TRUNCATE t", "GRANT a TO b"]
)
async def test_texts_that_take_no_values_refuse_them(scripted, asking, text):
    with pytest.raises(ValueError, match="takes no values"):
        await asking.execute(text, [1])
    assert scripted.requests == []
    for nothing in (None, [], (), {}):
        await asking.execute(text, nothing)
        # USE is answered by the server's own hand, which notes nothing
        assert [request.opcode for request in scripted.requests] in ([], [cql.QUERY])
        scripted.requests.clear()


@pytest.mark.parametrize("query", [None, 5, b"SELECT 1", ["SELECT 1"], object])
async def test_only_statements_are_executed(scripted, asking, query):
    with pytest.raises(TypeError, match="can be executed, not"):
        await asking.execute(query)
    with pytest.raises(TypeError, match="a statement is made of"):
        acsylla_like.create_statement(query)
    with pytest.raises(TypeError, match="a text can be prepared, not"):
        await asking.create_prepared(query)
    assert scripted.requests == []


# ---- options ----------------------------------------------------------------------------------------------------------

HOWS = ["execute", "prepared", "create_statement", "bind", "create_prepared", "batch", "session", "stream"]


async def _send(scripted, asking, how, **options):
    """Has a request sent with these options, in one of the ways in which they can be given."""
    prepared = await asking.create_prepared(TEXT)
    values = [1, "x", [7]]
    if how == "execute":
        await asking.execute("INSERT INTO ks.t (k) VALUES (1)", **options)
    elif how == "prepared":
        await asking.execute(prepared, values, **options)
    elif how == "create_statement":
        await asking.execute(acsylla_like.create_statement(prepared, values, **options))
    elif how == "bind":
        await asking.execute(prepared.bind(values, **options))
    elif how == "create_prepared":
        await asking.execute(await asking.create_prepared(TEXT, **options), values)
    elif how == "batch":
        await asking.execute(acsylla_like.create_batch_unlogged(**options).add(prepared, values))
    elif how == "session":
        cluster = acsylla_like.create_cluster(scripted.contact_points, port=scripted.port)
        async with await cluster.create_session(**options) as session:
            await session.execute("INSERT INTO ks.t (k) VALUES (1)")
    else:
        async for _ in asking.stream("SELECT v FROM ks.t", **options):
            pass
    return scripted.requests[-1]


@pytest.mark.parametrize("how", HOWS)
async def test_options_reach_the_server(scripted, asking, how):
    sent = await _send(scripted, asking, how, consistency="EACH_QUORUM")
    assert sent.consistency == 7
    assert sent.tracing is False
    sent = await _send(
        scripted, asking, how, consistency=Consistency.LOCAL_ONE, serial_consistency="local_serial", timestamp=-5,
        custom_payload={"who": b"me", "empty": bytearray()}, tracing=True,
    )  # fmt: skip
    assert (sent.consistency, sent.serial_consistency, sent.timestamp) == (10, 9, -5)
    assert sent.payload == {"who": b"me", "empty": b""}
    assert sent.tracing is True
    sent = await _send(scripted, asking, how, consistency=4)
    assert (sent.consistency, sent.payload) == (4, {})


@pytest.mark.parametrize("how", [how for how in HOWS if how != "batch"])
async def test_the_page_size_reaches_the_server(scripted, asking, how):
    assert (await _send(scripted, asking, how, page_size=77)).page_size == 77
    assert (await _send(scripted, asking, how)).page_size == 5000


async def test_the_closest_word_wins(scripted):
    scripted.answer(TEXT, cql.void(), PARAMETERS, key=[0])
    cluster = acsylla_like.create_cluster(scripted.contact_points, port=scripted.port, consistency="ONE", serial_consistency="SERIAL")
    values = [1, "x", [7]]
    async with await cluster.create_session() as session:
        await session.execute("SELECT v FROM ks.t")
        assert (_sent(scripted).consistency, _sent(scripted).serial_consistency) == (1, 8)
    async with await cluster.create_session(consistency="TWO", timestamp=1) as session:
        prepared = await session.create_prepared(TEXT, consistency="THREE")
        await session.execute(prepared, values)
        assert (_sent(scripted).consistency, _sent(scripted).timestamp) == (3, 1)
        statement = prepared.bind(values, consistency="QUORUM", timestamp=2)
        await session.execute(statement)
        assert (_sent(scripted).consistency, _sent(scripted).timestamp) == (4, 2)
        await session.execute(statement, consistency="ALL")
        assert (_sent(scripted).consistency, _sent(scripted).timestamp) == (5, 2)
        await session.execute("SELECT v FROM ks.t")
        assert (_sent(scripted).consistency, _sent(scripted).timestamp) == (2, 1)


@pytest.mark.parametrize("how", [how for how in HOWS if how != "session"])
@pytest.mark.parametrize(
    ("options", "error_class", "words"),
    [
        ({"timeout": 0}, ValueError, "timeout must be positive .*math.inf"),
        ({"timeout": -1.5}, ValueError, "timeout must be positive"),
        ({"timeout": math.nan}, ValueError, "timeout must be positive"),
        ({"timeout": "1"}, TypeError, "timeout must be a number of seconds, not str"),
        ({"timeout": True}, TypeError, "timeout must be a number of seconds"),
        ({"consistency": "SOME"}, ValueError, "consistency 'SOME' is none of ANY, ONE"),
        ({"consistency": 99}, ValueError, "consistency 99"),
        ({"consistency": b"ONE"}, ValueError, "consistency"),
        ({"serial_consistency": "ONE"}, ValueError, "serial_consistency must be SERIAL or LOCAL_SERIAL"),
        ({"page_size": 0}, ValueError, "page_size must be between 1"),
        ({"page_size": -1}, ValueError, "page_size must be between 1"),
        ({"page_size": 2**31}, ValueError, "page_size must be between 1"),
        ({"page_size": 1.0}, TypeError, "page_size must be an int, not float"),
        ({"paging_state": "abc"}, TypeError, "paging_state must be bytes, not str"),
        ({"timestamp": 1.5}, TypeError, "timestamp must be an int .*microseconds"),
        ({"timestamp": 2**63}, OverflowError, "64 bits"),
        ({"idempotent": 1}, TypeError, "idempotent must be a bool"),
        ({"tracing": "yes"}, TypeError, "tracing must be a bool"),
        ({"execution_profile": 5}, TypeError, "execution_profile must be a str"),
        ({"custom_payload": [("a", b"b")]}, TypeError, "custom_payload must map str to bytes"),
        ({"custom_payload": {"a": "b"}}, TypeError, r"custom_payload\['a'\] must be bytes, not str"),
        ({"custom_payload": {1: b"b"}}, TypeError, "custom_payload"),
        ({"routing_key": 5}, TypeError, "routing_key must be bytes or a list of the partition key's values, not int"),
        ({"routing_key": "x"}, TypeError, "routing_key must be bytes or a list of the partition key's values, not str"),
        ({"routing_key": []}, ValueError, "routing_key has no values"),
        ({"host": 5}, TypeError, "host must be a str"),
        ({"host": ("127.0.0.1", "9042")}, TypeError, "the port of host"),
        ({"nonsense": 1}, TypeError, "nonsense"),
    ],
)
async def test_options_that_do_not_fit_are_refused_before_anything_is_sent(scripted, asking, how, options, error_class, words):
    await asking.create_prepared(TEXT)
    before = len(scripted.requests)
    with pytest.raises(error_class, match=words):
        await _send(scripted, asking, how, **options)
    assert all(request.opcode == cql.PREPARE for request in scripted.requests[before:])


async def test_a_host_can_be_chosen(simulacron):
    with simulacron.create_cluster(3) as cluster:
        cluster.prime("SELECT v FROM ks.t", [{"v": 1}], {"v": "int"})
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port) as session:
            for node in cluster.nodes:
                for host in ((node, cluster.port), acsylla_like.Coordinator(node, cluster.port)):
                    for _ in range(3):
                        result = await session.execute("SELECT v FROM ks.t", host=host)
                        assert result.coordinator.address == node
            with pytest.raises(errors.NoHostsAvailable):
                await session.execute("SELECT v FROM ks.t", host=("127.255.255.254", cluster.port))
            for text in ("SELECT v FROM ks.t", "CREATE TABLE ks.t (k int PRIMARY KEY)", "USE ks"):
                with pytest.raises((ValueError, errors.ClientError), match="not an address"):
                    await session.execute(text, host="not an address")


async def test_an_unknown_execution_profile_is_an_error(asking):
    with pytest.raises(errors.ClientError, match="profile"):
        await asking.execute("SELECT v FROM ks.t", execution_profile="none such")


async def test_a_timestamp_for_real(session):
    await session.execute("CREATE TABLE stamped (k int PRIMARY KEY, v int)")
    insert = await session.create_prepared("INSERT INTO stamped (k, v) VALUES (?, ?)")
    await session.execute(insert, [1, 2], timestamp=1234)
    await session.execute(insert, [1, 3], timestamp=1233)
    await session.execute(acsylla_like.create_batch_unlogged(timestamp=4321).add(insert, [2, 1]))
    found = await session.execute("SELECT k, v, writetime(v) FROM stamped")
    assert sorted(found) == [(1, 2, 1234), (2, 1, 4321)]


# ---- frozen when executed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["prepared", "text", "statement", "bind"])
async def test_changing_values_in_flight_changes_nothing_sent(scripted, asking, how):
    tags, inner = [7], {"k": 1, "name": "x"}
    inner["tags"] = tags
    prepared = await asking.create_prepared(TEXT)
    if how == "prepared":
        request = asking.execute(prepared, inner)
    elif how == "text":
        request = asking.execute(TEXT, inner)
    else:
        statement = prepared.bind(inner) if how == "bind" else acsylla_like.create_statement(TEXT, inner)
        request = asking.execute(statement)
    tags.append(8)
    inner["name"] = "changed"
    inner["k"] = 5
    await request
    assert _sent(scripted).parameters == ONE


async def test_a_statement_is_executed_any_number_of_times(scripted, asking):
    statement = acsylla_like.create_statement(TEXT, (value for value in [1, "x", (tag for tag in [7])]))
    await asyncio.gather(*[asking.execute(statement) for _ in range(50)])
    await asking.execute(statement)
    sent = [request for request in scripted.requests if request.opcode == cql.EXECUTE]
    assert len(sent) == 51
    assert all(request.parameters == ONE for request in sent)
    assert statement.query == TEXT
    assert "INSERT INTO" in repr(statement)


async def test_a_statement_has_its_values_already(asking):
    statement = acsylla_like.create_statement(TEXT, [1, "x", [7]])
    with pytest.raises(TypeError, match="has its values already"):
        await asking.execute(statement, [1, "x", [7]])
    with pytest.raises(TypeError, match="has its values already"):
        acsylla_like.create_batch_logged().add(statement, [1, "x", [7]])


# ---- consistency ------------------------------------------------------------------------------------------------------


def test_consistency_levels_have_the_protocols_numbers():
    assert [level.name for level in Consistency] == [
        "ANY", "ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "SERIAL", "LOCAL_SERIAL", "LOCAL_ONE",
    ]  # fmt: skip
    assert list(map(int, Consistency)) == list(range(11))


async def test_lightweight_transactions_use_the_serial_consistency(session):
    await session.execute("CREATE TABLE once (k uuid PRIMARY KEY)")
    insert = await session.create_prepared("INSERT INTO once (k) VALUES (?) IF NOT EXISTS")
    for level in ("SERIAL", "LOCAL_SERIAL"):
        assert (await session.execute(insert, [uuid.uuid4()], serial_consistency=level)).applied
