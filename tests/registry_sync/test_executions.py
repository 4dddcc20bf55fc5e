"""Executions and tasks: claimed once, ended, fenced, tried again; on both databases."""

import threading

import pytest
import time_machine
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts.errors import BadRequest, Conflict, NotFound, Unavailable
from accounts.principals import SYSTEM_ACTOR
from registry_sync import dispatch, executions, fan_out, leases, runs, task_claims, tasks
from registry_sync.executions import Order
from registry_sync.leases import LeaseLostError
from registry_sync.models import State, Task, TaskLog
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


# --- Claims ---------------------------------------------------------------------------------------


def test_ten_deliveries_have_one_effect(engine: UseEngine) -> None:
    done: list[int] = []
    engine(lambda run: done.append(run.task.pk))
    task_id = make().tasks.get().pk
    for _time in range(10):
        tasks.run_task(task_id)
    assert done == [task_id]


def test_a_second_claim_of_a_held_task_gets_nothing() -> None:
    task = claimed(make())
    assert claim(task.pk, worker="there:2") is None
    assert Task.objects.get(pk=task.pk).worker == "here:1"


def test_a_task_that_is_gone_is_no_news(engine: UseEngine) -> None:
    tasks.run_task(10**9)


def test_a_kind_that_a_worker_does_not_know_waits_for_one_that_does() -> None:
    task = make().tasks.get()
    assert task_claims.claim(task.pk, worker="old:1", slots=9, kinds={"fsck"}) is None
    assert executions.sweep({"fsck"}) == []


def test_a_worker_holds_no_more_than_its_slots() -> None:
    first, second = make("a", "b").tasks.all()
    assert claim(first.pk, slots=1)
    assert claim(second.pk, slots=1) is None
    assert claim(second.pk, slots=1, worker="there:2")


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_at_once_one_succeeds() -> None:
    task_id = make().tasks.get().pk
    barrier = threading.Barrier(6)
    won: list[Task] = []

    def try_it(number: int) -> None:
        barrier.wait()
        try:
            task = claim(task_id, worker=f"host:{number}")
            if task is not None:
                won.append(task)
        finally:
            connection.close()

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert won[0].fencing_token == 1


def test_executions_take_turns() -> None:
    make(*map(str, range(20)))
    other = make("small")
    kinds = {"test"}
    seen = {
        task.execution_id
        for _time in range(21)
        if (task := task_claims.claim_next(worker="w:1", slots=99, kinds=kinds))
    }
    assert other.pk in seen
    assert task_claims.claim_next(worker="w:1", slots=99, kinds=kinds) is None


# --- Ends -----------------------------------------------------------------------------------------


def test_the_last_task_ends_the_execution(engine: UseEngine) -> None:
    execution = make("a", "b")
    tasks.run_task(execution.tasks.all()[0].pk)
    execution.refresh_from_db()
    assert (execution.state, execution.succeeded_count) == (State.SUCCEEDED, 2)
    assert execution.started_at
    assert execution.finished_at


def test_a_poison_task_fails_and_the_others_go_on(engine: UseEngine) -> None:
    def poison(run: Run) -> None:
        if run.task.subject == "bad":
            raise ValueError("a secret")

    engine(poison)
    execution = make("bad", "good")
    tasks.run_task(execution.tasks.all()[0].pk)
    execution.refresh_from_db()
    assert (execution.state, execution.failed_count) == (State.FAILED, 1)
    bad = execution.tasks.get(subject="bad")
    assert "ValueError" in bad.message
    assert "secret" not in bad.message + log_of(bad)
    assert execution.tasks.get(subject="good").state == State.SUCCEEDED


def test_only_unavailability_is_tried_again(engine: UseEngine) -> None:
    answers: list[Exception] = [Unavailable("no answer"), BadRequest("no such thing")]

    def fail(run: Run) -> None:
        raise answers.pop(0)

    engine(fail)
    execution = make()
    task = execution.tasks.get()
    tasks.run_task(task.pk)
    task.refresh_from_db()
    assert (task.state, task.message) == (State.QUEUED, "no answer")
    assert claim(task.pk) is None
    with time_machine.travel(timezone.now() + LATER):
        tasks.run_task(task.pk)
    task.refresh_from_db()
    assert (task.state, task.message, task.attempts) == (State.FAILED, "no such thing", 2)
    assert "attempt 1 of 5: no answer; again in 5 s" in log_of(task)


def test_the_last_attempt_fails(engine: UseEngine) -> None:
    def fail(run: Run) -> None:
        raise Unavailable("no answer")

    engine(fail)
    task = make().tasks.get()
    Task.objects.update(attempts=4)
    tasks.run_task(task.pk)
    task.refresh_from_db()
    assert (task.state, task.attempts) == (State.FAILED, 5)


def test_two_runs_where_one_is_allowed(cast: Cast) -> None:
    first = dispatch.start("fsck", actor=actor_of(cast.admin))
    with pytest.raises(Conflict, match=f"execution {first.pk}"):
        dispatch.start("fsck", actor=actor_of(cast.admin))
    executions.stop(first.pk, actor=actor_of(cast.admin))
    assert dispatch.start("fsck", actor=actor_of(cast.admin)).pk > first.pk
    with pytest.raises(NotFound):
        dispatch.start("no-such-kind", actor=actor_of(cast.admin))


def test_an_execution_of_nothing_has_succeeded() -> None:
    execution = executions.create("test", actor=SYSTEM_ACTOR, orders=[])
    assert execution.state == State.SUCCEEDED


# --- Leases ---------------------------------------------------------------------------------------


def test_a_dead_workers_task_is_taken_over_and_its_zombie_refused() -> None:
    zombie = claimed(make())
    with time_machine.travel(timezone.now() + LATER):
        assert executions.sweep({"test"}) == [zombie.pk]
        fresh = claim(zombie.pk, worker="there:2")
    assert fresh is not None
    assert (fresh.takeovers, fresh.attempts, fresh.execution.takeover_count) == (1, 1, 1)
    assert fresh.fencing_token > zombie.fencing_token
    run = Run(zombie)
    run.progress(done=7)
    with pytest.raises(LeaseLostError):
        run.flush()
    with pytest.raises(LeaseLostError), transaction.atomic():
        run.hold()
    with pytest.raises(LeaseLostError):
        executions.finish(zombie, State.SUCCEEDED)
    with pytest.raises(LeaseLostError):
        executions.put_back(zombie)
    assert Task.objects.get(pk=zombie.pk).state == State.RUNNING
    executions.finish(fresh, State.SUCCEEDED)


def test_a_zombie_that_ends_leaves_no_trace(engine: UseEngine) -> None:
    def hang(run: Run) -> None:
        Task.objects.update(fencing_token=99)
        run.check()

    engine(hang)
    task = make().tasks.get()
    tasks.run_task(task.pk)
    task.refresh_from_db()
    assert (task.state, task.fencing_token, log_of(task)) == (State.RUNNING, 99, "")


def test_what_is_noted_is_written_with_the_end_or_not_at_all(engine: UseEngine) -> None:
    kept = make().tasks.get()
    engine(lambda run: run.note(lambda: _write(run)))
    tasks.run_task(kept.pk)
    assert log_of(kept) == "noted"

    def lose(run: Run) -> None:
        run.note(lambda: _write(run))
        Task.objects.filter(pk=run.task.pk).update(fencing_token=F("fencing_token") + 1)

    engine(lose)
    lost = make().tasks.get()
    tasks.run_task(lost.pk)
    assert log_of(lost) == ""


def _write(run: Run) -> None:
    TaskLog.objects.create(task=run.task, text="noted")


def test_other_threads_hear_of_what_a_plan_adds(engine: UseEngine, broker: Broker) -> None:
    def plan(run: Run) -> None:
        if run.parameters.get("is_planned"):
            return
        fan_out.add_tasks(run, [Order(f"{n}", {"is_planned": True}) for n in range(3)])

    engine(plan)
    execution = make()
    first = execution.tasks.get()
    tasks.run_task(first.pk)
    assert set(broker.ids) == set(execution.tasks.exclude(pk=first.pk).values_list("pk", flat=True))


def test_a_renewed_lease_is_not_swept() -> None:
    task = claimed(make())
    moment = timezone.now() + LATER
    leases.renew(Task.objects.all(), task.pk, task.fencing_token, until=moment + LATER)
    with time_machine.travel(moment):
        assert executions.sweep({"test"}) == []


def test_a_task_that_kills_its_workers_fails() -> None:
    execution = make()
    moment = timezone.now()
    for _time in range(executions.MAX_TAKEOVERS):
        with time_machine.travel(moment, tick=False):
            claimed(execution)
        moment += LATER
        with time_machine.travel(moment, tick=False):
            executions.sweep({"test"})
    execution.refresh_from_db()
    assert execution.state == State.FAILED
    assert "died or hung 3 times" in execution.tasks.get().message


def test_a_worker_that_ends_gives_its_task_back(
    engine: UseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = threading.Event()
    monkeypatch.setattr(runs, "shutting_down", ending)

    def work(run: Run) -> None:
        ending.set()
        run.check()

    engine(work)
    task = make().tasks.get()
    tasks.run_task(task.pk)
    task.refresh_from_db()
    assert (task.state, task.attempts, task.worker) == (State.QUEUED, 0, "")
    # It was claimed once: who ends looks for no other, not even for this one.
    assert TaskLog.objects.get(task=task).text.count("another goes on") == 1
