"""A kind of job that tests make up, and a stand-in for the broker."""

import datetime
from collections.abc import Callable

from accounts.models import User
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from registry_sync import executions, task_claims
from registry_sync.executions import Order
from registry_sync.models import Execution, Task, TaskLog
from registry_sync.runs import Run

Engine = Callable[[Run], None]
# Makes ``test`` a kind of job with this engine.
UseEngine = Callable[[Engine], None]
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


def actor_of(user: User) -> Actor:
    """Return this person at work."""
    return Actor(Principal("user", user.username, user.pk))


def make(*subjects: str) -> Execution:
    """Make an execution of the kind ``test``."""
    orders = [Order(subject) for subject in subjects or ("one",)]
    return executions.create("test", actor=SYSTEM_ACTOR, orders=orders, is_exclusive=False)


def claim(task_id: int, *, worker: str = "here:1", slots: int = 9) -> Task | None:
    """Claim as a worker that knows the kind."""
    return task_claims.claim(task_id, worker=worker, slots=slots, kinds={"test"})


def claimed(execution: Execution) -> Task:
    """Claim an execution's only task."""
    task = claim(execution.tasks.get().pk)
    assert task is not None
    return task


def log_of(task: Task) -> str:
    """Return what a task wrote."""
    return "".join(TaskLog.objects.filter(task=task).values_list("text", flat=True))
