"""acsylla's names, on the test server."""

from __future__ import annotations

import pytest

import acsylla_like.compat as acsylla


@pytest.fixture
def cluster(cassandra) -> acsylla.Cluster:
    return acsylla.create_cluster(cassandra.contact_points, port=cassandra.port)


@pytest.fixture
async def session(cluster, keyspace):
    """acsylla's session in this module's keyspace."""
    session = await cluster.create_session(keyspace=keyspace)
    yield session
    await session.close()
