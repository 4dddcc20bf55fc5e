"""Garbage collection in the API: history, run by hand, schedule, log, freed space."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from registry_sync import garbage, tasks
from registry_sync.models import Execution, Schedule, State, TaskLog
from tests.portal.api.conftest import Caller, error_of, told

pytestmark = pytest.mark.django_db
PATH = "system/gc"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda ids: None)


@pytest.fixture
def admin(caller: Callable[[str], Caller]) -> Caller:
    """The administrator at the API."""
    return caller("admin")


def ordered(admin: Caller, method: str = "POST", **body: Any) -> Any:
    """Send a schedule."""
    return admin.call(method, f"{PATH}/schedule", body)


def test_a_run_by_hand_has_history_and_log(admin: Caller) -> None:
    answer = ordered(
        admin,
        schedule={"type": "Manual"},
        parameters={"delete_untagged": True, "workers": 3, "dry_run": True},
    )
    assert answer.status_code == 201
    execution = Execution.objects.get(kind=garbage.KIND)
    assert answer["Location"] == f"/api/v2.0/{PATH}/{execution.pk}"
    assert execution.parameters["workers"] == 3
    task = execution.tasks.get()
    task.result = {"freed_bytes": 1234, "digests": 5}
    task.save()
    TaskLog.objects.create(task=task, text="removed something\n")
    listed = admin.get(PATH)
    assert listed["X-Total-Count"] == "1"
    (shown,) = told(listed)
    assert shown["job_name"] == "GARBAGE_COLLECTION"
    assert shown["job_status"] == "Pending"
    parameters = json.loads(shown["job_parameters"])
    assert parameters["freed_space"] == 1234
    assert parameters["purged_blobs"] == 5
    assert parameters["dry_run"] is True
    assert told(admin.get(f"{PATH}/{execution.pk}")) == shown
    assert admin.get(f"{PATH}/{execution.pk}/log").content == b"removed something\n"


def test_a_second_run_is_refused_while_one_runs(admin: Caller) -> None:
    ordered(admin, schedule={"type": "Manual"})
    answer = ordered(admin, schedule={"type": "Manual"})
    assert answer.status_code == 409
    assert "running already" in error_of(answer)[1]


def test_a_run_can_be_stopped(admin: Caller) -> None:
    ordered(admin, schedule={"type": "Manual"})
    execution = Execution.objects.get(kind=garbage.KIND)
    assert admin.call("PUT", f"{PATH}/{execution.pk}").status_code == 200
    execution.refresh_from_db()
    assert execution.state == State.STOPPED


def test_a_schedule_is_made_changed_and_removed(admin: Caller) -> None:
    weekly = {"type": "Weekly", "cron": "0 0 0 * * 0"}
    assert told(admin.get(f"{PATH}/schedule"))["schedule"] == {"type": "None"}
    made = ordered(admin, schedule=weekly, parameters={"workers": 2})
    assert made.status_code == 201
    assert ordered(admin, schedule=weekly).status_code == 409
    shown = told(admin.get(f"{PATH}/schedule"))
    assert shown["schedule"]["type"] == "Weekly"
    assert json.loads(shown["job_parameters"])["workers"] == 2
    custom = {"type": "Custom", "cron": "0 30 2 * * *"}
    assert ordered(admin, "PUT", schedule=custom).status_code == 200
    assert Schedule.objects.get(kind=garbage.KIND).cron == "0 30 2 * * *"
    assert ordered(admin, "PUT", schedule={"type": "None"}).status_code == 200
    assert not Schedule.objects.filter(kind=garbage.KIND).exists()


@pytest.mark.parametrize(
    ("parameters", "word"),
    [({"workers": 11}, "workers"), ({"dry_run": "no"}, "dry_run"), ({"rate": -1}, "rate")],
)
def test_bad_parameters_are_named(admin: Caller, parameters: dict[str, Any], word: str) -> None:
    answer = ordered(admin, schedule={"type": "Manual"}, parameters=parameters)
    assert answer.status_code == 400
    assert word in error_of(answer)[1]
    assert not Execution.objects.filter(kind=garbage.KIND).exists()


def test_another_kinds_run_is_none_of_these(admin: Caller) -> None:
    ordered(admin, schedule={"type": "Manual"})
    Execution.objects.update(kind="fsck")
    assert admin.get(f"{PATH}/{Execution.objects.get().pk}").status_code == 404
