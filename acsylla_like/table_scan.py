"""Scans: whole tables as record batches, read in parallel by token range."""

from __future__ import annotations

import asyncio
import atexit
import bisect
import contextlib
import itertools
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from acsylla_like import _native, errors
from acsylla_like._native import ArrowBatch, ArrowSchema, ArrowTable, Options
from acsylla_like.checkpoint import Checkpoint
from acsylla_like.key_markers import partition_key
from acsylla_like.retry import back_off
from acsylla_like.select_star import columns as columns_of_table
from acsylla_like.select_star import names_of, quoted
from acsylla_like.topology import read_topology

if TYPE_CHECKING:
    from acsylla_like._native import Parameters, Request, Result
    from acsylla_like.arrow import Decimals
    from acsylla_like.session import Session

__all__ = ["Scan", "ScanSplit", "split_ring", "table_name"]

# Murmur3Partitioner's tokens. No row has the lowest one (the server maps it to the highest), so that every row's token is
# in a range that leaves its start out and takes its end in.
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

# Seconds before the second try of a page, and before any; they grow from try to try.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0

# Seconds between two checkpoints.
_SAVE = 0.5

Range = tuple[int, int]
"""Tokens above the first, up to and with the second."""
_WHOLE_RING: Range = (_LOWEST, _HIGHEST)


def split_ring(tokens: Sequence[int], count: int) -> list[Range]:
    """Cuts all tokens into `count` ranges, at the ring's own tokens where these suffice or are too many, and between them,
    in proportion to the width, where they do not. The range that wraps around the end of the ring counts as two."""
    inner = sorted({token for token in tokens if _LOWEST < token < _HIGHEST})
    bounds = [_LOWEST, *inner, _HIGHEST]
    ranges = list(itertools.pairwise(bounds))
    if count < len(ranges):
        chosen = [bounds[round(i * len(ranges) / count)] for i in range(count)] + [_HIGHEST]
        return list(itertools.pairwise(chosen))
    # One each; the others by width, what is left after rounding down to those that lost most by it.
    others = count - len(ranges)
    shares = [divmod(others * (end - start), _HIGHEST - _LOWEST) for start, end in ranges]
    parts = [1 + whole for whole, _ in shares]
    for i in sorted(range(len(ranges)), key=lambda i: -shares[i][1])[: count - sum(parts)]:
        parts[i] += 1
    found: list[Range] = []
    for (start, end), n in zip(ranges, parts, strict=True):
        n = min(n, end - start)
        cuts = [start + (end - start) * i // n for i in range(n + 1)]
        found += itertools.pairwise(cuts)
    return found


@dataclass(frozen=True)
class ScanSplit:
    """A part of a scan: `session.scan(split)` reads it, in this process or, pickled, in another one.

    The splits of one scan have each of its rows once.
    """

    keyspace: str
    table: str
    query: str
    """The CQL text, whose first two markers, if any, are the ends of `tokens`."""
    parameters: tuple[Any, ...]
    tokens: Range | None
    """Tokens above the first, up to and with the second; None for the whole table."""
    host: tuple[str, int] | None
    """A replica of these tokens, asked first."""
    decimals: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Plan:
    schema: ArrowSchema
    splits: tuple[ScanSplit, ...]


class Scan:
    """A table, or a part of one, as record batches; made by `Session.scan`.

    `async for batch in scan` yields an ArrowBatch for each page, in whatever order they come; leaving early drops what is on
    its way. `await scan.to_table()` collects them. As an object with `__arrow_c_stream__` it is read by pyarrow, polars, pandas
    or DuckDB, in any thread: pages are then fetched on an event loop of their own, so that this blocks nobody but its caller.
    Each of these reads the table anew.
    """

    def __init__(
        self,
        session: Session,
        table: str | ScanSplit,
        *,
        columns: Sequence[str] | None,
        where: str | None,
        parameters: Sequence[Any] | None,
        splits: int | None,
        concurrency: int,
        retries: int,
        decimals: Decimals | None,
        resume: str | os.PathLike[str] | None,
        options: Options,
    ) -> None:
        self._session = session
        self._table = table
        self._columns = columns
        self._where = where
        self._parameters = tuple(parameters or ())
        self._split_count = splits
        self._concurrency = concurrency
        self._retries = retries
        self._decimals = decimals
        self._resume = resume
        self._options = options
        self._plan: _Plan | None = None
        self._unreachable: set[tuple[str, int]] = set()

    def __repr__(self) -> str:
        table = self._table
        return f"<Scan of {table if isinstance(table, str) else f'{table.keyspace}.{table.table} {table.tokens}'}>"

    # ---- planning ----

    async def schema(self) -> ArrowSchema:
        """The columns that the batches will have."""
        return (await self._planned()).schema

    async def splits(self) -> list[ScanSplit]:
        """The parts of this scan. Pickled, they can be read elsewhere: `session.scan(split)`."""
        return list((await self._planned()).splits)

    async def _planned(self) -> _Plan:
        if self._plan is None:
            self._plan = await self._make_plan()
        return self._plan

    async def _make_plan(self) -> _Plan:
        if isinstance(self._table, ScanSplit):
            splits: tuple[ScanSplit, ...] = (self._table,)
        else:
            splits = await self._split(self._table)
        # An answer without rows has its columns, too, and is decoded with those of the statement.
        first = splits[0]
        empty = first if first.tokens is None else replace(first, tokens=(1, 0))
        page = await self._answer(empty, None, self._send(empty, None))
        decimals = self._decimals if self._decimals is not None else first.decimals
        schema = _native.arrow_schema_of(page, decimals)
        return _Plan(schema, tuple(replace(split, decimals=schema.decimals) for split in splits))

    async def _split(self, name: str) -> tuple[ScanSplit, ...]:
        keyspace, table = table_name(name, self._session.keyspace)
        options = Options(consistency="ONE", tracing=False, timeout=self._options.timeout_or(self._session.cluster.request_timeout))
        key = await partition_key(self._session, keyspace, table, options)
        if not key:
            raise ValueError(f"there is no table {keyspace}.{table}")
        names = await columns_of_table(self._session, keyspace, table, options.timeout_or(12.0))
        key_names = ", ".join(map(quoted, key))
        select = f"SELECT {', '.join(_selected(self._columns, names, f'{keyspace}.{table}'))} FROM {quoted(keyspace)}.{quoted(table)}"
        ring = await self._ring(options)
        restrictions = [] if ring is None else [f"token({key_names}) > ? AND token({key_names}) <= ?"]
        restrictions += [] if self._where is None else [self._where]
        if restrictions:
            select += " WHERE " + " AND ".join(restrictions)
        if self._where is not None:
            select += " ALLOW FILTERING"  # all of it is read in any case
        if ring is None:
            return (ScanSplit(keyspace, table, select, self._parameters, None, None),)
        count = self._split_count or max(len(ring.tokens) + 1, 4 * self._concurrency)
        return tuple(
            ScanSplit(keyspace, table, select, self._parameters, tokens, ring.replica(tokens[1]))
            for tokens in split_ring(ring.tokens, count)
        )

    async def _ring(self, options: Options) -> _Ring | None:
        """The nodes and their tokens; None where the tokens are not Murmur3's."""
        topology = await read_topology(self._session, options)
        if not topology.has_murmur3_tokens:
            return None
        here = topology.nodes[0].data_center
        owners = {token: (node.address, node.port) for node in topology.nodes if node.data_center == here for token in node.tokens}
        can_choose = _native.library_functions()["cass_statement_set_host_n"]
        return _Ring(topology.tokens, sorted(owners), owners if can_choose else {})

    # ---- reading ----

    def __aiter__(self) -> AsyncIterator[ArrowBatch]:
        return self._batches()

    async def to_table(self) -> ArrowTable:
        """All batches in memory, with those of one range of tokens in their order."""
        plan = await self._planned()
        return ArrowTable(plan.schema, [batch async for batch in self._batches()])

    async def _batches(self) -> AsyncGenerator[ArrowBatch, None]:
        plan = await self._planned()
        position = _Position(self._resume, plan.splits)
        waiting = deque(position.left())
        # Bounded, so that whoever takes the batches slowly holds the reading up.
        ready: asyncio.Queue[_Piece | Exception | None] = asyncio.Queue(self._concurrency)
        loop = asyncio.get_running_loop()
        workers = [loop.create_task(self._work(plan, waiting, ready)) for _ in range(min(self._concurrency, len(waiting)))]
        working = len(workers)
        try:
            while working:
                item = await ready.get()
                if item is None:
                    working -= 1
                elif isinstance(item, Exception):
                    raise item
                else:
                    if item.batch is not None:
                        yield item.batch
                    position.note(item)  # whoever asks for the next one has taken this one
        finally:
            position.save()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(
        self, plan: _Plan, waiting: deque[tuple[ScanSplit, bytes | None]], ready: asyncio.Queue[_Piece | Exception | None]
    ) -> None:
        """Reads one split after another, until none waits. What ends it is put into the queue."""
        try:
            while waiting:
                await self._read(plan, *waiting.popleft(), ready)
        except Exception as error:
            await ready.put(error)
        else:
            await ready.put(None)

    async def _read(self, plan: _Plan, split: ScanSplit, state: bytes | None, ready: asyncio.Queue[_Piece | Exception | None]) -> None:
        """All pages of a split from a paging state on; while one is decoded and waits to be taken, the next is on its way."""
        first_row = 0
        ahead: Request[Result] | None = self._send(split, state)
        try:
            while ahead is not None:
                request, ahead = ahead, None
                page = await self._answer(split, state, request)
                state = page.paging_state
                if page.has_more_pages:
                    ahead = self._send(split, state)
                    ahead.add_done_callback(_ignore)  # sends it
                try:
                    batches: list[ArrowBatch | None] = [*await self._session._decoders.decode(page, plan.schema, first_row)]
                except errors.DecodeError as error:
                    place = "" if split.tokens is None else f"tokens {split.tokens[0]} to {split.tokens[1]}, "
                    raise errors.DecodeError(f"{split.keyspace}.{split.table}, {place}{error}") from None
                first_row += len(page)
                del page
                for batch in batches[:-1]:
                    await ready.put(_Piece(batch, split, None, is_whole_page=False))
                await ready.put(_Piece(batches[-1] if batches else None, split, state, is_whole_page=True))
        finally:
            if ahead is not None:
                ahead.cancel()

    def _send(self, split: ScanSplit, state: bytes | None) -> Request[Result]:
        """The page of a split that begins at a paging state; from a replica, while that can be reached."""
        options = self._options
        if state is not None:
            options = options.with_changes(paging_state=state)
        if split.host is not None and split.host not in self._unreachable:
            options = options.with_changes(host=split.host)
        parameters: Parameters = (*(split.tokens or ()), *split.parameters)
        return self._session._execute_with(split.query, parameters, options)

    async def _answer(self, split: ScanSplit, state: bytes | None, request: Request[Result]) -> Result:
        """The page that was asked for, from the second try on of whichever node answers."""
        for tries in range(1, self._retries + 2):
            try:
                return await request
            except errors.Error as error:
                if tries > self._retries or not error.transient:  # a read changes nothing
                    raise
                if split.host is not None:
                    self._unreachable.add(split.host)
            await asyncio.sleep(back_off(tries, _FIRST_PAUSE, _LONGEST_PAUSE))
            request = self._send(split, state)
        raise AssertionError("the last try returns or raises")

    # ---- as an Arrow stream ----

    def __arrow_c_stream__(self, requested_schema: _native.Capsule | None = None) -> _native.Capsule:
        """A capsule with a stream of the batches; waits until their schema is known."""
        feed = _Feed(self)
        try:
            return _native.arrow_stream(feed.schema(), feed, requested_schema)
        except BaseException:
            feed.close()
            raise

    def __arrow_c_schema__(self) -> _native.Capsule:
        """A capsule with the schema; waits until it is known."""
        if self._plan is None:
            feed = _Feed(self)
            try:
                feed.schema()
            finally:
                feed.close()
        assert self._plan is not None
        return self._plan.schema.__arrow_c_schema__()


@dataclass(frozen=True)
class _Piece:
    """What is to be taken next: a page of a split, or a part of one."""

    batch: ArrowBatch | None
    split: ScanSplit
    state: bytes | None
    """Of the next page; None when this is the last one."""
    is_whole_page: bool
    """Whether it ends the page."""


class _Position:
    """How far a scan has been taken: whole ranges, and those in the middle with their paging states."""

    def __init__(self, resume: str | os.PathLike[str] | None, splits: Sequence[ScanSplit]) -> None:
        """Raises ValueError when the checkpoint is of another scan."""
        first = splits[0]
        identity = {"table": f"{first.keyspace}.{first.table}", "query": first.query, "parameters": repr(first.parameters)}
        self._checkpoint = None if resume is None else Checkpoint(resume, "scan", identity)
        self._splits = splits
        self._done: list[Range] = []
        self._open: dict[Range, bytes] = {}
        self._saved = time.monotonic()
        saved = None if self._checkpoint is None else self._checkpoint.read()
        if saved is not None:
            self._done = [(start, end) for start, end in saved["ranges"]]
            self._open = {(start, end): bytes.fromhex(state) for start, end, state in saved["open"]}

    def left(self) -> list[tuple[ScanSplit, bytes | None]]:
        """What is to be read, and from which paging state on."""
        began = [(split, self._open[tokens]) for tokens in self._open for split in [self._split_of(tokens)]]
        taken = _merged([*self._done, *self._open])
        return [*began, *((split, None) for whole in self._splits for split in _without(whole, taken))]

    def _split_of(self, tokens: Range) -> ScanSplit:
        """The ring may have changed since: a range in the middle is read as it was begun."""
        if self._splits[0].tokens is None:
            return self._splits[0]
        host = next((split.host for split in self._splits if split.tokens is not None and split.tokens[1] >= tokens[1]), None)
        return replace(self._splits[0], tokens=tokens, host=host)

    def note(self, piece: _Piece) -> None:
        """A piece was taken."""
        if self._checkpoint is None or not piece.is_whole_page:
            return
        tokens = piece.split.tokens or _WHOLE_RING
        if piece.state is not None:
            self._open[tokens] = piece.state
        else:
            self._open.pop(tokens, None)
            self._done.append(tokens)
        if time.monotonic() - self._saved > _SAVE:
            self.save()

    def save(self) -> None:
        if self._checkpoint is not None:
            self._done = _merged(self._done)
            self._checkpoint.save({"ranges": self._done, "open": [[*tokens, state.hex()] for tokens, state in self._open.items()]})
            self._saved = time.monotonic()


def _merged(ranges: Sequence[Range]) -> list[Range]:
    """The same tokens in as few ranges as there can be, in their order."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and found[-1][1] >= start:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _without(split: ScanSplit, taken: Sequence[Range]) -> list[ScanSplit]:
    """The parts of a split that are not in `taken`, which is in order and without overlaps."""
    start, last = split.tokens or _WHOLE_RING
    found = []
    for begin, end in taken:
        if end <= start:
            continue
        if begin >= last:
            break
        if begin > start:
            found.append((start, begin))
        start = end
    if start < last:
        found.append((start, last))
    return [split if tokens == (split.tokens or _WHOLE_RING) else replace(split, tokens=tokens) for tokens in found]


@dataclass(frozen=True)
class _Ring:
    tokens: list[int]
    local_tokens: list[int]
    """Those of the nodes in the data centre of the node that was asked."""
    owners: dict[int, tuple[str, int]]

    def replica(self, token: int) -> tuple[str, int] | None:
        """A node that has the rows of a token: the first one of its data centre from there on."""
        if not self.owners:
            return None
        place = bisect.bisect_left(self.local_tokens, token)
        return self.owners[self.local_tokens[place % len(self.local_tokens)]]


class _Feed:
    """Reads a scan for a consumer that knows no event loop: on a loop in a thread of its own, batch by batch when asked.

    A few pages are read ahead, as many as the scan's concurrency.
    """

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._batches = scan._batches()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="acsylla_like scan", daemon=True)
        self._is_closed = False
        _feeds.add(self)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._end())
        finally:
            self._loop.close()
            _native.forget_closed_loops()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._batches.aclose()

    def schema(self) -> ArrowSchema:
        return asyncio.run_coroutine_threadsafe(self._scan.schema(), self._loop).result()

    def next_batch(self) -> ArrowBatch | None:
        """The next batch, None at the end. Raises what the scan raises."""

        async def take() -> ArrowBatch | None:
            return await anext(self._batches, None)

        future = asyncio.run_coroutine_threadsafe(take(), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Ends the thread, and drops what is on its way; the second call does nothing."""
        if self._is_closed or sys.is_finalizing():
            return
        self._is_closed = True
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()


_feeds: weakref.WeakSet[_Feed] = weakref.WeakSet()


def _close_feeds() -> None:
    """At exit: a thread that runs on would use what is torn down."""
    for feed in list(_feeds):
        feed.close()


atexit.register(_close_feeds)


def _ignore(request: Request[Result]) -> None:
    """The outcome is read when the page's turn comes; where it never does, nobody misses its error."""
    if not request.cancelled():
        request.exception()


# ---- CQL names


def table_name(text: str, keyspace: str | None) -> tuple[str, str]:
    """Keyspace and table of `table`, `keyspace.table` or a form of these with quoted names."""
    names = names_of(text)
    if names is None or len(names) > 2:
        raise ValueError(f"a table is named as `keyspace.table` or `table`, not {text!r}")
    if len(names) == 2:
        return names[0], names[1]
    if keyspace is None:
        raise ValueError(f"table {text!r} has no keyspace, and neither has the session")
    return keyspace, names[0]


def _selected(wanted: Sequence[str] | None, known: list[str] | None, table: str) -> list[str]:
    """What stands between SELECT and FROM: columns by their name, and functions of columns as they are written."""
    if wanted is None:
        return ["*"] if known is None else [quoted(name) for name in known]
    if isinstance(wanted, str):
        raise TypeError(f"columns must be a sequence of names, not the str {wanted!r}")
    selected = []
    for name in wanted:
        if "(" in name:
            selected.append(name)
        elif known is None or name in known:
            selected.append(quoted(name))
        else:
            raise KeyError(f"no column {name!r} in {table}, which has {', '.join(known)}")
    if not selected:
        raise ValueError("columns is empty: one at least is needed, or None for all of them")
    return selected
