"""Celery tasks: thin doors, safe to run twice.

A message says "look now"; the rows say what is so.
"""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Collection

from celery import shared_task
from django.conf import settings
from django.db import OperationalError as DatabaseUnavailable
from django.utils import timezone

from accounts import audit_chain
from accounts.errors import Conflict, DomainError, Unavailable
from accounts.principals import SYSTEM_ACTOR
from registry_sync import (
    audit_purge,
    bulk,
    executions,
    fan_out,
    fsck,
    garbage,
    housekeeping,
    image_analysis,
    purging,
    relay,
    remote_registries,
    retention,
    retention_notices,
    runs,
    schedules,
    storage_figures,
    tag_history,
    task_claims,
)
from registry_sync.executions import Kind, Origin
from registry_sync.failpoints import hit
from registry_sync.importing import engine as importing
from registry_sync.leases import LeaseLostError
from registry_sync.models import Execution, State, Task, WorkerHeartbeat
from registry_sync.reconciling import engine as reconciling
from registry_sync.replication import changes, policies
from registry_sync.replication import engine as replication
from registry_sync.runs import Run, StopRequestedError, WorkerEndsError

logger = logging.getLogger(__name__)

KINDS: dict[str, Kind] = {
    housekeeping.KIND: Kind(housekeeping.run),
    audit_purge.KIND: Kind(audit_purge.run),
    fsck.KIND: Kind(fsck.run, hours=24),
    purging.KIND: Kind(purging.run),
    policies.KIND: Kind(replication.run, hours=24),
    tag_history.KIND: Kind(tag_history.run),
    retention.KIND: Kind(retention.run, hours=24),
    retention_notices.KIND: Kind(retention_notices.run),
    garbage.KIND: Kind(garbage.run, hours=24),
    importing.KIND: Kind(importing.run, hours=24),
    reconciling.KIND: Kind(reconciling.run, hours=24),
    storage_figures.KIND: Kind(storage_figures.run),
    image_analysis.KIND: Kind(image_analysis.run),
    bulk.DELETION: Kind(bulk.run_deletion),
    bulk.UNDO: Kind(bulk.run_undo),
}
# What runs by itself on every Moorage: second, minute, hour, day, month, weekday.
DEFAULT_SCHEDULES = {
    housekeeping.KIND: "0 17 * * * *",
    fsck.KIND: "0 30 3 * * 0",
    purging.KIND: "0 41 * * * *",
    retention_notices.KIND: "0 7 * * * *",
    reconciling.KIND: "0 10 2 * * *",
    storage_figures.KIND: "0 50 1 * * *",
    tag_history.KIND: "0 53 2 * * *",
}
# What a new Moorage begins with; administrators may take it away.
FIRST_SCHEDULES = {garbage.KIND: "0 M 4 * * *"}
# Who is told of which events.
CONSUMERS: relay.Consumers = {
    "artifact.pushed": [image_analysis.on_push, changes.on_event],
    **{kind: [changes.on_event] for kind in changes.OTHER_EVENTS},
}
# So long one message goes on with what else is runnable, before other messages get their turn.
_SECONDS_PER_MESSAGE = 5.0
# Enough to set every idle thread going; each goes on by itself.
_WAKES = 8


@shared_task
def seal_audit() -> None:
    """Chain the audit entries of the last half minute."""
    audit_chain.seal(settings.MOORAGE_KEYS)


@shared_task
def heartbeat() -> None:
    """Prove that scheduler, broker and worker work together."""
    WorkerHeartbeat.objects.update_or_create(
        name=socket.gethostname(), defaults={"beat_at": timezone.now()}
    )


@shared_task
def check_registries() -> None:
    """Ask other registries whether they answer, each every few minutes."""
    remote_registries.check_due()


@shared_task
def tick() -> None:
    """Fire what is due, find what the broker lost, tell what happened."""
    schedules.ensure(DEFAULT_SCHEDULES, FIRST_SCHEDULES)
    for execution in schedules.fire_due(KINDS):
        logger.info("Execution %s (%s) is due.", execution.pk, execution.kind)
    wake(executions.sweep(KINDS))
    relay.deliver(CONSUMERS)
    for execution_id in changes.start_due():
        wake_execution(execution_id)
    _read_layers()


def _read_layers() -> None:
    """Have what was pushed analysed, where no execution is at it already."""
    if not image_analysis.is_due():
        return
    with contextlib.suppress(Conflict):
        origin = Origin(Execution.Trigger.EVENT)
        wake_execution(executions.create(image_analysis.KIND, actor=SYSTEM_ACTOR, origin=origin).pk)


@shared_task
def run_task(task_id: int) -> None:
    """Claim the task and do it, then others that wait, for a while."""
    worker, slots = _here()
    deadline = time.monotonic() + _SECONDS_PER_MESSAGE
    task = task_claims.claim(task_id, worker=worker, slots=slots, kinds=KINDS)
    while task is not None:
        _perform(task)
        if runs.shutting_down.is_set():
            # It would take what it gives back, over and over until it has ended.
            return
        task = task_claims.claim_next(worker=worker, slots=slots, kinds=KINDS)
        if task is not None and time.monotonic() > deadline:
            executions.put_back(task, is_attempt=False)
            wake([task.pk])
            return


def run_here(task_id: int) -> None:
    """Do one task in this process, where no worker has it."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    task = task_claims.claim(task_id, worker=worker, slots=1, kinds=KINDS)
    if task is not None:
        _perform(task)


def wake(task_ids: Collection[int]) -> None:
    """Tell workers of these tasks; where the broker is away the sweep will."""
    try:
        for task_id in task_ids:
            run_task.apply_async((task_id,), retry=False)
    except Exception:
        # Each broker has errors of its own, and none may fail what was ordered: it is in the rows.
        logger.warning("The broker does not answer; the sweep will wake.", exc_info=True)
    else:
        executions.note_wake(task_ids)


def wake_execution(execution_id: int) -> None:
    """Tell workers of an execution's first tasks."""
    waiting = Task.objects.filter(execution_id=execution_id, state=State.QUEUED).order_by("pk")
    wake(list(waiting.values_list("pk", flat=True)[:_WAKES]))


def _here() -> tuple[str, int]:
    """Return this worker's name, and how many tasks it may hold.

    One thread or process fewer than it has: the scheduler's messages must always find one.
    """
    name = os.environ.get("MOORAGE_WORKER") or f"{socket.gethostname()}:{os.getpid()}"
    return name, max(1, int(os.environ.get("MOORAGE_WORKER_CONCURRENCY", "2")) - 1)


def _perform(task: Task) -> None:
    """Give the task to its engine, and write down how that ended."""
    kind = KINDS[task.kind]
    run = Run(task)
    logger.info("Task %s (%s) begins, attempt %s.", task.pk, task.kind, task.attempts)
    try:
        try:
            with run.kept(hours=kind.hours):
                hit(f"{task.kind}.claimed")
                kind.engine(run)
                hit(f"{task.kind}.done")
            executions.finish(task, State.SUCCEEDED, write=run.flush)
            logger.info("Task %s (%s) succeeded.", task.pk, task.kind)
            if fan_out.is_planned(run):
                # Else the other threads would sleep until the next tick.
                wake_execution(task.execution_id)
        except LeaseLostError:
            raise
        except Exception as error:
            _give_up(run, kind, error)
    except LeaseLostError:
        logger.warning("Task %s is not ours any more; this attempt leaves no trace.", task.pk)


def _give_up(run: Run, kind: Kind, error: Exception) -> None:
    """Write down why the engine did not come to its end. Raises ``LeaseLostError``."""
    task = run.task
    logger.info("Task %s (%s) did not succeed: %s.", task.pk, task.kind, type(error).__name__)
    if isinstance(error, WorkerEndsError):
        run.log("the worker ends; another goes on")
        run.flush()
        executions.put_back(task, is_attempt=False)
        return
    is_passing = isinstance(error, (Unavailable, DatabaseUnavailable))
    if is_passing and task.attempts < kind.attempts:
        wait = executions.backoff(task.attempts)
        run.log(f"attempt {task.attempts} of {kind.attempts}: {_reason(error)}; again in {wait} s")
        run.flush()
        executions.put_back(task, after=wait, message=_reason(error))
        return
    if isinstance(error, StopRequestedError):
        run.log("stopped")
        run.flush()
        executions.finish(task, State.STOPPED)
        return
    if not isinstance(error, DomainError):
        logger.error("Task %s (%s) failed.", task.pk, task.kind, exc_info=error)
    run.log(f"failed: {_reason(error)}")
    run.flush()
    executions.finish(task, State.FAILED, _reason(error))


def _reason(error: Exception) -> str:
    """Say what went wrong in our own words: a stranger's may hold a secret."""
    if isinstance(error, DomainError):
        return str(error)
    if isinstance(error, DatabaseUnavailable):
        return "the database did not answer"
    return f"an unexpected {type(error).__name__}; the worker's log tells more"
