"""Registry tokens: what we sign, and all that we refuse."""

import base64
import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives import serialization

from accounts import crypto, docker_tokens
from accounts.errors import Unauthorized
from accounts.principals import ANONYMOUS, Principal
from accounts.scopes import Grant

BOB = Principal("user", "bob", 7, epoch=3)
GRANT = Grant(
    "repository", "team/app", ("pull", "push"), project_id=11, registry_name="team--2/app"
)
CATALOG = Grant("registry", "catalog", ("*",))


def payload_of(token: str) -> dict[str, Any]:
    """Read the claims without looking at the signature."""
    return jwt.decode(token, options={"verify_signature": False})


class TestIssue:
    def test_the_claims_that_distribution_asks_for(self, keys: Path) -> None:
        claims = payload_of(docker_tokens.issue(BOB, [GRANT, CATALOG], lifetime=300))
        assert (claims["iss"], claims["aud"], claims["sub"]) == ("moorage", "moorage", "bob")
        assert claims["exp"] - claims["iat"] == 300
        assert claims["nbf"] <= claims["iat"]
        assert claims["jti"]
        assert claims["access"] == [
            {"type": "repository", "name": "team/app", "actions": ["pull", "push"]},
            {"type": "repository", "name": "team--2/app", "actions": ["pull", "push"]},
            {"type": "registry", "name": "catalog", "actions": ["*"]},
        ]

    def test_the_header_holds_the_leaf_and_nothing_to_choose_a_key_by(self, keys: Path) -> None:
        header = jwt.get_unverified_header(docker_tokens.issue(BOB, [], lifetime=300))
        assert header["alg"] == "ES256"
        assert len(header["x5c"]) == 1
        assert not {"kid", "jwk", "jku", "x5u"} & set(header)

    def test_there_and_back(self, keys: Path) -> None:
        claims = docker_tokens.verify(docker_tokens.issue(BOB, [GRANT, CATALOG], lifetime=300))
        assert claims.principal == BOB
        grant = claims.grant("team/app", "push")
        assert grant is not None
        assert (grant.project_id, grant.is_by_public) == (11, False)
        assert claims.grant("team/app", "delete") is None
        assert claims.grant("team/other", "pull") is None
        assert claims.grant("catalog", "*") is not None

    def test_the_registrys_name_gives_nothing_at_the_gateway(self, keys: Path) -> None:
        claims = docker_tokens.verify(docker_tokens.issue(BOB, [GRANT], lifetime=300))
        assert claims.grant("team--2/app", "pull") is None

    def test_nobody(self, keys: Path) -> None:
        claims = docker_tokens.verify(docker_tokens.issue(ANONYMOUS, [], lifetime=300))
        assert claims.principal == ANONYMOUS


@pytest.fixture
def forge(keys: Path) -> Callable[..., str]:
    """Return a function that signs a token like ours, except for what is changed."""
    token = docker_tokens.issue(BOB, [GRANT], lifetime=300)
    payload, x5c = payload_of(token), jwt.get_unverified_header(token)["x5c"]
    ours = crypto.current_leaf(keys).key

    def make(
        key: Any = ours,
        algorithm: str = "ES256",
        header: dict[str, Any] | None = None,
        without: str = "",
        **changes: Any,
    ) -> str:
        claims = {name: v for name, v in {**payload, **changes}.items() if name != without}
        return jwt.encode(claims, key, algorithm=algorithm, headers={"x5c": x5c, **(header or {})})

    return make


Forge = Callable[..., str]


def refused(token: str) -> None:
    """Check that a token opens nothing, and that its second try does not either."""
    for _ in range(2):
        with pytest.raises(Unauthorized):
            docker_tokens.verify(token)


class TestVerify:
    def test_the_forger_can_make_a_good_one(self, forge: Forge) -> None:
        assert docker_tokens.verify(forge()).principal == BOB

    def test_no_algorithm(self, forge: Forge) -> None:
        refused(forge(key=None, algorithm="none"))

    def test_our_public_key_as_a_shared_secret(self, forge: Forge, keys: Path) -> None:
        certificate = crypto.ca_certificate(keys)
        public = crypto.current_leaf(keys).key.public_key()
        pems = (
            public.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            certificate.public_bytes(serialization.Encoding.PEM),
        )
        for pem in pems:
            refused(_hs256(forge(), pem))

    def test_a_foreign_key_under_our_certificate(self, forge: Forge, tmp_path: Path) -> None:
        crypto.ensure_keys(tmp_path)
        refused(forge(key=crypto.current_leaf(tmp_path).key))

    def test_a_foreign_certificate(self, forge: Forge, tmp_path: Path) -> None:
        crypto.ensure_keys(tmp_path)
        leaf = crypto.current_leaf(tmp_path)
        refused(forge(key=leaf.key, header={"x5c": [leaf.x5c]}))

    def test_a_chain_that_ends_in_ours(self, forge: Forge, tmp_path: Path, keys: Path) -> None:
        crypto.ensure_keys(tmp_path)
        leaf, ours = crypto.current_leaf(tmp_path), crypto.current_leaf(keys)
        refused(forge(key=leaf.key, header={"x5c": [leaf.x5c, ours.x5c]}))

    @pytest.mark.parametrize(
        "x5c", [None, [], "", {}, [""], ["!"], [1], ["\xe9"], ["A" * 4000], [["x"]]]
    )
    def test_no_certificate(self, forge: Forge, x5c: object) -> None:
        refused(forge(header={"x5c": x5c}))

    def test_a_key_of_the_callers_choice_beside_it(self, forge: Forge, tmp_path: Path) -> None:
        crypto.ensure_keys(tmp_path)
        key = crypto.current_leaf(tmp_path).key
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
        refused(forge(key=key, header={"jwk": jwk, "kid": "ours"}))

    def test_a_critical_extension_that_nobody_knows(self, forge: Forge) -> None:
        refused(forge(header={"crit": ["x"], "x": 1}))

    @pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "aud", "iss", "sub", "jti", "moorage"])
    def test_a_claim_is_missing(self, forge: Forge, claim: str) -> None:
        refused(forge(without=claim))

    @pytest.mark.parametrize(
        "change",
        [
            {"aud": "other"},
            {"iss": "other"},
            {"aud": ""},
            {"exp": "soon"},
            {"exp": 0},
            {"moorage": None},
            {"moorage": []},
            {"moorage": {}},
            {"access": None},
            {"access": ["x"]},
        ],
    )
    def test_a_claim_is_not_ours(self, forge: Forge, change: dict[str, object]) -> None:
        refused(forge(**change))

    def test_not_yet(self, forge: Forge) -> None:
        now = int(time.time())
        refused(forge(nbf=now + 120))
        refused(forge(iat=now + 120))

    def test_expiry_has_the_registrys_leeway_and_no_more(self, keys: Path) -> None:
        start = datetime.datetime.now(datetime.UTC)
        with time_machine.travel(start, tick=False) as clock:
            fresh = docker_tokens.issue(BOB, [GRANT], lifetime=300)
            seen = docker_tokens.issue(BOB, [GRANT], lifetime=300)
            docker_tokens.verify(seen)
            clock.shift(358)
            assert docker_tokens.verify(seen).principal == BOB
            clock.shift(3)
            refused(seen)
            refused(fresh)

    @pytest.mark.parametrize(
        "token",
        [
            "",
            ".",
            "..",
            "...",
            "x",
            "\xe9.\xe9.\xe9",
            "\ud800",
            "e30.e30.",
            "bnVsbA.e30.e30",
            "W10.e30.e30",
            "A" * 1_000_000,
            base64.urlsafe_b64encode(b'{"x5c":' + b"[" * 9000).decode() + ".e30.e30",
        ],
        ids=lambda token: repr(token[:12]),
    )
    def test_garbage(self, keys: Path, token: str) -> None:
        refused(token)

    def test_one_bit_makes_a_difference(self, forge: Forge) -> None:
        head, body, signature = forge().split(".")
        changed = payload_of(".".join((head, body, signature))) | {"sub": "admin"}
        text = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
        refused(f"{head}.{text}.{signature}")
        refused(f"{head}.{body}.")

    def test_a_thousand_forgeries_leave_no_trace(self, forge: Forge, tmp_path: Path) -> None:
        crypto.ensure_keys(tmp_path)
        leaf = crypto.current_leaf(tmp_path)
        before = len(docker_tokens._keys.verified), len(docker_tokens._keys.public_keys)
        for number in range(20):
            refused(forge(key=leaf.key, header={"x5c": [leaf.x5c]}, jti=str(number)))
        after = len(docker_tokens._keys.verified), len(docker_tokens._keys.public_keys)
        assert before == after


def _hs256(token: str, secret: bytes) -> str:
    """Sign a token's claims with HMAC; PyJWT itself refuses to take a PEM for a secret."""
    head = {"alg": "HS256", "typ": "JWT", "x5c": jwt.get_unverified_header(token)["x5c"]}
    parts = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (head, payload_of(token))
    )
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = base64.urlsafe_b64encode(algorithm.sign(parts, secret)).rstrip(b"=")
    return (parts + b"." + signature).decode()


class TestRotation:
    def test_tokens_of_the_old_leaf_live_on(self, tmp_path: Path, settings: Any) -> None:
        settings.MOORAGE_KEYS = tmp_path
        docker_tokens.forget_keys()
        crypto.ensure_keys(tmp_path)
        old = docker_tokens.issue(BOB, [GRANT], lifetime=300)
        (tmp_path / "leaf.pem").unlink()
        crypto.ensure_keys(tmp_path)
        docker_tokens.forget_keys()
        new = docker_tokens.issue(BOB, [GRANT], lifetime=300)
        headers = [jwt.get_unverified_header(token)["x5c"] for token in (old, new)]
        assert headers[0] != headers[1]
        assert docker_tokens.verify(old).principal == docker_tokens.verify(new).principal == BOB
        docker_tokens.forget_keys()

    def test_a_due_leaf_is_renewed_on_the_way(self, tmp_path: Path, settings: Any) -> None:
        settings.MOORAGE_KEYS = tmp_path
        docker_tokens.forget_keys()
        crypto.ensure_keys(tmp_path)
        first = crypto.current_leaf(tmp_path)
        with time_machine.travel(first.not_after - datetime.timedelta(days=1), tick=False):
            token = docker_tokens.issue(BOB, [], lifetime=300)
            assert jwt.get_unverified_header(token)["x5c"] != [first.x5c]
            docker_tokens.verify(token)
        docker_tokens.forget_keys()

    def test_keys_are_nobody_elses_to_read(self, key_directory: Path) -> None:
        for name in ("ca.key", "leaf.pem"):
            assert (key_directory / name).stat().st_mode & 0o777 == 0o600
