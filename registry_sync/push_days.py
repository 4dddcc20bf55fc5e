"""Pushes of tags, counted by day: noted in memory by the gateway, written with the pulls.

A push itself writes nothing more for it: it holds locks that others wait for.
"""

import datetime
import threading
from collections import Counter
from dataclasses import dataclass

from django.db.models import QuerySet, Sum
from django.utils import timezone

from accounts import statements
from accounts.models import Project
from accounts.principals import Principal
from registry_sync import transactions
from registry_sync.models import PushDay


@dataclass(frozen=True, slots=True)
class PushesOfDay:
    """One day's pushes (UTC)."""

    day: datetime.date
    count: int
    # Of these, how many by robots.
    by_robots: int


# Repository, day, whether by a robot.
_noted: Counter[tuple[int, datetime.date, bool]] = Counter()
_lock = threading.Lock()


def note(repository_id: int, principal: Principal) -> None:
    """Take note of a tag that a client pushed."""
    with _lock:
        _noted[repository_id, timezone.now().date(), principal.robot_id is not None] += 1


def discard() -> None:
    """Forget what was noted; for tests."""
    with _lock:
        _noted.clear()


def flush() -> int:
    """Write what was noted and return how much that was."""
    with _lock:
        taken = Counter(_noted)
        _noted.clear()
    if not taken:
        return 0
    try:
        transactions.run(lambda: _write(taken))
    except BaseException:
        with _lock:
            _noted.update(taken)
        raise
    return taken.total()


_ROW = ("repository_id", "day", "count", "by_robots")
_ADD = """
ON CONFLICT (repository_id, day) DO UPDATE SET
count = registry_sync_pushday.count + excluded.count,
by_robots = registry_sync_pushday.by_robots + excluded.by_robots
"""


def _write(taken: Counter[tuple[int, datetime.date, bool]]) -> None:
    """Add up and write, in the rows' order: two processes cannot wait for each other."""
    keys = sorted({(repository, day) for repository, day, _is_robot in taken})
    rows = [
        (
            repository,
            day.isoformat(),
            taken[repository, day, True] + taken[repository, day, False],
            taken[repository, day, True],
        )
        for repository, day in keys
    ]
    statements.run(statements.insert_values(PushDay, _ROW, rows, _ADD))


def of_projects(
    projects: QuerySet[Project], *, days: int = 30, today: datetime.date | None = None
) -> list[PushesOfDay]:
    """Return each of the last days (UTC), oldest first, of all these projects together."""
    rows = PushDay.objects.filter(repository__project__in=projects)
    return _days(rows, days, today)


def of_project(
    project_id: int, *, days: int = 30, today: datetime.date | None = None
) -> list[PushesOfDay]:
    """Return each of the last days (UTC), oldest first, of a whole project."""
    return _days(PushDay.objects.filter(repository__project_id=project_id), days, today)


def _days(rows: QuerySet[PushDay], days: int, today: datetime.date | None) -> list[PushesOfDay]:
    last = today or timezone.now().date()
    first = last - datetime.timedelta(days=days - 1)
    sums = rows.filter(day__range=(first, last)).order_by().values_list("day")
    found = {day: (n, m) for day, n, m in sums.annotate(n=Sum("count"), m=Sum("by_robots"))}
    return [
        PushesOfDay(day, *found.get(day, (0, 0)))
        for day in (first + datetime.timedelta(days=number) for number in range(days))
    ]


def prune(before: datetime.date) -> int:
    """Drop the days before. Returns how many rows went."""
    return PushDay.objects.filter(day__lt=before).delete()[0]
