"""Rows that were refused, and the error file that keeps them whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from acsylla_like.cli.options import Exit, Problem

__all__ = ["ERROR_COLUMNS", "ErrorFile", "Refusal"]

_ROW, _COLUMN, _REASON, _RAW = "_error_row", "_error_column", "_error", "_error_raw"
ERROR_COLUMNS = (_ROW, _COLUMN, _REASON, _RAW)
"""What an error file has beside the columns of the input. `load` passes over them: a mended error file can be loaded as it is."""


@dataclass(frozen=True)
class Refusal:
    """A row that was not written, or of which that is not known."""

    row: int
    """Its number in the input, over all files, from 0 on."""
    column: str | None
    reason: str
    values: dict[str, Any] | None = None
    """The row: of CSV its cells, of Arrow data JSON values."""
    line: str | None = None
    """The row: of JSON its line."""
    raw: str | None = None
    """What could not be read as a row."""

    def __str__(self) -> str:
        column = "" if self.column is None or repr(self.column) in self.reason else f", column {self.column!r}"
        return f"row {self.row}{column}: {self.reason}"


class ErrorFile:
    """Refused rows with the reason, as CSV or JSON Lines by the name; it is made with the first of them."""

    def __init__(self, name: str, *, columns: Sequence[str] | None, delimiter: str, null: str, size: int | None) -> None:
        """`columns` are those of an input of CSV, `size` the bytes to keep of a file that an interrupted load has left."""
        self.name = name
        self._path = Path(name)
        suffix = self._path.suffix.lower()
        self._is_csv = suffix in (".csv", ".tsv")
        if not self._is_csv and suffix not in (".jsonl", ".ndjson", ".json"):
            raise Problem(f"--errors {name}: it is written as CSV or JSON Lines, give it a name that ends in .csv or .jsonl", Exit.MISTAKE)
        if self._is_csv and columns is None:
            raise Problem(f"--errors {name}: rows of CSV can be written as CSV, these as .jsonl", Exit.MISTAKE)
        self._columns = list(columns or ())
        self._delimiter = "\t" if suffix == ".tsv" else delimiter
        self._null = null
        self._kept = size
        self._file: BinaryIO | None = None
        there = self._path.stat().st_size if self._path.exists() else 0
        if size is not None and there < size:
            raise Problem(f"--errors {name}: it lacks rows that the checkpoint knows of", Exit.MISTAKE)
        if size is None and there:
            raise Problem(f"--errors {name}: it is there already, and may hold rows of another load", Exit.MISTAKE)

    def add(self, refusals: Iterable[Refusal]) -> None:
        """Raises OSError."""
        lines = [self._csv(refusal) if self._is_csv else self._json(refusal) for refusal in refusals]
        if lines:
            self._opened().write("".join(lines).encode("utf-8", "surrogateescape"))

    def sync(self) -> int:
        """Brings to the disk what was added, and returns the file's size."""
        if self._file is None:
            return self._kept or 0
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        if self._file is not None:
            self.sync()
            self._file.close()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = self._path.open("r+b" if self._kept else "w+b")
            self._file.truncate(self._kept or 0)
            self._file.seek(0, os.SEEK_END)
            if self._is_csv and self._file.tell() == 0:
                header = self._delimiter.join(self._cell(name) for name in [*self._columns, *ERROR_COLUMNS])
                self._file.write(f"{header}\n".encode())
        return self._file

    def _csv(self, refusal: Refusal) -> str:
        cells: list[str | None] = [(refusal.values or {}).get(name) for name in self._columns]
        cells += [str(refusal.row), refusal.column, refusal.reason, refusal.raw]
        return self._delimiter.join(map(self._cell, cells)) + "\n"

    def _cell(self, text: str | None) -> str:
        if text is None:
            return self._null
        needs = text in ("", self._null) or any(character in text for character in f'"\r\n{self._delimiter}')
        return '"' + text.replace('"', '""') + '"' if needs else text

    def _json(self, refusal: Refusal) -> str:
        why = {_ROW: refusal.row, _COLUMN: refusal.column, _REASON: refusal.reason}
        if refusal.raw is not None:
            why[_RAW] = refusal.raw
        # Without escapes, so that bytes that are no text come out as they came in.
        tail = json.dumps(why, ensure_ascii=False)[1:]
        row = refusal.line.strip() if refusal.line is not None else _json_text(refusal.values or {})
        head = row[:-1].rstrip()
        return f"{head}{'' if head == '{' else ', '}{tail}\n"


def _json_text(value: Any) -> str:
    """JSON, with numbers as they were written."""
    from acsylla_like.cli.text import Number

    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {_json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
