"""Sessions as acsylla has them."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from acsylla_like import _native
from acsylla_like import errors as _core
from acsylla_like.compat.enums import Consistency
from acsylla_like.compat.errors import translated, translating
from acsylla_like.compat.metadata import Metadata
from acsylla_like.compat.records import SessionMetrics, SpeculativeExecutionMetrics
from acsylla_like.compat.result import Result
from acsylla_like.compat.statement import Batch, PreparedStatement, Statement, seconds_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from acsylla_like.compat.cluster import Cluster
    from acsylla_like.session import Session as CoreSession

__all__ = ["Session", "make_statement"]

T = TypeVar("T")

_PLAIN = _native.Answers(Result, False, False, translated)
_NATIVE = _native.Answers(Result, True, False, translated)

# Seconds for each query of get_metadata.
_METADATA_TIMEOUT = 12.0


def make_statement(
    query: str,
    session: Session | None,
    parameters: Any,
    value_types: Any,
    page_size: int | None,
    page_state: bytes | None,
    timeout: float | None,
    consistency: Consistency | None,
    serial_consistency: Consistency | None,
    execution_profile: str | None,
    native_types: bool | None,
) -> Statement:
    """A statement of a text; `parameters` are its values, or how many it will have."""
    if not isinstance(query, str):
        raise TypeError(f"a statement's text must be a str, not {type(query).__name__}")
    if isinstance(parameters, int) and parameters < 0:
        raise ValueError(f"a statement cannot have {parameters} parameters")
    statement = Statement(query, session, parameters if isinstance(parameters, int) else 0, native_types)
    if parameters is not None and not isinstance(parameters, int):
        statement._bind_all(parameters, value_types)
    statement._configure(page_size, page_state, timeout, consistency, serial_consistency, execution_profile)
    return statement


class Session:
    """Open connections to a cluster; made by `Cluster.create_session`."""

    def __init__(self, cluster: Cluster, session: CoreSession) -> None:
        self.cluster = cluster
        self._session = session

    def __repr__(self) -> str:
        return f"<Session {'open' if self._session.is_open else 'closed'} keyspace {self.keyspace}>"

    @property
    def keyspace(self) -> str | None:
        """The session's keyspace."""
        return self._session.keyspace

    def _open(self) -> CoreSession:
        if not self._session.is_open:
            raise RuntimeError("Session closed")
        return self._session

    async def _prepared_for(self, query: str, timeout: float | None) -> _native.PreparedStatement:
        """The kept prepared statement of a text."""
        session = self._open()
        return await session._prepared_for(
            query, session.options.timeout_or(session.cluster.request_timeout) if timeout is None else timeout
        )

    # ---- keyspaces

    async def use_keyspace(self, keyspace: str) -> Result:
        """As `set_keyspace`."""
        return await self.set_keyspace(keyspace)

    async def set_keyspace(self, keyspace: str) -> Result:
        """Has the statements that name none mean this keyspace."""
        return await self.execute(make_statement(f"USE {keyspace}", self, None, None, *([None] * 7)))

    # ---- statements

    def query(
        self,
        statement: str,
        parameters: Any = None,
        value_types: Any = None,
        page_size: int | None = None,
        page_state: bytes | None = None,
        timeout: float | None = None,
        consistency: Consistency | None = None,
        serial_consistency: Consistency | None = None,
        execution_profile: str | None = None,
        native_types: bool | None = None,
    ) -> Statement:
        """A statement of this session, to be awaited, called with values, or iterated over."""
        return make_statement(
            statement,
            self,
            parameters,
            value_types,
            page_size,
            page_state,
            timeout,
            consistency,
            serial_consistency,
            execution_profile,
            native_types,
        )

    def execute(self, statement: Statement, native_types: bool | None = None) -> Coroutine[Any, Any, Result]:
        """Executes a statement; awaits to its Result."""
        # The usual case needs no coroutine of ours: the package's request is one to whoever asks.
        request = _native.request_of(self._session, statement, native_types, _PLAIN, _NATIVE)
        return self._execute(statement, native_types) if request is None else request

    async def _execute(self, statement: Statement, native_types: bool | None) -> Result:
        if not isinstance(statement, Statement):
            raise TypeError(f"a Statement can be executed, not {type(statement).__name__}")
        session = self._open()
        with translating():
            options = statement._as_options()
            query, values = await statement._bound(session=self)
            result = await session._request(query, values, options)
        return Result(result, statement.native_types if native_types is None else native_types, statement.tracing_enabled)

    async def create_prepared(
        self,
        statement: str,
        timeout: float | None = None,
        consistency: Consistency | None = None,
        serial_consistency: Consistency | None = None,
        execution_profile: str | None = None,
        native_types: bool | None = None,
    ) -> PreparedStatement:
        """Has the server parse a statement; the options become defaults of what is bound."""
        session = self._open()
        with translating():
            prepared = await (session._prepare(statement) if timeout is None else session._prepare(statement, timeout=seconds_of(timeout)))
        return PreparedStatement(self, prepared, timeout, consistency, serial_consistency, execution_profile, native_types)

    async def prepared_query(
        self,
        statement: str,
        timeout: float | None = None,
        consistency: Consistency | None = None,
        serial_consistency: Consistency | None = None,
        execution_profile: str | None = None,
        native_types: bool | None = None,
    ) -> PreparedStatement:
        """As `create_prepared`."""
        return await self.create_prepared(statement, timeout, consistency, serial_consistency, execution_profile, native_types)

    async def execute_batch(self, batch: Batch, native_types: bool = False) -> Result:
        """Executes a batch."""
        if not isinstance(batch, Batch):
            raise TypeError(f"a Batch can be executed, not {type(batch).__name__}")
        session = self._open()
        if not batch._statements:
            return Result(_native.Result(), native_types, False)
        with translating():
            result = await session._request(await batch._made(self), None, None)
        return Result(result, native_types, batch.tracing_enabled)

    # ---- what it knows

    def get_client_id(self) -> str:
        """The id by which the server's table of clients knows this session."""
        return str(self._open().client_id)

    def get_metadata(self) -> Metadata:
        """The schema. Its first method to be called asks the server, and the calling thread waits for that."""
        session = self._open()
        timeout = min(session.cluster.request_timeout, _METADATA_TIMEOUT)  # the loop stands still meanwhile
        return Metadata(lambda: _in_a_thread(session.metadata(timeout=timeout)), session._schema_version)

    def metrics(self) -> SessionMetrics:
        """What the driver counts; latencies in microseconds."""
        found = self._open().metrics()
        requests = found["requests"]
        return SessionMetrics(
            requests_min=_microseconds(requests["min"]),
            requests_max=_microseconds(requests["max"]),
            requests_mean=_microseconds(requests["mean"]),
            requests_stddev=_microseconds(requests["stddev"]),
            requests_median=_microseconds(requests["median"]),
            requests_percentile_75th=_microseconds(requests["p75"]),
            requests_percentile_95th=_microseconds(requests["p95"]),
            requests_percentile_98th=_microseconds(requests["p98"]),
            requests_percentile_99th=_microseconds(requests["p99"]),
            requests_percentile_999th=_microseconds(requests["p999"]),
            requests_mean_rate=requests["mean_rate"],
            requests_one_minute_rate=requests["one_minute_rate"],
            requests_five_minute_rate=requests["five_minute_rate"],
            requests_fifteen_minute_rate=requests["fifteen_minute_rate"],
            stats_total_connections=int(found["connections"]["total"]),
            errors_connection_timeouts=int(found["errors"]["connection_timeouts"]),
            errors_request_timeouts=int(found["errors"]["request_timeouts"]),
        )

    def speculative_execution_metrics(self) -> SpeculativeExecutionMetrics:
        """What the driver counts of requests that it sent twice; latencies in microseconds."""
        found = self._open().metrics()["speculative"]
        return SpeculativeExecutionMetrics(
            min=_microseconds(found["min"]),
            max=_microseconds(found["max"]),
            mean=_microseconds(found["mean"]),
            stddev=_microseconds(found["stddev"]),
            median=_microseconds(found["median"]),
            percentile_75th=_microseconds(found["p75"]),
            percentile_95th=_microseconds(found["p95"]),
            percentile_98th=_microseconds(found["p98"]),
            percentile_99th=_microseconds(found["p99"]),
            percentile_999th=_microseconds(found["p999"]),
            count=int(found["count"]),
            percentage=found["fraction"],
        )

    async def close(self) -> None:
        """Closes the session when the requests in flight are answered."""
        with translating():
            await self._session.close()
        _native.deliver_log_lines()


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _in_a_thread(work: Coroutine[Any, Any, T]) -> T:
    """The outcome of a coroutine that runs on a loop of its own, for a caller who cannot await."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="acsylla_like-metadata")
    thread.start()
    thread.join()
    if failure:
        error = failure[0]
        raise translated(error) if isinstance(error, _core.Error) else error
    return outcome[0]
