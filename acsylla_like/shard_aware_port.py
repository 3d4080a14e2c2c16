"""The shard-aware port of ScyllaDB: which local ports a session's connections may come from, and whether they reach their shards."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acsylla_like import sharding
from acsylla_like.local_ports import LocalPorts, Window, ports_for, system_range
from acsylla_like.sharding import Sharding

if TYPE_CHECKING:
    import ssl

    from acsylla_like.cluster import Cluster

__all__ = ["PortPlan", "plan", "release"]

logger = logging.getLogger("acsylla_like.shards")

_ASK_TIMEOUT = 2.0  # seconds
_PROOFS = 3  # connections that must reach the shard of their port
_SHORTEST_DELAY = 1.0  # seconds between attempts to reconnect, for ports to be counted in time
# How often each connection can be attempted with the ports of a window: the most often for which there are so many in a row, and for
# which they are not too many, since other sessions of the machine need some, too.
_TRIES = (8, 5, 3)
_MANY = 256  # ports


@dataclass(frozen=True)
class PortPlan:
    """What a session's connections can do.

    Attributes:
        window: the local ports to choose from, reserved until they are released; None for basic mode.
        tries: how often each connection can be attempted with them.
        reasons: by address of a node with shards, why that is so.
    """

    window: Window | None
    tries: int
    reasons: Mapping[str, str]


async def plan(cluster: Cluster, sharded: Mapping[str, Sharding], unreachable: Collection[str]) -> PortPlan:
    """Looks which ports are free for connections to these nodes, and proves that they reach the shards of those not `unreachable`."""

    def basic(reason: str) -> PortPlan:
        return PortPlan(None, 0, dict.fromkeys(sharded, reason))

    ranges = cluster.local_ports
    if ranges is None:
        return basic("the shard-aware port is not asked for")
    if cluster.reconnect_delays[0] < _SHORTEST_DELAY:
        return basic(f"a reconnection delay below {_SHORTEST_DELAY:g} s would soon use the local ports up")
    ports = {address: _port_of(cluster, found) for address, found in sharded.items()}
    without = [address for address, port in ports.items() if port is None]
    if without or not sharded:
        return basic(f"{', '.join(without)} announces no shard-aware port")
    if not ranges:
        lowest, above = system_range()
        return basic(f"the system takes its own local ports from everywhere ({lowest} to {above - 1}), so name others as shard_aware_port")
    window, tries = _reserve(cluster, ranges, list(sharded.values()))
    if window is None:
        return basic(f"too few local ports are free in {', '.join(f'{first} to {end - 1}' for first, end in ranges)}")
    reachable = {address: found for address, found in sharded.items() if address not in unreachable}
    try:
        nodes = enumerate(reachable.items())
        proofs = (_prove(address, ports[address], found, window, i, cluster.tls_context) for i, (address, found) in nodes)
        found_wrong = await asyncio.gather(*proofs)
    except asyncio.CancelledError:
        release(window)
        raise
    problems = dict(zip(reachable, found_wrong, strict=True))
    if not any(problems.values()):
        logger.debug("source ports %d to %d are reserved", window.first, window.end - 1)
        return PortPlan(window, tries, {address: f"source ports choose the shard on port {port}" for address, port in ports.items()})
    release(window)
    first = next(f"{address}: {problem}" for address, problem in problems.items() if problem)
    return PortPlan(None, 0, {address: problems.get(address) or first for address in sharded})


def release(window: Window) -> None:
    """Gives the ports of a plan back."""
    _ports.release(window)


def _reserve(cluster: Cluster, ranges: Sequence[tuple[int, int]], nodes: Sequence[Sharding]) -> tuple[Window | None, int]:
    counts = [node.nr_shards for node in nodes]
    connections = [math.ceil(cluster.core_connections / count) * cluster.num_threads_io for count in counts]
    half = sum(end - first for first, end in ranges) // 2  # the next driver session needs ports while this one has its own
    for tries in _TRIES:
        count = ports_for(counts, connections, tries)
        most = half if tries == _TRIES[-1] else min(half, _MANY)
        window = _ports.reserve(ranges, count) if count <= most else None
        if window is not None:
            return window, tries
    return None, 0


def _port_of(cluster: Cluster, found: Sharding) -> int | None:
    return found.shard_aware_port if cluster.tls is None else found.shard_aware_port_ssl


async def _prove(
    address: str, port: int | None, found: Sharding, window: Window, number: int, context: ssl.SSLContext | None
) -> str | None:
    """Connects to the shard-aware port from ports of the window's end; what is wrong, None when each reached its port's shard."""
    assert port is not None
    for i in range(_PROOFS):
        local = window.end - 1 - (number * _PROOFS + i) % (window.end - window.first)
        try:
            answer = await sharding.ask(address, port, timeout=_ASK_TIMEOUT, ssl_context=context, local_port=local)
        except (OSError, ValueError) as error:
            return f"its shard-aware port {port} cannot be used: {error}"
        if answer is None or answer.nr_shards != found.nr_shards:
            return f"its shard-aware port {port} is another server's"
        if answer.shard != local % found.nr_shards:
            logger.debug("%s: port %d reached shard %d of %d", address, local, answer.shard, found.nr_shards)
            return "source ports do not arrive: a NAT is between"
    return None


_ports = LocalPorts()


def _forget_parent() -> None:
    global _ports
    _ports = LocalPorts()


os.register_at_fork(after_in_child=_forget_parent)
