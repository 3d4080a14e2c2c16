"""Clusters: where they are and how to speak to them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

from acsylla_like import _native, errors, shard_watch
from acsylla_like.local_ports import default_ranges
from acsylla_like.policies import ConstantReconnection
from acsylla_like.security import likely_cause
from acsylla_like.session import Connecting, Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from acsylla_like.authentication import Authenticator, DsePlainTextAuthenticator
    from acsylla_like.host_events import HostListener
    from acsylla_like.policies import (
        Consistency,
        ExecutionProfile,
        LatencyAware,
        LoadBalancing,
        MonotonicTimestamps,
        Reconnection,
        SpeculativeExecution,
    )
    from acsylla_like.retry import RetryPolicy
    from acsylla_like.security import Tls
    from acsylla_like.statement import RequestOptions

__all__ = ["Cluster", "ClusterOptions", "ConnectOptions", "connect", "create_cluster"]


class ClusterOptions(TypedDict, total=False):
    """The options of `create_cluster` and `connect`; times are in seconds.

    `page_size`: rows that are fetched at a time behind the scenes (5,000). `num_threads_io`: the driver's I/O threads (1).
    `request_timeout`: 12 s, math.inf for none. `connect_timeout`: for each connection, 5 s. `local_dc`: prefer its nodes, and
    use no others. `coalesce_delay`: how long the driver gathers requests before it writes them (0.0002 s). `ssl`: a `Tls`, or True
    for one that trusts whom the system trusts.
    `shard_aware_port`: whether connections to ScyllaDB choose their shard by their source port, True or a range (first, end) of local
    ports; where that does not work, and by default, connections are opened until each shard has one. `count_shards`: whether
    `Session.shard_counts()` is to know which shards own the requests.
    `heartbeat_interval` (30 s) and `idle_timeout` (60 s): math.inf for none.

    `load_balancing`, `latency_aware`, `reconnection`, `speculative_execution`, `timestamps`: see `acsylla_like.policies`, where
    `execution_profiles` are too, by name. `allowed_hosts`, `denied_hosts` (addresses) and `allowed_dcs`, `denied_dcs`: the nodes
    that are connected to. `shuffle_replicas`: the replicas of a key in turn (True). `on_host_event`: a function, or a coroutine
    function, that is told of each `HostEvent`, once by every session.

    `local_address`: from which connections are made. `resolve_timeout`: for a contact point's name, 2 s. `max_schema_wait_time`:
    for the nodes to agree after a schema change, 10 s. `tracing_max_wait_time` (0.015 s), `tracing_retry_wait_time` (0.003 s) and
    `tracing_consistency` (ONE): for a trace to be there. `use_schema=False`: the driver reads no schema, so that it knows no
    replicas, and prepared `SELECT *` are prepared anew once in a second. `hostname_resolution`: names for the addresses of nodes,
    by reverse look-up. `client_id`: by which the server's table of clients knows the sessions; else each has its own.
    `secure_connection_bundle`: the path of a zip file with certificates and the place of a service that knows the nodes, as DataStax Astra
    gives them; then `contact_points` is None.

    `retry_policy`: what becomes of requests that fail; without one, whoever sent them gets the error.
    `password`: text, or a function, plain or async, that is called again for later connections. `authenticator`: in place of both;
    `auth_timeout`: how long an I/O thread waits for it (2 s).
    """

    port: int
    keyspace: str | None
    username: str | None
    password: str | Callable[[], str | Awaitable[str]] | None
    connect_timeout: float
    request_timeout: float
    num_threads_io: int
    local_dc: str | None
    page_size: int
    consistency: Consistency | str | int | None
    serial_consistency: Consistency | str | int | None
    core_connections_per_host: int | None
    queue_size_io: int | None
    heartbeat_interval: float | None
    idle_timeout: float | None
    tcp_nodelay: bool | None
    tcp_keepalive: float | None
    token_aware_routing: bool | None
    coalesce_delay: float | None
    server_side_timestamps: bool
    application_name: str | None
    application_version: str | None
    ssl: Tls | bool | None
    shard_aware_port: bool | tuple[int, int]
    count_shards: bool
    load_balancing: LoadBalancing | None
    shuffle_replicas: bool | None
    latency_aware: LatencyAware | None
    allowed_hosts: str | Iterable[str] | None
    denied_hosts: str | Iterable[str] | None
    allowed_dcs: str | Iterable[str] | None
    denied_dcs: str | Iterable[str] | None
    reconnection: Reconnection | None
    speculative_execution: SpeculativeExecution | None
    timestamps: MonotonicTimestamps | None
    execution_profiles: Mapping[str, ExecutionProfile] | None
    on_host_event: HostListener | None
    protocol_version: int
    resolve_timeout: float | None
    local_address: str | None
    new_request_ratio: int | None
    max_schema_wait_time: float | None
    tracing_max_wait_time: float | None
    tracing_retry_wait_time: float | None
    tracing_consistency: Consistency | str | int | None
    use_schema: bool | None
    hostname_resolution: bool | None
    randomized_contact_points: bool | None
    max_reusable_write_objects: int | None
    prepare_on_all_hosts: bool | None
    no_compact: bool | None
    client_id: uuid.UUID | None
    monitor_reporting_interval: float | None
    secure_connection_bundle: str | os.PathLike[str] | None
    retry_policy: RetryPolicy | None
    authenticator: Authenticator | DsePlainTextAuthenticator | None
    auth_timeout: float


class ConnectOptions(ClusterOptions, total=False):
    """The options of `connect`: the cluster's, and defaults for each request of the session (see `RequestOptions`)."""

    timeout: float | None
    idempotent: bool | None
    tracing: bool | None
    execution_profile: str | None
    custom_payload: Mapping[str, bytes] | None


# Of the options of `connect`, those that are the session's defaults.
_REQUEST_DEFAULTS = ("timeout", "idempotent", "tracing", "execution_profile", "custom_payload")


class Cluster(_native.Cluster):
    """A cluster to open sessions to; made by `create_cluster`."""

    def __init__(self, contact_points: str | Iterable[str] | None, **options: Unpack[ClusterOptions]) -> None:
        for name in ("allowed_hosts", "denied_hosts", "allowed_dcs", "denied_dcs"):
            names = options.get(name)
            if isinstance(names, Iterator):  # which could be read once, and _twin reads it again
                options[name] = list(names)
        native = {name: value for name, value in options.items() if name not in ("shard_aware_port", "count_shards")}
        super().__init__(contact_points, **native)  # type: ignore[arg-type]
        self._options = options
        #: Where the local ports of shard-aware connections are taken from, ranges (first, end); None without such connections.
        self.local_ports = _port_ranges(options.get("shard_aware_port", False))
        #: Whether the shards that own the requests are counted.
        self.counts_shards = options.get("count_shards", False)
        if not isinstance(self.counts_shards, bool):
            raise TypeError(f"count_shards must be a bool, not {self.counts_shards!r}")
        #: Seconds before the first try to reconnect, which double up to the second number.
        self.reconnect_delays = _reconnect_delays(options.get("reconnection"))
        self.num_threads_io = options.get("num_threads_io", 1)
        self.core_connections = options.get("core_connections_per_host") or 1

    def _twin(self, contact_points: Collection[str] = (), *, only: Collection[str] | None = None) -> Cluster:
        """Another with the same options, which answers for its connections by the same Login.

        By other contact points, if given, and with `only` for these of the hosts.
        """
        options = self._options.copy()
        if only is not None:
            options["allowed_hosts"] = _both(options.get("allowed_hosts"), only)
            profiles = options.get("execution_profiles") or {}
            options["execution_profiles"] = {
                name: replace(profile, allowed_hosts=_both(profile.allowed_hosts, only)) if profile.load_balancing is not None else profile
                for name, profile in profiles.items()
            }
        options.pop("ssl", None)
        if self.login is not None:
            for name in ("username", "password", "authenticator"):
                options.pop(name, None)  # type: ignore[misc]
        points = sorted(contact_points) or self.contact_points
        twin = Cluster(points if self.contact_points else None, **options)  # without, a secure connection bundle has them
        twin._secure_like(self)
        return twin

    async def create_session(self, *, keyspace: str | None = None, **defaults: Unpack[RequestOptions]) -> Session:
        """Opens a session; the defaults hold for each of its requests.

        Raises UnableToConnect, NoHostsAvailable, TlsError, AuthenticationError or InvalidQuery (an unknown keyspace). Cancelling
        it gives the attempt up without waiting for it.
        """
        session = Session(self, keyspace=keyspace, options=_native.Options(**defaults) if defaults else None)
        shard_watch.registered(session, self)
        try:
            if self.login is not None:
                session._leave_login = await self.login.join(session, self.connect_timeout)
            await session._connect_request()
            shard_watch.opened(session)
        except BaseException as error:
            session._release()
            shard_watch.closed(session)
            if isinstance(error, errors.Error):
                self._complete(error)
            raise
        return session

    def _complete(self, error: errors.Error) -> None:
        """Says where the attempt went and what is likely behind it, in the text of the error."""
        text = f"{error.args[0]}"
        if isinstance(error, (errors.ClientError, errors.TlsError, errors.AuthenticationError)):
            text += f": {', '.join(self.contact_points)}, port {self.port}" if self.contact_points else ""
        cause = likely_cause(error, self.tls)
        error.args = (f"{text}; {cause}" if cause else text,)
        if isinstance(error, errors.AuthenticationError) and self.login is not None and error.__cause__ is None:
            error.__cause__ = self.login.take_error()


def _reconnect_delays(policy: Reconnection | None) -> tuple[float, float]:
    if isinstance(policy, ConstantReconnection):
        return policy.delay, policy.delay
    # The driver's policy unless it is told otherwise: exponential, from 2 s to 10 min, and never before that.
    return (2.0, 600.0) if policy is None else (policy.base, policy.max)


def _both(allowed: str | Iterable[str] | None, hosts: Collection[str]) -> list[str]:
    """The hosts of both; an address that is nobody's when there is none, since no name at all would allow every host."""
    if allowed is None:
        return sorted(hosts)
    names = allowed.split(",") if isinstance(allowed, str) else allowed
    return sorted({str(name).strip() for name in names} & set(hosts)) or ["0.0.0.0"]


def _port_ranges(shard_aware_port: bool | tuple[int, int]) -> list[tuple[int, int]] | None:
    if isinstance(shard_aware_port, bool):
        return default_ranges() if shard_aware_port else None
    is_pair = isinstance(shard_aware_port, tuple) and len(shard_aware_port) == 2
    if not is_pair or not all(type(port) is int for port in shard_aware_port):
        raise TypeError(f"shard_aware_port must be a bool or a range (first, end) of local ports, not {shard_aware_port!r}")
    first, end = shard_aware_port
    if not 1024 <= first < end <= 65536:
        raise ValueError(f"shard_aware_port must be a range within 1024 to 65536, not {shard_aware_port!r}")
    return [shard_aware_port]


def create_cluster(contact_points: str | Iterable[str] | None, **options: Unpack[ClusterOptions]) -> Cluster:
    """A cluster, by some of its nodes: a list of addresses, or text like "10.0.0.1,10.0.0.2". Needs no running loop.

    Raises TypeError or ValueError for an option that does not fit, DriverLoadError when no driver library can be used.
    """
    return Cluster(contact_points, **options)


def connect(contact_points: str | Iterable[str] | None, **options: Unpack[ConnectOptions]) -> Connecting:
    """A cluster and a session to it in one: `session = await connect(…)`, or `async with connect(…) as session`.

    The options are those of `create_cluster` and of `Cluster.create_session`; raises what these raise.
    """
    defaults: RequestOptions = {name: options.pop(name) for name in _REQUEST_DEFAULTS if name in options}  # type: ignore[misc, assignment]
    cluster = create_cluster(contact_points, **options)  # type: ignore[misc]

    def open_session() -> Generator[object, None, Session]:
        return cluster.create_session(**defaults).__await__()

    return Connecting(open_session)
