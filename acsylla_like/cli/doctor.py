"""`doctor`: what is wrong between here and the cluster, a line for each thing that was looked at."""

from __future__ import annotations

import argparse
import asyncio
import enum
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import acsylla_like
from acsylla_like._native import Options
from acsylla_like.cli.options import Exit, Problem, connected
from acsylla_like.shard_report import connections_by_shard

__all__ = ["run"]

# Seconds that a node may take to answer a question of the doctor's.
_PATIENCE = 5.0


class _State(enum.Enum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class _Finding:
    state: _State
    what: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.state.value:<4}  {self.what}: {self.text}{advice}"


async def run(options: argparse.Namespace) -> int:
    """Returns the exit code: DONE without a fault, warnings or not."""
    failed = False

    def show(finding: _Finding) -> None:
        nonlocal failed
        failed |= finding.state is _State.FAIL
        print(finding, flush=True)

    try:
        show(_library())
    except acsylla_like.DriverLoadError as error:
        show(_Finding(_State.FAIL, "driver library", f"{error}", "set ACSYLLA_LIKE_DRIVER, or install a wheel that has one"))
        return Exit.FAILED
    try:
        async with connected(options) as session:
            show(_Finding(_State.OK, "connection", f"{options.contact_points}, port {options.port}"))
            async for finding in _cluster(session, options):
                show(finding)
    except Problem as problem:
        if problem.code is not Exit.UNREACHABLE:
            raise
        show(_Finding(_State.FAIL, "connection", f"{problem}", "is the address right, the server up, the port open, the login right?"))
        return Exit.UNREACHABLE
    return Exit.FAILED if failed else Exit.DONE


def _library() -> _Finding:
    info = acsylla_like.driver_info()
    lacking = [name for name, is_there in info.features.items() if not is_there]
    text = f"{info.version}, {info.path}"
    if lacking:
        return _Finding(_State.WARN, "driver library", text, f"it lacks {', '.join(lacking)}: what needs these raises an error")
    return _Finding(_State.OK, "driver library", text)


@dataclass(frozen=True)
class _Node:
    address: str
    data_center: str
    version: str
    schema: str
    tokens: int


async def _nodes(session: acsylla_like.Session) -> list[_Node]:
    """All that the node that answers knows of; itself first."""
    local = await session.execute("SELECT * FROM system.local", timeout=_PATIENCE)
    options: dict[str, Any] = {"timeout": _PATIENCE}
    coordinator = local.coordinator
    if coordinator is not None and acsylla_like.driver_info().features.get("cass_statement_set_host_n"):
        options["host"] = coordinator  # a node's peers are all but itself
    peers = await session.execute("SELECT * FROM system.peers", **options)
    nodes = []
    for row in [*local, *peers]:
        found = row.as_dict()
        address = found.get("rpc_address") or found.get("broadcast_address") or found.get("peer")
        nodes.append(
            _Node(
                str(address),
                str(found.get("data_center")),
                str(found.get("release_version")),
                str(found.get("schema_version")),
                len(found.get("tokens") or ()),
            )
        )
    return nodes


async def _cluster(session: acsylla_like.Session, options: argparse.Namespace) -> AsyncGenerator[_Finding, None]:
    nodes = await _nodes(session)
    yield _versions(nodes)
    yield _data_centers(nodes, options.local_dc)
    yield await _shards(session)
    if options.table is not None:
        yield await _routing(session, options.table, options.traces)
    async for finding in _answers(session, nodes, options.port, options.max_skew):
        yield finding
    yield _tls(session.cluster.tls)
    yield _schema(nodes)


def _versions(nodes: list[_Node]) -> _Finding:
    versions = sorted({node.version for node in nodes})
    if len(versions) > 1:
        return _Finding(_State.WARN, "server version", ", ".join(versions), "finish the upgrade: no schema changes or repairs until then")
    return _Finding(_State.OK, "server version", f"{versions[0]} on {len(nodes)} node{'' if len(nodes) == 1 else 's'}")


def _data_centers(nodes: list[_Node], local_dc: str | None) -> _Finding:
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.data_center] = counts.get(node.data_center, 0) + 1
    text = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
    if local_dc is not None and local_dc not in counts:
        return _Finding(_State.FAIL, "data centres", text, f"there is no {local_dc}: mend --local-dc")
    if len(counts) > 1 and local_dc is None:
        return _Finding(_State.WARN, "data centres", text, "name the nearest as local_dc, or requests go to all of them")
    return _Finding(_State.OK, "data centres", text)


async def _shards(session: acsylla_like.Session) -> _Finding:
    found = {node.address: sharding for node, sharding in (await session._routing().shardings()).items() if sharding is not None}
    if not found:
        return _Finding(_State.OK, "shards", "this is no ScyllaDB: requests go to the node that owns their key")
    text = ", ".join(f"{sharding.nr_shards} on {address}" for address, sharding in sorted(found.items()))
    deadline = time.monotonic() + _PATIENCE
    while True:
        connections = await connections_by_shard(session, Options(timeout=_PATIENCE, consistency="ONE"))
        if connections is None:
            return _Finding(_State.OK, "shards", f"{text}; the server does not list connections by shard")
        bare = {
            address: [shard for shard in range(sharding.nr_shards) if not connections[address].get(shard)]
            for address, sharding in sorted(found.items())
            if address in connections
        }
        if not any(bare.values()):
            counts = [count for address in bare for count in connections[address].values()]
            return _Finding(_State.OK, "shards", f"{text}; {min(counts, default=0)} to {max(counts, default=0)} connections to each")
        if time.monotonic() > deadline:
            lacking = "; ".join(f"{address} none to {', '.join(map(str, shards))}" for address, shards in bare.items() if shards)
            return _Finding(
                _State.WARN, "shards", f"{text}; connections: {lacking}", "with ScyllaDB's driver each has one: unset ACSYLLA_LIKE_DRIVER"
            )
        await asyncio.sleep(0.1)  # connections are still being opened


async def _routing(session: acsylla_like.Session, table: str, n: int) -> _Finding:
    """Whether reads find the shard that owns their key."""
    try:
        report = await session.shard_report(table, n)
    except ValueError as error:
        return _Finding(_State.FAIL, "routing", str(error), "name another table with --table")
    if report.to_replica is None:
        return _Finding(_State.WARN, "routing", f"which nodes own the keys of {report.table} is not known")
    if report.share is None:
        text = f"{report.to_replica} of {report.reads} traced reads came to a node that owns their key, no trace tells a shard"
        return _Finding(_State.OK if report.to_replica == report.reads else _State.WARN, "routing", text)
    text = f"{report.to_shard} of {report.reads} traced reads came to the shard that owns their key"
    if report.unknown:
        text += f", of {report.unknown} the trace does not tell"
    if report.share < 1:
        advice = "is there a connection to each shard, and has no node changed its shards since?"
        return _Finding(_State.WARN, "routing", text, advice)
    return _Finding(_State.OK, "routing", text)


async def _answers(session: acsylla_like.Session, nodes: list[_Node], port: int, max_skew: float) -> AsyncGenerator[_Finding, None]:
    """Which nodes answer, and how far their clocks are from the one here."""
    can_choose = acsylla_like.driver_info().features.get("cass_statement_set_host_n")
    skews = []
    silent = []
    for node in nodes:
        chosen: dict[str, Any] = {"host": (node.address, port)} if can_choose else {}
        before, started = time.time(), time.monotonic()
        try:
            row = (await session.execute("SELECT toTimestamp(now()) AS now FROM system.local", timeout=_PATIENCE, **chosen)).single()
        except acsylla_like.Error as error:
            silent.append(f"{node.address} ({str(error).partition(' [')[0]})")
            continue
        spent = time.monotonic() - started
        # Anywhere between sending and receiving the server may have looked at its clock.
        away = row.now.timestamp() - (before + spent / 2)
        skews.append((max(0.0, abs(away) - spent / 2), node.address, away))
        if not can_choose:
            break
    if silent:
        yield _Finding(_State.FAIL, "nodes", f"no answer from {', '.join(silent)}", "are they up, and is their port open from here?")
    else:
        yield _Finding(_State.OK, "nodes", f"{len(skews)} of {len(nodes)} asked, each has answered")
    if skews:
        skew, address, away = max(skews)
        text = f"at most {skew:.3f} s away from the one here ({address})"
        if skew > max_skew:
            text = f"{address} is {abs(away):.1f} s {'ahead' if away > 0 else 'behind'}"
            yield _Finding(_State.FAIL, "clocks", text, "the last write wins by its timestamp: run NTP or chrony on all machines")
        else:
            yield _Finding(_State.OK, "clocks", text)


def _tls(tls: acsylla_like.Tls | None) -> _Finding:
    has = f"the driver has {acsylla_like.driver_info().tls}"
    if tls is None:
        advice = "do not use it across a network that others can listen to"
        return _Finding(_State.WARN, "TLS", f"this connection is not encrypted ({has})", advice)
    if tls.verify == "none":
        return _Finding(_State.WARN, "TLS", f"encrypted, with nobody knows whom ({has})", "check the server: --verify address, or name")
    if tls.verify == "certificate":
        advice = "check that it is this server's: --verify address, or name"
        return _Finding(_State.WARN, "TLS", f"encrypted, with any server that the authorities have signed ({has})", advice)
    return _Finding(_State.OK, "TLS", f"encrypted, with a server whose certificate and {tls.verify} were checked ({has})")


def _schema(nodes: list[_Node]) -> _Finding:
    versions = {node.schema for node in nodes}
    if len(versions) > 1:
        text = "; ".join(f"{version} on {', '.join(node.address for node in nodes if node.schema == version)}" for version in versions)
        return _Finding(_State.FAIL, "schema", text, "wait a minute; if it stays, look at the logs of the smaller group and restart it")
    return _Finding(_State.OK, "schema", f"agreed on by {len(nodes)} node{'' if len(nodes) == 1 else 's'}")
