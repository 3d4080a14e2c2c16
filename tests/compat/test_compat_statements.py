"""Statements, prepared statements, batches, results and rows as acsylla's users use them."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle
import time

import pytest

import acsylla_like
import acsylla_like.compat as acsylla
from acsylla_like.compat import Consistency, ValueType, errors


@pytest.fixture
async def table(session):
    """A session whose keyspace has a table of ten rows."""
    await session.execute(acsylla.create_statement("CREATE TABLE IF NOT EXISTS t (id int, c int, v text, b bigint, PRIMARY KEY (id, c))"))
    await session.execute(acsylla.create_statement("TRUNCATE t"))
    insert = await session.create_prepared("INSERT INTO t (id, c, v, b) VALUES (?, ?, ?, ?)")
    await asyncio.gather(*(insert([1, c, f"v{c}", c]).execute() for c in range(10)))
    return session


# ---- rows and results


async def test_rows_iterate_over_names_and_values(table):
    result = await table.query("SELECT id, c, v FROM t WHERE id = 1 AND c = 3")
    row = result.first()
    assert list(row) == [("id", 1), ("c", 3), ("v", "v3")]
    assert dict(row) == row.as_dict() == {"id": 1, "c": 3, "v": "v3"}
    assert row.as_list() == [1, 3, "v3"]
    assert row.as_tuple() == tuple(row.values()) == (1, 3, "v3")
    assert row.as_named_tuple() == (("id", 1), ("c", 3), ("v", "v3"))
    assert (row.keys(), row.column_count(), len(row)) == (["id", "c", "v"], 3, 3)
    assert (row[0], row["c"], row["C"], row.v, row[1:], row[-1]) == (1, 3, 3, "v3", (3, "v3"), "v3")
    assert repr(row) == "Row(id=1, c=3, v='v3')"
    assert dict(pickle.loads(pickle.dumps(row))) == dict(copy.copy(row)) == dict(row)
    for missing in ("nothing", 3, -4):
        with pytest.raises(errors.ColumnNotFound):
            row[missing]
    with pytest.raises(errors.ColumnNotFound):
        row.column_value("nothing")
    assert not hasattr(row, "nothing")
    assert hasattr(row, "v")


async def test_each_row_is_its_own(table):
    result = await table.query("SELECT c FROM t WHERE id = 1")
    assert [row.c for row in list(result)] == list(range(10))
    assert [row.c for row in result.all()] == [row[0] for row in result]  # more than once
    assert (len(result), result.count(), result.column_count(), result.columns_names(), list(result.columns())) == (10, 10, 1, ["c"], ["c"])
    assert result.first().c == 0
    assert result.tracing_id is None
    assert (await table.query("SELECT c FROM t WHERE id = 2")).first() is None


async def test_pages(table):
    statement = table.query("SELECT c FROM t WHERE id = 1", page_size=4)
    found = []
    while True:
        result = await statement
        found.append([row.c for row in result])
        if not result.has_more_pages():
            break
        statement.set_page_state(result.page_state())
    assert found == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    with pytest.raises(RuntimeError, match="the last page"):
        result.page_state()
    # All pages, each time.
    again = (await table.create_prepared("SELECT c FROM t WHERE id = ?"))([1], page_size=3)
    for _ in range(2):
        assert [row.c async for row in again] == list(range(10))
    again.set_page_size(-1)
    assert len(await again) == 10


async def test_iterating_translates_errors(table):
    with pytest.raises(errors.CassErrorServerInvalidQuery):
        async for _ in table.query("SELECT nothing FROM t"):
            pass
    with pytest.raises(errors.CassErrorServerInvalidQuery):
        async for _ in table.query("SELECT nothing FROM t WHERE id = ?", [1]):
            pass


async def test_tracing(table):
    statement = table.query("SELECT c FROM t WHERE id = 1")
    statement.set_tracing(True)
    assert len((await statement).tracing_id) == 36
    batch = acsylla.create_batch_unlogged()
    batch.set_tracing(True)
    batch.add_statement(acsylla.create_statement("INSERT INTO t (id, c) VALUES (3, 1)"))
    assert len((await table.execute_batch(batch)).tracing_id) == 36


# ---- statements


async def test_a_text_with_values_has_the_columns_types(table):
    """acsylla sends an int as four bytes and a float as four, whatever the column is."""
    for parameters in ([1, 99, "x", 2**40], (1, 99, "x", 2**40), {"id": 1, "c": 99, "v": "x", "b": 2**40}):
        await table.execute(acsylla.create_statement("INSERT INTO t (id, c, v, b) VALUES (?, ?, ?, ?)", parameters))
        assert (await table.query("SELECT b FROM t WHERE id = ? AND c = ?", [1, 99])).first().b == 2**40
        await table.query("DELETE FROM t WHERE id = :id AND c = :c", {"id": 1, "c": 99})
    await table.execute(acsylla.create_statement("CREATE TABLE IF NOT EXISTS d (id int PRIMARY KEY, d double)"))
    await table.query("INSERT INTO d (id, d) VALUES (?, ?)", [1, 0.1])
    assert (await table.query("SELECT d FROM d")).first().d == 0.1


async def test_binding_by_index_and_name(table):
    statement = acsylla.create_statement("INSERT INTO t (id, c, v) VALUES (?, ?, ?)", parameters=3)
    statement.bind(0, 5)
    statement.bind(1, 6)
    statement.bind(2, "seven")
    await table.execute(statement)
    named = acsylla.create_statement("SELECT v FROM t WHERE id = :a AND c = :b")
    named.bind_by_name("a", 5)
    named.bind_dict({"b": 6})
    assert (await table.execute(named)).first().v == "seven"
    statement.reset_parameters(3)
    statement.bind_list([5, 7])  # what is left out is left alone
    await table.execute(statement)
    assert (await table.query("SELECT v FROM t WHERE id = 5 AND c = 7")).first().v is None
    for index in (-1, 3):
        with pytest.raises(errors.CassErrorLibIndexOutOfBounds):
            statement.bind(index, 1)
    with pytest.raises(errors.CassErrorLibNameDoesNotExist, match="nothing"):
        await table.query("SELECT v FROM t WHERE id = :a", {"nothing": 1})
    with pytest.raises(errors.CassErrorLibBadParams, match="3 values are bound, and the statement takes 1"):
        await table.query("SELECT v FROM t WHERE id = ?", [1, 2, 3])
    with pytest.raises(ValueError, match="must be `list`, `tuple` or `dict`"):
        table.query("SELECT v FROM t WHERE id = ?", {1})
    with pytest.raises(ValueError, match="cannot have -1 parameters"):
        acsylla.create_statement("SELECT", -1)


async def test_values_of_a_text_are_checked_against_the_type_that_is_named(table):
    with pytest.raises(OverflowError):
        table.query("SELECT v FROM t WHERE id = ?", [2**31], [ValueType.INT])
    with pytest.raises(ValueError, match="expected bytes"):
        table.query("SELECT v FROM t WHERE id = :id", {"id": "x"}, {"id": ValueType.BLOB})
    assert len(await table.query("SELECT v FROM t WHERE id = ?", ["1"], (ValueType.INT,))) == 10


async def test_prepared_statements(table):
    select = await table.prepared_query("SELECT c FROM t WHERE id = ? AND c > ?", timeout=3.0, consistency=Consistency.ONE)
    assert [row.c for row in await select((1, 7))] == [8, 9]
    statement = select.bind({"id": 1, "C": 8})
    assert [row.c for row in await statement.execute()] == [9]
    assert [row.c for row in await statement([1, 6], page_size=100)] == [7, 8, 9]
    with pytest.raises(errors.CassErrorServerInvalidQuery):  # calling begins anew: what was bound before is not taken along
        await statement({"id": 1})
    select.set_execution_profile("unknown")
    with pytest.raises(errors.CassErrorLibExecutionProfileInvalid):
        await select([1, 7])
    select.set_execution_profile("")
    assert len(await select([1, 7], timeout=1.0, page_size=1)) == 1
    with pytest.raises(errors.CassErrorLibNameDoesNotExist):
        select.bind({"nothing": 1})
    with pytest.raises(errors.CassErrorLibIndexOutOfBounds):
        select.bind([1, 2, 3])
    with pytest.raises(ValueError, match="invalid literal"):
        statement.bind(0, "one")
    with pytest.raises(errors.CassErrorServerSyntaxError):
        await table.create_prepared("SELEKT")


async def test_a_key_without_a_value_is_what_the_servers_refusal_is(table):
    select = await table.create_prepared("SELECT c FROM t WHERE id = ?")
    batch = acsylla.create_batch_unlogged()
    batch.add_statement((await table.create_prepared("INSERT INTO t (id, c) VALUES (?, ?)"))([None, 1]))

    async def read(statement):
        async for _ in statement:
            pass

    uses = [
        select([None]),
        select.bind(),
        read(select([None])),
        table.execute_batch(batch),
        table.query("SELECT c FROM t WHERE id = ?", [None]),
    ]
    for use in uses:
        with pytest.raises(errors.CassErrorServerInvalidQuery, match=r"Invalid query.*part of the partition key") as caught:
            await use
        assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ValueError, match="invalid literal") as mistake:
        await table.query("SELECT c FROM t WHERE id = ?", ["one"])
    assert not isinstance(mistake.value, errors.CassException)


async def test_what_execute_returns_is_a_coroutine_to_asyncio(table):
    statement = table.query("SELECT c FROM t WHERE id = 1")
    prepared = (await table.create_prepared("SELECT c FROM t WHERE id = ?"))([1])
    for one in (statement, prepared, table.query("SELECT c FROM t WHERE id = ?", [1])):
        assert asyncio.iscoroutine(unawaited := table.execute(one))
        assert len(await unawaited) == 10
        assert len(await asyncio.wait_for(table.execute(one), 5)) == 10
        assert len(await asyncio.create_task(table.execute(one))) == 10
        assert [len(found) for found in await asyncio.gather(one, table.execute(one))] == [10, 10]
    mistakes = await asyncio.gather(*(table.execute(wrong) for wrong in (None, "SELECT", 5)), return_exceptions=True)
    assert [type(mistake) for mistake in mistakes] == [TypeError] * 3
    with pytest.warns(RuntimeWarning, match="never awaited"):
        table.execute(statement)


@pytest.mark.parametrize(
    ("cql_type", "fits", "others"),
    [
        ("int", [2**31 - 1, -(2**31)], {"5": 5, 5.9: 5}),
        ("bigint", [2**63 - 1, -(2**63)], {"5": 5}),
        ("double", [1.5, float("inf")], {"1.5": 1.5, 3: 3.0}),
        ("text", ["x", "", "é"], {5: "5", b"x": "x"}),
        ("blob", [b"x", b""], {}),
        ("boolean", [True, False], {1: True, 0.0: False}),
    ],
)
async def test_values_of_the_commonest_types(table, cql_type, fits, others):
    await table.query(f"CREATE TABLE IF NOT EXISTS of_{cql_type} (id int PRIMARY KEY, v {cql_type})")
    insert = await table.create_prepared(f"INSERT INTO of_{cql_type} (id, v) VALUES (?, ?)")
    for given, expected in [*((value, value) for value in fits), *others.items()]:
        statement = insert.bind()
        statement.bind_list([1, given])
        await statement
        found = (await table.query(f"SELECT v FROM of_{cql_type}")).first().v
        assert (found, type(found)) == (expected, type(expected))
    await insert([1, None])
    assert (await table.query(f"SELECT v FROM of_{cql_type}")).first().v is None
    statement = insert.bind([1, fits[0]])
    statement.bind_list([2])  # the others stay as they are
    await statement
    assert {row.id: row.v for row in await table.query(f"SELECT id, v FROM of_{cql_type}")} == {1: None, 2: fits[0]}


@pytest.mark.parametrize(("cql_type", "value"), [("int", 2**31), ("int", -(2**31) - 1), ("bigint", 2**63), ("bigint", -(2**63) - 1)])
async def test_numbers_that_do_not_fit_are_refused_when_they_are_bound(table, cql_type, value):
    await table.query(f"CREATE TABLE IF NOT EXISTS of_{cql_type} (id int PRIMARY KEY, v {cql_type})")
    insert = await table.create_prepared(f"INSERT INTO of_{cql_type} (id, v) VALUES (?, ?)")
    for bind in (insert.bind, insert, insert.bind().bind_list):
        with pytest.raises(OverflowError):
            bind([1, value])


async def test_native_types(table):
    statement = table.query("SELECT uuid() AS u, toTimestamp(now()) AS n FROM t LIMIT 1")
    assert isinstance((await statement.execute(native_types=True)).first().n, str)
    assert not isinstance((await statement).first().n, str)
    select = await table.create_prepared("SELECT toTimestamp(now()) AS n FROM t LIMIT 1", native_types=True)
    assert isinstance((await select()).first().n, str)
    async for row in select():
        assert row.n.endswith("Z")
    assert isinstance((await table.query("SELECT toTimestamp(now()) AS n FROM t LIMIT 1", native_types=True)).first().n, str)


async def test_a_statement_of_no_session_cannot_run_by_itself(table):
    statement = acsylla.create_statement("SELECT c FROM t")
    for use in (lambda: statement([1]), statement.__await__):
        with pytest.raises(RuntimeError, match="created from session"):
            use()
    with pytest.raises(RuntimeError, match="created from session"):
        await statement.execute()
    assert len(await table.execute(statement)) == 10


async def test_options_reach_the_server(cassandra, keyspace, scripted):
    cluster = acsylla.create_cluster(scripted.address, port=scripted.port, consistency="TWO")
    session = await cluster.create_session()
    query = "SELECT v FROM ks.t"
    await session.query(query)
    assert scripted.requests[-1].consistency == 2
    statement = acsylla.create_statement(query, consistency=Consistency.ALL, serial_consistency=Consistency.SERIAL)
    statement.set_timestamp(5.9)
    statement.set_is_idempotent(True)
    statement.set_retry_policy("fallthrough")
    statement.set_execution_profile("")
    statement.set_host(scripted.address, scripted.port)
    statement.add_key_index(0)
    await session.execute(statement)
    request = scripted.requests[-1]
    assert (request.consistency, request.serial_consistency, request.timestamp) == (5, 8, 5)
    for setter in (statement.set_timestamp, statement.set_host, statement.set_tracing, statement.set_execution_profile):
        setter(None)
    statement.set_serial_consistency(Consistency.ONE)  # ignored with a warning
    assert statement._options["serial_consistency"] == 8
    with pytest.raises(ValueError, match="'default' or 'fallthrough'"):
        statement.set_retry_policy("often")
    with pytest.raises(errors.CassErrorLibExecutionProfileInvalid):
        await session.query(query, execution_profile="unknown")
    await session.close()


async def test_timeouts(simulacron):
    with simulacron.create_cluster() as cluster:
        cluster.prime_error("SELECT slow", "no_result")
        session = await acsylla.create_cluster(cluster.contact_points, port=cluster.port, request_timeout=0).create_session()
        assert session.cluster._made().request_timeout == math.inf
        started = time.monotonic()
        with pytest.raises(errors.CassErrorLibRequestTimedOut):
            await session.query("SELECT slow", timeout=0.1)
        assert time.monotonic() - started < 5
        await session.close()


# ---- batches


@pytest.mark.parametrize("make", [acsylla.create_batch_logged, acsylla.create_batch_unlogged])
async def test_batches_have_their_statements_as_they_were_added(table, make):
    batch = make(timeout=5.0)
    insert = await table.create_prepared("INSERT INTO t (id, c, v) VALUES (?, ?, ?)")
    statement = insert.bind()
    for c in range(3):
        statement.bind_list([7, c, f"seven {c}"])
        batch.add_statement(statement)
    batch.add_statement(acsylla.create_statement("INSERT INTO t (id, c, b) VALUES (?, ?, ?)", [7, 3, 2**40]))
    batch.add_statement(acsylla.create_statement("INSERT INTO t (id, c, v) VALUES (7, 4, 'text')"))
    batch.set_consistency(Consistency.ONE)
    batch.set_serial_consistency(Consistency.LOCAL_SERIAL)
    batch.set_is_idempotent(True)
    batch.set_request_timeout(3000)
    await table.execute_batch(batch)
    rows = [tuple(row.values()) for row in await table.query("SELECT c, v, b FROM t WHERE id = 7")]
    assert rows == [(0, "seven 0", None), (1, "seven 1", None), (2, "seven 2", None), (3, None, 2**40), (4, "text", None)]


async def test_a_batch_is_executed_again_with_what_was_added_since(table):
    batch = acsylla.create_batch_unlogged()
    result = await table.execute_batch(batch)  # of nothing, as a loop over no rows makes it
    assert (len(result), result.first(), list(result), result.columns_names(), result.has_more_pages()) == (0, None, [], [], False)
    insert = await table.create_prepared("INSERT INTO t (id, c) VALUES (?, ?)")
    for c in range(3):
        batch.add_statement(insert([8, c]))
        await table.execute_batch(batch)
        assert [row.c for row in await table.query("SELECT c FROM t WHERE id = 8")] == list(range(c + 1))


async def test_counters(table):
    await table.execute(acsylla.create_statement("CREATE TABLE IF NOT EXISTS counts (id int PRIMARY KEY, n counter)"))
    batch = acsylla.create_batch_counter()
    batch.add_statement(acsylla.create_statement("UPDATE counts SET n = n + ? WHERE id = 1", [2]))
    before = await table.query("SELECT n FROM counts WHERE id = 1")
    await table.execute_batch(batch)
    assert (await table.query("SELECT n FROM counts WHERE id = 1")).first().n == 2 + (before.first().n if len(before) else 0)


async def test_mistakes_are_told(table):
    with pytest.raises(TypeError, match="a Statement can be executed, not str"):
        await table.execute("SELECT c FROM t")
    with pytest.raises(TypeError, match="a Statement can be executed, not NoneType"):
        await table.execute(None)
    with pytest.raises(TypeError, match="a Batch can be executed, not list"):
        await table.execute_batch([])
    with pytest.raises(TypeError, match="a Statement can be added, not str"):
        acsylla.create_batch_logged().add_statement("INSERT")
    with pytest.raises(TypeError, match="text must be a str, not int"):
        acsylla.create_statement(5)


async def test_errors_have_the_facts(table):
    with pytest.raises(errors.CassErrorServerInvalidQuery) as caught:
        await table.query("SELECT nothing FROM t")
    assert isinstance(caught.value, errors.CassErrorSourceServer)
    assert caught.value.query == "SELECT nothing FROM t"
    assert caught.value.coordinator.address
    assert isinstance(caught.value.__cause__, acsylla_like.InvalidQuery)


async def test_a_closed_session(table):
    await table.close()
    await table.close()
    statement = table.query("SELECT c FROM t")
    for use in (
        lambda: table.execute(statement),
        lambda: table.create_prepared("SELECT"),
        lambda: table.execute_batch(acsylla.create_batch_logged()),
    ):
        with pytest.raises(RuntimeError, match="Session closed"):
            await use()
    with pytest.raises(RuntimeError, match="Session closed"):
        table.metrics()


async def test_keyspaces_and_figures(table, keyspace):
    assert table.keyspace == keyspace
    await table.use_keyspace("system")
    assert table.keyspace == "system"
    assert len(await table.query("SELECT key FROM local")) == 1
    await table.set_keyspace(keyspace)
    assert len(await table.query("SELECT c FROM t WHERE id = 1")) == 10
    metrics = table.metrics()
    assert metrics.requests_min > 0
    assert isinstance(metrics.requests_max, int)
    assert table.speculative_execution_metrics().count == 0
    assert len(table.get_client_id()) == 36
