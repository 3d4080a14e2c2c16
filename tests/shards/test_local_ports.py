"""Local ports: who has which, and sessions that run out of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import random
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from covering import covered
from waiting import until
from workload import PROVEN_IN, TABLE, all_hit, create_table

import acsylla_like
from acsylla_like import local_ports, shard_watch
from acsylla_like.local_ports import LocalPorts, Window, default_ranges, ports_for
from acsylla_like.testing import ScyllaFacade

HERE = Path(__file__).resolve().parent


def free_range(count: int) -> tuple[int, int]:
    """A range of ports that nothing uses now, where no session looks for one unless it is told to: suites may run side by side."""
    ports = LocalPorts()
    start = random.randrange(10_000, 18_000)
    window = ports.reserve([(start, 20_000)], count)
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


def test_a_window_begins_right_behind_ports_in_use():
    """Connections come from a window's first ports and leave them in TIME_WAIT: a gap between two windows would be of use to nobody."""
    first, end = free_range(300)
    ports = LocalPorts()
    with contextlib.ExitStack() as in_use:
        for used in (0, 40, 80):
            window = ports.reserve([(first, end)], 100)
            assert window == Window(first + used, first + used + 100)
            ports.release(window)
            for port in range(first + used, first + used + 40):
                in_use.enter_context(socket.socket()).bind(("127.0.0.1", port))


def test_many_processes_find_ports_though_those_before_left_theirs_in_time_wait(monkeypatch):
    """Three nodes of 4, 7 and 16 shards: 16 processes connect at once, again and again, 12 times while a port is in TIME_WAIT."""
    held: set[int] = set()
    in_time_wait: dict[int, int] = {}

    class Held:
        def __init__(self, port: int) -> None:
            self.port = port
            held.add(port)

        def close(self) -> None:
            held.remove(self.port)

    monkeypatch.setattr(local_ports, "_held", lambda port: None if port in held else Held(port))
    monkeypatch.setattr(local_ports, "_is_free", lambda port: port not in in_time_wait)
    count = ports_for([4, 7, 16], [1, 1, 1], 3)
    for now in range(40):
        in_time_wait = {port: ends for port, ends in in_time_wait.items() if ends > now}
        processes = [LocalPorts() for _ in range(16)]
        windows = [process.reserve([(61000, 65536), (20000, 32768)], count) for process in processes]
        for process, window in zip(processes, windows, strict=True):
            assert window is not None, f"at {now}"
            in_time_wait.update(dict.fromkeys(range(window.first, window.first + 27), now + 12))
            process.release(window)
    assert held == set()


@pytest.mark.parametrize(
    ("of_the_system", "ours"),
    [
        ("32768\t60999\n", [(61000, 65536), (20000, 32768)]),  # Linux
        ("1024\t65535\n", []),
        ("15000\t50000\n", [(50001, 65536)]),
        ("no numbers", [(20000, 49152)]),
    ],
)
def test_ports_that_the_system_gives_away_itself_are_never_taken(monkeypatch, tmp_path, of_the_system, ours):
    (tmp_path / "range").write_text(of_the_system)
    monkeypatch.setattr(local_ports, "_EPHEMERAL", str(tmp_path / "range"))
    assert default_ranges() == ours


def exhausts(nodes: list[int], connections_per_shard: list[int], tries: int, ports: range, order: random.Random) -> bool:
    """Whether the driver finds no port some time, by its ShardPortCalculator."""
    attempts = [(n, shard) for n, each in zip(nodes, connections_per_shard, strict=True) for shard in range(n) for _ in range(tries * each)]
    if order.random() < 0.5:
        order.shuffle(attempts)
    else:  # one node after the other
        rank = {n: order.random() for n in nodes}
        attempts.sort(key=lambda attempt: (rank[attempt[0]], order.random()))
    used = set()
    for n, shard in attempts:
        port = next((port for port in ports if port % n == shard and port not in used), None)
        if port is None:
            return True
        used.add(port)
    return False


def test_a_window_suffices_for_every_attempt():
    order = random.Random(1)
    for _ in range(150):
        nodes = [order.randrange(1, 17) for _ in range(order.randrange(1, 5))]
        each = [order.randrange(1, 3) for _ in nodes]
        tries, first = order.randrange(1, 6), order.randrange(20000, 30000)
        count = ports_for(nodes, each, tries)
        assert not exhausts(nodes, each, tries, range(first, first + count), order), (nodes, each, tries, first)


@pytest.mark.parametrize(
    ("nodes", "tries", "count"),
    [([4], 3, 12), ([8, 8, 8], 5, 120), ([4, 8], 1, 16), ([4, 7, 16], 3, 231), ([4, 7, 16], 8, 546)],
)
def test_windows_are_no_larger_than_they_need_be(nodes, tries, count):
    assert ports_for(nodes, [1] * len(nodes), tries) == count
    if len(set(nodes)) == 1:
        assert exhausts(nodes, [1] * len(nodes), tries, range(20000, 20000 + count - 1), random.Random(1))


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
            await until(lambda: any(host.mode == "advanced" for host in session.shards().values()), PROVEN_IN)
            for number in range(rounds):
                await covered(session, facade)
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
                await covered(session, facade)
                outcomes["after"] += len(await asyncio.gather(*(session.execute(insert, ["", i, "y"]) for i in range(20))))
                outcomes[next(iter(session.shards().values())).mode] += 1
    return outcomes


async def test_ports_that_run_out_end_nothing(cassandra, keyspace):
    outcomes = await rounds_of_dropped_connections(cassandra, keyspace, 20)
    assert outcomes["after"] == outcomes["retried"] == 20 * 20
    assert outcomes["lost"] + outcomes["answered"] == 20 * 20
    assert outcomes["advanced"] > 0


@pytest.mark.parametrize(("nodes", "tries"), [((4,), 8), ((16, 16, 16), 5), ((4, 7, 16), 3)])
async def test_a_session_leaves_ports_to_others(cassandra, nodes, tries):
    with ScyllaFacade(cassandra, nodes) as facade:
        async with acsylla_like.connect(facade.contact_points, port=facade.port, shard_aware_port=True) as session:
            await until(lambda: [host.mode for host in session.shards().values()] == ["advanced"] * len(nodes), PROVEN_IN)
            count = ports_for(nodes, [1] * len(nodes), tries)
            assert count <= 256
            window = shard_watch._watcher.guarded[session.number].window
            assert window is not None
            assert window.end - window.first == count


async def try_the_port_again(session: acsylla_like.Session) -> None:
    """Which the session would do by itself after 15 s."""
    guarded = shard_watch._watcher.guarded[session.number]
    await until(lambda: guarded.retry_at < math.inf)
    guarded.retry_at = time.monotonic()
    shard_watch._watcher.wake()


async def test_a_session_waits_in_basic_mode_for_free_ports(cassandra, keyspace, caplog):
    first, end = free_range(24)
    caplog.set_level(logging.INFO, "acsylla_like.shards")
    with ScyllaFacade(cassandra, (4,)) as facade, contextlib.ExitStack() as in_use:
        for port in range(first, end, 4):
            in_use.enter_context(socket.socket()).bind(("127.0.0.1", port))
        async with acsylla_like.connect(facade.contact_points, port=facade.port, shard_aware_port=(first, end)) as session:
            await create_table(session, keyspace)
            reason = f"too few local ports are free in {first} to {end - 1}"
            await until(lambda: [host.reason for host in session.shards().values()] == [reason])
            await covered(session, facade)
            await try_the_port_again(session)
            await all_hit(session, facade, keyspace, 200)
            assert sum(reason in record.message for record in caplog.records) == 1  # though it was tried again
            in_use.close()
            await try_the_port_again(session)
            await until(lambda: [host.mode for host in session.shards().values()] == ["advanced"], PROVEN_IN)
            await covered(session, facade)
            await all_hit(session, facade, keyspace, 200)


async def test_a_session_on_a_system_that_takes_all_ports_itself_stays_in_basic_mode(facade, keyspace, monkeypatch, tmp_path):
    (tmp_path / "range").write_text("1024\t65535\n")
    monkeypatch.setattr(local_ports, "_EPHEMERAL", str(tmp_path / "range"))
    async with acsylla_like.connect(facade.contact_points, port=facade.port, shard_aware_port=True) as session:
        reason = "the system takes its own local ports from everywhere (1024 to 65535), so name others as shard_aware_port"
        await until(lambda: [(host.mode, host.reason) for host in session.shards().values()] == [("basic", reason)] * 3)


@dataclass
class Outcome:
    """What became of a process that opened two sessions."""

    modes: list[str]  # of each; with the reason unless it is the advanced one
    trouble: list[str]  # what the driver said of ports in use
    ended: int  # its return code
    printed: str


async def processes_at_once(facade: ScyllaFacade, processes: int) -> list[Outcome]:
    """Has so many processes open two sessions each at the same time."""
    command = [sys.executable, str(HERE / "two_sessions.py"), ",".join(facade.contact_points), str(facade.port)]

    def run() -> list[Outcome]:
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(processes)]
        return [_outcome(process, process.communicate(timeout=120)[0]) for process in started]

    return await asyncio.to_thread(run)


def _outcome(process: subprocess.Popen[str], printed: str) -> Outcome:
    lines = {kind: [line[len(kind) :] for line in printed.splitlines() if line.startswith(kind)] for kind in ("mode: ", "trouble: ")}
    return Outcome(lines["mode: "], lines["trouble: "], process.returncode, printed)


async def test_processes_that_connect_at_once_do_not_take_each_others_ports(facade):
    for _ in range(2):
        for outcome in await processes_at_once(facade, 4):
            assert (outcome.modes, outcome.trouble, outcome.ended) == (["advanced", "advanced"], [], 0), outcome.printed
