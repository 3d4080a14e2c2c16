#!/usr/bin/env python3
"""How many requests reach the shard that owns their key: us, acsylla, scyllapy and scylla-driver on the same façade of ScyllaDB.

    python scripts/bench/shards.py [--requests 20000] [--rounds 3] [--json shards.json] [--picture docs/figures/shards]

Three nodes of 4, 7 and 16 shards are played in front of one Cassandra. Each client inserts with a prepared statement, in a process of its
own, once it has had 3 s to connect; what it reached is counted by the façade. "node back": the node of 7 shards was away for 2 s and has
been back with 12 for 10 s. Clients that are not installed are left out; scylla-driver
is imported as `cassandra`: give `--scylla-driver PYTHON`, an interpreter of an environment of its own, or install it instead of
cassandra-driver.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

SHARDS = (4, 7, 16)
CONNECTING = 3.0  # seconds
_RESTART = 2.0
_NOTICING = 10.0
INSERT = "INSERT INTO shards.t (id, v) VALUES (?, ?)"


async def _send(count: int, insert: Callable[[int], Awaitable[object]]) -> None:
    async def work(first: int) -> None:
        for i in range(first, count, 64):
            await insert(i * 7919)

    await asyncio.gather(*(work(i) for i in range(64)))


async def _ours(hosts: list[str], port: int, count: int, **options: Any) -> None:
    import acsylla_like

    async with acsylla_like.connect(hosts, port=port, **options) as session:
        prepared = await session.create_prepared(INSERT)
        await asyncio.sleep(CONNECTING)
        print("ready", flush=True)
        sys.stdin.readline()
        await _send(count, lambda i: session.execute(prepared, [i, "x"]))


async def acsylla_like(hosts: list[str], port: int, count: int) -> None:
    await _ours(hosts, port, count)


async def acsylla_like_port(hosts: list[str], port: int, count: int) -> None:
    await _ours(hosts, port, count, shard_aware_port=True)


async def acsylla(hosts: list[str], port: int, count: int) -> None:
    import acsylla

    session = await acsylla.create_cluster(hosts, port=port).create_session()
    prepared = await session.create_prepared(INSERT)
    await asyncio.sleep(CONNECTING)
    print("ready", flush=True)
    sys.stdin.readline()

    async def insert(i: int) -> None:
        statement = prepared.bind()
        statement.bind_list([i, "x"])
        await session.execute(statement)

    await _send(count, insert)
    await session.close()


async def scyllapy(hosts: list[str], port: int, count: int) -> None:
    import scyllapy

    scylla = scyllapy.Scylla([f"{host}:{port}" for host in hosts])
    await scylla.startup()
    prepared = await scylla.prepare(INSERT)
    await asyncio.sleep(CONNECTING)
    print("ready", flush=True)
    sys.stdin.readline()
    await _send(count, lambda i: scylla.execute(prepared, [scyllapy.extra_types.BigInt(i), "x"]))
    await scylla.shutdown()


async def scylla_driver(hosts: list[str], port: int, count: int) -> None:
    from cassandra.cluster import Cluster

    cluster = Cluster(hosts, port=port, protocol_version=4)
    session = cluster.connect()
    prepared = session.prepare(INSERT)
    await asyncio.sleep(CONNECTING)
    print("ready", flush=True)
    sys.stdin.readline()
    loop = asyncio.get_running_loop()

    def insert(i: int) -> Awaitable[None]:
        done = loop.create_future()
        answer = session.execute_async(prepared, (i, "x"))
        answer.add_callbacks(
            lambda _: loop.call_soon_threadsafe(done.set_result, None), lambda error: loop.call_soon_threadsafe(done.set_exception, error)
        )
        return done

    await _send(count, insert)
    cluster.shutdown()


CLIENTS = {
    "acsylla_like": acsylla_like,
    "acsylla_like, shard-aware port": acsylla_like_port,
    "acsylla": acsylla,
    "scyllapy": scyllapy,
    "scylla-driver": scylla_driver,
}


def measure(name: str, python: str, facade: Any, count: int, prepare: Callable[[], object]) -> tuple[float, float] | str:
    """The shares that reached node and shard once `prepare` was called between connecting and sending; why there are none otherwise."""
    command = [python, __file__, "--client", name, ",".join(facade.contact_points), str(facade.port), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.readline() != "ready\n":
        return process.stderr.read().strip().rpartition("\n")[2] or "it ended"
    prepare()
    facade.clear()
    try:
        _, errors = process.communicate("go\n", timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "it hung"
    if process.returncode:
        last = errors.strip().rpartition("\n")[2]
        return f"it ended with {process.returncode}: {last}"
    found = facade.hits()
    return (found.node / count, found.shard / count)


def _restart(node: Any) -> None:
    """Has it come back with other shards, and gives clients time to notice."""
    node.stop()
    time.sleep(_RESTART)
    node.start(nr_shards=12)
    time.sleep(_NOTICING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scylla-driver", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="the name of a PNG and an SVG, without ending")
    given = parser.parse_args()
    if given.client:
        name, hosts, port, count = given.client
        asyncio.run(CLIENTS[name](hosts.split(","), int(port), int(count)))
        return

    from acsylla_like.testing import Cassandra, ScyllaFacade

    shares: dict[str, dict[str, list[float]]] = {}
    with Cassandra() as server:
        asyncio.run(_create_table(server))
        for situation in ("normal", "NAT", "port closed", "node back"):
            for _ in range(given.rounds):
                for name in CLIENTS:
                    with ScyllaFacade(server, SHARDS) as facade:
                        facade.nat = situation == "NAT"
                        if situation == "port closed":
                            facade.set_shard_aware_port("closed")
                        python = given.scylla_driver if name == "scylla-driver" else sys.executable
                        prepare = functools.partial(_restart, facade.nodes[1]) if situation == "node back" else (lambda: None)
                        found = measure(name, python, facade, given.requests, prepare)
                    if isinstance(found, str):
                        print(f"{situation:12} {name:32} no figure: {found}", flush=True)
                        continue
                    shares.setdefault(situation, {}).setdefault(name, []).append(found[1])
                    print(f"{situation:12} {name:32} node {found[0]:8.3%}  shard {found[1]:8.3%}", flush=True)
    print()
    for situation, by_client in shares.items():
        for name, values in by_client.items():
            print(f"{situation:12} {name:32} {statistics.median(values):8.3%} ({min(values):.3%} to {max(values):.3%})")
    if given.json:
        given.json.write_text(json.dumps({"requests": given.requests, "shards": SHARDS, "shares": shares, "at": time.time()}, indent=1))
    if given.picture:
        draw(shares, given.picture)


async def _create_table(server: Any) -> None:
    import acsylla_like

    async with acsylla_like.connect(server.contact_points, port=server.port) as session:
        await session.execute(
            "CREATE KEYSPACE IF NOT EXISTS shards WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
        await session.execute("CREATE TABLE IF NOT EXISTS shards.t (id bigint PRIMARY KEY, v text)")


def draw(shares: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Bars by client, one panel for each situation; whiskers from the lowest to the highest round."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(name for by_client in shares.values() for name in by_client))
    picture, axes = plt.subplots(2, 2, figsize=(10, 5.2), sharey=True, squeeze=False)
    for place, (situation, by_client) in zip(axes.flat, shares.items(), strict=True):
        percents = [[share * 100 for share in by_client.get(name, [0.0])] for name in names]
        medians = [statistics.median(values) for values in percents]
        reach = [
            [median - min(values) for values, median in zip(percents, medians, strict=True)],
            [max(values) - median for values, median in zip(percents, medians, strict=True)],
        ]
        place.barh(names, medians, xerr=reach, color=["#0b6e4f" if name.startswith("acsylla_like") else "#6c8ead" for name in names])
        place.set_title(situation, fontsize=10)
        place.set_xlabel("requests that reach the owning shard, %", fontsize=8)
        place.set_xlim(0, 112)
        for row, value in enumerate(medians):
            failed = "ends" if situation == "node back" else "does not connect"
            text = f"{value:.1f}" if names[row] in by_client else failed
            place.text(value + 1, row, text, va="center", fontsize=8)
        place.invert_yaxis()
    picture.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    for ending in (".png", ".svg"):
        picture.savefig(path.with_suffix(ending), dpi=130)


if __name__ == "__main__":
    main()
