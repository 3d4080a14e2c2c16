"""How requests find their nodes: consistency levels, load balancing, reconnecting, speculation, timestamps, profiles.

All of it is carried out by the driver; these are its settings. Times are in seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from acsylla_like.retry import RetryPolicy

__all__ = [
    "Consistency",
    "ConstantReconnection",
    "DcAware",
    "ExecutionProfile",
    "ExponentialReconnection",
    "LatencyAware",
    "LoadBalancing",
    "MonotonicTimestamps",
    "RackAware",
    "Reconnection",
    "RoundRobin",
    "SpeculativeExecution",
]


class Consistency(enum.IntEnum):
    """How many replicas must answer; the values are the protocol's (native_protocol_v4.spec, section 3, [consistency])."""

    ANY = 0x0
    ONE = 0x1
    TWO = 0x2
    THREE = 0x3
    QUORUM = 0x4
    ALL = 0x5
    LOCAL_QUORUM = 0x6
    EACH_QUORUM = 0x7
    SERIAL = 0x8
    LOCAL_SERIAL = 0x9
    LOCAL_ONE = 0xA


@dataclass(frozen=True)
class RoundRobin:
    """Every node in turn, those of all data centres."""


@dataclass(frozen=True)
class DcAware:
    """The nodes of one data centre in turn, and no others.

    Without this the data centre of the first node that answers is the local one. `used_hosts_per_remote_dc` nodes of every
    other data centre come after them, if more than 0; for requests with a LOCAL_… consistency only where
    `allow_remote_dcs_for_local_consistency` says so.
    """

    local_dc: str
    used_hosts_per_remote_dc: int = 0
    allow_remote_dcs_for_local_consistency: bool = False


@dataclass(frozen=True)
class RackAware:
    """The nodes of one rack in turn, then those of its data centre, then all others."""

    local_dc: str
    local_rack: str


LoadBalancing: TypeAlias = RoundRobin | DcAware | RackAware


@dataclass(frozen=True)
class LatencyAware:
    """Leaves a node out for `retry_period` when its average latency is more than `exclusion_threshold` times the best one's.

    An average counts from `min_measured` requests on; `scale` is the age at which a measurement weighs half as much, roughly;
    the best average is computed every `update_rate`.
    """

    exclusion_threshold: float = 2.0
    scale: float = 0.1
    retry_period: float = 10.0
    update_rate: float = 0.1
    min_measured: int = 50


@dataclass(frozen=True)
class ConstantReconnection:
    """A connection that was lost is tried again every `delay`; 0 for at once."""

    delay: float


@dataclass(frozen=True)
class ExponentialReconnection:
    """A connection that was lost is tried again after `base`, then twice that and so on up to `max`, give or take 15 %."""

    base: float = 2.0
    max: float = 60.0


Reconnection: TypeAlias = ConstantReconnection | ExponentialReconnection


@dataclass(frozen=True)
class SpeculativeExecution:
    """An idempotent request that is not answered within `delay` is sent to another node, too, up to `max_executions` times;
    the first answer counts."""

    delay: float
    max_executions: int = 1


@dataclass(frozen=True)
class MonotonicTimestamps:
    """Timestamps are made here, each greater than the last, and a warning is logged when they are `warning_threshold` ahead of
    the clock, at most every `warning_interval`."""

    warning_threshold: float = 1.0
    warning_interval: float = 1.0


@dataclass(frozen=True)
class ExecutionProfile:
    """Settings for the requests that name it (`execution_profile=`). What is None is the cluster's; what the request or the
    session says itself wins.

    Token awareness, latency awareness and the lists of hosts and data centres take effect with a `load_balancing` of the
    profile's own, for which the driver knows no racks.
    """

    timeout: float | None = None
    consistency: Consistency | str | int | None = None
    serial_consistency: Consistency | str | int | None = None
    load_balancing: RoundRobin | DcAware | None = None
    token_aware_routing: bool | None = None
    shuffle_replicas: bool | None = None
    latency_aware: LatencyAware | None = None
    allowed_hosts: str | Iterable[str] | None = None
    denied_hosts: str | Iterable[str] | None = None
    allowed_dcs: str | Iterable[str] | None = None
    denied_dcs: str | Iterable[str] | None = None
    speculative_execution: SpeculativeExecution | None = None
    retry_policy: RetryPolicy | None = None

    def __post_init__(self) -> None:
        for name in ("allowed_hosts", "denied_hosts", "allowed_dcs", "denied_dcs"):
            names = getattr(self, name)
            if isinstance(names, Iterator):  # which could be read once
                object.__setattr__(self, name, list(names))
