"""Simulacron, started for real."""

from __future__ import annotations

import socket

import pytest

from acsylla_like.testing import Simulacron, SimulacronError


def test_clusters_have_datacenters_addresses_and_listen(simulacron):
    with simulacron.create_cluster(2, 1) as cluster, simulacron.create_cluster() as other:
        assert [len(nodes) for nodes in cluster.datacenters.values()] == [2, 1]
        assert len({*cluster.nodes, *other.nodes}) == 4
        for address in cluster.nodes:
            socket.create_connection((address, cluster.port), 5.0).close()
        cluster.stop_listening(cluster.nodes[0])
        with pytest.raises(ConnectionError):
            socket.create_connection((cluster.nodes[0], cluster.port), 5.0)
        cluster.listen(cluster.nodes[0])
        with socket.create_connection((cluster.nodes[0], cluster.port), 5.0):
            pass
    with pytest.raises(ConnectionError):
        socket.create_connection((cluster.nodes[1], cluster.port), 5.0)


KINDS = """
    unavailable read_timeout write_timeout read_failure write_failure function_failure overloaded is_bootstrapping
    server_error syntax_error unauthorized invalid config_error close_connection no_result
"""


@pytest.mark.parametrize("kind", KINDS.split())
def test_every_kind_of_error_can_be_primed(simulacron, kind):
    with simulacron.create_cluster() as cluster:
        cluster.prime_error("SELECT v FROM t", kind, delay=0.01, node=cluster.nodes[0])
        cluster.clear_primes()


def test_rows_can_be_primed_and_nothing_was_asked(simulacron):
    with simulacron.create_cluster() as cluster:
        cluster.prime("SELECT v FROM t WHERE k = ?", [{"v": 1}], {"v": "int"}, parameters={"k": "int"})
        assert cluster.queries() == []
        assert cluster.connections() == []
        cluster.drop_connections()
        cluster.clear_queries()


def test_its_refusals_are_errors_with_its_words(simulacron):
    with simulacron.create_cluster() as cluster, pytest.raises(SimulacronError, match="prime query"):
        cluster.prime_error("SELECT v FROM t", "no such kind")


def test_an_unstarted_one_says_so():
    with pytest.raises(RuntimeError, match="not started"):
        Simulacron().create_cluster()


def test_one_that_is_forgotten_warns_and_ends():
    server = Simulacron().start()
    assert server._guard is not None
    folder = server._guard.folder
    with pytest.warns(ResourceWarning, match="unstopped <Simulacron"):
        del server
    assert not folder.exists()
