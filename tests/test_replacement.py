"""A fresh driver session takes over from a session's first one."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from waiting import until

import acsylla_like
from acsylla_like import _native, shard_watch


async def connected(session: acsylla_like.Session) -> _native.Replacement:
    replacement = _native.Replacement(session)
    replacement.connect(session, session.cluster)
    await until(lambda: replacement.wait(0.0))
    return replacement


async def test_another_keyspace_than_when_it_connected_is_not_taken_over(session):
    replacement = await connected(session)
    await session.execute("USE system")
    assert not replacement.take_over(session)
    assert (session.serving, session.keyspace) == (0, "system")
    replacement = await connected(session)
    assert replacement.take_over(session)
    assert session.serving == replacement.incarnation == 2
    assert (await session.execute("SELECT key FROM local")).single().key == "local"


async def test_a_use_that_was_in_flight_is_sent_again(session):
    replacement = await connected(session)
    using = asyncio.ensure_future(session.execute("USE system"))
    while not session.in_flight:  # noqa: ASYNC110
        await asyncio.sleep(0)  # a shorter wait than for the answer
    assert replacement.take_over(session)
    await using
    for _ in range(20):  # whichever connection
        assert (await session.execute("SELECT key FROM local")).single().key == "local"


async def test_it_is_for_one_session(session, cassandra):
    replacement = await connected(session)
    async with acsylla_like.connect(cassandra.contact_points, port=cassandra.port) as other:
        with pytest.raises(TypeError, match="another session"):
            replacement.take_over(other)
        with pytest.raises(TypeError, match="another session"):
            _native.Replacement(session).connect(other, other.cluster)
    with pytest.raises(TypeError, match="connects once"):
        replacement.connect(session, session.cluster)
    with pytest.raises(TypeError, match="__new__"):
        _native.Replacement.__new__(_native.Replacement).take_over(session)


async def test_a_session_that_is_dropped_meanwhile_is_gone_at_once(cassandra):
    """Neither the fresh driver session nor who looks after it keeps it alive."""
    cluster = acsylla_like.create_cluster(cassandra.contact_points, port=cassandra.port)
    session = await cluster.create_session()
    replacement = await connected(session)
    reference, number = weakref.ref(session), session.number
    with pytest.warns(ResourceWarning, match="unclosed session"):
        del session
    gc.collect()  # the warning, which has it for its source
    assert reference() is None
    await until(lambda: number not in shard_watch._watcher.guarded)
    del replacement
