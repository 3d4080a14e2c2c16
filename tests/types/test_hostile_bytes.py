"""Random bytes for every decoder: a value or a DecodeError, never a crash. Worth running under the address sanitizer."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from cql_values import SCALARS, TYPES, USER_TYPES
from hypothesis import given
from hypothesis import strategies as st

from acsylla_like._native import CqlType, parse_type
from acsylla_like.errors import DecodeError

WORDS = st.sampled_from(
    [b"\0\0\0\0", b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\4", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\1", b"\xff"]
)
BYTES = st.binary(max_size=64) | st.lists(WORDS | st.binary(max_size=4), max_size=12).map(b"".join)
FIXED = ["address", "person", "set<frozen<person>>", "vector<text, 3>", "vector<smallint, 2>", "map<frozen<list<int>>, frozen<set<int>>>"]


def decode(cql_type: CqlType, data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        repr(cql_type.decode(data))


@pytest.mark.parametrize("text", [*SCALARS, "counter", *FIXED])
def test_any_bytes_are_a_value_or_refused(text: str) -> None:
    cql_type = parse_type(text, user_types=USER_TYPES)

    @given(BYTES)
    def check(data: bytes) -> None:
        decode(cql_type, data)

    check()


@given(TYPES, BYTES)
def test_any_bytes_of_any_type_are_a_value_or_refused(pair: tuple[str, object], data: bytes) -> None:
    decode(parse_type(pair[0]), data)


@given(TYPES.flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])), st.data())
def test_a_value_with_one_byte_changed_is_a_value_or_refused(case: tuple[str, Any], draw: st.DataObject) -> None:
    text, value = case
    cql_type = parse_type(text)
    data = bytearray(cql_type.encode(value) or b"")
    if data:
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
        decode(cql_type, bytes(data))
