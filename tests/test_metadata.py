"""The schema as the server has it, and the CQL that makes it anew."""

from __future__ import annotations

import dataclasses
import threading

import pytest

import acsylla_like
from acsylla_like import errors, metadata
from acsylla_like.metadata import (
    ColumnMetadata,
    IndexMetadata,
    KeyspaceMetadata,
    TableMetadata,
    TriggerMetadata,
    UserTypeMetadata,
)

NAME = "MetadataOfAll"

SCHEMA = f"""
CREATE KEYSPACE "{NAME}" WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': '1'}} AND durable_writes = false;
CREATE TYPE "{NAME}"."Inner" (a int, "B b" text);
CREATE TYPE "{NAME}".an_outer (i frozen<"Inner">, l list<frozen<"Inner">>);
CREATE TABLE "{NAME}"."Readings" ("Pk" int, b text, c int, "D" text, "select" text STATIC, v vector<float, 3>,
    m map<text, frozen<an_outer>>, u "Inner", PRIMARY KEY (("Pk", b), c, "D"))
    WITH CLUSTERING ORDER BY (c DESC, "D" ASC) AND comment = 'it''s' AND default_time_to_live = 100
    AND compression = {{'enabled': 'false'}} AND speculative_retry = '90p' AND memtable = 'default' AND cdc = false
    AND allow_auto_snapshot = false;
CREATE TABLE "{NAME}".counts (id int PRIMARY KEY, n counter);
CREATE INDEX keys_of_m ON "{NAME}"."Readings" (keys(m));
CREATE INDEX "OfD" ON "{NAME}"."Readings" ("D");
CREATE INDEX near ON "{NAME}"."Readings" (v) USING 'sai' WITH OPTIONS = {{'similarity_function': 'dot_product'}};
CREATE MATERIALIZED VIEW "{NAME}".by_c AS SELECT "Pk", b, c, "D", v FROM "{NAME}"."Readings"
    WHERE "Pk" IS NOT NULL AND b IS NOT NULL AND c > 0 AND "D" IS NOT NULL
    PRIMARY KEY ((c, b), "D", "Pk") WITH CLUSTERING ORDER BY ("D" DESC, "Pk" ASC) AND comment = 'view';
CREATE FUNCTION "{NAME}".plus(a int, "B" int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS $$return a + B;$$;
CREATE FUNCTION "{NAME}".plus(a bigint) RETURNS NULL ON NULL INPUT RETURNS bigint LANGUAGE java AS $$return a;$$;
CREATE FUNCTION "{NAME}".state(s tuple<int, bigint>, v int) CALLED ON NULL INPUT RETURNS tuple<int, bigint> LANGUAGE java
    AS 'return s; // $$ ''';
CREATE FUNCTION "{NAME}".fin(s tuple<int, bigint>) CALLED ON NULL INPUT RETURNS double LANGUAGE java AS 'return 1.0;';
CREATE AGGREGATE "{NAME}".average(int) SFUNC state STYPE tuple<int, bigint> FINALFUNC fin INITCOND (0, 0);
CREATE AGGREGATE "{NAME}"."Sum"(int) SFUNC plus STYPE int;
"""


@pytest.fixture
async def whole(session):
    """The session, with a keyspace that has some of everything."""
    await session.execute(f'DROP KEYSPACE IF EXISTS "{NAME}"')
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            await session.execute(statement)
    yield session
    await session.execute(f'DROP KEYSPACE "{NAME}"')


def without_ids(keyspace: KeyspaceMetadata) -> KeyspaceMetadata:
    """What a keyspace made anew has in common with the first."""
    tables = {}
    for name, table in keyspace.tables.items():
        views = {key: dataclasses.replace(view, id=None, base_table_id=None) for key, view in table.views.items()}
        tables[name] = dataclasses.replace(table, id=None, views=views)
    return dataclasses.replace(keyspace, tables=tables)


async def test_a_keyspace_made_anew_from_its_export_is_the_same(whole):
    before = (await whole.metadata(NAME)).keyspaces[NAME]
    exported = before.export()
    await whole.execute(f'DROP KEYSPACE "{NAME}"')
    for statement in exported:
        await whole.execute(statement)
    after = (await whole.metadata(NAME)).keyspaces[NAME]
    assert without_ids(after) == without_ids(before)
    assert after.tables["Readings"].id != before.tables["Readings"].id
    assert len(exported) == SCHEMA.count("CREATE ")


async def test_what_there_is(whole):
    found = await whole.metadata()
    keyspace = found.keyspaces[NAME]
    assert (keyspace.durable_writes, keyspace.replication["replication_factor"], keyspace.is_virtual) == (False, "1", False)
    table = keyspace.tables["Readings"]
    assert (table.partition_key, table.clustering_key) == (("Pk", "b"), ("c", "D"))
    assert list(table.columns) == ["Pk", "b", "c", "D", "select", "m", "u", "v"]
    assert table.columns["select"] == ColumnMetadata("select", "text", "static", -1, "none")
    assert table.columns["c"] == ColumnMetadata("c", "int", "clustering", 0, "desc")
    assert table.columns["v"].type == "vector<float, 3>"
    assert table.columns["m"].type == "map<text, frozen<an_outer>>"
    assert table.columns["u"].type == '"Inner"'
    assert table.options["comment"] == "it's"
    assert table.options["default_time_to_live"] == 100
    assert "read_repair_chance" not in table.options
    assert sorted(table.indexes) == ["OfD", "keys_of_m", "near"]
    assert table.indexes["near"].options["similarity_function"] == "dot_product"
    view = keyspace.views["by_c"]
    assert (view.base_table, view.partition_key, view.clustering_key) == ("Readings", ("c", "b"), ("D", "Pk"))
    assert view.base_table_id == table.id
    assert keyspace.user_types["an_outer"].fields == {"i": 'frozen<"Inner">', "l": 'list<frozen<"Inner">>'}
    assert sorted(keyspace.functions) == ["fin(tuple<int, bigint>)", "plus(bigint)", "plus(int, int)", "state(tuple<int, bigint>, int)"]
    assert keyspace.functions["plus(int, int)"].argument_names == ("a", "B")
    assert keyspace.aggregates["average(int)"].initial_condition == "(0, 0)"
    assert keyspace.aggregates["Sum(int)"].final_function is None
    assert found.keyspaces["system"].tables["local"].partition_key == ("key",)
    assert found.keyspaces["system_views"].is_virtual
    assert found.keyspaces["system_views"].tables["clients"].as_cql().startswith("/* a virtual table")
    local = (await whole.execute("SELECT schema_version, release_version, cluster_name FROM system.local")).single()
    assert (found.schema_version, found.release_version, found.cluster_name) == local.as_tuple()


async def test_all_keyspaces_are_exported_but_the_servers_own(whole):
    exported = (await whole.metadata()).export()
    assert any(statement.startswith(f'CREATE KEYSPACE "{NAME}"') for statement in exported)
    assert not any(statement.startswith(("CREATE KEYSPACE system", "/*")) for statement in exported)


async def test_one_keyspace_alone(session, keyspace):
    await session.execute("CREATE TABLE IF NOT EXISTS alone (id int PRIMARY KEY)")
    found = await session.metadata(keyspace)
    assert list(found.keyspaces) == [keyspace]
    assert found.keyspaces[keyspace].tables["alone"].as_cql(with_keyspace=False).startswith("CREATE TABLE alone (\n    id int,\n")
    assert (await session.metadata("it's nowhere")).keyspaces == {}


async def test_a_large_schema_is_decoded_on_a_thread(session, keyspace, monkeypatch):
    threads = []
    build = metadata._build
    monkeypatch.setattr(metadata, "_build", lambda sources: threads.append(threading.get_ident()) or build(sources))
    monkeypatch.setattr(metadata, "_LARGE", 10_000_000)
    whole = await session.metadata()
    monkeypatch.setattr(metadata, "_LARGE", 10)
    assert await session.metadata() == whole
    assert threads[0] == threading.get_ident() != threads[1]


async def test_pages_of_the_servers_tables_are_put_together(session, monkeypatch):
    whole = await session.metadata()
    monkeypatch.setattr(metadata, "_PAGE_SIZE", 7)
    assert await session.metadata() == whole


async def test_a_sessions_own_page_size_cuts_nothing_off(cassandra, keyspace, session):
    async with await session.cluster.create_session(page_size=3) as other:
        assert await other.metadata() == await session.metadata()


async def test_a_schema_that_changes_meanwhile_is_read_again(session, keyspace, monkeypatch):
    await session.execute("DROP TABLE IF EXISTS late")
    read = metadata._read_if_there
    created = []

    async def read_and_create(session, name, where, is_everywhere, options):
        pages = await read(session, name, where, is_everywhere, options)
        if name == "system_schema.tables" and not created:
            created.append(name)
            await session.execute("CREATE TABLE late (id int PRIMARY KEY)")
        return pages

    monkeypatch.setattr(metadata, "_read_if_there", read_and_create)
    table = (await session.metadata(keyspace)).keyspaces[keyspace].tables["late"]
    assert table.partition_key == ("id",)
    await session.execute("DROP TABLE late")


async def test_tables_that_a_server_lacks(session, keyspace, monkeypatch):
    whole = await session.metadata(keyspace)
    monkeypatch.setitem(metadata._SOURCES, "system_schema.of_tomorrow", False)
    assert await session.metadata(keyspace) == whole
    monkeypatch.setitem(metadata._SOURCES, "system_schema.of_tomorrow", True)
    with pytest.raises(errors.InvalidQuery, match="of_tomorrow"):
        await session.metadata(keyspace)


async def test_mistakes(session):
    with pytest.raises(TypeError, match="keyspace must be a str, not int"):
        await session.metadata(5)
    with pytest.raises(ValueError, match="timeout must be positive"):
        await session.metadata(timeout=-1)
    await session.close()
    with pytest.raises(acsylla_like.SessionClosed):
        await session.metadata()


# ---- the CQL, without a server ----


def column(name: str, kind: str, *, type_name: str = "int", order: str = "none", mask: str | None = None) -> ColumnMetadata:
    return ColumnMetadata(name, type_name, kind, 0, order, mask)


def table(*columns: ColumnMetadata, flags: tuple[str, ...] = ("compound",), **options: object) -> TableMetadata:
    return TableMetadata("k", "t", None, {column.name: column for column in columns}, options, frozenset(flags))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plain_1", "plain_1"), ("Upper", '"Upper"'), ('a"b', '"a""b"'), ("1st", '"1st"'), ("from", '"from"'), ("é", '"é"'), ("key", "key")],
)
def test_names_are_quoted_where_they_must_be(name, expected):
    assert table(column(name, "partition_key")).as_cql() == f"CREATE TABLE k.t (\n    {expected} int,\n    PRIMARY KEY ({expected})\n);"


def test_a_type_named_like_a_native_one_is_quoted():
    assert UserTypeMetadata("k", "date", {"date": "int"}).as_cql() == 'CREATE TYPE k."date" (\n    date int\n);'


def test_masks_are_part_of_a_column():
    mask = metadata._mask(
        {
            "function_keyspace": "system",
            "function_name": "mask_inner",
            "function_argument_types": ["int", "int", "text"],
            "function_argument_values": ["1", None, "'*"],
            "function_argument_nulls": [False, True, False],
        }
    )
    assert mask == "system.mask_inner(1, null, '''*')"
    assert column("v", "regular", mask=mask).as_cql() == "v int MASKED WITH system.mask_inner(1, null, '''*')"


def test_compact_tables_of_old_servers():
    key, value = column("k", "partition_key"), column("value", "regular", type_name="blob")
    static = table(key, column("column1", "clustering"), column("v", "static"), value, flags=())
    assert not static.is_compact  # flags that nobody gave
    static = dataclasses.replace(static, flags=frozenset(["counter"]))
    assert static.as_cql() == "CREATE TABLE k.t (\n    k int,\n    v int,\n    PRIMARY KEY (k)\n) WITH COMPACT STORAGE;"
    dense = table(key, column("c", "clustering", order="asc"), column("value", "regular", type_name="empty"), flags=("compound", "dense"))
    assert dense.as_cql() == (
        "CREATE TABLE k.t (\n    k int,\n    c int,\n    PRIMARY KEY (k, c)\n) WITH COMPACT STORAGE\n    AND CLUSTERING ORDER BY (c ASC);"
    )


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("COMPOSITES", {"target": "v"}, "CREATE INDEX i ON k.t (v);"),
        ("COMPOSITES", {"target": "Value"}, 'CREATE INDEX i ON k.t ("Value");'),
        ("COMPOSITES", {"target": '"Value"'}, 'CREATE INDEX i ON k.t ("Value");'),
        ("COMPOSITES", {"target": 'values("M")'}, 'CREATE INDEX i ON k.t (values("M"));'),
        ("COMPOSITES", {"target": '{"pk":["a","B"],"ck":["c"]}'}, 'CREATE INDEX i ON k.t ((a, "B"), c);'),
        ("CUSTOM", {"target": "v", "class_name": "it's"}, "CREATE CUSTOM INDEX i ON k.t (v) USING 'it''s';"),
        (
            "CUSTOM",
            {"target": "v", "class_name": "sai", "n": "5"},
            "CREATE CUSTOM INDEX i ON k.t (v) USING 'sai' WITH OPTIONS = {'n': '5'};",
        ),
    ],
)
def test_indexes(kind, options, expected):
    assert IndexMetadata("k", "t", "i", kind, options).as_cql() == expected


def test_the_views_that_hold_scylladbs_indexes_are_not_exported():
    rows = {
        "keyspaces": [{"keyspace_name": "k", "replication": {}, "durable_writes": True}],
        "tables": [{"keyspace_name": "k", "table_name": "t"}],
        "columns": [],
        "indexes": [{"keyspace_name": "k", "table_name": "t", "index_name": "i", "kind": "COMPOSITES", "options": {"target": "v"}}],
        "views": [
            {"keyspace_name": "k", "view_name": name, "base_table_name": "t", "where_clause": "", "include_all_columns": False}
            for name in ("i_index", "other_index")
        ],
    }
    assert list(metadata._keyspaces(rows, False)["k"].views) == ["other_index"]


def test_triggers_and_options():
    assert TriggerMetadata("k", "t", "T", "org.x.Y").as_cql() == "CREATE TRIGGER \"T\" ON k.t USING 'org.x.Y';"
    text = table(column("k", "partition_key"), extensions={"e": b"\x01\xff"}, cdc=True, bloom_filter_fp_chance=1e-05).as_cql()
    assert text.endswith(") WITH bloom_filter_fp_chance = 1e-05\n    AND cdc = true\n    AND extensions = {'e': 0x01ff};")
    row = {"read_repair_chance": 0.5, "dclocal_read_repair_chance": 0.1, "comment": None, "id": 5, "extensions": {}}
    assert metadata._options(row) == {"read_repair_chance": 0.5, "dclocal_read_repair_chance": 0.1}
    assert metadata._options({**row, "read_repair": "NONE"}) == {"read_repair": "NONE"}
