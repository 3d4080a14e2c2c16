"""A real server seen by two clients: ours, and the official driver as the oracle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Any, TypeVar

import pytest
from cql_values import USER_TYPES
from hypothesis import HealthCheck, settings

import acsylla_like

Outcome = TypeVar("Outcome")

# A busy machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
settings.load_profile("patient")


class TwoClients:
    """Sessions of both clients in this module's keyspace; tests that draw examples run ours from synchronous code."""

    def __init__(self, loop: asyncio.AbstractEventLoop, session: acsylla_like.Session, oracle: Any) -> None:
        self.loop = loop
        self.session = session
        self.oracle = oracle
        self._tables = 0

    def run(self, *work: Awaitable[Outcome]) -> list[Outcome]:
        async def gather() -> list[Outcome]:
            return await asyncio.gather(*work)

        return self.loop.run_until_complete(gather())

    def execute(self, query: str, parameters: Any = None) -> Any:
        return self.run(self.session.execute(query, parameters))[0]

    def table(self, *columns: str) -> str:
        """A new table with the key `k int` and those columns."""
        self._tables += 1
        name = f"table_{self._tables}"
        self.execute(f"CREATE TABLE {name} (k int PRIMARY KEY, {', '.join(columns)})")
        return name


@pytest.fixture(scope="module")
def clients(cassandra: Any, keyspace: str, loop_factory: Any) -> Iterator[TwoClients]:
    cluster_module = pytest.importorskip("cassandra.cluster")
    libev = pytest.importorskip("cassandra.io.libevreactor")
    profile = cluster_module.ExecutionProfile(request_timeout=30)
    oracle_cluster = cluster_module.Cluster(
        cassandra.contact_points,
        port=cassandra.port,
        connection_class=libev.LibevConnection,
        protocol_version=4,
        execution_profiles={cluster_module.EXEC_PROFILE_DEFAULT: profile},
    )
    loop = loop_factory()
    try:
        oracle = oracle_cluster.connect(keyspace)

        async def connect() -> acsylla_like.Session:
            return await acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace)

        session = loop.run_until_complete(connect())
        clients = TwoClients(loop, session, oracle)
        for name, fields in USER_TYPES.items():
            columns = ", ".join(f'"{field}" {_frozen(text)}' for field, text in fields.items())
            clients.execute(f"CREATE TYPE {name} ({columns})")
        yield clients
        loop.run_until_complete(session.close())
    finally:
        loop.close()
        oracle_cluster.shutdown()


def _frozen(text: str) -> str:
    return f"frozen<{text}>" if "<" in text and not text.startswith("frozen<") else text
