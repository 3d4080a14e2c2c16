"""Values between acsylla's users and the package: what they may bind, and what their rows hold."""

from __future__ import annotations

import datetime
import decimal
import functools
import ipaddress
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from acsylla_like._native import CqlType
from acsylla_like.compat.errors import CassErrorLibNameDoesNotExist
from acsylla_like.types import UNSET, Date, Duration, Time, Timestamp

__all__ = ["Read", "SupportedType", "bindable", "binder", "reader"]

# What may be bound without thinking of types.
SupportedType: TypeAlias = (
    int
    | float
    | bool
    | str
    | bytes
    | list[Any]
    | set[Any]
    | dict[Any, Any]
    | tuple[Any, ...]
    | uuid.UUID
    | datetime.datetime
    | datetime.date
    | datetime.time
    | datetime.timedelta
    | ipaddress.IPv4Address
    | ipaddress.IPv6Address
    | decimal.Decimal
    | None
)

# A value of any CQL type, which no type checker sees.
Read: TypeAlias = Callable[[Any], Any]

_EPOCH = datetime.date(1970, 1, 1)
_INT_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "counter": 64}
_DURATION_PART = re.compile(r"(\d+)(y|mo|ms|m|w|d|h|s|us|µs|ns)", re.IGNORECASE)
# Unit -> its place in (months, days, nanoseconds), and how many of these it is.
_UNITS = {
    "y": (0, 12),
    "mo": (0, 1),
    "w": (1, 7),
    "d": (1, 1),
    "h": (2, 3_600_000_000_000),
    "m": (2, 60_000_000_000),
    "s": (2, 1_000_000_000),
    "ms": (2, 1_000_000),
    "us": (2, 1_000),
    "µs": (2, 1_000),
    "ns": (2, 1),
}


# ---- to the server: acsylla takes more than the package does


def bindable(cql_type: CqlType, value: Any) -> Any:
    """What the package binds for a value that acsylla takes for this type: text for a number, seconds for a time, and so on.

    Raises ValueError, OverflowError, TypeError or a CassException.
    """
    return value if value is None or value is UNSET else binder(cql_type)(value)


@functools.lru_cache(1024)
def binder(cql_type: CqlType) -> Callable[[Any], Any]:
    """As `bindable`, for one type and values that are not None."""
    convert = _TO_SERVER.get(_bare(cql_type))
    if convert is not None:
        return functools.partial(convert, cql_type)
    if cql_type.dimension >= 0:
        return lambda value: cql_type.decode(value) if isinstance(value, bytes) else value
    return _same


def _same(value: Any) -> Any:
    return value


def _bare(cql_type: CqlType) -> str:
    """The word that a type begins with: list, tuple, udt …"""
    if cql_type.field_names:
        return "udt"
    name = cql_type.name
    return name.removeprefix("frozen<").partition("<")[0] if cql_type.types else name


def _boolean(cql_type: CqlType, value: Any) -> bool:
    if value in (True, False):
        return bool(value)
    raise ValueError(f"expected a bool, 0 or 1, got {value!r}")


def _integer(cql_type: CqlType, value: Any) -> int:
    number = value if type(value) is int else int(value)
    bits = _INT_BITS[cql_type.name]
    if not -1 << (bits - 1) <= number < 1 << (bits - 1):
        raise OverflowError(f"{number} does not fit a {cql_type.name}")
    return number


def _float(cql_type: CqlType, value: Any) -> float:
    return float(value)


def _decimal(cql_type: CqlType, value: Any) -> decimal.Decimal:
    try:
        number = decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        raise ValueError(f"expected a decimal number, got {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"expected a decimal number, got {value!r}")
    return number


def _text(cql_type: CqlType, value: Any) -> str:
    text = value if type(value) is str else value.decode() if isinstance(value, bytes) else str(value)
    if cql_type.name == "ascii":
        text.encode("ascii")
    return text


def _blob(cql_type: CqlType, value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise ValueError(f"expected bytes, got {value!r}")


def _varint(cql_type: CqlType, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int.from_bytes(_blob(cql_type, value), "big", signed=True)


def _uuid(cql_type: CqlType, value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))


def _inet(cql_type: CqlType, value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(value.decode() if isinstance(value, bytes) else str(value))


def _date(cql_type: CqlType, value: Any) -> datetime.date | Date:
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, (datetime.date, Date)):
        return value
    return Date(math.floor(value / 86400))


def _time(cql_type: CqlType, value: Any) -> Time:
    if isinstance(value, str):
        value = Time.fromisoformat(value) if _NANOSECONDS.search(value) else datetime.time.fromisoformat(value)
    if isinstance(value, Time):
        return value
    if isinstance(value, (datetime.time, datetime.datetime)):
        nanoseconds = ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000_000 + value.microsecond * 1000
        offset = value.utcoffset()
        if offset is not None:
            nanoseconds -= offset // datetime.timedelta(microseconds=1) * 1000
    else:
        nanoseconds = int(value * 1_000_000_000)
        if nanoseconds >= 1 << 63:
            raise OverflowError(f"{value!r} seconds are more than a day")
    return Time.from_nanosecond_of_day(nanoseconds)


_NANOSECONDS = re.compile(r"\.\d{7,9}$")


def _timestamp(cql_type: CqlType, value: Any) -> datetime.datetime | Timestamp:
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if isinstance(value, datetime.datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=datetime.timezone.utc)
    return value if isinstance(value, Timestamp) else Timestamp(math.floor(value * 1000))


def _duration(cql_type: CqlType, value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    if isinstance(value, tuple) and len(value) == 3:
        return Duration(*value)
    if isinstance(value, datetime.timedelta):
        return Duration.from_timedelta(value)
    parts = _DURATION_PART.findall(value) if isinstance(value, str) else []
    if not parts:
        raise ValueError(f"expected a duration such as '1y2mo3d4h', a timedelta or (months, days, nanoseconds), got {value!r}")
    found = [0, 0, 0]
    for number, unit in parts:
        place, size = _UNITS[unit.lower()]
        found[place] += int(number) * size
    return Duration(*(-part for part in found)) if value.startswith("-") else Duration(*found)


def _items(cql_type: CqlType, value: Any) -> list[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ValueError(f"expected a {cql_type.name}, got {value!r}")
    return [bindable(cql_type.types[0], item) for item in value]


def _map(cql_type: CqlType, value: Any) -> dict[Any, Any]:
    key_type, value_type = cql_type.types
    items = value.items() if isinstance(value, Mapping) else value
    return {_hashable(bindable(key_type, key)): bindable(value_type, item) for key, item in items}


def _hashable(value: Any) -> Any:
    """A key as a dict takes it: collections within keys come as lists here."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _tuple(cql_type: CqlType, value: Any) -> tuple[Any, ...]:
    given = tuple(value)
    missing = len(cql_type.types) - len(given)
    if missing < 0:
        raise ValueError(f"expected at most {len(cql_type.types)} items for a {cql_type.name}, got {given!r}")
    return (*map(bindable, cql_type.types, given), *([None] * missing))


def _user_type(cql_type: CqlType, value: Any) -> dict[str, Any]:
    types = dict(zip(cql_type.field_names, cql_type.types, strict=True))
    if not isinstance(value, (Mapping, list, tuple)) and all(hasattr(value, name) for name in types):
        value = {name: getattr(value, name) for name in types}  # a dataclass, or a model of pydantic's
    elif not isinstance(value, Mapping):
        given = list(value)
        if len(given) > len(types):
            raise ValueError(f"expected at most {len(types)} fields of {cql_type.name}, got {given!r}")
        value = dict(zip(types, given, strict=False))
    for name in value:
        if name not in types:
            raise CassErrorLibNameDoesNotExist(f"Name does not exist: {cql_type.name} has no field {name!r}, but {', '.join(types)}")
    return {name: bindable(types[name], item) for name, item in value.items()}


_TO_SERVER: dict[str, Callable[[CqlType, Any], Any]] = {
    "boolean": _boolean,
    **dict.fromkeys(_INT_BITS, _integer),
    "float": _float,
    "double": _float,
    "decimal": _decimal,
    "text": _text,
    "ascii": _text,
    "blob": _blob,
    "varint": _varint,
    "uuid": _uuid,
    "timeuuid": _uuid,
    "inet": _inet,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
    "duration": _duration,
    "list": _items,
    "set": _items,
    "map": _map,
    "tuple": _tuple,
    "udt": _user_type,
}


# ---- from the server


@functools.lru_cache(1024)
def reader(cql_type: CqlType, native_types: bool) -> Read | None:
    """From the package's values to acsylla's, or None where they are the same.

    Containers keep their class: within sets and keys of maps they are immutable ones.
    """
    bare = _bare(cql_type)
    if bare in ("list", "set"):
        item = reader(cql_type.types[0], native_types)
        return None if item is None else _or_none(lambda value: type(value)(map(_null_through(item), value)))
    if bare == "map":
        key, value = (reader(member, native_types) or _same for member in cql_type.types)
        if key is _same and value is _same:
            return None
        key, value = _null_through(key), _null_through(value)
        return _or_none(lambda items: type(items)({key(name): value(item) for name, item in items.items()}))
    if bare in ("tuple", "udt"):
        members = [reader(member, native_types) for member in cql_type.types]
        if not any(members):
            return None
        reads = [_null_through(member or _same) for member in members]
        if bare == "tuple":
            return _or_none(lambda values: tuple(read(item) for read, item in zip(reads, values, strict=True)))
        fields = dict(zip(cql_type.field_names, reads, strict=True))
        return _or_none(lambda value: type(value)({name: fields[name](item) for name, item in value.items()}))
    return _or_none((_NATIVE if native_types else _PLAIN).get(bare))


def _null_through(read: Read) -> Read:
    return read if read is _same else lambda value: None if value is None else read(value)


def _or_none(read: Read | None) -> Read | None:
    return None if read is None else _null_through(read)


def _varint_bytes(value: int) -> bytes:
    return value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)


def _plain_time(value: Time) -> datetime.time:
    return datetime.time(value.hour, value.minute, value.second, value.microsecond)


def _date_text(value: datetime.date | Date) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    # Beyond Python's years: whole cycles of 400 years have 146,097 days.
    cycles, days = divmod(value.days, 146_097)
    within = _EPOCH + datetime.timedelta(days=days)
    return f"{within.year + 400 * cycles:04d}-{within.month:02d}-{within.day:02d}"


def _timestamp_text(value: datetime.datetime | Timestamp) -> str:
    if isinstance(value, datetime.datetime):
        return f"{value.replace(tzinfo=None).isoformat(' ', 'milliseconds')}Z"
    days, milliseconds = divmod(value.milliseconds, 86_400_000)
    time = Time.from_nanosecond_of_day(milliseconds * 1_000_000)
    return f"{_date_text(Date(days))} {time.isoformat('seconds')}.{milliseconds % 1000:03d}Z"


_PLAIN: dict[str, Read] = {
    "uuid": str,
    "timeuuid": str,
    "inet": str,
    "varint": _varint_bytes,
    "duration": str,
    "time": _plain_time,
}
_NATIVE: dict[str, Read] = {
    "uuid": str,
    "timeuuid": str,
    "inet": str,
    "varint": _varint_bytes,
    "duration": lambda value: (value.months, value.days, value.nanoseconds),
    "time": lambda value: value.isoformat("nanoseconds"),
    "date": _date_text,
    "timestamp": _timestamp_text,
    "decimal": lambda value: format(value, "f"),
}
