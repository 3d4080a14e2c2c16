"""Many rows with one prepared statement: who is told what of them, and the loop's side of `Session.execute_many`.

Nothing here is done for each row: `BulkWriter.pump` binds and sends them in bursts.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from acsylla_like import errors
from acsylla_like._native import BulkWriter, may_be_written
from acsylla_like.retry import back_off

if TYPE_CHECKING:
    from acsylla_like._native import Options, PreparedStatement
    from acsylla_like.session import Session

__all__ = ["Ahead", "BulkReport", "Counters", "Latency", "Ledger", "OnError", "RowError", "has_no_host", "refusal_of", "write_rows"]

T = TypeVar("T")

# Seconds between two reports.
_TELL = 0.5
# Items that are taken from an asynchronous iterable before they can be used.
_AHEAD = 512
# Seconds for which rows that found no host wait before they are sent again, at first and at most.
_PAUSE, _LONGEST_PAUSE = 0.05, 3.0


@dataclass(frozen=True)
class RowError:
    """A row that was not written, or of which that is not known."""

    row: int
    """Its number in the data, from 0 on."""
    error: Exception
    """Why: what `execute` would have raised; of Arrow data, the class and message of it."""
    may_be_written: bool
    """Whether the row was sent, and no answer tells that it was not applied."""
    parameters: object = None
    """The row as it was given; None for Arrow data."""
    column: str | None = None
    """The column whose value was refused before anything was sent, where that is known."""

    @property
    def code(self) -> int | None:
        """`Error.code` of a row that was sent; None for one that was refused before."""
        return getattr(self.error, "code", None)

    @property
    def message(self) -> str:
        return str(self.error)

    def __str__(self) -> str:
        # The errors of Python's values name their column themselves.
        place = "" if self.column is None or f'"{self.column}"' in self.message else f", column {self.column!r}"
        return f"row {self.row}{place}: {self.error}"


OnError = Literal["stop", "collect"] | Callable[[RowError], object]


@dataclass(frozen=True)
class Latency:
    """Seconds within which so many of the rows were answered, retries included; up to 7 % too high. Of one row in eight: the clock
    costs a twentieth of a row."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True)
class BulkReport:
    """What a call has done until now.

    When the call has ended, every row before `taken` was skipped, is written or has failed.
    """

    rows: int
    """Rows that are known to be written, by this call."""
    failed: int
    """Rows that are not, or not known to be: those of `errors`, or of which `on_error` was told."""
    skipped: int
    """Rows at the beginning that an earlier call had settled, by the checkpoint of `resume`."""
    settled: int
    """Every row before this number is written or skipped, or has failed and was reported without ending the call: where
    `resume` goes on."""
    taken: int
    """Rows that were taken from the data, skipped ones included; for Arrow data, those that are known to have an outcome. With
    `batch`, an early end may leave some of them unsent: then only those before `settled` are certain."""
    retries: int
    """How often a row was sent again after it had failed in passing."""
    truncated: int
    """Values of which parts below a millisecond were cut."""
    in_flight: int
    """Requests that are not answered."""
    seconds: float
    latency: Latency
    errors: tuple[RowError, ...] = ()
    """The rows that failed, in no particular order; empty where `on_error` is a function."""

    @property
    def rate(self) -> float:
        """Rows written per second."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def unknown(self) -> tuple[int, ...]:
        """The rows of `errors` that may or may not be written, by their numbers."""
        return tuple(sorted(error.row for error in self.errors if error.may_be_written))


@dataclass(frozen=True)
class Counters:
    """What a writer counts."""

    rows: int
    retries: int
    in_flight: int
    settled: int
    latency: tuple[float, float, float, float]
    taken: int
    truncated: int = 0


class Ledger:
    """What became of the rows of one call, and who is told of it."""

    def __init__(
        self,
        counters: Callable[[], Counters],
        *,
        on_error: OnError,
        max_errors: int,
        skip: int = 0,
        progress: Callable[[BulkReport], object] | None = None,
        save: Callable[[int], object] | None = None,
    ) -> None:
        """`save` is told the number of settled rows when `progress` is told the rest."""
        self._counters = counters
        self._on_error = on_error
        self._max_errors = max_errors
        self._skip = skip
        self._progress = progress
        self._save = save
        self._started = self._told = time.monotonic()
        self._errors: list[RowError] = []
        self._failed = 0
        self._open = 1 << 63  # the first row that failed and is to be tried by the next call

    @property
    def stops_with(self) -> str | None:
        """Why no further row is to be sent, or None."""
        if self._on_error == "stop" and self._errors:
            # Of several rows in flight the first in the data: what was sent before it is not at fault.
            return str(self.first_error)
        if self._on_error == "collect" and len(self._errors) > self._max_errors:
            return f"more than {self._max_errors} rows failed, the first of them {self._errors[0]}"
        return None

    @property
    def errors_until_told(self) -> int:
        """How many rows may fail before somebody is to be told, who may end it."""
        return self._max_errors - len(self._errors) + 1 if self._on_error == "collect" else 1

    @property
    def first_error(self) -> RowError | None:
        return min(self._errors, key=lambda error: error.row, default=None)

    def add(self, error: RowError) -> None:
        """A row has failed. Raises what the caller's function raises."""
        self._failed += 1
        if callable(self._on_error):
            self._on_error(error)
        else:
            self._errors.append(error)
        if self._on_error == "stop":
            self._open = min(self._open, error.row)

    def keep(self, error: RowError) -> None:
        """As `add`, when the call is ending: nobody is called."""
        self._failed += 1
        self._errors.append(error)
        self._open = min(self._open, error.row)

    def _settled(self, counted: Counters) -> int:
        return min(counted.settled, self._open)

    def report(self) -> BulkReport:
        counted = self._counters()
        return BulkReport(
            rows=counted.rows,
            failed=self._failed,
            skipped=min(self._skip, counted.taken),
            settled=self._settled(counted),
            taken=counted.taken,
            retries=counted.retries,
            truncated=counted.truncated,
            in_flight=counted.in_flight,
            seconds=time.monotonic() - self._started,
            latency=Latency(*counted.latency),
            errors=tuple(self._errors),
        )

    @property
    def seconds_to_tell(self) -> float:
        """When `tell_if_due` has something to do; infinity when it never has."""
        if self._progress is None and self._save is None:
            return math.inf
        return max(0.0, self._told + _TELL - time.monotonic())

    def tell_if_due(self) -> None:
        if self.seconds_to_tell == 0.0:
            self.tell()

    def tell(self) -> None:
        self._told = time.monotonic()
        self.save()
        if self._progress is not None:
            self._progress(self.report())

    def save(self) -> None:
        if self._save is not None:
            self._save(self._settled(self._counters()))

    def end(self, error: BaseException) -> None:
        """The call ends with an error that is not of its own making: that gets the report."""
        self.save()
        report = error.report = self.report()  # type: ignore[attr-defined]
        if self._progress is not None:
            with contextlib.suppress(Exception):  # `error` is what counts
                self._progress(report)

    def error(self, what: str, reason: str) -> errors.BulkError:
        """The error that ends the call."""
        error = errors.BulkError(f"{what}: {reason}")
        error.report = self.report()
        first = self.first_error
        if self._on_error == "stop" and first is not None:
            error.row, error.column, error.code = first.row, first.column, first.code
            error.__cause__ = first.error
        return error


class Ahead(Generic[T]):
    """An asynchronous iterable as an iterator that gives `BulkWriter.NOT_YET` while it has nothing: a task reads a little ahead
    and calls `wake` when there is something again."""

    def __init__(self, items: AsyncIterable[T], wake: Callable[[], object]) -> None:
        self._wake = wake
        self._buffer: deque[T] = deque()
        self._room: asyncio.Future[None] | None = None
        self._is_awaited = False
        self._reader = asyncio.get_running_loop().create_task(self._read(items))
        self._reader.add_done_callback(self._tell)

    async def _read(self, items: AsyncIterable[T]) -> None:
        async for item in items:
            self._buffer.append(item)
            self._tell()
            if len(self._buffer) >= _AHEAD:
                self._room = asyncio.get_running_loop().create_future()
                await self._room

    def _tell(self, _: object = None) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._wake()

    def __iter__(self) -> Iterator[T]:
        return self  # type: ignore[return-value]

    def __next__(self) -> T | object:
        if self._buffer:
            item: T = self._buffer.popleft()
            if self._room is not None and not self._room.done() and len(self._buffer) <= _AHEAD // 2:
                self._room.set_result(None)
            return item
        if self._reader.done():
            self._reader.result()  # raises what the iterable raised
            raise StopIteration
        self._is_awaited = True
        return BulkWriter.NOT_YET

    def close(self) -> None:
        """Reads no more. An asynchronous generator gets the CancelledError where it waits."""
        if self._reader.done():
            if not self._reader.cancelled():
                self._reader.exception()  # seen
        else:
            self._reader.cancel()


def iterator_of(items: Iterable[T] | AsyncIterable[T], name: str, wake: Callable[[], object]) -> Iterator[T] | Ahead[T]:
    """Either kind of iterable as an iterator. Raises TypeError for anything else."""
    if isinstance(items, AsyncIterable):
        return Ahead(items, wake)
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise TypeError(f"{name} must be an iterable or an asynchronous iterable, not {type(items).__name__}")
    return iter(items)


async def write_rows(
    session: Session,
    prepared: PreparedStatement,
    rows: Iterable[object] | AsyncIterable[object],
    *,
    what: str,
    concurrency: int,
    retries: int,
    on_error: OnError,
    max_errors: int,
    max_rate: float | None,
    progress: Callable[[BulkReport], object] | None,
    options: Options,
    convert: Callable[[object], object] | None = None,
    truncated: Callable[[], int] | None = None,
    skip: int = 0,
    save: Callable[[int], object] | None = None,
    batch: int | None = None,
    partition_key: tuple[int, ...] = (),
) -> BulkReport:
    """Sends `prepared` once for each row. See `Session.execute_many`, which has checked the arguments; `what` begins the message of
    an error, `convert` makes a row's values of what `rows` gives, the first `skip` of them are passed over, and with `batch` rows
    with the same values of `partition_key` (indexes) go together, up to so many bytes."""
    writer = BulkWriter(
        session,
        prepared,
        options,
        concurrency=concurrency,
        retries=retries,
        convert=convert,
        skip=skip,
        batch_bytes=batch or 0,
        partition_key=partition_key,
    )

    def counters() -> Counters:
        return Counters(*writer.counters(), writer.taken, truncated() if truncated is not None else 0)

    ledger = Ledger(counters, on_error=on_error, max_errors=max_errors, skip=skip, progress=progress, save=save)
    source = iterator_of(rows, "rows", writer.wake)
    pump = _Pump(session, prepared, writer, ledger, retries, max_rate)
    reason: str | None = None
    try:
        reason = await pump.run(source)
        await pump.finish(tells=True)
        ledger.tell()
    except GeneratorExit:
        raise
    except BaseException as error:
        # Cancelled, or the rows or a callback raised: nothing more is sent, and what is on its way is waited for.
        await pump.finish(tells=False)
        ledger.end(error)
        raise
    finally:
        writer.close()
        if isinstance(source, Ahead):
            source.close()
    reason = ledger.stops_with or reason
    if reason is not None:
        raise ledger.error(what, reason)
    return ledger.report()


class _Pump:
    """Keeps a BulkWriter busy."""

    def __init__(
        self, session: Session, prepared: PreparedStatement, writer: BulkWriter, ledger: Ledger, retries: int, max_rate: float | None
    ) -> None:
        self._session = session
        self._prepared = prepared
        self._writer = writer
        self._ledger = ledger
        self._retries = retries
        self._max_rate = max_rate
        self._started = time.monotonic()
        self._homeless = 0  # how often in a row no host was found
        self._refusal: errors.Error | None = None  # why the server does not take the statement any more

    async def run(self, source: Iterator[object] | Ahead[object]) -> str | None:
        """Sends all rows and waits for their answers, or returns why it stopped before."""
        writer, ledger = self._writer, self._ledger
        while True:
            allowed = self._allowed()
            state = writer.pump(source, allowed, ledger.errors_until_told)
            if state == "failures":
                await self._settle_failures()
                if ledger.stops_with is not None:
                    return ledger.stops_with
                await asyncio.sleep(0)
            elif state == "end" and writer.unfinished == 0:
                return None
            elif state == "turn" and allowed > 0:
                await asyncio.sleep(0)
            else:
                await self._wait(state)
            ledger.tell_if_due()

    def _allowed(self) -> int:
        """How many rows may be taken now."""
        if self._max_rate is None:
            return 1 << 40
        # In portions of 10 ms, or one would wait for each row.
        by_now = (time.monotonic() - self._started + 0.01) * self._max_rate
        return max(0, math.ceil(by_now) - self._writer.taken)

    async def _wait(self, state: str) -> None:
        writer = self._writer
        # Half a window at a time: a loop that is woken for each answer does little else.
        least = {"room": max(1, writer.in_flight // 2), "end": writer.in_flight}.get(state, 0)
        seconds = min(writer.seconds_to_next_try(), self._ledger.seconds_to_tell)
        if state == "turn":  # the rate allows no more
            seconds = min(seconds, 0.01)
        if least == 0 and math.isinf(seconds) and state != "rows":
            seconds = _PAUSE
        timer = None if math.isinf(seconds) else asyncio.get_running_loop().call_later(seconds, writer.wake)
        try:
            await writer.answers(least)
        finally:
            if timer is not None:
                timer.cancel()

    def _row_error(self, row: int, values: object, error: Exception) -> RowError:
        is_open = may_be_written(getattr(error, "code", None), self._writer.is_idempotent)
        return RowError(row, error, is_open, values, getattr(error, "column", None))

    async def _settle_failures(self) -> None:
        """Rows that found no host, though there may be one that has forgotten the statement, get another try."""
        homeless = []
        failures = deque(self._writer.take_failures())
        try:
            while failures:
                row, values, tries, error = failures.popleft()
                if has_no_host(error) and tries <= self._retries:
                    homeless.append((row, values, tries, error))
                else:
                    self._ledger.add(self._row_error(row, values, error))
            if homeless:
                self._refusal = await self._look_for_hosts(homeless[0][3])
                while self._refusal is not None and homeless:
                    row, values, _, _ = homeless.pop()
                    self._ledger.add(self._row_error(row, values, self._refusal))
        except BaseException:
            for row, values, _, error in (*failures, *homeless):
                self._ledger.keep(self._row_error(row, values, error))
            raise
        for failure in homeless:
            self._writer.send_again(*failure)

    async def _look_for_hosts(self, error: Exception) -> errors.Error | None:
        """Why the server does not take the statement any more; None when it is prepared anew, or there was a pause."""
        try:
            refusal = await refusal_of(self._session, self._prepared, self._writer.timeout, error)
        except errors.Error:  # no host indeed
            self._homeless += 1
            await asyncio.sleep(back_off(self._homeless, _PAUSE, _LONGEST_PAUSE))
            return None
        self._homeless = 0
        return refusal

    async def finish(self, *, tells: bool) -> None:
        """Sends no more and waits for what is on its way, however often it is cancelled."""
        writer = self._writer
        cancelled: asyncio.CancelledError | None = None
        while True:
            writer.give_up()
            self._tell_of_failures(tells)
            if writer.in_flight == 0:
                break
            try:
                await writer.answers(writer.in_flight)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None and tells:
            raise cancelled

    def _tell_of_failures(self, tells: bool) -> None:
        failures = deque(
            self._row_error(row, values, self._refusal if self._refusal is not None and has_no_host(error) else error)
            for row, values, _, error in self._writer.take_failures()
        )
        try:
            while tells and failures:
                self._ledger.add(failures.popleft())
        finally:
            for failure in failures:
                self._ledger.keep(failure)


async def refusal_of(session: Session, prepared: PreparedStatement, timeout: float, error: BaseException) -> errors.Error | None:
    """Why the server refuses to prepare a statement anew, of which `error` says that no host is there; None when it is prepared.

    Raises an Error when there is no host indeed.
    """
    assert isinstance(error, errors.Error)
    try:
        await session._renew_or_raise(prepared, timeout, error)
    except (errors.NoHostsAvailable, errors.Unprepared, errors.ConnectionLost, errors.RequestTimeout):
        raise
    except errors.Error as refusal:
        return refusal
    return None


def has_no_host(error: BaseException) -> bool:
    """Or none that knows the statement, which the driver does not tell apart (2.16.2, PrepareHostHandler)."""
    return isinstance(error, (errors.NoHostsAvailable, errors.Unprepared))
