"""The one door to background work: what pages, API and gateway call to have something done."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts import projects
from accounts.errors import Conflict, NotFound
from accounts.models import Project
from accounts.principals import Actor
from registry_sync import executions, purging, tasks
from registry_sync.executions import Order, Origin
from registry_sync.models import Execution, State, Task

KINDS = tuple(tasks.KINDS)


def start(
    kind: str,
    *,
    actor: Actor,
    policy_id: int = 0,
    project_id: int | None = None,
    parameters: dict[str, Any] | None = None,
    orders: Sequence[Order] = (Order(),),
    trigger: str = Execution.Trigger.MANUAL,
) -> Execution:
    """Make an execution, and wake workers once the caller's transaction is committed.

    Raises ``NotFound`` for an unknown kind, ``Conflict`` while the only one allowed is active.
    """
    if kind not in tasks.KINDS:
        raise NotFound(f"there is no job of the kind {kind!r}")
    execution = executions.create(
        kind,
        actor=actor,
        policy_id=policy_id,
        project_id=project_id,
        parameters=parameters,
        orders=orders,
        origin=Origin(trigger),
        is_exclusive=tasks.KINDS[kind].is_exclusive,
    )
    transaction.on_commit(lambda: tasks.wake_execution(execution.pk))
    return execution


@transaction.atomic
def purge_project(project: Project, *, actor: Actor) -> None:
    """Give a deleted project up for good, and have a job remove what it held.

    Raises ``Conflict`` for one that is not in the trash.
    """
    projects.abandon(project, actor=actor)
    try:
        start(purging.KIND, actor=actor)
    except Conflict:
        return  # It runs, and looks at projects last; otherwise the next one does.


def clear(kind: str, *, actor: Actor) -> None:
    """Stop what waits of a kind; what runs goes on."""
    waiting = Execution.objects.active().filter(kind=kind, tasks__state=State.QUEUED)
    for execution_id in list(waiting.values_list("pk", flat=True).distinct()):
        executions.stop(execution_id, actor=actor, only_queued=True)


def stop_running(*, actor: Actor) -> None:
    """Stop every task that runs."""
    for task_id in list(Task.objects.filter(state=State.RUNNING).values_list("pk", flat=True)):
        executions.stop_task(task_id, actor=actor)
