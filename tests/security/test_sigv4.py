"""Amazon Keyspaces' signatures: those that its public plugins for other drivers publish, and the exchange with a server."""

from __future__ import annotations

import asyncio
import datetime
import pickle
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

import acsylla_like
from acsylla_like import AwsCredentials, SigV4Authenticator, errors, sigv4
from acsylla_like.testing import ScriptedServer, cql

KEYSPACES = "com.amazonaws.cassandra.auth.SigV4"
NONCE = b"91703fdc2ef562e19fbdab0f58e42fe5"
MOMENT = datetime.datetime(2020, 6, 9, 22, 41, 51, tzinfo=datetime.timezone.utc)
PUBLISHED = (
    b"signature=7f3691c18a81b8ce7457699effbfae5b09b4e0714ab38c1292dbdf082c9ddd87,access_key=UserID-1,amzdate=2020-06-09T22:41:51.000Z"
)
CREDENTIALS = AwsCredentials("UserID-1", "UserSecretKey-1")


@pytest.mark.parametrize(("token", "end"), [(None, b""), ("sess-token-1", b",session_token=sess-token-1")])
def test_the_published_signature(token, end):
    credentials = CREDENTIALS._replace(token=token)
    assert sigv4.signed_response(NONCE, "us-west-2", credentials, MOMENT) == PUBLISHED + end


def test_every_part_counts():
    others = [
        (NONCE[::-1], "us-west-2", CREDENTIALS, MOMENT),
        (NONCE, "us-east-1", CREDENTIALS, MOMENT),
        (NONCE, "us-west-2", CREDENTIALS._replace(secret_key="UserSecretKey-2"), MOMENT),
        (NONCE, "us-west-2", CREDENTIALS, MOMENT + datetime.timedelta(milliseconds=1)),
    ]
    signatures = {sigv4.signed_response(*given).partition(b",")[0] for given in others}
    assert len(signatures) == 4
    assert PUBLISHED.partition(b",")[0] not in signatures


def checks(secret: str, region: str = "us-west-2", challenge: bytes = b"nonce=" + NONCE + b","):
    """A server that knows the secret and computes the signature for the time that the client says."""

    def authenticate(tokens: Sequence[bytes]) -> cql.Answer:
        if len(tokens) == 1:
            return cql.auth_challenge(challenge) if tokens[0] == b"SigV4\0\0" else cql.error(cql.BAD_CREDENTIALS, "no SigV4")
        said = dict(part.split("=", 1) for part in tokens[1].decode().split(","))
        moment = datetime.datetime.strptime(said["amzdate"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
        assert abs(datetime.datetime.now(datetime.timezone.utc) - moment) < datetime.timedelta(minutes=1)
        credentials = AwsCredentials(said["access_key"], secret, said.get("session_token"))
        if sigv4.signed_response(NONCE, region, credentials, moment) == tokens[1]:
            return cql.auth_success()
        return cql.error(cql.BAD_CREDENTIALS, "Authentication failure")

    return authenticate


async def ask(server: ScriptedServer, authenticator: SigV4Authenticator) -> None:
    async with acsylla_like.connect(server.address, port=server.port, authenticator=authenticator) as session:
        await session.execute("SELECT v FROM ks.t")


async def credentials_later() -> AwsCredentials:
    await asyncio.sleep(0)
    return AwsCredentials("key", "secret", "a/token+with=signs")


@pytest.mark.parametrize(
    "credentials",
    [
        lambda: AwsCredentials("key", "secret"),
        lambda: ("key", "secret"),
        lambda: ("key", "secret", None),
        lambda: SimpleNamespace(access_key="key", secret_key="secret", token="token"),
        credentials_later,
    ],
)
async def test_the_exchange(credentials):
    with ScriptedServer(authenticator=KEYSPACES, authenticate=checks("secret")) as server:
        await ask(server, SigV4Authenticator("us-west-2", credentials))
        assert {tokens[0] for tokens in server.logins.values()} == {b"SigV4\0\0"}
        assert all(len(tokens) == 2 for tokens in server.logins.values())


async def test_the_environment(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="neither AWS_REGION nor AWS_DEFAULT_REGION is set"):
        SigV4Authenticator()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert SigV4Authenticator().region == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    with ScriptedServer(authenticator=KEYSPACES, authenticate=checks("geheim")) as server:
        with pytest.raises(errors.AuthenticationError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY not set"):
            await ask(server, SigV4Authenticator())
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        await ask(server, SigV4Authenticator())
    assert {tokens[1].rpartition(b",")[2] for tokens in server.logins.values()} == {b"session_token=token"}


async def test_a_wrong_secret_and_a_server_that_is_no_keyspaces(caplog):
    caplog.set_level("DEBUG")
    with ScriptedServer(authenticator=KEYSPACES, authenticate=checks("secret")) as server:
        with pytest.raises(errors.AuthenticationError, match="Authentication failure") as caught:
            await ask(server, SigV4Authenticator("us-west-2", lambda: ("key", "geheim")))
        assert "geheim" not in f"{caught.value!r} {caught.value} {caplog.text}"
        server.authenticate = checks("secret", challenge=b"something else")
        with pytest.raises(errors.AuthenticationError, match="the server's challenge has no nonce"):
            await ask(server, SigV4Authenticator("us-west-2", lambda: ("key", "secret")))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("geheim", "each a str"),
        (None, "each a str"),
        (("key", b"geheim"), "each a str"),
        (("key", "geheim", 5), "each a str"),
        (("", "geheim"), "not empty"),
        (("key", ""), "not empty"),
        (("a,b", "geheim"), "no comma"),
    ],
)
async def test_credentials_that_do_not_fit(given, words):
    with ScriptedServer(authenticator=KEYSPACES) as server, pytest.raises(errors.AuthenticationError, match=words) as caught:
        await ask(server, SigV4Authenticator("us-west-2", lambda: given))
    assert "geheim" not in f"{caught.value} {caught.value.__cause__}"


def test_options_that_do_not_fit_are_named():
    with pytest.raises(TypeError, match="region must be a str, not int"):
        SigV4Authenticator(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="credentials must be a function, not tuple"):
        SigV4Authenticator("us-west-2", ("key", "geheim"))  # type: ignore[arg-type]


def test_nothing_secret_is_shown_or_pickled():
    authenticator = SigV4Authenticator("us-west-2", lambda: ("key", "geheim"))
    assert repr(authenticator) == "<SigV4Authenticator>"
    credentials = AwsCredentials("key", "geheim", "token")
    assert repr(credentials) == str(credentials) == "AwsCredentials(access_key='key', …)"
    for thing in (authenticator, credentials):
        with pytest.raises(TypeError, match="secrets"):
            pickle.dumps(thing)
