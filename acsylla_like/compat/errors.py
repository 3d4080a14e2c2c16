"""acsylla's exceptions: the same names and bases, made from the package's errors by the driver's code.

Each has the facts of the error that it stands for as attributes (`code`, `query`, `consistency`, `received`, `required` …),
and that error as its cause.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from acsylla_like import errors as _core

__all__ = [  # noqa: RUF022 - in acsylla's order, which follows the codes
    "SchemaNotAvailable",
    "KeyspaceNotFound",
    "UserTypeNotFound",
    "FunctionNotFound",
    "AggregateNotFound",
    "TableNotFound",
    "ColumnNotFound",
    "IndexNotFound",
    "MaterializedViewNotFound",
    "CassException",
    "CassExceptionConnectionError",
    "CassExceptionSyntaxError",
    "CassExceptionInvalidQuery",
    "CassErrorSourceLib",
    "CassErrorSourceServer",
    "CassErrorSourceSsl",
    "CassErrorLibBadParams",
    "CassErrorLibNoStreams",
    "CassErrorLibUnableToInit",
    "CassErrorLibMessageEncode",
    "CassErrorLibHostResolution",
    "CassErrorLibUnexpectedResponse",
    "CassErrorLibRequestQueueFull",
    "CassErrorLibNoAvailableIoThread",
    "CassErrorLibWriteError",
    "CassErrorLibNoHostsAvailable",
    "CassErrorLibIndexOutOfBounds",
    "CassErrorLibInvalidItemCount",
    "CassErrorLibInvalidValueType",
    "CassErrorLibRequestTimedOut",
    "CassErrorLibUnableToSetKeyspace",
    "CassErrorLibCallbackAlreadySet",
    "CassErrorLibInvalidStatementType",
    "CassErrorLibNameDoesNotExist",
    "CassErrorLibUnableToDetermineProtocol",
    "CassErrorLibNullValue",
    "CassErrorLibNotImplemented",
    "CassErrorLibUnableToConnect",
    "CassErrorLibUnableToClose",
    "CassErrorLibNoPagingState",
    "CassErrorLibParameterUnset",
    "CassErrorLibInvalidErrorResultType",
    "CassErrorLibInvalidFutureType",
    "CassErrorLibInternalError",
    "CassErrorLibInvalidCustomType",
    "CassErrorLibInvalidData",
    "CassErrorLibNotEnoughData",
    "CassErrorLibInvalidState",
    "CassErrorLibNoCustomPayload",
    "CassErrorLibExecutionProfileInvalid",
    "CassErrorLibNoTracingId",
    "CassErrorServerServerError",
    "CassErrorServerProtocolError",
    "CassErrorServerBadCredentials",
    "CassErrorServerUnavailable",
    "CassErrorServerOverloaded",
    "CassErrorServerIsBootstrapping",
    "CassErrorServerTruncateError",
    "CassErrorServerWriteTimeout",
    "CassErrorServerReadTimeout",
    "CassErrorServerReadFailure",
    "CassErrorServerFunctionFailure",
    "CassErrorServerWriteFailure",
    "CassErrorServerSyntaxError",
    "CassErrorServerUnauthorized",
    "CassErrorServerInvalidQuery",
    "CassErrorServerConfigError",
    "CassErrorServerAlreadyExists",
    "CassErrorServerUnprepared",
    "CassErrorSslInvalidCert",
    "CassErrorSslInvalidPrivateKey",
    "CassErrorSslNoPeerCert",
    "CassErrorSslInvalidPeerCert",
    "CassErrorSslIdentityMismatch",
    "CassErrorSslProtocolError",
    "CassErrorSslClosed",
]


class CassException(Exception):
    """The base of all of them."""


class CassExceptionConnectionError(CassException): ...


class CassExceptionSyntaxError(CassException): ...


class CassExceptionInvalidQuery(CassException): ...


class CassErrorSourceLib(CassException): ...


class CassErrorSourceServer(CassException): ...


class CassErrorSourceSsl(CassException): ...


class SchemaNotAvailable(CassException): ...


class KeyspaceNotFound(CassException): ...


class UserTypeNotFound(CassException): ...


class FunctionNotFound(CassException): ...


class AggregateNotFound(CassException): ...


class TableNotFound(CassException): ...


class ColumnNotFound(CassException): ...


class IndexNotFound(CassException): ...


class MaterializedViewNotFound(CassException): ...


class CassErrorLibBadParams(CassErrorSourceLib): ...


class CassErrorLibNoStreams(CassErrorSourceLib): ...


class CassErrorLibUnableToInit(CassErrorSourceLib): ...


class CassErrorLibMessageEncode(CassErrorSourceLib): ...


class CassErrorLibHostResolution(CassErrorSourceLib): ...


class CassErrorLibUnexpectedResponse(CassErrorSourceLib): ...


class CassErrorLibRequestQueueFull(CassErrorSourceLib): ...


class CassErrorLibNoAvailableIoThread(CassErrorSourceLib): ...


class CassErrorLibWriteError(CassErrorSourceLib): ...


class CassErrorLibNoHostsAvailable(CassErrorSourceLib): ...


class CassErrorLibIndexOutOfBounds(CassErrorSourceLib): ...


class CassErrorLibInvalidItemCount(CassErrorSourceLib): ...


class CassErrorLibInvalidValueType(CassErrorSourceLib): ...


class CassErrorLibRequestTimedOut(CassErrorSourceLib): ...


class CassErrorLibUnableToSetKeyspace(CassErrorSourceLib): ...


class CassErrorLibCallbackAlreadySet(CassErrorSourceLib): ...


class CassErrorLibInvalidStatementType(CassErrorSourceLib): ...


class CassErrorLibNameDoesNotExist(CassErrorSourceLib): ...


class CassErrorLibUnableToDetermineProtocol(CassErrorSourceLib): ...


class CassErrorLibNullValue(CassErrorSourceLib): ...


class CassErrorLibNotImplemented(CassErrorSourceLib): ...


class CassErrorLibUnableToConnect(CassErrorSourceLib): ...


class CassErrorLibUnableToClose(CassErrorSourceLib): ...


class CassErrorLibNoPagingState(CassErrorSourceLib): ...


class CassErrorLibParameterUnset(CassErrorSourceLib): ...


class CassErrorLibInvalidErrorResultType(CassErrorSourceLib): ...


class CassErrorLibInvalidFutureType(CassErrorSourceLib): ...


class CassErrorLibInternalError(CassErrorSourceLib): ...


class CassErrorLibInvalidCustomType(CassErrorSourceLib): ...


class CassErrorLibInvalidData(CassErrorSourceLib): ...


class CassErrorLibNotEnoughData(CassErrorSourceLib): ...


class CassErrorLibInvalidState(CassErrorSourceLib): ...


class CassErrorLibNoCustomPayload(CassErrorSourceLib): ...


class CassErrorLibExecutionProfileInvalid(CassErrorSourceLib): ...


class CassErrorLibNoTracingId(CassErrorSourceLib): ...


class CassErrorServerServerError(CassErrorSourceServer): ...


class CassErrorServerProtocolError(CassErrorSourceServer): ...


class CassErrorServerBadCredentials(CassErrorSourceServer): ...


class CassErrorServerUnavailable(CassErrorSourceServer): ...


class CassErrorServerOverloaded(CassErrorSourceServer): ...


class CassErrorServerIsBootstrapping(CassErrorSourceServer): ...


class CassErrorServerTruncateError(CassErrorSourceServer): ...


class CassErrorServerWriteTimeout(CassErrorSourceServer): ...


class CassErrorServerReadTimeout(CassErrorSourceServer): ...


class CassErrorServerReadFailure(CassErrorSourceServer): ...


class CassErrorServerFunctionFailure(CassErrorSourceServer): ...


class CassErrorServerWriteFailure(CassErrorSourceServer): ...


class CassErrorServerSyntaxError(CassErrorSourceServer): ...


class CassErrorServerUnauthorized(CassErrorSourceServer): ...


class CassErrorServerInvalidQuery(CassErrorSourceServer): ...


class CassErrorServerConfigError(CassErrorSourceServer): ...


class CassErrorServerAlreadyExists(CassErrorSourceServer): ...


class CassErrorServerUnprepared(CassErrorSourceServer): ...


class CassErrorSslInvalidCert(CassErrorSourceSsl): ...


class CassErrorSslInvalidPrivateKey(CassErrorSourceSsl): ...


class CassErrorSslNoPeerCert(CassErrorSourceSsl): ...


class CassErrorSslInvalidPeerCert(CassErrorSourceSsl): ...


class CassErrorSslIdentityMismatch(CassErrorSourceSsl): ...


class CassErrorSslProtocolError(CassErrorSourceSsl): ...


class CassErrorSslClosed(CassErrorSourceSsl): ...


# The driver's code -> class: the library's from 1 << 24 on, the server's from 2 << 24 on, TLS from 3 << 24 on.
_OF_CODE: dict[int, type[CassException]] = {
    1 << 24 | 1: CassErrorLibBadParams,
    1 << 24 | 2: CassErrorLibNoStreams,
    1 << 24 | 3: CassErrorLibUnableToInit,
    1 << 24 | 4: CassErrorLibMessageEncode,
    1 << 24 | 5: CassErrorLibHostResolution,
    1 << 24 | 6: CassErrorLibUnexpectedResponse,
    1 << 24 | 7: CassErrorLibRequestQueueFull,
    1 << 24 | 8: CassErrorLibNoAvailableIoThread,
    1 << 24 | 9: CassErrorLibWriteError,
    1 << 24 | 10: CassErrorLibNoHostsAvailable,
    1 << 24 | 11: CassErrorLibIndexOutOfBounds,
    1 << 24 | 12: CassErrorLibInvalidItemCount,
    1 << 24 | 13: CassErrorLibInvalidValueType,
    1 << 24 | 14: CassErrorLibRequestTimedOut,
    1 << 24 | 15: CassErrorLibUnableToSetKeyspace,
    1 << 24 | 16: CassErrorLibCallbackAlreadySet,
    1 << 24 | 17: CassErrorLibInvalidStatementType,
    1 << 24 | 18: CassErrorLibNameDoesNotExist,
    1 << 24 | 19: CassErrorLibUnableToDetermineProtocol,
    1 << 24 | 20: CassErrorLibNullValue,
    1 << 24 | 21: CassErrorLibNotImplemented,
    1 << 24 | 22: CassErrorLibUnableToConnect,
    1 << 24 | 23: CassErrorLibUnableToClose,
    1 << 24 | 24: CassErrorLibNoPagingState,
    1 << 24 | 25: CassErrorLibParameterUnset,
    1 << 24 | 26: CassErrorLibInvalidErrorResultType,
    1 << 24 | 27: CassErrorLibInvalidFutureType,
    1 << 24 | 28: CassErrorLibInternalError,
    1 << 24 | 29: CassErrorLibInvalidCustomType,
    1 << 24 | 30: CassErrorLibInvalidData,
    1 << 24 | 31: CassErrorLibNotEnoughData,
    1 << 24 | 32: CassErrorLibInvalidState,
    1 << 24 | 33: CassErrorLibNoCustomPayload,
    1 << 24 | 34: CassErrorLibExecutionProfileInvalid,
    1 << 24 | 35: CassErrorLibNoTracingId,
    2 << 24 | 0: CassErrorServerServerError,
    2 << 24 | 0x000A: CassErrorServerProtocolError,
    2 << 24 | 0x0100: CassErrorServerBadCredentials,
    2 << 24 | 0x1000: CassErrorServerUnavailable,
    2 << 24 | 0x1001: CassErrorServerOverloaded,
    2 << 24 | 0x1002: CassErrorServerIsBootstrapping,
    2 << 24 | 0x1003: CassErrorServerTruncateError,
    2 << 24 | 0x1100: CassErrorServerWriteTimeout,
    2 << 24 | 0x1200: CassErrorServerReadTimeout,
    2 << 24 | 0x1300: CassErrorServerReadFailure,
    2 << 24 | 0x1400: CassErrorServerFunctionFailure,
    2 << 24 | 0x1500: CassErrorServerWriteFailure,
    2 << 24 | 0x2000: CassErrorServerSyntaxError,
    2 << 24 | 0x2100: CassErrorServerUnauthorized,
    2 << 24 | 0x2200: CassErrorServerInvalidQuery,
    2 << 24 | 0x2300: CassErrorServerConfigError,
    2 << 24 | 0x2400: CassErrorServerAlreadyExists,
    2 << 24 | 0x2500: CassErrorServerUnprepared,
    3 << 24 | 1: CassErrorSslInvalidCert,
    3 << 24 | 2: CassErrorSslInvalidPrivateKey,
    3 << 24 | 3: CassErrorSslNoPeerCert,
    3 << 24 | 4: CassErrorSslInvalidPeerCert,
    3 << 24 | 5: CassErrorSslIdentityMismatch,
    3 << 24 | 6: CassErrorSslProtocolError,
    3 << 24 | 7: CassErrorSslClosed,
}


def translated(error: _core.Error | ValueError) -> CassException:
    """acsylla's exception for one of the package's; for a value that the package refuses and acsylla sends, the one that the server's
    refusal becomes."""
    if not isinstance(error, _core.Error):
        refused = CassErrorServerInvalidQuery(f"Invalid query: {error}")
        refused.__cause__ = error
        return refused
    found = _OF_CODE.get(-1 if error.code is None else error.code)
    made = (found or _of_source(error))(str(error))
    made.__dict__.update(vars(error))
    made.__cause__ = error
    return made


@contextlib.contextmanager
def translating() -> Iterator[None]:
    """Has the package's errors within raised as acsylla's."""
    try:
        yield
    except (_core.Error, ValueError) as error:
        if isinstance(error, _core.Error) or hasattr(error, "column"):
            raise translated(error) from error
        raise


def _of_source(error: _core.Error) -> type[CassException]:
    """Of an error that no code tells."""
    if isinstance(error, _core.TlsError):
        return CassErrorSourceSsl
    if isinstance(error, _core.ServerError):
        return CassErrorSourceServer
    return CassErrorSourceLib if isinstance(error, _core.ClientError) else CassException
