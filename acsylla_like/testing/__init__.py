"""Servers for tests: a real Apache Cassandra.

"""

from __future__ import annotations

from ._process import StartFailed
from ._tools import ToolMissing
from .cassandra import Cassandra, Node

__all__ = ["Cassandra", "Node", "StartFailed", "ToolMissing"]
