"""What the bench asks for: the statements, the tables behind them, and the kinds of work."""

from __future__ import annotations

from typing import Any

KEYSPACE = "acsylla_like_bench"
TABLE_ROWS = 100_000
MIXED_ROWS = 100
PAYLOAD = "a text of some forty characters, not more"

STATEMENTS = {
    "insert": "INSERT INTO rows (id, name, big, ratio, flag) VALUES (?, ?, ?, ?, ?)",
    "select": "SELECT id, name, big, ratio, flag FROM rows WHERE id = ?",
    "mixed": "SELECT number, big, name, ratio, flag, key, moment, data, items, counts FROM mixed WHERE part = ?",
    "scan": "SELECT id, name, big, ratio, flag FROM rows",
    "bulk_insert": "INSERT INTO bulk (id, name, big, ratio, data) VALUES (?, ?, ?, ?, ?)",
    "bulk_select": "SELECT id, name, big, ratio, data FROM bulk",
    "bulk_range": "SELECT id, name, big, ratio, data FROM bulk WHERE token(id) > ? AND token(id) <= ?",
}
FIRST_QUERY = "SELECT id, name, big, ratio, flag FROM rows WHERE id = 1"

TABLES = {
    "rows": "id int PRIMARY KEY, name text, big bigint, ratio double, flag boolean",
    "mixed": (
        "part int, number int, big bigint, name text, ratio double, flag boolean, key uuid, moment timestamp, data blob,"
        " items list<int>, counts map<text, int>, PRIMARY KEY (part, number)"
    ),
    "bulk": "id int PRIMARY KEY, name text, big bigint, ratio double, data blob",
}

# `count` steps of which `in_flight` are under way at a time; then `timed` ones whose latencies are noted. A read of `rows_each`
# rows is counted per row.
WORK: dict[str, dict[str, Any]] = {
    **{
        f"insert, {in_flight:,} in flight": {"work": "insert", "count": count, "in_flight": in_flight, "timed": count // 5}
        for in_flight, count in ((1, 3_000), (32, 20_000), (256, 20_000), (1_024, 20_000))
    },
    **{
        f"select one row, {in_flight:,} in flight": {
            "work": "select", "count": count, "in_flight": in_flight, "timed": count // 5, "rows": TABLE_ROWS,
        }
        for in_flight, count in ((1, 3_000), (32, 20_000), (256, 20_000), (1_024, 20_000))
    },
    **{
        f"100 rows of 10 mixed columns, {in_flight} in flight, per row": {
            "work": "mixed", "count": 400, "in_flight": in_flight, "timed": 100, "rows_each": MIXED_ROWS,
        }
        for in_flight in (1, 32)
    },
    "100,000 rows paged by 5,000, per row": {"work": "scan", "count": 2, "page_size": 5_000, "rows_each": TABLE_ROWS},
    **{
        f"unlogged batch of 100 inserts, {in_flight} in flight": {
            "work": "batch", "count": 400, "in_flight": in_flight, "timed": 100, "size": 100,
        }
        for in_flight in (1, 8)
    },
}  # fmt: skip
CONNECT = "connect and first query"


def values_of(key: int) -> tuple[Any, ...]:
    """A row of `rows`."""
    return key, PAYLOAD, key << 20, key / 7, key % 2 == 0


def scaled(order: dict[str, Any], factor: float) -> dict[str, Any]:
    """The same order with fewer or more steps: at least one, or as many as are to be in flight."""
    least = 1 if order["work"] == "scan" else order["in_flight"]
    numbers = {name: max(least, round(order[name] * factor)) for name in ("count", "timed") if name in order}
    return {**order, **numbers}
