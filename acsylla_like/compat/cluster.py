"""Clusters as acsylla has them: seventy options, and a setter for each, in milliseconds where acsylla has these.

The package's cluster is made when a session is asked for, so that setters work until then.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import uuid
import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from acsylla_like import _native, policies, shard_watch
from acsylla_like import errors as _core
from acsylla_like.authentication import DsePlainTextAuthenticator
from acsylla_like.cluster import create_cluster as create_core_cluster
from acsylla_like.compat.enums import Consistency, HostListenerEvent, SSLVerifyFlags, serial_or_none
from acsylla_like.compat.errors import (
    CassErrorLibBadParams,
    CassErrorLibNoHostsAvailable,
    CassErrorLibNotImplemented,
    CassErrorSslInvalidCert,
    CassErrorSslInvalidPrivateKey,
    translated,
)
from acsylla_like.compat.logger import Logger, LoggingCallback
from acsylla_like.compat.records import LatencyAwareRoutingSettings, SpeculativeExecutionPolicy
from acsylla_like.compat.retry import retry_policy as retry_policy_of
from acsylla_like.compat.session import Session
from acsylla_like.security import Tls, Verify

if TYPE_CHECKING:
    from acsylla_like.cluster import Cluster as CoreCluster
    from acsylla_like.host_events import HostEvent

__all__ = ["Cluster", "HostListenerCallback"]

_VERIFY: dict[SSLVerifyFlags, Verify] = {
    SSLVerifyFlags.NONE: "none",
    SSLVerifyFlags.PEER_CERT: "certificate",
    SSLVerifyFlags.PEER_IDENTITY: "address",
    SSLVerifyFlags.PEER_IDENTITY_DNS: "name",
}
_ANY_PORT = (49152, 65535)

HostListenerCallback: TypeAlias = Callable[[HostListenerEvent, str], Awaitable[object] | object]


class Cluster:
    """Where a cluster is and how to speak to it; made by `create_cluster`."""

    def __init__(self) -> None:
        self._contact_points: list[str] = []
        # The package's options, but for those that several of acsylla's make together.
        self._options: dict[str, Any] = {"retry_policy": retry_policy_of("default")}
        self._core: CoreCluster | None = None
        self._constant_reconnect: int | None = None
        self._exponential_reconnect: tuple[int, int] | None = None
        self._latency_aware = False
        self._latency_aware_settings = LatencyAwareRoutingSettings()
        self._profiles: dict[str, policies.ExecutionProfile] = {}
        self._listener: HostListenerCallback | None = None
        self._logger = Logger()

    def __repr__(self) -> str:
        return f"<Cluster {', '.join(self._contact_points)}>"

    def _set(self, name: str, value: object) -> None:
        """Sets an option of the package; None leaves it as it was."""
        if value is not None:
            self._options[name] = value
            self._core = None

    def _made(self) -> CoreCluster:
        """The package's cluster, with the options as they are now."""
        if not self._contact_points and "secure_connection_bundle" not in self._options:
            raise CassErrorLibNoHostsAvailable("No hosts available: no contact points were given")
        if self._core is None:
            options = dict(self._options)
            # Just one of them: in the driver the exponential policy overrides the constant one.
            if self._constant_reconnect is not None:
                options["reconnection"] = policies.ConstantReconnection(self._constant_reconnect / 1000)
            elif self._exponential_reconnect is not None:
                base, most = self._exponential_reconnect
                options["reconnection"] = policies.ExponentialReconnection(base / 1000, most / 1000)
            if self._latency_aware:
                options["latency_aware"] = _latency_aware(self._latency_aware_settings)
            if self._listener is not None:
                options["on_host_event"] = self._on_host_event
            try:
                self._core = create_core_cluster(self._contact_points or None, execution_profiles=self._profiles, **options)
            except _core.Error as error:  # a certificate or a key that is none
                raise translated(error) from error
            except ValueError as error:
                raise CassErrorLibBadParams(f"Bad parameters: {error}") from error
        return self._core

    def _check(self) -> None:
        """Raises what an option that does not fit gives."""
        if self._contact_points or "secure_connection_bundle" in self._options:
            self._made()

    async def create_session(self, keyspace: str | None = None) -> Session:
        """Opens a session. Raises a CassException when that is not possible."""
        self._logger.loop = asyncio.get_running_loop()
        core = self._made()
        try:
            session = await core.create_session(keyspace=keyspace)
        except _core.Error as error:
            await _callbacks_called()
            raise translated(error) from error
        try:
            await _callbacks_called()
            await shard_watch.hosts_told(session)
        except BaseException:  # cancelled at the last moment
            session._release()
            shard_watch.closed(session)
            raise
        return Session(self, session)

    def get_logger(self) -> Logger:
        """The cluster's Logger."""
        return self._logger

    # ---- where

    def set_contact_points(self, contact_points: str | None) -> None:
        """Adds nodes to start with, like "10.0.0.1,10.0.0.2"; empty text forgets all."""
        if contact_points is None:
            return
        if not isinstance(contact_points, str):
            raise TypeError(f"contact_points must be a str, not {type(contact_points).__name__}")
        self._core = None
        if not contact_points.strip():
            self._contact_points = []
        self._contact_points += [point.strip() for point in contact_points.split(",") if point.strip()]

    def set_port(self, port: int | None) -> None:
        """The port of the nodes."""
        self._set("port", port)

    def set_local_address(self, local_address: str | None) -> None:
        """The address from which connections are made; empty for any."""
        if local_address == "":
            self._options.pop("local_address", None)
        else:
            self._set("local_address", local_address)

    def set_local_port_range(self, min: int | None, max: int | None) -> None:
        """The local ports for ScyllaDB's shard-aware port: from `min` to below `max`. Where that port does not work, or ports are
        lacking, connections to the normal one reach the shards, too."""
        if min is None or max is None:
            return
        # What acsylla has by default is any port; it means those that the system gives away here.
        self._set("shard_aware_port", True if (min, max) == _ANY_PORT else (min, max))

    # ---- who

    def set_credentials(self, username: str | None, password: str | None = "") -> None:
        """A role and its password."""
        if (username is None) != (password is None):
            raise ValueError("For using credentials both parameters (username and password) must be set")
        self._set("username", username)
        self._set("password", password if username is not None else None)

    def set_ssl(
        self,
        enabled: bool,
        cert: str | None = None,
        private_key: str | None = None,
        private_key_password: str = "",
        trusted_cert: str | None = None,
        verify_flags: int | SSLVerifyFlags | None = None,
    ) -> None:
        """Encrypts the connections; certificates and keys are PEM text. Without `trusted_cert`, the authorities are trusted that
        the system trusts."""
        if not enabled:
            return
        for text, what, error_class in (
            (trusted_cert, "trusted certificate", CassErrorSslInvalidCert),
            (cert, "certificate", CassErrorSslInvalidCert),
            (private_key, "private key", CassErrorSslInvalidPrivateKey),
        ):
            if text is not None and "-----BEGIN " not in text:  # the package would take it for the path of a file
                raise error_class(f"Unable to load {what}: it is no PEM text, which has a line with -----BEGIN")
        flags = SSLVerifyFlags.PEER_CERT if verify_flags is None else SSLVerifyFlags(verify_flags)
        tls = Tls(
            trust=trusted_cert,
            verify=_VERIFY[flags],
            certificate=cert,
            key=private_key,
            key_password=private_key_password or None,
        )
        self._set("ssl", tls)

    def set_dse_gssapi_authenticator(self, service: str, principal: str) -> None:
        """Not possible: the driver is built without Kerberos."""
        raise CassErrorLibNotImplemented("Not implemented: the driver is built without Kerberos")

    def set_dse_gssapi_authenticator_proxy(self, service: str, principal: str, authorization_id: str) -> None:
        """Not possible: the driver is built without Kerberos."""
        raise CassErrorLibNotImplemented("Not implemented: the driver is built without Kerberos")

    def set_dse_plaintext_authenticator(self, username: str, password: str) -> None:
        """A password for DataStax Enterprise."""
        self._set("authenticator", DsePlainTextAuthenticator(username, password))

    def set_dse_plaintext_authenticator_proxy(self, username: str, password: str, authorization_id: str) -> None:
        """A password for DataStax Enterprise, on behalf of another role."""
        self._set("authenticator", DsePlainTextAuthenticator(username, password, authorization_id=authorization_id))

    def set_cloud_secure_connection_bundle(self, path: str | None) -> None:
        """The path of a zip file with certificates and the place of a service that knows the nodes, instead of contact points."""
        self._set("secure_connection_bundle", path)

    # ---- times

    def set_connect_timeout(self, timeout_ms: int | None) -> None:
        """For each connection."""
        self._set("connect_timeout", _seconds(timeout_ms, infinite=True))

    def set_request_timeout(self, timeout_ms: int | None) -> None:
        """For an answer; 0 for none."""
        self._set("request_timeout", _seconds(timeout_ms, infinite=True))

    def set_resolve_timeout(self, timeout_ms: int | None) -> None:
        """For the name of a contact point."""
        self._set("resolve_timeout", _seconds(timeout_ms, infinite=True))

    def set_heartbeat_interval(self, interval_sec: int | None) -> None:
        """Between the heartbeats of an idle connection; 0 for none of them."""
        self._set("heartbeat_interval", None if interval_sec is None else interval_sec or math.inf)

    def set_idle_timeout(self, timeout_sec: int | None) -> None:
        """Without a heartbeat's answer, until a connection is given up."""
        self._set("idle_timeout", None if timeout_sec is None else timeout_sec or math.inf)

    def set_coalesce_delay(self, delay_us: int | None) -> None:
        """How long requests are gathered before they are written."""
        self._set("coalesce_delay", None if delay_us is None else delay_us / 1e6)

    def set_max_schema_wait_time(self, wait_time_ms: int | None) -> None:
        """For the nodes to agree after a schema change."""
        self._set("max_schema_wait_time", _seconds(wait_time_ms))

    def set_tracing_max_wait_time(self, max_wait_time_ms: int | None) -> None:
        """For a trace to be there."""
        self._set("tracing_max_wait_time", _seconds(max_wait_time_ms))

    def set_tracing_retry_wait_time(self, retry_wait_time_ms: int | None) -> None:
        """Between two looks for a trace."""
        self._set("tracing_retry_wait_time", _seconds(retry_wait_time_ms))

    def set_monitor_reporting_interval(self, interval_sec: int | None) -> None:
        """Between reports to DataStax Enterprise."""
        self._set("monitor_reporting_interval", interval_sec)

    def set_constant_reconnect(self, delay_ms: int | None) -> None:
        """A lost connection is tried again after this time, whatever the exponential policy is."""
        if delay_ms is not None:
            self._constant_reconnect = delay_ms
            self._core = None

    def set_exponential_reconnect(self, base_delay_ms: int | None, max_delay_ms: int | None) -> None:
        """A lost connection is tried again after growing times, unless a constant one is set."""
        if base_delay_ms is not None and max_delay_ms is not None:
            self._exponential_reconnect = base_delay_ms, max_delay_ms
            self._core = None

    # ---- the protocol

    def set_protocol_version(self, protocol_version: int | None) -> None:
        """3 or 4; DataStax Enterprise's versions are 4 here."""
        if protocol_version is None:
            return
        version = 4 if protocol_version in (65, 66) else protocol_version
        if version not in (3, 4):
            raise ValueError(f"Protocol version {protocol_version} invalid: 3 and 4 can be had")
        self._set("protocol_version", version)

    def set_use_beta_protocol_version(self, enabled: bool | None) -> None:
        """Not possible: the driver's version 5 is a draft that no server speaks any more."""
        if enabled:
            raise ValueError("use_beta_protocol_version: the driver's version 5 is a draft that no server speaks any more")

    def set_consistency(self, consistency: int | None) -> None:
        """The consistency level of requests that name none."""
        self._set("consistency", consistency)

    def set_serial_consistency(self, consistency: int | None) -> None:
        """The serial consistency level of requests that name none."""
        self._set("serial_consistency", None if consistency is None else serial_or_none(Consistency(consistency)))

    def set_tracing_consistency(self, consistency: int | None) -> None:
        """The consistency level of the look for a trace."""
        self._set("tracing_consistency", consistency)

    def set_timestamp_gen(self, timestamp_gen: str | None) -> None:
        """ "server_side" or "monotonic": who says when a value was written."""
        if timestamp_gen is None:
            return
        if timestamp_gen not in ("server_side", "monotonic"):
            raise ValueError(f"timestamp_gen must be 'server_side' or 'monotonic', not {timestamp_gen!r}")
        self._set("server_side_timestamps", timestamp_gen == "server_side")

    def set_no_compact(self, enabled: bool | None) -> None:
        """Shows tables WITH COMPACT STORAGE as if they had none."""
        self._set("no_compact", enabled)

    # ---- connections and threads

    def set_num_threads_io(self, num_threads: int | None) -> None:
        """The driver's I/O threads."""
        self._set("num_threads_io", num_threads)

    def set_queue_size_io(self, queue_size: int | None) -> None:
        """How many requests wait at most."""
        self._set("queue_size_io", queue_size)

    def set_core_connections_per_host(self, num_connections: int | None) -> None:
        """To each node, from each I/O thread."""
        self._set("core_connections_per_host", num_connections)

    def set_new_request_ratio(self, request_ratio: int | None) -> None:
        """From 1 to 100: the time for new requests, against that for those in flight."""
        self._set("new_request_ratio", request_ratio)

    def set_max_reusable_write_objects(self, num_objects: int | None) -> None:
        """How many buffers for requests are kept."""
        self._set("max_reusable_write_objects", num_objects)

    def set_tcp_nodelay(self, enabled: bool | None) -> None:
        """Whether small packets are sent at once."""
        self._set("tcp_nodelay", enabled)

    def set_tcp_keepalive(self, enabled: bool, delay_secs: int) -> None:
        """Whether idle connections are probed, and after how long."""
        if enabled:
            self._set("tcp_keepalive", delay_secs)
        else:
            self._options.pop("tcp_keepalive", None)
            self._core = None

    # ---- which node

    def set_load_balance_round_robin(self, enabled: bool | None) -> None:
        """Takes the nodes of all data centres in turn."""
        if enabled:
            self._set("load_balancing", policies.RoundRobin())

    def set_load_balance_dc_aware(self, dc: str | None) -> None:
        """Takes the nodes of one data centre in turn."""
        self._set("load_balancing", None if dc is None else policies.DcAware(dc))

    def set_load_balance_rack_aware(self, dc: str | None, rack: str | None) -> None:
        """Takes the nodes of one rack in turn, then those of its data centre."""
        if dc is not None and rack is not None:
            self._set("load_balancing", policies.RackAware(dc, rack))

    def set_token_aware_routing(self, enabled: bool | None) -> None:
        """Whether replicas of a request's partition come first."""
        self._set("token_aware_routing", enabled)

    def set_token_aware_routing_shuffle_replicas(self, enabled: bool | None) -> None:
        """Whether these are taken in turn."""
        self._set("shuffle_replicas", enabled)

    def set_latency_aware_routing(self, enabled: bool | None) -> None:
        """Whether slow nodes are left out for a while."""
        if enabled is not None:
            self._latency_aware = bool(enabled)
            self._core = None

    def set_latency_aware_routing_settings(
        self, exclusion_threshold: float, scale_ms: int, retry_period_ms: int, update_rate_ms: int, min_measured: int
    ) -> None:
        """When a node is slow, and for how long it is left out."""
        self._latency_aware_settings = LatencyAwareRoutingSettings(
            exclusion_threshold, scale_ms, retry_period_ms, update_rate_ms, min_measured
        )
        self._core = None

    def set_whitelist_hosts(self, hosts: str | None) -> None:
        """The nodes that may be connected to; empty for all."""
        self._set_names("allowed_hosts", hosts)

    def set_blacklist_hosts(self, hosts: str | None) -> None:
        """The nodes that may not be connected to."""
        self._set_names("denied_hosts", hosts)

    def set_whitelist_dc(self, dcs: str | None) -> None:
        """The data centres that may be connected to; empty for all."""
        self._set_names("allowed_dcs", dcs)

    def set_blacklist_dc(self, dcs: str | None) -> None:
        """The data centres that may not be connected to."""
        self._set_names("denied_dcs", dcs)

    def _set_names(self, option: str, names: str | None) -> None:
        """More of them; empty text forgets those that were set."""
        if names is None:
            return
        more = _names(names)
        if more is None:
            self._options.pop(option, None)
            self._core = None
        else:
            self._set(option, [*self._options.get(option, []), *more])

    def set_retry_policy(self, policy: str | None, logging: bool = False) -> None:
        """By name, default or fallthrough; with `logging`, what it decides is logged."""
        if policy is not None:
            self._set("retry_policy", retry_policy_of(policy, logging))

    def set_speculative_execution_policy(self, constant_delay_ms: int, max_speculative_executions: int) -> None:
        """Sends idempotent requests that are late to other nodes, too."""
        self._set("speculative_execution", policies.SpeculativeExecution(constant_delay_ms / 1000, max_speculative_executions))

    def set_no_speculative_execution_policy(self) -> None:
        """Sends no request twice."""
        self._options.pop("speculative_execution", None)
        self._core = None

    def set_prepare_on_all_hosts(self, enabled: bool | None) -> None:
        """Whether a statement is prepared on every node at once."""
        self._set("prepare_on_all_hosts", enabled)

    def set_hostname_resolution(self, enabled: bool | None) -> None:
        """Whether the names of nodes are looked up by their addresses."""
        self._set("hostname_resolution", enabled or None)  # verifying names of nodes turns it on by itself

    def set_randomized_contact_points(self, enabled: bool | None) -> None:
        """Whether contact points are tried in no certain order."""
        self._set("randomized_contact_points", enabled)

    def set_use_schema(self, enabled: bool | None) -> None:
        """Whether the driver reads the schema; without it, no replicas are known."""
        self._set("use_schema", enabled)

    # ---- who this is

    def set_application_name(self, name: str | None) -> None:
        """What the application calls itself to the server."""
        self._set("application_name", name)

    def set_application_version(self, version: str | None) -> None:
        """The application's version."""
        self._set("application_version", version)

    def set_client_id(self, client_id: str | uuid.UUID | None) -> None:
        """The id by which the server's table of clients knows the sessions."""
        if client_id is None:
            return
        try:
            self._set("client_id", client_id if isinstance(client_id, uuid.UUID) else uuid.UUID(client_id))
        except ValueError as error:
            raise CassErrorLibBadParams(f"Bad parameters: client_id {client_id!r} is no UUID") from error

    # ---- callbacks

    def set_log_level(self, level: str | None) -> None:
        """From disabled, critical, error, warn, info, debug, trace."""
        self._logger.set_log_level(level)

    def set_logging_callback(self, callback: LoggingCallback | None) -> None:
        """A function or coroutine function that gets the driver's log lines, as LogMessage."""
        self._logger.set_logging_callback(callback)

    def set_host_listener_callback(self, callback: HostListenerCallback | None) -> None:
        """A function or coroutine function that is told, as (HostListenerEvent, address), of nodes that come and go."""
        if (callback is None) != (self._listener is None):
            self._core = None
        self._listener = callback

    def _on_host_event(self, event: HostEvent) -> Awaitable[object] | object:
        callback = self._listener
        if callback is None:
            return None
        outcome = callback(HostListenerEvent[event.kind.upper()], event.address)
        return outcome if inspect.isawaitable(outcome) else None

    # ---- execution profiles

    def create_execution_profile(
        self,
        name: str,
        request_timeout: int | None = None,
        consistency: Consistency | None = None,
        serial_consistency: Consistency | None = None,
        load_balance_round_robin: bool = False,
        load_balance_dc_aware: str | None = None,
        token_aware_routing: bool = True,
        token_aware_routing_shuffle_replicas: bool = True,
        latency_aware_routing: LatencyAwareRoutingSettings | None = None,
        whitelist_hosts: str | None = None,
        blacklist_hosts: str | None = None,
        whitelist_dc: str | None = None,
        blacklist_dc: str | None = None,
        retry_policy: str | None = None,
        retry_policy_logging: bool = False,
        speculative_execution_policy: SpeculativeExecutionPolicy | None = None,
    ) -> None:
        """Settings for the statements that name it, in the sessions that are opened from now on; `request_timeout` is in
        milliseconds."""
        policy = None if retry_policy is None else retry_policy_of(retry_policy, retry_policy_logging)
        balancing: policies.RoundRobin | policies.DcAware | None = policies.RoundRobin() if load_balance_round_robin else None
        if load_balance_dc_aware is not None:
            balancing = policies.DcAware(load_balance_dc_aware)
        with_balancing: dict[str, Any] = {
            "latency_aware": None if latency_aware_routing is None else _latency_aware(latency_aware_routing),
            "allowed_hosts": _names(whitelist_hosts),
            "denied_hosts": _names(blacklist_hosts),
            "allowed_dcs": _names(whitelist_dc),
            "denied_dcs": _names(blacklist_dc),
        }
        if balancing is None:
            lost = [option for option, value in with_balancing.items() if value is not None]
            if lost:
                warnings.warn(f"execution profile {name!r} has no load balancing of its own: {', '.join(lost)} do nothing", stacklevel=2)
            with_balancing = {}
        else:
            with_balancing |= {"token_aware_routing": token_aware_routing, "shuffle_replicas": token_aware_routing_shuffle_replicas}
        speculative = speculative_execution_policy
        self._profiles[name] = policies.ExecutionProfile(
            timeout=_seconds(request_timeout, infinite=True),
            consistency=None if consistency is None else consistency.value,
            serial_consistency=serial_or_none(serial_consistency),
            load_balancing=balancing,
            retry_policy=policy,
            speculative_execution=None
            if speculative is None
            else policies.SpeculativeExecution(speculative.constant_delay_ms / 1000, speculative.max_speculative_executions),
            **with_balancing,
        )
        self._core = None


async def _callbacks_called() -> None:
    """Returns when those for log lines have been called, as acsylla's users expect."""
    _native.deliver_log_lines()
    await asyncio.sleep(0)


def _seconds(milliseconds: float | None, *, infinite: bool = False) -> float | None:
    """acsylla's milliseconds; 0 is for ever where `infinite` says so."""
    if milliseconds is None:
        return None
    return math.inf if infinite and milliseconds == 0 else milliseconds / 1000


def _names(text: str | None) -> list[str] | None:
    found = [] if text is None else [name.strip() for name in text.split(",") if name.strip()]
    return found or None


def _latency_aware(settings: LatencyAwareRoutingSettings) -> policies.LatencyAware:
    return policies.LatencyAware(
        settings.exclusion_threshold,
        settings.scale_ms / 1000,
        settings.retry_period_ms / 1000,
        settings.update_rate_ms / 1000,
        settings.min_measured,
    )
