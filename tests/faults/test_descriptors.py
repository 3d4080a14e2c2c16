"""Descriptors, threads and memory over many sessions; the long form is soak_connect.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import acsylla_like


@pytest.mark.skipif(sys.platform != "linux", reason="counts what /proc shows")
def test_sessions_leave_no_descriptor_thread_or_memory(scripted):
    server = f"{scripted.address}:{scripted.port}"  # whose schema does not grow meanwhile
    script = Path(__file__).parent / "soak_connect.py"
    environment = {**os.environ, "PYTHONPATH": str(Path(acsylla_like.__file__).parents[1])}
    done = subprocess.run([sys.executable, script, server, "100"], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
