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
    clients = ["acsylla_like", "compat", *(["acsylla"] if importlib.util.find_spec("acsylla") else [])]
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


def test_a_short_round_of_bulk_work_measures_every_kind(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    wanted = ["acsylla_like", "acsylla", "bare_driver:eventfd", "bare_driver:callback"]
    command = [sys.executable, str(BENCH / "side_by_side.py"), "--bulk", "--rows", "30000", "--peer-rows", "3000", "--rounds", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*command, "--json", str(figures), "--clients", ",".join(wanted)], capture_output=True, text=True, timeout=240, env=environment
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())
    assert len(measured["work"]) == 5
    for title, by_client in measured["work"].items():
        assert title in done.stdout
        assert "acsylla_like" in by_client
        assert ("bare_driver:callback" in by_client) == any(name.startswith("bare_driver") for name in measured["clients"])
        for figures_of_client in by_client.values():
            assert figures_of_client["cpu"][0] > 0
            assert figures_of_client["server"][0] >= 0
            assert figures_of_client["peak_kib"][0] >= figures_of_client["grown_kib"][0]
    if importlib.util.find_spec("acsylla"):
        forms = {f"acsylla {form}" for form in ("tasks", "tasks_of_256", "chunks", "semaphore")}
        assert forms <= set(measured["work"]["rows of a generator in"])
    markdown = subprocess.run(
        [sys.executable, str(BENCH / "report.py"), str(figures), "--markdown"], capture_output=True, text=True, timeout=60, check=True
    )
    assert markdown.stdout.count("| acsylla_like |") == 5
