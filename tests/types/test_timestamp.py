from __future__ import annotations

import datetime
import pickle
import zoneinfo

import pytest
from cql_values import UTC, round_trip
from hypothesis import given
from hypothesis import strategies as st

from acsylla_like._native import parse_type
from acsylla_like.types import Timestamp

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


@given(
    st.datetimes(timezones=st.timezones() | st.just(UTC), min_value=datetime.datetime(1, 1, 3), max_value=datetime.datetime(9999, 12, 29))
)
def test_the_instant_comes_back_in_utc_cut_to_milliseconds(value: datetime.datetime) -> None:
    decoded = round_trip("timestamp", value)
    assert decoded.tzinfo is UTC
    assert decoded == EPOCH + (value - EPOCH) // datetime.timedelta(milliseconds=1) * datetime.timedelta(milliseconds=1)


@given(st.datetimes())
def test_a_naive_datetime_is_utc(value: datetime.datetime) -> None:
    assert round_trip("timestamp", value) == round_trip("timestamp", value.replace(tzinfo=UTC))


def test_an_instant_before_1970_is_cut_towards_minus_infinity() -> None:
    value = datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)
    assert round_trip("timestamp", value) == value.replace(microsecond=999_000)


def test_the_second_of_two_equal_wall_times_is_told_by_fold() -> None:
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    first = datetime.datetime(2024, 10, 27, 2, 30, tzinfo=zone)
    assert round_trip("timestamp", first.replace(fold=1)) - round_trip("timestamp", first) == datetime.timedelta(hours=1)


def test_an_offset_of_microseconds_counts() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=-3, microseconds=7))
    value = datetime.datetime(2000, 1, 1, 12, 0, 0, 1000, zone)
    assert round_trip("timestamp", value) == datetime.datetime(2000, 1, 1, 15, 0, 0, 0, UTC)


def test_a_decoded_datetime_is_like_any_other() -> None:
    decoded = round_trip("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 4000))
    assert repr(decoded) == "datetime.datetime(2024, 2, 29, 1, 2, 3, 4000, tzinfo=datetime.timezone.utc)"
    assert pickle.loads(pickle.dumps(decoded)) == decoded
    assert decoded.fold == 0


@pytest.mark.parametrize("milliseconds", [-62_135_596_800_000, 253_402_300_799_999])
def test_the_ends_of_pythons_years_are_datetimes(milliseconds: int) -> None:
    decoded = round_trip("timestamp", milliseconds)
    assert decoded == EPOCH + datetime.timedelta(milliseconds=milliseconds)
    assert decoded.year in (1, 9999)


@pytest.mark.parametrize("milliseconds", [-62_135_596_800_001, 253_402_300_800_000, -(2**63), 2**63 - 1])
def test_what_python_has_no_year_for_comes_back_as_a_timestamp(milliseconds: int) -> None:
    decoded = round_trip("timestamp", milliseconds)
    assert decoded == Timestamp(milliseconds)
    assert round_trip("timestamp", decoded) == decoded


def test_a_datetime_whose_instant_is_beyond_pythons_years_is_written_exactly() -> None:
    value = datetime.datetime.max.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-1)))
    assert round_trip("timestamp", value) == Timestamp(253_402_300_799_999 + 3_600_000)


class NotATime(datetime.datetime):
    """As pandas has it: a datetime of year 1 that equals nothing."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = datetime.datetime.__hash__


def test_a_datetime_that_stands_for_none_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a datetime, got"):
        parse_type("timestamp").encode(NotATime(1, 1, 1))
    with pytest.raises(TypeError, match="expected a date"):
        parse_type("date").encode(NotATime(1, 1, 1))


@pytest.mark.parametrize("value", [datetime.date(2000, 1, 1), 1.5, "2000-01-01", True])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a datetime, Timestamp or int of milliseconds, got"):
        parse_type("timestamp").encode(value)


def test_milliseconds_beyond_64_bits_are_refused() -> None:
    with pytest.raises(OverflowError):
        parse_type("timestamp").encode(2**63)
    with pytest.raises(OverflowError, match="milliseconds: does not fit 64 bits"):
        Timestamp(2**63)
    with pytest.raises(TypeError, match="milliseconds: expected an int"):
        Timestamp(1.5)  # type: ignore[arg-type]
