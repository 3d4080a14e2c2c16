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

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"


async def test_dask_reads_a_table_in_parts(session: acsylla_like.Session, keyspace: str, cassandra: Any) -> None:
    if importlib.util.find_spec("dask") is None:  # not imported here, where its threads would stay
        pytest.skip("needs dask")
    await session.execute("CREATE TABLE measured (k int PRIMARY KEY, value double)")
    await session.copy_from("measured", [{"k": k, "value": k / 4} for k in range(1000)])
    address = f"{cassandra.contact_points[0]}:{cassandra.port}"
    package = str(Path(acsylla_like.__file__).parent.parent)
    example = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "dask_scan.py"),
        address,
        f"{keyspace}.measured",
        "value",
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
    assert printed.decode() == "1000 rows in 16 parts, value is 124.875 on average\n"
