"""`SELECT *` in prepared statements: found in texts, expanded, and right while the table changes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable

import pytest

import acsylla_like
from acsylla_like import errors, select_star
from acsylla_like.testing import cql

_numbers = itertools.count()


@pytest.fixture
async def other(cassandra, keyspace):
    """A second session, which changes tables behind the first one's back."""
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as session:
        yield session


async def _ddl(session, text):
    await session.execute(text, timeout=30.0)


async def _table(session, columns: str) -> str:
    name = f"t{next(_numbers)}"
    await _ddl(session, f"CREATE TABLE {name} ({columns})")
    return name


# ---- finding the star -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "keyspace", "table"),
    [
        ("SELECT * FROM t", None, "t"),
        ("select*from t", None, "t"),
        ("SELECT * FROM Ks.T WHERE k = ?", "ks", "t"),
        ('SELECT * FROM "Ks"."T" WHERE k = ?', "Ks", "T"),
        ('SELECT * FROM ks . "a""b"', "ks", 'a"b'),
        ("  /* all of * it */ SELECT -- really\n * // yes\n FROM t;", None, "t"),
        ("SELECT * FROM t WHERE v = 'SELECT count(*)' ALLOW FILTERING", None, "t"),
        ("SELECT * FROM t WHERE k IN (1, 2) PER PARTITION LIMIT 1", None, "t"),
        ("SELECT DISTINCT * FROM t", None, "t"),
    ],
)
def test_a_star_for_all_columns_is_found(text, keyspace, table):
    star = select_star.find(text)
    assert star is not None
    assert (star.keyspace, star.table) == (keyspace, table)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "SELECT",
        "SELECT *",
        "SELECT * FROM",
        "SELECT * FROM *",
        "SELECT a FROM t",
        "SELECT count(*) FROM t",
        "SELECT COUNT ( * ) FROM t",
        "SELECT JSON * FROM t",
        "SELECT a * b FROM t",
        "SELECT '*' FROM t",
        'SELECT "*" FROM t',
        "SELECT $$*$$ FROM t",
        "SELECT a /* * FROM t */ FROM t",
        "SELECT a -- * FROM t\n FROM t",
        "SELECT a // * FROM t\n FROM t",
        "SELECT * FROM 'text'",
        "INSERT INTO t (k) VALUES (?)",
        "UPDATE t SET v = v * 2 WHERE k = 1",
        "LIST ROLES",
        "selected * from t",
    ],
)
def test_no_other_star_is_found(text):
    assert select_star.find(text) is None


def test_expanding_quotes_every_name_and_keeps_the_rest_of_the_text():
    star = select_star.find("SELECT * FROM t WHERE k = '*' -- *")
    assert star is not None
    assert star.expand(["k", 'a"b', "C"], "ks") == """SELECT "k", "a""b", "C" FROM "ks"."t" WHERE k = '*' -- *"""


def test_expanding_names_the_keyspace_so_that_use_changes_nothing():
    star = select_star.find('SELECT * FROM Ks . "T" WHERE k = 1')
    assert star is not None
    assert star.expand(["k"], "ks") == 'SELECT "k" FROM Ks . "T" WHERE k = 1'
    star = select_star.find('SELECT * FROM "T" WHERE k = 1')
    assert star is not None
    assert star.qualify('K"s') == 'SELECT * FROM "K""s"."T" WHERE k = 1'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a FROM ks.t", True),
        ("SELECT a FROM t", False),
        ("SELECT a FROM t WHERE b = 'FROM ks.t'", False),
        ('insert into "Ks" . "T" (k) values (?)', True),
        ("INSERT INTO t (k) VALUES (?)", False),
        ("UPDATE ks.t SET v = 1 WHERE k = ?", True),
        ("DELETE FROM t WHERE k = ?", False),
        ("DELETE v FROM ks.t USING TIMESTAMP 1 WHERE k = ?", True),
        ("BEGIN BATCH UPDATE ks.t SET v = 1 WHERE k = ?; INSERT INTO t (k) VALUES (?); APPLY BATCH", False),
        ("SELECT a FROM", False),
        ("", False),
    ],
)
def test_whether_a_text_means_the_same_tables_in_every_keyspace(text, expected):
    assert select_star.names_its_keyspaces(text) is expected


@pytest.mark.parametrize(("text", "word"), [("", ""), ("  -- a\n/* b */ Alter TABLE", "ALTER"), ("'x'", ""), ("(", ""), ("USE ks", "USE")])
def test_the_first_word(text, word):
    assert select_star.first_word(text) == word


# ---- the order of the columns -----------------------------------------------------------------------------------------


async def test_columns_come_in_the_servers_own_order(session):
    table = await _table(
        session,
        'z int, a int, y int, "B" int, b int, "aA" int, s2 int static, s1 int static, '
        '"Z" int, r9 int, r10 int, PRIMARY KEY ((z, a), y, "B")',
    )
    await session.execute(f'INSERT INTO {table} (z, a, y, "B", b, "aA", s2, s1, "Z", r9, r10) VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)')
    unprepared = await session.execute(f"SELECT * FROM {table}")
    prepared = await session.execute(await session.create_prepared(f"SELECT * FROM {table} WHERE z = ? AND a = ?"), [1, 2])
    assert prepared.columns == unprepared.columns
    assert prepared.all() == unprepared.all()


async def test_the_users_text_stays_the_query(session):
    table = await _table(session, "k int PRIMARY KEY, v int")
    prepared = await session.create_prepared(f"SELECT * FROM {table} WHERE k = ?")
    assert prepared.query == f"SELECT * FROM {table} WHERE k = ?"
    assert prepared.has_star
    assert [parameter.name for parameter in prepared.parameters] == ["k"]


@pytest.mark.parametrize("select", ["SELECT count(*) FROM {}", "SELECT JSON * FROM {}", "SELECT * FROM {}"])
async def test_every_star_gives_what_the_unprepared_text_gives(session, select):
    table = await _table(session, "k int PRIMARY KEY, v int")
    await session.execute(f"INSERT INTO {table} (k, v) VALUES (1, 2)")
    text = select.format(table)
    prepared = await session.create_prepared(text)
    assert prepared.has_star is (select == "SELECT * FROM {}")
    await _ddl(session, f"ALTER TABLE {table} ADD aa int")
    await _until_new_shape(session, prepared, (), (await session.execute(text)).columns)
    assert (await session.execute(prepared)).all() == (await session.execute(text)).all()


async def test_quoted_and_qualified_names(cassandra, session, keyspace):
    await _ddl(session, f'CREATE TABLE {keyspace}."OfAll" ("Key" int PRIMARY KEY, "select" text, "a""b" int)')
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port) as outside:
        insert = f'INSERT INTO {keyspace}."OfAll" ("Key", "select", "a""b") VALUES (?, ?, ?)'
        await outside.execute(insert, [1, "x", 2])
        for name in (f'{keyspace}."OfAll"', f'"{keyspace}"."OfAll"', f'{keyspace.upper()} . "OfAll"'):
            row = (await outside.execute(f'SELECT * FROM {name} WHERE "Key" = ?', [1])).single()
            assert row.as_dict() == {"Key": 1, 'a"b': 2, "select": "x"}
    row = (await session.execute('SELECT * FROM "OfAll" WHERE "Key" = ?', [1])).single()
    assert row == (1, 2, "x")


async def test_a_missing_table_is_the_servers_own_error(session):
    with pytest.raises(errors.InvalidQuery, match="nowhere"):
        await session.create_prepared("SELECT * FROM nowhere")


# ---- changes of the table ---------------------------------------------------------------------------------------------

IN_FLIGHT = 200
KEYS = 5


class Either:
    """Equal to any of some values."""

    def __init__(self, *values: object) -> None:
        self.values = values

    def __eq__(self, other: object) -> bool:
        return other in self.values


class _Reader:
    """Keeps 200 executions of one statement in flight and checks each row of each answer."""

    def __init__(self, session, execute: Callable[[int], object], expected: dict[str, Callable[[int], object]]) -> None:
        self.session = session
        self.execute = execute
        self.expected = expected
        self.shapes: dict[tuple[str, ...], int] = {}
        self.wrong: list[object] = []
        self.stopped = False

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(self._work(number % KEYS)) for number in range(IN_FLIGHT)]
        await self.until(lambda: sum(self.shapes.values()) > IN_FLIGHT)
        return self

    async def _work(self, key: int) -> None:
        while not self.stopped and not self.wrong:
            try:
                rows = await self.execute(key)
                for row in rows:
                    values = row.as_dict()
                    number = next(values[name] for name in ("k", "kk") if name in values)
                    # null: the server was reading with the columns of before when the drop took the values away
                    if any(value != self.expected[name](number) and (name, value) != ("a", None) for name, value in values.items()):
                        self.wrong.append(row)
                shape = tuple(column.name for column in rows.columns)
                if not rows:
                    self.wrong.append("no rows")
            except Exception as error:
                self.wrong.append(error)
                return
            self.shapes[shape] = self.shapes.get(shape, 0) + 1

    async def until(self, condition: Callable[[], object], seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and not self.wrong:
            assert time.monotonic() < deadline, self.shapes
            await asyncio.sleep(0.01)
        assert self.wrong == []

    async def until_all_have(self, shape: tuple[str, ...]) -> None:
        """Every answer from some moment on, within 5 s, has this shape."""
        deadline = time.monotonic() + 5.0
        while True:
            assert time.monotonic() < deadline, self.shapes
            self.shapes.clear()
            await self.until(lambda: sum(self.shapes.values()) >= 2 * IN_FLIGHT)
            if set(self.shapes) == {shape}:
                return

    async def __aexit__(self, *error):
        self.stopped = True
        await asyncio.gather(*self.tasks)
        if error[0] is None:
            assert self.wrong == []


async def _until_new_shape(session, query, parameters, columns) -> None:
    deadline = time.monotonic() + 5.0
    while (await session.execute(query, parameters)).columns != columns:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


EXPECTED = {
    "k": lambda k: k,
    "kk": lambda k: k,
    "c": lambda k: k + 1,
    "d": lambda k: k + 1,
    "a": lambda k: k * 1000,
    "aa": lambda k: None,
    "b": lambda k: f"text of {k}",
}

CHANGES = {
    "add": ("ALTER TABLE {} ADD aa text", ("k", "c", "a", "aa", "b")),
    "drop": ("ALTER TABLE {} DROP a", ("k", "c", "b")),
    "rename a clustering column": ("ALTER TABLE {} RENAME c TO d", ("k", "d", "a", "b")),
    "rename a partition key column": ("ALTER TABLE {} RENAME k TO kk", ("kk", "c", "a", "b")),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("who", ["own", "other"])
@pytest.mark.parametrize("how", ["prepared", "text"])
async def test_every_row_is_right_while_the_table_changes(session, other, change, who, how):
    table = await _table(session, "k int, c int, a int, b text, PRIMARY KEY (k, c)")
    for k in range(KEYS):
        await session.execute(f"INSERT INTO {table} (k, c, a, b) VALUES ({k}, {k + 1}, {k * 1000}, 'text of {k}')")
    ddl, shape = CHANGES[change]
    if change.startswith("rename a partition"):
        text, parameters = f"SELECT * FROM {table} LIMIT ?", lambda k: [KEYS]
    else:
        text, parameters = f"SELECT * FROM {table} WHERE k = ?", lambda k: [k]
    query = await session.create_prepared(text) if how == "prepared" else text
    async with _Reader(session, lambda k: session.execute(query, parameters(k)), EXPECTED) as reader:
        await _ddl(session if who == "own" else other, ddl.format(table))
        await reader.until_all_have(shape)


async def test_a_column_dropped_and_added_again_with_another_type(session, other):
    table = await _table(session, "k int PRIMARY KEY, a int, b text")
    for k in range(KEYS):
        await session.execute(f"INSERT INTO {table} (k, a, b) VALUES ({k}, {k * 1000}, 'text of {k}')")
    select = await session.create_prepared(f"SELECT * FROM {table} WHERE k = ?")
    expected = {**EXPECTED, "b": lambda k: Either(f"text of {k}", None, b"\1\2")}
    async with _Reader(session, lambda k: session.execute(select, [k]), expected) as reader:
        await _ddl(other, f"ALTER TABLE {table} DROP b")
        await reader.until_all_have(("k", "a"))
        await _ddl(other, f"ALTER TABLE {table} ADD b blob")
        await reader.until_all_have(("k", "a", "b"))
        for k in range(KEYS):
            await other.execute(f"UPDATE {table} SET b = 0x0102 WHERE k = {k}")
    for k in range(KEYS):
        assert (await session.execute(select, [k])).single() == (k, k * 1000, b"\1\2")


async def test_an_idle_statement_after_a_column_changed_its_type(session, other):
    table = await _table(session, "k int PRIMARY KEY, a int, b text")
    await session.execute(f"INSERT INTO {table} (k, a, b) VALUES (1, 2, 'x')")
    select = await session.create_prepared(f"SELECT * FROM {table} WHERE k = ?")
    assert (await session.execute(select, [1])).single() == (1, 2, "x")
    await _ddl(other, f"ALTER TABLE {table} DROP b")
    await _ddl(other, f"ALTER TABLE {table} ADD b blob")
    await other.execute(f"UPDATE {table} SET b = 0x0102 WHERE k = 1")
    deadline = time.monotonic() + 5.0
    while (row := (await session.execute(select, [1])).single()) != (1, 2, b"\1\2"):
        assert time.monotonic() < deadline
        assert row == (1, 2)  # dropped and not added yet, for all that this session knows


async def test_the_session_that_changes_a_table_sees_it_at_once(session):
    table = await _table(session, "k int PRIMARY KEY")
    await session.execute(f"INSERT INTO {table} (k) VALUES (1)")
    select = await session.create_prepared(f"SELECT * FROM {table} WHERE k = ?")
    assert (await session.execute(select, [1])).single() == (1,)
    for number in range(3):
        await _ddl(session, f"-- one more\nALTER TABLE {table} ADD v{number} int")
        assert len((await session.execute(select, [1])).single()) == number + 2


async def test_a_dropped_table_is_the_servers_own_error_and_works_when_made_again(session, other):
    table = await _table(session, "k int PRIMARY KEY, v int")
    select = await session.create_prepared(f"SELECT * FROM {table} WHERE k = ?")
    await session.execute(select, [1])
    await _ddl(other, f"DROP TABLE {table}")
    with pytest.raises(errors.InvalidQuery, match=table):
        await session.execute(select, [1])
    await _ddl(other, f"CREATE TABLE {table} (k int PRIMARY KEY, v text, w int)")
    await other.execute(f"INSERT INTO {table} (k, v, w) VALUES (1, 'x', 2)")
    await _until_new_shape(session, select, [1], (await session.execute(f"SELECT * FROM {table}")).columns)
    assert (await session.execute(select, [1])).single() == (1, "x", 2)


# ---- named columns ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["own", "other"])
async def test_a_dropped_column_that_is_named_is_the_servers_own_error(session, other, who):
    table = await _table(session, "k int PRIMARY KEY, c int, d int")
    select = await session.create_prepared(f"SELECT c FROM {table} WHERE k = ?")
    await session.execute(f"INSERT INTO {table} (k, c, d) VALUES (1, 2, 3)")
    assert (await session.execute(select, [1])).single() == (2,)
    await _ddl(session if who == "own" else other, f"ALTER TABLE {table} DROP c")
    outcomes = await asyncio.gather(*[session.execute(select, [1]) for _ in range(IN_FLIGHT)], return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {errors.InvalidQuery}
    assert "Undefined column name c" in str(outcomes[0]) or "c" in str(outcomes[0])
    assert outcomes[0].query == f"SELECT c FROM {table} WHERE k = ?"
    assert not outcomes[0].retryable
    # a text that is prepared behind the scenes says the same, and works again with the column
    with pytest.raises(errors.InvalidQuery):
        await session.execute(f"SELECT c FROM {table} WHERE k = ?", [1])
    await _ddl(other, f"ALTER TABLE {table} ADD c int")
    await session.execute(f"INSERT INTO {table} (k, c) VALUES (1, 5)")
    assert (await session.execute(select, [1])).single() == (5,)


async def test_a_dropped_column_fails_a_text_that_was_prepared_behind_the_scenes(session, other):
    table = await _table(session, "k int PRIMARY KEY, c int, d int")
    text = f"SELECT c FROM {table} WHERE k = ?"
    await session.execute(text, [1])
    await _ddl(other, f"ALTER TABLE {table} DROP c")
    with pytest.raises(errors.InvalidQuery) as caught:
        await session.execute(text, [1])
    assert caught.value.query == text


@pytest.mark.parametrize("how", ["prepared", "text"])
async def test_a_batch_whose_statement_cannot_be_prepared_again(session, other, how):
    table = await _table(session, "k int PRIMARY KEY, c int, d int")
    query = f"INSERT INTO {table} (k, c) VALUES (?, ?)"
    good = await session.create_prepared(f"INSERT INTO {table} (k, d) VALUES (?, ?)")
    insert = await session.create_prepared(query) if how == "prepared" else query

    def batch():
        return acsylla_like.create_batch_unlogged().add(good, [1, 2]).add(insert, [1, 2])

    await session.execute(batch())
    await _ddl(other, f"ALTER TABLE {table} DROP c")
    with pytest.raises(errors.InvalidQuery, match="c"):
        await session.execute(batch())
    await _ddl(other, f"ALTER TABLE {table} ADD c int")
    await session.execute(batch())
    assert (await session.execute(f"SELECT k, c, d FROM {table}")).all() == [(1, 2, 2)]


async def test_a_prepared_write_works_on_after_unrelated_changes(session, other):
    table = await _table(session, "k int PRIMARY KEY, v int")
    insert = await session.create_prepared(f"INSERT INTO {table} (k, v) VALUES (?, ?)")
    await _ddl(other, f"ALTER TABLE {table} ADD w int")
    await asyncio.gather(*[session.execute(insert, [k, k]) for k in range(IN_FLIGHT)])
    assert (await session.execute(f"SELECT count(*) FROM {table}")).single() == (IN_FLIGHT,)


# ---- streams and pages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["ADD aa text", "DROP a", "RENAME c TO d"])
@pytest.mark.parametrize("who", ["own", "other"])
async def test_pages_across_a_change_lose_and_repeat_no_row(session, other, change, who):
    table = await _table(session, "k int, c int, a int, b text, PRIMARY KEY (k, c)")
    insert = await session.create_prepared(f"INSERT INTO {table} (k, c, a, b) VALUES (?, ?, ?, ?)")
    await asyncio.gather(*[session.execute(insert, [1, c, c * 1000, f"text of {c}"]) for c in range(100)])
    select = await session.create_prepared(f"SELECT * FROM {table} WHERE k = ?")
    seen = []
    async for page in session.stream(select, [1], page_size=10).pages():
        for row in page:
            values = row.as_dict()
            number = values["c"] if "c" in values else values["d"]
            seen.append(number)
            assert values["b"] == f"text of {number}"
            assert values.get("a", number * 1000) == number * 1000
            assert values.get("aa") is None
        if len(seen) == 30:
            await _ddl(session if who == "own" else other, f"ALTER TABLE {table} {change}")
    assert seen == list(range(100))
    rows = [row async for row in await session.execute(select, [1], page_size=7)]
    assert [row[1] for row in rows] == list(range(100))


# ---- other kinds of tables --------------------------------------------------------------------------------------------


async def test_a_materialized_view_follows_its_table(session, other):
    table = await _table(session, "k int, c int, a int, b text, PRIMARY KEY (k, c)")
    await _ddl(
        session,
        f"CREATE MATERIALIZED VIEW {table}_view AS SELECT * FROM {table} "
        "WHERE a IS NOT NULL AND k IS NOT NULL AND c IS NOT NULL PRIMARY KEY (a, k, c)",
    )
    for k in range(KEYS):
        await session.execute(f"INSERT INTO {table} (k, c, a, b) VALUES ({k}, {k + 1}, {k * 1000}, 'text of {k}')")
    select = await session.create_prepared(f"SELECT * FROM {table}_view WHERE a = ?")
    deadline = time.monotonic() + 5.0
    while len(await session.execute(f"SELECT * FROM {table}_view")) < KEYS:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    async with _Reader(session, lambda k: session.execute(select, [k * 1000]), EXPECTED) as reader:
        await _ddl(other, f"ALTER TABLE {table} ADD aa text")
        await reader.until_all_have(("a", "k", "c", "aa", "b"))
        await _ddl(other, f"ALTER TABLE {table} RENAME c TO d")
        await reader.until_all_have(("a", "k", "d", "aa", "b"))


@pytest.mark.parametrize("table", ["system_views.settings", "system_views.clients", "system_virtual_schema.tables"])
async def test_virtual_tables(session, table):
    prepared = await session.execute(await session.create_prepared(f"SELECT * FROM {table} LIMIT ?"), [3])
    unprepared = await session.execute(f"SELECT * FROM {table} LIMIT 3")
    assert prepared.columns == unprepared.columns
    assert len(prepared) == len(unprepared)


async def test_the_tables_of_the_schema_itself(session, keyspace):
    table = await _table(session, "k int PRIMARY KEY")
    text = "SELECT * FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?"
    prepared = await session.execute(text, [keyspace, table])
    unprepared = await session.execute(text.replace("?", "'%s'") % (keyspace, table))
    assert prepared.columns == unprepared.columns
    assert prepared.all() == unprepared.all()


async def test_a_role_that_may_not_read_the_schema_runs_the_text_unprepared(session, other, monkeypatch):
    table = await _table(session, "k int, c text, a int, b text, PRIMARY KEY (k, c)")
    await session.execute(f"INSERT INTO {table} (k, c, a, b) VALUES (1, 'c', 1000, 'text')")

    async def refused(*arguments):
        return None

    monkeypatch.setattr(select_star, "columns", refused)
    select = await session.create_prepared(f"SELECT * FROM {table} WHERE k = ? AND c = ?")
    assert (await session.execute(select, [1, "c"])).single() == (1, "c", 1000, "text")
    assert (await session.execute(select, {"c": "c", "k": 1})).single().a == 1000
    with pytest.raises(TypeError, match="k"):
        await session.execute(select, ["1", "c"])
    await _ddl(other, f"ALTER TABLE {table} ADD aa text")
    assert (await session.execute(select, [1, "c"])).single().as_dict() == {"k": 1, "c": "c", "a": 1000, "aa": None, "b": "text"}
    await _ddl(other, f"ALTER TABLE {table} DROP a")
    assert (await session.execute(select, [1, "c"])).single() == (1, "c", None, "text")


async def test_reading_the_columns_may_be_refused_by_the_server(scripted):
    columns = [("k", "int"), ("v", "int")]
    text = "SELECT * FROM ks.t WHERE k = ?"
    scripted.answer(text, cql.rows(columns, [[1, 2]]), [("k", "int")], key=[0])
    for source in ("system_schema", "system_virtual_schema"):
        query = select_star._COLUMNS.format(f"{source}.columns")
        scripted.answer(query, cql.error(cql.UNAUTHORIZED, "no"), [("keyspace_name", "text"), ("table_name", "text")])
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        select = await session.create_prepared(text)
        assert (await session.execute(select, [1])).single() == (1, 2)
        sent = scripted.requests[-1]
        assert (sent.opcode, sent.query, sent.parameters) == (cql.QUERY, text, [b"\0\0\0\1"])


async def test_an_error_while_reading_the_columns_names_the_users_text(scripted):
    text = "SELECT * FROM ks.t WHERE k = ?"
    scripted.answer(text, cql.rows([("k", "int")], [[1]]), [("k", "int")], key=[0])
    columns = cql.rows([("column_name", "text"), ("kind", "text"), ("position", "int")], [["k", "partition_key", 0]])
    names = [("keyspace_name", "text"), ("table_name", "text")]
    scripted.answer(select_star._COLUMNS.format("system_schema.columns"), columns, names)
    scripted.answer('SELECT "k" FROM ks.t WHERE k = ?', cql.rows([("k", "int")], [[1]]), [("k", "int")], key=[0])
    scripted.handler = lambda request: cql.error(cql.READ_TIMEOUT) if "system_schema" in request.query else None
    async with acsylla_like.connect(scripted.contact_points, port=scripted.port) as session:
        with pytest.raises(errors.ReadTimeout) as caught:
            await session.create_prepared(text)
        assert caught.value.query == text
        scripted.handler = None
        assert (await session.execute(await session.create_prepared(text), [1])).single() == (1,)
        assert scripted.requests[-1].query == 'SELECT "k" FROM ks.t WHERE k = ?'


# ---- preparing anew happens once --------------------------------------------------------------------------------------


async def test_a_changed_table_is_prepared_anew_once_for_all_that_wait(session, monkeypatch):
    table = await _table(session, "k int PRIMARY KEY, v int")
    select = await session.create_prepared(f"SELECT * FROM {table} WHERE k = ?")
    prepares = []
    make_new_version = session._make_new_version

    async def counted(*arguments):
        prepares.append(arguments)
        return await make_new_version(*arguments)

    monkeypatch.setattr(session, "_make_new_version", counted)
    await _ddl(session, f"ALTER TABLE {table} ADD w int")
    await asyncio.gather(*[session.execute(select, [1]) for _ in range(IN_FLIGHT)])
    assert 1 <= len(prepares) <= 2  # the session's own note of the change, and the server's event if it comes now


async def test_a_statement_prepared_before_use_stays_with_its_keyspace(cassandra, session, keyspace):
    table = await _table(session, "k int PRIMARY KEY, v int")
    await session.execute(f"INSERT INTO {table} (k, v) VALUES (1, 2)")
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, keyspace=keyspace) as moving:
        select = await moving.create_prepared(f"SELECT * FROM {table} WHERE k = ?")
        await moving.execute("USE system")
        assert (await moving.execute(select, [1])).single() == (1, 2)
        await _ddl(session, f"ALTER TABLE {table} ADD a int")
        await _until_new_shape(moving, select, [1], (await session.execute(f"SELECT * FROM {table}")).columns)
        assert (await moving.execute(select, [1])).single() == (1, None, 2)
