"""The command line as its users start it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import acsylla_like

_PATIENCE = 300.0


class Cli:
    """Starts commands for a server."""

    def __init__(self, server: Any, folder: Path) -> None:
        self._server = server
        self.folder = folder

    def start(self, command: str, *arguments: object, port: int | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """The process; its folder is `folder`."""
        connection = ["--contact-points", ",".join(self._server.contact_points), "--port", str(port or self._server.port)]
        environment = {**os.environ, "PYTHONPATH": str(Path(acsylla_like.__file__).parent.parent), "COLUMNS": "200"}
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "acsylla_like", command, *map(str, arguments), *connection],
            cwd=self.folder,
            env={**environment, **options.pop("environment", {})},
            stdin=options.pop("stdin", subprocess.PIPE),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            **options,
        )

    def __call__(self, command: str, *arguments: object, code: int = 0, input: bytes = b"", **options: Any) -> Any:
        """Runs a command to its end, which must be with this exit code; `.stdout` and `.stderr` are what it wrote."""
        process = self.start(command, *arguments, **options)
        try:
            output, errors = process.communicate(input, timeout=_PATIENCE)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == code, (process.returncode, errors.decode())
        return subprocess.CompletedProcess(arguments, code, output, errors.decode())

    def peak(self, command: str, *arguments: object) -> float:
        """The memory that a command needs at most, in MB: of its own, without what its parent had when it was started."""
        (self.folder / "measure").mkdir(exist_ok=True)
        (self.folder / "measure" / "sitecustomize.py").write_text(_TELLS_ITS_PEAK)
        paths = [str(self.folder / "measure"), str(Path(acsylla_like.__file__).parent.parent)]
        self(command, *arguments, environment={"PYTHONPATH": os.pathsep.join(paths)})
        return int((self.folder / "measure" / "peak").read_text()) / 1024


_TELLS_ITS_PEAK = """
import atexit, pathlib, re, resource, sys

def tell():
    if sys.platform == "linux":  # ru_maxrss begins with what the parent had
        peak = re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    (pathlib.Path(__file__).parent / "peak").write_text(str(peak))

atexit.register(tell)
"""


@pytest.fixture
def cli(cassandra: Any, tmp_path: Path) -> Cli:
    return Cli(cassandra, tmp_path)
