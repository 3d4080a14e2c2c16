"""The driver's log as acsylla hands it on: to the logger `acsylla`, or to callbacks.

The driver has one log for the whole process and does not say which cluster a line is about. So every logger of this module
gets every line; in acsylla only that of the newest cluster does.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from acsylla_like import _native
from acsylla_like.compat.records import LogMessage

__all__ = ["Logger", "LoggingCallback"]

LoggingCallback: TypeAlias = Callable[[LogMessage], Awaitable[object] | object]

_python_logger = logging.getLogger("acsylla")

# acsylla's word -> the driver's number, and Python's level
_LEVELS = {
    "disabled": (0, None),
    "critical": (1, logging.CRITICAL),
    "error": (2, logging.ERROR),
    "warn": (3, logging.WARNING),
    "warning": (3, logging.WARNING),
    "info": (4, logging.INFO),
    "debug": (5, logging.DEBUG),
    "trace": (6, logging.DEBUG),
}
# By the driver's number: the word of its line, and Python's level.
_SEVERITIES = (
    ("DISABLED", logging.NOTSET),
    ("CRITICAL", logging.CRITICAL),
    ("ERROR", logging.ERROR),
    ("WARN", logging.WARNING),
    ("INFO", logging.INFO),
    ("DEBUG", logging.DEBUG),
    ("TRACE", logging.DEBUG),
)

_loggers: weakref.WeakSet[Logger] = weakref.WeakSet()
_lock = threading.RLock()  # guards it, and who listens to the driver's log
_tasks: set[asyncio.Task[None]] = set()  # a loop keeps only a weak reference to its tasks


class Logger:
    """A cluster's view of the driver's log."""

    def __init__(self, log_level: str = "warn", logging_callback: LoggingCallback | None = None) -> None:
        self.logging_callback = logging_callback
        try:  # before the first line comes, from another loop perhaps
            self.loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self.loop = None
        self.severity = 0
        with _lock:
            _loggers.add(self)
            _native.set_log_listener(_take_line)
        self.set_log_level(log_level)

    def set_log_level(self, level: str | None) -> None:
        """From disabled, critical, error, warn, info, debug, trace: the least important lines that are wanted."""
        if level is None:
            return
        if level.lower() not in _LEVELS:
            raise ValueError(f'Unknown log_level "{level}". Log level must be one of ({", ".join(_LEVELS)})')
        self.severity, python_level = _LEVELS[level.lower()]
        if python_level is not None:
            _python_logger.setLevel(python_level)
        with _lock:
            _listen_at(max(logger.severity for logger in _loggers))

    def set_logging_callback(self, callback: LoggingCallback | None) -> None:
        """A function or coroutine function that gets the lines instead of the logger `acsylla`."""
        self.logging_callback = callback

    def get_logger(self) -> logging.Logger:
        """Python's logger."""
        return _python_logger


def _after_fork_in_child() -> None:
    """The parent's lock may have been held."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _listen_at(severity: int) -> None:
    """Has the driver make lines of that severity at least. Under the lock."""
    word = _SEVERITIES[severity][0].lower()
    _native.widen_driver_log("warning" if word == "warn" else word)


def _take_line(severity: int, text: str, file: str, line: int, function: str, time_ms: int) -> bool:
    """A line of the driver's log; False where nobody is left here to take it."""
    with _lock:
        loggers = list(_loggers)
        if not loggers:
            _native.set_log_listener(None)
            _listen_at(0)
            return False
    severity = min(severity, len(_SEVERITIES) - 1)
    word, python_level = _SEVERITIES[severity]
    is_logged = False
    for logger in loggers:
        if severity > logger.severity:
            continue
        callback = logger.logging_callback
        if callback is not None:
            _call(callback, LogMessage(time_ms, word, file, line, function, text), logger.loop)
        elif not is_logged:
            is_logged = True
            _python_logger.log(python_level, "%s", text)
    return True


def _call(callback: LoggingCallback, message: LogMessage, loop: asyncio.AbstractEventLoop | None) -> None:
    """Calls it on its loop, at once where that runs here; never again when that is closed."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if loop is None or loop is running:
        _call_here(callback, message, running)
        return
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_call_here, callback, message, loop)


def _call_here(callback: LoggingCallback, message: LogMessage, loop: asyncio.AbstractEventLoop | None) -> None:
    try:
        outcome = callback(message)
    except Exception:
        _python_logger.exception("a logging callback failed")
        return
    if inspect.iscoroutine(outcome) and loop is None:
        outcome.close()  # no loop runs any more
    elif inspect.isawaitable(outcome) and loop is not None:
        task = loop.create_task(_finish(outcome))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


async def _finish(outcome: Awaitable[object]) -> None:
    try:
        await outcome
    except Exception:
        _python_logger.exception("a logging callback failed")
