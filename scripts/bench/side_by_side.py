#!/usr/bin/env python3
"""Us beside acsylla against a real Cassandra: client CPU and wall time, in interleaved rounds with turning order.

Prints, for each kind of work, the medians and the median of the per-round ratios with its spread (the quartiles). Needs
acsylla 1.2.0 beside us in the environment: pip install acsylla==1.2.0. `--server host:port` uses a server that is there;
otherwise an embedded one is started.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import acsylla_like
from acsylla_like.testing import Cassandra

HERE = Path(__file__).resolve().parent
CLIENTS = ("acsylla_like", "acsylla")
KEYSPACE = "acsylla_like_bench"
TABLE_ROWS = 20_000

INSERT = "INSERT INTO rows (id, name, big, ratio, flag) VALUES (?, ?, ?, ?, ?)"
SELECT = "SELECT id, name, big, ratio, flag FROM rows WHERE id = ?"
SCAN = "SELECT id, name, big, ratio, flag FROM rows"

WORK: dict[str, dict[str, Any]] = {
    "insert, 1 in flight": {"work": "insert", "count": 2_000, "in_flight": 1},
    "insert, 32 in flight": {"work": "insert", "count": 20_000, "in_flight": 32},
    "insert, 256 in flight": {"work": "insert", "count": 20_000, "in_flight": 256},
    "insert, 1,024 in flight": {"work": "insert", "count": 20_000, "in_flight": 1024},
    "select one row, 32 in flight": {"work": "select", "count": 20_000, "in_flight": 32, "rows": TABLE_ROWS},
    "select one row, 1,024 in flight": {"work": "select", "count": 20_000, "in_flight": 1024, "rows": TABLE_ROWS},
    "read paged by 5,000, per row": {"work": "scan", "count": 5, "page_size": 5000, "rows": TABLE_ROWS},
}


class Worker:
    """A client's process."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), name, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self._answer()["version"]

    def run(self, order: dict[str, Any]) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a client ended with exit code {self.process.wait()}; see above")
        return dict(json.loads(line))

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


@contextlib.contextmanager
def server(given: str | None) -> Iterator[tuple[str, int]]:
    """The server given, or an embedded one."""
    if given is not None:
        host, _, port = given.rpartition(":")
        yield host, int(port)
        return
    print("starting a Cassandra …", file=sys.stderr)
    with Cassandra() as cassandra:
        yield str(cassandra.contact_points[0]), cassandra.port


async def prepare_table(host: str, port: int) -> None:
    async with acsylla_like.connect(host, port=port, request_timeout=60.0) as session:
        await session.execute(
            f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )
        await session.execute(f"DROP TABLE IF EXISTS {KEYSPACE}.rows")
        await session.execute(f"CREATE TABLE {KEYSPACE}.rows (id int PRIMARY KEY, name text, big bigint, ratio double, flag boolean)")


def measure(workers: dict[str, Worker], rounds: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    # Fills the table and warms everyone up; counted by nobody.
    for worker in workers.values():
        worker.run({"work": "insert", "count": TABLE_ROWS, "in_flight": 256})
    found: dict[str, dict[str, list[dict[str, float]]]] = {title: {name: [] for name in workers} for title in WORK}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        names = list(workers) if number % 2 == 0 else list(workers)[::-1]
        for title, order in WORK.items():
            units = order["count"] * (order["rows"] if order["work"] == "scan" else 1)
            for name in names:
                times = workers[name].run(order)
                found[title][name].append({key: 1e6 * value / units for key, value in times.items()})
    return found


def report(found: dict[str, dict[str, list[dict[str, float]]]]) -> dict[str, dict[str, float]]:
    summary = {}
    print(f"{'client CPU, µs each':<34}{'acsylla_like':>13}{'acsylla':>9}   {'ratio':>5}  (quartiles)   {'wall ratio':>10}")
    for title, by_client in found.items():
        ours, theirs = by_client["acsylla_like"], by_client["acsylla"]
        ratios = [mine["cpu"] / other["cpu"] for mine, other in zip(ours, theirs, strict=True)]
        walls = [mine["wall"] / other["wall"] for mine, other in zip(ours, theirs, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4)
        summary[title] = {
            "acsylla_like": statistics.median(times["cpu"] for times in ours),
            "acsylla": statistics.median(times["cpu"] for times in theirs),
            "ratio": median,
            "ratio_low": low,
            "ratio_high": high,
            "wall_ratio": statistics.median(walls),
        }
        line = summary[title]
        print(
            f"{title:<34}{line['acsylla_like']:>13.2f}{line['acsylla']:>9.2f}   {median:>5.2f}  ({low:.2f} – {high:.2f})"
            f"   {line['wall_ratio']:>10.2f}"
        )
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--server", help="host:port of a server that is there")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    with server(arguments.server) as (host, port):
        asyncio.run(prepare_table(host, port))
        settings = {"host": host, "port": port, "keyspace": KEYSPACE, "insert": INSERT, "select": SELECT, "scan": SCAN}
        workers = {name: Worker(name, settings) for name in CLIENTS}
        try:
            versions = ", ".join(f"{name} ({worker.version})" for name, worker in workers.items())
            print(f"{versions}; CPython {platform.python_version()}, {platform.machine()}; {arguments.rounds} rounds")
            summary = report(measure(workers, arguments.rounds))
        finally:
            for worker in workers.values():
                worker.stop()
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
