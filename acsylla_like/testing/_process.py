"""The parent's side of the guard: server processes that never outlive this one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_GUARD = Path(__file__).with_name("_guard.py")


class StartFailed(RuntimeError):
    """A server did not become ready; the message ends with the last lines of its log."""


class Guard:
    """A guard process (see `_guard.py`), its folder, and the servers it runs. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # one request and its answer at a time
        self._pids: dict[str, int] = {}  # servers started, for the day the guard itself is killed
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # out of reach of the terminal's interrupt
        )
        _guards.add(self)
        try:
            self.folder = Path(self._read()["folder"])
        except BaseException:
            self._process.kill()
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The id of the guard process."""
        return self._process.pid

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._avenge()
            raise RuntimeError("the guard of this server was killed, and the server with it")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _avenge(self) -> None:
        """Does the guard's last duties after it was killed itself."""
        for pid in self._pids.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        self._pids.clear()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _call(self, **request: Any) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # the read says it
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            answer = self._read()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def start(self, name: str, argv: Sequence[str], log: Path) -> int:
        """Starts a server called `name`, its output appended to `log`; returns its process id."""
        pid: int = self._call(do="start", name=name, argv=list(argv), log=str(log), cwd=str(self.folder))["pid"]
        self._pids[name] = pid
        return pid

    def exit_code(self, name: str) -> int | None:
        """The exit code of a server (negative for a signal), None while it runs."""
        code: int | None = self._call(do="poll", name=name)["code"]
        if code is not None:
            self._pids.pop(name, None)
        return code

    def signal(self, name: str, number: int) -> None:
        """Sends a signal to a server's process group."""
        self._call(do="signal", name=name, number=number)

    def end(self, name: str, number: int, timeout: float) -> None:
        """Sends a signal and waits until the server has gone; after `timeout` seconds it is killed."""
        self.signal(name, number)
        deadline = time.monotonic() + timeout
        while self.exit_code(name) is None:
            if time.monotonic() > deadline:
                self.signal(name, signal.SIGKILL)
                deadline += 60
            time.sleep(0.02)

    def wait_ready(
        self, name: str, log: Path, is_ready: Callable[[str], bool], timeout: float, aborted: threading.Event, start: int = 0
    ) -> None:
        """Waits until `is_ready(log text from byte start)`; raises StartFailed when the server ends or takes too long."""
        deadline = time.monotonic() + timeout
        while True:
            code = self.exit_code(name)
            text = log.read_bytes()[start:].decode(errors="replace")
            if code is None and is_ready(text):
                return
            if aborted.is_set():
                raise StartFailed(f"{name}: the start was given up")
            if code is not None or time.monotonic() > deadline:
                why = f"ended with code {code}" if code is not None else f"was not ready after {timeout:g} s"
                raise StartFailed(f"{name} {why}; its last lines:\n" + last_lines(text))
            time.sleep(0.05)

    def close(self) -> None:
        """Ends every server, removes the folder and waits until all of it is done; the second call does nothing."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if process.wait() != 0:
            self._avenge()
        process.stdout.close()
        _guards.discard(self)

    def _leave_to_parent(self) -> None:
        """In a forked child: let go of the pipes, so that they close with the parent."""
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                os.dup2(null, stream.fileno(), inheritable=False)  # the number stays ours: the stream closes it later
        os.close(null)
        self._process.returncode = 0  # not this process's child: nothing to wait for, nothing to warn about


_guards: weakref.WeakSet[Guard] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for guard in _guards:
        guard._leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)


def last_lines(text: str, count: int = 15) -> str:
    """The last lines of a log, without stack frames, each shortened, for an error message."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("\tat ", "\t..."))]
    return "\n".join(line[:300] for line in lines[-count:])
