"""`doctor`: a line for each thing that was looked at."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import acsylla_like
from acsylla_like.cli import doctor
from acsylla_like.testing import ScyllaFacade


async def test_a_sound_cluster(cli: Any, cassandra: Any) -> None:
    lines = cli("doctor").stdout.decode().splitlines()
    found = {line[6:].partition(":")[0]: line[:4].strip() for line in lines}
    things = ["driver library", "connection", "server version", "data centres", "shards", "nodes", "clocks", "TLS", "schema"]
    assert list(found) == things
    assert {name: state for name, state in found.items() if state != "ok"} == {"TLS": "warn"}


async def test_reads_that_are_traced(cli: Any, session: acsylla_like.Session, keyspace: str) -> None:
    await session.execute("CREATE TABLE kept (k int PRIMARY KEY)")
    lines = cli("doctor", "--table", f"{keyspace}.kept", code=1).stdout.decode().splitlines()
    assert f"fail  routing: {keyspace}.kept has no rows: without keys nothing can be traced; name another table with --table" in lines
    await session.execute("INSERT INTO kept (k) VALUES (1)")
    lines = cli("doctor", "--table", f"{keyspace}.kept", "--traces", "20").stdout.decode().splitlines()
    assert "ok    routing: 20 of 20 traced reads came to a node that owns their key, no trace tells a shard" in lines
    assert "ok    shards: this is no ScyllaDB: requests go to the node that owns their key" in lines


async def test_the_shards_of_scylladb(cli: Any, cassandra: Any, keyspace: str) -> None:
    with ScyllaFacade(cassandra, shards=(4, 3)) as facade:
        async with acsylla_like.connect(facade.contact_points, port=facade.port, keyspace=keyspace) as session:
            await session.execute("CREATE TABLE sharded (k int PRIMARY KEY)")
            await session.execute_many("INSERT INTO sharded (k) VALUES (?)", [[k] for k in range(100)])
        of_facade = type(cli)(facade, cli.folder)
        # It fails over the clocks: the façade's system.local has none.
        lines = of_facade("doctor", "--table", f"{keyspace}.sharded", "--traces", "50", code=1).stdout.decode().splitlines()
        (shards,) = [line for line in lines if "shards:" in line]
        assert "ok    routing: 50 of 50 traced reads came to the shard that owns their key" in lines
        one, other = facade.contact_points
        assert shards.startswith(f"ok    shards: 4 on {one}, 3 on {other}; 1 to ")


def test_what_a_report_means() -> None:
    def told(**facts: Any) -> str:
        report = acsylla_like.ShardReport(
            **{"table": "ks.t", "reads": 9, "to_replica": 9, "to_shard": 9, "unknown": 0, "arrivals": {}, "connections": None, **facts}
        )

        class Asked:
            async def shard_report(self, table: str, n: int) -> acsylla_like.ShardReport:
                return report

        return str(asyncio.run(doctor._routing(Asked(), "ks.t", 9)))  # type: ignore[arg-type]

    assert told() == "ok    routing: 9 of 9 traced reads came to the shard that owns their key"
    assert told(to_shard=8, unknown=1) == (
        "ok    routing: 8 of 9 traced reads came to the shard that owns their key, of 1 the trace does not tell"
    )
    assert told(to_shard=5).startswith("warn  routing: 5 of 9 traced reads came to the shard that owns their key; is there a connection")
    assert told(to_replica=None).startswith("warn  routing: which nodes own the keys of ks.t is not known")
    assert told(to_shard=None, unknown=9, to_replica=8).startswith("warn  routing: 8 of 9 traced reads came to a node that owns their key")


async def test_a_server_that_is_not_there_and_a_wrong_data_centre(cli: Any) -> None:
    ran = cli("doctor", port=1, code=4).stdout.decode().splitlines()
    assert ran[-1].startswith("fail  connection: ")
    assert "is the address right" in ran[-1]
    assert "local datacenter" in cli("doctor", "--local-dc", "nowhere", code=4).stdout.decode()


async def test_a_clock_that_is_away(cli: Any) -> None:
    """Nothing is that exact: a bound that no clock keeps tells how a clock that is away is told of."""
    lines = cli("doctor", environment={"PYTHONPATH": _with_a_clock_that_is_late(cli)}, code=1).stdout.decode().splitlines()
    (line,) = [line for line in lines if "clocks" in line]
    assert line.startswith("fail  clocks: ")
    assert " s ahead; the last write wins by its timestamp: run NTP" in line


def _with_a_clock_that_is_late(cli: Any) -> str:
    """The path of a package whose `time.time` is an hour behind, and of ours."""
    import os

    import acsylla_like

    (cli.folder / "sitecustomize.py").write_text("import time\nnow = time.time\ntime.time = lambda: now() - 3600\n")
    return os.pathsep.join([str(cli.folder), str(Path(acsylla_like.__file__).parent.parent)])


def test_nodes_that_differ() -> None:
    def node(number: int, **changes: Any) -> Any:
        return doctor._Node(
            **{"address": f"10.0.0.{number}", "data_center": "a", "version": "5.0.6", "schema": "s", "tokens": 16, **changes}
        )

    nodes = [node(1), node(2, data_center="b", version="4.1.0", schema="t")]
    assert str(doctor._versions(nodes)).startswith("warn  server version: 4.1.0, 5.0.6; finish the upgrade")
    assert str(doctor._data_centers(nodes, None)).startswith("warn  data centres: a (1), b (1); name the nearest as local_dc")
    assert str(doctor._data_centers(nodes, "b")) == "ok    data centres: a (1), b (1)"
    assert str(doctor._data_centers(nodes, "c")).startswith("fail  data centres: a (1), b (1); there is no c")
    assert "s on 10.0.0.1" in str(doctor._schema(nodes))
    assert str(doctor._schema(nodes)).startswith("fail  schema: ")
