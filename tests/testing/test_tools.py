"""What is said when a tool is missing: one line that names it and the command that installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from acsylla_like.testing import Cassandra, ToolMissing, _maven, _tools

ROOT = Path(__file__).parents[2]
APT_GET = "apt-get install"


@pytest.fixture(autouse=True)
def debian(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Makes a PATH of just these programs: a name alone is the real one, a text is a shell script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ACSYLLA_LIKE_JVM_FOLDERS", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    real = os.environ["PATH"]
    monkeypatch.setenv("PATH", str(folder))

    def add(**programs: str | None) -> None:
        for name, script in programs.items():
            if script is None:
                found = sys.executable if name == "python3" else shutil.which(name, path=real)
                assert found
                (folder / name).write_text(f'#!/bin/sh\nexec "{found}" "$@"\n')
            else:
                (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    return add


def java_of(version: str) -> str:
    return f"""echo 'openjdk version "{version}" 2025-04-15' >&2"""


def test_a_missing_jdk_is_named_with_the_command_for_it(tools):
    with pytest.raises(ToolMissing, match=rf"^JDK 17 \(java\) was not found; install it with: {APT_GET} openjdk-17-jdk-headless$"):
        _tools.find_java()


def test_a_jdk_of_another_version_is_said_to_be_one(tools):
    tools(java=java_of("21.0.2"))
    with pytest.raises(ToolMissing, match=r"JDK 17 \(java\) was not found \(\S+/java is version 21\); install"):
        _tools.find_java()
    tools(java="exit 1")
    with pytest.raises(ToolMissing, match=r"/java does not run\); install"):
        _tools.find_java()


def test_java_home_comes_before_the_path(tools, tmp_path, monkeypatch):
    tools(java=java_of("21.0.2"))
    home = tmp_path / "home" / "bin"
    home.mkdir(parents=True)
    (home / "java").write_text(f"#!/bin/sh\n{java_of('17.0.9')}\n")
    (home / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(home.parent))
    assert _tools.find_java() == home / "java"


def test_a_jdk_beside_the_default_one_is_found(tools, tmp_path):
    tools(java=java_of("21.0.2"))
    beside = tmp_path / "java-17-openjdk" / "bin"
    beside.mkdir(parents=True)
    (beside / "java").write_text(f"#!/bin/sh\n{java_of('17.0.9')}\n")
    (beside / "java").chmod(0o755)
    assert _tools.find_java() == beside / "java"


def test_macos_is_told_of_homebrew(tools, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert str(_tools.missing("mvn")) == "maven (mvn) was not found; install it with: brew install maven"


def test_maven_is_wanted_only_while_the_jars_are_not_there(tools):
    tools(java=java_of("17.0.9"))
    with pytest.raises(ToolMissing, match=rf"^maven \(mvn\) was not found; install it with: {APT_GET} maven$"):
        Cassandra().start()
    with pytest.raises(ToolMissing, match="maven"):
        Cassandra.check_tools()
    _maven.jars_folder("cassandra-all", "5.0.6").mkdir(parents=True)
    Cassandra.check_tools()


def test_a_failing_download_is_one_error_with_mavens_words_and_leaves_nothing(tools, tmp_path):
    tools(java=java_of("17.0.9"), mvn="echo '[ERROR] Could not resolve dependencies'; exit 1")
    with pytest.raises(RuntimeError, match=r"maven could not fetch g:a:1: \[ERROR\] Could not resolve dependencies"):
        _maven.fetch_jars("g", "a", "1")
    assert [path.name for path in (tmp_path / "cache" / "acsylla_like").iterdir()] == ["a-1.lock"]


def test_a_download_is_there_as_a_whole_and_only_once(tools, tmp_path):
    tools(
        java=java_of("17.0.9"),
        touch=None,
        mkdir=None,
        mvn='for a; do case $a in -DoutputDirectory=*) mkdir "${a#*=}"; touch "${a#*=}/a-1.jar";; esac; done',
    )
    folder = _maven.fetch_jars("g", "a", "1")
    assert [path.name for path in folder.iterdir()] == ["a-1.jar"]
    tools(mvn="exit 1")
    assert _maven.fetch_jars("g", "a", "1") == folder


def script(name: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(["/bin/sh", ROOT / "scripts" / name, *arguments], capture_output=True, text=True, cwd="/")
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ["demo", "test"])
def test_scripts_say_in_one_line_what_is_missing(tools, name):
    tools(dirname=None, uname="echo Linux")
    code, output, errors = script(name)
    wanted = f"no CPython 3.10 or later was found; install it with: {APT_GET} python3 python3-venv python3-dev\n"
    assert (code, output) == (1, "")
    assert errors.endswith(wanted)
    assert errors.count("\n") == 1

    tools(python3="echo 'python3 (3.11) lacks the module venv; install with: apt-get install python3.11-venv' >&2; exit 1")
    assert script(name)[2].endswith("lacks the module venv; install with: apt-get install python3.11-venv\n")

    tools(python3=None)
    assert script(name) == (
        1,
        "",
        f"scripts/{name}: JDK 17 (java) was not found; install it with: {APT_GET} openjdk-17-jdk-headless\n",
    )
    tools(java=java_of("17.0.9"))
    assert script(name) == (1, "", f"scripts/{name}: maven (mvn) was not found; install it with: {APT_GET} maven\n")


def test_scripts_want_a_compiler(tools):
    tools(dirname=None, python3=None, java=java_of("17.0.9"), mvn="exit 1")
    wanted = f"scripts/test: a C++ compiler (g++ or clang++) was not found; install it with: {APT_GET} g++\n"
    assert script("test") == (1, "", wanted)
