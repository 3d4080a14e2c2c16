"""What is known of one session to ScyllaDB, and what is done about it: nodes are asked how they shard, and a fresh session of the driver's
takes over where the one that serves would be wrong, or would end the process.

The driver learns a node's sharding once and never again, and its shard-aware connections have no way back: a blocked port, a NAT or
a lack of local ports stop it, the last by ending the process (design facts of the 2.16.2 fork). Requests do not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from acsylla_like import _native, errors, shard_aware_port, sharding
from acsylla_like.host_events import HostEvent, tell
from acsylla_like.local_ports import Window
from acsylla_like.shard_aware_port import PortPlan
from acsylla_like.sharding import Sharding

if TYPE_CHECKING:
    from acsylla_like.cluster import Cluster
    from acsylla_like.session import Session

__all__ = ["ASK_TIMEOUT", "STEP", "Guarded", "HostShards"]

logger = logging.getLogger("acsylla_like.shards")

ASK_TIMEOUT = 2.0  # seconds
_ASK_AGAIN = 1.0
# How long a driver session without any connection goes on when it was replaced: closed with requests still in its queue, it crashes
# (2.16.2, RequestProcessor::on_async). It must be less than the delay before the driver reconnects. One with connections is closed at
# once: it must not meet a node that comes back.
_RETIRED = 0.5
_LOOK = 3.0  # after connecting, when every shard should have a connection; doubled each time that one has none
STEP = 0.05  # between two looks at what the driver has told
_MOST_ASKS = 5  # of a node that is up for the driver and does not answer us
_COVER_TIMEOUT = 3.0  # until a fresh driver session has its connections
_HASTY_COVER_TIMEOUT = 0.2  # while the one before must not meet a node that comes back
_RETRY, _RETRY_MOST = 15.0, 600.0  # until the shard-aware port is tried again, doubled each time
_PEERS_EVERY = 10.0  # between two looks for nodes that have joined or left, where the driver does not tell
_PEERS = "SELECT peer, rpc_address FROM system.peers"
_MOST_VIEWS = 2  # how often the driver is asked about a node that answers
_VIEW = 0.3  # for a fresh driver session to tell of the nodes
_KINDS: dict[str, Literal["up", "down", "add", "remove"]] = {
    "host_up": "up", "host_down": "down", "host_added": "add", "host_removed": "remove",
}  # fmt: skip


@dataclass(frozen=True)
class HostShards:
    """How a session reaches the shards of a host.

    Attributes:
        sharding: what the node says of its shards; None for a node without (Apache Cassandra), or one that could not be asked.
        mode: "advanced" when source ports choose the shard on the shard-aware port; "basic" when connections to the normal port are opened
            until each shard has one; "none" without shards.
        reason: why it is this mode.
    """

    sharding: Sharding | None
    mode: str
    reason: str


@dataclass(eq=False)
class Guarded:
    """What is known of one session."""

    session: weakref.ref[Session]
    cluster: Cluster
    is_opened: bool = False
    is_broken: bool = False  # looking after it has failed
    hosts: dict[str, HostShards] = field(default_factory=dict)
    to_ask: dict[str, int] = field(default_factory=dict)  # address -> how often it did not answer
    down: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)  # of these, those that the driver's session still has facts about
    answering: set[str] = field(default_factory=set)  # those that have answered when they were asked last
    retired: list[tuple[float, _native.Replacement]] = field(default_factory=list)  # driver sessions, and when they are closed
    has_news: bool = False
    is_sharded: bool = False  # some node is, or was, ScyllaDB
    incarnation: int = 0  # of the driver's sessions, the one that serves
    replaced: set[int] = field(default_factory=set)  # those that no longer do, or never did
    told: dict[str, set[str]] = field(default_factory=dict)  # address -> what its listener knows of it
    renewal: str | None = None  # why a fresh driver session is needed
    wants_port: bool = False  # whether the shard-aware port is to be tried, without that
    window: Window | None = None
    allowed: frozenset[str] | None = None  # the nodes that the driver's session knows, None for all of them
    spare: _native.Replacement | None = None  # takes the requests while nobody answers
    wants_view: bool = False  # whether one that knows all is to tell who is there
    views: dict[str, int] = field(default_factory=dict)  # address that the driver tells nothing of -> how often it was asked
    peers_at: float = math.inf  # when to look for nodes that have joined
    retry_at: float = math.inf  # when the shard-aware port is tried again
    retry_after: float = _RETRY  # how long after it did not work
    look_at: float = math.inf  # when to see whether every shard has a connection
    look_after: float = _LOOK
    work: asyncio.Task[None] | None = None

    @property
    def is_gone(self) -> bool:
        session = self.session()
        return session is None or (self.is_opened and not session.is_open)

    def note(self, incarnation: int, kind: str, address: str | None) -> None:
        """Takes what one of the driver's sessions told."""
        if incarnation in self.replaced:
            return
        if address is not None:
            self._tell(kind, address)
        if address is None:
            self.renewal = self.renewal or "its local ports are nearly used up"
        elif kind == "host_removed":
            self.hosts.pop(address, None)
            self.to_ask.pop(address, None)
            for addresses in (self.down, self.lost, self.answering):
                addresses.discard(address)
            if self.allowed is not None and address in self.allowed:
                self.renewal = self.renewal or f"{address} has left"  # another node may come with its address
        else:
            self.to_ask[address] = 0
            self.views.pop(address, None)
            self.has_news = True
            self.look_at = time.monotonic() + self.look_after
            if kind == "host_down":
                self.down.add(address)
                if address in self.hosts and self.hosts[address].sharding is not None:
                    self.lost.add(address)
            else:
                self.down.discard(address)

    def _tell(self, kind: str, address: str) -> None:
        """Passes it on to the cluster's listener; a fresh driver session tells of the hosts again, which is no news."""
        is_news = kind not in self.told.setdefault(address, set())
        self.told[address] = {"host_up": {"host_added", "host_up"}, "host_down": {"host_added", "host_down"}}.get(kind, {kind})
        listener, reference = self.cluster.listener, self.cluster.listener_loop
        loop = None if reference is None else reference()
        if is_news and listener is not None and loop is not None:
            tell(listener, loop, HostEvent(_KINDS[kind], address))

    @property
    def next_work_at(self) -> float:
        return min(self.retry_at, self.look_at, self.peers_at)

    @property
    def has_work(self) -> bool:
        """Whether there is something to do now."""
        is_due = time.monotonic() >= self.next_work_at
        return self.is_opened and not self.is_broken and (bool(self.to_ask) or self.renewal is not None or self.wants_port or is_due)

    async def settle(self) -> None:
        """Asks and renews until nothing is left to do."""
        while self.has_work and not self.is_gone:
            if time.monotonic() >= self.retry_at:
                self.retry_at, self.wants_port = math.inf, True
            if time.monotonic() >= self.look_at:
                self._look()
            if time.monotonic() >= self.peers_at:
                await self._look_for_nodes()
            await self._ask()
            is_settled = not self.to_ask
            if self.to_ask.keys() >= self.hosts.keys():  # nobody answers
                if self.lost:
                    self._park()
            elif self.renewal is not None or self.wants_port:
                is_settled &= await self._renew()
            if not is_settled:
                await self._pause()
        if self.is_sharded and self.spare is None and self.answering & self.hosts.keys():
            with contextlib.suppress(errors.Error, OSError):
                await self._make_spare()

    def _look(self) -> None:
        """Sees whether every shard has a connection.

        In basic mode the driver may leave one without for good: it opens no more once the last that it has begun is of use (2.16.2,
        ConnectionPool::on_reconnect).
        """
        self.look_at = math.inf
        session = self.session()
        is_basic = any(host.mode == "basic" for host in self.hosts.values())
        if session is None or not session.is_open or not is_basic or self.down or self.to_ask:
            return
        if session.metrics()["connections"]["total"] >= self._expected_connections():
            self.look_after = _LOOK
            return
        self.renewal = self.renewal or "a shard has no connection"
        self.look_after = min(2 * self.look_after, _RETRY_MOST)

    async def _look_for_nodes(self) -> None:
        """Sees who has joined, of whom the driver's session was told to know nothing, and who of those that are down has left, of whom a
        fresh session was never told."""
        self._look_for_nodes_later()
        try:
            result = await self._open_session()._ask(_PEERS, None, _native.Options(timeout=ASK_TIMEOUT))
        except errors.Error:
            return
        found = {str(row.peer if row.rpc_address.is_unspecified else row.rpc_address) for row in result if row.rpc_address is not None}
        if result.coordinator is not None:
            for address in self.down - found - {result.coordinator.address}:
                self.note(self.incarnation, "host_removed", address)
        for address in found - self.hosts.keys() if self.allowed is not None else ():
            if self.views.get(address, 0) < _MOST_VIEWS:
                with contextlib.suppress(OSError, ValueError):
                    await sharding.ask(address, self.cluster.port, timeout=ASK_TIMEOUT, ssl_context=self.cluster.tls_context)
                    self.views[address] = self.views.get(address, 0) + 1
                    self.renewal, self.wants_view = self.renewal or f"{address} has joined", True

    def _look_for_nodes_later(self) -> None:
        is_needed = self.allowed is not None or (self.is_sharded and self.down)
        self.peers_at = time.monotonic() + _PEERS_EVERY if is_needed else math.inf

    async def _pause(self) -> None:
        self.has_news = False
        ends = time.monotonic() + _ASK_AGAIN
        while not self.has_news and time.monotonic() < ends:  # noqa: ASYNC110 the driver's news come from the thread
            await asyncio.sleep(STEP)

    async def _ask(self) -> None:
        asked = list(self.to_ask)
        context = self.cluster.tls_context
        if self.cluster.tls is not None and context is None:
            for address in asked:
                del self.to_ask[address]
                self._set(address, None, "none", "Python's ssl cannot ask it as the driver's TLS does")
            return
        answers = await asyncio.gather(
            *(sharding.ask(address, self.cluster.port, timeout=ASK_TIMEOUT, ssl_context=context) for address in asked),
            return_exceptions=True,
        )
        for address, answer in zip(asked, answers, strict=True):
            if address not in self.to_ask:
                continue
            if isinstance(answer, BaseException):
                if not isinstance(answer, (OSError, ValueError)):
                    raise answer
                self.to_ask[address] += 1
                self.answering.discard(address)
                if address in self.lost and self.is_sharded:
                    # The driver would write behind the array that it has of the node's shards (2.16.2, ConnectionPool::add_connection).
                    self.renewal = self.renewal or f"{address} is down, and may come back with other shards"
                if self.to_ask[address] >= _MOST_ASKS and address not in self.down:
                    del self.to_ask[address]
                    self._set(address, None, "none", f"it does not answer: {answer}")
                continue
            del self.to_ask[address]
            self.lost.discard(address)
            self.answering.add(address)
            self._learn(address, answer)
            if self.allowed is not None and address not in self.allowed:
                self.renewal = self.renewal or f"{address} is there again"
            if address in self.down and self.down.issuperset(self.hosts):
                # The driver would wait for its next try, minutes after a long outage, and a fresh session has nothing to lose.
                self.renewal = self.renewal or f"every connection was lost, and {address} answers"

    def _learn(self, address: str, answer: Sharding | None) -> None:
        known = self.hosts.get(address)
        self.is_sharded |= answer is not None
        if answer is None:
            self._set(address, None, "none", "it has no shards")
        elif known is None or known.sharding is None:
            if self.cluster.local_ports is not None:
                self.hosts[address] = HostShards(answer, "basic", "the shard-aware port is being tried")
            else:
                self._set(address, answer, "basic", "the shard-aware port is not asked for")
            self.wants_port = self.cluster.local_ports is not None
        elif not answer.divides_like(known.sharding):
            self.hosts[address] = HostShards(answer, known.mode, known.reason)
            self.renewal = f"{address} has {answer.nr_shards} shards now, it had {known.sharding.nr_shards}"

    def _set(self, address: str, found: Sharding | None, mode: str, reason: str) -> None:
        before = self.hosts.get(address)
        self.hosts[address] = HostShards(found, mode, reason)
        if before is None or (before.mode, before.reason) != (mode, reason) or before.sharding != found:
            level = logging.DEBUG if mode == "none" else logging.INFO
            shards = "no shards" if found is None else f"{found.nr_shards} shards"
            logger.log(level, "%s: %s, %s mode: %s", address, shards, mode, reason)

    def give_back_ports(self) -> None:
        """Its session is gone."""
        if self.window is not None:
            shard_aware_port.release(self.window)
            self.window = None

    # A fresh session of the driver's ---------------------------------------------------------------------------------

    async def _renew(self) -> bool:
        """Has a fresh driver session take over where one is needed; False when that did not work yet."""
        reason = self.renewal
        self.renewal, self.wants_port = None, False
        if self.wants_view:
            plan = PortPlan(None, 0, dict.fromkeys(self.hosts, "the driver is asked who is there"))
        else:
            sharded = {address: host.sharding for address, host in self.hosts.items() if host.sharding is not None}
            plan = await shard_aware_port.plan(self.cluster, sharded, self.down)
        window = plan.window
        if reason is None and window is None:
            self._set_modes("basic", plan.reasons)  # as it is
            return True
        logger.info("a fresh driver session takes over: %s", reason or "the shard-aware port can be used")
        lost = self.lost & self.to_ask.keys()
        allowed = None if window is None else frozenset(self.answering & self.hosts.keys())
        replacement: _native.Replacement | None = None
        try:
            replacement = self._begin(self.answering & self.hosts.keys(), only=allowed, window=window)
            await self._until_done(replacement, self.cluster.connect_timeout + _COVER_TIMEOUT)
            expected = self._expected_connections()
            base, longest = self.cluster.reconnect_delays
            if window is not None:
                replacement.watch_ports(connections=expected, tries=plan.tries, base_delay=base, max_delay=longest)
            ends = time.monotonic() + (_HASTY_COVER_TIMEOUT if lost else _COVER_TIMEOUT)
            while replacement.connections() < expected and time.monotonic() < ends:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            if not replacement.take_over(self._open_session()):
                raise errors.SessionClosed("the session was closed, or uses another keyspace by now")
        except (errors.Error, OSError, asyncio.CancelledError) as error:
            if replacement is not None:
                self.replaced.add(replacement.incarnation)
            if window is not None:
                shard_aware_port.release(window)
            if isinstance(error, asyncio.CancelledError):
                raise
            logger.debug("no fresh driver session: %s", error)
            self.renewal = self.renewal or reason
            self.wants_port = True
            return False
        self._took_over(replacement, window)
        self._forget(lost)
        self.allowed = allowed
        self.look_at = time.monotonic() + self.look_after
        self._look_for_nodes_later()
        self._set_modes("basic" if window is None else "advanced", plan.reasons)
        if self.wants_view:
            self.wants_view, self.wants_port = False, True
            await asyncio.sleep(_VIEW)
        return True

    async def _make_spare(self) -> None:
        """Has a driver session at hand that refuses requests: one that was closed. (That of one that never connected is a crash in
        2.16.2, Session::execute.)"""
        address = min(self.answering & self.hosts.keys())
        spare = self._begin([address], only=[address])
        self.replaced.add(spare.incarnation)  # it tells nothing of interest
        await self._until_done(spare, ASK_TIMEOUT, can_wait=True)
        spare.close()
        await self._until_done(spare, ASK_TIMEOUT, can_wait=True)
        self.spare = spare

    def _park(self) -> None:
        """Nobody answers: until somebody does the spare driver session takes the requests, so that the one before does not meet a node
        that comes back with more shards."""
        logger.info("every connection was lost, and no node answers")
        spare, self.spare = self.spare, None
        with contextlib.suppress(errors.SessionClosed):
            if spare is not None and spare.take_over(self._open_session()):
                self._took_over(spare, None)
                self.allowed, self.peers_at, self.renewal = None, math.inf, None
        self.down.update(self.hosts)  # what the one before still has to tell is not heard
        self._forget(self.hosts.keys())

    def _forget(self, lost: Collection[str]) -> None:
        """No driver session has facts about these any more."""
        for address in self.hosts.keys() & lost:  # one may have left meanwhile
            self._set(address, None, "none", "it is down")
        self.lost.difference_update(lost)

    def _took_over(self, replacement: _native.Replacement, window: Window | None) -> None:
        self.replaced.add(self.incarnation)
        self.incarnation = replacement.incarnation
        if replacement.connections() == 0:  # it has the driver session that was replaced now
            self.retired.append((time.monotonic() + _RETIRED, replacement))
        before, self.window = self.window, window
        if before is not None:
            shard_aware_port.release(before)

    def _open_session(self) -> Session:
        """For a moment: who keeps it may be the last who has it, and would drop it, with its warning, in this thread."""
        session = self.session()
        if session is None or not session.is_open:
            raise errors.SessionClosed("the session was closed")
        return session

    def _begin(self, contact_points: Collection[str], *, only: Collection[str] | None, window: Window | None = None) -> _native.Replacement:
        """A fresh driver session that connects. With a window to some nodes only: those for which ports were reserved, since the driver
        ends the process where one is lacking."""
        session = self._open_session()
        replacement = _native.Replacement(session)
        # A range of ports and a list of nodes cannot be taken back from a cluster's settings; its contact points may be down.
        twin = self.cluster._twin(contact_points, only=only)
        replacement.connect(session, twin, None if window is None else (window.first, window.end))
        return replacement

    async def _until_done(self, replacement: _native.Replacement, seconds: float, *, can_wait: bool = False) -> None:
        """Waits until it is connected, or closed; what `can_wait` is given up when there is something else to do."""
        ends = time.monotonic() + seconds
        while not replacement.wait(0.0):
            if time.monotonic() > ends or (can_wait and self.has_work):
                raise TimeoutError(f"the driver was not done within {seconds:g} s, or before something happened")
            await asyncio.sleep(0.01)

    def _set_modes(self, mode: str, reasons: Mapping[str, str]) -> None:
        for address, host in list(self.hosts.items()):
            if host.sharding is not None:
                self._set(address, host.sharding, mode, reasons.get(address, host.reason))
        self.retry_at = math.inf
        if mode == "advanced":
            self.retry_after = _RETRY
        elif self.cluster.local_ports is not None:
            self.retry_at = time.monotonic() + self.retry_after
            self.retry_after = min(2 * self.retry_after, _RETRY_MOST)

    def _expected_connections(self) -> int:
        """What the driver opens to the hosts that are up: to each shard at least one (ConnectionPool of the fork)."""
        core = self.cluster.core_connections
        up = [host for address, host in self.hosts.items() if address not in self.down]
        per_host = [core if host.sharding is None else math.ceil(core / host.sharding.nr_shards) * host.sharding.nr_shards for host in up]
        return sum(per_host) * self.cluster.num_threads_io
