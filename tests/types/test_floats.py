from __future__ import annotations

import decimal
import fractions
import math
import struct

import pytest
from cql_values import round_trip

from acsylla_like._native import parse_type


@pytest.mark.parametrize("text", ["float", "double"])
@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, math.inf, -math.inf])
def test_floats_come_back(text: str, value: float) -> None:
    assert struct.pack(">d", round_trip(text, value)) == struct.pack(">d", value)


@pytest.mark.parametrize("text", ["float", "double"])
def test_nan_comes_back(text: str) -> None:
    assert math.isnan(round_trip(text, math.nan))


def test_a_float_of_32_bits_is_rounded_as_the_server_would() -> None:
    assert round_trip("float", 0.1) == struct.unpack(">f", struct.pack(">f", 0.1))[0]


def test_a_float_out_of_range_is_refused() -> None:
    with pytest.raises(OverflowError, match=r"expected a float of 32 bits, got float 1e\+300"):
        parse_type("float").encode(1e300)


@pytest.mark.parametrize(("text", "bits"), [("float", 24), ("double", 53)])
def test_an_int_is_taken_when_a_float_is_equal_to_it(text: str, bits: int) -> None:
    assert round_trip(text, 1 << bits) == 1 << bits
    for value in ((1 << bits) + 1, 10**400):
        with pytest.raises(ValueError, match="got an int that none is equal to"):
            parse_type(text).encode(value)


@pytest.mark.parametrize("text", ["float", "double"])
@pytest.mark.parametrize("value", ["1", True, decimal.Decimal(1), fractions.Fraction(1, 2), 1j])
def test_other_types_are_refused(text: str, value: object) -> None:
    with pytest.raises(TypeError, match="expected a float, got"):
        parse_type(text).encode(value)
