# Policies and execution profiles: a cluster's settings as the driver takes them.

from acsylla_like import policies as _policies

# Of a profile, those that the driver ignores without a load balancing of the profile's own.
_NEED_BALANCING = ("token_aware_routing", "shuffle_replicas", "latency_aware", "allowed_hosts", "denied_hosts", "allowed_dcs",
                   "denied_dcs")


cdef double delay_seconds(object value, str name) except? -2:
    """Checks a time that may be 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    cdef double seconds = value
    if not 0 <= seconds < 4e6:
        raise ValueError(f"{name} must be between 0 and 4000000 seconds, not {value!r}")
    return seconds


cdef unsigned delay_milliseconds(object value, str name) except? 0:
    return <unsigned>ceil(delay_seconds(value, name) * 1000.0)


cdef int int_from(object value, str name, int64_t least, int64_t most) except? -2:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be between {least} and {most}, not {value}")
    return <int>value


cdef bytes comma_list(object value, str name):
    """Names as the driver reads them: with commas between."""
    if isinstance(value, str):
        value = value.split(",")
    try:
        names = [item.strip() if isinstance(item, str) else str(item) for item in value]
    except TypeError:
        raise TypeError(f"{name} must be a str or a list of them, not {type(value).__name__}") from None
    if not names or "" in names or any("," in item for item in names):
        raise ValueError(f"{name} must have at least one name and no empty one, not {value!r}")
    return ",".join(names).encode()


cdef int set_load_balancing(CassCluster* cluster, CassExecProfile* profile, object policy) except -1:
    """Of the profile, where there is one."""
    cdef bytes dc
    cdef bytes rack
    if isinstance(policy, _policies.RoundRobin):
        if profile == NULL:
            require(<void*>driver.cass_cluster_set_load_balance_round_robin, "cass_cluster_set_load_balance_round_robin")
            driver.cass_cluster_set_load_balance_round_robin(cluster)
        else:
            check(driver.cass_execution_profile_set_load_balance_round_robin(profile), "load_balancing")
    elif isinstance(policy, _policies.DcAware):
        dc = _encoded(policy.local_dc, "local_dc")
        used = int_from(policy.used_hosts_per_remote_dc, "used_hosts_per_remote_dc", 0, 1 << 20)
        remote = truth_of(policy.allow_remote_dcs_for_local_consistency, "allow_remote_dcs_for_local_consistency")
        if profile == NULL:
            check(driver.cass_cluster_set_load_balance_dc_aware_n(cluster, <const char*>dc, len(dc), used, remote),
                  f"local_dc {policy.local_dc!r}")
        else:
            check(driver.cass_execution_profile_set_load_balance_dc_aware_n(profile, <const char*>dc, len(dc), used, remote),
                  f"local_dc {policy.local_dc!r}")
    elif isinstance(policy, _policies.RackAware):
        if profile != NULL:
            raise ValueError("the driver knows no racks in an execution profile: give the cluster RackAware, the profile DcAware")
        require(<void*>driver.cass_cluster_set_load_balance_rack_aware_n, "cass_cluster_set_load_balance_rack_aware_n")
        dc = _encoded(policy.local_dc, "local_dc")
        rack = _encoded(policy.local_rack, "local_rack")
        check(driver.cass_cluster_set_load_balance_rack_aware_n(cluster, <const char*>dc, len(dc), <const char*>rack, len(rack)),
              f"local_dc {policy.local_dc!r}, local_rack {policy.local_rack!r}")
    else:
        raise TypeError(f"load_balancing must be RoundRobin, DcAware or RackAware, not {type(policy).__name__}")
    return 0


cdef int set_latency_aware(CassCluster* cluster, CassExecProfile* profile, object policy) except -1:
    if not isinstance(policy, _policies.LatencyAware):
        raise TypeError(f"latency_aware must be LatencyAware, not {type(policy).__name__}")
    threshold = policy.exclusion_threshold
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 1 <= threshold < 1e6:
        raise ValueError(f"exclusion_threshold must be a number from 1 on, not {threshold!r}")
    scale = delay_milliseconds(policy.scale, "scale")
    period = delay_milliseconds(policy.retry_period, "retry_period")
    rate = delay_milliseconds(policy.update_rate, "update_rate")
    least = int_from(policy.min_measured, "min_measured", 0, 1 << 30)
    if scale == 0 or rate == 0:
        raise ValueError("scale and update_rate must be positive")
    if profile == NULL:
        require(<void*>driver.cass_cluster_set_latency_aware_routing_settings, "cass_cluster_set_latency_aware_routing_settings")
        driver.cass_cluster_set_latency_aware_routing(cluster, 1)
        driver.cass_cluster_set_latency_aware_routing_settings(cluster, threshold, scale, period, rate, least)
    else:
        check(driver.cass_execution_profile_set_latency_aware_routing(profile, 1), "latency_aware")
        check(driver.cass_execution_profile_set_latency_aware_routing_settings(profile, threshold, scale, period, rate, least),
              "latency_aware")
    return 0


cdef int set_hosts(CassCluster* cluster, CassExecProfile* profile, object allowed_hosts, object denied_hosts, object allowed_dcs,
                   object denied_dcs) except -1:
    """The lists of nodes and data centres that may, or may not, be connected to."""
    cdef bytes names
    if profile == NULL and not (allowed_hosts is denied_hosts is allowed_dcs is denied_dcs is None):
        require(<void*>driver.cass_cluster_set_whitelist_filtering_n, "cass_cluster_set_whitelist_filtering_n")
        require(<void*>driver.cass_cluster_set_blacklist_dc_filtering_n, "cass_cluster_set_blacklist_dc_filtering_n")
    if allowed_hosts is not None:
        names = comma_list(allowed_hosts, "allowed_hosts")
        if profile == NULL:
            driver.cass_cluster_set_whitelist_filtering_n(cluster, <const char*>names, len(names))
        else:
            check(driver.cass_execution_profile_set_whitelist_filtering_n(profile, <const char*>names, len(names)), "allowed_hosts")
    if denied_hosts is not None:
        names = comma_list(denied_hosts, "denied_hosts")
        if profile == NULL:
            driver.cass_cluster_set_blacklist_filtering_n(cluster, <const char*>names, len(names))
        else:
            check(driver.cass_execution_profile_set_blacklist_filtering_n(profile, <const char*>names, len(names)), "denied_hosts")
    if allowed_dcs is not None:
        names = comma_list(allowed_dcs, "allowed_dcs")
        if profile == NULL:
            driver.cass_cluster_set_whitelist_dc_filtering_n(cluster, <const char*>names, len(names))
        else:
            check(driver.cass_execution_profile_set_whitelist_dc_filtering_n(profile, <const char*>names, len(names)), "allowed_dcs")
    if denied_dcs is not None:
        names = comma_list(denied_dcs, "denied_dcs")
        if profile == NULL:
            driver.cass_cluster_set_blacklist_dc_filtering_n(cluster, <const char*>names, len(names))
        else:
            check(driver.cass_execution_profile_set_blacklist_dc_filtering_n(profile, <const char*>names, len(names)), "denied_dcs")
    return 0


cdef int set_speculative_execution(CassCluster* cluster, CassExecProfile* profile, object policy) except -1:
    if not isinstance(policy, _policies.SpeculativeExecution):
        raise TypeError(f"speculative_execution must be SpeculativeExecution, not {type(policy).__name__}")
    delay = delay_milliseconds(policy.delay, "delay")
    most = int_from(policy.max_executions, "max_executions", 0, 1 << 20)
    if profile == NULL:
        require(<void*>driver.cass_cluster_set_constant_speculative_execution_policy,
                "cass_cluster_set_constant_speculative_execution_policy")
        check(driver.cass_cluster_set_constant_speculative_execution_policy(cluster, delay, most), "speculative_execution")
    else:
        check(driver.cass_execution_profile_set_constant_speculative_execution_policy(profile, delay, most), "speculative_execution")
    return 0


cdef int set_reconnection(CassCluster* cluster, object policy) except -1:
    """Sets just one: in this driver (2.16.2) the exponential policy overrides the constant one, whichever came first."""
    if isinstance(policy, _policies.ConstantReconnection):
        require(<void*>driver.cass_cluster_set_constant_reconnect, "cass_cluster_set_constant_reconnect")
        driver.cass_cluster_set_constant_reconnect(cluster, delay_milliseconds(policy.delay, "delay"))
    elif isinstance(policy, _policies.ExponentialReconnection):
        require(<void*>driver.cass_cluster_set_exponential_reconnect, "cass_cluster_set_exponential_reconnect")
        base = delay_milliseconds(policy.base, "base")
        most = delay_milliseconds(policy.max, "max")
        if base < 2 or most < base:
            raise ValueError(f"base must be at least 0.002 s and max no less than base, not {policy.base!r} and {policy.max!r}")
        check(driver.cass_cluster_set_exponential_reconnect(cluster, base, most), "reconnection")
    else:
        raise TypeError(f"reconnection must be ConstantReconnection or ExponentialReconnection, not {type(policy).__name__}")
    return 0


cdef int set_monotonic_timestamps(TimestampGenHandle* generator, object policy) except -1:
    if not isinstance(policy, _policies.MonotonicTimestamps):
        raise TypeError(f"timestamps must be MonotonicTimestamps, not {type(policy).__name__}")
    require(<void*>driver.cass_timestamp_gen_monotonic_new_with_settings, "cass_timestamp_gen_monotonic_new_with_settings")
    generator.reset(driver.cass_timestamp_gen_monotonic_new_with_settings(
        <int64_t>(delay_seconds(policy.warning_threshold, "warning_threshold") * 1e6),
        delay_milliseconds(policy.warning_interval, "warning_interval")))
    return 0


cdef double set_execution_profile(CassCluster* cluster, object name, object given) except? -2:
    """Returns the profile's timeout in seconds, or NaN."""
    cdef ExecProfileHandle handle
    cdef CassExecProfile* profile
    cdef bytes key = _encoded(name, "an execution profile's name")
    cdef double timeout = NAN
    if not key:
        raise ValueError("an execution profile must have a name")
    if not isinstance(given, _policies.ExecutionProfile):
        raise TypeError(f"execution_profiles must have ExecutionProfile objects, not {type(given).__name__}")
    require(<void*>driver.cass_execution_profile_new, "cass_execution_profile_new")
    if given.load_balancing is None:
        lost = [option for option in _NEED_BALANCING if getattr(given, option) is not None]
        if lost:
            raise ValueError(f"execution profile {name!r}: {', '.join(lost)} would do nothing without a load_balancing of its own")
    profile = driver.cass_execution_profile_new()
    handle.reset(profile)
    if given.timeout is not None:
        timeout = timeout_seconds(given.timeout, "timeout")
        check(driver.cass_execution_profile_set_request_timeout(profile, driver_milliseconds(timeout)), "timeout")
    if given.consistency is not None:
        check(driver.cass_execution_profile_set_consistency(
            profile, <CassConsistency>consistency_code(given.consistency, "consistency", False)), "consistency")
    if given.serial_consistency is not None:
        check(driver.cass_execution_profile_set_serial_consistency(
            profile, <CassConsistency>consistency_code(given.serial_consistency, "serial_consistency", True)), "serial_consistency")
    if given.load_balancing is not None:
        set_load_balancing(NULL, profile, given.load_balancing)
    if given.token_aware_routing is not None:
        check(driver.cass_execution_profile_set_token_aware_routing(
            profile, truth_of(given.token_aware_routing, "token_aware_routing")), "token_aware_routing")
    if given.shuffle_replicas is not None:
        check(driver.cass_execution_profile_set_token_aware_routing_shuffle_replicas(
            profile, truth_of(given.shuffle_replicas, "shuffle_replicas")), "shuffle_replicas")
    if given.latency_aware is not None:
        set_latency_aware(NULL, profile, given.latency_aware)
    set_hosts(NULL, profile, given.allowed_hosts, given.denied_hosts, given.allowed_dcs, given.denied_dcs)
    if given.speculative_execution is not None:
        set_speculative_execution(NULL, profile, given.speculative_execution)
    check(driver.cass_cluster_set_execution_profile_n(cluster, <const char*>key, len(key), profile), f"execution profile {name!r}")
    return timeout
