"""How many requests each shard owns: where the load of a session belongs, counted as it is sent."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from acsylla_like import errors
from acsylla_like.key_markers import read

if TYPE_CHECKING:
    from acsylla_like._native import PreparedVersion
    from acsylla_like.routing import OwnerFinder, Replica
    from acsylla_like.session import Session

    Candidates = Sequence[tuple[PreparedVersion, Sequence[Any]]]

__all__ = ["ShardCounter", "ShardCounts"]

# Seconds for which the nodes, their shards and tablets are believed.
_AGE = 10.0
# Requests that wait for these to be read, at first.
_MOST_WAITING = 65_536
# Seconds of work between two turns of the event loop.
_TURN = 0.002


@dataclass(frozen=True)
class ShardCounts:
    """How many requests with bound values belong to each shard.

    Attributes:
        by_shard: of each node and shard that owns a request's partition key, how many there were. The node is the first one on the ring,
            of `local_dc` where the cluster has one, whichever replica took the request; its shard is None where it has not told its shards.
        unknown: those whose partition key or node cannot be told.
    """

    by_shard: Mapping[Replica, int]
    unknown: int


class ShardCounter:
    """Counts the requests of a session. It is told of each by the session's loops, and reads in the background what it has to know."""

    def __init__(self, session: Session) -> None:
        self._reference = weakref.ref(session)  # which owns this
        self._counts: Counter[Replica] = Counter()
        self._unknown = 0
        # (keyspace, text) -> what finds the owner of its rows, None where that cannot be told, and until when it is believed
        self._finders: dict[tuple[str | None, str], tuple[OwnerFinder | None, float]] = {}
        self._system: dict[str, bool] = {}  # text -> whether it asks for system tables
        self._reading: dict[tuple[str | None, str], asyncio.Task[None]] = {}
        self._waiting: deque[Candidates] = deque()
        self._lock = threading.Lock()  # guards the counts and those that wait: a session may be used on several threads

    def note(self, candidates: Candidates) -> None:
        """A request: a statement with its values, or those of a batch, of which the first whose key is known says where it belongs."""
        candidates = [each for each in candidates if not self._is_of_the_system(each[0])]
        if not candidates:
            return
        owner, is_known = self._owner(candidates)
        with self._lock:
            if owner is not None:
                self._counts[owner] += 1
            elif is_known or len(self._waiting) >= _MOST_WAITING:
                self._unknown += 1
            else:
                self._waiting.append(candidates)

    def take(self, *, reset: bool) -> ShardCounts:
        """What was counted so far."""
        with self._lock:
            counts = ShardCounts(dict(self._counts), self._unknown + len(self._waiting))
            if reset:
                self._counts.clear()
                self._waiting.clear()
                self._unknown = 0
        return counts

    def _owner(self, candidates: Candidates) -> tuple[Replica | None, bool]:
        """Where a request belongs, None where that cannot be told; and False when something has to be read first."""
        for version, values in candidates:
            statement = version.keyspace, version.text
            finder, believed_until = self._finders.get(statement, (None, 0.0))
            if time.monotonic() > believed_until:
                self._read(version)
                if believed_until == 0.0:
                    return None, False
            if finder is not None:
                try:
                    return finder(values), True
                except ValueError:  # as for a token without a tablet
                    break
        return None, True

    def _is_of_the_system(self, version: PreparedVersion) -> bool:
        """Whether it asks for system tables, as the package itself does: each node has its own."""
        known = self._system.get(version.text)
        if known is None:
            found = read(version.text)
            known = not isinstance(found, str) and (found.keyspace or "").startswith("system")
            self._system[version.text] = known
        return known

    def _read(self, version: PreparedVersion) -> None:
        statement = version.keyspace, version.text
        if statement not in self._reading:
            task = asyncio.get_running_loop().create_task(self._find(version))
            self._reading[statement] = task
            task.add_done_callback(lambda done: self._reading.pop(statement, None))

    async def _find(self, version: PreparedVersion) -> None:
        session = self._reference()
        if session is None or not session.is_open:
            return
        finder = None
        try:
            finder = await session._routing().owner_finder(version)
        except (ValueError, errors.Error):
            pass  # such a statement, or nobody can be asked now
        finally:
            del session
            self._finders[version.keyspace, version.text] = finder, time.monotonic() + _AGE
        turn_ends = time.monotonic() + _TURN
        for _ in range(len(self._waiting)):
            with self._lock:
                candidates = self._waiting.popleft() if self._waiting else None
            if candidates is None:
                break
            self.note(candidates)
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + _TURN
