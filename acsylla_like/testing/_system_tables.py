"""The system tables that drivers read, as the servers of this package have them."""

from __future__ import annotations

from collections.abc import Sequence

from .cql import Columns

LOCAL: Columns = [
    ("key", "text"), ("bootstrapped", "text"), ("broadcast_address", "inet"), ("cluster_name", "text"),
    ("cql_version", "text"), ("data_center", "text"), ("host_id", "uuid"), ("listen_address", "inet"),
    ("native_protocol_version", "text"), ("partitioner", "text"), ("rack", "text"), ("release_version", "text"),
    ("rpc_address", "inet"), ("schema_version", "uuid"), ("tokens", "set<text>"),
]  # fmt: skip
PEERS: Columns = [
    ("peer", "inet"), ("data_center", "text"), ("host_id", "uuid"), ("preferred_ip", "inet"), ("rack", "text"),
    ("release_version", "text"), ("rpc_address", "inet"), ("schema_version", "uuid"), ("tokens", "set<text>"),
]  # fmt: skip


def chosen(words: Sequence[str], columns: Columns) -> Columns:
    """The columns between SELECT and FROM that exist, all of them for `*`."""
    wanted = " ".join(words[1 : [word.upper() for word in words].index("FROM")]).replace(" ", "").lower()
    return columns if wanted == "*" else [column for column in columns if column[0] in wanted.split(",")]
