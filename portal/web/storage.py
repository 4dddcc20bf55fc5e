"""The page of the storage: what lies in it and why, whose it is, and how it grows."""

from dataclasses import dataclass

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

_RIGHT = "system-volumes:read"
_START = "jobservice-monitor:stop"
# Of the chart, in the units of its drawing.
_WIDTH, _HEIGHT = 320, 90
_SHOWN = 30

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


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """Everything about it on one page."""
    principal = principal_of(request)
    require_system(principal, _RIGHT)
    snapshots = list(StorageSnapshot.objects.order_by("-at")[: storage_figures.GROWTH_DAYS * 2])
    latest = snapshots[0] if snapshots else None
    every = ProjectStorage.objects.filter(project__deleted_at=None).select_related("project")
    listed = page_of(request, every.order_by(F("exclusive_bytes").desc(), "project__name"))
    context = {
        "section": "storage",
        "latest": latest,
        "parts": _parts(latest) if latest else [],
        "used_of_disk": _used(latest),
        "place": _place(),
        "forecast": storage_figures.forecast(snapshots),
        "bars": _bars(snapshots[:_SHOWN]),
        "history": snapshots[:8],
        "page": listed,
        "active": Execution.objects.active().filter(kind=storage_figures.KIND).first(),
        "may_measure": bool(can_system(principal, _START)),
    }
    return render(request, "storage/index.html", context)


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
