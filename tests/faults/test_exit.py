"""The end of the interpreter while work is under way: the right exit code, silence, and in bounded time."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import pytest

from acsylla_like.testing import ScriptedServer, cql

PREAMBLE = """
import asyncio, math, sys, threading
import acsylla_like

contact_points, port = sys.argv[1].split(","), int(sys.argv[2])
QUERY = "SELECT release_version FROM system.local"
kept = []

async def connect(**options):
    session = await acsylla_like.connect(contact_points, port=port, **options)
    kept.append(session)
    return session

def send(session, count, query=QUERY):
    kept.extend(asyncio.ensure_future(session.execute(query)) for _ in range(count))
"""

OPEN = """
async def main():
    session = await connect()
    assert len(await session.execute(QUERY)) == 1
asyncio.run(main())
"""
IN_FLIGHT = """
async def main():
    send(await connect(), 3000)
asyncio.run(main())
assert kept[0].in_flight > 100
"""
IN_A_GLOBAL_LOOP = """
loop = asyncio.new_event_loop()
session = loop.run_until_complete(connect())
async def main():
    send(session, 3000)
loop.run_until_complete(main())
assert session.in_flight > 100
loop.close()
"""
SYS_EXIT = """
async def main():
    send(await connect(), 3000)
    sys.exit(3)
asyncio.run(main())
"""
INTERRUPTED = """
async def main():
    session = await connect()
    send(session, 3000)
    raise KeyboardInterrupt
try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(4)
"""
CONNECTING = """
async def main():
    kept.append(asyncio.create_task(acsylla_like.create_cluster(contact_points, port=port).create_session()))
    await asyncio.sleep(DELAY)
asyncio.run(main())
"""
A_THREAD_OF_ITS_OWN = """
def work():
    async def main():
        session = await connect()
        started.set()
        while True:
            try:
                await session.execute(QUERY)
            except acsylla_like.SessionClosed:
                print("closed", end="", flush=True)
                await asyncio.Event().wait()
    asyncio.run(main())
started = threading.Event()
threading.Thread(target=work, daemon=True).start()
started.wait(30)
"""
LATE_USE = """
def use():  # registered before the package's own: runs after it
    async def main():
        try:
            await kept[0].execute(QUERY)
        except acsylla_like.SessionClosed:
            print("closed", end="")
    asyncio.run(main())
"""
SILENT = """
async def main():
    session = await connect(request_timeout=TIMEOUT)
    send(session, 500, "SELECT silent")
    await asyncio.sleep(0.05)
asyncio.run(main())
"""


def leave(code, server, *, seconds, status=0, arguments=()):
    """Runs the code in an interpreter of its own; what it printed."""
    contact_points = server[0] if isinstance(server, tuple) else ",".join(server.contact_points)
    port = server[1] if isinstance(server, tuple) else server.port
    before = time.monotonic()
    command = [sys.executable, "-X", "faulthandler", *arguments, "-c", PREAMBLE + code, contact_points, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (status, "")
    assert time.monotonic() - before < seconds
    return done.stdout


@pytest.mark.parametrize("code", [OPEN, IN_FLIGHT, IN_A_GLOBAL_LOOP], ids=["a session open", "3,000 in flight", "a global loop closed"])
def test_leaving_with_a_session_open(code, cassandra):
    for _ in range(5):
        leave(code, cassandra, seconds=15)


def test_leaving_by_sys_exit_in_a_task(cassandra):
    leave(SYS_EXIT, cassandra, seconds=15, status=3)


def test_leaving_by_an_interrupt(cassandra):
    leave(INTERRUPTED, cassandra, seconds=15, status=4)


def test_leaving_in_development_mode_says_what_was_left_open(cassandra):
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", PREAMBLE + OPEN, ",".join(cassandra.contact_points), str(cassandra.port)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert "ResourceWarning: unclosed session opened at" in done.stderr


@pytest.mark.parametrize("delay", [0, 0.001, 0.005, 0.02])
def test_leaving_while_connecting(delay, cassandra):
    leave(CONNECTING.replace("DELAY", str(delay)), cassandra, seconds=15)


def test_leaving_while_connecting_into_a_black_hole():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        leave(CONNECTING.replace("DELAY", "0.1"), listening.getsockname(), seconds=15)


@pytest.mark.parametrize("timeout", ["12.0", "math.inf"])
def test_leaving_while_the_server_is_silent(timeout):
    with ScriptedServer(lambda request: cql.SILENCE) as server:
        leave(SILENT.replace("TIMEOUT", timeout), server, seconds=15)


def test_leaving_while_a_daemon_thread_is_at_work(cassandra):
    for _ in range(3):
        leave(A_THREAD_OF_ITS_OWN, cassandra, seconds=15)


def test_a_session_used_after_the_packages_exit_handler_is_closed(cassandra):
    preamble, code = "import atexit\natexit.register(lambda: use())\n", LATE_USE + IN_FLIGHT
    contact_points = ",".join(cassandra.contact_points)
    command = [sys.executable, "-X", "faulthandler", "-c", preamble + PREAMBLE + code, contact_points, str(cassandra.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "closed", "")


def test_a_killed_program_is_the_systems_business(cassandra):
    code = IN_FLIGHT + "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n"
    leave(code, cassandra, seconds=15, status=-signal.SIGTERM)
