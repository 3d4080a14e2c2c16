"""Retrying: which requests that failed are sent again, when, and to whom.

The driver itself is set to hand every error up (its fallthrough policy); all that is decided here costs nothing until a request
fails. What an error's code says of the request - whether anything was applied, whether another try may succeed - is in
src_cpp/error_codes.def, for these decisions and for those of bulk writes.
"""

from __future__ import annotations

import asyncio
import enum
import math
import random
import threading
import time
import weakref
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from acsylla_like import errors
from acsylla_like.policies import Consistency

if TYPE_CHECKING:
    from acsylla_like._native import Batch, Coordinator, Options, PreparedStatement
    from acsylla_like.session import Session

__all__ = ["IGNORE", "RETHROW", "Attempt", "FailedRequest", "Retry", "RetryBudget", "RetryPolicy", "Verdict", "back_off"]

# Seconds for which the addresses of the nodes are not asked again, and for which an answer is waited.
_HOSTS_AGE = 60.0
_HOSTS_TIMEOUT = 1.0


def back_off(tries: int, first: float, longest: float) -> float:
    """Seconds to wait after so many tries: `first` after one, doubled with each, up to `longest`; give or take a random half, so that
    those who failed together do not come back together."""
    return min(longest, math.ldexp(first, min(tries - 1, 60))) * random.uniform(0.5, 1.5)


def _check_number(name: str, value: float, least: float, most: float) -> None:
    if type(value) not in (int, float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least:g} to {most:g}, not {value!r}")


class Verdict(enum.Enum):
    """What becomes of a request that is not sent again."""

    RETHROW = "rethrow"
    IGNORE = "ignore"


RETHROW: Final = Verdict.RETHROW
"""The caller gets the error."""
IGNORE: Final = Verdict.IGNORE
"""The caller gets a Result without rows."""


@dataclass(frozen=True)
class Retry:
    """Sends a request again."""

    host: Literal["same", "next", "any"] = "any"
    """The node that answered; another one of its data centre that this request has not met; or whichever load balancing picks.
    Where there is no such node, where `host` was given for the request, and for batches, it is load balancing."""
    consistency: Consistency | str | None = None
    """Another consistency, for this try and those after it."""
    pause: float | None = None
    """Seconds to wait before; None: as long as the policy says."""


@dataclass(frozen=True)
class Attempt:
    """A try that failed and was not the last."""

    error: errors.Error
    seconds: float
    """Since the request was first sent, when it failed."""
    pause: float
    """Seconds that were waited before the next."""

    @property
    def coordinator(self) -> Coordinator | None:
        return self.error.coordinator


@dataclass(frozen=True)
class FailedRequest:
    """What a policy may know of a request beside its error."""

    query: str
    """The CQL text; of a batch, what it is."""
    is_batch: bool
    is_read: bool
    """Whether it is a SELECT."""
    idempotent: bool | None
    """What the caller said of it."""
    attempts: tuple[Attempt, ...]
    """Earlier tries; empty after the first."""
    elapsed: float
    """Seconds since it was first sent."""
    remaining: float
    """Seconds of its timeout that are left; infinity where it has none."""

    def may_repeat(self, error: errors.Error) -> bool:
        """Whether sending it again cannot apply it twice: it reads, it is idempotent, or `error` says that nothing was applied.

        An overloaded node says that it cannot process the request; only `idempotent=False` doubts that.
        """
        if error.retryable or self.idempotent:
            return True
        return self.idempotent is None and (self.is_read or isinstance(error, errors.Overloaded))


@dataclass(frozen=True)
class RetryBudget:
    """How many retries a session may make, so that a cluster in trouble is not sent a multiple of what it cannot do already.

    A bucket of at most `most` retries, full at first: each request that the session sends puts `share` of a retry into it, and each
    second `per_second`. When it is empty, errors go to the caller at once. All policies of a session with equal budgets share one.
    """

    share: float = 0.2
    per_second: float = 10.0
    most: float = 100.0

    def __post_init__(self) -> None:
        for name in ("share", "per_second", "most"):
            _check_number(name, getattr(self, name), 0.0, math.inf)


class RetryPolicy:
    """Decides what becomes of requests that fail; for a cluster, a session, a statement, or one call (`retry_policy=`).

    A request is sent again at most `retries` times, within its timeout, after pauses that grow from `first_pause` to `longest_pause`
    (seconds; give or take a random half of each), and while the `budget` of the session lasts (None: always). Only requests that may be
    repeated are: reads, idempotent ones, and those of which it is certain that nothing was applied; `only_idempotent=False` lets
    every one be. `try_timeout` (seconds) ends each try, so that a node which does not answer is not waited for until the end.

    `RetryPolicy(retries=0)` retries nothing. Subclasses override `decide`, which is called on the event loop, or on that of
    whichever thread the request belongs to: it must not block, nor keep what belongs to one request.

    Raises TypeError or ValueError for options that do not fit.
    """

    def __init__(
        self,
        *,
        retries: int = 3,
        only_idempotent: bool = True,
        first_pause: float = 0.05,
        longest_pause: float = 3.2,
        try_timeout: float | None = None,
        budget: RetryBudget | None = RetryBudget(),
    ) -> None:
        if type(retries) is not int or retries < 0:
            raise ValueError(f"retries must be an int of at least 0, not {retries!r}")
        if not isinstance(only_idempotent, bool):
            raise TypeError(f"only_idempotent must be a bool, not {type(only_idempotent).__name__}")
        _check_number("first_pause", first_pause, 0.0, 86400.0)
        _check_number("longest_pause", longest_pause, first_pause, 86400.0)
        if try_timeout is not None:
            _check_number("try_timeout", try_timeout, 0.001, math.inf)
        if budget is not None and not isinstance(budget, RetryBudget):
            raise TypeError(f"budget must be a RetryBudget or None, not {type(budget).__name__}")
        self.retries = retries
        self.only_idempotent = only_idempotent
        self.first_pause = float(first_pause)
        self.longest_pause = float(longest_pause)
        self.try_timeout = try_timeout
        self.budget = budget

    def decide(self, error: errors.Error, request: FailedRequest) -> Retry | Verdict:
        """What to do about an error: a `Retry`, `RETHROW` or `IGNORE`. The policy's limits hold for whatever this says.

        Here, from the error's fields: what does not pass is rethrown, and so are counter updates and conditional writes of which it is
        not known whether they were applied. A node that has enough answers but not the data gets another chance, and one that could
        not write the batch log; else it is another node's turn.
        """
        if not error.transient or error.write_type in ("COUNTER", "CAS"):
            return RETHROW
        if isinstance(error, errors.ReadTimeout) and error.received is not None and error.required is not None:
            return Retry("same" if error.received >= error.required and not error.data_present else "next")
        if isinstance(error, errors.WriteTimeout) and error.write_type == "BATCH_LOG":
            return Retry("same")
        if isinstance(error, (errors.NoHostsAvailable, errors.RequestQueueFull)):
            return Retry("any")
        return Retry("next")

    def pause(self, tries: int) -> float:
        """Seconds to wait when so many tries have failed."""
        return back_off(tries, self.first_pause, self.longest_pause)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.retries} retries>"


NO_RETRIES: Final = RetryPolicy(retries=0)


class _Bucket:
    """What is left of a budget."""

    def __init__(self, budget: RetryBudget, requests: int) -> None:
        self._budget = budget
        self._lock = threading.Lock()  # around all of take: a session may be used from several threads
        self._left = budget.most
        self._seen = requests
        self._looked = time.monotonic()

    def take(self, requests: int) -> bool:
        """Whether one more retry may be made, when the session has sent so many requests."""
        with self._lock:
            now = time.monotonic()
            earned = self._budget.share * (requests - self._seen) + self._budget.per_second * (now - self._looked)
            self._left = min(self._budget.most, self._left + earned)
            self._seen, self._looked = requests, now
            if self._left < 1.0:
                return False
            self._left -= 1.0
            return True


class SessionRetries:
    """What a session knows about its retries: budgets, nodes, and what `Session.metrics` tells."""

    def __init__(self, session: Session) -> None:
        self._reference = weakref.ref(session)  # which owns this
        self._buckets: dict[RetryBudget, _Bucket] = {}
        self._hosts: list[tuple[str, int, str]] = []  # address, port, data centre
        self._hosts_read = -math.inf
        self._is_reading_hosts = False
        self.counts = {"sent": 0, "succeeded": 0, "ignored": 0, "over_budget": 0}

    @property
    def _session(self) -> Session:
        session = self._reference()
        assert session is not None  # it called
        return session

    def allows(self, budget: RetryBudget | None, requests: int) -> bool:
        if budget is None:
            return True
        bucket = self._buckets.get(budget)
        if bucket is None:
            bucket = self._buckets.setdefault(budget, _Bucket(budget, requests))
        if bucket.take(requests):
            return True
        self.counts["over_budget"] += 1
        return False

    async def other_host(self, met: set[str], timeout: float) -> tuple[str, int] | None:
        """A node of the data centre of those that were met, and none of them; None where none is known."""
        if time.monotonic() > self._hosts_read + _HOSTS_AGE and not self._is_reading_hosts:
            self._is_reading_hosts = True
            try:
                await self._read_hosts(min(timeout, _HOSTS_TIMEOUT))
            except errors.Error:
                pass  # the next who asks tries again
            finally:
                self._is_reading_hosts = False
        near = {datacenter for address, _, datacenter in self._hosts if address in met}
        others = [(address, port) for address, port, datacenter in self._hosts if address not in met and datacenter in near]
        return random.choice(others) if others else None

    async def _read_hosts(self, timeout: float) -> None:
        from acsylla_like import _native, topology  # which need this module

        options = _native.Options(timeout=timeout, consistency=Consistency.ONE, retry_policy=NO_RETRIES)
        found = await topology.read_topology(self._session, options)
        self._hosts = [(node.address, node.port, node.data_center) for node in found.nodes]
        self._hosts_read = time.monotonic()


class Retries:
    """The tries of one request, from its first failure on."""

    def __init__(
        self,
        session: Session,
        policy: RetryPolicy,
        query: str | PreparedStatement | Batch,
        options: Options,
        started: float,
        timeout: float,
    ) -> None:
        text = query if isinstance(query, str) else getattr(query, "query", None)
        self._session = session
        self._policy = policy
        self._text: str = repr(query) if text is None else text
        self._is_batch = text is None
        from acsylla_like import select_star  # which needs the native part, and that needs this module

        self._is_read = text is not None and select_star.first_word(text) == "SELECT"
        self._options = options
        self._first_options = options
        self._started = started
        self._timeout = timeout
        self._attempts: list[Attempt] = []
        self._met: set[str] = set()

    def after(self, error: errors.Error) -> Coroutine[None, None, Options] | Verdict:
        """What a failure leads to: a verdict, or a coroutine that waits and then has the options of the next try.

        Raises what the policy raises, and TypeError for a decision that is none.
        """
        policy = self._policy
        tries = len(self._attempts) + 1
        elapsed = time.monotonic() - self._started
        request = FailedRequest(
            query=self._text,
            is_batch=self._is_batch,
            is_read=self._is_read,
            idempotent=self._first_options.is_idempotent,
            attempts=tuple(self._attempts),
            elapsed=elapsed,
            remaining=self._timeout - elapsed,
        )
        error.attempts = request.attempts  # which also says that it was decided about
        if error.coordinator is not None:
            self._met.add(error.coordinator.address)
        if policy.retries == 0:
            return RETHROW
        decision = policy.decide(error, request)
        if isinstance(decision, Verdict):
            if decision is IGNORE:
                self._session._retries.counts["ignored"] += 1
            return decision
        if not isinstance(decision, Retry):
            raise TypeError(f"{policy!r} must decide for a Retry, RETHROW or IGNORE, not {decision!r}") from error
        if tries > policy.retries or (policy.only_idempotent and not request.may_repeat(error)):
            return RETHROW
        pause = policy.pause(tries) if decision.pause is None else decision.pause
        if pause >= request.remaining or not self._session._retries.allows(policy.budget, self._session._requests_started):
            return RETHROW
        self._attempts.append(Attempt(error, elapsed, pause))
        self._session._retries.counts["sent"] += 1
        return self._next(decision, error, pause)

    async def _next(self, decision: Retry, error: errors.Error, pause: float) -> Options:
        end = time.monotonic() + pause
        host: Coordinator | tuple[str, int] | None = None
        if not self._is_batch and not self._first_options.has_host:
            if decision.host == "same":
                host = error.coordinator
            elif decision.host == "next":
                # While the pause lasts anyway, or a moment longer where the nodes are not known yet.
                host = await self._session._retries.other_host(self._met, self._remaining())
        await asyncio.sleep(end - time.monotonic())
        if decision.consistency is not None:
            self._options = self._options.with_changes(consistency=decision.consistency)
        options = self._options.with_changes(timeout=self._remaining())
        if host is not None:
            options = options.with_changes(host=host)
            self._met.add(host[0] if isinstance(host, tuple) else host.address)
        return options

    def _remaining(self) -> float:
        """Seconds, at least a millisecond: whoever comes too late gets a timeout from the driver."""
        return max(0.001, self._started + self._timeout - time.monotonic())

    def succeeded(self) -> None:
        self._session._retries.counts["succeeded"] += 1
