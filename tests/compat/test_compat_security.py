"""acsylla's options of TLS and of authentication, on a scripted server."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from certificates import Authority

import acsylla_like.compat as acsylla
from acsylla_like.compat import SSLVerifyFlags, errors
from acsylla_like.testing import ScriptedServer, cql

authority = Authority()
stranger = Authority("a stranger")
ADDRESS = ScriptedServer().address  # never started: an address of this platform's loopback
LOCALHOST = socket.getnameinfo(("127.0.0.1", 0), 0)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


async def ask(server: ScriptedServer, **options: object) -> None:
    cluster = acsylla.create_cluster([server.address], port=server.port, connect_timeout=2.0, **options)
    session = await cluster.create_session()
    await session.query("SELECT v FROM ks.t")
    await session.close()


NONE, CERT, IDENTITY, NAME = SSLVerifyFlags.NONE, SSLVerifyFlags.PEER_CERT, SSLVerifyFlags.PEER_IDENTITY, SSLVerifyFlags.PEER_IDENTITY_DNS


@pytest.mark.parametrize(
    ("issued", "trusted", "accepted", "refused"),
    [
        ({"addresses": ["127.0.0.1"]}, authority, [NONE, CERT, IDENTITY, "peer_identity"], [NAME]),
        ({"names": [LOCALHOST]}, authority, [NONE, CERT, NAME], [IDENTITY]),
        ({"addresses": ["10.9.8.7"]}, authority, [NONE, CERT], [IDENTITY, NAME]),
        ({"addresses": ["127.0.0.1"]}, stranger, [NONE], [CERT, IDENTITY, NAME]),
        ({"addresses": ["127.0.0.1"]}, None, [NONE], [CERT]),
    ],
)
async def test_each_flag_checks_what_it_says(folder, issued, trusted, accepted, refused):
    """In acsylla PEER_IDENTITY checks no identity."""
    trust = None if trusted is None else trusted.pem
    with ScriptedServer(ssl=authority.issue(**issued).server_context(folder), address="127.0.0.1") as server:
        for flags in accepted:
            await ask(server, ssl_enabled=True, ssl_trusted_cert=trust, ssl_verify_flags=flags)
        for flags in refused:
            with pytest.raises(errors.CassErrorSourceSsl):
                await ask(server, ssl_enabled=True, ssl_trusted_cert=trust, ssl_verify_flags=flags)


async def test_a_clients_certificate_with_an_encrypted_key(folder):
    client = authority.issue()
    with ScriptedServer(ssl=authority.issue(addresses=[ADDRESS]).server_context(folder, asks=authority), address=ADDRESS) as server:
        secret = {"ssl_private_key": client.key_pem("geheim"), "ssl_private_key_password": "geheim"}
        for key in ({"ssl_private_key": client.key_pem()}, secret):
            await ask(server, ssl_enabled=True, ssl_trusted_cert=authority.pem, ssl_cert=client.pem, **key)
        with pytest.raises(errors.CassException):
            await ask(server, ssl_enabled=True, ssl_trusted_cert=authority.pem)
        await _set_later(server, client)


async def _set_later(server: ScriptedServer, client) -> None:
    cluster = acsylla.create_cluster([server.address], port=server.port)
    cluster.set_ssl(True, client.pem, client.key_pem(), "", authority.pem, SSLVerifyFlags.PEER_IDENTITY.value)
    session = await cluster.create_session()
    await session.close()


def test_certificates_that_are_none_are_named_at_once():
    with pytest.raises(errors.CassErrorSourceSsl):
        acsylla.create_cluster([ADDRESS], ssl_enabled=True, ssl_cert="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


DSE = "com.datastax.bdp.cassandra.auth.DseAuthenticator"


@pytest.mark.parametrize(
    ("options", "credentials"),
    [
        ({"dse_plaintext_authenticator": acsylla.DsePlaintextAuthenticator("ada", "geheim")}, b"\0ada\0geheim"),
        ({"dse_plaintext_authenticator_proxy": acsylla.DsePlaintextAuthenticatorProxy("ada", "geheim", "bob")}, b"bob\0ada\0geheim"),
    ],
)
async def test_passwords_for_datastax_enterprise(options, credentials):
    """In acsylla they raise."""

    def authenticate(tokens: Sequence[bytes]) -> cql.Answer:
        if tokens[-1] == credentials:
            return cql.auth_success()
        return cql.auth_challenge(b"PLAIN-START") if tokens == [b"PLAIN"] else cql.error(cql.BAD_CREDENTIALS, "Failed to login.")

    with ScriptedServer(authenticator=DSE, authenticate=authenticate) as server:
        await ask(server, **options)
    assert "geheim" not in repr(options)


async def test_a_wrong_password():
    def authenticate(tokens: Sequence[bytes]) -> cql.Answer:
        return cql.auth_success() if tokens[-1] == b"\0ada\0geheim" else cql.error(cql.BAD_CREDENTIALS, "Failed to login.")

    with ScriptedServer(authenticator="org.apache.cassandra.auth.PasswordAuthenticator", authenticate=authenticate) as server:
        await ask(server, username="ada", password="geheim")
        with pytest.raises(errors.CassErrorServerBadCredentials) as caught:
            await ask(server, username="ada", password="falsch")
        assert "falsch" not in str(caught.value)
