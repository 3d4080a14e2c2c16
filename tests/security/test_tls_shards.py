"""What looks after shards works over TLS, too, and as the same user."""

from __future__ import annotations

import pytest
from certificates import Authority
from waiting import until

import acsylla_like
from acsylla_like import Tls, _native, shard_watch
from acsylla_like.testing import ScriptedServer, ScyllaFacade

authority = Authority()
CLIENT = authority.issue()
PIECES = {"trust": authority.pem, "certificate": CLIENT.pem, "key": CLIENT.key_pem("geheim"), "key_password": "geheim"}


@pytest.mark.parametrize("shard_aware_port", [True, False])
async def test_shards_are_found_over_tls(cassandra, keyspace, tmp_path, shard_aware_port):
    context = authority.issue(names=["a.node"]).server_context(tmp_path, asks=authority)
    with ScyllaFacade(cassandra, shards=(4,), ssl_context=context) as facade:
        tls = Tls(**PIECES, verify="certificate")
        async with acsylla_like.connect(
            facade.contact_points, port=facade.port, ssl=tls, shard_aware_port=shard_aware_port, connect_timeout=10
        ) as session:
            mode = "advanced" if shard_aware_port else "basic"
            await until(lambda: {host.mode for host in shard_watch.shards_of(session).values()} == {mode}, 30)
            (host,) = shard_watch.shards_of(session).values()
            assert host.sharding is not None
            assert host.sharding.nr_shards == 4
            await session.execute(f"CREATE TABLE IF NOT EXISTS {keyspace}.t (k int PRIMARY KEY)")
            route = await session.explain(f"SELECT * FROM {keyspace}.t WHERE k = ?", [1])
            assert route.replicas
            assert [replica.shard in range(4) for replica in route.replicas] == [True] * len(route.replicas)


async def test_a_key_that_pythons_ssl_cannot_use_leaves_a_session_as_it_is(scripted, tmp_path, monkeypatch):
    monkeypatch.setattr("acsylla_like.security._Material.context", lambda self, verify: None)
    with ScriptedServer(ssl=authority.issue(names=["a.node"]).server_context(tmp_path)) as server:
        tls = Tls(trust=authority.pem, verify="certificate")
        async with acsylla_like.connect(server.address, port=server.port, ssl=tls) as session:
            assert session.cluster.tls_context is None
            await session.execute("SELECT v FROM ks.t")
            await until(lambda: all("Python's ssl cannot" in host.reason for host in shard_watch.shards_of(session).values()))


async def test_a_plain_text_is_never_sent_to_a_port_with_tls(tmp_path):
    with ScriptedServer(ssl=authority.issue(names=["a.node"]).server_context(tmp_path)) as server:
        tls = Tls(trust=authority.pem, verify="certificate")
        async with acsylla_like.connect(server.address, port=server.port, ssl=tls) as session:
            await until(lambda: server.address in shard_watch.shards_of(session))
            assert shard_watch.shards_of(session)[server.address].reason == "it has no shards"


async def test_a_fresh_driver_session_encrypts_and_authenticates_as_the_one_before(tmp_path):
    asked = 0

    def password() -> str:
        nonlocal asked
        asked += 1
        return f"password {asked}"

    (tmp_path / "ca.pem").write_text(authority.pem)
    context = authority.issue(names=["a.node"]).server_context(tmp_path, asks=authority)
    with ScriptedServer(authenticator="x.Y", ssl=context) as server:
        tls = Tls(**{**PIECES, "trust": tmp_path / "ca.pem"}, verify="certificate")
        cluster = acsylla_like.create_cluster(server.address, port=server.port, username="u", password=password, ssl=tls)
        (tmp_path / "ca.pem").unlink()
        async with await cluster.create_session() as session:
            server.logins.clear()
            replacement = _native.Replacement(session)
            replacement.connect(session, cluster._twin())
            await until(lambda: replacement.wait(0.0))
            assert replacement.take_over(session)
            await session.execute("SELECT v FROM ks.t")
            assert {token for tokens in server.logins.values() for token in tokens} == {b"\0u\0password 1"}
        assert asked == 1
