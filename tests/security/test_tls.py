"""TLS on a scripted server: each check, each way to give a certificate, and what an error says."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority, Certificate
from cryptography.hazmat.primitives.asymmetric import rsa

import acsylla_like
from acsylla_like import Tls, errors, security
from acsylla_like.testing import ScriptedServer

_DAY = datetime.timedelta(days=1)
_TIMEOUT = 2.0

authority = Authority()
stranger = Authority("a stranger")
PROBE = ScriptedServer()  # never started: an address of this platform's loopback
ADDRESS = PROBE.address
LOCALHOST = socket.getnameinfo(("127.0.0.1", 0), 0)[0]


def serve(certificate: Certificate, folder: Path, *, address: str = ADDRESS, asks: Authority | None = None) -> ScriptedServer:
    return ScriptedServer(ssl=certificate.server_context(folder, asks=asks), address=address)


async def ask(server: ScriptedServer, tls: Tls | bool | None) -> None:
    async with acsylla_like.connect(server.address, port=server.port, ssl=tls, connect_timeout=_TIMEOUT) as session:
        await session.execute("SELECT v FROM ks.t")


async def refused(server: ScriptedServer, tls: Tls | bool | None) -> errors.Error:
    """The error of connecting, which comes in time."""
    began = time.monotonic()
    with pytest.raises(errors.Error) as caught:
        await ask(server, tls)
    assert time.monotonic() - began < _TIMEOUT + 3
    assert f"{server.address}, port {server.port}" in str(caught.value)
    assert isinstance(caught.value, ConnectionError)
    assert server.requests == []
    return caught.value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def named_by_address(folder: Path) -> Iterator[ScriptedServer]:
    """A server whose certificate names its address and no host."""
    with serve(authority.issue(addresses=["10.9.8.7", ADDRESS]), folder) as server:
        yield server


@pytest.fixture(scope="module")
def asking(folder: Path) -> Iterator[ScriptedServer]:
    """A server that asks for a client's certificate."""
    with serve(authority.issue(addresses=[ADDRESS]), folder, asks=authority) as server:
        yield server


@pytest.fixture
def server(named_by_address: ScriptedServer) -> ScriptedServer:
    named_by_address.requests.clear()
    return named_by_address


@pytest.fixture
def asking_server(asking: ScriptedServer) -> ScriptedServer:
    asking.requests.clear()
    return asking


# ---- what the server must prove


async def test_a_certificate_that_names_the_address_is_taken(server):
    await ask(server, Tls(trust=authority.pem))
    assert server.queries() == ["SELECT v FROM ks.t"]


@pytest.mark.parametrize("verify", ["certificate", "address", "name"])
async def test_whoever_was_not_signed_by_a_trusted_authority_is_refused(folder, verify):
    with serve(stranger.issue(addresses=["127.0.0.1"], names=[LOCALHOST]), folder, address="127.0.0.1") as server:
        error = await refused(server, Tls(trust=authority.pem, verify=verify))
        assert isinstance(error, errors.TlsError)
        assert "signed by none of the authorities of trust" in str(error)
        await ask(server, Tls(trust=stranger.pem, verify=verify))


async def test_without_trust_the_systems_authorities_are_asked(server, monkeypatch, folder):
    error = await refused(server, True)
    assert "signed by none of the authorities of the system" in str(error)
    (folder / "system.pem").write_text(f"# a comment\n{stranger.pem}\n{authority.pem}\n{authority.pem}")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "system.pem"))
    await ask(server, True)
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "nothing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder / "nothing"))
    with pytest.raises(errors.TlsError, match="no trusted authorities that can be found"):
        await ask(server, True)


async def test_a_certificate_for_another_address_is_refused(folder):
    with serve(authority.issue(addresses=["10.9.8.7"], names=[LOCALHOST], common_name=ADDRESS), folder) as server:
        error = await refused(server, Tls(trust=authority.pem))
        assert isinstance(error, errors.TlsError)
        assert "does not name the node's IP address" in str(error)
        await ask(server, Tls(trust=authority.pem, verify="certificate"))


@pytest.mark.parametrize("names", [[LOCALHOST], ["other.example", LOCALHOST]])
async def test_a_certificate_for_the_name_of_the_host_is_taken(folder, names):
    with serve(authority.issue(names=names), folder, address="127.0.0.1") as server:
        await ask(server, Tls(trust=authority.pem, verify="name"))
        server.requests.clear()
        await refused(server, Tls(trust=authority.pem, verify="address"))


@pytest.mark.parametrize("issued", [{"names": ["other.example"]}, {"names": [f"x.{LOCALHOST}"]}, {"addresses": ["127.0.0.1"]}, {}])
async def test_a_certificate_for_another_name_is_refused(folder, issued):
    with serve(authority.issue(**issued), folder, address="127.0.0.1") as server:
        error = await refused(server, Tls(trust=authority.pem, verify="name"))
        assert isinstance(error, errors.TlsError)
        assert "does not name the host that the resolver knows" in str(error)
        await ask(server, Tls(trust=authority.pem, verify="certificate"))


async def test_without_verification_anybody_will_do(folder):
    with serve(stranger.issue(names=["other.example"], end=-_DAY / 2), folder) as server:
        await ask(server, Tls(verify="none"))


@pytest.mark.parametrize(
    ("validity", "words"),
    [({"start": -5 * _DAY, "end": -_DAY}, "certificate has expired"), ({"start": _DAY}, "certificate is not yet valid")],
)
async def test_a_certificate_has_its_time(folder, validity, words):
    with serve(authority.issue(addresses=[ADDRESS], **validity), folder) as server:
        error = await refused(server, Tls(trust=authority.pem))
        assert isinstance(error, errors.TlsError)
        assert words in str(error)
        assert "a clock is wrong" in str(error)


async def test_a_chain_is_followed_to_its_authority(folder):
    between = Authority("between", parent=authority)
    node = between.issue(addresses=[ADDRESS])
    context = node.server_context(folder)
    (folder / "chain.pem").write_text(node.key_pem() + node.pem + between.pem)
    context.load_cert_chain(folder / "chain.pem")
    with ScriptedServer(ssl=context, address=ADDRESS) as server:
        await ask(server, Tls(trust=authority.pem))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_of_tls_that_are_in_use(folder, version):
    context = authority.issue(addresses=[ADDRESS]).server_context(folder)
    context.minimum_version = context.maximum_version = version
    with ScriptedServer(ssl=context, address=ADDRESS) as server:
        await ask(server, Tls(trust=authority.pem))


# ---- the ways to give authorities


@pytest.mark.parametrize(
    "form", ["path", "pathlib", "text", "bytes", "text of several", "several", "several of each", "a generator", "between prose"]
)
async def test_authorities_come_from_files_and_texts(server, folder, form):
    file = folder / "authority.pem"
    file.write_text(authority.pem)
    given = {
        "path": str(file),
        "pathlib": file,
        "text": authority.pem,
        "bytes": authority.pem.encode(),
        "text of several": stranger.pem + authority.pem,
        "several": [stranger.pem, authority.pem],
        "several of each": (stranger.pem.encode(), file),
        "a generator": (part for part in [stranger.pem, str(file)]),
        "between prose": f"Subject: Ä\n{stranger.pem}\nIssuer: x\n{authority.pem}\nend",
    }[form]
    await ask(server, Tls(trust=given))


# ---- what the client proves


async def test_a_client_shows_its_certificate(asking_server, folder):
    client = authority.issue()
    (folder / "client.pem").write_text(client.pem)
    (folder / "client.key").write_text(client.key_pem())
    (folder / "both.pem").write_text(client.key_pem() + client.pem)
    for certificate, key in (
        (client.pem, client.key_pem()),
        (folder / "client.pem", str(folder / "client.key")),
        (folder / "both.pem", None),
        (client.pem.encode() + client.key_pem().encode(), None),
    ):
        await ask(asking_server, Tls(trust=authority.pem, certificate=certificate, key=key))


@pytest.mark.parametrize("traditional", [False, True])
@pytest.mark.parametrize("password", ["geheim 🔑", b"as bytes", lambda: "from a function", lambda: b"bytes from a function"])
async def test_a_key_may_be_encrypted(asking_server, traditional, password):
    client = authority.issue(key=rsa.generate_private_key(65537, 2048) if traditional else None)
    plain = password() if callable(password) else password
    text = plain if isinstance(plain, str) else plain.decode()
    key = client.key_pem(text, traditional=traditional)
    assert "ENCRYPTED" in key
    await ask(asking_server, Tls(trust=authority.pem, certificate=client.pem, key=key, key_password=password))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("client", [None, stranger.issue()])
async def test_a_client_that_is_refused_is_told_so(folder, client, version):
    context = authority.issue(addresses=[ADDRESS]).server_context(folder, asks=authority)
    context.minimum_version = context.maximum_version = version
    with ScriptedServer(ssl=context, address=ADDRESS) as server:
        pieces = {} if client is None else {"certificate": client.pem, "key": client.key_pem()}
        error = await refused(server, Tls(trust=authority.pem, **pieces))
        words = "asks for a client's certificate, and none was given" if client is None else "does not trust this client's certificate"
        assert words in str(error)


# ---- what is found before connecting


CLIENT = authority.issue()


RSA = authority.issue(key=rsa.generate_private_key(65537, 2048))


@pytest.mark.parametrize(
    ("options", "error_class", "words"),
    [
        ({"trust": "/no/such/file.pem"}, FileNotFoundError, r"trust: No such file or directory: '/no/such/file.pem'"),
        ({"trust": "/"}, IsADirectoryError, r"trust: Is a directory: '/'"),
        ({"trust": authority.pem, "certificate": "/no/such.pem"}, FileNotFoundError, "certificate: No such file"),
        ({"trust": authority.pem, "certificate": CLIENT.pem, "key": "/no/such.key"}, FileNotFoundError, "key: No such file"),
        ({"trust": b"\x30\x82"}, errors.TlsError, "trust <PEM text>: no certificate in PEM is in it"),
        ({"trust": CLIENT.key_pem()}, errors.TlsError, "trust <PEM text>: no certificate in PEM"),
        (
            {"trust": authority.pem + "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"},
            errors.TlsError,
            "trust <PEM text>, certificate 2: unable to load certificate",
        ),
        ({"certificate": CLIENT.key_pem()}, errors.TlsError, "certificate <PEM text>: no certificate in PEM"),
        ({"certificate": CLIENT.pem}, errors.TlsError, "key <PEM text>: no private key in PEM"),
        ({"certificate": CLIENT.pem, "key": CLIENT.pem}, errors.TlsError, "key <PEM text>: no private key in PEM"),
        (
            {"certificate": "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n" + CLIENT.key_pem()},
            errors.TlsError,
            "certificate <PEM text>: unable to load certificate",
        ),
        ({"certificate": CLIENT.pem, "key": stranger.issue().key_pem()}, errors.TlsError, "it is not the key of certificate <PEM text>"),
        # Of another kind, which the driver itself finds out when it connects.
        ({"certificate": RSA.pem, "key": CLIENT.key_pem()}, errors.TlsError, "key <PEM text>: it is not the key of certificate <PEM"),
        ({"certificate": CLIENT.pem, "key": RSA.key_pem()}, errors.TlsError, "key <PEM text>: it is not the key of certificate <PEM"),
        (
            {"certificate": CLIENT.pem, "key": RSA.key_pem("geheim"), "key_password": "geheim"},
            errors.TlsError,
            "key <PEM text>: it is not the key of certificate <PEM",
        ),
        ({"certificate": CLIENT.pem, "key": CLIENT.key_pem("right")}, errors.TlsError, "is encrypted, and no key_password is given"),
        (
            {"certificate": CLIENT.pem, "key": CLIENT.key_pem("right"), "key_password": "wrong"},
            errors.TlsError,
            "key <PEM text>, whose key_password may be wrong: unable to load private key",
        ),
        (
            {"certificate": CLIENT.pem, "key": CLIENT.key_pem("right"), "key_password": lambda: 5},
            TypeError,
            "key_password must return a str or bytes, not int",
        ),
        ({"certificate": CLIENT.pem, "key": CLIENT.key_pem("right"), "key_password": ""}, ValueError, "key_password must have 1 to 1023"),
        (
            {"certificate": CLIENT.pem, "key": CLIENT.key_pem("x"), "key_password": "y" * 1024},
            ValueError,
            "key_password must have 1 to 1023",
        ),
        ({"certificate": CLIENT.pem, "key": CLIENT.key_pem("x"), "key_password": "a\0b"}, ValueError, "no NUL among them"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_is_sent(options, error_class, words):
    options = {"trust": authority.pem, **options}
    for _ in range(2):  # the driver's OpenSSL remembers the first failure
        with pytest.raises(error_class, match=words):
            acsylla_like.create_cluster(ADDRESS, ssl=Tls(**options))
    acsylla_like.create_cluster(ADDRESS, ssl=Tls(trust=authority.pem, certificate=CLIENT.pem, key=CLIENT.key_pem()))


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def opened(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", opened)
    with pytest.raises(PermissionError, match=r"key: Permission denied: '/etc/node.key'"):
        acsylla_like.create_cluster(ADDRESS, ssl=Tls(trust=authority.pem, certificate=CLIENT.pem, key="/etc/node.key"))


def test_an_exception_of_the_function_that_knows_the_password_is_the_users_own():
    def ask_vault() -> str:
        raise LookupError("the vault is shut")

    tls = Tls(trust=authority.pem, certificate=CLIENT.pem, key=CLIENT.key_pem("x"), key_password=ask_vault)
    with pytest.raises(LookupError, match="the vault is shut"):
        acsylla_like.create_cluster(ADDRESS, ssl=tls)


@pytest.mark.parametrize(
    ("options", "error_class", "words"),
    [
        ({"verify": "yes"}, ValueError, "verify must be one of 'none', 'certificate', 'address', 'name', not 'yes'"),
        ({"verify": True}, ValueError, "verify must be one of"),
        ({"trust": 5}, TypeError, "trust must be a path, PEM text or several of these, not int"),
        ({"trust": [5]}, TypeError, "trust must be a path or PEM text, not int"),
        ({"trust": []}, ValueError, "trust names no authority"),
        ({"trust": ""}, ValueError, "trust is neither the path"),
        ({"trust": "two\nlines"}, ValueError, "trust is neither the path of a file nor PEM text"),
        ({"certificate": 5}, TypeError, "certificate must be a path or PEM text, not int"),
        ({"certificate": "c", "key": 5}, TypeError, "key must be a path or PEM text, not int"),
        ({"key": "k"}, ValueError, "a key belongs to a certificate"),
        ({"key_password": "k"}, ValueError, "a key_password belongs to a certificate's key"),
        ({"certificate": "c", "key_password": 5}, TypeError, "key_password must be a str, bytes or a function, not int"),
    ],
)
def test_options_that_do_not_fit_are_named(options, error_class, words):
    with pytest.raises(error_class, match=words):
        Tls(**options)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("yes", "ssl must be a Tls or a bool, not str"),
        (1, "ssl must be a Tls or a bool, not int"),
        (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "not SSLContext: the C\\+\\+ driver has a TLS of its own"),
    ],
)
def test_ssl_is_a_tls_or_a_bool(given, words):
    with pytest.raises(TypeError, match=words):
        acsylla_like.create_cluster(ADDRESS, ssl=given)


def test_no_tls_by_default():
    for given in ({}, {"ssl": None}, {"ssl": False}):
        assert acsylla_like.create_cluster(ADDRESS, **given).tls is None
    tls = Tls(verify="none")
    assert acsylla_like.create_cluster(ADDRESS, ssl=tls).tls is tls
    assert security.tls_of(True) == Tls()


# ---- one side speaks TLS and the other does not


async def test_a_plain_client_on_a_port_with_tls_is_told_so(server):
    error = await refused(server, None)
    assert isinstance(error, errors.NoHostsAvailable)
    assert "perhaps the server expects TLS on this port" in str(error)


async def test_a_client_with_tls_on_a_plain_port_is_told_so(scripted):
    error = await refused(scripted, Tls(verify="none"))
    assert "perhaps the server speaks no TLS on this port" in str(error)


@pytest.mark.parametrize(
    ("text", "verify", "words"),
    [
        ("Underlying socket error: Timed out attempting to resolve hostname", "name", "the resolver gives no name"),
        ("Underlying socket error: Unable to resolve hostname 'unknown node or service'", "name", "the resolver gives no name"),
        ("Underlying connection error: Connection timeout", "name", "speaks no TLS"),
        ("Error during SSL handshake: error:1425F102:SSL routines:ssl_choose_client_version:unsupported protocol", "none", "in common"),
        (
            "Error during SSL handshake: error:14094410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure",
            "none",
            "asks for a client",
        ),
    ],
)
def test_what_is_likely_behind_errors_that_are_hard_to_bring_about(text, verify, words):
    error = errors.TlsError(text) if "SSL" in text else errors.NoHostsAvailable(text)
    error.code = 3 << 24 | 6 if "SSL" in text else None
    assert words in (security.likely_cause(error, Tls(verify=verify)) or "")


async def test_a_port_where_nobody_listens_says_nothing_of_tls(scripted):
    scripted.stop_listening()
    for tls in (None, Tls(verify="none")):
        assert "TLS" not in str(await refused(scripted, tls))
