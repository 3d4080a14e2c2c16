#!/usr/bin/env python3
"""Us beside other clients and the bare C++ driver: client CPU, throughput and latency, in interleaved rounds.

All clients stay connected, each in a process of its own, and take turns at every kind of work; who begins changes from round to
round. Prints each figure as the median over the rounds, and the medians of the per-round ratios to acsylla (on the same event
loop) and to the bare driver, with quartiles. Without `--server` they talk to a server that does nothing, built when first
needed (a C++ compiler), so that the clients are what is measured.

With `--bulk` the work is whole tables: millions of rows in and out, from and to Arrow and Python, each measured in a new process, so
that its memory is its own; the server's CPU is noted, too.

Measures those of acsylla 1.2.0, scyllapy, cassandra-driver and uvloop that are installed beside us.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bulk
import programs
import report
from work import CONNECT, FIRST_QUERY, KEYSPACE, MIXED_ROWS, STATEMENTS, TABLE_ROWS, TABLES, WORK, scaled, values_of

import acsylla_like

HERE = Path(__file__).resolve().parent
CLIENTS = (
    "acsylla_like", "acsylla", "acsylla_like:uvloop", "acsylla:uvloop", "bare_driver:eventfd", "bare_driver:callback",
    "compat", "scyllapy", "cassandra_driver",
)  # fmt: skip
PACKAGES = {"cassandra_driver": "cassandra", "compat": "acsylla_like.compat"}
# So much less work for those that take so much longer.
SLOWNESS = {"scyllapy": 10, "cassandra_driver": 10}


class Worker:
    """A client's process. What connecting took is in `connected`."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name = name
        self.slowness = SLOWNESS.get(name.partition(":")[0], 1)
        self.process = subprocess.Popen(_command(name, settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.connected = self._answer()
        self.version = self.connected.pop("version")

    def run(self, order: dict[str, Any]) -> dict[str, float]:
        """Runs an order; tells seconds of CPU and wall per unit, units per second, latencies."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(scaled(order, 1 / self.slowness) if "count" in order else order) + "\n")
        self.process.stdin.flush()
        figures = self._answer()
        units = figures.pop("units")
        per_unit = {name: figures[name] / units for name in ("cpu", "wall", "server") if name in figures}
        return {**figures, **per_unit, "rate": units / figures["wall"]}

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with exit code {self.process.wait()}; see above")
        return dict(json.loads(line))

    def stop(self) -> None:
        self.process.communicate(timeout=30)  # the end of its input ends it


def _command(name: str, settings: dict[str, Any]) -> list[str]:
    kind, _, mode = name.partition(":")
    if kind == "bare_driver":
        library = acsylla_like.driver_info().path
        return [str(programs.build(kind)), mode, library, str(programs.libpython()), json.dumps(settings)]
    return [sys.executable, str(HERE / "worker.py"), name, json.dumps(settings)]


def chosen(names: list[str]) -> list[str]:
    """Those of the clients that can run here; says why the others cannot."""
    found = []
    for name in names:
        kind, _, mode = name.partition(":")
        lacking = [package for package in (PACKAGES.get(kind, kind), mode) if package and importlib.util.find_spec(package) is None]
        if kind == "bare_driver":
            try:
                programs.libpython()
                programs.build(kind)
            except (FileNotFoundError, subprocess.CalledProcessError) as error:
                print(f"without {name}: {error}", file=sys.stderr)
                continue
        elif lacking:
            print(f"without {name}: {' and '.join(lacking)} not installed", file=sys.stderr)
            continue
        found.append(name)
    return found


@contextlib.contextmanager
def server(given: str | None, address: str, bulk_rows: int) -> Iterator[tuple[str, int]]:
    """The server asked for: that at host:port, an embedded Cassandra, or the one that does nothing."""
    if given is None:
        with programs.NullServer(address, table_rows=TABLE_ROWS, bulk_rows=bulk_rows) as null_server:
            yield null_server.address, null_server.port
    elif given == "cassandra":
        from acsylla_like.testing import Cassandra

        print("starting a Cassandra …", file=sys.stderr)
        with Cassandra() as cassandra:
            yield str(cassandra.contact_points[0]), cassandra.port
    else:
        host, _, port = given.rpartition(":")
        yield host, int(port)


async def fill(host: str, port: int, bulk_rows: int) -> None:
    """Makes the tables on a real server, with the rows that the null server would make up; `bulk` stays empty without any."""
    async with acsylla_like.connect(host, port=port, request_timeout=60.0) as session:
        await session.execute(
            f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )
        for name, columns in TABLES.items():
            await session.execute(f"DROP TABLE IF EXISTS {KEYSPACE}.{name}")
            await session.execute(f"CREATE TABLE {KEYSPACE}.{name} ({columns})")
    async with acsylla_like.connect(host, port=port, keyspace=KEYSPACE, request_timeout=60.0) as session:
        if bulk_rows:
            await session.execute_many(STATEMENTS["bulk_insert"], bulk.tuples(bulk_rows), idempotent=True)
            return
        keys = iter(range(TABLE_ROWS))

        async def insert() -> None:
            for key in keys:
                await session.execute(STATEMENTS["insert"], values_of(key))

        await asyncio.gather(*[insert() for _ in range(256)])
        for number in range(MIXED_ROWS):
            _, name, big, ratio, flag = values_of(number)
            counts = dict.fromkeys(("first", "second", "third"), 1000 + number)
            await session.execute(
                "INSERT INTO mixed (part, number, big, name, ratio, flag, key, moment, data, items, counts)"
                f" VALUES (0, {1000 + number}, ?, ?, ?, ?, uuid(), currentTimestamp(), ?, ?, ?)",
                [big, name, ratio, flag, bytes([number]) * 32, [1000 * number + i for i in range(5)], counts],
            )


def measure(workers: dict[str, Worker], settings: dict[str, Any], work: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Every figure of every round: work → client → name of the figure → one number per round."""
    titles = [*work, CONNECT]
    found: dict[str, dict[str, dict[str, list[float]]]] = {title: {name: {} for name in workers} for title in titles}

    def note(title: str, name: str, figures: dict[str, float]) -> None:
        for key, value in figures.items():
            found[title][name].setdefault(key, []).append(value)

    for worker in workers.values():  # warms everyone up; counted by nobody
        for order in work.values():
            worker.run(scaled(order, 0.05))
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        shift = number * 3 % len(workers)
        turns = [*workers][shift:] + [*workers][:shift]
        turns = turns if number % 2 == 0 else turns[::-1]
        for title, order in work.items():
            for name in turns:
                note(title, name, workers[name].run(order))
        for name in turns:
            newcomer = Worker(name, settings)
            newcomer.stop()
            note(CONNECT, name, newcomer.connected)
    return found


def measure_bulk(settings: dict[str, Any], names: list[str], arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    """The same for bulk work, and the version of each client."""
    orders: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for name in names:
        for title, label, order in bulk.orders(name, arguments.rows, arguments.peer_rows):
            if order["work"] == "ingest":
                order["in_flight"] = arguments.window
            if arguments.work in title:
                orders.setdefault(title, []).append((name, label, order))
    found: dict[str, dict[str, dict[str, list[float]]]] = {
        title: {label: {} for _, label, _ in orders[title]} for title in bulk.WORK if title in orders
    }
    versions: dict[str, str] = {}
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        for title, by_client in found.items():
            turns = orders[title]
            shift = number * 3 % len(turns)
            turns = turns[shift:] + turns[:shift]
            for name, label, order in turns if number % 2 == 0 else turns[::-1]:
                worker = Worker(name, settings)
                versions[label] = worker.version
                try:
                    if order["work"] == "ingest":  # warms it up
                        worker.run({**order, "rows": min(order["rows"], 20_000)})
                    for key, value in worker.run(order).items():
                        by_client[label].setdefault(key, []).append(value)
                finally:
                    worker.stop()
    return found, versions


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": model, "cores": cores, "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--server", metavar="HOST:PORT", help="measure against this server, or `cassandra` for an embedded one")
    parser.add_argument("--address", default="127.0.0.1", help="where the server that does nothing listens (default: 127.0.0.1)")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="which, after commas (default: %(default)s)")
    parser.add_argument("--work", default="", help="only the kinds of work whose title contains this")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual count of requests")
    parser.add_argument("--json", type=Path, help="also write every figure of every round to this file")
    parser.add_argument("--bulk", action="store_true", help="whole tables instead of requests")
    parser.add_argument("--rows", type=int, default=bulk.ROWS, help="with --bulk: of us and the bare driver (default: %(default)s)")
    parser.add_argument("--peer-rows", type=int, default=bulk.PEER_ROWS, help="with --bulk: of the others (default: %(default)s)")
    parser.add_argument("--window", type=int, default=bulk.WINDOW, help="with --bulk: requests in flight that write (default: %(default)s)")
    arguments = parser.parse_args()
    bulk_rows = arguments.rows if arguments.bulk else 0
    work = {title: scaled(order, arguments.scale) for title, order in WORK.items() if arguments.work in title}
    names = chosen(arguments.clients.split(","))
    with server(arguments.server, arguments.address, bulk_rows) as (host, port), contextlib.ExitStack() as ends:
        if arguments.server is not None:
            asyncio.run(fill(host, port, bulk_rows))
        settings = {"host": host, "port": port, "keyspace": KEYSPACE, "first_query": FIRST_QUERY, **STATEMENTS}
        settings["server_pid"] = programs.pid_of_listener(host, port) or 0
        if arguments.bulk:
            found, versions = measure_bulk(settings, names, arguments)
        else:
            workers = {}
            for name in names:
                workers[name] = Worker(name, settings)
                ends.callback(workers[name].stop)
            versions = {name: worker.version for name, worker in workers.items()}
            found = measure(workers, settings, work, arguments.rounds)
        measured = {
            "machine": machine(),
            "server": "a server that does nothing" if arguments.server is None else "a real server",
            "driver": acsylla_like.driver_info().version,
            "clients": versions,
            "rounds": arguments.rounds,
            **({"rows": arguments.rows, "peer_rows": arguments.peer_rows, "window": arguments.window} if arguments.bulk else {}),
            "work": found,
        }
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(report.text(measured))


if __name__ == "__main__":
    main()
