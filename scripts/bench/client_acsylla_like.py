"""What the bench asks of us."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Iterator
from typing import Any

import acsylla_like


class Client:
    version = f"driver {acsylla_like.driver_info().version}"

    async def connect(self, host: str, port: int, keyspace: str) -> None:
        acsylla_like.set_driver_log_level("critical")  # as acsylla's client: a server warns of every batch of 100
        policy = acsylla_like.RetryPolicy() if os.environ.get("BENCH_RETRY_POLICY") else None
        self.session = await acsylla_like.connect(host, port=port, keyspace=keyspace, retry_policy=policy)

    async def first_query(self, text: str) -> None:
        self.read(await self.session.execute(text))

    async def prepare(self, insert: str, select: str, mixed: str, scan: str) -> None:
        self.insert_statement = await self.session.create_prepared(insert)
        self.select_statement = await self.session.create_prepared(select)
        self.mixed_statement = await self.session.create_prepared(mixed)
        self.scan_statement = await self.session.create_prepared(scan)

    def insert(self, values: list[Any]) -> Awaitable[Any]:
        return self.session.execute(self.insert_statement, values)

    def select(self, key: int) -> Awaitable[Any]:
        return self.session.execute(self.select_statement, [key])

    def mixed(self, key: int) -> Awaitable[Any]:
        return self.session.execute(self.mixed_statement, [key])

    def batch(self, rows: list[list[Any]]) -> Awaitable[Any]:
        return self.session.execute(acsylla_like.create_batch_unlogged().add_many(self.insert_statement, rows))

    def read(self, result: Any) -> int:
        return len([row.as_tuple() for row in result])

    async def scan(self, page_size: int) -> int:
        rows = 0
        async for page in self.session.stream(self.scan_statement, page_size=page_size).pages():
            rows += self.read(page)
        return rows

    # ---- bulk work

    async def prepare_bulk(self, insert: str, select: str) -> None:
        self.bulk_insert_statement = await self.session.create_prepared(insert)
        self.bulk_select_statement = await self.session.create_prepared(select)

    async def copy_from(self, table: Any, in_flight: int) -> None:
        await self.session.copy_from("bulk", table, concurrency=in_flight)

    async def execute_many(self, rows: Iterator[Any], in_flight: int) -> None:
        await self.session.execute_many(self.bulk_insert_statement, rows, concurrency=in_flight)

    async def fetch_arrow(self, rows: int, page_size: int, splits: int, in_flight: int) -> int:
        return len(await self.session.fetch_arrow(self.bulk_select_statement, page_size=page_size))

    async def scan_arrow(self, rows: int, page_size: int, splits: int, in_flight: int) -> int:
        scan = self.session.scan("bulk", splits=splits, concurrency=in_flight, page_size=page_size)
        return sum([len(batch) async for batch in scan])

    async def stream_rows(self, rows: int, page_size: int, splits: int, in_flight: int) -> int:
        found = 0
        async for _ in self.session.stream(self.bulk_select_statement, page_size=page_size):  # a row has its values already
            found += 1
        return found

    async def close(self) -> None:
        await self.session.close()
