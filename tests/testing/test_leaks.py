"""What the fixture in fix_leaks.py calls a leak, seen from a run of pytest inside this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PREAMBLE = """
import asyncio, os, threading, pytest
KEPT = []
"""

CASES = {
    "a descriptor": ("def test_it():\n    KEPT.append(os.pipe())", "left behind: descriptor"),
    "a thread": ("def test_it():\n    threading.Thread(target=threading.Event().wait, daemon=True).start()", "left behind: thread"),
    "a descriptor on purpose": ("@pytest.mark.keeps_open('why')\ndef test_it():\n    KEPT.append(os.pipe())", "1 passed"),
    "a descriptor of a module's fixture": (
        "@pytest.fixture(scope='module')\ndef pipe():\n    yield os.pipe()\ndef test_it(pipe):\n    pass",
        "1 passed",
    ),
    "nothing": ("async def test_it():\n    await asyncio.to_thread(os.getpid)", "1 passed"),
    "a failure that keeps a descriptor": ("def test_it():\n    pipe = os.pipe()\n    assert not pipe", "1 failed"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_left_behind_fails_the_test_that_left_it(case, tmp_path, monkeypatch):
    code, outcome = CASES[case]
    (tmp_path / "test_it.py").write_text(PREAMBLE + code)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    (tmp_path / "conftest.py").write_text("import fix_leaks\nfix_leaks._SECONDS = 0.1\n")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "fix_loop", "-p", "fix_leaks", "-p", "no:cacheprovider", str(tmp_path)]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert outcome in output
    assert ("1 error" in output) == outcome.startswith("left behind")
