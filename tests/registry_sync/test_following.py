"""A command that waits for its job says so where nobody does it."""

import pytest

from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, tasks
from registry_sync.management import following
from registry_sync.models import Task
from registry_sync.reconciling import engine
from tests.registry_sync.jobs import Broker

pytestmark = pytest.mark.django_db


def ordered() -> Task:
    parameters = engine.parameters_of({})
    return executions.create(engine.KIND, actor=SYSTEM_ACTOR, parameters=parameters).tasks.get()


def test_without_a_worker_it_is_said_once(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PATIENCE_SECONDS", 0.0)
    task, said, looks = ordered(), list[str](), list[float]()

    def look(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            # Somebody starts Moorage.
            Task.objects.filter(pk=task.pk).update(state="failed", finished_at=task.created_at)

    monkeypatch.setattr("time.sleep", look)
    following.follow(task, said.append)
    assert len(looks) == 3
    assert len([line for line in said if "no worker" in line]) == 1


def test_each_change_is_said_once(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    task, said = ordered(), list[str]()
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    tasks.run_here(task.pk)
    following.follow(task, said.append, lambda found: f"{found.state}")
    assert said == [Task.objects.get(pk=task.pk).state]
