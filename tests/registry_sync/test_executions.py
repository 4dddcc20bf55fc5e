"""Executions and tasks: each claimed once, fenced, retried, stopped, swept; on both databases."""

import datetime
import threading
from collections.abc import Callable, Iterator

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from accounts.errors import BadRequest, Conflict, NotFound, Unavailable
from accounts.models import AuditEntry, User
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from registry_sync import dispatch, executions, leases, queues, runs, tasks
from registry_sync.executions import Kind, Order
from registry_sync.leases import LeaseLostError
from registry_sync.models import Execution, State, Task, TaskLog
from registry_sync.runs import Run
from tests.conftest import Cast

pytestmark = pytest.mark.django_db

Engine = Callable[[Run], None]
LATER = datetime.timedelta(seconds=61)


class Broker:
    """Stands in for the broker: takes messages, or is away."""

    def __init__(self) -> None:
        """It is there, and holds nothing."""
        self.ids: list[int] = []
        self.is_away = False

    def send(self, arguments: tuple[int], *, retry: bool) -> None:
        """Take a message."""
        if self.is_away:
            raise ConnectionError("nobody listens")
        self.ids.extend(arguments)


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A broker."""
    broker = Broker()
    monkeypatch.setattr(tasks.run_task, "apply_async", broker.send)
    return broker


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Engine], None]:
    """Return a function that makes ``test`` a kind of job with this engine."""

    def use(function: Engine, **terms: bool) -> None:
        monkeypatch.setitem(tasks.KINDS, "test", Kind(function, **{"is_exclusive": False, **terms}))

    use(lambda run: None)
    return use


def actor_of(user: User) -> Actor:
    """Return this person at work."""
    return Actor(Principal("user", user.username, user.pk))


def make(*subjects: str) -> Execution:
    """Make an execution of the kind ``test``."""
    orders = [Order(subject) for subject in subjects or ("one",)]
    return executions.create("test", actor=SYSTEM_ACTOR, orders=orders, is_exclusive=False)


def claim(task_id: int, *, worker: str = "here:1", slots: int = 9) -> Task | None:
    """Claim as a worker that knows the kind."""
    return executions.claim(task_id, worker=worker, slots=slots, kinds={"test"})


def claimed(execution: Execution) -> Task:
    """Claim an execution's only task."""
    task = claim(execution.tasks.get().pk)
    assert task is not None
    return task


def log_of(task: Task) -> str:
    """Return what a task wrote."""
    return "".join(TaskLog.objects.filter(task=task).values_list("text", flat=True))


# --- Claims ---------------------------------------------------------------------------------------


def test_ten_deliveries_have_one_effect(engine: Callable[[Engine], None]) -> None:
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


def test_a_task_that_is_gone_is_no_news(engine: Callable[[Engine], None]) -> None:
    tasks.run_task(10**9)


def test_a_kind_that_a_worker_does_not_know_waits_for_one_that_does() -> None:
    task = make().tasks.get()
    assert executions.claim(task.pk, worker="old:1", slots=9, kinds={"fsck"}) is None
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
        if (task := executions.claim_next(worker="w:1", slots=99, kinds=kinds))
    }
    assert other.pk in seen
    assert executions.claim_next(worker="w:1", slots=99, kinds=kinds) is None


# --- Ends -----------------------------------------------------------------------------------------


def test_the_last_task_ends_the_execution(engine: Callable[[Engine], None]) -> None:
    execution = make("a", "b")
    tasks.run_task(execution.tasks.all()[0].pk)
    execution.refresh_from_db()
    assert (execution.state, execution.succeeded_count) == (State.SUCCEEDED, 2)
    assert execution.started_at
    assert execution.finished_at


def test_a_poison_task_fails_and_the_others_go_on(engine: Callable[[Engine], None]) -> None:
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


def test_only_unavailability_is_tried_again(engine: Callable[[Engine], None]) -> None:
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


def test_the_last_attempt_fails(engine: Callable[[Engine], None]) -> None:
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


def test_a_zombie_that_ends_leaves_no_trace(engine: Callable[[Engine], None]) -> None:
    def hang(run: Run) -> None:
        Task.objects.update(fencing_token=99)
        run.check()

    engine(hang)
    task = make().tasks.get()
    tasks.run_task(task.pk)
    task.refresh_from_db()
    assert (task.state, task.fencing_token, log_of(task)) == (State.RUNNING, 99, "")


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
    engine: Callable[[Engine], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = threading.Event()
    monkeypatch.setattr(runs, "shutting_down", ending)

    def work(run: Run) -> None:
        ending.set()
        run.check()

    engine(work)
    task = make().tasks.get()
    monkeypatch.setattr(executions, "claim_next", lambda **_: None)
    tasks.run_task(task.pk)
    task.refresh_from_db()
    assert (task.state, task.attempts, task.worker) == (State.QUEUED, 0, "")


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


def test_stopping_what_has_ended_changes_nothing(engine: Callable[[Engine], None]) -> None:
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


def test_history_is_pruned_and_the_active_kept(engine: Callable[[Engine], None]) -> None:
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


def test_progress_result_and_log_are_kept(engine: Callable[[Engine], None]) -> None:
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


def test_a_log_is_bounded(
    engine: Callable[[Engine], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "LOG_LIMIT", 500)

    def work(run: Run) -> None:
        for _number in range(100):
            run.log("x" * 50)

    engine(work)
    task = make().tasks.get()
    tasks.run_task(task.pk)
    assert len(log_of(task)) < 650
    assert log_of(task).endswith("what follows is not kept.\n")


@pytest.fixture(autouse=True)
def _no_worker_ends() -> Iterator[None]:
    """Whatever a test did, no later engine thinks that its worker ends."""
    yield
    runs.shutting_down.clear()
