"""acsylla's retry policies: the driver's default, and none."""

from __future__ import annotations

import logging

import pytest

import acsylla_like.compat as acsylla
from acsylla_like.compat import errors

QUERY = "SELECT v"


async def asked(servers, *, policy: str | None, of: str = "cluster", idempotent: bool | None = None, logged: bool = False):
    """How many nodes were asked, and the error or None."""
    options = {"retry_policy": policy, "retry_policy_logging": logged} if of == "cluster" else {"retry_policy": "fallthrough"}
    cluster = acsylla.create_cluster(servers.contact_points, port=servers.port, log_level="info", **options)
    if of == "profile":
        cluster.create_execution_profile("p", retry_policy=policy, retry_policy_logging=logged)
    session = await cluster.create_session()
    statement = session.query(QUERY, execution_profile="p" if of == "profile" else None)
    if of == "statement":
        statement.set_retry_policy(policy, retry_policy_logging=logged)
    statement.set_is_idempotent(idempotent)
    servers.clear_queries()
    error = None
    try:
        if of == "batch":
            batch = acsylla.create_batch_unlogged()
            batch.set_retry_policy(policy)
            batch.add_statement(statement)
            await session.execute_batch(batch)
        else:
            await statement
    except errors.CassException as failed:
        error = failed
    await session.close()
    return [query["node"] for query in servers.queries() if query["query"] == QUERY], error


@pytest.fixture
def servers(simulacron):
    with simulacron.create_cluster(3) as servers:
        yield servers


@pytest.mark.parametrize("of", ["cluster", "statement", "profile"])
async def test_when_too_few_replicas_are_alive_another_node_is_asked_once(servers, of):
    servers.prime_error(QUERY, "unavailable")
    nodes, error = await asked(servers, policy="default", of=of)
    assert len(nodes) == len(set(nodes)) == 2
    assert type(error) is errors.CassErrorServerUnavailable
    nodes, error = await asked(servers, policy="fallthrough", of=of)
    assert len(nodes) == 1
    assert type(error) is errors.CassErrorServerUnavailable


async def test_the_default_is_the_default(servers):
    servers.prime_error(QUERY, "unavailable")
    nodes, _ = await asked(servers, policy=None)
    assert len(nodes) == 2


@pytest.mark.parametrize(
    ("kind", "fields", "idempotent", "tries", "same"),
    [
        ("read_timeout", {"received": 2, "block_for": 2, "data_present": False}, None, 2, True),
        ("read_timeout", {"received": 2, "block_for": 2, "data_present": True}, None, 1, True),
        ("read_timeout", {"received": 1, "block_for": 2}, None, 1, True),
        ("write_timeout", {"write_type": "BATCH_LOG"}, None, 2, True),
        ("write_timeout", {"write_type": "SIMPLE"}, True, 1, True),
        ("is_bootstrapping", {}, None, 3, False),
        ("overloaded", {}, None, 1, True),
        ("overloaded", {}, True, 3, False),
        ("server_error", {}, True, 3, False),
        ("invalid", {}, True, 1, True),
        ("write_failure", {}, True, 1, True),
    ],
)
async def test_the_default_policy_by_error(servers, kind, fields, idempotent, tries, same):
    servers.prime_error(QUERY, kind, **fields)
    nodes, error = await asked(servers, policy="default", idempotent=idempotent)
    if tries == 3:  # until no node is left
        assert isinstance(error, (errors.CassErrorSourceServer, errors.CassErrorLibNoHostsAvailable))
        assert len(nodes) >= tries
    else:
        assert isinstance(error, errors.CassErrorSourceServer)
        assert len(nodes) == tries
    assert len(set(nodes)) == (1 if same else 3)


async def test_decisions_are_logged_where_that_is_asked_for(servers, caplog):
    caplog.set_level(logging.INFO, "acsylla")
    servers.prime_error(QUERY, "unavailable")
    await asked(servers, policy="default", of="statement", logged=False)
    assert not [record for record in caplog.records if "a request that failed" in record.message]
    await asked(servers, policy="default", of="statement", logged=True)
    found = [record.message for record in caplog.records if "a request that failed" in record.message]
    assert [message.split(":")[0] for message in found] == [
        "a request that failed is sent again (next node)",
        "a request that failed is not sent again",
    ]
