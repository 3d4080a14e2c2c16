"""Rows written by several processes, each of which owns some shards: one event loop, one session, and no shard shared.

    python docs/examples/shard_workers.py 127.0.0.1:9042 keyspace.table 4

Writes 10,000 rows into a table with `k int PRIMARY KEY, value double` by as many processes. On Cassandra, which has no shards,
each process owns some nodes.
"""

from __future__ import annotations

import asyncio
import heapq
import multiprocessing
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

import acsylla_like

Row = tuple[int, float]


def insert_into(table: str) -> str:
    return f"INSERT INTO {table} (k, value) VALUES (?, ?)"


async def owned_rows(host: str, port: int, table: str, rows: Iterable[Row]) -> dict[acsylla_like.Replica, list[Row]]:
    """The rows of each shard."""
    async with acsylla_like.connect(host, port=port) as session:
        return await session.group_by_replica(await session.create_prepared(insert_into(table)), rows)


def dealt(groups: dict[acsylla_like.Replica, list[Row]], count: int) -> list[list[acsylla_like.Replica]]:
    """The shards in `count` hands with about as many rows in each: the next largest shard to whoever has least."""
    hands: list[tuple[int, int, list[acsylla_like.Replica]]] = [(0, i, []) for i in range(count)]
    for owner in sorted(groups, key=lambda owner: -len(groups[owner])):
        rows, i, hand = hands[0]
        heapq.heapreplace(hands, (rows + len(groups[owner]), i, [*hand, owner]))
    return [hand for _, _, hand in sorted(hands, key=lambda hand: hand[1])]


def write(host: str, port: int, table: str, rows: list[Row]) -> int:
    """Runs in a process of its own."""

    async def write_rows() -> int:
        async with acsylla_like.connect(host, port=port) as session:
            report = await session.execute_many(insert_into(table), rows)
            return report.rows

    return asyncio.run(write_rows())


def main() -> None:
    address, table, count = sys.argv[1:]
    host, _, port = address.rpartition(":")
    groups = asyncio.run(owned_rows(host, int(port), table, ((k, k / 4) for k in range(10_000))))
    hands = dealt(groups, int(count))
    with ProcessPoolExecutor(len(hands), mp_context=multiprocessing.get_context("spawn")) as processes:
        written = processes.map(
            write, *zip(*((host, int(port), table, [row for owner in hand for row in groups[owner]]) for hand in hands), strict=True)
        )
        for hand, rows in zip(hands, written, strict=True):
            print(f"{rows} rows by the owner of {len(hand)} shards")


if __name__ == "__main__":  # the processes import this file
    main()
