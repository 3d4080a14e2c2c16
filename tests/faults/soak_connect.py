#!/usr/bin/env python3
"""Connect and close a thousand times: descriptors, threads and resident memory must not grow. Prints what it measured.

python tests/faults/soak_connect.py 127.0.0.1:9042 [cycles]
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from pathlib import Path

import acsylla_like

MEGABYTE = 1 << 20


class Measured:
    """What the process holds at one moment."""

    def __init__(self) -> None:
        gc.collect()
        self.descriptors = len(os.listdir("/proc/self/fd"))
        self.threads = len(os.listdir("/proc/self/task"))
        self.resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def __str__(self) -> str:
        return f"{self.descriptors} descriptors, {self.threads} threads, {self.resident / MEGABYTE:.2f} MB resident"


async def settled() -> Measured:
    """Measures when the threads of closed sessions have ended: when the count stands still."""
    measured = Measured()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        before, measured = measured, Measured()
        if (before.threads, before.descriptors) == (measured.threads, measured.descriptors):
            break
    return measured


async def cycle(contact_points: list[str], port: int) -> None:
    """Opens a session, uses it, and closes it."""
    async with acsylla_like.connect(contact_points, port=port) as session:
        await session.execute(await session.create_prepared("SELECT key FROM system.local"))


async def soak(contact_points: list[str], port: int, marks: list[int]) -> dict[int, Measured]:
    """Runs as many cycles as the last mark says and measures at each mark.

    The resident memory of a mark is the least seen in the 20 cycles before it: allocators give back when they see fit.
    """
    measured = {}
    for number in range(1, marks[-1] + 1):
        await cycle(contact_points, port)
        before = [mark for mark in marks if mark - 20 < number <= mark]
        if before:
            now = await settled()
            least = measured.get(before[0], now).resident
            now.resident = min(now.resident, least)
            measured[before[0]] = now
        if number in marks:
            print(f"after {number} cycles: {measured[number]}", flush=True)
    return measured


def main() -> int:
    hosts, _, port = sys.argv[1].rpartition(":")
    cycles = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    marks = [cycles // 10, cycles // 5, cycles]
    began = time.monotonic()
    measured = asyncio.run(soak(hosts.split(","), int(port), marks))
    first, second, last = (measured[mark] for mark in marks)
    growth = last.resident - second.resident
    print(f"{cycles} cycles in {time.monotonic() - began:.0f} s, growth from cycle {marks[1]} on: {growth / MEGABYTE:.2f} MB")
    flat = (first.descriptors, first.threads) == (last.descriptors, last.threads)
    # A short run still warms up.
    return 0 if flat and growth < (2 if cycles >= 1000 else 10) * MEGABYTE else 1


if __name__ == "__main__":
    sys.exit(main())
