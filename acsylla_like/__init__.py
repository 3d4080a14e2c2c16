"""An asyncio client for Apache Cassandra and ScyllaDB over the DataStax/ScyllaDB C++ driver."""

from acsylla_like._driver import DriverInfo, DriverLoadError, driver_info, load_driver
from acsylla_like._native import Coordinator, set_driver_log_level
from acsylla_like.arrow import ArrowBatch, ArrowSchema, ArrowTable
from acsylla_like.authentication import Authenticator, AuthExchange, DsePlainTextAuthenticator, PlainTextAuthenticator
from acsylla_like.bulk import BulkReport, Latency, RowError
from acsylla_like.cluster import Cluster, connect, create_cluster
from acsylla_like.errors import *  # noqa: F403
from acsylla_like.errors import __all__ as _errors
from acsylla_like.host_events import HostEvent
from acsylla_like.metadata import (
    AggregateMetadata,
    ColumnMetadata,
    FunctionMetadata,
    IndexMetadata,
    KeyspaceMetadata,
    MaterializedViewMetadata,
    Metadata,
    TableMetadata,
    TriggerMetadata,
    UserTypeMetadata,
)
from acsylla_like.paging import Stream
from acsylla_like.policies import (
    Consistency,
    ConstantReconnection,
    DcAware,
    ExecutionProfile,
    ExponentialReconnection,
    LatencyAware,
    MonotonicTimestamps,
    RackAware,
    RoundRobin,
    SpeculativeExecution,
)
from acsylla_like.retry import IGNORE, RETHROW, Attempt, FailedRequest, Retry, RetryBudget, RetryPolicy, Verdict
from acsylla_like.routing import Replica, Route
from acsylla_like.rows import Column, Result, Row
from acsylla_like.security import Tls
from acsylla_like.session import Session
from acsylla_like.shard_counts import ShardCounts
from acsylla_like.shard_report import ShardReport
from acsylla_like.sigv4 import AwsCredentials, SigV4Authenticator
from acsylla_like.statement import (
    Batch,
    Parameter,
    PreparedStatement,
    Statement,
    create_batch_counter,
    create_batch_logged,
    create_batch_unlogged,
    create_statement,
)
from acsylla_like.table_scan import Scan, ScanSplit
from acsylla_like.types import UNSET, Date, Duration, FrozenMap, Time, Timestamp

__all__ = [
    "IGNORE",
    "RETHROW",
    "UNSET",
    "AggregateMetadata",
    "ArrowBatch",
    "ArrowSchema",
    "ArrowTable",
    "Attempt",
    "AuthExchange",
    "Authenticator",
    "AwsCredentials",
    "Batch",
    "BulkReport",
    "Cluster",
    "Column",
    "ColumnMetadata",
    "Consistency",
    "ConstantReconnection",
    "Coordinator",
    "Date",
    "DcAware",
    "DriverInfo",
    "DriverLoadError",
    "DsePlainTextAuthenticator",
    "Duration",
    "ExecutionProfile",
    "ExponentialReconnection",
    "FailedRequest",
    "FrozenMap",
    "FunctionMetadata",
    "HostEvent",
    "IndexMetadata",
    "KeyspaceMetadata",
    "Latency",
    "LatencyAware",
    "MaterializedViewMetadata",
    "Metadata",
    "MonotonicTimestamps",
    "Parameter",
    "PlainTextAuthenticator",
    "PreparedStatement",
    "RackAware",
    "Replica",
    "Result",
    "RoundRobin",
    "Route",
    "Retry",
    "RetryBudget",
    "RetryPolicy",
    "Row",
    "RowError",
    "Scan",
    "ScanSplit",
    "Session",
    "SpeculativeExecution",
    "ShardCounts",
    "ShardReport",
    "SigV4Authenticator",
    "Statement",
    "Stream",
    "TableMetadata",
    "Time",
    "Timestamp",
    "Tls",
    "TriggerMetadata",
    "UserTypeMetadata",
    "Verdict",
    "connect",
    "create_batch_counter",
    "create_batch_logged",
    "create_batch_unlogged",
    "create_cluster",
    "create_statement",
    "driver_info",
    "load_driver",
    "set_driver_log_level",
    *_errors,
]
