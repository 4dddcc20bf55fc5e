"""Registry tokens: JWTs as distribution's "Token Authentication Specification" wants them.

ES256 with the leaf's certificate in ``x5c``. Beside the standard claims a token carries one of
ours, ``moorage``: the principal's immutable id and epochs, and per repository the project's
incarnation, so that a token never outlives the user, the right or the project it was made for.
"""

import datetime
import json
import threading
import time
import uuid
from base64 import b64decode, urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from accounts.crypto import Leaf, ca_certificate, current_leaf, leaf_public_key
from accounts.errors import Unauthorized
from accounts.principals import Principal
from accounts.scopes import Grant

# The registry's leeway, so that gateway and registry refuse at the same moment.
LEEWAY_SECONDS = 60
_MAX_TOKEN_LENGTH = 16 * 1024
_REMEMBERED_TOKENS = 10_000
_TIMES = ("exp", "iat", "nbf")
_REQUIRED = ["exp", "iat", "nbf", "aud", "iss", "sub", "jti"]


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """A verified token: who it was made for and what it gives, by repository name."""

    principal: Principal
    grants: dict[str, Grant]
    expires_at: float

    def grant(self, name: str, action: str) -> Grant | None:
        """Return the grant for a repository when it includes the action."""
        found = self.grants.get(name)
        return found if found is not None and action in found.actions else None


class _Keys:
    """The leaf, the CA and the tokens already verified, kept per process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.leaf: Leaf | None = None
        self.ca: x509.Certificate | None = None
        self.public_keys: dict[str, tuple[ec.EllipticCurvePublicKey, datetime.datetime]] = {}
        self.verified: OrderedDict[str, TokenClaims] = OrderedDict()

    def signing_leaf(self) -> Leaf:
        leaf = self.leaf
        if leaf is None or leaf.is_due(datetime.datetime.now(datetime.UTC)):
            leaf = self.leaf = current_leaf(settings.MOORAGE_KEYS)
        return leaf

    def public_key(self, x5c: str) -> ec.EllipticCurvePublicKey:
        now = datetime.datetime.now(datetime.UTC)
        kept = self.public_keys.get(x5c)
        if kept is None or kept[1] <= now:
            if self.ca is None:
                self.ca = ca_certificate(settings.MOORAGE_KEYS)
            kept = leaf_public_key(b64decode(x5c, validate=True), ca=self.ca, now=now)
            if len(self.public_keys) > 100:
                self.public_keys.clear()
            self.public_keys[x5c] = kept
        return kept[0]

    def remember(self, token: str, claims: TokenClaims) -> None:
        with self.lock:
            self.verified[token] = claims
            while len(self.verified) > _REMEMBERED_TOKENS:
                self.verified.popitem(last=False)


_keys = _Keys()


def forget_keys() -> None:
    """Drop what the process remembers; for tests that change the keys under it."""
    global _keys
    _keys = _Keys()


def issue(principal: Principal, grants: Iterable[Grant], *, lifetime: int) -> str:
    """Return a signed token for these grants, valid for ``lifetime`` seconds."""
    now = int(time.time())
    given = list(grants)
    claims = {
        "iss": settings.MOORAGE_TOKEN_ISSUER,
        "sub": principal.name if not principal.is_anonymous else "",
        "aud": settings.MOORAGE_TOKEN_SERVICE,
        "exp": now + lifetime,
        "nbf": now,
        "iat": now,
        "jti": uuid.uuid4().hex,
        "access": list(_access(given)),
        "moorage": {
            "kind": principal.kind,
            "user": principal.user_id,
            "robot": principal.robot_id,
            "token": principal.token_id,
            "admin": principal.is_administrator,
            "auditor": principal.is_auditor,
            "epoch": principal.epoch,
            "rights": principal.rights_epoch,
            "projects": {
                g.name: [g.project_id, g.is_by_public] for g in given if g.project_id is not None
            },
        },
    }
    leaf = _keys.signing_leaf()
    return jwt.encode(claims, leaf.key, algorithm="ES256", headers={"x5c": [leaf.x5c]})


def _access(grants: Iterable[Grant]) -> Iterable[dict[str, Any]]:
    for grant in grants:
        yield {"type": grant.type, "name": grant.name, "actions": list(grant.actions)}
        if grant.registry_name and grant.registry_name != grant.name:
            # Upload bodies go to the registry itself, which knows the repository by this name.
            actions = list(grant.actions)
            yield {"type": grant.type, "name": grant.registry_name, "actions": actions}


def verify(token: str) -> TokenClaims:
    """Return the claims of a token of ours; raise ``Unauthorized`` for any other.

    Whether its principal and projects still stand is for the caller to look up.
    """
    claims = _keys.verified.get(token)
    if claims is None:
        claims = _verify(token)
        _keys.remember(token, claims)
    if claims.expires_at + LEEWAY_SECONDS <= time.time():
        raise Unauthorized("the token has expired")
    return claims


def _verify(token: str) -> TokenClaims:
    if len(token) > _MAX_TOKEN_LENGTH:
        raise Unauthorized("the token is too long")
    try:
        key = _keys.public_key(_x5c(token))
        claims = jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience=settings.MOORAGE_TOKEN_SERVICE,
            issuer=settings.MOORAGE_TOKEN_ISSUER,
            leeway=LEEWAY_SECONDS,
            # The registry takes neither a list of audiences nor a time that is no whole number.
            options={"require": _REQUIRED, "strict_aud": True},
        )
        if not all(type(claims[name]) is int for name in _TIMES):
            raise ValueError("times are whole seconds")
        return _claims(claims)
    except (jwt.PyJWTError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unauthorized("the token is not valid") from error


def _x5c(token: str) -> str:
    """Return the one certificate of the header; everything else in it is left to PyJWT."""
    head = token.split(".", 1)[0]
    header = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    chain = header["x5c"]
    if not isinstance(chain, list) or len(chain) != 1 or not isinstance(chain[0], str):
        raise ValueError("x5c must hold one certificate")
    return chain[0]


def _claims(claims: dict[str, Any]) -> TokenClaims:
    ours = claims["moorage"]
    projects = ours["projects"]
    principal = Principal(
        kind=ours["kind"],
        name=claims["sub"] or "anonymous",
        user_id=ours["user"],
        robot_id=ours["robot"],
        token_id=ours["token"],
        is_administrator=ours["admin"],
        is_auditor=ours["auditor"],
        epoch=ours["epoch"],
        rights_epoch=ours["rights"],
    )
    grants = {}
    for entry in claims["access"]:
        name = entry["name"]
        project_id, is_by_public = projects.get(name, (None, False))
        if entry["type"] == "repository" and project_id is None:
            continue  # The registry's own name for a repository; the gateway goes by the client's.
        grants[name] = Grant(
            entry["type"],
            name,
            tuple(entry["actions"]),
            project_id=project_id,
            is_by_public=is_by_public,
        )
    return TokenClaims(principal, grants, float(claims["exp"]))
