"""Sessions on the real server and the scripted one. (`cassandra`, `keyspace`, `simulacron` come from the package's plugin.)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

import acsylla_like
from acsylla_like.testing import ScriptedServer


def pytest_report_header() -> str:
    try:
        info = acsylla_like.driver_info()
    except Exception as error:  # tests of the search for a driver need none
        return f"driver: {error}"
    return f"driver: {info.version} at {info.path}"


@pytest.fixture
async def session(cassandra, keyspace: str) -> AsyncIterator[acsylla_like.Session]:
    """A session in this module's keyspace, closed after the test."""
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as session:
        yield session


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A server that answers what the test says."""
    with ScriptedServer() as server:
        yield server
