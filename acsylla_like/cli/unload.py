"""`unload KS.TABLE|SELECT OUT`: a table, its token ranges in parallel, or a query into a file."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pyarrow as pa

import acsylla_like
from acsylla_like.cli.formats import Output, format_of
from acsylla_like.cli.options import Exit, Problem, connected, is_query
from acsylla_like.cli.progress import Figures, Progress, duration, number, plural
from acsylla_like.cli.writers import open_writer

__all__ = ["in_thread", "pages_of", "run"]


async def in_thread(work: Callable[[], None]) -> None:
    """Runs it in a thread; a cancellation waits for its end."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


async def pages_of(session: acsylla_like.Session, query: str, page_size: int, decimals: Any = None) -> AsyncGenerator[Any, None]:
    """The pages of a query as record batches; nothing for a statement that has no rows to give."""
    async for page in session.stream(query, page_size=page_size).pages():
        if page.columns:
            table = await asyncio.to_thread(page.to_arrow, decimals=decimals)
            schema = pa.schema(table.schema)
            if not table.batches:  # made so, since lists of uuids cannot be made from Python's values
                yield pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
            for batch in table.batches:
                yield pa.record_batch(batch)


async def run(options: argparse.Namespace) -> int:
    """Returns the exit code."""
    form = format_of(options.out, options)
    if is_query(options.source) and (options.columns or options.where):
        raise Problem("--columns and --where are for tables: a query says itself what it selects", Exit.MISTAKE)
    async with connected(options) as session:
        try:
            if is_query(options.source):
                return await _write(options, form, None, pages_of(session, options.source, options.page_size, dict(options.decimals)))
            scan = session.scan(
                options.source,
                columns=[name.strip() for text in options.columns for name in text.split(",")] if options.columns else None,
                where=options.where,
                concurrency=options.concurrency,
                page_size=options.page_size,
                decimals=dict(options.decimals),
            )
            schema = pa.schema(await scan.schema())

            async def batches() -> AsyncGenerator[Any, None]:
                async for batch in scan:
                    yield pa.record_batch(batch)

            return await _write(options, form, schema, batches())
        except (acsylla_like.InvalidQuery, acsylla_like.QuerySyntaxError) as error:
            raise Problem(f"{error}", Exit.MISTAKE) from None
        except acsylla_like.Error as error:
            raise Problem(f"{options.source}: {error}") from None
        except (KeyError, ValueError) as error:
            raise Problem(f"{error.args[0]}", Exit.MISTAKE) from None


async def _write(options: argparse.Namespace, form: Any, schema: Any, batches: AsyncGenerator[Any, None]) -> int:
    """Writes the batches; what is not finished is not left. Without a schema it is that of the first batch."""
    started = time.monotonic()
    rows = 0
    async with aclosing(batches):
        first = None if schema is not None else await anext(batches, None)
        if schema is None:
            if first is None:
                raise Problem("the statement gives no rows", Exit.MISTAKE)
            schema = first.schema
        for name in schema.names:
            if schema.names.count(name) > 1:
                raise Problem(f"two columns are called {name!r}: name one of them with AS", Exit.MISTAKE)
        output = Output(options.out, form, overwrite=options.overwrite)
        try:
            writer = open_writer(output.sink, schema, form, codec=options.codec, row_group=options.row_group)
            with Progress("unloaded", quiet=options.quiet) as progress:
                async for batch in _chain(first, batches):
                    await in_thread(lambda batch=batch: writer.write(batch))  # type: ignore[misc]
                    rows += batch.num_rows
                    progress.show(Figures(rows))

            def finish() -> None:
                writer.close()
                output.finish()

            await in_thread(finish)
        except BaseException as error:
            output.discard()
            if isinstance(error, BrokenPipeError):
                raise
            if isinstance(error, (OSError, pa.ArrowException)) and not isinstance(error, acsylla_like.Error):
                raise Problem(f"{options.out}: {error}") from error
            raise
    seconds = time.monotonic() - started
    if not options.quiet:
        rate = number(rows / seconds if seconds else 0)
        print(f"{plural(rows, 'row')} unloaded to {options.out} in {duration(seconds)}, {rate} rows/s", file=sys.stderr)
    return Exit.DONE


async def _chain(first: Any, others: AsyncIterator[Any]) -> AsyncIterator[Any]:
    if first is not None:
        yield first
    async for batch in others:
        yield batch
