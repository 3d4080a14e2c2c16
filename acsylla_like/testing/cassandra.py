"""A real Apache Cassandra on loopback, for tests and demonstrations."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from . import _maven, _network, _tools
from ._process import Guard, StartFailed

logger = logging.getLogger("acsylla_like.testing")

VERSION = "5.0.6"

_EXPORTS = {
    "java.base": "jdk.internal.misc jdk.internal.ref sun.nio.ch java.lang.ref",
    "java.management.rmi": "com.sun.jmx.remote.internal.rmi",
    "java.rmi": "sun.rmi.registry sun.rmi.server sun.rmi.transport.tcp",
    "java.sql": "java.sql",
    "jdk.unsupported": "sun.misc",
}
_OPENS = {
    "java.base": "java.lang java.lang.module java.lang.reflect java.io java.nio java.util java.util.concurrent "
    "java.util.concurrent.atomic jdk.internal.loader jdk.internal.ref jdk.internal.reflect jdk.internal.math "
    "jdk.internal.module jdk.internal.util.jar sun.nio.ch",
    "jdk.management": "com.sun.management.internal",
}

_LOGBACK = """\
<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %date{HH:mm:ss.SSS} %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
</configuration>
"""


def _merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overrides` laid over it, mapping by mapping; None removes a setting."""
    merged = dict(base)
    for key, value in overrides.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged


class Node:
    """One node of a local cluster. Its data lives until the cluster is stopped."""

    def __init__(self, cluster: Cassandra, index: int, address: str, datacenter: str, rack: str) -> None:
        self._cluster = cluster
        self._log_start = 0
        self._joined = False
        self.name = f"node{index + 1}"
        self.address = address
        self.datacenter = datacenter
        self.rack = rack

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<Node {self.address}:{self.port} {self.datacenter}/{self.rack}, {state}>"

    @property
    def port(self) -> int:
        """The port for CQL clients."""
        return self._cluster.port

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        guard = self._cluster._guard
        return guard is not None and self._log_path.exists() and guard.exit_code(self.name) is None

    @property
    def _folder(self) -> Path:
        return self._cluster._running_guard.folder / self.name

    @property
    def _log_path(self) -> Path:
        return self._folder / "system.log"

    def log(self) -> str:
        """Everything the node has logged since the cluster was started."""
        return self._log_path.read_text(errors="replace")

    def start(self) -> None:
        """Starts the node, with the data it had, and waits until it serves clients. Raises StartFailed."""
        if self.is_running:
            return
        others = [(node, node._log_size()) for node in self._cluster.nodes if node is not self and node.is_running]
        self._launch()
        self._wait(others)

    def stop(self, timeout: float = 60.0) -> None:
        """Stops the node as an operator would (SIGTERM), keeping its data; after `timeout` seconds it is killed."""
        if self.is_running:
            self._cluster._running_guard.end(self.name, signal.SIGTERM, timeout)

    def kill(self) -> None:
        """Ends the node at once (SIGKILL), as a crash would, keeping its data."""
        if self.is_running:
            self._cluster._running_guard.end(self.name, signal.SIGKILL, 10.0)

    def restart(self) -> None:
        """Stops the node when it runs, and starts it with its data. Raises StartFailed."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freezes the node (SIGSTOP): connections stay open and nothing answers until `resume()`."""
        self._cluster._running_guard.signal(self.name, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused node go on."""
        self._cluster._running_guard.signal(self.name, signal.SIGCONT)

    def _log_size(self) -> int:
        return self._log_path.stat().st_size if self._log_path.exists() else 0

    def _launch(self) -> None:
        conf = self._folder / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        (conf / "cassandra.yaml").write_text(json.dumps(self._yaml(), indent=1))  # JSON is YAML
        (conf / "logback.xml").write_text(_LOGBACK)
        (conf / "cassandra-rackdc.properties").write_text(f"dc={self.datacenter}\nrack={self.rack}\n")
        self._log_start = self._log_size()
        self._cluster._running_guard.start(self.name, self._argv(conf), self._log_path)

    def _wait(self, others: Sequence[tuple[Node, int]]) -> None:
        """Waits until this node serves clients, and it and every other node know of each other.

        `others` are the nodes that run, with the size of each one's log before this node was launched.
        """
        cluster = self._cluster
        fresh_superuser = cluster.authentication and not self._joined and self is cluster.nodes[0]

        def is_ready(log: str) -> bool:
            if "Startup complete" not in log or (fresh_superuser and "Created default superuser role" not in log):
                return False
            try:
                socket.create_connection((self.address, self.port), 1.0).close()
            except OSError:
                return False
            return all(other._met_since(size, self.address) for other, size in others) and all(
                self._met_since(self._log_start, other.address) for other, _ in others
            )

        cluster._running_guard.wait_ready(self.name, self._log_path, is_ready, cluster.start_timeout, cluster._aborted, self._log_start)
        self._joined = True

    def _met_since(self, log_start: int, address: str) -> bool:
        log = self._log_path.read_bytes()[log_start:].decode(errors="replace")
        return f"InetAddress /{address}:{self._cluster._storage_port} is now UP" in log

    def _yaml(self) -> dict[str, Any]:
        cluster = self._cluster
        # Tokens spread evenly over the nodes in turn, so that none has to ask the others for its share and wait.
        count, tokens = len(cluster.nodes), 16
        position = cluster.nodes.index(self)
        ring = [-(2**63) + (i * count + position) * (2**64 // (tokens * count)) for i in range(tokens)]
        settings: dict[str, Any] = {
            "cluster_name": "acsylla_like",
            "num_tokens": tokens,
            "initial_token": ",".join(map(str, ring)),
            "auto_bootstrap": False,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "commitlog_sync": "periodic",
            "commitlog_sync_period": "10000ms",
            "endpoint_snitch": "GossipingPropertyFileSnitch",
            "listen_address": self.address,
            "rpc_address": self.address,
            "native_transport_port": cluster.port,
            "storage_port": cluster._storage_port,
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": f"{cluster.nodes[0].address}:{cluster._storage_port}"}],
                }
            ],
            "data_file_directories": [str(self._folder / "data")],
            "commitlog_directory": str(self._folder / "commitlog"),
            "cdc_raw_directory": str(self._folder / "cdc_raw"),
            "saved_caches_directory": str(self._folder / "saved_caches"),
            "hints_directory": str(self._folder / "hints"),
            "materialized_views_enabled": True,
            "user_defined_functions_enabled": True,
            "auto_snapshot": False,
        }
        if cluster.authentication:
            settings["authenticator"] = "PasswordAuthenticator"
            settings["authorizer"] = "CassandraAuthorizer"
        request = 16  # the server's default, in MiB
        if cluster.max_value_mib is not None:
            request = cluster.max_value_mib + 1  # the rest of the message
            settings["native_transport_max_frame_size"] = f"{request}MiB"
            settings["commitlog_segment_size"] = f"{2 * request + 1}MiB"  # a mutation is at most half of it
        # By default a fraction of the heap, which would make a small one refuse messages that a real server takes.
        for limit in ("in_flight_per_ip", "in_flight"):
            settings[f"native_transport_max_request_data_{limit}"] = f"{4 * request}MiB"
        return _merged(settings, cluster.yaml)

    def _argv(self, conf: Path) -> list[str]:
        cluster = self._cluster
        jars = sorted(cluster._jars.glob("*.jar"))
        agent = next(jar for jar in jars if jar.name.startswith("jamm-"))
        argv = [
            str(cluster._java),
            f"-javaagent:{agent}",
            f"-Xms{cluster.heap_mb}M",
            f"-Xmx{cluster.heap_mb}M",
            "-Xss512k",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.net.preferIPv4Stack=true",
            "-Djdk.attach.allowAttachSelf=true",
            f"-Dcassandra.config={(conf / 'cassandra.yaml').as_uri()}",
            f"-Dcassandra.storagedir={self._folder}",
            "-Dcassandra-foreground=yes",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
            f"-Dcassandra.ring_delay_ms={0 if len(cluster.nodes) == 1 else 5000}",
            "-Dcassandra.superuser_setup_delay_ms=0",
        ]
        for flag, modules in (("exports", _EXPORTS), ("opens", _OPENS)):
            for module, packages in modules.items():
                argv += [f"--add-{flag}={module}/{package}=ALL-UNNAMED" for package in packages.split()]
        argv += cluster.jvm_options
        argv += ["-cp", ":".join([str(conf), *map(str, jars)]), "org.apache.cassandra.service.CassandraDaemon"]
        return argv


class Cassandra:
    """A cluster of one to three real Apache Cassandra nodes on loopback addresses of its own.

    Use it as a context manager, `with Cassandra() as server:` or `async with`, or call `start()` and `stop()`. The jars
    come through maven on first use (66 MB, kept in the user's cache folder); a JDK 17 runs them. One node is up in less
    than ten seconds and takes about 1 GB. The server and its data end with this process, however that ends.

    Args:
        nodes: how many nodes; the first is the seed, the others start one after another.
        heap_mb: heap of each node in MB.
        yaml: settings laid over the generated cassandra.yaml, mapping by mapping; None removes one.
        authentication: ask for user and password (`cassandra`/`cassandra`) and check permissions; every node has all roles.
        placement: data centre and rack of each node; the last one given serves the remaining nodes.
        max_value_mib: raise the server's limits so that a value of this many MiB can be written (its default refuses
            messages over 16 MiB).
        jvm_options: further options for the JVM, after the defaults, so that they win.
        start_timeout: seconds a node may take until it serves clients.
    """

    def __init__(
        self,
        *,
        nodes: int = 1,
        heap_mb: int = 512,
        yaml: Mapping[str, Any] | None = None,
        authentication: bool = False,
        placement: Sequence[tuple[str, str]] = (("datacenter1", "rack1"),),
        max_value_mib: int | None = None,
        jvm_options: Sequence[str] = (),
        start_timeout: float = 180.0,
    ) -> None:
        if not 1 <= nodes <= 3:
            raise ValueError(f"nodes must be 1 to 3, not {nodes}")
        if not placement:
            raise ValueError("placement must name a data centre and a rack")
        self.heap_mb = heap_mb
        self.yaml = dict(yaml or {})
        self.authentication = authentication
        self.max_value_mib = max_value_mib
        self.jvm_options = list(jvm_options)
        self.start_timeout = start_timeout
        addresses = _network.free_addresses(nodes)
        self._port, self._storage_port = _network.free_ports(addresses, 2)
        self._nodes = tuple(Node(self, i, address, *placement[min(i, len(placement) - 1)]) for i, address in enumerate(addresses))
        self._guard: Guard | None = None
        self._aborted = threading.Event()
        self._java = Path()
        self._jars = Path()

    def __repr__(self) -> str:
        return f"<Cassandra {VERSION} at {','.join(self.contact_points)}:{self.port}>"

    @staticmethod
    def check_tools() -> None:
        """Raises ToolMissing when `start()` would, without starting or downloading anything."""
        _tools.find_java()
        if not _maven.jars_folder("cassandra-all", VERSION).is_dir():
            _tools.find_mvn()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, the seed first."""
        return self._nodes

    @property
    def contact_points(self) -> list[str]:
        """The addresses of all nodes."""
        return [node.address for node in self._nodes]

    @property
    def port(self) -> int:
        """The port for CQL clients, the same on every node."""
        return self._port

    @property
    def username(self) -> str | None:
        """The superuser's name, None without authentication."""
        return "cassandra" if self.authentication else None

    @property
    def password(self) -> str | None:
        """The superuser's password, None without authentication."""
        return "cassandra" if self.authentication else None

    @property
    def is_running(self) -> bool:
        """Whether the cluster was started and not stopped since."""
        return self._guard is not None

    @property
    def _running_guard(self) -> Guard:
        if self._guard is None:
            raise RuntimeError("this Cassandra is not started")
        return self._guard

    def start(self) -> Cassandra:
        """Starts every node and waits until all serve clients; does nothing when they do.

        Raises ToolMissing without a JDK 17 or (when the jars are not there yet) maven, StartFailed with a node's last
        log lines when it ends or is not ready in time.
        """
        if self._guard is not None:
            return self
        self._java = _tools.find_java()
        self._jars = _maven.fetch_jars("org.apache.cassandra", "cassandra-all", VERSION)
        self._aborted.clear()
        for node in self._nodes:
            node._joined = False
        began = time.monotonic()
        self._guard = Guard()
        try:
            for node in self._nodes:
                logger.info("starting Cassandra %s at %s:%d", VERSION, node.address, node.port)
                node.start()
                if self.authentication and len(self._nodes) > 1 and node is self._nodes[0]:
                    # While it is the only one: of a single copy, as there is by default, the others may become the owners.
                    copies = f"{{'class': 'SimpleStrategy', 'replication_factor': {len(self._nodes)}}}"
                    self._ask_first(f"ALTER KEYSPACE system_auth WITH replication = {copies}", "ONE")
            if self.authentication and len(self._nodes) > 1:
                # Which gives the roles to the nodes that have none yet: reading from all of them repairs what differs.
                self._ask_first("SELECT * FROM system_auth.roles", "ALL")
        except BaseException:
            self.stop()
            raise
        logger.info("Cassandra serves after %.1f s", time.monotonic() - began)
        return self

    def _ask_first(self, query: str, consistency: str) -> None:
        """Executes a statement at the first node, as its superuser. Raises StartFailed when that does not work in time."""
        from acsylla_like import Tls, connect, errors

        encryption = self.yaml.get("client_encryption_options") or {}
        address = self._nodes[0].address
        options: dict[str, Any] = {"port": self.port, "allowed_hosts": [address], "username": self.username, "password": self.password}
        if encryption.get("enabled") and not encryption.get("optional"):
            options["ssl"] = Tls(verify="none")

        async def ask() -> None:
            end = time.monotonic() + self.start_timeout
            while True:
                try:
                    async with connect(address, request_timeout=60.0, **options) as session:
                        await session.execute(query, consistency=consistency)
                    return
                except errors.Error as error:  # roles and nodes are seen a moment later
                    if time.monotonic() > end or self._aborted.is_set() or isinstance(error, errors.TlsError):
                        raise StartFailed(f"{self!r} refuses its superuser: {error}") from error
                    await asyncio.sleep(0.2)

        failures: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(ask())
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run, name="acsylla_like-testing")  # a loop may run in this one
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    def stop(self) -> None:
        """Ends every node and removes their data; returns when both are gone. Does nothing when not started."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()

    def __enter__(self) -> Cassandra:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Cassandra:
        starting = asyncio.ensure_future(asyncio.to_thread(self.start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._aborted.set()
            await asyncio.wait([starting])
            if not starting.cancelled() and starting.exception() is None:
                await asyncio.to_thread(self.stop)
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await asyncio.to_thread(self.stop)

    def __del__(self) -> None:
        if getattr(self, "_guard", None) is not None:
            warnings.warn(f"unstopped {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.stop()


__all__ = ["VERSION", "Cassandra", "Node", "StartFailed"]
