"""What proxy projects served and fetched: noted in memory, written with pulls, read by pages."""

import datetime
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from accounts import statements
from registry_sync import transactions
from registry_sync.models import ProxyDay, UpstreamState

COLUMNS = (
    "hits",
    "misses",
    "hit_bytes",
    "fetched_bytes",
    "upstream_requests",
    "upstream_errors",
    "stale",
)
# Project, day, column.
_noted: Counter[tuple[int, datetime.date, str]] = Counter()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Figures:
    """What was served and fetched in some days; bytes where the name says so."""

    # Manifests and blobs that were here when they were asked for, and those that were not.
    hits: int = 0
    misses: int = 0
    hit_bytes: int = 0
    fetched_bytes: int = 0
    upstream_requests: int = 0
    upstream_errors: int = 0
    # Served from here because the upstream did not answer.
    stale: int = 0

    @property
    def hit_ratio(self) -> float | None:
        """What part of what was asked for was here, 0 to 1; None where nothing was asked for."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    @property
    def saved_bytes(self) -> int:
        """Bytes that went to clients and did not have to come from the upstream."""
        return self.hit_bytes


@dataclass(frozen=True, slots=True)
class Budget:
    """How an upstream answers, and how much it still lets us fetch."""

    # Pulls in ``window`` seconds; None where the upstream says nothing of it.
    limit: int | None = None
    remaining: int | None = None
    window: int | None = None
    at: datetime.datetime | None = None
    # It said that it was asked too often; until then it is left alone.
    blocked_until: datetime.datetime | None = None
    succeeded_at: datetime.datetime | None = None
    # The last thing that went wrong, and when; ``is_failing`` where nothing went well since.
    error: str = ""
    failed_at: datetime.datetime | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the last answer was none."""
        if self.failed_at is None:
            return False
        return self.succeeded_at is None or self.succeeded_at < self.failed_at


def note(project_id: int, **counts: int) -> None:
    """Add to a project's figures of today, by the names of ``COLUMNS``."""
    today = timezone.now().date()
    with _lock:
        for name, count in counts.items():
            _noted[project_id, today, name] += count


def discard() -> None:
    """Forget what was noted; for tests."""
    with _lock:
        _noted.clear()


def flush() -> None:
    """Write what was noted."""
    with _lock:
        taken = Counter(_noted)
        _noted.clear()
    if not taken:
        return
    try:
        transactions.run(lambda: _write(taken))
    except BaseException:
        with _lock:
            _noted.update(taken)
        raise


_ADD = "ON CONFLICT (project_id, day) DO UPDATE SET " + ", ".join(
    f"{name} = registry_sync_proxyday.{name} + excluded.{name}" for name in COLUMNS
)


def _write(taken: Mapping[tuple[int, datetime.date, str], int]) -> None:
    """Add up and write, in the rows' order: two processes cannot wait for each other."""
    keys = sorted({(project, day) for project, day, _name in taken})
    rows = [
        (project, day.isoformat(), *(taken.get((project, day, name), 0) for name in COLUMNS))
        for project, day in keys
    ]
    columns = ("project_id", "day", *COLUMNS)
    statements.run(statements.insert_values(ProxyDay, columns, rows, _ADD))


# --- Reading --------------------------------------------------------------------------------------


def of_projects(ids: Collection[int], *, days: int = 30) -> dict[int, Figures]:
    """Return what these projects served and fetched in the last days (UTC). One query."""
    rows = ProxyDay.objects.filter(project_id__in=ids, day__gt=_first(days))
    sums = rows.order_by().values("project_id").annotate(**{f"n_{c}": Sum(c) for c in COLUMNS})
    found: list[dict[str, Any]] = [dict(row) for row in sums]
    return {
        row["project_id"]: Figures(**{name: row[f"n_{name}"] for name in COLUMNS}) for row in found
    }


def of_project(project_id: int, *, days: int = 30) -> Figures:
    """Return what a project served and fetched in the last days (UTC)."""
    return of_projects([project_id], days=days).get(project_id, Figures())


def by_day(project_id: int, *, days: int = 30) -> list[tuple[datetime.date, Figures]]:
    """Return each of the last days (UTC), oldest first, of a project."""
    rows = ProxyDay.objects.filter(project_id=project_id, day__gt=_first(days))
    found = {row.day: Figures(*(getattr(row, name) for name in COLUMNS)) for row in rows}
    first = _first(days) + datetime.timedelta(days=1)
    all_days = (first + datetime.timedelta(days=number) for number in range(days))
    return [(day, found.get(day, Figures())) for day in all_days]


def budget(remote_id: int) -> Budget:
    """Return how an upstream answers, and how much it still lets us fetch."""
    row = UpstreamState.objects.filter(pk=remote_id).first()
    if row is None:
        return Budget()
    return Budget(
        limit=row.rate_limit,
        remaining=row.rate_remaining,
        window=row.rate_window,
        at=row.rate_at,
        blocked_until=row.blocked_until,
        succeeded_at=row.succeeded_at,
        error=row.error,
        failed_at=row.failed_at,
    )


def prune(before: datetime.date) -> int:
    """Drop the days before; returns how many rows went."""
    return ProxyDay.objects.filter(day__lt=before).delete()[0]


def _first(days: int) -> datetime.date:
    """Return the day before the first of the last ``days``."""
    return timezone.now().date() - datetime.timedelta(days=days)
