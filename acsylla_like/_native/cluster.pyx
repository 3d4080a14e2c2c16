# Clusters: the options with which sessions are opened.


cdef class Cluster:
    """Where a cluster is and how to speak to it; `acsylla_like.create_cluster` makes one. It opens no connection itself."""

    def __init__(self, contact_points, *, port=9042, keyspace=None, username=None, password=None, connect_timeout=5.0,
                 request_timeout=12.0, num_threads_io=1, local_dc=None, page_size=5000, consistency=None,
                 serial_consistency=None, core_connections_per_host=None, queue_size_io=None, heartbeat_interval=None,
                 idle_timeout=None, tcp_nodelay=None, tcp_keepalive=None, token_aware_routing=None, coalesce_delay=None,
                 server_side_timestamps=False, application_name=None, application_version=None, ssl=None,
                 # policies
                 load_balancing=None, shuffle_replicas=None, latency_aware=None, allowed_hosts=None, denied_hosts=None,
                 allowed_dcs=None, denied_dcs=None, reconnection=None, speculative_execution=None, timestamps=None,
                 execution_profiles=None, on_host_event=None,
                 # what is seldom needed
                 protocol_version=4, resolve_timeout=None, local_address=None, new_request_ratio=None,
                 max_schema_wait_time=None, tracing_max_wait_time=None, tracing_retry_wait_time=None,
                 tracing_consistency=None, use_schema=None, hostname_resolution=None, randomized_contact_points=None,
                 max_reusable_write_objects=None, prepare_on_all_hosts=None,
                 no_compact=None, client_id=None, monitor_reporting_interval=None, secure_connection_bundle=None,
                 # retries
                 retry_policy=None,
                 # who the client is
                 authenticator=None, auth_timeout=2.0):
        _ensure_loaded()
        ensure_logging()
        if secure_connection_bundle is None:
            self.contact_points = _contact_points(contact_points)
        elif contact_points is None and ssl is None:
            self.contact_points = ()
        else:
            raise ValueError("secure_connection_bundle has the contact points and certificates: give None and no ssl beside it")
        self.port = positive_int(port, "port")
        if self.port > 65535:
            raise ValueError(f"port must be at most 65535, not {port}")
        self.page_size = positive_int(page_size, "page_size")
        self.request_timeout = timeout_seconds(request_timeout, "request_timeout")
        if keyspace is not None and not isinstance(keyspace, str):
            raise TypeError(f"keyspace must be a str, not {type(keyspace).__name__}")
        self.keyspace = keyspace
        if retry_policy is not None and not isinstance(retry_policy, _RetryPolicy):
            raise TypeError(f"retry_policy must be a RetryPolicy, not {type(retry_policy).__name__}")
        self.retry_policy = retry_policy

        cdef ClusterHandle handle
        cdef RetryPolicyHandle policy
        cdef TimestampGenHandle generator
        cdef CassCluster* cluster = driver.cass_cluster_new()
        handle.reset(cluster)
        cdef bytes text = ",".join(self.contact_points).encode()
        if secure_connection_bundle is None:
            check(driver.cass_cluster_set_contact_points_n(cluster, <const char*>text, len(text)), "contact_points")
            check(driver.cass_cluster_set_port(cluster, self.port), f"port {port}")
        else:
            _set_bundle(cluster, secure_connection_bundle)
        # Version 5 of this driver is a draft that no server speaks any more; 4 is the newest both sides agree on.
        if type(protocol_version) is not int or not 3 <= protocol_version <= 4:
            raise ValueError(f"protocol_version must be 3 or 4, not {protocol_version!r}")
        check(driver.cass_cluster_set_protocol_version(cluster, protocol_version), f"protocol version {protocol_version}")
        self.connect_timeout = timeout_seconds(connect_timeout, "connect_timeout")
        driver.cass_cluster_set_connect_timeout(cluster, <unsigned>driver_milliseconds(self.connect_timeout))
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
        _set_local_dc(cluster, local_dc)
        self.local_dc = local_dc
        # policies
        if load_balancing is not None:
            if local_dc is not None:
                raise ValueError("load_balancing has a local_dc of its own: give one of the two")
            set_load_balancing(cluster, NULL, load_balancing)
        if shuffle_replicas is not None:
            require(<void*>driver.cass_cluster_set_token_aware_routing_shuffle_replicas,
                    "cass_cluster_set_token_aware_routing_shuffle_replicas")
            driver.cass_cluster_set_token_aware_routing_shuffle_replicas(
                cluster, truth_of(shuffle_replicas, "shuffle_replicas"))
        if latency_aware is not None:
            set_latency_aware(cluster, NULL, latency_aware)
        set_hosts(cluster, NULL, allowed_hosts, denied_hosts, allowed_dcs, denied_dcs)
        if reconnection is not None:
            set_reconnection(cluster, reconnection)
        if speculative_execution is not None:
            set_speculative_execution(cluster, NULL, speculative_execution)
        self.profile_timeouts = {}
        for name, profile in dict(execution_profiles or {}).items():
            seconds = set_execution_profile(cluster, name, profile)
            if not isnan(seconds):
                self.profile_timeouts[name.encode()] = seconds
            if profile.retry_policy is not None:
                if not isinstance(profile.retry_policy, _RetryPolicy):
                    raise TypeError(
                        f"execution profile {name!r}: retry_policy must be a RetryPolicy, not {type(profile.retry_policy).__name__}")
                if self.profile_retry_policies is None:
                    self.profile_retry_policies = {}
                self.profile_retry_policies[name.encode()] = profile.retry_policy
        if on_host_event is not None:
            if not callable(on_host_event):
                raise TypeError(f"on_host_event must be a function, not {type(on_host_event).__name__}")
            self.listener = on_host_event
        # what is seldom needed
        if resolve_timeout is not None:
            require(<void*>driver.cass_cluster_set_resolve_timeout, "cass_cluster_set_resolve_timeout")
            driver.cass_cluster_set_resolve_timeout(
                cluster, <unsigned>driver_milliseconds(timeout_seconds(resolve_timeout, "resolve_timeout")))
        if local_address is not None:
            require(<void*>driver.cass_cluster_set_local_address_n, "cass_cluster_set_local_address_n")
            text = _encoded(str(local_address), "local_address")
            check(driver.cass_cluster_set_local_address_n(cluster, <const char*>text, len(text)),
                  f"local_address {local_address!r}")
        if new_request_ratio is not None:
            require(<void*>driver.cass_cluster_set_new_request_ratio, "cass_cluster_set_new_request_ratio")
            check(driver.cass_cluster_set_new_request_ratio(cluster, int_from(new_request_ratio, "new_request_ratio", 1, 100)),
                  "new_request_ratio")
        if max_schema_wait_time is not None:
            require(<void*>driver.cass_cluster_set_max_schema_wait_time, "cass_cluster_set_max_schema_wait_time")
            driver.cass_cluster_set_max_schema_wait_time(cluster, delay_milliseconds(max_schema_wait_time, "max_schema_wait_time"))
        if tracing_max_wait_time is not None:
            require(<void*>driver.cass_cluster_set_tracing_max_wait_time, "cass_cluster_set_tracing_max_wait_time")
            driver.cass_cluster_set_tracing_max_wait_time(
                cluster, delay_milliseconds(tracing_max_wait_time, "tracing_max_wait_time"))
        if tracing_retry_wait_time is not None:
            require(<void*>driver.cass_cluster_set_tracing_retry_wait_time, "cass_cluster_set_tracing_retry_wait_time")
            driver.cass_cluster_set_tracing_retry_wait_time(
                cluster, delay_milliseconds(tracing_retry_wait_time, "tracing_retry_wait_time"))
        if tracing_consistency is not None:
            require(<void*>driver.cass_cluster_set_tracing_consistency, "cass_cluster_set_tracing_consistency")
            driver.cass_cluster_set_tracing_consistency(
                cluster, <CassConsistency>consistency_code(tracing_consistency, "tracing_consistency", False))
        self.sees_schema = True
        if use_schema is not None:
            require(<void*>driver.cass_cluster_set_use_schema, "cass_cluster_set_use_schema")
            self.sees_schema = truth_of(use_schema, "use_schema")
            driver.cass_cluster_set_use_schema(cluster, self.sees_schema)
        if hostname_resolution is not None:
            require(<void*>driver.cass_cluster_set_use_hostname_resolution, "cass_cluster_set_use_hostname_resolution")
            check(driver.cass_cluster_set_use_hostname_resolution(
                cluster, truth_of(hostname_resolution, "hostname_resolution")), "hostname_resolution")
        if randomized_contact_points is not None:
            require(<void*>driver.cass_cluster_set_use_randomized_contact_points, "cass_cluster_set_use_randomized_contact_points")
            check(driver.cass_cluster_set_use_randomized_contact_points(
                cluster, truth_of(randomized_contact_points, "randomized_contact_points")), "randomized_contact_points")
        if max_reusable_write_objects is not None:
            require(<void*>driver.cass_cluster_set_max_reusable_write_objects, "cass_cluster_set_max_reusable_write_objects")
            check(driver.cass_cluster_set_max_reusable_write_objects(
                cluster, int_from(max_reusable_write_objects, "max_reusable_write_objects", 0, 0x7FFFFFFF)),
                "max_reusable_write_objects")
        if prepare_on_all_hosts is not None:
            require(<void*>driver.cass_cluster_set_prepare_on_all_hosts, "cass_cluster_set_prepare_on_all_hosts")
            check(driver.cass_cluster_set_prepare_on_all_hosts(
                cluster, truth_of(prepare_on_all_hosts, "prepare_on_all_hosts")), "prepare_on_all_hosts")
        if no_compact is not None:
            require(<void*>driver.cass_cluster_set_no_compact, "cass_cluster_set_no_compact")
            check(driver.cass_cluster_set_no_compact(cluster, truth_of(no_compact, "no_compact")), "no_compact")
        if client_id is not None:
            if not isinstance(client_id, _uuid.UUID):
                raise TypeError(f"client_id must be a uuid.UUID, not {type(client_id).__name__}")
            require(<void*>driver.cass_cluster_set_client_id, "cass_cluster_set_client_id")
            driver.cass_cluster_set_client_id(cluster, _driver_uuid(client_id))
        if monitor_reporting_interval is not None:
            require(<void*>driver.cass_cluster_set_monitor_reporting_interval, "cass_cluster_set_monitor_reporting_interval")
            driver.cass_cluster_set_monitor_reporting_interval(
                cluster, <unsigned>ceil(delay_seconds(monitor_reporting_interval, "monitor_reporting_interval")))
        if heartbeat_interval is not None:
            driver.cass_cluster_set_connection_heartbeat_interval(
                cluster, _whole_seconds(heartbeat_interval, "heartbeat_interval", 0))
        if idle_timeout is not None:
            driver.cass_cluster_set_connection_idle_timeout(
                cluster, _whole_seconds(idle_timeout, "idle_timeout", 0x7FFFFFFF))
        if tcp_nodelay is not None:
            driver.cass_cluster_set_tcp_nodelay(cluster, truth_of(tcp_nodelay, "tcp_nodelay"))
        if tcp_keepalive is not None:
            driver.cass_cluster_set_tcp_keepalive(
                cluster, 1, _whole_seconds(tcp_keepalive, "tcp_keepalive", 0x7FFF))
        if token_aware_routing is not None:
            driver.cass_cluster_set_token_aware_routing(cluster, truth_of(token_aware_routing, "token_aware_routing"))
        if coalesce_delay is not None:
            check(driver.cass_cluster_set_coalesce_delay(
                cluster, <int64_t>(delay_seconds(coalesce_delay, "coalesce_delay") * 1e6)), "coalesce_delay")
        # While it prepares statements on a node that has come up, closing the session leaves it with a pointer to what is freed
        # then, and the process crashes (2.16.2, Cluster::on_prepare_host_up). They are prepared there when they are executed.
        if driver.cass_cluster_set_prepare_on_up_or_add_host != NULL:
            check(driver.cass_cluster_set_prepare_on_up_or_add_host(cluster, 0), "prepare_on_up_or_add_host")
        # Retries are decided above the driver, by the error's fields: its default policy would turn UNAVAILABLE into
        # "no hosts available".
        policy.reset(driver.cass_retry_policy_fallthrough_new())
        driver.cass_cluster_set_retry_policy(cluster, policy.get())
        if timestamps is not None:
            if server_side_timestamps:
                raise ValueError("timestamps are made here, or server_side_timestamps there: give one of the two")
            set_monotonic_timestamps(&generator, timestamps)
        elif truth_of(server_side_timestamps, "server_side_timestamps"):
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
        set_tls(self, cluster, ssl)
        set_authenticator(self, cluster, username, password, authenticator, timeout_seconds(auth_timeout, "auth_timeout"))
        self.handle.reset(handle.release())

    def _secure_like(self, Cluster other not None):
        """Has its connections encrypt and authenticate as those of `other`: what that has read and asked is not read and asked again."""
        if self.handle.get() == NULL:
            raise TypeError("this Cluster was made by __new__")
        if other.ssl.get() != NULL:
            use_ssl(self.handle.get(), other.ssl.get(), other.tls.verify)
            self.tls = other.tls
            self.tls_context = other.tls_context
        if other.bridge is not None:
            check(attach_authenticator(self.handle.get(), other.bridge.authenticator), "authenticator")
            self.bridge = other.bridge
            self.login = other.login

    def __repr__(self):
        return f"<Cluster {', '.join(self.contact_points or ('of a bundle',))} port {self.port}>"


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


cdef unsigned _whole_seconds(object value, str name, unsigned for_ever) except? 0:
    """A time in the driver's unit, rounded up; `for_ever` for infinity."""
    cdef double seconds = timeout_seconds(value, name)
    if isinf(seconds):
        return for_ever
    return <unsigned>min(max(1.0, ceil(seconds)), <double>0x7FFFFFFF)


cdef CassUuid _driver_uuid(object value):
    """A UUID as the driver keeps it: the time's three fields in the order of their weight."""
    cdef CassUuid result
    fields = value.fields
    result.time_and_version = (<uint64_t>fields[2] << 48) | (<uint64_t>fields[1] << 32) | <uint64_t>fields[0]
    result.clock_seq_and_node = <uint64_t>(value.int & 0xFFFFFFFFFFFFFFFF)
    return result


cdef int _set_bundle(CassCluster* cluster, object path) except -1:
    require(<void*>driver.cass_cluster_set_cloud_secure_connection_bundle_n, "cass_cluster_set_cloud_secure_connection_bundle_n")
    cdef bytes name = _os.fsencode(path)
    with open(path, "rb"):
        pass  # the driver would not say why it cannot be read
    check(driver.cass_cluster_set_cloud_secure_connection_bundle_n(cluster, <const char*>name, len(name)),
          f"secure_connection_bundle {_os.fspath(path)!r} (what is wrong with it is in the driver's log)")
    return 0


cdef int _set_local_dc(CassCluster* cluster, object local_dc) except -1:
    cdef bytes name
    if local_dc is not None:
        name = _encoded(local_dc, "local_dc")
        check(driver.cass_cluster_set_load_balance_dc_aware_n(cluster, <const char*>name, len(name), 0, 0),
              f"local_dc {local_dc!r}")
    return 0
