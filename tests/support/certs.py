"""Certificates for the https hosts of the web: one that is good, and three that are not."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = [
    ipaddress.ip_address(f"127.0.{block}.{last}") for block in (0, 1) for last in range(256)
]


class Certificates:
    """Made once per session: "good", "wrong-host", "expired", "self-signed"; `ca_file` trusts."""

    def __init__(self, folder):
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._ca_name = _name("Test CA")
        ca = self._build(self._ca_name, self._ca_name, self._ca_key.public_key(), ca=True)
        self.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self._contexts: dict[str, ssl.SSLContext] = {}

    def server_context(self, kind) -> ssl.SSLContext:
        """A server's TLS context with a certificate of this kind."""
        if kind not in self._contexts:
            self._contexts[kind] = context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._write(kind))
        return self._contexts[kind]

    def _write(self, kind):
        key = ec.generate_private_key(ec.SECP256R1())
        wrong = [x509.DNSName("other.example")]
        here = [x509.DNSName("localhost"), *(x509.IPAddress(ip) for ip in LOOPBACK)]
        names = wrong if kind == "wrong-host" else here
        certificate = self._build(
            _name("feeds"),
            _name("feeds") if kind == "self-signed" else self._ca_name,
            key.public_key(),
            names=names,
            days=-1 if kind == "expired" else 30,
            signer=key if kind == "self-signed" else self._ca_key,
        )
        path = self.folder / f"{kind}.pem"
        pem = serialization.Encoding.PEM
        path.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(pem)
        )
        return path

    def _build(self, subject, issuer, key, *, names=(), days=30, signer=None, ca=False):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=3))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer or self._ca_key, hashes.SHA256())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
