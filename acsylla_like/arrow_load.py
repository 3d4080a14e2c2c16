"""Arrow in: a stream of record batches into a table, without the GIL and without a future per row."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from acsylla_like import errors
from acsylla_like._native import ArrowInput, ArrowLoad
from acsylla_like.bulk import BulkReport, Counters, Ledger, OnError, RowError, has_no_host, refusal_of

if TYPE_CHECKING:
    from acsylla_like._native import Options, PreparedStatement
    from acsylla_like.session import Session

__all__ = ["Load", "as_arrow_data", "end_loads", "load_arrow", "opened"]

# Seconds between two looks at what has been done.
_LOOK = 0.05
# How long (seconds) the interpreter's exit waits for a load that was left alone.
_EXIT_WAIT = 10.0

_Result = TypeVar("_Result")


class Load:
    """A load under way: its two threads. `on_sent` is called by one of them when the driver is not called any more."""

    def __init__(self, native: ArrowLoad, on_sent: Callable[[], object]) -> None:
        self.native = native
        self.is_sending = True
        """Whether the driver may still be called. The reader may be stuck in the stream longer than that."""
        self._on_sent = on_sent
        self._sender = threading.Thread(target=self._send, name="acsylla_like load", daemon=True)
        self._reader = threading.Thread(target=self._read, name="acsylla_like reader", daemon=True)

    def start(self) -> None:
        _loads.add(self)
        self._sender.start()
        self._reader.start()

    def _send(self) -> None:
        self.native.send()
        self.is_sending = False
        self._on_sent()

    def _read(self) -> None:
        self.native.read()  # by a method of this object, which is kept for `_end_loads` until it has ended

    def stop(self, reason: str) -> None:
        """Has no further row sent; those in flight are waited for by the sender."""
        self.native.stop(reason)

    def wait_until_sent(self) -> None:
        """Blocks until the driver is not called any more."""
        self._sender.join()

    def join(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        for thread in (self._sender, self._reader):
            thread.join(max(0.0, end - time.monotonic()))


_loads: weakref.WeakSet[Load] = weakref.WeakSet()


def _end_loads() -> None:
    """At exit: a thread of ours that calls the driver, or the interpreter by way of a stream, would use what is torn down."""
    loads = list(_loads)
    for load in loads:
        load.stop("the interpreter exits")
    for load in loads:
        load.join(_EXIT_WAIT)


atexit.register(_end_loads)


async def _in_thread(function: Callable[[], _Result]) -> _Result:
    """What `function` returns, run in a thread that is no pool's: it may be long in code of others."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Result] = loop.create_future()

    def set_outcome(outcome: _Result | None, error: BaseException | None) -> None:
        if not done.done():
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(outcome)  # type: ignore[arg-type]

    def run() -> None:
        outcome: _Result | None = None
        failure: BaseException | None = None
        try:
            outcome = function()
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(set_outcome, outcome, failure)

    threading.Thread(target=run, name="acsylla_like opener", daemon=True).start()
    return await done


def as_arrow_data(data: object) -> Callable[[], object] | None:
    """What gives `data` as something with an Arrow capsule, or None for data that is not Arrow's. pyarrow's datasets and scanners
    have it by way of a reader."""
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return lambda: data
    if hasattr(data, "to_reader"):
        return data.to_reader  # type: ignore[no-any-return]
    if hasattr(data, "scanner"):
        return lambda: data.scanner().to_reader()
    return None


async def opened(data: Callable[[], object]) -> ArrowInput:
    """The stream of what `as_arrow_data` has found."""
    return await _in_thread(lambda: ArrowInput(data()))


async def load_arrow(
    session: Session,
    prepared: PreparedStatement,
    source: ArrowInput,
    *,
    what: str,
    children: Iterable[int],
    keys: Iterable[bool],
    partition_keys: Iterable[bool],
    concurrency: int,
    batch: int | None,
    max_rate: float | None,
    retries: int,
    on_error: OnError,
    max_errors: int,
    writes_nulls: bool,
    truncate: bool,
    skip: int,
    progress: Callable[[BulkReport], object] | None,
    save: Callable[[int], object] | None,
    options: Options,
) -> BulkReport:
    """Sends `prepared` for each row of `source`; see `ArrowLoad` and `Session.copy_from`. `what` begins the message of an error."""
    native = ArrowLoad(
        session,
        prepared,
        source,
        children,
        keys,
        partition_keys,
        concurrency=concurrency,
        retries=retries,
        stops=on_error == "stop",
        writes_nulls=writes_nulls,
        truncate=truncate,
        skip=skip,
        batch_bytes=batch or 0,
        max_rate=max_rate or 0.0,
        options=options,
    )

    def counters() -> Counters:
        rows, retries, in_flight, settled, latency, _, truncated = native.counters()
        return Counters(rows, retries, in_flight, settled, latency, settled, truncated)

    ledger = Ledger(counters, on_error=on_error, max_errors=max_errors, skip=skip, progress=progress, save=save)
    loop = asyncio.get_running_loop()
    sent = asyncio.Event()

    def tell_the_loop() -> None:
        with contextlib.suppress(RuntimeError):  # it was closed meanwhile
            loop.call_soon_threadsafe(sent.set)

    load = Load(native, tell_the_loop)
    session._loads.add(load)
    load.start()
    try:
        while not sent.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(sent.wait(), _LOOK)
            _look(native, ledger)
            if ledger.stops_with is not None:
                load.stop(ledger.stops_with)
            ledger.tell_if_due()
        _look(native, ledger)
        ledger.tell()
    except BaseException as error:
        # Cancelled, or a callback raised: nothing more is sent, and what is on its way is waited for.
        load.stop("it was cancelled" if isinstance(error, asyncio.CancelledError) else f"{type(error).__name__}: {error}")
        if isinstance(error, GeneratorExit):
            raise
        while load.is_sending:  # however often it is cancelled
            with contextlib.suppress(asyncio.CancelledError):
                await _in_thread(load.wait_until_sent)
        for failure in native.take_failures():
            ledger.keep(_row_error(*failure))
        ledger.end(error)
        raise
    finally:
        if not load.is_sending:
            session._loads.discard(load)
    reason = ledger.stops_with or native.stopped()
    if not reason:
        return ledger.report()
    ending = ledger.error(what, reason)
    if ending.__cause__ is not None and has_no_host(ending.__cause__):
        with contextlib.suppress(errors.Error):  # there is none indeed
            refusal = await refusal_of(session, prepared, options.timeout_or(session.cluster.request_timeout), ending.__cause__)
            if refusal is not None:
                ending.args = (f"{what}: row {ending.row}: {refusal}",)
                ending.__cause__ = refusal
    raise ending


def _look(native: ArrowLoad, ledger: Ledger) -> None:
    """Takes what failed since the last time."""
    failures = [_row_error(*failure) for failure in native.take_failures()]
    try:
        while failures:
            ledger.add(failures.pop(0))
    finally:
        for failure in failures:
            ledger.keep(failure)


def _row_error(row: int, column: str | None, code: int | None, message: str, may_be_written: bool) -> RowError:
    error: Exception = ValueError(message)
    if code is not None:
        error = errors.class_of_code(code)(message)
        error.code = code
    return RowError(row, error, may_be_written, column=column)


async def end_loads(loads: set[Load]) -> None:
    """Stops the loads of a session that is being closed, and waits until none of them calls the driver any more."""
    for load in list(loads):
        load.stop("the session was closed")
    for load in list(loads):
        await _in_thread(load.wait_until_sent)
    loads.clear()
