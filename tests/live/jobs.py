"""Workers that a test starts, stops and kills, and what the tables say meanwhile."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from portal.stack.programs import worker as worker_command
from tests.live.stack import PATIENCE, ROOT, Stack, environment, wait_for

LEASE = 3
PYTHON = sys.executable


class Desk:
    """Asks the tables of a stack, as an operator does with `manage.py shell`."""

    def __init__(self, stack: Stack) -> None:
        """Start a shell that stays: a new one for each question would cost seconds."""
        self._process = subprocess.Popen(
            [PYTHON, "-u", str(ROOT / "manage.py"), "shell", "-v", "0", "-c", _SERVE],
            env=environment(stack.home, stack.port, **stack.settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, code: str) -> Any:
        """Run statements that set ``answer``; return it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        assert "error" not in reply, reply["error"]
        return reply["answer"]

    def close(self) -> None:
        """End the shell."""
        self._process.communicate(timeout=PATIENCE)

    # --- What tests ask ---------------------------------------------------------------------------

    def start(self, kind: str = "fsck", *, is_woken: bool = True) -> int:
        """Start a job; without a wake, as where the broker lost it."""
        make = "dispatch.start" if is_woken else "executions.create"
        return int(self.ask(f"answer = {make}({kind!r}, actor=SYSTEM_ACTOR).tasks.get().pk"))

    def task(self, task_id: int) -> dict[str, Any]:
        """Return a task's columns, and its log."""
        found: dict[str, Any] = self.ask(
            f"row = Task.objects.filter(pk={task_id}).values('state', 'attempts', 'takeovers', "
            f"'worker', 'fencing_token', 'done', 'message').get()\n"
            f"row['log'] = ''.join(TaskLog.objects.filter(task_id={task_id}).values_list('text', "
            f"flat=True))\nanswer = row"
        )
        return found

    def wait(self, task_id: int, state: str) -> dict[str, Any]:
        """Return a task once it is in a state."""
        try:
            wait_for(lambda: self.task(task_id)["state"] == state, state)
        except AssertionError as error:
            raise AssertionError(f"not {state}: {self.task(task_id)}") from error
        return self.task(task_id)


_SERVE = """
import datetime, json, sys, traceback
from django.db import connection
from django.utils import timezone
from accounts.principals import SYSTEM_ACTOR
from registry_sync import dispatch, executions, queues, schedules, tasks
from registry_sync.executions import Order
from registry_sync.models import *
names = dict(globals())
for line in sys.stdin:
    try:
        names["answer"] = None
        exec(json.loads(line), names)
        print(json.dumps({"answer": names["answer"]}))
    except Exception:
        print(json.dumps({"error": traceback.format_exc()}))
"""

# Seconds from the order to the start, one after the other, sorted.
_MEASURE = """
import time
ids = []
for _ in range(15):
    task_id = dispatch.start("fsck", actor=SYSTEM_ACTOR).tasks.get().pk
    while Task.objects.get(pk=task_id).state in ("queued", "running"):
        time.sleep(0.02)
    ids.append(task_id)
rows = Task.objects.filter(pk__in=ids)
answer = sorted((row.started_at - row.created_at).total_seconds() for row in rows)
print(answer, file=sys.stderr)
"""


def assert_soon(desk: Desk, limit: float) -> None:
    """Check how many seconds jobs wait: in one of three rounds, for others use the machine too."""
    rounds = []
    for _ in range(3):
        rounds.append(desk.ask(_MEASURE))
        if rounds[-1][int(len(rounds[-1]) * 0.95)] <= limit:
            return
    raise AssertionError(f"jobs waited longer than {limit} s: {rounds}")


class Worker:
    """A Celery worker of a stack, beside or in place of the supervised one."""

    def __init__(
        self,
        stack: Stack,
        *,
        failpoints: dict[str, str] | None = None,
        is_beat: bool = True,
        pool: str = "threads",
    ) -> None:
        """Start it; it is at work some seconds later."""
        number = len(list((stack.home / "logs").glob("test-worker-*.log")))
        self.log = stack.home / "logs" / f"test-worker-{number}.log"
        command = worker_command(threads=4)
        command[command.index("-P") + 1] = pool
        said = self.log.open("w")
        ports = json.loads((stack.home / "ports.json").read_text())
        self.process = subprocess.Popen(
            [*command, "-n", f"test{number}@%h"],
            env=environment(stack.home, stack.port, **stack.settings)
            | {
                "DJANGO_SETTINGS_MODULE": "tests.live.job_settings",
                "PYTHONPATH": str(ROOT),
                "MOORAGE_REGISTRY_URL": f"http://127.0.0.1:{ports['registry']}",
                "MOORAGE_BEAT": "1" if is_beat else "0",
                "MOORAGE_TEST_FAILPOINTS": json.dumps(failpoints or {}),
            },
            cwd=_folder(stack, number),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        said.close()

    def is_ready(self) -> bool:
        """Tell whether it listens."""
        return " ready." in self.log.read_text()

    def signal(self, signum: int) -> None:
        """Send a signal to it and to its children."""
        os.killpg(self.process.pid, signum)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def children(self) -> list[int]:
        """Return the processes of its pool."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def end(self) -> None:
        """Stop it, if it lives."""
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()


def _folder(stack: Stack, number: int) -> Path:
    folder = stack.home / "run" / f"test-worker-{number}"
    folder.mkdir()
    return folder


def without_worker(stack: Stack) -> None:
    """Stop the supervised worker: the test has its own."""
    subprocess.run(
        [
            *(PYTHON, "-m", "supervisor.supervisorctl"),
            *("-c", str(stack.home / "run" / "supervisord.conf"), "stop", "moorage:worker"),
        ],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )


def begin(bench: list[Worker], worker: Worker) -> Worker:
    """Wait until a worker listens."""
    bench.append(worker)
    wait_for(worker.is_ready, "a worker")
    return worker
