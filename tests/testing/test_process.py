"""Servers end with their parent, whatever way it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from acsylla_like.testing import StartFailed
from acsylla_like.testing._process import Guard

# A parent that starts a server with a child of its own, prints every id and the folder, and waits.
_PARENT = """
import sys, os, time
sys.path.insert(0, {root!r})
from acsylla_like.testing._process import Guard
guard = Guard()
log = guard.folder / "log"
pid = guard.start("server", ["sh", "-c", "sleep 1000 & echo $!; wait"], log)
while not log.read_text().endswith(chr(10)):
    time.sleep(0.01)
{before}
print(guard.pid, pid, log.read_text().strip(), guard.folder, flush=True)
{wait}
"""


def _wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if sys.platform == "linux":  # a zombie whose parent is slow to reap is dead
        try:
            return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
    return True


def _start_parent(*, before: str = "", wait: str = "time.sleep(1000)") -> tuple[subprocess.Popen[str], list[int], Path]:
    import acsylla_like.testing

    root = str(Path(acsylla_like.testing.__file__).parents[2])
    code = _PARENT.format(root=root, before=before, wait=wait)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    *pids, folder = parent.stdout.readline().split()
    parent.stdout.close()
    assert Path(folder).is_dir()
    return parent, [int(pid) for pid in pids], Path(folder)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_servers_and_folder_go_when_the_parent_is_killed(number: int) -> None:
    parent, pids, folder = _start_parent()
    parent.send_signal(number)
    parent.wait()
    _wait_until(lambda: not any(map(_is_alive, pids)) and not folder.exists())


def test_servers_go_when_a_forked_child_of_the_killed_parent_lives_on() -> None:
    parent, pids, folder = _start_parent(before="child = os.fork() or time.sleep(1000); print(child, end=' ')")
    child, *pids = pids
    parent.kill()
    parent.wait()
    try:
        _wait_until(lambda: not any(map(_is_alive, pids)) and not folder.exists())
        assert _is_alive(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_servers_go_when_the_parent_ends_without_closing() -> None:
    parent, pids, folder = _start_parent(wait="os._exit(0)")
    parent.wait()
    _wait_until(lambda: not any(map(_is_alive, pids)) and not folder.exists())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the parent notices at its next call")
def test_servers_go_when_the_guard_itself_is_killed() -> None:
    guard = Guard()
    pid = guard.start("server", ["sleep", "1000"], guard.folder / "log")
    os.kill(guard.pid, signal.SIGKILL)
    _wait_until(lambda: not _is_alive(pid))
    with pytest.raises(RuntimeError, match="guard of this server was killed"):
        guard.exit_code("server")
    folder = guard.folder
    guard.close()
    assert not folder.exists()


def test_close_ends_servers_and_removes_the_folder_before_it_returns() -> None:
    guard = Guard()
    pid = guard.start("server", ["sleep", "1000"], guard.folder / "log")
    folder = guard.folder
    guard.close()
    guard.close()
    assert not _is_alive(pid)
    assert not _is_alive(guard.pid)
    assert not folder.exists()


def test_a_program_that_does_not_exist_is_named() -> None:
    guard = Guard()
    try:
        with pytest.raises(RuntimeError, match="no-such-program"):
            guard.start("server", ["no-such-program"], guard.folder / "log")
    finally:
        guard.close()


def test_a_server_that_ends_at_once_is_reported_with_its_last_lines() -> None:

    guard = Guard()
    try:
        log = guard.folder / "log"
        guard.start("server", ["sh", "-c", "echo no room left on the device; exit 3"], log)
        with pytest.raises(StartFailed, match=r"(?s)server ended with code 3; its last lines:.*no room left"):
            guard.wait_ready("server", log, lambda text: False, 10.0, threading.Event())
    finally:
        guard.close()
