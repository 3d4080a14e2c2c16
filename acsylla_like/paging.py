"""Streams: all rows of a query, page by page, with the next page on its way while this one is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING

from acsylla_like import _native

if TYPE_CHECKING:
    from acsylla_like._native import Options, Parameters, PreparedStatement, Request, Result, Row, Statement
    from acsylla_like.session import Session

__all__ = ["Stream", "rows_of_all_pages"]


def rows_of_all_pages(result: Result) -> AsyncIterator[Row]:
    """The rows of a page and of all that follow it."""
    return _native.RowStream(_pages_from(result))


async def _pages_from(result: Result) -> AsyncGenerator[Result, None]:
    yield result
    while result.has_more_pages:
        result = await result.next_page()
        yield result


class Stream:
    """The rows of a query; made by `Session.stream`.

    `async for row in stream` yields rows, `stream.pages()` results of at most `page_size` rows. Each iteration sends the
    query anew and gives every row. At most one page is fetched ahead. Leaving early drops it; `async with` does so at once.
    """

    def __init__(self, session: Session, query: str | PreparedStatement | Statement, parameters: Parameters, options: Options) -> None:
        self._session = session
        self._query = query
        self._parameters = parameters
        self._options = options
        self._ahead: set[Request[Result]] = set()

    def __aiter__(self) -> AsyncIterator[Row]:
        return _native.RowStream(self._pages())

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Drops the pages that are on their way."""
        while self._ahead:
            self._ahead.pop().cancel()

    def pages(self) -> AsyncIterator[Result]:
        """The results, one for each page."""
        return self._pages()

    async def _pages(self) -> AsyncGenerator[Result, None]:
        options = self._options
        ahead: Request[Result] | None = self._session._execute_with(self._query, self._parameters, options)
        try:
            while ahead is not None:
                request, ahead = ahead, None
                self._ahead.add(request)
                try:
                    page = await request
                finally:
                    self._ahead.discard(request)
                if page.has_more_pages:
                    ahead = page.next_page()
                    self._ahead.add(ahead)
                    ahead.add_done_callback(_ignore)  # sends it
                yield page
        finally:
            if ahead is not None:
                self._ahead.discard(ahead)
                ahead.cancel()


def _ignore(request: asyncio.Future[Result] | Request[Result]) -> None:
    """The outcome is read when the page's turn comes; where it never does, nobody misses its error."""
    if not request.cancelled():
        request.exception()
