"""ScyllaDB's protocol extensions in front of real Cassandra nodes: shards, the shard-aware port, tablets."""

from __future__ import annotations

import asyncio
import bisect
import random
import socket
import ssl
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from . import _network, _ring
from ._facade_link import ClientLink, Statement
from ._loop_thread import LoopThread, stop_listening

__all__ = ["Arrival", "FacadeNode", "Hits", "ScyllaFacade", "Tablet"]

_TOKENS_PER_NODE = 16
_PORT = 19042  # ScyllaDB's native_shard_aware_transport_port


class Server(Protocol):
    """What the façade needs to know of the servers behind it: a `Cassandra`, or any other."""

    @property
    def contact_points(self) -> list[str]: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True)
class Arrival:
    """A request as it came to the façade.

    Attributes:
        kind: "EXECUTE", "QUERY" or "BATCH".
        query: its text; of a batch that of its first statement with a known partition key.
        keyspace, table: of the statement, "" when unknown.
        node: the node it came to.
        shard: the shard that the connection belongs to; None on a node without shards.
        token: of its partition key, None when the request does not tell its key (a literal in the text, a full scan).
        owners: the nodes that hold the token, each with the shard that owns it there; empty without a token.
    """

    kind: str
    query: str
    keyspace: str
    table: str
    node: FacadeNode
    shard: int | None
    token: int | None
    owners: Sequence[tuple[FacadeNode, int | None]] = ()

    @property
    def hit_node(self) -> bool:
        """Whether it came to a node that holds its token."""
        return any(node is self.node for node, _ in self.owners)

    @property
    def hit(self) -> bool:
        """Whether it came to a node that holds its token, and there to the shard that owns it."""
        return (self.node, self.shard) in self.owners


@dataclass(frozen=True)
class Hits:
    """How many requests came to where their partition is.

    Attributes:
        requests: those whose token is known.
        node: of these, how many came to a replica.
        shard: of these, how many came to the owning shard of a replica.
        unknown: further requests, whose token is not known.
    """

    requests: int
    node: int
    shard: int
    unknown: int

    @property
    def share(self) -> float:
        """The share that reached node and shard, 0 to 1; 1 without any request."""
        return self.shard / self.requests if self.requests else 1.0


@dataclass(frozen=True)
class Tablet:
    """A range of tokens, `first` excluded and `last` included, with its replicas: nodes and the shard on each."""

    first: int
    last: int
    replicas: tuple[tuple[FacadeNode, int], ...]


@dataclass(eq=False)
class FacadeNode:
    """A node as clients see it.

    Attributes:
        name: "node1" and so on.
        address: where clients connect, with the façade's `port`.
        nr_shards: None for a plain Cassandra node.
        ignore_msb: how many bits of the token do not count for its shard.
        host_id, datacenter, rack, tokens: as in `system.local`.
        is_member: whether it belongs to the cluster.
    """

    name: str
    address: str
    nr_shards: int | None
    ignore_msb: int
    backend: tuple[str, int]
    _facade: ScyllaFacade = field(repr=False)
    host_id: uuid.UUID = field(default_factory=uuid.uuid4)
    datacenter: str = "datacenter1"
    rack: str = "rack1"
    tokens: tuple[int, ...] = field(default=(), repr=False)
    is_member: bool = True
    _links: set[ClientLink] = field(default_factory=set, repr=False)
    _servers: dict[str, asyncio.Server] = field(default_factory=dict, repr=False)
    _next_shard: int = field(default=0, repr=False)

    @property
    def port(self) -> int:
        """The port for CQL clients."""
        return self._facade.port

    @property
    def is_running(self) -> bool:
        """Whether it accepts connections."""
        return "normal" in self._servers

    @property
    def connections(self) -> list[int | None]:
        """The shard of each connection that is ready for requests."""
        return [link.shard for link in tuple(self._links) if link.is_ready]

    def shard_of(self, token: int) -> int | None:
        """The shard that owns a token here, None without shards."""
        return None if self.nr_shards is None else _ring.shard_of(token, self.nr_shards, self.ignore_msb)

    def drop_connections(self) -> None:
        """Closes every connection to it at once; new ones are accepted."""
        self._facade._run(self._facade._drop([self]))

    def stop(self) -> None:
        """Closes every connection and the ports; the other nodes tell their clients."""
        self._facade._run(self._facade._stop_node(self))

    def start(self, *, nr_shards: int | None = None) -> None:
        """Listens again after `stop()`, with another number of shards when one is given; the other nodes tell their clients."""
        self._facade._run(self._facade._start_node(self, nr_shards))

    def leave(self) -> None:
        """Leaves the cluster for good: its tokens are the others', which tell their clients. Only where all nodes are played before one."""
        self._facade._require_played()
        self._facade._run(self._facade._leave(self))

    def join(self, *, nr_shards: int | None = None) -> None:
        """Becomes a new node of the cluster after `leave()`, with another number of shards when one is given."""
        self._facade._require_played()
        self._facade._run(self._facade._join(self, nr_shards))


class ScyllaFacade(LoopThread):
    """A proxy that makes real Cassandra nodes look like ScyllaDB, and sees where each request arrives.

    It speaks ScyllaDB's extensions to protocol version 4: SUPPORTED with the facts of sharding, a shard-aware port, tablets.
    Everything else is answered by the Cassandra behind it. Addresses in `system.local`, `system.peers` and events are its
    own; `system.clients` and the `thread` of `system_traces.events` are as ScyllaDB has them. Its arithmetic of tokens,
    replicas and shards is Python of its own and shares nothing with the client's. It runs in a thread of its own.

        with Cassandra() as server, ScyllaFacade(server, shards=(4, 7, 16)) as facade:
            session = await acsylla_like.connect(facade.contact_points, port=facade.port)
            ...
            assert facade.hits().share == 1.0

    Args:
        server: one real node, in front of which any number of nodes is played, each with tokens of its own; or as many real
            nodes as `shards` has numbers, each with its own tokens.
        shards: the number of shards of each node; None for a plain Cassandra node.
        ignore_msb: SCYLLA_SHARDING_IGNORE_MSB (ScyllaDB's default is 12).
        port, shard_aware_port: where to listen; by default a free one, and 19042 where that is free on every address.
        placement: data centre and rack of each played node; the last one given serves the rest.
        tablets: whether TABLETS_ROUTING_V1 is offered; see `split_into_tablets`.
        ssl_context: serves both ports by TLS.
        seed: of the played nodes' tokens.
    """

    def __init__(
        self,
        server: Server,
        shards: Sequence[int | None] = (4,),
        *,
        ignore_msb: int = 12,
        port: int | None = None,
        shard_aware_port: int | None = None,
        placement: Sequence[tuple[str, str]] = (("datacenter1", "rack1"),),
        tablets: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        seed: int = 1,
    ) -> None:
        super().__init__()
        if not shards or any(count is not None and not 1 <= count <= 1024 for count in shards):
            raise ValueError(f"shards must have a number from 1 to 1024, or None, for each node, not {shards!r}")
        if len(server.contact_points) not in (1, len(shards)):
            raise ValueError(f"{len(shards)} nodes need one real node or as many, not {len(server.contact_points)}")
        addresses = _network.free_addresses(len(shards))
        self.port = port or _network.free_ports(addresses, 1)[0]
        self.shard_aware_port = shard_aware_port or _shard_aware_port(addresses)
        self.tablets = tablets
        self.ssl_context = ssl_context
        #: Whether source ports do not arrive: on the shard-aware port the shard is then a matter of chance.
        self.nat = False
        #: Every request for data, oldest first: those to ScyllaDB's own tables that the façade answers are not among them.
        self.arrivals: list[Arrival] = []
        self.is_played = len(server.contact_points) < len(shards) or len(shards) == 1
        self._random = random.Random(seed)
        self._shard_aware = "open"
        self._real = [(address, server.port) for address in server.contact_points]
        self.nodes = tuple(
            FacadeNode(f"node{i + 1}", address, count, ignore_msb, self._real[i % len(self._real)], self)
            for i, (address, count) in enumerate(zip(addresses, shards, strict=True))
        )
        for i, node in enumerate(self.nodes):
            node.datacenter, node.rack = placement[min(i, len(placement) - 1)]
            node.tokens = tuple(sorted(self._random.randrange(-(2**63) + 1, 2**63) for _ in range(_TOKENS_PER_NODE)))
        # What links have learned of prepared statements, by id.
        self.statements: dict[bytes, Statement] = {}
        self.texts: dict[bytes, str] = {}
        self.replications: dict[str, Mapping[str, str]] = {}
        self.traced: dict[uuid.UUID, Arrival] = {}
        self._learn_ring()
        self._tables: dict[tuple[str, str], list[Tablet]] = {}

    def __repr__(self) -> str:
        return f"<ScyllaFacade at {','.join(self.contact_points)}:{self.port}, shards {[node.nr_shards for node in self.nodes]}>"

    # What tests use -----------------------------------------------------------------------------------------------------

    @property
    def contact_points(self) -> list[str]:
        """The addresses of all nodes."""
        return [node.address for node in self.nodes]

    def clear(self) -> None:
        """Forgets the arrivals."""
        self.arrivals.clear()

    def hits(self, kind: str | None = None) -> Hits:
        """Counts the arrivals, those of one kind when it is given."""
        chosen = [arrival for arrival in tuple(self.arrivals) if kind in (None, arrival.kind)]
        known = [arrival for arrival in chosen if arrival.token is not None]
        on_node, on_shard = sum(arrival.hit_node for arrival in known), sum(arrival.hit for arrival in known)
        return Hits(len(known), on_node, on_shard, len(chosen) - len(known))

    @property
    def is_covered(self) -> bool:
        """Whether each shard of each running node has a connection that is ready."""
        return all(set(range(node.nr_shards or 1)) <= {shard or 0 for shard in node.connections} for node in self.nodes if node.is_running)

    def owners(self, keyspace: str, table: str, token: int) -> list[tuple[FacadeNode, int | None]]:
        """The nodes that hold a token of a table, the primary first, each with the shard that owns it there.

        Empty when the keyspace is not known: it is read when a statement of it is prepared.
        """
        tablet = self.tablet_of(keyspace, table, token)
        if tablet is not None:
            return list(tablet.replicas)
        replication = self.replications.get(keyspace)
        replicas = [] if replication is None else self._ring.replicas(token, replication)
        return [(node, node.shard_of(token)) for node in replicas]

    def split_into_tablets(self, keyspace: str, table: str, count: int = 8, replicas: int = 1) -> None:
        """Gives a table `count` tablets, each on `replicas` nodes and a shard of each by chance. `count` is a power of two."""
        if count < 1 or count & (count - 1):
            raise ValueError(f"count must be a power of two, not {count}")
        step = 2**64 // count
        lasts = [-(2**63) + step * (i + 1) - 1 for i in range(count)]
        firsts = [-(2**63), *lasts[:-1]]
        tablets = [Tablet(first, last, self._some_replicas(replicas)) for first, last in zip(firsts, lasts, strict=True)]
        self._tables[keyspace, table] = tablets

    def move_tablet(self, keyspace: str, table: str, token: int) -> Tablet:
        """Moves the tablet that holds `token` to other shards, and other nodes where there are more; returns it as it is now."""
        tablets = self._tables[keyspace, table]
        at = bisect.bisect_left([tablet.last for tablet in tablets], token)
        before = tablets[at]
        while set(before.replicas) & set(moved := self._some_replicas(len(before.replicas))):
            pass
        tablets[at] = Tablet(before.first, before.last, moved)
        return tablets[at]

    def tablet_of(self, keyspace: str, table: str, token: int) -> Tablet | None:
        """The tablet that holds a token, None for a table without tablets."""
        tablets = self._tables.get((keyspace, table))
        return None if tablets is None else tablets[bisect.bisect_left([tablet.last for tablet in tablets], token)]

    def _some_replicas(self, count: int) -> tuple[tuple[FacadeNode, int], ...]:
        nodes = self._random.sample([node for node in self.nodes if node.nr_shards], count)
        return tuple((node, self._random.randrange(node.nr_shards or 1)) for node in nodes)

    def set_shard_aware_port(self, state: str) -> None:
        """Changes what the shard-aware port does.

        "open" is how it begins; "closed" refuses connections, "silent" accepts and never answers, as behind some firewalls,
        and "absent" is not announced in SUPPORTED either. Open connections stay.
        """
        if state not in ("open", "closed", "silent", "absent"):
            raise ValueError(f"state must be open, closed, silent or absent, not {state!r}")
        self._run(self._set_shard_aware_port(state))

    def drop_connections(self) -> None:
        """Closes every connection of every node at once; new ones are accepted."""
        self._run(self._drop(self.nodes))

    # What links use -----------------------------------------------------------------------------------------------------

    def supported(self, node: FacadeNode, shard: int | None) -> dict[str, list[str]]:
        """What SUPPORTED says on a connection to this shard."""
        options = {"COMPRESSION": [], "CQL_VERSION": ["3.3.1"], "PROTOCOL_VERSIONS": ["3/v3", "4/v4"]}
        if node.nr_shards is None:
            return options
        options |= {
            "SCYLLA_SHARD": [str(shard)],
            "SCYLLA_NR_SHARDS": [str(node.nr_shards)],
            "SCYLLA_PARTITIONER": ["org.apache.cassandra.dht.Murmur3Partitioner"],
            "SCYLLA_SHARDING_ALGORITHM": ["biased-token-round-robin"],
            "SCYLLA_SHARDING_IGNORE_MSB": [str(node.ignore_msb)],
        }
        if self._shard_aware != "absent":
            suffix = "" if self.ssl_context is None else "_SSL"
            options[f"SCYLLA_SHARD_AWARE_PORT{suffix}"] = [str(self.shard_aware_port)]
        if self.tablets:
            options["TABLETS_ROUTING_V1"] = [""]
        return options

    def shard_for(self, node: FacadeNode, source_port: int, *, is_shard_aware: bool) -> int | None:
        """The shard that a new connection gets."""
        if node.nr_shards is None:
            return None
        if is_shard_aware:
            return (self._random.randrange(1024, 65536) if self.nat else source_port) % node.nr_shards
        node._next_shard = (node._next_shard + 1) % node.nr_shards
        return node._next_shard

    def _note_arrival(
        self, kind: str, query: str, keyspace: str, table: str, node: FacadeNode, shard: int | None, token: int | None
    ) -> Arrival:
        owners = () if token is None else self.owners(keyspace, table, token)
        arrival = Arrival(kind, query, keyspace, table, node, shard, token, owners)
        self.arrivals.append(arrival)
        return arrival

    def node_of_backend(self, address: str) -> FacadeNode | None:
        """The node that stands in front of a real one; None when several do."""
        return None if self.is_played else next((node for node in self.nodes if node.backend[0] == address), None)

    # Life ---------------------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        if not self.is_played:
            await self._learn_real_ring()
        for node in self.nodes:
            await self._listen(node)

    async def _end(self) -> None:
        for node in self.nodes:
            await self._close(node)

    async def _learn_real_ring(self) -> None:
        """Takes tokens, identity and place of each real node over."""
        for node in self.nodes:
            link = ClientLink(self, node, is_shard_aware=False)
            try:
                row = await link.ask_row("SELECT host_id, data_center, rack, tokens FROM system.local WHERE key = 'local'")
            finally:
                link.abort()
            node.host_id = uuid.UUID(bytes=row["host_id"])
            node.datacenter, node.rack = row["data_center"].decode(), row["rack"].decode()
            node.tokens = tuple(sorted(int(text) for text in ClientLink.texts(row["tokens"])))
        self._learn_ring()

    def _learn_ring(self) -> None:
        self._ring = _ring.Ring.of({token: node for node in self.nodes if node.is_member for token in node.tokens})

    def _require_played(self) -> None:
        if not self.is_played:
            raise ValueError("each node of this façade is a real one's, which would not know of it")

    async def _listen(self, node: FacadeNode) -> None:
        await self._open(node, "normal", self.port)
        if node.nr_shards is not None and self._shard_aware in ("open", "silent"):
            await self._open(node, "shard-aware", self.shard_aware_port)

    async def _open(self, node: FacadeNode, name: str, port: int) -> None:
        is_shard_aware = name == "shard-aware"
        node._servers[name] = await asyncio.get_running_loop().create_server(
            lambda: ClientLink(self, node, is_shard_aware=is_shard_aware, is_silent=is_shard_aware and self._shard_aware == "silent"),
            node.address,
            port,
            ssl=self.ssl_context,
            backlog=1024,
        )

    async def _close(self, node: FacadeNode) -> None:
        servers = list(node._servers.values())
        for server in servers:
            await stop_listening(server)
        node._servers.clear()
        await self._drop([node])
        if self.ssl_context is not None:
            for server in servers:
                await _network.gone(server)

    async def _drop(self, nodes: Sequence[FacadeNode]) -> None:
        for node in nodes:
            for link in tuple(node._links):
                link.abort()
        await asyncio.sleep(0)  # connection_lost() is called in the loop's next turn
        self._note()

    async def _stop_node(self, node: FacadeNode) -> None:
        await self._close(node)
        self._tell("STATUS_CHANGE", "DOWN", node)

    async def _start_node(self, node: FacadeNode, nr_shards: int | None) -> None:
        if nr_shards is not None:
            node.nr_shards = nr_shards
        if not node.is_running:
            await self._listen(node)
            self._tell("STATUS_CHANGE", "UP", node)

    async def _leave(self, node: FacadeNode) -> None:
        node.is_member = False
        self._learn_ring()
        await self._close(node)
        self._tell("STATUS_CHANGE", "DOWN", node)
        self._tell("TOPOLOGY_CHANGE", "REMOVED_NODE", node)

    async def _join(self, node: FacadeNode, nr_shards: int | None) -> None:
        if not node.is_member:
            node.is_member, node.host_id = True, uuid.uuid4()
            self._learn_ring()
            self._tell("TOPOLOGY_CHANGE", "NEW_NODE", node)
        await self._start_node(node, nr_shards)

    def _tell(self, kind: str, change: str, about: FacadeNode) -> None:
        for node in self.nodes:
            for link in tuple(node._links):
                if node is not about:
                    link.push_change(kind, change, about)

    async def _set_shard_aware_port(self, state: str) -> None:
        self._shard_aware = state
        for node in self.nodes:
            server = node._servers.pop("shard-aware", None)
            if server is not None:
                await stop_listening(server)
            if node.is_running and node.nr_shards is not None and state in ("open", "silent"):
                await self._open(node, "shard-aware", self.shard_aware_port)

    def _connected(self, link: ClientLink) -> None:
        link.node._links.add(link)
        self._note()

    def _disconnected(self, link: ClientLink) -> None:
        link.node._links.discard(link)
        self._note()


def _shard_aware_port(addresses: Sequence[str]) -> int:
    try:
        for address in addresses:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, _PORT))
    except OSError:
        return _network.free_ports(addresses, 1)[0]
    return _PORT
