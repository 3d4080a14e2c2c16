"""Certificates made for a test: authorities, and what they sign."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_PEM = serialization.Encoding.PEM
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(_PEM).decode()

    def key_pem(self, password: str | None = None, *, traditional: bool = False) -> str:
        """The key, encrypted with a password if there is one; `traditional` is OpenSSL's own old form."""
        form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
        encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        return self.key.private_bytes(_PEM, form, encryption).decode()

    def server_context(self, folder: Path, *, asks: Authority | None = None) -> ssl.SSLContext:
        """A server with this certificate; `asks` is whom it trusts to have signed the client's, which it then requires."""
        file = folder / f"server-{self.certificate.serial_number}.pem"
        file.write_text(self.key_pem() + self.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if asks is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=asks.pem)
        return context


class Authority(Certificate):
    """Who signs certificates; its own is signed by itself, or by `parent`."""

    def __init__(self, name: str = "a test's authority", parent: Authority | None = None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, parent.certificate.subject if parent else subject, key, -_DAY, 30 * _DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        super().__init__(builder.sign(parent.key if parent else key, hashes.SHA256()), key)

    def issue(
        self,
        *,
        addresses: Sequence[str] = (),
        names: Sequence[str] = (),
        common_name: str = "a node",
        start: datetime.timedelta = -_DAY,
        end: datetime.timedelta = 10 * _DAY,
        key: Key | None = None,
    ) -> Certificate:
        """A certificate for these addresses and DNS names, or for a client; valid from `start` to `end`, from now."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, self.certificate.subject, key, start, end)
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        subjects: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        subjects += [x509.DNSName(name) for name in names]
        if subjects:
            builder = builder.add_extension(x509.SubjectAlternativeName(subjects), critical=False)
        return Certificate(builder.sign(self.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, start: datetime.timedelta, end: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(now + start).not_valid_after(now + end)
