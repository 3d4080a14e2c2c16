"""Policies and profiles: what they are made of, and that the driver does as they say."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from waiting import until

import acsylla_like
from acsylla_like import (
    ConstantReconnection,
    DcAware,
    ExecutionProfile,
    ExponentialReconnection,
    LatencyAware,
    MonotonicTimestamps,
    RackAware,
    RoundRobin,
    SpeculativeExecution,
    errors,
)
from acsylla_like.testing import cql

QUERY = "SELECT v FROM ks.t"


async def coordinators(session: acsylla_like.Session, **options: object) -> set[str]:
    return {(await session.execute(QUERY, **options)).coordinator.address for _ in range(20)}


@pytest.mark.parametrize(
    ("options", "error_class", "words"),
    [
        ({"load_balancing": "round robin"}, TypeError, "load_balancing must be RoundRobin, DcAware or RackAware, not str"),
        ({"load_balancing": RoundRobin(), "local_dc": "dc1"}, ValueError, "load_balancing has a local_dc of its own"),
        ({"load_balancing": DcAware(5)}, TypeError, "local_dc must be a str, not int"),
        ({"load_balancing": DcAware("a", -1)}, ValueError, "used_hosts_per_remote_dc must be between 0"),
        ({"load_balancing": DcAware("a", 1, 1)}, TypeError, "allow_remote_dcs_for_local_consistency must be a bool"),
        ({"load_balancing": RackAware("dc", None)}, TypeError, "local_rack must be a str, not NoneType"),
        ({"shuffle_replicas": 1}, TypeError, "shuffle_replicas must be a bool"),
        ({"latency_aware": True}, TypeError, "latency_aware must be LatencyAware, not bool"),
        ({"latency_aware": LatencyAware(0.5)}, ValueError, "exclusion_threshold must be a number from 1 on, not 0.5"),
        ({"latency_aware": LatencyAware(scale=0)}, ValueError, "scale and update_rate must be positive"),
        ({"latency_aware": LatencyAware(retry_period="1")}, TypeError, "retry_period must be a number of seconds, not str"),
        ({"latency_aware": LatencyAware(min_measured=1.5)}, TypeError, "min_measured must be an int, not float"),
        ({"allowed_hosts": 5}, TypeError, "allowed_hosts must be a str or a list of them, not int"),
        ({"denied_hosts": []}, ValueError, "denied_hosts must have at least one name"),
        (
            {"allowed_dcs": "a,,b"},
            ValueError,
            "allowed_dcs must have at least one name and no empty one, not 'a,,b'|not \\['a', '', 'b'\\]",
        ),
        ({"denied_dcs": ["a,b"]}, ValueError, "denied_dcs must have"),
        ({"reconnection": 5}, TypeError, "reconnection must be ConstantReconnection or ExponentialReconnection, not int"),
        ({"reconnection": ConstantReconnection(-1)}, ValueError, "delay must be between 0 and 4000000 seconds, not -1"),
        ({"reconnection": ConstantReconnection(float("nan"))}, ValueError, "delay must be between 0"),
        ({"reconnection": ExponentialReconnection(5, 1)}, ValueError, "max no less than base, not 5 and 1"),
        ({"reconnection": ExponentialReconnection(0, 1)}, ValueError, "base must be at least 0.002 s"),
        ({"speculative_execution": 5}, TypeError, "speculative_execution must be SpeculativeExecution, not int"),
        ({"speculative_execution": SpeculativeExecution(0.1, -1)}, ValueError, "max_executions must be between 0"),
        ({"timestamps": 5}, TypeError, "timestamps must be MonotonicTimestamps, not int"),
        ({"timestamps": MonotonicTimestamps(), "server_side_timestamps": True}, ValueError, "give one of the two"),
        ({"timestamps": MonotonicTimestamps(warning_interval=None)}, TypeError, "warning_interval must be a number of seconds"),
        ({"execution_profiles": {"a": 5}}, TypeError, "execution_profiles must have ExecutionProfile objects, not int"),
        ({"execution_profiles": {5: ExecutionProfile()}}, TypeError, "an execution profile's name must be a str, not int"),
        ({"execution_profiles": {"": ExecutionProfile()}}, ValueError, "an execution profile must have a name"),
        ({"execution_profiles": {"a": ExecutionProfile(timeout=0)}}, ValueError, "timeout must be positive"),
        ({"execution_profiles": {"a": ExecutionProfile(consistency="MOST")}}, ValueError, "consistency 'MOST' is none of"),
        ({"execution_profiles": {"a": ExecutionProfile(allowed_hosts="x")}}, ValueError, "'a': allowed_hosts would do nothing without"),
        ({"execution_profiles": {"a": ExecutionProfile(load_balancing=RackAware("d", "r"))}}, ValueError, "the driver knows no racks in"),
        ({"execution_profiles": {"a": ExecutionProfile(retry_policy=5)}}, TypeError, "'a': retry_policy must be a RetryPolicy, not int"),
        ({"on_host_event": 5}, TypeError, "on_host_event must be a function, not int"),
        ({"protocol_version": 5}, ValueError, "protocol_version must be 3 or 4, not 5"),
        ({"resolve_timeout": 0}, ValueError, "resolve_timeout must be positive"),
        ({"local_address": "no address"}, errors.ClientError, "local_address 'no address'"),
        ({"new_request_ratio": 101}, ValueError, "new_request_ratio must be between 1 and 100, not 101"),
        ({"max_schema_wait_time": -1}, ValueError, "max_schema_wait_time must be between 0"),
        ({"tracing_max_wait_time": "1"}, TypeError, "tracing_max_wait_time must be a number of seconds"),
        ({"tracing_retry_wait_time": -1}, ValueError, "tracing_retry_wait_time must be between 0"),
        ({"tracing_consistency": "x"}, ValueError, "tracing_consistency 'x' is none of"),
        ({"use_schema": 1}, TypeError, "use_schema must be a bool"),
        ({"hostname_resolution": 1}, TypeError, "hostname_resolution must be a bool"),
        ({"randomized_contact_points": 1}, TypeError, "randomized_contact_points must be a bool"),
        ({"max_reusable_write_objects": -1}, ValueError, "max_reusable_write_objects must be between 0"),
        ({"prepare_on_all_hosts": 1}, TypeError, "prepare_on_all_hosts must be a bool"),
        ({"no_compact": 1}, TypeError, "no_compact must be a bool"),
        ({"client_id": "5"}, TypeError, "client_id must be a uuid.UUID, not str"),
        ({"monitor_reporting_interval": -1}, ValueError, "monitor_reporting_interval must be between 0"),
    ],
)
def test_options_that_do_not_fit_are_named(options, error_class, words):
    with pytest.raises(error_class, match=words):
        acsylla_like.create_cluster("127.0.0.1", **options)


async def test_every_option_at_once_connects(scripted):
    options = {
        "load_balancing": DcAware("datacenter1"),
        "shuffle_replicas": False,
        "latency_aware": LatencyAware(),
        "allowed_hosts": [scripted.address],
        "denied_hosts": "127.255.255.1, 127.255.255.2",
        "allowed_dcs": "datacenter1",
        "denied_dcs": "dc7",
        "reconnection": ExponentialReconnection(0.1, 1),
        "speculative_execution": SpeculativeExecution(1.0, 2),
        "timestamps": MonotonicTimestamps(),
        "execution_profiles": {"empty": ExecutionProfile()},
        "resolve_timeout": 1.5,
        "new_request_ratio": 40,
        "max_schema_wait_time": 1,
        "tracing_max_wait_time": 0.02,
        "tracing_retry_wait_time": 0.005,
        "tracing_consistency": "ONE",
        "hostname_resolution": False,
        "randomized_contact_points": False,
        "max_reusable_write_objects": 10,
        "prepare_on_all_hosts": False,
        "monitor_reporting_interval": 0,
        "local_address": "127.0.0.1",
        "protocol_version": 4,
    }
    async with acsylla_like.connect(scripted.address, port=scripted.port, **options) as session:
        await session.execute(QUERY, execution_profile="empty")


async def test_version_3_of_the_protocol(cassandra, keyspace):
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace, protocol_version=3) as session:
        await session.execute("CREATE TABLE of_three (id uuid PRIMARY KEY, m map<text, int>)")
        row = [uuid.uuid4(), {"a": 1}]
        await session.execute("INSERT INTO of_three (id, m) VALUES (?, ?)", row)
        assert list((await session.execute("SELECT id, m FROM of_three WHERE id = ?", row[:1])).single()) == row


async def test_round_robin_takes_the_nodes_of_all_data_centers(simulacron):
    with simulacron.create_cluster(2, 1) as cluster:
        cluster.prime(QUERY, [{"v": 1}], {"v": "int"})
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port, load_balancing=RoundRobin()) as session:
            assert await coordinators(session) == set(cluster.nodes)


@pytest.mark.parametrize("policy", [DcAware("dc2"), RackAware("dc2", "rack1")])
async def test_the_local_nodes_come_first(simulacron, policy):
    with simulacron.create_cluster(2, 2) as cluster:
        cluster.prime(QUERY, [{"v": 1}], {"v": "int"})
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port, load_balancing=policy) as session:
            assert await coordinators(session) == set(cluster.datacenters["dc2"])


async def test_another_data_center_helps_where_it_may(simulacron):
    policy = DcAware("dc1", used_hosts_per_remote_dc=1, allow_remote_dcs_for_local_consistency=True)
    with simulacron.create_cluster(1, 2) as cluster:
        cluster.prime(QUERY, [{"v": 1}], {"v": "int"})
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port, load_balancing=policy) as session:
            assert await coordinators(session) == set(cluster.datacenters["dc1"])
            cluster.stop_listening(cluster.datacenters["dc1"][0], kind="stop")
            await until(lambda: not cluster.connections(cluster.datacenters["dc1"][0]))
            assert await coordinators(session, idempotent=True) <= set(cluster.datacenters["dc2"])


async def test_nodes_and_data_centers_that_may_be_used_and_others(simulacron):
    with simulacron.create_cluster(3, 1) as cluster:
        cluster.prime(QUERY, [{"v": 1}], {"v": "int"})
        first, second, third, other = cluster.nodes
        every = {"load_balancing": RoundRobin(), "port": cluster.port}
        for options, expected in [
            ({"allowed_hosts": [first, second]}, {first, second}),
            ({"allowed_hosts": f"{first}, {other}"}, {first, other}),
            ({"denied_hosts": [second]}, {first, third, other}),
            ({"allowed_dcs": "dc2"}, {other}),
            ({"denied_dcs": ["dc2"]}, {first, second, third}),
        ]:
            async with acsylla_like.connect(cluster.nodes, **every, **options) as session:
                assert await coordinators(session) == expected, options


async def seconds_until_back(simulacron, reconnection) -> float:
    """How long after a node listens again the session is connected to it."""
    with simulacron.create_cluster(2) as cluster:
        options = {"port": cluster.port, "reconnection": reconnection, "connect_timeout": 1.0}
        async with acsylla_like.connect(cluster.contact_points, **options) as session:
            lost = cluster.nodes[1]

            def is_back() -> bool:  # the node sees connections that only ask how it shards, too
                return session.metrics()["connections"]["total"] == 2

            await until(is_back)
            cluster.stop_listening(lost, kind="stop")
            await until(lambda: not cluster.connections(lost))
            await asyncio.sleep(0.3)  # some tries fail
            cluster.listen(lost)
            started = time.monotonic()
            try:
                await until(is_back, 1.2)
            except TimeoutError:
                return float("inf")
            return time.monotonic() - started


async def test_constant_reconnection_is_not_overridden(simulacron):
    # The driver's default waits 2 s before the first try, give or take 15 %.
    assert await seconds_until_back(simulacron, ConstantReconnection(0.05)) < 1.2
    assert await seconds_until_back(simulacron, ConstantReconnection(1000)) == float("inf")


def test_another_cluster_with_the_same_options_is_held_to_some_hosts():
    profiles = {
        "mine": ExecutionProfile(load_balancing=RoundRobin(), allowed_hosts=iter(["10.0.0.1", "10.0.0.3"])),
        "all": ExecutionProfile(load_balancing=RoundRobin()),
        "none": ExecutionProfile(load_balancing=RoundRobin(), allowed_hosts="10.0.0.9"),
        "cluster's": ExecutionProfile(timeout=1.0),
    }
    cluster = acsylla_like.create_cluster("10.0.0.7", allowed_hosts=["10.0.0.1", "10.0.0.2"], execution_profiles=profiles)
    twin = cluster._twin(["10.0.0.1", "10.0.0.3"], only=["10.0.0.3", "10.0.0.1"])
    assert twin.contact_points == ("10.0.0.1", "10.0.0.3")
    assert twin._options["allowed_hosts"] == ["10.0.0.1"]
    found = {name: profile.allowed_hosts for name, profile in twin._options["execution_profiles"].items()}
    nobody = ["0.0.0.0"]  # no name at all would allow everybody
    assert found == {"mine": ["10.0.0.1", "10.0.0.3"], "all": ["10.0.0.1", "10.0.0.3"], "none": nobody, "cluster's": None}
    assert cluster._twin().contact_points == ("10.0.0.7",)


@pytest.mark.parametrize(
    ("policy", "delays"),
    [(None, (2.0, 600.0)), (ConstantReconnection(0.5), (0.5, 0.5)), (ExponentialReconnection(1, 30), (1, 30))],
)
def test_whoever_looks_after_local_ports_knows_the_delays(policy, delays):
    cluster = acsylla_like.create_cluster("127.0.0.1", reconnection=policy, allowed_hosts=iter(["127.0.0.1"]))
    assert cluster.reconnect_delays == cluster._twin().reconnect_delays == delays


async def test_exponential_reconnection(simulacron):
    assert await seconds_until_back(simulacron, ExponentialReconnection(0.05, 0.1)) < 1.2


async def test_a_slow_nodes_request_is_sent_to_another(simulacron):
    with simulacron.create_cluster(2) as cluster:
        slow, quick = cluster.nodes
        cluster.prime(QUERY, [{"v": 1}], {"v": "int"}, delay=3.0, node=slow)
        cluster.prime(QUERY, [{"v": 2}], {"v": "int"}, node=quick)
        policy = SpeculativeExecution(0.05, 1)
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port, speculative_execution=policy) as session:
            started = time.monotonic()
            assert await coordinators(session, idempotent=True) == {quick}
            assert time.monotonic() - started < 3.0
            speculative = session.metrics()["speculative"]
            assert set(speculative) >= {"count", "fraction", "p99"}


async def test_a_profile_has_consistency_and_timeout_of_its_own(scripted):
    profiles = {"careful": ExecutionProfile(consistency="ALL", serial_consistency="LOCAL_SERIAL")}
    async with acsylla_like.connect(scripted.address, port=scripted.port, execution_profiles=profiles) as session:
        await session.execute(QUERY, execution_profile="careful")
        assert (scripted.requests[-1].consistency, scripted.requests[-1].serial_consistency) == (5, 9)
        await session.execute(QUERY, execution_profile="careful", consistency="ONE")
        assert scripted.requests[-1].consistency == 1
        await session.execute(QUERY)
        assert scripted.requests[-1].consistency != 5
        with pytest.raises(errors.Error):
            await session.execute(QUERY, execution_profile="unknown")


async def test_a_profiles_timeout_and_nodes(simulacron):
    with simulacron.create_cluster(2) as cluster:
        first, second = cluster.nodes
        cluster.prime(QUERY, [{"v": 1}], {"v": "int"})
        cluster.prime_error("SELECT slow", "no_result")
        profiles = {
            "hasty": ExecutionProfile(timeout=0.2),
            "second": ExecutionProfile(load_balancing=DcAware("dc1"), allowed_hosts=second, latency_aware=LatencyAware()),
            "first": ExecutionProfile(
                load_balancing=RoundRobin(), denied_hosts=[second], token_aware_routing=False, shuffle_replicas=False, allowed_dcs="dc1"
            ),
            "again": ExecutionProfile(speculative_execution=SpeculativeExecution(0.1)),
        }
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port, execution_profiles=profiles) as session:
            started = time.monotonic()
            with pytest.raises(errors.RequestTimeout):
                await session.execute("SELECT slow", execution_profile="hasty")
            assert 0.15 < time.monotonic() - started < 5
            with pytest.raises(errors.RequestTimeout):
                await session.execute("SELECT slow", execution_profile="first", timeout=0.1)
            assert await coordinators(session) == {first, second}
            assert await coordinators(session, execution_profile="second") == {second}
            assert await coordinators(session, execution_profile="first") == {first}
            assert await coordinators(session, execution_profile="again") == {first, second}
            statement = acsylla_like.create_statement(QUERY, execution_profile="second")
            assert (await session.execute(statement)).coordinator.address == second


async def test_what_a_connection_says_of_itself(scripted):
    seen = []
    own_answer = scripted._own_answer

    def note(request):
        if request.opcode == cql.STARTUP:
            seen.append(request.options)
        return own_answer(request)

    scripted._own_answer = note
    mine = uuid.uuid4()
    async with acsylla_like.connect(scripted.address, port=scripted.port, client_id=mine, no_compact=True) as session:
        assert session.client_id == mine
    assert {(options["CLIENT_ID"], options["NO_COMPACT"]) for options in seen} == {(str(mine), "true")}
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        assert seen[-1]["CLIENT_ID"] == str(session.client_id) != str(mine)


async def test_without_schema_a_prepared_star_still_follows_the_table(cassandra, keyspace, session):
    await session.execute("CREATE TABLE unseen (id int PRIMARY KEY, a int)")
    await session.execute("INSERT INTO unseen (id, a) VALUES (1, 2)")
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace, use_schema=False) as blind:
        prepared = await blind.prepare("SELECT * FROM unseen")
        assert (await blind.execute(prepared)).single().as_dict() == {"id": 1, "a": 2}
        await session.execute("ALTER TABLE unseen ADD aa int")

        async def columns():
            return list((await blind.execute(prepared)).single().as_dict())

        for _ in range(50):  # within a second, and a busy machine's time
            if await columns() == ["id", "a", "aa"]:
                break
            await asyncio.sleep(0.1)
        assert await columns() == ["id", "a", "aa"]
