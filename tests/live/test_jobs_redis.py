"""Jobs on Redis and PostgreSQL: lost messages, Redis away, frozen workers, a dead child."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import redis

from tests.live.client import pusher
from tests.live.jobs import LEASE, Desk, Worker, assert_soon, begin, without_worker
from tests.live.stack import Stack, wait_for
from tests.ports import free_port
from tests.postgres import cluster

pytestmark = pytest.mark.live


class Redis:
    """A Redis of the tests' own, which forgets everything when it stops."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self.folder = folder
        self.port = free_port()
        self.client = redis.Redis(port=self.port)
        self.start()

    def start(self) -> None:
        """Start it empty."""
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        wait_for(self._answers, "Redis")

    def stop(self) -> None:
        """Stop it, with all it held."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A running Redis."""
    running = Redis(tmp_path_factory.mktemp("redis"))
    yield running
    running.client.close()
    running.stop()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, broker: Redis) -> Iterator[Stack]:
    """A stack on Redis and PostgreSQL with an image in it, whose worker the tests bring."""
    with cluster() as url:
        running = Stack(
            tmp_path_factory.mktemp("jobs"),
            MOORAGE_JOB_LEASE=str(LEASE),
            MOORAGE_BROKER_URL=f"redis://127.0.0.1:{broker.port}/0",
            MOORAGE_DATABASE_URL="postgres://moorage@/postgres",
            PGHOST=unquote(url.partition("@")[2].partition("/")[0]),
        ).start()
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


def test_messages_lost_and_redis_away(
    own: Stack, desk: Desk, bench: list[Worker], broker: Redis
) -> None:
    # Ordered while no worker listens; then the broker forgets.
    lost = desk.start()
    broker.client.flushall()
    worker = begin(bench, Worker(own))
    desk.wait(lost, "succeeded")
    # Ordered while Redis is away: the order is taken at once, and done when it is back.
    broker.stop()
    started = time.monotonic()
    late = desk.start("housekeeping")
    assert time.monotonic() - started < 5
    time.sleep(3)
    assert desk.task(late)["state"] == "queued"
    broker.start()

    def has_ended() -> bool:
        return worker.process.poll() is not None

    wait_for(lambda: has_ended() or desk.task(late)["state"] == "succeeded", "the job's end")
    if has_ended():
        # Celery 5 may, where Redis goes in the middle of a job; supervisor starts another.
        begin(bench, Worker(own))
    desk.wait(late, "succeeded")


def test_a_frozen_worker_comes_back_too_late(own: Stack, desk: Desk, bench: list[Worker]) -> None:
    frozen = begin(bench, Worker(own, failpoints={"fsck.step": "sleep:0.5"}, is_beat=False))
    task_id = desk.start()
    desk.wait(task_id, "running")
    frozen.signal(signal.SIGSTOP)
    begin(bench, Worker(own))
    ended = desk.wait(task_id, "succeeded")
    assert ended["takeovers"] == 1
    frozen.signal(signal.SIGCONT)
    wait_for(lambda: "not ours any more" in frozen.log.read_text(), "the late worker's end")
    assert desk.task(task_id) == ended


def test_a_killed_child_of_a_prefork_pool(own: Stack, desk: Desk, bench: list[Worker]) -> None:
    worker = begin(bench, Worker(own, failpoints={"fsck.step": "sleep:0.3"}, pool="prefork"))
    task_id = desk.start()
    desk.wait(task_id, "running")
    children = worker.children()
    assert children
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    ended = desk.wait(task_id, "succeeded")
    assert ended["takeovers"] == 1


def test_ten_messages_have_one_effect(own: Stack, desk: Desk, bench: list[Worker]) -> None:
    for _number in range(2):
        begin(bench, Worker(own, failpoints={"fsck.step": "sleep:0.1"}))
    task_id = desk.start(is_woken=False)
    desk.ask(f"for _ in range(10): tasks.run_task.delay({task_id})")
    ended = desk.wait(task_id, "succeeded")
    assert (ended["attempts"], ended["fencing_token"]) == (1, 2)


def test_a_job_starts_soon(own: Stack, desk: Desk, bench: list[Worker]) -> None:
    begin(bench, Worker(own))
    assert_soon(desk, 0.5)
