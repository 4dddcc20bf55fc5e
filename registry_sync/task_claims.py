"""Tasks that a worker takes: one that it was told of, or any that may begin."""

import datetime
import random
from collections.abc import Collection

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from registry_sync import leases
from registry_sync.models import Execution, QueuePause, State, Task
from registry_sync.models.executions import HELD


def runnable(kinds: Collection[str], now: datetime.datetime) -> Q:
    """What a worker that knows these kinds may begin now."""
    paused = QueuePause.objects.values("kind")
    return Q(state=State.QUEUED, run_after__lte=now, kind__in=kinds) & ~Q(kind__in=paused)


def claim(task_id: int, *, worker: str, slots: int, kinds: Collection[str]) -> Task | None:
    """Take a task for this worker; None where it is gone, taken, not due or no slot is free."""
    now = timezone.now()
    if not _has_room(worker, slots, now):
        return None
    wanted = Task.objects.filter(runnable(kinds, now))
    execution_id = wanted.filter(pk=task_id).values_list("execution_id", flat=True).first()
    return None if execution_id is None else _take(wanted, task_id, execution_id, worker, now)


def claim_next(*, worker: str, slots: int, kinds: Collection[str]) -> Task | None:
    """Take any task that may begin; executions take turns, so that a large one holds up none."""
    now = timezone.now()
    if not _has_room(worker, slots, now):
        return None
    active = list(
        Execution.objects.active().filter(kind__in=kinds).values_list("pk", flat=True)[:200]
    )
    random.shuffle(active)
    wanted = Task.objects.filter(runnable(kinds, now))
    for execution_id in active:
        rows = wanted.filter(execution_id=execution_id).order_by("pk")
        first = list(rows.values_list("pk", flat=True)[:8])
        # Not all of them the first one: the others would come in vain.
        random.shuffle(first)
        for task_id in first[:2]:
            task = _take(wanted, task_id, execution_id, worker, now)
            if task is not None:
                return task
    return None


def _has_room(worker: str, slots: int, now: datetime.datetime) -> bool:
    held = Task.objects.filter(worker=worker, state__in=HELD, lease_until__gt=now)
    return held.count() < slots


@transaction.atomic
def _take(
    wanted: QuerySet[Task], task_id: int, execution_id: int, worker: str, now: datetime.datetime
) -> Task | None:
    """Take a task if it still is one of the wanted; None where another was faster."""
    execution = Execution.objects.locked(execution_id)
    if execution is None:
        return None
    task = leases.claim(
        wanted,
        task_id,
        until=lease_end(now),
        state=State.RUNNING,
        worker=worker,
        heartbeat_at=now,
        started_at=now,
        attempts=F("attempts") + 1,
        message="",
    )
    if task is None:
        return None
    if execution.state == State.QUEUED:
        execution.state, execution.started_at = State.RUNNING, now
        execution.save(update_fields=["state", "started_at"])
    task.execution = execution
    return task


def lease_end(now: datetime.datetime) -> datetime.datetime:
    """Until when a lease that is taken or renewed now holds."""
    return now + datetime.timedelta(seconds=settings.MOORAGE_JOB_LEASE)
