"""A server in a thread with an event loop of its own, so that the client under test may use any."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")


async def _some_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def stop_listening(server: asyncio.Server) -> None:
    """Closes it without losing a connection that is just being accepted: asyncio fails to attach that to a closed server."""
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener.fileno())
    await _some_turns()
    server.close()


class LoopThread:
    """The life of such a server: `start()` and `stop()`, or `with` and `async with`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()  # guards nothing: wakes wait_for()

    async def _begin(self) -> None:
        """What the server does first, in its loop."""

    async def _end(self) -> None:
        """What it does last: closes what is open."""

    async def _end_all(self) -> None:
        await self._end()
        for _ in range(10):  # handshakes of TLS that still go on, and what begins meanwhile
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _some_turns()
        await _some_turns()  # transports close in one of the next

    def start(self) -> Self:
        """Listens, in a thread of its own; returns when it does. Raises OSError when an address is taken."""
        if self._thread is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name=type(self).__name__, daemon=True)
            self._thread.start()
            try:
                self._run(self._begin())
            except BaseException:
                self.stop()
                raise
        return self

    def stop(self) -> None:
        """Closes every connection and ends the thread; the second call does nothing."""
        if self._thread is None or self._loop is None:
            return
        self._run(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._thread = self._loop = None

    def wait_for(self, condition: Callable[[Self], bool], timeout: float = 10.0) -> None:
        """Waits until `condition(server)`, looked at after each request and change of connections.

        Raises TimeoutError after `timeout` seconds. Blocks: from a coroutine, use `asyncio.to_thread`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout):
                raise TimeoutError(f"the condition did not come true within {timeout:g} s")

    def _note(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        if self._loop is None:
            work.close()
            raise RuntimeError(f"this {type(self).__name__} is not started")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()  # milliseconds

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def __del__(self) -> None:
        if getattr(self, "_thread", None) is not None:
            warnings.warn(f"unstopped {self!r}", ResourceWarning, source=self, stacklevel=2)
