"""Arrays and scalars of numpy, which the package does not import."""

from __future__ import annotations

import math

import pytest
from cql_values import ARRAY_CODES, round_trip

from acsylla_like._native import parse_type

numpy = pytest.importorskip("numpy")


@pytest.mark.parametrize("text", ["tinyint", "smallint", "int", "bigint", "varint"])
@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "int64", "uint64"])
def test_integers_are_ints(text: str, kind: str) -> None:
    decoded = round_trip(text, getattr(numpy, kind)(7))
    assert decoded == 7
    assert type(decoded) is int
    with pytest.raises(OverflowError, match="expected an int from -128 to 127, got"):
        parse_type("tinyint").encode(numpy.int64(300))


@pytest.mark.parametrize("text", ["float", "double"])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int32"])
def test_floats_are_floats(text: str, kind: str) -> None:
    assert round_trip(text, getattr(numpy, kind)(1.5 if "f" in kind else 3)) == (1.5 if "f" in kind else 3)
    assert math.isnan(round_trip(text, numpy.float32("nan")))


def test_a_float_is_no_int_and_an_array_is_no_number() -> None:
    for value in (numpy.float64(1.0), numpy.bool_(True), numpy.array([1.0]), numpy.array(1.5)):
        with pytest.raises(TypeError, match="expected an int, got"):
            parse_type("int").encode(value)
    with pytest.raises(TypeError, match="expected a float, got"):
        parse_type("double").encode(numpy.array([1.0]))


def test_a_bool_is_a_boolean() -> None:
    assert round_trip("boolean", numpy.bool_(True)) is True
    assert round_trip("boolean", numpy.bool_(False)) is False


@pytest.mark.parametrize("element", ARRAY_CODES)
@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "float32", "float64", ">i4", ">f8"])
def test_arrays_are_vectors(element: str, kind: str) -> None:
    value = numpy.array([1, 2, 3, 4], dtype=kind)
    if value.dtype.kind == "f" and element not in ("float", "double"):
        with pytest.raises(TypeError, match="item 0: expected an int, got"):
            parse_type(f"vector<{element}, 4>").encode(value)
        return
    for view in (value, value[::-1], value[::2].repeat(2)):
        decoded = round_trip(f"vector<{element}, 4>", view)
        assert numpy.array_equal(numpy.asarray(decoded), view)
    with pytest.raises(ValueError, match="expected 3 items, got 4"):
        parse_type(f"vector<{element}, 3>").encode(value)


def test_a_decoded_vector_is_an_array_without_a_copy() -> None:
    decoded = round_trip("vector<float, 3>", [1, 2, 3])
    view = numpy.asarray(decoded)
    assert view.dtype == numpy.float32
    view[0] = 9
    assert decoded[0] == 9


def test_rows_of_a_matrix_are_vectors_in_a_vector() -> None:
    matrix = numpy.arange(6, dtype="float32").reshape(2, 3)
    decoded = round_trip("vector<vector<float, 3>, 2>", matrix)
    assert numpy.array_equal(numpy.array([list(row) for row in decoded]), matrix)
    assert round_trip("list<double>", matrix[0]) == [0.0, 1.0, 2.0]


def test_memory_is_a_blob() -> None:
    value = numpy.arange(4, dtype="int16")
    assert round_trip("blob", value) == value.tobytes()
    assert round_trip("blob", value[::2]) == value[::2].tobytes()
