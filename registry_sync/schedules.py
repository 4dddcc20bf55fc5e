"""Schedules: what runs by itself, at which times of which zone.

A slot is claimed by moving the row's ``next_at`` forward, so any number of schedulers may look at
once. After a pause the latest slot runs once, not each of those that were missed.
"""

import datetime
import logging
import secrets
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.principals import SYSTEM_ACTOR, Actor
from registry_sync import executions, queues
from registry_sync.executions import Kind, Origin
from registry_sync.failpoints import hit
from registry_sync.models import Execution, Schedule

logger = logging.getLogger(__name__)

_FIELDS = 6


def upcoming(cron: str, time_zone: str, after: datetime.datetime) -> Iterator[datetime.datetime]:
    """Yield the times of a cron expression (seconds first) after a moment.

    Raises ``BadRequest`` (with ``field``) where the expression or the zone means nothing.
    """
    if time_zone not in available_timezones():
        raise BadRequest(_("There is no time zone %(zone)r.") % {"zone": time_zone}, field="zone")
    fields = cron.split()
    if len(fields) != _FIELDS:
        raise BadRequest(
            _("A cron expression has six fields: second, minute, hour, day, month, weekday."),
            field="cron",
        )
    if not (fields[0].isascii() and fields[0].isdigit() and int(fields[0]) < 60):
        raise BadRequest(_("The first field, the second, is one number below 60."), field="cron")
    second = datetime.timedelta(seconds=int(fields[0]))
    # "?" is Quartz's "any day" where the other field names the days. Of five fields CronSim knows
    # what a clock change does to a fixed time: it happens once, be it left out or twice there.
    text = " ".join("*" if part == "?" else part for part in fields[1:])
    try:
        times = CronSim(text, (after - second).astimezone(ZoneInfo(time_zone)))
    except CronSimError as error:
        message = _("The cron expression cannot be read: %(error)s.") % {"error": error}
        raise BadRequest(message, field="cron") from error
    return (time.astimezone(datetime.UTC) + second for time in times)


def next_slot(cron: str, time_zone: str, after: datetime.datetime) -> datetime.datetime:
    """Return the first time after a moment. Raises ``BadRequest``."""
    found = next(upcoming(cron, time_zone, after), None)
    if found is None:
        raise BadRequest(_("This cron expression never comes true."), field="cron")
    return found


@transaction.atomic
def put(
    kind: str,
    *,
    cron: str,
    actor: Actor,
    time_zone: str = "",
    policy_id: int = 0,
    parameters: dict[str, Any] | None = None,
) -> Schedule:
    """Set when a policy runs; the policy has one schedule. Raises ``BadRequest``."""
    zone = time_zone or settings.TIME_ZONE
    next_at = next_slot(cron, zone, timezone.now())
    values = {"cron": " ".join(cron.split()), "time_zone": zone, "next_at": next_at}
    if parameters is not None:
        values["parameters"] = parameters
    schedule, _is_new = Schedule.objects.update_or_create(
        kind=kind, policy_id=policy_id, defaults={**values, "is_enabled": True}
    )
    _audit(schedule, "update_schedule", actor)
    return schedule


@transaction.atomic
def remove(kind: str, *, actor: Actor, policy_id: int = 0) -> None:
    """Let a policy run by hand only; without a schedule nothing changes."""
    schedule = Schedule.objects.filter(kind=kind, policy_id=policy_id).first()
    if schedule is not None:
        _audit(schedule, "delete_schedule", actor)
        schedule.delete()


@transaction.atomic
def set_enabled(schedule_id: int, *, is_enabled: bool, actor: Actor) -> Schedule:
    """Suspend a schedule, or take it up again from now on. Raises ``NotFound``."""
    schedule = Schedule.objects.select_for_update(no_key=True).filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound(_("schedule not found"))
    if schedule.is_enabled != is_enabled:
        schedule.is_enabled = is_enabled
        schedule.next_at = next_slot(schedule.cron, schedule.time_zone, timezone.now())
        schedule.save(update_fields=["is_enabled", "next_at", "updated_at"])
        _audit(schedule, "update_schedule", actor)
    return schedule


def ensure(defaults: Mapping[str, str], first: Mapping[str, str]) -> None:
    """Make the schedules of the system's own kinds that are missing.

    Those of ``first`` only where there is no schedule at all yet, which is a new installation: they
    may be taken away for good. An M stands for a minute that is chosen now: not every Moorage is to
    set its storage to work at the same time.
    """
    if not Schedule.objects.exists():
        for kind, cron in first.items():
            put(kind, cron=cron.replace("M", str(secrets.randbelow(60))), actor=SYSTEM_ACTOR)
    known = set(Schedule.objects.filter(kind__in=defaults).values_list("kind", flat=True))
    for kind in defaults.keys() - known:
        put(kind, cron=defaults[kind], actor=SYSTEM_ACTOR)


def fire_due(kinds: Mapping[str, Kind]) -> list[Execution]:
    """Claim every slot that is due, and make its execution; one that fails holds up no other."""
    now = timezone.now()
    due = list(Schedule.objects.filter(is_enabled=True, next_at__lte=now, kind__in=kinds))
    if not due or queues.is_paused(queues.SCHEDULER):
        return []
    made = []
    for schedule in due:
        try:
            execution = _fire(schedule, kinds[schedule.kind], now)
        except Conflict:
            # Its last run goes on: the slot stays due until that has ended.
            continue
        except Exception:
            logger.exception("Schedule %s cannot be run.", schedule.pk)
            continue
        if execution is not None:
            made.append(execution)
    return made


@transaction.atomic
def _fire(schedule: Schedule, kind: Kind, now: datetime.datetime) -> Execution | None:
    slot = schedule.next_at
    following = next_slot(schedule.cron, schedule.time_zone, now)
    claimed = Schedule.objects.filter(pk=schedule.pk, next_at=slot, is_enabled=True).update(
        next_at=following, last_slot=slot
    )
    if not claimed:
        return None
    hit("schedules.claimed")
    return executions.create(
        schedule.kind,
        actor=SYSTEM_ACTOR,
        policy_id=schedule.policy_id,
        parameters=schedule.parameters,
        origin=Origin(Execution.Trigger.SCHEDULE, schedule, slot),
        is_exclusive=kind.is_exclusive,
    )


def _audit(schedule: Schedule, action: str, actor: Actor) -> None:
    if actor.principal.kind != "system":
        resource = f"{schedule.kind}/{schedule.policy_id}"
        detail = {"cron": schedule.cron, "enabled": schedule.is_enabled}
        audit.record(actor, action, resource, detail=detail)
