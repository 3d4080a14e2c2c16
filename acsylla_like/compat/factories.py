"""acsylla's functions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from acsylla_like.compat.cluster import Cluster, HostListenerCallback
from acsylla_like.compat.enums import Consistency, ProtocolVersion, SSLVerifyFlags
from acsylla_like.compat.logger import LoggingCallback
from acsylla_like.compat.records import (
    DseGssapiAuthenticator,
    DseGssapiAuthenticatorProxy,
    DsePlaintextAuthenticator,
    DsePlaintextAuthenticatorProxy,
    LatencyAwareRoutingSettings,
    SpeculativeExecutionPolicy,
)
from acsylla_like.compat.session import make_statement
from acsylla_like.compat.statement import Batch, Statement
from acsylla_like.compat.version import __version__

__all__ = ["create_batch_counter", "create_batch_logged", "create_batch_unlogged", "create_cluster", "create_statement", "get_logger"]


def create_cluster(
    contact_points: str | list[str] | None = None,
    port: int | None = 9042,
    local_address: str | None = None,
    local_port_range_min: int | None = 49152,
    local_port_range_max: int | None = 65535,
    username: str | None = None,
    password: str | None = None,
    connect_timeout: float | None = 5.0,
    request_timeout: float | None = 12.0,
    resolve_timeout: float | None = 2.0,
    log_level: str | None = "warn",
    logging_callback: LoggingCallback | None = None,
    ssl_enabled: bool | None = False,
    ssl_cert: str | None = None,
    ssl_private_key: str | None = None,
    ssl_private_key_password: str | None = "",
    ssl_trusted_cert: str | None = None,
    ssl_verify_flags: str | SSLVerifyFlags | None = SSLVerifyFlags.PEER_CERT,
    protocol_version: int | str | ProtocolVersion | None = None,
    use_beta_protocol_version: bool | None = False,
    consistency: str | Consistency | None = Consistency.LOCAL_ONE,
    serial_consistency: str | Consistency | None = Consistency.ANY,
    num_threads_io: int | None = 1,
    queue_size_io: int | None = 8192,
    core_connections_per_host: int | None = 1,
    constant_reconnect_delay_ms: int | None = None,
    exponential_reconnect_base_delay_ms: int | None = 2000,
    exponential_reconnect_max_delay_ms: int | None = 60000,
    coalesce_delay_us: int | None = 200,
    new_request_ratio: int | None = 50,
    max_schema_wait_time_ms: int | None = 10000,
    tracing_max_wait_time_ms: int | None = 15,
    tracing_retry_wait_time_ms: int | None = 3,
    tracing_consistency: str | Consistency | None = Consistency.ONE,
    load_balance_round_robin: bool | None = False,
    load_balance_dc_aware: str | None = None,
    load_balance_rack_aware_dc: str | None = None,
    load_balance_rack_aware_rack: str | None = None,
    token_aware_routing: bool | None = True,
    token_aware_routing_shuffle_replicas: bool | None = True,
    latency_aware_routing: bool | None = False,
    latency_aware_routing_settings: LatencyAwareRoutingSettings | None = None,
    whitelist_dc: str | None = None,
    blacklist_dc: str | None = None,
    whitelist_hosts: str | None = None,
    blacklist_hosts: str | None = None,
    tcp_nodelay: bool | None = True,
    tcp_keepalive_sec: int | None = None,
    timestamp_gen: str | None = None,
    heartbeat_interval_sec: int | None = 30,
    idle_timeout_sec: int | None = 60,
    retry_policy: str | None = None,
    retry_policy_logging: bool | None = False,
    use_schema: bool | None = True,
    hostname_resolution: bool | None = False,
    randomized_contact_points: bool | None = True,
    speculative_execution_policy: SpeculativeExecutionPolicy | None = None,
    max_reusable_write_objects: int | None = None,
    prepare_on_all_hosts: bool | None = True,
    no_compact: bool | None = False,
    host_listener_callback: HostListenerCallback | None = None,
    application_name: str | None = "acsylla",
    application_version: str | None = __version__,
    client_id: str | UUID | None = None,
    monitor_reporting_interval_sec: int | None = 300,
    cloud_secure_connection_bundle: str | None = None,
    dse_gssapi_authenticator: DseGssapiAuthenticator | None = None,
    dse_gssapi_authenticator_proxy: DseGssapiAuthenticatorProxy | None = None,
    dse_plaintext_authenticator: DsePlaintextAuthenticator | None = None,
    dse_plaintext_authenticator_proxy: DsePlaintextAuthenticatorProxy | None = None,
) -> Cluster:
    """A cluster, to open sessions to. What each option does says the Cluster's setter of that name; times that name no unit are in
    seconds. A running loop is not needed.

    Raises CassErrorLibBadParams, another CassException, ValueError or TypeError for options that do not fit.
    """
    cluster = Cluster()
    if isinstance(contact_points, (list, tuple)):
        contact_points = ",".join(contact_points)
    cluster.set_contact_points(contact_points)
    cluster.set_port(port)
    cluster.set_local_address(local_address)
    cluster.set_local_port_range(local_port_range_min, local_port_range_max)
    cluster.set_log_level(log_level)
    cluster.set_logging_callback(logging_callback)
    cluster.set_protocol_version(_protocol_version(protocol_version))
    cluster.set_use_beta_protocol_version(use_beta_protocol_version)
    cluster.set_connect_timeout(_milliseconds(connect_timeout))
    cluster.set_request_timeout(_milliseconds(request_timeout))
    cluster.set_resolve_timeout(_milliseconds(resolve_timeout))
    cluster.set_credentials(username, password)
    cluster.set_consistency(_level(consistency))
    cluster.set_serial_consistency(_level(serial_consistency))
    cluster.set_hostname_resolution(hostname_resolution)
    flags = _verify_flags(ssl_verify_flags)
    cluster.set_ssl(bool(ssl_enabled), ssl_cert, ssl_private_key, ssl_private_key_password or "", ssl_trusted_cert, flags)
    cluster.set_num_threads_io(num_threads_io)
    cluster.set_queue_size_io(queue_size_io)
    cluster.set_core_connections_per_host(core_connections_per_host)
    cluster.set_constant_reconnect(constant_reconnect_delay_ms)
    cluster.set_exponential_reconnect(exponential_reconnect_base_delay_ms, exponential_reconnect_max_delay_ms)
    cluster.set_coalesce_delay(coalesce_delay_us)
    cluster.set_new_request_ratio(new_request_ratio)
    cluster.set_max_schema_wait_time(max_schema_wait_time_ms)
    cluster.set_tracing_max_wait_time(tracing_max_wait_time_ms)
    cluster.set_tracing_retry_wait_time(tracing_retry_wait_time_ms)
    cluster.set_tracing_consistency(_level(tracing_consistency))
    cluster.set_load_balance_round_robin(load_balance_round_robin)
    cluster.set_load_balance_dc_aware(load_balance_dc_aware)
    cluster.set_load_balance_rack_aware(load_balance_rack_aware_dc, load_balance_rack_aware_rack)
    cluster.set_token_aware_routing(token_aware_routing)
    cluster.set_token_aware_routing_shuffle_replicas(token_aware_routing_shuffle_replicas)
    cluster.set_latency_aware_routing(latency_aware_routing)
    settings = latency_aware_routing_settings
    if settings is not None:
        cluster.set_latency_aware_routing_settings(
            settings.exclusion_threshold, settings.scale_ms, settings.retry_period_ms, settings.update_rate_ms, settings.min_measured
        )
    cluster.set_whitelist_dc(whitelist_dc)
    cluster.set_blacklist_dc(blacklist_dc)
    cluster.set_whitelist_hosts(whitelist_hosts)
    cluster.set_blacklist_hosts(blacklist_hosts)
    cluster.set_tcp_nodelay(tcp_nodelay)
    if tcp_keepalive_sec is not None:
        cluster.set_tcp_keepalive(True, tcp_keepalive_sec)
    cluster.set_timestamp_gen(timestamp_gen)
    cluster.set_heartbeat_interval(heartbeat_interval_sec)
    cluster.set_idle_timeout(idle_timeout_sec)
    cluster.set_retry_policy(retry_policy, bool(retry_policy_logging))
    cluster.set_use_schema(use_schema)
    cluster.set_randomized_contact_points(randomized_contact_points)
    speculative = speculative_execution_policy
    if speculative is not None:
        cluster.set_speculative_execution_policy(speculative.constant_delay_ms, speculative.max_speculative_executions)
    cluster.set_max_reusable_write_objects(max_reusable_write_objects)
    cluster.set_prepare_on_all_hosts(prepare_on_all_hosts)
    cluster.set_no_compact(no_compact)
    cluster.set_host_listener_callback(host_listener_callback)
    cluster.set_application_name(application_name)
    cluster.set_application_version(application_version)
    cluster.set_client_id(client_id)
    cluster.set_monitor_reporting_interval(monitor_reporting_interval_sec)
    cluster.set_cloud_secure_connection_bundle(cloud_secure_connection_bundle)
    kerberos = dse_gssapi_authenticator
    if kerberos is not None:
        cluster.set_dse_gssapi_authenticator(kerberos.service, kerberos.principal)
    proxy = dse_gssapi_authenticator_proxy
    if proxy is not None:
        cluster.set_dse_gssapi_authenticator_proxy(proxy.service, proxy.principal, proxy.authorization_id)
    plain = dse_plaintext_authenticator
    if plain is not None:
        cluster.set_dse_plaintext_authenticator(plain.username, plain.password)
    plain_proxy = dse_plaintext_authenticator_proxy
    if plain_proxy is not None:
        cluster.set_dse_plaintext_authenticator_proxy(plain_proxy.username, plain_proxy.password, plain_proxy.authorization_id)
    cluster._check()
    return cluster


def _protocol_version(given: int | str | ProtocolVersion | None) -> int | None:
    if given is None:
        return None
    if isinstance(given, int):
        given = f"V{given}"
    found = given if isinstance(given, ProtocolVersion) else ProtocolVersion.__members__.get(given.upper())
    if found is None:
        raise ValueError(f"Protocol version {given} invalid")
    return found.value


def _level(given: str | Consistency | None) -> int | None:
    if isinstance(given, str):
        if given.upper() not in Consistency.__members__:
            raise ValueError(f"consistency {given!r} is none of {', '.join(Consistency.__members__)}")
        given = Consistency[given.upper()]
    return None if given is None else given.value


def _verify_flags(given: str | SSLVerifyFlags | None) -> SSLVerifyFlags | None:
    if isinstance(given, str):
        if given.upper() not in SSLVerifyFlags.__members__:
            raise ValueError(f"ssl_verify_flags {given!r} is none of {', '.join(SSLVerifyFlags.__members__)}")
        return SSLVerifyFlags[given.upper()]
    return given


def _milliseconds(seconds: float | None) -> int | None:
    """In whole milliseconds: at least one, since 0 means none."""
    return None if seconds is None else max(1, int(seconds * 1000)) if seconds > 0 else int(seconds * 1000)


def create_statement(
    statement: str,
    # How many values there will be, or the values themselves.
    parameters: int | list[Any] | tuple[Any, ...] | Mapping[str, Any] | None = None,
    page_size: int | None = None,
    page_state: bytes | None = None,
    timeout: float | None = None,
    consistency: Consistency | None = None,
    serial_consistency: Consistency | None = None,
    execution_profile: str | None = None,
    native_types: bool | None = None,
) -> Statement:
    """A statement of a text, for any session."""
    return make_statement(
        statement,
        None,
        parameters,
        None,
        page_size,
        page_state,
        timeout,
        consistency,
        serial_consistency,
        execution_profile,
        native_types,
    )


def create_batch_logged(timeout: float | None = None, execution_profile: str | None = None) -> Batch:
    """An empty batch whose statements are all applied or none; `timeout` is in seconds."""
    return Batch("logged", timeout, execution_profile)


def create_batch_unlogged(timeout: float | None = None, execution_profile: str | None = None) -> Batch:
    """An empty batch without the batch log; `timeout` is in seconds."""
    return Batch("unlogged", timeout, execution_profile)


def create_batch_counter(timeout: float | None = None, execution_profile: str | None = None) -> Batch:
    """An empty batch of counter updates; `timeout` is in seconds."""
    return Batch("counter", timeout, execution_profile)


def get_logger() -> logging.Logger:
    """Python's logger `acsylla`."""
    return logging.getLogger("acsylla")
