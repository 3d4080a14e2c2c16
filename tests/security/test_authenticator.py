"""Authenticators written in Python, on a server that says what it wants to hear: none of their ends is a hang."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from waiting import until

import acsylla_like
from acsylla_like import Authenticator, AuthExchange, PlainTextAuthenticator, _native, errors
from acsylla_like.testing import ScriptedServer, cql

CLASS = "com.example.TwoSteps"
_TIMEOUT = 0.5


def two_steps(tokens: Sequence[bytes]) -> cql.Answer:
    """begin → one? → one! → two? → two! → done"""
    expected = [b"begin", b"one!", b"two!"]
    if list(tokens) != expected[: len(tokens)]:
        return cql.error(cql.BAD_CREDENTIALS, "that is not what was asked")
    return cql.auth_success(b"done") if len(tokens) == 3 else cql.auth_challenge([b"one?", b"two?"][len(tokens) - 1])


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(authenticator=CLASS, authenticate=two_steps) as server:
        yield server


class Plain(Authenticator):
    """Answers by plain functions, and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, AuthExchange]] = []
        self.threads: set[str] = set()
        self.succeeded: list[bytes] = []

    def initial_response(self) -> bytes:
        return b"begin"

    def challenge(self, token: bytes, exchange: AuthExchange) -> bytes:
        self.threads.add(threading.current_thread().name)
        self.seen.append((token, exchange))
        exchange.state = (exchange.state or 0) + 1
        return token.replace(b"?", b"!")

    def success(self, token: bytes, exchange: AuthExchange) -> None:
        assert exchange.state == 2
        self.succeeded.append(token)


class Async(Plain):
    """Likewise, on the loop."""

    async def initial_response(self) -> bytes:
        await asyncio.sleep(0)
        return super().initial_response()

    async def challenge(self, token: bytes, exchange: AuthExchange) -> bytes:
        await asyncio.sleep(0)
        return super().challenge(token, exchange)

    async def success(self, token: bytes, exchange: AuthExchange) -> None:
        await asyncio.sleep(0)
        super().success(token, exchange)


async def ask(server: ScriptedServer, authenticator: Authenticator, **options) -> None:
    options = {"auth_timeout": _TIMEOUT, **options}
    async with acsylla_like.connect(server.address, port=server.port, authenticator=authenticator, **options) as session:
        await session.execute("SELECT v FROM ks.t")


async def refused(server: ScriptedServer, authenticator: Authenticator, **options) -> errors.AuthenticationError:
    began = time.monotonic()
    with pytest.raises(errors.AuthenticationError) as caught:
        await ask(server, authenticator, **options)
    assert time.monotonic() - began < 10 * _TIMEOUT
    assert server.requests == []
    return caught.value


@pytest.mark.parametrize("kind", [Plain, Async])
async def test_a_challenge_of_two_steps(server, kind):
    authenticator = kind()
    await ask(server, authenticator)
    connections = len(server.logins)  # the control connection, and those for requests
    assert connections >= 2
    assert list(server.logins.values()) == [[b"begin", b"one!", b"two!"]] * connections
    assert authenticator.succeeded == [b"done"] * connections
    assert {exchange.address for _, exchange in authenticator.seen} == {server.address}
    assert {exchange.server for _, exchange in authenticator.seen} == {CLASS}
    assert len({id(exchange) for _, exchange in authenticator.seen}) == connections
    assert authenticator.threads == ({"acsylla_like authenticator"} if kind is Plain else {threading.current_thread().name})


async def test_the_thread_goes_with_the_last_session(server):
    cluster = acsylla_like.create_cluster(server.address, port=server.port, authenticator=Plain(), auth_timeout=_TIMEOUT)

    def threads() -> int:
        return sum(thread.name == "acsylla_like authenticator" for thread in threading.enumerate())

    sessions = [await cluster.create_session() for _ in range(3)]
    assert threads() == 1
    for session in sessions[:2]:
        await session.close()
    assert threads() == 1
    await sessions[2].close()
    await until(lambda: threads() == 0)
    async with await cluster.create_session():
        assert threads() == 1


async def test_a_session_that_was_dropped_ends_the_thread_too(server):
    kept = [await acsylla_like.connect(server.address, port=server.port, authenticator=Plain())]
    await asyncio.sleep(0)  # the loop lets go of what has connected it
    with pytest.warns(ResourceWarning, match="unclosed session"):
        kept.clear()


# ---- errors, and never a hang


class Raises(Plain):
    def challenge(self, token: bytes, exchange: AuthExchange) -> bytes:
        raise LookupError("the secret is 4711")


class RaisesOnTheLoop(Plain):
    async def challenge(self, token: bytes, exchange: AuthExchange) -> bytes:
        raise LookupError("the secret is 4711")


class RaisesOnSuccess(Plain):
    def success(self, token: bytes, exchange: AuthExchange) -> None:
        raise LookupError("the secret is 4711")


@pytest.mark.parametrize("kind", [Raises, RaisesOnTheLoop, RaisesOnSuccess])
async def test_an_exception_is_the_cause_of_the_error_and_its_text_goes_nowhere_else(server, kind, caplog):
    caplog.set_level(logging.DEBUG)
    error = await refused(server, kind())
    assert "the authenticator raised LookupError" in str(error)
    assert isinstance(error.__cause__, LookupError)
    assert "4711" not in f"{error!r} {error} {caplog.text}"


class Sleeps(Plain):
    released = threading.Event()

    def challenge(self, token: bytes, exchange: AuthExchange) -> bytes:
        self.released.wait(30)
        return b""


class SleepsOnTheLoop(Plain):
    async def challenge(self, token: bytes, exchange: AuthExchange) -> bytes:
        await asyncio.sleep(30)
        return b""


@pytest.mark.parametrize("kind", [Sleeps, SleepsOnTheLoop])
async def test_a_deadline_ends_the_wait(server, kind):
    began = time.monotonic()
    try:
        error = await refused(server, kind())
    finally:
        Sleeps.released.set()
    assert time.monotonic() - began >= _TIMEOUT
    assert "did not answer" in str(error)


async def test_the_loop_goes_on_while_a_challenge_waits(server):
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    counting = asyncio.ensure_future(count())
    Sleeps.released.clear()
    try:
        await refused(server, Sleeps())
    finally:
        Sleeps.released.set()
        counting.cancel()
    assert turns > 10


async def test_a_blocked_loop_ends_in_an_error(server):
    is_blocked = threading.Event()

    def when_blocked(tokens: Sequence[bytes]) -> cql.Answer:
        is_blocked.wait(10)
        return two_steps(tokens)

    server.authenticate = when_blocked
    connecting = asyncio.ensure_future(refused(server, Async()))
    await until(lambda: server.logins)
    is_blocked.set()
    time.sleep(3 * _TIMEOUT)  # noqa: ASYNC251
    error = await connecting
    assert "did not answer" in str(error)


def test_a_closed_loop_ends_in_an_error(server, loop_factory, caplog):
    caplog.set_level(logging.INFO, "acsylla_like.driver")
    loop = loop_factory()
    authenticator = Async()
    cluster = acsylla_like.create_cluster(server.address, port=server.port, authenticator=authenticator, auth_timeout=_TIMEOUT)
    session = loop.run_until_complete(cluster.create_session())
    loop.close()
    authenticator.seen.clear()
    known = set(server.logins)
    server.drop_connections()
    server.wait_for(lambda server: len(server.logins) > len(known))
    server.wait_for(lambda server: server.open_connections == 0)
    assert all(tokens == [b"begin"] for number, tokens in server.logins.items() if number not in known)
    assert authenticator.seen == []
    with pytest.warns(ResourceWarning, match="unclosed session"):
        del session
    _native.deliver_log_lines()
    assert "the event loop of the authenticator is closed" in caplog.text


class Wrong(Plain):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def challenge(self, token: bytes, exchange: AuthExchange) -> bytes:
        return self.answer  # type: ignore[return-value]


@pytest.mark.parametrize("answer", [None, "one!", 5])
async def test_an_answer_that_is_no_bytes(server, answer):
    error = await refused(server, Wrong(answer))
    assert f"challenge must return bytes, not {type(answer).__name__}" in str(error)


async def test_the_servers_refusal(server):
    error = await refused(server, Wrong(b"two!"))
    assert "that is not what was asked" in str(error)


class Initial(Authenticator):
    def __init__(self, function) -> None:
        self.function = function

    def initial_response(self):
        return self.function()


async def test_a_challenge_to_which_there_is_no_answer(server):
    error = await refused(server, Initial(lambda: b"begin"))
    assert "the server sends a challenge, and the authenticator answers none" in str(error)


async def too_long() -> bytes:
    await asyncio.sleep(30)
    return b""


def raising() -> bytes:
    raise LookupError("the secret is 4711")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (raising, "no initial response: the authenticator raised LookupError"),
        (too_long, "no initial response: the authenticator did not answer in time"),
        (lambda: "begin", "no initial response: initial_response must return bytes, not str"),
    ],
)
async def test_without_an_initial_response_nothing_is_sent(server, function, words):
    error = await refused(server, Initial(function), connect_timeout=_TIMEOUT)
    assert words in str(error)
    assert "4711" not in str(error)
    assert isinstance(error.__cause__, Exception)
    assert server.connections_accepted == 0


async def test_cancelling_a_connect_that_waits_for_its_response(server):
    connecting = asyncio.ensure_future(ask(server, Initial(too_long)))
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting


# ---- responses that change


def count(values: list[str]):
    """A function that returns each in turn, the last for ever."""

    def function() -> str:
        return values.pop(0) if len(values) > 1 else values[0]

    return function


def asynchronous(function):
    async def call() -> str:
        await asyncio.sleep(0)
        return function()

    return call


def first_tokens(server: ScriptedServer) -> list[bytes]:
    return [tokens[0] for tokens in server.logins.values()]


@pytest.fixture
def plain_server() -> Iterator[ScriptedServer]:
    with ScriptedServer(authenticator="org.apache.cassandra.auth.PasswordAuthenticator") as server:
        yield server


@pytest.mark.parametrize("wrap", [lambda function: function, asynchronous])
async def test_a_password_from_a_function_is_asked_for_once_per_session(plain_server, wrap):
    password = wrap(count(["one", "two", "three"]))
    cluster = acsylla_like.create_cluster(plain_server.address, port=plain_server.port, username="u", password=password)
    for expected in (b"\0u\0one", b"\0u\0two"):
        async with await cluster.create_session():
            pass
        assert set(first_tokens(plain_server)) == {expected}
        plain_server.logins.clear()


@pytest.mark.parametrize("wrap", [lambda function: function, asynchronous])
async def test_a_later_connection_has_credentials_of_its_own_time(plain_server, wrap):
    passwords = ["one", "two"]
    threads = []

    def credentials() -> tuple[str, str]:
        threads.append(threading.current_thread())
        return "u", passwords[0]

    authenticator = PlainTextAuthenticator(wrap(credentials))
    authenticator.renew_after = 0.0
    async with acsylla_like.connect(plain_server.address, port=plain_server.port, authenticator=authenticator) as session:
        passwords.pop(0)
        plain_server.authenticate = lambda tokens: (
            cql.auth_success() if tokens[0].endswith(b"two") else cql.error(cql.BAD_CREDENTIALS, "old")
        )
        before = len(plain_server.logins)
        plain_server.drop_connections()
        deadline = time.monotonic() + 15
        while True:  # the driver tries again after about two seconds
            try:
                await session.execute("SELECT v FROM ks.t")
                break
            except ConnectionError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        assert set(first_tokens(plain_server)[before:]) == {b"\0u\0two"}
    assert set(threads) == {threading.current_thread()}


async def test_an_old_response_serves_when_there_is_no_new_one(plain_server):
    answers = iter(["one"])
    authenticator = PlainTextAuthenticator(lambda: ("u", next(answers)))
    authenticator.renew_after = 0.0
    async with acsylla_like.connect(
        plain_server.address, port=plain_server.port, authenticator=authenticator, auth_timeout=_TIMEOUT
    ) as session:
        await session.execute("SELECT v FROM ks.t")
    assert set(first_tokens(plain_server)) == {b"\0u\0one"}


# ---- options


@pytest.mark.parametrize(
    ("options", "error_class", "words"),
    [
        ({"authenticator": 5}, TypeError, "authenticator must be an acsylla_like.Authenticator, not int"),
        ({"authenticator": Plain}, TypeError, "not type"),
        ({"authenticator": Plain(), "username": "u", "password": "p"}, ValueError, "takes the place of username and password"),
        ({"authenticator": Plain(), "auth_timeout": 0}, ValueError, "auth_timeout must be positive"),
        ({"authenticator": Plain(), "auth_timeout": 61}, ValueError, "auth_timeout must be at most 60 s"),
        ({"authenticator": Plain(), "auth_timeout": "2"}, TypeError, "auth_timeout must be a number of seconds"),
        ({"password": lambda: "p"}, ValueError, "username and password go together"),
        ({"username": 5, "password": lambda: "p"}, TypeError, "username must be a str, not int"),
        ({"username": "u", "password": b"geheim"}, TypeError, "password must be a str, not bytes"),
    ],
)
def test_options_that_do_not_fit_are_named(options, error_class, words):
    with pytest.raises(error_class, match=words) as caught:
        acsylla_like.create_cluster("127.0.0.1", **options)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("geheim", "credentials must return a username and a password, two str"),
        (("u", 5), "two str"),
        (("u", "ge\0heim"), "no NUL"),
    ],
)
async def test_credentials_that_do_not_fit(plain_server, given, words):
    error = await refused(plain_server, PlainTextAuthenticator(lambda: given))
    assert words in str(error)
    assert "heim" not in f"{error} {error.__cause__}"
    with pytest.raises(TypeError, match="credentials must be a function, not tuple"):
        PlainTextAuthenticator(("u", "p"))  # type: ignore[arg-type]


async def test_a_password_function_that_returns_no_text(plain_server):
    with pytest.raises(errors.AuthenticationError, match="password must return a str, not bytes"):
        await acsylla_like.connect(plain_server.address, port=plain_server.port, username="u", password=lambda: b"geheim")


async def test_without_credentials_the_error_says_what_is_wanted(plain_server):
    with pytest.raises(errors.AuthenticationError, match="the server asks for a username and a password"):
        await acsylla_like.connect(plain_server.address, port=plain_server.port)


def test_authenticators_are_neither_pickled_nor_shown():
    authenticator = PlainTextAuthenticator(lambda: ("u", "geheim"))
    assert repr(authenticator) == "<PlainTextAuthenticator>"
    for attempt in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="may hold secrets"):
            attempt(authenticator)


def test_what_was_made_by_new_is_refused():
    bridge = _native.AuthenticatorBridge.__new__(_native.AuthenticatorBridge)
    for call in (lambda: bridge.set_response(b""), bridge.open, bridge.close, lambda: bridge.next(1), lambda: bridge.answer(1, b"")):
        with pytest.raises(TypeError, match="made by __new__"):
            call()


async def test_a_forked_child_is_told_to_make_a_cluster_of_its_own(server):
    cluster = acsylla_like.create_cluster(server.address, port=server.port, authenticator=Plain())
    async with await cluster.create_session():
        process = os.getpid()
        assert cluster.login is not None
        cluster.login._process = process + 1
        with pytest.raises(errors.ForkError, match="make one in this process"):
            await cluster.create_session()
        cluster.login._process = process
