"""What the bench asks of us."""

from __future__ import annotations

from typing import Any

import acsylla_like


class Client:
    version = acsylla_like.driver_info().version

    async def connect(self, host: str, port: int, keyspace: str, insert: str, select: str, scan: str) -> None:
        self.session = await acsylla_like.connect(host, port=port, keyspace=keyspace)
        self.insert_statement = await self.session.create_prepared(insert)
        self.select_statement = await self.session.create_prepared(select)
        self.scan_statement = await self.session.create_prepared(scan)

    async def insert(self, values: tuple[Any, ...]) -> None:
        await self.session.execute(self.insert_statement, values)

    async def select(self, key: int) -> tuple[Any, ...]:
        row = (await self.session.execute(self.select_statement, (key,))).one()
        assert row is not None
        return row.as_tuple()

    async def scan(self, page_size: int) -> int:
        rows = 0
        async for page in self.session.stream(self.scan_statement, page_size=page_size).pages():
            for row in page:
                row.as_tuple()
                rows += 1
        return rows

    async def close(self) -> None:
        await self.session.close()
