"""Passwords and keys are in no repr, error, log line or pickle, whatever the driver is asked to log."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import Authority

import acsylla_like
from acsylla_like import AwsCredentials, DsePlainTextAuthenticator, PlainTextAuthenticator, SigV4Authenticator, Tls
from acsylla_like.testing import ScriptedServer, cql

SECRET = "correct-horse-battery"
authority = Authority()
CLIENT = authority.issue()
KEY = CLIENT.key_pem(SECRET)
TLS = Tls(trust=authority.pem, certificate=CLIENT.pem, key=KEY, key_password=SECRET)


def key_lines() -> list[str]:
    return [line for line in (KEY + CLIENT.key_pem()).splitlines() if not line.startswith("-")]


def assert_nothing_is_in(text: str) -> None:
    assert SECRET not in text
    assert not [line for line in key_lines() if line in text]


OPTIONS = {
    "a password": {"username": "u", "password": SECRET},
    "a function": {"username": "u", "password": lambda: SECRET},
    "an authenticator": {"authenticator": PlainTextAuthenticator(lambda: ("u", SECRET))},
    "DSE": {"authenticator": DsePlainTextAuthenticator("u", SECRET)},
    "SigV4": {"authenticator": SigV4Authenticator("us-west-2", lambda: AwsCredentials("key", SECRET, SECRET))},
    "TLS": {"ssl": TLS},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_reprs_and_pickles(name):
    options = OPTIONS[name]
    cluster = acsylla_like.create_cluster("127.0.0.1", **options)
    for thing in (cluster, cluster.tls, cluster.login, *options.values()):
        assert_nothing_is_in(f"{thing!r} {thing}" if thing != SECRET else "")
    for thing in (cluster, options.get("ssl"), options.get("authenticator")):
        if thing is not None:
            with pytest.raises(TypeError) as caught:
                pickle.dumps(thing)
            assert_nothing_is_in(str(caught.value))


async def test_a_session_is_not_pickled(scripted):
    async with acsylla_like.connect(scripted.address, port=scripted.port, username="u", password=SECRET) as session:
        assert_nothing_is_in(repr(session))
        with pytest.raises(TypeError) as caught:
            pickle.dumps(session)
        assert_nothing_is_in(str(caught.value))


def test_a_tls_is_copied_as_it_is_and_shows_paths_only():
    assert copy.copy(TLS) is copy.deepcopy(TLS) is TLS
    assert repr(TLS) == "Tls(trust=<PEM text>, verify='address', certificate=<PEM text>, key=<PEM text>, key_password=…)"
    tls = Tls(trust=["/a.pem", Path("/b.pem")], certificate="/c.pem", key="/c.key", verify="name")
    assert repr(tls) == "Tls(trust='/a.pem', '/b.pem', verify='name', certificate='/c.pem', key='/c.key')"


@pytest.mark.parametrize("name", ["a password", "a function", "an authenticator", "DSE", "SigV4"])
async def test_errors_of_a_server_that_refuses(name, caplog):
    caplog.set_level(logging.DEBUG)

    def refuse(tokens):
        return cql.error(cql.BAD_CREDENTIALS, "no") if len(tokens) > 1 or name != "SigV4" else cql.auth_challenge(b"nonce=1")

    with ScriptedServer(authenticator="x.Y", authenticate=refuse) as server:
        with pytest.raises(acsylla_like.AuthenticationError) as caught:
            await acsylla_like.connect(server.address, port=server.port, **OPTIONS[name])
        error = caught.value
        assert server.logins
        assert_nothing_is_in(f"{error!r} {error} {vars(error)!r} {error.__cause__!r} {caplog.text}")
        assert_nothing_is_in(repr(pickle.loads(pickle.dumps(error))))


def test_a_key_where_a_path_was_expected():
    bare = "\n".join(key_lines())
    for option in ("trust", "certificate", "key"):
        with pytest.raises(ValueError, match=f"{option} is neither the path of a file nor PEM text") as caught:
            Tls(**{"certificate": "c.pem", option: bare})
        assert_nothing_is_in(str(caught.value))


def test_nothing_is_logged_even_where_everything_is(tmp_path):
    """In a process of its own, since the driver's log level is the process's."""
    context = authority.issue(addresses=["127.0.0.1"]).server_context(tmp_path)
    program = _PROGRAM.format(secret=SECRET, key=KEY, certificate=CLIENT.pem, trust=authority.pem)
    with ScriptedServer(authenticator="x.Y", ssl=context, address="127.0.0.1") as server:
        ran = subprocess.run(
            [sys.executable, "-X", "dev", "-c", program, str(server.port)],
            env={**os.environ, "PYTHONPATH": str(Path(acsylla_like.__file__).parent.parent)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        assert all(SECRET.encode() in tokens[0] for tokens in server.logins.values())
    assert len(re.findall("Connected to host", ran.stderr)) >= 4  # it does log
    assert "unable to load private key" in ran.stdout
    assert_nothing_is_in(ran.stdout + ran.stderr)


_PROGRAM = '''
import asyncio, logging, sys
import acsylla_like

logging.basicConfig(level=1)
acsylla_like.set_driver_log_level("trace")
pieces = {{"trust": """{trust}""", "certificate": """{certificate}""", "key": """{key}"""}}


async def main():
    tls = acsylla_like.Tls(**pieces, key_password="{secret}")
    for options in ({{"password": "{secret}"}}, {{"password": lambda: "{secret}"}}):
        async with acsylla_like.connect("127.0.0.1", port=int(sys.argv[1]), ssl=tls, username="u", **options) as session:
            await session.execute("SELECT v FROM ks.t")
    try:
        acsylla_like.create_cluster("127.0.0.1", ssl=acsylla_like.Tls(**pieces, key_password="{secret}?"))
    except acsylla_like.TlsError as error:
        print(error)


asyncio.run(main())
'''
