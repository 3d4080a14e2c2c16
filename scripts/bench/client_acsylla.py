"""What the bench asks of acsylla. Its uuids stay text, as it gives them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Iterator
from typing import Any

import acsylla


class Client:
    version = acsylla.version.__version__

    async def connect(self, host: str, port: int, keyspace: str) -> None:
        self.cluster = acsylla.create_cluster([host], port=port, log_level="critical")
        self.session = await self.cluster.create_session(keyspace=keyspace)

    async def first_query(self, text: str) -> None:
        self.read(await self.session.execute(acsylla.create_statement(text)))

    async def prepare(self, insert: str, select: str, mixed: str, scan: str) -> None:
        self.insert_statement = await self.session.create_prepared(insert)
        self.select_statement = await self.session.create_prepared(select)
        self.mixed_statement = await self.session.create_prepared(mixed)
        self.scan_statement = await self.session.create_prepared(scan)

    def insert(self, values: list[Any]) -> Awaitable[Any]:
        statement = self.insert_statement.bind()
        statement.bind_list(values)
        return self.session.execute(statement)

    def select(self, key: int) -> Awaitable[Any]:
        statement = self.select_statement.bind()
        statement.bind_list([key])
        return self.session.execute(statement)

    def mixed(self, key: int) -> Awaitable[Any]:
        statement = self.mixed_statement.bind()
        statement.bind_list([key])
        return self.session.execute(statement)

    def batch(self, rows: list[list[Any]]) -> Awaitable[Any]:
        batch = acsylla.create_batch_unlogged()
        for values in rows:
            statement = self.insert_statement.bind()
            statement.bind_list(values)
            batch.add_statement(statement)
        return self.session.execute_batch(batch)

    def read(self, result: Any) -> int:
        return len([row.as_tuple() for row in result])

    async def scan(self, page_size: int) -> int:
        rows = 0
        statement = self.scan_statement.bind(page_size=page_size)
        while True:
            result = await self.session.execute(statement)
            rows += self.read(result)
            if not result.has_more_pages():
                return rows
            statement.set_page_state(result.page_state())

    # ---- bulk work

    takes_lists = True

    async def prepare_bulk(self, insert: str, select: str) -> None:
        self.bulk_insert_statement = await self.session.create_prepared(insert)
        self.bulk_select_statement = await self.session.create_prepared(select)

    def _bulk_insert(self, values: list[Any]) -> Awaitable[Any]:
        statement = self.bulk_insert_statement.bind()
        statement.bind_list(values)
        return self.session.execute(statement)

    async def tasks(self, rows: Iterator[Any], in_flight: int) -> None:
        """So many tasks, each of which takes the next row when its own is written."""

        async def work() -> None:
            for values in rows:
                await self._bulk_insert(values)

        await asyncio.gather(*[work() for _ in range(in_flight)])

    async def tasks_of_256(self, rows: Iterator[Any], in_flight: int) -> None:
        """The same with fewer tasks, which take less CPU each."""
        await self.tasks(rows, 256)

    async def chunks(self, rows: Iterator[Any], in_flight: int) -> None:
        """So many rows gathered, then the next ones."""
        while chunk := list(itertools.islice(rows, in_flight)):
            await asyncio.gather(*map(self._bulk_insert, chunk))

    async def semaphore(self, rows: Iterator[Any], in_flight: int) -> None:
        """A task for each row, of which so many get under way."""
        room = asyncio.Semaphore(in_flight)

        async def insert(values: list[Any]) -> None:
            try:
                await self._bulk_insert(values)
            finally:
                room.release()

        tasks: set[asyncio.Task[None]] = set()  # which the loop alone would forget
        for values in rows:
            await room.acquire()
            tasks = {task for task in tasks if not task.done() or task.exception()} if len(tasks) >= 2 * in_flight else tasks
            tasks.add(asyncio.create_task(insert(values)))
        await asyncio.gather(*tasks)

    async def read_pages(self, rows: int, page_size: int, splits: int, in_flight: int) -> int:
        found = 0
        statement = self.bulk_select_statement.bind(page_size=page_size)
        while found < rows:
            result = await self.session.execute(statement)
            found += self.read(result)
            if not result.has_more_pages():
                break
            statement.set_page_state(result.page_state())
        return found

    async def close(self) -> None:
        await self.session.close()
