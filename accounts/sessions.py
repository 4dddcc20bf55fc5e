"""Browser sessions, so that their owner sees them and ends them.

A row stands beside Django's own session; ending one deletes both. Nothing here decides whether a
session counts: that is the user's ``auth_epoch``, which every session carries.
"""

import datetime

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import NotFound
from accounts.models import User, UserSession
from accounts.principals import Actor

SEEN_RESOLUTION = datetime.timedelta(minutes=5)


def start(user: User, *, session_key: str, actor: Actor) -> UserSession:
    """Remember a sign-in; ``session_key`` is that of the Django session, saved already."""
    session, _is_new = UserSession.objects.update_or_create(
        session_key=session_key,
        defaults={
            "user": user,
            "address": actor.address,
            "client": actor.client,
            "last_seen_at": timezone.now(),
        },
    )
    return session


def of_user(user: User) -> QuerySet[UserSession]:
    """Those that still live, the last seen first."""
    living = Session.objects.filter(expire_date__gt=timezone.now())
    return user.browser_sessions.filter(session_key__in=living.values("session_key"))


def note_seen(session_key: str | None, *, address: str) -> None:
    """Remember that a session is in use, at most every five minutes."""
    now = timezone.now()
    # Asked first: most requests have nothing to write, and SQLite has one writer.
    stale = UserSession.objects.filter(
        session_key=session_key, last_seen_at__lt=now - SEEN_RESOLUTION
    )
    for session in stale:
        session.last_seen_at = now
        session.address = address
        session.save(update_fields=["last_seen_at", "address"])


@transaction.atomic
def end(user: User, session_id: int, *, actor: Actor) -> None:
    """End one session of this user at once. Raises ``NotFound``."""
    session = user.browser_sessions.select_for_update().filter(pk=session_id).first()
    if session is None:
        raise NotFound(_("session not found"))
    _delete([session.session_key])
    audit.record(actor, "delete_session", user.username, detail={"address": session.address})


@transaction.atomic
def end_others(user: User, *, session_key: str | None, actor: Actor) -> int:
    """End every session of this user but the one with this key; return how many."""
    others = user.browser_sessions.exclude(session_key=session_key or "")
    keys = list(others.values_list("session_key", flat=True))
    if keys:
        _delete(keys)
        audit.record(actor, "delete_session", user.username, detail={"sessions": len(keys)})
    return len(keys)


def end_all(user: User) -> None:
    """End every session, as part of a change that raises the user's ``auth_epoch``."""
    _delete(list(user.browser_sessions.values_list("session_key", flat=True)))


def forget(session_key: str | None) -> None:
    """Remove the row of a session that its owner just ended by signing out."""
    UserSession.objects.filter(session_key=session_key or "").delete()


def remove_stale() -> int:
    """Remove the rows whose Django session has expired; return how many."""
    Session.objects.filter(expire_date__lte=timezone.now()).delete()
    living = Session.objects.values("session_key")
    return UserSession.objects.exclude(session_key__in=living).delete()[0]


def _delete(keys: list[str]) -> None:
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
