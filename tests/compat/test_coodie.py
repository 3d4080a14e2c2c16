"""coodie, an ODM with a back end for acsylla, runs its documented examples on the compatible names."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import acsylla_like

SCRIPT = Path(__file__).with_name("coodie_examples.py")


@pytest.mark.skipif(importlib.util.find_spec("coodie") is None, reason="coodie is not installed")
def test_coodies_examples(cassandra, keyspace):
    command = [sys.executable, str(SCRIPT), cassandra.contact_points[0], str(cassandra.port), keyspace]
    program = f"import runpy, sys; sys.path.insert(0, {str(Path(acsylla_like.__file__).parents[1])!r}); sys.argv = {command[1:]!r}; "
    program += "runpy.run_path(sys.argv[0], run_name='__main__')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=180)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 12
