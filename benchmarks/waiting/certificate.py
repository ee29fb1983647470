"""A certificate for 127.0.0.1, for the length of one measurement."""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_LIFE = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """
    The files of a certificate.

    :param bundle: what a client trusts: this one besides all that it would trust anyway, so that reading its
        certificates costs what it costs elsewhere.
    """

    chain: Path
    key: Path
    bundle: Path


def make_certificate(folder: Path) -> Certificate:
    """Make a self-signed certificate in a folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "benchmark")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFE)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / "chain.pem", folder / "key.pem", folder / "bundle.pem")
    pem = signed.public_bytes(serialization.Encoding.PEM)
    made.chain.write_bytes(pem)
    made.bundle.write_bytes(Path(certifi.where()).read_bytes() + pem)
    with os.fdopen(os.open(made.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return made
