"""Prepares an environment with the package in it, then runs the demonstration or the tests there.

Everything goes to `.cache/` in the repository: a copy of the sources to build from (so that only what changed is compiled
again), one wheel, one virtual environment per interpreter. What is unchanged is used again.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
SERVER_VARIABLE = "ACSYLLA_LIKE_TEST_SERVER"

# What a wheel is made from, and what a build leaves among it.
SOURCES = ["setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "acsylla_like", "src_cpp", "vendor"]
LEFTOVERS = re.compile(r"(^|/)(__pycache__|_bundled|[^/]*\.egg-info)(/|$)|\.(py[co]|so|dylib|o)$|_native\.(cpp|html)$")
BUILD_VARIABLES = ["ACSYLLA_LIKE_BUNDLE", "ACSYLLA_LIKE_DEBUG", "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS"]


class Problem(Exception):
    """What the user is told in one line."""


def say(text: str) -> None:
    print(f"» {text}", flush=True)


def load_testing() -> ModuleType:
    """`acsylla_like.testing` from the sources; it needs neither the extension nor the package around it."""
    folder = ROOT / "acsylla_like" / "testing"
    spec = importlib.util.spec_from_file_location("testing", folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise Problem(f"{folder} is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules["testing"] = module
    spec.loader.exec_module(module)
    return module


# Child processes ---------------------------------------------------------------------------------------------------------


def run(command: Sequence[object], *, own_group: bool = True, patience: float = 15.0, **options: object) -> int:
    """Runs a command; when this process is interrupted, the command is, too, and has `patience` seconds to end.

    In a group of its own it is interrupted with all its children; without, the terminal's interrupt reaches it by itself.
    """
    process = subprocess.Popen([str(part) for part in command], start_new_session=own_group, **options)  # type: ignore[call-overload]
    try:
        return int(process.wait())
    except BaseException:
        for number, seconds in ((signal.SIGINT, patience), (signal.SIGKILL, None)):
            if process.poll() is None:
                if own_group:
                    os.killpg(process.pid, number)
                else:
                    process.send_signal(number)
                try:
                    process.wait(seconds)
                except subprocess.TimeoutExpired:
                    continue
            break
        raise


def run_quietly(command: Sequence[object], failure: str) -> None:
    """Runs a command whose output is shown only when it fails."""
    log = CACHE / "last.log"
    with open(log, "wb") as output:
        code = run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=CACHE)
    if code:
        sys.stdout.write(log.read_text(errors="replace"))
        raise Problem(failure)


# Interpreters ------------------------------------------------------------------------------------------------------------

_FACTS = """
import importlib.util, json, os, sys, sysconfig
print(json.dumps({
    "executable": sys.executable,
    "version": ".".join(map(str, sys.version_info[:3])),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "suitable": sys.version_info >= (3, 10) and sys.implementation.name == "cpython",
    "headers": os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "venv": all(map(importlib.util.find_spec, ("venv", "ensurepip"))),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython to build for."""

    executable: str
    version: str
    free_threaded: bool
    suitable: bool
    headers: bool
    venv: bool

    @classmethod
    def at(cls, path: str | Path) -> Interpreter | None:
        """What is found there, None when it does not run."""
        try:
            output = subprocess.run([path, "-I", "-c", _FACTS], capture_output=True, check=True, timeout=60).stdout
            return cls(**json.loads(output))
        except (OSError, subprocess.SubprocessError, ValueError):
            return None

    @property
    def name(self) -> str:
        return f"{self.version}{'t' if self.free_threaded else ''}"

    @property
    def tag(self) -> str:
        """Names its folders: two interpreters of one version are two."""
        return f"{self.name}-{hashlib.sha256(self.executable.encode()).hexdigest()[:8]}"


def all_interpreters() -> Iterator[Interpreter]:
    """One of every version from 3.10 that is on the PATH or that pyenv has."""
    candidates = [Path(sys.executable)]
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidates += sorted(Path(folder).glob("python3.[0-9]*"), reverse=True) if folder else []
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates += sorted(pyenv.glob("versions/*/bin/python3"))
    seen = set()
    for path in candidates:
        if not re.fullmatch(r"python3?(\.\d+t?)?", path.name):
            continue
        interpreter = Interpreter.at(path)
        if interpreter is None or not interpreter.suitable or interpreter.name in seen:
            continue
        seen.add(interpreter.name)
        if interpreter.headers and interpreter.venv:
            yield interpreter
        else:
            say(f"leaving out {interpreter.executable}: it lacks {'its C headers' if interpreter.venv else 'venv'}")


# The environment ---------------------------------------------------------------------------------------------------------


def check_compiler() -> None:
    compiler = os.environ.get("CXX", "").split()[:1]
    if not any(map(shutil.which, compiler or ["c++", "g++", "clang++"])):
        command = "xcode-select --install" if sys.platform == "darwin" else "apt-get install g++"
        raise Problem(f"{compiler[0] if compiler else 'a C++ compiler (g++ or clang++)'} was not found; install it with: {command}")


def source_files() -> Iterator[Path]:
    """What a wheel is made from, relative to the repository."""
    for name in SOURCES:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            relative = file.relative_to(ROOT)
            if file.is_file() and not LEFTOVERS.search(relative.as_posix()):
                yield relative


def source_hash() -> str:
    """Changes with any source and with what else decides how it is built."""
    digest = hashlib.sha256(json.dumps([os.environ.get(name) for name in BUILD_VARIABLES]).encode())
    for file in source_files():
        digest.update(f"{file.as_posix()}\0".encode() + hashlib.sha256((ROOT / file).read_bytes()).digest())
    return digest.hexdigest()[:24]


def copy_sources(target: Path) -> None:
    """Makes `target` hold the sources and nothing else but compiled objects, touching only files that changed."""
    wanted = set(source_files())
    for file in wanted:
        if not (target / file).is_file() or (target / file).read_bytes() != (ROOT / file).read_bytes():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, target / file)
    for path in sorted(target.rglob("*"), reverse=True):
        relative = path.relative_to(target)
        if relative.parts[0] == "build" and len(relative.parts) > 1 and relative.parts[1].startswith("objects"):
            continue
        if path.is_file() and relative not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time: a second one waits here."""
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / f"{name}.lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that builds")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def environment(interpreter: Interpreter, extra: str) -> Path:
    """The interpreter of a virtual environment with the package as the sources are now, and what `extra` asks for."""
    folder = CACHE / "venv" / f"{extra}-{interpreter.tag}"
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    with locked(interpreter.tag):
        current = source_hash()
        if stamp.is_file() and stamp.read_text() == current and Interpreter.at(python) is not None:
            say(f"using what is built for Python {interpreter.name}")
            return python
        stamp.unlink(missing_ok=True)
        wheels = CACHE / "wheel" / interpreter.tag / current
        if not any(wheels.glob("*.whl")):
            check_compiler()
            if Interpreter.at(python) is None:
                make_venv(interpreter, folder)
            say(f"building the package for Python {interpreter.name} (a minute or two)")
            source = CACHE / "build" / interpreter.tag
            source.mkdir(parents=True, exist_ok=True)
            copy_sources(source)
            shutil.rmtree(wheels.parent, ignore_errors=True)
            partial = wheels.with_suffix(".partial")
            command = [python, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", partial, source]
            run_quietly(command, f"the package could not be built for Python {interpreter.name}; the compiler's words are above")
            partial.rename(wheels)
        if Interpreter.at(python) is None:
            make_venv(interpreter, folder)
        say(f"installing it with what the {extra} needs")
        (wheel,) = wheels.glob("*.whl")
        # The package anew even when its version is the same, then what it wants.
        install = [python, "-m", "pip", "install"]
        run_quietly([*install, "--no-deps", "--force-reinstall", wheel], "the wheel could not be installed")
        run_quietly([*install, f"{wheel}[{extra}]"], f"what the {extra} needs could not be installed; pip's words are above")
        stamp.write_text(current)
        return python


def make_venv(interpreter: Interpreter, folder: Path) -> None:
    say(f"making an environment for Python {interpreter.name}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    run_quietly([interpreter.executable, "-m", "venv", folder], f"{interpreter.executable} could not make a virtual environment")


# The two jobs --------------------------------------------------------------------------------------------------------------


def this_interpreter() -> Interpreter:
    interpreter = Interpreter.at(sys.executable)
    if interpreter is None:
        raise Problem(f"{sys.executable} does not run")
    return interpreter


def demo(arguments: list[str]) -> NoReturn:
    script = Path(__file__).with_name("demo.py")
    if not any(argument.split("=")[0] in ("--contact-points", "-h", "--help") for argument in arguments):
        load_testing().Cassandra.check_tools()
    interpreter = this_interpreter()
    say(f"Python {interpreter.name} at {interpreter.executable}")
    python = environment(interpreter, "demo")
    os.execv(python, [str(python), "-I", str(script), *arguments])  # signals reach it directly from here on


def totals(report: Path) -> str:
    """What a JUnit report says, in one phrase."""
    try:
        suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    except (OSError, ElementTree.ParseError, StopIteration):
        return "no tests ran"
    counts = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    phrases = [f"{passed} passed"]
    for name, word in (("failures", "failed"), ("errors", "errors"), ("skipped", "skipped")):
        if counts[name]:
            phrases.append(f"{counts[name]} {word}")
    return ", ".join(phrases)


# Options of pytest whose value might be taken for a file.
WITH_VALUE = {"--deselect", "--ignore", "--basetemp", "-c", "-k", "-m", "-o", "-p"}


def with_places(arguments: list[str]) -> list[str]:
    """Arguments of pytest whose files, named from here or from the repository, are absolute; all tests when none is named."""
    found = []
    made = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, colons, rest = argument.partition("::")
        is_place = name[:1] != "-" and before not in WITH_VALUE
        places = [folder / name for folder in (Path.cwd(), ROOT) if (folder / name).exists()] if is_place else []
        found += places
        made.append(str(places[0].resolve()) + colons + rest if places else argument)
    return made if found else [*made, str(ROOT / "tests")]


def run_tests(interpreter: Interpreter, arguments: list[str], variables: dict[str, str]) -> tuple[int, str]:
    python = environment(interpreter, "test")
    report = CACHE / f"report-{interpreter.tag}.xml"
    report.unlink(missing_ok=True)
    say(f"testing on Python {interpreter.name}")
    # Isolated, and from a folder without sources, so that what is installed is tested, in the tests' own processes too.
    command: list[object] = [python, "-I", "-m", "pytest", "-c", ROOT / "pyproject.toml", f"--rootdir={ROOT}", f"--junitxml={report}"]
    command += with_places(arguments)
    code = run(command, own_group=False, patience=30.0, cwd=CACHE, env={**os.environ, **variables})
    return code, totals(report)


def test(arguments: list[str]) -> int:
    everywhere = "--all" in arguments
    arguments = [argument for argument in arguments if argument != "--all"]
    testing = load_testing()
    testing.Cassandra.check_tools()
    check_compiler()  # some tests compile, too
    if not everywhere:
        interpreter = this_interpreter()
        code, counts = run_tests(interpreter, arguments, {})
        say(f"Python {interpreter.name}: {counts}{'' if code == 0 else ', FAILED'}")
        return code
    interpreters = list(all_interpreters())
    say("testing on " + ", ".join(interpreter.name for interpreter in interpreters))
    if os.environ.get(SERVER_VARIABLE):
        return test_everywhere(interpreters, arguments, {})
    for interpreter in interpreters:
        environment(interpreter, "test")  # before the server takes its share of the machine
    with testing.Cassandra() as server:
        return test_everywhere(interpreters, arguments, {SERVER_VARIABLE: f"{server.contact_points[0]}:{server.port}"})


def test_everywhere(interpreters: list[Interpreter], arguments: list[str], variables: dict[str, str]) -> int:
    results = [(interpreter, *run_tests(interpreter, arguments, variables)) for interpreter in interpreters]
    for interpreter, code, counts in results:
        say(f"Python {interpreter.name}: {counts}{'' if code == 0 else ', FAILED'}")
    failed = [interpreter.name for interpreter, code, _ in results if code]
    say(f"{len(results)} interpreters, " + (f"FAILED on {', '.join(failed)}" if failed else "all passed"))
    return 1 if failed else 0


def main() -> int:
    def terminate(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, terminate)
    logging.basicConfig(level=logging.INFO, format="» %(message)s", stream=sys.stdout)
    job, *arguments = sys.argv[1:]
    try:
        return {"demo": demo, "test": test}[job](arguments)
    except KeyboardInterrupt:
        return 130
    except (Problem, RuntimeError) as problem:  # RuntimeError: ToolMissing, StartFailed, a failed download
        print(f"scripts/{job}: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
