from __future__ import annotations

import copy
import datetime
import pickle

import pytest
from cql_values import round_trip
from hypothesis import given
from hypothesis import strategies as st

from acsylla_like._native import parse_type
from acsylla_like.errors import DecodeError
from acsylla_like.types import Time

NANOSECONDS = st.integers(0, 86_400_000_000_000 - 1)


@given(NANOSECONDS)
def test_every_nanosecond_of_the_day_comes_back(nanoseconds: int) -> None:
    decoded = round_trip("time", nanoseconds)
    assert type(decoded) is Time
    assert decoded == Time.from_nanosecond_of_day(nanoseconds)
    assert decoded.nanosecond_of_day == nanoseconds
    assert decoded.nanosecond == nanoseconds % 1_000_000_000
    assert decoded.microsecond == decoded.nanosecond // 1000
    assert pickle.loads(pickle.dumps(decoded)) == decoded
    assert copy.copy(decoded) == copy.deepcopy(decoded) == decoded
    assert round_trip("time", decoded) == decoded
    assert Time.fromisoformat(decoded.isoformat()) == decoded


@given(st.times())
def test_a_time_of_the_standard_library_is_equal_to_what_comes_back(value: datetime.time) -> None:
    decoded = round_trip("time", value)
    assert decoded == value
    assert value == decoded
    assert hash(decoded) == hash(value)
    assert not decoded < value
    assert decoded <= value <= decoded


@given(NANOSECONDS, NANOSECONDS)
def test_times_are_ordered_by_their_nanoseconds(one: int, other: int) -> None:
    first, second = Time.from_nanosecond_of_day(one), Time.from_nanosecond_of_day(other)
    assert (first < second) == (one < other)
    assert (first <= second) == (one <= other)
    assert (first > second) == (one > other)
    assert (first >= second) == (one >= other)
    assert (first == second) == (one == other)
    assert (first != second) == (one != other)


def test_below_a_microsecond_a_time_lies_between_those_of_the_standard_library() -> None:
    value = Time(1, 2, 3, nanosecond=4_005)
    assert datetime.time(1, 2, 3, 4) < value < datetime.time(1, 2, 3, 5)
    assert value != datetime.time(1, 2, 3, 4)
    assert len({value, datetime.time(1, 2, 3, 4)}) == 2


def test_text_has_nine_digits() -> None:
    value = Time(8, 12, 54, nanosecond=123_456_789)
    assert str(value) == value.isoformat() == f"{value}" == "08:12:54.123456789"
    assert repr(value) == "Time(8, 12, 54, nanosecond=123456789)"
    assert Time(8).isoformat() == "08:00:00"
    assert Time(8).isoformat("nanoseconds") == "08:00:00.000000000"
    assert value.isoformat("milliseconds") == "08:12:54.123"
    assert Time.fromisoformat("08:12:54.1") == Time(8, 12, 54, nanosecond=100_000_000)
    with pytest.raises(ValueError, match="invalid time"):
        Time.fromisoformat("08:12:54.1234567891")


def test_replace_keeps_what_is_not_named() -> None:
    value = Time(1, 2, 3, nanosecond=4)
    assert value.replace(hour=5) == Time(5, 2, 3, nanosecond=4)
    assert value.replace(nanosecond=6) == Time(1, 2, 3, nanosecond=6)
    assert value.replace(microsecond=6) == Time(1, 2, 3, 6)


@pytest.mark.parametrize(
    "arguments",
    [{"hour": 24}, {"minute": 60}, {"second": -1}, {"nanosecond": 1_000_000_000}, {"nanosecond": -1}, {"microsecond": 1_000_000}],
)
def test_parts_out_of_range_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be in"):
        Time(**arguments)  # type: ignore[arg-type]


def test_microsecond_and_nanosecond_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="cannot both be given"):
        Time(1, 2, 3, 4, nanosecond=5)


def test_a_time_zone_is_refused() -> None:
    value = datetime.time(1, tzinfo=datetime.timezone.utc)
    with pytest.raises(ValueError, match="expected a time without time zone"):
        parse_type("time").encode(value)
    with pytest.raises(ValueError, match="a CQL time has no time zone"):
        Time.from_time(value)
    assert Time(1) != value


@pytest.mark.parametrize("value", [-1, 86_400_000_000_000])
def test_nanoseconds_beyond_the_day_are_refused(value: int) -> None:
    with pytest.raises(OverflowError, match="expected an int from 0 to 86399999999999"):
        parse_type("time").encode(value)
    with pytest.raises(DecodeError, match="nanoseconds are no value of type time"):
        parse_type("time").decode(value.to_bytes(8, "big", signed=True))
    with pytest.raises(ValueError, match="nanoseconds must be in"):
        Time.from_nanosecond_of_day(value)


@pytest.mark.parametrize("value", ["01:02", 1.5, True, datetime.timedelta(1)])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a time or an int of nanoseconds, got"):
        parse_type("time").encode(value)
