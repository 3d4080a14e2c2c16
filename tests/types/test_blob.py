from __future__ import annotations

import array

import pytest
from cql_values import round_trip

from acsylla_like._native import parse_type


@pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"x" * 2_000_000])
def test_bytes_come_back(value: bytes) -> None:
    assert round_trip("blob", value) == value


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_buffers_are_read(kind: type) -> None:
    assert round_trip("blob", kind(b"abc")) == b"abc"


def test_arrays_are_read_as_they_lie_in_memory() -> None:
    value = array.array("i", [1, 2])
    assert round_trip("blob", value) == value.tobytes()


def test_a_buffer_that_is_not_contiguous_is_gathered() -> None:
    assert round_trip("blob", memoryview(b"a-b-c-")[::2]) == b"abc"


def test_a_buffer_is_released() -> None:
    value = bytearray(b"abc")
    parse_type("blob").encode(value)
    value.extend(b"def")  # raises BufferError while a view of it is held


@pytest.mark.parametrize("value", ["x", 5, [1, 2]])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected bytes or another buffer, got"):
        parse_type("blob").encode(value)
