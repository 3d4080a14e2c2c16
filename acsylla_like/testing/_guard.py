"""The process that runs servers for a parent, and ends them when the parent is gone.

The parent starts this file as a script of its own and talks to it in lines of JSON: one request on stdin, one answer on
stdout. Servers are the guard's children, in groups of their own. When stdin reaches its end, which the kernel sees to
whatever way the parent dies, the guard kills them all and removes its folder. There is no other way to end it, so a
normal stop and a SIGKILL of the parent leave the same: nothing.

- stdin may be held open by a forked child of the parent: the guard also watches its own parent's id.
- A guard that is killed itself takes its servers along on Linux (PR_SET_PDEATHSIG); elsewhere the parent, which knows
  their ids, does it at the next call.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1


def _kill_with_guard() -> None:
    """Runs in the child before exec: ask for SIGKILL when the guard dies, also if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Guard:
    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: list[str], log: str, cwd: str) -> dict[str, Any]:
        with open(log, "ab") as output:
            self.children[name] = subprocess.Popen(
                argv,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_kill_with_guard,  # this process has one thread
            )
        return {"pid": self.children[name].pid}

    def poll(self, name: str) -> dict[str, Any]:
        return {"code": self.children[name].poll()}

    def signal(self, name: str, number: int) -> dict[str, Any]:
        child = self.children[name]
        if child.poll() is None:  # not reaped, so the id is still this child's
            os.killpg(child.pid, number)
        return {}

    def answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            operations: dict[str, Callable[..., dict[str, Any]]]
            operations = {"start": self.start, "poll": self.poll, "signal": self.signal}
            return operations[request.pop("do")](**request)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def end(self) -> None:
        for child in self.children.values():
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
        for child in self.children.values():
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    parent = os.getppid()
    # Handlers, not SIG_IGN, which the servers would inherit: an interrupt meant for the parent's group must not
    # separate the guard from its servers.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, lambda *_: None)

    def terminate(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, terminate)
    guard = Guard(tempfile.mkdtemp(prefix="acsylla_like-"))
    try:
        os.write(1, json.dumps({"folder": guard.folder}).encode() + b"\n")
        pending = b""
        while os.getppid() == parent:
            if not select.select([0], [], [], 0.5)[0]:
                for child in guard.children.values():
                    child.poll()
                continue
            data = os.read(0, 65536)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                os.write(1, json.dumps(guard.answer(line)).encode() + b"\n")
    except BrokenPipeError:
        pass
    finally:
        guard.end()


if __name__ == "__main__":
    main()
