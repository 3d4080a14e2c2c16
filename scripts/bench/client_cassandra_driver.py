"""What the bench asks of cassandra-driver, in its best form.

That is its libev reactor without delays in TCP, its compiled protocol and row reader, rows as tuples, and requests by
execute_async. Their completions come in the reactor's thread and reach the event loop in a queue, with one wake-up for all
that wait. Tables are read by its own paging, in one thread beside the loop.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Iterator
from importlib.metadata import version
from typing import Any

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import RoundRobinPolicy, TokenAwarePolicy
from cassandra.protocol import HAVE_CYTHON
from cassandra.query import BatchStatement, BatchType, tuple_factory

logging.getLogger("cassandra").setLevel(logging.ERROR)  # a real server warns of every batch

if not HAVE_CYTHON:
    raise SystemExit("this cassandra-driver was installed without its compiled parts")


class Client:
    version = version("cassandra-driver")

    async def connect(self, host: str, port: int, keyspace: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.completed: deque[tuple[asyncio.Future[Any], Any, Exception | None]] = deque()
        profile = ExecutionProfile(TokenAwarePolicy(RoundRobinPolicy()), row_factory=tuple_factory)
        self.cluster = Cluster(
            [host],
            port,
            protocol_version=4,
            connection_class=LibevConnection,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        self.session = await asyncio.to_thread(self.cluster.connect, keyspace)

    async def first_query(self, text: str) -> None:
        self.read(await self._execute(text))

    async def prepare(self, insert: str, select: str, mixed: str, scan: str) -> None:
        self.insert_statement = self.session.prepare(insert)
        self.select_statement = self.session.prepare(select)
        self.mixed_statement = self.session.prepare(mixed)
        self.scan_statement = self.session.prepare(scan)

    def _execute(self, statement: Any, values: list[Any] | None = None) -> Awaitable[Any]:
        waiter = self.loop.create_future()
        answer = self.session.execute_async(statement, values)
        answer.add_callbacks(self._complete, self._complete, callback_args=(waiter,), errback_args=(waiter,))
        return waiter

    def _complete(self, outcome: Any, waiter: asyncio.Future[Any]) -> None:
        # In the reactor's thread. Counted after the append: what the loop emptied before it is woken for anew.
        self.completed.append((waiter, outcome, outcome if isinstance(outcome, Exception) else None))
        if len(self.completed) == 1:
            self.loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        while self.completed:
            waiter, outcome, error = self.completed.popleft()
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(outcome)

    def insert(self, values: list[Any]) -> Awaitable[Any]:
        return self._execute(self.insert_statement, values)

    def select(self, key: int) -> Awaitable[Any]:
        return self._execute(self.select_statement, [key])

    def mixed(self, key: int) -> Awaitable[Any]:
        return self._execute(self.mixed_statement, [key])

    def batch(self, rows: list[list[Any]]) -> Awaitable[Any]:
        batch = BatchStatement(BatchType.UNLOGGED)
        for values in rows:
            batch.add(self.insert_statement, values)
        return self._execute(batch)

    def read(self, rows: list[tuple[Any, ...]]) -> int:
        return len(rows)  # they are values already

    async def scan(self, page_size: int) -> int:
        self.scan_statement.fetch_size = page_size
        return await asyncio.to_thread(lambda: sum(1 for _ in self.session.execute(self.scan_statement)))

    # ---- bulk work

    async def prepare_bulk(self, insert: str, select: str) -> None:
        self.bulk_insert_statement = self.session.prepare(insert)
        self.bulk_select_statement = self.session.prepare(select)

    async def execute_concurrent(self, rows: Iterator[Any], in_flight: int) -> None:
        def write() -> None:
            answers = execute_concurrent_with_args(
                self.session, self.bulk_insert_statement, rows, concurrency=in_flight, results_generator=True
            )
            for _ in answers:  # raises what fails
                pass

        await asyncio.to_thread(write)

    async def read_pages(self, rows: int, page_size: int, splits: int, in_flight: int) -> int:
        self.bulk_select_statement.fetch_size = page_size
        return await asyncio.to_thread(lambda: sum(1 for _ in itertools.islice(self.session.execute(self.bulk_select_statement), rows)))

    async def close(self) -> None:
        await asyncio.to_thread(self.cluster.shutdown)
