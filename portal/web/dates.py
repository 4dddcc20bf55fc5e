"""How times are written for who is looking: in their time zone, in the form they chose."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.models import AnonymousUser
from django.template.defaultfilters import date as written
from django.utils import timezone

from accounts.models import User

_Format = User.DateFormat
_chosen: ContextVar[str] = ContextVar("date_format", default=_Format.AGO)
# The forms of a day, and of a moment.
_DAYS = {
    _Format.AGO: "Y-m-d",
    _Format.YEAR_FIRST: "Y-m-d",
    _Format.DAY_FIRST: "d/m/Y",
    _Format.MONTH_FIRST: "m/d/Y",
    _Format.WORDS: "DATE_FORMAT",
}
_MOMENTS = {
    _Format.AGO: "Y-m-d H:i",
    _Format.YEAR_FIRST: "Y-m-d H:i",
    _Format.DAY_FIRST: "d/m/Y H:i",
    _Format.MONTH_FIRST: "m/d/Y g:i a",
    _Format.WORDS: "DATETIME_FORMAT",
}


@contextmanager
def written_for(user: User | AnonymousUser) -> Iterator[None]:
    """Write dates as this person wants them, until the end of the block."""
    if not isinstance(user, User):
        yield
        return
    token = _chosen.set(user.date_format if user.date_format in _DAYS else _Format.AGO)
    try:
        with timezone.override(_zone(user.time_zone)):
            yield
    finally:
        _chosen.reset(token)


def _zone(name: str) -> datetime.tzinfo:
    """Return the zone; the installation's where none was chosen or it is not known any more."""
    try:
        return ZoneInfo(name) if name else timezone.get_default_timezone()
    except (ZoneInfoNotFoundError, ValueError):
        return timezone.get_default_timezone()


def day(at: datetime.date | None) -> str:
    """Write a day."""
    return written(at, _DAYS[_Format(_chosen.get())])


def moment(at: datetime.datetime | None) -> str:
    """Write a day and the time."""
    return written(at, _MOMENTS[_Format(_chosen.get())])


def is_relative() -> bool:
    """Tell whether scripts may say how long ago something was instead."""
    return _chosen.get() == _Format.AGO
