"""`--create-table`: the table that a file's columns ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from acsylla_like.cli.options import Exit, Problem
from acsylla_like.select_star import quoted

__all__ = ["create_statement", "schema_of_cells", "schema_of_objects"]

_NAMES = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "tinyint"),
    (lambda kind: pa.types.is_int16(kind) or pa.types.is_uint8(kind), "smallint"),
    (lambda kind: pa.types.is_int32(kind) or pa.types.is_uint16(kind), "int"),
    (lambda kind: pa.types.is_int64(kind) or pa.types.is_uint32(kind), "bigint"),
    (pa.types.is_uint64, "varint"),
    (lambda kind: pa.types.is_float16(kind) or pa.types.is_float32(kind), "float"),
    (pa.types.is_float64, "double"),
    (pa.types.is_decimal, "decimal"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_timestamp, "timestamp"),
    (lambda kind: pa.types.is_duration(kind) or kind == pa.month_day_nano_interval(), "duration"),
    (lambda kind: "binary" in str(kind), "blob"),
    (lambda kind: pa.types.is_null(kind) or "string" in str(kind), "text"),
)


def _cql(kind: Any, *, is_inner: bool = False) -> str:
    """The CQL type of an Arrow type."""
    if isinstance(kind, pa.DictionaryType):
        return _cql(kind.value_type, is_inner=is_inner)
    if isinstance(kind, pa.BaseExtensionType):
        return "uuid" if kind.extension_name == "arrow.uuid" else _cql(kind.storage_type, is_inner=is_inner)
    if pa.types.is_struct(kind):
        return f"frozen<tuple<{', '.join(_cql(field.type, is_inner=True) for field in kind)}>>"
    if pa.types.is_fixed_size_list(kind) and pa.types.is_float32(kind.value_type):
        return f"vector<float, {kind.list_size}>"
    text = None
    if pa.types.is_map(kind):
        text = f"map<{_cql(kind.key_type, is_inner=True)}, {_cql(kind.item_type, is_inner=True)}>"
    elif pa.types.is_nested(kind):
        text = f"list<{_cql(kind.value_type, is_inner=True)}>"
    if text is not None:
        return f"frozen<{text}>" if is_inner else text
    for fits, name in _NAMES:
        if fits(kind):
            return name
    raise Problem(f"--create-table: there is no CQL type for Arrow's {kind}", Exit.MISTAKE)


def _key(text: str) -> tuple[list[str], list[str]]:
    """Partition key and clustering columns of `id`, `day,id` or `(a,b),c`."""
    match = re.fullmatch(r"\s*\(([^()]+)\)\s*(?:,([^()]*))?|([^()]+)", text)
    if match is None:
        raise Problem(f"--primary-key {text!r}: it is written as id, day,id or (a,b),c", Exit.MISTAKE)
    names = [[name.strip() for name in (part or "").split(",") if name.strip()] for part in match.groups()]
    return (names[0], names[1]) if match[1] else (names[2][:1], names[2][1:])


def create_statement(table: tuple[str, str], schema: Any, columns: Mapping[str, str], primary_key: str | None) -> str:
    """The CREATE TABLE; `columns` are the names in the table of those of the schema."""
    if primary_key is None:
        raise Problem("--create-table needs --primary-key", Exit.MISTAKE)
    partition, clustering = _key(primary_key)
    for name in (*partition, *clustering):
        if name not in columns.values():
            raise Problem(f"--primary-key: no column {name!r} in the data, which has {', '.join(columns.values())}", Exit.MISTAKE)
    lines = []
    for in_file, name in columns.items():
        cql = _cql(schema.field(in_file).type)
        if name in (*partition, *clustering) and cql.startswith(("list<", "map<")):
            cql = f"frozen<{cql}>"
        lines.append(f"    {quoted(name)} {cql},")
    key = ", ".join([f"({', '.join(map(quoted, partition))})", *map(quoted, clustering)])
    return "\n".join([f"CREATE TABLE IF NOT EXISTS {quoted(table[0])}.{quoted(table[1])} (", *lines, f"    PRIMARY KEY ({key})", ")"])


def schema_of_cells(batch: Any, null: str) -> Any:
    """A schema from some rows of CSV: whole numbers, numbers, true and false, dates, moments, and text else."""
    fields = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            cells = column.cast(pa.string()).drop_null()
        except pa.ArrowInvalid:
            cells = pa.array([""])
        fields.append((name, _kind_of_cells(cells)))
    return pa.schema(fields)


def _kind_of_cells(cells: Any) -> Any:
    texts = cells.to_pylist()
    if texts and all(text.lower() in ("true", "false") for text in texts):
        return pa.bool_()
    if any(re.match(r"0\d|0x", text) for text in texts):
        return pa.string()  # such as a postal code
    if texts and all(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) for text in texts):
        return pa.uuid() if hasattr(pa, "uuid") else pa.string()
    for kind in (pa.int64(), pa.float64(), pa.date32(), pa.timestamp("ms"), pa.timestamp("ms", "UTC")):
        try:
            if texts:
                cells.cast(kind)
                return kind
        except pa.ArrowInvalid:
            continue
    return pa.string()


def schema_of_objects(objects: Sequence[Mapping[str, Any]]) -> Any:
    """A schema from some objects of JSON."""
    names = list(dict.fromkeys(name for row in objects for name in row))
    fields = []
    for name in names:
        try:
            kind = pa.infer_type([row.get(name) for row in objects])
        except (pa.ArrowException, OverflowError):
            kind = pa.string()
        fields.append((name, pa.string() if pa.types.is_null(kind) else _of_objects(name, kind)))
    return pa.schema(fields)


def _of_objects(name: str, kind: Any) -> Any:
    """Objects of JSON as maps, where their values are of one type."""
    if pa.types.is_list(kind):
        return pa.list_(_of_objects(name, kind.value_type))
    if not pa.types.is_struct(kind):
        return kind
    kinds = {_of_objects(name, field.type) for field in kind}
    if len(kinds) != 1:
        raise Problem(f"--create-table: column {name!r} has objects whose values differ in type: make the table yourself", Exit.MISTAKE)
    return pa.map_(pa.string(), kinds.pop())
