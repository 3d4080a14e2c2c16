from __future__ import annotations

import datetime
import pickle

import pytest
from cql_values import round_trip

from acsylla_like._native import parse_type
from acsylla_like.errors import DecodeError
from acsylla_like.types import Duration


@pytest.mark.parametrize(
    "value",
    [
        Duration(),
        Duration(1, 2, 3),
        Duration(-1, -2, -3),
        Duration(0, 0, -1),
        Duration(2**31 - 1, 2**31 - 1, 2**63 - 1),
        Duration(-(2**31), -(2**31), -(2**63)),
    ],
)
def test_durations_come_back(value: Duration) -> None:
    decoded = round_trip("duration", value)
    assert decoded == value
    assert hash(decoded) == hash(value)
    assert pickle.loads(pickle.dumps(decoded)) == value


@pytest.mark.parametrize(
    ("delta", "duration"),
    [
        (datetime.timedelta(days=3, hours=2), Duration(0, 3, 7_200_000_000_000)),
        (datetime.timedelta(hours=-1), Duration(0, 0, -3_600_000_000_000)),
        (datetime.timedelta(days=-1, hours=-1, microseconds=-1), Duration(0, -1, -3_600_000_001_000)),
        (datetime.timedelta.max, Duration(0, 999_999_999, 86_399_999_999_000)),
    ],
)
def test_a_timedelta_is_days_and_nanoseconds(delta: datetime.timedelta, duration: Duration) -> None:
    assert round_trip("duration", delta) == duration


@pytest.mark.parametrize("parts", [(1, -1, 0), (0, 1, -1), (-1, 0, 1)])
def test_signs_must_agree(parts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must have the same sign"):
        Duration(*parts)


@pytest.mark.parametrize("parts", [(2**31, 0, 0), (0, -(2**31) - 1, 0), (0, 0, 2**63)])
def test_parts_out_of_range_are_refused(parts: tuple[int, int, int]) -> None:
    with pytest.raises(OverflowError, match="does not fit"):
        Duration(*parts)


def test_bytes_whose_signs_differ_are_refused() -> None:
    with pytest.raises(DecodeError, match="no value of type duration"):
        parse_type("duration").decode(b"\x02\x01\x00")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Duration(), "0ns"),
        (Duration(14, 3, 0), "1y2mo3d"),
        (Duration(0, 0, 3_661_001_001_001), "1h1m1s1ms1us1ns"),
        (Duration(-1, 0, -1), "-1mo1ns"),
    ],
)
def test_its_text_is_the_cql_literal(value: Duration, text: str) -> None:
    assert str(value) == text


@pytest.mark.parametrize("value", [5, "1h", 1.5])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a Duration or timedelta, got"):
        parse_type("duration").encode(value)
