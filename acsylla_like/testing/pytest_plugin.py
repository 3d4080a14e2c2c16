"""Fixtures for pytest, opt-in: `pytest_plugins = ["acsylla_like.testing.pytest_plugin"]` in a conftest.

- `cassandra`: a real Cassandra for the whole run; `ACSYLLA_LIKE_TEST_SERVER=host:port` names one that is there instead.
- `keyspace`: the name of a fresh keyspace for each test module, dropped after it.
- `simulacron`: a process that simulates clusters, for the whole run.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import uuid
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from .cassandra import Cassandra
from .simulacron import Simulacron

SERVER_VARIABLE = "ACSYLLA_LIKE_TEST_SERVER"


class Server(Protocol):
    """What tests need to know of a server: a `Cassandra`, or one that was there."""

    @property
    def contact_points(self) -> list[str]: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True)
class ExistingServer:
    """A server that somebody else started."""

    contact_points: list[str] = field(default_factory=list)
    port: int = 9042

    @classmethod
    def parse(cls, text: str) -> ExistingServer:
        """Reads `host[,host][:port]`. Raises ValueError."""
        hosts, colon, port = text.rpartition(":")
        if not colon:
            hosts, port = text, "9042"
        if not hosts or not port.isdecimal():
            raise ValueError(f"{SERVER_VARIABLE} must be host[,host][:port], not {text!r}")
        return cls(hosts.split(","), int(port))


@pytest.fixture(scope="session")
def cassandra() -> Iterator[Server]:
    """A real Cassandra: `.contact_points` and `.port`."""
    text = os.environ.get(SERVER_VARIABLE)
    if text:
        yield ExistingServer.parse(text)
    else:
        with Cassandra() as server:
            yield server


@pytest.fixture(scope="session")
def simulacron() -> Iterator[Simulacron]:
    """A Simulacron; each test creates its cluster: `with simulacron.create_cluster(3) as cluster:`."""
    with Simulacron() as simulacron:
        yield simulacron


@pytest.fixture(scope="module")
def keyspace(cassandra: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a keyspace that only this module uses."""
    module = re.sub(r"\W", "_", request.node.name.rpartition("/")[2].removesuffix(".py").lower())
    name = f"{module[:24]}_{uuid.uuid4().hex[:8]}"
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    _in_loop_of_its_own(_execute(cassandra, f"CREATE KEYSPACE {name} WITH replication = {replication}"))
    yield name
    _in_loop_of_its_own(_execute(cassandra, f"DROP KEYSPACE {name}"))


async def _execute(server: Server, query: str) -> None:
    import acsylla_like

    async with acsylla_like.connect(server.contact_points, port=server.port) as session:
        await session.execute(query, timeout=30.0)


def _in_loop_of_its_own(work: Coroutine[Any, Any, None]) -> None:
    """Runs it in a thread, so that the loop the tests run in is neither needed nor disturbed."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
