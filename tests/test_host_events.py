"""Listeners that are told of a cluster's nodes."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading

import pytest
from waiting import until

import acsylla_like
from acsylla_like import ConstantReconnection, HostEvent


def options(cluster, **more):
    return {"port": cluster.port, "reconnection": ConstantReconnection(0.05), **more}


async def test_nodes_come_and_go(simulacron):
    events = []
    threads = set()

    def listener(event):
        assert asyncio.get_running_loop()
        threads.add(threading.get_ident())
        events.append(event)

    with simulacron.create_cluster(2) as cluster:
        _, second = cluster.nodes
        async with acsylla_like.connect(cluster.contact_points, **options(cluster, on_host_event=listener)):
            expected = {HostEvent(kind, node) for node in cluster.nodes for kind in ("add", "up")}
            await until(lambda: set(events) == expected)
            events.clear()
            await until(lambda: cluster.connections(second))
            cluster.stop_listening(second, kind="stop")
            await until(lambda: HostEvent("down", second) in events)
            cluster.listen(second)
            await until(lambda: HostEvent("up", second) in events)
            assert {event.address for event in events} == {second}
    assert threads == {threading.get_ident()}


async def test_a_coroutine_function_listens_too(simulacron):
    events = []

    async def listener(event):
        await asyncio.sleep(0)
        events.append(event)

    with simulacron.create_cluster(1) as cluster:
        async with acsylla_like.connect(cluster.contact_points, **options(cluster, on_host_event=listener)):
            await until(lambda: HostEvent("up", cluster.nodes[0]) in events)


@pytest.mark.parametrize("is_coroutine", [False, True])
async def test_a_listener_that_raises_is_reported_to_the_loop(simulacron, is_coroutine):
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))

    def listener(event):
        raise LookupError(event.kind)

    async def listening(event):
        listener(event)

    with simulacron.create_cluster(1) as cluster:
        chosen = listening if is_coroutine else listener
        async with acsylla_like.connect(cluster.contact_points, **options(cluster, on_host_event=chosen)) as session:
            await until(lambda: len(reported) >= 2)
            assert {str(context["exception"]) for context in reported} == {"add", "up"}
            assert all("on_host_event" in context["message"] for context in reported)
            assert session.is_open


async def test_each_cluster_has_its_own_listener(simulacron):
    events = {0: [], 1: []}
    with simulacron.create_cluster(1) as one, simulacron.create_cluster(1) as other:
        async with (
            acsylla_like.connect(one.contact_points, **options(one, on_host_event=events[0].append)),
            acsylla_like.connect(other.contact_points, **options(other, on_host_event=events[1].append)),
        ):
            await until(lambda: len(events[0]) >= 2 and len(events[1]) >= 2)
        assert {event.address for event in events[0]} == set(one.nodes)
        assert {event.address for event in events[1]} == set(other.nodes)


async def test_the_listener_runs_on_the_loop_of_the_session(simulacron):
    """The events of all clusters are taken by one loop, which is not the one that this listener belongs to."""
    events = []
    with simulacron.create_cluster(1) as cluster:
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port):

            async def elsewhere():
                def listener(event):
                    events.append((event, threading.get_ident()))

                async with acsylla_like.connect(cluster.contact_points, **options(cluster, on_host_event=listener)):
                    await until(lambda: len(events) >= 2)
                    return threading.get_ident()

            thread = await asyncio.to_thread(asyncio.run, elsewhere())
    assert {where for _, where in events} == {thread} != {threading.get_ident()}


async def test_a_cluster_that_is_gone_is_told_nothing(simulacron):
    events = []
    with simulacron.create_cluster(1) as cluster:
        made = acsylla_like.create_cluster(cluster.contact_points, **options(cluster, on_host_event=events.append))
        session = await made.create_session()
        await until(lambda: len(events) >= 2)
        await session.close()
        del made, session
        gc.collect()
        events.clear()
        # Another session, whose reactor would deliver what was left.
        async with acsylla_like.connect(cluster.contact_points, port=cluster.port) as other:
            await other.execute("SELECT 1")
        assert events == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
async def test_a_forked_child_has_listeners_of_its_own(cassandra):
    events = []
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port, on_host_event=events.append):
        await until(lambda: len(events) >= 2)
        code = f"""
import asyncio, os, sys
import acsylla_like
async def main():
    events = []
    async with acsylla_like.connect({cassandra.contact_points!r}, port={cassandra.port}, on_host_event=events.append):
        while len(events) < 2:
            await asyncio.sleep(0.01)
    return events
asyncio.run(main())
child = os.fork()
if child == 0:
    try:
        asyncio.run(asyncio.wait_for(main(), 20))
    except BaseException:
        os._exit(1)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        assert await asyncio.wait_for(process.wait(), 60) == 0
