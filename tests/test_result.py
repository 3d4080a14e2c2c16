"""Results and rows, as callers use them."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import pickle
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import pytest

import acsylla_like
from acsylla_like import errors
from acsylla_like.testing import cql

QUERY = "SELECT k, v FROM ks.t"


@pytest.fixture
async def asking(scripted):
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        yield session


@pytest.fixture
def ask(scripted, asking):
    """Has the server answer with these columns and rows."""

    async def ask(columns, rows, **options):
        scripted.answer(QUERY, cql.rows(columns, rows, **options))
        return await asking.execute(QUERY)

    return ask


KV = [("k", "int"), ("v", "text")]


# ---- results ----------------------------------------------------------------------------------------------------------


async def test_a_result_is_a_sequence_of_its_rows(ask):
    result = await ask(KV, [[i, f"v{i}"] for i in range(10)])
    assert isinstance(result, Sequence)
    assert len(result) == 10
    assert result
    assert result[0] == (0, "v0")
    assert result[9] == result[-1] == (9, "v9")
    assert result[7:] == [(7, "v7"), (8, "v8"), (9, "v9")]
    assert result[::-5] == [(9, "v9"), (4, "v4")]
    assert result[20:] == []
    for index in (10, -11, 10**30):
        with pytest.raises(IndexError):
            result[index]
    with pytest.raises(TypeError):
        result["k"]
    assert [row.k for row in result] == list(range(10))
    assert [row.k for row in reversed(result)] == list(range(9, -1, -1))
    assert (3, "v3") in result
    assert result.index((3, "v3")) == 3
    assert result.count((3, "v3")) == 1
    assert result.all() == list(result)
    assert "10 rows" in repr(result)


async def test_rows_are_objects_of_their_own(ask):
    result = await ask(KV, [[i, f"v{i}"] for i in range(5)])
    assert [row.k for row in list(result)] == [0, 1, 2, 3, 4]
    assert len({id(row) for row in result.all()}) == 5
    rows = result.all()
    rows.clear()
    assert len(result.all()) == 5


async def test_several_may_walk_a_result_at_once(ask):
    result = await ask(KV, [[i, ""] for i in range(4)])
    assert [(a.k, b.k) for a in result for b in result] == [(a, b) for a in range(4) for b in range(4)]
    first = iter(result)
    next(first)
    assert len(list(first)) == 3
    assert list(first) == []
    assert iter(first) is first


async def test_first_one_and_single(ask):
    empty, one, two = await ask(KV, []), await ask(KV, [[1, "a"]]), await ask(KV, [[1, "a"], [2, "b"]])
    assert not empty
    assert empty.first() is None
    assert empty.one() is None
    assert empty.all() == []
    assert one.first() == one.one() == one.single() == (1, "a")
    assert two.first() == two.one() == (1, "a")
    for result, count in ((empty, "0"), (two, "2")):
        with pytest.raises(errors.NotSingleRow, match=count):
            result.single()
    with pytest.raises(LookupError):
        empty.single()
    with pytest.raises(errors.Error):
        two.single()


async def test_the_columns_have_names_and_types(ask):
    result = await ask([("k", "int"), ('Odd "name"', "map<text, frozen<list<int>>>")], [])
    assert [column.name for column in result.columns] == ["k", 'Odd "name"']
    assert [str(column.type) for column in result.columns] == ["int", "map<text, frozen<list<int>>>"]
    assert result.columns == (await ask([("k", "int"), ('Odd "name"', "map<text, frozen<list<int>>>")], [])).columns
    assert len({*result.columns, *result.columns}) == 2
    assert repr(result.columns[0]) == "Column('k', 'int')"


async def test_a_write_has_no_rows_and_no_columns(scripted, asking):
    result = await asking.execute("INSERT INTO ks.t (k) VALUES (1)")
    assert (len(result), result.columns, result.all(), result.first(), result.has_more_pages) == (0, (), [], None, False)
    assert result.applied is None
    assert result.paging_state is None
    assert result.tracing_id is None
    assert result.custom_payload == {}
    assert [row async for row in result] == []


async def test_the_coordinator(scripted, asking):
    result = await asking.execute(QUERY)
    assert (result.coordinator.address, result.coordinator.port) == (scripted.address, scripted.port)
    assert str(result.coordinator) == f"{scripted.address}:{scripted.port}"
    assert pickle.loads(pickle.dumps(result.coordinator)).port == scripted.port


async def test_applied(ask):
    assert (await ask([("[applied]", "boolean")], [[True]])).applied is True
    assert (await ask([("[applied]", "boolean"), ("k", "int")], [[False, 1]])).applied is False
    assert (await ask(KV, [[1, "a"]])).applied is None
    assert (await ask(KV, [])).applied is None


async def test_applied_for_real(session):
    await session.execute("CREATE TABLE applied (k int PRIMARY KEY, v int)")
    insert = await session.create_prepared("INSERT INTO applied (k, v) VALUES (?, ?) IF NOT EXISTS")
    assert (await session.execute(insert, [1, 2])).applied is True
    refused = await session.execute(insert, [1, 3])
    assert refused.applied is False
    assert refused.single().as_dict() == {"[applied]": False, "k": 1, "v": 2}
    batch = acsylla_like.create_batch_unlogged().add(insert, [1, 3])
    assert (await session.execute(batch)).applied is False
    assert (await session.execute("UPDATE applied SET v = 4 WHERE k = 1 IF v = 2")).applied is True


async def test_the_tracing_id(session):
    result = await session.execute("SELECT key FROM system.local", tracing=True)
    assert isinstance(result.tracing_id, uuid.UUID)
    assert result.tracing_id.version == 1
    found = await session.execute("SELECT session_id FROM system_traces.sessions WHERE session_id = ?", [result.tracing_id])
    assert found.single() == (result.tracing_id,)
    assert (await session.execute("SELECT key FROM system.local")).tracing_id is None


async def test_a_custom_payload_comes_back(scripted, asking):
    body = cql.short(1) + cql.string("answer") + cql.value(b"42")
    rows = cql.rows(KV, [[1, "a"]])
    scripted.answer(QUERY, dataclasses.replace(rows, body=body + rows.body, flags=0x04))
    result = await asking.execute(QUERY)
    assert result.custom_payload == {"answer": b"42"}
    assert result.single() == (1, "a")


async def test_a_truncated_result_is_an_error_and_no_crash(scripted, asking):
    whole = cql.rows(KV, [[1, "a"], [2, "b"]])
    for size in range(len(whole.body)):
        scripted.answer(QUERY, whole.cut(size))
        with pytest.raises(errors.Error):
            (await asking.execute(QUERY, timeout=5.0)).all()


# ---- into -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Point:
    k: int
    v: str = "default"
    note: list[int] = dataclasses.field(default_factory=list)
    twice: int = dataclasses.field(init=False, default=0)

    def __post_init__(self):
        self.twice = 2 * self.k


class Pair(NamedTuple):
    v: str
    k: int = 7


async def test_rows_become_objects_of_a_class(ask):
    result = await ask(KV, [[1, "a"], [2, "b"]])
    assert result.into(Point) == [Point(1, "a"), Point(2, "b")]
    assert result.into(Point)[1].twice == 4
    assert result.into(Pair) == [Pair("a", 1), Pair("b", 2)]
    assert result.into(dict) == [{"k": 1, "v": "a"}, {"k": 2, "v": "b"}]
    assert result.into(lambda k, v: (v, k)) == [("a", 1), ("b", 2)]
    assert (await ask(KV, [])).into(Point) == []


async def test_classes_that_do_not_fit_say_which_column_or_field(ask):
    result = await ask([("k", "int"), ("other", "int")], [[1, 2]])
    with pytest.raises(TypeError, match="Point has no field for column 'other'"):
        result.into(Point)
    with pytest.raises(TypeError, match="Pair has no field for column 'other'"):
        result.into(Pair)
    result = await ask([("k", "int")], [[1]])
    with pytest.raises(TypeError, match="no column for field 'v' of Pair"):
        result.into(Pair)
    with pytest.raises(TypeError, match="no column for field 'k' of Point"):
        (await ask([("v", "text")], [])).into(Point)
    with pytest.raises(TypeError, match="twice"):
        (await ask([("k", "int"), ("twice", "int")], [[1, 2]])).into(Point)


# ---- rows -------------------------------------------------------------------------------------------------------------


async def test_a_row_by_index_name_and_attribute(ask):
    row = (await ask(KV, [[1, "a"]])).single()
    assert (row[0], row["k"], row.k) == (1, 1, 1)
    assert (row[-1], row["v"], row.v) == ("a", "a", "a")
    assert row[0:1] == (1,)
    assert list(row) == [1, "a"]
    assert len(row) == 2
    assert "a" in row
    assert "k" not in row  # over values, as iteration
    k, v = row
    assert (k, v) == (1, "a")
    assert row.as_dict() == {"k": 1, "v": "a"}
    assert row.as_tuple() == (1, "a")
    assert type(row.as_tuple()) is tuple
    assert list(row.as_dict()) == ["k", "v"]


async def test_a_row_equals_hashes_and_orders_like_its_tuple(ask):
    one, two = (await ask(KV, [[1, "a"], [2, "b"]])).all()
    assert one == (1, "a")
    assert one == (1, "a")
    assert one != two
    assert one != [1, "a"]
    assert hash(one) == hash((1, "a"))
    assert {one: "x"}[(1, "a")] == "x"
    assert one < two
    assert one <= (1, "a")
    assert sorted([two, one]) == [one, two]
    assert max(one, two) is two
    assert one == (await ask([("other", "int"), ("names", "text")], [[1, "a"]])).single()


async def test_what_a_row_lacks_is_told(ask):
    row = (await ask(KV, [[1, "a"]])).single()
    assert not hasattr(row, "nothing")
    assert getattr(row, "nothing", 5) == 5
    assert hasattr(row, "v")
    with pytest.raises(AttributeError, match="no column 'nothing' among k, v"):
        row.nothing  # noqa: B018
    with pytest.raises(KeyError, match="no column 'nothing' among k, v"):
        row["nothing"]
    with pytest.raises(IndexError):
        row[2]
    with pytest.raises(TypeError):
        row[None]
    with pytest.raises((AttributeError, TypeError)):
        row.k = 2
    with pytest.raises(TypeError):
        row[0] = 2
    assert {"k", "v", "as_dict", "as_tuple"} <= set(dir(row))


async def test_methods_win_over_columns_of_their_name(ask):
    row = (await ask([("as_dict", "int"), ("as_tuple", "int"), ("__len__", "int"), ("class", "int")], [[1, 2, 3, 4]])).single()
    assert row.as_dict() == {"as_dict": 1, "as_tuple": 2, "__len__": 3, "class": 4}
    assert row.as_tuple() == (1, 2, 3, 4)
    assert (row["as_dict"], row["as_tuple"], row["__len__"], row["class"]) == (1, 2, 3, 4)
    assert len(row) == 4
    assert getattr(row, "class") == 4


async def test_of_columns_with_the_same_name_the_first_answers(ask):
    row = (await ask([("a", "int"), ("b", "int"), ("a", "int")], [[1, 2, 3]])).single()
    assert (row.a, row["a"], row[2]) == (1, 1, 3)
    assert list(row) == [1, 2, 3]
    assert row.as_tuple() == (1, 2, 3)
    assert row.as_dict() == {"a": 1, "b": 2}
    assert pickle.loads(pickle.dumps(row)).a == 1


async def test_a_rows_repr_shows_names_and_values(ask):
    assert repr((await ask(KV, [[1, "a"]])).single()) == "Row(k=1, v='a')"


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, *(lambda row, p=p: pickle.loads(pickle.dumps(row, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1))],
)
async def test_rows_are_copied_and_pickled(ask, duplicate):
    row = (await ask([("k", "int"), ("v", "list<int>")], [[1, [1, 2]]])).single()
    twin = duplicate(row)
    assert type(twin) is acsylla_like.Row
    assert (twin, twin.as_dict(), twin.v, hasattr(twin, "x")) == (row, {"k": 1, "v": [1, 2]}, [1, 2], False)


async def test_a_deep_copy_shares_nothing(ask):
    row = (await ask([("v", "list<int>")], [[[1, 2]]])).single()
    twin = copy.deepcopy(row)
    twin.v.append(3)
    assert row.v == [1, 2]


async def test_a_row_outlives_its_result_its_statement_and_its_session(scripted):
    scripted.answer(QUERY, cql.rows(KV, [[i, "x" * i] for i in range(100)]))
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        result = await session.execute(await session.create_prepared(QUERY))
        row = result[57]
        unread = await session.execute(QUERY)
    del result, session
    assert row == (57, "x" * 57)
    assert row.v == "x" * 57
    assert unread[99] == (99, "x" * 99)


def test_rows_and_results_made_by_hand_or_by_new_do_not_crash():
    row = acsylla_like.Row(["a", "b"], [1, 2])
    assert (row.a, row["b"], row.as_dict()) == (1, 2, {"a": 1, "b": 2})
    with pytest.raises(ValueError, match="2 names for 1 values"):
        acsylla_like.Row(["a", "b"], [1])
    row = acsylla_like.Row.__new__(acsylla_like.Row)
    for use in (repr, hash, len, list, dir, pickle.dumps, copy.deepcopy, lambda row: row.a, lambda row: row[0], lambda row: row == (1,)):
        with contextlib.suppress(TypeError, AttributeError):
            use(row)
    result = acsylla_like.Result.__new__(acsylla_like.Result)
    assert (len(result), list(result), result.columns, result.applied, result.coordinator) == (0, [], (), None, None)
    assert result.tracing_id is None
    assert repr(result)
    with pytest.raises(LookupError):
        result.next_page()
