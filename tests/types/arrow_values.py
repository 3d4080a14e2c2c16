"""Values read by the ordinary decoder and values read through pyarrow, in one form that both share."""

from __future__ import annotations

import decimal
import ipaddress
import struct
import uuid
from array import array
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa

import acsylla_like
from acsylla_like._native import CqlType

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _bits(number: float) -> bytes:
    """A NaN equal to itself, and a zero not to the other."""
    return struct.pack(">d", number)


def of_arrow(scalar: pa.Scalar) -> Any:
    """What a pyarrow scalar holds, down to plain numbers, bytes, text, lists and tuples."""
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.ExtensionScalar):
        return of_arrow(scalar.value)
    kind = scalar.type
    if pa.types.is_map(kind):
        entries = scalar.values
        return sorted(((of_arrow(entries.field(0)[i]), of_arrow(entries.field(1)[i])) for i in range(len(entries))), key=repr)
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return [of_arrow(item) for item in scalar.values]
    if pa.types.is_struct(kind):
        return {field.name: of_arrow(scalar[i]) for i, field in enumerate(kind)}
    if pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind):
        return scalar.value
    if pa.types.is_floating(kind):
        return _bits(scalar.as_py())
    if kind == pa.month_day_nano_interval():
        return tuple(scalar.as_py())
    return scalar.as_py()


def of_python(value: Any, cql_type: CqlType) -> Any:
    """The same of a value as our decoder gives it."""
    if value is None:
        return None
    name = cql_type.name.removeprefix("frozen<").partition("<")[0].rstrip(">")
    if cql_type.field_names:
        items = value if isinstance(value, Mapping) else vars(value)
        return {field: of_python(items[field], kind) for field, kind in zip(cql_type.field_names, cql_type.types, strict=True)}
    if name == "tuple":
        return {str(i): of_python(item, kind) for i, (item, kind) in enumerate(zip(value, cql_type.types, strict=True))}
    if name == "map":
        key, item = cql_type.types
        return sorted(((of_python(k, key), of_python(v, item)) for k, v in value.items()), key=repr)
    if isinstance(value, (list, tuple, array, set, frozenset)):
        return [of_python(item, cql_type.types[0]) for item in value]
    if isinstance(value, acsylla_like.Timestamp):
        return value.milliseconds
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, acsylla_like.Date):
        return value.days
    if isinstance(value, date):
        return (value - EPOCH.date()).days
    if isinstance(value, acsylla_like.Time):
        return value.nanosecond_of_day
    if isinstance(value, acsylla_like.Duration):
        return (value.months, value.days, value.nanoseconds)
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped is not None:
        return f"::ffff:{value.ipv4_mapped}"  # as RFC 5952 recommends and Python 3.13 writes it
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return str(value)
    if isinstance(value, float):
        return _bits(value)
    if isinstance(value, decimal.Decimal) or name == "varint":
        return str(value)
    return value


def _sorted_sets(value: Any, cql_type: CqlType) -> Any:
    """Sets have no order in Python."""
    if value is None:
        return None
    name = cql_type.name.removeprefix("frozen<").partition("<")[0].rstrip(">")
    if isinstance(value, dict):
        return {key: _sorted_sets(item, kind) for (key, item), kind in zip(value.items(), cql_type.types, strict=True)}
    if name == "map":
        key, item = cql_type.types
        return sorted(((_sorted_sets(k, key), _sorted_sets(v, item)) for k, v in value), key=repr)
    if isinstance(value, list):
        items = [_sorted_sets(item, cql_type.types[0]) for item in value]
        return sorted(items, key=repr) if name == "set" else items
    return value


def check_same(result: acsylla_like.Result, table: pa.Table) -> None:
    """Every value of the result is that of the table, in its place."""
    assert table.num_rows == len(result)
    assert table.column_names == [column.name for column in result.columns]
    table.validate(full=True)
    for number, column in enumerate(result.columns):
        values = [of_arrow(scalar) for scalar in table.column(number)]
        expected = [of_python(row[number], column.type) for row in result]
        assert [_sorted_sets(value, column.type) for value in values] == [_sorted_sets(value, column.type) for value in expected]
