"""Simulacron: many simulated Cassandra nodes in one process, whose answers are primed over HTTP."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import urllib.parse
import warnings
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from . import _maven, _network, _tools
from ._process import Guard

logger = logging.getLogger("acsylla_like.testing")

VERSION = "0.12.0"


class SimulacronError(RuntimeError):
    """Simulacron refused a request; the message is its own."""


class SimulatedCluster:
    """A cluster of simulated nodes. Made by `Simulacron.create_cluster`; a context manager that deletes it."""

    def __init__(self, simulacron: Simulacron, description: Mapping[str, Any]) -> None:
        self._simulacron = simulacron
        self.id: int = description["id"]
        #: Addresses of the nodes of each data centre, by its name.
        self.datacenters: dict[str, list[str]] = {}
        self._paths: dict[str, str] = {}
        port = 9042
        for datacenter in description["data_centers"]:
            addresses = self.datacenters[datacenter["name"]] = []
            for node in datacenter["nodes"]:
                address, _, number = node["address"].rpartition(":")
                port = int(number)
                addresses.append(address)
                self._paths[address] = f"/{datacenter['id']}/{node['id']}"
        #: The port of its nodes.
        self.port = port

    def __repr__(self) -> str:
        return f"<SimulatedCluster {self.id} of {len(self.nodes)} nodes at {self.nodes[0]}:{self.port}>"

    @property
    def nodes(self) -> list[str]:
        """The addresses of all nodes."""
        return [address for addresses in self.datacenters.values() for address in addresses]

    @property
    def contact_points(self) -> list[str]:
        """The addresses of the first three nodes."""
        return self.nodes[:3]

    def _path(self, kind: str, node: str | None) -> str:
        return f"/{kind}/{self.id}" + (self._paths[node] if node is not None else "")

    def prime(
        self,
        query: str,
        rows: Sequence[Mapping[str, Any]] = (),
        columns: Mapping[str, str] | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        delay: float = 0.0,
        node: str | None = None,
    ) -> None:
        """Answers `query` with rows, after `delay` seconds. What was primed first for a text stays until `clear_primes()`.

        Args:
            query: the exact text.
            rows: each a mapping of column name to a value that JSON can hold.
            columns: each column's CQL type by its name, such as `{"v": "int"}`.
            parameters: for prepared statements, each parameter's CQL type by its name.
            node: the address of the one node that answers so; all by default.
        """
        when: dict[str, Any] = {"query": query}
        if parameters:
            when |= {"params": dict.fromkeys(parameters, "*"), "param_types": dict(parameters)}
        then = {"rows": [dict(row) for row in rows], "column_types": dict(columns or {})}
        self._prime(when, {"result": "success", **then}, delay, node)

    def prime_error(self, query: str, kind: str, *, delay: float = 0.0, node: str | None = None, **fields: str | float | bool) -> None:
        """Answers `query` with an error. What was primed first for a text stays until `clear_primes()`.

        Args:
            query: the exact text.
            kind: `unavailable`, `read_timeout`, `write_timeout`, `read_failure`, `write_failure`, `overloaded`,
                `is_bootstrapping`, `server_error`, `syntax_error`, `unauthorized`, `invalid`, `config_error`,
                `function_failure`, `truncate_error`, `protocol_error`, `authentication_error`, `close_connection`,
                `no_result` (never answers).
            delay: seconds before it is sent.
            node: the address of the one node that answers so; all by default.
            fields: what the kind carries, in Simulacron's words (`consistency_level`, `required`, `alive`, `received` …);
                counts and messages have defaults.
        """
        counts = {"consistency_level": "ONE", "received": 1, "block_for": 2}
        failures = {**counts, "failure_reasons": {}}
        defaults: dict[str, dict[str, Any]] = {
            "unavailable": {"consistency_level": "ONE", "required": 2, "alive": 1},
            "read_timeout": {**counts, "data_present": False},
            "write_timeout": {**counts, "write_type": "SIMPLE"},
            "read_failure": {**failures, "data_present": False},
            "write_failure": {**failures, "write_type": "SIMPLE"},
            "function_failure": {"keyspace": "ks", "function": "f", "arg_types": [], "detail": "primed"},
            "close_connection": {"close_type": "disconnect", "scope": "connection"},
            "no_result": {},
        }
        then = {"result": kind, **defaults.get(kind, {"message": "primed"}), **fields}
        self._prime({"query": query}, then, delay, node)

    def _prime(self, when: dict[str, Any], then: dict[str, Any], delay: float, node: str | None) -> None:
        then["delay_in_ms"] = round(delay * 1000)
        self._simulacron._ask("POST", self._path("prime", node), {"when": when, "then": then})

    def clear_primes(self) -> None:
        """Forgets everything primed."""
        self._simulacron._ask("DELETE", self._path("prime", None))

    def queries(self, node: str | None = None) -> list[dict[str, Any]]:
        """What clients have asked, as Simulacron logs it: `query`, `type`, `consistency_level`, `client_timestamp` …

        Each has the address of the node that was asked as `node`.
        """
        found: list[dict[str, Any]] = []
        log = self._simulacron._ask("GET", self._path("log", node))
        addresses = {path: address for address, path in self._paths.items()}
        for datacenter in log["data_centers"]:
            for logged in datacenter["nodes"]:
                address = addresses[f"/{datacenter['id']}/{logged['id']}"]
                found += [{**query, "node": address} for query in logged["queries"]]
        return found

    def clear_queries(self) -> None:
        """Empties the log of queries."""
        self._simulacron._ask("DELETE", self._path("log", None))

    def connections(self, node: str | None = None) -> list[str]:
        """The clients' ends (address:port) of the open connections."""
        report = self._simulacron._ask("GET", self._path("connections", node))
        return [
            str(connection)
            for datacenter in report["data_centers"]
            for connected in datacenter["nodes"]
            for connection in connected["connections"]
        ]

    def drop_connections(self, node: str | None = None, kind: str = "disconnect") -> None:
        """Closes the connections (`disconnect`), or half of each (`shutdown_read`, `shutdown_write`)."""
        self._simulacron._ask("DELETE", self._path("connections", node) + f"?type={kind}")

    def stop_listening(self, node: str | None = None, kind: str = "unbind", after: int = 0) -> None:
        """Refuses new connections after `after` more.

        `unbind` closes the port; `reject_startup` accepts the connection and never answers STARTUP; `stop` closes the
        port and the connections that are open.
        """
        self._simulacron._ask("DELETE", self._path("listener", node) + f"?type={kind}&after={after}")

    def listen(self, node: str | None = None) -> None:
        """Accepts connections again."""
        self._simulacron._ask("PUT", self._path("listener", node))

    def delete(self) -> None:
        """Ends the cluster and its connections."""
        self._simulacron._ask("DELETE", f"/cluster/{self.id}")

    def __enter__(self) -> SimulatedCluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._simulacron.is_running:
            self.delete()


class Simulacron:
    """A process that simulates Cassandra clusters on loopback addresses of its own, up in two seconds.

    Use it as a context manager or call `start()` and `stop()`. It needs a JDK 17, and maven the first time (14 MB); it
    ends with this process, however that ends.

    Args:
        heap_mb: heap of the process in MB.
        start_timeout: seconds it may take until it answers.
    """

    def __init__(self, *, heap_mb: int = 300, start_timeout: float = 60.0) -> None:
        self.heap_mb = heap_mb
        self.start_timeout = start_timeout
        self.address = _network.free_addresses(1)[0]
        self._only_one_address = self.address == "127.0.0.1"  # macOS: nodes differ by port there
        if not self._only_one_address:
            self.address = self.address.rpartition(".")[0] + ".1"  # room for 253 nodes
        self._http_port, self._first_port = _network.free_ports([self.address], 2)
        self._guard: Guard | None = None

    def __repr__(self) -> str:
        return f"<Simulacron {VERSION} at {self.address}:{self._http_port}>"

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._guard is not None

    def start(self) -> Simulacron:
        """Starts it and waits until it answers; does nothing when it does.

        Raises ToolMissing without a JDK 17 or (when the jar is not there yet) maven, StartFailed with its last lines.
        """
        if self._guard is not None:
            return self
        java = _tools.find_java()
        jars = _maven.fetch_jars("com.datastax.oss.simulacron", "simulacron-standalone", VERSION, transitive=False)
        guard = self._guard = Guard()
        argv = [str(java), f"-Xmx{self.heap_mb}M", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        argv += ["-XX:-UsePerfData", "-jar", str(jars / f"simulacron-standalone-{VERSION}.jar"), "--loglevel", "WARN"]
        argv += ["--httpintf", self.address, "--httpport", str(self._http_port)]
        if self._only_one_address:
            argv += ["--ip", self.address, "--starting-port", str(self._first_port)]
        else:
            argv += ["--ip", self.address[:-1] + "2"]
        log = guard.folder / "log"
        try:
            guard.start("simulacron", argv, log)
            guard.wait_ready("simulacron", log, self._answers, self.start_timeout, threading.Event())
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends it and every cluster in it; returns when it is gone. Does nothing when not started."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()

    def create_cluster(self, *nodes: int, cassandra_version: str = "3.11.2") -> SimulatedCluster:
        """Makes a cluster: as many data centres (`dc1`, `dc2` …) as numbers, each of that many nodes; one node by default."""
        query = urllib.parse.urlencode({"data_centers": ",".join(map(str, nodes or (1,))), "cassandra_version": cassandra_version})
        return SimulatedCluster(self, self._ask("POST", f"/cluster?{query}"))

    def _answers(self, log: str) -> bool:
        try:
            socket.create_connection((self.address, self._http_port), 1.0).close()
        except OSError:
            return False
        return True

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if self._guard is None:
            raise RuntimeError("this Simulacron is not started")
        connection = http.client.HTTPConnection(self.address, self._http_port, timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        finally:
            connection.close()
        answer = json.loads(text) if text.strip() else {}
        if response.status >= 400:
            raise SimulacronError(f"{method} {path}: {answer.get('message', text)}")
        return answer

    def __enter__(self) -> Simulacron:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def __del__(self) -> None:
        if getattr(self, "_guard", None) is not None:
            warnings.warn(f"unstopped {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.stop()
