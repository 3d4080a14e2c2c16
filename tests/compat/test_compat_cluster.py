"""acsylla's clusters: seventy options, setters, execution profiles and listeners."""

from __future__ import annotations

import asyncio
import gc
import inspect
import math
import os
import time
import uuid
import warnings

import pytest
from waiting import until

import acsylla_like.compat as acsylla
from acsylla_like import ConstantReconnection, DcAware, ExponentialReconnection, LatencyAware, RackAware, RoundRobin, SpeculativeExecution
from acsylla_like.compat import Consistency, HostListenerEvent, errors


def core_options(cluster, monkeypatch) -> dict:
    """What the package's cluster is made with."""
    seen = {}
    module = "acsylla_like.compat.cluster.create_core_cluster"
    with monkeypatch.context() as context:
        context.setattr(module, lambda points, **options: seen.update(options, points=points))
        cluster._core = None
        cluster._made()
    return seen


def test_there_are_seventy_options():
    assert len(inspect.signature(acsylla.create_cluster).parameters) == 70


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {},
            {
                "reconnection": ExponentialReconnection(2.0, 60.0),
                "consistency": 10,
                "shard_aware_port": True,
                "page_size": None,
                "load_balancing": None,
            },
        ),
        ({"constant_reconnect_delay_ms": 100}, {"reconnection": ConstantReconnection(0.1)}),
        ({"constant_reconnect_delay_ms": 0}, {"reconnection": ConstantReconnection(0)}),
        ({"exponential_reconnect_base_delay_ms": None}, {"reconnection": None}),
        ({"load_balance_round_robin": True}, {"load_balancing": RoundRobin()}),
        ({"load_balance_round_robin": False}, {"load_balancing": None}),
        ({"load_balance_dc_aware": "dc2"}, {"load_balancing": DcAware("dc2")}),
        ({"load_balance_rack_aware_dc": "d", "load_balance_rack_aware_rack": "r"}, {"load_balancing": RackAware("d", "r")}),
        ({"latency_aware_routing": True}, {"latency_aware": LatencyAware()}),
        ({"latency_aware_routing_settings": acsylla.LatencyAwareRoutingSettings(scale_ms=50)}, {"latency_aware": None}),
        (
            {"speculative_execution_policy": acsylla.SpeculativeExecutionPolicy(50, 2)},
            {"speculative_execution": SpeculativeExecution(0.05, 2)},
        ),
        ({"request_timeout": 0, "connect_timeout": 0.0001}, {"request_timeout": math.inf, "connect_timeout": 0.001}),
        ({"heartbeat_interval_sec": 0, "idle_timeout_sec": 0}, {"heartbeat_interval": math.inf, "idle_timeout": math.inf}),
        ({"coalesce_delay_us": 0}, {"coalesce_delay": 0}),
        ({"timestamp_gen": "server_side"}, {"server_side_timestamps": True}),
        ({"timestamp_gen": "monotonic"}, {"server_side_timestamps": False}),
        ({"consistency": "quorum", "serial_consistency": "LOCAL_SERIAL"}, {"consistency": 4, "serial_consistency": 9}),
        ({"serial_consistency": Consistency.ANY}, {"serial_consistency": None}),
        (
            {"whitelist_hosts": "127.0.0.1, 127.0.0.2", "blacklist_dc": ""},
            {"allowed_hosts": ["127.0.0.1", "127.0.0.2"], "denied_dcs": None},
        ),
        ({"client_id": "3cd1a00b-7bee-41ed-aff2-510dcc4598b0"}, {"client_id": uuid.UUID("3cd1a00b-7bee-41ed-aff2-510dcc4598b0")}),
        ({"client_id": uuid.UUID(int=5)}, {"client_id": uuid.UUID(int=5)}),
        ({"username": "u", "password": "p"}, {"username": "u", "password": "p"}),
        ({"protocol_version": 3}, {"protocol_version": 3}),
        ({"protocol_version": "v4"}, {"protocol_version": 4}),
        ({"protocol_version": acsylla.ProtocolVersion.DSEV1}, {"protocol_version": 4}),
        ({"tcp_keepalive_sec": 5}, {"tcp_keepalive": 5}),
        ({"local_port_range_min": 20000, "local_port_range_max": 21000}, {"shard_aware_port": (20000, 21000)}),
        ({"application_name": "shop"}, {"application_name": "shop", "application_version": "1.2.0"}),
    ],
)
def test_what_options_become(options, expected, monkeypatch):
    cluster = acsylla.create_cluster(["127.0.0.1"], **options)
    seen = core_options(cluster, monkeypatch)
    assert {name: seen.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("options", "error_class", "words"),
    [
        ({"protocol_version": -1}, ValueError, "Protocol version V-1 invalid"),
        ({"protocol_version": 5}, ValueError, "Protocol version 5 invalid: 3 and 4"),
        ({"use_beta_protocol_version": True}, ValueError, "a draft that no server speaks"),
        ({"username": "u"}, ValueError, "both parameters"),
        ({"password": "p"}, ValueError, "both parameters"),
        ({"log_level": "loud"}, ValueError, 'Unknown log_level "loud"'),
        ({"consistency": "most"}, ValueError, "consistency 'most' is none of"),
        ({"timestamp_gen": "clock"}, ValueError, "timestamp_gen must be 'server_side' or 'monotonic', not 'clock'"),
        ({"retry_policy": "often"}, ValueError, "Retry policy must be 'default' or 'fallthrough', not 'often'"),
        ({"client_id": "5"}, errors.CassErrorLibBadParams, "client_id '5' is no UUID"),
        ({"port": 0}, errors.CassErrorLibBadParams, "port must be between"),
        ({"num_threads_io": 0}, errors.CassErrorLibBadParams, "num_threads_io must be between"),
        ({"local_port_range_min": 5, "local_port_range_max": 1}, errors.CassErrorLibBadParams, "must be a range within 1024"),
        ({"cloud_secure_connection_bundle": "/nowhere.zip"}, errors.CassErrorLibBadParams, "has the contact points"),
        ({"ssl_enabled": True, "ssl_cert": "x"}, errors.CassErrorSslInvalidCert, "certificate: it is no PEM text"),
        ({"ssl_enabled": True, "ssl_trusted_cert": "x"}, errors.CassErrorSslInvalidCert, "trusted certificate: it is no PEM text"),
        ({"ssl_enabled": True, "ssl_private_key": "/etc/key"}, errors.CassErrorSslInvalidPrivateKey, "it is no PEM text"),
        ({"ssl_verify_flags": "everything"}, ValueError, "'everything' is none of NONE, PEER_CERT"),
        ({"dse_gssapi_authenticator": acsylla.DseGssapiAuthenticator("s", "p")}, errors.CassErrorLibNotImplemented, "Kerberos"),
    ],
)
def test_options_that_do_not_fit(options, error_class, words):
    with pytest.raises(error_class, match=words):
        acsylla.create_cluster(["127.0.0.1"], **options)


def test_contact_points_that_are_no_text():
    with pytest.raises(TypeError, match="contact_points must be a str, not set"):
        acsylla.create_cluster({"127.0.0.1"})


async def test_setters_beside_options(cassandra, keyspace):
    cluster = acsylla.create_cluster()
    assert cluster._made.__self__ is cluster
    with pytest.raises(errors.CassErrorLibNoHostsAvailable, match="no contact points"):
        await cluster.create_session()
    cluster.set_contact_points("127.255.255.254")
    cluster.set_contact_points("")
    cluster.set_contact_points(",".join(cassandra.contact_points))
    cluster.set_port(cassandra.port)
    cluster.set_consistency(Consistency.ONE.value)
    cluster.set_connect_timeout(3000)
    cluster.set_tcp_keepalive(True, 5)
    cluster.set_tcp_keepalive(False, 5)
    cluster.set_local_address("127.0.0.1")
    cluster.set_local_address("")
    cluster.set_whitelist_hosts("127.255.255.254")
    cluster.set_whitelist_hosts("")
    cluster.set_speculative_execution_policy(100, 1)
    cluster.set_no_speculative_execution_policy()
    session = await cluster.create_session(keyspace=keyspace)
    assert len(await session.query("SELECT key FROM system.local")) == 1
    await session.close()
    cluster.set_port(1)
    with pytest.raises(errors.CassErrorLibNoHostsAvailable):
        await cluster.create_session()


async def test_every_session_is_of_the_cluster_as_it_was(cassandra):
    cluster = acsylla.create_cluster(cassandra.contact_points, port=cassandra.port)
    one, other = await cluster.create_session(), await cluster.create_session()
    assert one._session.cluster is other._session.cluster
    await one.close()
    await other.close()


async def test_hosts_that_do_not_answer():
    cluster = acsylla.create_cluster(["127.255.255.254"], port=1, connect_timeout=0.2)
    with pytest.raises(errors.CassErrorLibNoHostsAvailable):
        await cluster.create_session()


async def test_a_wrong_keyspace(cluster):
    with pytest.raises(errors.CassErrorLibUnableToSetKeyspace):
        await cluster.create_session(keyspace="nowhere")


async def test_cancelling_a_connect_blocks_nothing(scripted):
    """In acsylla the loop stands still for ever."""
    scripted.stop_listening()
    cluster = acsylla.create_cluster(["127.255.255.254", scripted.address], port=scripted.port)
    task = asyncio.create_task(cluster.create_session())
    await asyncio.sleep(0)
    task.cancel()
    started = time.monotonic()
    await asyncio.wait([task], timeout=10)
    assert task.done()
    assert time.monotonic() - started < 5


async def test_a_connect_that_is_cancelled_at_the_last_moment_leaves_no_session(cluster, monkeypatch):
    reached = asyncio.Event()

    async def wait(session):
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("acsylla_like.shard_watch.hosts_told", wait)
    task = asyncio.create_task(cluster.create_session())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del task
        gc.collect()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_clusters_hold_no_descriptors():
    """In acsylla four leak with each."""
    acsylla.create_cluster(["127.0.0.1"])
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    made = [acsylla.create_cluster(["127.0.0.1"]) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    del made


async def test_timestamps_of_the_servers(scripted):
    """In acsylla asking for them raises."""
    cluster = acsylla.create_cluster(scripted.address, port=scripted.port, timestamp_gen="server_side")
    session = await cluster.create_session()
    await session.query("SELECT v FROM ks.t")
    assert scripted.requests[-1].timestamp is None
    await session.close()


async def test_a_full_queue_is_an_error(simulacron):
    with simulacron.create_cluster() as servers:
        servers.prime("SELECT v", [{"v": 1}], {"v": "int"}, delay=0.5)
        cluster = acsylla.create_cluster(servers.contact_points, port=servers.port, queue_size_io=64)
        session = await cluster.create_session()
        outcomes = await asyncio.gather(*(session.query("SELECT v").execute() for _ in range(5000)), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert {type(outcome) for outcome in refused} == {errors.CassErrorLibRequestQueueFull}
        assert len(refused) < 5000
        await session.close()


# ---- execution profiles


async def test_execution_profiles(simulacron):
    with simulacron.create_cluster(2) as servers:
        first, second = servers.nodes
        servers.prime("SELECT v", [{"v": 1}], {"v": "int"})
        servers.prime_error("SELECT slow", "no_result")
        cluster = acsylla.create_cluster(servers.contact_points, port=servers.port)
        cluster.create_execution_profile(
            "second",
            request_timeout=100,
            consistency=Consistency.LOCAL_ONE,
            serial_consistency=Consistency.LOCAL_ONE,  # ignored: it is none
            load_balance_round_robin=True,
            token_aware_routing=False,
            latency_aware_routing=acsylla.LatencyAwareRoutingSettings(),
            whitelist_hosts=second,
            blacklist_hosts="127.255.255.254",
            retry_policy="fallthrough",
            speculative_execution_policy=acsylla.SpeculativeExecutionPolicy(1000, 1),
        )
        with pytest.warns(UserWarning, match="allowed_hosts do nothing"):
            cluster.create_execution_profile("other", whitelist_hosts=first)
        with pytest.raises(ValueError, match="'default' or 'fallthrough'"):
            cluster.create_execution_profile("wrong", retry_policy="x")
        session = await cluster.create_session()
        hosts = {(await session.query("SELECT v", execution_profile="second"))._result.coordinator.address for _ in range(6)}
        assert hosts == {second}
        with pytest.raises(errors.CassErrorLibRequestTimedOut):
            await session.query("SELECT slow", execution_profile="second")
        await session.close()


# ---- listeners


@pytest.mark.parametrize("is_coroutine", [False, True])
async def test_listeners_are_told_of_nodes(simulacron, is_coroutine):
    events = []

    def listener(event, address):
        events.append((event, address))

    async def listening(event, address):
        await asyncio.sleep(0)
        events.append((event, address))

    with simulacron.create_cluster(2) as servers:
        cluster = acsylla.create_cluster(
            servers.contact_points,
            port=servers.port,
            constant_reconnect_delay_ms=50,
            host_listener_callback=listening if is_coroutine else listener,
        )
        session = await cluster.create_session()
        if not is_coroutine:
            assert events  # before create_session has returned
        _, second = servers.nodes
        await until(lambda: (HostListenerEvent.UP, second) in events and servers.connections(second))
        servers.stop_listening(second, kind="stop")
        await until(lambda: (HostListenerEvent.DOWN, second) in events)
        events.clear()
        cluster.set_host_listener_callback(None)
        servers.listen(second)
        await until(lambda: servers.connections(second))
        assert events == []
        await session.close()


async def test_a_listener_that_is_taken_away_before(cassandra):
    events = []
    cluster = acsylla.create_cluster(
        cassandra.contact_points, port=cassandra.port, host_listener_callback=lambda *told: events.append(told)
    )
    cluster.set_host_listener_callback(None)
    session = await cluster.create_session()
    await session.close()
    assert events == []


async def test_a_session_that_is_dropped_warns_and_blocks_nothing(cluster):
    """In acsylla the loop waits for it to close."""
    session = await cluster.create_session()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        started = time.monotonic()
        del session
        gc.collect()
        assert time.monotonic() - started < 1
