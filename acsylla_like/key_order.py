"""Sets and maps in the order in which the server keeps them.

A partition key that holds some is hashed as the server writes it: sorted by its own comparison of each type, with equal members
once. The order in which a client sends them is any.
"""

from __future__ import annotations

import decimal
import functools
import math
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acsylla_like._native import CqlType

__all__ = ["in_order"]

_LENGTH = struct.Struct(">i")

_SIGNED = frozenset(("tinyint", "smallint", "int", "bigint", "counter", "varint", "timestamp"))
_FLOATS = {"float": struct.Struct(">f"), "double": struct.Struct(">d")}


def in_order(cql_type: CqlType, data: bytes) -> bytes:
    """The bytes of a value as the server keeps them. Raises ValueError for what are no bytes of the type."""
    if not cql_type.has_order:
        return data
    kind = _outermost(cql_type)
    if kind in ("tuple", "user type"):
        return b"".join(_cell(_member(member, field)) for member, field in zip(cql_type.types, _fields(data), strict=False))
    if kind == "vector":
        raise ValueError(f"the order of members in a {cql_type.name} is not known")
    items = [_member(cql_type.types[i % len(cql_type.types)], field) for i, field in enumerate(_items(data))]
    if kind == "list":
        return _LENGTH.pack(len(items)) + b"".join(map(_cell, items))
    width = len(cql_type.types)
    entries = [tuple(items[i : i + width]) for i in range(0, len(items), width)]
    first = cql_type.types[0]
    ordered = sorted(entries, key=lambda entry: _place(first, entry[0]))
    distinct = [entry for i, entry in enumerate(ordered) if i == 0 or _place(first, entry[0]) != _place(first, ordered[i - 1][0])]
    return _LENGTH.pack(len(distinct)) + b"".join(_cell(item) for entry in distinct for item in entry)


def _member(cql_type: CqlType, data: bytes | None) -> bytes | None:
    return None if data is None else in_order(cql_type, data)


def _outermost(cql_type: CqlType) -> str:
    """What the type is made by: list, set, map, tuple, vector, user type, or the name of a plain one."""
    if cql_type.field_names:
        return "user type"
    return cql_type.name.removeprefix("frozen<").partition("<")[0]


def _cell(data: bytes | None) -> bytes:
    return _LENGTH.pack(-1) if data is None else _LENGTH.pack(len(data)) + data


def _fields(data: bytes) -> Iterator[bytes | None]:
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise ValueError("a length is cut short")
        (size,) = _LENGTH.unpack_from(data, at)
        at += 4
        if size < 0:
            yield None
            continue
        if at + size > len(data):
            raise ValueError("a value is cut short")
        yield data[at : at + size]
        at += size


def _items(data: bytes) -> Iterator[bytes | None]:
    return _fields(data[4:])


def _place(cql_type: CqlType, data: bytes | None) -> Any:
    """Something that compares as the server compares values of the type: null, then the empty value, then the others."""
    if data is None:
        return (0,)
    kind = _outermost(cql_type)
    if kind in ("list", "set", "map"):
        types = cql_type.types
        return 2, tuple(_place(types[i % len(types)], item) for i, item in enumerate(_items(data)))
    if kind in ("tuple", "user type"):
        return 2, tuple(_place(member, field) for member, field in zip(cql_type.types, _fields(data), strict=False))
    if not data:
        return (1,)
    return 2, _plain(kind, data)


def _plain(kind: str, data: bytes) -> Any:
    if kind in _SIGNED:
        return int.from_bytes(data, "big", signed=True)
    if kind in _FLOATS:
        (number,) = _FLOATS[kind].unpack(data)
        return (True,) if math.isnan(number) else (False, number, math.copysign(1.0, number))
    if kind == "decimal":
        return _Decimal(int.from_bytes(data[4:], "big", signed=True), _LENGTH.unpack_from(data)[0])
    if kind in ("uuid", "timeuuid"):
        return _uuid(kind, data)
    if kind == "boolean":
        return data != b"\0"
    return data


def _uuid(kind: str, data: bytes) -> Any:
    high, low = data[:8], data[8:]
    version = high[6] >> 4
    made_at = (high[6] & 0x0F, high[7], *high[4:6], *high[:4])
    if kind == "timeuuid":
        return made_at, tuple(byte - 256 if byte > 127 else byte for byte in low)
    return version, made_at if version == 1 else (), data


@functools.total_ordering
class _Decimal:
    """An unscaled number and how many of its digits are behind the point, compared by value, however far apart."""

    def __init__(self, unscaled: int, scale: int) -> None:
        self.sign = (unscaled > 0) - (unscaled < 0)
        digits = _digits(abs(unscaled))
        self.magnitude = len(digits) - scale
        self.digits = digits.rstrip("0")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Decimal) and (self.sign, self.sign and self.magnitude, self.digits) == (
            other.sign,
            other.sign and other.magnitude,
            other.digits,
        )

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: _Decimal) -> bool:
        if self.sign != other.sign:
            return self.sign < other.sign
        if self.magnitude != other.magnitude:
            return self.sign * self.magnitude < other.sign * other.magnitude
        return self.digits < other.digits if self.sign > 0 else other.digits < self.digits


def _digits(number: int) -> str:
    """Of any number: str() refuses long ones."""
    return "".join(map(str, decimal.Decimal(number).as_tuple().digits)) if number else ""
