"""Bulk work: whole tables in and out, and the rows of the table that it is done with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from work import PAYLOAD

ROWS = 5_000_000
PEER_ROWS = 200_000  # of those that take so much longer
WINDOW = 1_024
DATA = [bytes([number]) * 32 for number in range(256)]

_BARE = {"bare_driver:eventfd": ("bulk",), "bare_driver:callback": ("bulk",)}
# What is asked for, and the methods of each client that do it; where there are several, each is a client of its own in the report.
WORK: dict[str, tuple[dict[str, Any], dict[str, tuple[str, ...]]]] = {
    "rows of an Arrow table in": (
        {"work": "ingest", "source": "arrow", "in_flight": WINDOW},
        {"acsylla_like": ("copy_from",), **_BARE},
    ),
    "rows of a generator in": (
        {"work": "ingest", "source": "rows", "in_flight": WINDOW},
        {
            "acsylla_like": ("execute_many",),
            **_BARE,
            "acsylla": ("tasks", "tasks_of_256", "chunks", "semaphore"),
            "scyllapy": ("tasks",),
            "cassandra_driver": ("execute_concurrent",),
        },
    ),
    "a table out into Arrow, page by page": (
        {"work": "read", "page_size": 5_000, "splits": 0, "in_flight": 1},
        {"acsylla_like": ("fetch_arrow",), **_BARE},
    ),
    "a table out into Arrow, by 8 ranges at a time": (
        {"work": "read", "page_size": 5_000, "splits": 32, "in_flight": 8},
        {"acsylla_like": ("scan_arrow",), **_BARE},
    ),
    "a table out into rows of Python": (
        {"work": "read", "page_size": 5_000, "splits": 0, "in_flight": 1},
        {
            "acsylla_like": ("stream_rows",),
            **_BARE,
            "acsylla": ("read_pages",),
            "scyllapy": ("read_pages",),
            "cassandra_driver": ("read_pages",),
        },
    ),
}


def tuples(count: int) -> Iterator[tuple[Any, ...]]:
    """The first rows of `bulk`, made one by one: what this takes is in everyone's figures."""
    for key in range(count):
        yield key, PAYLOAD, key << 20, key / 7, DATA[key & 255]


def lists(count: int) -> Iterator[list[Any]]:
    """The same as lists, which acsylla and scyllapy insist on."""
    for key in range(count):
        yield [key, PAYLOAD, key << 20, key / 7, DATA[key & 255]]


def arrow_table(count: int) -> Any:
    """The same as a pyarrow table in memory."""
    import numpy
    import pyarrow

    keys = numpy.arange(count, dtype=numpy.int64)
    data = pyarrow.py_buffer((keys & 255).astype(numpy.uint8).repeat(32))
    columns = {
        "id": pyarrow.array(keys.astype(numpy.int32)),
        "name": pyarrow.repeat(PAYLOAD, count),
        "big": pyarrow.array(keys << 20),
        "ratio": pyarrow.array(keys / 7),
        "data": pyarrow.FixedSizeBinaryArray.from_buffers(pyarrow.binary(32), count, [None, data]).cast(pyarrow.binary()),
    }
    return pyarrow.table(columns)


def orders(name: str, rows: int, peer_rows: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What a client does in bulk: the title, what the client is called in the report, and the order."""
    kind, _, mode = name.partition(":")
    for title, (order, ways) in WORK.items():
        calls = ways.get(name) or ways.get(kind, ()) if mode in ("", "uvloop") else ways.get(name, ())
        for call in calls:
            count = rows if kind in ("acsylla_like", "bare_driver") else min(rows, peer_rows)
            if kind == "scyllapy" and order["work"] == "read":
                count = max(1, count // 20)  # row by row, its only way: the rest would take as long as all other work together
            elif order["work"] == "read":
                count = min(rows, -(-count // order["page_size"]) * order["page_size"])  # whole pages
            yield title, name if len(calls) == 1 else f"{name} {call}", {**order, "call": call, "rows": count}
