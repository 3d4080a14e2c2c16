"""Local ports: who has which, and sessions that run out of them."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from waiting import until
from workload import TABLE, covered, create_table

import acsylla_like
from acsylla_like.local_ports import LocalPorts, default_ranges
from acsylla_like.testing import ScyllaFacade

HERE = Path(__file__).resolve().parent


def free_range(count: int) -> tuple[int, int]:
    """A range of ports that nothing uses now."""
    ports = LocalPorts()
    window = ports.reserve(default_ranges(), count)
    assert window is not None
    ports.release(window)
    return window.first, window.end


def test_windows_do_not_overlap_and_are_given_back():
    ports, first = LocalPorts(), free_range(300)
    windows = [ports.reserve([first], 100) for _ in range(3)]
    assert None not in windows
    taken = sorted((window.first, window.end) for window in windows if window is not None)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(taken))
    assert ports.reserve([first], 100) is None
    assert windows[1] is not None
    ports.release(windows[1])
    assert ports.reserve([first], 100) == windows[1]
    for window in windows:
        ports.release(window)


def test_another_process_takes_other_blocks():
    first = free_range(256)
    one, other = LocalPorts(), LocalPorts()  # each holds its blocks by itself, as processes do
    mine, its = one.reserve([first], 20), other.reserve([first], 20)
    assert mine is not None
    assert its is not None
    one.release(mine)
    other.release(its)
    assert set(range(mine.first // 64, (mine.end - 1) // 64 + 1)).isdisjoint(range(its.first // 64, (its.end - 1) // 64 + 1))


def test_a_port_in_use_is_left_out():
    first, end = free_range(64)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", first + 10))
        ports = LocalPorts()
        window = ports.reserve([(first, end)], 40)
        assert window is not None
        ports.release(window)
        assert window.first > first + 10


@pytest.mark.parametrize("given", [1, (1,), (5, 6), (5000, 5000), (60000, 70000), "yes", (49152.0, 65536)])
def test_ranges_that_are_none_are_refused(given):
    with pytest.raises((TypeError, ValueError), match="shard_aware_port"):
        acsylla_like.create_cluster("127.0.0.1", shard_aware_port=given)


async def rounds_of_dropped_connections(cassandra, keyspace: str, rounds: int) -> dict[str, int]:
    """One node of 4 shards and 24 local ports: what becomes of requests in flight at a drop, and after it."""
    outcomes = {"answered": 0, "lost": 0, "retried": 0, "after": 0, "advanced": 0, "basic": 0}
    with ScyllaFacade(cassandra, (4,)) as facade:
        patient = acsylla_like.RetryPolicy(retries=20, budget=None)
        options = {"port": facade.port, "shard_aware_port": free_range(24)}
        async with acsylla_like.connect(facade.contact_points, **options) as session:
            await create_table(session, keyspace)
            insert = await session.create_prepared(f"INSERT INTO {keyspace}.{TABLE} (city, id, name) VALUES (?, ?, ?)")
            await until(lambda: any(host.mode == "advanced" for host in session.shards().values()))
            for number in range(rounds):
                await covered(facade)
                in_flight = [asyncio.ensure_future(session.execute(insert, ["", i, "x"])) for i in range(20)]
                idempotent = [
                    asyncio.ensure_future(session.execute(insert, ["", i, "x"], idempotent=True, retry_policy=patient)) for i in range(20)
                ]
                await asyncio.sleep(0)
                await asyncio.to_thread(facade.drop_connections)
                dropped = time.monotonic()
                for outcome in await asyncio.gather(*in_flight, return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        assert isinstance(outcome, ConnectionError), outcome
                        outcomes["lost"] += 1
                    else:
                        outcomes["answered"] += 1
                assert time.monotonic() - dropped < 5.0, f"round {number}: requests in flight did not end at once"
                outcomes["retried"] += len(await asyncio.gather(*idempotent))
                await covered(facade)
                await until(lambda: session.metrics()["connections"]["total"] == 4)
                outcomes["after"] += len(await asyncio.gather(*(session.execute(insert, ["", i, "y"]) for i in range(20))))
                outcomes[next(iter(session.shards().values())).mode] += 1
    return outcomes


async def test_ports_that_run_out_end_nothing(cassandra, keyspace):
    outcomes = await rounds_of_dropped_connections(cassandra, keyspace, 20)
    assert outcomes["after"] == outcomes["retried"] == 20 * 20
    assert outcomes["lost"] + outcomes["answered"] == 20 * 20
    assert outcomes["advanced"] > 0


async def processes_at_once(facade: ScyllaFacade, processes: int) -> list[str]:
    """What each of so many processes printed that opened two sessions at the same time."""
    command = [sys.executable, str(HERE / "two_sessions.py"), ",".join(facade.contact_points), str(facade.port)]

    def run() -> list[str]:
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(processes)]
        return [process.communicate(timeout=120)[0] for process in started]

    return await asyncio.to_thread(run)


async def test_processes_that_connect_at_once_do_not_take_each_others_ports(facade):
    for _ in range(2):
        for printed in await processes_at_once(facade, 4):
            assert printed.split() == ["advanced", "advanced"], printed
