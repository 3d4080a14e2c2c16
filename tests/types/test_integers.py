from __future__ import annotations

import sys

import pytest
from cql_values import round_trip

from acsylla_like._native import parse_type

BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "counter": 64}


class Index:
    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


class Number(int):
    pass


class BrokenRepr(str):
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(("text", "bits"), BITS.items())
def test_the_ends_of_the_range_are_kept(text: str, bits: int) -> None:
    top = 1 << (bits - 1)
    for value in (-top, -1, 0, 1, top - 1):
        assert round_trip(text, value) == value


@pytest.mark.parametrize(("text", "bits"), BITS.items())
def test_what_does_not_fit_is_refused(text: str, bits: int) -> None:
    top = 1 << (bits - 1)
    for value in (top, -top - 1, 1 << 200):
        with pytest.raises(OverflowError, match=rf"expected an int from -{top} to {top - 1}, got int"):
            parse_type(text).encode(value)


@pytest.mark.parametrize("text", [*BITS, "varint"])
def test_what_has_an_index_is_an_int(text: str) -> None:
    assert round_trip(text, Index(-7)) == -7
    assert round_trip(text, Number(7)) == 7
    assert type(round_trip(text, Number(7))) is int


@pytest.mark.parametrize("text", [*BITS, "varint"])
@pytest.mark.parametrize("value", [True, 1.0, "1", b"1", [1]])
def test_other_types_are_refused(text: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"expected an int, got {type(value).__name__}"):
        parse_type(text).encode(value)


def test_a_value_whose_repr_raises_is_named_by_its_type() -> None:
    with pytest.raises(TypeError, match="expected an int, got BrokenRepr"):
        parse_type("int").encode(BrokenRepr("x"))


def test_an_int_that_python_refuses_to_print_is_named_by_its_bits() -> None:
    with pytest.raises(OverflowError, match="got int of 33220 bits"):
        parse_type("int").encode(10**10_000)


@pytest.mark.parametrize(
    ("value", "data"),
    [(0, "00"), (127, "7f"), (128, "0080"), (-128, "80"), (-129, "ff7f"), (2**63, "008000000000000000"), (-(2**63), "8000000000000000")],
)
def test_a_varint_takes_as_few_bytes_as_it_can(value: int, data: str) -> None:
    encoded = parse_type("varint").encode(value)
    assert encoded is not None
    assert encoded.hex() == data


def test_a_varint_of_ten_thousand_digits_comes_back() -> None:
    limit = sys.get_int_max_str_digits() if hasattr(sys, "get_int_max_str_digits") else None
    for value in (10**10_000 - 1, -(10**10_000)):
        assert round_trip("varint", value) == value
    assert limit == (sys.get_int_max_str_digits() if limit is not None else None)
