"""Statements and batches as callers make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from acsylla_like import _native
from acsylla_like._native import Batch, Parameter, PreparedStatement, Statement

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from acsylla_like._native import Coordinator, Parameters
    from acsylla_like.policies import Consistency
    from acsylla_like.retry import RetryPolicy

__all__ = [
    "Batch",
    "Parameter",
    "PreparedStatement",
    "RequestOptions",
    "Statement",
    "create_batch_counter",
    "create_batch_logged",
    "create_batch_unlogged",
    "create_statement",
]


class RequestOptions(TypedDict, total=False):
    """What may be said of a request beside its text and values; what is left out is the session's.

    `timeout` is in seconds for the whole call (math.inf: none), `page_size` in rows, `timestamp` in microseconds since 1970.
    `routing_key` is for statements that do not bind their partition key: its bytes, or a list of its values.
    """

    timeout: float | None
    consistency: Consistency | str | int | None
    serial_consistency: Consistency | str | int | None
    page_size: int | None
    paging_state: bytes | None
    timestamp: int | None
    idempotent: bool | None
    tracing: bool | None
    execution_profile: str | None
    custom_payload: Mapping[str, bytes] | None
    routing_key: bytes | Sequence[Any] | None
    host: Coordinator | tuple[str, int] | str | None
    retry_policy: RetryPolicy | None


def create_statement(query: str | PreparedStatement, parameters: Parameters = None, **options: Unpack[RequestOptions]) -> Statement:
    """A statement with its values and options, to be executed any number of times.

    Raises TypeError or ValueError for options that do not fit; the values of a text are checked when it is executed.
    """
    return Statement(query, parameters, _native.Options(**options))


def create_batch_logged(**options: Unpack[RequestOptions]) -> Batch:
    """An empty batch whose statements are all applied or none, by way of the server's batch log."""
    return Batch("logged", _native.Options(**options))


def create_batch_unlogged(**options: Unpack[RequestOptions]) -> Batch:
    """An empty batch without the batch log: for writes to one partition."""
    return Batch("unlogged", _native.Options(**options))


def create_batch_counter(**options: Unpack[RequestOptions]) -> Batch:
    """An empty batch of counter updates."""
    return Batch("counter", _native.Options(**options))
