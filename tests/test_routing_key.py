"""Statements that do not bind their partition key, sent to where it lives by `routing_key=`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

import acsylla_like
from acsylla_like import errors
from acsylla_like._native import parse_type
from acsylla_like.routing import routing_key_of, token_of
from acsylla_like.testing import Cassandra, ScriptedServer, ScyllaFacade


@pytest.fixture(scope="module")
def facade(cassandra: Cassandra) -> Any:
    with ScyllaFacade(cassandra, shards=(1, 2, 3, 1)) as facade:
        yield facade


@pytest.fixture
async def routed(facade: ScyllaFacade, keyspace: str) -> AsyncIterator[acsylla_like.Session]:
    async with acsylla_like.connect(facade.contact_points, port=facade.port, keyspace=keyspace) as session:
        await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
        await session.execute("CREATE TABLE IF NOT EXISTS keyed (a text, b int, v text, PRIMARY KEY ((a, b)))")
        await session.create_prepared("SELECT v FROM plain WHERE k = ?")  # has the façade learn the keyspace
        yield session


async def node_of(facade: ScyllaFacade, request: Any) -> str:
    """The node that the request came to."""
    facade.clear()
    await request
    # The driver reads the schema when it likes, and says USE on each connection that it opens.
    found = [arrival for arrival in facade.arrivals if "system" not in arrival.query and not arrival.query.startswith("USE")]
    assert len({arrival.node for arrival in found}) == 1, found
    return found[0].node.address


async def test_texts_go_to_a_node_that_holds_their_key(facade: ScyllaFacade, routed: acsylla_like.Session) -> None:
    assert routed.keyspace is not None
    to_int = parse_type("int")
    seen = set()
    for key in range(30):
        data = to_int.encode(key) or b""
        (owner,) = {node.address for node, _ in facade.owners(routed.keyspace, "plain", token_of(data))}
        seen.add(owner)
        for routing_key in (data, [key], (bytearray(data),), memoryview(data)):
            text = f"INSERT INTO plain (k, v) VALUES ({key}, 'x')"
            node = await node_of(facade, routed.execute(text, routing_key=routing_key))
            assert node == owner
        statement = acsylla_like.create_statement(f"SELECT v FROM {routed.keyspace}.plain WHERE k = {key}", routing_key=[key])
        node = await node_of(facade, routed.execute(statement))
        assert node == owner
        route = await routed.explain(statement)
        assert route.replicas is not None
        assert [replica.address for replica in route.replicas] == [owner]
        assert (await routed.execute(statement)).single() == ("x",)
    assert len(seen) == 4


async def test_keys_of_several_columns_are_bytes_or_values(facade: ScyllaFacade, routed: acsylla_like.Session) -> None:
    assert routed.keyspace is not None
    rnd = random.Random(4)
    for _ in range(20):
        values = [rnd.choice(("", "é", rnd.randbytes(5).hex())), rnd.randrange(-9, 9)]
        parts = [parse_type("text").encode(values[0]) or b"", parse_type("int").encode(values[1]) or b""]
        (owner,) = {node.address for node, _ in facade.owners(routed.keyspace, "keyed", token_of(parts))}
        for routing_key in (values, parts, [parts[0], values[1]], routing_key_of(parts)):
            text = f"UPDATE keyed SET v = 'y' WHERE a = '{values[0]}' AND b = {values[1]}"
            node = await node_of(facade, routed.execute(text, routing_key=routing_key))
            assert node == owner


async def test_prepared_statements_with_literals_in_the_key_are_routed_too(facade: ScyllaFacade, routed: acsylla_like.Session) -> None:
    assert routed.keyspace is not None
    update = await routed.create_prepared("UPDATE keyed SET v = ? WHERE a = 'lit' AND b = ?")
    assert (await routed.explain(update, ["v", 5])).token is None
    for b in range(10):
        route = await routed.explain(update.bind(["v", b], routing_key=["lit", b]))
        assert route.token == token_of([b"lit", b.to_bytes(4, "big")])
        node = await node_of(facade, routed.execute(update, ["v", b], routing_key=["lit", b]))
        assert [node] == [replica.address for replica in route.replicas or ()]
        node = await node_of(facade, routed.execute(update.bind(["v", b], routing_key=["lit", b])))
        assert [node] == [replica.address for replica in route.replicas or ()]
    rows = await routed.execute("SELECT b FROM keyed WHERE a = 'lit' AND b = 3 AND v = 'v' ALLOW FILTERING", routing_key=["lit", 3])
    assert rows.single() == (3,)


async def test_pages_follow_the_key(facade: ScyllaFacade, routed: acsylla_like.Session) -> None:
    assert routed.keyspace is not None
    await routed.execute("CREATE TABLE IF NOT EXISTS long (k int, c int, PRIMARY KEY (k, c))")
    insert = await routed.create_prepared("INSERT INTO long (k, c) VALUES (?, ?)")
    await asyncio.gather(*(routed.execute(insert, [7, c]) for c in range(50)))
    (owner,) = {node.address for node, _ in facade.owners(routed.keyspace, "long", token_of(b"\0\0\0\7"))}
    text = "SELECT c FROM long WHERE k = 7"
    facade.clear()
    assert len([row async for row in routed.stream(text, routing_key=[7], page_size=10)]) == 50
    page = await routed.execute(text, routing_key=[7], page_size=20)
    assert len([row async for row in page]) == 50
    assert len(await routed.execute(text, routing_key=[7])) == 50
    asked = [arrival.node.address for arrival in facade.arrivals if arrival.query == text]
    assert len(asked) >= 9
    assert set(asked) == {owner}


async def test_a_node_that_is_down_is_passed_over(cassandra: Cassandra, keyspace: str) -> None:
    with ScyllaFacade(cassandra, shards=(None, None, None)) as facade:
        async with acsylla_like.connect(facade.contact_points, port=facade.port, keyspace=keyspace) as session:
            await session.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)")
            key = 0
            control = facade.nodes[0].address
            while True:
                route = await session.explain("SELECT v FROM plain WHERE k = ?", [key])
                assert route.replicas is not None
                if route.replicas[0].address != control:
                    break
                key += 1
            down = next(node for node in facade.nodes if node.address == route.replicas[0].address)
            down.stop()
            started = asyncio.get_running_loop().time()
            for _ in range(5):
                await session.execute(f"INSERT INTO plain (k, v) VALUES ({key}, 'x')", routing_key=[key])
            assert asyncio.get_running_loop().time() - started < 5


async def test_an_explicit_host_wins(facade: ScyllaFacade, routed: acsylla_like.Session) -> None:
    for node in facade.nodes:
        options: dict[str, Any] = {"host": (node.address, node.port), "routing_key": [1]}
        found = await node_of(facade, routed.execute("SELECT v FROM plain WHERE k = 1", **options))
        assert found == node.address


async def test_keys_that_do_not_fit_are_refused(routed: acsylla_like.Session) -> None:
    text = "SELECT v FROM keyed WHERE a = 'x' AND b = 1"
    with pytest.raises(ValueError, match=r"routing_key has 1 values, and the partition key of \w+\.keyed is a, b"):
        await routed.execute(text, routing_key=["x"])
    with pytest.raises(TypeError, match='column "b"'):
        await routed.execute(text, routing_key=["x", "y"])
    with pytest.raises(ValueError, match=r'column "b" .*part of the partition key'):
        await routed.execute(text, routing_key=["x", None])
    with pytest.raises(ValueError, match=r"routing_key: there is no table \w+\.nowhere"):
        await routed.execute("SELECT v FROM nowhere", routing_key=["x"])
    batch = acsylla_like.create_batch_logged(routing_key=b"x").add("INSERT INTO plain (k) VALUES (1)")
    with pytest.raises(ValueError, match="a batch has no routing_key"):
        await routed.execute(batch)
    with pytest.raises(TypeError, match="a scan has no routing_key"):
        routed.scan("plain", routing_key=b"x")


@pytest.mark.parametrize("text", ["SELECT k FROM plain", "SELECT k FROM plain WHERE v = 'x' ALLOW FILTERING"])
async def test_a_key_that_the_text_does_not_have_does_no_harm(routed: acsylla_like.Session, text: str) -> None:
    await routed.execute("INSERT INTO plain (k, v) VALUES (1, 'x')", routing_key=[1])
    assert any(row.k == 1 for row in await routed.execute(text, routing_key=[1]))


async def test_texts_without_a_table_are_sent_anywhere(routed: acsylla_like.Session, keyspace: str) -> None:
    await routed.execute(f"USE {keyspace}", routing_key=b"x")
    await routed.execute("CREATE TABLE IF NOT EXISTS plain (k int PRIMARY KEY, v text)", routing_key=b"x")
    assert len(await routed.execute("SELECT key FROM system.local", routing_key=b"local")) == 1
    with pytest.raises(errors.QuerySyntaxError):
        await routed.execute("SELEC 1", routing_key=b"x")


async def test_a_closed_session_routes_nothing(scripted: ScriptedServer) -> None:
    session = await acsylla_like.connect(scripted.address, port=scripted.port)
    await session.close()
    with pytest.raises(errors.SessionClosed):
        await session.execute("SELECT v FROM ks.t WHERE k = 1", routing_key=b"x")
