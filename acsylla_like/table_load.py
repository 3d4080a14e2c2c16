"""Loads: Arrow data, or rows of Python's, into a table by its columns' names."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from acsylla_like._native import Options, Row
from acsylla_like.arrow_load import as_arrow_data, load_arrow, opened
from acsylla_like.bulk import BulkReport, OnError, write_rows
from acsylla_like.checkpoint import Checkpoint
from acsylla_like.select_star import columns as columns_of_table
from acsylla_like.select_star import quoted
from acsylla_like.table_scan import table_name
from acsylla_like.types import UNSET

if TYPE_CHECKING:
    from acsylla_like._native import PreparedStatement
    from acsylla_like.session import Session

__all__ = ["Target", "copy_from", "target_of"]

_KEY_KINDS = "SELECT column_name, kind FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?"


@dataclasses.dataclass(frozen=True)
class Target:
    """A table that rows are to be written into."""

    keyspace: str
    name: str
    columns: tuple[str, ...]
    """In the server's order."""
    partition_key: frozenset[str]
    primary_key: frozenset[str]

    def __str__(self) -> str:
        return f"{self.keyspace}.{self.name}"

    def check(self, columns: Iterable[str]) -> None:
        """Raises KeyError for columns that cannot be loaded into the table."""
        columns = list(columns)
        for column in columns:
            if column not in self.columns:
                raise KeyError(f"no column {column!r} in {self}, which has {', '.join(self.columns)}")
        missing = [column for column in self.columns if column in self.primary_key and column not in columns]
        if missing:
            raise KeyError(f"the data lacks {', '.join(map(repr, missing))} of the primary key of {self}")

    def insert(self, columns: Iterable[str], ttl: int | None, timestamp: int | None) -> str:
        """The statement that writes these columns of a row."""
        names = [quoted(column) for column in columns]
        using = [f"TTL {ttl}"] * (ttl is not None) + [f"TIMESTAMP {timestamp}"] * (timestamp is not None)
        text = f"INSERT INTO {quoted(self.keyspace)}.{quoted(self.name)} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        return f"{text} USING {' AND '.join(using)}" if using else text


async def target_of(session: Session, table: str, options: Options) -> Target:
    """The table of that name. Raises ValueError when there is none."""
    keyspace, name = table_name(table, session.keyspace)
    timeout = options.timeout_or(session.cluster.request_timeout)
    plain = Options(consistency="ONE", tracing=False, timeout=timeout, page_size=5000)
    kinds = {row.column_name: row.kind async for row in await session._ask(_KEY_KINDS, (keyspace, name), plain)}
    columns = await columns_of_table(session, keyspace, name, timeout)
    if not kinds or columns is None:
        raise ValueError(f"there is no table {keyspace}.{name}")
    partition_key = frozenset(column for column, kind in kinds.items() if kind == "partition_key")
    clustering = frozenset(column for column, kind in kinds.items() if kind == "clustering")
    return Target(keyspace, name, tuple(columns), partition_key, partition_key | clustering)


async def copy_from(
    session: Session,
    table: str,
    data: object,
    *,
    columns: Sequence[str] | Mapping[str, str] | None,
    concurrency: int,
    batch: int | None,
    max_rate: float | None,
    retries: int,
    on_error: OnError,
    max_errors: int,
    nulls: str,
    truncate: bool,
    ttl: int | None,
    timestamp: int | None,
    progress: Callable[[BulkReport], object] | None,
    resume: str | os.PathLike[str] | None,
    options: Options,
) -> BulkReport:
    """See `Session.copy_from`, which has checked the arguments."""
    target = await target_of(session, table, options)
    arrow = as_arrow_data(data)
    if arrow is not None:
        source = await opened(arrow)
        wanted = _wanted(source.names, columns)
        names = list(wanted.values())
    else:
        if not isinstance(data, (Iterable, AsyncIterable)) or isinstance(data, (str, bytes, Mapping)):
            raise TypeError(f"data must be Arrow data, or an iterable or asynchronous iterable of rows, not {type(data).__name__}")
        names = list(target.columns if columns is None else columns.values() if isinstance(columns, Mapping) else columns)
    _refuse_duplicates(names)
    target.check(names)
    prepared = await session.create_prepared(target.insert(names, ttl, timestamp))
    checkpoint = None if resume is None else Checkpoint(resume, "load", {"table": str(target), "columns": names})
    skip = 0 if checkpoint is None else checkpoint.read() or 0
    save = None if checkpoint is None else checkpoint.save
    if arrow is not None:
        return await load_arrow(
            session,
            prepared,
            source,
            what=str(target),
            children=[source.names.index(column) for column in wanted],
            keys=[column in target.primary_key for column in names],
            partition_keys=[column in target.partition_key for column in names],
            concurrency=concurrency,
            batch=batch,
            max_rate=max_rate,
            retries=retries,
            on_error=on_error,
            max_errors=max_errors,
            writes_nulls=nulls == "null",
            truncate=truncate,
            skip=skip,
            progress=progress,
            save=save,
            options=options,
        )
    values = _Values(target, columns, names, prepared, None if nulls == "null" else UNSET, truncate)
    return await write_rows(
        session,
        prepared,
        data,  # type: ignore[arg-type]  # checked above
        what=str(target),
        concurrency=concurrency,
        retries=retries,
        on_error=on_error,
        max_errors=max_errors,
        max_rate=max_rate,
        progress=progress,
        options=options.with_changes(idempotent=True),  # an INSERT
        convert=values,
        truncated=lambda: values.truncated,
        skip=skip,
        save=save,
        batch=batch,
        partition_key=tuple(index for index, column in enumerate(names) if column in target.partition_key),
    )


def _wanted(names: Sequence[str], columns: Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    """The columns of the data that are loaded, with their names in the table."""
    wanted = dict(columns) if isinstance(columns, Mapping) else {name: name for name in (names if columns is None else columns)}
    for name in wanted:
        if name not in names:
            raise KeyError(f"no column {name!r} in the data, which has {', '.join(names)}")
        if list(names).count(name) > 1:
            raise ValueError(f"the data has more than one column {name!r}")
    return wanted


def _refuse_duplicates(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two columns of the data are for {name!r} of the table")


class _Values:
    """From a row of Python's to the values of the statement."""

    def __init__(
        self,
        target: Target,
        columns: Sequence[str] | Mapping[str, str] | None,
        names: Sequence[str],
        prepared: PreparedStatement,
        null: object,
        truncate: bool,
    ) -> None:
        self._target = target
        self._is_chosen = columns is not None
        self._in_data = list(columns) if isinstance(columns, Mapping) else list(names)
        self._known = frozenset(self._in_data)
        self._null = null
        self._truncate = truncate
        self._keys = [(index, name) for index, name in enumerate(names) if name in target.primary_key]
        self._timestamps = [(index, name) for index, name in enumerate(names) if str(prepared.parameters[index].type) == "timestamp"]
        self.truncated = 0

    def __call__(self, row: object) -> list[object]:
        values = self._in_order(row)
        for index, name in self._keys:
            if values[index] is None or values[index] is UNSET:
                raise _of_column(ValueError(f'column "{name}": null in a column of the primary key'), name)
        for index, name in self._timestamps:
            value = values[index]
            if isinstance(value, datetime) and value.microsecond % 1000:
                if not self._truncate:
                    text = f'column "{name}" (timestamp): {value!r} has parts of a millisecond: cut them, or give truncate=True'
                    raise _of_column(ValueError(text), name)
                self.truncated += 1
                values[index] = value.replace(microsecond=value.microsecond // 1000 * 1000)
        if self._null is not None:
            for index, value in enumerate(values):
                if value is None:
                    values[index] = self._null
        return values

    def _in_order(self, row: object) -> list[Any]:
        named = _by_name(row)
        if named is not None:
            if not self._is_chosen and not named.keys() <= self._known:
                name = next(name for name in named if name not in self._known)
                raise _of_column(KeyError(f"no column {name!r} in {self._target}, which has {', '.join(self._target.columns)}"), str(name))
            return [named.get(name, UNSET) for name in self._in_data]
        if not self._is_chosen:
            raise TypeError(f"a row without names ({type(row).__name__}) needs columns=: the names of its values")
        if isinstance(row, (str, bytes)) or not isinstance(row, Sequence):
            raise TypeError(f"a row must be a mapping, a dataclass, a named tuple or a sequence, not {type(row).__name__}")
        if len(row) != len(self._in_data):
            raise ValueError(f"{len(self._in_data)} values expected ({', '.join(self._in_data)}), got {len(row)}")
        return list(row)


def _by_name(row: object) -> Mapping[str, Any] | None:
    """The values of a row that has names for them."""
    if isinstance(row, Mapping):
        return row
    if isinstance(row, Row):
        return row.as_dict()
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    if isinstance(row, tuple) and hasattr(row, "_fields"):
        return dict(zip(row._fields, row, strict=True))
    return None


def _of_column(error: Exception, column: str) -> Exception:
    error.column = column  # type: ignore[attr-defined]
    return error
