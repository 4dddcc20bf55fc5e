"""How somebody wants their pages: time zone, dates, the client of commands, shortcuts."""

from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import available_timezones

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import BadRequest, NotFound
from accounts.models import User
from accounts.principals import Actor


@lru_cache(maxsize=1)
def time_zones() -> tuple[str, ...]:
    """Return the names of all time zones in their order, for which the system's files are read."""
    return tuple(sorted(available_timezones()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What was chosen; an empty text is the default of the installation."""

    time_zone: str = ""
    date_format: str = ""
    client: str = ""
    has_shortcuts: bool = True

    @classmethod
    def of(cls, user: User) -> "Preferences":
        """Return what this person chose."""
        return cls(
            time_zone=user.time_zone,
            date_format=user.date_format,
            client=user.client,
            has_shortcuts=user.has_shortcuts,
        )


@transaction.atomic
def replace(user: User, *, preferences: Preferences, actor: Actor) -> User:
    """Store what somebody prefers.

    Raises ``BadRequest`` for a time zone, date format or client that is not known, ``NotFound`` for
    a deleted user.
    """
    _require_known(preferences)
    locked = User.objects.select_for_update().filter(pk=user.pk, deleted_at=None).first()
    if locked is None:
        raise NotFound(_("user not found"))
    was = Preferences.of(locked)
    if was == preferences:
        return locked
    locked.time_zone = preferences.time_zone
    locked.date_format = preferences.date_format
    locked.client = preferences.client
    locked.has_shortcuts = preferences.has_shortcuts
    fields = ["time_zone", "date_format", "client", "has_shortcuts"]
    locked.save(update_fields=[*fields, "updated_at"])
    changed = {
        field: getattr(locked, field)
        for field in fields
        if getattr(locked, field) != getattr(was, field)
    }
    audit.record(actor, "update_preferences", locked.username, detail=changed)
    return locked


def _require_known(preferences: Preferences) -> None:
    # Also a file system's names: the list says which of them are zones.
    if preferences.time_zone and preferences.time_zone not in time_zones():
        raise BadRequest(_("This is not the name of a time zone."), field="time_zone")
    if preferences.date_format not in User.DateFormat.values:
        raise BadRequest(_("This way of writing dates is not known."), field="date_format")
    if preferences.client not in User.Client.values:
        raise BadRequest(_("This client is not known."), field="client")
