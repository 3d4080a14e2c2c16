"""What happens to the nodes of a cluster, as its sessions see it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["HostEvent", "HostListener", "tell"]


@dataclass(frozen=True)
class HostEvent:
    """A node came up, went down, was added or removed; only of nodes that the load balancing lets the session use."""

    kind: Literal["up", "down", "add", "remove"]
    address: str
    """Its IP address."""


HostListener: TypeAlias = Callable[[HostEvent], Awaitable[object] | object]
"""A function or coroutine function that is told of each event, on the event loop that opened a session last."""

_tasks: set[asyncio.Task[None]] = set()  # a loop keeps only a weak reference to its tasks


def tell(listener: HostListener, loop: asyncio.AbstractEventLoop, event: HostEvent) -> None:
    """Has a listener told on its loop. Any thread; does nothing when the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_call, listener, loop, event)


def _call(listener: HostListener, loop: asyncio.AbstractEventLoop, event: HostEvent) -> None:
    try:
        outcome = listener(event)
    except Exception as error:
        _failed(listener, loop, error)
        return
    if inspect.isawaitable(outcome):
        task = loop.create_task(_finish(listener, loop, outcome))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


async def _finish(listener: HostListener, loop: asyncio.AbstractEventLoop, outcome: Awaitable[object]) -> None:
    try:
        await outcome
    except Exception as error:
        _failed(listener, loop, error)


def _failed(listener: HostListener, loop: asyncio.AbstractEventLoop, error: Exception) -> None:
    loop.call_exception_handler({"message": f"exception in on_host_event {listener!r}", "exception": error})
