"""Executions and their tasks: made, ended, stopped, swept; claimed in ``task_claims``.

The rows are the truth; a broker's message only says "look now". Locks are taken in one order:
the execution, then its tasks.
"""

import datetime
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.errors import Conflict, NotFound
from accounts.principals import Actor
from registry_sync.leases import LeaseLostError
from registry_sync.models import Execution, Schedule, State, Task
from registry_sync.models.executions import ACTIVE, HELD
from registry_sync.runs import Run
from registry_sync.task_claims import runnable

# So often may workers die over one task before the task is to blame.
MAX_TAKEOVERS = 3
# The broker may have lost what was woken longer ago.
REWAKE_AFTER = datetime.timedelta(seconds=10)
WAKES_PER_SWEEP = 20
_BATCH = 500
_FIRST_BACKOFF = 5
_LONGEST_BACKOFF = 15 * 60


@dataclass(frozen=True, slots=True)
class Kind:
    """What a worker must know of a kind of job."""

    engine: Callable[[Run], None]
    # One active execution for each policy.
    is_exclusive: bool = True
    # How often it is tried in all while a part of the system is unavailable.
    attempts: int = 5
    # A task that runs longer loses its lease.
    hours: float = 6


@dataclass(frozen=True, slots=True)
class Order:
    """One task to be made."""

    subject: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Origin:
    """Why an execution is made: by hand, by an event, or for a schedule's slot."""

    trigger: str = Execution.Trigger.MANUAL
    schedule: Schedule | None = None
    slot: datetime.datetime | None = None


@transaction.atomic
def create(
    kind: str,
    *,
    actor: Actor,
    policy_id: int = 0,
    project_id: int | None = None,
    parameters: dict[str, Any] | None = None,
    orders: Sequence[Order] = (Order(),),
    origin: Origin | None = None,
    is_exclusive: bool = True,
) -> Execution:
    """Make an execution with its tasks. Raises ``Conflict`` while the exclusive one is active."""
    now = timezone.now()
    origin = origin or Origin()
    execution = Execution(
        kind=kind,
        policy_id=policy_id,
        project_id=project_id,
        unique_key=f"{kind}:{policy_id}" if is_exclusive else "",
        trigger=origin.trigger,
        parameters=parameters or {},
        actor_id=actor.principal.user_id,
        actor_name=actor.principal.name,
        schedule=origin.schedule,
        slot=origin.slot,
        task_count=len(orders),
        created_at=now,
    )
    if not orders:
        execution.state, execution.finished_at = State.SUCCEEDED, now
    try:
        with transaction.atomic():
            execution.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(_why_not(kind, policy_id)) from error
    Task.objects.bulk_create(
        [
            Task(
                execution=execution,
                kind=kind,
                subject=order.subject,
                parameters=order.parameters,
                run_after=now,
                created_at=now,
            )
            for order in orders
        ],
        batch_size=_BATCH,
    )
    if actor.principal.kind != "system":
        audit.record(actor, "start_job", f"{kind}/{execution.pk}", detail={"policy": policy_id})
    return execution


def _why_not(kind: str, policy_id: int) -> str:
    running = Execution.objects.active().filter(kind=kind, policy_id=policy_id).first()
    number = f" (execution {running.pk})" if running else ""
    return f"{kind} is running already{number}; wait for its end, or stop it"


# --- Workers --------------------------------------------------------------------------------------


@transaction.atomic
def finish(
    task: Task, state: State, message: str = "", *, write: Callable[[], None] | None = None
) -> None:
    """End a task that this worker holds. Raises ``LeaseLostError`` where it does not any more.

    ``write`` is called before, in the same transaction.
    """
    _end(task, state, message[:1024] or None, write)


def _end(
    task: Task,
    state: State,
    message: str | None = None,
    write: Callable[[], None] | None = None,
) -> None:
    now = timezone.now()
    execution = _lock(task.execution_id)
    if write is not None:
        write()
    more = {} if message is None else {"message": message}
    if not Task.objects.filter(pk=task.pk, fencing_token=task.fencing_token, state__in=HELD).update(
        state=state,
        lease_until=None,
        finished_at=now,
        fencing_token=F("fencing_token") + 1,
        **more,
    ):
        raise LeaseLostError
    _count(execution, {state: 1}, now)


@transaction.atomic
def put_back(task: Task, *, after: int = 0, message: str = "", is_attempt: bool = True) -> None:
    """Queue a held task again, in ``after`` seconds; one that is to stop has stopped instead."""
    now = timezone.now()
    execution = _lock(task.execution_id)
    if (
        execution.state == State.STOPPING
        or Task.objects.filter(pk=task.pk, state=State.STOPPING).exists()
    ):
        _end(task, State.STOPPED, message or None)
        return
    if not Task.objects.filter(pk=task.pk, fencing_token=task.fencing_token, state__in=HELD).update(
        state=State.QUEUED,
        lease_until=None,
        fencing_token=F("fencing_token") + 1,
        run_after=now + datetime.timedelta(seconds=after),
        woken_at=None,
        worker="",
        message=message[:1024],
        attempts=F("attempts") - (0 if is_attempt else 1),
    ):
        raise LeaseLostError


def backoff(attempts: int) -> int:
    """Seconds until the next attempt, after so many."""
    return min(_FIRST_BACKOFF << min(attempts - 1, 16), _LONGEST_BACKOFF)


# --- People ---------------------------------------------------------------------------------------


@transaction.atomic
def stop(execution_id: int, *, actor: Actor, only_queued: bool = False) -> Execution:
    """Stop an execution: what waits at once, what runs as soon as it looks up.

    One that has ended stays as it is. Raises ``NotFound``.
    """
    execution = Execution.objects.locked(execution_id)
    if execution is None:
        raise NotFound("execution not found")
    if not execution.is_active or execution.state == State.STOPPING:
        return execution
    if not only_queued:
        execution.state = State.STOPPING
        execution.save(update_fields=["state"])
    _stop(execution, Task.objects.filter(execution=execution), only_queued=only_queued)
    audit.record(actor, "stop_job", f"{execution.kind}/{execution.pk}")
    return execution


@transaction.atomic
def stop_task(task_id: int, *, actor: Actor) -> None:
    """Stop one task of an execution; one that has ended stays as it is. Raises ``NotFound``."""
    task = Task.objects.filter(pk=task_id).first()
    execution = Execution.objects.locked(task.execution_id) if task is not None else None
    if task is None or execution is None:
        raise NotFound("job not found")
    if _stop(execution, Task.objects.filter(pk=task_id), only_queued=False):
        resource = f"{execution.kind}/{execution.pk}/{task_id}"
        audit.record(actor, "stop_job", resource)


def _stop(execution: Execution, tasks: QuerySet[Task], *, only_queued: bool) -> int:
    """Stop some tasks of a locked execution; return how many were active."""
    now = timezone.now()
    told = 0
    if not only_queued:
        told = tasks.filter(state=State.RUNNING).update(state=State.STOPPING)
    ended = tasks.filter(state=State.QUEUED).update(state=State.STOPPED, finished_at=now)
    _count(execution, {State.STOPPED: ended}, now)
    return told + ended


# --- Sweeping -------------------------------------------------------------------------------------


def sweep(kinds: Collection[str]) -> list[int]:
    """Free what dead workers held; return the tasks that nobody was told of, or not lately."""
    now = timezone.now()
    for task in Task.objects.filter(state__in=HELD, lease_until__lt=now).order_by("pk")[:_BATCH]:
        try:
            _free(task)
        except LeaseLostError:
            continue  # It was ended, renewed or freed meanwhile.
    now = timezone.now()
    quiet = Q(woken_at=None) | Q(woken_at__lt=now - REWAKE_AFTER)
    waiting = Task.objects.filter(runnable(kinds, now) & quiet).order_by("run_after", "pk")
    return list(waiting.values_list("pk", flat=True)[:WAKES_PER_SWEEP])


def note_wake(task_ids: Collection[int]) -> None:
    """Remember that workers were told of these tasks."""
    if task_ids:
        Task.objects.filter(pk__in=task_ids).update(woken_at=timezone.now())


@transaction.atomic
def _free(task: Task) -> None:
    """Take a task from a worker that does not renew its lease."""
    still = Task.objects.filter(pk=task.pk, lease_until=task.lease_until)
    execution = _lock(task.execution_id)
    if not still.update(takeovers=F("takeovers") + 1):
        raise LeaseLostError
    execution.takeover_count += 1
    execution.save(update_fields=["takeover_count"])
    if task.state == State.STOPPING:
        _end(task, State.STOPPED)
    elif task.takeovers + 1 >= MAX_TAKEOVERS:
        _end(task, State.FAILED, f"its worker died or hung {MAX_TAKEOVERS} times while running it")
    else:
        put_back(task, message="its worker died or hung", is_attempt=False)


def prune(*, keep: int, before: datetime.datetime) -> int:
    """Remove what ended ``before``, or before the last ``keep`` of its policy; return how many.

    At most a batch of each policy: the rest is left for the next time.
    """
    removed = 0
    policies = Execution.objects.order_by().values_list("kind", "policy_id").distinct()
    for kind, policy_id in list(policies):
        ended = Execution.objects.exclude(state__in=ACTIVE).filter(kind=kind, policy_id=policy_id)
        newest = ended.order_by("-pk").values_list("pk", flat=True)
        border = newest[keep : keep + 1].first() or 0
        old = ended.filter(Q(finished_at__lt=before) | Q(pk__lte=border)).order_by("pk")
        for execution_id in list(old.values_list("pk", flat=True)[:_BATCH]):
            removed += _remove(execution_id)
    return removed


def _remove(execution_id: int) -> int:
    """Remove an execution, its tasks in batches first: no long transaction."""
    while True:
        ids = list(
            Task.objects.filter(execution_id=execution_id).values_list("pk", flat=True)[:_BATCH]
        )
        if not ids:
            break
        Task.objects.filter(pk__in=ids).delete()
    return int(bool(Execution.objects.filter(pk=execution_id).delete()[0]))


# --- Inside ---------------------------------------------------------------------------------------


def _lock(execution_id: int) -> Execution:
    execution = Execution.objects.locked(execution_id)
    if execution is None:
        raise LeaseLostError
    return execution


def _count(execution: Execution, ended: dict[State, int], now: datetime.datetime) -> None:
    """Count ended tasks, and end the execution with its last one. The execution is locked."""
    execution.succeeded_count += ended.get(State.SUCCEEDED, 0)
    execution.failed_count += ended.get(State.FAILED, 0)
    execution.stopped_count += ended.get(State.STOPPED, 0)
    if execution.done_count >= execution.task_count:
        if execution.failed_count:
            execution.state = State.FAILED
        elif execution.stopped_count:
            execution.state = State.STOPPED
        else:
            execution.state = State.SUCCEEDED
        execution.finished_at = now
    counts = ["succeeded_count", "failed_count", "stopped_count"]
    execution.save(update_fields=[*counts, "state", "finished_at"])
