"""Who calls, for which repository, and does the token's every premise still hold?

A token is a promise of up to 15 minutes. Each request looks up what may have changed since: the
user (disabled, revoked, with fewer rights), the project (deleted, made again, no longer public,
renamed: its former name still serves pulls for a while).
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest
from django.utils import timezone

from accounts import docker_tokens, statements
from accounts.docker_tokens import TokenClaims
from accounts.errors import Unauthorized
from accounts.principals import Actor, Principal
from accounts.scopes import Grant, is_repository_name
from accounts.statements import Statement
from registry_sync import admission, catalog
from registry_sync.gateway import refusals
from registry_sync.gateway.errors import ProtocolError, name_unknown
from registry_sync.models import Repository

_DOING = {"delete": "delete from", "push": "push to", "pull": "pull from"}
# Where the mirror's listener keeps what it decided in place of a token; no header can set it.
GIVEN_CLAIMS = "moorage.claims"
# What a client is told to ask for (distribution: a push needs both).
_SCOPES = {"pull": "pull", "push": "pull,push", "delete": "delete"}


@dataclass(frozen=True, slots=True)
class Standing:
    """A caller's checked right in one repository, which may not exist yet."""

    claims: TokenClaims
    grant: Grant
    project_id: int
    registry_key: str
    is_public: bool
    is_read_only: bool
    # Filled from another registry; nobody pushes into it.
    is_proxy: bool
    storage_limit: int
    path: str
    repository_id: int | None

    @property
    def principal(self) -> Principal:
        """Who calls."""
        return self.claims.principal

    @property
    def registry_name(self) -> str:
        """What the registry calls the repository."""
        return f"{self.registry_key}/{self.path}"

    def repository(self) -> Repository:
        """Return the repository; raise ``NAME_UNKNOWN`` where there is none.

        What names it was read with the standing; the rest is read when it is asked for.
        """
        if self.repository_id is None:
            raise name_unknown()
        fields = ["id", "project_id", "path"]
        values = [self.repository_id, self.project_id, self.path]
        return Repository.from_db(DEFAULT_DB_ALIAS, fields, values)

    def open_repository(self) -> Repository:
        """Return the repository, made where it is missing."""
        if self.repository_id is None:
            return catalog.open_repository(self.project_id, self.path)
        return self.repository()

    def actor(self, request: HttpRequest) -> Actor:
        """The caller at work in this request."""
        return Actor.of(self.principal, request.META)


def challenge(scope: str = "", error: str = "") -> ProtocolError:
    """401 that names the scope of this very request: containerd asks for nothing else."""
    parts = [
        f'realm="{settings.MOORAGE_EXTERNAL_URL}/service/token"',
        f'service="{settings.MOORAGE_TOKEN_SERVICE}"',
    ]
    if scope:
        parts.append(f'scope="{scope}"')
    if error:
        parts.append(f'error="{error}"')
    return ProtocolError(
        401,
        "UNAUTHORIZED",
        _refusal(scope) if error == "insufficient_scope" else "authentication required",
        headers={"WWW-Authenticate": f"Bearer {','.join(parts)}"},
    )


def _refusal(scope: str) -> str:
    """Say what a token is not good for; the same of a project that is hidden and of none."""
    _kind, _, rest = scope.partition(" ")[0].partition(":")
    name, _, actions = rest.rpartition(":")
    doing = next((words for action, words in _DOING.items() if action in actions), "use")
    return f"you may not {doing} {name}, or there is no such project"


def scope_of(name: str, action: str) -> str:
    """The scope to ask for."""
    return f"repository:{name}:{_SCOPES[action]}"


def bearer_claims(request: HttpRequest, scope: str) -> TokenClaims:
    """Return the claims of the request's token; 401 with the challenge for anything else.

    The mirror's listener gives them itself where everyone may pull.
    """
    given = request.META.get(GIVEN_CLAIMS)
    if isinstance(given, TokenClaims):
        return given
    header = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _separator, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise challenge(scope)
    try:
        claims = docker_tokens.verify(token.strip())
    except Unauthorized as error:
        raise challenge(scope, "invalid_token") from error
    request.META[refusals.CALLER] = claims.principal
    return claims


_CALLER = """
SELECT u.auth_epoch, u.rights_epoch, u.is_active,
  b.auth_epoch, b.is_disabled, b.expires_at, t.id, t.expires_at
FROM (SELECT 1 AS one) AS always
LEFT JOIN accounts_user u ON u.id = %s
LEFT JOIN accounts_robot b ON b.id = %s AND b.deleted_at IS NULL
LEFT JOIN accounts_personaltoken t ON t.id = %s AND t.revoked_at IS NULL
"""


def require_caller(request: HttpRequest, scope: str = "") -> TokenClaims:
    """Return the claims of a caller who still stands, for requests that concern no repository."""
    claims = bearer_claims(request, scope)
    (row,) = statements.run(Statement(_CALLER, _caller_ids(claims.principal)))
    if not _stands(claims.principal, row):
        raise challenge(scope, error="invalid_token")
    return claims


def _caller_ids(principal: Principal) -> list[int | None]:
    return [principal.user_id, principal.robot_id, principal.token_id]


def _stands(principal: Principal, row: Sequence[Any]) -> bool:
    """Whether user, robot and personal token are still what they were when the token was made."""
    user_epoch, rights_epoch, is_active, *robot, token_id, token_expiry = row
    robot_epoch, is_disabled, robot_expiry = robot
    now = timezone.now()
    if principal.user_id is not None and not (
        is_active and user_epoch == principal.epoch and rights_epoch == principal.rights_epoch
    ):
        return False
    if principal.robot_id is not None and (
        robot_epoch != principal.epoch or is_disabled or _is_past(robot_expiry, now)
    ):
        return False
    return principal.token_id is None or (token_id is not None and not _is_past(token_expiry, now))


def _is_ahead(moment: datetime.datetime | str | None) -> bool:
    return moment is not None and not _is_past(moment, timezone.now())


def _is_past(moment: datetime.datetime | str | None, now: datetime.datetime) -> bool:
    """SQLite's driver gives a raw query's times without saying that they are UTC, or as text."""
    if isinstance(moment, str):
        moment = datetime.datetime.fromisoformat(moment)
    if moment is not None and timezone.is_naive(moment):
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment is not None and moment <= now


def require_standing(request: HttpRequest, name: str, action: str, *, scope: str = "") -> Standing:
    """Return the caller's standing in a repository.

    Raises 400 ``NAME_INVALID`` for a name outside the grammar and 401 in every other case, the
    same for a project that does not exist and for one that the caller may not know of.
    """
    if not is_repository_name(name):
        raise _name_invalid(request, name)
    wanted = scope or scope_of(name, action)
    claims = bearer_claims(request, wanted)
    standing = standing_of(claims, name, action)
    if standing is None:
        if action == "push":
            _refuse_proxy(claims, name)
        raise challenge(wanted, "insufficient_scope")
    return standing


def _name_invalid(request: HttpRequest, name: str) -> ProtocolError:
    if not is_repository_name(f"project/{name}") or "/" in name:
        return ProtocolError(400, "NAME_INVALID", "invalid repository name")
    if request.method == "HEAD":
        # No words come with it. Not there, then: the client goes on to what is answered with some.
        return name_unknown()
    told = f"a repository's name begins with its project's: PROJECT/{name}"
    return ProtocolError(400, "NAME_INVALID", told)


def _refuse_proxy(claims: TokenClaims, name: str) -> None:
    """Tell who may pull from a proxy project that nobody pushes into it: no token will help."""
    readable = standing_of(claims, name, "pull")
    if readable is not None:
        admission.require_own(is_proxy=readable.is_proxy)


_STANDING = """
SELECT u.auth_epoch, u.rights_epoch, u.is_active,
  b.auth_epoch, b.is_disabled, b.expires_at, t.id, t.expires_at,
  p.name, a.expires_at, p.registry_key, p.is_public, p.is_read_only, p.is_proxy,
  p.storage_limit, r.id
FROM accounts_project p
LEFT JOIN accounts_user u ON u.id = %s
LEFT JOIN accounts_robot b ON b.id = %s AND b.deleted_at IS NULL
LEFT JOIN accounts_personaltoken t ON t.id = %s AND t.revoked_at IS NULL
LEFT JOIN registry_sync_repository r ON r.project_id = p.id AND r.path = %s
LEFT JOIN accounts_projectalias a ON a.project_id = p.id AND a.name = %s
WHERE p.id = %s AND p.deleted_at IS NULL
"""


def standing_of(claims: TokenClaims, name: str, action: str) -> Standing | None:
    """Return what the token still gives in a repository now, or None. One query."""
    grant = claims.grant(name, action)
    if grant is None or grant.project_id is None:
        return None
    project_name, _, path = name.partition("/")
    principal = claims.principal
    asked = [*_caller_ids(principal), path, project_name, grant.project_id]
    rows = statements.run(Statement(_STANDING, asked))
    if not rows or not _stands(principal, rows[0][:8]):
        return None
    current_name, alias_expiry, registry_key, is_public, is_read_only, *rest = rows[0][8:]
    is_proxy, limit, found = rest
    if current_name != project_name and not (action == "pull" and _is_ahead(alias_expiry)):
        return None
    if action == "pull" and grant.is_by_public and not is_public:
        return None
    return Standing(
        claims=claims,
        grant=grant,
        project_id=grant.project_id,
        registry_key=registry_key,
        is_public=bool(is_public),
        is_read_only=bool(is_read_only),
        is_proxy=bool(is_proxy),
        storage_limit=limit,
        path=path,
        repository_id=found,
    )
