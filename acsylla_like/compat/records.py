"""acsylla's settings and figures."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "DseGssapiAuthenticator",
    "DseGssapiAuthenticatorProxy",
    "DsePlaintextAuthenticator",
    "DsePlaintextAuthenticatorProxy",
    "LatencyAwareRoutingSettings",
    "LogMessage",
    "SessionMetrics",
    "SpeculativeExecutionMetrics",
    "SpeculativeExecutionPolicy",
]


@dataclass
class LatencyAwareRoutingSettings:
    """As `acsylla_like.LatencyAware`, in milliseconds."""

    exclusion_threshold: float = 2.0
    scale_ms: int = 100
    retry_period_ms: int = 10_000
    update_rate_ms: int = 100
    min_measured: int = 50


@dataclass
class SpeculativeExecutionPolicy:
    """As `acsylla_like.SpeculativeExecution`, in milliseconds."""

    constant_delay_ms: int
    max_speculative_executions: int


@dataclass
class DseGssapiAuthenticator:
    """Kerberos for DataStax Enterprise."""

    service: str
    principal: str


@dataclass
class DseGssapiAuthenticatorProxy:
    """Kerberos for DataStax Enterprise, on behalf of another role."""

    service: str
    principal: str
    authorization_id: str


@dataclass
class DsePlaintextAuthenticator:
    """A password for DataStax Enterprise."""

    username: str
    password: str = field(repr=False)


@dataclass
class DsePlaintextAuthenticatorProxy:
    """A password for DataStax Enterprise, on behalf of another role."""

    username: str
    password: str = field(repr=False)
    authorization_id: str


@dataclass
class SessionMetrics:
    """Latencies in microseconds, rates in requests per second."""

    requests_min: int
    requests_max: int
    requests_mean: int
    requests_stddev: int
    requests_median: int
    requests_percentile_75th: int
    requests_percentile_95th: int
    requests_percentile_98th: int
    requests_percentile_99th: int
    requests_percentile_999th: int
    requests_mean_rate: float
    requests_one_minute_rate: float
    requests_five_minute_rate: float
    requests_fifteen_minute_rate: float
    stats_total_connections: int
    errors_connection_timeouts: int
    errors_request_timeouts: int


@dataclass
class SpeculativeExecutionMetrics:
    """Latencies in microseconds; `count` requests were answered by another node first, `percentage` is their share of all."""

    min: int
    max: int
    mean: int
    stddev: int
    median: int
    percentile_75th: int
    percentile_95th: int
    percentile_98th: int
    percentile_99th: int
    percentile_999th: int
    count: int
    percentage: float


@dataclass
class LogMessage:
    """A line of the driver's log."""

    time_ms: int
    log_level: str
    file: str
    line: int
    function: str
    message: str
