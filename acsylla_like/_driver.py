"""Which driver library is used: found on first use, opened once, never unloaded.

The order of search is `load_driver(path)`, `ACSYLLA_LIKE_DRIVER=<path>|system`, the bundle, the system's library. A choice
that somebody made by name is not replaced by another library when it fails.
"""

from __future__ import annotations

import functools
import json
import mmap
import os
import platform
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import MappingProxyType

from acsylla_like import _native
from acsylla_like._native import DriverLoadError

__all__ = ["DriverInfo", "DriverLoadError", "driver_info", "ensure_loaded", "load_driver"]

VARIABLE = "ACSYLLA_LIKE_DRIVER"
# 0: rows are read by way of the driver's iterator, as with a library that is not the bundled one (row_walk.hpp).
ROW_WALK_VARIABLE = "ACSYLLA_LIKE_ROW_WALK"

# The interpreter's own name for its extensions (cpython-311-x86_64-linux-gnu): the library refers to its symbols.
BUNDLE = Path(__file__).parent / "_bundled" / "acsylla" / EXTENSION_SUFFIXES[0].split(".")[1]
BUNDLED_LIBRARY = BUNDLE / "driver.so"

# What a library that has them says to the server, or reads of its answer (ScyllaDB's protocol extensions).
_PROTOCOL_FEATURES = {"shard_routing": b"SCYLLA_NR_SHARDS", "tablet_routing": b"TABLETS_ROUTING_V1"}

_lock = threading.Lock()


@dataclass(frozen=True)
class DriverInfo:
    """The driver library in use."""

    path: str
    """Where the library lies."""
    version: str
    """The driver's version, "unknown" where neither the bundle nor the file's name tells."""
    features: Mapping[str, bool]
    """The functions that not every driver has, and whether this one has each; and whether it routes to ScyllaDB's shards
    ("shard_routing") and by tablets ("tablet_routing")."""
    tls: str
    """The version text of the OpenSSL that the library uses, "unknown" where it does not tell."""


@dataclass(frozen=True)
class _Place:
    """One place to look: what it is for the reader of an error, and the library or why there is none."""

    name: str
    library: str | None
    reason: str = ""


def load_driver(path: str | os.PathLike[str]) -> None:
    """Use the driver library at `path` instead of the one that would be found; call it before the first cluster.

    Raises DriverLoadError with the reason when it cannot be used, RuntimeError when another library is loaded already.
    """
    given = os.fspath(path)
    if not given:
        raise ValueError("the path of the driver library is empty")
    library = _as_library(given)
    with _lock:
        loaded = _native.library_path()
        if loaded is None:
            _load([_Place(f"load_driver({given!r})", library)])
        elif not _is_same_file(library, loaded):
            raise RuntimeError(
                f"cannot load the driver library {given}: {loaded} is loaded already, and a process uses one; "
                "call load_driver before anything else of acsylla_like"
            )


def driver_info() -> DriverInfo:
    """Tell which driver library is in use, loading it if none is yet.

    Raises DriverLoadError when none can be loaded.
    """
    ensure_loaded()
    path = _native.library_path()
    assert path is not None
    return DriverInfo(
        path=path,
        version=_version(path),
        features=MappingProxyType({**_native.library_functions(), **_protocol_features(path)}),
        tls=_native.library_symbol_text("OpenSSL_version") or "unknown",
    )


@functools.cache
def _protocol_features(path: str) -> dict[str, bool]:
    """Which of them the library's text has: no function tells. None of them where it cannot be read any more."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return {name: content.find(said) >= 0 for name, said in _PROTOCOL_FEATURES.items()}
    except OSError:
        return {}


def ensure_loaded() -> None:
    """Load the driver library unless one is loaded; whatever is about to use the driver calls this first."""
    if _native.library_path() is None:
        with _lock:
            if _native.library_path() is None:
                _load(_places())


def _load(places: Iterator[_Place] | list[_Place]) -> None:
    """Load from the first place that works, or raise an error that lists them all."""
    tried = []
    for place in places:
        if place.library is None:
            tried.append(f"{place.name}: {place.reason}")
            continue
        try:
            _native.load_library(place.library)
        except DriverLoadError as error:
            reason = str(error).removeprefix(f"{place.library}: ")
            tried.append(f"{place.name}: {reason}")
        else:
            # Its private layout is known of the library whose content was checked when it was bundled, and of no other.
            is_pinned = _is_same_file(str(BUNDLED_LIBRARY), _native.library_path() or "")
            _native.walk_rows_in_memory(is_pinned and os.environ.get(ROW_WALK_VARIABLE, "1") != "0")
            if is_pinned:
                _native.guard_decoder()
            return
    raise DriverLoadError(
        "no driver library could be loaded; tried\n"
        + "".join(f"  {line}\n" for line in tried)
        + f"install the package with its bundle, or name a library with {VARIABLE}=<path> or acsylla_like.load_driver(path)"
    )


def _places() -> Iterator[_Place]:
    """Every place to look in, in order."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen == "system":
        yield from _system_places()
    elif chosen:
        yield _Place(f"{VARIABLE}={chosen}", _as_library(chosen))
    else:
        yield _bundle_place()
        yield from _system_places()


def _bundle_place() -> _Place:
    if BUNDLED_LIBRARY.is_file():
        return _Place(f"bundle {BUNDLED_LIBRARY}", str(BUNDLED_LIBRARY))
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        return _Place("bundle", None, "there is none for macOS x86_64, where the system's driver library is used")
    return _Place(f"bundle {BUNDLED_LIBRARY}", None, "this installation was built without a bundle for this interpreter")


def _system_places() -> Iterator[_Place]:
    for stem in ("libscylla-cpp-driver", "libcassandra"):
        if sys.platform == "darwin":
            # The dynamic linker does not look where Homebrew installs on Apple silicon.
            names = [f"{folder}{stem}{version}.dylib" for folder in ("", "/opt/homebrew/lib/", "/usr/local/lib/") for version in (".2", "")]
        else:
            names = [f"{stem}.so.2", f"{stem}.so"]
        for name in names:
            yield _Place(f"system {name}", name)


def _as_library(path: str) -> str:
    """A path for a file that is there; what names none is left to the dynamic linker's own search (libcassandra.so.2)."""
    return os.path.abspath(path) if os.path.exists(path) else path


def _is_same_file(library: str, loaded: str) -> bool:
    if os.sep not in library:  # a name that the dynamic linker resolved
        return library == os.path.basename(loaded)
    return library == loaded or (os.path.exists(library) and os.path.exists(loaded) and os.path.samefile(library, loaded))


def _version(path: str) -> str:
    """The version recorded with the bundle when its pin was checked, else the one in the file's name behind all links."""
    if _is_same_file(str(BUNDLED_LIBRARY), path):
        return str(json.loads((BUNDLE / "bundle.json").read_text(encoding="utf-8"))["driver_version"])
    name = os.path.basename(os.path.realpath(path))
    found = re.search(r"\.so\.(\d+(?:\.\d+)*)$", name) or re.search(r"\.(\d+(?:\.\d+)*)\.dylib$", name)
    return found[1] if found else "unknown"
