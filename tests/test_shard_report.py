"""Whether reads come to the shard that owns their key, told by the servers' traces."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid

import pytest
from covering import covering

import acsylla_like
from acsylla_like import Replica, Route, ShardReport, _native, shard_report
from acsylla_like.shard_report import _Arrival, _report
from acsylla_like.testing import Cassandra, ScriptedServer, ScyllaFacade, cql


async def fill(session: acsylla_like.Session, table: str, rows: int) -> None:
    await session.execute(f'CREATE TABLE {table} ("Key" int, b text, c int, PRIMARY KEY (("Key", b), c))')
    insert = await session.create_prepared(f'INSERT INTO {table} ("Key", b, c) VALUES (?, ?, ?)')
    await asyncio.gather(*(session.execute(insert, [n, "x" * (n % 20), n]) for n in range(rows)))


async def test_reads_come_to_the_shards_that_own_their_keys(cassandra: Cassandra, keyspace: str) -> None:
    with ScyllaFacade(cassandra, shards=(4, 7)) as facade:
        async with covering(facade, keyspace=keyspace) as session:
            await fill(session, "right", 500)
            report = await session.shard_report("right", n=100)
            assert report.table == f"{keyspace}.right"
            assert (report.reads, report.to_replica, report.to_shard, report.unknown, report.share) == (100, 100, 100, 0, 1.0)
            assert set(report.arrivals) == set(facade.contact_points)
            assert sum(sum(shards.values()) for shards in report.arrivals.values()) == 100
            for node in facade.nodes:
                # What the façade itself has counted.
                reads = [
                    a for a in facade.arrivals if a.node is node and a.kind == "EXECUTE" and "LIMIT 1" in a.query and a.table == "right"
                ]
                reads = [a for a in reads if a.token is not None]
                assert report.arrivals[node.address] == {shard: sum(a.shard == shard for a in reads) for shard in {a.shard for a in reads}}
            assert report.connections is not None
            for node in facade.nodes:
                assert set(report.connections[node.address]) == set(range(node.nr_shards or 0))


async def test_reads_that_miss_are_counted(cassandra: Cassandra, keyspace: str) -> None:
    """Without token awareness they go to nodes in turn."""
    with ScyllaFacade(cassandra, shards=(3, 3, 3)) as facade:
        async with covering(facade, keyspace=keyspace, token_aware_routing=False) as session:
            await fill(session, "missed", 100)
            report = await session.shard_report(f"{keyspace}.missed", n=60)
            assert report.to_replica is not None
            assert report.to_shard is not None
            assert 5 <= report.to_replica <= 40
            assert report.to_shard <= report.to_replica
            assert report.share is not None
            assert report.share < 0.8


async def test_connections_of_a_node_that_is_down_are_left_out(cassandra: Cassandra) -> None:
    with ScyllaFacade(cassandra, shards=(2, 3)) as facade:
        async with covering(facade) as session:
            found = await shard_report.connections_by_shard(session, _native.Options())
            assert found is not None
            assert set(found) == set(facade.contact_points)
            facade.nodes[1].stop()
            found = await shard_report.connections_by_shard(session, _native.Options(timeout=2.0))
            assert found is not None
            assert set(found) == {facade.nodes[0].address}


async def test_cassandra_tells_no_shards(session: acsylla_like.Session, cassandra: Cassandra) -> None:
    await fill(session, "plain", 20)
    report = await session.shard_report("plain", n=30)
    assert report == ShardReport(
        report.table, 30, to_replica=30, to_shard=None, unknown=30, arrivals={cassandra.contact_points[0]: {None: 30}}, connections=None
    )
    assert report.share is None


async def test_one_row_is_enough(session: acsylla_like.Session) -> None:
    await fill(session, "single", 1)
    assert (await session.shard_report("single", n=3)).to_replica == 3


async def test_what_cannot_be_traced_is_refused(session: acsylla_like.Session) -> None:
    with pytest.raises(ValueError, match=r"there is no table \w+\.nowhere"):
        await session.shard_report("nowhere")
    await fill(session, "empty", 0)
    with pytest.raises(ValueError, match=r"\w+\.empty has no rows"):
        await session.shard_report("empty", n=2)
    for n in (0, -1, 1.5, True, 10**6):
        with pytest.raises(ValueError, match="n must be an int of 1 to 100000"):
            await session.shard_report("empty", n=n)  # type: ignore[arg-type]


def arrival(owners: dict[str, int | None] | None, node: str | None, shard: int | None) -> _Arrival:
    replicas = None if owners is None else tuple(Replica(address, 9042, "dc", "r", None, owner) for address, owner in owners.items())
    return _Arrival(Route("ks", "t", 1, replicas), node, shard)


@pytest.mark.parametrize(
    ("seen", "on_replica", "on_shard"),
    [
        (arrival({"a": 1, "b": 2}, "b", 2), True, True),
        (arrival({"a": 1, "b": 2}, "b", 1), True, False),
        (arrival({"a": 1, "b": 2}, "c", 1), False, False),
        # What is not known is neither right nor wrong.
        (arrival({"a": 1, "b": 2}, "b", None), True, None),
        (arrival({"a": 1, "b": None}, "b", 1), True, None),
        (arrival({"a": 1}, "c", None), False, None),
        (arrival({"a": 1}, None, 1), None, None),
        (arrival(None, "a", 1), None, None),
    ],
)
def test_what_is_known_of_a_read(seen: _Arrival, on_replica: bool | None, on_shard: bool | None) -> None:
    assert (seen.is_on_replica, seen.is_on_shard) == (on_replica, on_shard)


def test_the_report_counts_what_is_known() -> None:
    seen = [
        arrival({"a": 1}, "a", 1), arrival({"a": 1}, "a", 2), arrival({"a": 1}, "b", 2), arrival(None, "a", 1), arrival({"a": 1}, "a", None)
    ]  # fmt: skip
    report = _report("ks.t", seen, None)
    assert (report.reads, report.to_replica, report.to_shard, report.unknown, report.share) == (5, 3, 1, 2, 1 / 3)
    assert report.arrivals == {"a": {1: 2, 2: 1, None: 1}, "b": {2: 1}}
    nothing = _report("ks.t", [arrival(None, None, None)], None)
    assert (nothing.to_replica, nothing.to_shard, nothing.unknown, nothing.share, nothing.arrivals) == (None, None, 1, None, {})


# ---- reading traces


HERE, THERE = "127.0.0.1", "127.0.0.2"
SESSION_COLUMNS = [("coordinator", "inet"), ("duration", "int")]
EVENT_COLUMNS = [("event_id", "timeuuid"), ("source", "inet"), ("thread", "text")]


class Traces:
    """A server whose traces have these events, (source, thread), in the order of time; they come after some questions."""

    def __init__(self, server: ScriptedServer, events: list[tuple[str, str | None]], *, after: int = 0, duration: int | None = 5) -> None:
        self.events, self.after, self.duration = events, after, duration
        self.asked = 0
        server.handler = self.handle

    def handle(self, request: cql.Request) -> cql.Answer | None:
        if request.opcode == cql.PREPARE:
            columns = SESSION_COLUMNS if "sessions" in request.query else EVENT_COLUMNS
            return cql.prepared(request.query.encode()[7:23], [("session_id", "uuid")], cql.rows(columns).columns)
        if "SELECT session_id FROM system_traces.sessions" in request.query:  # the driver itself
            return cql.rows([("session_id", "uuid")], [[uuid.uuid4()]])
        if "system_traces.sessions" in request.query:
            self.asked += 1
            return cql.rows(SESSION_COLUMNS, [[HERE, self.duration if self.asked > self.after else None]] if self.asked > 1 else [])
        if "system_traces.events" in request.query:
            return cql.rows(EVENT_COLUMNS, [[uuid.uuid1(), source, thread] for source, thread in self.events])
        answer = cql.rows([("k", "int")], [[1]])
        return dataclasses.replace(answer, flags=0x02, body=uuid.uuid4().bytes + answer.body)

    async def shard(self, server: ScriptedServer) -> int | None:
        async with acsylla_like.connect(server.address, port=server.port) as session:
            result = await session.execute("SELECT k FROM ks.t", tracing=True)
            return await shard_report._shard_of(session, result, _native.Options())


@pytest.mark.parametrize(
    ("events", "shard"),
    [
        # The first event is of the shard that took the request; it may have asked another one.
        ([(HERE, "shard 3"), (HERE, "shard 1"), (HERE, "shard 3")], 3),
        ([(HERE, "shard 12")], 12),
        # The clock of another node is behind.
        ([(THERE, "shard 1"), (HERE, "shard 3")], 3),
        # The coordinator is called otherwise than its events' source.
        ([(THERE, "shard 1"), (THERE, "shard 3")], 1),
        # Cassandra's threads, and what is no shard.
        ([(HERE, "Native-Transport-Requests-1"), (HERE, "shard 1")], None),
        ([(HERE, "shard x"), (HERE, "shard 1")], None),
        ([(HERE, None)], None),
        ([], None),
    ],
)
async def test_the_first_event_tells_the_shard(scripted: ScriptedServer, events: list[tuple[str, str | None]], shard: int | None) -> None:
    assert await Traces(scripted, events).shard(scripted) == shard


async def test_a_trace_is_waited_for_until_it_is_whole(scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_report, "_PAUSE", 0.01)
    traces = Traces(scripted, [(HERE, "shard 3")], after=4)
    assert await traces.shard(scripted) == 3
    assert traces.asked == 5
    monkeypatch.setattr(shard_report, "_TRACES_COME", 0.1)
    assert await Traces(scripted, [(HERE, "shard 3")], duration=None).shard(scripted) is None
