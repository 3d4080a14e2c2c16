"""Descriptors and threads that a test leaves behind fail that test.

What a fixture of a wider scope opens while a test sets it up belongs to the fixture. A test that keeps something on
purpose says so: `@pytest.mark.keeps_open("why")`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from fix_loop import LoopFactory

import acsylla_like
from acsylla_like.testing import ScriptedServer

_SECONDS = 5.0  # threads of a closed session may take a moment

# Pools that cassandra-driver (the oracle) and concurrent.futures grow when they see fit.
_POOLS = ("ThreadPoolExecutor-", "Task Scheduler", "cassandra_driver_event_loop", "asyncore", "Connection heartbeat")

_before = pytest.StashKey[set[str]]()
_failed = pytest.StashKey[bool]()


@pytest.fixture(scope="session", autouse=True)
def _what_the_process_keeps(loop_factory: LoopFactory) -> None:
    """Lets libuv, the driver's and uvloop's, open what it keeps once it was used: a pipe for signals, threads that look names up."""

    async def connect(host: str, port: int) -> None:
        with contextlib.suppress(acsylla_like.DriverLoadError, acsylla_like.Error):
            async with acsylla_like.connect(host, port=port):
                pass

    def run() -> None:
        with ScriptedServer() as server, contextlib.closing(loop_factory()) as loop:
            loop.run_until_complete(connect(server.address, server.port))
            loop.run_until_complete(connect("no-such-host.invalid", server.port))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def _descriptors() -> set[str]:
    folder = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    found = set()
    for name in os.listdir(folder):
        try:
            target = os.readlink(f"{folder}/{name}") if sys.platform == "linux" else str(os.fstat(int(name)).st_mode)
        except OSError:  # the folder's own descriptor, closed by now
            continue
        if target != "/dev/urandom":
            found.add(f"descriptor {name} ({target})")
    return found


def _threads() -> set[str]:
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    if sys.platform == "linux":
        ids = {int(task.name) for task in Path("/proc/self/task").iterdir()}
    else:
        ids = {number for number in names if number is not None}
    return {f"thread {number} ({names.get(number, 'not from Python')})" for number in ids if not names.get(number, "").startswith(_POOLS)}


def _open() -> set[str]:
    return _descriptors() | _threads()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "keeps_open(reason): the test leaves descriptors or threads behind on purpose")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    item.config.stash[_before] = _open()  # tests run one at a time
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request) -> Generator[None, object, object]:
    if fixturedef.scope == "function":
        return (yield)
    before = _open()
    try:
        return (yield)
    finally:
        request.config.stash[_before] |= _open() - before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed or report.skipped:
        item.stash[_failed] = True  # its traceback keeps what it had
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    result = yield
    before = item.config.stash[_before]
    if item.get_closest_marker("keeps_open") or item.stash.get(_failed, False):
        return result
    deadline = time.monotonic() + _SECONDS
    while leaked := _open() - before:
        if time.monotonic() > deadline:
            pytest.fail("left behind: " + ", ".join(sorted(leaked)), pytrace=False)
        gc.collect()
        acsylla_like._native.forget_closed_loops()  # a reactor is let go of at the latest when the next one is made
        time.sleep(0.01)
    return result
