"""Clusters: where they are, and the options with which sessions are opened."""

from __future__ import annotations

import ipaddress
import math
import subprocess
import sys

import pytest

import acsylla_like
from acsylla_like import errors
from acsylla_like.testing import cql

QUERY = "SELECT v FROM ks.t"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1",)),
        ("10.0.0.1,10.0.0.2", ("10.0.0.1", "10.0.0.2")),
        (" 10.0.0.1 ,\tnode.example ", ("10.0.0.1", "node.example")),
        (["10.0.0.1", "::1"], ("10.0.0.1", "::1")),
        (("a", "b"), ("a", "b")),
        ((name for name in ["a", "b"]), ("a", "b")),
        ([ipaddress.ip_address("10.0.0.1")], ("10.0.0.1",)),
    ],
)
def test_contact_points(given, expected):
    cluster = acsylla_like.create_cluster(given, port=1234)
    assert cluster.contact_points == expected
    assert cluster.port == 1234
    assert repr(cluster) == f"<Cluster {', '.join(expected)} port 1234>"


@pytest.mark.parametrize("given", ["", [], "a,,b", ["a", ""], ["a,b"], [" "]])
def test_contact_points_that_are_none(given):
    with pytest.raises(ValueError, match="contact_points must name at least one host"):
        acsylla_like.create_cluster(given)


@pytest.mark.parametrize("given", [None, 5])
def test_contact_points_of_another_type(given):
    with pytest.raises(TypeError, match="contact_points must be a str or a list"):
        acsylla_like.create_cluster(given)


def test_the_defaults():
    cluster = acsylla_like.create_cluster("127.0.0.1")
    assert (cluster.port, cluster.page_size, cluster.request_timeout, cluster.keyspace) == (9042, 5000, 12.0, None)
    assert acsylla_like.create_cluster("127.0.0.1", request_timeout=math.inf).request_timeout == math.inf


@pytest.mark.parametrize(
    ("options", "error_class", "words"),
    [
        ({"port": 0}, ValueError, "port must be between 1"),
        ({"port": 65536}, ValueError, "port must be at most 65535"),
        ({"port": "9042"}, TypeError, "port must be an int, not str"),
        ({"port": True}, TypeError, "port must be an int"),
        ({"keyspace": 1}, TypeError, "keyspace must be a str"),
        ({"username": "u"}, ValueError, "username and password go together"),
        ({"password": "p"}, ValueError, "username and password go together"),
        ({"username": 1, "password": "p"}, TypeError, "username must be a str"),
        ({"username": "u", "password": b"p"}, TypeError, "password must be a str, not bytes"),
        ({"connect_timeout": 0}, ValueError, "connect_timeout must be positive"),
        ({"connect_timeout": "5"}, TypeError, "connect_timeout must be a number of seconds"),
        ({"request_timeout": -1}, ValueError, "request_timeout must be positive"),
        ({"request_timeout": None}, TypeError, "request_timeout must be a number"),
        ({"num_threads_io": 0}, ValueError, "num_threads_io must be between 1"),
        ({"num_threads_io": 1.5}, TypeError, "num_threads_io must be an int"),
        ({"local_dc": 5}, TypeError, "local_dc must be a str"),
        ({"local_dc": ""}, (ValueError, errors.ClientError), "local_dc"),
        ({"page_size": 0}, ValueError, "page_size must be between 1"),
        ({"consistency": "MOST"}, ValueError, "consistency 'MOST' is none of ANY"),
        ({"serial_consistency": "QUORUM"}, ValueError, "serial_consistency must be SERIAL or LOCAL_SERIAL"),
        ({"core_connections_per_host": 0}, ValueError, "core_connections_per_host"),
        ({"queue_size_io": -1}, ValueError, "queue_size_io"),
        ({"heartbeat_interval": 0}, ValueError, "heartbeat_interval must be positive"),
        ({"idle_timeout": -1}, ValueError, "idle_timeout must be positive"),
        ({"tcp_nodelay": 1}, TypeError, "tcp_nodelay must be a bool"),
        ({"tcp_keepalive": 0}, ValueError, "tcp_keepalive must be positive"),
        ({"token_aware_routing": "yes"}, TypeError, "token_aware_routing must be a bool"),
        ({"coalesce_delay": -0.1}, ValueError, "coalesce_delay"),
        ({"server_side_timestamps": 1}, TypeError, "server_side_timestamps must be a bool"),
        ({"application_name": 5}, TypeError, "application_name must be a str"),
        ({"application_version": 5}, TypeError, "application_version must be a str"),
        ({"nonsense": 5}, TypeError, "nonsense"),
    ],
)
def test_options_that_do_not_fit_are_named(options, error_class, words):
    for make in (acsylla_like.create_cluster, acsylla_like.connect):
        with pytest.raises(error_class, match=words):
            make("127.0.0.1", **options)


def test_a_cluster_and_a_connect_need_no_running_loop_and_leave_nothing_behind():
    acsylla_like.create_cluster("127.0.0.1", username="u", password="p", local_dc="dc1", tcp_keepalive=5, coalesce_delay=0.0001)
    acsylla_like.connect("127.0.0.1")


def test_importing_the_package_loads_no_driver():
    code = "import acsylla_like, sys; from acsylla_like import _native; assert _native.library_path() is None"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- what the options do ----------------------------------------------------------------------------------------------


async def test_consistency_levels_of_a_cluster(scripted):
    async with acsylla_like.connect(scripted.address, port=scripted.port, consistency="ALL", serial_consistency="LOCAL_SERIAL") as session:
        await session.execute(QUERY)
    assert (scripted.requests[-1].consistency, scripted.requests[-1].serial_consistency) == (5, 9)


async def test_timestamps_come_from_the_client_or_the_server(scripted):
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        await session.execute(QUERY)
        await session.execute(QUERY)
    one, two = (request.timestamp for request in scripted.requests)
    assert one is not None
    assert one < two
    async with acsylla_like.connect(scripted.address, port=scripted.port, server_side_timestamps=True) as session:
        await session.execute(QUERY)
        assert scripted.requests[-1].timestamp is None
        await session.execute(QUERY, timestamp=5)
        assert scripted.requests[-1].timestamp == 5


async def test_connections_and_threads_are_as_many_as_asked_for(scripted):
    for options, connections in (({}, 2), ({"core_connections_per_host": 3}, 4), ({"num_threads_io": 2}, 3)):
        async with acsylla_like.connect(scripted.address, port=scripted.port, **options):
            scripted.wait_for(lambda server, connections=connections: server.open_connections == connections)
        scripted.wait_for(lambda server: server.open_connections == 0)


async def test_the_local_data_center(simulacron):
    with simulacron.create_cluster(2, 2) as cluster:
        cluster.prime(QUERY, [{"v": 1}], {"v": "int"})
        remote = cluster.datacenters["dc2"]
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port, local_dc="dc2") as session:
            coordinators = {(await session.execute(QUERY)).coordinator.address for _ in range(20)}
        assert coordinators == set(remote)


async def test_an_unknown_data_center_is_an_error(simulacron):
    with simulacron.create_cluster(1) as cluster, pytest.raises(errors.Error):
        await acsylla_like.connect(cluster.contact_points, port=cluster.port, local_dc="nowhere")


async def test_a_contact_point_that_is_down_does_not_matter(simulacron):
    with simulacron.create_cluster(3) as cluster:
        cluster.prime(QUERY, [{"v": 1}], {"v": "int"})
        cluster.stop_listening(cluster.nodes[0])
        async with acsylla_like.connect(cluster.nodes, port=cluster.port) as session:
            assert {(await session.execute(QUERY)).coordinator.address for _ in range(20)} == set(cluster.nodes[1:])


async def test_a_name_of_the_host_is_resolved(scripted):
    async with acsylla_like.connect([scripted.address, scripted.address], port=scripted.port) as session:
        await session.execute(QUERY)


async def test_connecting_gives_up_in_time(scripted):
    scripted.stop_listening()
    with pytest.raises(errors.Error) as caught:
        await acsylla_like.connect([scripted.address, "127.255.255.253"], port=scripted.port, connect_timeout=0.5)
    assert f"{scripted.address}, 127.255.255.253, port {scripted.port}" in str(caught.value)


async def test_the_application_names_itself(scripted):
    seen = []
    own_answer = scripted._own_answer

    def note(request):
        if request.opcode == cql.STARTUP:
            seen.append(request.options)
        return own_answer(request)

    scripted._own_answer = note
    async with acsylla_like.connect(scripted.address, port=scripted.port, application_name="shop", application_version="1.2"):
        pass
    assert {(options["APPLICATION_NAME"], options["APPLICATION_VERSION"]) for options in seen} == {("shop", "1.2")}
