"""A table behind a façade that plays three nodes of ScyllaDB."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from acsylla_like.testing import ScyllaFacade

SHARDS = (4, 7, 16)


@pytest.fixture(scope="session")
def requests_of_each_kind() -> int:
    """How many; 100,000 by `tests/shards/soak.py`."""
    return int(os.environ.get("ACSYLLA_LIKE_SHARD_REQUESTS", "2000"))


@pytest.fixture
def facade(cassandra) -> Iterator[ScyllaFacade]:
    """Three nodes of 4, 7 and 16 shards."""
    with ScyllaFacade(cassandra, SHARDS) as facade:
        yield facade
