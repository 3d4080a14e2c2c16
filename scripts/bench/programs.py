"""The bench's C++ programs: built when first needed, kept in a cache folder, run as children that end with this process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DRIVER_TABLE = ROOT / "src_cpp"

_SOURCES: dict[str, Sequence[Path]] = {
    "null_server": (),
    "delay_proxy": (),
    "bare_driver": tuple(DRIVER_TABLE / f"{stem}.cpp" for stem in ("driver", "callbacks", "wakeup")),
}
_FLAGS = ("-std=c++17", "-O2", "-Wall", "-Wextra", "-pthread", f"-I{DRIVER_TABLE}")


def build(name: str) -> Path:
    """The program of the folder `name`, compiled unless the cache has it for these very sources. Raises CalledProcessError."""
    sources = [*sorted((HERE / name).glob("*.cpp")), *_SOURCES[name]]
    headers = [*(HERE / name).glob("*.hpp"), *DRIVER_TABLE.glob("*.hpp"), *DRIVER_TABLE.glob("*.def")]
    compiler = os.environ.get("CXX", "g++")
    content = hashlib.sha256(repr((compiler, _FLAGS)).encode())
    for path in [*sources, *sorted(headers)]:
        content.update(path.read_bytes())
    program = ROOT / ".cache" / "bench" / f"{name}-{content.hexdigest()[:16]}"
    if not program.exists():
        print(f"building {name} …", file=sys.stderr)
        program.parent.mkdir(parents=True, exist_ok=True)
        unfinished = program.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, *_FLAGS, *map(str, sources), "-ldl", "-o", str(unfinished)], check=True)
        unfinished.replace(program)
    return program


def libpython() -> Path:
    """The running interpreter's shared library. Raises FileNotFoundError for an interpreter that was built without one."""
    folder, name = sysconfig.get_config_vars("LIBDIR", "INSTSONAME")
    library = Path(str(folder), str(name))
    if not sysconfig.get_config_var("Py_ENABLE_SHARED") or not library.exists():
        raise FileNotFoundError(f"{sys.executable} has no shared libpython, which the bare driver's library refers to")
    return library


class Listener:
    """A program of ours that listens on a loopback address; `with` starts and ends it. It also ends with this process."""

    def __init__(self, name: str, address: str, port: int, *options: str | int) -> None:
        self.name, self.address, self.port = name, address, port
        self._options = options

    def __enter__(self) -> Self:
        command = [str(build(self.name)), self.address, str(self.port), *map(str, self._options)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self._process.wait()}; see above")
        self.port = json.loads(line)["port"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._process.communicate(timeout=10)  # the end of its input ends it

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid


class NullServer(Listener):
    """The server that answers at once. A port of 0 takes a free one."""

    def __init__(
        self, address: str = "127.0.0.1", port: int = 0, *, threads: int = 1, table_rows: int = 100_000, bulk_rows: int = 100_000
    ) -> None:
        super().__init__("null_server", address, port, threads, table_rows, bulk_rows)


def pid_of_listener(host: str, port: int) -> int | None:
    """The process that listens at an address (IPv4) of this machine; None where that cannot be seen."""
    wanted = {f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{port:04X}" for address in (host, "0.0.0.0")}
    wanted |= {f"0000000000000000FFFF0000{place}" for place in wanted} | {f"{0:032X}:{port:04X}"}
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            fields = [line.split() for line in Path(table).read_text(encoding="utf-8").splitlines()[1:]]
            inodes |= {f"socket:[{field[9]}]" for field in fields if field[1] in wanted and field[3] == "0A"}  # which listen
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) in inodes:
                return int(descriptor.parts[2])
    return None


class DelayProxy(Listener):
    """A way to the server at `address` and `port` that takes `delay` seconds longer, there and back; a port of its own there."""

    def __init__(self, address: str, port: int, delay: float) -> None:
        super().__init__("delay_proxy", address, 0, address, port, round(delay * 1e6))
