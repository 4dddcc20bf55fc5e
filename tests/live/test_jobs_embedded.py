"""Jobs on one machine (SQLite, a broker of files): workers that die, messages that double."""

from collections.abc import Iterator

import pytest

from tests.live.client import pusher
from tests.live.jobs import LEASE, Desk, Worker, assert_soon, begin, without_worker
from tests.live.stack import Stack, wait_for

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with an image in it, whose worker the tests bring."""
    running = Stack(tmp_path_factory.mktemp("jobs"), MOORAGE_JOB_LEASE=str(LEASE)).start()
    try:
        pusher(running, "library/app").push_image("library/app", "1.0")
        without_worker(running)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def desk(own: Stack) -> Iterator[Desk]:
    """A shell in it."""
    opened = Desk(own)
    yield opened
    opened.close()


@pytest.fixture
def bench(own: Stack) -> Iterator[list[Worker]]:
    """Workers that end with the test."""
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        worker.end()


def test_a_worker_killed_in_the_middle(own: Stack, desk: Desk, bench: list[Worker]) -> None:
    slow = begin(bench, Worker(own, failpoints={"fsck.step": "sleep:0.5"}))
    task_id = desk.start()
    desk.wait(task_id, "running")
    wait_for(lambda: desk.task(task_id)["done"], "progress")
    slow.kill()
    assert desk.task(task_id)["state"] == "running"
    begin(bench, Worker(own))
    ended = desk.wait(task_id, "succeeded")
    assert (ended["takeovers"], ended["attempts"]) == (1, 1)
    assert ended["log"].count("all is as it should be") == 1


def test_ten_messages_and_two_schedulers_do_it_once(
    own: Stack, desk: Desk, bench: list[Worker]
) -> None:
    failpoints = {"fsck.step": "sleep:0.1"}
    for _number in range(2):
        begin(bench, Worker(own, failpoints=failpoints))
    task_id = desk.start(is_woken=False)
    desk.ask(f"for _ in range(10): tasks.run_task.delay({task_id})")
    ended = desk.wait(task_id, "succeeded")
    # One claim and one end.
    assert (ended["attempts"], ended["fencing_token"]) == (1, 2)
    # An hour without a scheduler, and two of them when it is over: one run.
    desk.ask(
        "schedules.put('audit-purge', cron='0 * * * * *', actor=SYSTEM_ACTOR, "
        "parameters={'audit_retention_hour': 1})\n"
        "Schedule.objects.filter(kind='audit-purge').update("
        "next_at=timezone.now() - datetime.timedelta(hours=1))"
    )
    count = "answer = Execution.objects.filter(kind='audit-purge').count()"
    wait_for(lambda: desk.ask(count), "the run that was missed")
    desk.ask("Schedule.objects.filter(kind='audit-purge').update(is_enabled=False)")
    assert desk.ask(count) <= 2, "one for the hour, one where a minute began meanwhile"


def test_a_job_is_stopped_and_a_worker_that_ends_gives_its_own_back(
    own: Stack, desk: Desk, bench: list[Worker]
) -> None:
    # Slower than a worker takes to end: about two seconds, a turn of its loop.
    slow = begin(bench, Worker(own, failpoints={"fsck.step": "sleep:2"}))
    task_id = desk.start()
    desk.wait(task_id, "running")
    desk.ask(f"executions.stop_task({task_id}, actor=SYSTEM_ACTOR)")
    assert "stopped" in desk.wait(task_id, "stopped")["log"]
    task_id = desk.start()
    desk.wait(task_id, "running")
    slow.process.terminate()
    ended = desk.wait(task_id, "queued")
    assert ended["takeovers"] == 0
    assert "another goes on" in ended["log"]
    begin(bench, Worker(own))
    desk.wait(task_id, "succeeded")


def test_a_job_starts_soon(own: Stack, desk: Desk, bench: list[Worker]) -> None:
    begin(bench, Worker(own))
    assert_soon(desk, 1.5)
