# Clusters: the options with which sessions are opened.


cdef class Cluster:
    """Where a cluster is and how to speak to it; `acsylla_like.create_cluster` makes one. It opens no connection itself."""

    def __init__(self, contact_points, *, port=9042, keyspace=None, username=None, password=None, connect_timeout=5.0,
                 request_timeout=12.0, num_threads_io=1, local_dc=None, page_size=5000, consistency=None,
                 serial_consistency=None, core_connections_per_host=None, queue_size_io=None, heartbeat_interval=None,
                 idle_timeout=None, tcp_nodelay=None, tcp_keepalive=None, token_aware_routing=None, coalesce_delay=None,
                 server_side_timestamps=False, application_name=None, application_version=None, ssl=None):
        _ensure_loaded()
        ensure_logging()
        self.contact_points = _contact_points(contact_points)
        self.port = positive_int(port, "port")
        if self.port > 65535:
            raise ValueError(f"port must be at most 65535, not {port}")
        self.page_size = positive_int(page_size, "page_size")
        self.request_timeout = timeout_seconds(request_timeout, "request_timeout")
        if keyspace is not None and not isinstance(keyspace, str):
            raise TypeError(f"keyspace must be a str, not {type(keyspace).__name__}")
        self.keyspace = keyspace

        cdef ClusterHandle handle
        cdef RetryPolicyHandle policy
        cdef TimestampGenHandle generator
        cdef CassCluster* cluster = driver.cass_cluster_new()
        handle.reset(cluster)
        cdef bytes text = ",".join(self.contact_points).encode()
        check(driver.cass_cluster_set_contact_points_n(cluster, <const char*>text, len(text)), "contact_points")
        check(driver.cass_cluster_set_port(cluster, self.port), f"port {port}")
        # Version 5 of this driver is a draft that no server speaks any more; 4 is the newest both sides agree on.
        check(driver.cass_cluster_set_protocol_version(cluster, 4), "protocol version 4")
        driver.cass_cluster_set_connect_timeout(
            cluster, <unsigned>driver_milliseconds(timeout_seconds(connect_timeout, "connect_timeout")))
        driver.cass_cluster_set_request_timeout(cluster, <unsigned>driver_milliseconds(self.request_timeout))
        check(driver.cass_cluster_set_num_threads_io(cluster, positive_int(num_threads_io, "num_threads_io")),
              f"num_threads_io {num_threads_io}")
        if queue_size_io is not None:
            check(driver.cass_cluster_set_queue_size_io(cluster, positive_int(queue_size_io, "queue_size_io")),
                  f"queue_size_io {queue_size_io}")
        if core_connections_per_host is not None:
            check(driver.cass_cluster_set_core_connections_per_host(
                cluster, positive_int(core_connections_per_host, "core_connections_per_host")),
                f"core_connections_per_host {core_connections_per_host}")
        if consistency is not None:
            check(driver.cass_cluster_set_consistency(
                cluster, <CassConsistency>consistency_code(consistency, "consistency", False)), "consistency")
        if serial_consistency is not None:
            check(driver.cass_cluster_set_serial_consistency(
                cluster, <CassConsistency>consistency_code(serial_consistency, "serial_consistency", True)),
                "serial_consistency")
        _set_credentials(cluster, username, password)
        _set_local_dc(cluster, local_dc)
        if heartbeat_interval is not None:
            driver.cass_cluster_set_connection_heartbeat_interval(
                cluster, <unsigned>max(1.0, ceil(timeout_seconds(heartbeat_interval, "heartbeat_interval"))))
        if idle_timeout is not None:
            driver.cass_cluster_set_connection_idle_timeout(
                cluster, <unsigned>max(1.0, ceil(timeout_seconds(idle_timeout, "idle_timeout"))))
        if tcp_nodelay is not None:
            driver.cass_cluster_set_tcp_nodelay(cluster, truth_of(tcp_nodelay, "tcp_nodelay"))
        if tcp_keepalive is not None:
            driver.cass_cluster_set_tcp_keepalive(
                cluster, 1, <unsigned>max(1.0, ceil(timeout_seconds(tcp_keepalive, "tcp_keepalive"))))
        if token_aware_routing is not None:
            driver.cass_cluster_set_token_aware_routing(cluster, truth_of(token_aware_routing, "token_aware_routing"))
        if coalesce_delay is not None:
            check(driver.cass_cluster_set_coalesce_delay(
                cluster, <int64_t>(timeout_seconds(coalesce_delay, "coalesce_delay") * 1e6)), "coalesce_delay")
        # Retries are decided above the driver, by the error's fields: its default policy would turn UNAVAILABLE into
        # "no hosts available".
        policy.reset(driver.cass_retry_policy_fallthrough_new())
        driver.cass_cluster_set_retry_policy(cluster, policy.get())
        if truth_of(server_side_timestamps, "server_side_timestamps"):
            generator.reset(driver.cass_timestamp_gen_server_side_new())
        else:
            generator.reset(driver.cass_timestamp_gen_monotonic_new())
        driver.cass_cluster_set_timestamp_gen(cluster, generator.get())
        if application_name is not None:
            require(<void*>driver.cass_cluster_set_application_name_n, "cass_cluster_set_application_name_n")
            text = _encoded(application_name, "application_name")
            driver.cass_cluster_set_application_name_n(cluster, <const char*>text, len(text))
        if application_version is not None:
            require(<void*>driver.cass_cluster_set_application_version_n, "cass_cluster_set_application_version_n")
            text = _encoded(application_version, "application_version")
            driver.cass_cluster_set_application_version_n(cluster, <const char*>text, len(text))
        self.tls = set_tls(cluster, ssl)
        self.handle.reset(handle.release())

    def __repr__(self):
        return f"<Cluster {', '.join(self.contact_points or ())} port {self.port}>"


cdef tuple _contact_points(object contact_points):
    if isinstance(contact_points, str):
        contact_points = contact_points.split(",")
    try:
        points = [point.strip() if isinstance(point, str) else str(point) for point in contact_points]
    except TypeError:
        raise TypeError(
            f"contact_points must be a str or a list of them, not {type(contact_points).__name__}") from None
    if not points or "" in points or any("," in point for point in points):
        raise ValueError(f"contact_points must name at least one host and no empty one, not {contact_points!r}")
    return tuple(points)


cdef int _set_credentials(CassCluster* cluster, object username, object password) except -1:
    cdef bytes name
    cdef bytes secret
    if (username is None) != (password is None):
        raise ValueError("username and password go together")
    if username is not None:
        name = _encoded(username, "username")
        secret = _encoded(password, "password")
        driver.cass_cluster_set_credentials_n(
            cluster, <const char*>name, len(name), <const char*>secret, len(secret))
    return 0


cdef int _set_local_dc(CassCluster* cluster, object local_dc) except -1:
    cdef bytes name
    if local_dc is not None:
        name = _encoded(local_dc, "local_dc")
        check(driver.cass_cluster_set_load_balance_dc_aware_n(cluster, <const char*>name, len(name), 0, 0),
              f"local_dc {local_dc!r}")
    return 0
