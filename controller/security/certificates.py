"""Makes the certificates of a fleet: its authority, that of broker and controller, the list of revoked ones."""

import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY, SERVER = timedelta(days=20 * 365), timedelta(days=825)
"""How long they hold; 825 days is the most that all clients take for a server."""

RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(days=1)
"""Boards whose clock is a little behind believe a new certificate, too."""

HOST = re.compile(r"(?i)(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
LONGEST_NAME = 253

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    """Return a new key on P-256, which small boards check quickly."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """Return `key` as PEM, not encrypted."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def read_key(pem: bytes) -> Key:
    """Return the key in `pem`. Raises ValueError for another kind."""
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("it is no elliptic-curve key")  # noqa: TRY004 - a wrong file, not a wrong call
    return key


def read_certificate(pem: bytes) -> x509.Certificate:
    """Return the certificate in `pem`. Raises ValueError."""
    return x509.load_pem_x509_certificate(pem)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return `certificate` as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def authority(key: Key, name: str, now: datetime) -> x509.Certificate:
    """Return the certificate of a new authority called `name`, signed with its own `key`."""
    subject = _named(name)
    usage = _usage(key_cert_sign=True, crl_sign=True)
    return (
        _builder(subject, subject, key, now, AUTHORITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def server_certificate(
    key: Key, names: Iterable[str], ca: x509.Certificate, ca_key: Key, now: datetime
) -> x509.Certificate:
    """Return a certificate for the server that has `key` and is reached by `names`, host names and addresses."""
    known = sorted(set(names))
    return (
        _builder(_named("edgewatt server"), ca.subject, key, now, SERVER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in known]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def empty_crl(ca: x509.Certificate, ca_key: Key, now: datetime) -> bytes:
    """Return the authority's list of revoked certificates, with none on it, as PEM."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(ca.subject)
    builder = builder.last_update(now - BACKDATED).next_update(ca.not_valid_after_utc)
    number = x509.CRLNumber(1)
    signed = builder.add_extension(number, critical=False).sign(ca_key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def is_host(name: str) -> bool:
    """Return whether `name` is an address, or a name that a certificate can be for."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return len(name) <= LONGEST_NAME and bool(HOST.fullmatch(name))
    return True


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the host names and addresses that `certificate` is for."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = (str(address) for address in found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of the certificate in `pem`, in hex."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def today() -> datetime:
    """Return now, in whole seconds, as certificates want it."""
    return datetime.now(UTC).replace(microsecond=0)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, now: datetime, holds: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + holds)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
