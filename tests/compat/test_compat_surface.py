"""The names, signatures, defaults, enumerations, dataclasses and exceptions of acsylla 1.2.0."""

from __future__ import annotations

import importlib.metadata
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import acsylla_like.compat as compat

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "scripts" / "compare_compat"


def installed() -> bool:
    try:
        return importlib.metadata.version("acsylla") == "1.2.0"
    except importlib.metadata.PackageNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not installed(), reason="acsylla 1.2.0 is not installed")


def test_nothing_differs_but_what_is_listed_with_a_reason():
    environment = {"PYTHONPATH": str(Path(compat.__file__).parents[2])}
    ran = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=60, env=environment)
    assert (ran.stdout, ran.returncode) == ("", 0), ran.stdout + ran.stderr


@pytest.fixture
def compare():
    """Its functions, and the places where they see a difference just now."""
    return runpy.run_path(str(SCRIPT))["differences"]


def test_the_comparison_sees_what_is_missing_or_another(compare, monkeypatch):
    known = compare().keys()
    monkeypatch.delattr(compat, "create_batch_logged")
    monkeypatch.delattr(compat.Session, "metrics")
    monkeypatch.setattr(compat.errors, "TableNotFound", ValueError)
    monkeypatch.setattr(compat.Cluster, "set_port", lambda self, number: None)
    monkeypatch.setattr(compat, "create_statement", lambda statement, parameters=5: None)
    monkeypatch.setattr(compat, "Consistency", compat.ProtocolVersion)
    monkeypatch.setattr(compat, "LogMessage", compat.SessionMetrics)
    seen = compare().keys() - known
    assert seen >= {
        "create_batch_logged",
        "Session.metrics",
        "TableNotFound" if "TableNotFound" in seen else "errors.TableNotFound",
        "Cluster.set_port(port)",
        "Cluster.set_port(number)",
        "create_statement(parameters)",
        "create_statement(page_size)",
        "Consistency.QUORUM",
        "LogMessage",
    }
