"""The schema of a cluster: keyspaces, tables, types, functions, and the CQL that makes them anew.

It is read from the server's own tables (`system_schema`, `system_virtual_schema`), since the driver's snapshot knows the
options of Cassandra 3 only, calls a vector a custom type, and lags behind a change just made.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from acsylla_like import errors
from acsylla_like._native import Options
from acsylla_like.select_star import quoted

if TYPE_CHECKING:
    from acsylla_like._native import Result
    from acsylla_like.session import Session

__all__ = [
    "AggregateMetadata",
    "ColumnMetadata",
    "FunctionMetadata",
    "IndexMetadata",
    "KeyspaceMetadata",
    "MaterializedViewMetadata",
    "Metadata",
    "TableMetadata",
    "TriggerMetadata",
    "UserTypeMetadata",
    "read_metadata",
]

# What a name may not be without quotes (Cassandra's ReservedKeywords, and those of ScyllaDB that it lacks).
_RESERVED = frozenset(
    """
    add allow alter and any apply asc authorize batch begin by columnfamily create default delete desc describe drop entries execute
    from full grant if in index infinity insert into is keyspace limit materialized mbean mbeans modify nan norecursive not null of on
    or order password primary rename replace revoke schema scylla_clustering_bound scylla_counter_shard_list
    scylla_timeuuid_list_index select set table to token truncate unlogged unset update use using values view where with
    """.split()  # noqa: SIM905
)
# A user type of such a name has to be quoted, or it would mean the native one.
NATIVE_TYPES = frozenset(
    """
    ascii bigint blob boolean counter date decimal double duration empty float frozen inet int list map set smallint text time
    timestamp timeuuid tinyint tuple uuid varchar varint vector
    """.split()  # noqa: SIM905
)
# Values of these are strings in CQL.
_QUOTED_TYPES = frozenset(("ascii", "date", "inet", "text", "time", "timestamp", "varchar"))
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NAME_IN_TYPE = re.compile(r'"((?:[^"]|"")+)"|([A-Za-z_]\w*)|\'[^\']*\'')
_TARGET_FUNCTION = re.compile(r"(?:keys|values|entries|full)\(.*\)", re.IGNORECASE | re.DOTALL)

# More rows than this (about 10 ms to decode) are left to a thread, so that the loop goes on meanwhile.
_LARGE = 1000
# How often the tables are read anew when the schema changes between the first and the last of them.
_TRIES = 5
_PAGE_SIZE = 5000

_KIND_ORDER = {"partition_key": 0, "clustering": 1, "static": 2, "regular": 3}
_NOT_OPTIONS = frozenset(
    ("keyspace_name", "table_name", "view_name", "id", "flags", "base_table_id", "base_table_name", "where_clause", "include_all_columns")
)
# Options of Cassandra 3 that later versions still list, and refuse or ignore.
_CHANCES = ("read_repair_chance", "dclocal_read_repair_chance")


def named(name: str) -> str:
    """A name as CQL reads it, in quotes only where it needs them."""
    return name if _PLAIN_NAME.fullmatch(name) and name not in _RESERVED else quoted(name)


def _named_type(name: str) -> str:
    return quoted(name) if name in NATIVE_TYPES else named(name)


def _path(keyspace: str, name: str, with_keyspace: bool) -> str:
    return f"{named(keyspace)}.{named(name)}" if with_keyspace else named(name)


def _literal(value: object) -> str:
    """An option's value as CQL writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (int, float)):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def _body(text: str) -> str:
    """The text of a function."""
    return f"$${text}$$" if "$$" not in text and not text.endswith("$") else _literal(text)


@dataclass(frozen=True)
class ColumnMetadata:
    """A column of a table or view."""

    name: str
    type: str
    """As CQL writes it: `map<text, frozen<"Address">>`."""
    kind: str
    """partition_key, clustering, static or regular."""
    position: int
    """Within the partition key or the clustering columns; -1 for others."""
    clustering_order: str
    """asc, desc or none."""
    mask: str | None = None
    """The function that hides its values from those without the permission UNMASK, with its arguments."""

    def as_cql(self) -> str:
        """Its definition within CREATE TABLE."""
        static = " static" if self.kind == "static" else ""
        mask = "" if self.mask is None else f" MASKED WITH {self.mask}"
        return f"{named(self.name)} {self.type}{static}{mask}"


@dataclass(frozen=True)
class IndexMetadata:
    """A secondary index."""

    keyspace: str
    table: str
    name: str
    kind: str
    """COMPOSITES, KEYS or CUSTOM."""
    options: dict[str, str]

    @property
    def target(self) -> str:
        """What is indexed, as the server keeps it: a column, or `values(column)` and the like."""
        return self.options.get("target", "")

    def as_cql(self, *, with_keyspace: bool = True) -> str:
        """The statement that creates it."""
        table = _path(self.keyspace, self.table, with_keyspace)
        options = {name: value for name, value in self.options.items() if name not in ("target", "class_name")}
        if self.kind != "CUSTOM":
            return f"CREATE INDEX {named(self.name)} ON {table} ({self._target()});"
        class_name = _literal(self.options.get("class_name", ""))
        settings = f" WITH OPTIONS = {_literal(options)}" if options else ""
        return f"CREATE CUSTOM INDEX {named(self.name)} ON {table} ({self._target()}) USING {class_name}{settings};"

    def _target(self) -> str:
        target = self.target
        if target.startswith("{"):  # ScyllaDB's local indexes
            parts = json.loads(target)
            return f"({', '.join(map(named, parts['pk']))}), {', '.join(map(named, parts['ck']))}"
        if target.startswith('"') or _TARGET_FUNCTION.fullmatch(target):
            return target
        return named(target)


@dataclass(frozen=True)
class TriggerMetadata:
    """A trigger of a table."""

    keyspace: str
    table: str
    name: str
    class_name: str

    def as_cql(self, *, with_keyspace: bool = True) -> str:
        """The statement that creates it."""
        return f"CREATE TRIGGER {named(self.name)} ON {_path(self.keyspace, self.table, with_keyspace)} USING {_literal(self.class_name)};"


def _key(columns: Mapping[str, ColumnMetadata]) -> str:
    """The inside of PRIMARY KEY (…)."""
    partition = [named(column.name) for column in columns.values() if column.kind == "partition_key"]
    clustering = [named(column.name) for column in columns.values() if column.kind == "clustering"]
    first = partition[0] if len(partition) == 1 else f"({', '.join(partition)})"
    return ", ".join([first, *clustering])


def _properties(columns: Mapping[str, ColumnMetadata], options: Mapping[str, Any], *, has: Sequence[str] = ()) -> str:
    """The part of a CREATE TABLE or VIEW that follows WITH."""
    found = list(has)
    order = ", ".join(f"{named(c.name)} {c.clustering_order.upper()}" for c in columns.values() if c.kind == "clustering")
    if order:
        found.append(f"CLUSTERING ORDER BY ({order})")
    found += [f"{name} = {_literal(value)}" for name, value in sorted(options.items())]
    return "\n    AND ".join(found)


@dataclass(frozen=True)
class MaterializedViewMetadata:
    """A materialized view."""

    keyspace: str
    name: str
    id: uuid.UUID | None
    base_table: str
    base_table_id: uuid.UUID | None
    where_clause: str
    include_all_columns: bool
    columns: dict[str, ColumnMetadata]
    """In the order in which the server gives them for `*`."""
    options: dict[str, Any]
    """As in `TableMetadata`."""

    @property
    def partition_key(self) -> tuple[str, ...]:
        """Names, in their order."""
        return tuple(column.name for column in self.columns.values() if column.kind == "partition_key")

    @property
    def clustering_key(self) -> tuple[str, ...]:
        """Names, in their order."""
        return tuple(column.name for column in self.columns.values() if column.kind == "clustering")

    def as_cql(self, *, with_keyspace: bool = True) -> str:
        """The statement that creates it."""
        columns = "*" if self.include_all_columns else ", ".join(map(named, self.columns))
        # A view's rows live as long as the table's, and the server refuses to be told so.
        options = {name: value for name, value in self.options.items() if name != "default_time_to_live"}
        properties = _properties(self.columns, options)
        return (
            f"CREATE MATERIALIZED VIEW {_path(self.keyspace, self.name, with_keyspace)} AS\n"
            f"    SELECT {columns}\n"
            f"    FROM {_path(self.keyspace, self.base_table, with_keyspace)}\n"
            f"    WHERE {self.where_clause}\n"
            f"    PRIMARY KEY ({_key(self.columns)})" + (f"\n    WITH {properties};" if properties else ";")
        )


@dataclass(frozen=True)
class TableMetadata:
    """A table."""

    keyspace: str
    name: str
    id: uuid.UUID | None
    columns: dict[str, ColumnMetadata]
    """In the order in which the server gives them for `*`: partition key, clustering, static, regular."""
    options: dict[str, Any]
    """The properties that CREATE TABLE … WITH takes, as the server has them; those that are not set are left out."""
    flags: frozenset[str] = frozenset()
    indexes: dict[str, IndexMetadata] = field(default_factory=dict)
    views: dict[str, MaterializedViewMetadata] = field(default_factory=dict)
    triggers: dict[str, TriggerMetadata] = field(default_factory=dict)
    is_virtual: bool = False

    @property
    def partition_key(self) -> tuple[str, ...]:
        """Names, in their order."""
        return tuple(column.name for column in self.columns.values() if column.kind == "partition_key")

    @property
    def clustering_key(self) -> tuple[str, ...]:
        """Names, in their order."""
        return tuple(column.name for column in self.columns.values() if column.kind == "clustering")

    @property
    def is_compact(self) -> bool:
        """Whether it was made WITH COMPACT STORAGE (before Cassandra 4)."""
        return not self.is_virtual and bool(self.flags) and ("compound" not in self.flags or "dense" in self.flags or "super" in self.flags)

    def as_cql(self, *, with_keyspace: bool = True) -> str:
        """The statement that creates the table alone."""
        columns = self._declared()
        lines = [f"    {column.as_cql()}" for column in columns.values()]
        lines.append(f"    PRIMARY KEY ({_key(columns)})")
        properties = _properties(columns, self.options, has=["COMPACT STORAGE"] if self.is_compact else [])
        path = _path(self.keyspace, self.name, with_keyspace)
        text = f"CREATE TABLE {path} (\n" + ",\n".join(lines) + "\n)" + (f" WITH {properties};" if properties else ";")
        return f"/* a virtual table, which cannot be created:\n{text}\n*/" if self.is_virtual else text

    def export(self, *, with_keyspace: bool = True) -> list[str]:
        """The statements that create the table with its indexes, views and triggers, in their order."""
        parts: Iterable[IndexMetadata | MaterializedViewMetadata | TriggerMetadata] = (
            *self.indexes.values(),
            *self.views.values(),
            *self.triggers.values(),
        )
        return [self.as_cql(with_keyspace=with_keyspace), *(part.as_cql(with_keyspace=with_keyspace) for part in parts)]

    def _declared(self) -> dict[str, ColumnMetadata]:
        """The columns that CREATE TABLE names: a compact table lists some that it made up itself."""
        if not self.is_compact:
            return self.columns
        if "dense" in self.flags:
            return {name: column for name, column in self.columns.items() if column.type != "empty"}
        shown = (column for column in self.columns.values() if column.kind in ("partition_key", "static"))
        return {
            column.name: column if column.kind == "partition_key" else ColumnMetadata(column.name, column.type, "regular", -1, "none")
            for column in shown
        }


@dataclass(frozen=True)
class UserTypeMetadata:
    """A user-defined type."""

    keyspace: str
    name: str
    fields: dict[str, str]
    """Name -> type, as CQL writes it."""

    def as_cql(self, *, with_keyspace: bool = True) -> str:
        """The statement that creates it."""
        keyspace = f"{named(self.keyspace)}." if with_keyspace else ""
        fields = ",\n".join(f"    {named(name)} {type_name}" for name, type_name in self.fields.items())
        return f"CREATE TYPE {keyspace}{_named_type(self.name)} (\n{fields}\n);"


@dataclass(frozen=True)
class FunctionMetadata:
    """A user-defined function."""

    keyspace: str
    name: str
    argument_names: tuple[str, ...]
    argument_types: tuple[str, ...]
    return_type: str
    language: str
    body: str
    called_on_null_input: bool

    @property
    def signature(self) -> str:
        """Name and argument types, which tell it from others of its name."""
        return f"{self.name}({', '.join(self.argument_types)})"

    def as_cql(self, *, with_keyspace: bool = True) -> str:
        """The statement that creates it."""
        arguments = ", ".join(f"{named(name)} {kind}" for name, kind in zip(self.argument_names, self.argument_types, strict=True))
        on_null = "CALLED" if self.called_on_null_input else "RETURNS NULL"
        return (
            f"CREATE FUNCTION {_path(self.keyspace, self.name, with_keyspace)}({arguments})\n"
            f"    {on_null} ON NULL INPUT\n    RETURNS {self.return_type}\n    LANGUAGE {named(self.language)}\n    AS {_body(self.body)};"
        )


@dataclass(frozen=True)
class AggregateMetadata:
    """A user-defined aggregate."""

    keyspace: str
    name: str
    argument_types: tuple[str, ...]
    state_function: str
    state_type: str
    final_function: str | None
    initial_condition: str | None
    """As CQL writes it."""
    return_type: str

    @property
    def signature(self) -> str:
        """Name and argument types, which tell it from others of its name."""
        return f"{self.name}({', '.join(self.argument_types)})"

    def as_cql(self, *, with_keyspace: bool = True) -> str:
        """The statement that creates it."""
        lines = [
            f"CREATE AGGREGATE {_path(self.keyspace, self.name, with_keyspace)}({', '.join(self.argument_types)})",
            f"SFUNC {named(self.state_function)}",
            f"STYPE {self.state_type}",
        ]
        if self.final_function is not None:
            lines.append(f"FINALFUNC {named(self.final_function)}")
        if self.initial_condition is not None:
            lines.append(f"INITCOND {self.initial_condition}")
        return "\n    ".join(lines) + ";"


@dataclass(frozen=True)
class KeyspaceMetadata:
    """A keyspace and everything in it."""

    name: str
    replication: dict[str, str]
    durable_writes: bool = True
    tables: dict[str, TableMetadata] = field(default_factory=dict)
    user_types: dict[str, UserTypeMetadata] = field(default_factory=dict)
    functions: dict[str, FunctionMetadata] = field(default_factory=dict)
    """By signature: `name(int, text)`."""
    aggregates: dict[str, AggregateMetadata] = field(default_factory=dict)
    """By signature."""
    is_virtual: bool = False

    @property
    def indexes(self) -> dict[str, IndexMetadata]:
        """Those of all its tables: their names are unique within the keyspace."""
        return {name: index for table in self.tables.values() for name, index in table.indexes.items()}

    @property
    def views(self) -> dict[str, MaterializedViewMetadata]:
        """Those of all its tables."""
        return {name: view for table in self.tables.values() for name, view in table.views.items()}

    def as_cql(self) -> str:
        """The statement that creates the keyspace alone."""
        durable = _literal(self.durable_writes)
        text = f"CREATE KEYSPACE {named(self.name)} WITH replication = {_literal(self.replication)} AND durable_writes = {durable};"
        return f"/* a virtual keyspace, which cannot be created: {named(self.name)} */" if self.is_virtual else text

    def export(self, *, with_keyspace: bool = True) -> list[str]:
        """The statements that create the keyspace and everything in it, each after what it needs."""
        parts: list[UserTypeMetadata | FunctionMetadata | AggregateMetadata] = [
            *self.ordered_types(),
            *self.functions.values(),
            *self.aggregates.values(),
        ]
        exported = [self.as_cql(), *(part.as_cql(with_keyspace=with_keyspace) for part in parts)]
        for table in self.tables.values():
            exported += table.export(with_keyspace=with_keyspace)
        return exported

    def ordered_types(self) -> Iterator[UserTypeMetadata]:
        """The user types, each after those that its fields have."""
        done: set[str] = set()

        def with_needed(user_type: UserTypeMetadata) -> Iterator[UserTypeMetadata]:
            if user_type.name in done:
                return
            done.add(user_type.name)
            for type_name in user_type.fields.values():
                for name in _type_names(type_name):
                    if name in self.user_types:
                        yield from with_needed(self.user_types[name])
            yield user_type

        for user_type in self.user_types.values():
            yield from with_needed(user_type)


def _type_names(type_name: str) -> Iterator[str]:
    """The names of user types that a type may consist of."""
    for match in _NAME_IN_TYPE.finditer(type_name):
        if match[1] is not None:
            yield match[1].replace('""', '"')
        elif match[2] is not None:
            yield match[2].lower()


@dataclass(frozen=True)
class Metadata:
    """A cluster's schema at one moment."""

    keyspaces: dict[str, KeyspaceMetadata]
    schema_version: uuid.UUID | None
    """That of the node which was asked."""
    cluster_name: str
    release_version: str
    """The server's: `5.0.6`."""
    partitioner: str

    def export(self) -> list[str]:
        """The statements that create every keyspace but the server's own."""
        own = [keyspace for name, keyspace in self.keyspaces.items() if not keyspace.is_virtual and not _is_system(name)]
        return [statement for keyspace in own for statement in keyspace.export()]


def _is_system(keyspace: str) -> bool:
    return keyspace == "system" or keyspace.startswith("system_")


# ---- reading ----

# Table -> whether every server has it.
_SOURCES = {
    "system_schema.keyspaces": True,
    "system_schema.tables": True,
    "system_schema.columns": True,
    "system_schema.views": False,
    "system_schema.indexes": False,
    "system_schema.types": True,
    "system_schema.functions": False,
    "system_schema.aggregates": False,
    "system_schema.triggers": False,
    "system_schema.column_masks": False,
    "system_virtual_schema.keyspaces": False,
    "system_virtual_schema.tables": False,
    "system_virtual_schema.columns": False,
}

_Rows = list[dict[str, Any]]


async def read_metadata(session: Session, keyspace: str | None, timeout: float | None) -> Metadata:
    """The schema as one node knows it, all of it or one keyspace's."""
    options = Options(timeout=timeout, consistency="ONE", page_size=_PAGE_SIZE, tracing=False, idempotent=True)
    where = "" if keyspace is None else f" WHERE keyspace_name = {_literal(keyspace)}"
    for _ in range(_TRIES):
        pages = await _read(session, "SELECT * FROM system.local", options)
        # A schema change may not have reached another node yet.
        pinned = options if pages[0].coordinator is None else options.with_changes(host=pages[0].coordinator)
        local = pages[0][0].as_dict()
        names = list(_SOURCES)
        found = await asyncio.gather(*(_read_if_there(session, name, where, _SOURCES[name], pinned) for name in names))
        again = await _read(session, "SELECT schema_version FROM system.local", pinned)
        if again[0][0][0] == local.get("schema_version"):
            break
    sources = dict(zip(names, found, strict=True))
    if sum(len(page) for pages in sources.values() for page in pages) > _LARGE:
        keyspaces = await asyncio.to_thread(_build, sources)
    else:
        keyspaces = _build(sources)
    return Metadata(
        keyspaces=keyspaces,
        schema_version=local.get("schema_version"),
        cluster_name=local.get("cluster_name") or "",
        release_version=local.get("release_version") or "",
        partitioner=local.get("partitioner") or "",
    )


async def _read(session: Session, query: str, options: Options) -> list[Result]:
    """The pages of a query, not decoded yet."""
    pages = [await session._ask(query, None, options)]
    while pages[-1].has_more_pages:
        pages.append(await session._ask(query, None, options.with_changes(paging_state=pages[-1].paging_state)))
    return pages


async def _read_if_there(session: Session, name: str, where: str, is_everywhere: bool, options: Options) -> list[Result]:
    try:
        return await _read(session, f"SELECT * FROM {name}{where}", options)
    except (errors.InvalidQuery, errors.Unauthorized):
        if is_everywhere:
            raise
        return []  # older servers, and ScyllaDB, lack some


def _build(sources: Mapping[str, Sequence[Result]]) -> dict[str, KeyspaceMetadata]:
    rows = {name: [row.as_dict() for page in pages for row in page] for name, pages in sources.items()}
    found = _keyspaces({name.partition(".")[2]: some for name, some in rows.items() if name.startswith("system_schema.")}, False)
    virtual = {name.partition(".")[2]: some for name, some in rows.items() if name.startswith("system_virtual_schema.")}
    return found | _keyspaces(virtual, True)


def _keyspaces(rows: Mapping[str, _Rows], is_virtual: bool) -> dict[str, KeyspaceMetadata]:
    names = {row["keyspace_name"] for row in rows["keyspaces"]}
    # What is of a keyspace made since they were read, is left out with it.
    rows = {source: [row for row in some if row["keyspace_name"] in names] for source, some in rows.items()}
    columns = _columns(rows["columns"], rows.get("column_masks", ()))
    indexes = _by_table(_index(row) for row in rows.get("indexes", ()))
    triggers = _by_table(_trigger(row) for row in rows.get("triggers", ()))
    views: dict[tuple[str, str], dict[str, MaterializedViewMetadata]] = defaultdict(dict)
    for row in rows.get("views", ()):
        view = _view(row, columns[row["keyspace_name"], row["view_name"]])
        base = view.keyspace, view.base_table
        # ScyllaDB keeps an index in a view, which comes with the index.
        if not view.name.endswith("_index") or view.name.removesuffix("_index") not in indexes[base]:
            views[base][view.name] = view
    keyspaces = {
        row["keyspace_name"]: KeyspaceMetadata(
            row["keyspace_name"], row.get("replication") or {}, bool(row.get("durable_writes", True)), is_virtual=is_virtual
        )
        for row in rows["keyspaces"]
    }
    for row in rows["tables"]:
        place = row["keyspace_name"], row["table_name"]
        keyspaces[place[0]].tables[place[1]] = TableMetadata(
            *place,
            id=row.get("id"),
            columns=columns[place],
            options=_options(row),
            flags=frozenset(row.get("flags") or ()),
            indexes=indexes[place],
            views=views[place],
            triggers=triggers[place],
            is_virtual=is_virtual,
        )
    for row in rows.get("types", ()):
        fields = dict(zip(row["field_names"] or (), row["field_types"] or (), strict=True))
        keyspaces[row["keyspace_name"]].user_types[row["type_name"]] = UserTypeMetadata(row["keyspace_name"], row["type_name"], fields)
    for row in rows.get("functions", ()):
        function = _function(row)
        keyspaces[function.keyspace].functions[function.signature] = function
    for row in rows.get("aggregates", ()):
        aggregate = _aggregate(row)
        keyspaces[aggregate.keyspace].aggregates[aggregate.signature] = aggregate
    return keyspaces


def _columns(rows: _Rows, masks: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, ColumnMetadata]]:
    mask_of = {(row["keyspace_name"], row["table_name"], row["column_name"]): _mask(row) for row in masks}
    found: dict[tuple[str, str], dict[str, ColumnMetadata]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: (_KIND_ORDER.get(row["kind"], 4), row["position"], row["column_name"].encode())):
        place = row["keyspace_name"], row["table_name"]
        name = row["column_name"]
        found[place][name] = ColumnMetadata(
            name, row["type"], row["kind"], row["position"], row["clustering_order"], mask_of.get((*place, name))
        )
    return found


def _mask(row: dict[str, Any]) -> str:
    nulls = row["function_argument_nulls"] or ()
    values = row["function_argument_values"] or ()
    kinds = row["function_argument_types"] or ()
    arguments = [
        "null" if is_null else _literal(value) if kind in _QUOTED_TYPES else value
        for is_null, value, kind in zip(nulls, values, kinds, strict=True)
    ]
    return f"{named(row['function_keyspace'])}.{named(row['function_name'])}({', '.join(arguments)})"


def _index(row: dict[str, Any]) -> IndexMetadata:
    return IndexMetadata(row["keyspace_name"], row["table_name"], row["index_name"], row["kind"], row["options"] or {})


def _trigger(row: dict[str, Any]) -> TriggerMetadata:
    return TriggerMetadata(row["keyspace_name"], row["table_name"], row["trigger_name"], (row["options"] or {}).get("class", ""))


def _by_table(parts: Iterable[Any]) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for part in parts:
        found[part.keyspace, part.table][part.name] = part
    return found


def _view(row: dict[str, Any], columns: dict[str, ColumnMetadata]) -> MaterializedViewMetadata:
    return MaterializedViewMetadata(
        keyspace=row["keyspace_name"],
        name=row["view_name"],
        id=row.get("id"),
        base_table=row["base_table_name"],
        base_table_id=row.get("base_table_id"),
        where_clause=row["where_clause"],
        include_all_columns=bool(row["include_all_columns"]),
        columns=columns,
        options=_options(row),
    )


def _options(row: dict[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in row.items() if name not in _NOT_OPTIONS and value is not None}
    if "read_repair" in row:
        for name in _CHANCES:
            options.pop(name, None)
    if not options.get("extensions"):
        options.pop("extensions", None)
    return options


def _unfrozen(type_name: str) -> str:
    """The type of an argument, a state or a return value: always frozen, which the server refuses to be told."""
    match = re.fullmatch(r"frozen<(.*)>", type_name)
    return type_name if match is None else match[1]


def _function(row: dict[str, Any]) -> FunctionMetadata:
    return FunctionMetadata(
        keyspace=row["keyspace_name"],
        name=row["function_name"],
        argument_names=tuple(row["argument_names"] or ()),
        argument_types=tuple(map(_unfrozen, row["argument_types"] or ())),
        return_type=_unfrozen(row["return_type"]),
        language=row["language"],
        body=row["body"],
        called_on_null_input=bool(row["called_on_null_input"]),
    )


def _aggregate(row: dict[str, Any]) -> AggregateMetadata:
    return AggregateMetadata(
        keyspace=row["keyspace_name"],
        name=row["aggregate_name"],
        argument_types=tuple(map(_unfrozen, row["argument_types"] or ())),
        state_function=row["state_func"],
        state_type=_unfrozen(row["state_type"]),
        final_function=row["final_func"],
        initial_condition=row["initcond"],
        return_type=_unfrozen(row["return_type"]),
    )
