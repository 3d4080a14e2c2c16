"""`doctor`: a line for each thing that was looked at."""

from __future__ import annotations

from typing import Any

from acsylla_like.cli import doctor


async def test_a_sound_cluster(cli: Any, cassandra: Any) -> None:
    lines = cli("doctor").stdout.decode().splitlines()
    found = {line[6:].partition(":")[0]: line[:4].strip() for line in lines}
    things = ["driver library", "connection", "server version", "data centres", "shards", "nodes", "clocks", "TLS", "schema"]
    assert list(found) == things
    assert {name: state for name, state in found.items() if state != "ok"} == {"TLS": "warn"}


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
    from pathlib import Path

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
