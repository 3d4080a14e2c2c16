"""The event loop that tests run in: `--loop asyncio`, `debug` or `uvloop`, or the variable ACSYLLA_LIKE_TEST_LOOP."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def _debug_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    return loop


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


_FACTORIES: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop, "debug": _debug_loop, "uvloop": _uvloop}


def pytest_addoption(parser: pytest.Parser) -> None:
    default = os.environ.get("ACSYLLA_LIKE_TEST_LOOP", "asyncio")
    parser.addoption("--loop", choices=sorted(_FACTORIES), default=default, help="event loop that tests run in")
    parser.addoption("--wakeup", choices=["eventfd", "pipe"], help="how driver threads wake the loop (ACSYLLA_LIKE_WAKEUP)")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--wakeup"):
        os.environ["ACSYLLA_LIKE_WAKEUP"] = config.getoption("--wakeup")  # the core reads it when it makes a reactor
    if sys.version_info < (3, 11):
        _keep_contexts_apart()
    _FACTORIES[config.getoption("--loop")]().close()  # libuv keeps a pipe for the process, which no test shall be blamed for


def _keep_contexts_apart() -> None:
    """pytest-asyncio's Runner for CPython 3.10 replaces contextvars.copy_context while it makes a test's task. Callbacks that another
    thread's loop is given meanwhile would get the test's context, and be lost where that is entered at the time."""
    from backports.asyncio.runner import runner

    replace, copy_context = runner._patch_object, contextvars.copy_context

    def replaced_here(target: object, name: str, value: Callable[[], Any]) -> contextlib.AbstractContextManager[None]:
        if name != "copy_context":
            return replace(target, name, value)
        here = threading.get_ident()
        return replace(target, name, lambda: value() if threading.get_ident() == here else copy_context())

    runner._patch_object = replaced_here


def pytest_report_header(config: pytest.Config) -> str:
    return f"loop: {config.getoption('--loop')}, wake-up: {os.environ.get('ACSYLLA_LIKE_WAKEUP', 'default')}"


def pytest_asyncio_loop_factories(config: pytest.Config) -> Mapping[str, LoopFactory]:
    name = config.getoption("--loop")
    return {name: _FACTORIES[name]}


@pytest.fixture(scope="session")
def loop_factory(pytestconfig: pytest.Config) -> LoopFactory:
    """Makes event loops of the kind chosen, for tests that run their own."""
    return _FACTORIES[pytestconfig.getoption("--loop")]
