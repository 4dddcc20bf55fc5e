"""Personal tokens: made, listed, revoked, and found again by their secret."""

import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.crypto import is_secret, new_secret, secret_digest
from accounts.errors import BadRequest, NotFound
from accounts.models import PersonalToken, User
from accounts.principals import Actor

KIND = "pat"
# What a token may be limited to; one without scopes could do nothing and is not made.
SCOPES = ("registry:pull", "registry:push", "registry:delete", "api:read", "api:write")
DEFAULT_DAYS = 90
MAX_DAYS = 3650
USE_RESOLUTION = datetime.timedelta(minutes=1)


def create(
    user: User,
    *,
    name: str,
    scopes: list[str],
    days: int | None = DEFAULT_DAYS,
    actor: Actor,
) -> tuple[PersonalToken, str]:
    """Make a token and return it with its secret, which is shown this once.

    ``days`` until it expires, ``None`` for never. Raises ``BadRequest`` (with ``field``).
    """
    if not name.strip() or len(name) > 100:
        raise BadRequest(_("Give the token a name of at most 100 characters."), field="name")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise BadRequest(
            _("Choose one or more of: %(scopes)s.") % {"scopes": ", ".join(SCOPES)}, field="scopes"
        )
    if days is not None and not 0 < days <= MAX_DAYS:
        raise BadRequest(
            _("The days until it expires are a number from 1 to %(max)d.") % {"max": MAX_DAYS},
            field="days",
        )
    secret = new_secret(KIND)
    return _create(user, name.strip(), sorted(set(scopes)), days, secret, actor), secret


@transaction.atomic
def _create(
    user: User, name: str, scopes: list[str], days: int | None, secret: str, actor: Actor
) -> PersonalToken:
    expires_at = timezone.now() + datetime.timedelta(days=days) if days is not None else None
    token = PersonalToken.objects.create(
        user=user,
        name=name,
        scopes=scopes,
        secret_hash=secret_digest(secret),
        hint=secret[:12],
        expires_at=expires_at,
    )
    detail = {"name": name, "scopes": scopes, "days": days}
    audit.record(actor, "create_token", user.username, detail=detail)
    return token


def of_user(user: User) -> QuerySet[PersonalToken]:
    """Those that were not revoked, the newest first; the expired ones stay to be seen."""
    return user.personal_tokens.filter(revoked_at=None)


@transaction.atomic
def revoke(user: User, token_id: int, *, actor: Actor) -> PersonalToken:
    """End a token of this user; twice is as good as once. Raises ``NotFound``."""
    token = PersonalToken.objects.select_for_update().filter(user=user, pk=token_id).first()
    if token is None:
        raise NotFound(_("token not found"))
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit.record(actor, "delete_token", user.username, detail={"name": token.name})
    return token


def find(secret: str, *, actor: Actor) -> PersonalToken | None:
    """Return the usable token of an active user whose secret this is, and note its use."""
    if not is_secret(secret, KIND):
        return None
    now = timezone.now()
    token = (
        PersonalToken.objects.select_related("user")
        .filter(secret_hash=secret_digest(secret), user__is_active=True)
        .first()
    )
    if token is None or not token.is_usable(now):
        return None
    # To the minute: a busy pipeline must not write at each request.
    is_noted = token.last_used_at is not None and token.last_used_at > now - USE_RESOLUTION
    if not is_noted or token.last_used_address != actor.address:
        PersonalToken.objects.filter(pk=token.pk).update(
            last_used_at=now, last_used_address=actor.address
        )
    return token
