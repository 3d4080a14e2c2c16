"""Servers for tests: a real Apache Cassandra, Simulacron, a façade that plays ScyllaDB, and a server that answers what a test
says.

Needs nothing but the standard library. `acsylla_like.testing.pytest_plugin` has fixtures for pytest.
"""

from __future__ import annotations

from . import cql
from ._process import StartFailed
from ._tools import ToolMissing
from .cassandra import Cassandra, Node
from .scripted import ScriptedServer
from .scylla_facade import ScyllaFacade
from .simulacron import Simulacron, SimulacronError, SimulatedCluster

__all__ = [
    "Cassandra",
    "Node",
    "ScriptedServer",
    "ScyllaFacade",
    "Simulacron",
    "SimulacronError",
    "SimulatedCluster",
    "StartFailed",
    "ToolMissing",
    "cql",
]
