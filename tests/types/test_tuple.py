from __future__ import annotations

import collections

import pytest
from cql_values import round_trip, same

from acsylla_like._native import parse_type
from acsylla_like.errors import DecodeError

Pair = collections.namedtuple("Pair", "one other")


@pytest.mark.parametrize("value", [(1, "a"), [1, "a"], Pair(1, "a")])
def test_a_tuple_is_made_of_a_tuple_or_list(value: object) -> None:
    assert same(round_trip("tuple<int, text>", value), (1, "a"))


@pytest.mark.parametrize("value", [(None, "a"), (1, None), (None, None), (1, "")])
def test_items_may_be_null(value: object) -> None:
    assert same(round_trip("tuple<int, text>", value), value)


@pytest.mark.parametrize("value", [(), (1,), (1, "a", None)])
def test_the_count_must_be_exact(value: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=f"expected 2 items, got {len(value)} in tuple"):
        parse_type("tuple<int, text>").encode(value)


@pytest.mark.parametrize("value", ["ab", {1: 2}, {1, 2}, 5])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a tuple, got"):
        parse_type("tuple<int, text>").encode(value)


def test_an_error_names_the_item() -> None:
    with pytest.raises(TypeError, match="item 1: expected a str, got int 2"):
        parse_type("tuple<int, text>").encode((1, 2))


def test_items_that_the_bytes_lack_are_null() -> None:
    assert parse_type("tuple<int, text>").decode(bytes.fromhex("0000000400000001")) == (1, None)


def test_items_too_many_are_refused() -> None:
    with pytest.raises(DecodeError, match="8 bytes too many in a value of type tuple<int>"):
        parse_type("tuple<int>").decode(bytes.fromhex("00000004000000010000000400000002"))
