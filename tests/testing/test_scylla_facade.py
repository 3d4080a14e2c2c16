"""The façade: what clients see of it, and what it sees of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import uuid

import pytest
from covering import covered
from waiting import until

import acsylla_like
from acsylla_like import sharding
from acsylla_like.local_ports import LocalPorts, default_ranges
from acsylla_like.testing import ScyllaFacade, _ring, cql


@pytest.fixture
def facade(cassandra):
    with ScyllaFacade(cassandra, (4, 7, 16), tablets=True) as facade:
        yield facade


@pytest.fixture
async def session(facade, keyspace):
    async with acsylla_like.connect(facade.contact_points, port=facade.port, keyspace=keyspace) as session:
        await session.execute("CREATE TABLE IF NOT EXISTS t (k blob PRIMARY KEY, v int)")
        yield session


@contextlib.asynccontextmanager
async def connection(facade, node, port=None):
    reader, writer = await asyncio.open_connection(node.address, port or facade.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def ask(streams, opcode, body=b"", version=4):
    """Sends a frame and returns the answer's opcode, flags and body."""
    reader, writer = streams
    writer.write(struct.pack(">BBhBI", version, 0, 1, opcode, len(body)) + body)
    header = await reader.readexactly(9)
    return header[4], header[1], await reader.readexactly(int.from_bytes(header[5:9], "big"))


def query(text):
    return cql.integer(len(text)) + text.encode() + cql.short(1) + b"\0"


async def started(streams, **options):
    options = {"CQL_VERSION": "3.0.0", **options}
    body = cql.short(len(options)) + b"".join(cql.string(key) + cql.string(text) for key, text in options.items())
    assert (await ask(streams, cql.STARTUP, body))[0] == cql.READY


async def test_its_tokens_are_the_servers(session):
    chance = random.Random(1)
    insert = await session.create_prepared("INSERT INTO t (k, v) VALUES (?, ?)")
    for size in [*range(1, 40), 100, 1000]:
        await session.execute(insert, [chance.randbytes(size), size])
    rows = await session.execute("SELECT k, token(k) AS hashed FROM t")
    assert len(rows) == 41
    for row in rows:
        assert row.hashed == _ring.murmur3_token(row.k)


def test_its_shards():
    # ScyllaDB's protocol extensions: the token biased to an unsigned number, shifted, and the upper half of its product.
    assert _ring.shard_of(-(2**63), 7, 0) == 0
    assert _ring.shard_of(2**63 - 1, 7, 0) == 6
    assert _ring.shard_of(0, 8, 0) == 4
    assert _ring.shard_of(0, 8, 12) == 0
    assert _ring.shard_of(2**51, 8, 12) == 4


async def test_connections_to_the_normal_port_get_shards_in_turn(facade):
    node = facade.nodes[1]
    found = [await sharding.ask(node.address, facade.port) for _ in range(14)]
    assert sorted(one.shard for one in found if one) == sorted([*range(7)] * 2)
    assert {(one.nr_shards, one.ignore_msb, one.shard_aware_port) for one in found if one} == {(7, 12, facade.shard_aware_port)}


async def test_the_source_port_chooses_the_shard_on_the_shard_aware_one(facade):
    ports = LocalPorts()
    window = ports.reserve(default_ranges(), 7)
    assert window is not None
    for port in range(window.first, window.end):
        found = await sharding.ask(facade.nodes[1].address, facade.shard_aware_port, local_port=port)
        assert found is not None
        assert found.shard == port % 7
    facade.nat = True
    shards = set()
    for _ in range(40):
        found = await sharding.ask(facade.nodes[2].address, facade.shard_aware_port, local_port=window.first)
        assert found is not None
        shards.add(found.shard)
    assert len(shards) > 4
    ports.release(window)


async def test_what_the_shard_aware_port_does(facade):
    place = facade.nodes[0].address, facade.shard_aware_port
    await asyncio.to_thread(facade.set_shard_aware_port, "closed")
    with pytest.raises(ConnectionRefusedError):
        await sharding.ask(*place)
    await asyncio.to_thread(facade.set_shard_aware_port, "silent")
    with pytest.raises(TimeoutError):
        await sharding.ask(*place, timeout=0.2)
    await asyncio.to_thread(facade.set_shard_aware_port, "absent")
    found = await sharding.ask(facade.nodes[0].address, facade.port)
    assert found is not None
    assert found.shard_aware_port is None
    with pytest.raises(ValueError, match="open, closed, silent or absent"):
        facade.set_shard_aware_port("shut")


async def test_it_speaks_no_protocol_5_and_has_no_peers_v2(facade):
    async with connection(facade, facade.nodes[0]) as streams:
        opcode, _, body = await ask(streams, cql.OPTIONS, version=5)
        assert (opcode, body[:4]) == (cql.ERROR, cql.integer(cql.PROTOCOL_ERROR))
        await started(streams)
        opcode, _, body = await ask(streams, cql.QUERY, query("SELECT * FROM system.peers_v2"))
        assert (opcode, body[:4]) == (cql.ERROR, cql.integer(cql.INVALID))


async def test_addresses_are_its_own(facade, session):
    hosts = set(facade.contact_points)
    for node in facade.nodes:
        local = (await session.execute("SELECT rpc_address, host_id, tokens FROM system.local", host=(node.address, node.port))).single()
        assert (str(local.rpc_address), local.host_id, local.tokens) == (node.address, node.host_id, {str(token) for token in node.tokens})
        peers = await session.execute("SELECT peer, rpc_address FROM system.peers", host=(node.address, node.port))
        assert {str(row.peer) for row in peers} == {str(row.rpc_address) for row in peers} == hosts - {node.address}


async def test_clients_are_listed_with_their_shards(facade, session):
    await asyncio.to_thread(facade.wait_for, lambda facade: facade.is_covered)
    node = facade.nodes[1]
    rows = await session.execute("SELECT shard_id, driver_name FROM system.clients", host=(node.address, node.port))
    assert {row.shard_id for row in rows} == set(range(7))
    assert all("Driver" in row.driver_name for row in rows)


async def test_traces_name_the_shard(facade, session):
    select = await session.create_prepared("SELECT v FROM t WHERE k = ?")
    await covered(session, facade)
    result = await session.execute(select, [b"x"], tracing=True)
    node, shard = facade.owners(select.keyspace or session.keyspace, "t", _ring.murmur3_token(b"x"))[0]

    async def events():
        text = "SELECT thread, source FROM system_traces.events WHERE session_id = ?"
        return (await session.execute(text, [result.tracing_id], host=(node.address, node.port))).all()

    ends = asyncio.get_running_loop().time() + 10
    while not (found := await events()):
        assert asyncio.get_running_loop().time() < ends
        await asyncio.sleep(0.05)
    assert {(row.thread, str(row.source)) for row in found} == {(f"shard {shard}", node.address)}


async def test_a_request_whose_key_is_in_its_text_has_no_token(facade, session):
    facade.clear()
    await session.execute("SELECT v FROM t WHERE k = 0x01")
    arrivals = [arrival for arrival in facade.arrivals if arrival.query.endswith("0x01")]
    assert [(arrival.kind, arrival.token, arrival.owners) for arrival in arrivals] == [("QUERY", None, ())]
    assert facade.hits().unknown >= 1


async def test_parameters_of_a_plain_query_tell_its_key(facade, keyspace, session):
    assert session.is_open  # the table is there
    async with connection(facade, facade.nodes[0]) as streams:
        await started(streams)
        facade.clear()
        text = f"SELECT v FROM {keyspace}.t WHERE k = ?"
        body = cql.integer(len(text)) + text.encode() + cql.short(1) + b"\x01" + cql.short(1) + cql.value(b"key")
        assert (await ask(streams, cql.QUERY, body))[0] == cql.RESULT
    arrival = next(arrival for arrival in facade.arrivals if arrival.query == text)
    assert (arrival.kind, arrival.token) == ("QUERY", _ring.murmur3_token(b"key"))
    assert arrival.node is facade.nodes[0]


@pytest.mark.parametrize("asks", [False, True])
async def test_tablets_are_told_to_those_who_ask_for_them(facade, keyspace, session, asks):
    assert session.is_open
    facade.split_into_tablets(keyspace, "t", 4)
    tablet = facade.tablet_of(keyspace, "t", _ring.murmur3_token(b"key"))
    assert tablet is not None
    other = next(node for node in facade.nodes if node is not tablet.replicas[0][0])
    async with connection(facade, other) as streams:
        await started(streams, **({"TABLETS_ROUTING_V1": ""} if asks else {}))
        text = f"SELECT v FROM {keyspace}.t WHERE k = ?"
        opcode, _, body = await ask(streams, cql.PREPARE, cql.integer(len(text)) + text.encode())
        assert opcode == cql.RESULT
        identity = body[6 : 6 + int.from_bytes(body[4:6], "big")]
        execute = cql.short_bytes(identity) + cql.short(1) + b"\x01" + cql.short(1) + cql.value(b"key")
        opcode, flags, body = await ask(streams, cql.EXECUTE, execute)
    assert (opcode, bool(flags & 0x04)) == (cql.RESULT, asks)
    if asks:
        node, shard = tablet.replicas[0]
        payload = cql.value(struct.pack(">q", tablet.first)) + cql.value(struct.pack(">q", tablet.last))
        replica = cql.value(node.host_id.bytes) + cql.value(cql.integer(shard))
        payload += cql.value(cql.integer(1) + cql.value(replica))
        assert body.startswith(cql.short(1) + cql.string("tablets-routing-v1") + cql.value(payload))


async def test_other_nodes_tell_of_one_that_goes_and_comes(facade):
    first, second, _ = facade.nodes
    async with connection(facade, first) as streams:
        await started(streams)
        assert (await ask(streams, cql.REGISTER, cql.string_list(["STATUS_CHANGE"])))[0] == cql.READY
        await asyncio.to_thread(second.stop)
        await asyncio.to_thread(lambda: second.start(nr_shards=3))
        for change in ("DOWN", "UP"):
            frame = cql.event("STATUS_CHANGE", change, address=second.address, port=second.port).frame(-1)
            assert await asyncio.wait_for(streams[0].readexactly(len(frame)), 5) == frame
    found = await sharding.ask(second.address, facade.port)
    assert found is not None
    assert found.nr_shards == 3


@pytest.mark.keeps_open("cassandra-driver's event loop")
async def test_another_client_finds_the_nodes_that_own_its_keys(facade, keyspace, session):
    """cassandra-driver knows tokens and no shards."""
    cluster_module = pytest.importorskip("cassandra.cluster")
    assert session.is_open

    def run():
        cluster = cluster_module.Cluster(facade.contact_points, port=facade.port, protocol_version=4)
        try:
            other = cluster.connect(keyspace)
            insert = other.prepare("INSERT INTO t (k, v) VALUES (?, ?)")
            facade.clear()
            for i in range(200):
                other.execute(insert, [uuid.UUID(int=i).bytes, i])
        finally:
            cluster.shutdown()

    await asyncio.to_thread(run)
    hits = facade.hits("EXECUTE")
    assert (hits.requests, hits.node) == (200, 200)
    assert hits.shard < 200


async def test_real_nodes_keep_their_tokens(cassandra):
    with ScyllaFacade(cassandra, (4,)) as facade:
        assert facade.is_played  # one node, whose tokens nobody needs
    with pytest.raises(ValueError, match="shards must have a number from 1 to 1024"):
        ScyllaFacade(cassandra, (0,))


async def test_connections_are_counted_by_shard(facade):
    node = facade.nodes[0]
    async with connection(facade, node) as streams:
        await started(streams)
        await until(lambda: len(node.connections) == 1)
        await asyncio.to_thread(node.drop_connections)
        assert node.connections == []
        assert await streams[0].read() == b""
