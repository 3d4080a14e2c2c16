#!/usr/bin/env python3
"""A thousand inserts over a slower network: wall time at 1, 5, 10 and 100 ms of added latency, one by one and 100 in flight.

The set-up of an article on drivers and gevent; its best figures stand beside. A proxy of ours adds the latency on the way to
the server that does nothing, or to the one given. Where one by one would take minutes, fewer inserts are made and the time is
scaled to a thousand.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import programs
from side_by_side import Worker, chosen, fill, machine, server
from work import FIRST_QUERY, KEYSPACE, STATEMENTS

DELAYS = {0.001: 0.68, 0.005: 0.63, 0.010: 0.63, 0.100: 1.27}  # seconds → the article's best, seconds for a thousand
CLIENTS = ("acsylla_like", "acsylla", "acsylla_like:uvloop", "acsylla:uvloop", "bare_driver:eventfd")
INSERTS = 1_000
IN_FLIGHT = 100


def measure(names: list[str], settings: dict[str, Any], delay: float, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds for a thousand inserts: shape → client → one number per round."""
    alone = max(10, min(INSERTS, round(1 / delay)))
    shapes = {"one by one": (alone, 1), f"{IN_FLIGHT} in flight": (INSERTS, IN_FLIGHT)}
    found: dict[str, dict[str, list[float]]] = {shape: {name: [] for name in names} for shape in shapes}
    with programs.DelayProxy(settings["host"], settings["port"], delay) as proxy, contextlib.ExitStack() as ends:
        workers = {name: Worker(name, {**settings, "port": proxy.port}) for name in names}
        for worker in workers.values():
            ends.callback(worker.stop)
            worker.slowness = 1
            worker.run({"work": "insert", "count": IN_FLIGHT, "in_flight": IN_FLIGHT, "timed": 0})
        for number in range(rounds):
            for shape, (count, in_flight) in shapes.items():
                for name in names if number % 2 == 0 else names[::-1]:
                    figures = workers[name].run({"work": "insert", "count": count, "in_flight": in_flight, "timed": 0})
                    found[shape][name].append(figures["wall"] * INSERTS)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--server", metavar="HOST:PORT", help="measure against this server, or `cassandra` for an embedded one")
    parser.add_argument("--address", default="127.0.0.1", help="where the server that does nothing listens (default: 127.0.0.1)")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="which, after commas (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write every figure of every round to this file")
    arguments = parser.parse_args()
    names = chosen(arguments.clients.split(","))
    found = {}
    with server(arguments.server, arguments.address) as (host, port):
        if arguments.server is not None:
            asyncio.run(fill(host, port))
        settings = {"host": host, "port": port, "keyspace": KEYSPACE, "first_query": FIRST_QUERY, **STATEMENTS}
        for delay in DELAYS:
            print(f"{1000 * delay:g} ms …", file=sys.stderr)
            found[delay] = measure(names, settings, delay, arguments.rounds)
    print(f"{INSERTS:,} inserts, seconds, medians of {arguments.rounds} rounds; {machine()}")
    print(f"{'':<28}" + "".join(f"{name:>22}" for name in names) + f"{'the article':>14}")
    for delay, shapes in found.items():
        for shape, by_client in shapes.items():
            cells = "".join(f"{statistics.median(by_client[name]):>22.3f}" for name in names)
            article = f"{DELAYS[delay]:>14.2f}" if shape != "one by one" else ""
            print(f"{f'{1000 * delay:g} ms, {shape}':<28}{cells}{article}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "seconds": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
