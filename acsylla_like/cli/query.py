"""`query CQL`: the result of a statement on the standard output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import acsylla_like
from acsylla_like.cli.formats import Format
from acsylla_like.cli.options import Exit, Problem, connected
from acsylla_like.cli.text import cells_of
from acsylla_like.cli.unload import pages_of
from acsylla_like.cli.writers import Writer, open_writer

__all__ = ["run"]

# Characters of a cell that a table shows.
_WIDEST = 60


async def run(options: argparse.Namespace) -> int:
    """Returns the exit code."""
    async with connected(options) as session:
        try:
            await _print(options, pages_of(session, options.query, options.page_size))
        except (acsylla_like.InvalidQuery, acsylla_like.QuerySyntaxError, acsylla_like.Unauthorized) as error:
            raise Problem(f"{error}", Exit.MISTAKE) from None
        except acsylla_like.Error as error:
            raise Problem(f"{error}") from None
    return Exit.DONE


async def _print(options: argparse.Namespace, batches: AsyncGenerator[Any, None]) -> None:
    writer: Writer | None = None
    rows = 0
    async with aclosing(batches):
        async for batch in batches:
            if writer is None:
                if options.format == "table":
                    writer = _Table(batch)
                else:
                    form = Format("csv" if options.format == "csv" else "jsonl", "none")
                    writer = open_writer(sys.stdout.buffer, batch.schema, form)
            writer.write(batch)
            sys.stdout.flush()
            rows += batch.num_rows
    if options.format == "table" and writer is not None:
        print(f"({rows:,} row{'' if rows == 1 else 's'})")


class _Table:
    """Columns one below the other, as wide as the first page needs."""

    def __init__(self, batch: Any) -> None:
        self._is_number = [cells_of(column)[1] for column in batch.columns]
        shown = self._cells(batch)
        names = batch.schema.names
        self._widths = [max(map(len, [name, *cells])) for name, cells in zip(names, shown, strict=True)]
        print(" | ".join(name.ljust(width) for name, width in zip(names, self._widths, strict=True)).rstrip())
        print("-+-".join("-" * width for width in self._widths))

    def _cells(self, batch: Any) -> list[list[str]]:
        return [[_shown(text) for text in cells_of(column)[0].to_pylist()] for column in batch.columns]

    def write(self, batch: Any) -> None:
        for row in zip(*self._cells(batch), strict=True):
            cells = zip(row, self._widths, self._is_number, strict=True)
            print(" | ".join(cell.rjust(width) if is_number else cell.ljust(width) for cell, width, is_number in cells).rstrip())

    def close(self) -> None:
        pass


def _shown(text: str | None) -> str:
    """On one line, and not too long."""
    if text is None:
        return "null"
    text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
