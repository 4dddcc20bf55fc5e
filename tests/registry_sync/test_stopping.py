"""Stopping and sweeping executions, pausing kinds, and what an engine writes."""

import datetime

import pytest
import time_machine
from django.utils import timezone

from accounts.errors import NotFound
from accounts.models import AuditEntry, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import dispatch, executions, queues, runs, tasks
from registry_sync.models import Execution, State
from registry_sync.runs import Run
from tests.conftest import Cast
from tests.registry_sync.jobs import (
    LATER,
    Broker,
    UseEngine,
    actor_of,
    claim,
    claimed,
    log_of,
    make,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


# --- Stopping -------------------------------------------------------------------------------------


def test_stop_ends_what_waits_and_tells_what_runs(cast: Cast) -> None:
    execution = make("a", "b")
    running = claim(execution.tasks.all()[0].pk)
    assert running is not None
    executions.stop(execution.pk, actor=actor_of(cast.admin))
    execution.refresh_from_db()
    assert (execution.state, execution.stopped_count) == (State.STOPPING, 1)
    run = Run(running)
    run.flush()
    with pytest.raises(runs.StopRequestedError):
        run.check()
    executions.finish(running, State.STOPPED)
    execution.refresh_from_db()
    assert execution.state == State.STOPPED
    assert AuditEntry.objects.filter(action="stop_job").count() == 1


def test_a_stop_between_engine_and_end_does_not_undo_the_work() -> None:
    execution = make()
    task = claimed(execution)
    executions.stop(execution.pk, actor=SYSTEM_ACTOR)
    executions.finish(task, State.SUCCEEDED)
    execution.refresh_from_db()
    assert execution.state == State.SUCCEEDED


def test_stopping_what_has_ended_changes_nothing(engine: UseEngine) -> None:
    execution = make()
    tasks.run_task(execution.tasks.get().pk)
    assert executions.stop(execution.pk, actor=SYSTEM_ACTOR).state == State.SUCCEEDED
    assert not AuditEntry.objects.filter(action="stop_job").exists()
    with pytest.raises(NotFound):
        executions.stop(10**9, actor=SYSTEM_ACTOR)


def test_a_stopped_task_whose_worker_died_has_stopped() -> None:
    execution = make()
    claimed(execution)
    executions.stop(execution.pk, actor=SYSTEM_ACTOR)
    with time_machine.travel(timezone.now() + LATER):
        executions.sweep({"test"})
    execution.refresh_from_db()
    assert execution.state == State.STOPPED


# --- Sweeping, pausing, pruning -------------------------------------------------------------------


def test_what_the_broker_lost_is_woken_again() -> None:
    task = make().tasks.get()
    assert executions.sweep({"test"}) == [task.pk]
    executions.note_wake([task.pk])
    assert executions.sweep({"test"}) == []
    with time_machine.travel(timezone.now() + datetime.timedelta(seconds=11)):
        assert executions.sweep({"test"}) == [task.pk]


@pytest.mark.django_db(transaction=True)
def test_an_order_is_taken_while_the_broker_is_away(broker: Broker) -> None:
    broker.is_away = True
    task = dispatch.start("fsck", actor=SYSTEM_ACTOR).tasks.get()
    assert task.woken_at is None
    broker.is_away = False
    tasks.tick()
    assert broker.ids == [task.pk]
    tasks.tick()
    assert broker.ids == [task.pk]


def test_a_paused_kind_is_not_begun(admin: User) -> None:
    task = make().tasks.get()
    queues.pause("test", actor=actor_of(admin))
    queues.pause("test", actor=actor_of(admin))
    assert claim(task.pk) is None
    assert executions.sweep({"test"}) == []
    (queue,) = [queue for queue in queues.figures([]) if queue.kind == "test"]
    assert (queue.queued, queue.is_paused) == (1, True)
    queues.resume("test", actor=actor_of(admin))
    assert claim(task.pk)
    assert AuditEntry.objects.filter(action="pause_queue").count() == 1


def test_history_is_pruned_and_the_active_kept(engine: UseEngine) -> None:
    ended = [make() for _number in range(5)]
    for execution in ended:
        tasks.run_task(execution.tasks.get().pk)
    active = make()
    long_ago = timezone.now() - datetime.timedelta(days=1)
    assert executions.prune(keep=3, before=long_ago) == 2
    left = set(Execution.objects.values_list("pk", flat=True))
    assert left == {active.pk, *(execution.pk for execution in ended[2:])}
    assert executions.prune(keep=3, before=timezone.now()) == 3


# --- What an engine writes ------------------------------------------------------------------------


def test_progress_result_and_log_are_kept(engine: UseEngine) -> None:
    def work(run: Run) -> None:
        run.progress(done=3, total=9, unit="rows", message="half\0way")
        run.log("hello\0")
        run.result(found=2)

    engine(work)
    task = make().tasks.get()
    tasks.run_task(task.pk)
    task.refresh_from_db()
    assert (task.done, task.total, task.unit, task.message) == (3, 9, "rows", "halfway")
    assert task.result == {"found": 2}
    assert log_of(task).endswith("Z hello\n")


def test_a_log_is_bounded(engine: UseEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LOG_LIMIT", 500)

    def work(run: Run) -> None:
        for _number in range(100):
            run.log("x" * 50)

    engine(work)
    task = make().tasks.get()
    tasks.run_task(task.pk)
    assert len(log_of(task)) < 650
    assert log_of(task).endswith("what follows is not kept.\n")
