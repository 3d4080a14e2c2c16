"""Finds the programs a local server needs, and says how to install the one that is missing.

Stands alone (standard library only, no import of the package), so that `scripts/` can load it before anything is built.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


class ToolMissing(RuntimeError):
    """A program needed to run a server is not installed; the message names it and the command that installs it."""


#: Tool → (what it is called in messages, Debian package, Homebrew formula).
_PACKAGES = {
    "java": ("JDK 17 (java)", "openjdk-17-jdk-headless", "openjdk@17"),
    "mvn": ("maven (mvn)", "maven", "maven"),
}


def missing(tool: str, reason: str = "was not found") -> ToolMissing:
    """The error for a missing tool, with the command for this platform."""
    name, debian, homebrew = _PACKAGES[tool]
    command = f"brew install {homebrew}" if sys.platform == "darwin" else f"apt-get install {debian}"
    return ToolMissing(f"{name} {reason}; install it with: {command}")


def _java_candidates() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home, "bin", "java")
    on_path = shutil.which("java")
    if on_path and sys.platform != "darwin":  # macOS has a stub at /usr/bin/java that opens a dialogue
        yield Path(on_path)
    if sys.platform == "darwin":
        for prefix in ("/opt/homebrew", "/usr/local"):
            yield Path(prefix, "opt", "openjdk@17", "bin", "java")
        yield from sorted(Path("/Library/Java/JavaVirtualMachines").glob("*17*/Contents/Home/bin/java"))
        if on_path and on_path != "/usr/bin/java":
            yield Path(on_path)
    else:
        # Where Linux keeps several; the variable lets a test, or a user with another place, name the folders.
        for folder in os.environ.get("ACSYLLA_LIKE_JVM_FOLDERS", "/usr/lib/jvm").split(os.pathsep):
            yield from sorted(Path(folder).glob("*17*/bin/java"))


def java_version(java: Path) -> int | None:
    """The major version a `java` program reports, None when it does not run."""
    try:
        output = subprocess.run([java, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', output)
    return int(found[1]) if found else None


def find_java() -> Path:
    """The `java` program of a JDK 17, the version Cassandra 5.0 runs on.

    Raises ToolMissing when none is found in JAVA_HOME, the PATH or the platform's usual folders.
    """
    others: list[str] = []
    for java in dict.fromkeys(_java_candidates()):
        if not java.is_file():
            continue
        version = java_version(java)
        if version == 17:
            return java
        others.append(f"{java} is version {version}" if version else f"{java} does not run")
    raise missing("java", f"was not found ({'; '.join(others)})" if others else "was not found")


def find_mvn() -> Path:
    """The `mvn` program. Raises ToolMissing."""
    found = shutil.which("mvn")
    if not found:
        raise missing("mvn")
    return Path(found)
