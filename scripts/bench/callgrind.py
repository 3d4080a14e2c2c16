#!/usr/bin/env python3
"""Count the instructions of one request or row, by library: the binding's own part, the driver, the interpreter, the rest.

Instructions of user space, counted by valgrind's callgrind, repeat where times do not: use them to judge a change. Each count is
the difference between many and a few requests of the same kind, so that what happens once drops out. Needs valgrind.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import programs
from work import FIRST_QUERY, KEYSPACE, MIXED_ROWS, STATEMENTS

HERE = Path(__file__).resolve().parent
ROWS = 5_000

# title → the order, the few and the many, units in one step
ORDERS: dict[str, tuple[dict[str, Any], int, int, int]] = {
    "insert, 1 in flight": ({"work": "insert", "in_flight": 1}, 100, 600, 1),
    "insert, 32 in flight": ({"work": "insert", "in_flight": 32}, 200, 1_200, 1),
    "select one row, 32 in flight": ({"work": "select", "in_flight": 32, "rows": ROWS}, 200, 1_200, 1),
    "100 rows of 10 mixed columns, per row": ({"work": "mixed", "in_flight": 1, "rows_each": MIXED_ROWS}, 2, 12, MIXED_ROWS),
    "rows paged by 1,000, per row": ({"work": "scan", "page_size": 1_000}, 1, 2, ROWS),
    "unlogged batch of 100 inserts, per insert": ({"work": "batch", "in_flight": 1, "size": 100}, 2, 12, 100),
}
PARTS = ("binding", "driver", "interpreter", "rest")


class Program:
    """A client under callgrind, which counts between `start` and `count`."""

    def __init__(self, client: str, settings: dict[str, Any], folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, dict[str, str]] = {"ob": {}, "fn": {}}
        command = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={folder}/counts"]
        command += [sys.executable, str(HERE / "worker.py"), client, json.dumps(settings)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def _answer(self) -> None:
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise SystemExit(f"the client ended with exit code {self.process.wait()}; see above")

    def run(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self._answer()

    def _control(self, what: str) -> None:
        subprocess.run(["callgrind_control", what, str(self.process.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def count(self, order: dict[str, Any]) -> Counter[tuple[str, str]]:
        """Instructions of each function while an order runs, by (library, function)."""
        self._control("--zero")
        self.run(order)
        before = set(self.folder.iterdir())
        self._control("--dump")
        (written,) = set(self.folder.iterdir()) - before
        return self._read(written)

    def _read(self, path: Path) -> Counter[tuple[str, str]]:
        costs: Counter[tuple[str, str]] = Counter()
        place = {"ob": "", "fn": ""}
        is_call = False
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            named = re.match(r"(c?)(ob|fn|fl|fi|fe)=\((\d+)\)(?: (.*))?$", line)
            if named is not None:
                called, kind, number, name = named.groups()
                known = self.names.get(kind)
                if known is not None:  # files are of no interest
                    if name is not None:
                        known[number] = name
                    if not called:
                        place[kind] = known.get(number, "?")
            elif line.startswith("calls="):
                is_call = True  # the next line is what the callee took, which is counted there
            elif line[:1] in "0123456789+-*" and line:
                if not is_call:
                    costs[place["ob"], place["fn"]] += int(line.split()[1])
                is_call = False
        return costs

    def stop(self) -> None:
        self.process.communicate(timeout=120)


def part(library: str) -> str:
    name = Path(library).name
    if "/_bundled/" in library:
        return "driver"
    if name.startswith(("_native.", "_cython", "cyacsylla")):
        return "binding"
    return "interpreter" if name.startswith(("python", "libpython")) else "rest"


def measure(program: Program) -> dict[str, Counter[tuple[str, str]]]:
    """Instructions of one unit of each kind of work, by (library, function), in thousandths."""
    found = {}
    for title, (order, few, many, units) in ORDERS.items():
        program.run({**order, "count": few, "timed": 0})  # what is made once is made here
        small, large = (program.count({**order, "count": count, "timed": 0}) for count in (few, many))
        large.subtract(small)
        found[title] = Counter({place: 1000 * cost // ((many - few) * units) for place, cost in large.items()})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument(
        "--client", default="acsylla_like", help="or compat; or acsylla, whose one library is binding and driver (default: us)"
    )
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="also list the N dearest functions of the binding")
    parser.add_argument("--retry-policy", action="store_true", help="with a retry policy, which has nothing to do")
    parser.add_argument("--json", type=Path, help="also write the counts to this file")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("callgrind.py needs valgrind: apt-get install valgrind")
    if arguments.retry_policy:
        os.environ["BENCH_RETRY_POLICY"] = "1"
    with programs.NullServer(table_rows=ROWS) as server, tempfile.TemporaryDirectory() as folder:
        place = {"host": server.address, "port": server.port, "keyspace": KEYSPACE}
        program = Program(arguments.client, {**place, "first_query": FIRST_QUERY, **STATEMENTS}, Path(folder))
        try:
            measured = measure(program)
        finally:
            program.stop()
    print(f"{arguments.client + ', instructions':<46}" + "".join(f"{name:>14}" for name in (*PARTS, "all")))
    summary = {}
    for title, costs in measured.items():
        by_part = dict.fromkeys(PARTS, 0.0)
        for (library, _), cost in costs.items():
            by_part[part(library)] += cost / 1000
        summary[title] = {name: round(cost, 1) for name, cost in by_part.items()}
        print(f"{title:<46}" + "".join(f"{by_part[name]:>14,.0f}" for name in PARTS) + f"{sum(by_part.values()):>14,.0f}")
        own = Counter({function: cost for (library, function), cost in costs.items() if part(library) == "binding"})
        for function, cost in own.most_common(arguments.functions):
            print(f"    {function[:80]:<80}{cost / 1000:>10,.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
