"""Turns the cells of CSV and JSON files into values of CQL types, and values into a form that compares exactly."""

from __future__ import annotations

import array
import datetime
import ipaddress
import json
import math
import re
import struct
import uuid
from collections.abc import Callable, Hashable, Mapping
from decimal import Decimal
from typing import Any, Protocol

import acsylla_like
from acsylla_like.types import FrozenMap


class CqlType(Protocol):
    """What is asked of a column's type."""

    @property
    def name(self) -> str: ...
    @property
    def types(self) -> tuple[CqlType, ...]: ...
    @property
    def field_names(self) -> tuple[str, ...]: ...


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_DURATION_NANOSECONDS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 10**9, "ms": 10**6, "us": 1000, "µs": 1000, "ns": 1}
_DURATION = re.compile(r"(\d+)(ms|us|µs|ns|mo|[ywdhms])", re.IGNORECASE)
_PLAIN = {int, str, bytes, bool, uuid.UUID, type(None)}
_INTEGERS = {"tinyint", "smallint", "int", "bigint", "counter", "varint"}


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in ("true", "t", "yes", "y", "1"):
        return True
    if word in ("false", "f", "no", "n", "0"):
        return False
    raise ValueError("not a boolean")


def _blob(text: str) -> bytes:
    return bytes.fromhex(text[2:] if text[:2].lower() == "0x" else text)


def _timestamp(text: str) -> datetime.datetime:
    """ISO 8601, or milliseconds since 1970; without a time zone UTC."""
    text = text.strip()
    if re.fullmatch(r"-?\d{5,}", text):
        return _EPOCH + datetime.timedelta(milliseconds=int(text))
    text = re.sub(r"[zZ]$", "+00:00", text)
    text = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)
    text = re.sub(r"\.(\d+)", lambda match: "." + match[1][:6].ljust(6, "0"), text)  # what Python 3.10 reads
    value = datetime.datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)


def _duration(text: str) -> acsylla_like.Duration:
    """As CQL writes it: `1y2mo3w4d5h6m7s8ms9us10ns`, a minus sign before it when negative."""
    body = text.strip()
    sign = -1 if body.startswith("-") else 1
    parts = _DURATION.findall(body)
    if not parts or "".join(map("".join, parts)) != body.lstrip("-"):
        raise ValueError("not a duration")
    months = days = nanoseconds = 0
    for count, unit in ((int(count), unit.lower()) for count, unit in parts):
        months += count * {"y": 12, "mo": 1}.get(unit, 0)
        days += count * {"w": 7, "d": 1}.get(unit, 0)
        nanoseconds += count * _DURATION_NANOSECONDS.get(unit, 0)
    return acsylla_like.Duration(sign * months, sign * days, sign * nanoseconds)


_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "ascii": str,
    "text": str,
    "varchar": str,
    "boolean": _boolean,
    "float": float,
    "double": float,
    "decimal": Decimal,
    "blob": _blob,
    "uuid": uuid.UUID,
    "timeuuid": uuid.UUID,
    "inet": ipaddress.ip_address,
    "timestamp": _timestamp,
    "date": datetime.date.fromisoformat,
    "time": acsylla_like.Time.fromisoformat,
    "duration": _duration,
    **dict.fromkeys(_INTEGERS, int),
}


def _head(kind: CqlType) -> str:
    """`map` of `frozen<map<text, int>>`."""
    name = kind.name
    while name.startswith("frozen<"):
        name = name[7:-1]
    return name.partition("<")[0]


def from_file(kind: CqlType, item: Any, hashable: bool = False) -> Any:
    """The value of a CQL type for what a file has: text, or for JSON also numbers, booleans, arrays and objects.

    Collections, tuples and user types are JSON, in a CSV cell too. `hashable` is for members of sets and keys of maps.
    Raises ValueError or TypeError when it does not fit.
    """
    if item is None:
        return None
    head = _head(kind)
    if head in _FROM_TEXT:
        if isinstance(item, str):
            return _FROM_TEXT[head](item)
        if head in ("text", "ascii", "varchar") or (isinstance(item, bool) and head != "boolean"):
            raise TypeError(f"{item!r} is not {head}")
        if isinstance(item, (list, dict)):
            raise TypeError(f"an array or object is not {head}")
        return item if head == "boolean" and isinstance(item, bool) else _FROM_TEXT[head](str(item))
    if isinstance(item, str):
        item = json.loads(item, parse_float=Decimal)
    if kind.field_names:
        if not isinstance(item, dict):
            raise TypeError(f"{kind.name} must be an object")
        fields = dict(zip(kind.field_names, kind.types, strict=True))
        named = {name: from_file(fields[name], element, hashable) for name, element in item.items()}
        return FrozenMap(named) if hashable else named
    if head == "map":
        pairs = item.items() if isinstance(item, dict) else item
        made = {from_file(kind.types[0], key, True): from_file(kind.types[1], element, hashable) for key, element in pairs}
        return FrozenMap(made) if hashable else made
    if not isinstance(item, list):
        raise TypeError(f"{kind.name} must be an array")
    if head == "tuple":
        return tuple(from_file(t, element, hashable) for t, element in zip(kind.types, item, strict=False))
    elements = [from_file(kind.types[0], element, hashable or head == "set") for element in item]
    if head == "set":
        return frozenset(elements) if hashable else set(elements)
    return tuple(elements) if hashable else elements


def from_arrow(kind: CqlType, item: Any, hashable: bool = False) -> Any:
    """The value of a CQL type for what pyarrow makes of an Arrow value of it (`Scan` has the table of types), or of one that can
    be loaded into it. A time of day is its nanoseconds."""
    if item is None:
        return None
    head = _head(kind)
    if kind.field_names:
        named = {name: from_arrow(t, item.get(name), hashable) for name, t in zip(kind.field_names, kind.types, strict=True)}
        return FrozenMap(named) if hashable else named
    if head == "tuple":
        return tuple(from_arrow(t, element, hashable) for t, element in zip(kind.types, item.values(), strict=True))
    if head == "map":
        pairs = item.items() if isinstance(item, dict) else item
        made = {from_arrow(kind.types[0], key, True): from_arrow(kind.types[1], value, hashable) for key, value in pairs}
        return FrozenMap(made) if hashable else made
    if head in ("list", "set", "vector"):
        elements = [from_arrow(kind.types[0], element, hashable or head == "set") for element in item]
        if head == "set":
            return frozenset(elements) if hashable else set(elements)
        return tuple(elements) if hashable else elements
    if head in ("uuid", "timeuuid") and isinstance(item, bytes):
        return uuid.UUID(bytes=item)
    if head == "timestamp" and not item.tzinfo:
        return item.replace(tzinfo=datetime.timezone.utc)
    if head == "time":
        return acsylla_like.Time.from_nanosecond_of_day(item) if isinstance(item, int) else acsylla_like.Time.from_time(item)
    if head == "duration":
        return acsylla_like.Duration(*item)
    return _FROM_TEXT[head](item) if isinstance(item, str) else item


def expected(kind: CqlType, value: Any, hashable: bool = False) -> Any:
    """What the server gives back for a value: CQL has no negative zero, no empty collection, less precise floats."""
    head = _head(kind)
    if value is None:
        return None
    if head in ("list", "set", "map") and not value and not kind.name.startswith("frozen<"):
        return None
    if head == "float":
        return struct.unpack(">f", struct.pack(">f", value))[0]
    if head == "decimal":
        return value.copy_abs() if value.is_zero() else value
    if head == "timestamp":
        return _EPOCH + datetime.timedelta(milliseconds=(value - _EPOCH) // datetime.timedelta(milliseconds=1))
    if kind.field_names:
        fields = zip(kind.field_names, kind.types, strict=True)
        named = {name: expected(t, value.get(name), hashable) for name, t in fields}
        return FrozenMap(named) if hashable else named
    if head == "map":
        made = {expected(kind.types[0], key, True): expected(kind.types[1], item, hashable) for key, item in value.items()}
        return FrozenMap(made) if hashable else made
    if head == "tuple":
        padded = [*value, *[None] * (len(kind.types) - len(value))]
        return tuple(expected(t, item, hashable) for t, item in zip(kind.types, padded, strict=True))
    if head == "set":
        return frozenset(expected(kind.types[0], item, True) for item in value)
    if head in ("list", "vector"):
        return tuple(expected(kind.types[0], item, hashable) for item in value)
    return value


def same(wanted: Any, got: Any) -> bool:
    """Whether two values differ in nothing, as `exact` defines it."""
    if type(wanted) is type(got) and type(wanted) in _PLAIN:
        return bool(wanted == got)
    return exact(wanted) == exact(got)


def exact(value: Any) -> Hashable:
    """A form in which two values are equal only when nothing at all differs: class, scale of decimals, nanoseconds, NaN."""
    if isinstance(value, (Decimal, float)):
        return type(value).__name__, str(value.as_tuple()) if isinstance(value, Decimal) else _float_bits(value)
    if isinstance(value, array.array):
        value = value.tolist()
    if isinstance(value, Mapping):
        return "map", frozenset((exact(key), exact(item)) for key, item in value.items())
    if isinstance(value, (set, frozenset)):
        return "set", frozenset(map(exact, value))
    if isinstance(value, (list, tuple)):
        return "list", tuple(map(exact, value))
    if isinstance(value, datetime.time):
        return "time", str(value)
    return type(value).__name__, value


def _float_bits(value: float) -> Hashable:
    return "nan" if math.isnan(value) else struct.pack(">d", value)
