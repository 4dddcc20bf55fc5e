"""Queues: what waits of each kind, and whether it may begin."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Min, Q, Sum
from django.utils import timezone

from accounts import audit
from accounts.principals import Actor
from registry_sync.models import Execution, QueuePause, State, Task, Worker
from registry_sync.models.executions import ACTIVE, HELD

# The queue of slots: while it is paused no schedule fires.
SCHEDULER = "scheduler"
# A worker says that it lives every few seconds.
_SILENCE = datetime.timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Queue:
    """One kind's queue."""

    kind: str
    queued: int = 0
    running: int = 0
    # Seconds that the first has waited which could begin.
    age: int = 0
    is_paused: bool = False


def figures(kinds: Iterable[str]) -> list[Queue]:
    """Return the queues of these kinds, and of those with anything in them."""
    now = timezone.now()
    counted = Task.objects.filter(state__in=ACTIVE).order_by().values("kind")
    rows: dict[str, dict[str, Any]] = {
        row["kind"]: dict(row)
        for row in counted.annotate(
            queued=Count("pk", filter=Q(state=State.QUEUED)),
            running=Count("pk", filter=Q(state__in=HELD)),
            oldest=Min("run_after", filter=Q(state=State.QUEUED, run_after__lte=now)),
        )
    }
    paused = set(QueuePause.objects.values_list("kind", flat=True))
    found = []
    for kind in sorted({*kinds, *rows}):
        row = rows.get(kind)
        oldest = row["oldest"] if row else None
        found.append(
            Queue(
                kind,
                row["queued"] if row else 0,
                row["running"] if row else 0,
                int((now - oldest).total_seconds()) if oldest else 0,
                kind in paused,
            )
        )
    return found


def totals() -> list[dict[str, Any]]:
    """Return per kind how many tasks of the kept history ended how, and were taken over."""
    columns = ("succeeded_count", "failed_count", "stopped_count", "takeover_count")
    sums = {name.removesuffix("_count"): Sum(name) for name in columns}
    kinds = Execution.objects.order_by().values("kind").annotate(**sums).order_by("kind")
    return [dict(row) for row in kinds]


def is_paused(kind: str) -> bool:
    """Whether somebody paused it."""
    return QueuePause.objects.filter(kind=kind).exists()


@transaction.atomic
def pause(kind: str, *, actor: Actor) -> None:
    """Begin no task of a kind; what runs goes on. Twice is as good as once."""
    made = QueuePause.objects.get_or_create(
        kind=kind, defaults={"paused_at": timezone.now(), "actor_name": actor.principal.name}
    )[1]
    if made:
        audit.record(actor, "pause_queue", kind)


@transaction.atomic
def resume(kind: str, *, actor: Actor) -> None:
    """Begin its tasks again."""
    if QueuePause.objects.filter(kind=kind).delete()[0]:
        audit.record(actor, "resume_queue", kind)


def workers() -> list[Worker]:
    """Return the workers that said lately that they live."""
    return list(Worker.objects.filter(beat_at__gt=timezone.now() - _SILENCE))


def show_worker(name: str, *, pool: str, concurrency: int) -> None:
    """Write that a worker (``host:pid``) lives."""
    now = timezone.now()
    host, _colon, pid = name.rpartition(":")
    facts = {"pool": pool, "concurrency": concurrency, "beat_at": now}
    Worker.objects.update_or_create(
        name=name,
        defaults=facts,
        create_defaults={**facts, "host": host, "pid": int(pid), "started_at": now},
    )


def remove_worker(name: str) -> None:
    """Take a worker that ends off the list."""
    Worker.objects.filter(name=name).delete()


def forget_workers() -> int:
    """Drop those that have been silent for a day."""
    old = timezone.now() - datetime.timedelta(days=1)
    return Worker.objects.filter(beat_at__lt=old).delete()[0]
