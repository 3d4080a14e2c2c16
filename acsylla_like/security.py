"""Security: what a connection proves about the server, and about itself."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, get_args

from acsylla_like import errors

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["Tls", "Verify"]

Verify: TypeAlias = Literal["none", "certificate", "address", "name"]
Pem: TypeAlias = str | bytes | os.PathLike[str]
KeyPassword: TypeAlias = str | bytes | Callable[[], str | bytes]

_CERTIFICATE = re.compile(rb"-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----.*?-----END \1-----", re.DOTALL)
_KEY = re.compile(rb"-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
# OpenSSL gives the driver's callback room for so many bytes, and the driver says it has copied more (2.16.2).
_LONGEST_KEY_PASSWORD = 1023


@dataclass(frozen=True, repr=False)
class Tls:
    """How connections are encrypted, and what the server must prove: the option `ssl` of `create_cluster` and `connect`.

    `trust`: the authorities that may have signed the server's certificate, as the path of a PEM file, PEM text, or several of
    these; by default those that the system trusts. `verify`: what is checked before anything is sent:

    - "address" (the default): an authority of `trust` has signed the certificate, and it names the IP address of the node;
    - "name": likewise, and it names the host that the system's resolver knows under that address;
    - "certificate": an authority of `trust` has signed it, for whichever host;
    - "none": nothing, so that whoever answers in the server's place reads and changes everything.

    `certificate`: this client's own, with its chain, as path or PEM text; `key`: its private key, by default in the same file
    or text; `key_password`: what the key is encrypted with, or a function that returns it.

    Files are read when a cluster is made. Raises TypeError or ValueError for options that do not fit;
    `create_cluster` raises OSError for a file that cannot be read and TlsError for what is in it.
    """

    trust: Pem | Iterable[Pem] | None = None
    verify: Verify = "address"
    certificate: Pem | None = None
    key: Pem | None = None
    key_password: KeyPassword | None = None

    def __post_init__(self) -> None:
        if self.verify not in get_args(Verify):
            raise ValueError(f"verify must be one of {', '.join(map(repr, get_args(Verify)))}, not {self.verify!r}")
        if self.trust is not None and not isinstance(self.trust, (str, bytes, os.PathLike)):
            if not isinstance(self.trust, Iterable):
                raise TypeError(f"trust must be a path, PEM text or several of these, not {type(self.trust).__name__}")
            object.__setattr__(self, "trust", tuple(self.trust))
            if not self.trust:
                raise ValueError("trust names no authority: leave it out for those that the system trusts")
        for part in self.trust if isinstance(self.trust, tuple) else (self.trust,):
            _check_pem("trust", part)
        _check_pem("certificate", self.certificate)
        _check_pem("key", self.key)
        if self.certificate is None and self.key is not None:
            raise ValueError("a key belongs to a certificate, and none is given")
        if self.key_password is not None:
            if not isinstance(self.key_password, (str, bytes)) and not callable(self.key_password):
                raise TypeError(f"key_password must be a str, bytes or a function, not {type(self.key_password).__name__}")
            if self.certificate is None:
                raise ValueError("a key_password belongs to a certificate's key, and none is given")

    def __repr__(self) -> str:
        shown = []
        if self.trust is not None:
            parts = self.trust if isinstance(self.trust, tuple) else (self.trust,)
            shown.append(f"trust={', '.join(_name_of(part) for part in parts)}")
        shown.append(f"verify={self.verify!r}")
        if self.certificate is not None:
            shown.append(f"certificate={_name_of(self.certificate)}")
        if self.key is not None:
            shown.append(f"key={_name_of(self.key)}")
        if self.key_password is not None:
            shown.append("key_password=…")
        return f"Tls({', '.join(shown)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Tls may hold a key and its password, and is not pickled: make it where it is used")

    def __copy__(self) -> Tls:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Tls:
        return self

    def _read(self) -> _Material:
        """Everything that it names. Raises OSError and TlsError."""
        material = _Material()
        if self.verify != "none" or self.trust is not None:
            material.trusted = _authorities(self.trust)
        if self.certificate is None:
            return material
        material.certificate_name = f"certificate {_name_of(self.certificate)}"
        material.key_name = f"key {_name_of(self.certificate if self.key is None else self.key)}"
        material.certificate = _pem("certificate", self.certificate)
        if _CERTIFICATE.search(material.certificate) is None:
            raise errors.TlsError(f"{material.certificate_name}: no certificate in PEM is in it")
        key = _KEY.search(material.certificate if self.key is None else _pem("key", self.key))
        if key is None:
            raise errors.TlsError(f"{material.key_name}: no private key in PEM is in it")
        material.key = key[0] + b"\n"
        if b"ENCRYPTED" in material.key:
            if self.key_password is None:
                raise errors.TlsError(f"{material.key_name}: it is encrypted, and no key_password is given")
            material.key_password = _password(self.key_password)
        material.refuse_other_key()
        if material.key_password:
            material.key_name += ", whose key_password may be wrong"
        return material


@dataclass(repr=False)
class _Material:
    """What the driver is given: PEM, and what each piece is called in errors."""

    trusted: list[tuple[str, bytes]] = field(default_factory=list)
    certificate: bytes | None = None
    certificate_name: str = ""
    key: bytes = b""
    key_name: str = ""
    key_password: bytes = b""

    def refuse_other_key(self) -> None:
        """Raises TlsError for the key of another certificate, where Python's ssl can tell.

        The driver finds that itself where both are of the same kind; of an elliptic curve's key beside an RSA certificate it would
        find no certificate at all, when it connects.
        """
        try:
            import ssl
        except ImportError:
            return
        assert self.certificate is not None
        try:
            with _readable(self.certificate) as chain, _readable(self.key) as key:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(chain, key, password=lambda: self.key_password)
        except ssl.SSLError as refused:
            if refused.reason in ("NO_CERTIFICATE_ASSIGNED", "KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
                error = errors.TlsError(f"{self.key_name}: it is not the key of {self.certificate_name}")
                error.code = errors.ErrorCode.SSL_INVALID_PRIVATE_KEY
                raise error from None
        except (OSError, ValueError):
            return  # what is wrong with them, the driver says

    def context(self, verify: Verify) -> SSLContext | None:
        """The same for a connection of our own, which tells nobody anything; None where Python's ssl cannot use it."""
        try:
            import ssl
        except ImportError:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE if verify == "none" else ssl.CERT_REQUIRED
        try:
            if self.trusted:
                context.load_verify_locations(cadata="".join(pem.decode("ascii", "replace") for _, pem in self.trusted))
            if self.certificate is not None:
                with _readable(self.certificate) as chain, _readable(self.key) as key:
                    context.load_cert_chain(chain, key, password=lambda: self.key_password)
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            return None
        return context


@contextlib.contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """A name under which it can be read once, for what takes files only: keys are not to be written to a disk."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        try:
            if os.write(writing, content) != len(content):
                raise OSError(errno.ENOBUFS, "too long for a pipe")
        finally:
            os.close(writing)
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


def tls_of(given: object) -> Tls | None:
    """The option `ssl`: a Tls, True for its defaults, False or None for none. Raises TypeError for anything else."""
    if given is None or given is False:
        return None
    if given is True:
        return Tls()
    if isinstance(given, Tls):
        return given
    advice = ": the C++ driver has a TLS of its own, which acsylla_like.Tls describes" if type(given).__name__ == "SSLContext" else ""
    raise TypeError(f"ssl must be a Tls or a bool, not {type(given).__name__}{advice}")


def _check_pem(option: str, given: object) -> None:
    if given is not None and not isinstance(given, (str, bytes, os.PathLike)):
        raise TypeError(f"{option} must be a path or PEM text, not {type(given).__name__}")
    if isinstance(given, str) and "-----BEGIN " not in given and ("\n" in given or not given):
        raise ValueError(f"{option} is neither the path of a file nor PEM text, which has a line with -----BEGIN")


def _is_text(given: Pem) -> bool:
    return isinstance(given, bytes) or (isinstance(given, str) and "-----BEGIN " in given)


def _name_of(given: Pem) -> str:
    """What may be shown: a path, never what is in it."""
    return "<PEM text>" if _is_text(given) else repr(os.fspath(given))


def _pem(option: str, given: Pem) -> bytes:
    if isinstance(given, bytes):
        return given
    if _is_text(given):
        return str(given).encode()
    path = os.fspath(given)
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise OSError(error.errno, f"{option}: {error.strerror}", path) from None


def _authorities(trust: object) -> list[tuple[str, bytes]]:
    """Every certificate of `trust`, one by one: the driver takes only the first of a text."""
    if trust is None:
        return _authorities_of_the_system()
    found = []
    for part in trust if isinstance(trust, tuple) else (trust,):
        name = f"trust {_name_of(part)}"
        certificates = [match[0] + b"\n" for match in _CERTIFICATE.finditer(_pem("trust", part))]
        if not certificates:
            raise errors.TlsError(f"{name}: no certificate in PEM is in it; other forms, as a Java key store, have to be converted")
        found += [(f"{name}, certificate {number}", pem) for number, pem in enumerate(certificates, 1)]
    return found


def _authorities_of_the_system() -> list[tuple[str, bytes]]:
    import ssl  # not every interpreter has it, and not every client needs it

    paths = ssl.get_default_verify_paths()
    files = [paths.cafile] if paths.cafile else []
    if not files and paths.capath:
        files = sorted(entry.path for entry in os.scandir(paths.capath) if entry.is_file())
    found: dict[bytes, str] = {}
    for file in files:
        for match in _CERTIFICATE.finditer(_pem("trust", file)):
            found.setdefault(match[0] + b"\n", f"trust {file!r}")
    if not found:
        raise errors.TlsError("trust: this system has no trusted authorities that can be found; name those that you trust")
    return [(name, pem) for pem, name in found.items()]


def _password(given: KeyPassword) -> bytes:
    password = given() if callable(given) else given
    if isinstance(password, str):
        password = password.encode()
    if not isinstance(password, bytes):
        raise TypeError(f"key_password must return a str or bytes, not {type(password).__name__}")
    if not password or b"\0" in password or len(password) > _LONGEST_KEY_PASSWORD:
        raise ValueError(f"key_password must have 1 to {_LONGEST_KEY_PASSWORD} bytes and no NUL among them")
    return password


# ---- why there is no connection


def likely_cause(error: errors.Error, tls: Tls | None) -> str | None:
    """What is likely behind an error of connecting, in words for whoever configures it; None where it says enough."""
    text = str(error.args[0]).lower() if error.args else ""
    if isinstance(error, errors.TlsError) and tls is not None:
        return _cause_of_refusal(error.code, text, tls)
    if isinstance(error, errors.AuthenticationError):
        return "the server asks for a username and a password" if "no auth provider" in text else None
    if isinstance(error, (errors.NoHostsAvailable, errors.UnableToConnect)):
        if any(words in text for words in ("closed prematurely", "unable to write to socket", "connection reset")):
            # With TLS 1.3 a client's certificate is refused after the handshake, as far as the client can see.
            return "perhaps the server expects TLS on this port: ssl=acsylla_like.Tls(…)" if tls is None else _cause_of_closing(tls)
        if tls is not None and tls.verify == "name" and "resolve hostname" in text:
            return "the resolver gives no name for the node's address, as verify='name' asks"
        if tls is not None and ("timed out" in text or "timeout" in text):
            return "perhaps the server speaks no TLS on this port"
    return None


# CassError's of the source TLS
_INVALID_PEER_CERTIFICATE, _IDENTITY_MISMATCH, _PROTOCOL_ERROR, _CLOSED = (3 << 24 | code for code in (4, 5, 6, 7))


def _cause_of_refusal(code: int | None, text: str, tls: Tls) -> str | None:
    if code == _INVALID_PEER_CERTIFICATE:
        if "expired" in text:
            return "the server's certificate has to be renewed, or a clock is wrong"
        if "not yet valid" in text:
            return "the server's certificate is from the future, or a clock is wrong"
        trust = "the system" if tls.trust is None else "trust"
        return f"the server's certificate was signed by none of the authorities of {trust}"
    if code == _IDENTITY_MISMATCH:
        if tls.verify == "name":
            return "the server's certificate does not name the host that the resolver knows under the node's address, as verify='name' asks"
        return "the server's certificate does not name the node's IP address, as verify='address' asks"
    if code in (_PROTOCOL_ERROR, _CLOSED):
        if "wrong version number" in text or "unknown protocol" in text:
            return "the server speaks no TLS on this port"
        if "protocol version" in text or "unsupported protocol" in text:
            return "this driver library and the server have no version of TLS in common"
        if "certificate" in text or "handshake failure" in text or code == _CLOSED:
            return _cause_of_closing(tls)
    return None


def _cause_of_closing(tls: Tls) -> str:
    if tls.certificate is None:
        return "perhaps the server asks for a client's certificate, and none was given: Tls(certificate=…, key=…)"
    return "perhaps the server does not trust this client's certificate"
