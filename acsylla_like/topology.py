"""The nodes of a cluster, their tokens, and which of them hold a token's rows."""

from __future__ import annotations

import bisect
import itertools
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acsylla_like import _native, errors

if TYPE_CHECKING:
    from acsylla_like._native import Options, Row
    from acsylla_like.session import Session

__all__ = ["Node", "Topology", "read_topology"]

_LOCAL = "SELECT * FROM system.local"
_PEERS_V2 = "SELECT * FROM system.peers_v2"
_PEERS = "SELECT * FROM system.peers"
# A node's peers are all but itself, so both tables must be read from the same one. Where none can be chosen it is tried until
# one has answered both.
_MOST_TRIES = 30


@dataclass(frozen=True)
class Node:
    """A node as the others know it.

    Attributes:
        address, port: where it serves clients.
        data_center, rack: where it is.
        host_id: what it is called, whatever its address; None where the server does not say.
        tokens: the ends of the ranges that it owns, in ascending order.
    """

    address: str
    port: int
    data_center: str
    rack: str
    host_id: uuid.UUID | None
    tokens: tuple[int, ...] = field(default=(), repr=False)


class Topology:
    """The nodes of a cluster and the ring of their tokens, as they were at one moment."""

    def __init__(self, nodes: Iterable[Node], partitioner: str = "org.apache.cassandra.dht.Murmur3Partitioner") -> None:
        self.nodes = tuple(nodes)
        self.partitioner = partitioner
        owners = sorted(((token, i) for i, node in enumerate(self.nodes) for token in node.tokens))
        self.tokens = [token for token, _ in owners]
        self._owners = [self.nodes[i] for _, i in owners]

    @property
    def has_murmur3_tokens(self) -> bool:
        """Whether tokens are those that `token_of` computes."""
        return self.partitioner.endswith("Murmur3Partitioner")

    def around(self, token: int) -> list[Node]:
        """All nodes with tokens, in the order in which they own the ring from `token` on."""
        first = bisect.bisect_left(self.tokens, token)
        return list(dict.fromkeys(itertools.chain(self._owners[first:], self._owners[:first])))

    def replicas(self, token: int, replication: Mapping[str, str]) -> list[Node]:
        """The nodes that hold a token's rows, the one that owns the token first, under a keyspace's replication options (as
        `system_schema.keyspaces` has them).

        Raises ValueError for a strategy that is not known, and for options that cannot be read.
        """
        strategy = replication.get("class", "").rpartition(".")[2]
        around = self.around(token)
        if strategy == "SimpleStrategy":
            return around[: _factor("replication_factor", replication.get("replication_factor", ""))]
        if strategy == "EverywhereStrategy":
            return around
        if strategy == "NetworkTopologyStrategy":
            factors = {name: _factor(name, factor) for name, factor in replication.items() if name != "class"}
            return _over_racks(around, factors)
        if strategy == "LocalStrategy":
            raise ValueError("each node has rows of its own there, whatever their tokens")
        raise ValueError(f"the replication strategy {strategy or 'without a name'} is not known")


def _factor(name: str, text: str) -> int:
    """`3`, or `3/1` where one of the three is transient."""
    count, _, _ = text.partition("/")
    if not count.isascii() or not count.isdigit():
        raise ValueError(f"the replication of {name} is {text!r}, not a number")
    return int(count)


def _over_racks(around: Sequence[Node], factors: Mapping[str, int]) -> list[Node]:
    """As NetworkTopologyStrategy takes them on its way around the ring: in each data centre a node of a rack that has none yet,
    or of any rack as often as there are fewer racks than copies."""
    racks: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for node in around:
        racks.setdefault(node.data_center, set()).add(node.rack)
        counts[node.data_center] = counts.get(node.data_center, 0) + 1
    left = {name: min(factor, counts.get(name, 0)) for name, factor in factors.items()}
    repeats = {name: factor - len(racks.get(name, ())) for name, factor in left.items()}
    taken: dict[str, set[str]] = {name: set() for name in left}
    found = []
    for node in around:
        name = node.data_center
        if left.get(name, 0) <= 0:
            continue
        if node.rack in taken[name]:
            if repeats[name] <= 0:
                continue
            repeats[name] -= 1
        taken[name].add(node.rack)
        left[name] -= 1
        found.append(node)
    return found


async def read_topology(session: Session, options: Options) -> Topology:
    """Asks one node for itself and its peers. Raises what `execute` raises; ClientError when no node answers both questions."""
    result = await session._ask(_LOCAL, None, options)
    local = result.single()
    here = result.coordinator
    if here is not None and _native.library_functions()["cass_statement_set_host_n"]:
        options = options.with_changes(host=here)
    question = _PEERS_V2
    for _ in range(_MOST_TRIES):
        try:
            peers = (await session._ask(question, None, options)).all()
        except errors.InvalidQuery:
            if question == _PEERS:
                raise
            question = _PEERS  # ScyllaDB, or Cassandra before 4.0
            continue
        if any(peer.host_id == local.host_id for peer in peers):
            continue  # another node's
        port = session.cluster.port
        nodes = [_node(local, port if here is None else here.port, None if here is None else here.address)]
        return Topology([*nodes, *(_node(peer, port, None) for peer in peers if peer.tokens)], local.partitioner)
    raise errors.ClientError("no node has answered for itself and its peers: each question went to another one")


def _node(row: Row, port: int, address: str | None) -> Node:
    """A row of system.local, system.peers or system.peers_v2. `address` is where the node has answered, if it has."""
    found = row.as_dict()
    said = found.get("native_address") or found.get("rpc_address") or found.get("peer") or found.get("broadcast_address")
    return Node(
        address or str(said),
        found.get("native_port") or port,
        str(found.get("data_center")),
        str(found.get("rack")),
        found.get("host_id"),
        tuple(sorted(int(token) for token in found.get("tokens") or ())),
    )
