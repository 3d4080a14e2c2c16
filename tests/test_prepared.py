"""Prepared statements: by hand, and behind the scenes for texts with values."""

from __future__ import annotations

import asyncio
import hashlib
import time

import pytest

import acsylla_like
from acsylla_like import errors
from acsylla_like import session as session_module
from acsylla_like.testing import cql

TEXT = "SELECT v FROM ks.t WHERE k = ?"


@pytest.fixture
async def asking(scripted):
    scripted.answer(TEXT, cql.rows([("v", "int")], [[1]]), [("k", "int")], key=[0])
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        yield session


def _prepares(scripted, text=None):
    return [request.query for request in scripted.requests if request.opcode == cql.PREPARE and text in (None, request.query)]


async def _until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


# ---- by hand ----------------------------------------------------------------------------------------------------------


async def test_a_prepared_statement_tells_its_text_and_its_parameters(session, keyspace):
    await session.execute("CREATE TABLE told (k int, c text, m map<text, frozen<list<int>>>, PRIMARY KEY (k, c))")
    prepared = await session.prepare("INSERT INTO told (k, c, m) VALUES (?, :chosen, ?)")
    assert prepared.query == "INSERT INTO told (k, c, m) VALUES (?, :chosen, ?)"
    assert prepared.keyspace == keyspace
    assert [(parameter.name, str(parameter.type)) for parameter in prepared.parameters] == [
        ("k", "int"),
        ("chosen", "text"),
        ("m", "map<text, frozen<list<int>>>"),
    ]
    assert prepared.parameters == (await session.create_prepared(prepared.query)).parameters
    assert len({*prepared.parameters, *prepared.parameters}) == 3
    assert "INSERT INTO told" in repr(prepared)
    assert repr(prepared.parameters[0]) == "Parameter('k', 'int')"
    assert (await session.create_prepared("SELECT * FROM told")).parameters == ()


async def test_it_is_parsed_once_and_executed_often(scripted, asking):
    prepared = await asking.create_prepared(TEXT)
    for _ in range(3):
        assert (await asking.execute(prepared, [1])).single() == (1,)
    assert len(_prepares(scripted)) == 1
    assert scripted.queries() == [TEXT] * 3


async def test_a_server_that_has_forgotten_it_is_told_again_unnoticed(scripted, asking):
    prepared = await asking.create_prepared(TEXT)
    scripted.forget_prepared()
    rows = await asyncio.gather(*[asking.execute(prepared, [1]) for _ in range(100)])
    assert {row.single() for row in rows} == {(1,)}


async def test_one_that_the_server_refuses_to_prepare_again_gets_the_servers_words(scripted, asking):
    prepared = await asking.create_prepared(TEXT)
    batch = acsylla_like.create_batch_unlogged().add(prepared, [1])
    scripted.forget_prepared()
    scripted.handler = lambda request: cql.error(cql.INVALID, "no such column") if request.opcode == cql.PREPARE else _unprepared(request)
    for request in (asking.execute(prepared, [1]), asking.execute(batch)):
        with pytest.raises(errors.InvalidQuery, match="no such column") as caught:
            await request
        assert caught.value.query == TEXT
    scripted.handler = None
    assert (await asking.execute(prepared, [1])).single() == (1,)


def _unprepared(request):
    if request.opcode == cql.BATCH:
        return cql.error(cql.UNPREPARED, "forgotten", statement_id=hashlib.md5(TEXT.encode()).digest())
    return None


async def test_a_prepared_statement_works_in_another_session(cassandra, session, keyspace):
    await session.execute("CREATE TABLE shared (k int PRIMARY KEY, v int)")
    await session.execute("INSERT INTO shared (k, v) VALUES (1, 2)")
    for text in ("SELECT * FROM shared WHERE k = ?", "SELECT v FROM shared WHERE k = ?"):
        prepared = await session.create_prepared(text)
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as other:
            for _ in range(3):
                assert (await other.execute(prepared, [1])).single()[-1] == 2
                assert (await session.execute(prepared, [1])).single()[-1] == 2
        assert (await session.execute(prepared, [1])).single()[-1] == 2


async def test_a_prepared_statement_outlives_its_session(scripted):
    scripted.answer(TEXT, cql.rows([("v", "int")], [[1]]), [("k", "int")], key=[0])
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        prepared = await session.create_prepared(TEXT)
    assert prepared.bind([1]).parameters == (1,)
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        assert (await session.execute(prepared, [1])).single() == (1,)


# ---- behind the scenes ------------------------------------------------------------------------------------------------


async def test_a_text_with_values_is_prepared_once(scripted, asking):
    for _ in range(3):
        assert (await asking.execute(TEXT, [1])).single() == (1,)
    assert _prepares(scripted) == [TEXT]
    assert asking.metrics()["session"]["prepared"] == 1
    assert scripted.requests[-1].opcode == cql.EXECUTE


async def test_a_text_without_values_is_sent_as_it_is(scripted, asking):
    await asking.execute("SELECT v FROM ks.t")
    assert _prepares(scripted) == []
    assert scripted.requests[-1].opcode == cql.QUERY


async def test_many_that_ask_at_once_wait_for_one_preparation(scripted, asking):
    await asyncio.gather(*[asking.execute(TEXT, [1]) for _ in range(200)])
    assert _prepares(scripted) == [TEXT]
    assert scripted.queries() == [TEXT] * 200


async def test_a_cancelled_first_waiter_does_not_cancel_the_others(scripted, asking):
    scripted.handler = lambda request: _delayed_prepare(request, 0.2)
    first = asyncio.create_task(asking.execute(TEXT, [1]))
    await _until(lambda: _prepares(scripted))
    others = [asyncio.create_task(asking.execute(TEXT, [1])) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    rows = await asyncio.gather(*others)
    assert {row.single() for row in rows} == {(1,)}
    assert first.cancelled()
    assert _prepares(scripted) == [TEXT]


def _delayed_prepare(request, seconds):
    if request.opcode != cql.PREPARE:
        return None
    columns = cql.rows([("v", "int")]).columns
    return cql.prepared(hashlib.md5(TEXT.encode()).digest(), [("k", "int")], columns, key=[0]).delayed(seconds)


async def test_a_waiter_whose_time_is_up_leaves_the_others_waiting(scripted, asking):
    scripted.handler = lambda request: _delayed_prepare(request, 0.3)
    hurried = asyncio.create_task(asking.execute(TEXT, [1], timeout=0.1))
    patient = asyncio.create_task(asking.execute(TEXT, [1], timeout=5.0))
    with pytest.raises(errors.RequestTimeout) as caught:
        await hurried
    assert caught.value.retryable
    assert (await patient).single() == (1,)
    assert _prepares(scripted) == [TEXT]


async def test_the_timeout_covers_preparing_and_executing(scripted, asking):
    def slow(request):
        return _delayed_prepare(request, 0.2) or cql.rows([("v", "int")], [[1]]).delayed(0.2)

    scripted.handler = slow
    started = time.monotonic()
    with pytest.raises(errors.RequestTimeout):
        await asking.execute(TEXT, [1], timeout=0.3)
    assert time.monotonic() - started < 0.39
    assert (await asking.execute(TEXT, [1], timeout=5.0)).single() == (1,)


async def test_failures_are_not_kept(scripted, asking):
    scripted.handler = lambda request: cql.error(cql.INVALID, "not yet") if request.opcode == cql.PREPARE else None
    outcomes = await asyncio.gather(*[asking.execute(TEXT, [1]) for _ in range(10)], return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {errors.InvalidQuery}
    assert len(_prepares(scripted)) == 1
    assert asking.metrics()["session"]["prepared"] == 0
    scripted.handler = None
    assert (await asking.execute(TEXT, [1])).single() == (1,)


async def test_the_least_recently_used_goes_first_and_stays_valid_in_flight(scripted, asking, monkeypatch):
    monkeypatch.setattr(session_module, "PREPARED_CACHE_SIZE", 3)
    texts = [f"SELECT v{i} FROM ks.t WHERE k = ?" for i in range(4)]
    for text in texts:
        scripted.answer(text, cql.rows([("v", "int")], [[1]]), [("k", "int")])
    for text in texts[:3]:
        await asking.execute(text, [1])
    await asking.execute(texts[0], [1])
    scripted.answer(texts[1], cql.rows([("v", "int")], [[1]]).delayed(0.2), [("k", "int")])
    in_flight = [asyncio.create_task(asking.execute(texts[1], [1])) for _ in range(5)]
    await _until(lambda: scripted.queries().count(texts[1]) == 6)
    await asking.execute(texts[3], [1])  # 2 goes
    await asking.execute(texts[2], [1])  # 0 goes
    await asking.execute(texts[0], [1])  # 1 goes, which is in flight
    assert {row.single() for row in await asyncio.gather(*in_flight)} == {(1,)}
    assert [_prepares(scripted, text) and len(_prepares(scripted, text)) for text in texts] == [2, 1, 2, 1]
    assert asking.metrics()["session"]["prepared"] == 3


async def test_the_same_text_in_another_keyspace_is_another_statement(cassandra, session, keyspace):
    other = f"{keyspace}_other"
    await session.execute(f"CREATE KEYSPACE {other} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
    try:
        for name, value in ((keyspace, 1), (other, 2)):
            await session.execute(f"CREATE TABLE {name}.same (k int PRIMARY KEY, v int)")
            await session.execute(f"INSERT INTO {name}.same (k, v) VALUES (1, {value})")
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as moving:
            for _ in range(2):
                for name, value in ((keyspace, 1), (other, 2)):
                    await moving.execute(f"USE {name}")
                    assert moving.keyspace == name
                    for text in ("SELECT v FROM same WHERE k = ?", "SELECT * FROM same WHERE k = ?"):
                        assert (await moving.execute(text, [1])).single()[-1] == value
            assert moving.metrics()["session"]["prepared"] >= 4
    finally:
        await session.execute(f"DROP KEYSPACE {other}")


async def test_a_forgotten_statement_of_another_keyspace_is_refused_with_the_reason(scripted, asking):
    text = "SELECT v FROM t WHERE k = ?"
    scripted.answer(text, cql.rows([("v", "int")], [[1]]), [("k", "int")], key=[0])
    await asking.execute("USE ks")
    prepared = await asking.create_prepared(text)
    qualified = await asking.create_prepared(TEXT)
    await asking.execute("USE other")
    scripted.forget_prepared()
    refused = {"left": 2}

    def refuse_once(request):
        if request.opcode == cql.PREPARE and refused["left"]:
            refused["left"] -= 1
            return cql.error(cql.INVALID, "no such table")
        return None

    scripted.handler = refuse_once
    with pytest.raises(errors.ClientError, match="prepared in keyspace ks, and the session is in other") as caught:
        await asking.execute(prepared, [1])
    assert caught.value.retryable
    refused["left"] = 1
    assert (await asking.execute(qualified, [1])).single() == (1,)


async def test_texts_of_a_batch_share_the_kept_statements(scripted, asking):
    insert = "INSERT INTO ks.t (k) VALUES (?)"
    scripted.answer(insert, cql.void(), [("k", "int")], key=[0])
    for _ in range(2):
        batch = acsylla_like.create_batch_logged()
        for k in range(10):
            batch.add(insert, [k])
        await asking.execute(batch)
    await asking.execute(insert, [1])
    assert _prepares(scripted) == [insert]


async def test_what_is_never_prepared(scripted, asking):
    for text in ("USE ks", "CREATE TABLE ks.t (k int PRIMARY KEY)", "/* x */ drop table ks.t", "TRUNCATE ks.t"):
        await asking.execute(text)
    assert _prepares(scripted) == []
