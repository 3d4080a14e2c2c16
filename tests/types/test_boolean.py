from __future__ import annotations

import pytest
from cql_values import round_trip

from acsylla_like._native import parse_type


def test_booleans_come_back() -> None:
    assert round_trip("boolean", True) is True
    assert round_trip("boolean", False) is False


@pytest.mark.parametrize("value", [0, 1, "true", 1.0, []])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a bool, got"):
        parse_type("boolean").encode(value)


def test_any_byte_but_zero_is_true() -> None:
    assert parse_type("boolean").decode(b"\xff") is True
