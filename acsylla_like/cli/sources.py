"""The rows of the files, block by block, each with its number; and those that cannot even be read."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from acsylla_like.cli.formats import Format, Input
from acsylla_like.cli.options import Exit, Problem
from acsylla_like.cli.refused import ERROR_COLUMNS, Refusal
from acsylla_like.cli.text import json_texts, load_json

__all__ = ["Block", "Source", "open_source"]

# Bytes of CSV and Parquet, lines of JSON, and rows of Arrow data at most that are read at a time. A line of CSV has to fit.
_BYTES = 4 << 20
_JSON_LINES = 10_000
_ARROW_ROWS = 16_384
_MARK = b"\xef\xbb\xbf"


@dataclass
class Block:
    """Rows that follow each other in the input."""

    first: int
    """The number of the first one, counted over all files from 0 on."""
    count: int
    """How many there are, with those that could not be read."""
    rows: Any
    """Those that could: a record batch, or a list of dicts from JSON."""
    numbers: Sequence[int]
    """Their numbers."""
    lines: list[str] = field(default_factory=list)
    """Of JSON, as they were written."""
    unread: list[Refusal] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(map(len, self.lines)) * 5 if self.lines else int(getattr(self.rows, "nbytes", 0))

    def refusal(self, place: int, column: str | None, reason: str) -> Refusal:
        """The row at `place` of those that could be read, as one that is refused."""
        number = self.numbers[place]
        if self.lines:
            return Refusal(number, column, reason, line=self.lines[place])
        row = self.rows.slice(place, 1)
        values: dict[str, Any] = {}
        for name, cell in zip(row.schema.names, row.columns, strict=True):
            if pa.types.is_binary(cell.type) and row.schema.metadata == _CSV:
                bytes_ = cell[0].as_py()
                values[name] = None if bytes_ is None else bytes_.decode("utf-8", "surrogateescape")
            else:
                values[name] = load_json(json_texts(cell)[0].as_py(), exactly=True)
        return Refusal(number, column, reason, values=values)


# What tells a batch of CSV, whose cells are bytes until they are known to be text.
_CSV = {b"acsylla_like": b"csv"}


class Source:
    """One file's rows."""

    names: tuple[str, ...] | None
    """Its columns; None for JSON, where each line has its own."""
    schema: Any = None
    """The Arrow schema of a file that has one."""
    total: int | None = None
    """How many rows there are, where the file tells."""
    is_text = False
    """Whether the values are cells of CSV."""
    exactly = True
    """Whether numbers of JSON that are not whole are kept as they are written."""
    rows = 0
    """How many rows `blocks` has passed."""

    def __init__(self, file: Input) -> None:
        self.file = file

    def blocks(self, first: int, skip: int) -> Iterator[Block]:
        """The rows from the `skip`-th on; the number of the file's first one is `first`. Whole blocks: the first may begin before."""
        raise NotImplementedError

    def close(self) -> None:
        self.file.close()


class _Arrow(Source):
    """Record batches, whoever gives them."""

    def batches(self, skip: int) -> Iterator[tuple[int, Any]]:
        """With the number of rows before each."""
        raise NotImplementedError

    def blocks(self, first: int, skip: int) -> Iterator[Block]:
        for before, batch in self.batches(skip):
            for start in range(0, batch.num_rows, _ARROW_ROWS):
                part = batch.slice(start, _ARROW_ROWS)
                number = first + before + start
                yield Block(number, part.num_rows, part, range(number, number + part.num_rows))


class _Parquet(_Arrow):
    def __init__(self, file: Input) -> None:
        super().__init__(file)
        self._file = pa.parquet.ParquetFile(file.seekable(), pre_buffer=False)  # else all row groups are in memory in the end
        self.schema = self._file.schema_arrow
        self.names = tuple(self.schema.names)
        self.total = total = self._file.metadata.num_rows
        size = sum(self._file.metadata.row_group(i).total_byte_size for i in range(self._file.num_row_groups))
        self._rows_at_a_time = max(1, min(_ARROW_ROWS, total * _BYTES // max(1, size)))

    def batches(self, skip: int) -> Iterator[tuple[int, Any]]:
        before = 0
        groups = range(self._file.num_row_groups)
        sizes = [self._file.metadata.row_group(i).num_rows for i in groups]
        while groups and before + sizes[groups[0]] <= skip:
            before += sizes[groups[0]]
            groups = groups[1:]
        self.rows = before
        for batch in self._file.iter_batches(self._rows_at_a_time, row_groups=list(groups)) if groups else ():
            if before + batch.num_rows > skip:
                yield before, batch
            before += batch.num_rows
            self.rows = before


class _Ipc(_Arrow):
    """Either of Arrow's own formats; the first bytes tell which."""

    def __init__(self, file: Input) -> None:
        super().__init__(file)
        stream = file.stream()
        self._is_file = stream.peek(6)[:6] == b"ARROW1"  # type: ignore[attr-defined]
        self._reader = pa.ipc.open_file(file.seekable()) if self._is_file else pa.ipc.open_stream(pa.PythonFile(stream, mode="r"))
        self.schema = self._reader.schema
        self.names = tuple(self.schema.names)

    def batches(self, skip: int) -> Iterator[tuple[int, Any]]:
        before = 0
        reader = self._reader
        for batch in map(reader.get_batch, range(reader.num_record_batches)) if self._is_file else reader:
            if before + batch.num_rows > skip:
                yield before, batch
            before += batch.num_rows
            self.rows = before


class _Csv(Source):
    is_text = True

    def __init__(self, file: Input, names: Sequence[str] | None) -> None:
        """`names` are those of a file without a header."""
        super().__init__(file)
        self._form = file.form
        self._stream = file.stream()
        if self._form.has_header:
            self.names = _header(self._stream, self._form)
        elif names is None:
            raise Problem("--no-header needs --columns: the names of all columns, in their order", Exit.MISTAKE)
        else:
            self.names = tuple(names)
        for name in self.names:
            if self.names.count(name) > 1:
                raise Problem(f"{file.name}: two columns are called {name!r}", Exit.MISTAKE)
        self._malformed: list[Any] = []

    def _on_malformed(self, row: Any) -> str:
        self._malformed.append(row)
        return "skip"

    def _reader(self) -> Any:
        assert self.names is not None
        null = self._form.null
        return pa.csv.open_csv(
            pa.PythonFile(self._stream, mode="r"),
            # In one thread, so that lines that cannot be read have a number.
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=_BYTES, column_names=list(self.names)),
            parse_options=pa.csv.ParseOptions(
                delimiter=self._form.delimiter,
                newlines_in_values=True,
                # Of one column, an empty line is a null.
                ignore_empty_lines=len(self.names) > 1,
                invalid_row_handler=self._on_malformed,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(self.names, pa.binary()),
                null_values=[null],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def blocks(self, first: int, skip: int) -> Iterator[Block]:
        assert self.names is not None
        if not self._stream.peek(1):  # type: ignore[attr-defined]
            return
        try:
            before = 0
            for batch in self._reader():
                # The rows of a batch have the numbers that malformed lines have not. (They count from 1.)
                numbers, unread = [], []
                number = before
                for _ in range(batch.num_rows):
                    while self._malformed and self._malformed[0].number - 1 == number:
                        unread.append(self._unread(first, number, self._malformed.pop(0)))
                        number += 1
                    numbers.append(first + number)
                    number += 1
                if number > skip:
                    block = batch.replace_schema_metadata(_CSV)
                    yield Block(first + before, number - before, block, numbers, unread=unread)
                before = self.rows = number
        except pa.ArrowInvalid as error:
            raise Problem(f"{self.file.name}: {error}") from None
        if self._malformed:
            rest = [self._unread(first, row.number - 1, row) for row in self._malformed]
            end = self._malformed[-1].number
            self._malformed, self.rows = [], end
            if end > skip:
                yield Block(first + before, end - before, [], [], unread=rest)

    def _unread(self, first: int, number: int, row: Any) -> Refusal:
        return Refusal(first + number, None, f"{row.expected_columns} cells expected, {row.actual_columns} found", raw=row.text)


def _header(stream: BinaryIO, form: Format) -> tuple[str, ...]:
    """Takes the first line, which may have line ends within quotes, off the stream."""
    line = stream.readline()
    line = line.removeprefix(_MARK)
    while line.count(b'"') % 2:
        more = stream.readline()
        if not more:
            break
        line += more
    try:
        names = next(csv.reader(io.StringIO(line.decode()), delimiter=form.delimiter), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"the header of the CSV cannot be read: {error}", Exit.MISTAKE) from None
    if not names:
        raise Problem("the CSV is empty: not even a line with names", Exit.MISTAKE)
    return tuple(names)


class _Json(Source):
    names = None

    def __init__(self, file: Input) -> None:
        super().__init__(file)
        self._stream = file.stream()

    def blocks(self, first: int, skip: int) -> Iterator[Block]:
        start = number = first
        while True:
            part = list(itertools.islice(self._stream, _JSON_LINES))
            if not part:
                return
            numbers: list[int] = []
            block = Block(start, 0, [], numbers)
            for raw in part:
                if start == first and number == first:
                    raw = raw.removeprefix(_MARK)
                if raw.isspace():
                    continue
                if number - first >= skip:
                    self._read(raw, number, block, numbers)
                number += 1
            block.count = number - start
            if number - first > skip:
                yield block
            start = number
            self.rows = number - first

    def _read(self, raw: bytes, number: int, block: Block, numbers: list[int]) -> None:
        text = None
        try:
            text = raw.decode().strip("\r\n")
            value = load_json(text, exactly=self.exactly)
            if not isinstance(value, dict):
                raise ValueError("an object is expected")
        except (ValueError, RecursionError) as error:
            reason = "it is not UTF-8" if text is None else f"it is no JSON object: {error}"
            line = raw.decode("utf-8", "surrogateescape").strip("\r\n")
            block.unread.append(Refusal(number, None, reason, raw=line))
            return
        block.rows.append(value)
        block.lines.append(text)
        numbers.append(number)


def open_source(file: Input, *, names: Sequence[str] | None = None) -> Any:
    """The rows of a file; `names` are those of a CSV without a header. Raises Problem when it is not what it should be."""
    try:
        if file.form.name == "csv":
            return _Csv(file, names)
        if file.form.name == "jsonl":
            return _Json(file)
        return _Parquet(file) if file.form.name == "parquet" else _Ipc(file)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Problem(f"{file.name} is no {file.form.name} that can be read: {error}", Exit.MISTAKE) from None


def without_error_columns(names: Sequence[str]) -> list[str]:
    """What an error file has beside the row's own columns is not loaded."""
    return [name for name in names if name not in ERROR_COLUMNS]
