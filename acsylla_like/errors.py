"""The errors: one tree under `Error`, each with what the driver and the server told about it.

Codes are the driver's (`CassError`): the source in the top byte (1 library, 2 server, 3 TLS), the code below it; those of the
server are the protocol's (native_protocol_v4.spec, section 9).
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acsylla_like._native import Coordinator
    from acsylla_like.bulk import BulkReport

__all__ = [
    "AlreadyExists",
    "AuthenticationError",
    "BindError",
    "BulkError",
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
    """The driver's code (`CassError`)."""
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


class DecodeError(ClientError, ValueError):
    """The server's bytes are not a value of the column's type, or end too early."""


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

    class RequestTimeout(ClientError, TimeoutError):
        """No answer within the timeout; the server may still apply a write."""

    class ReadTimeout(ServerError, TimeoutError):
        """Too few replicas answered a read in time."""

    class WriteTimeout(ServerError, TimeoutError):
        """Too few replicas confirmed a write in time; it may still be applied."""

else:  # CPython 3.10, where asyncio has a TimeoutError of its own

    class RequestTimeout(ClientError, TimeoutError, asyncio.TimeoutError):
        """No answer within the timeout; the server may still apply a write."""

    class ReadTimeout(ServerError, TimeoutError, asyncio.TimeoutError):
        """Too few replicas answered a read in time."""

    class WriteTimeout(ServerError, TimeoutError, asyncio.TimeoutError):
        """Too few replicas confirmed a write in time; it may still be applied."""


class RequestQueueFull(ClientError):
    """More requests at once than the driver queues; nothing was sent."""

    retryable = True


class NoHostsAvailable(ClientError, ConnectionError):
    """No node could be asked, or none that was asked could take the request."""

    retryable = True


class ConnectionLost(ClientError, ConnectionError):
    """The connection broke while the request was in flight; a write may have been applied."""


class UnableToConnect(ClientError, ConnectionError):
    """No contact point could be reached."""


class HostResolutionError(ClientError, ConnectionError):
    """A contact point's name could not be resolved."""


class ProtocolError(ServerError):
    """The server does not understand what the driver sent."""


class AuthenticationError(ServerError, ConnectionError):
    """The credentials are wrong or missing."""


class Unavailable(ServerError):
    """Too few replicas are alive for the consistency level; nothing was applied."""

    retryable = True


class Overloaded(ServerError):
    """The coordinator refuses work for now."""


class IsBootstrapping(ServerError):
    """The coordinator is joining the cluster; nothing was applied."""

    retryable = True


class TruncateError(ServerError):
    """A TRUNCATE failed."""


class ReadFailure(ServerError):
    """A replica failed to read."""


class WriteFailure(ServerError):
    """A replica failed to write."""


class FunctionFailure(ServerError):
    """A user-defined function raised."""


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


class Unprepared(ServerError):
    """The server does not know the prepared statement any more."""


_LIBRARY = 1 << 24
_SERVER = 2 << 24
_TLS = 3 << 24

CLASS_OF_CODE: dict[int, type[Error]] = {
    _LIBRARY | 5: HostResolutionError,
    _LIBRARY | 7: RequestQueueFull,
    _LIBRARY | 9: ConnectionLost,
    _LIBRARY | 10: NoHostsAvailable,
    _LIBRARY | 14: RequestTimeout,
    _LIBRARY | 22: UnableToConnect,
    _LIBRARY | 30: DecodeError,
    _LIBRARY | 31: DecodeError,
    _SERVER | 0x0000: ServerError,
    _SERVER | 0x000A: ProtocolError,
    _SERVER | 0x0100: AuthenticationError,
    _SERVER | 0x1000: Unavailable,
    _SERVER | 0x1001: Overloaded,
    _SERVER | 0x1002: IsBootstrapping,
    _SERVER | 0x1003: TruncateError,
    _SERVER | 0x1100: WriteTimeout,
    _SERVER | 0x1200: ReadTimeout,
    _SERVER | 0x1300: ReadFailure,
    _SERVER | 0x1400: FunctionFailure,
    _SERVER | 0x1500: WriteFailure,
    _SERVER | 0x2000: QuerySyntaxError,
    _SERVER | 0x2100: Unauthorized,
    _SERVER | 0x2200: InvalidQuery,
    _SERVER | 0x2300: ConfigurationError,
    _SERVER | 0x2400: AlreadyExists,
    _SERVER | 0x2500: Unprepared,
}


def class_of_code(code: int) -> type[Error]:
    """The class for one of the driver's codes."""
    found = CLASS_OF_CODE.get(code)
    if found is not None:
        return found
    return {2: ServerError, 3: TlsError}.get(code >> 24, ClientError)


def shorten(text: str, length: int) -> str:
    """`text`, cut to `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
