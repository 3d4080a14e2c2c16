"""DataStax Enterprise's plain text authentication, as far as a scripted server can tell."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest

import acsylla_like
from acsylla_like import DsePlainTextAuthenticator, errors
from acsylla_like.testing import ScriptedServer, cql

DSE = "com.datastax.bdp.cassandra.auth.DseAuthenticator"


def wants(credentials: bytes):
    """A DseAuthenticator: PLAIN → PLAIN-START → credentials; any other server takes these at once."""

    def authenticate(tokens: Sequence[bytes]) -> cql.Answer:
        if tokens[-1] == credentials:
            return cql.auth_success()
        if tokens == [b"PLAIN"]:
            return cql.auth_challenge(b"PLAIN-START")
        return cql.error(cql.BAD_CREDENTIALS, "Failed to login. Please re-try.")

    return authenticate


async def ask(server: ScriptedServer, authenticator: DsePlainTextAuthenticator) -> None:
    async with acsylla_like.connect(server.address, port=server.port, authenticator=authenticator) as session:
        await session.execute("SELECT v FROM ks.t")


@pytest.mark.parametrize(("options", "credentials"), [({}, b"\0ada\0geheim"), ({"authorization_id": "bob"}, b"bob\0ada\0geheim")])
@pytest.mark.parametrize("server_class", [DSE, "org.apache.cassandra.auth.PasswordAuthenticator"])
async def test_plain_text_and_proxy(options, credentials, server_class):
    with ScriptedServer(authenticator=server_class, authenticate=wants(credentials)) as server:
        await ask(server, DsePlainTextAuthenticator("ada", "geheim", **options))
        expected = [b"PLAIN", credentials] if server_class == DSE else [credentials]
        assert list(server.logins.values()) == [expected] * len(server.logins)
        with pytest.raises(errors.AuthenticationError, match="Failed to login") as caught:
            await ask(server, DsePlainTextAuthenticator("ada", "other", **options))
        assert "other" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "options", "error_class", "words"),
    [
        ((b"ada", "geheim"), {}, TypeError, "username must be a str, not bytes"),
        (("ada", b"geheim"), {}, TypeError, "password must be a str, not bytes"),
        (("ada", "geheim"), {"authorization_id": None}, TypeError, "authorization_id must be a str, not NoneType"),
        (("ada", "ge\0heim"), {}, ValueError, "password must have no NUL in it"),
    ],
)
def test_options_that_do_not_fit_are_named(arguments, options, error_class, words):
    with pytest.raises(error_class, match=words) as caught:
        DsePlainTextAuthenticator(*arguments, **options)
    assert "heim" not in str(caught.value)


def test_it_is_neither_shown_nor_pickled():
    authenticator = DsePlainTextAuthenticator("ada", "geheim")
    assert repr(authenticator) == "<DsePlainTextAuthenticator>"
    with pytest.raises(TypeError, match="may hold secrets"):
        pickle.dumps(authenticator)
