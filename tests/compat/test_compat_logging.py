"""The driver's log where acsylla's users look for it: the logger `acsylla`, or a callback."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest
from waiting import until

import acsylla_like
import acsylla_like.compat as acsylla
from acsylla_like import _native
from acsylla_like.compat import logger as compat_logger


@pytest.fixture(autouse=True)
def no_other_loggers():
    """Clusters of other tests that have not been collected yet would take lines, too."""
    gc.collect()
    level = logging.getLogger("acsylla").level
    yield
    gc.collect()
    _native.widen_driver_log("disabled")
    logging.getLogger("acsylla").setLevel(level)


def options(cassandra, **more):
    return {"contact_points": cassandra.contact_points, "port": cassandra.port, **more}


async def test_lines_reach_the_logger_acsylla(cassandra, caplog):
    cluster = acsylla.create_cluster(**options(cassandra, log_level="debug"))
    session = await cluster.create_session()
    await session.close()
    lines = [record for record in caplog.records if record.name == "acsylla"]
    assert logging.DEBUG in {record.levelno for record in lines}
    assert not [record for record in caplog.records if record.name == "acsylla_like.driver"]
    assert acsylla.get_logger() is logging.getLogger("acsylla") is cluster.get_logger().get_logger()


@pytest.mark.parametrize("is_coroutine", [False, True])
async def test_a_callback_gets_the_lines_instead(cassandra, caplog, is_coroutine):
    lines = []

    async def coroutine_function(message):
        await asyncio.sleep(0)
        lines.append(message)

    callback = coroutine_function if is_coroutine else lines.append
    cluster = acsylla.create_cluster(**options(cassandra, log_level="INFO", logging_callback=callback))
    session = await cluster.create_session()
    await session.close()
    await until(lambda: lines)
    line = lines[0]
    assert isinstance(line, acsylla.LogMessage)
    assert {line.log_level for line in lines} <= {"INFO", "WARN", "ERROR"}
    assert line.time_ms > 1_600_000_000_000
    assert line.file.endswith(".cpp")
    assert line.line > 0
    assert line.message
    assert not [record for record in caplog.records if record.name == "acsylla"]


async def test_every_clusters_callback_gets_lines(cassandra):
    """In acsylla only the newest cluster's does."""
    lines = {0: [], 1: []}
    clusters = [acsylla.create_cluster(**options(cassandra, log_level="info", logging_callback=lines[i].append)) for i in range(2)]
    session = await clusters[0].create_session()
    await session.close()
    await until(lambda: lines[0] and lines[1])
    lines[0].clear()
    clusters[0].set_logging_callback(None)
    clusters[1].set_log_level("disabled")
    lines[1].clear()
    session = await clusters[1].create_session()
    await session.close()
    assert (lines[0], lines[1]) == ([], [])


async def test_a_callback_that_fails_is_reported(cassandra, caplog):
    async def coroutine_function(message):
        raise LookupError("later")

    def function(message):
        raise LookupError("at once")

    for callback, words in ((function, "at once"), (coroutine_function, "later")):
        cluster = acsylla.create_cluster(**options(cassandra, log_level="info", logging_callback=callback))
        session = await cluster.create_session()
        await session.close()
        await until(lambda words=words: any(record.exc_info and words in str(record.exc_info[1]) for record in caplog.records))
        cluster.set_logging_callback(None)


def test_levels():
    cluster = acsylla.create_cluster(["127.0.0.1"])
    logger = logging.getLogger("acsylla")
    assert logger.level == logging.WARNING
    for level, expected in [
        ("critical", logging.CRITICAL),
        ("error", logging.ERROR),
        ("warn", logging.WARNING),
        ("Warning", logging.WARNING),
        ("info", logging.INFO),
        ("debug", logging.DEBUG),
        ("trace", logging.DEBUG),
        ("disabled", logging.DEBUG),  # as it was
    ]:
        cluster.set_log_level(level)
        assert logger.level == expected
    cluster.set_log_level(None)
    with pytest.raises(ValueError, match='Unknown log_level "loud"'):
        cluster.set_log_level("loud")


async def test_without_clusters_of_acsyllas_the_packages_own_logger_has_the_lines(cassandra, caplog):
    cluster = acsylla.create_cluster(**options(cassandra))
    del cluster
    gc.collect()
    assert not list(compat_logger._loggers)
    caplog.set_level(logging.INFO, "acsylla_like.driver")
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port):
        pass
    assert [record for record in caplog.records if record.name == "acsylla_like.driver"]
    assert not [record for record in caplog.records if record.name == "acsylla"]


async def test_a_callback_runs_on_its_clusters_loop(cassandra):
    """One loop takes the lines of all clusters, and this is another."""
    loops = []

    async def elsewhere():
        cluster = acsylla.create_cluster(
            **options(cassandra, log_level="info", logging_callback=lambda line: loops.append(asyncio.get_running_loop()))
        )
        session = await cluster.create_session()
        await until(lambda: loops)
        await session.close()
        return asyncio.get_running_loop()

    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port):
        loop = await asyncio.to_thread(asyncio.run, elsewhere())
    assert set(loops) == {loop}
