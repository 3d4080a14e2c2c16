"""The schema as acsylla shows it, over the package's own metadata, whose CQL is complete."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar
from uuid import UUID

from acsylla_like import _native
from acsylla_like import metadata as _core
from acsylla_like.compat.errors import (
    AggregateNotFound,
    CassException,
    FunctionNotFound,
    IndexNotFound,
    KeyspaceNotFound,
    MaterializedViewNotFound,
    TableNotFound,
    UserTypeNotFound,
)

__all__ = [
    "AggregateMeta",
    "ColumnMeta",
    "FunctionMeta",
    "IndexMeta",
    "KeyspaceMeta",
    "MaterializedViewMeta",
    "Metadata",
    "NestedTypeMeta",
    "TableMeta",
    "UserTypeFieldMeta",
    "UserTypeMeta",
]

T = TypeVar("T")

_SPACE = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$)|(?<=\()\s+|\s+(?=\))|(\s+)", re.DOTALL)
_TEXTS = re.compile(r"list|map|set|tuple")


def _laid_out(statements: Iterable[str], formatted: bool) -> list[str]:
    """The statements, each on one line unless `formatted`; strings and bodies of functions stay as they are."""
    if formatted:
        return list(statements)
    return [_SPACE.sub(lambda match: match[1] or (" " if match[2] else ""), statement) for statement in statements]


@dataclass
class NestedTypeMeta:
    """A type within another."""

    type: str
    is_frozen: bool


@dataclass
class UserTypeFieldMeta:
    """A field of a user type."""

    name: str
    type: str
    is_frozen: bool
    nested_types: list[NestedTypeMeta] | None

    def __post_init__(self) -> None:
        # Deeper types than acsylla's fields can tell.
        self._cql_type: str | None = None

    def _as_cql(self) -> str:
        if self._cql_type is not None:
            return self._cql_type
        nested = ", ".join(_frozen(_type_name(member.type), member.is_frozen) for member in self.nested_types or ())
        return _frozen(f"{_type_name(self.type)}<{nested}>" if nested else _type_name(self.type), self.is_frozen)


def _frozen(name: str, is_frozen: bool) -> str:
    return f"frozen<{name}>" if is_frozen else name


def _type_name(name: str) -> str:
    return name if name in _core.NATIVE_TYPES else _core.named(name)


@dataclass
class UserTypeMeta:
    """A user type."""

    keyspace: str
    name: str
    is_frozen: bool
    fields: list[UserTypeFieldMeta]

    def as_cql_query(self, formatted: bool = False, with_keyspace: bool = True) -> list[str]:
        """The statement that creates it."""
        found = {member.name: member._as_cql() for member in self.fields}
        made = _core.UserTypeMetadata(self.keyspace, self.name, found)
        return _laid_out([made.as_cql(with_keyspace=with_keyspace)], formatted)


@dataclass
class FunctionMeta:
    """A user-defined function."""

    keyspace: str
    name: str
    function_name: str
    keyspace_name: str
    argument_names: list[str]
    argument_types: list[str]
    called_on_null_input: bool
    language: str
    body: str
    return_type: str

    def as_cql_query(self, formatted: bool = False, with_keyspace: bool = True) -> list[str]:
        """The statement that creates it."""
        made = _core.FunctionMetadata(
            self.keyspace,
            self.name,
            tuple(self.argument_names or ()),
            tuple(self.argument_types or ()),
            self.return_type,
            self.language,
            self.body,
            self.called_on_null_input,
        )
        return _laid_out([made.as_cql(with_keyspace=with_keyspace)], formatted)


@dataclass
class AggregateMeta:
    """A user-defined aggregate."""

    keyspace: str
    keyspace_name: str
    name: str
    aggregate_name: str
    argument_types: list[str]
    initcond: str | None
    state_func: str
    state_type: str
    final_func: str | None
    return_type: str

    def as_cql_query(self, formatted: bool = False, with_keyspace: bool = True) -> list[str]:
        """The statement that creates it."""
        made = _core.AggregateMetadata(
            self.keyspace,
            self.name,
            tuple(self.argument_types or ()),
            self.state_func,
            self.state_type,
            self.final_func,
            self.initcond,
            self.return_type,
        )
        return _laid_out([made.as_cql(with_keyspace=with_keyspace)], formatted)


@dataclass
class ColumnMeta:
    """A column."""

    name: str
    type: str
    clustering_order: str
    column_name: str
    column_name_bytes: bytes
    keyspace_name: str
    kind: str
    position: int
    table_name: str

    def __post_init__(self) -> None:
        self._mask: str | None = None  # for which acsylla has no field

    def _made(self) -> _core.ColumnMetadata:
        order = (self.clustering_order or "none").lower()
        return _core.ColumnMetadata(self.column_name, self.type, self.kind, self.position, order, self._mask)


@dataclass
class IndexMeta:
    """A secondary index."""

    keyspace: str
    table: str
    name: str
    kind: str
    target: str
    options: dict[str, str]

    def as_cql_query(self, formatted: bool = False, with_keyspace: bool = True) -> list[str]:
        """The statement that creates it."""
        options = {**(self.options or {}), "target": self.target}
        made = _core.IndexMetadata(self.keyspace, self.table, self.name, self.kind.upper(), options)
        return _laid_out([made.as_cql(with_keyspace=with_keyspace)], formatted)


@dataclass
class MaterializedViewMeta:
    """A materialized view."""

    keyspace: str
    name: str
    id: UUID | str | None
    base_table_id: UUID | str | None
    base_table_name: str
    bloom_filter_fp_chance: float
    caching: dict[str, str]
    comment: str
    compaction: dict[str, str]
    compression: dict[str, str]
    crc_check_chance: float
    dclocal_read_repair_chance: float
    default_time_to_live: int
    extensions: dict[str, str]
    gc_grace_seconds: int
    include_all_columns: bool
    keyspace_name: str
    max_index_interval: int
    memtable_flush_period_in_ms: int
    min_index_interval: int
    read_repair_chance: int
    speculative_retry: str
    view_name: str
    where_clause: str
    columns: list[ColumnMeta]

    def __post_init__(self) -> None:
        self._more_options: dict[str, Any] = {}

    def as_cql_query(self, formatted: bool = False, with_keyspace: bool = True) -> list[str]:
        """The statement that creates it."""
        made = _core.MaterializedViewMetadata(
            keyspace=self.keyspace_name,
            name=self.name,
            id=None,
            base_table=self.base_table_name,
            base_table_id=None,
            where_clause=self.where_clause,
            include_all_columns=self.include_all_columns,
            columns={column.column_name: column._made() for column in self.columns},
            options=_options_of(self),
        )
        return _laid_out([made.as_cql(with_keyspace=with_keyspace)], formatted)


@dataclass
class TableMeta:
    """A table."""

    id: UUID | str | None = None
    name: str | None = None
    table_name: str | None = None
    keyspace_name: str | None = None
    is_virtual: bool | None = None
    bloom_filter_fp_chance: float | None = None
    caching: dict[str, str] | None = None
    comment: str | None = None
    compaction: dict[str, str] | None = None
    compression: dict[str, str] | None = None
    crc_check_chance: float | None = None
    dclocal_read_repair_chance: float | None = None
    default_time_to_live: int | None = None
    extensions: dict[str, str] | None = None
    flags: set[str] | None = None
    gc_grace_seconds: int | None = None
    max_index_interval: int | None = None
    memtable_flush_period_in_ms: int | None = None
    min_index_interval: int | None = None
    read_repair_chance: float | None = None
    speculative_retry: str | None = None
    columns: list[ColumnMeta] | None = None
    indexes: list[IndexMeta] | None = None
    materialized_views: list[MaterializedViewMeta] | None = None

    def __post_init__(self) -> None:
        self._more_options: dict[str, Any] = {}

    def as_cql_query(self, formatted: bool = False, with_keyspace: bool = True, full_schema: bool = True) -> list[str]:
        """The statement that creates it, and with `full_schema` those of its indexes and views."""
        made = _core.TableMetadata(
            keyspace=self.keyspace_name or "",
            name=self.table_name or "",
            id=None,
            columns={column.column_name: column._made() for column in self.columns or ()},
            options=_options_of(self),
            flags=frozenset(self.flags or ()),
            is_virtual=bool(self.is_virtual),
        )
        statements = _laid_out([made.as_cql(with_keyspace=with_keyspace)], formatted)
        if full_schema:
            parts: list[IndexMeta | MaterializedViewMeta] = [*(self.indexes or ()), *(self.materialized_views or ())]
            for part in parts:
                statements += part.as_cql_query(formatted=formatted, with_keyspace=with_keyspace)
        return statements


@dataclass
class KeyspaceMeta:
    """A keyspace."""

    name: str | None = None
    is_virtual: bool | None = None
    durable_writes: bool | None = None
    keyspace_name: str | None = None
    replication: dict[str, str] | None = None
    user_types: list[UserTypeMeta] | None = None
    functions: list[FunctionMeta] | None = None
    aggregates: list[AggregateMeta] | None = None
    tables: list[TableMeta] | None = None

    def as_cql_query(self, formatted: bool = False, with_keyspace: bool = True, full_schema: bool = True) -> list[str]:
        """The statement that creates it, and with `full_schema` those of everything in it, each after what it needs."""
        made = _core.KeyspaceMetadata(
            self.name or "", self.replication or {}, self.durable_writes is not False, is_virtual=bool(self.is_virtual)
        )
        statements = _laid_out([made.as_cql()], formatted)
        if not full_schema:
            return statements
        user_types = {user_type.name: user_type for user_type in self.user_types or ()}
        needs = {name: {member.name: member._as_cql() for member in user_type.fields} for name, user_type in user_types.items()}
        ordered = _core.KeyspaceMetadata(
            "", {}, user_types={name: _core.UserTypeMetadata("", name, of_it) for name, of_it in needs.items()}
        ).ordered_types()
        parts: list[UserTypeMeta | FunctionMeta | AggregateMeta] = [
            *(user_types[user_type.name] for user_type in ordered),
            *(self.functions or ()),
            *(self.aggregates or ()),
        ]
        for part in parts:
            statements += part.as_cql_query(formatted=formatted, with_keyspace=with_keyspace)
        for table in self.tables or ():
            statements += table.as_cql_query(formatted=formatted, with_keyspace=with_keyspace)
        return statements


# The properties that acsylla's tables and views have fields for.
_OPTIONS = (
    "bloom_filter_fp_chance",
    "caching",
    "comment",
    "compaction",
    "compression",
    "crc_check_chance",
    "dclocal_read_repair_chance",
    "default_time_to_live",
    "extensions",
    "gc_grace_seconds",
    "max_index_interval",
    "memtable_flush_period_in_ms",
    "min_index_interval",
    "read_repair_chance",
    "speculative_retry",
)


def _options_of(meta: TableMeta | MaterializedViewMeta) -> dict[str, Any]:
    """The properties of a table, those that acsylla knows nothing of among them."""
    found = {name: getattr(meta, name) for name in _OPTIONS if getattr(meta, name) is not None}
    if not found.get("extensions"):
        found.pop("extensions", None)
    if meta._more_options:  # from a server: the chances are those of Cassandra 3, or not there
        found = {name: value for name, value in found.items() if name not in meta._more_options.get("dropped", ())}
        found |= meta._more_options.get("added", {})
    return found


# ---- from the package's metadata


def _column(table: str, keyspace: str, column: _core.ColumnMetadata) -> ColumnMeta:
    made = ColumnMeta(
        name=column.name,
        type=column.type,
        clustering_order=column.clustering_order,
        column_name=column.name,
        column_name_bytes=column.name.encode(),
        keyspace_name=keyspace,
        kind=column.kind,
        position=column.position,
        table_name=table,
    )
    made._mask = column.mask
    return made


def _options_for(kind: type[Any], options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that acsylla has fields for, and what `_more_options` remembers of the others."""
    known = {member.name for member in fields(kind)}
    of_fields = {name: options.get(name) for name in _OPTIONS}
    for name in ("read_repair_chance", "dclocal_read_repair_chance"):
        of_fields[name] = options.get(name, 0.0)
    if of_fields["extensions"] is None:
        of_fields["extensions"] = {}
    more = {
        "added": {name: value for name, value in options.items() if name not in known},
        "dropped": [name for name in _OPTIONS if name not in options],
    }
    return of_fields, more


def _view(view: _core.MaterializedViewMetadata) -> MaterializedViewMeta:
    options, more = _options_for(MaterializedViewMeta, view.options)
    made = MaterializedViewMeta(
        keyspace=view.keyspace,
        name=view.name,
        id=_text(view.id),
        base_table_id=_text(view.base_table_id),
        base_table_name=view.base_table,
        include_all_columns=view.include_all_columns,
        keyspace_name=view.keyspace,
        view_name=view.name,
        where_clause=view.where_clause,
        columns=[_column(view.name, view.keyspace, column) for column in view.columns.values()],
        **options,
    )
    made._more_options = more
    return made


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _index(index: _core.IndexMetadata) -> IndexMeta:
    return IndexMeta(index.keyspace, index.table, index.name, index.kind.lower(), index.target, dict(index.options))


def _table(table: _core.TableMetadata) -> TableMeta:
    options, more = _options_for(TableMeta, table.options)
    made = TableMeta(
        id=_text(table.id),
        name=table.name,
        table_name=table.name,
        keyspace_name=table.keyspace,
        is_virtual=table.is_virtual,
        flags=set(table.flags),
        columns=[_column(table.name, table.keyspace, column) for column in table.columns.values()],
        indexes=[_index(index) for index in table.indexes.values()],
        materialized_views=[_view(view) for view in table.views.values()],
        **options,
    )
    made._more_options = more
    return made


def _user_type(user_type: _core.UserTypeMetadata, known: dict[str, dict[str, str]]) -> UserTypeMeta:
    members = []
    for name, text in user_type.fields.items():
        cql_type = _native.parse_type(text, keyspace=user_type.keyspace, user_types=known)
        word, is_frozen = _word(text)
        nested = None
        if _TEXTS.fullmatch(word):
            nested = [NestedTypeMeta(_word(str(member))[0], member.is_frozen) for member in cql_type.types]
        member = UserTypeFieldMeta(name, word, is_frozen, nested)
        member._cql_type = text
        members.append(member)
    return UserTypeMeta(user_type.keyspace, user_type.name, False, members)


def _word(text: str) -> tuple[str, bool]:
    """The word that a type begins with, and whether it is frozen."""
    bare = text.removeprefix("frozen<")
    is_frozen = bare != text
    if bare.startswith('"'):
        return re.match(r'"((?:[^"]|"")*)"', bare)[1].replace('""', '"'), is_frozen  # type: ignore[index]
    return re.split(r"[<>]", bare, maxsplit=1)[0], is_frozen


def _function(function: _core.FunctionMetadata) -> FunctionMeta:
    return FunctionMeta(
        keyspace=function.keyspace,
        name=function.name,
        function_name=function.name,
        keyspace_name=function.keyspace,
        argument_names=list(function.argument_names),
        argument_types=list(function.argument_types),
        called_on_null_input=function.called_on_null_input,
        language=function.language,
        body=function.body,
        return_type=function.return_type,
    )


def _aggregate(aggregate: _core.AggregateMetadata) -> AggregateMeta:
    return AggregateMeta(
        keyspace=aggregate.keyspace,
        keyspace_name=aggregate.keyspace,
        name=aggregate.name,
        aggregate_name=aggregate.name,
        argument_types=list(aggregate.argument_types),
        initcond=aggregate.initial_condition,
        state_func=aggregate.state_function,
        state_type=aggregate.state_type,
        final_func=aggregate.final_function,
        return_type=aggregate.return_type,
    )


def _keyspace(keyspace: _core.KeyspaceMetadata) -> KeyspaceMeta:
    known = {name: user_type.fields for name, user_type in keyspace.user_types.items()}
    return KeyspaceMeta(
        name=keyspace.name,
        is_virtual=keyspace.is_virtual,
        durable_writes=keyspace.durable_writes,
        keyspace_name=keyspace.name,
        replication=dict(keyspace.replication),
        user_types=[_user_type(user_type, known) for user_type in keyspace.user_types.values()],
        functions=[_function(function) for function in keyspace.functions.values()],
        aggregates=[_aggregate(aggregate) for aggregate in keyspace.aggregates.values()],
        tables=[_table(table) for table in keyspace.tables.values()],
    )


class Metadata:
    """A snapshot of the schema, taken when its first method is called; made by `Session.get_metadata`."""

    def __init__(self, read: Callable[[], _core.Metadata], snapshot_version: int) -> None:
        self._read: Callable[[], _core.Metadata] = read
        self._snapshot: _core.Metadata | None = None
        self._version = snapshot_version

    def _all(self) -> _core.Metadata:
        if self._snapshot is None:
            self._snapshot = self._read()
        return self._snapshot

    def _keyspace(self, name: str) -> _core.KeyspaceMetadata:
        found = self._all().keyspaces.get(name)
        if found is None:
            raise KeyspaceNotFound(f'Keyspace "{name}" not found')
        return found

    def get_version(self) -> tuple[int, ...]:
        """The server's version: (5, 0, 6)."""
        found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", self._all().release_version)
        return (0, 0, 0) if found is None else tuple(int(part or 0) for part in found.groups())

    def get_snapshot_version(self) -> int:
        """A number that grows as the schema changes."""
        return self._version

    def get_keyspaces(self) -> list[str]:
        """The names of all keyspaces."""
        return list(self._all().keyspaces)

    def get_keyspace_meta(self, name: str) -> KeyspaceMeta:
        """A keyspace. Raises KeyspaceNotFound."""
        return _keyspace(self._keyspace(name))

    def get_user_types(self, keyspace: str) -> list[str]:
        """The names of a keyspace's user types."""
        return list(self._keyspace(keyspace).user_types)

    def get_user_type_meta(self, keyspace: str, name: str) -> UserTypeMeta:
        """A user type. Raises UserTypeNotFound."""
        return _first(self.get_user_types_meta(keyspace), name, UserTypeNotFound, "User type")

    def get_user_types_meta(self, keyspace: str) -> list[UserTypeMeta]:
        """A keyspace's user types."""
        return self.get_keyspace_meta(keyspace).user_types or []

    def get_functions(self, keyspace: str) -> list[str]:
        """The names of a keyspace's functions."""
        return [function.name for function in self._keyspace(keyspace).functions.values()]

    def get_function_meta(self, keyspace: str, name: str) -> FunctionMeta:
        """The first function of that name. Raises FunctionNotFound."""
        return _first(self.get_functions_meta(keyspace), name, FunctionNotFound, "Function")

    def get_functions_meta(self, keyspace: str) -> list[FunctionMeta]:
        """A keyspace's functions."""
        return [_function(function) for function in self._keyspace(keyspace).functions.values()]

    def get_aggregates(self, keyspace: str) -> list[str]:
        """The names of a keyspace's aggregates."""
        return [aggregate.name for aggregate in self._keyspace(keyspace).aggregates.values()]

    def get_aggregate_meta(self, keyspace: str, name: str) -> AggregateMeta:
        """The first aggregate of that name. Raises AggregateNotFound."""
        return _first(self.get_aggregates_meta(keyspace), name, AggregateNotFound, "Aggregate")

    def get_aggregates_meta(self, keyspace: str) -> list[AggregateMeta]:
        """A keyspace's aggregates."""
        return [_aggregate(aggregate) for aggregate in self._keyspace(keyspace).aggregates.values()]

    def get_tables(self, keyspace: str) -> list[str]:
        """The names of a keyspace's tables."""
        return list(self._keyspace(keyspace).tables)

    def get_table_meta(self, keyspace: str, name: str) -> TableMeta:
        """A table. Raises TableNotFound."""
        found = self._keyspace(keyspace).tables.get(name)
        if found is None:
            raise TableNotFound(f'Table "{name}" not found')
        return _table(found)

    def get_tables_meta(self, keyspace: str) -> list[TableMeta]:
        """A keyspace's tables."""
        return [_table(table) for table in self._keyspace(keyspace).tables.values()]

    def get_indexes(self, keyspace: str) -> list[str]:
        """The names of a keyspace's indexes."""
        return list(self._keyspace(keyspace).indexes)

    def get_index_meta(self, keyspace: str, name: str) -> IndexMeta:
        """An index. Raises IndexNotFound."""
        return _first(self.get_indexes_meta(keyspace), name, IndexNotFound, "Index")

    def get_indexes_meta(self, keyspace: str) -> list[IndexMeta]:
        """A keyspace's indexes."""
        return [_index(index) for index in self._keyspace(keyspace).indexes.values()]

    def get_materialized_views(self, keyspace: str) -> list[str]:
        """The names of a keyspace's materialized views."""
        return list(self._keyspace(keyspace).views)

    def get_materialized_view_meta(self, keyspace: str, name: str) -> MaterializedViewMeta:
        """A materialized view. Raises MaterializedViewNotFound."""
        return _first(self.get_materialized_views_meta(keyspace), name, MaterializedViewNotFound, "Materialized view")

    def get_materialized_views_meta(self, keyspace: str) -> list[MaterializedViewMeta]:
        """A keyspace's materialized views."""
        return [_view(view) for view in self._keyspace(keyspace).views.values()]


def _first(found: list[T], name: str, error: type[CassException], what: str) -> T:
    for meta in found:
        if getattr(meta, "name", None) == name:
            return meta
    raise error(f'{what} "{name}" not found')
