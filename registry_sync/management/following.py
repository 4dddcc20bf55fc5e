"""Waits for a job that a command ordered, and says so where nobody does it."""

import time
from collections.abc import Callable

from registry_sync.models import State, Task

_LOOK_SECONDS = 0.5
# A worker takes a task within seconds; one that is busy, or none, does not.
_PATIENCE_SECONDS = 10.0


def follow(
    task: Task, say: Callable[[str], object], line: Callable[[Task], str] = lambda _task: ""
) -> None:
    """Return once the task has ended; ``line`` is said whenever it changed since the beginning."""
    shown, began, has_complained = "", time.monotonic(), False
    while True:
        task.refresh_from_db()
        now = line(task) if task.started_at is not None else ""
        if now != shown:
            say(now)
            shown = now
        if task.finished_at is not None:
            return
        waited = time.monotonic() - began
        if task.state == State.QUEUED and waited > _PATIENCE_SECONDS and not has_complained:
            has_complained = True
            say(
                "no worker has taken it yet: is Moorage running? Ctrl-C leaves it to the next one; "
                "--here does it in this process"
            )
        time.sleep(_LOOK_SECONDS)
