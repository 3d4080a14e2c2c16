"""From the files to `copy_from`: the rows as Arrow data of the table's columns, and which row of the input each of them is.

`batches` runs on the reader's thread of the load, all else on the event loop.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from acsylla_like._native import CqlType
from acsylla_like.bulk import RowError
from acsylla_like.cli.options import Exit, Problem
from acsylla_like.cli.refused import ERROR_COLUMNS, Refusal
from acsylla_like.cli.sources import Block, Source
from acsylla_like.cli.text import Texts, kind_of, load_type, takes_text

__all__ = ["Column", "Feed", "RowRefused", "TooManyRefused"]

# Bytes of rows that were handed over and are not known to be settled. They are kept, so that a row can be written down when it
# is refused.
_MOST_UNDER_WAY = 256 << 20


class RowRefused(Exception):
    """The row that ends a load without an error file."""


class TooManyRefused(Exception):
    """There are more than `--max-errors`."""


@dataclass(frozen=True)
class Column:
    """A column that is loaded."""

    in_file: str
    name: str
    type: CqlType
    is_key: bool


@dataclass(frozen=True)
class _UnderWay:
    """Rows that were handed over."""

    start: int
    """How many were handed over before them."""
    block: Block
    places: Sequence[int]
    """Where each of them is in the block."""

    @property
    def end(self) -> int:
        return self.start + len(self.places)


class Feed:
    """The rows of all sources from the `skip`-th on."""

    def __init__(
        self,
        sources: Sequence[Source],
        columns: Sequence[Column],
        *,
        skip: int,
        refused: int,
        refuses_unknown: bool,
        collects: bool,
        most_refused: int | None,
        truncate: bool,
        checks: bool,
    ) -> None:
        """`refused` rows were so before; with `checks` what `copy_from` would refuse is refused here, as far as that is known.
        Raises Problem when the files do not go together."""
        self._sources = sources
        self._columns = columns
        self._skip = skip
        self._refuses_unknown = refuses_unknown
        self._collects = collects
        self._most_refused = most_refused
        self._checks = checks
        self._texts = {column.name: Texts(column.type, truncate=truncate, checks=checks) for column in columns}
        self.schema = self._schema_of(sources[0])
        for source in sources[1:]:
            other = self._schema_of(source)
            if other != self.schema:
                raise Problem(f"{source.file.name}: its columns have other types than those of {sources[0].file.name}", Exit.MISTAKE)
        self.refused = refused
        self.failure: BaseException | None = None
        """What ended the rows before their end."""
        self.position = skip
        """Rows of the input that were handed over or refused."""
        self._handed_over = 0
        self._under_way: deque[_UnderWay] = deque()
        self._bytes = 0
        self._waiting: list[tuple[int, int, Refusal]] = []  # a heap, by the number of the row
        self._order = itertools.count()
        self._is_closed = False
        # Guards all of these.
        self._changed = threading.Condition()

    @property
    def truncated(self) -> int:
        """Values of text that were cut to milliseconds."""
        return sum(texts.truncated for texts in self._texts.values())

    def fraction(self, settled: int) -> float | None:
        """How much of the input its first `settled` rows are, by rows where their number is known, by bytes else."""
        totals = [source.total for source in self._sources]
        if None not in totals:
            return _share(settled, sum(total or 0 for total in totals))
        sizes = [source.file.size for source in self._sources]
        if None in sizes:
            return None
        read = _share(sum(source.file.position for source in self._sources), sum(size or 0 for size in sizes))
        return read * _share(settled, self.position)

    def _schema_of(self, source: Source) -> Any:
        fields = []
        for column in self._columns:
            kind = self._texts[column.name].arrow_type
            if source.schema is not None and not self._is_text(source, column):
                kind = source.schema.field(column.in_file).type
            fields.append((column.name, kind))
        return pa.schema(fields)

    def _is_text(self, source: Source, column: Column) -> bool:
        """Whether the values are text forms that `copy_from` does not read by itself."""
        if source.schema is None:
            return True
        kind = source.schema.field(column.in_file).type
        if isinstance(kind, pa.DictionaryType):
            kind = kind.value_type
        return (pa.types.is_string(kind) or pa.types.is_large_string(kind)) and not takes_text(column.type)

    # ---- the reader's thread

    def reader(self) -> Any:
        """The rows as Arrow data."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def batches(self) -> Iterator[Any]:
        try:
            first = 0
            for source in self._sources:
                for block in source.blocks(first, max(0, self._skip - first)):
                    yield from self._take(source, block)
                    if self._is_closed:
                        return
                first += source.rows
        except BaseException as error:
            self.failure = error
            raise

    def _take(self, source: Source, block: Block) -> Iterator[Any]:
        """A block's rows as a batch, without those that are refused."""
        refusals = [refusal for refusal in block.unread if refusal.row >= self._skip]
        arrays, bad = self._convert(source, block)
        refusals += [block.refusal(place, column, reason) for place, (column, reason) in bad.items() if block.numbers[place] >= self._skip]
        places: Sequence[int] = range(len(block.numbers))
        if bad or (block.numbers and block.numbers[0] < self._skip):
            places = [place for place in places if place not in bad and block.numbers[place] >= self._skip]
        ends_with: Exception | None = None
        if refusals and not self._collects:
            first = min(refusals, key=lambda refusal: refusal.row)
            places = [place for place in places if block.numbers[place] < first.row]
            refusals, ends_with = [], RowRefused(str(first))
        with self._changed:
            self._note(refusals)
            if self._is_closed:
                return
            if places:
                self._under_way.append(_UnderWay(self._handed_over, block, places))
                self._handed_over += len(places)
                self._bytes += block.bytes
            if ends_with is None:
                self.position = block.first + block.count
            elif places:
                self.position = block.numbers[places[-1]] + 1
        if places:
            batch = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
            yield batch if len(places) == len(block.numbers) else batch.take(pa.array(places, pa.int64()))
        if ends_with is not None:
            raise ends_with
        self._check_count()
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._bytes < _MOST_UNDER_WAY)

    def _convert(self, source: Source, block: Block) -> tuple[list[Any], dict[int, tuple[str | None, str]]]:
        """The columns, and the column and reason of each row that is refused, by its place."""
        bad: dict[int, tuple[str | None, str]] = {}
        arrays = []
        if source.names is None and self._refuses_unknown:
            known = {column.in_file for column in self._columns}.union(ERROR_COLUMNS)
            for place, row in enumerate(block.rows):
                if not row.keys() <= known:
                    name = next(name for name in row if name not in known)
                    bad[place] = (name, f"there is no column {name!r} to load it into")
        for column in self._columns:
            texts = self._texts[column.name]
            if source.names is None:
                array, refused = texts.of_json([row.get(column.in_file) for row in block.rows])
            elif not block.numbers:
                array, refused = pa.array([], texts.arrow_type), {}
            else:
                array, refused = self._of_arrow(source, column, texts, block.rows.column(block.rows.schema.get_field_index(column.in_file)))
            for place, reason in refused.items():
                bad.setdefault(place, (column.name, reason))
            if self._checks and column.is_key:
                for place, is_null in enumerate(array.is_null().to_pylist()):
                    if is_null:
                        bad.setdefault(place, (column.name, "null in a column of the primary key"))
            arrays.append(array)
        return arrays, bad

    def _of_arrow(self, source: Source, column: Column, texts: Texts, array: Any) -> tuple[Any, dict[int, str]]:
        refused: dict[int, str] = {}
        if source.is_text:
            array = _utf8(array, 0, refused)
        elif not self._is_text(source, column):
            if self._checks:
                _check(array, column.type, texts, refused)
            return array, refused
        if isinstance(array.type, pa.DictionaryType):
            array = array.dictionary_decode()
        converted, more = texts.of_cells(array.cast(pa.string()))
        return converted, {**more, **refused}

    def _note(self, refusals: Sequence[Refusal]) -> None:
        for refusal in refusals:
            heapq.heappush(self._waiting, (refusal.row, next(self._order), refusal))
        self.refused += len(refusals)

    def _check_count(self) -> None:
        if self._most_refused is not None and self.refused > self._most_refused:
            raise TooManyRefused(f"more than {self._most_refused} rows were refused")

    # ---- the event loop

    def place_of(self, row: int) -> tuple[Block, int]:
        """The block and the place in it of a row by its number among those that were handed over."""
        with self._changed:
            for entry in self._under_way:
                if row < entry.end:
                    return entry.block, entry.places[row - entry.start]
        raise LookupError(f"row {row} was not handed over, or is settled")

    def refuse(self, error: RowError) -> None:
        """A row that was handed over has failed. Raises TooManyRefused."""
        block, place = self.place_of(error.row)
        reason = f"{error.message}{' (it may be written)' if error.may_be_written else ''}"
        with self._changed:
            self._note([block.refusal(place, error.column, reason)])
        self._check_count()

    def settle(self, settled: int) -> tuple[int, list[Refusal]]:
        """Of the rows that were handed over, so many are settled: how many of the input are, and which of these were refused and
        have not been given yet."""
        with self._changed:
            while self._under_way and self._under_way[0].end <= settled:
                self._bytes -= self._under_way.popleft().block.bytes
            self._changed.notify_all()
            until = self.position
            if self._under_way:
                entry = self._under_way[0]
                until = entry.block.numbers[entry.places[max(0, settled - entry.start)]]
            return until, self._pop(until)

    def rest(self) -> list[Refusal]:
        """All that were refused and not given yet."""
        with self._changed:
            return self._pop(1 << 62)

    def _pop(self, until: int) -> list[Refusal]:
        found = []
        while self._waiting and self._waiting[0][0] < until:
            found.append(heapq.heappop(self._waiting)[2])
        return found

    def close(self) -> None:
        """Has `batches` end, wherever it waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for source in self._sources:
            source.file.give_up()


def _share(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole else 1.0


def _utf8(cells: Any, start: int, refused: dict[int, str]) -> Any:
    """Cells that are bytes as text, null where they are none."""
    try:
        return cells.cast(pa.string())
    except pa.ArrowInvalid:
        if len(cells) == 1:
            refused[start] = "it is not UTF-8"
            return pa.nulls(1, pa.string())
    middle = len(cells) // 2
    return pa.concat_arrays([_utf8(cells[:middle], start, refused), _utf8(cells[middle:], start + middle, refused)])


_CASTABLE = ("tinyint", "smallint", "int", "bigint", "float", "double", "timestamp", "date", "time")


def _check(array: Any, cql_type: CqlType, texts: Texts, refused: dict[int, str], start: int = 0) -> None:
    """What `copy_from` would refuse of Arrow data, for the types where that is known."""
    if isinstance(array.type, pa.DictionaryType):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        refused.update({start + place: reason for place, reason in texts.of_cells(array.cast(pa.string()))[1].items()})
        return
    if kind_of(cql_type) not in _CASTABLE or len(array) == 0:
        return
    try:
        if pa.types.is_timestamp(array.type) and array.type.tz is None:
            array = array.cast(pa.timestamp(array.type.unit, "UTC"))
        array.cast(load_type(cql_type), safe=not pc.all(array.is_null()).as_py())
    except pa.ArrowNotImplementedError:
        return
    except pa.ArrowInvalid as error:
        if len(array) == 1:
            refused[start] = str(error)
            return
        middle = len(array) // 2
        _check(array[:middle], cql_type, texts, refused, start)
        _check(array[middle:], cql_type, texts, refused, start + middle)
