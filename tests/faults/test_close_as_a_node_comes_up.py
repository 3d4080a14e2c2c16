"""A session that is closed while a node comes up, in a process of its own: the driver used to crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import acsylla_like

PROGRAM = """
import asyncio, sys
import acsylla_like
from acsylla_like.testing import ScyllaFacade

class Server:
    contact_points, port = [sys.argv[1]], int(sys.argv[2])

async def main():
    with ScyllaFacade(Server, shards=(None, None)) as facade:
        near, far = facade.nodes
        for round in range(24):
            session = await acsylla_like.connect(near.address, port=near.port)
            for i in range(50):  # which the driver would prepare on the node that comes up
                await session.create_prepared(f"SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? LIMIT {i + 1}")
            far.stop()
            await asyncio.sleep(0.02)
            far.start()
            await asyncio.sleep(0.002 * (round % 12))
            await session.close()

asyncio.run(main())
print("lived")
"""


def test_a_session_is_closed_while_a_node_comes_up(cassandra: Any) -> None:
    package = str(Path(acsylla_like.__file__).parent.parent)
    program = f"import sys; sys.path.insert(0, {package!r})\n{PROGRAM}"
    command = [sys.executable, "-c", program, cassandra.contact_points[0], str(cassandra.port)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout) == (0, "lived\n"), ran.stderr
