#!/usr/bin/env python3
"""What the tests of this folder do in small: 100,000 requests of each kind in each mode, 200 rounds of dropped connections with 24 local
ports, and 50 times 8 processes that open 2 sessions each at once, alone and beside many other connections. Prints what came of it;
three quarters of an hour.

python tests/shards/soak.py [--requests 100000] [--rounds 200] [--times 50]
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

from test_local_ports import Outcome, processes_at_once, rounds_of_dropped_connections  # noqa: E402

import acsylla_like  # noqa: E402
from acsylla_like.testing import Cassandra, ScyllaFacade  # noqa: E402


async def main(rounds: int, times: int) -> None:
    with Cassandra() as server:
        async with acsylla_like.connect(server.contact_points, port=server.port) as session:
            replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
            await session.execute(f"CREATE KEYSPACE soak WITH replication = {replication}")
        print(f"{rounds} rounds of dropped connections: {await rounds_of_dropped_connections(server, 'soak', rounds)}", flush=True)
        with ScyllaFacade(server, (4, 7, 16)) as facade:
            print(f"{times} times 8 processes of 2 sessions: {await many_processes(facade, times)}", flush=True)
            busy = await asyncio.create_subprocess_exec(sys.executable, str(HERE / "busy.py"), stdin=asyncio.subprocess.PIPE)
            print(f"the same beside 400 other connections a second: {await many_processes(facade, times)}", flush=True)
            await busy.communicate()


async def many_processes(facade: ScyllaFacade, times: int) -> str:
    """What became of 8 processes at once that open two sessions each, so many times over."""
    outcomes: list[Outcome] = []
    began = time.monotonic()
    for _ in range(times):
        outcomes += await processes_at_once(facade, 8)
    modes = collections.Counter(mode for outcome in outcomes for mode in outcome.modes)
    in_use = [outcome for outcome in outcomes if outcome.trouble]
    bad = [outcome for outcome in outcomes if outcome.ended or len(outcome.modes) != 2]
    for outcome in in_use + bad:
        print(outcome.printed, flush=True)
    said = f"{len(in_use)} of {len(outcomes)} processes met a port in use, {len(bad)} ended badly; sessions by mode: {dict(modes)}"
    return f"{said}; {time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--times", type=int, default=50)
    given = parser.parse_args()
    asyncio.run(main(given.rounds, given.times))
    environment = os.environ | {"ACSYLLA_LIKE_SHARD_REQUESTS": str(given.requests)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-v", f"--basetemp={folder}", str(HERE / "test_hits.py")]
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)
