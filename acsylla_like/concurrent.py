"""Many statements at once, each with a result: the way of `Session.execute_concurrent`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from acsylla_like._native import BulkWriter
from acsylla_like.bulk import Ahead, iterator_of

if TYPE_CHECKING:
    from typing import TypeAlias

    from acsylla_like._native import Batch, Parameters, PreparedStatement, Request, Result, Statement

    ConcurrentItem: TypeAlias = str | PreparedStatement | Statement | Batch | tuple[str | PreparedStatement, Parameters]

__all__ = ["in_order", "with_indexes"]

_END = object()


class _Requests:
    """Requests for the items of an iterable, as many as may be sent."""

    def __init__(
        self, items: Iterable[object] | AsyncIterable[object], execute: Callable[[Any], Request[Result]], concurrency: int
    ) -> None:
        self._execute = execute
        self._concurrency = concurrency
        self._news = asyncio.Event()
        self._items = iterator_of(items, "the statements", self._news.set)
        self._has_more = True
        self._count = 0
        self.sent: deque[tuple[int, Request[Result]]] = deque()
        """In their order; whoever has taken one's outcome removes it."""
        self.answered: deque[tuple[int, Request[Result]]] = deque()
        """As they were answered."""

    def send(self) -> bool:
        """Sends what may be sent; whether there is, or will be, an outcome to wait for."""
        while self._has_more and len(self.sent) < self._concurrency:
            item = next(self._items, _END)
            if item is _END:
                self._has_more = False
            elif item is BulkWriter.NOT_YET:
                break
            else:
                entry = (self._count, self._execute(item))
                self._count += 1
                self.sent.append(entry)
                entry[1].add_done_callback(lambda _, entry=entry: self._note(entry))  # type: ignore[misc]
        return bool(self.sent) or self._has_more

    def _note(self, entry: tuple[int, Request[Result]]) -> None:
        self.answered.append(entry)
        self._news.set()

    async def wait(self) -> None:
        """Until something was answered, or there is something to send."""
        await self._news.wait()
        self._news.clear()

    def close(self) -> None:
        """Gives up what is in flight."""
        for _, request in self.sent:
            request.cancel()
        if isinstance(self._items, Ahead):
            self._items.close()


def _outcome(request: Request[Result], raises: bool) -> Any:
    if raises:
        return request.result()
    error = request.exception()
    return request.result() if error is None else error


async def in_order(
    items: Iterable[object] | AsyncIterable[object], execute: Callable[[Any], Request[Result]], concurrency: int, raises: bool
) -> AsyncGenerator[Any, None]:
    """The outcomes in the order of the items."""
    requests = _Requests(items, execute, concurrency)
    try:
        while requests.send():
            while requests.sent and requests.sent[0][1].done():
                yield _outcome(requests.sent.popleft()[1], raises)
                requests.send()
            requests.answered.clear()
            if requests.sent or requests.send():
                await requests.wait()
    finally:
        requests.close()


async def with_indexes(
    items: Iterable[object] | AsyncIterable[object], execute: Callable[[Any], Request[Result]], concurrency: int, raises: bool
) -> AsyncGenerator[tuple[int, Any], None]:
    """(index of the item, outcome) as they come."""
    requests = _Requests(items, execute, concurrency)
    try:
        while requests.send():
            while requests.answered:
                entry = requests.answered.popleft()
                requests.sent.remove(entry)
                yield entry[0], _outcome(entry[1], raises)
                requests.send()
            if not requests.answered and requests.send():
                await requests.wait()
    finally:
        requests.close()
