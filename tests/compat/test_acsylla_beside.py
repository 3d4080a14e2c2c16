"""acsylla itself and this package in one process: two copies of the driver, which do not disturb each other."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import acsylla_like

PROGRAM = """
import asyncio, gc, logging, sys
sys.path.insert(0, {path!r})
if {theirs_first}:
    import acsylla
import acsylla_like
import acsylla_like.compat as compat
import acsylla
logging.getLogger("acsylla_like.driver").setLevel(logging.CRITICAL)

HOST, PORT, KEYSPACE = {host!r}, {port}, {keyspace!r}

async def main():
    lines = {{"theirs": [], "compat": [], "ours": []}}
    class Collect(logging.Handler):
        def emit(self, record):
            lines["ours"].append(record)
    logging.getLogger("acsylla_like.driver").addHandler(Collect())
    logging.getLogger("acsylla_like.driver").setLevel(logging.INFO)

    cluster = acsylla.create_cluster([HOST], port=PORT, log_level="info", logging_callback=lines["theirs"].append)
    theirs = await cluster.create_session(keyspace=KEYSPACE)
    ours = await acsylla_like.connect(HOST, port=PORT, keyspace=KEYSPACE)
    assert lines["ours"], "our driver's lines go to our logger while acsylla's has a callback"
    like = compat.create_cluster([HOST], port=PORT, log_level="info", logging_callback=lines["compat"].append)
    mine = await like.create_session(keyspace=KEYSPACE)
    assert lines["theirs"] and lines["compat"]
    assert type(lines["theirs"][0]) is acsylla.LogMessage and type(lines["compat"][0]) is compat.LogMessage

    insert = "INSERT INTO shared (id, who, n) VALUES (?, ?, ?)"
    by_theirs = await theirs.create_prepared(insert)
    by_ours = await ours.prepare(insert)
    by_compat = await mine.create_prepared(insert)

    async def write(number):
        await asyncio.gather(
            theirs.execute(by_theirs.bind([number, "theirs", number])),
            ours.execute(by_ours, [number, "ours", number]),
            mine.execute(by_compat.bind([number, "compat", number])),
        )

    await asyncio.gather(*map(write, range(300)))
    select = "SELECT who, n FROM shared"
    found = sorted((row["who"], row["n"]) for row in await theirs.execute(acsylla.create_statement(select)))
    assert found == sorted(tuple(row) for row in await ours.execute(select))
    assert found == sorted((row.who, row.n) for row in await mine.query(select))
    assert len(found) == 900

    # What the migration page says of decimals.
    from decimal import Decimal
    await theirs.execute((await theirs.create_prepared("INSERT INTO numbers (id, d) VALUES (?, ?)")).bind([1, Decimal("3.14")]))
    found = (await ours.execute("SELECT d FROM numbers WHERE id = 1")).single().d
    assert found == Decimal(int.from_bytes(b"3.14", "big")).scaleb(-2), found

    # Errors of one are none of the other's.
    for session, statement, error in (
        (theirs, acsylla.create_statement("SELEKT"), acsylla.errors.CassErrorServerSyntaxError),
        (mine, compat.create_statement("SELEKT"), compat.errors.CassErrorServerSyntaxError),
    ):
        try:
            await session.execute(statement)
        except error:
            pass
        else:
            raise AssertionError("a syntax error is expected")

    # Each goes on when the other is closed.
    if {theirs_first}:
        await theirs.close()
        assert len(await ours.execute(select)) == 900
        await ours.close()
        await mine.close()
    else:
        await ours.close()
        await mine.close()
        assert len(await theirs.execute(acsylla.create_statement(select))) == 900
        await theirs.close()
    assert acsylla_like.driver_info().path != sys.modules["acsylla._cython.cyacsylla"].__file__

asyncio.run(main())
print("done")
"""


@pytest.mark.skipif(importlib.util.find_spec("acsylla") is None, reason="acsylla is not installed")
@pytest.mark.parametrize("theirs_first", [True, False])
async def test_both_in_one_process(cassandra, keyspace, theirs_first):
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as session:
        await session.execute("CREATE TABLE IF NOT EXISTS numbers (id int PRIMARY KEY, d decimal)")
        await session.execute("CREATE TABLE IF NOT EXISTS shared (id int, who text, n int, PRIMARY KEY (id, who))")
    program = PROGRAM.format(
        path=str(Path(acsylla_like.__file__).parents[1]),
        theirs_first=theirs_first,
        host=cassandra.contact_points[0],
        port=cassandra.port,
        keyspace=keyspace,
    )
    command = [sys.executable, "-c", program]
    ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout.strip()) == (0, "done"), ran.stderr
