"""Arrow out: whole queries as record batches, decoded in C++ on threads of ours while the next page is on its way."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from acsylla_like import _native, errors
from acsylla_like._native import ArrowBatch, ArrowSchema, ArrowTable
from acsylla_like.paging import Stream

if TYPE_CHECKING:
    from typing import TypeAlias

    from acsylla_like._native import Options, Parameters, PreparedStatement, Result, Statement
    from acsylla_like.session import Session

    Decimals: TypeAlias = Mapping[str, tuple[int, int]]
    """Names of decimal and varint columns with the precision and scale, in digits, of the Arrow decimals they become."""

__all__ = ["ArrowBatch", "ArrowSchema", "ArrowTable", "Decoders"]

# Pages that have been received and not decoded yet, for each call.
_PAGES_AHEAD = 4


class Decoders:
    """The threads on which a session's pages become Arrow data: as many as there are processors, four at most.

    They start with the first page and end with the session, or when it is forgotten.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._is_closed = False

    def decode(self, page: Result, schema: ArrowSchema, first_row: int) -> asyncio.Future[list[ArrowBatch]]:
        """The rows of a page, of which the first is called `first_row` in errors. To be called on the running loop."""
        if self._is_closed:
            raise errors.SessionClosed("the session was closed while its pages were being read")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="acsylla_like decoder")
        return asyncio.get_running_loop().run_in_executor(self._pool, _native.decode_arrow, page, schema, first_row)

    def close(self) -> None:
        """Lets the threads end after what they have to do."""
        self._is_closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=False)


async def fetch_table(
    session: Session,
    query: str | PreparedStatement | Statement,
    parameters: Parameters,
    options: Options,
    decimals: Decimals | None,
) -> ArrowTable:
    """All pages of a query; see `Session.fetch_arrow`."""
    schema: ArrowSchema | None = None
    batches: list[ArrowBatch] = []
    decoding: deque[asyncio.Future[list[ArrowBatch]]] = deque()
    first_row = 0
    try:
        async with Stream(session, query, parameters, options) as stream:
            async for page in stream.pages():
                if schema is None:
                    schema = _native.arrow_schema_of(page, decimals)
                decoding.append(session._decoders.decode(page, schema, first_row))
                first_row += len(page)
                if len(decoding) > _PAGES_AHEAD:
                    batches += await decoding.popleft()
        while decoding:
            batches += await decoding.popleft()
    finally:
        for future in decoding:
            future.cancel()
    assert schema is not None  # a query has one page at least
    return ArrowTable(schema, batches)
