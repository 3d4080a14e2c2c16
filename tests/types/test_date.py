from __future__ import annotations

import datetime

import pytest
from cql_values import round_trip
from hypothesis import given
from hypothesis import strategies as st

from acsylla_like._native import parse_type
from acsylla_like.types import Date


@given(st.dates())
def test_days_count_from_the_middle_of_the_unsigned_range(value: datetime.date) -> None:
    data = parse_type("date").encode(value)
    assert data is not None
    assert int.from_bytes(data, "big") == 2**31 + (value - datetime.date(1970, 1, 1)).days


@pytest.mark.parametrize("days", [-719_162, 2_932_896])
def test_the_ends_of_pythons_years_are_dates(days: int) -> None:
    assert round_trip("date", Date(days)) in (datetime.date.min, datetime.date.max)


@pytest.mark.parametrize("days", [-719_163, 2_932_897, -(2**31), 2**31 - 1])
def test_what_python_has_no_year_for_comes_back_as_a_date_of_ours(days: int) -> None:
    assert round_trip("date", Date(days)) == Date(days)


@pytest.mark.parametrize("value", [5, "2000-01-01", datetime.time(1)])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a date, got"):
        parse_type("date").encode(value)


def test_a_datetime_is_refused_for_its_time_would_be_lost() -> None:
    with pytest.raises(TypeError, match=r"expected a date without time of day, got datetime datetime\.datetime"):
        parse_type("date").encode(datetime.datetime(2000, 1, 1))


def test_days_beyond_32_bits_are_refused() -> None:
    with pytest.raises(OverflowError, match="days: does not fit 32 bits"):
        Date(2**31)
