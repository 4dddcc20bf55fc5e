"""The purge of audit rows: only what is old and chosen goes, and a dry run only counts."""

import datetime
from typing import Any

import pytest
from django.utils import timezone

from accounts.errors import BadRequest
from accounts.models import AuditEntry
from accounts.principals import SYSTEM_ACTOR
from registry_sync import audit_purge, dispatch, tasks
from registry_sync.models import State, Task


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda ids: None)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "audit_retention_hour"),
        ({"audit_retention_hour": 0}, "audit_retention_hour"),
        ({"audit_retention_hour": True}, "audit_retention_hour"),
        ({"audit_retention_hour": "24"}, "audit_retention_hour"),
        ({"audit_retention_hour": 240_001}, "audit_retention_hour"),
        ({"audit_retention_hour": 1, "dry_run": "yes"}, "dry_run"),
        ({"audit_retention_hour": 1, "include_event_types": ["x"]}, "include_event_types"),
        ({"audit_retention_hour": 1, "include_event_types": "a;b"}, "include_event_types"),
    ],
)
def test_bad_parameters_are_named(wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        audit_purge.parameters_of(wanted)
    assert caught.value.field == field


def purge(**wanted: Any) -> Task:
    """Run a purge of what is older than a day."""
    parameters = audit_purge.parameters_of({"audit_retention_hour": 24, **wanted})
    execution = dispatch.start(audit_purge.KIND, actor=SYSTEM_ACTOR, parameters=parameters)
    tasks.run_task(execution.tasks.get().pk)
    return execution.tasks.get()


@pytest.fixture
def entries(db: None) -> None:
    """Three old entries and one of today."""
    for action in ("pull_artifact", "pull_artifact", "create_artifact", "pull_artifact"):
        AuditEntry.objects.create(actor_kind="user", actor_name="x", action=action, resource="r")
    old = AuditEntry.objects.order_by("pk").values_list("pk", flat=True)[:3]
    AuditEntry.objects.filter(pk__in=list(old)).update(
        at=timezone.now() - datetime.timedelta(days=2)
    )


@pytest.mark.usefixtures("entries")
def test_only_the_old_of_the_chosen_types_go() -> None:
    task = purge(include_event_types="pull_artifact, delete_artifact")
    assert (task.state, task.result) == (State.SUCCEEDED, {"found": 2, "removed": 2})
    assert AuditEntry.objects.filter(resource="r").count() == 2


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize(
    ("wanted", "number"),
    [({"include_event_types": "pull_artifact", "dry_run": True}, 2), ({}, 0)],
)
def test_a_dry_run_and_a_run_without_types_remove_nothing(
    wanted: dict[str, Any], number: int
) -> None:
    assert purge(**wanted).result == {"found": number, "removed": 0}
    assert AuditEntry.objects.filter(resource="r").count() == 4
