from __future__ import annotations

import array
import datetime
import math
import uuid
from typing import Any

import pytest
from cql_values import ARRAY_CODES, SCALARS, round_trip, same, vector_of
from hypothesis import given
from hypothesis import strategies as st

from acsylla_like._native import parse_type
from acsylla_like.errors import DecodeError

FIXED = {"float": 4, "double": 8, "int": 4, "bigint": 8, "timestamp": 8, "uuid": 16, "timeuuid": 16, "boolean": 1}


@pytest.mark.parametrize("element", SCALARS)
def test_vectors_of_every_scalar_come_back(element: str) -> None:
    @given(st.integers(1, 5).flatmap(lambda n: vector_of(element, n)))
    def check(value: Any) -> None:
        assert same(round_trip(f"vector<{element}, {len(value)}>", value), value)

    check()


@pytest.mark.parametrize("element", SCALARS)
def test_elements_of_a_size_that_is_not_fixed_to_the_server_have_a_length(element: str) -> None:
    @given(SCALARS[element])
    def check(item: Any) -> None:
        alone = parse_type(element).encode(item)
        data = parse_type(f"vector<{element}, 1>").encode([item])
        assert alone is not None
        assert data is not None
        if element in FIXED:
            assert data == alone
        else:
            assert data[1:] == alone if len(alone) < 128 else data.endswith(alone)

    check()


@pytest.mark.parametrize(("element", "code"), ARRAY_CODES.items())
def test_numbers_come_as_an_array(element: str, code: str) -> None:
    decoded = round_trip(f"vector<{element}, 3>", [1, 2, 3])
    assert same(decoded, array.array(code, [1, 2, 3]))
    assert memoryview(decoded).format == code


@pytest.mark.parametrize("element", ARRAY_CODES)
@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_any_array_of_fitting_numbers_is_taken(element: str, code: str) -> None:
    values = [1.0, 2.0] if code in "fd" else [1, 2]
    value = array.array(code, values)  # type: ignore[arg-type]
    if code in "fd" and element not in ("float", "double"):
        with pytest.raises(TypeError, match="item 0: expected an int, got float"):
            parse_type(f"vector<{element}, 2>").encode(value)
    else:
        assert list(round_trip(f"vector<{element}, 2>", value)) == values
        assert list(round_trip(f"vector<{element}, 2>", memoryview(value)[::-1])) == values[::-1]


def test_vectors_nest() -> None:
    assert same(round_trip("vector<vector<float, 2>, 2>", [[1, 2], [3, 4]]), [array.array("f", [1, 2]), array.array("f", [3, 4])])
    assert same(round_trip("vector<frozen<list<int>>, 2>", [[], [1, 2]]), [[], [1, 2]])
    assert same(round_trip("vector<vector<text, 1>, 2>", [["a"], ["b" * 1000]]), [["a"], ["b" * 1000]])
    assert same(round_trip("list<vector<float, 1>>", [[1.5]]), [array.array("f", [1.5])])


@pytest.mark.parametrize("value", [[], [1.0], [1.0] * 3, array.array("f", [1.0]), array.array("d", [1.0]), (n for n in (1.0,))])
def test_the_count_must_be_exact(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected 2 items, got \d"):
        parse_type("vector<float, 2>").encode(value)


@pytest.mark.parametrize("value", [{1.0, 2.0}, "ab", b"ab", {1: 2, 3: 4}, 5])
def test_what_has_no_order_or_is_no_sequence_is_refused(value: object) -> None:
    for text in ("vector<float, 2>", "vector<tinyint, 2>"):
        with pytest.raises(TypeError, match="expected a sequence, got"):
            parse_type(text).encode(value)


def test_an_error_names_the_item() -> None:
    with pytest.raises(OverflowError, match="item 1: expected a float of 32 bits"):
        parse_type("vector<float, 2>").encode([1.0, 1e300])
    with pytest.raises(OverflowError, match="item 1: expected an int from -128 to 127"):
        parse_type("vector<tinyint, 2>").encode(array.array("h", [1, 300]))


def test_a_list_that_changes_while_it_is_read_is_refused() -> None:
    items: list[object] = []

    class Shrinking:
        def __index__(self) -> int:
            items.clear()
            return 7

    items.extend([Shrinking(), 2])
    with pytest.raises(ValueError, match="expected 2 items, got 1"):
        parse_type("vector<int, 2>").encode(items)


@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        ("vector<float, 2>", "00" * 7, r"7 bytes are no value of type vector<float, 2>"),
        ("vector<float, 2>", "00" * 9, r"9 bytes are no value of type vector<float, 2>"),
        ("vector<smallint, 1>", "010000", r"an item of 1 bytes within type vector<smallint, 1>"),
        ("vector<text, 2>", "0161", r"end within an item"),
        ("vector<text, 1>", "ffffffffffffffffff61", r"end within an item"),
        ("vector<text, 1>", "016162", r"1 bytes too many"),
        ("vector<text, 999999999>", "00", r"1 bytes are no value of type"),
        ("vector<uuid, 1>", "00" * 15, r"end within an item"),
    ],
)
def test_bytes_that_are_no_vector_are_refused(text: str, data: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        parse_type(text).decode(bytes.fromhex(data))


def test_the_other_elements_come_as_a_list() -> None:
    day, number = datetime.date(2000, 1, 1), uuid.uuid1()
    assert same(round_trip("vector<date, 1>", (day,)), [day])
    assert same(round_trip("vector<timeuuid, 1>", (number,)), [number])
    assert math.isnan(round_trip("vector<float, 1>", [math.nan])[0])
