"""The text forms of values, both ways: from Arrow data to cells and JSON, and from these to what `copy_from` takes.

A value has one form, by its CQL type: numbers and booleans as JSON writes them, NaN and the infinities as in "NaN"; text as it is;
uuid, inet, decimal, varint, date, time and timestamp as usual (2026-01-02T03:04:05.678Z); a date or timestamp outside of the years
1 to 9999 as its number of days or milliseconds since 1970; blob as 0x and hexadecimal digits; duration as 1y2mo3d4h5m6s; lists,
sets, vectors and tuples as JSON arrays, maps as objects (with keys that are nested themselves: as arrays of pairs), user types as
objects. In a cell of CSV it stands as it is, in JSON within quotes where it is no number, boolean, array or object.
"""

from __future__ import annotations

import decimal
import ipaddress
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from acsylla_like._native import CqlType
from acsylla_like.types import Duration

__all__ = ["Number", "Texts", "cells_of", "csv_lines", "json_lines", "json_texts", "kind_of", "load_json", "load_type", "takes_text"]

_EPOCH = datetime(1970, 1, 1)
# Days since 1970 of the years that have a usual form.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_DAY_MS = 86_400_000

# ---- Arrow data to text


def cells_of(array: Any) -> tuple[Any, bool]:
    """The text form of each value, null where it is null, and whether each is JSON as it stands (but for NaN and the infinities)."""
    kind = array.type
    if isinstance(kind, pa.DictionaryType):
        return cells_of(array.dictionary_decode())
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return _texts(array.storage, lambda value: str(uuid.UUID(bytes=value))), False
        return cells_of(array.storage)
    if pa.types.is_null(kind):
        return array.cast(pa.string()), False
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return array.cast(pa.string()), True
    if pa.types.is_floating(kind):
        return _float_cells(array), True
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is(kind, "is_string_view"):
        return array.cast(pa.string()), False
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or _is(kind, "is_binary_view"):
        return _texts(array, lambda value: f"0x{value.hex()}"), False
    if pa.types.is_date(kind):
        return _date_cells(array.cast(pa.date32())), False
    if pa.types.is_timestamp(kind):
        return _timestamp_cells(array), False
    if pa.types.is_time(kind):
        return array.cast(pa.time64("ns")).cast(pa.string()), False
    if pa.types.is_duration(kind):
        return _texts(array.cast(pa.duration("ns")).cast(pa.int64()), lambda value: str(Duration(0, 0, value))), False
    if kind == pa.month_day_nano_interval():
        return _texts(array, _interval_text), False
    if pa.types.is_nested(kind):
        items = json_list(array)
        valid = array.is_valid().to_pylist()
        return pa.array([item if is_valid else None for item, is_valid in zip(items, valid, strict=True)], pa.string()), True
    return array.cast(pa.string()), False


def _is(kind: Any, name: str) -> bool:
    """A question that not every pyarrow knows."""
    question = getattr(pa.types, name, None)
    return question is not None and question(kind)


def _texts(array: Any, text: Callable[[Any], str]) -> Any:
    return pa.array([None if value is None else text(value) for value in array.to_pylist()], pa.string())


def _float_cells(array: Any) -> Any:
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    cells = array.cast(pa.string())
    # As a whole number it would be read without its sign.
    cells = pc.if_else(pc.equal(cells, "-0"), "-0.0", cells)
    if pc.all(pc.is_finite(array), min_count=0).as_py():
        return cells
    for is_kind, text in (
        (pc.is_nan(array), "NaN"),
        (pc.equal(array, math.inf), "Infinity"),
        (pc.equal(array, -math.inf), "-Infinity"),
    ):
        cells = pc.if_else(is_kind, text, cells)
    return cells


def _with_numbers(cells: Any, numbers: Any, first: int, last: int) -> Any:
    """`cells`, with the number itself where it is not in first…last."""
    usual = pc.and_(pc.greater_equal(numbers, first), pc.less_equal(numbers, last))
    return pc.if_else(usual, cells, numbers.cast(pa.string()))


def _date_cells(array: Any) -> Any:
    return _with_numbers(array.cast(pa.string()), array.cast(pa.int32()).cast(pa.int64()), _FIRST_DAY, _LAST_DAY)


def _timestamp_cells(array: Any) -> Any:
    unit = array.type.unit
    numbers = array.cast(pa.int64())
    cells = pc.replace_substring(numbers.cast(pa.timestamp(unit)).cast(pa.string()), " ", "T")
    cells = pc.binary_join_element_wise(cells, "Z", "")
    if unit in ("us", "ns"):
        return cells  # of nanoseconds all are within these years; microseconds have no number of their own in CQL
    per_day = _DAY_MS if unit == "ms" else 86_400
    if unit == "s":
        numbers_ms = pc.multiply(numbers, 1000)
        usual = pc.and_(pc.greater_equal(numbers, _FIRST_DAY * per_day), pc.less(numbers, (_LAST_DAY + 1) * per_day))
        return pc.if_else(usual, cells, numbers_ms.cast(pa.string()))
    return _with_numbers(cells, numbers, _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day - 1)


def _interval_text(value: Any) -> str:
    months, days, nanoseconds = value
    try:
        return str(Duration(months, days, nanoseconds))
    except ValueError:  # of mixed signs, which CQL does not have
        return f"{months}mo{days}d{nanoseconds}ns"


# ---- Arrow data to JSON

_TO_ESCAPE = r'["\\\x00-\x1f\x7f]'


def _quoted(cells: Any) -> Any:
    """Cells as JSON strings."""
    found = pc.match_substring_regex(cells, _TO_ESCAPE)
    if pc.any(found, min_count=0).as_py():
        return _texts(cells, lambda text: json.dumps(text, ensure_ascii=False))
    return pc.binary_join_element_wise('"', cells, '"', "")


def json_texts(array: Any) -> Any:
    """The JSON of each value, "null" where it is null."""
    cells, is_json = cells_of(array)
    if not is_json:
        cells = _quoted(cells)
    elif pa.types.is_floating(array.type) and not pc.all(pc.is_finite(array), min_count=0).as_py():
        cells = pc.if_else(pc.is_finite(array), cells, pc.binary_join_element_wise('"', cells, '"', ""))
    return pc.fill_null(cells, "null")


def json_list(array: Any) -> list[str]:
    """The JSON of each value, of nested types too."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name != "arrow.uuid":
        return json_list(array.storage)
    if pa.types.is_map(kind):
        return _json_of_maps(array)
    if pa.types.is_struct(kind):
        return _json_of_structs(array)
    if pa.types.is_nested(kind):
        return _json_of_lists(array)
    texts: list[str] = json_texts(array).to_pylist()
    return texts


def _json_of_lists(array: Any) -> list[str]:
    # Not by flatten(), which fails where uuids are within and lists are null.
    size = len(array)
    if pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        starts = [(array.offset + i) * width for i in range(size)]
        ends = [start + width for start in starts]
    elif hasattr(array, "sizes"):  # a view
        starts = array.offsets.to_pylist()[:size]
        ends = [start + length for start, length in zip(starts, array.sizes.to_pylist(), strict=True)]
    else:
        offsets = array.offsets.to_pylist()
        starts, ends = offsets[:-1], offsets[1:]
    first, last = min(starts, default=0), max(ends, default=0)
    items = json_list(array.values[first:last])
    return [
        "[" + ", ".join(items[start - first : end - first]) + "]" if is_valid else "null"
        for start, end, is_valid in zip(starts, ends, array.is_valid().to_pylist(), strict=True)
    ]


def _json_of_maps(array: Any) -> list[str]:
    offsets = array.offsets.to_pylist()
    first, last = (offsets[0], offsets[-1]) if offsets else (0, 0)
    keys, items = array.keys[first:last], json_list(array.items[first:last])
    is_object = not pa.types.is_nested(keys.type)
    names = _quoted(cells_of(keys)[0]).to_pylist() if is_object else json_list(keys)
    entries = [f"{name}: {item}" if is_object else f"[{name}, {item}]" for name, item in zip(names, items, strict=True)]
    opening, closing = "{}" if is_object else "[]"
    return [
        opening + ", ".join(entries[start - first : end - first]) + closing if is_valid else "null"
        for start, end, is_valid in zip(offsets, offsets[1:], array.is_valid().to_pylist(), strict=False)
    ]


def _json_of_structs(array: Any) -> list[str]:
    names = [field.name for field in array.type]
    fields = [json_list(child) for child in array.flatten()]
    valid = array.is_valid().to_pylist()
    if not fields:
        return ["{}" if is_valid else "null" for is_valid in valid]
    if names == [str(i) for i in range(len(names))]:  # a tuple
        texts = ["[" + ", ".join(values) + "]" for values in zip(*fields, strict=True)]
    else:
        keys = [json.dumps(name, ensure_ascii=False) for name in names]
        texts = [
            "{" + ", ".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True)) + "}"
            for values in zip(*fields, strict=True)
        ]
    return [text if is_valid else "null" for text, is_valid in zip(texts, valid, strict=True)]


# ---- whole lines


def _joined(lines: Any) -> Any:
    """A buffer with all lines, each ended."""
    ended = pc.binary_join_element_wise(lines, "", "\n")
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(ended)], pa.int32()), ended), "")
    return joined[0].as_buffer()


def json_lines(batch: Any) -> Any:
    """The rows as JSON Lines, in a buffer."""
    parts: list[Any] = []
    for i, name in enumerate(batch.schema.names):
        parts += [("{" if i == 0 else ", ") + json.dumps(name, ensure_ascii=False) + ": ", json_texts(batch.column(i))]
    return _joined(pc.binary_join_element_wise(*parts, "}", ""))


def csv_lines(batch: Any, delimiter: str, null: str) -> Any:
    """The rows as CSV, in a buffer."""
    to_quote = f'["\\r\\n{re.escape(delimiter)}]|^{re.escape(null)}$|^$'
    columns = []
    for column in batch.columns:
        cells, _ = cells_of(column)
        found = pc.match_substring_regex(cells, to_quote)
        if pc.any(found, min_count=0).as_py():
            quoted = pc.binary_join_element_wise('"', pc.replace_substring(cells, '"', '""'), '"', "")
            cells = pc.if_else(found, quoted, cells)
        columns.append(pc.fill_null(cells, null))
    return _joined(pc.binary_join_element_wise(*columns, delimiter))


# ---- CQL types


def kind_of(cql_type: CqlType) -> str:
    """Which of CQL's types it is: "int", "list", "vector", "udt"; "custom" for one that is read as bytes."""
    if cql_type.field_names:
        return "udt"
    if cql_type.dimension >= 0:
        return "vector"
    name = cql_type.name
    while name.startswith("frozen<"):
        name = name[7:-1]
    name = name.partition("<")[0]
    return name if name in _SIMPLE or name in ("list", "set", "map", "tuple") else "custom"


_SIMPLE: dict[str, Any] = {
    "ascii": pa.string(),
    "text": pa.string(),
    "varchar": pa.string(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "counter": pa.int64(),
    "varint": pa.string(),
    "decimal": pa.string(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "uuid": pa.string(),
    "timeuuid": pa.string(),
    "inet": pa.string(),
    "blob": pa.binary(),
    "timestamp": pa.timestamp("ms", "UTC"),
    "date": pa.date32(),
    "time": pa.time64("ns"),
    "duration": pa.month_day_nano_interval(),
}
_TEXT_KINDS = ("ascii", "text", "varchar")
_NESTED = ("list", "set", "vector", "map", "tuple", "udt")
_JSON_NUMBERS = ("tinyint", "smallint", "int", "bigint")
# The types whose text `copy_from` reads by itself.
_READ_AS_TEXT = (*_TEXT_KINDS, "uuid", "timeuuid", "inet", "decimal", "varint")


def takes_text(cql_type: CqlType) -> bool:
    """Whether `copy_from` reads such values from text."""
    return kind_of(cql_type) in _READ_AS_TEXT


def load_type(cql_type: CqlType) -> Any:
    """The Arrow type in which values of text reach `copy_from`."""
    kind = kind_of(cql_type)
    types = cql_type.types
    if kind in ("list", "set", "vector"):
        return pa.list_(load_type(types[0]))
    if kind == "map":
        return pa.map_(load_type(types[0]), load_type(types[1]))
    if kind == "tuple":
        return pa.struct([(str(i), load_type(part)) for i, part in enumerate(types)])
    if kind == "udt":
        return pa.struct([(name, load_type(part)) for name, part in zip(cql_type.field_names, types, strict=True)])
    return _SIMPLE.get(kind, pa.binary())


# ---- text to Arrow data


class Number(str):
    """A number with a fraction or exponent as JSON writes it, for types that want it exactly."""

    __slots__ = ()


def load_json(line: str, *, exactly: bool) -> Any:
    """The value of a JSON text, with numbers as Number where they are not whole and wanted exactly."""
    return _EXACT.decode(line) if exactly else _PLAIN.decode(line)


# Made once: json.loads makes one for each call that asks for Number.
_EXACT, _PLAIN = json.JSONDecoder(parse_float=Number), json.JSONDecoder()


class Texts:
    """Text forms of one CQL type to Arrow data."""

    def __init__(self, cql_type: CqlType, *, truncate: bool = False, checks: bool = False) -> None:
        """With `checks` what `copy_from` would refuse is refused here."""
        self.arrow_type = load_type(cql_type)
        self.truncated = 0
        self._type = cql_type
        self._kind = kind_of(cql_type)
        self._truncate = truncate
        self._checks = checks and self._kind in _READ_AS_TEXT and self._kind not in ("text", "varchar")
        self._casts = _CASTS.get(self._kind, ())

    def of_cells(self, cells: Any) -> tuple[Any, dict[int, str]]:
        """Cells, an Arrow array of strings, as values; and why some of them, by their place, are none (they are null then)."""
        if self.arrow_type == pa.string() and not self._checks:
            return cells, {}
        refused: dict[int, str] = {}
        parts = list(self._cast(cells, 0, refused))
        return pa.concat_arrays(parts) if parts else pa.array([], self.arrow_type), refused

    def _cast(self, cells: Any, start: int, refused: dict[int, str]) -> Iterable[Any]:
        """Casts whole stretches; one that has a value that cannot be cast is cut in two until this is alone."""
        for cast in self._casts:
            try:
                yield cast(cells).cast(self.arrow_type)
                return
            except pa.ArrowInvalid:
                continue
        if len(cells) <= 1 or not self._casts:
            yield self._one_by_one(cells.to_pylist(), self._of_cell, start, refused)
            return
        middle = len(cells) // 2
        yield from self._cast(cells[:middle], start, refused)
        yield from self._cast(cells[middle:], start + middle, refused)

    def of_json(self, values: Sequence[Any]) -> tuple[Any, dict[int, str]]:
        """JSON values as `load_json` gives them; likewise."""
        kinds = set(map(type, values)) - {type(None)}
        try:
            if (self._kind in _JSON_NUMBERS and kinds <= {int}) or (self._kind == "boolean" and kinds <= {bool}):
                return pa.array(values, self.arrow_type), {}
            if self._kind not in _NESTED and kinds <= {str}:
                return self.of_cells(pa.array(values, pa.string()))
            if self._kind in ("float", "double") and kinds <= {int, float, Number}:
                return self.of_cells(pa.array([None if value is None else str(value) for value in values], pa.string()))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            pass  # one by one it is seen which
        refused: dict[int, str] = {}
        return self._one_by_one(values, self._of_json, 0, refused), refused

    def _one_by_one(self, values: Iterable[Any], convert: Callable[[Any], Any], start: int, refused: dict[int, str]) -> Any:
        converted = []
        for i, value in enumerate(values, start):
            try:
                converted.append(None if value is None else convert(value))
            except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
                refused[i] = f"{_shown(value)} is no value of type {self._type.name}{f': {error}' if str(error) else ''}"
                converted.append(None)
        return pa.array(converted, self.arrow_type)

    def _of_cell(self, text: str) -> Any:
        if self._kind in _NESTED:
            return self._of_json(load_json(text, exactly=True))
        return self._scalar(text, self._kind)

    def _of_json(self, value: Any) -> Any:
        return self._nested(value, self._type)

    def _nested(self, value: Any, cql_type: CqlType) -> Any:
        if value is None:
            return None
        kind, types = kind_of(cql_type), cql_type.types
        if kind in ("list", "set", "vector"):
            if not isinstance(value, list):
                raise ValueError("an array is expected")
            if kind == "vector" and len(value) != cql_type.dimension:
                raise ValueError(f"{cql_type.dimension} items are expected, not {len(value)}")
            return [self._nested(item, types[0]) for item in value]
        if kind == "map":
            if not isinstance(value, (dict, list)):
                raise ValueError("an object or an array of pairs is expected")
            entries = value.items() if isinstance(value, dict) else value
            return [(self._nested(key, types[0]), self._nested(item, types[1])) for key, item in entries]
        if kind == "tuple":
            if not isinstance(value, list) or len(value) > len(types):
                raise ValueError(f"an array of {len(types)} is expected")
            return {str(i): self._nested(item, types[i]) for i, item in enumerate(value)}
        if kind == "udt":
            names = cql_type.field_names
            if isinstance(value, list) and len(value) <= len(names):
                value = dict(zip(names, value, strict=False))
            if not isinstance(value, dict):
                raise ValueError("an object is expected")
            for name in value:
                if name not in names:
                    raise ValueError(f"there is no field {name!r}, only {', '.join(names)}")
            return {name: self._nested(value.get(name), part) for name, part in zip(names, types, strict=True)}
        if isinstance(value, str) and not isinstance(value, Number):
            return self._scalar(value, kind)
        if kind == "boolean" and isinstance(value, bool):
            return value
        if not isinstance(value, (list, dict, bool)) and kind in _NUMBERS:
            return self._scalar(repr(value) if isinstance(value, float) else str(value), kind)
        raise ValueError("a string is expected" if kind not in _NUMBERS else "a number is expected")

    def _scalar(self, text: str, kind: str) -> Any:
        if kind == "timestamp":
            milliseconds, rest = _timestamp(text)
            if rest:
                if not self._truncate:
                    raise ValueError("it has parts of a millisecond: --truncate cuts them")
                self.truncated += 1
            return milliseconds
        value = _SCALARS.get(kind, _blob)(text)
        if kind in _RANGES:
            bits = _RANGES[kind]
            if not -1 << (bits - 1) <= value < 1 << (bits - 1):
                raise ValueError(f"it does not fit {bits} bits")
        return value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else f"{text[:97]}…"


_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
_FRACTION = re.compile(r"\s*[+-]?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?\s*")
_TIMESTAMP = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?\s*", re.ASCII
)
_TIME = re.compile(r"\s*(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*", re.ASCII)
_DURATION = re.compile(
    r"\s*(-)?(?:(\d+)y)?(?:(\d+)mo)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?(?:(\d+)(?:us|µs))?(?:(\d+)ns)?\s*",
    re.ASCII | re.IGNORECASE,
)


def _int(text: str) -> int:
    if _WHOLE.fullmatch(text):
        return int(text)
    if not _FRACTION.fullmatch(text):
        raise ValueError
    number = decimal.Decimal(text.strip())
    if abs(number.adjusted()) > 10_000 or number != number.to_integral_value():
        raise ValueError("it is not whole")
    return int(number)


def _varint(text: str) -> str:
    # Python refuses to convert thousands of digits.
    return text.strip().removeprefix("+") if _WHOLE.fullmatch(text) else str(_int(text))


def _decimal(text: str) -> str:
    if not _FRACTION.fullmatch(text):
        raise ValueError
    return str(decimal.Decimal(text.strip()))


def _float(text: str) -> float:
    if "_" in text:
        raise ValueError
    number = float(text)
    if math.isinf(number) and "inf" not in text.lower():
        raise ValueError("it is too large")
    return number


def _float32(text: str) -> float:
    number = _float(text)
    if math.isfinite(number) and abs(number) > 3.4028235677973366e38:
        raise ValueError("it is too large")
    # As Arrow reads it: rounded once, not by way of a double.
    return float(pc.cast(pa.scalar(text.strip()), pa.float32()).as_py()) if math.isfinite(number) else number


def _boolean(text: str) -> bool:
    known = {"true": True, "false": False, "1": True, "0": False}
    if text.strip().lower() not in known:
        raise ValueError
    return known[text.strip().lower()]


def _blob(text: str) -> bytes:
    if text[:2] not in ("0x", "0X"):
        raise ValueError("0x and hexadecimal digits are expected")
    if re.search(r"\s", text):
        raise ValueError
    return bytes.fromhex(text[2:])


def _ascii(text: str) -> str:
    text.encode("ascii")
    return text


def _text(text: str) -> str:
    text.encode()  # no lone surrogates
    return text


def _nanoseconds(hours: str | None, minutes: str | None, seconds: str | None, fraction: str | None) -> int:
    h, m, s = int(hours or 0), int(minutes or 0), int(seconds or 0)
    if h > 23 or m > 59 or s > 59:
        raise ValueError
    return (h * 3600 + m * 60 + s) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def _timestamp(text: str) -> tuple[int, int]:
    """Milliseconds since 1970, and the nanoseconds above."""
    if _WHOLE.fullmatch(text):
        number = int(text)
        if not -1 << 63 <= number < 1 << 63:
            raise ValueError("it does not fit 64 bits")
        return number, 0
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError
    year, month, day, *time, zone = match.groups()
    day_number = (datetime(int(year), int(month), int(day)) - _EPOCH) // timedelta(days=1)
    nanoseconds = day_number * _DAY_MS * 1_000_000 + _nanoseconds(*time)
    if zone and zone != "Z":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        offset = (int(digits[:2]) * 60 + int(digits[2:])) * 60 * 1_000_000_000
        nanoseconds -= offset if zone[0] == "+" else -offset
    return divmod(nanoseconds, 1_000_000)


def _date(text: str) -> int:
    if _WHOLE.fullmatch(text):
        return int(text)
    match = re.fullmatch(r"\s*(\d{4})-(\d\d)-(\d\d)\s*", text, re.ASCII)
    if match is None:
        raise ValueError
    year, month, day = map(int, match.groups())
    return (datetime(year, month, day) - _EPOCH).days


def _time(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError
    return _nanoseconds(*match.groups())


def _duration(text: str) -> tuple[int, int, int]:
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        raise ValueError("it is written as 1y2mo3d4h5m6s7ms8us9ns")
    sign = -1 if match[1] else 1
    years, months, weeks, days, hours, minutes, seconds, ms, us, ns = (int(part or 0) for part in match.groups()[1:])
    nanoseconds = (((hours * 60 + minutes) * 60 + seconds) * 1000 + ms) * 1_000_000 + us * 1000 + ns
    value = Duration(sign * (years * 12 + months), sign * (weeks * 7 + days), sign * nanoseconds)
    return value.months, value.days, value.nanoseconds


def _inet(text: str) -> str:
    if "%" in text:
        raise ValueError
    return str(ipaddress.ip_address(text.strip()))


def _uuid(text: str) -> str:
    return str(uuid.UUID(text.strip()))


_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "ascii": _ascii,
    **dict.fromkeys(("text", "varchar"), _text),
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint", "counter"), _int),
    "varint": _varint,
    "decimal": _decimal,
    "float": _float32,
    "double": _float,
    "boolean": _boolean,
    **dict.fromkeys(("uuid", "timeuuid"), _uuid),
    "inet": _inet,
    "blob": _blob,
    "date": _date,
    "time": _time,
    "duration": _duration,
}
_RANGES = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "counter": 64, "date": 32}
_NUMBERS = ("tinyint", "smallint", "int", "bigint", "counter", "varint", "decimal", "float", "double", "timestamp", "date")


def _cast_to(arrow_type: Any) -> Callable[[Any], Any]:
    return lambda cells: cells.cast(arrow_type)


def _cast_float(arrow_type: Any) -> Callable[[Any], Any]:
    def cast(cells: Any) -> Any:
        numbers = cells.cast(arrow_type)
        if pc.any(pc.and_(pc.is_inf(numbers), pc.invert(pc.match_substring(cells, "inf", ignore_case=True))), min_count=0).as_py():
            raise pa.ArrowInvalid("too large")
        return numbers

    return cast


def _cast_time(cells: Any) -> Any:
    moments = pc.binary_join_element_wise("1970-01-01 ", cells, "").cast(pa.timestamp("ns"))
    return moments.cast(pa.int64()).cast(pa.time64("ns"))


# Whole columns at once; what these refuse is looked at value by value, so they take no text for another value than that does.
_CASTS: Mapping[str, tuple[Callable[[Any], Any], ...]] = {
    **{kind: (_cast_to(_SIMPLE[kind]),) for kind in ("tinyint", "smallint", "int", "bigint", "boolean", "date")},
    **{kind: (_cast_float(_SIMPLE[kind]),) for kind in ("float", "double")},
    "timestamp": (_cast_to(pa.timestamp("ms", "UTC")), _cast_to(pa.timestamp("ms"))),
    "time": (_cast_time,),
}
