"""Batches: what they take, what they send, and when they are frozen."""

from __future__ import annotations

import asyncio

import pytest

import acsylla_like
from acsylla_like import UNSET, errors
from acsylla_like.testing import cql

INSERT = "INSERT INTO ks.t (k, v) VALUES (?, ?)"
MAKERS = {
    "logged": (acsylla_like.create_batch_logged, 0),
    "unlogged": (acsylla_like.create_batch_unlogged, 1),
    "counter": (acsylla_like.create_batch_counter, 2),
}


@pytest.fixture
async def asking(scripted):
    scripted.answer(INSERT, cql.void(), [("k", "int"), ("v", "list<int>")], key=[0])
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        yield session


def _int(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _long(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _list(*values: int) -> bytes:
    return _int(len(values)) + b"".join(_int(4) + _int(value) for value in values)


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_batch_sends_what_was_added_in_its_order(scripted, asking, kind):
    make, number = MAKERS[kind]
    prepared = await asking.create_prepared(INSERT)
    plain = "INSERT INTO ks.t (k) VALUES (9)"
    batch = make()
    assert batch.kind == kind
    assert batch.add(prepared, [1, [1]]) is batch
    batch.add(prepared, {"v": None, "k": 2}).add(INSERT, (3, UNSET)).add(INSERT, {"k": 4, "v": [4]}).add(plain)
    batch.add(prepared.bind([5, []])).add(acsylla_like.create_statement(INSERT, [6, [6, 6]]))
    assert len(batch) == 7
    assert kind in repr(batch)
    result = await asking.execute(batch)
    sent = scripted.requests[-1]
    assert sent.opcode == cql.BATCH
    assert sent.batch_type == number
    assert sent.batch == [
        (INSERT, [_int(1), _list(1)]),
        (INSERT, [_int(2), None]),
        (INSERT, [_int(3), cql.UNSET]),
        (INSERT, [_int(4), _list(4)]),
        (plain, []),
        (INSERT, [_int(5), _list()]),
        (INSERT, [_int(6), _list(6, 6)]),
    ]
    assert result.coordinator == f"{scripted.address}:{scripted.port}"
    assert len(result) == 0


async def test_a_batch_is_executed_any_number_of_times_and_grows_in_between(scripted, asking):
    prepared = await asking.create_prepared(INSERT)
    batch = acsylla_like.create_batch_unlogged().add(prepared, [1, []])
    await asyncio.gather(*[asking.execute(batch) for _ in range(20)])
    batch.add(prepared, [2, []])
    await asking.execute(batch)
    assert [len(request.batch) for request in scripted.requests if request.opcode == cql.BATCH] == [1] * 20 + [2]


@pytest.mark.parametrize("how", ["prepared", "text"])
async def test_many_rows_at_once(scripted, asking, how):
    query = await asking.create_prepared(INSERT) if how == "prepared" else INSERT
    batch = acsylla_like.create_batch_unlogged().add(query, [1, []])
    assert batch.add_many(query, ((k, [k]) for k in range(2, 4))) is batch
    assert batch.add_many(query, [{"v": None, "k": 4}, [5, UNSET]]) is batch
    assert len(batch.add_many(query, [])) == 5
    await asking.execute(batch)
    assert [values for _, values in scripted.requests[-1].batch] == [
        [_int(1), _list()],
        [_int(2), _list(2)],
        [_int(3), _list(3)],
        [_int(4), None],
        [_int(5), cql.UNSET],
    ]


async def test_values_whose_code_adds_to_the_same_batch(scripted, asking):
    prepared = await asking.create_prepared(INSERT)
    batch = acsylla_like.create_batch_unlogged().add(prepared, [1, []])

    class Adds:
        def __init__(self, value):
            self.value = value

        def __index__(self):
            for k in range(10, 60):
                batch.add(prepared, [k, []])
            return self.value

    batch.add(prepared, [Adds(2), [2]]).add_many(prepared, [[Adds(3), [3]], [4, [4]]])
    with pytest.raises(TypeError):
        batch.add(prepared, [Adds(5), "wrong"])
    assert len(batch) == 1 + 50 + 1 + 50 + 2 + 50
    await asking.execute(batch)
    sent = [int.from_bytes(values[0], "big") for _, values in scripted.requests[-1].batch]
    assert sorted(sent) == sorted([1, 2, 3, 4, *[*range(10, 60)] * 3])


async def test_a_mistake_in_one_of_many_rows_names_it_and_adds_none(scripted, asking):
    prepared = await asking.create_prepared(INSERT)
    batch = acsylla_like.create_batch_logged().add(prepared, [1, []])
    for query, row, error_class, words in (
        (prepared, (2,), ValueError, "row 1: .*missing v"),
        (prepared, ("2", []), TypeError, """row 1: column "k" .*'2'"""),
        (prepared, (2**31, []), OverflowError, 'row 1: column "k"'),
        (prepared, {"k": 1}, errors.BindError, "row 1: no value for v"),
        (prepared, 5, TypeError, "row 1: parameters must be a sequence or a mapping"),
        (INSERT, "ab", TypeError, "row 1: .*sequence or a mapping"),
        ("INSERT INTO ks.t (k) VALUES (%s)", [1], ValueError, r"row 0: .*\? and :name"),
    ):
        with pytest.raises(error_class, match=words):
            batch.add_many(query, [[1, []], row, [3, []]])
        assert len(batch) == 1
    for query in (None, batch, prepared.bind([1, []])):
        with pytest.raises(TypeError, match="add_many takes a str or a PreparedStatement"):
            batch.add_many(query, [])
    with pytest.raises(TypeError, match="not iterable"):
        batch.add_many(prepared, 5)

    class OwnError(ValueError):
        def __init__(self, place, reason):
            super().__init__(place, reason)

    def rows():
        yield [1, []]
        raise OwnError("line 2", "torn")

    with pytest.raises(OwnError, match="torn"):
        batch.add_many(prepared, rows())
    assert len(batch) == 1


async def test_a_batch_holds_no_more_statements_than_the_protocol_can_count(scripted, asking):
    prepared = await asking.create_prepared("INSERT INTO ks.t (k) VALUES (1)")
    batch = acsylla_like.create_batch_unlogged().add_many(prepared, [()] * 65_534)
    with pytest.raises(ValueError, match="row 1: a batch takes at most 65,535 statements"):
        batch.add_many(prepared, [()] * 10)
    assert len(batch.add(prepared)) == 65_535
    for query in (prepared, prepared.bind(), "INSERT INTO ks.t (k) VALUES (2)"):
        with pytest.raises(ValueError, match="at most 65,535 statements"):
            batch.add(query)
    assert len(batch.add_many(prepared, [])) == 65_535
    await asking.execute(batch)
    assert len(scripted.requests[-1].batch) == 65_535


async def test_statements_of_a_batch_stay_in_their_order_whichever_way_they_came(scripted, asking):
    texts = INSERT, "INSERT INTO ks.other (k, v) VALUES (?, ?)", "INSERT INTO ks.t (k) VALUES (9)"
    scripted.answer(texts[1], cql.void(), [("k", "int"), ("v", "list<int>")], key=[0])
    one, other = [await asking.create_prepared(text) for text in texts[:2]]
    batch = acsylla_like.create_batch_unlogged().add(one, [1, []]).add(one, [2, []]).add(other, [3, []]).add(one, [4, []])
    batch.add_many(one, [[5, []], [6, []]]).add(one, [7, []]).add(texts[2]).add(one, [8, []])
    with pytest.raises(TypeError):
        batch.add(one, ["x", []])
    await asking.execute(batch)
    await asking.execute(batch.add(one, [10, []]).add(other, [11, []]))
    numbers = [(0, 1), (0, 2), (1, 3), (0, 4), (0, 5), (0, 6), (0, 7), (2, None), (0, 8)]
    for request, more in zip(scripted.requests[-2:], ([], [(0, 10), (1, 11)]), strict=True):
        expected = [(texts[text], [] if k is None else [_int(k), _list()]) for text, k in numbers + more]
        assert request.batch == expected


async def test_a_batch_whose_statement_was_prepared_anew_binds_its_rows_again(scripted, asking):
    prepared, other = await asking.create_prepared(INSERT), await asking.create_prepared(INSERT)
    rows = [[1, [1]], [2, None], [3, [3]]]
    batch = acsylla_like.create_batch_unlogged().add(other, [0, []]).add(prepared, [9, []]).add_many(prepared, rows)
    for row in rows:
        row[0] = 77
    scripted.answer(INSERT, cql.void(), [("k", "bigint"), ("v", "list<int>")], key=[0])
    version, _ = await asking._prepare_version(INSERT, None, 5.0)
    prepared._renew(version, 0)
    batch.add(prepared, [300, [4]])
    await asking.execute(batch)
    assert [values for _, values in scripted.requests[-1].batch] == [
        [_int(0), _list()],
        [_long(9), _list()],
        [_long(1), _list(1)],
        [_long(2), None],
        [_long(3), _list(3)],
        [_long(300), _list(4)],
    ]
    scripted.answer(INSERT, cql.void(), [("k", "tinyint"), ("v", "list<int>")], key=[0])
    version, _ = await asking._prepare_version(INSERT, None, 5.0)
    prepared._renew(version, 0)
    with pytest.raises(OverflowError, match=r'statement 5 of the batch: column "k" .tinyint.*300'):
        await asking.execute(batch)


@pytest.mark.parametrize("how", ["prepared", "text"])
async def test_a_batch_is_not_executed_by_a_value_that_is_being_added_to_it(scripted, asking, how):
    prepared = await asking.create_prepared(INSERT)
    # A text is prepared first: what is sent would be put together when the row has been added.
    batch = acsylla_like.create_batch_unlogged().add(prepared if how == "prepared" else INSERT, [0, []]).add(prepared, [1, []])
    requests = []

    class Number:
        def __index__(self):
            requests.append(asking.execute(batch))
            return 2

    batch.add(prepared, [Number(), []])
    with pytest.raises(RuntimeError, match="by the code of a value that is being added"):
        await requests[0]
    await asking.execute(batch)
    assert [values[0] for _, values in scripted.requests[-1].batch] == [_int(0), _int(1), _int(2)]


@pytest.mark.parametrize("how", ["prepared", "text"])
async def test_a_batch_is_frozen_when_executed(scripted, asking, how):
    prepared = await asking.create_prepared(INSERT)
    values = [1, [7]]
    batch = acsylla_like.create_batch_unlogged().add(prepared if how == "prepared" else INSERT, values)
    batch.add_many(prepared, [values])
    request = asking.execute(batch)
    batch.add(prepared, [2, []]).add_many(prepared, [[3, []]])
    values[1].append(8)
    values[0] = 5
    await request
    assert scripted.requests[-1].batch == [(INSERT, [_int(1), _list(7)])] * 2


async def test_values_are_bound_again_as_they_were_when_the_statement_was_prepared_anew(scripted, asking):
    other = "INSERT INTO ks.t (v, k) VALUES (:v, :k)"
    scripted.answer(other, cql.void(), [("k", "int"), ("v", "list<text>")], key=[0])
    prepared = await asking.create_prepared(INSERT)
    values = [3, [7, 8]]
    batch = acsylla_like.create_batch_unlogged().add(prepared, values)
    values[1].append(9)
    prepared._renew(await asking._prepare_request(INSERT, 5.0), None)
    await asking.execute(batch)
    assert scripted.requests[-1].batch == [(INSERT, [_int(3), _list(7, 8)])]

    prepared._renew(await asking._prepare_request(other, 5.0), None)
    told = r'statement 0 of the batch: column "v" .list<text>.: item 0: expected a str, got int 7, in list \[7, 8\]$'
    with pytest.raises(TypeError, match=told):
        await asking.execute(batch)


async def test_mistakes_are_told_when_they_are_made(scripted, asking):
    prepared = await asking.create_prepared(INSERT)
    before = len(scripted.requests)
    batch = acsylla_like.create_batch_logged()
    for query, values, error_class, words in (
        (None, None, TypeError, "a batch takes a str"),
        (batch, None, TypeError, "a batch takes a str"),
        (prepared, [1], ValueError, "missing v"),
        (prepared, ["1", []], TypeError, "k"),
        (prepared, {"k": 1}, errors.BindError, "no value for v"),
        (INSERT, "ab", TypeError, "sequence or a mapping"),
        ("INSERT INTO ks.t (k) VALUES (%s)", [1], ValueError, r"\? and :name"),
    ):
        with pytest.raises(error_class, match=words):
            batch.add(query, values)
    assert len(batch) == 0
    with pytest.raises(ValueError, match="the batch is empty"):
        await asking.execute(batch)
    with pytest.raises(TypeError, match="a Batch takes no parameters"):
        await asking.execute(batch.add(prepared, [1, []]), [1])
    assert len(scripted.requests) == before


async def test_mistakes_in_a_texts_values_name_the_statement(scripted, asking):
    for values, error_class, words in (
        ([1], ValueError, "statement 1 of the batch: .*missing v"),
        ({"k": 1, "v": [], "w": 1}, KeyError, "statement 1 of the batch: unknown parameter 'w'"),
        ([2**40, []], OverflowError, "statement 1 of the batch: .*k"),
    ):
        batch = acsylla_like.create_batch_logged().add(INSERT, [1, []]).add(INSERT, values)
        with pytest.raises(error_class, match=words):
            await asking.execute(batch)
    assert all(request.opcode == cql.PREPARE for request in scripted.requests)


async def test_a_kind_that_does_not_exist():
    with pytest.raises(ValueError, match="logged, unlogged or counter"):
        acsylla_like.Batch("other")


async def test_a_host_cannot_be_chosen_for_a_batch(scripted, asking):
    text = "INSERT INTO ks.t (k) VALUES (1)"
    for batch, options in (
        (acsylla_like.create_batch_logged(host=scripted.address), {}),
        (acsylla_like.create_batch_logged(), {"host": scripted.address}),
    ):
        with pytest.raises(ValueError, match="host cannot be chosen for a batch"):
            await asking.execute(batch.add(text), **options)
    assert scripted.requests == []


async def test_a_timeout_of_a_batch(scripted, asking):
    scripted.handler = lambda request: cql.SILENCE if request.opcode == cql.BATCH else None
    batch = acsylla_like.create_batch_logged(timeout=0.05).add("INSERT INTO ks.t (k) VALUES (1)")
    with pytest.raises(errors.RequestTimeout) as caught:
        await asking.execute(batch)
    assert "Batch logged, 1 statements" in caught.value.query


async def test_batches_for_real(session):
    await session.execute("CREATE TABLE plain (k int PRIMARY KEY, v int)")
    await session.execute("CREATE TABLE counted (k int PRIMARY KEY, n counter)")
    insert = await session.create_prepared("INSERT INTO plain (k, v) VALUES (?, ?)")
    count = await session.create_prepared("UPDATE counted SET n = n + ? WHERE k = ?")
    for make in (acsylla_like.create_batch_logged, acsylla_like.create_batch_unlogged):
        batch = make(consistency="ONE")
        batch.add_many(insert, ([k, k * k] for k in range(100)))
        batch.add("DELETE FROM plain WHERE k = :k", {"k": 0})
        await session.execute(batch, timeout=10.0)
    assert sorted(await session.execute("SELECT k, v FROM plain")) == [(k, k * k) for k in range(1, 100)]
    batch = acsylla_like.create_batch_counter()
    for _ in range(10):
        batch.add(count, [3, 1])
    await session.execute(batch)
    assert (await session.execute("SELECT n FROM counted")).single() == (30,)
    with pytest.raises(errors.InvalidQuery):
        await session.execute(acsylla_like.create_batch_counter().add(insert, [1, 1]))


async def test_values_are_bound_again_by_the_fields_of_a_type_that_was_made_anew(session):
    insert = "INSERT INTO paired (k, one, many) VALUES (?, ?, ?)"

    async def make(fields):
        await session.execute("DROP TABLE IF EXISTS paired")
        await session.execute("DROP TYPE IF EXISTS pair")
        await session.execute(f"CREATE TYPE pair ({fields})")
        await session.execute("CREATE TABLE paired (k int PRIMARY KEY, one frozen<pair>, many list<frozen<pair>>)")

    await make("a int, b int")
    prepared = await session.create_prepared(insert)
    pair = {"a": 1, "b": 2}
    batch = acsylla_like.create_batch_unlogged().add(prepared, [1, pair, [pair]])
    pair["a"] = 3
    await make("b bigint, a int, c text")
    prepared._renew(await session._prepare_request(insert, 5.0), None)
    await session.execute(batch)
    there = {"a": 1, "b": 2, "c": None}
    assert (await session.execute("SELECT one, many FROM paired")).single() == (there, [there])
