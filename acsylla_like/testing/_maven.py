"""Fetches jars through maven into the user's cache folder, once for all processes."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import _tools

logger = logging.getLogger("acsylla_like.testing")

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

# Test-only leaves of the tree are left to maven's runtime scope; the pom needs no namespace.
_POM = """\
<project><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>classpath</artifactId><version>1</version>
<dependencies><dependency>
<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
</dependency></dependencies></project>
"""


def cache_folder() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/acsylla_like`, or the same under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base if base else Path.home() / ".cache") / "acsylla_like"


def jars_folder(artifact: str, version: str) -> Path:
    """Where the jars of an artifact are once they are there."""
    return cache_folder() / f"{artifact}-{version}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released by closing the file, also when the process is killed
        yield


def fetch_jars(group: str, artifact: str, version: str, *, transitive: bool = True) -> Path:
    """The folder that holds an artifact's jar and, with `transitive`, the jars it depends on.

    The first call downloads them (66 MB for Cassandra); later ones, from any process, find the folder there.
    Raises ToolMissing without maven, RuntimeError with maven's last lines when the download fails.
    """
    folder = jars_folder(artifact, version)
    if folder.is_dir():
        return folder
    with _locked(folder.with_name(folder.name + ".lock")):
        if folder.is_dir():
            return folder
        mvn = _tools.find_mvn()
        java = _tools.find_java()
        logger.info("downloading %s %s with maven (once)", artifact, version)
        work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            (work / "pom.xml").write_text(_POM.format(group=group, artifact=artifact, version=version))
            arguments = [f"-DoutputDirectory={work / 'lib'}", "-DincludeScope=runtime"]
            if not transitive:
                arguments.append("-DexcludeTransitive=true")
            done = subprocess.run(
                [mvn, "-B", "-q", _PLUGIN, *arguments],
                cwd=work,
                env={**os.environ, "JAVA_HOME": str(java.resolve().parent.parent)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode != 0 or not any(work.glob(f"lib/{artifact}-{version}*.jar")):
                lines = [line for line in done.stdout.splitlines() if line.strip()][:5]
                raise RuntimeError(f"maven could not fetch {group}:{artifact}:{version}: " + "\n".join(lines))
            (work / "lib").rename(folder)  # complete or not there at all
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return folder
