"""What the bench asks of scyllapy. Its rows are dicts. A table is read row by row, its only way, and only the start of it."""

from __future__ import annotations

from collections.abc import Awaitable
from importlib.metadata import version
from typing import Any

import scyllapy
from scyllapy.extra_types import BigInt, Double

SCANNED = 10_000  # the rest would take as long as all other work together


def _typed(values: list[Any]) -> list[Any]:
    key, name, big, ratio, flag = values
    return [key, name, BigInt(big), Double(ratio), flag]


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

    async def close(self) -> None:
        await self.session.shutdown()
