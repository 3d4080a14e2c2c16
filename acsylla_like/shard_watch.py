"""Looks after every session of the process that may be to ScyllaDB: a thread takes what the driver tells of their hosts, and has each
session's guard do what is to be done (shard_guard.py)."""

from __future__ import annotations

import asyncio
import atexit
import logging
import math
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from acsylla_like import _native
from acsylla_like.shard_guard import ASK_TIMEOUT, STEP, Guarded, HostShards

if TYPE_CHECKING:
    from acsylla_like.cluster import Cluster
    from acsylla_like.session import Session

__all__ = ["HostShards", "closed", "hosts_told", "opened", "registered", "shards_of"]

logger = logging.getLogger("acsylla_like.shards")

_TOLD_TIMEOUT = 1.0  # seconds


class _Watcher:
    """The thread that serves every session of the process; there is one while there are sessions."""

    def __init__(self) -> None:
        self.guarded: dict[int, Guarded] = {}  # by the session's number
        self.lock = threading.Lock()  # guards `guarded` and `thread`
        self.thread: threading.Thread | None = None
        self.is_stopping = False

    def add(self, number: int, guarded: Guarded) -> None:
        with self.lock:
            self.guarded[number] = guarded

    def wake(self) -> None:
        with self.lock:
            if self.thread is None and not self.is_stopping:
                self.thread = threading.Thread(target=self._run, name="acsylla_like shards", daemon=True)
                self.thread.start()
        _native.interrupt_session_event()

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        tasks: set[asyncio.Task[None]] = set()
        try:
            while not self.is_stopping and self._step(loop, tasks):
                pass
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.wait(tasks))
            loop.run_until_complete(_ended(loop))
            loop.close()

    def _step(self, loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[None]]) -> bool:
        """Takes events and works a little; False when no session is left."""
        with self.lock:
            for number, guarded in list(self.guarded.items()):
                if guarded.is_gone:
                    if guarded.work is not None:
                        guarded.work.cancel()
                    del self.guarded[number]
                    guarded.give_back_ports()
            if not self.guarded and not tasks:
                self.thread = None
                return False
            active = list(self.guarded.values())
        now = time.monotonic()
        for guarded in active:
            guarded.retired = [(ends, retired) for ends, retired in guarded.retired if ends > now]
        ends = [guarded.next_work_at for guarded in active] + [ends for guarded in active for ends, _ in guarded.retired]
        until = min(ends, default=math.inf) - now
        self.take(_native.next_session_event(0.0 if tasks else max(0.0, until)))
        for guarded in active:
            if guarded.has_work and (guarded.work is None or guarded.work.done()):
                guarded.work = loop.create_task(guarded.settle())
                tasks.add(guarded.work)
        if tasks:
            done, _ = loop.run_until_complete(asyncio.wait(tasks, timeout=STEP, return_when=asyncio.FIRST_COMPLETED))
            for task in done:
                tasks.discard(task)
                if not task.cancelled() and task.exception() is not None:
                    logger.error("looking after the shards of a session failed", exc_info=task.exception())
                    for guarded in active:
                        guarded.is_broken |= guarded.work is task  # rather than again and again
        return True

    def take(self, event: tuple[int, int, str, str | None] | None) -> None:
        """Notes an event and those that came after it."""
        while event is not None:
            number, incarnation, kind, address = event
            guarded = self.guarded.get(number)
            if guarded is not None:
                guarded.note(incarnation, kind, address)
            event = _native.next_session_event(0.0)

    def stop(self) -> None:
        """At exit: a thread that comes back from the driver while the interpreter ends would crash it."""
        self.is_stopping = True
        _native.interrupt_session_event()
        if self.thread is not None:
            self.thread.join(ASK_TIMEOUT)


async def _ended(loop: asyncio.AbstractEventLoop) -> None:
    """Waits for connections that were given up while they were being opened, and for their transports."""
    others = asyncio.all_tasks(loop) - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=ASK_TIMEOUT)
    for _ in range(3):
        await asyncio.sleep(0)


_watcher = _Watcher()


def _forget_parent() -> None:
    global _watcher
    _watcher = _Watcher()


os.register_at_fork(after_in_child=_forget_parent)


@atexit.register
def _stop() -> None:
    _watcher.stop()


def registered(session: Session, cluster: Cluster) -> None:
    """Collects what the driver tells of a session's hosts. Before it connects."""
    _watcher.add(session.number, Guarded(weakref.ref(session, _dropped), cluster))


def opened(session: Session) -> None:
    """Looks after it from now on."""
    guarded = _watcher.guarded.get(session.number)
    if guarded is not None:
        guarded.is_opened = True
        _watcher.wake()


def closed(session: Session) -> None:
    """It is closed, or was never opened."""
    guarded = _watcher.guarded.get(session.number)
    if guarded is not None and not guarded.is_opened:
        del _watcher.guarded[session.number]  # nothing has begun
    _native.interrupt_session_event()


async def hosts_told(session: Session) -> None:
    """Waits until the listener of its cluster, if there is one, was told of the hosts that it connected to."""
    guarded = _watcher.guarded.get(session.number)
    if guarded is None or guarded.cluster.listener is None:
        return
    ends = time.monotonic() + _TOLD_TIMEOUT
    while not any("host_up" in kinds for kinds in guarded.told.values()) and time.monotonic() < ends:  # noqa: ASYNC110 in another thread
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)


def _dropped(_: object) -> None:
    _native.interrupt_session_event()


def shards_of(session: Session) -> dict[str, HostShards]:
    """What is known of the session's hosts, by address."""
    guarded = _watcher.guarded.get(session.number)
    return {} if guarded is None else dict(guarded.hosts)
