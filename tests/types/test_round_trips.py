from __future__ import annotations

import contextlib
from typing import Any

import pytest
from cql_values import SCALARS, TYPES, USER_TYPES, round_trip, same
from hypothesis import given
from hypothesis import strategies as st

from acsylla_like._native import parse_type
from acsylla_like.errors import DecodeError


@pytest.mark.parametrize("text", SCALARS)
def test_every_scalar_comes_back_as_it_was(text: str) -> None:
    @given(SCALARS[text])
    def check(value: object) -> None:
        assert same(round_trip(text, value), value)

    check()


@given(TYPES.flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
def test_nested_values_come_back_as_they_were(case: tuple[str, Any]) -> None:
    text, value = case
    assert same(round_trip(text, value), value)


@pytest.mark.parametrize("text", [*SCALARS, "list<int>", "set<int>", "map<int, int>", "tuple<int>", "vector<int, 2>", "address"])
def test_null_is_none(text: str) -> None:
    cql_type = parse_type(text, user_types=USER_TYPES)
    assert cql_type.encode(None) is None
    assert cql_type.decode(None) is None


@pytest.mark.parametrize("text", sorted({*SCALARS, "tuple<int>", "vector<int, 2>", "list<int>", "address"} - {"text", "ascii", "blob"}))
def test_the_empty_value_of_old_servers_is_none(text: str) -> None:
    assert parse_type(text, user_types=USER_TYPES).decode(b"") is None


@given(TYPES.flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
def test_a_value_cut_short_is_refused_or_shorter(case: tuple[str, Any]) -> None:
    text, value = case
    cql_type = parse_type(text)
    data = cql_type.encode(value)
    assert data is not None
    for size in range(len(data)):
        with contextlib.suppress(DecodeError):
            cql_type.decode(data[:size])
