"""The bench runs: every kind of work, one round with few requests."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the null server uses epoll"),
    pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler"),
]


def test_a_short_round_measures_every_kind_of_work(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    clients = [name for name in ("acsylla_like", "acsylla") if importlib.util.find_spec(name)]
    command = [sys.executable, str(BENCH / "side_by_side.py"), "--rounds", "1", "--scale", "0.002", "--json", str(figures)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([*command, "--clients", ",".join(clients)], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    work = json.loads(figures.read_text())["work"]
    assert len(work) >= 14
    for title, by_client in work.items():
        assert title in done.stdout
        assert list(by_client) == clients
        for name in clients:
            assert by_client[name]["cpu"][0] > 0
