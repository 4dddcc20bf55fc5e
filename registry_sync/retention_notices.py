"""Warns before retention removes anything: what the next scheduled run will take, as an event."""

import datetime

from django.db import transaction
from django.utils import timezone

from accounts import outbox
from registry_sync.models import RetentionPolicy, Schedule
from registry_sync.retention_plan import Totals, judged
from registry_sync.retention_policies import KIND as RETENTION
from registry_sync.retention_policies import reading_of
from registry_sync.runs import Run

KIND = "retention-notice"
# So long before a run its project is told.
AHEAD = datetime.timedelta(hours=48)
_NAMED = 100


def run(run: Run) -> None:
    """Tell of each run of the next two days once, where it would remove anything."""
    now = timezone.now()
    due = Schedule.objects.filter(
        kind=RETENTION, is_enabled=True, next_at__gt=now, next_at__lte=now + AHEAD
    )
    told = 0
    for schedule in due.order_by("next_at", "pk"):
        policies = RetentionPolicy.objects.select_related("project")
        policy = policies.filter(pk=schedule.policy_id, project__deleted_at=None).first()
        if policy is None or policy.warned_slot == schedule.next_at:
            continue
        told += _tell(policy, schedule, now)
        run.check()
    run.log(f"told of {told} runs")
    run.result(told=told)


def _tell(policy: RetentionPolicy, schedule: Schedule, now: datetime.datetime) -> int:
    """Emit the event, and remember that; return whether there was anything to tell."""
    totals = Totals()
    names: list[str] = []
    # What will be true when it runs, not what is true today.
    moment = schedule.next_at or now
    for part in judged(policy.project_id, reading_of(policy), moment):
        totals.count(part)
        names += [
            f"{part.repository.path}:{tag}"
            for verdict in part.verdicts
            if not verdict.is_kept
            for tag in verdict.image.tags
        ][: _NAMED - len(names)]
    with transaction.atomic():
        RetentionPolicy.objects.filter(pk=policy.pk).update(warned_slot=schedule.next_at)
        if totals.removed_images:
            outbox.emit(
                "retention.upcoming",
                f"project:{policy.project_id}",
                project=policy.project.name,
                at=moment.isoformat(),
                tags=totals.removed,
                images=totals.removed_images,
                first=names,
                confirmed=policy.is_confirmed,
            )
    return int(totals.removed_images > 0)
