"""Objects made by `__new__` alone: every member of every native class raises or answers, and none takes the interpreter down."""

from __future__ import annotations

import subprocess
import sys

import pytest

from acsylla_like import _native


def _is_native_class(name: str, thing: object) -> bool:
    return isinstance(thing, type) and thing.__module__ == "acsylla_like._native" and not name.startswith("_")


CLASSES = sorted(name for name, thing in vars(_native).items() if _is_native_class(name, thing))

# Run with a file and the name of a class. What is tried is in the file before it is tried, so that a crash tells which it was.
PROGRAM = """
import asyncio, itertools, math, mmap, sys, warnings
from acsylla_like import _native

warnings.simplefilter("ignore")
file = open(sys.argv[1], "r+b")
notes = mmap.mmap(file.fileno(), 300)
tried = getattr(_native, sys.argv[2])
made_by_new = [getattr(_native, name) for name in sys.argv[3:]]
attempts = 0


def attempt(what, *arguments):
    global attempts
    attempts += 1
    names = [type(what[0]).__name__, what[1], *(type(argument).__name__ for argument in arguments)]
    notes[:] = " ".join(names).encode().ljust(300)[:300]
    try:
        return getattr(*what[:2])(*arguments) if len(what) == 2 else what[2](*arguments)
    except (Exception, asyncio.CancelledError, GeneratorExit) as error:
        assert not isinstance(error, SystemError), error


def unmade():
    try:
        return tried.__new__(tried)
    except TypeError:
        return None  # a class of Python's that needs arguments already here


def some_things():
    yield from (None, 0.5, "x", [])
    for one in made_by_new[:6]:
        yield one.__new__(one)


def things():
    yield from (None, 0, -1, 2**70, 0.5, math.inf, "x", b"x", (), [], {}, object(), len, _native.parse_type("int"))
    for one in made_by_new:
        yield one.__new__(one)


HARMLESS = {"__class__", "__init_subclass__", "__subclasshook__", "__new__", "__doc__", "__getattribute__", "__setattr__",
            "__delattr__", "__reduce_ex__", "__dir__", "__sizeof__", "__pyx_vtable__", "__dict__"}


async def try_all():
    for name in sorted(set(dir(tried)) - HARMLESS):
        attempt((unmade(), name, getattr), unmade(), name)
        if not callable(getattr(tried, name)):
            attempt((unmade(), name, setattr), unmade(), name, None)
            attempt((unmade(), name, delattr), unmade(), name)
            continue
        attempt((unmade(), name))
        for count in (1, 2):
            for arguments in itertools.product(things(), repeat=count):
                subject = unmade()
                outcome = attempt((subject, name), *arguments)
                attempt((subject, "__repr__"))
                if name == "__init__":
                    attempt((subject, name), *arguments)
                for following in ("send", "__next__", "cancel", "throw", "close", "exception", "result"):
                    if hasattr(type(outcome), following):
                        attempt((outcome, following), *([None] if following == "send" else [KeyError] if following == "throw" else []))
        for arguments in itertools.product(some_things(), repeat=3):
            attempt((unmade(), name), *arguments)
    one, other = unmade(), unmade()
    for operator in ("==", "!=", "<", "<=", ">", ">=", "+", "in", "is"):
        attempt((one, operator, eval), f"one {operator} other", {"one": one, "other": other})
    if asyncio.iscoroutine(one):
        for use in (asyncio.ensure_future, asyncio.shield, asyncio.gather):
            await asyncio.gather(use(unmade()), return_exceptions=True)
        await asyncio.gather(asyncio.wait_for(unmade(), 1), return_exceptions=True)


attempt((_native, "Options", lambda: _native.Options(custom_payload={"a": b"x"}, host="127.0.0.1", timeout=1)))
asyncio.run(try_all())
for name in set(dir(tried)) - HARMLESS:  # where no loop runs
    attempt((unmade(), name))
print("attempts", attempts)
"""


def test_all_classes_are_found():
    expected = {"Request", "Result", "Row", "Session", "Cluster", "PreparedStatement", "PreparedVersion", "Statement", "Batch"}
    expected |= {"Options", "Page", "Columns", "Reactor", "CqlType", "ResultIterator"}
    assert expected <= set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_every_member_of_an_object_made_by_new_survives(name, tmp_path):
    notes = tmp_path / "notes"
    notes.write_bytes(b" " * 300)
    arguments = ["Options", "PreparedVersion", "PreparedStatement", "Statement", "Batch", "Request", "Result", "Row", "Cluster"]
    command = [sys.executable, "-X", "faulthandler", "-c", PROGRAM, str(notes), name, *arguments, "Session", "Columns", "Reactor"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"at {notes.read_text().strip()}: {done.stderr[-3000:]}"
    assert done.stdout.startswith("attempts")
