"""Which nodes hold a token: of rings made here, and of those that the server tells of."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

import acsylla_like
from acsylla_like import errors
from acsylla_like._native import Options
from acsylla_like.testing import ScriptedServer, cql
from acsylla_like.testing._ring import Ring
from acsylla_like.topology import Node, Topology, read_topology

LOWEST, HIGHEST = -(2**63), 2**63 - 1
NETWORK = "org.apache.cassandra.locator.NetworkTopologyStrategy"
SIMPLE = "org.apache.cassandra.locator.SimpleStrategy"


def ring(*places: str) -> Topology:
    """Nodes n0, n1, … with one token each, 0, 100, …, at places such as `dc1/r1`."""
    return Topology(
        Node(f"n{i}", 9042, place.partition("/")[0], place.partition("/")[2], None, (i * 100,)) for i, place in enumerate(places)
    )


def addresses(topology: Topology, token: int, replication: Mapping[str, str]) -> str:
    return " ".join(node.address for node in topology.replicas(token, replication))


@pytest.mark.parametrize(
    ("token", "expected"),
    [(0, "n0 n1"), (1, "n1 n2"), (100, "n1 n2"), (150, "n2 n0"), (200, "n2 n0"), (201, "n0 n1"), (HIGHEST, "n0 n1"), (LOWEST, "n0 n1")],
)
def test_simple_strategy_takes_the_next_nodes_of_the_ring(token: int, expected: str) -> None:
    topology = ring("dc1/r1", "dc1/r1", "dc2/r1")
    assert addresses(topology, token, {"class": SIMPLE, "replication_factor": "2"}) == expected


def test_no_more_nodes_are_taken_than_there_are() -> None:
    topology = ring("dc1/r1", "dc1/r2")
    assert addresses(topology, 50, {"class": SIMPLE, "replication_factor": "5"}) == "n1 n0"
    assert addresses(topology, 50, {"class": NETWORK, "dc1": "5", "dc9": "3"}) == "n1 n0"
    assert addresses(Topology([]), 50, {"class": SIMPLE, "replication_factor": "5"}) == ""


@pytest.mark.parametrize(
    ("places", "factors", "token", "expected"),
    [
        # One rack: the next nodes of the data centre.
        (["a/r", "b/r", "a/r", "b/r", "a/r"], {"a": "2"}, 1, "n2 n4"),
        # As many racks as copies: each rack once.
        (["a/1", "a/1", "a/2", "a/2", "a/3"], {"a": "3"}, 1, "n1 n2 n4"),
        # More racks than copies.
        (["a/1", "a/1", "a/2", "a/3"], {"a": "2"}, 0, "n0 n2"),
        # Fewer racks than copies: as many repeats as it takes, the nearest first, and no more of them.
        (["a/1", "a/1", "a/1", "a/2"], {"a": "3"}, 0, "n0 n1 n3"),
        (["a/1", "a/1", "a/1", "a/1", "a/2"], {"a": "4"}, 1, "n1 n2 n3 n4"),
        # Data centres are counted apart, whatever the order on the ring.
        (["a/1", "b/1", "a/2", "b/1", "a/1"], {"a": "2", "b": "1"}, 1, "n1 n2 n4"),
        (["a/1", "b/1", "a/2", "b/2"], {"a": "1", "b": "2"}, 101, "n2 n3 n1"),
        # A rack of the same name in another data centre is another rack.
        (["a/1", "b/1", "b/1", "a/2"], {"a": "2", "b": "2"}, 0, "n0 n1 n2 n3"),
        # Transient copies are copies; 0 is none.
        (["a/1", "a/1", "a/1"], {"a": "3/1"}, 0, "n0 n1 n2"),
        (["a/1", "b/1"], {"a": "1", "b": "0"}, 0, "n0"),
    ],
)
def test_network_topology_strategy_spreads_over_racks(places: list[str], factors: dict[str, str], token: int, expected: str) -> None:
    assert addresses(ring(*places), token, {"class": NETWORK, **factors}) == expected


@dataclass(frozen=True)
class Placed:
    address: str
    datacenter: str
    rack: str


def test_the_facades_arithmetic_finds_the_same_nodes() -> None:
    rnd = random.Random(3)
    for _ in range(300):
        places = [(rnd.choice("abc"), rnd.choice("1234")) for _ in range(rnd.randrange(1, 12))]
        tokens = [rnd.sample(range(-1000, 1000), rnd.randrange(1, 9)) for _ in places]
        topology = Topology(
            Node(f"n{i}", 1, dc, rack, None, tuple(sorted(set(tokens[i]) - {t for before in tokens[:i] for t in before})))
            for i, (dc, rack) in enumerate(places)
        )
        owners = {t: Placed(n.address, n.data_center, n.rack) for n in topology.nodes for t in n.tokens}
        if not owners:
            continue
        factors = {dc: str(rnd.randrange(0, 5)) for dc in "abc" if rnd.random() < 0.7}
        token = rnd.randrange(-1100, 1100)
        for replication in ({"class": NETWORK, **factors}, {"class": SIMPLE, "replication_factor": str(rnd.randrange(1, 5))}):
            other = Ring.of(owners).replicas(token, replication)
            found = [node.address for node in topology.replicas(token, replication)]
            assert sorted(found) == sorted(node.address for node in other)
            assert len(set(found)) == len(found)
            # Among all, in the order of the ring.
            assert found == [node.address for node in topology.around(token) if node.address in found]


def test_every_node_has_what_is_everywhere() -> None:
    assert addresses(ring("a/1", "a/1", "b/1"), 150, {"class": "org.apache.cassandra.locator.EverywhereStrategy"}) == "n2 n0 n1"


@pytest.mark.parametrize(
    ("replication", "text"),
    [
        ({"class": "org.apache.cassandra.locator.LocalStrategy"}, "each node has rows of its own"),
        ({"class": "com.example.Mine"}, "the replication strategy Mine is not known"),
        ({}, "without a name"),
        ({"class": SIMPLE}, "the replication of replication_factor is '', not a number"),
        ({"class": NETWORK, "dc1": "['r1', 'r2']"}, "the replication of dc1 is"),
    ],
)
def test_what_is_not_known_is_not_guessed(replication: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ring("a/1").replicas(0, replication)


# ---- reading


async def test_the_real_servers_ring_is_read(session: acsylla_like.Session, cassandra: acsylla_like.testing.Cassandra) -> None:
    topology = await read_topology(session, Options())
    local = (await session.execute("SELECT tokens, host_id, data_center, rack FROM system.local")).single()
    (node,) = topology.nodes
    assert (node.address, node.port) == (cassandra.contact_points[0], cassandra.port)
    assert (node.host_id, node.data_center, node.rack) == (local.host_id, local.data_center, local.rack)
    assert node.tokens == tuple(sorted(int(token) for token in local.tokens))
    assert topology.tokens == list(node.tokens)
    assert topology.has_murmur3_tokens


async def test_peers_are_asked_again_until_they_are_those_of_the_same_node(scripted: ScriptedServer) -> None:
    """As with a library that cannot choose the node."""
    mine, other = uuid.uuid4(), uuid.uuid4()
    local = [("host_id", "uuid"), ("partitioner", "text"), ("data_center", "text"), ("rack", "text"), ("tokens", "set<text>")]
    peer = [("host_id", "uuid"), ("data_center", "text"), ("rack", "text"), ("tokens", "set<text>"), ("rpc_address", "inet")]
    asked = []

    def row_of_peer(host_id: uuid.UUID) -> cql.Answer:
        return cql.rows(peer, [[host_id, "dc", "r", ["7"], "127.0.0.9"]])

    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:

        class Told:
            """A session whose questions get answers of the test's."""

            cluster = session.cluster

            def _ask(self, query: str, parameters: None, options: Options) -> object:
                asked.append(query)
                return session._execute_with(query.replace("system.", "told."), parameters, Options())

        def handle(request: cql.Request) -> cql.Answer:
            if "local" in request.query:
                return cql.rows(local, [[mine, "x.Murmur3Partitioner", "dc", "r", ["-5", "3"]]])
            if "peers_v2" in request.query:
                return cql.error(cql.INVALID, "unconfigured table peers_v2")
            return row_of_peer(mine if len(asked) < 5 else other)

        scripted.handler = handle
        topology = await read_topology(Told(), Options())  # type: ignore[arg-type]
        assert [(node.address, node.host_id, node.tokens) for node in topology.nodes] == [
            (scripted.address, mine, (-5, 3)),
            ("127.0.0.9", other, (7,)),
        ]
        assert asked == ["SELECT * FROM system.local", "SELECT * FROM system.peers_v2", *["SELECT * FROM system.peers"] * 3]
        scripted.handler = lambda request: handle(request) if "told.peers" not in request.query else row_of_peer(mine)
        with pytest.raises(errors.ClientError, match="no node has answered for itself and its peers"):
            await read_topology(Told(), Options())  # type: ignore[arg-type]
