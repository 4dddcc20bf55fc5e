"""What a run of replication comes to so far: its phases, its images, its bytes."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.utils import timezone

from registry_sync.executions import Order
from registry_sync.models import Execution, State, Task
from registry_sync.models.executions import ACTIVE


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run."""

    # The task that makes the plan; none where failed images are tried again.
    plan: Task | None
    # What it found: ``planned``, ``there``, ``there_size``, ``kept``, ``unnamed``, ``deletions``…
    found: Mapping[str, Any]
    counts: Mapping[str, int]
    sent: int
    # Bytes a second while it copies; 0 before the first.
    rate: int
    seconds: int

    @property
    def images(self) -> int:
        """How many there are to do."""
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """How many are over, well or not."""
        return sum(n for state, n in self.counts.items() if state not in ACTIVE)

    @property
    def failed(self) -> int:
        """How many could not be copied."""
        return self.counts.get(State.FAILED, 0)

    @property
    def is_planned(self) -> bool:
        """Whether it is known what is to be done."""
        return self.plan is None or self.plan.state == State.SUCCEEDED


def images(execution: Execution) -> QuerySet[Task]:
    """Return the tasks that copy or delete; the one that plans has no subject."""
    return Task.objects.filter(execution=execution).exclude(subject="")


def of(execution: Execution) -> Figures:
    """Return a run's figures; three queries."""
    plan = Task.objects.filter(execution=execution, subject="").first()
    rows = images(execution).order_by().values_list("state").annotate(n=Count("pk"))
    copied = images(execution).aggregate(
        sent=Sum("done", filter=Q(unit="bytes")), begun=Min("started_at"), ended=Max("finished_at")
    )
    seconds = _seconds(execution, copied["begun"], copied["ended"])
    sent = copied["sent"] or 0
    return Figures(
        plan=plan,
        found=plan.result if plan else {},
        counts=dict(rows),
        sent=sent,
        rate=int(sent / seconds) if seconds else 0,
        seconds=int(seconds),
    )


def _seconds(
    execution: Execution, begun: datetime.datetime | None, ended: datetime.datetime | None
) -> float:
    if begun is None:
        return 0.0
    until = timezone.now() if execution.is_active or ended is None else ended
    return max(0.0, (until - begun).total_seconds())


def failed_orders(execution: Execution) -> list[Order]:
    """Return what of a run failed, to be done again."""
    return [
        Order(subject=task.subject, parameters={**task.parameters, "is_fresh": False})
        for task in images(execution).filter(state=State.FAILED).order_by("pk")
    ]
