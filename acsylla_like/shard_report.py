"""Whether requests come to the shard that owns their key, as the servers saw it: traces of reads, and the list of clients."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from acsylla_like import _native, errors
from acsylla_like._native import Options
from acsylla_like.key_markers import partition_key
from acsylla_like.select_star import quoted
from acsylla_like.table_scan import table_name

if TYPE_CHECKING:
    from acsylla_like._native import PreparedStatement, Result
    from acsylla_like.routing import Route
    from acsylla_like.session import Session

__all__ = ["ShardReport", "connections_by_shard", "shard_report"]

_CONCURRENCY = 16
# ScyllaDB writes traces every two seconds.
_TRACES_COME = 10.0
_PAUSE = 0.1

_SHARD = re.compile(r"shard (\d+)")


@dataclass(frozen=True)
class ShardReport:
    """Where traced reads of a table arrived. What the server or the driver library cannot tell is None.

    Attributes:
        table: with its keyspace.
        reads: how many reads were traced.
        to_replica: how many came to a node that holds the key; None where no key's nodes are known.
        to_shard: how many came to the very shard that owns the key there; None where no trace tells a shard, as on Cassandra.
        unknown: of the reads, those whose trace, key or shard is not known.
        arrivals: of each node's address, how many reads came to each shard; None stands for a shard that is not known.
        connections: of each node's address, how many connections each shard serves, those of all clients; None where the server
            does not list them by shard, or the library cannot choose the node that is asked.
    """

    table: str
    reads: int
    to_replica: int | None
    to_shard: int | None
    unknown: int
    arrivals: Mapping[str, Mapping[int | None, int]]
    connections: Mapping[str, Mapping[int, int]] | None

    @property
    def share(self) -> float | None:
        """Of the reads whose shard is known, the share that came to the shard that owns the key: 0 to 1, None without any."""
        known = self.reads - self.unknown
        return None if self.to_shard is None or known == 0 else self.to_shard / known


@dataclass(frozen=True)
class _Arrival:
    """One read: where it belonged, the node that coordinated it and the shard that took it."""

    route: Route
    node: str | None
    shard: int | None

    @property
    def owners(self) -> dict[str, int | None]:
        return {replica.address: replica.shard for replica in self.route.replicas or ()}

    @property
    def is_on_replica(self) -> bool | None:
        return None if self.node is None or self.route.replicas is None else self.node in self.owners

    @property
    def is_on_shard(self) -> bool | None:
        if not self.is_on_replica:
            # On another node no shard is the right one, but whether shards are known at all the owners tell.
            known = self.is_on_replica is not None and self.shard is not None and None not in self.owners.values()
            return False if known else None
        owner = None if self.node is None else self.owners[self.node]
        return None if self.shard is None or owner is None else self.shard == owner


async def shard_report(session: Session, table: str, n: int) -> ShardReport:
    """See `Session.shard_report`."""
    if type(n) is not int or not 1 <= n <= 100_000:
        raise ValueError(f"n must be an int of 1 to 100000, not {n!r}")
    keyspace, name = table_name(table, session.keyspace)
    options = Options(consistency="ONE", tracing=False, timeout=session.options.timeout_or(session.cluster.request_timeout))
    key = await partition_key(session, keyspace, name, options)
    if not key:
        raise ValueError(f"there is no table {keyspace}.{name}")
    source = f"FROM {quoted(keyspace)}.{quoted(name)}"
    names = ", ".join(map(quoted, key))
    keys = await _some_keys(session, source, names, n, options)
    if not keys:
        raise ValueError(f"{keyspace}.{name} has no rows: without keys nothing can be traced")
    where = " AND ".join(f"{quoted(column)} = ?" for column in key)
    read = await session.create_prepared(f"SELECT {quoted(key[0])} {source} WHERE {where} LIMIT 1")
    limit = asyncio.Semaphore(_CONCURRENCY)

    async def traced(values: Sequence[Any]) -> _Arrival:
        async with limit:
            return await _traced(session, read, values, options)

    arrivals = await asyncio.gather(*(traced(keys[i % len(keys)]) for i in range(n)))
    return _report(f"{keyspace}.{name}", arrivals, await connections_by_shard(session, options))


def _report(table: str, arrivals: Sequence[_Arrival], connections: Mapping[str, Mapping[int, int]] | None) -> ShardReport:
    on_replica = [arrival.is_on_replica for arrival in arrivals if arrival.is_on_replica is not None]
    on_shard = [arrival.is_on_shard for arrival in arrivals if arrival.is_on_shard is not None]
    counts: dict[str, Counter[int | None]] = {}
    for arrival in arrivals:
        if arrival.node is not None:
            counts.setdefault(arrival.node, Counter())[arrival.shard] += 1
    return ShardReport(
        table,
        reads=len(arrivals),
        to_replica=sum(on_replica) if on_replica else None,
        to_shard=sum(on_shard) if on_shard else None,
        unknown=len(arrivals) - len(on_shard),
        arrivals={node: dict(count) for node, count in counts.items()},
        connections=connections,
    )


async def _some_keys(session: Session, source: str, names: str, n: int, options: Options) -> list[tuple[Any, ...]]:
    """Keys of the table from all over the ring: the first one behind each of `n` random tokens."""
    behind = await session.create_prepared(f"SELECT DISTINCT {names} {source} WHERE token({names}) > ? LIMIT 1")
    limit = asyncio.Semaphore(_CONCURRENCY)

    async def first_behind(token: int) -> tuple[Any, ...] | None:
        async with limit:
            row = (await session._ask(behind, (token,), options)).first()
            return None if row is None else row.as_tuple()

    found = await asyncio.gather(*(first_behind(random.randrange(-(2**63), 2**63)) for _ in range(n)))
    keys = [key for key in found if key is not None]
    if not keys:  # a small table may have all its keys at the start of the ring
        first = await first_behind(-(2**63))
        keys = [] if first is None else [first]
    return keys


async def _traced(session: Session, read: PreparedStatement, values: Sequence[Any], options: Options) -> _Arrival:
    route = await session.explain(read, values)
    result = await session._ask(read, values, options.with_changes(tracing=True))
    node = None if result.coordinator is None else result.coordinator.address
    return _Arrival(route, node, await _shard_of(session, result, options))


async def _shard_of(session: Session, result: Result, options: Options) -> int | None:
    """The shard that took a traced request; None where the trace does not tell one or does not come."""
    if result.tracing_id is None:
        return None
    deadline = time.monotonic() + _TRACES_COME
    whole = "SELECT coordinator, duration FROM system_traces.sessions WHERE session_id = ?"
    while True:
        # The shard that took the request writes its own events before this row; those of other shards come when they come.
        found = (await session._ask(await _prepared(session, whole), (result.tracing_id,), options)).first()
        if found is not None and found.duration is not None:
            break
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(_PAUSE)
    query = "SELECT event_id, source, thread FROM system_traces.events WHERE session_id = ?"
    events = (await session._ask(await _prepared(session, query), (result.tracing_id,), options)).all()
    # In the order of time. Clocks of other nodes may be behind, so the coordinator's own go before, where it is called the same.
    own = [event for event in events if event.source == found.coordinator] or events
    match = _SHARD.fullmatch(own[0].thread or "") if own else None
    return None if match is None else int(match[1])


async def _prepared(session: Session, query: str) -> PreparedStatement:
    return await session._prepared_for(query, session.cluster.request_timeout)


async def connections_by_shard(session: Session, options: Options) -> dict[str, dict[int, int]] | None:
    """See `ShardReport.connections`; each node has a list of its own."""
    if not _native.library_functions()["cass_statement_set_host_n"]:
        return None
    found = {}
    for node in await session._routing().nodes():
        here = options.with_changes(host=(node.address, node.port))
        try:
            rows = await session._ask("SELECT shard_id, client_type FROM system.clients", None, here)
        except (errors.InvalidQuery, errors.Unauthorized):
            continue  # Cassandra has another table
        except (errors.NoHostsAvailable, errors.ConnectionLost, errors.RequestTimeout):
            continue  # it is down, or in another data centre
        shards = [row.shard_id for row in rows if row.client_type == "cql" and row.shard_id is not None]
        found[node.address] = dict(sorted(Counter(shards).items()))
    return found or None
