# Sessions: from the call of `execute` to a request that is ready to be sent.

import atexit as _atexit
import functools as _functools
import itertools as _itertools
import re as _re
from collections import OrderedDict as _OrderedDict

cdef extern from *:
    """
    static void acsylla_like_no_speculation(CassSpeculativeExecutionMetrics* metrics) { *metrics = {}; }
    """
    void acsylla_like_no_speculation(CassSpeculativeExecutionMetrics* metrics) nogil

_USE = _re.compile(r'\s*USE\s+(?:"((?:[^"]|"")+)"|(\w+))\s*;?\s*', _re.IGNORECASE)
_session_numbers = _itertools.count(1)

_LETTERS_OF_DATA = frozenset("SsIi")
# The usual case: nothing that needs another look.
_STARTS_WITH_DATA = _re.compile(r"(?:SELECT|INSERT|UPDATE|DELETE|BEGIN)\b", _re.IGNORECASE)
_TAKES_NO_VALUES = frozenset(("ALTER", "CREATE", "DESC", "DESCRIBE", "DROP", "GRANT", "LIST", "REVOKE", "TRUNCATE", "USE"))
_COMMENT = _re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$)|--[^\n]*|//[^\n]*|/\*.*?\*/", _re.DOTALL)
_QUOTED = _re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$|--[^\n]*|//[^\n]*|/\*.*?\*/", _re.DOTALL)
_MARKER = _re.compile(r"\?|:\s*\w|:\s*\"")
_PERCENT_MARKER = _re.compile(r"%s|%\(\w+\)s")
_PLAIN_NAME = _re.compile(r"[a-z][a-z0-9_]*")

# Seconds for which the number of schema changes that the driver has seen is not asked again.
cdef double _SCHEMA_VERSION_AGE = 0.02
# How long (milliseconds) the interpreter's exit waits for sessions that were left open.
cdef unsigned _EXIT_WAIT = 2000


cdef int refuse_percent_markers(str query, object parameters) except -1:
    """cassandra-driver's markers would reach the server as a syntax error far from its cause."""
    if parameters and "%" in query:
        bare = _QUOTED.sub("", query)
        if _PERCENT_MARKER.search(bare) and not _MARKER.search(bare):  # a % s may be arithmetic
            raise ValueError(f"markers are ? and :name here, not %s: {_errors.shorten(query, 80)!r}")
    return 0


cdef int refuse_values(str query) except -1:
    """Only statements on data take values; prepared, the others would change the schema or the keyspace behind the session."""
    if not _STARTS_WITH_DATA.match(query):
        word = _first_word(query)
        if word in _TAKES_NO_VALUES:
            raise ValueError(f"{word} takes no values: {_errors.shorten(query, 80)!r}")
    return 0


def _first_word(query):
    from acsylla_like.select_star import first_word
    return first_word(query)


def _without_comment(match):
    return match[1] or " "


cdef bytes quoted_keyspace(str keyspace):
    """A keyspace as CQL reads it: the driver puts it behind USE as it is."""
    if _PLAIN_NAME.fullmatch(keyspace):
        return keyspace.encode()
    return ('"' + keyspace.replace('"', '""') + '"').encode()


cdef class Session:
    """The native part of `acsylla_like.Session`: everything up to the driver."""

    def __cinit__(self):
        self.options = _NO_OPTIONS
        self.user_types = {}
        self.prepared_cache = _OrderedDict()
        self.unfinished = set()

    def __init__(self, Cluster cluster not None, *, keyspace=None, Options options=None, opened_at=None):
        if self.cluster is not None:
            raise TypeError("__init__ was called before")
        if cluster.handle.get() == NULL:
            raise TypeError("this Cluster was made by __new__")
        if keyspace is not None and not isinstance(keyspace, str):
            raise TypeError(f"keyspace must be a str, not {type(keyspace).__name__}")
        self.cluster = cluster
        self.keyspace = cluster.keyspace if keyspace is None else keyspace
        if options is not None:
            self.options = options
        self.has_profile_policies = cluster.profile_retry_policies is not None
        if cluster.retry_policy is not None and self.options.retry_policy is None:
            self.options = self.options.with_changes(retry_policy=cluster.retry_policy)
        self.opened_at = opened_at
        self.number = next(_session_numbers)
        if not self.owner.create():
            raise MemoryError("the driver could not make a session")

    def __del__(self):
        if self.is_open and self.owner.is_of_this_process():
            _warnings.warn(f"unclosed session{self.opened_at or ''}: close it with `await session.close()` or `async with`",
                           ResourceWarning, source=self)

    cdef double effective_timeout(self, Options options) noexcept:
        if not isnan(options.timeout):
            return options.timeout
        if self.cluster is None:
            return INFINITY
        if options.execution_profile is not None:
            return <double>self.cluster.profile_timeouts.get(options.execution_profile, self.cluster.request_timeout)
        return self.cluster.request_timeout

    cdef int require_open(self, bint is_step=False) except -1:
        if not self.owner.is_of_this_process():
            raise _errors.ForkError("the session was opened before the fork: open one in this process")
        # At exit the sessions are given back while they are still open.
        if not (self.is_open or is_step and self.is_finishing) or self.owner.get() == NULL:
            raise _errors.SessionClosed("the session is not open")
        return 0

    cdef int require_made(self) except -1:
        if self.cluster is None:
            raise TypeError("this Session was made by __new__")
        return 0

    # ---- execute ----

    def execute(self, query, parameters=None, *, timeout=None, consistency=None, serial_consistency=None, page_size=None,
                paging_state=None, timestamp=None, idempotent=None, tracing=None, execution_profile=None,
                custom_payload=None, routing_key=None, host=None, retry_policy=None):
        """Executes a text, a PreparedStatement, a Statement or a Batch; awaits to a Result.

        `parameters` is a sequence, or a mapping by name; a text with parameters is prepared once and kept. Without
        `page_size` (rows) the result has all rows, fetched behind the scenes; with it, one page, from `paging_state` (bytes)
        on. `timeout` is in seconds for the whole call, math.inf for none; `timestamp` in microseconds since 1970;
        `host` an address, an (address, port) or a Coordinator. `routing_key` is the partition key where the statement does not
        bind it: its bytes, or a list of its values (bytes as they are); the request goes to a node that holds it.
        `retry_policy` decides whether it is sent again when it fails.

        Raises an Error of the server or the driver; TypeError, ValueError, OverflowError or BindError for mistakes, before
        anything is sent. Cancelling it frees what it holds when the server answers; a write may still be applied.
        """
        try:
            if (timeout is not None or consistency is not None or serial_consistency is not None or page_size is not None
                    or paging_state is not None or timestamp is not None or idempotent is not None or tracing is not None
                    or execution_profile is not None or custom_payload is not None or routing_key is not None
                    or host is not None or retry_policy is not None):
                return self.request_for(query, parameters, Options(
                    timeout=timeout, consistency=consistency, serial_consistency=serial_consistency, page_size=page_size,
                    paging_state=paging_state, timestamp=timestamp, idempotent=idempotent, tracing=tracing,
                    execution_profile=execution_profile, custom_payload=custom_payload, routing_key=routing_key,
                    host=host, retry_policy=retry_policy))
            return self.request_for(query, parameters, _NO_OPTIONS)
        except Exception as error:
            return self.failed_request(query, error)

    cdef Request failed_request(self, object query, object error):
        """A request whose outcome is a mistake of the caller's."""
        cdef Request failed = new_request(self, EXECUTE, query, self.options)
        failed.exception_value = error
        return failed

    def _request(self, query, parameters, Options options, Answers answers=None):
        """As `execute`, with options that are made already, or None; `answers` makes of the outcome what the caller gets."""
        cdef Request request
        try:
            request = self.request_for(query, parameters, _NO_OPTIONS if options is None else options)
        except Exception as error:
            request = self.failed_request(query, error)
        request.answers = answers
        return request

    def _execute_with(self, query, parameters, Options options not None):
        """As `_request`; raises mistakes at once."""
        return self.request_for(query, parameters, options)

    def _ask(self, query, parameters, Options options not None):
        """As `_execute_with`, for what the package wants to know itself."""
        cdef Request request = self.request_for(query, parameters, options)
        request.is_own = True
        return request

    def _step(self, query, parameters, Options options not None):
        """As `_ask`, on the way of another request: it is taken even when the session is being closed."""
        cdef Request request = self.request_for(query, parameters, options)
        request.is_step = request.is_own = True
        return request

    def _step_at(self, query, parameters, Options options not None, node):
        """As `_step`, at a node, an (address, port), that its routing key has chosen; at any when that is None."""
        cdef Request request = new_request(self, EXECUTE, query, options)
        cdef bytes address
        request.is_step = request.is_own = request.is_routed = True
        try:
            self.build(request, query, parameters)
            if node is not None and request.statement.get() != NULL:
                address = node[0].encode()
                check(driver.cass_statement_set_host_n(request.statement.get(), <const char*>address, len(address), node[1]),
                      f"host {node[0]!r}")
        except BaseException:
            request.state = CANCELLED  # nobody shall be warned of it
            raise
        return request

    cdef Request request_for(self, object query, object parameters, Options options):
        cdef Statement statement
        cdef Request request
        self.require_made()
        if isinstance(query, Statement):
            statement = <Statement>query
            if parameters is not None:
                raise TypeError("a Statement has its values already: give them to create_statement or bind")
            query = statement.query
            parameters = statement.parameters
            options = options.over(statement.options)
        elif isinstance(query, Batch):
            options = options.over((<Batch>query).options)
        if isinstance(query, PreparedStatement):
            options = options.over((<PreparedStatement>query).options)
        if self.has_profile_policies and options.retry_policy is None:
            options = self.with_policy_of_profile(options)
        options = options.over(self.options)
        request = new_request(self, BATCH if isinstance(query, Batch) else EXECUTE, query, options)
        try:
            self.build(request, query, parameters)
        except BaseException:
            request.state = CANCELLED  # nobody shall be warned of it
            raise
        return request

    cdef Options with_policy_of_profile(self, Options options):
        """The options with the retry policy of the execution profile that they, or the session's, name."""
        name = self.options.execution_profile if options.execution_profile is None else options.execution_profile
        policy = self.cluster.profile_retry_policies.get(name)
        return options if policy is None else options.with_changes(retry_policy=policy)

    cdef int build_again(self, Request request, Options options) except -1:
        """What the driver needs to execute a request once more, with other options, from the page on that has failed."""
        cdef Options of_the_request = request.options
        cdef Page page
        request.is_again = True
        if request.kind == BATCH:
            request.batch.reset(new_batch(<Batch>request.query, <list>request.parameters, options))
            return 0
        request.options = options  # only of this try: further pages are asked for with the request's own
        try:
            if isinstance(request.query, PreparedStatement):
                self.build_prepared(request, <PreparedStatement>request.query, request.parameters)
            else:
                request.statement.reset(new_text_statement(<str>request.query))
                self.complete_statement(request)
        finally:
            request.options = of_the_request
        if request.cold is not None:
            return 0
        driver.cass_statement_set_request_timeout(
            request.statement.get(), driver_milliseconds(min(options.timeout, options.try_timeout)))
        if request.pages is not None:
            page = <Page>request.pages[-1]
            check(driver.cass_statement_set_paging_state(request.statement.get(), page.result.get()), "the paging state")
        return 0

    cdef int build(self, Request request, object query, object parameters) except -1:
        if isinstance(query, PreparedStatement):
            return self.build_prepared(request, <PreparedStatement>query, parameters)
        if isinstance(query, str):
            return self.build_text(request, <str>query, parameters)
        if isinstance(query, Batch):
            if parameters is not None:
                raise TypeError("a Batch takes no parameters: give them to its add")
            return self.build_batch(request, <Batch>query)
        raise TypeError(
            f"a str, PreparedStatement, Statement or Batch can be executed, not {type(query).__name__}")

    cdef int build_prepared(self, Request request, PreparedStatement prepared, object parameters) except -1:
        cdef PreparedVersion version = version_of(prepared)
        cdef tuple values = positional(parameters, version)
        if prepared.has_star and prepared.schema_version != self.schema_version():
            values = frozen_values(values, version)
            request.cold = _functools.partial(self._execute_renewed, prepared, values, request.options)
            return 0
        if request.options.routing_key is not None and request.options.host is None and not request.is_routed:
            request.cold = _functools.partial(self._execute_routed, prepared, frozen_values(values, version), request.options)
            return 0
        request.version = version
        request.has_moved = prepared.keyspace != self.keyspace
        request.statement.reset(new_statement(version))
        request.parameters = bind_values(request.statement.get(), version, values)
        if self.shard_counter is not None and not request.is_again:
            self.shard_counter.note(((version, values),))
        return self.complete_statement(request)

    cdef int build_text(self, Request request, str query, object parameters) except -1:
        if parameters is not None and (not isinstance(parameters, (tuple, list, dict, _Mapping)) or not parameters):
            parameters = frozen_parameters(query, parameters)
        if parameters:
            refuse_percent_markers(query, parameters)
            refuse_values(query)
            prepared = self.prepared_cache.get((self.keyspace, query))
            if prepared is not None:
                self.prepared_cache.move_to_end((self.keyspace, query))
                request.query = prepared
                return self.build_prepared(request, <PreparedStatement>prepared, parameters)
            request.cold = _functools.partial(
                self._execute_text, query, frozen_parameters(query, parameters), request.options)
            return 0
        # SELECT and INSERT are most of them; a regular expression costs a tenth of a request.
        if query[:1] not in _LETTERS_OF_DATA and not _STARTS_WITH_DATA.match(query):
            word = _first_word(query)
            if word == "USE":
                match = _USE.fullmatch(_COMMENT.sub(_without_comment, query))
                if match is not None:
                    keyspace = match[1].replace('""', '"') if match[1] else match[2].lower()
                    request.cold = _functools.partial(self._execute_use, query, keyspace, request.options)
                    return 0
            elif word in ("ALTER", "CREATE", "DROP"):
                request.cold = _functools.partial(self._execute_schema_change, query, request.options)
                return 0
        if request.options.routing_key is not None and request.options.host is None and not request.is_routed:
            request.cold = _functools.partial(self._execute_routed, query, None, request.options)
            return 0
        request.statement.reset(new_text_statement(query))
        return self.complete_statement(request)

    def _execute_use(self, str query not None, keyspace, Options options not None):
        return self._use(query, keyspace, options)

    def _execute_schema_change(self, str query not None, Options options not None):
        return self._change_schema(self._plain_request(query, options))

    def _plain_request(self, str query not None, Options options not None):
        """A request that sends the text as it is, without values."""
        self.require_made()
        cdef Request request = new_request(self, EXECUTE, query, options)
        request.is_step = request.is_own = True
        request.statement.reset(new_text_statement(query))
        try:
            self.complete_statement(request)
        except BaseException:
            request.close()  # nobody shall be warned of it
            raise
        return request

    cdef int complete_statement(self, Request request) except -1:
        cdef Options options = request.options
        cdef CassStatement* statement = request.statement.get()
        if options is not _NO_OPTIONS:
            options.apply_to_statement(statement)
        # Always: a bound statement inherits the timeout that its preparation had.
        driver.cass_statement_set_request_timeout(statement, driver_milliseconds(min(request.timeout, options.try_timeout)))
        if options.page_size:
            driver.cass_statement_set_paging_size(statement, options.page_size)
        else:
            driver.cass_statement_set_paging_size(statement, self.cluster.page_size)
            request.gathers_pages = True
        return 0

    cdef int build_batch(self, Request request, Batch batch) except -1:
        cdef list entries = list(batch.entries)
        cdef bint has_values = False
        batch.open_rows = None  # what is added from now on is not of this request
        if not entries:
            raise ValueError("the batch is empty")
        for entry in entries:
            if isinstance(entry, tuple):
                has_values = has_values or bool(entry[1])
            elif (<BoundRows>entry).is_binding:
                raise RuntimeError("a batch cannot be executed by the code of a value that is being added to it")
        if has_values:
            request.cold = _functools.partial(self._execute_batch, batch, entries, request.options)
            return 0
        request.parameters = entries
        request.batch.reset(new_batch(batch, entries, request.options))
        self.count_batch(entries)
        return 0

    cdef int count_batch(self, list entries) except -1:
        if self.shard_counter is not None:
            self.shard_counter.note([((<BoundRows>entry).version, (<BoundRows>entry)._first_row)
                                     for entry in entries if isinstance(entry, BoundRows)])
        return 0

    def _batch_request(self, Batch batch not None, list entries not None, Options options not None):
        """A request for a batch whose texts with values have been prepared."""
        self.require_made()
        cdef Request request = new_request(self, BATCH, batch, options)
        request.is_step = request.is_own = True
        request.parameters = entries
        try:
            request.batch.reset(new_batch(batch, entries, options))
            self.count_batch(entries)
        except BaseException:
            request.close()  # nobody shall be warned of it
            raise
        return request

    # ---- prepare ----

    def _prepare_request(self, str text not None, double timeout):
        """Has the cluster parse a text; awaits to a PreparedVersion."""
        self.require_made()
        cdef Request request = new_request(self, PREPARE, text, _NO_OPTIONS)
        request.is_step = request.is_own = True
        request.timeout = timeout
        request.statement.reset(new_text_statement(text))
        driver.cass_statement_set_request_timeout(request.statement.get(), driver_milliseconds(timeout))
        return request

    def _let_run_unprepared(self, PreparedVersion version not None, str text not None):
        """Marks a version so that its text is sent with each execution, and each answer brings its own metadata."""
        version.runs_unprepared = True
        version.text = text
        return version

    @property
    def _prepared_cache(self):
        return self.prepared_cache

    @property
    def _schema_version(self):
        return self.schema_version()

    def _partition_key_of(self, str keyspace not None, str table not None):
        """The names of a table's key columns, as far as the driver knows the table, else None. Asks nobody."""
        self.require_open(True)
        return partition_key_of(self, keyspace, table)

    def _note_schema_change(self):
        self.schema_changes += 1

    cdef object schema_version(self):
        """A number that grows with each schema change that the driver has seen or this session has made."""
        cdef const CassSchemaMeta* schema
        cdef double now = monotonic()
        self.require_open(True)
        if now < self.schema_version_seen_at + _SCHEMA_VERSION_AGE and self.seen_schema_version is not None:
            return self.seen_schema_version + self.schema_changes
        self.schema_version_seen_at = now
        if not self.cluster.sees_schema or driver.cass_session_get_schema_meta == NULL or driver.cass_schema_meta_snapshot_version == NULL or \
                driver.cass_schema_meta_free == NULL:
            self.seen_schema_version = int(now)  # nothing here can tell: once in a second
        else:
            schema = driver.cass_session_get_schema_meta(self.owner.get())
            self.seen_schema_version = driver.cass_schema_meta_snapshot_version(schema)
            driver.cass_schema_meta_free(schema)
        return self.seen_schema_version + self.schema_changes

    # ---- opening and closing ----

    def _connect_request(self):
        """Opens the connections; awaits to the session."""
        cdef Request request = new_request(self, CONNECT, None, _NO_OPTIONS)
        request.is_own = True
        return request

    cdef CassFuture* connect(self) except NULL:
        self.require_made()
        if self.owner.get() == NULL or self.owner.was_connected():
            raise _errors.SessionClosed("a session connects once")
        self.cluster.listener_loop = _weakref.ref(_get_running_loop())
        return self.connect_owner(&self.owner, self.cluster, 0)

    cdef CassFuture* connect_owner(self, SessionOwner* owner, Cluster cluster, unsigned short incarnation) except NULL:
        cdef CassFuture* future
        cdef bytes keyspace
        if driver.cass_cluster_set_host_listener_callback != NULL:
            check(note_host_events(cluster.handle.get(), self.number << 16 | incarnation), "host listener")
        if self.keyspace is None:
            future = driver.cass_session_connect(owner.get(), cluster.handle.get())
        else:
            keyspace = quoted_keyspace(self.keyspace)
            future = driver.cass_session_connect_keyspace_n(
                owner.get(), cluster.handle.get(), <const char*>keyspace, len(keyspace))
        owner.set_connecting(future)
        return future

    cdef CassFuture* close_driver(self) except NULL:
        return self.owner.close()

    def _begin_finishing(self):
        """Takes no more requests; returns those of the running loop that have more to send."""
        self.is_open = False
        self.is_finishing = True
        loop = _get_running_loop()
        return [request for request in self.unfinished if (<Request>request).loop is loop]

    def _close_request(self):
        """Closes the connections after the requests in flight, once; awaits to None."""
        if not self.is_open and not self.is_finishing:
            raise _errors.SessionClosed("the session is not open")
        self.is_open = self.is_finishing = False
        cdef Request request = new_request(self, CLOSE, None, _NO_OPTIONS)
        request.is_own = True
        return request

    def _release(self):
        """Gives the driver's session back. Its threads end a moment later."""
        self.is_open = False
        self.owner.reset()

    def _require_open(self):
        self.require_open()

    @property
    def _is_of_this_process(self):
        return self.owner.is_of_this_process()

    # ---- what it knows ----

    @property
    def _requests_started(self):
        return self.requests_started

    def _retry_policy_for(self, Options options not None):
        """The retry policy that counts for a request with these options, or None."""
        if self.has_profile_policies and options.retry_policy is None:
            options = self.with_policy_of_profile(options)
        return options.over(self.options).retry_policy

    def register_user_type(self, str keyspace not None, str name not None, cls):
        """Has values of the user type `keyspace.name` come back as `cls(**fields)` and lets such objects be bound.

        Statements prepared before keep what they had.
        """
        if not callable(cls):
            raise TypeError(f"cls must be a class, not {type(cls).__name__}")
        self.user_types[(keyspace, name)] = cls

    @property
    def client_id(self):
        """The id by which the server's table of clients knows this session; a uuid.UUID."""
        self.require_open()
        require(<void*>driver.cass_session_get_client_id, "cass_session_get_client_id")
        return uuid_of(driver.cass_session_get_client_id(self.owner.get()))

    def metrics(self):
        """What the driver counts and what we count, as nested dicts; latencies in seconds, rates in requests per second.

        `requests`: the driver's latencies over its recent requests, and its rates; `connections`; `errors`; `speculative`:
        requests that another node had answered first, and their share of all; `session`: this session's own counts since it
        was opened: requests of its user that were `started`, `failed` and `cancelled`, where a page of `stream` or `scan` is
        one and a row of `execute_many` is none; `asked`: what was asked beside these, such as preparing and reading the schema;
        `in_flight`: not answered by now; `prepared`: statements that are kept.
        """
        cdef CassMetrics metrics
        cdef CassSpeculativeExecutionMetrics speculative
        self.require_open()
        driver.cass_session_get_metrics(self.owner.get(), &metrics)
        acsylla_like_no_speculation(&speculative)
        if driver.cass_session_get_speculative_execution_metrics != NULL:
            driver.cass_session_get_speculative_execution_metrics(self.owner.get(), &speculative)
        return {
            "requests": {
                "min": metrics.requests.min / 1e6,
                "max": metrics.requests.max / 1e6,
                "mean": metrics.requests.mean / 1e6,
                "stddev": metrics.requests.stddev / 1e6,
                "median": metrics.requests.median / 1e6,
                "p75": metrics.requests.percentile_75th / 1e6,
                "p95": metrics.requests.percentile_95th / 1e6,
                "p98": metrics.requests.percentile_98th / 1e6,
                "p99": metrics.requests.percentile_99th / 1e6,
                "p999": metrics.requests.percentile_999th / 1e6,
                "mean_rate": metrics.requests.mean_rate,
                "one_minute_rate": metrics.requests.one_minute_rate,
                "five_minute_rate": metrics.requests.five_minute_rate,
                "fifteen_minute_rate": metrics.requests.fifteen_minute_rate,
            },
            "connections": {"total": metrics.stats.total_connections},
            "errors": {
                "connection_timeouts": metrics.errors.connection_timeouts,
                "request_timeouts": metrics.errors.request_timeouts,
            },
            "speculative": {
                "min": speculative.min / 1e6,
                "max": speculative.max / 1e6,
                "mean": speculative.mean / 1e6,
                "stddev": speculative.stddev / 1e6,
                "median": speculative.median / 1e6,
                "p75": speculative.percentile_75th / 1e6,
                "p95": speculative.percentile_95th / 1e6,
                "p98": speculative.percentile_98th / 1e6,
                "p99": speculative.percentile_99th / 1e6,
                "p999": speculative.percentile_999th / 1e6,
                "count": speculative.count,
                "fraction": speculative.percentage,
            },
            "session": {
                "started": self.requests_started,
                "failed": self.requests_failed,
                "cancelled": self.requests_cancelled,
                "asked": self.questions_asked,
                "in_flight": self.in_flight,
                "prepared": len(self.prepared_cache),
            },
        }


def _end_sessions():
    """At exit: a driver's thread that outlives the driver's static objects would crash the process."""
    drop_all_sessions()
    with nogil:
        wait_until_freed(_EXIT_WAIT)
    deliver_log_lines()


_atexit.register(_end_sessions)
