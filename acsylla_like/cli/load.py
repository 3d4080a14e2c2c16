"""`load FILE… KS.TABLE`: files into a table, every row of them in the table or in the error file."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

import acsylla_like
from acsylla_like._native import Options
from acsylla_like.bulk import BulkReport
from acsylla_like.checkpoint import Checkpoint
from acsylla_like.cli.create_table import create_statement, schema_of_cells, schema_of_objects
from acsylla_like.cli.feed import Column, Feed, RowRefused, TooManyRefused
from acsylla_like.cli.formats import Input, format_of
from acsylla_like.cli.options import Exit, Problem, column_names, connected
from acsylla_like.cli.progress import Figures, Progress, duration, number, plural
from acsylla_like.cli.refused import ErrorFile, Refusal
from acsylla_like.cli.sources import Source, open_source, without_error_columns
from acsylla_like.cli.text import kind_of
from acsylla_like.select_star import quoted
from acsylla_like.table_load import Target, target_of
from acsylla_like.table_scan import table_name

__all__ = ["run"]

# Refused rows that a dry run shows.
_SHOWN = 10


@dataclass(frozen=True)
class _State:
    """How far a load is: what its checkpoint says."""

    settled: int = 0
    """Every row of the input before this number is written, or in the error file."""
    errors: int = 0
    """Bytes of the error file that tell of these rows."""
    refused: int = 0
    """Rows in the error file."""


async def run(options: argparse.Namespace) -> int:
    """Returns the exit code."""
    _check(options)
    with ExitStack() as stack:
        files = [Input(name, format_of(name, options)) for name in options.files]
        for file in files:
            stack.callback(file.close)
        wanted = column_names(options.columns)
        sources = [open_source(file, names=None if wanted is None else list(wanted)) for file in files]
        checkpoint, state = None, None
        if options.checkpoint is not None and not options.dry_run:
            identity = {
                "table": options.table,
                "columns": [f"{in_file}={name}" for in_file, name in (wanted or {}).items()],
                "files": [file.name if file.size is None else f"{file.name}, {file.size} bytes" for file in files],
            }
            checkpoint = Checkpoint(options.checkpoint, "load", identity)
            try:
                saved = checkpoint.read()
                state = None if saved is None else _State(**saved)
            except (ValueError, TypeError) as error:
                raise Problem(f"--checkpoint: {error}", Exit.MISTAKE) from None
        async with connected(options) as session:
            load = _Load(options, session, sources, wanted, checkpoint, state)
            return await load.run()


def _check(options: argparse.Namespace) -> None:
    """Raises Problem for options that do not go together."""
    if options.files.count("-") > 1:
        raise Problem("the standard input can be read once", Exit.MISTAKE)
    if options.max_errors is not None and options.errors is None:
        raise Problem("--max-errors goes with --errors: without it the first row that is refused ends the load", Exit.MISTAKE)
    if options.primary_key is not None and not options.create_table:
        raise Problem("--primary-key goes with --create-table", Exit.MISTAKE)


class _Load:
    def __init__(
        self,
        options: argparse.Namespace,
        session: acsylla_like.Session,
        sources: Sequence[Source],
        wanted: dict[str, str] | None,
        checkpoint: Checkpoint | None,
        state: _State | None,
    ) -> None:
        self._options = options
        self._session = session
        self._sources = sources
        self._wanted = wanted
        self._checkpoint = checkpoint
        self._state = state or _State()
        self._is_resumed = state is not None
        self._errors: ErrorFile | None = None
        self._shown = 0

    # ---- what goes where

    async def _target(self) -> Target | None:
        """The table; made first where that is asked for. None in a dry run that would make it."""
        options, session = self._options, self._session
        try:
            keyspace, name = table_name(options.table, session.keyspace)
            try:
                return await target_of(session, options.table, Options())
            except ValueError as error:
                if not options.create_table or "there is no table" not in str(error):
                    raise
        except ValueError as error:
            raise Problem(f"{error}", Exit.MISTAKE) from None
        schema = self._schema_to_create()
        columns = self._wanted or {name: name for name in without_error_columns(schema.names)}
        for column in columns:
            if column not in schema.names:
                raise Problem(f"no column {column!r} in the data, which has {', '.join(schema.names)}", Exit.MISTAKE)
        statement = create_statement((keyspace, name), schema, columns, options.primary_key)
        print(f"{'would run' if options.dry_run else 'running'}: {statement}", file=sys.stderr)
        if options.dry_run:
            return None
        try:
            await session.execute(statement, timeout=60.0)
        except acsylla_like.ServerError as error:
            raise Problem(f"--create-table: {error}", Exit.MISTAKE) from None
        return await target_of(session, options.table, Options())

    def _schema_to_create(self) -> Any:
        first = self._sources[0]
        if first.schema is not None:
            return first.schema
        if not first.file.is_regular or first.file.name == "-":
            raise Problem("--create-table reads the beginning of CSV and JSON twice, which a pipe does not allow", Exit.MISTAKE)
        file = Input(first.file.name, first.file.form)
        try:
            source = open_source(file, names=None if self._wanted is None else list(self._wanted))
            source.exactly = False
            block = next(source.blocks(0, 0), None)
            if block is None or not len(block.rows):
                raise Problem(f"--create-table: {file.name} has no row to tell the types", Exit.MISTAKE)
            return schema_of_objects(block.rows) if first.names is None else schema_of_cells(block.rows, first.file.form.null)
        finally:
            file.close()

    async def _columns(self, target: Target) -> list[Column]:
        """What is loaded, with the types of the table. Raises Problem."""
        names = self._sources[0].names
        wanted = self._wanted
        if wanted is None:
            wanted = {name: name for name in (target.columns if names is None else without_error_columns(names))}
        for source in self._sources:
            for name in wanted:
                if source.names is not None and name not in source.names:
                    raise Problem(f"no column {name!r} in {source.file.name}, which has {', '.join(source.names)}", Exit.MISTAKE)
        for name in wanted.values():
            if list(wanted.values()).count(name) > 1:
                raise Problem(f"two columns of the data are for {name!r} of the table", Exit.MISTAKE)
        try:
            target.check(wanted.values())
            options = self._options
            prepared = await self._session.create_prepared(target.insert(wanted.values(), options.ttl, options.timestamp))
        except (KeyError, acsylla_like.InvalidQuery) as error:
            raise Problem(f"{error.args[0]}", Exit.MISTAKE) from None
        return [
            Column(in_file, name, parameter.type, name in target.primary_key)
            for (in_file, name), parameter in zip(wanted.items(), prepared.parameters, strict=False)
        ]

    # ---- loading

    async def run(self) -> int:
        options = self._options
        target = await self._target()
        if target is None:
            return Exit.DONE
        columns = await self._columns(target)
        for source in self._sources:
            # Numbers with fractions are kept as they are written only where a column wants them.
            source.exactly = any(_is_exact(column) for column in columns)
        feed = Feed(
            self._sources,
            columns,
            skip=self._state.settled,
            refused=self._state.refused,
            refuses_unknown=self._wanted is None,
            collects=options.errors is not None or options.dry_run,
            most_refused=options.max_errors,
            truncate=options.truncate,
            checks=options.dry_run,
        )
        if options.dry_run:
            return await self._dry_run(target, feed)
        if options.errors is not None:
            first = self._sources[0]
            self._errors = ErrorFile(
                options.errors,
                columns=without_error_columns(first.names or ()) if first.is_text else None,
                delimiter=first.file.form.delimiter,
                null=first.file.form.null,
                size=self._state.errors if self._is_resumed else None,
            )
        if self._is_resumed and not options.quiet:
            print(f"going on after row {number(self._state.settled)}, by {options.checkpoint}", file=sys.stderr)
        return await self._load(target, feed)

    async def _dry_run(self, target: Target, feed: Feed) -> int:
        """Everything but the sending."""
        await self._copy(target, feed, pa.RecordBatchReader.from_batches(feed.schema, []))

        def read() -> None:
            with Progress("checked", quiet=self._options.quiet) as progress:
                for batch in feed.batches():
                    del batch
                    for refusal in feed.settle(1 << 62)[1]:
                        self._show(refusal)
                    progress.show(Figures(feed.position, refused=feed.refused, fraction=feed.fraction(feed.position)))
                for refusal in feed.rest():
                    self._show(refusal)

        try:
            await asyncio.to_thread(read)
        except asyncio.CancelledError:
            feed.close()
            raise
        except TooManyRefused as error:
            raise Problem(f"{error}") from None
        if not self._options.quiet:
            print(f"{plural(feed.position, 'row')} checked, {number(feed.refused)} would be refused; nothing was written", file=sys.stderr)
        return Exit.REFUSED if feed.refused else Exit.DONE

    def _show(self, refusal: Refusal) -> None:
        self._shown += 1
        if self._shown <= _SHOWN:
            print(f"{refusal}", file=sys.stderr)
        elif self._shown == _SHOWN + 1:
            print("… and others", file=sys.stderr)

    async def _copy(self, target: Target, feed: Feed, data: Any, progress: Any = None) -> BulkReport:
        """`copy_from`. What it refuses before the first row is a mistake."""
        options = self._options
        try:
            return await self._session.copy_from(
                f"{quoted(target.keyspace)}.{quoted(target.name)}",
                data,
                concurrency=options.concurrency,
                batch=options.batch,
                max_rate=options.max_rate,
                retries=options.retries,
                on_error="stop" if options.errors is None else feed.refuse,
                nulls=options.nulls,
                truncate=options.truncate,
                ttl=options.ttl,
                timestamp=options.timestamp,
                progress=progress,
            )
        except (TypeError, KeyError, ValueError, acsylla_like.InvalidQuery) as error:
            if hasattr(error, "report"):
                raise  # of a callback of ours
            raise Problem(f"{error.args[0] if error.args else error}", Exit.MISTAKE) from None

    async def _load(self, target: Target, feed: Feed) -> int:
        options = self._options
        ended: BaseException | None = None
        report: BulkReport | None = None
        with Progress("loaded", quiet=options.quiet) as progress:

            def tell(report: BulkReport) -> None:
                settled = self._settle(feed, report.settled)
                progress.show(
                    Figures(
                        report.rows,
                        refused=feed.refused,
                        in_flight=report.in_flight,
                        latency=report.latency.p99,
                        fraction=feed.fraction(settled),
                    )
                )

            try:
                report = await self._copy(target, feed, feed.reader(), tell)
            except Problem:
                raise
            except BaseException as error:
                ended = error
                report = getattr(error, "report", None)
            finally:
                feed.close()
        try:
            settled = self._settle(feed, 0 if report is None else report.settled)
            if self._errors is not None:
                if self._checkpoint is None:
                    self._errors.add(feed.rest())
                self._errors.close()
        except OSError as error:
            raise Problem(f"{error}") from error
        if report is not None and not options.quiet:
            self._tell(target, feed, report, settled, is_whole=ended is None)
        if ended is not None:
            raise self._reason(feed, ended)
        return Exit.REFUSED if feed.refused else Exit.DONE

    def _settle(self, feed: Feed, handed_over: int) -> int:
        """Writes down what is settled: first the refused rows, then how far the load is. Raises OSError."""
        settled, refusals = feed.settle(handed_over)
        if self._errors is not None:
            self._errors.add(refusals)
        if self._checkpoint is not None:
            refused = self._state.refused + len(refusals)
            self._state = _State(settled, 0 if self._errors is None else self._errors.sync(), refused)
            self._checkpoint.save(asdict(self._state))
        return settled

    def _reason(self, feed: Feed, ended: BaseException) -> BaseException:
        """What to raise when a load has ended before its end."""
        if isinstance(ended, asyncio.CancelledError):
            return ended
        cause = feed.failure or ended
        if isinstance(cause, Problem):
            return cause
        if isinstance(cause, (RowRefused, TooManyRefused, OSError)):
            return Problem(f"{self._options.table}: {cause}")
        if isinstance(cause, pa.ArrowException):
            return Problem(f"the input cannot be read any further: {cause}")
        if isinstance(ended, acsylla_like.BulkError) and ended.row is not None:
            block, place = feed.place_of(ended.row)
            cause = ended.__cause__ or ended
            return Problem(f"{self._options.table}: {block.refusal(place, ended.column, str(cause))}")
        return Problem(f"{ended}") if isinstance(ended, acsylla_like.Error) else ended

    def _tell(self, target: Target, feed: Feed, report: BulkReport, settled: int, *, is_whole: bool) -> None:
        """The final report."""
        options = self._options
        latency = ", ".join(f"{name} {getattr(report.latency, name) * 1000:.1f} ms" for name in ("p50", "p95", "p99", "max"))
        lines = [
            f"{plural(report.rows, 'row')} loaded into {target} in {duration(report.seconds)}, {number(report.rate)} rows/s",
            f"{number(feed.refused)} refused" + (f", in {self._errors.name}" if self._errors is not None and feed.refused else ""),
            f"{number(report.retries)} sent again",
            f"latency {latency}",
        ]
        cut = report.truncated + feed.truncated
        if cut:
            lines.append(f"{number(cut)} moments cut to milliseconds")
        if not is_whole:
            lines.append(f"not finished: every row before {number(settled)} is settled")
            if self._checkpoint is not None:
                lines.append(f"the same command goes on from there, by {options.checkpoint}")
        print("; ".join(lines), file=sys.stderr)


def _is_exact(column: Column) -> bool:
    """Whether a double would lose digits."""
    types = [column.type]
    while types:
        kind = types.pop()
        if kind_of(kind) in ("decimal", "varint", "text", "ascii", "varchar"):
            return True
        types += kind.types
    return False
