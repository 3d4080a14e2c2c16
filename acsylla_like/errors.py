"""The errors: one tree under `Error`, each with what the driver and the server told about it.

Codes are the driver's (`ErrorCode`): the source in the top byte (1 library, 2 server, 3 TLS), the code below it; those of the
server are the protocol's (native_protocol_v4.spec, section 9). The classes that codes become are generated from one list.
"""

from __future__ import annotations

import asyncio
import enum
import sys
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from acsylla_like._native import Coordinator
    from acsylla_like.bulk import BulkReport
    from acsylla_like.retry import Attempt

__all__ = [
    "AlreadyExists",
    "AuthenticationError",
    "BindError",
    "BulkError",
    "CasWriteUnknown",
    "CdcWriteFailure",
    "ClientError",
    "ConfigurationError",
    "ConnectionLost",
    "DecodeError",
    "Error",
    "ForkError",
    "FunctionFailure",
    "HostResolutionError",
    "InvalidQuery",
    "IsBootstrapping",
    "NoHostsAvailable",
    "NotSingleRow",
    "Overloaded",
    "ProtocolError",
    "QuerySyntaxError",
    "ReadFailure",
    "ReadTimeout",
    "RequestQueueFull",
    "RequestTimeout",
    "ServerError",
    "SessionClosed",
    "TlsError",
    "TruncateError",
    "UnableToConnect",
    "Unauthorized",
    "Unavailable",
    "Unprepared",
    "UnsupportedByDriver",
    "WriteFailure",
    "WriteTimeout",
]


class Error(Exception):
    """The base of every error that the driver or the server reports.

    A field is None where the error does not carry it. Mistakes of the caller (a wrong type, count or name) are plain
    TypeError, ValueError, OverflowError or KeyError instead, raised before anything is sent.
    """

    code: int | None = None
    """The driver's code, one of `ErrorCode` or a newer one."""
    query: str | None = None
    """The CQL text, as the user wrote it."""
    coordinator: Coordinator | None = None
    """The node that answered."""
    consistency: str | None = None
    """The consistency level that the server reports."""
    received: int | None = None
    """How many replicas answered."""
    required: int | None = None
    """How many replicas had to."""
    failures: int | None = None
    """How many replicas failed."""
    data_present: bool | None = None
    """Whether the replica that was asked for data answered (read timeouts and read failures)."""
    write_type: str | None = None
    """SIMPLE, BATCH, UNLOGGED_BATCH, COUNTER, BATCH_LOG, CAS, VIEW or CDC."""
    keyspace: str | None = None
    table: str | None = None
    function: str | None = None
    argument_types: tuple[str, ...] | None = None
    retryable: bool = False
    """True when it is certain that nothing was applied, or the statement is idempotent."""
    transient: bool = False
    """Whether another try may succeed; whether it may be made, `retryable` tells."""
    attempts: tuple[Attempt, ...] = ()
    """Earlier tries of a request that a `RetryPolicy` has sent again, in their order; this error is of the last."""
    fields: ClassVar[tuple[str, ...]] = ()
    """What this class carries beside code, query and coordinator."""

    def __str__(self) -> str:
        text = super().__str__()
        facts = []
        if self.consistency is not None:
            facts.append(f"consistency {self.consistency}")
        if self.required is not None:
            facts.append(f"{self.received} of {self.required} replicas answered")
        if self.failures:
            facts.append(f"{self.failures} failed")
        if self.write_type is not None:
            facts.append(f"write type {self.write_type}")
        if self.attempts:
            facts.append(f"{len(self.attempts) + 1} tries")
        if self.coordinator is not None:
            facts.append(f"coordinator {self.coordinator}")
        if self.query is not None:
            facts.append(f"query {shorten(self.query, 200)!r}")
        return f"{text} [{'; '.join(facts)}]" if facts else text


class ClientError(Error):
    """Reported by the driver on this side of the connection."""


class ServerError(Error):
    """Reported by the server; of its own class, an internal error of the server (code 0x0000)."""


class TlsError(Error, ConnectionError):
    """A certificate, a key or the handshake was refused."""


class SessionClosed(ClientError):
    """The session was closed, or is being closed."""

    retryable = True


class ForkError(ClientError):
    """The session belongs to another process: its connections and threads did not come along with the fork."""

    retryable = True


class BulkError(ClientError):
    """Many rows were to be written, and not all were; the error of the row that ended it, if one did, is its cause."""

    report: BulkReport
    """What was done until then."""
    row: int | None = None
    """The row of the data, from 0 on, that ended it."""
    column: str | None = None
    """The column whose value was refused."""


class NotSingleRow(ClientError, LookupError):
    """`Result.single()` found no row, or more than one."""


class UnsupportedByDriver(ClientError, NotImplementedError):
    """The driver library in use lacks an optional function."""


class BindError(KeyError):
    """A parameter name that the statement does not have, or a value that is missing."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


if sys.version_info >= (3, 11):

    class _Timeout(TimeoutError):
        """What every timeout is."""

else:  # CPython 3.10, where asyncio has a TimeoutError of its own

    class _Timeout(TimeoutError, asyncio.TimeoutError):
        """What every timeout is."""


# ---- generated by scripts/generate_errors.py from src_cpp/error_codes.def: edit that list instead ----


class ErrorCode(enum.IntEnum):
    """The driver's codes: the source in the top byte, the code below it."""

    LIB_BAD_PARAMS = 0x01000001
    LIB_NO_STREAMS = 0x01000002
    LIB_UNABLE_TO_INIT = 0x01000003
    LIB_MESSAGE_ENCODE = 0x01000004
    LIB_HOST_RESOLUTION = 0x01000005
    LIB_UNEXPECTED_RESPONSE = 0x01000006
    LIB_REQUEST_QUEUE_FULL = 0x01000007
    LIB_NO_AVAILABLE_IO_THREAD = 0x01000008
    LIB_WRITE_ERROR = 0x01000009
    LIB_NO_HOSTS_AVAILABLE = 0x0100000A
    LIB_INDEX_OUT_OF_BOUNDS = 0x0100000B
    LIB_INVALID_ITEM_COUNT = 0x0100000C
    LIB_INVALID_VALUE_TYPE = 0x0100000D
    LIB_REQUEST_TIMED_OUT = 0x0100000E
    LIB_UNABLE_TO_SET_KEYSPACE = 0x0100000F
    LIB_CALLBACK_ALREADY_SET = 0x01000010
    LIB_INVALID_STATEMENT_TYPE = 0x01000011
    LIB_NAME_DOES_NOT_EXIST = 0x01000012
    LIB_UNABLE_TO_DETERMINE_PROTOCOL = 0x01000013
    LIB_NULL_VALUE = 0x01000014
    LIB_NOT_IMPLEMENTED = 0x01000015
    LIB_UNABLE_TO_CONNECT = 0x01000016
    LIB_UNABLE_TO_CLOSE = 0x01000017
    LIB_NO_PAGING_STATE = 0x01000018
    LIB_PARAMETER_UNSET = 0x01000019
    LIB_INVALID_ERROR_RESULT_TYPE = 0x0100001A
    LIB_INVALID_FUTURE_TYPE = 0x0100001B
    LIB_INTERNAL_ERROR = 0x0100001C
    LIB_INVALID_CUSTOM_TYPE = 0x0100001D
    LIB_INVALID_DATA = 0x0100001E
    LIB_NOT_ENOUGH_DATA = 0x0100001F
    LIB_INVALID_STATE = 0x01000020
    LIB_NO_CUSTOM_PAYLOAD = 0x01000021
    LIB_EXECUTION_PROFILE_INVALID = 0x01000022
    LIB_NO_TRACING_ID = 0x01000023
    SERVER_SERVER_ERROR = 0x02000000
    SERVER_PROTOCOL_ERROR = 0x0200000A
    SERVER_BAD_CREDENTIALS = 0x02000100
    SERVER_UNAVAILABLE = 0x02001000
    SERVER_OVERLOADED = 0x02001001
    SERVER_IS_BOOTSTRAPPING = 0x02001002
    SERVER_TRUNCATE_ERROR = 0x02001003
    SERVER_WRITE_TIMEOUT = 0x02001100
    SERVER_READ_TIMEOUT = 0x02001200
    SERVER_READ_FAILURE = 0x02001300
    SERVER_FUNCTION_FAILURE = 0x02001400
    SERVER_WRITE_FAILURE = 0x02001500
    SERVER_CDC_WRITE_FAILURE = 0x02001600
    SERVER_CAS_WRITE_UNKNOWN = 0x02001700
    SERVER_SYNTAX_ERROR = 0x02002000
    SERVER_UNAUTHORIZED = 0x02002100
    SERVER_INVALID_QUERY = 0x02002200
    SERVER_CONFIG_ERROR = 0x02002300
    SERVER_ALREADY_EXISTS = 0x02002400
    SERVER_UNPREPARED = 0x02002500
    SSL_INVALID_CERT = 0x03000001
    SSL_INVALID_PRIVATE_KEY = 0x03000002
    SSL_NO_PEER_CERT = 0x03000003
    SSL_INVALID_PEER_CERT = 0x03000004
    SSL_IDENTITY_MISMATCH = 0x03000005
    SSL_PROTOCOL_ERROR = 0x03000006
    SSL_CLOSED = 0x03000007


class RequestTimeout(ClientError, _Timeout):
    """No answer within the timeout; the server may still apply a write."""

    transient = True


class ConnectionLost(ClientError, ConnectionError):
    """The connection broke while the request was in flight; a write may have been applied."""

    transient = True


class RequestQueueFull(ClientError):
    """More requests at once than the driver queues; nothing was sent."""

    retryable = True
    transient = True


class NoHostsAvailable(ClientError, ConnectionError):
    """No node could be asked, or none that was asked could take the request."""

    retryable = True
    transient = True


class UnableToConnect(ClientError, ConnectionError):
    """No contact point could be reached."""

    retryable = True
    transient = True


class HostResolutionError(ClientError, ConnectionError):
    """A contact point's name could not be resolved."""

    retryable = True
    transient = True


class DecodeError(ClientError, ValueError):
    """The server's bytes are not a value of the column's type, or end too early."""


class ProtocolError(ServerError):
    """The server does not understand what the driver sent."""


class AuthenticationError(ServerError, ConnectionError):
    """The credentials are wrong or missing."""


class Unavailable(ServerError):
    """Too few replicas are alive for the consistency level; nothing was applied."""

    retryable = True
    transient = True
    fields = ("consistency", "received", "required")


class Overloaded(ServerError):
    """The coordinator refuses work for now."""

    transient = True


class IsBootstrapping(ServerError):
    """The coordinator is joining the cluster; nothing was applied."""

    retryable = True
    transient = True


class TruncateError(ServerError):
    """A TRUNCATE failed."""

    transient = True


class WriteTimeout(ServerError, _Timeout):
    """Too few replicas confirmed a write in time; it may still be applied."""

    transient = True
    fields = ("consistency", "received", "required", "write_type")


class ReadTimeout(ServerError, _Timeout):
    """Too few replicas answered a read in time."""

    transient = True
    fields = ("consistency", "received", "required", "data_present")


class ReadFailure(ServerError):
    """A replica failed to read."""

    transient = True
    fields = ("consistency", "received", "required", "failures", "data_present")


class FunctionFailure(ServerError):
    """A user-defined function raised."""

    fields = ("keyspace", "function", "argument_types")


class WriteFailure(ServerError):
    """A replica failed to write."""

    transient = True
    fields = ("consistency", "received", "required", "failures", "write_type")


class CdcWriteFailure(ServerError):
    """The space for change data capture is used up; nothing was applied."""


class CasWriteUnknown(ServerError):
    """Whether a conditional write was applied is not known."""


class QuerySyntaxError(ServerError):
    """The text is not CQL."""


class Unauthorized(ServerError):
    """The role may not do this."""


class InvalidQuery(ServerError):
    """The text is CQL, but not valid for this schema."""


class ConfigurationError(InvalidQuery):
    """The schema change asks for something the server's configuration refuses."""


class AlreadyExists(ServerError):
    """The keyspace or table exists."""

    fields = ("keyspace", "table")


class Unprepared(ServerError):
    """The server does not know the prepared statement any more."""


CLASS_OF_CODE: dict[int, type[Error]] = {
    ErrorCode.LIB_BAD_PARAMS: ClientError,
    ErrorCode.LIB_NO_STREAMS: ClientError,
    ErrorCode.LIB_UNABLE_TO_INIT: ClientError,
    ErrorCode.LIB_MESSAGE_ENCODE: ClientError,
    ErrorCode.LIB_HOST_RESOLUTION: HostResolutionError,
    ErrorCode.LIB_UNEXPECTED_RESPONSE: ClientError,
    ErrorCode.LIB_REQUEST_QUEUE_FULL: RequestQueueFull,
    ErrorCode.LIB_NO_AVAILABLE_IO_THREAD: ClientError,
    ErrorCode.LIB_WRITE_ERROR: ConnectionLost,
    ErrorCode.LIB_NO_HOSTS_AVAILABLE: NoHostsAvailable,
    ErrorCode.LIB_INDEX_OUT_OF_BOUNDS: ClientError,
    ErrorCode.LIB_INVALID_ITEM_COUNT: ClientError,
    ErrorCode.LIB_INVALID_VALUE_TYPE: ClientError,
    ErrorCode.LIB_REQUEST_TIMED_OUT: RequestTimeout,
    ErrorCode.LIB_UNABLE_TO_SET_KEYSPACE: ClientError,
    ErrorCode.LIB_CALLBACK_ALREADY_SET: ClientError,
    ErrorCode.LIB_INVALID_STATEMENT_TYPE: ClientError,
    ErrorCode.LIB_NAME_DOES_NOT_EXIST: ClientError,
    ErrorCode.LIB_UNABLE_TO_DETERMINE_PROTOCOL: ClientError,
    ErrorCode.LIB_NULL_VALUE: ClientError,
    ErrorCode.LIB_NOT_IMPLEMENTED: ClientError,
    ErrorCode.LIB_UNABLE_TO_CONNECT: UnableToConnect,
    ErrorCode.LIB_UNABLE_TO_CLOSE: ClientError,
    ErrorCode.LIB_NO_PAGING_STATE: ClientError,
    ErrorCode.LIB_PARAMETER_UNSET: ClientError,
    ErrorCode.LIB_INVALID_ERROR_RESULT_TYPE: ClientError,
    ErrorCode.LIB_INVALID_FUTURE_TYPE: ClientError,
    ErrorCode.LIB_INTERNAL_ERROR: ClientError,
    ErrorCode.LIB_INVALID_CUSTOM_TYPE: ClientError,
    ErrorCode.LIB_INVALID_DATA: DecodeError,
    ErrorCode.LIB_NOT_ENOUGH_DATA: DecodeError,
    ErrorCode.LIB_INVALID_STATE: ClientError,
    ErrorCode.LIB_NO_CUSTOM_PAYLOAD: ClientError,
    ErrorCode.LIB_EXECUTION_PROFILE_INVALID: ClientError,
    ErrorCode.LIB_NO_TRACING_ID: ClientError,
    ErrorCode.SERVER_SERVER_ERROR: ServerError,
    ErrorCode.SERVER_PROTOCOL_ERROR: ProtocolError,
    ErrorCode.SERVER_BAD_CREDENTIALS: AuthenticationError,
    ErrorCode.SERVER_UNAVAILABLE: Unavailable,
    ErrorCode.SERVER_OVERLOADED: Overloaded,
    ErrorCode.SERVER_IS_BOOTSTRAPPING: IsBootstrapping,
    ErrorCode.SERVER_TRUNCATE_ERROR: TruncateError,
    ErrorCode.SERVER_WRITE_TIMEOUT: WriteTimeout,
    ErrorCode.SERVER_READ_TIMEOUT: ReadTimeout,
    ErrorCode.SERVER_READ_FAILURE: ReadFailure,
    ErrorCode.SERVER_FUNCTION_FAILURE: FunctionFailure,
    ErrorCode.SERVER_WRITE_FAILURE: WriteFailure,
    ErrorCode.SERVER_CDC_WRITE_FAILURE: CdcWriteFailure,
    ErrorCode.SERVER_CAS_WRITE_UNKNOWN: CasWriteUnknown,
    ErrorCode.SERVER_SYNTAX_ERROR: QuerySyntaxError,
    ErrorCode.SERVER_UNAUTHORIZED: Unauthorized,
    ErrorCode.SERVER_INVALID_QUERY: InvalidQuery,
    ErrorCode.SERVER_CONFIG_ERROR: ConfigurationError,
    ErrorCode.SERVER_ALREADY_EXISTS: AlreadyExists,
    ErrorCode.SERVER_UNPREPARED: Unprepared,
    ErrorCode.SSL_INVALID_CERT: TlsError,
    ErrorCode.SSL_INVALID_PRIVATE_KEY: TlsError,
    ErrorCode.SSL_NO_PEER_CERT: TlsError,
    ErrorCode.SSL_INVALID_PEER_CERT: TlsError,
    ErrorCode.SSL_IDENTITY_MISMATCH: TlsError,
    ErrorCode.SSL_PROTOCOL_ERROR: TlsError,
    ErrorCode.SSL_CLOSED: TlsError,
}

# ---- the end of what is generated ----


def class_of_code(code: int) -> type[Error]:
    """The class for one of the driver's codes."""
    found = CLASS_OF_CODE.get(code)
    if found is not None:
        return found
    return {2: ServerError, 3: TlsError}.get(code >> 24, ClientError)


def shorten(text: str, length: int) -> str:
    """`text`, cut to `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
