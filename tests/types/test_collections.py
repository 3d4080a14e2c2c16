"""list, set and map, also inside one another."""

from __future__ import annotations

import collections
import copy
import pickle
import types
from collections.abc import Iterator

import pytest
from cql_values import round_trip, same

from acsylla_like._native import parse_type
from acsylla_like.errors import DecodeError
from acsylla_like.types import FrozenMap


@pytest.mark.parametrize("value", [[1, 2, 2], (1, 2, 2), iter([1, 2, 2]), collections.deque([1, 2, 2]), (n for n in (1, 2, 2))])
def test_a_list_is_made_of_any_iterable(value: object) -> None:
    assert round_trip("list<int>", value) == [1, 2, 2]


@pytest.mark.parametrize("value", [{1, 2}, frozenset({1, 2}), [1, 2, 1], (2, 1), {1: 0, 2: 0}.keys()])
def test_a_set_is_made_of_any_iterable(value: object) -> None:
    assert same(round_trip("set<int>", value), {1, 2})


@pytest.mark.parametrize(
    "value", [{"a": 1}, collections.OrderedDict(a=1), types.MappingProxyType({"a": 1}), FrozenMap({"a": 1}), collections.ChainMap({"a": 1})]
)
def test_a_map_is_made_of_any_mapping(value: object) -> None:
    assert same(round_trip("map<text, int>", value), {"a": 1})


@pytest.mark.parametrize("text", ["list<text>", "set<text>"])
@pytest.mark.parametrize("value", ["abc", b"abc", bytearray(b"abc"), {"a": 1}, 5])
def test_what_is_no_collection_to_a_reader_is_refused(text: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"expected a (list|set), got {type(value).__name__}"):
        parse_type(text).encode(value)


@pytest.mark.parametrize("value", [[("a", 1)], {"a"}, "a"])
def test_a_map_of_anything_but_a_mapping_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a mapping, got"):
        parse_type("map<text, int>").encode(value)


@pytest.mark.parametrize(
    ("text", "value", "place"),
    [
        ("list<int>", [1, None], "item 1"),
        ("set<int>", [None], "member"),
        ("map<int, int>", {1: None}, "value of key 1"),
        ("map<int, int>", {None: 1}, "key None"),
        ("vector<int, 2>", [1, None], "item 1"),
    ],
)
def test_none_inside_a_collection_is_refused(text: str, value: object, place: str) -> None:
    with pytest.raises(ValueError, match=f"{place}: None is not allowed inside a"):
        parse_type(text).encode(value)


def test_an_error_tells_the_way_to_the_value() -> None:
    with pytest.raises(TypeError) as caught:
        parse_type("map<text, frozen<list<frozen<tuple<int, set<text>>>>>>").encode({"a": [], "b": [(1, {"x"}), (2, {3})]})
    assert str(caught.value) == "value of key 'b': item 1: item 1: member: expected a str, got int 3"


def test_empty_collections_are_kept() -> None:
    assert same(round_trip("list<int>", []), [])
    assert same(round_trip("set<int>", []), set())
    assert same(round_trip("map<int, int>", {}), {})


def test_sets_inside_are_frozen() -> None:
    assert same(round_trip("list<frozen<set<int>>>", [{1}]), [frozenset({1})])
    assert same(round_trip("map<int, frozen<set<int>>>", {1: {1}}), {1: frozenset({1})})


@pytest.mark.parametrize(
    ("text", "value", "decoded"),
    [
        ("set<frozen<list<int>>>", [[1, 2], [3]], {(1, 2), (3,)}),
        ("set<frozen<set<int>>>", [{1, 2}], {frozenset({1, 2})}),
        ("set<frozen<map<text, int>>>", [{"a": 1}], {FrozenMap({"a": 1})}),
        ("set<frozen<tuple<int, frozen<list<int>>>>>", [(1, [2])], {(1, (2,))}),
        ("set<vector<float, 2>>", [[1.0, 2.0]], {(1.0, 2.0)}),
        ("map<frozen<list<frozen<list<int>>>>, frozen<list<int>>>", {((1,),): [2]}, {((1,),): [2]}),
        ("map<frozen<map<int, frozen<set<int>>>>, int>", {FrozenMap({1: frozenset()}): 2}, {FrozenMap({1: frozenset()}): 2}),
    ],
)
def test_members_and_keys_are_hashable(text: str, value: object, decoded: object) -> None:
    assert same(round_trip(text, value), decoded)
    assert same(round_trip(text, decoded), decoded)


def test_a_list_that_shrinks_while_it_is_read_is_no_danger() -> None:
    items: list[object] = []

    class Shrinking:
        def __index__(self) -> int:
            items.clear()
            return 7

    items.extend([1, Shrinking(), 3, 4])
    assert round_trip("list<int>", items) == [1, 7]


def test_an_error_of_the_callers_own_code_comes_through() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise RuntimeError("the source ended early")

    with pytest.raises(RuntimeError, match="the source ended early"):
        parse_type("list<int>").encode(numbers())


def test_null_items_of_old_servers_are_none() -> None:
    assert parse_type("list<int>").decode(bytes.fromhex("00000001ffffffff")) == [None]


@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        ("list<int>", "7fffffff00000000", "2147483647 items in 4 bytes of type list<int>"),
        ("list<int>", "ffffffff", "-1 items in 0 bytes of type list<int>"),
        ("list<int>", "000000", "3 bytes are no value of type list<int>"),
        ("list<int>", "00000001000000040000", "an item of 4 bytes within type list<int>, of which 2 bytes remain"),
        ("list<int>", "000000010000000400000001ff", "1 bytes too many in a value of type list<int>"),
        ("list<int>", "0000000100000003000001", "3 bytes are no value of type int"),
        ("map<int, int>", "00000001000000040000000100", "the bytes of type map<int, int> end within an item's length"),
    ],
)
def test_bytes_that_are_no_collection_are_refused(text: str, data: str, message: str) -> None:
    with pytest.raises(DecodeError, match=f"^{message}$"):
        parse_type(text).decode(bytes.fromhex(data))


def test_a_frozen_map_is_a_mapping_that_hashes() -> None:
    value = FrozenMap({"a": 1, "b": 2})
    assert value == {"b": 2, "a": 1}
    assert hash(value) == hash(FrozenMap({"b": 2, "a": 1}))
    assert dict(value) == {"a": 1, "b": 2}
    assert len(value) == 2
    assert repr(value) == "FrozenMap({'a': 1, 'b': 2})"
    assert pickle.loads(pickle.dumps(value)) == copy.copy(value) == value
    with pytest.raises(TypeError):
        hash(FrozenMap({"a": []}))
