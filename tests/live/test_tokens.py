"""Registry tokens: gateway and registry read them alike, and neither tells more than it must."""

import datetime
import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from accounts import crypto
from tests.live.client import (
    Client,
    make_project,
    pusher,
    registry_port,
)
from tests.live.stack import Stack, wait_for

pytestmark = pytest.mark.live

Claims = dict[str, Any]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
HOUR = datetime.timedelta(hours=1)


def certificate(
    key: Key, issuer: x509.Name, signer: Any, *, since: datetime.timedelta, left: datetime.timedelta
) -> str:
    """Return a leaf as a token's header holds it."""
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - since)
        .not_valid_after(now + left)
        .sign(signer, hashes.SHA256())
    )
    return b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


class Forge:
    """Makes tokens of all kinds out of a good one."""

    def __init__(self, stack: Stack, name: str) -> None:
        """Take a good token for a repository, and the installation's keys."""
        self.good = pusher(stack, name).token
        self.claims: Claims = jwt.decode(self.good, options={"verify_signature": False})
        self.keys = stack.home / "keys"
        self.leaf = crypto.current_leaf(self.keys)
        self.ca = crypto.ca_certificate(self.keys)
        self.ca_key: Any = serialization.load_pem_private_key(
            (self.keys / "ca.key").read_bytes(), None
        )

    def sign(
        self,
        *,
        key: Any = None,
        algorithm: str = "ES256",
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Sign the good token's claims, changed as given; None leaves one out."""
        changed = {**self.claims, **claims}
        return jwt.encode(
            {name: value for name, value in changed.items() if value is not None},
            key or self.leaf.key,
            algorithm=algorithm,
            headers={"x5c": [self.leaf.x5c]} if headers is None else headers,
        )

    def by_hand(self, header: dict[str, Any], signature: str = "") -> str:
        """Put a token together that no library would."""
        parts = (json.dumps(header).encode(), json.dumps(self.claims).encode())
        encoded = [urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
        return ".".join([*encoded, signature])

    @property
    def now(self) -> int:
        """The time that the good token was made."""
        return int(time.time())


def _hmac_with_public_key(forge: Forge) -> str:
    pem = forge.ca.public_bytes(serialization.Encoding.PEM)
    header = {"alg": "HS256", "typ": "JWT", "x5c": [forge.leaf.x5c]}
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    unsigned = forge.by_hand(header).rstrip(".")
    signature = algorithm.sign(unsigned.encode(), pem)
    return f"{unsigned}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _foreign(forge: Forge, issuer: x509.Name | None = None) -> str:
    """A leaf of another CA, which may bear our CA's name."""
    key, signer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = issuer or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elsewhere")])
    leaf = certificate(key, name, signer, since=HOUR, left=HOUR)
    return forge.sign(key=key, headers={"x5c": [leaf]})


def _expired_leaf(forge: Forge) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = certificate(key, forge.ca.subject, forge.ca_key, since=2 * HOUR, left=-HOUR)
    return forge.sign(key=key, headers={"x5c": [leaf]})


def _own_key(forge: Forge, **headers: Any) -> str:
    """A key of the attacker's, which the header presents in some way."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    presented = {name: public if value == "own" else value for name, value in headers.items()}
    return forge.sign(key=key, headers=presented)


def _rsa(forge: Forge, issuer: x509.Name, signer: Any) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    leaf = certificate(key, issuer, signer or key, since=HOUR, left=HOUR)
    return forge.sign(key=key, algorithm="RS256", headers={"x5c": [leaf]})


def _tampered(forge: Forge) -> str:
    head, _body, signature = forge.good.split(".")
    stolen = {**forge.claims, "access": [{"type": "repository", "name": "x/y", "actions": ["*"]}]}
    body = urlsafe_b64encode(json.dumps(stolen).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


ACCEPTED: dict[str, Callable[[Forge], str]] = {
    "as issued": lambda forge: forge.good,
    "signed again": lambda forge: forge.sign(),
    "expired 30 s ago": lambda forge: forge.sign(exp=forge.now - 30),
    "valid in 30 s": lambda forge: forge.sign(nbf=forge.now + 30),
    "an unknown kid beside x5c": lambda forge: forge.sign(
        headers={"x5c": [forge.leaf.x5c], "kid": "AAAA:BBBB"}
    ),
}
REFUSED: dict[str, Callable[[Forge], str]] = {
    "alg none": lambda forge: forge.by_hand({"alg": "none", "typ": "JWT"}),
    "alg none with x5c": lambda forge: forge.by_hand({"alg": "none", "x5c": [forge.leaf.x5c]}),
    "ES256 without signature": lambda forge: forge.by_hand(
        {"alg": "ES256", "x5c": [forge.leaf.x5c]}
    ),
    "HS256 with our certificate": _hmac_with_public_key,
    "RS256 of its own": lambda forge: _rsa(forge, forge.ca.subject, None),
    "another CA": _foreign,
    "another CA of our CA's name": lambda forge: _foreign(forge, forge.ca.subject),
    "an expired leaf": _expired_leaf,
    "our leaf, another key": lambda forge: forge.sign(key=ec.generate_private_key(ec.SECP256R1())),
    "a jwk of its own": lambda forge: _own_key(forge, jwk="own"),
    "a jwk of its own and a kid": lambda forge: _own_key(forge, jwk="own", kid="AAAA:BBBB"),
    "a jwk of its own and our leaf": lambda forge: _own_key(forge, jwk="own", x5c=[forge.leaf.x5c]),
    "an unknown kid": lambda forge: forge.sign(headers={"kid": "AAAA:BBBB"}),
    "no key": lambda forge: forge.sign(headers={}),
    "x5c empty": lambda forge: forge.sign(headers={"x5c": []}),
    "x5c no certificate": lambda forge: forge.sign(headers={"x5c": ["AAAA"]}),
    "x5c a text": lambda forge: forge.sign(headers={"x5c": forge.leaf.x5c}),
    "aud a list": lambda forge: forge.sign(aud=[forge.claims["aud"]]),
    "aud another": lambda forge: forge.sign(aud="elsewhere"),
    "aud missing": lambda forge: forge.sign(aud=None),
    "iss another": lambda forge: forge.sign(iss="elsewhere"),
    "exp a fraction": lambda forge: forge.sign(exp=forge.now + 100.5),
    "exp a text": lambda forge: forge.sign(exp=str(forge.now + 100)),
    "exp missing": lambda forge: forge.sign(exp=None),
    "expired 90 s ago": lambda forge: forge.sign(exp=forge.now - 90),
    "valid in 90 s": lambda forge: forge.sign(nbf=forge.now + 90),
    "nbf a fraction": lambda forge: forge.sign(nbf=forge.now - 100.5),
    "no access": lambda forge: forge.sign(access=[]),
    "access missing": lambda forge: forge.sign(access=None),
    "access of another": lambda forge: forge.sign(
        access=[{"type": "repository", "name": "some/other", "actions": ["pull"]}]
    ),
    "claims changed": _tampered,
    "cut off": lambda forge: forge.good[:-10],
    "two parts": lambda forge: forge.good.rpartition(".")[0],
    "empty parts": lambda _forge: "..",
    "no token": lambda _forge: "x",
}
# The registry takes these; only the holder of the CA's key could make them.
STRICTER: dict[str, Callable[[Forge], str]] = {
    "iat missing": lambda forge: forge.sign(iat=None),
    "iat to come": lambda forge: forge.sign(iat=forge.now + 1000),
    "no claim of ours": lambda forge: forge.sign(moorage=None),
    "RS256 of our CA": lambda forge: _rsa(forge, forge.ca.subject, forge.ca_key),
}


@pytest.fixture(scope="module")
def name(stack: Stack) -> str:
    """A repository with an image, which no form of token changes."""
    made = f"{make_project(stack)}/app"
    pusher(stack, made).push_image(made)
    return made


@pytest.fixture(scope="module")
def forge(stack: Stack, name: str) -> Forge:
    """Makes tokens for it."""
    return Forge(stack, name)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose keys may be changed."""
    running = Stack(tmp_path_factory.mktemp("renewal")).start()
    yield running
    running.stop()


class TestForms:
    @staticmethod
    def answers(stack: Stack, name: str, token: str) -> tuple[int, int]:
        """Return what gateway and registry say to a token."""
        target = f"/v2/{name}/tags/list"
        gateway = Client(stack.port, token).ask("GET", target)
        registry = Client(registry_port(stack), token).ask("GET", target)
        if gateway.status == 401:
            assert gateway.code == "UNAUTHORIZED"
            assert f'scope="repository:{name}:pull"' in gateway.headers["WWW-Authenticate"]
        return gateway.status, registry.status

    @pytest.mark.parametrize("form", ACCEPTED)
    def test_both_accept(self, stack: Stack, name: str, forge: Forge, form: str) -> None:
        # The registry knows no tags: they are ours.
        assert self.answers(stack, name, ACCEPTED[form](forge)) == (200, 404)

    @pytest.mark.parametrize("form", REFUSED)
    def test_both_refuse(self, stack: Stack, name: str, forge: Forge, form: str) -> None:
        assert self.answers(stack, name, REFUSED[form](forge)) == (401, 401)

    @pytest.mark.parametrize("form", STRICTER)
    def test_the_gateway_is_stricter(
        self, stack: Stack, name: str, forge: Forge, form: str
    ) -> None:
        assert self.answers(stack, name, STRICTER[form](forge)) == (401, 404)

    @pytest.mark.parametrize("length", [10_000, 30_000, 1_000_000])
    def test_a_long_one(self, stack: Stack, name: str, length: int) -> None:
        answer = Client(stack.port, "x" * length).ask("GET", f"/v2/{name}/tags/list")
        assert answer.status in (400, 401)
        assert answer.code in ("BAD_REQUEST", "UNAUTHORIZED")


class TestRenewal:
    """A new leaf needs no restart of anything."""

    def test_a_leaf_that_becomes_due_is_replaced(self, own: Stack, image: Path) -> None:
        project = make_project(own)
        own.kill("registry")  # It starts before any of the leaves below was made.
        wait_for(own.is_healthy, "health")
        registry = own.pid("registry")
        # On a busy machine the gateway may start when the leaf is due already.
        for seconds in (8, 20, 40):
            x5c = _sign_with_another_leaf(own, due=datetime.timedelta(seconds=seconds))
            assert own.push(image, f"{project}/app:1").returncode == 0
            first = _leaf_of(own)
            if first == x5c:
                break
        assert first == x5c, "the machine was too slow to see the old leaf"
        wait_for(lambda: _leaf_of(own) != x5c, "a new leaf")
        assert own.push(image, f"{project}/app:2").returncode == 0
        assert own.pull(f"{project}/app:1", own.home / "pulled").returncode == 0
        assert own.pid("registry") == registry

    def test_a_leaf_that_is_gone_is_made_anew(self, own: Stack, image: Path) -> None:
        project = make_project(own)
        (own.home / "keys" / "leaf.pem").unlink()
        assert own.push(image, f"{project}/app:1").returncode == 0
        own.kill("gateway")
        wait_for(own.is_healthy, "health")
        pushed = own.push(image, f"{project}/app:2")
        assert pushed.returncode == 0, pushed.stderr
        assert (own.home / "keys" / "leaf.pem").stat().st_mode & 0o077 == 0


def _sign_with_another_leaf(stack: Stack, *, due: datetime.timedelta) -> str:
    """Have the gateway start with a leaf that is due so soon; return its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    keys = stack.home / "keys"
    ca_key = serialization.load_pem_private_key((keys / "ca.key").read_bytes(), None)
    subject, left = crypto.ca_certificate(keys).subject, crypto.LEAF_RENEWAL + due
    x5c = certificate(key, subject, ca_key, since=HOUR, left=left)
    _write_leaf(keys, key, x5c)
    stack.kill("gateway")
    wait_for(stack.is_healthy, "health")
    return x5c


def _write_leaf(keys: Path, key: ec.EllipticCurvePrivateKey, x5c: str) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    lines = [x5c[start : start + 64] for start in range(0, len(x5c), 64)]
    body = "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
    (keys / "leaf.pem").write_bytes(pem + body.encode())


def _leaf_of(stack: Stack) -> str:
    token = stack.token("registry:catalog:*")
    return str(jwt.get_unverified_header(token)["x5c"][0])
