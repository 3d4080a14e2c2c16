"""Sessions: what the native session does not do by itself - preparing, renewing, opening and closing."""

from __future__ import annotations

import asyncio
import copy
import math
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

from acsylla_like import _native, errors, select_star, shard_watch
from acsylla_like.arrow import Decoders, fetch_table
from acsylla_like.arrow_load import Load, end_loads
from acsylla_like.bulk import write_rows
from acsylla_like.concurrent import in_order, with_indexes
from acsylla_like.metadata import Metadata, read_metadata
from acsylla_like.paging import Stream
from acsylla_like.retry import NO_RETRIES, Retries, RetryPolicy, SessionRetries, Verdict
from acsylla_like.routing import R, Replica, Route, Router
from acsylla_like.shard_counts import ShardCounter, ShardCounts
from acsylla_like.shard_report import ShardReport, shard_report
from acsylla_like.table_load import copy_from
from acsylla_like.table_scan import Scan, ScanSplit

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from acsylla_like._native import (
        ArrowTable,
        Batch,
        BatchEntry,
        Options,
        Parameters,
        PreparedStatement,
        PreparedVersion,
        Request,
        Result,
        Statement,
        Values,
    )
    from acsylla_like.arrow import Decimals
    from acsylla_like.bulk import BulkReport, OnError
    from acsylla_like.cluster import Cluster
    from acsylla_like.concurrent import ConcurrentItem
    from acsylla_like.policies import Consistency
    from acsylla_like.shard_watch import HostShards
    from acsylla_like.statement import RequestOptions

__all__ = ["Connecting", "Session"]

# Prepared statements that a session keeps for texts with parameters; the least recently used go first.
PREPARED_CACHE_SIZE = 1024

DEFAULT_PAGE_SIZE = 5000


class Session(_native.Session):
    """Open connections to a cluster. Made by `Cluster.create_session` or `acsylla_like.connect`; safe to use from several
    event loops in several threads at once.

    As `async with session:` it is closed at the end.
    """

    cluster: Cluster

    def __init__(self, cluster: Cluster, *, keyspace: str | None = None, options: Options | None = None) -> None:
        super().__init__(cluster, keyspace=keyspace, options=options, opened_at=_caller())
        # (event loop, keyspace, text) -> the task that prepares it: each loop waits for a task of its own
        self._preparing: dict[tuple[int, str | None, str], asyncio.Task[PreparedStatement]] = {}
        self._renewing: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._closing: asyncio.Task[None] | None = None
        self._decoders = Decoders()
        self._loads: set[Load] = set()
        self._router: Router | None = None
        self._retries = SessionRetries(self)
        self.shard_counter = ShardCounter(self) if cluster.counts_shards else None
        self._leave_login: Callable[[], object] | None = None

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Session {state} {', '.join(self.cluster.contact_points)} keyspace {self.keyspace}>"

    # ---- preparing ----

    async def create_prepared(self, query: str, **options: Unpack[RequestOptions]) -> PreparedStatement:
        """Has the cluster parse `query`; the options become defaults of its executions.

        `SELECT *` follows the table's columns as they change. Raises the server's error for a text that it refuses.
        """
        if not isinstance(query, str):
            raise TypeError(f"a text can be prepared, not {type(query).__name__}")
        self._require_open()
        return await self._prepare(query, **options)

    prepare = create_prepared

    async def _prepare(self, query: str, **options: Unpack[RequestOptions]) -> PreparedStatement:
        """As `create_prepared`; when that fails, a policy may have it done again."""
        made = _native.Options(**options)
        timeout = made.timeout_or(self.options.timeout_or(self.cluster.request_timeout))
        policy = self._retry_policy_for(made)
        if policy is None or not policy.retries:
            return await self._prepare_once(query, timeout, made if options else None)
        retries: Retries | None = None
        started, left = time.monotonic(), timeout
        while True:
            try:
                prepared = await self._prepare_once(query, min(left, policy.try_timeout or math.inf), made if options else None)
            except errors.Error as error:
                if retries is None:  # preparing applies nothing
                    retries = Retries(self, policy, query, made.with_changes(idempotent=True), started, timeout)
                decision = retries.after(error)
                if isinstance(decision, Verdict):  # none of which can stand for a statement
                    raise
                left = (await decision).timeout_or(timeout)
            else:
                if retries is not None:
                    retries.succeeded()
                return prepared

    async def _prepare_once(self, query: str, timeout: float, made: Options | None) -> PreparedStatement:
        schema_version, keyspace = self._schema_version, self.keyspace
        version, has_star = await self._prepare_version(query, keyspace, timeout)
        return _native.PreparedStatement._make(query, keyspace, version, made, has_star, schema_version)

    async def _prepare_version(self, text: str, keyspace: str | None, timeout: float) -> tuple[PreparedVersion, bool]:
        """Prepares a text as it is to be sent, and whether that depends on the table's columns.

        `keyspace` is the session's when the statement was first prepared.
        """
        try:
            return await self._prepare_as_sent(text, keyspace, timeout)
        except errors.Error as error:
            error.query = text  # not what was sent on its behalf
            raise

    async def _prepare_as_sent(self, text: str, keyspace: str | None, timeout: float) -> tuple[PreparedVersion, bool]:
        star = select_star.find(text)
        keyspace = keyspace if star is None or star.keyspace is None else star.keyspace
        if star is None or keyspace is None:
            return await self._prepare_request(text, timeout), False
        # Prepared as it stands first: the server's own error for a wrong text, and the types of the markers.
        version = await self._prepare_request(star.qualify(keyspace), timeout)
        columns = await select_star.columns(self, keyspace, star.table, timeout)
        if columns is None:
            return self._let_run_unprepared(version, star.qualify(keyspace)), True
        try:
            return await self._prepare_request(star.expand(columns, keyspace), timeout), True
        except errors.InvalidQuery:
            # The table changed between reading its columns and preparing: answers shall carry their own metadata until
            # the next change of the schema is seen.
            return self._let_run_unprepared(version, star.qualify(keyspace)), True

    async def _prepared_for(self, text: str, timeout: float) -> PreparedStatement:
        """The kept prepared statement for a text; whoever asks first prepares it, and a cancelled one does not stop that."""
        key = (self.keyspace, text)
        kept = self._prepared_cache.get(key)
        if kept is not None:
            return kept
        flight = (id(asyncio.get_running_loop()), *key)
        task = self._preparing.get(flight)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._prepare_and_keep(key, text))
            self._preparing[flight] = task
            task.add_done_callback(lambda done: self._forget_flight(self._preparing, flight, done))
        return await _within(timeout, task, text)

    async def _prepare_and_keep(self, key: tuple[str | None, str], text: str) -> PreparedStatement:
        prepared = await self._prepare_once(text, self.options.timeout_or(self.cluster.request_timeout), None)
        cache = self._prepared_cache
        if self.keyspace == key[0]:  # after a USE meanwhile, who can tell where it was prepared
            cache[key] = prepared
        while len(cache) > PREPARED_CACHE_SIZE:
            cache.popitem(last=False)
        return prepared

    @staticmethod
    def _forget_flight(flights: dict, flight: tuple, task: asyncio.Task) -> None:  # type: ignore[type-arg]
        flights.pop(flight, None)
        if not task.cancelled():
            task.exception()  # seen by those who wait; nobody may be left

    # ---- the unusual ways of a request ----

    async def _execute_text(self, query: str, parameters: Parameters, options: Options) -> Result:
        """A text with parameters whose prepared statement is not kept yet."""
        deadline = _Deadline(self, options)
        prepared = await self._prepared_for(query, deadline.remaining())
        return await self._step(prepared, parameters, deadline.left_in(options))

    async def _execute_renewed(self, prepared: PreparedStatement, parameters: Parameters, options: Options) -> Result:
        """A `SELECT *` after the schema has changed."""
        deadline = _Deadline(self, options)
        await self._renew(prepared, deadline.remaining())
        return await self._step(prepared, parameters, deadline.left_in(options))

    async def _execute_routed(self, query: str | PreparedStatement, parameters: Parameters, options: Options) -> Result:
        """A statement with a routing key, which the driver cannot be given: it goes to a node that holds the key, one after the
        other while they cannot be reached, and to any at last."""
        deadline = _Deadline(self, options)
        key = options.routing_key
        assert key is not None
        for node in await self._routing().nodes_of(query, key):
            try:
                return await self._step_at(query, parameters, deadline.left_in(options), (node.address, node.port))
            except errors.NoHostsAvailable as error:
                if not error.retryable:
                    raise
        return await self._step_at(query, parameters, deadline.left_in(options), None)

    async def _renew(self, prepared: PreparedStatement, timeout: float) -> None:
        flight = (id(asyncio.get_running_loop()), id(prepared))
        task = self._renewing.get(flight)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._make_new_version(prepared, timeout))
            self._renewing[flight] = task
            task.add_done_callback(lambda done: self._forget_flight(self._renewing, flight, done))
        await _within(timeout, task, prepared.query)

    async def _make_new_version(self, prepared: PreparedStatement, timeout: float) -> None:
        schema_version = self._schema_version
        version, _ = await self._prepare_version(prepared.query, prepared.keyspace, timeout)
        prepared._renew(version, schema_version)

    async def _recover(
        self,
        query: PreparedStatement | Batch,
        parameters: Parameters | list[BatchEntry],
        options: Options,
        error: errors.Error,
    ) -> Result:
        """A node refuses a prepared statement that it no longer knows and cannot prepare again: prepared anew here, the
        statement either works with the present schema or gets the server's own error."""
        deadline = _Deadline(self, options)
        if isinstance(query, _native.Batch):
            entries: list[BatchEntry] = parameters  # type: ignore[assignment]
            for statement in {id(entry.prepared): entry.prepared for entry in entries if not isinstance(entry, tuple)}.values():
                await self._renew_or_raise(statement, deadline.remaining(), error)
            batch = self._batch_request(query, entries, deadline.left_in(options))
            batch._has_recovered = True
            return await batch
        await self._renew_or_raise(query, deadline.remaining(), error)
        request = self._step(query, parameters, deadline.left_in(options))
        request._has_recovered = True
        return await request

    async def _renew_or_raise(self, prepared: PreparedStatement, timeout: float, error: errors.Error) -> None:
        if not prepared.has_star and prepared.keyspace != self.keyspace and not select_star.names_its_keyspaces(prepared.query):
            # Preparing it here would make it mean a table of another keyspace.
            moved = errors.ClientError(
                f"the server has forgotten a statement prepared in keyspace {prepared.keyspace}, and the session is in "
                f"{self.keyspace} since: prepare it anew, or name the keyspace in its text"
            )
            moved.query, moved.code, moved.retryable = prepared.query, error.code, True
            raise moved from None
        try:
            await self._renew(prepared, timeout)
        except (errors.NoHostsAvailable, errors.ConnectionLost, errors.RequestTimeout):
            raise error from None  # there really is no host

    async def _execute_batch(self, batch: Batch, entries: list[BatchEntry], options: Options) -> Result:
        """A batch with texts that have values: their types come from preparing them."""
        deadline = _Deadline(self, options)
        prepared: list[BatchEntry] = []
        for index, entry in enumerate(entries):
            if isinstance(entry, tuple) and entry[1]:
                statement = await self._prepared_for(entry[0], deadline.remaining())
                entry = _native.BoundRows._of(statement, entry[1], index)
            prepared.append(entry)
        return await self._batch_request(batch, prepared, deadline.left_in(options))

    async def _use(self, query: str, keyspace: str, options: Options) -> Result:
        """Again, when a fresh driver session took over meanwhile: its connections have the keyspace from before."""
        while True:
            serving = self.serving
            result = await self._plain_request(query, options)
            self.keyspace = keyspace
            if serving == self.serving:
                return result

    async def _change_schema(self, request: Request[Result]) -> Result:
        """DDL: the driver hears of the change a moment after the answer, statements of this session know it at once."""
        try:
            return await request
        finally:
            self._note_schema_change()

    def _retries_of(
        self,
        policy: RetryPolicy,
        query: str | PreparedStatement | Batch,
        options: Options,
        started: float,
        timeout: float,
    ) -> Retries:
        return Retries(self, policy, query, options, started, timeout)

    # ---- reading page by page ----

    def stream(
        self,
        query: str | PreparedStatement | Statement,
        parameters: Parameters = None,
        **options: Unpack[RequestOptions],
    ) -> Stream:
        """All rows of a query, `page_size` (5,000) at a time: `async for row in session.stream(…)`, or `.pages()`.

        `timeout` is for each page. The options are those of `execute`.
        """
        return Stream(self, query, parameters, self._paged(query, _native.Options(**options)))

    async def fetch_arrow(
        self,
        query: str | PreparedStatement | Statement,
        parameters: Parameters = None,
        *,
        decimals: Decimals | None = None,
        **options: Unpack[RequestOptions],
    ) -> ArrowTable:
        """All rows of a query as an `ArrowTable`, fetched `page_size` (5,000 rows) at a time: each page becomes a record
        batch, or several where it is very large.

        Pages are decoded on threads of this session, without the GIL, while the next is on its way. `decimals` is that of
        `Result.to_arrow`; the options are those of `execute`, with `timeout` for each page.

        Raises what `execute` raises; DecodeError with row (from 0 on) and column; ValueError for an answer without columns.
        """
        return await fetch_table(self, query, parameters, self._paged(query, _native.Options(**options)), decimals)

    def scan(
        self,
        table: str | ScanSplit,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        parameters: Sequence[Any] | None = None,
        splits: int | None = None,
        concurrency: int = 8,
        retries: int = 8,
        decimals: Decimals | None = None,
        resume: str | os.PathLike[str] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Scan:
        """A whole table (`keyspace.table`, or `table` of the session's keyspace) as Arrow record batches, each row once:
        `async for batch in session.scan(…)`. Nothing is sent before.

        The ring is cut into ranges of tokens, of which `concurrency` are read at a time, `page_size` (5,000) rows a page, each
        from a replica of its own; a page that fails in passing is asked for again, `retries` times with growing pauses.

        `columns` are names, or functions of columns such as `writetime(name)`; `where` restricts the rows in CQL, its markers
        get `parameters`, and it is allowed to filter. `splits` is how many ranges there are, by default those of the ring, four
        for each that is read at a time at least; `Scan.splits()` gives them away to be read elsewhere. `decimals` is that of
        `Result.to_arrow`. The options are those of `execute`, with `timeout` for each page.

        `resume` names a checkpoint file, which says twice a second, and when the reading ends, which pages were taken: all but the
        last batch that was given, since that counts when the next is asked for. A scan that finds it goes on there, so that each row
        comes once over all of them; after a kill, what was taken since the last checkpoint comes again.

        Raises TypeError or ValueError for mistakes; while it is read, ValueError for a table that is not there, KeyError for a
        column that is not there, DecodeError with the place, and what `execute` raises.
        """
        if not isinstance(table, (str, ScanSplit)):
            raise TypeError(f"a table's name or a ScanSplit can be scanned, not {type(table).__name__}")
        if isinstance(table, ScanSplit) and (columns, where, parameters, splits) != (None, None, None, None):
            raise TypeError("a ScanSplit has its columns, restriction and range already")
        if where is None and parameters:
            raise TypeError("parameters are the values of where, which is not given")
        if isinstance(parameters, (str, bytes, Mapping)):
            raise TypeError(f"parameters must be a sequence in the order of the markers, not {type(parameters).__name__}")
        for name in ("paging_state", "host", "routing_key"):
            if options.get(name) is not None:
                raise TypeError(f"a scan has no {name} of its own: it is another one for each page")
        for name, value, least in (("splits", splits, 1), ("concurrency", concurrency, 1), ("retries", retries, 0)):
            if value is not None and (type(value) is not int or value < least):
                raise ValueError(f"{name} must be an int of at least {least}, not {value!r}")
        # A scan has tries of its own, which choose their nodes.
        made = _native.Options(idempotent=True).with_changes(**options).with_changes(retry_policy=NO_RETRIES)
        if not made.page_size:
            made = made.with_changes(page_size=self.options.page_size or self.cluster.page_size)
        return Scan(
            self,
            table,
            columns=columns,
            where=where,
            parameters=parameters,
            splits=splits,
            concurrency=concurrency,
            retries=retries,
            decimals=decimals,
            resume=resume,
            options=made,
        )

    def _paged(self, query: str | PreparedStatement | Statement, options: Options) -> Options:
        """`options` with a page size."""
        if not isinstance(query, (str, _native.PreparedStatement, _native.Statement)):
            raise TypeError(f"a str, PreparedStatement or Statement can be read page by page, not {type(query).__name__}")
        if options.page_size:
            return options
        of_query = 0 if isinstance(query, str) else query.options.page_size
        return options.with_changes(page_size=of_query or self.options.page_size or self.cluster.page_size)

    # ---- where rows live ----

    async def explain(self, query: str | PreparedStatement | Statement | Batch, parameters: Parameters = None) -> Route:
        """Where the rows of a statement with these values live: the token of their partition key, the nodes that hold it and the
        shard that owns it on each. Computed here, from what the server tells of its nodes (at most 2 s ago), their shards (10 s)
        and the schema; the statement is not executed.

        A batch is routed by its first statement whose key is bound. What cannot be told for certain is None, with a `reason`: a key
        that is a literal, a function or one of several (IN), a replication strategy or partitioner that is not known.

        Raises TypeError, ValueError, OverflowError or BindError for values that do not fit, and what `execute` raises where the
        server cannot be asked.
        """
        self._require_open()
        return await self._routing().explain(query, parameters)

    async def group_by_replica(self, prepared: PreparedStatement, rows: Iterable[R]) -> dict[Replica, list[R]]:
        """Splits rows (sequences, or mappings by name) by the node and shard that own them, for workers that each own some shards.

        Of several nodes the first one on the ring is chosen, in `local_dc` where the cluster has one. Where a node is not ScyllaDB
        or has not told its shards, the shard is None and the rows are split by node. The rows are read at once and kept, in their
        order.

        Raises ValueError where the keys or their nodes cannot be told, and for a row whose key does not fit, as TypeError,
        OverflowError or BindError where these say it better; what `execute` raises where the server cannot be asked.
        """
        self._require_open()
        return await self._routing().group(prepared, rows)

    async def shard_report(self, table: str, n: int = 200) -> ShardReport:
        """Where reads of a table (`keyspace.table`, or `table` of the session's keyspace) really arrive: `n` prepared reads of keys
        that it has are traced, and the shard of each trace is compared with the one that owns the key. Connections are listed by
        shard, too.

        A trace costs the server as much as several reads, and comes after some seconds. What cannot be told is None: on Cassandra,
        which has no shards, all but the nodes.

        Raises ValueError for a table that is not there or has no rows, and what `execute` raises.
        """
        self._require_open()
        return await shard_report(self, table, n)

    def _routing(self) -> Router:
        if self._router is None:
            self._router = Router(self)
        return self._router

    # ---- many rows ----

    async def execute_many(
        self,
        query: str | PreparedStatement,
        rows: Iterable[Values] | AsyncIterable[Values],
        *,
        concurrency: int = 1024,
        retries: int = 8,
        on_error: OnError = "stop",
        max_errors: int = 1000,
        max_rate: float | None = None,
        progress: Callable[[BulkReport], object] | None = None,
        timeout: float | None = None,
        consistency: Consistency | str | int | None = None,
        serial_consistency: Consistency | str | int | None = None,
        timestamp: int | None = None,
        idempotent: bool | None = None,
        execution_profile: str | None = None,
        custom_payload: Mapping[str, bytes] | None = None,
    ) -> BulkReport:
        """Executes a statement once for each of `rows` (sequences, or mappings by name), `concurrency` of them in flight, in no
        certain order; results are dropped.

        `rows` may be any iterable or asynchronous iterable, without end too: a row is asked for when there is room for it. None
        writes null; UNSET leaves a column alone. `timeout` is in seconds for each try of a row, `max_rate` in rows per second.

        A row that certainly was not written, because a node was unavailable or overloaded or the driver's queue was full, is sent
        again, `retries` times with growing pauses, and fewer rows are in flight for a while; with `idempotent=True` so is one that
        timed out or lost its connection; with `idempotent=False` none that an overloaded node has refused. With `on_error="stop"` the
        first row that fails ends the call; `"collect"` goes on until `max_errors` have failed, and the report has them; a function is
        called with each RowError. `progress` is called with a BulkReport twice a second, and at the end, whatever ends it.

        Raises BulkError when it ends before the last row, with `.report`, and the row's own error as its cause; what the iterable or
        a callback raises, or CancelledError, with `.report`, too, once the rows in flight are answered. (Where CPython 3.10 raises
        another CancelledError for a task that is awaited, the one with the report is its `__context__`.)
        """
        _check_bulk(on_error, concurrency=concurrency, retries=retries, max_errors=max_errors, max_rate=max_rate)
        options = _native.Options(
            timeout=timeout,
            consistency=consistency,
            serial_consistency=serial_consistency,
            timestamp=timestamp,
            idempotent=idempotent,
            execution_profile=execution_profile,
            custom_payload=custom_payload,
        )
        self._require_open()
        if isinstance(query, str):
            query = await self._prepared_for(query, options.over(self.options).timeout_or(self.cluster.request_timeout))
        elif not isinstance(query, _native.PreparedStatement):
            raise TypeError(f"a str or PreparedStatement can be executed many times, not {type(query).__name__}")
        return await write_rows(
            self,
            query,
            rows,
            what=errors.shorten(query.query, 80),
            concurrency=concurrency,
            retries=retries,
            on_error=on_error,
            max_errors=max_errors,
            max_rate=max_rate,
            progress=progress,
            options=options.over(query.options).over(self.options),
        )

    @overload
    def execute_concurrent(
        self,
        statement: str | PreparedStatement | Iterable[ConcurrentItem] | AsyncIterable[ConcurrentItem],
        parameters: Iterable[Values] | AsyncIterable[Values] | None = None,
        *,
        concurrency: int = 100,
        ordered: Literal[True] = True,
        raise_on_error: Literal[True] = True,
        **options: Unpack[RequestOptions],
    ) -> AsyncGenerator[Result, None]: ...

    @overload
    def execute_concurrent(
        self,
        statement: str | PreparedStatement | Iterable[ConcurrentItem] | AsyncIterable[ConcurrentItem],
        parameters: Iterable[Values] | AsyncIterable[Values] | None = None,
        *,
        concurrency: int = 100,
        ordered: Literal[False],
        raise_on_error: Literal[True] = True,
        **options: Unpack[RequestOptions],
    ) -> AsyncGenerator[tuple[int, Result], None]: ...

    @overload
    def execute_concurrent(
        self,
        statement: str | PreparedStatement | Iterable[ConcurrentItem] | AsyncIterable[ConcurrentItem],
        parameters: Iterable[Values] | AsyncIterable[Values] | None = None,
        *,
        concurrency: int = 100,
        ordered: Literal[True] = True,
        raise_on_error: Literal[False],
        **options: Unpack[RequestOptions],
    ) -> AsyncGenerator[Result | Exception, None]: ...

    @overload
    def execute_concurrent(
        self,
        statement: str | PreparedStatement | Iterable[ConcurrentItem] | AsyncIterable[ConcurrentItem],
        parameters: Iterable[Values] | AsyncIterable[Values] | None = None,
        *,
        concurrency: int = 100,
        ordered: Literal[False],
        raise_on_error: Literal[False],
        **options: Unpack[RequestOptions],
    ) -> AsyncGenerator[tuple[int, Result | Exception], None]: ...

    def execute_concurrent(
        self,
        statement: str | PreparedStatement | Iterable[ConcurrentItem] | AsyncIterable[ConcurrentItem],
        parameters: Iterable[Values] | AsyncIterable[Values] | None = None,
        *,
        concurrency: int = 100,
        ordered: bool = True,
        raise_on_error: bool = True,
        **options: Unpack[RequestOptions],
    ) -> AsyncGenerator[Any, None]:
        """Executes many statements, `concurrency` of them at a time, and gives their results: `async for result in …`.

        Either one statement and its `parameters`, one sequence or mapping for each execution, or an iterable of statements: texts,
        prepared statements, Statements and batches, or tuples of a statement and its parameters. Both may be asynchronous, and
        without end: as many results wait for the caller as may be in flight.

        The results come in the order of the statements, or, with `ordered=False`, as they are answered, each as (index, result).
        With `raise_on_error` the first error in this order is raised and the rest given up; without, errors come in the place of
        results. The options are those of `execute`.

        Raises TypeError and ValueError for mistakes in the arguments; those in a statement or its values are its outcome.
        """
        if type(concurrency) is not int or concurrency < 1:
            raise ValueError(f"concurrency must be an int of at least 1, not {concurrency!r}")
        made = _native.Options(**options)
        items: Iterable[object] | AsyncIterable[object]
        if isinstance(statement, (str, _native.PreparedStatement)):
            if parameters is None:
                raise TypeError("parameters are missing: an iterable with the values of each execution")
            items = parameters

            def execute(item: Any) -> Request[Result]:
                return self._request(statement, item, made)
        else:
            if parameters is not None:
                raise TypeError(f"parameters belong to a str or PreparedStatement, not {type(statement).__name__}")
            items = statement

            def execute(item: Any) -> Request[Result]:
                return self._request(*item, made) if isinstance(item, tuple) and len(item) == 2 else self._request(item, None, made)

        return (in_order if ordered else with_indexes)(items, execute, concurrency, raise_on_error)

    async def copy_from(
        self,
        table: str,
        data: object,
        *,
        columns: Sequence[str] | Mapping[str, str] | None = None,
        concurrency: int = 1024,
        batch: int | None = None,
        max_rate: float | None = None,
        retries: int = 8,
        on_error: OnError = "stop",
        max_errors: int = 1000,
        nulls: Literal["unset", "null"] = "unset",
        truncate: bool = False,
        ttl: int | None = None,
        timestamp: int | None = None,
        progress: Callable[[BulkReport], object] | None = None,
        resume: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        consistency: Consistency | str | int | None = None,
        execution_profile: str | None = None,
    ) -> BulkReport:
        """Writes every row of `data` into a table (`keyspace.table`, or `table` of the session's keyspace).

        `data` is Arrow data, anything with `__arrow_c_stream__` or `__arrow_c_array__`: tables, readers and datasets of pyarrow,
        frames of polars and pandas, results of DuckDB, a scan of another session. It is read, bound and sent in C++ on two threads
        of this call, without the GIL. Or `data` is an iterable or asynchronous iterable of rows: mappings, dataclasses, named tuples,
        Rows; sequences when `columns` names their values.

        Columns go by their names; `columns` chooses some of them, or maps names of the data to names of the table. Timestamps
        without a zone are UTC; parts of a millisecond are refused, or cut and counted with `truncate`. A null, None or value that a
        row does not have leaves its column alone (`nulls="unset"`: no tombstone, but a row that is loaded again keeps its old value);
        with `"null"` null and None are written. `ttl` is in seconds, `timestamp` in microseconds since 1970.

        `concurrency` requests are in flight, fewer while the server is overloaded; `max_rate` is in rows per second, `timeout` in
        seconds for each try. With `batch`, rows that share a partition key and are at most 8,192 rows apart are sent as unlogged
        batches of at most so many bytes of values (5,000 is what servers warn of).

        A row that fails in passing is sent again, `retries` times with growing pauses: an INSERT may be repeated. With
        `on_error="stop"` the first row that cannot be written ends the load; `"collect"` goes on until `max_errors` have failed and
        reports them; a function is called with each RowError, on the loop. `progress` is called with a BulkReport twice a second, and
        at the end, whatever ends it. `resume` names a checkpoint file: a load that was killed goes on after the rows that are known to
        be settled, when it is given the same data again.

        Raises, before the first row is sent, TypeError for data or a column that cannot be loaded, KeyError for a column that is
        not there or missing in the key, ValueError for a table that is not there; later BulkError with row, column and
        `.report`. A CancelledError, or what the data or a callback raised, has the `.report`, too: the rows in flight are waited for.
        """
        _check_bulk(on_error, concurrency=concurrency, retries=retries, max_errors=max_errors, max_rate=max_rate)
        if nulls not in ("unset", "null"):
            raise ValueError(f"nulls must be 'unset' or 'null', not {nulls!r}")
        _check_ints(batch=(batch, 1, 1 << 30), ttl=(ttl, 0, 20 * 365 * 86400), timestamp=(timestamp, -(2**63) + 1, 2**63 - 1))
        options = _native.Options(timeout=timeout, consistency=consistency, execution_profile=execution_profile, defaults=self.options)
        self._require_open()
        return await copy_from(
            self,
            table,
            data,
            columns=columns,
            concurrency=concurrency,
            batch=batch,
            max_rate=max_rate,
            retries=retries,
            on_error=on_error,
            max_errors=max_errors,
            nulls=nulls,
            truncate=truncate,
            ttl=ttl,
            timestamp=timestamp,
            progress=progress,
            resume=resume,
            options=options,
        )

    # ---- what it knows ----

    async def metadata(self, keyspace: str | None = None, *, timeout: float | None = None) -> Metadata:
        """The cluster's schema, or that of one keyspace, read from the server now, and the CQL that makes it anew.

        `timeout` is in seconds for each of the dozen queries that this takes. A large schema is decoded on a thread.
        Raises what `execute` raises.
        """
        if keyspace is not None and not isinstance(keyspace, str):
            raise TypeError(f"keyspace must be a str, not {type(keyspace).__name__}")
        self._require_open()
        return await read_metadata(self, keyspace, timeout)

    def metrics(self) -> dict[str, dict[str, float]]:
        """What the driver counts and what we count, as nested dicts; latencies in seconds, rates in requests per second.

        `requests`: the driver's latencies over its recent requests, and its rates; `connections`; `errors`; `speculative`; `session`:
        this session's own counts since it was opened: requests of yours that were `started`, `failed` and `cancelled`, where a page
        of `stream` or `scan` is one and a row of `execute_many` is none; `asked`: what was asked beside these, such as preparing and
        reading the schema; `in_flight`: not answered by now; `prepared`: statements that are kept; `retries`: those of retry policies
        (`sent`: tries after the first; `succeeded`: requests that were answered by one; `ignored`: errors that a policy passed over;
        `over_budget`: tries that the budget did not allow).
        """
        return {**super().metrics(), "retries": dict(self._retries.counts)}

    # ---- closing ----

    def shards(self) -> dict[str, HostShards]:
        """How it reaches the shards of each host, by address: what the node says, the mode and the reason for it.

        Empty until the nodes have been asked, a moment after connecting.
        """
        return shard_watch.shards_of(self)

    def shard_counts(self, *, reset: bool = False) -> ShardCounts:
        """How many of the requests that this session has sent belong to each node and shard: which of them it keeps busy. Needs
        `count_shards=True` of the cluster, since it costs each request the token of its key.

        Counted are requests with bound values, each row of `execute_many` among them, whatever becomes of them and however often they
        are tried; a batch counts once. Not counted are texts without values, rows of Arrow data and reads of
        system tables. Nodes, shards and tablets are as they
        were at most 10 s ago. With `reset` it begins anew.

        Raises ClientError where the cluster does not count.
        """
        if self.shard_counter is None:
            raise errors.ClientError("the requests of this session are not counted: count_shards=True is needed")
        counts: ShardCounts = self.shard_counter.take(reset=reset)
        return counts

    async def close(self) -> None:
        """Closes the session when the requests in flight are answered, with all their pages; may be called again."""
        await self._finish(math.inf)

    async def drain(self, *, timeout: float) -> int:
        """Takes no more requests, waits at most `timeout` seconds for those in flight, and closes the session.

        Returns how many were still unanswered then: they end as lost when the connections close.
        """
        return await self._finish(_native.Options(timeout=timeout).timeout_or(math.inf))

    async def _finish(self, timeout: float) -> int:
        if not self._is_of_this_process:
            self._release()
            return 0
        if not self.is_open:
            if self._closing is not None and self._closing.get_loop() is asyncio.get_running_loop():
                await asyncio.shield(self._closing)
            return 0
        unfinished = self._begin_finishing()
        self._closing = asyncio.get_running_loop().create_task(self._close(unfinished))
        closing = asyncio.shield(self._closing)
        if math.isinf(timeout):
            await closing
            return 0
        try:
            await asyncio.wait_for(closing, timeout)
        except (asyncio.TimeoutError, TimeoutError):
            return self.in_flight
        return 0

    def _release(self) -> None:
        super()._release()
        if self._leave_login is not None:
            self._leave_login()

    async def _close(self, unfinished: list[Request[Result]]) -> None:
        try:
            await end_loads(self._loads)
            # What is one step in the driver it waits for itself; a request of several steps only we know.
            while unfinished:
                await _ended(unfinished)
                unfinished = self._begin_finishing()
            await self._close_request()
        except errors.ClientError as error:
            if error.code != errors.ErrorCode.LIB_UNABLE_TO_CLOSE:  # closed or being closed already: what was wanted
                raise
        finally:
            self._release()
            self._decoders.close()
            shard_watch.closed(self)


def _check_ints(**values: tuple[int | None, int, int]) -> None:
    for name, (value, least, most) in values.items():
        if value is not None and (type(value) is not int or not least <= value <= most):
            raise ValueError(f"{name} must be an int of {least} to {most}, not {value!r}")


def _check_bulk(on_error: OnError, *, concurrency: int, retries: int, max_errors: int, max_rate: float | None) -> None:
    if not callable(on_error) and on_error not in ("stop", "collect"):
        raise ValueError(f"on_error must be 'stop', 'collect' or a function, not {on_error!r}")
    _check_ints(concurrency=(concurrency, 1, 32768), retries=(retries, 0, 1 << 20), max_errors=(max_errors, 0, 1 << 40))
    if max_rate is not None and not (type(max_rate) in (int, float) and 0 < max_rate < math.inf):
        raise ValueError(f"max_rate must be a positive number of rows per second, not {max_rate!r}")


class _Deadline:
    """What is left of a call's timeout."""

    def __init__(self, session: Session, options: Options) -> None:
        self._loop = asyncio.get_running_loop()
        timeout = options.timeout_or(session.cluster.request_timeout)
        self._end = self._loop.time() + timeout

    def remaining(self) -> float:
        """Seconds, at least a millisecond: whoever comes too late gets a timeout from the driver."""
        return max(0.001, self._end - self._loop.time())

    def left_in(self, options: Options) -> Options:
        """`options` with the rest of the time."""
        return options.with_changes(timeout=self.remaining())


async def _ended(requests: list[Request[Result]]) -> None:
    """Waits until all of them have an outcome, whichever."""
    loop = asyncio.get_running_loop()
    for request in requests:
        ended = loop.create_future()
        request.add_done_callback(lambda _, ended=ended: ended.done() or ended.set_result(None))  # type: ignore[misc]
        await ended


async def _within(timeout: float, task: asyncio.Task[_native.T], text: str) -> _native.T:
    """The outcome of a task that others wait for too; an error is a copy, which each of them may add to."""
    try:
        return await asyncio.wait_for(asyncio.shield(task), None if math.isinf(timeout) else timeout)
    except errors.Error as shared:
        error = copy.copy(shared).with_traceback(shared.__traceback__)
        error.__cause__ = shared.__cause__
    except (asyncio.TimeoutError, TimeoutError):
        error = errors.RequestTimeout(f"not prepared within {timeout:g} s")
        error.query = text
        error.retryable = True
    raise error


class Connecting:
    """What `connect` returns: `session = await connecting`, or `async with connecting as session`."""

    def __init__(self, open_session: Callable[[], Generator[object, None, Session]]) -> None:
        self._open = open_session
        self._session: Session | None = None

    def __await__(self) -> Generator[object, None, Session]:
        return self._open()

    async def __aenter__(self) -> Session:
        self._session = await self
        return self._session

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()


def _caller() -> str:
    """Where outside this package a session is being opened, for the ResourceWarning."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("acsylla_like."):
        frame = frame.f_back
    return f" opened at {frame.f_code.co_filename}:{frame.f_lineno}"
