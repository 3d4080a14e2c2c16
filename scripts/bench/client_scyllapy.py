"""What the bench asks of scyllapy. Its rows are dicts. A table is read row by row, its only way, and only the start of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from importlib.metadata import version
from typing import Any

import scyllapy
from scyllapy.extra_types import BigInt, Double

SCANNED = 10_000  # the rest would take as long as all other work together


def _typed(values: list[Any]) -> list[Any]:
    key, name, big, ratio, last = values
    return [key, name, BigInt(big), Double(ratio), last]


class Client:
    version = version("scyllapy")

    async def connect(self, host: str, port: int, keyspace: str) -> None:
        self.session = scyllapy.Scylla([f"{host}:{port}"], keyspace=keyspace)
        await self.session.startup()

    async def first_query(self, text: str) -> None:
        self.read(await self.session.execute(text))

    async def prepare(self, insert: str, select: str, mixed: str, scan: str) -> None:
        self.insert_statement = await self.session.prepare(insert)
        self.select_statement = await self.session.prepare(select)
        self.mixed_statement = await self.session.prepare(mixed)
        self.scan_statement = await self.session.prepare(scan)

    def insert(self, values: list[Any]) -> Awaitable[Any]:
        return self.session.execute(self.insert_statement, _typed(values))

    def select(self, key: int) -> Awaitable[Any]:
        return self.session.execute(self.select_statement, [key])

    def mixed(self, key: int) -> Awaitable[Any]:
        return self.session.execute(self.mixed_statement, [key])

    def batch(self, rows: list[list[Any]]) -> Awaitable[Any]:
        batch = scyllapy.InlineBatch(scyllapy.BatchType.UNLOGGED)
        for values in rows:
            batch.add_query(self.insert_statement, _typed(values))
        return self.session.batch(batch)

    def read(self, result: Any) -> int:
        return len(result.all())

    async def scan(self, page_size: int) -> int:
        rows = 0
        async for _ in await self.session.execute(self.scan_statement, paged=True):  # its driver's pages are of 5,000
            rows += 1
            if rows == SCANNED:
                break
        return rows

    # ---- bulk work

    takes_lists = True

    async def prepare_bulk(self, insert: str, select: str) -> None:
        self.bulk_insert_statement = await self.session.prepare(insert)
        self.bulk_select_statement = await self.session.prepare(select)

    async def tasks(self, rows: Iterator[Any], in_flight: int) -> None:
        """So many tasks, each of which takes the next row when its own is written."""

        async def work() -> None:
            for values in rows:
                await self.session.execute(self.bulk_insert_statement, _typed(values))

        await asyncio.gather(*[work() for _ in range(in_flight)])

    async def read_pages(self, rows: int, page_size: int, splits: int, in_flight: int) -> int:
        found = 0
        async for _ in await self.session.execute(self.bulk_select_statement, paged=True):
            found += 1
            if found == rows:
                break
        return found

    async def close(self) -> None:
        await self.session.shutdown()
