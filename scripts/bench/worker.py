"""One client in a process of its own: takes orders as JSON lines, runs each, and tells its CPU and wall time.

CPU is that of the whole process, the driver's threads included.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import time
from typing import Any

PAYLOAD = "a text of some forty characters, not more"


def values_of(key: int) -> tuple[Any, ...]:
    """A row of the table: int, text, bigint, double, boolean."""
    return key, PAYLOAD, key << 20, key / 7, key % 2 == 0


async def in_window(count: int, in_flight: int, step: Any) -> None:
    """`count` steps, at most `in_flight` at a time, each awaited by one of as many tasks."""
    keys = iter(range(count))

    async def work() -> None:
        for key in keys:
            await step(key)

    await asyncio.gather(*[work() for _ in range(in_flight)])


async def serve(name: str, settings: dict[str, Any]) -> None:
    client = importlib.import_module(f"client_{name}").Client()
    await client.connect(**settings)
    print(json.dumps({"version": client.version}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        gc.collect()
        started, cpu = time.perf_counter(), time.process_time()
        if order["work"] == "insert":
            await in_window(order["count"], order["in_flight"], lambda key: client.insert(values_of(key)))
        elif order["work"] == "select":
            await in_window(order["count"], order["in_flight"], lambda key, rows=order["rows"]: client.select(key % rows))
        else:
            found = sum([await client.scan(order["page_size"]) for _ in range(order["count"])])
            assert found == order["rows"] * order["count"], (found, order)
        print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - started}), flush=True)
    await client.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], json.loads(sys.argv[2])))
