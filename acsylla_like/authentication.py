"""Authentication: what connections answer when the server asks who they are.

The driver asks on its I/O threads, which never wait for the interpreter. They take the response that was computed on the event
loop; where only Python knows the answer, they wait for a thread of ours, for `auth_timeout` seconds at most
(src_cpp/authenticator.hpp).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from acsylla_like import errors

if TYPE_CHECKING:
    from acsylla_like._native import AuthenticatorBridge
    from acsylla_like.session import Session

__all__ = ["AuthExchange", "Authenticator", "DsePlainTextAuthenticator", "PlainTextAuthenticator"]

T = TypeVar("T")

# Authenticator::Kind in src_cpp/authenticator.hpp
_RENEWAL, _CHALLENGE, _SUCCESS, _END = range(4)


@dataclass
class AuthExchange:
    """One connection's exchange with the server."""

    address: str
    """The IP address of the node."""
    server: str
    """The class of the server's authenticator."""
    state: Any = None
    """The authenticator's own, from one step to the next."""


class _Secretive:
    """What holds secrets: neither shown nor pickled."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} may hold secrets, and is not pickled: make it where it is used")


class Authenticator(_Secretive):
    """The base of authenticators of your own: the option `authenticator` of `create_cluster` and `connect`.

    Plain functions and `async def` will do. An exception, a deadline or a loop that is blocked or closed ends in an
    AuthenticationError of the connection; of exceptions the server's log and the driver's see nothing but the class.
    """

    renew_after: float = 10.0
    """Seconds after which `initial_response` is called again for the next connection."""

    def initial_response(self) -> bytes | Awaitable[bytes]:
        """What connections begin with.

        Called on the event loop of the session before it connects, where it may take `connect_timeout`, and again when a
        connection needs a response and the last is older than `renew_after`. If it fails then, the last one is sent.
        """
        raise NotImplementedError

    def challenge(self, token: bytes, exchange: AuthExchange) -> bytes | Awaitable[bytes]:
        """The answer to a challenge. An I/O thread waits for it, `auth_timeout` at most: with it, all requests that it serves.

        A plain function is called by a thread of ours, `async def` runs on the session's event loop.
        """
        raise NotImplementedError

    def success(self, token: bytes, exchange: AuthExchange) -> Awaitable[None] | None:
        """Called when the server is content; raising gives the connection up. Waited for as `challenge`."""

    @property
    def _wants_challenges(self) -> bool:
        return type(self).challenge is not Authenticator.challenge

    @property
    def _wants_success(self) -> bool:
        return type(self).success is not Authenticator.success


class PlainTextAuthenticator(Authenticator):
    """A username and a password that may change: `credentials` returns both, and may be `async def`.

    With a password alone that changes, `password=` of `create_cluster` takes a function, too.
    """

    def __init__(self, credentials: Callable[[], tuple[str, str] | Awaitable[tuple[str, str]]]) -> None:
        if not callable(credentials):
            raise TypeError(f"credentials must be a function, not {type(credentials).__name__}")
        self._credentials = credentials

    async def initial_response(self) -> bytes:
        given: Any = self._credentials()
        if inspect.isawaitable(given):
            given = await given
        if not isinstance(given, (tuple, list)) or len(given) != 2 or not all(isinstance(part, str) for part in given):
            raise Mistake("credentials must return a username and a password, two str")
        username, password = given
        if "\0" in username or "\0" in password:
            raise Mistake("a username and a password have no NUL in them")
        return f"\0{username}\0{password}".encode()


class DsePlainTextAuthenticator(_Secretive):
    """A username and a password for DataStax Enterprise's DseAuthenticator; requests run as `authorization_id`, if one is given.

    The role `username` must have been granted PROXY.EXECUTE or PROXY.LOGIN on that one.
    """

    def __init__(self, username: str, password: str, *, authorization_id: str = "") -> None:
        for name, value in (("username", username), ("password", password), ("authorization_id", authorization_id)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a str, not {type(value).__name__}")
            if "\0" in value:
                raise ValueError(f"{name} must have no NUL in it")
        self._parts = (username, password, authorization_id)

    def _encoded(self) -> tuple[bytes, ...]:
        return tuple(part.encode() for part in self._parts)


def chosen_authenticator(username: object, password: object, authenticator: object) -> Authenticator | DsePlainTextAuthenticator | None:
    """What the options of a cluster ask for; None for a username and a password that stay, or for nobody."""
    if authenticator is not None:
        if username is not None or password is not None:
            raise ValueError("an authenticator takes the place of username and password")
        if not isinstance(authenticator, (Authenticator, DsePlainTextAuthenticator)):
            raise TypeError(f"authenticator must be an acsylla_like.Authenticator, not {type(authenticator).__name__}")
        return authenticator
    if (username is None) != (password is None):
        raise ValueError("username and password go together")
    if not callable(password):
        return None
    if not isinstance(username, str):
        raise TypeError(f"username must be a str, not {type(username).__name__}")
    name, function = username, password

    async def credentials() -> tuple[str, str]:
        given = function()
        if inspect.isawaitable(given):
            given = await given
        if not isinstance(given, str):
            raise Mistake(f"password must return a str, not {type(given).__name__}")
        return name, given

    return PlainTextAuthenticator(credentials)


class Mistake(TypeError):
    """One whose text has no secrets in it."""


class _LoopClosed(RuntimeError):
    """There is no event loop that could be asked."""


class Login:
    """Answers for a cluster's connections while it has sessions."""

    def __init__(self, authenticator: Authenticator, bridge: AuthenticatorBridge, timeout: float) -> None:
        self._authenticator = authenticator
        self._bridge = bridge
        self._timeout = timeout
        self._process = os.getpid()
        self._lock = threading.Lock()  # guards _seats, and whether a worker runs
        self._seats: list[_Seat] = []
        self._error: BaseException | None = None

    async def join(self, session: Session, patience: float) -> Callable[[], object]:
        """Before a session connects: computes its response, in `patience` seconds; returns the function that ends this.

        Raises AuthenticationError, ForkError.
        """
        if os.getpid() != self._process:
            raise errors.ForkError(
                "the cluster was made before the fork, and its authenticator has no thread here: make one in this process"
            )
        self._error = None
        try:
            response = await asyncio.wait_for(self._initial_response(), patience)
        except Exception as error:
            raise errors.AuthenticationError(f"no initial response: {_told(error)}") from error
        self._bridge.set_response(response)
        seat = _Seat(weakref.ref(asyncio.get_running_loop()))
        with self._lock:
            self._seats.append(seat)
            if len(self._seats) == 1:
                number = self._bridge.open()
                threading.Thread(target=self._work, args=(number,), name="acsylla_like authenticator", daemon=True).start()
        return weakref.finalize(session, self._leave, seat)

    def _leave(self, seat: _Seat) -> None:
        if os.getpid() != self._process:  # the thread is the parent's, and so may be the locks
            return
        with self._lock:
            self._seats.remove(seat)
            if not self._seats:
                self._bridge.close()

    def take_error(self) -> BaseException | None:
        """What an answer failed with last."""
        error, self._error = self._error, None
        return error

    async def _initial_response(self) -> bytes:
        response: Any = self._authenticator.initial_response()
        if inspect.isawaitable(response):
            response = await response
        return _bytes("initial_response", response)

    def _work(self, number: int) -> None:
        exchanges: dict[int, AuthExchange] = {}
        while (question := self._bridge.next(number)) is not None:
            identity, exchange, kind, token, address, server = question
            if kind == _END:
                exchanges.pop(exchange, None)
                continue
            try:
                answer = self._answer(kind, token, exchanges.setdefault(exchange, AuthExchange(address, server)))
            except BaseException as error:  # whatever it is, somebody waits
                self._error = error
                self._bridge.refuse(identity, _told(error))
            else:
                self._bridge.answer(identity, answer)

    def _answer(self, kind: int, token: bytes, exchange: AuthExchange) -> bytes:
        if kind == _RENEWAL:
            return self._on_loop(self._initial_response)
        function: Callable[..., Any] = self._authenticator.challenge if kind == _CHALLENGE else self._authenticator.success
        is_plain = not inspect.iscoroutinefunction(function)
        made = function(token, exchange) if is_plain else self._on_loop(lambda: function(token, exchange))
        return b"" if kind == _SUCCESS else _bytes("challenge", made)

    def _on_loop(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine on the event loop of a session; called by the worker. Raises TimeoutError, _LoopClosed."""
        with self._lock:
            loops = [loop for seat in self._seats if (loop := seat.loop()) is not None and not loop.is_closed()]
        if not loops:
            raise _LoopClosed
        loop = loops[-1]
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            if outcome.set_running_or_notify_cancel():
                tasks.append(loop.create_task(function()))
                tasks[0].add_done_callback(lambda task: _copy(task, outcome))

        try:
            loop.call_soon_threadsafe(start)
        except RuntimeError:
            raise _LoopClosed from None
        try:
            return outcome.result(self._timeout)
        except concurrent.futures.TimeoutError:
            if not outcome.cancel() and not outcome.done() and not loop.is_closed():
                loop.call_soon_threadsafe(lambda: tasks[0].cancel())
            raise TimeoutError from None


@dataclass(eq=False)
class _Seat:
    """A session's part in a Login."""

    loop: weakref.ref[asyncio.AbstractEventLoop]


def _copy(task: asyncio.Task[T], outcome: concurrent.futures.Future[T]) -> None:
    if task.cancelled():
        outcome.set_exception(TimeoutError())
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


def _bytes(function: str, response: object) -> bytes:
    if not isinstance(response, bytes):
        raise Mistake(f"{function} must return bytes, not {type(response).__name__}")
    return response


def _told(error: BaseException) -> str:
    """What the driver, its log and the text of an error may say of an exception, whose own text may have secrets in it."""
    if isinstance(error, _LoopClosed):
        return "the event loop of the authenticator is closed"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "the authenticator did not answer in time: it waits, or its event loop is blocked"
    if isinstance(error, Mistake):
        return str(error)
    return f"the authenticator raised {type(error).__name__}"
