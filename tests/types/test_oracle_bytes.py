"""The bytes of scalars against those of the official driver, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from cql_values import SCALARS
from hypothesis import assume, given

from acsylla_like._native import parse_type
from acsylla_like.types import Date, Duration, Time, Timestamp

cqltypes = pytest.importorskip("cassandra.cqltypes")
util = pytest.importorskip("cassandra.util")

CLASSES = {
    "ascii": "AsciiType",
    "bigint": "LongType",
    "blob": "BytesType",
    "boolean": "BooleanType",
    "date": "SimpleDateType",
    "decimal": "DecimalType",
    "double": "DoubleType",
    "duration": "DurationType",
    "float": "FloatType",
    "inet": "InetAddressType",
    "int": "Int32Type",
    "smallint": "ShortType",
    "text": "UTF8Type",
    "time": "TimeType",
    "timestamp": "DateType",
    "timeuuid": "TimeUUIDType",
    "tinyint": "ByteType",
    "uuid": "UUIDType",
    "varint": "IntegerType",
}


def to_oracle(value: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.milliseconds
    if isinstance(value, Date):
        return util.Date(value.days)
    if isinstance(value, Time):
        return util.Time(value.nanosecond_of_day)
    if isinstance(value, Duration):
        return util.Duration(value.months, value.days, value.nanoseconds)
    if type(value).__module__ == "ipaddress":
        return str(value)
    return value


@pytest.mark.parametrize("text", CLASSES)
def test_bytes_are_those_of_the_official_driver(text: str) -> None:
    oracle = getattr(cqltypes, CLASSES[text])

    @given(SCALARS[text])
    def check(value: object) -> None:
        assume(value == value)
        assert parse_type(text).encode(value) == oracle.serialize(to_oracle(value), 4)

    check()
