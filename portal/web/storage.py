"""The page of the storage: what lies in it and why, whose it is, and how it grows."""

import datetime
from dataclasses import dataclass
from itertools import zip_longest

from django.conf import settings
from django.contrib import messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from accounts.access import can_system, require_system
from accounts.errors import Conflict
from portal.web.access import actor_of, page, principal_of
from portal.web.paging import page_of
from registry_sync import dispatch, storage_figures
from registry_sync.models import Execution, ProjectStorage, StorageSnapshot
from registry_sync.storage_figures import Forecast

_RIGHT = "system-volumes:read"
_START = "jobservice-monitor:stop"
_DAY = 86_400
# A disk that is full in a hundred years has no day for it.
_FURTHEST = 36_500
# Of the chart, in the units of its drawing.
_WIDTH, _HEIGHT = 320, 90
_SHOWN, _AT_FIRST = 30, 8
# The forecast's table looks so many days ahead.
_AHEAD = (30, 90, 365)

# Each part of what lies in the storage: its field, its words, its colour.
_PARTS = (
    ("in_use_bytes", gettext_lazy("in use by images"), "accent"),
    ("trash_bytes", gettext_lazy("in the trash, restorable"), "soft"),
    ("reclaimable_bytes", gettext_lazy("reclaimable now"), "ok"),
    ("later_bytes", gettext_lazy("reclaimable later"), "warn"),
    ("upload_bytes", gettext_lazy("uploads in progress"), "muted"),
    ("unknown_bytes", gettext_lazy("known to no table"), "danger"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the bar: what it is, its bytes, and where it is drawn (in thousandths)."""

    words: object
    colour: str
    size: int
    percent: float
    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A measurement in the chart."""

    snapshot: StorageSnapshot
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement in the table, and how fast it grew since the one before."""

    snapshot: StorageSnapshot
    bytes_a_day: int | None


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the growth of now comes to after some days; ``free`` below 0 is what will be missing."""

    days: int
    total: int
    free: int | None


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """Everything about it on one page."""
    principal = principal_of(request)
    require_system(principal, _RIGHT)
    snapshots = list(StorageSnapshot.objects.order_by("-at")[: storage_figures.GROWTH_DAYS * 2])
    latest = snapshots[0] if snapshots else None
    forecast = storage_figures.forecast(snapshots)
    history = _history(snapshots[: _SHOWN + 1])
    every = ProjectStorage.objects.filter(project__deleted_at=None).select_related("project")
    listed = page_of(request, every.order_by(F("exclusive_bytes").desc(), "project__name"))
    context = {
        "section": "storage",
        "latest": latest,
        "parts": _parts(latest) if latest else [],
        "used_of_disk": _used(latest),
        "place": _place(),
        "forecast": forecast,
        "full_on": _full_on(latest, forecast),
        "ahead": _ahead(latest, forecast),
        "bars": _bars(snapshots[:_SHOWN]),
        "history": history[:_AT_FIRST],
        "earlier": history[_AT_FIRST:],
        "page": listed,
        "active": Execution.objects.active().filter(kind=storage_figures.KIND).first(),
        "may_measure": bool(can_system(principal, _START)),
    }
    return render(request, "storage/index.html", context)


def _history(snapshots: list[StorageSnapshot]) -> list[Measured]:
    """Return the measurements shown, newest first; the one more that was read begins the oldest."""
    found = []
    for row, before in zip_longest(snapshots, snapshots[1:]):
        days = (row.at - before.at).total_seconds() / _DAY if before else 0
        # Of two within an hour, a day's growth would be a wild guess.
        is_apart = before is not None and days * 24 >= 1
        growth = round((row.total_bytes - before.total_bytes) / days) if is_apart else None
        found.append(Measured(row, growth))
    return found[:_SHOWN]


def _full_on(latest: StorageSnapshot | None, forecast: Forecast | None) -> datetime.date | None:
    """Return the day on which the file system is full; none beyond the calendar's end."""
    if latest is None or forecast is None or forecast.days_left is None:
        return None
    if forecast.days_left > _FURTHEST:
        return None
    return (latest.at + datetime.timedelta(days=forecast.days_left)).date()


def _ahead(latest: StorageSnapshot | None, forecast: Forecast | None) -> list[Ahead]:
    if latest is None or forecast is None:
        return []
    found = []
    for days in _AHEAD:
        growth = forecast.bytes_a_day * days
        free = latest.disk_free - growth if latest.disk_free is not None else None
        found.append(Ahead(days, max(0, latest.total_bytes + growth), free))
    return found


@require_POST
@page
def measure(request: HttpRequest) -> HttpResponse:
    """Order a measurement."""
    require_system(principal_of(request), _START)
    try:
        dispatch.start(storage_figures.KIND, actor=actor_of(request))
    except Conflict:
        messages.info(request, _("It is being measured already."))
    else:
        messages.success(request, _("The storage is being measured; load this page again soon."))
    return redirect("administration:storage")


def _parts(snapshot: StorageSnapshot) -> list[Part]:
    """Return the parts of a bar a thousand units wide; each with bytes is seen."""
    total = snapshot.total_bytes
    parts, x = [], 0
    for name, words, colour in _PARTS:
        size = getattr(snapshot, name)
        width = max(round(1000 * size / total), 4) if size else 0
        percent = 100 * size / total if total else 0.0
        parts.append(Part(words, colour, size, percent, x, width))
        x += width
    return parts


def _used(snapshot: StorageSnapshot | None) -> int | None:
    """Return how many percent of the disk are taken, by whatever."""
    if snapshot is None or not snapshot.disk_total or snapshot.disk_free is None:
        return None
    return round(100 * (snapshot.disk_total - snapshot.disk_free) / snapshot.disk_total)


def _place() -> str:
    if settings.MOORAGE_S3_BUCKET:
        return f"s3://{settings.MOORAGE_S3_BUCKET}/{settings.MOORAGE_S3_PREFIX}".rstrip("/")
    return str(settings.MOORAGE_STORAGE_ROOT)


def _bars(snapshots: list[StorageSnapshot]) -> list[Bar]:
    """The chart of all bytes at each measurement, the oldest first."""
    most = max((row.total_bytes for row in snapshots), default=0)
    step = _WIDTH / max(len(snapshots), 8)
    bars = []
    for number, row in enumerate(reversed(snapshots)):
        height = round(_HEIGHT * row.total_bytes / most) if most else 0
        bars.append(
            Bar(row, round(number * step) + 1, _HEIGHT - height, max(round(step) - 2, 2), height)
        )
    return bars
