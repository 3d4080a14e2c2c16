"""Statements and batches as acsylla has them: values by index or name, setters beside options.

Values of a prepared statement are looked at when they are bound. Those of a text have no types before it is executed: then
it is prepared, once, so that an int goes out as the column's bigint, which acsylla gets wrong.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from acsylla_like import _native
from acsylla_like import errors as _core
from acsylla_like.compat.enums import Consistency, ValueType, serial_or_none
from acsylla_like.compat.errors import (
    CassErrorLibBadParams,
    CassErrorLibIndexOutOfBounds,
    CassErrorLibNameDoesNotExist,
    translating,
)
from acsylla_like.compat.result import Result, Row, rows_like
from acsylla_like.compat.retry import retry_policy as policy_of
from acsylla_like.compat.values import bindable
from acsylla_like.types import UNSET

if TYPE_CHECKING:
    from acsylla_like.compat.session import Session

__all__ = ["Batch", "PreparedStatement", "Statement", "seconds_of"]


def seconds_of(timeout: float | None) -> float | None:
    """acsylla's 0 is no timeout."""
    return None if timeout is None else timeout or math.inf


class _Settings:
    """What statements and batches may be told, as options of the package."""

    if not TYPE_CHECKING:
        __slots__ = ()  # the fields are of those that derive from it

    _options: dict[str, Any]  # replaced, never changed: a prepared statement shares them with what is bound of it
    _made_options: _native.Options | None
    tracing_enabled: bool

    def _set(self, name: str, value: object) -> None:
        if value is not None:
            self._options = {**self._options, name: value}
            self._made_options = None

    def _unset(self, name: str) -> None:
        self._options = {option: value for option, value in self._options.items() if option != name}
        self._made_options = None

    def _as_options(self) -> _native.Options | None:
        """What the package is told, None for nothing."""
        if self._made_options is None and self._options:
            self._made_options = _native.Options(**self._options)
        return self._made_options

    def set_consistency(self, consistency: Consistency | None) -> None:
        """The consistency level."""
        self._set("consistency", None if consistency is None else consistency.value)

    def set_serial_consistency(self, consistency: Consistency | None) -> None:
        """The serial consistency level."""
        self._set("serial_consistency", serial_or_none(consistency))

    def set_timestamp(self, timestamp: float | None) -> None:
        """In microseconds since 1970."""
        self._set("timestamp", None if timestamp is None else int(timestamp))

    def set_is_idempotent(self, is_idempotent: bool | None) -> None:
        """Whether it may be applied more than once."""
        self._set("idempotent", None if is_idempotent is None else bool(is_idempotent))

    def set_retry_policy(self, retry_policy: str | None, retry_policy_logging: bool = False) -> None:
        """ "default" or "fallthrough"."""
        if retry_policy is not None:
            self._set("retry_policy", policy_of(retry_policy, retry_policy_logging))

    def _trace(self, enabled: bool | None) -> None:
        if enabled is not None:
            self._set("tracing", bool(enabled))
            self.tracing_enabled = bool(enabled)

    def set_execution_profile(self, name: str | None) -> None:
        """An execution profile of the cluster; empty for none."""
        if name:
            self._set("execution_profile", name)
        elif name is not None:
            self._unset("execution_profile")


class Statement(_Settings, _native.StatementParts):
    """A text or a prepared statement with values and options. Of a session, it can be awaited, called with values, and
    iterated over with `async for`, which gives the rows of all pages."""

    __slots__ = ()

    session: Session | None
    _version: _native.PreparedVersion | None  # of a prepared statement, whose types are known

    def __init__(self, query: str | _native.PreparedStatement, session: Session | None, count: int, native_types: bool | None) -> None:
        self._options = {}
        self.session = session
        self.native_types = bool(native_types)
        self._query = query
        self._values = [UNSET] * count

    def __repr__(self) -> str:
        query = self._query if isinstance(self._query, str) else self._query.query
        return f"<Statement {_core.shorten(query, 80)!r}>"

    # ---- running it

    def _own_session(self) -> Session:
        if self.session is None:
            raise RuntimeError("Method only available for statements created from session. Use session.execute(statement)")
        return self.session

    def __await__(self) -> Generator[Any, None, Result]:
        return self._own_session().execute(self).__await__()

    async def execute(self, native_types: bool | None = None) -> Result:
        """Executes it on its session."""
        return await self._own_session().execute(self, native_types=native_types)

    async def __aiter__(self) -> AsyncIterator[Row]:
        session = self._own_session()
        with translating():
            query, values = await self._bound(session)
            async for page in session._open().stream(query, values, **self._options).pages():
                for row in rows_like(page, self.native_types).of(page):
                    yield row

    def __call__(
        self,
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
        """Binds values, of which none is left from before, and sets options; returns itself."""
        self._own_session()
        if parameters is not None:
            if self._version is not None:
                self.reset_parameters(len(self._version.parameter_types))
            self._bind_all(parameters, value_types)
        self._configure(page_size, page_state, timeout, consistency, serial_consistency, execution_profile)
        if native_types is not None:
            self.native_types = bool(native_types)
        return self

    @property
    def _is_plain(self) -> bool:
        """Whether it can be sent as it is: its types are known, or there are no values."""
        return self._version is not None or not (self._values or self._named)

    def _sent(self) -> tuple[str | _native.PreparedStatement, Sequence[Any] | None]:
        """What the package executes, and its values, which it copies at once."""
        return self._query, None if self._version is None else self._values

    async def _bound(self, session: Session) -> tuple[str | _native.PreparedStatement, Sequence[Any] | None]:
        """The same where a text with values may have to be prepared first."""
        if self._is_plain:
            return self._sent()
        assert isinstance(self._query, str)
        prepared = await session._prepared_for(self._query, self._options.get("timeout"))
        return prepared, self._typed_values(prepared._version)

    def _typed_values(self, version: _native.PreparedVersion) -> tuple[Any, ...]:
        """The values of a text, now that their types are known."""
        types = version.parameter_types
        if len(self._values) > len(types):
            raise CassErrorLibBadParams(f"{len(self._values)} values are bound, and the statement takes {len(types)}")
        values = [*self._values, *([UNSET] * (len(types) - len(self._values)))]
        for name, value in (self._named or {}).items():
            for index in _indexes(version.parameter_names, name):
                values[index] = value
        return tuple(map(bindable, types, values))

    def _snapshot(self) -> Statement:
        """A copy that later calls of setters do not change."""
        copy = Statement(self._query, self.session, 0, self.native_types)
        copy._version, copy._values, copy._named = self._version, list(self._values), dict(self._named or {})
        return copy

    # ---- values

    def reset_parameters(self, count: int) -> None:
        """Forgets the values, and takes `count` from now on."""
        self._values = [UNSET] * count
        self._named = None

    def bind(self, idx: int, value: Any, value_type: ValueType | None = None) -> None:
        """Binds a value by its index. Raises CassErrorLibIndexOutOfBounds, or an error for a value that does not fit."""
        if not 0 <= idx < len(self._values):
            raise CassErrorLibIndexOutOfBounds(f"Index out of bounds: {idx} of {len(self._values)} values")
        self._values[idx] = self._checked(idx, value, value_type)

    def bind_by_name(self, name: str, value: Any, value_type: ValueType | None = None) -> None:
        """Binds a value by its name. Raises CassErrorLibNameDoesNotExist, or an error for a value that does not fit."""
        if self._version is None:
            self._named = {**(self._named or {}), name: self._checked(-1, value, value_type)}
            return
        for index in _indexes(self._version.parameter_names, name):
            self._values[index] = self._checked(index, value, value_type)

    _convert = staticmethod(bindable)

    def _bind_each(self, values: Sequence[Any], value_types: Sequence[ValueType] | None) -> None:
        """As `bind_list`, one after the other: of a text, with types, or too many."""
        for index, value in enumerate(values):
            self.bind(index, value, None if value_types is None else value_types[index])

    def bind_tuple(self, values: Sequence[Any], value_types: Sequence[ValueType] | None = None) -> None:
        """Binds values from left to right."""
        self.bind_list(values, value_types)

    def bind_dict(self, values: Mapping[str, Any], value_types: Mapping[str, ValueType] | None = None) -> None:
        """Binds values by name."""
        for name, value in values.items():
            self.bind_by_name(name, value, None if value_types is None else value_types.get(name))

    def _bind_all(self, parameters: Any, value_types: Any) -> None:
        if not isinstance(parameters, (list, tuple, dict)):
            raise ValueError(f"`parameters` must be `list`, `tuple` or `dict` but not {type(parameters)}")
        if self._version is None:
            self.reset_parameters(0 if isinstance(parameters, dict) else len(parameters))
        if isinstance(parameters, dict):
            self.bind_dict(parameters, value_types)
        else:
            self.bind_list(parameters, value_types)

    def _checked(self, index: int, value: Any, value_type: ValueType | None) -> Any:
        """The value as it is kept: of a text, checked at least against the type that the caller names."""
        if self._version is not None:
            return bindable(self._version.parameter_types[index], value)
        name = None if value_type is None else _NAME_OF_TYPE.get(value_type.value)
        return value if name is None else bindable(_native.parse_type(name), value)

    # ---- options

    def _configure(
        self,
        page_size: int | None,
        page_state: bytes | None,
        timeout: float | None,
        consistency: Consistency | None,
        serial_consistency: Consistency | None,
        execution_profile: str | None,
    ) -> None:
        self.set_page_size(page_size)
        self.set_page_state(page_state)
        self.set_timeout(timeout)
        self.set_consistency(consistency)
        self.set_serial_consistency(serial_consistency)
        self.set_execution_profile(execution_profile)

    def add_key_index(self, index: int) -> None:
        """Not needed: a text with values is prepared, and the server says which of them are the partition key."""

    def set_page_size(self, page_size: int | None) -> None:
        """Rows of a page; not positive for all of them."""
        if page_size is not None and int(page_size) > 0:
            self._set("page_size", int(page_size))
        elif page_size is not None:
            self._unset("page_size")

    def set_page_state(self, page_state: bytes | None) -> None:
        """From where on rows are read: `Result.page_state()`."""
        self._set("paging_state", page_state)

    def set_tracing(self, enabled: bool | None = None) -> None:
        """Whether the server keeps a trace, whose id the result has."""
        self._trace(enabled)

    def set_timeout(self, timeout: float | None) -> None:
        """In seconds, 0 for none."""
        self._set("timeout", seconds_of(timeout))

    def set_host(self, host: str | None, port: int = 9042) -> None:
        """The node that shall execute it."""
        self._set("host", None if host is None else (host, port))

    def set_execute_as(self, name: str | None) -> None:
        """The role to execute it as (DataStax Enterprise)."""
        self._set("custom_payload", None if name is None else {"ProxyExecute": name.encode()})


# Of acsylla's ValueType, those of a single value.
_NAME_OF_TYPE = {
    member.value: member.name.lower().replace("_", "")
    for member in ValueType
    if member.name not in ("CUSTOM", "LIST", "MAP", "SET", "UDT", "TUPLE")
}


def _indexes(names: Sequence[str], name: str) -> list[int]:
    """Of the markers of that name; without quotes, capitals do not matter where nothing fits exactly."""
    bare = name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name
    found = [index for index, known in enumerate(names) if known == bare]
    found = found or [index for index, known in enumerate(names) if known.lower() == name.lower()]
    if not found:
        raise CassErrorLibNameDoesNotExist(f"Unknown column: {name}; the statement has {', '.join(names) or 'none'}")
    return found


class PreparedStatement(_native.PreparedParts):
    """A statement that the server has parsed; calling it, or `bind`, gives a Statement."""

    __slots__ = ()

    def __init__(
        self,
        session: Session,
        prepared: _native.PreparedStatement,
        timeout: float | None,
        consistency: Consistency | None,
        serial_consistency: Consistency | None,
        execution_profile: str | None,
        native_types: bool | None,
    ) -> None:
        self._prepared = prepared
        self._template = Statement(prepared, session, 0, native_types)
        self._template._configure(None, None, timeout, consistency, serial_consistency, execution_profile)
        self._template._as_options()

    def __repr__(self) -> str:
        return f"<PreparedStatement {_core.shorten(self._prepared.query, 80)!r}>"

    if TYPE_CHECKING:

        def bind(
            self,
            parameters: Any = None,
            page_size: int | None = None,
            page_state: bytes | None = None,
            timeout: float | None = None,
            consistency: Consistency | None = None,
            serial_consistency: Consistency | None = None,
            execution_profile: str | None = None,
            native_types: bool | None = None,
        ) -> Statement: ...

        __call__ = bind
    else:
        __call__ = _native.PreparedParts.bind

    def set_execution_profile(self, statement: Statement | str | None, name: str | None = None) -> None:
        """The execution profile of the statements that are bound from now on; also called with the name alone."""
        if isinstance(statement, Statement):
            statement.set_execution_profile(name)
        else:
            self._template.set_execution_profile(statement or "")
            self._template._as_options()


class Batch(_Settings, _native.BatchParts):
    """Statements that are executed together."""

    __slots__ = ()

    def __init__(self, kind: str, timeout: float | None, execution_profile: str | None) -> None:
        self._options = {}
        self._kind = kind
        self._statements = []
        self._set("timeout", seconds_of(timeout))
        self.set_execution_profile(execution_profile)

    def __repr__(self) -> str:
        return f"<Batch {self._kind} of {len(self._statements)}>"

    def set_tracing(self, enabled: bool | None) -> None:
        """Whether the server keeps a trace, whose id the result has."""
        self._trace(enabled)

    def set_request_timeout(self, timeout_ms: int | None) -> None:
        """In milliseconds, 0 for none."""
        self._set("timeout", seconds_of(None if timeout_ms is None else timeout_ms / 1000))

    async def _made(self, session: Session) -> _native.Batch:
        made = self._gathered(self._statements, self._as_options())
        if made is None:
            entries = [await entry._bound(session) if isinstance(entry, Statement) else entry for entry in self._statements]
            made = self._gathered(entries, self._as_options())
            assert made is not None
        return made
