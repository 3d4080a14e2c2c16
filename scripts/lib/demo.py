"""Writes a data set through prepared inserts, reads it back page by page and compares every value of every row.

Without a file: every assigned character of the Unicode Character Database that Python carries. With a CSV, JSON Lines or
Parquet file: that file, into a table that is there. With --bulk the same by `copy_from` and `scan`, as Arrow data.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import logging
import platform
import signal
import sys
import time
import unicodedata
import uuid
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pyarrow as pa
import pyarrow.parquet as pq
from convert import exact, expected, from_arrow, from_file, same
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import acsylla_like
from acsylla_like import UNSET
from acsylla_like.testing import Cassandra, StartFailed, ToolMissing

IN_FLIGHT = 1024
PAGE_SIZE = 5000
SHOWN = 10  # differences printed in full

Row = Sequence[Any]
console = Console(highlight=False)


class Problem(Exception):
    """What the user is told in one line."""


def say(text: str) -> None:
    console.print(f"» {text}", markup=False, soft_wrap=True)


@dataclass
class Job:
    """What is written where. The first columns are the primary key."""

    table: str
    columns: list[str]
    key: list[int]
    insert: acsylla_like.PreparedStatement
    rows: list[Row]
    owns_table: bool  # so that every row in it is ours, and what is null needs no tombstone to be so

    def key_of(self, row: Row | acsylla_like.Row) -> Hashable:
        return tuple(exact(row[i]) for i in self.key)


# The Unicode Character Database --------------------------------------------------------------------------------------------

CHARACTERS = """
    CREATE TABLE {table} (
        code_point int PRIMARY KEY, name text, category text, bidirectional text, combining smallint, decomposition text,
        mirrored boolean, numeric decimal, unidata_version text, character text, utf8 blob, id timeuuid
    )
"""


def characters() -> Iterator[Row]:
    """One row for each character that is assigned, not for private use and not a surrogate."""
    for code_point in range(sys.maxunicode + 1):
        character = chr(code_point)
        category = unicodedata.category(character)
        if category in ("Cn", "Co", "Cs"):
            continue
        numeric = unicodedata.numeric(character, None)
        yield (
            code_point,
            unicodedata.name(character, None),
            category,
            unicodedata.bidirectional(character),
            unicodedata.combining(character),
            unicodedata.decomposition(character),
            bool(unicodedata.mirrored(character)),
            None if numeric is None else Decimal(str(numeric)),
            unicodedata.unidata_version,
            character,
            character.encode(),
            uuid.uuid1(),
        )


async def unicode_job(session: acsylla_like.Session, keyspace: str) -> Job:
    say(f"making the table {keyspace}.characters")
    replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
    await session.execute(f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")
    table = f"{keyspace}.characters"
    await session.execute(f"DROP TABLE IF EXISTS {table}")
    await session.execute(CHARACTERS.format(table=table))
    rows = list(characters())
    columns = CHARACTERS.partition("(")[2].replace(" PRIMARY KEY", "").replace(")", "").split(",")
    names = [column.split()[0] for column in columns]
    insert = await session.create_prepared(_insert(table, names))
    say(f"{len(rows):,} characters of Unicode {unicodedata.unidata_version}")
    return Job(table, names, [0], insert, rows, owns_table=True)


# A file --------------------------------------------------------------------------------------------------------------------


def _insert(table: str, columns: Iterable[str]) -> str:
    names = list(columns)
    return f"INSERT INTO {table} ({', '.join(map(_quoted, names))}) VALUES ({', '.join('?' * len(names))})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def records(path: Path, null: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and cells by column, from CSV with a header, JSON Lines (`.jsonl`, `.ndjson`, `.json`) or Parquet."""
    if is_parquet(path):
        names = pq.read_schema(path).names
        yield from enumerate((dict(zip(names, row, strict=True)) for row in rows_of(pq.ParquetFile(path).iter_batches())), 1)
        return
    with open(path, encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
            for number, line in enumerate(file, 1):
                if line.strip():
                    record = json.loads(line, parse_float=Decimal)
                    if not isinstance(record, dict):
                        raise Problem(f"{path}:{number}: a line must be a JSON object")
                    yield number, record
            return
        reader = csv.DictReader(file, strict=True)
        for cells in reader:
            if None in cells or None in cells.values():
                raise Problem(f"{path}:{reader.line_num}: not as many cells as the header has")
            yield reader.line_num, {name: None if cell == null else cell for name, cell in cells.items()}


def is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def rows_of(batches: Iterable[pa.RecordBatch]) -> Iterator[Row]:
    """Rows of Arrow data; a time of day as its nanoseconds, which Python's own class does not hold."""
    for batch in batches:
        columns = [column.cast(pa.int64()) if column.type == pa.time64("ns") else column for column in batch.columns]
        yield from zip(*(column.to_pylist() for column in columns), strict=True)


async def file_job(session: acsylla_like.Session, options: argparse.Namespace) -> Job:
    path: Path = options.file
    keyspace, _, name = options.table.partition(".")
    lines = list(records(path, options.null))
    if not lines:
        raise Problem(f"{path} has no rows")
    columns = list(dict.fromkeys(column for _, record in lines for column in record))
    found = await session.execute(
        "SELECT column_name, kind, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?",
        [_folded(keyspace), _folded(name)],
    )
    kinds = {"partition_key": 0, "clustering": 1}
    keys = sorted((kinds[row.kind], row.position, row.column_name) for row in found if row.kind in kinds)
    if not keys:
        raise Problem(f"the table {options.table} is not there; make it with --schema FILE.cql, or check --contact-points")
    if missing := [key for *_, key in keys if key not in columns]:
        raise Problem(f"{path} has no column {', '.join(missing)}, which the primary key of {options.table} needs")
    insert = await session.create_prepared(_insert(options.table, columns))
    kinds_of_columns = [parameter.type for parameter in insert.parameters]
    say(", ".join(f"{column} {kind}" for column, kind in zip(columns, kinds_of_columns, strict=True)))

    job = Job(options.table, columns, [columns.index(key) for *_, key in keys], insert, [], owns_table=False)
    rows: dict[Hashable, Row] = {}
    for number, record in lines:
        row = []
        for column, kind in zip(columns, kinds_of_columns, strict=True):
            try:
                row.append((from_arrow if is_parquet(path) else from_file)(kind, record.get(column)))
            except (ValueError, TypeError, ArithmeticError, KeyError) as error:
                raise Problem(f"{path}:{number}: {column} {kind}: {error}: {record.get(column)!r:.80}") from None
        rows[job.key_of([expected(kind, value) for kind, value in zip(kinds_of_columns, row, strict=True)])] = row
    if len(rows) < len(lines):
        say(f"{len(lines) - len(rows):,} lines are left out: a later one has the same primary key")
    job.rows = list(rows.values())
    say(f"{len(job.rows):,} rows of {path}")
    return job


def _folded(name: str) -> str:
    """The name as the server keeps it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


# Writing, reading, comparing -----------------------------------------------------------------------------------------------


def bar() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console)


async def write(session: acsylla_like.Session, job: Job) -> None:
    """Inserts every row, 1,024 in flight all the time."""
    remaining = iter(job.rows)
    began = time.perf_counter()
    with bar() as progress:
        task = progress.add_task("writing", total=len(job.rows))
        written = 0

        async def worker() -> None:
            nonlocal written
            for row in remaining:  # shared: each row goes to whoever asks next
                await session.execute(job.insert, [UNSET if value is None else value for value in row] if job.owns_table else row)
                written += 1
                if written % 500 == 0:
                    progress.update(task, completed=written)

        workers = [asyncio.ensure_future(worker()) for _ in range(min(IN_FLIGHT, len(job.rows)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for each in workers:
                each.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            progress.update(task, completed=written)
    seconds = time.perf_counter() - began
    say(f"wrote {len(job.rows):,} rows in {seconds:.1f} s, {len(job.rows) / seconds:,.0f} rows/s with {IN_FLIGHT:,} in flight")


async def write_bulk(session: acsylla_like.Session, job: Job) -> None:
    """Loads all rows at once, by `copy_from`: as Arrow data where these columns are simple, else as rows."""
    kinds = [parameter.type for parameter in job.insert.parameters]
    data: Any = [dict(zip(job.columns, row, strict=True)) for row in job.rows]
    if not any(kind.types for kind in kinds):
        cells = zip(*job.rows, strict=True)
        data = pa.table({name: arrow_column(kind.name, column) for name, kind, column in zip(job.columns, kinds, cells, strict=True)})
    with bar() as progress:
        task = progress.add_task("writing", total=len(job.rows))
        report = await session.copy_from(
            job.table,
            data,
            columns=job.columns,
            nulls="unset" if job.owns_table else "null",
            truncate=True,
            progress=lambda report: progress.update(task, completed=report.rows),
        )
    what = "Arrow data" if isinstance(data, pa.Table) else "rows"
    rates = f"{report.rate:,.0f} rows/s, p99 {report.latency.p99 * 1000:.0f} ms"
    say(f"loaded {report.rows:,} rows of {what} in {report.seconds:.1f} s, {rates}")


def arrow_column(kind: str, values: Sequence[Any]) -> pa.Array:
    """Values of a simple CQL type as an Arrow array that keeps all of them exactly."""
    if kind in ("decimal", "varint", "inet"):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    if kind in ("uuid", "timeuuid"):
        return pa.array([None if value is None else value.bytes for value in values], pa.binary(16))
    if kind == "time":
        return pa.array([None if value is None else _nanosecond_of_day(value) for value in values], pa.int64()).cast(pa.time64("ns"))
    if kind == "duration":
        triples = [None if value is None else (value.months, value.days, value.nanoseconds) for value in values]
        return pa.array(triples, pa.month_day_nano_interval())
    types = {"blob": pa.binary(), "text": pa.string(), "ascii": pa.string(), "float": pa.float32(), "double": pa.float64()}
    return pa.array(values, types.get(kind))


def _nanosecond_of_day(value: acsylla_like.Time) -> int:
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 10**9 + value.nanosecond


async def pages_of(session: acsylla_like.Session, job: Job) -> AsyncIterator[Sequence[acsylla_like.Row]]:
    """The table, page by page."""
    select = f"SELECT {', '.join(map(_quoted, job.columns))} FROM {job.table}"
    async for page in session.stream(select, page_size=PAGE_SIZE, timeout=60.0).pages():
        yield list(page)


async def batches_of(session: acsylla_like.Session, job: Job) -> AsyncIterator[Sequence[Row]]:
    """The table in record batches, by ranges of tokens."""
    kinds = [parameter.type for parameter in job.insert.parameters]
    async for batch in session.scan(job.table, columns=job.columns, page_size=PAGE_SIZE, timeout=60.0):
        rows = rows_of([pa.record_batch(batch)])
        yield [[from_arrow(kind, item) for kind, item in zip(kinds, row, strict=True)] for row in rows]


async def compare(job: Job, pages: AsyncIterator[Sequence[Row | acsylla_like.Row]]) -> int:
    """Reads the whole table and counts the rows that are missing, are not ours, come twice, or differ in any value."""
    kinds = [parameter.type for parameter in job.insert.parameters]
    source = {}
    for row in job.rows:
        wanted = [expected(kind, value) for kind, value in zip(kinds, row, strict=True)]
        source[job.key_of(wanted)] = wanted
    seen: set[Hashable] = set()
    differences = others = count = parts = 0

    def differs(what: str) -> None:
        nonlocal differences
        differences += 1
        if differences <= SHOWN:
            say(f"difference: {what:.500}")

    reading = 0.0  # without the comparison
    with bar() as progress:
        task = progress.add_task("reading", total=len(job.rows))
        began = time.perf_counter()
        async for rows in pages:
            reading += time.perf_counter() - began
            parts += 1
            count += len(rows)
            for found in rows:
                key = job.key_of(found)
                written = source.get(key)
                if written is None:
                    others += 1
                    if job.owns_table:
                        differs(f"{found!r} was never written")
                elif key in seen:
                    differs(f"{found!r} came twice")
                else:
                    seen.add(key)
                    for name, want, got in zip(job.columns, written, found, strict=True):
                        if not same(want, got):
                            differs(f"{name} of {found!r}: wrote {want!r}, read {got!r}")
                            break
            progress.advance(task, len(rows))
            began = time.perf_counter()
    for key, wanted in source.items():
        if key not in seen:
            differs(f"{wanted!r} is missing")
    if others and not job.owns_table:
        say(f"the table has {others:,} other rows, which were not compared")
    say(f"read {count:,} rows in {parts:,} pages in {reading:.1f} s, {count / max(reading, 1e-9):,.0f} rows/s")
    return differences


@asynccontextmanager
async def server(options: argparse.Namespace) -> AsyncIterator[acsylla_like.Session]:
    """A session on the cluster named, or on a Cassandra of our own."""
    settings: dict[str, Any] = {"request_timeout": 30.0}
    if options.username is not None:
        settings |= {"username": options.username, "password": options.password}
    if options.contact_points:
        say(f"connecting to {options.contact_points}:{options.port}")
        async with acsylla_like.connect(options.contact_points, port=options.port, **settings) as session:
            yield session
        return
    async with Cassandra(heap_mb=1024, jvm_options=["-XX:TieredStopAtLevel=4"]) as cassandra:
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, **settings) as session:
            yield session
        say("stopping Cassandra")


async def run(options: argparse.Namespace) -> int:
    info = acsylla_like.driver_info()
    say(f"acsylla_like with driver {info.version} on Python {platform.python_version()}")
    async with server(options) as session:
        if options.schema:
            for statement in options.schema.read_text(encoding="utf-8").split(";"):
                if statement.strip():
                    await session.execute(statement)
        job = await (file_job(session, options) if options.file else unicode_job(session, options.keyspace))
        await (write_bulk if options.bulk else write)(session, job)
        differences = await compare(job, (batches_of if options.bulk else pages_of)(session, job))
    print(f"{len(job.rows)} rows, {differences} differences", flush=True)
    return 1 if differences else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="CSV with a header, JSON Lines (.jsonl) or .parquet, to load into --table")
    parser.add_argument("--bulk", action="store_true", help="write by copy_from and read by scan, as Arrow data")
    parser.add_argument("--table", metavar="KS.TABLE", help="where the file goes; its columns' types decide how text is read")
    parser.add_argument("--schema", type=Path, metavar="FILE", help="CQL statements to run first, such as CREATE TABLE")
    parser.add_argument("--null", default="", metavar="TEXT", help="the CSV cell that stands for null (default: an empty one)")
    parser.add_argument("--keyspace", default="acsylla_like_demo", help="keyspace of the characters (default: %(default)s)")
    parser.add_argument("--contact-points", metavar="HOST[,HOST]", help="use this cluster instead of a Cassandra of our own")
    parser.add_argument("--port", type=int, default=9042)
    parser.add_argument("--username")
    parser.add_argument("--password")
    options = parser.parse_args()
    if bool(options.file) != bool(options.table):
        parser.error("a file and --table go together")
    if options.table and options.table.count(".") != 1:
        parser.error("--table must be KEYSPACE.TABLE")
    return options


async def interruptible(options: argparse.Namespace) -> int:
    """The job as a task that SIGINT and SIGTERM cancel, so that it stops what it started."""
    task = asyncio.ensure_future(run(options))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="» %(message)s", stream=sys.stdout)
    logging.getLogger("acsylla_like.testing").setLevel(logging.INFO)
    options = arguments()
    try:
        return asyncio.run(interruptible(options))
    except asyncio.CancelledError:
        print("scripts/demo: interrupted", file=sys.stderr)
        return 130
    except (Problem, ToolMissing, StartFailed, acsylla_like.Error, OSError, ValueError) as error:
        print(f"scripts/demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
