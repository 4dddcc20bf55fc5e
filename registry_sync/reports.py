"""Writing what a run found and did; the lines are few where all is well."""

from dataclasses import dataclass

from django.db.models import Count, Sum

from registry_sync.models import Execution, ReportLine
from registry_sync.texts import storable

Outcome = ReportLine.Outcome


@dataclass(frozen=True, slots=True)
class Total:
    """What a run's lines of one outcome and kind come to."""

    outcome: str
    subject_kind: str
    lines: int
    count: int
    size: int


def line(
    execution: Execution,
    outcome: Outcome,
    subject_kind: str,
    subject: str,
    *,
    reason: str = "",
    count: int = 1,
    size: int = 0,
) -> ReportLine:
    """Return a line, not yet written."""
    return ReportLine(
        execution=execution,
        outcome=outcome,
        subject_kind=subject_kind,
        subject=storable(subject)[:1024],
        reason=storable(reason)[:1024],
        count=count,
        size=size,
    )


def write(lines: list[ReportLine]) -> None:
    """Write lines, within the caller's transaction where there is one."""
    ReportLine.objects.bulk_create(lines, batch_size=500)


def totals(execution_id: int) -> list[Total]:
    """Return what a run's lines come to, by outcome and kind."""
    rows = (
        ReportLine.objects.of(execution_id)
        .order_by("outcome", "subject_kind")
        .values_list("outcome", "subject_kind")
        .annotate(lines=Count("pk"), amount=Sum("count"), bytes=Sum("size"))
    )
    return [Total(*row) for row in rows]
