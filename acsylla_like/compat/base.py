"""acsylla's classes, by the name of the module that has them there."""

from acsylla_like.compat.cluster import Cluster
from acsylla_like.compat.enums import Consistency, HostListenerEvent, ProtocolVersion, SSLVerifyFlags, ValueType
from acsylla_like.compat.logger import Logger
from acsylla_like.compat.metadata import (
    AggregateMeta,
    ColumnMeta,
    FunctionMeta,
    IndexMeta,
    KeyspaceMeta,
    MaterializedViewMeta,
    Metadata,
    NestedTypeMeta,
    TableMeta,
    UserTypeFieldMeta,
    UserTypeMeta,
)
from acsylla_like.compat.records import (
    DseGssapiAuthenticator,
    DseGssapiAuthenticatorProxy,
    DsePlaintextAuthenticator,
    DsePlaintextAuthenticatorProxy,
    LatencyAwareRoutingSettings,
    LogMessage,
    SessionMetrics,
    SpeculativeExecutionMetrics,
    SpeculativeExecutionPolicy,
)
from acsylla_like.compat.result import Result, Row
from acsylla_like.compat.session import Session
from acsylla_like.compat.statement import Batch, PreparedStatement, Statement
from acsylla_like.compat.values import SupportedType as SupportedType

__all__ = [
    "AggregateMeta",
    "Batch",
    "Cluster",
    "ColumnMeta",
    "Consistency",
    "DseGssapiAuthenticator",
    "DseGssapiAuthenticatorProxy",
    "DsePlaintextAuthenticator",
    "DsePlaintextAuthenticatorProxy",
    "FunctionMeta",
    "HostListenerEvent",
    "IndexMeta",
    "KeyspaceMeta",
    "LatencyAwareRoutingSettings",
    "LogMessage",
    "Logger",
    "MaterializedViewMeta",
    "Metadata",
    "NestedTypeMeta",
    "PreparedStatement",
    "ProtocolVersion",
    "Result",
    "Row",
    "SSLVerifyFlags",
    "Session",
    "SessionMetrics",
    "SpeculativeExecutionMetrics",
    "SpeculativeExecutionPolicy",
    "Statement",
    "TableMeta",
    "UserTypeFieldMeta",
    "UserTypeMeta",
    "ValueType",
]
