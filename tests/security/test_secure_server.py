"""TLS and passwords on real servers: one that asks for a password, one for a client's certificate, and an expired one."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hmac
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from certificates import Authority, Certificate

import acsylla_like
from acsylla_like import Tls, errors
from acsylla_like.testing import Cassandra, ScriptedServer, cql

ROOT = Path(__file__).resolve().parent.parent.parent
_TIMEOUT = 5.0

authority = Authority()
stranger = Authority("a stranger")
CLIENT = authority.issue()


def on_every_address(server: Cassandra) -> dict[str, object]:
    """Settings with which it answers on 127.0.0.1, whose host has a name everywhere."""
    (address,) = server.contact_points
    return {} if address == "127.0.0.1" else {"rpc_address": "0.0.0.0", "broadcast_rpc_address": address}


def encrypted(folder: Path, node: Certificate, *, asks: Authority | None = None) -> dict[str, object]:
    """The server's settings for TLS with this certificate."""
    folder.mkdir()
    (folder / "node.pem").write_text(node.key_pem() + node.pem)
    (folder / "trusted.pem").write_text((asks or authority).pem)
    return {
        "client_encryption_options": {
            "enabled": True,
            "optional": False,
            "require_client_auth": asks is not None,
            "ssl_context_factory": {"class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"},
            "keystore": str(folder / "node.pem"),
            "truststore": str(folder / "trusted.pem"),
        }
    }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cassandra]:
    """TLS and passwords; on all addresses, with a certificate that names its own address and the host of 127.0.0.1."""
    server = Cassandra(authentication=True)
    (address,) = server.contact_points
    node = authority.issue(addresses=[address], names=[socket.getnameinfo(("127.0.0.1", 0), 0)[0]])
    server.yaml = encrypted(tmp_path_factory.mktemp("guarded") / "tls", node) | on_every_address(server)
    server.yaml |= {f"{what}_validity": "0ms" for what in ("credentials", "permissions", "roles")}  # no caches
    with server:
        yield server


@contextlib.asynccontextmanager
async def session_on(server: Cassandra, ssl: Tls | None, address: str | None = None, **options) -> AsyncIterator[acsylla_like.Session]:
    if server.authentication and not options:
        options = {"username": "cassandra", "password": "cassandra"}
    points = address or server.contact_points
    async with acsylla_like.connect(points, port=server.port, ssl=ssl, connect_timeout=_TIMEOUT, **options) as session:
        yield session


async def ask(server: Cassandra, ssl: Tls | None, address: str | None = None, **options) -> None:
    async with session_on(server, ssl, address, **options) as session:
        assert len(await session.execute("SELECT cluster_name FROM system.local")) == 1


async def refused(server: Cassandra, ssl: Tls | None, address: str | None = None, **options) -> errors.Error:
    """The error of connecting, which comes in time."""
    began = time.monotonic()
    with pytest.raises(errors.Error) as caught:
        await ask(server, ssl, address, **options)
    assert time.monotonic() - began < _TIMEOUT + 5
    return caught.value


# ---- TLS


@pytest.mark.parametrize("verify", ["none", "certificate", "address"])
async def test_encrypted_with_each_check_that_it_passes(guarded, verify):
    await ask(guarded, Tls(trust=authority.pem, verify=verify))


async def test_identity_by_name(guarded):
    await ask(guarded, Tls(trust=authority.pem, verify="name"), "127.0.0.1")


async def test_a_server_that_nobody_trusted_has_signed(guarded):
    for verify in ("certificate", "address"):
        error = await refused(guarded, Tls(trust=stranger.pem, verify=verify))
        assert isinstance(error, errors.TlsError)
        assert "signed by none of the authorities of trust" in str(error)


async def test_a_plain_client_on_a_port_with_tls(guarded):
    error = await refused(guarded, None)
    assert "perhaps the server expects TLS on this port" in str(error)


async def test_a_client_with_tls_on_a_plain_port(cassandra):
    began = time.monotonic()
    with pytest.raises(errors.Error) as caught:
        await acsylla_like.connect(cassandra.contact_points, port=cassandra.port, ssl=Tls(verify="none"), connect_timeout=_TIMEOUT)
    assert time.monotonic() - began < _TIMEOUT + 5
    assert "the server speaks no TLS on this port" in str(caught.value)


async def test_a_client_certificate_is_required_and_the_servers_own_is_checked(tmp_path):
    node = authority.issue(addresses=["10.9.8.7"], names=["other.example"])
    server = Cassandra()
    server.yaml = encrypted(tmp_path / "tls", node, asks=authority) | on_every_address(server)
    with server:
        pieces = {"trust": authority.pem, "certificate": CLIENT.pem, "key": CLIENT.key_pem("geheim"), "key_password": b"geheim"}
        await ask(server, Tls(**pieces, verify="certificate"))
        error = await refused(server, Tls(**pieces, verify="address"))
        assert isinstance(error, errors.TlsError)
        assert "does not name the node's IP address" in str(error)
        error = await refused(server, Tls(**pieces, verify="name"), "127.0.0.1")
        assert isinstance(error, errors.TlsError)
        assert "does not name the host that the resolver knows" in str(error)
        error = await refused(server, Tls(trust=authority.pem, verify="certificate"))
        assert "asks for a client's certificate, and none was given" in str(error)
        other = stranger.issue()
        error = await refused(server, Tls(trust=authority.pem, verify="certificate", certificate=other.pem, key=other.key_pem()))
        assert "does not trust this client's certificate" in str(error)


async def test_an_expired_certificate(tmp_path):
    past = {"start": datetime.timedelta(days=-9), "end": datetime.timedelta(days=-1)}
    server = Cassandra()
    server.yaml = encrypted(tmp_path / "tls", authority.issue(addresses=server.contact_points, **past))
    with server:
        error = await refused(server, Tls(trust=authority.pem))
        assert isinstance(error, errors.TlsError)
        assert "certificate has expired" in str(error)
        await ask(server, Tls(verify="none"))


# ---- passwords and rights


@pytest.fixture(scope="module")
def roles(guarded: Cassandra) -> None:
    """`reader` may read secure.t, `nobody` may do nothing."""

    async def make() -> None:
        async with session_on(guarded, Tls(trust=authority.pem)) as session:
            for query in (
                "CREATE KEYSPACE secure WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
                "CREATE TABLE secure.t (k int PRIMARY KEY, v text)",
                "CREATE ROLE reader WITH LOGIN = true AND PASSWORD = 'read 🔑'",
                "CREATE ROLE nobody WITH LOGIN = true AND PASSWORD = 'geheim-nothing'",
                "CREATE ROLE rotated WITH LOGIN = true AND PASSWORD = 'first'",
                "CREATE ROLE app WITH LOGIN = true AND PASSWORD = 'secret'",
                "GRANT SELECT ON secure.t TO reader",
            ):
                await session.execute(query, timeout=30.0)

    in_a_thread(make)


def in_a_thread(work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Runs it with a loop of its own, whichever loop the tests have."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work()).result()


async def test_a_role_with_a_password_does_what_it_may(guarded, roles):
    async with session_on(guarded, Tls(trust=authority.pem), username="reader", password="read 🔑") as session:
        assert len(await session.execute("SELECT * FROM secure.t")) == 0
        with pytest.raises(errors.Unauthorized, match=r"User reader has no MODIFY permission on <table secure\.t>") as caught:
            await session.execute("INSERT INTO secure.t (k, v) VALUES (1, 'x')")
        assert caught.value.query == "INSERT INTO secure.t (k, v) VALUES (1, 'x')"
        assert caught.value.coordinator is not None
        assert not caught.value.retryable
        with pytest.raises(errors.Unauthorized):
            await session.execute("INSERT INTO secure.t (k, v) VALUES (?, ?)", [1, "x"])
    async with session_on(guarded, Tls(trust=authority.pem), username="nobody", password="geheim-nothing") as session:
        with pytest.raises(errors.Unauthorized, match="User nobody has no SELECT permission"):
            await session.execute("SELECT * FROM secure.t")


@pytest.mark.parametrize("given", [{"username": "reader", "password": "geheim"}, {"username": "stranger", "password": "geheim"}])
@pytest.mark.parametrize("as_function", [False, True])
async def test_a_wrong_password_is_refused_and_not_shown(guarded, roles, given, as_function, caplog):
    caplog.set_level("DEBUG")
    options = {**given, "password": lambda: given["password"]} if as_function else given
    error = await refused(guarded, Tls(trust=authority.pem), **options)
    assert isinstance(error, errors.AuthenticationError)
    assert isinstance(error, ConnectionError)
    assert f"Provided username {given['username']} and/or password are incorrect" in str(error)
    assert "geheim" not in f"{error!r} {error} {caplog.text}"


async def test_no_password_at_all(guarded):
    error = await refused(guarded, Tls(trust=authority.pem), application_name="none")
    assert isinstance(error, errors.AuthenticationError)
    assert "the server asks for a username and a password" in str(error)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_password_that_is_rotated(guarded, roles, is_async):
    current = f"before {is_async}"
    asked = 0

    def password() -> str:
        nonlocal asked
        asked += 1
        return current

    async def ask_vault() -> str:
        await asyncio.sleep(0)
        return password()

    async with session_on(guarded, Tls(trust=authority.pem)) as root:
        await root.execute(f"ALTER ROLE rotated WITH PASSWORD = '{current}'")
        cluster = acsylla_like.create_cluster(
            guarded.contact_points,
            port=guarded.port,
            ssl=Tls(trust=authority.pem),
            username="rotated",
            password=ask_vault if is_async else password,
        )
        async with await cluster.create_session() as early:
            await root.execute(f"ALTER ROLE rotated WITH PASSWORD = 'after {is_async}'")
            with pytest.raises(errors.AuthenticationError):
                await cluster.create_session()
            current = f"after {is_async}"
            async with await cluster.create_session() as late:
                assert len(await late.execute("SELECT cluster_name FROM system.local")) == 1
            assert len(await early.execute("SELECT cluster_name FROM system.local")) == 1
    assert asked == 3


# ---- the command line


def run_cli(server: Cassandra, *arguments: object, code: int = 0, **environment: str) -> str:
    """What a command prints."""
    connection = ["--contact-points", ",".join(server.contact_points), "--port", str(server.port)]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "acsylla_like", *map(str, arguments), *connection],
        env={**os.environ, "PYTHONPATH": str(Path(acsylla_like.__file__).parent.parent), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,  # without a terminal to ask on
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_the_command_line_with_tls_and_a_password(guarded, roles, tmp_path):
    (tmp_path / "ca.pem").write_text(authority.pem)
    (tmp_path / "client.pem").write_text(CLIENT.pem)
    (tmp_path / "client.key").write_text(CLIENT.key_pem("geheim"))
    trust = ["--trust", tmp_path / "ca.pem"]
    login = ["--username", "cassandra"]
    password = {"ACSYLLA_LIKE_PASSWORD": "cassandra"}
    lines = run_cli(guarded, "doctor", *trust, *login, **password).splitlines()
    assert [
        line for line in lines if "TLS: " in line and line.startswith("ok    TLS: encrypted, with a server whose certificate and address")
    ]
    for verify, words in (("none", "with nobody knows whom"), ("certificate", "any server that the authorities have signed")):
        assert words in run_cli(guarded, "doctor", *trust, "--verify", verify, *login, **password)
    as_nobody = [*trust, "--username", "nobody"]
    said = run_cli(guarded, "query", "SELECT * FROM secure.t", *as_nobody, code=2, ACSYLLA_LIKE_PASSWORD="geheim-nothing")
    assert "User nobody has no SELECT permission" in said
    said = run_cli(guarded, "query", "SELECT * FROM secure.t", *as_nobody, code=4, ACSYLLA_LIKE_PASSWORD="geheim")
    assert "and/or password are incorrect" in said
    assert "geheim" not in said
    assert "perhaps the server expects TLS on this port" in run_cli(guarded, "doctor", *login, code=4, **password)
    assert "none of the authorities of the system" in run_cli(guarded, "doctor", "--tls", *login, code=4, **password)
    client = [*trust, "--certificate", tmp_path / "client.pem", "--key", tmp_path / "client.key"]
    run_cli(guarded, "query", "SELECT * FROM secure.t", *client, *login, **password, ACSYLLA_LIKE_KEY_PASSWORD="geheim")
    said = run_cli(guarded, "query", "SELECT * FROM secure.t", *client, *login, code=2, **password, ACSYLLA_LIKE_KEY_PASSWORD="gehemt")
    assert "whose key_password may be wrong" in said
    assert "gehemt" not in said
    assert "there is nobody to ask for the password of the key: set ACSYLLA_LIKE_KEY_PASSWORD" in run_cli(
        guarded, "query", "SELECT * FROM secure.t", *client, *login, code=2, **password
    )
    said = run_cli(guarded, "query", "SELECT * FROM secure.t", "--trust", tmp_path / "none.pem", *login, code=2, **password)
    assert "trust: No such file or directory" in said
    assert "a key belongs to a certificate" in run_cli(guarded, "doctor", "--key", "x", *login, code=2, **password)


# ---- the documentation


PROGRAMS = re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / "docs" / "security.md").read_text())


def signs(tokens: Sequence[bytes]) -> cql.Answer:
    """The server of the page's own authenticator."""
    if len(tokens) == 1:
        return cql.auth_challenge(b"nonce=123")
    is_right = tokens == [b"app", hmac.digest(b"a key of the application", b"nonce=123", "sha256")]
    return cql.auth_success() if is_right else cql.error(cql.BAD_CREDENTIALS, "no")


def keyspaces(tokens: Sequence[bytes]) -> cql.Answer:
    if len(tokens) == 1:
        return cql.auth_challenge(b"nonce=123")
    is_right = tokens[0] == b"SigV4\0\0" and b"access_key=AKIAIOSFODNN7EXAMPLE" in tokens[1]
    return cql.auth_success() if is_right else cql.error(cql.BAD_CREDENTIALS, "no")


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_the_programs_of_the_page_on_security_run(guarded, roles, tmp_path, number):
    files = {
        "/etc/shop/authority.pem": authority.pem,
        "/etc/shop/app.pem": CLIENT.pem,
        "/etc/shop/app.key": CLIENT.key_pem("geheim"),
        "/run/secrets/shop": "secret",
    }
    program = PROGRAMS[number]
    for name, text in files.items():
        here = tmp_path / Path(name).name
        here.write_text(text)
        program = program.replace(name, str(here))
    with contextlib.ExitStack() as stack:
        server: Cassandra | ScriptedServer = guarded
        if "Signer" in program:
            server = stack.enter_context(ScriptedServer(authenticator="com.example.Signer", authenticate=signs))
        elif "SigV4" in program:
            context = authority.issue(names=["cassandra.eu-central-1.amazonaws.com"]).server_context(tmp_path)
            server = stack.enter_context(ScriptedServer(authenticator="SigV4", authenticate=keyspaces, ssl=context))
        for given, here in (
            ('"10.0.0.5"', repr(server.contact_points[0])),
            ('"cassandra.eu-central-1.amazonaws.com"', repr(server.contact_points[0])),
            ("port=9042", f"port={server.port}"),
            ('"port": 9042', f'"port": {server.port}'),
            ("port=9142", f"port={server.port}"),
        ):
            program = program.replace(given, here)
        assert str(server.port) in program
        environment = {"SHOP_KEY_PASSWORD": "geheim", "SSL_CERT_FILE": str(tmp_path / "authority.pem")}
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={**os.environ, "PYTHONPATH": str(Path(acsylla_like.__file__).parent.parent), **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        assert "secret" not in ran.stdout


def test_the_page_has_as_many_programs_as_are_looked_at():
    assert len(PROGRAMS) == 5
