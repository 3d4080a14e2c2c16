"""Where rows live: the token of a partition key, the nodes that hold it, and the shard that owns it on each.

    token = token_of(parse_type("int").encode(42))      # a key of one column
    token = token_of([country, name])                   # of several: each its bytes
    shard_of(token, nr_shards=8, ignore_msb=12)

A session knows more: `Session.explain` tells all of it for a statement and its values, `Session.group_by_replica` splits rows.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import random
import time
import uuid
import weakref
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from acsylla_like import _native, errors, sharding
from acsylla_like._native import Options, routing_key_of, shard_of, token_of, token_of_values
from acsylla_like.key_markers import Keyed, indexes_of, partition_key, read
from acsylla_like.select_star import quoted
from acsylla_like.topology import Node, Topology, read_topology

if TYPE_CHECKING:
    from acsylla_like._native import Batch, Parameters, PreparedStatement, PreparedVersion, Statement, Values
    from acsylla_like.session import Session
    from acsylla_like.sharding import Sharding

__all__ = ["Replica", "Route", "Router", "routing_key_of", "shard_of", "token_of"]

# Seconds for which nodes, tablets and the numbers of shards are believed. They change when a node comes, goes or returns.
_AGE = 2.0
_SHARDS_AGE = 10.0
# Seconds that a node has to say how many shards it has.
_PATIENCE = 2.0
_OTHER_TOKENS = "the tokens are those of {}"

# Seconds of work between two turns of the event loop.
_TURN = 0.002

OwnerFinder: TypeAlias = Callable[[Sequence[Any]], "Replica"]
R = TypeVar("R", bound="Values")
T = TypeVar("T")


@dataclass(frozen=True)
class Replica:
    """A node that holds a token's rows.

    Attributes:
        address, port: where it serves clients.
        data_center, rack, host_id: as the server has them.
        shard: the shard of the node that owns the token; None where the node is not ScyllaDB or has not told its shards.
    """

    address: str
    port: int
    data_center: str
    rack: str
    host_id: uuid.UUID | None
    shard: int | None


@dataclass(frozen=True)
class Route:
    """Where the rows of a statement with its values live; what cannot be told for certain is None.

    Attributes:
        keyspace, table: as the statement names them.
        token: of the partition key.
        replicas: in the order of the ring, the node that owns the token first; of a table with tablets in the tablet's.
        reason: why the token, or the replicas, are None.
    """

    keyspace: str | None
    table: str | None
    token: int | None
    replicas: tuple[Replica, ...] | None
    reason: str | None = None


@dataclass(frozen=True)
class _Table:
    """What a table's rows are placed by."""

    key: tuple[str, ...]
    replication: Mapping[str, str] | None
    has_tablets: bool | None
    """None where the server does not say."""
    partitioner: str | None
    """Its own, where it has another one than the cluster; ScyllaDB's logs of changes do."""


@dataclass(frozen=True)
class _Tablets:
    """The tablets of a table, in the order of their last tokens."""

    last: list[int]
    replicas: list[list[tuple[uuid.UUID, int]]]


class _Placement:
    """Finds the replicas of tokens of one table, with the shard where tablets tell it."""

    def __init__(self, topology: Topology, replication: Mapping[str, str], tablets: _Tablets | None) -> None:
        self._topology = topology
        self._replication = replication
        self._tablets = tablets
        self._by_host_id = {node.host_id: node for node in topology.nodes}
        self._found: dict[int, list[tuple[Node, int | None]]] = {}

    def replicas(self, token: int) -> list[tuple[Node, int | None]]:
        """The nodes that hold a token. Raises ValueError where that cannot be told."""
        tokens = self._topology.tokens if self._tablets is None else self._tablets.last
        place = bisect.bisect_left(tokens, token)
        found = self._found.get(place)
        if found is None:
            found = self._found[place] = self._find(token, place)
        return found

    def _find(self, token: int, place: int) -> list[tuple[Node, int | None]]:
        if self._tablets is None:
            return [(node, None) for node in self._topology.replicas(token, self._replication)]
        if place == len(self._tablets.last):
            raise ValueError(f"no tablet is known for token {token}")
        found: list[tuple[Node, int | None]] = []
        for host_id, shard in self._tablets.replicas[place]:
            node = self._by_host_id.get(host_id)
            if node is None:
                raise ValueError(f"the node {host_id} of the tablet is not known")
            found.append((node, shard))
        return found


class Router:
    """A session's knowledge of where rows live; read when it is asked for, and kept for a moment."""

    def __init__(self, session: Session) -> None:
        self._reference = weakref.ref(session)  # which owns this
        self._topology: tuple[float, Topology] | None = None
        self._shardings: dict[tuple[str, int], tuple[float, Sharding | None]] = {}
        self._tables: dict[tuple[str, str], tuple[int, _Table]] = {}
        self._tablets: dict[tuple[str, str], tuple[float, _Tablets | None]] = {}
        # (event loop, what is read) -> the task that reads it
        self._flights: dict[tuple[int, Hashable], asyncio.Task[Any]] = {}

    @property
    def _session(self) -> Session:
        session = self._reference()
        assert session is not None  # it called
        return session

    # ---- explaining ----

    async def explain(self, query: str | PreparedStatement | Statement | Batch, parameters: Parameters) -> Route:
        """See `Session.explain`."""
        if isinstance(query, _native.Batch):
            return await self._explain_batch(query, parameters)
        if isinstance(query, _native.Statement):
            if parameters is not None:
                raise TypeError("a Statement has its values already: give them to create_statement or bind")
            key = query.options.routing_key
            parameters = query.parameters
            query = query.query
            if key is not None:
                return await self._explain_key(query, key)
        if isinstance(query, str):
            if not parameters:
                return self._explain_text(query)
            query = await self._session._prepared_for(query, self._timeout())
        if not isinstance(query, _native.PreparedStatement):
            raise TypeError(f"a str, PreparedStatement, Statement or Batch can be explained, not {type(query).__name__}")
        return await self._explain_prepared(query, parameters)

    async def _explain_batch(self, batch: Batch, parameters: Parameters) -> Route:
        if parameters is not None:
            raise TypeError("a Batch takes no parameters: give them to its add")
        route = Route(None, None, None, None, "the batch is empty")
        for entry in batch._entries:
            if isinstance(entry, tuple):
                found = await self.explain(*entry)
            else:
                found = await self._explain_prepared(entry.prepared, entry._first_row)
            if found.token is not None:
                return found  # the driver sends it to where its first keyed statement belongs
            if route.keyspace is None:
                route = found
        return route

    def _explain_text(self, text: str) -> Route:
        """Of a text without values: its key may be in it, but nobody reads it there."""
        found = self._read(text, self._session.keyspace)
        if isinstance(found, Route):
            return found
        keyed, keyspace = found
        return Route(keyspace, keyed.table, None, None, next(iter(keyed.reasons.values()), "the text has no values"))

    async def _explain_prepared(self, prepared: PreparedStatement, parameters: Parameters) -> Route:
        values = prepared.bind(parameters).parameters
        version = prepared._version
        found = self._read(version.text, version.keyspace)
        if isinstance(found, Route):
            return found
        keyed, keyspace = found
        indexes = await self._indexes(version, keyed, keyspace)
        if isinstance(indexes, str):
            return Route(keyspace, keyed.table, None, None, indexes)
        return await self._route(keyspace, keyed.table, token_of_values(version, indexes, values))

    async def _explain_key(self, query: str | PreparedStatement, key: bytes | Sequence[Any], *, shards: bool = True) -> Route:
        """Of a statement with a routing key; without the `shards` no node is asked for them."""
        text = query if isinstance(query, str) else query._version.text
        found = self._read(text, self._session.keyspace if isinstance(query, str) else query._version.keyspace)
        if isinstance(found, Route):
            return found
        keyed, keyspace = found
        other = await self._other_partitioner(await self._table(keyspace, keyed.table))
        if other is not None:
            return Route(keyspace, keyed.table, None, None, _OTHER_TOKENS.format(other))
        return await self._route(keyspace, keyed.table, await self._token_of_key(keyspace, keyed.table, key), shards=shards)

    async def _route(self, keyspace: str, table: str, token: int, *, shards: bool = True) -> Route:
        placement = await self._placement(keyspace, table)
        try:
            if isinstance(placement, str):
                raise ValueError(placement)
            nodes = placement.replicas(token)
        except ValueError as error:
            return Route(keyspace, table, token, None, str(error))
        replicas = await self._with_shards(token, nodes) if shards else [_replica(*each) for each in nodes]
        return Route(keyspace, table, token, tuple(replicas))

    @staticmethod
    def _read(text: str, keyspace: str | None) -> tuple[Keyed, str] | Route:
        """What a text does and the keyspace that it means, `keyspace` where it names none; the Route where that is all."""
        found = read(text)
        if isinstance(found, str):
            return Route(None, None, None, None, found)
        keyspace = found.keyspace or keyspace
        if keyspace is None:
            return Route(None, found.table, None, None, f"{found.table} has no keyspace, and neither has the session")
        return found, keyspace

    async def _indexes(self, version: PreparedVersion, keyed: Keyed, keyspace: str) -> tuple[int, ...] | str:
        """Which parameters are the key, or why that cannot be told."""
        table = await self._table(keyspace, keyed.table)
        if not table.key:
            return f"there is no table {keyspace}.{keyed.table}"
        other = await self._other_partitioner(table)
        if other is not None:
            return _OTHER_TOKENS.format(other)
        return indexes_of(keyed, version.parameter_names, table.key)

    # ---- routing keys ----

    async def nodes_of(self, query: str | PreparedStatement, key: bytes | Sequence[Any]) -> list[Replica]:
        """The nodes that hold a routing key, in a random order, those of `local_dc` alone where the cluster has one; none where
        that cannot be told. Raises what binding the key's values raises."""
        route = await self._explain_key(query, key, shards=False)
        here = self._session.cluster.local_dc
        nodes = [node for node in route.replicas or () if here in (None, node.data_center)]
        random.shuffle(nodes)
        return nodes

    async def _token_of_key(self, keyspace: str, name: str, key: bytes | Sequence[Any]) -> int:
        """The token of a partition key's bytes, or of its values: bytes as they are, others by the types of the columns."""
        if isinstance(key, bytes):
            return token_of(key)
        columns = (await self._table(keyspace, name)).key
        if not columns:
            raise ValueError(f"routing_key: there is no table {keyspace}.{name}")
        if len(key) != len(columns):
            raise ValueError(f"routing_key has {len(key)} values, and the partition key of {keyspace}.{name} is {', '.join(columns)}")
        if all(isinstance(value, bytes) for value in key):
            return token_of(key)
        where = " AND ".join(f"{quoted(column)} = ?" for column in columns)
        text = f"SELECT {quoted(columns[0])} FROM {quoted(keyspace)}.{quoted(name)} WHERE {where}"
        version = (await self._session._prepared_for(text, self._timeout()))._version
        values = [
            value if not isinstance(value, bytes) else cql_type.decode(value)
            for value, cql_type in zip(key, version.parameter_types, strict=True)
        ]
        return token_of_values(version, tuple(range(len(columns))), values)

    # ---- grouping ----

    async def group(self, prepared: PreparedStatement, rows: Iterable[R]) -> dict[Replica, list[R]]:
        """See `Session.group_by_replica`."""
        if not isinstance(prepared, _native.PreparedStatement):
            raise TypeError(f"rows are grouped for a PreparedStatement, not {type(prepared).__name__}")
        version = prepared._version
        indexes, placement = await self._placed(version)
        owned: list[tuple[int, tuple[Node, int | None], R]] = []
        turn_ends = time.monotonic() + _TURN
        for number, row in enumerate(rows):
            try:
                token = token_of_values(version, indexes, row)
            except (TypeError, ValueError, OverflowError, KeyError) as error:
                raise _of_row(number, error) from error
            owned.append((token, self._preferred(placement.replicas(token)), row))
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + _TURN
        nodes = list(dict.fromkeys(node for _, (node, _), _ in owned))
        shardings = dict(zip(nodes, await asyncio.gather(*map(self._sharding, nodes)), strict=True))
        groups: dict[tuple[Node, int | None], list[R]] = {}
        for token, (node, shard), row in owned:
            groups.setdefault((node, _shard(token, shard, shardings[node])), []).append(row)
        return {_replica(node, shard): chosen for (node, shard), chosen in groups.items()}

    async def _placed(self, version: PreparedVersion) -> tuple[tuple[int, ...], _Placement]:
        """Which parameters are the key of a statement's rows, and where these are. Raises ValueError where that cannot be told."""
        found = self._read(version.text, version.keyspace)
        if isinstance(found, Route):
            raise ValueError(f"the rows' partition keys are not known: {found.reason}")
        keyed, keyspace = found
        indexes = await self._indexes(version, keyed, keyspace)
        if isinstance(indexes, str):
            raise ValueError(f"the rows' partition keys are not known: {indexes}")
        placement = await self._placement(keyspace, keyed.table)
        if isinstance(placement, str):
            raise ValueError(f"the rows' replicas are not known: {placement}")
        return indexes, placement

    async def owner_finder(self, version: PreparedVersion) -> OwnerFinder:
        """What tells the owner of a statement's rows, as nodes and shards are now; it raises ValueError where it cannot. So does this."""
        indexes, placement = await self._placed(version)
        shardings = await self.shardings()

        def owner(values: Sequence[Any]) -> Replica:
            token = token_of_values(version, indexes, values)
            node, shard = self._preferred(placement.replicas(token))
            return _replica(node, _shard(token, shard, shardings.get(node)))

        return owner

    def _preferred(self, nodes: Sequence[tuple[Node, int | None]]) -> tuple[Node, int | None]:
        """The first one, of the session's own data centre where it has one."""
        if not nodes:
            raise ValueError("the rows' replicas are not known: the keyspace has none")
        here = self._session.cluster.local_dc
        return next((each for each in nodes if each[0].data_center == here), nodes[0])

    # ---- what is known ----

    async def nodes(self) -> tuple[Node, ...]:
        """All nodes of the cluster; the one that was asked for them first."""
        return (await self._nodes()).nodes

    async def shardings(self) -> dict[Node, Sharding | None]:
        """How each node shards; None for one that does not or has not told."""
        nodes = await self.nodes()
        return dict(zip(nodes, await asyncio.gather(*map(self._sharding, nodes)), strict=True))

    async def _with_shards(self, token: int, nodes: Sequence[tuple[Node, int | None]]) -> list[Replica]:
        shardings = await asyncio.gather(*(self._sharding(node) for node, _ in nodes))
        return [_replica(node, _shard(token, shard, sharding)) for (node, shard), sharding in zip(nodes, shardings, strict=True)]

    async def _placement(self, keyspace: str, name: str) -> _Placement | str:
        table = await self._table(keyspace, name)
        if table.replication is None:
            return f"there is no keyspace {keyspace}"
        try:
            tablets = None if table.has_tablets is False else await self._tablets_of(keyspace, name)
        except errors.Unauthorized:
            return "the role may not read system.tablets"
        if tablets is None and table.has_tablets:
            return f"{keyspace}.{name} has tablets, and system.tablets does not tell them"
        return _Placement(await self._nodes(), table.replication, tablets)

    async def _nodes(self) -> Topology:
        kept = self._topology
        if kept is None or kept[0] < time.monotonic() - _AGE:
            found = await self._once("nodes", lambda: read_topology(self._session, self._options()))
            kept = self._topology = time.monotonic(), found
        return kept[1]

    async def _other_partitioner(self, table: _Table) -> str | None:
        """What gives a table's keys other tokens than `token_of` does; None where nothing does."""
        topology = await self._nodes()
        return table.partitioner if topology.has_murmur3_tokens else topology.partitioner

    async def _sharding(self, node: Node) -> Sharding | None:
        """How a node shards; None when it does not or does not tell."""
        place = node.address, node.port
        kept = self._shardings.get(place)
        if kept is None or kept[0] < time.monotonic() - _SHARDS_AGE:
            found = await self._once(("shards", place), lambda: self._ask_for_shards(place))
            kept = self._shardings[place] = time.monotonic(), found
        return kept[1]

    async def _ask_for_shards(self, place: tuple[str, int]) -> Sharding | None:
        cluster = self._session.cluster
        if cluster.tls is None or cluster.tls_context is not None:  # plain text is nothing for a port with TLS
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                return await sharding.ask(*place, timeout=_PATIENCE, ssl_context=cluster.tls_context)
        return None

    async def _table(self, keyspace: str, name: str) -> _Table:
        version = self._session._schema_version
        kept = self._tables.get((keyspace, name))
        if kept is None or kept[0] != version:
            found = await self._once(("table", keyspace, name, version), lambda: self._read_table(keyspace, name))
            kept = self._tables[keyspace, name] = version, found
        return kept[1]

    async def _read_table(self, keyspace: str, name: str) -> _Table:
        facts = await asyncio.gather(
            partition_key(self._session, keyspace, name, self._options()),
            self._replication(keyspace),
            self._has_tablets(keyspace),
            self._partitioner(keyspace, name),
        )
        return _Table(*facts)

    async def _replication(self, keyspace: str) -> Mapping[str, str] | None:
        row = await self._ask("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", keyspace)
        return row[0][0] if row else None

    async def _has_tablets(self, keyspace: str) -> bool | None:
        try:
            rows = await self._ask("SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = ?", keyspace)
        except (errors.InvalidQuery, errors.Unauthorized):
            return None  # Cassandra, an old ScyllaDB, or a role without the right
        return bool(rows) and rows[0][0] is not None

    async def _partitioner(self, keyspace: str, name: str) -> str | None:
        try:
            rows = await self._ask(
                "SELECT partitioner FROM system_schema.scylla_tables WHERE keyspace_name = ? AND table_name = ?", keyspace, name
            )
        except (errors.InvalidQuery, errors.Unauthorized):
            return None  # as above
        found = rows[0][0] if rows else None
        return None if found is None or found.endswith("Murmur3Partitioner") else found

    async def _tablets_of(self, keyspace: str, name: str) -> _Tablets | None:
        kept = self._tablets.get((keyspace, name))
        if kept is None or kept[0] < time.monotonic() - _AGE:
            found = await self._once(("tablets", keyspace, name), lambda: self._read_tablets(keyspace, name))
            kept = self._tablets[keyspace, name] = time.monotonic(), found
        return kept[1]

    async def _read_tablets(self, keyspace: str, name: str) -> _Tablets | None:
        """None for a table without tablets. Raises Unauthorized where the role may not read them."""
        columns = "SELECT last_token, replicas, keyspace_name, table_name FROM system.tablets"
        ids = await self._ask("SELECT id FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?", keyspace, name)
        rows: Sequence[tuple[Any, ...]] = ()
        with contextlib.suppress(errors.InvalidQuery):  # no such table, or one with another key, as it was at first
            rows = await self._ask(f"{columns} WHERE table_id = ?", ids[0][0]) if ids else ()
        with contextlib.suppress(errors.InvalidQuery):
            rows = rows or [row for row in await self._ask(columns) if tuple(row[2:]) == (keyspace, name)]
        if not rows:
            return None
        found = sorted((last, list(replicas or ())) for last, replicas, _, _ in rows)
        return _Tablets([last for last, _ in found], [replicas for _, replicas in found])

    # ---- asking ----

    async def _once(self, what: Hashable, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `read` finds, for all who ask at the same time on one event loop; a cancelled one does not stop it."""
        flight = id(asyncio.get_running_loop()), what
        task = self._flights.get(flight)
        if task is None:
            task = self._flights[flight] = asyncio.get_running_loop().create_task(read())
            task.add_done_callback(lambda done: self._landed(flight, done))
        found: T = await asyncio.shield(task)
        return found

    def _landed(self, flight: tuple[int, Hashable], task: asyncio.Task[Any]) -> None:
        self._flights.pop(flight, None)
        if not task.cancelled():
            task.exception()  # seen by those who wait; nobody may be left

    async def _ask(self, query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        result = await self._session._ask(query, values or None, self._options())
        return [row.as_tuple() for row in result]

    def _options(self) -> Options:
        return Options(consistency="ONE", tracing=False, timeout=self._timeout())

    def _timeout(self) -> float:
        return self._session.options.timeout_or(self._session.cluster.request_timeout)


def _shard(token: int, shard: int | None, found: Sharding | None) -> int | None:
    """The shard that a tablet tells, or that the node's arithmetic gives."""
    if shard is not None or found is None:
        return shard
    return shard_of(token, found.nr_shards, found.ignore_msb)


def _replica(node: Node, shard: int | None) -> Replica:
    return Replica(node.address, node.port, node.data_center, node.rack, node.host_id, shard)


def _of_row(number: int, error: Exception) -> Exception:
    text = f"row {number}: {error.args[0] if error.args else error}"
    if isinstance(error, KeyError):
        return errors.BindError(text)
    return (TypeError if isinstance(error, TypeError) else OverflowError if isinstance(error, OverflowError) else ValueError)(text)
