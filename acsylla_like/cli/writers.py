"""Record batches into a file, as they come."""

from __future__ import annotations

from typing import Any, Protocol

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from acsylla_like.cli.formats import Format
from acsylla_like.cli.text import cells_of, csv_lines, json_lines

__all__ = ["Writer", "open_writer"]

# Rows of text that are made at a time.
_LINES = 1000
# Bytes of rows that wait for their row group at most.
_GROUP_BYTES = 64 << 20


class Writer(Protocol):
    def write(self, batch: Any) -> None: ...
    def close(self) -> None:
        """Writes what is left. The file under it stays open."""


class _Csv:
    def __init__(self, sink: Any, schema: Any, form: Format) -> None:
        self._sink = sink
        self._form = form
        if form.has_header:
            names = pa.record_batch([[name] for name in schema.names], names=schema.names)
            # A name that is the text of null is no null.
            sink.write(csv_lines(names, form.delimiter, form.null))

    def write(self, batch: Any) -> None:
        for start in range(0, batch.num_rows, _LINES):
            self._sink.write(csv_lines(batch.slice(start, _LINES), self._form.delimiter, self._form.null))

    def close(self) -> None:
        pass


class _Json:
    def __init__(self, sink: Any) -> None:
        self._sink = sink

    def write(self, batch: Any) -> None:
        for start in range(0, batch.num_rows, _LINES):
            self._sink.write(json_lines(batch.slice(start, _LINES)))

    def close(self) -> None:
        pass


class _Ipc:
    def __init__(self, sink: Any, schema: Any, *, is_file: bool) -> None:
        self._writer = (pa.ipc.new_file if is_file else pa.ipc.new_stream)(sink, schema)

    def write(self, batch: Any) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()


class _Parquet:
    """Parquet has no durations of months, days and nanoseconds, and pyarrow before 26 does not read nulls among lists of a fixed
    size: columns with these are text."""

    def __init__(self, sink: Any, schema: Any, codec: str, row_group: int) -> None:
        self._as_text = [_is_text_in_parquet(field.type) for field in schema]
        fields = [pa.field(field.name, pa.string()) if is_text else field for field, is_text in zip(schema, self._as_text, strict=True)]
        self._schema = pa.schema(fields)
        self._writer = pa.parquet.ParquetWriter(sink, self._schema, compression=codec)
        self._row_group = row_group
        self._waiting: list[Any] = []
        self._rows = self._bytes = 0

    def write(self, batch: Any) -> None:
        columns = [cells_of(column)[0] if is_text else column for column, is_text in zip(batch.columns, self._as_text, strict=True)]
        batch = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        while batch.num_rows:
            part = batch.slice(0, self._row_group - self._rows)
            batch = batch.slice(part.num_rows)
            self._waiting.append(part)
            self._rows += part.num_rows
            self._bytes += part.nbytes
            if self._rows >= self._row_group or self._bytes >= _GROUP_BYTES:
                self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting), row_group_size=self._row_group)
        self._waiting = []
        self._rows = self._bytes = 0

    def close(self) -> None:
        self._flush()
        self._writer.close()


def _is_text_in_parquet(kind: Any) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return False
    if pa.types.is_fixed_size_list(kind) and int(pa.__version__.partition(".")[0]) < 26:
        return True
    if pa.types.is_nested(kind):
        return any(_is_text_in_parquet(kind.field(i).type) for i in range(kind.num_fields))
    return bool(kind == pa.month_day_nano_interval())


def open_writer(sink: Any, schema: Any, form: Format, *, codec: str = "none", row_group: int = 100_000) -> Writer:
    """What writes batches of `schema` to the binary file `sink`."""
    if form.name == "csv":
        return _Csv(sink, schema, form)
    if form.name == "jsonl":
        return _Json(sink)
    if form.name == "parquet":
        return _Parquet(sink, schema, codec, row_group)
    return _Ipc(sink, schema, is_file=form.name == "arrow")
