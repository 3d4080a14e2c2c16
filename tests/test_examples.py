"""The examples of the documentation run as they stand."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import acsylla_like
from acsylla_like.testing import ScyllaFacade

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"


async def run(name: str, *arguments: str) -> str:
    """What an example prints."""
    package = str(Path(acsylla_like.__file__).parent.parent)
    example = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        printed, problems = await asyncio.wait_for(example.communicate(), 120)
    finally:
        if example.returncode is None:
            example.kill()
            await example.wait()
    assert example.returncode == 0, problems.decode()
    return printed.decode()


async def test_dask_reads_a_table_in_parts(session: acsylla_like.Session, keyspace: str, cassandra: Any) -> None:
    if importlib.util.find_spec("dask") is None:  # not imported here, where its threads would stay
        pytest.skip("needs dask")
    await session.execute("CREATE TABLE measured (k int PRIMARY KEY, value double)")
    await session.copy_from("measured", [{"k": k, "value": k / 4} for k in range(1000)])
    printed = await run("dask_scan.py", f"{cassandra.contact_points[0]}:{cassandra.port}", f"{keyspace}.measured", "value")
    assert printed == "1000 rows in 16 parts, value is 124.875 on average\n"


async def test_processes_write_the_rows_of_their_shards(keyspace: str, cassandra: Any) -> None:
    with ScyllaFacade(cassandra, shards=(4, 3)) as facade:
        async with acsylla_like.connect(facade.contact_points, port=facade.port, keyspace=keyspace) as session:
            await session.execute("CREATE TABLE sharded (k int PRIMARY KEY, value double)")
            printed = await run("shard_workers.py", f"{facade.contact_points[0]}:{facade.port}", f"{keyspace}.sharded", "3")
            lines = [line.split() for line in printed.splitlines()]
            assert [line[1:6] for line in lines] == [["rows", "by", "the", "owner", "of"]] * 3
            assert sum(int(line[0]) for line in lines) == 10_000
            assert sum(int(line[6]) for line in lines) == 7
            assert all(int(line[0]) > 1000 for line in lines)
            (count,) = (await session.execute("SELECT count(*) FROM sharded")).single()
            assert count == 10_000
