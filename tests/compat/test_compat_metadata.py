"""The schema as acsylla shows it."""

from __future__ import annotations

import dataclasses
import os

import pytest

import acsylla_like.compat as acsylla
from acsylla_like.compat import errors
from acsylla_like.compat import session as compat_session
from acsylla_like.compat.metadata import _laid_out

SCHEMA = """
CREATE TYPE "Inner" (a int, l list<frozen<map<text, frozen<set<int>>>>>)
CREATE TYPE an_outer (i frozen<"Inner">, t frozen<tuple<int, text>>, m map<text, int>)
CREATE TABLE "Readings" ("Pk" int, b text, c int, s text STATIC, v vector<float, 3>, o frozen<an_outer>, PRIMARY KEY (("Pk", b), c)) \
WITH CLUSTERING ORDER BY (c DESC) AND comment = 'it''s  (spaced)' AND default_time_to_live = 100 AND cdc = false
CREATE INDEX of_v ON "Readings" (v) USING 'sai' WITH OPTIONS = {'similarity_function': 'dot_product'}
CREATE MATERIALIZED VIEW by_c AS SELECT "Pk", b, c, v FROM "Readings" WHERE "Pk" IS NOT NULL AND b IS NOT NULL AND c IS NOT NULL \
PRIMARY KEY ((c, b), "Pk")
CREATE FUNCTION plus(a int, "B" int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS $$\n  return a +  B;\n$$
CREATE AGGREGATE total(int) SFUNC plus STYPE int INITCOND 0
"""


@pytest.fixture
async def made(session, keyspace):
    """A session in a keyspace that has some of everything, and that keyspace's name."""
    name = f"{keyspace}_made"
    replication = "{'class': 'SimpleStrategy', 'replication_factor': '1'}"
    await session.execute(acsylla.create_statement(f"DROP KEYSPACE IF EXISTS {name}"))
    await session.execute(acsylla.create_statement(f"CREATE KEYSPACE {name} WITH replication = {replication}"))
    await session.set_keyspace(name)
    for statement in SCHEMA.strip().split("\nCREATE "):
        text = statement if statement.startswith("CREATE ") else f"CREATE {statement}"
        await session.execute(acsylla.create_statement(text))
    yield session, name
    await session.execute(acsylla.create_statement(f"DROP KEYSPACE {name}"))


@pytest.mark.parametrize("formatted", [False, True])
@pytest.mark.parametrize("with_keyspace", [False, True])
async def test_a_keyspace_made_anew_from_its_cql_is_the_same(made, formatted, with_keyspace):
    """acsylla's loses STATIC, composite partition keys, options and indexes' classes."""
    session, name = made
    before = session.get_metadata().get_keyspace_meta(name)
    create, *statements = before.as_cql_query(formatted=formatted, with_keyspace=with_keyspace)
    assert len(statements) == SCHEMA.count("\nCREATE ")
    await session.set_keyspace("system")
    await session.execute(acsylla.create_statement(f"DROP KEYSPACE {name}"))
    await session.execute(acsylla.create_statement(create))
    await session.set_keyspace(name)
    for statement in statements:
        await session.execute(acsylla.create_statement(statement))
    after = session.get_metadata().get_keyspace_meta(name)
    assert after.as_cql_query() == before.as_cql_query()
    assert [column.kind for column in after.tables[0].columns] == [column.kind for column in before.tables[0].columns]
    assert after.user_types == before.user_types
    assert after.functions[0].body == before.functions[0].body == "\n  return a +  B;\n"


async def test_what_there_is(made):
    session, name = made
    metadata = session.get_metadata()
    assert metadata.get_version()[0] >= 3
    assert isinstance(metadata.get_snapshot_version(), int)
    assert {name, "system"} <= set(metadata.get_keyspaces())
    keyspace = metadata.get_keyspace_meta(name)
    assert (keyspace.name, keyspace.keyspace_name, keyspace.is_virtual, keyspace.durable_writes) == (name, name, False, True)
    assert metadata.get_user_types(name) == ["Inner", "an_outer"]
    outer = metadata.get_user_type_meta(name, "an_outer")
    assert [(field.name, field.type, field.is_frozen) for field in outer.fields] == [
        ("i", "Inner", True),
        ("t", "tuple", True),
        ("m", "map", False),
    ]
    assert outer.fields[2].nested_types == [acsylla.NestedTypeMeta("text", False), acsylla.NestedTypeMeta("int", False)]
    inner = metadata.get_user_type_meta(name, "Inner")
    assert inner.fields[1].nested_types == [acsylla.NestedTypeMeta("map", True)]
    assert inner.as_cql_query(with_keyspace=False) == ['CREATE TYPE "Inner" (a int, l list<frozen<map<text, frozen<set<int>>>>>);']
    table = metadata.get_table_meta(name, "Readings")
    assert (table.name, table.table_name, table.keyspace_name, table.comment) == ("Readings", "Readings", name, "it's  (spaced)")
    assert [column.name for column in table.columns] == ["Pk", "b", "c", "s", "o", "v"]
    assert table.columns[2] == acsylla.ColumnMeta("c", "int", "desc", "c", b"c", name, "clustering", 0, "Readings")
    assert "comment = 'it''s  (spaced)'" in table.as_cql_query(full_schema=False)[0]
    assert len(table.as_cql_query()) == 3
    assert metadata.get_tables(name) == [table.name for table in metadata.get_tables_meta(name)] == ["Readings"]
    index = metadata.get_index_meta(name, "of_v")
    assert (index.kind, index.target, index.table, index.keyspace) == ("custom", "v", "Readings", name)
    assert metadata.get_indexes(name) == ["of_v"]
    view = metadata.get_materialized_view_meta(name, "by_c")
    assert (view.base_table_name, view.include_all_columns, len(view.columns)) == ("Readings", False, 4)
    assert view.id != view.base_table_id == table.id
    assert metadata.get_materialized_views(name) == ["by_c"]
    assert metadata.get_functions(name) == ["plus"]
    assert metadata.get_function_meta(name, "plus").argument_names == ["a", "B"]
    assert metadata.get_aggregates(name) == ["total"]
    assert metadata.get_aggregate_meta(name, "total").as_cql_query() == [
        f"CREATE AGGREGATE {name}.total(int) SFUNC plus STYPE int INITCOND 0;"
    ]


async def test_what_there_is_not(session, keyspace):
    metadata = session.get_metadata()
    with pytest.raises(errors.KeyspaceNotFound, match='Keyspace "nowhere" not found'):
        metadata.get_tables("nowhere")
    for kind, error_class in [
        ("table", errors.TableNotFound),
        ("index", errors.IndexNotFound),
        ("function", errors.FunctionNotFound),
        ("aggregate", errors.AggregateNotFound),
        ("user_type", errors.UserTypeNotFound),
        ("materialized_view", errors.MaterializedViewNotFound),
    ]:
        with pytest.raises(error_class, match='"nothing" not found'):
            getattr(metadata, f"get_{kind}_meta")(keyspace, "nothing")


async def test_a_snapshot_stays_as_it_was(session, keyspace):
    metadata = session.get_metadata()
    before = metadata.get_tables(keyspace)
    await session.execute(acsylla.create_statement("CREATE TABLE of_later (id int PRIMARY KEY)"))
    assert metadata.get_tables(keyspace) == before
    assert "of_later" in session.get_metadata().get_tables(keyspace)
    await session.execute(acsylla.create_statement("DROP TABLE of_later"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
async def test_asking_often_holds_no_descriptors(session):
    counts = []
    for _ in range(6):
        session.get_metadata().get_keyspaces()
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[-1] <= counts[1]


async def test_a_server_that_is_silent_does_not_stop_the_loop_for_ever(simulacron, monkeypatch):
    monkeypatch.setattr(compat_session, "_METADATA_TIMEOUT", 0.2)
    with simulacron.create_cluster() as servers:
        servers.prime_error("SELECT * FROM system_schema.column_masks", "no_result")  # which the driver does not ask for
        cluster = acsylla.create_cluster(servers.contact_points, port=servers.port, request_timeout=0)
        session = await cluster.create_session()
        with pytest.raises(errors.CassErrorLibRequestTimedOut):
            session.get_metadata().get_keyspaces()
        await session.close()


async def test_a_session_that_is_closed(session):
    metadata = session.get_metadata()
    await session.close()
    with pytest.raises(errors.CassException):
        metadata.get_keyspaces()
    with pytest.raises(RuntimeError, match="Session closed"):
        session.get_metadata()


def test_metadata_that_users_make_themselves():
    column = acsylla.ColumnMeta("k", "int", "NONE", "k", b"k", "ks", "partition_key", 0, "t")
    other = dataclasses.replace(column, name="l", column_name="l", position=1)
    table = acsylla.TableMeta(table_name="t", keyspace_name="ks", columns=[column, other], indexes=[], materialized_views=[], comment="c")
    assert table.as_cql_query() == ["CREATE TABLE ks.t (k int, l int, PRIMARY KEY ((k, l))) WITH comment = 'c';"]
    field = acsylla.UserTypeFieldMeta("f", "map", True, [acsylla.NestedTypeMeta("text", False), acsylla.NestedTypeMeta("Upper", True)])
    made = acsylla.UserTypeMeta("ks", "u", False, [field])
    assert made.as_cql_query() == ['CREATE TYPE ks.u (f frozen<map<text, frozen<"Upper">>>);']
    assert acsylla.KeyspaceMeta(name="ks", replication={"class": "X"}).as_cql_query() == [
        "CREATE KEYSPACE ks WITH replication = {'class': 'X'} AND durable_writes = true;"
    ]


def test_one_line_leaves_strings_and_bodies_alone():
    text = "A (\n  'x\n  y', \"a  b\", $$ c\n  d $$\n)\n  AND  z"
    assert _laid_out([text], False) == ["A ('x\n  y', \"a  b\", $$ c\n  d $$) AND z"]
    assert _laid_out([text], True) == [text]
