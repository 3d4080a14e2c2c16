"""Errors that need a cluster in trouble, for real: two nodes of which one is stopped in its tracks, and roles without rights."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import acsylla_like
from acsylla_like import RETHROW, FailedRequest, Retry, RetryPolicy, errors
from acsylla_like.testing import Cassandra

SOON = "700ms"
# The failure detector shall take a node that is stopped for one that lives, as long as this lasts.
YAML = {
    "phi_convict_threshold": 16,
    **{f"{kind}_request_timeout": SOON for kind in ("read", "range", "write", "counter_write", "truncate")},
    "cas_contention_timeout": SOON,
}


class Downgrading(RetryPolicy):
    def decide(self, error: errors.Error, request: FailedRequest) -> Any:
        return Retry("same", consistency="ONE") if isinstance(error, errors.ReadTimeout) else RETHROW


async def _caught(awaitable: Any, error_class: type[errors.Error]) -> Any:
    with pytest.raises(error_class) as caught:
        await awaitable
    assert type(caught.value) is error_class
    return caught.value


async def test_what_two_real_nodes_say_when_one_of_them_is_stopped() -> None:
    async with Cassandra(nodes=2, heap_mb=400, yaml=YAML) as server:
        here, there = server.nodes
        async with acsylla_like.connect(here.address, port=server.port, request_timeout=20.0) as session:
            await session.execute("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2}")
            await session.execute("CREATE TABLE ks.t (k int PRIMARY KEY, v int)")
            await session.execute("CREATE TABLE ks.counters (k int PRIMARY KEY, n counter)")
            await session.execute("INSERT INTO ks.t (k, v) VALUES (1, 7)", consistency="ALL")
            there.pause()
            try:
                await _timeouts(session, here)
            finally:
                there.resume()
            await _lost(session, here)


async def test_what_a_real_node_says_to_whom_it_does_not_trust() -> None:
    async with Cassandra(heap_mb=400, authentication=True) as server:
        place: dict[str, Any] = {"port": server.port, "username": server.username, "password": server.password}
        async with acsylla_like.connect(server.contact_points, **place) as session:
            await session.execute("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
            await session.execute("CREATE TABLE ks.t (k int PRIMARY KEY, v int)")
            await session.execute("CREATE ROLE guest WITH PASSWORD = 'secret' AND LOGIN = true")
        await _refusals(server.contact_points[0], place)


async def _refusals(address: str, place: dict[str, Any]) -> None:
    error = await _caught(acsylla_like.connect(address, **{**place, "username": "guest", "password": "wrong"}), errors.AuthenticationError)
    assert isinstance(error, ConnectionError)
    assert "wrong" not in str(error)
    async with acsylla_like.connect(address, **{**place, "username": "guest", "password": "secret"}) as guest:
        for request in (guest.execute("SELECT v FROM ks.t"), guest.execute("SELECT v FROM ks.t WHERE k = ?", [1])):
            error = await _caught(request, errors.Unauthorized)
            assert not error.transient
            assert "guest" in str(error)
        await _caught(guest.execute("DROP TABLE ks.t"), errors.Unauthorized)


async def _timeouts(session: acsylla_like.Session, here: Any) -> None:
    at = (here.address, here.port)

    def execute(text: str, **options: Any) -> Any:
        return session.execute(text, **{"host": at, "consistency": "ALL", **options})

    error = await _caught(execute("SELECT v FROM ks.t WHERE k = 1"), errors.ReadTimeout)
    assert (error.consistency, error.required, error.received) == ("ALL", 2, 1)
    assert error.data_present in (True, False)
    assert (error.coordinator.address, error.transient, error.retryable) == (here.address, True, False)

    writes = {
        "INSERT INTO ks.t (k, v) VALUES (2, 2)": "SIMPLE",
        "BEGIN UNLOGGED BATCH INSERT INTO ks.t (k, v) VALUES (3, 3); INSERT INTO ks.t (k, v) VALUES (4, 4); APPLY BATCH": "UNLOGGED_BATCH",
        "BEGIN BATCH INSERT INTO ks.t (k, v) VALUES (5, 5); INSERT INTO ks.t (k, v) VALUES (6, 6); APPLY BATCH": "BATCH_LOG",
        "UPDATE ks.counters SET n = n + 1 WHERE k = 1": "COUNTER",
        "INSERT INTO ks.t (k, v) VALUES (7, 7) IF NOT EXISTS": "CAS",
    }
    told = {}
    for text in writes:
        error = await _caught(execute(text), errors.WriteTimeout)
        told[text] = error.write_type
        assert error.required >= 1
        assert error.received < 2
        assert not error.retryable
    assert told == writes

    rows = await execute("SELECT v FROM ks.t WHERE k = 1", retry_policy=Downgrading(first_pause=0.001))
    assert rows.single().v == 7
    again = RetryPolicy(retries=1, first_pause=0.001, longest_pause=0.002)
    error = await _caught(execute("INSERT INTO ks.t (k, v) VALUES (2, 2)", idempotent=True, retry_policy=again), errors.WriteTimeout)
    assert len(error.attempts) == 1

    error = await _caught(execute("TRUNCATE ks.t"), errors.TruncateError)
    assert error.transient
    assert not error.retryable  # it may be empty by now


async def _lost(session: acsylla_like.Session, here: Any) -> None:
    """The coordinator is killed while a request is on its way."""
    here.pause()
    request = asyncio.ensure_future(session.execute("SELECT v FROM ks.t WHERE k = 1", host=(here.address, here.port), timeout=15.0))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(here.kill)
    error = await _caught(request, errors.ConnectionLost)
    assert error.coordinator.address == here.address
