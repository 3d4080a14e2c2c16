"""The driver's log lines, from every cluster, in the logger `acsylla_like.driver`."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import until

import acsylla_like
from acsylla_like import _native
from acsylla_like.testing import ScriptedServer

LOGGER = "acsylla_like.driver"


@pytest.fixture(autouse=True)
def nothing_waits():
    _native.deliver_log_lines()


async def test_lines_of_all_clusters_arrive_not_only_those_of_the_newest(caplog):
    """Each server goes away under its session; the driver says so for each, naming its address."""
    caplog.set_level(logging.DEBUG, LOGGER)
    with ScriptedServer() as first, ScriptedServer() as second, ScriptedServer() as third:
        servers = [first, second, third]
        sessions = [await acsylla_like.connect(server.address, port=server.port) for server in servers]
        _native.deliver_log_lines()
        caplog.clear()  # what was said of each while it was the newest
        for server in servers:
            server.stop_listening()
            server.drop_connections()
            await until(lambda server=server: any(server.address in record.getMessage() for record in caplog.records))
        for session in sessions:
            await session.close()
    for record in caplog.records:
        assert record.name == LOGGER
        assert record.levelno in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
        assert record.funcName
        assert record.lineno > 0


async def test_a_server_without_shards_is_nothing_to_worry_about(cassandra, caplog):
    caplog.set_level(logging.DEBUG, LOGGER)
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port) as session:
        await session.execute("SELECT key FROM system.local")
    _native.deliver_log_lines()
    records = [record for record in caplog.records if "WITHOUT SHARD-AWARENESS" in record.getMessage()]
    assert records
    assert {record.levelno for record in records} == {logging.DEBUG}


async def test_a_handler_that_fails_loses_neither_requests_nor_later_lines(cassandra, caplog):
    class Failing(logging.Filter):
        calls = 0

        def filter(self, record):
            self.calls += 1
            raise ValueError("mine")

    failing = Failing()
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    logger = logging.getLogger(LOGGER)
    caplog.set_level(logging.DEBUG, LOGGER)
    logger.addFilter(failing)
    try:
        async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port) as session:
            assert len(await session.execute("SELECT key FROM system.local")) == 1
            await until(lambda: failing.calls)
    finally:
        logger.removeFilter(failing)
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port) as session:
        assert len(await session.execute("SELECT key FROM system.local")) == 1
        await until(lambda: caplog.records)


PROGRAM = """
import asyncio, logging, sys, threading, time
import acsylla_like
from acsylla_like import _native

lines = []
class Keep(logging.Handler):
    def emit(self, record):
        lines.append(record)
logger = logging.getLogger("acsylla_like.driver")
logger.addHandler(Keep())
logger.setLevel(1)
logger.propagate = False
_native.set_driver_log_level("trace")
hosts, port = sys.argv[1].split(","), int(sys.argv[2])

async def main():
    session = await acsylla_like.connect(hosts, port=port)
    for _ in range(20):
        await asyncio.gather(*(session.execute("SELECT key FROM system.local") for _ in range(100)))
    return session

session = asyncio.run(main())
seen = len(lines)
assert seen > 100, seen
"""

WITHOUT_A_LOOP = """
deadline = time.monotonic() + 20
async def again():
    await session.execute("SELECT key FROM system.local")
thread = threading.Thread(target=lambda: asyncio.run(again()))
thread.start(); thread.join()
_native.deliver_log_lines()
assert len(lines) > seen
before = len(lines)
session._release()  # closing says something, and no loop runs to take it
del session
while len(lines) == before:
    assert time.monotonic() < deadline
    _native.deliver_log_lines()
    time.sleep(0.01)
print("fine")
"""


def test_lines_need_no_running_loop(cassandra):
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-c",
        PROGRAM + WITHOUT_A_LOOP,
        ",".join(cassandra.contact_points),
        str(cassandra.port),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(acsylla_like.__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="log level 'loud' is none of disabled, critical"):
        _native.set_driver_log_level("loud")
