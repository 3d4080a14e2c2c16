"""A real Cassandra, started, stopped and killed. What the package's own session sees of it is tested elsewhere."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import acsylla_like
import acsylla_like.testing
from acsylla_like.testing import Cassandra, StartFailed
from acsylla_like.testing.cassandra import _merged


def _serves(server: Cassandra) -> bool:
    """Whether it answers OPTIONS with SUPPORTED."""
    try:
        with socket.create_connection((server.contact_points[0], server.port), 5.0) as client:
            client.sendall(bytes([4, 0, 0, 1, 5, 0, 0, 0, 0]))
            return client.recv(9)[4] == 6
    except ConnectionError:
        return False


@pytest.fixture(scope="module")
def server():
    with Cassandra(heap_mb=400) as server:
        yield server


def test_two_run_side_by_side_and_both_serve(server):
    with Cassandra(heap_mb=400) as other:
        assert (other.contact_points, other.port) != (server.contact_points, server.port)
        assert _serves(server)
        assert _serves(other)
        folder = other._running_guard.folder
    assert not folder.exists()
    assert not _serves(other)
    assert _serves(server)


def test_a_killed_node_starts_again_with_its_data(server):
    node = server.nodes[0]
    host_id = _host_id(node)
    node.kill()
    assert not node.is_running
    assert not _serves(server)
    node.start()
    assert _serves(server)
    assert _host_id(node) == host_id
    node.stop()
    assert not node.is_running
    node.restart()
    assert _host_id(node) == host_id


def _host_id(node) -> str:
    """The node's identity, which is part of its data."""
    found = re.findall(r"(?:No host ID found, created|Using saved host ID:?) ([0-9a-f-]{36})", node.log())
    assert len(set(found)) == 1
    return found[0]


async def test_it_starts_and_stops_beside_a_running_loop():
    async with Cassandra(heap_mb=400) as server:
        assert _serves(server)
    assert not _serves(server)


async def test_a_cancelled_start_leaves_nothing():
    server = Cassandra(heap_mb=400)
    starting = asyncio.ensure_future(server.__aenter__())
    while server._guard is None or not server.nodes[0].is_running:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    folder = server._running_guard.folder
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not folder.exists()
    assert not server.is_running


def test_a_start_that_fails_is_one_error_with_the_last_log_lines():
    with pytest.raises(StartFailed, match=r"(?s)node1 ended with code \d+; its last lines:.*no_such_setting"):
        Cassandra(yaml={"no_such_setting": 1}).start()


def test_a_start_that_takes_too_long_is_given_up():
    with pytest.raises(StartFailed, match="was not ready after"):
        Cassandra(start_timeout=0.5).start()


def test_it_ends_with_a_parent_that_is_killed():
    root = Path(acsylla_like.testing.__file__).parents[2]
    code = (
        f"import sys, time; sys.path.insert(0, {str(root)!r})\n"
        "from acsylla_like.testing import Cassandra\n"
        "server = Cassandra(heap_mb=400).start(); guard = server._running_guard\n"
        "print(guard._pids['node1'], guard.folder, flush=True); time.sleep(1000)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid, folder = parent.stdout.readline().split()
    os.kill(int(pid), 0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(folder).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_settings_are_merged_and_none_removes_one():
    base = {"a": 1, "b": {"c": 2, "d": 3}}
    assert _merged(base, {"a": None, "b": {"d": 4, "e": 5}}) == {"b": {"c": 2, "d": 4, "e": 5}}
    assert base == {"a": 1, "b": {"c": 2, "d": 3}}


@pytest.mark.parametrize("options", [{"nodes": 0}, {"nodes": 4}, {"placement": []}])
def test_impossible_clusters_are_refused(options):
    with pytest.raises(ValueError, match="must"):
        Cassandra(**options)


def test_one_that_was_not_started_says_so():
    with pytest.raises(RuntimeError, match="not started"):
        Cassandra().nodes[0].log()
    assert not Cassandra().nodes[0].is_running


async def _write_and_read(session, size: int) -> None:
    value = os.urandom(1024) * (size // 1024)
    await session.execute("INSERT INTO ks.big (id, value) VALUES (?, ?)", [1, value], timeout=60.0)
    row = (await session.execute("SELECT value FROM ks.big WHERE id = ?", [1], timeout=60.0)).single()
    assert row.value == value


async def test_limits_can_be_raised_and_passwords_asked_for():
    async with Cassandra(heap_mb=700, max_value_mib=20, authentication=True) as server:
        with pytest.raises(acsylla_like.Error):
            await acsylla_like.connect(server.contact_points, port=server.port)
        login = {"username": server.username, "password": server.password}
        async with acsylla_like.connect(server.contact_points, port=server.port, **login) as session:
            await session.execute("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
            await session.execute("CREATE TABLE ks.big (id int PRIMARY KEY, value blob)")
            await _write_and_read(session, 20 * 2**20)
            await session.execute("CREATE ROLE reader WITH PASSWORD = 'x' AND LOGIN = true")
        async with acsylla_like.connect(server.contact_points, port=server.port, username="reader", password="x") as session:
            with pytest.raises(acsylla_like.Error, match="no SELECT permission"):
                await session.execute("SELECT * FROM ks.big")


async def test_every_node_of_several_knows_the_roles():
    async with Cassandra(nodes=2, heap_mb=400, authentication=True) as server:
        login = {"username": server.username, "password": server.password}
        for node in server.nodes:
            async with acsylla_like.connect(node.address, port=node.port, allowed_hosts=[node.address], **login) as session:
                await session.execute(f"CREATE ROLE {node.name} WITH PASSWORD = 'x' AND LOGIN = true")
        for node in server.nodes:
            for other in server.nodes:
                options = {"username": other.name, "password": "x", "allowed_hosts": [node.address]}
                async with acsylla_like.connect(node.address, port=node.port, **options) as session:
                    with pytest.raises(acsylla_like.Unauthorized):
                        await session.execute("CREATE ROLE another")


async def test_the_default_limit_is_the_servers_own(server):
    async with acsylla_like.connect(server.contact_points, port=server.port) as session:
        await session.execute("CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        await session.execute("CREATE TABLE ks.big (id int PRIMARY KEY, value blob)")
        await _write_and_read(session, 15 * 2**20)
        with pytest.raises(acsylla_like.Error, match="16777216"):
            await _write_and_read(session, 17 * 2**20)


async def test_three_nodes_in_two_datacenters_know_each_other_when_started():
    placement = [("dc1", "rack1"), ("dc1", "rack2"), ("dc2", "rack1")]
    async with Cassandra(nodes=3, heap_mb=400, placement=placement) as server:
        assert len(set(server.contact_points)) == 3
        for node in server.nodes:
            async with acsylla_like.connect(node.address, port=node.port, local_dc=node.datacenter) as session:
                peers = await session.execute("SELECT peer, data_center, rack FROM system.peers")
                others = [other for other in server.nodes if other.address != peers.coordinator.address]
                assert {str(row.peer): (row.data_center, row.rack) for row in peers} == {
                    other.address: (other.datacenter, other.rack) for other in others
                }
        async with acsylla_like.connect(server.contact_points, port=server.port, local_dc="dc1") as session:
            await session.execute("CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 2, 'dc2': 1}")
            await session.execute("CREATE TABLE ks.t (id int PRIMARY KEY, v int)")
            await session.execute("INSERT INTO ks.t (id, v) VALUES (1, 2)", consistency=acsylla_like.Consistency.ALL)
            await asyncio.to_thread(server.nodes[2].kill)
            await session.execute("INSERT INTO ks.t (id, v) VALUES (2, 3)", consistency=acsylla_like.Consistency.QUORUM)
            await asyncio.to_thread(server.nodes[2].start)
            rows = await session.execute("SELECT v FROM ks.t", consistency=acsylla_like.Consistency.ALL)
            assert sorted(row.v for row in rows) == [2, 3]
