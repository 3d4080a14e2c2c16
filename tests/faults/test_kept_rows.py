"""Rows outlive the page and the result that they came from."""

from __future__ import annotations

import asyncio
import gc
from decimal import Decimal


def stored(k):
    return (0, k, f"name {k}", Decimal(k) / 100, bytes([k % 256]) * (k % 50), [k, k + 1], {str(k): k}, None if k % 3 else float(k))


async def test_rows_of_a_page_that_are_kept_while_twenty_more_are_read(session):
    await session.execute(
        "CREATE TABLE kept (p int, k int, name text, price decimal, data blob, numbers list<int>, counts map<text, int>, "
        "score double, PRIMARY KEY (p, k))"
    )
    insert = await session.create_prepared(
        "INSERT INTO kept (p, k, name, price, data, numbers, counts, score) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
    total = 5000
    for start in range(0, total, 500):
        await asyncio.gather(*(session.execute(insert, stored(k)) for k in range(start, start + 500)))
    columns = "p, k, name, price, data, numbers, counts, score"
    select = await session.create_prepared(f"SELECT {columns} FROM kept WHERE p = ?")
    page = await session.execute(select, [0], page_size=total)
    kept = list(page)
    assert len(kept) == total
    del page
    gc.collect()
    lasting = [iter(await session.execute(select, [0], page_size=total)) for _ in range(2)]  # not yet decoded
    for n in range(20):
        other = await session.execute(select, [0], page_size=total)
        assert other[n * 7].k == n * 7
        assert len(other.all()) == total
    del other
    gc.collect()
    expected = [stored(k) for k in range(total)]
    assert [tuple(row) for row in kept] == expected
    for rows in lasting:
        assert [tuple(row) for row in rows] == expected
