"""Jobs that first find out what is to be done, and then do it in many tasks of one execution."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from registry_sync.executions import Order
from registry_sync.leases import LeaseLostError
from registry_sync.models import Execution, State, Task
from registry_sync.runs import Run, StopRequestedError

_BATCH = 500
_MARK = "planned"


def is_planned(run: Run) -> bool:
    """Return whether an earlier attempt at this task has added its tasks."""
    return _MARK in run.task.result


def add_tasks(run: Run, orders: Sequence[Order], **facts: Any) -> None:
    """Add tasks to the run's own execution, and note that in the run's result with ``facts``.

    All or nothing, and once: a worker that dies before or after changes nothing about it. Raises
    ``StopRequestedError`` where the execution is to stop, ``LeaseLostError``.
    """
    now = timezone.now()
    with transaction.atomic():
        execution = Execution.objects.locked(run.task.execution_id)
        if execution is None:
            raise LeaseLostError
        run.hold()
        if execution.state == State.STOPPING:
            raise StopRequestedError
        Task.objects.bulk_create(
            [
                Task(
                    execution=execution,
                    kind=execution.kind,
                    subject=order.subject,
                    parameters=order.parameters,
                    run_after=now,
                    created_at=now,
                )
                for order in orders
            ],
            batch_size=_BATCH,
        )
        execution.task_count += len(orders)
        execution.save(update_fields=["task_count"])
        result = {**run.task.result, **facts, _MARK: len(orders)}
        Task.objects.filter(pk=run.task.pk).update(result=result)
    run.result(**{**facts, _MARK: len(orders)})
