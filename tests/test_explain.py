"""Where rows live, as a session tells it: against the real server, the façade, and servers that say odd things."""

from __future__ import annotations

import asyncio
import hashlib
import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from covering import covering

import acsylla_like
from acsylla_like import Replica, Route, errors, routing
from acsylla_like.routing import token_of
from acsylla_like.testing import Cassandra, ScriptedServer, ScyllaFacade, cql


@pytest.fixture(scope="module")
def facade(cassandra: Cassandra) -> Any:
    with ScyllaFacade(cassandra, shards=(4, 7, None)) as facade:
        yield facade


@pytest.fixture(scope="module")
def two_data_centers(cassandra: Cassandra) -> Any:
    with ScyllaFacade(cassandra, shards=(4, 7, None), placement=[("dc1", "r1"), ("dc1", "r2"), ("dc2", "r1")]) as facade:
        yield facade


@pytest.fixture
async def routed(facade: ScyllaFacade, keyspace: str) -> AsyncIterator[acsylla_like.Session]:
    """A session on the façade, whose nodes are four shards, seven and none."""
    async with acsylla_like.connect(facade.contact_points, port=facade.port, keyspace=keyspace) as session:
        yield session


# ---- tokens


async def test_the_token_is_that_of_the_server(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
    insert = await session.create_prepared("INSERT INTO plain (v, k) VALUES (:text, :key)")
    for key in (0, -1, 7, -(2**31)):
        await session.execute(insert, {"key": key, "text": "x"})
        (token,) = (await session.execute("SELECT token(k) FROM plain WHERE k = ?", [key])).single()
        for route in (
            await session.explain(insert, {"key": key, "text": None}),
            await session.explain(insert, ["x", key]),
            await session.explain(insert.bind(["x", key])),
            await session.explain("SELECT * FROM plain WHERE k = ?", [key]),
            await session.explain(acsylla_like.create_statement("DELETE FROM plain WHERE k = ?", [key])),
        ):
            assert route.token == token
            assert (route.keyspace, route.table, route.reason) == (session.keyspace, "plain", None)
            assert route.replicas is not None
            assert len(route.replicas) == 1
            assert route.replicas[0].shard is None  # no shards on Cassandra


async def test_keys_of_several_columns(session: acsylla_like.Session) -> None:
    await session.execute('CREATE TABLE IF NOT EXISTS composite ("A" text, b frozen<set<int>>, c int, PRIMARY KEY (("A", b), c))')
    await session.execute('INSERT INTO composite ("A", b, c) VALUES (?, ?, ?)', ["", [3, -1, 2], 1])
    (token,) = (await session.execute('SELECT token("A", b) FROM composite')).single()
    update = await session.create_prepared('DELETE FROM composite WHERE b = ? AND c = ? AND "A" = ?')
    assert (await session.explain(update, [{2, 3, -1}, 1, ""])).token == token


async def test_views_have_keys_of_their_own(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE IF NOT EXISTS viewed (k int PRIMARY KEY, v text)")
    await session.execute(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS by_v AS SELECT * FROM viewed WHERE v IS NOT NULL AND k IS NOT NULL PRIMARY KEY (v, k)"
    )
    route = await session.explain("SELECT k FROM by_v WHERE v = ?", ["x"])
    assert route.token == token_of(b"x")
    assert route.replicas is not None
    assert (await session.explain("SELECT k FROM by_v WHERE k = ? ALLOW FILTERING", [1])).reason == "v is not restricted"


async def test_the_coordinator_of_requests_is_a_replica(session: acsylla_like.Session, cassandra: Cassandra) -> None:
    await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
    route = await session.explain("SELECT * FROM plain WHERE k = ?", [1])
    local = (await session.execute("SELECT host_id, data_center, rack FROM system.local")).single()
    place = (cassandra.contact_points[0], cassandra.port)
    assert route.replicas == (Replica(*place, local.data_center, local.rack, local.host_id, None),)


@pytest.mark.parametrize(
    ("text", "values", "reason"),
    [
        ("SELECT * FROM plain WHERE k = 5", None, "k is no marker but 5"),
        ("SELECT * FROM plain", None, "the text has no values"),
        ("SELECT * FROM plain WHERE k IN (?, ?)", [1, 2], "k is not compared by = but by IN"),
        ("SELECT * FROM plain WHERE k IN ?", [[1, 2]], "k is not compared by = but by IN"),
        ("SELECT * FROM plain WHERE token(k) > ?", [5], "k is not restricted"),
        ("SELECT * FROM plain WHERE v = ? ALLOW FILTERING", ["x"], "k is not restricted"),
        ("INSERT INTO plain JSON ?", ['{"k": 1}'], "the key is inside JSON"),
        ("UPDATE plain SET v = ? WHERE k = 1", ["x"], "k is no marker but 1"),
        ("USE system", None, "USE has no partition key"),
    ],
)
async def test_keys_that_are_no_markers_have_no_token(
    session: acsylla_like.Session, text: str, values: list[Any] | None, reason: str
) -> None:
    await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
    route = await session.explain(text, values)
    assert (route.token, route.replicas, route.reason) == (None, None, reason)


async def test_tables_of_each_node_have_a_token_and_no_replicas(session: acsylla_like.Session) -> None:
    route = await session.explain("SELECT * FROM system.local WHERE key = ?", ["local"])
    assert route.token == token_of(b"local")
    assert route.replicas is None
    assert route.reason == "each node has rows of its own there, whatever their tokens"


async def test_values_that_do_not_fit_are_refused(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
    select = await session.create_prepared("SELECT * FROM plain WHERE k = ?")
    with pytest.raises(TypeError, match='column "k"'):
        await session.explain(select, ["x"])
    with pytest.raises(ValueError, match=r'column "k" .* part of the partition key'):
        await session.explain(select, [None])
    with pytest.raises(ValueError, match="1 value expected"):
        await session.explain(select, [1, 2])
    with pytest.raises(TypeError, match="a Statement has its values already"):
        await session.explain(select.bind([1]), [1])
    with pytest.raises(TypeError, match="a Batch takes no parameters"):
        await session.explain(acsylla_like.create_batch_logged(), [1])
    with pytest.raises(TypeError, match="can be explained, not int"):
        await session.explain(5)  # type: ignore[arg-type]


async def test_a_closed_session_explains_nothing(cassandra: Cassandra) -> None:
    session = await acsylla_like.connect(cassandra.contact_points, port=cassandra.port)
    await session.close()
    with pytest.raises(errors.SessionClosed):
        await session.explain("SELECT * FROM system.local WHERE key = ?", ["local"])


# ---- batches


async def test_a_batch_lives_where_its_first_keyed_statement_does(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
    insert = await session.create_prepared("INSERT INTO plain (k, v) VALUES (?, ?)")
    batch = acsylla_like.create_batch_unlogged()
    assert (await session.explain(batch)).reason == "the batch is empty"
    batch.add("INSERT INTO plain (k) VALUES (1)")
    assert (await session.explain(batch)).reason == "k is no marker but 1"
    batch.add_many(insert, [[7, "x"], [8, "y"]])
    assert await session.explain(batch) == await session.explain(insert, [7, "x"])
    texts = acsylla_like.create_batch_unlogged()
    texts.add("UPDATE plain SET v = ? WHERE k = ?", ["x", 9]).add(insert, [7, "x"])
    assert await session.explain(texts) == await session.explain(insert, [9, "x"])


async def test_the_driver_sends_batches_to_their_first_keyed_statement(facade: ScyllaFacade, keyspace: str) -> None:
    async with covering(facade, keyspace=keyspace) as session:
        await check_batches(facade, session)


async def check_batches(facade: ScyllaFacade, routed: acsylla_like.Session) -> None:
    await routed.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
    insert = await routed.create_prepared("INSERT INTO plain (k, v) VALUES (?, ?)")
    facade.clear()
    for key in range(40):
        batch = acsylla_like.create_batch_unlogged()
        batch.add("INSERT INTO plain (k, v) VALUES (1, 'x')").add(insert, [key, "x"]).add(insert, [key + 1000, "y"])
        route = await routed.explain(batch)
        await routed.execute(batch)
        arrival = [arrival for arrival in facade.arrivals if arrival.kind == "BATCH"][-1]
        assert (arrival.kind, arrival.token) == ("BATCH", route.token)
        assert route.replicas is not None
        assert (arrival.node.address, arrival.shard) in {(replica.address, replica.shard) for replica in route.replicas}
    assert facade.hits("BATCH").share == 1.0


# ---- nodes and shards


async def test_nodes_and_shards_are_those_that_the_facade_computes(two_data_centers: ScyllaFacade, keyspace: str) -> None:
    facade = two_data_centers
    async with acsylla_like.connect(facade.contact_points, port=facade.port, keyspace=keyspace) as session:
        await check_routes(facade, session)


async def check_routes(facade: ScyllaFacade, routed: acsylla_like.Session) -> None:
    await routed.execute("CREATE TABLE IF NOT EXISTS keyed (a int, b text, PRIMARY KEY ((a, b)))")
    select = await routed.create_prepared("SELECT * FROM keyed WHERE a = ? AND b = ?")
    rnd = random.Random(1)
    seen = set()
    assert routed.keyspace is not None
    for _ in range(300):
        values = [rnd.randrange(-(2**31), 2**31), rnd.randbytes(3).hex()]
        route = await routed.explain(select, values)
        assert route.token is not None
        assert route.replicas is not None
        owners = facade.owners(routed.keyspace, "keyed", route.token)
        assert [(node.address, node.port, node.datacenter, node.rack, node.host_id, shard) for node, shard in owners] == [
            (each.address, each.port, each.data_center, each.rack, each.host_id, each.shard) for each in route.replicas
        ]
        seen |= {(replica.data_center, replica.rack, replica.shard) for replica in route.replicas}
    assert seen == {("dc1", "r1", i) for i in range(4)} | {("dc1", "r2", i) for i in range(7)} | {("dc2", "r1", None)}


async def test_a_node_that_returns_with_other_shards_is_noticed(
    cassandra: Cassandra, keyspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "_SHARDS_AGE", 0.0)
    # Its own data centre, so that the driver has no connections to it.
    with ScyllaFacade(cassandra, shards=(4, 7), placement=[("dc1", "r1"), ("dc2", "r1")]) as facade:
        far = facade.nodes[1]
        async with acsylla_like.connect(facade.nodes[0].address, port=facade.port, keyspace=keyspace, local_dc="dc1") as session:
            await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
            select = await session.create_prepared("SELECT k FROM plain WHERE k = ?")

            async def shards() -> set[int | None]:
                routes = [await session.explain(select, [key]) for key in range(200)]
                return {replica.shard for route in routes for replica in route.replicas or () if replica.address == far.address}

            assert await shards() == set(range(7))
            far.stop()
            assert await shards() == {None}  # it cannot be asked
            far.start(nr_shards=3)
            assert await shards() == set(range(3))


# ---- tablets


@pytest.fixture(scope="module")
def with_tablets(cassandra: Cassandra) -> Any:
    with ScyllaFacade(cassandra, shards=(4, 7), tablets=True) as facade:
        yield facade


async def test_tables_with_tablets_live_where_their_tablets_do(
    with_tablets: ScyllaFacade, keyspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facade = with_tablets
    async with acsylla_like.connect(facade.contact_points, port=facade.port, keyspace=keyspace) as session:
        await session.execute("CREATE TABLE IF NOT EXISTS tableted (k int PRIMARY KEY, v text)")
        facade.split_into_tablets(keyspace, "tableted", 8, replicas=2)
        select = await session.create_prepared("SELECT * FROM tableted WHERE k = ?")

        async def check() -> None:
            for key in range(100):
                route = await session.explain(select, [key])
                assert route.token is not None
                tablet = facade.tablet_of(keyspace, "tableted", route.token)
                assert tablet is not None
                assert route.replicas is not None
                assert [(r.address, r.shard) for r in route.replicas] == [(node.address, shard) for node, shard in tablet.replicas]

        await check()
        groups = await session.group_by_replica(select, [[key] for key in range(100)])
        for owner, rows in groups.items():
            for row in rows:
                route = await session.explain(select, row)
                assert route.replicas is not None
                assert route.replicas[0] == owner
        token = (await session.explain(select, [1])).token
        assert token is not None
        facade.move_tablet(keyspace, "tableted", token)
        monkeypatch.setattr(routing, "_AGE", 0.0)
        await check()


class Odd:
    """One node that is asked for a table `ks.t (k int PRIMARY KEY)`, and answers some questions in its own way."""

    def __init__(self, server: ScriptedServer, **answers: cql.Answer) -> None:
        self.answers = answers
        server.handler = self.handle

    def handle(self, request: cql.Request) -> cql.Answer:
        answer = self.answer(request.query)
        if request.opcode == cql.PREPARE and answer.body[:4] == cql.rows([("a", "int")]).body[:4]:
            count = request.query.count("?")
            names = [("table_id", "uuid")] if "table_id" in request.query else [("k", "int")] if "ks.t" in request.query else None
            return cql.prepared(
                hashlib.md5(request.query.encode()).digest(), names or [(f"p{i}", "text") for i in range(count)], answer.columns
            )
        return answer

    def answer(self, query: str) -> cql.Answer:
        for part, answer in self.answers.items():
            if part in query:
                return answer
        if "system_schema.columns" in query:
            return cql.rows([("column_name", "text"), ("position", "int")], [["k", 0]])
        if "system_schema.keyspaces" in query:
            replication = {"class": "org.apache.cassandra.locator.SimpleStrategy", "replication_factor": "1"}
            return cql.rows([("replication", "map<text, text>")], [[replication]])
        if "system_schema.tables" in query:
            return cql.rows([("id", "uuid")], [[uuid.UUID(int=5)]])
        if "system." in query or "system_schema." in query:
            return cql.error(cql.INVALID, "unconfigured table")
        return cql.rows([("k", "int")], [])

    async def explain(self, server: ScriptedServer) -> Route:
        async with acsylla_like.connect(server.address, port=server.port) as session:
            return await session.explain("SELECT k FROM ks.t WHERE k = ?", [1])


TABLET_COLUMNS = [("last_token", "bigint"), ("replicas", "list<tuple<uuid, int>>"), ("keyspace_name", "text"), ("table_name", "text")]
TOKEN_OF_1 = token_of(b"\0\0\0\1")


async def test_a_table_of_an_unasked_keyspace_has_no_tablets(scripted: ScriptedServer) -> None:
    scripted.host_id = uuid.UUID(int=9)
    route = await Odd(scripted).explain(scripted)
    assert route.token == TOKEN_OF_1
    assert route.replicas is not None
    assert [(replica.host_id, replica.shard) for replica in route.replicas] == [(scripted.host_id, None)]
    # Of a ScyllaDB that says so, system.tablets is not asked.
    Odd(scripted, scylla_keyspaces=cql.rows([("initial_tablets", "int")], [[None]]))
    scripted.requests.clear()
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        assert (await session.explain("SELECT k FROM ks.t WHERE k = ?", [1])).replicas == route.replicas
    assert not any("system.tablets" in query for query in scripted.queries())


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (
            {"scylla_keyspaces": cql.rows([("initial_tablets", "int")], [[0]])},
            "ks.t has tablets, and system.tablets does not tell them",
        ),
        (
            {"system.tablets": cql.error(cql.UNAUTHORIZED, "no")},
            "the role may not read system.tablets",
        ),
        (
            {"system.tablets": cql.rows(TABLET_COLUMNS, [[2**63 - 1, [(uuid.UUID(int=77), 3)], "ks", "t"]])},
            f"the node {uuid.UUID(int=77)} of the tablet is not known",
        ),
        (
            {"system.tablets": cql.rows(TABLET_COLUMNS, [[-(2**63) + 1, [(uuid.UUID(int=9), 3)], "ks", "t"]])},
            f"no tablet is known for token {TOKEN_OF_1}",
        ),
        (
            {"keyspaces": cql.rows([("replication", "map<text, text>")], [])},
            "there is no keyspace ks",
        ),
    ],
)
async def test_replicas_that_are_not_told_are_not_guessed(scripted: ScriptedServer, answers: dict[str, cql.Answer], reason: str) -> None:
    scripted.host_id = uuid.UUID(int=9)
    route = await Odd(scripted, **answers).explain(scripted)
    assert (route.token, route.replicas, route.reason) == (TOKEN_OF_1, None, reason)


async def test_a_server_that_fails_is_not_taken_for_one_without_tablets(scripted: ScriptedServer) -> None:
    with pytest.raises(errors.ReadTimeout):
        await Odd(scripted, **{"system.tablets": cql.error(cql.READ_TIMEOUT)}).explain(scripted)


async def test_a_table_with_a_partitioner_of_its_own_has_no_token(scripted: ScriptedServer) -> None:
    own = cql.rows([("partitioner", "text")], [["com.scylladb.dht.CDCPartitioner"]])
    route = await Odd(scripted, scylla_tables=own).explain(scripted)
    assert (route.token, route.reason) == (None, "the tokens are those of com.scylladb.dht.CDCPartitioner")
    usual = cql.rows([("partitioner", "text")], [["org.apache.cassandra.dht.Murmur3Partitioner"]])
    assert (await Odd(scripted, scylla_tables=usual).explain(scripted)).token == TOKEN_OF_1
    assert (await Odd(scripted, scylla_tables=cql.rows([("partitioner", "text")], [[None]])).explain(scripted)).token == TOKEN_OF_1


async def test_a_table_that_is_not_there_has_no_token(scripted: ScriptedServer) -> None:
    answers = {"system_schema.columns": cql.rows([("column_name", "text"), ("position", "int")], [])}
    route = await Odd(scripted, **answers).explain(scripted)
    assert (route.token, route.reason) == (None, "there is no table ks.t")


# ---- what is kept


async def test_a_change_of_the_schema_is_noticed(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE remade (k int PRIMARY KEY, v int)")
    text = "INSERT INTO remade (k, v) VALUES (?, ?)"
    insert = await session.create_prepared(text)
    assert (await session.explain(insert, [1, 2])).token == token_of(b"\0\0\0\1")
    await session.execute("DROP TABLE remade")
    await session.execute("CREATE TABLE remade (v int PRIMARY KEY, k int)")
    assert (await session.explain(await session.create_prepared(text), [1, 2])).token == token_of(b"\0\0\0\2")


async def test_what_is_known_is_not_asked_again(
    facade: ScyllaFacade, routed: acsylla_like.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    await routed.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
    select = await routed.create_prepared("SELECT * FROM plain WHERE k = ?")
    await routed.explain(select, [1])
    monkeypatch.setattr(routing, "_AGE", 1000.0)
    asked = routed.metrics()["session"]["asked"]
    for key in range(50):
        await routed.explain(select, [key])
    assert routed.metrics()["session"]["asked"] <= asked + 10  # the schema may have changed meanwhile


async def test_those_who_ask_together_are_answered_together(facade: ScyllaFacade, keyspace: str) -> None:
    async with acsylla_like.connect(facade.contact_points, port=facade.port, keyspace=keyspace) as session:
        await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
        select = await session.create_prepared("SELECT * FROM plain WHERE k = ?")
        before = session.metrics()["session"]["asked"]
        asked = [asyncio.create_task(session.explain(select, [key])) for key in range(200)]
        await asyncio.sleep(0)
        asked[0].cancel()  # who asked first
        routes = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(routes[0], asyncio.CancelledError)
        assert all(isinstance(route, Route) and route.replicas for route in routes[1:])
        assert session.metrics()["session"]["asked"] <= before + 40


async def test_a_failure_is_everybodys_and_is_not_kept(scripted: ScriptedServer) -> None:
    odd = Odd(scripted, **{"system_schema.keyspaces": cql.error(cql.READ_TIMEOUT)})
    async with acsylla_like.connect(scripted.address, port=scripted.port) as session:
        select = await session.create_prepared("SELECT k FROM ks.t WHERE k = ?")
        routes = await asyncio.gather(*(session.explain(select, [1]) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(route, errors.ReadTimeout) for route in routes)
        odd.answers.clear()
        assert (await session.explain(select, [1])).replicas is not None


# ---- groups


async def test_rows_are_grouped_by_the_shard_that_owns_them(facade: ScyllaFacade, routed: acsylla_like.Session) -> None:
    await routed.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
    insert = await routed.create_prepared("INSERT INTO plain (k, v) VALUES (:k, :v)")
    rows = [{"k": key, "v": "x"} if key % 2 else (key, None) for key in range(2000)]
    groups = await routed.group_by_replica(insert, iter(rows))
    assert sum(map(len, groups.values())) == 2000
    assert {(owner.address, owner.shard) for owner in groups} == {
        (node.address, shard) for node in facade.nodes for shard in (range(node.nr_shards) if node.nr_shards else [None])
    }
    for owner, chosen in groups.items():
        assert chosen == [row for row in rows if any(row is other for other in chosen)]  # in their order
        for row in chosen[:20]:
            route = await routed.explain(insert, row)
            assert route.replicas is not None
            assert route.replicas[0] == owner


async def test_groups_are_of_the_sessions_own_data_centre(two_data_centers: ScyllaFacade, keyspace: str) -> None:
    facade = two_data_centers
    async with acsylla_like.connect(facade.contact_points, port=facade.port, local_dc="dc1") as session:
        await session.execute(
            f"CREATE KEYSPACE IF NOT EXISTS {keyspace}_2 WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 3}}"
        )
        try:
            await session.execute(f"CREATE TABLE {keyspace}_2.t (k int PRIMARY KEY)")
            insert = await session.create_prepared(f"INSERT INTO {keyspace}_2.t (k) VALUES (?)")
            groups = await session.group_by_replica(insert, [[key] for key in range(500)])
        finally:
            await session.execute(f"DROP KEYSPACE {keyspace}_2")
        assert {owner.data_center for owner in groups} == {"dc1"}
        assert len({owner.address for owner in groups}) == 2


async def test_rows_that_cannot_be_grouped_are_refused(session: acsylla_like.Session) -> None:
    await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
    insert = await session.create_prepared("INSERT INTO plain (k, v) VALUES (?, ?)")
    assert await session.group_by_replica(insert, []) == {}
    for row, error, text in (
        ([None, "x"], ValueError, 'row 1: column "k" .*partition key'),
        (["a", "x"], TypeError, 'row 1: column "k"'),
        ([2**31, "x"], OverflowError, 'row 1: column "k"'),
        ([1], ValueError, "row 1: 2 values expected"),
        ({"k": 1}, errors.BindError, "row 1: no value for v"),
    ):
        with pytest.raises(error, match=text):
            await session.group_by_replica(insert, [[1, "x"], row])
    literal = await session.create_prepared("INSERT INTO plain (k, v) VALUES (1, ?)")
    with pytest.raises(ValueError, match="partition keys are not known: k is no marker but 1"):
        await session.group_by_replica(literal, [["x"]])
    with pytest.raises(TypeError, match="for a PreparedStatement, not str"):
        await session.group_by_replica("INSERT", [["x"]])  # type: ignore[arg-type]
    local = await session.create_prepared("SELECT * FROM system.local WHERE key = ?")
    with pytest.raises(ValueError, match="each node has rows of its own"):
        await session.group_by_replica(local, [["local"]])
