from __future__ import annotations

import enum

import pytest
from cql_values import round_trip

from acsylla_like._native import parse_type
from acsylla_like.errors import DecodeError


class Colour(str, enum.Enum):
    RED = "red"


@pytest.mark.parametrize("value", ["", "a", "a\0b", "Grüße, 世界 🌍", "x" * 100_000, "é" * 100_000])
def test_text_comes_back(value: str) -> None:
    assert round_trip("text", value) == value
    assert round_trip("varchar", value) == value


def test_a_subclass_of_str_is_text() -> None:
    assert round_trip("text", Colour.RED) == "red"


def test_a_lone_surrogate_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"got a lone surrogate at index 1 of str 'a\\ud800'") as caught:
        parse_type("text").encode("a\ud800")
    assert type(caught.value) is ValueError


def test_ascii_refuses_other_characters() -> None:
    assert round_trip("ascii", "plain") == "plain"
    with pytest.raises(ValueError, match="expected a str of ASCII characters, got str 'é'"):
        parse_type("ascii").encode("é")


@pytest.mark.parametrize("text", ["text", "ascii"])
@pytest.mark.parametrize("value", [b"x", 1, ["x"]])
def test_other_types_are_refused(text: str, value: object) -> None:
    with pytest.raises(TypeError, match="expected a str, got"):
        parse_type(text).encode(value)


@pytest.mark.parametrize("data", [b"ab\xff", b"ab\xed\xa0\x80", b"ab\xc0\x80"])
def test_bytes_that_are_no_utf_8_raise_an_error_that_names_the_type(data: bytes) -> None:
    with pytest.raises(DecodeError, match=rf"{len(data)} bytes of type text are not valid UTF-8 at byte 2"):
        parse_type("text").decode(data)
    with pytest.raises(DecodeError, match="type ascii are not ASCII at byte 2"):
        parse_type("ascii").decode(data)


def test_a_long_value_is_shortened_in_the_error() -> None:
    with pytest.raises(TypeError) as caught:
        parse_type("int").encode("x" * 1_000_000)
    assert len(str(caught.value)) < 200
    assert "of length 1000000" in str(caught.value)
