"""What the bench asks of acsylla."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import acsylla


class Client:
    version = version("acsylla")

    async def connect(self, host: str, port: int, keyspace: str, insert: str, select: str, scan: str) -> None:
        self.cluster = acsylla.create_cluster([host], port=port, log_level="error")
        self.session = await self.cluster.create_session(keyspace=keyspace)
        self.insert_statement = await self.session.create_prepared(insert)
        self.select_statement = await self.session.create_prepared(select)
        self.scan_statement = await self.session.create_prepared(scan)

    async def insert(self, values: tuple[Any, ...]) -> None:
        statement = self.insert_statement.bind()
        statement.bind_list(list(values))
        await self.session.execute(statement)

    async def select(self, key: int) -> tuple[Any, ...]:
        statement = self.select_statement.bind()
        statement.bind_list([key])
        return (await self.session.execute(statement)).first().as_tuple()

    async def scan(self, page_size: int) -> int:
        rows = 0
        statement = self.scan_statement.bind(page_size=page_size)
        while True:
            result = await self.session.execute(statement)
            for row in result:
                row.as_tuple()
                rows += 1
            if not result.has_more_pages():
                return rows
            statement.set_page_state(result.page_state())

    async def close(self) -> None:
        await self.session.close()
