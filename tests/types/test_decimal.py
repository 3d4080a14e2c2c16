from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from cql_values import round_trip, same

from acsylla_like._native import parse_type


@pytest.mark.parametrize(
    "value",
    [
        Decimal("0"),
        Decimal("0.000"),
        Decimal("0E+5"),
        Decimal("1E-7"),
        Decimal("1E+300"),
        Decimal("-12.340"),
        Decimal("9" * 200),
        Decimal("-0." + "7" * 200),
        Decimal("1" * 5000),
        Decimal("1E-2147483647"),
        Decimal("1E+2147483648"),
    ],
)
def test_digits_and_scale_come_back(value: Decimal) -> None:
    assert same(round_trip("decimal", value), value)


def test_the_decimal_context_has_no_say() -> None:
    value = Decimal("1." + "3" * 199)
    with decimal.localcontext() as context:
        context.prec = 3
        context.Emax = 5
        context.Emin = -5
        context.traps = dict.fromkeys(context.traps, True)
        assert same(round_trip("decimal", value), value)
        assert same(round_trip("decimal", Decimal("1E-300")), Decimal("1E-300"))


def test_minus_zero_is_stored_as_zero() -> None:
    assert same(round_trip("decimal", Decimal("-0.00")), Decimal("0.00"))


def test_an_int_is_a_decimal_without_scale() -> None:
    assert same(round_trip("decimal", -(10**50)), Decimal(-(10**50)))


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a finite Decimal, got Decimal"):
        parse_type("decimal").encode(Decimal(text))


@pytest.mark.parametrize("text", ["1E-2147483648", "1E+2147483649"])
def test_a_scale_beyond_32_bits_is_refused(text: str) -> None:
    with pytest.raises(OverflowError, match="whose scale fits 32 bits"):
        parse_type("decimal").encode(Decimal(text))


@pytest.mark.parametrize("value", [1.5, "1.5", True])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a Decimal or int"):
        parse_type("decimal").encode(value)
