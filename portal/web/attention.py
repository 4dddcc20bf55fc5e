"""What somebody should look at: fullness, robots that end, jobs that failed."""

import datetime
from dataclasses import dataclass

from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import robots
from accounts.access import can_system, projects_where
from accounts.models import Project, Robot
from accounts.principals import Principal
from portal.web.jobs import label_of
from registry_sync.models import Execution, State
from registry_sync.quota import WARNING_PERCENT

_MOST = 4
_SOON = datetime.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing, where to look at it, and what is the matter with it."""

    url: str
    title: str
    text: str
    tone: str = "warn"


def matters(principal: Principal, project: Project | None = None) -> list[Matter]:
    """Return what this caller can do something about, the most pressing first."""
    changeable = projects_where(principal, "project:update")
    with_robots = projects_where(principal, "robot:create")
    if project is not None:
        changeable, with_robots = (rows.filter(pk=project.pk) for rows in (changeable, with_robots))
    found = [*_full(changeable), *_ending(principal, with_robots, project)]
    if project is None and can_system(principal, "jobservice-monitor:list"):
        found += _failed()
    return found


def _full(projects: QuerySet[Project]) -> list[Matter]:
    used = F("usage__used_bytes") * 100
    rows = projects.filter(storage_limit__gt=0).annotate(used=used)
    rows = rows.filter(used__gte=F("storage_limit") * WARNING_PERCENT).select_related("usage")
    return [
        Matter(
            reverse("projects:settings", args=[row.name]),
            row.name,
            _("uses %(percent)d%% of its storage limit.")
            % {"percent": 100 * row.usage.used_bytes // row.storage_limit},
            "danger",
        )
        for row in rows.order_by("name")[:_MOST]
    ]


def _ending(
    principal: Principal, projects: QuerySet[Project], project: Project | None
) -> list[Matter]:
    now = timezone.now()
    rows = Robot.objects.filter(
        deleted_at=None, is_disabled=False, expires_at__gt=now - _SOON, expires_at__lt=now + _SOON
    )
    if project is None and can_system(principal, "robot:update"):
        rows = rows.filter(project__in=projects) | rows.filter(project=None)
    else:
        rows = rows.filter(project__in=projects)
    rows = rows.select_related("project").order_by("expires_at")
    return [_end_of(row, row.expires_at, now) for row in rows[:_MOST] if row.expires_at]


def _end_of(robot: Robot, expires_at: datetime.datetime, now: datetime.datetime) -> Matter:
    if robot.project is not None:
        url = reverse("projects:robot", args=[robot.project.name, robot.pk])
    else:
        url = reverse("administration:robot", args=[robot.pk])
    text = _("has expired.")
    if expires_at > now:
        days = (expires_at - now).days + 1
        text = _("expires within %(days)d days.") % {"days": days}
    return Matter(url, robots.login_name(robot), text)


def _failed() -> list[Matter]:
    since = timezone.now() - datetime.timedelta(days=1)
    rows = Execution.objects.filter(state=State.FAILED, finished_at__gt=since)
    return [
        Matter(reverse("jobs:detail", args=[row.pk]), str(label_of(row.kind)), _("failed."))
        for row in rows.order_by("-pk")[:_MOST]
    ]
