"""Keys: a private CA, the short-lived leaf that signs tokens, and keyed digests.

The registry trusts the CA's certificate; each token carries its leaf in ``x5c`` (RFC 7515
§4.1.6). That is the one form which distribution 2.8 and 3.x both accept, and a new leaf needs no
restart of anything.
"""

import datetime
import fcntl
import hashlib
import hmac
import os
import secrets
import string
import zlib
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CA_LIFETIME = datetime.timedelta(days=3650)
LEAF_LIFETIME = datetime.timedelta(days=30)
LEAF_RENEWAL = datetime.timedelta(days=10)
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
# Certificates begin a little in the past: the registry's clock may be behind ours.
_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A signing key with its certificate, base64 DER as ``x5c`` wants it."""

    key: ec.EllipticCurvePrivateKey
    x5c: str
    not_after: datetime.datetime

    def is_due(self, now: datetime.datetime) -> bool:
        """True when it is time for the next leaf."""
        return now >= self.not_after - LEAF_RENEWAL


def ensure_keys(directory: Path) -> None:
    """Make the CA and the first leaf where they are missing; renew a leaf that is due.

    Safe to call from several processes at once. Files are 0600, the directory 0700.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        now = datetime.datetime.now(datetime.UTC)
        if not (directory / "ca.pem").exists():
            _make_ca(directory, now)
        leaf = directory / "leaf.pem"
        if not leaf.exists() or _read_leaf(leaf).is_due(now):
            _make_leaf(directory, now)


def ensure_audit_key(directory: Path) -> bytes:
    """Return the key that seals the audit, made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "audit-key").exists():
            write_secret(directory / "audit-key", secrets.token_hex(32).encode())
    return audit_key(directory)


def audit_key(directory: Path) -> bytes:
    """Return the key that seals the audit; ``OSError`` where it is missing."""
    return (directory / "audit-key").read_bytes()


def current_leaf(directory: Path) -> Leaf:
    """Return the leaf to sign with, made anew where it is missing or due."""
    path = directory / "leaf.pem"
    if path.exists():
        leaf = _read_leaf(path)
        if not leaf.is_due(datetime.datetime.now(datetime.UTC)):
            return leaf
    ensure_keys(directory)
    return _read_leaf(path)


def ca_certificate(directory: Path) -> x509.Certificate:
    """Return the CA's certificate."""
    return x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())


def leaf_public_key(
    der: bytes, *, ca: x509.Certificate, now: datetime.datetime
) -> tuple[ec.EllipticCurvePublicKey, datetime.datetime]:
    """Return the key of a leaf that this CA issued and that is valid now, and until when it is.

    Raises ``ValueError`` for anything else.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise ValueError("not a certificate of this issuer") from error
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise ValueError("the certificate is not valid now")
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("the certificate holds no elliptic-curve key")
    return key, certificate.not_valid_after_utc


def keyed_digest(key: bytes, *parts: str) -> bytes:
    """HMAC-SHA256 over the parts, each prefixed by its length so that none can pose as two."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def new_secret(kind: str) -> str:
    """Return ``mrg_<kind>_`` with 36 letters and digits (214 bits), the last six a checksum.

    The form lets secret scanners recognise a leaked one, and us refuse a mistyped one unasked.
    """
    random = "".join(secrets.choice(_BASE62) for _ in range(30))
    return f"mrg_{kind}_{random}{_checksum(random)}"


def is_secret(text: str, kind: str) -> bool:
    """True for a secret of that kind whose checksum holds."""
    prefix = f"mrg_{kind}_"
    random, checksum = text[len(prefix) : -6], text[-6:]
    return text.startswith(prefix) and len(random) == 30 and _checksum(random) == checksum


def secret_digest(text: str) -> str:
    """SHA-256 in hexadecimal, for secrets that are long and random."""
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    while len(digits) < 6:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def write_secret(path: Path, content: bytes) -> None:
    """Write so that other processes see the old file or the new one, never half of it."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _make_ca(directory: Path, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own per installation: two Moorages' bundles can stand in one registry.
    name = _name(f"Moorage token CA {secrets.token_hex(4)}")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    # The key first: with a certificate and no key nothing could ever be signed again.
    write_secret(directory / "ca.key", _pem(key))
    write_secret(directory / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))


def _make_leaf(directory: Path, now: datetime.datetime) -> None:
    ca_key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise TypeError("ca.key is not an elliptic-curve key")
    ca = ca_certificate(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name("Moorage token signer"))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(min(now + LEAF_LIFETIME, ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    content = _pem(key) + certificate.public_bytes(serialization.Encoding.PEM)
    write_secret(directory / "leaf.pem", content)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _read_leaf(path: Path) -> Leaf:
    content = path.read_bytes()
    key = serialization.load_pem_private_key(content, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds no elliptic-curve key")
    certificate = x509.load_pem_x509_certificate(content)
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Leaf(key, b64encode(der).decode(), certificate.not_valid_after_utc)
