"""One client in a process of its own: takes orders as JSON lines, runs each, and tells its CPU and wall time.

CPU is that of the whole process, the driver's threads included. The first line of its output tells what connecting and one
query took, and the peak of memory then, imports included.

What a client module offers as `Client`: `version`; coroutines `connect(host, port, keyspace)`, `first_query(text)`,
`prepare(insert, select, mixed, scan)`, `scan(page_size)` (reads a table in pages; returns how many rows it read) and `close()`;
`insert(values)`, `select(key)`, `mixed(key)` and `batch(rows)`, which return an awaitable; `read(answer)`, which makes Python
values of all that is in an answer and returns the count of rows. For bulk work: a coroutine
`prepare_bulk(insert, select)`, and those that `bulk.WORK` names, `call(source, in_flight)` and `call(rows, page_size, splits, in_flight)`,
the latter returning how many rows they read, though the table may have more.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import itertools
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import bulk
from work import values_of

ROWS = [list(values_of(key)) for key in range(4096)]  # lists, which acsylla insists on


class Window:
    """Steps of which so many are under way at a time, each awaited by one of as many tasks."""

    def __init__(self, arguments: Iterable[Any], send: Callable[[Any], Awaitable[Any]], read: Callable[[Any], int] | None) -> None:
        self.arguments = iter(arguments)
        self.send = send
        self.read = read
        self.rows = 0
        self.latencies: list[float] = []

    async def run(self, in_flight: int, timed: bool = False) -> None:
        work = self._timed if timed else self._write if self.read is None else self._read
        if in_flight == 1:
            await work()
        else:
            await asyncio.gather(*[work() for _ in range(in_flight)])

    async def _write(self) -> None:
        send = self.send
        for argument in self.arguments:
            await send(argument)

    async def _read(self) -> None:
        send, read = self.send, self.read
        assert read is not None
        for argument in self.arguments:
            answer = await send(argument)
            self.rows += read(answer)

    async def _timed(self) -> None:
        send, read, note = self.send, self.read, self.latencies.append
        for argument in self.arguments:
            started = time.perf_counter()
            answer = await send(argument)
            if read is not None:
                self.rows += read(answer)
            note(time.perf_counter() - started)


def window(client: Any, order: dict[str, Any], count: int) -> Window:
    work = order["work"]
    arguments: Iterator[Any]
    if work == "insert":
        arguments = itertools.cycle(ROWS)
    elif work == "batch":
        arguments = itertools.cycle([ROWS[start : start + order["size"]] for start in range(0, 1024, order["size"])])
    elif work == "select":
        arguments = itertools.cycle(range(order["rows"]))
    else:
        arguments = itertools.repeat(0)
    return Window(itertools.islice(arguments, count), getattr(client, work), None if work in ("insert", "batch") else client.read)


async def run(client: Any, order: dict[str, Any]) -> dict[str, float]:
    """One order's figures: seconds of CPU and wall for all its `units`, latencies in seconds."""
    count = order["count"]
    gc.collect()
    if order["work"] == "scan":
        started, cpu = time.perf_counter(), time.process_time()
        rows = sum([await client.scan(order["page_size"]) for _ in range(count)])
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - started, "units": rows}
    steps = window(client, order, count)
    started, cpu = time.perf_counter(), time.process_time()
    await steps.run(order["in_flight"])
    figures = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - started}
    expected = 0 if steps.read is None else count * order.get("rows_each", 1)
    if steps.rows != expected:
        raise SystemExit(f"read {steps.rows} rows instead of {expected}: {order}")
    figures["units"] = max(count, steps.rows)
    if order["timed"] > 1:
        steps = window(client, order, order["timed"])
        await steps.run(order["in_flight"], timed=True)
        hundredths = statistics.quantiles(steps.latencies, n=100, method="inclusive")
        figures |= {"p50": hundredths[49], "p99": hundredths[98]}
    return figures


async def run_bulk(client: Any, order: dict[str, Any], server_pid: int) -> dict[str, float]:
    """As `run`, of one call for all rows; also seconds of the server's CPU, and memory in KiB: its peak, and how much that is above
    what was there before the call, data to be written included."""
    rows = order["rows"]
    call = getattr(client, order["call"])
    if order["work"] == "read":
        arguments = [rows, order["page_size"], order["splits"], order["in_flight"]]
    else:
        source = bulk.arrow_table if order["source"] == "arrow" else bulk.lists if getattr(client, "takes_lists", False) else bulk.tuples
        arguments = [source(rows), order["in_flight"]]
    gc.collect()
    forget_peak()
    before = memory_kib("VmRSS")
    started, cpu, server = time.perf_counter(), time.process_time(), server_seconds(server_pid)
    read = await call(*arguments)
    figures = {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - started,
        "server": server_seconds(server_pid) - server,
        "units": rows,
        "peak_kib": memory_kib("VmHWM"),
        "grown_kib": memory_kib("VmHWM") - before,
    }
    if order["work"] == "read" and read != rows:
        raise SystemExit(f"read {read} rows instead of {rows}: {order}")
    return figures


def server_seconds(pid: int) -> float:
    """The CPU time of the server's process so far; 0.0 where it is not known."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forget_peak() -> None:
    """Has the peak of memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def memory_kib(name: str) -> float:
    return float(Path("/proc/self/status").read_text(encoding="utf-8").partition(f"{name}:")[2].split()[0])


def peak_kib() -> float:
    """The most memory that this process ever held."""
    if not Path("/proc/self/status").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return memory_kib("VmHWM")  # Linux's ru_maxrss begins with the parent's


async def serve(name: str, settings: dict[str, Any]) -> None:
    client = importlib.import_module(f"client_{name}").Client()
    started, cpu = time.perf_counter(), time.process_time()
    await client.connect(settings["host"], settings["port"], settings["keyspace"])
    await client.first_query(settings["first_query"])
    connected = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - started}
    connected["peak_kib"] = peak_kib()
    print(json.dumps({"version": client.version, **connected}), flush=True)
    await client.prepare(**{work: settings[work] for work in ("insert", "select", "mixed", "scan")})
    await client.prepare_bulk(settings["bulk_insert"], settings["bulk_select"])
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        is_bulk = order["work"] in ("ingest", "read")
        print(json.dumps(await (run_bulk(client, order, settings["server_pid"]) if is_bulk else run(client, order))), flush=True)
    await client.close()


def main() -> None:
    name, _, kind = sys.argv[1].partition(":")
    loop = importlib.import_module(kind or "asyncio").new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(serve(name, json.loads(sys.argv[2])))
    loop.close()


if __name__ == "__main__":
    main()
