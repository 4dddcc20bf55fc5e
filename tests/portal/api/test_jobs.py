"""The API of jobs: purge of the audit, schedules, workers and queues."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from registry_sync import queues, tasks
from registry_sync.models import Execution, QueuePause, Schedule, Task
from tests.portal.api.conftest import Caller, error_of, told

pytestmark = pytest.mark.django_db
PURGE = "system/purgeaudit"
PARAMETERS = {"audit_retention_hour": 168, "include_event_types": "create_artifact"}
HOURLY = {"type": "Hourly", "cron": "0 0 * * * *"}


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda ids: None)


@pytest.fixture
def admin(caller: Callable[[str], Caller]) -> Caller:
    """The administrator at the API."""
    return caller("admin")


def purge_body(schedule: dict[str, str], **parameters: Any) -> dict[str, Any]:
    """Ask for a purge."""
    return {"schedule": schedule, "parameters": {**PARAMETERS, **parameters}}


def run_manually(admin: Caller) -> int:
    """Start a purge by hand; return its number."""
    response = admin.post(f"{PURGE}/schedule", purge_body({"type": "Manual"}, dry_run=True))
    assert response.status_code == 201, response.content
    return int(response.headers["Location"].rpartition("/")[2])


def test_a_purge_by_hand_has_history_and_log(admin: Caller) -> None:
    number = run_manually(admin)
    (listed,) = told(admin.get(PURGE))
    assert (listed["id"], listed["job_status"]) == (number, "Pending")
    assert listed["job_name"] == "PURGE_AUDIT_LOG"
    assert listed["schedule"]["type"] == "Manual"
    tasks.run_task(Task.objects.get().pk)
    assert told(admin.get(f"{PURGE}/{number}"))["job_status"] == "Success"
    log = admin.get(f"{PURGE}/{number}/log")
    assert log.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"dry run: nothing was removed" in log.content


def test_one_purge_at_a_time_and_its_end(admin: Caller) -> None:
    number = run_manually(admin)
    again = admin.post(f"{PURGE}/schedule", purge_body({"type": "Manual"}))
    assert again.status_code == 409
    assert f"execution {number}" in error_of(again)[1]
    for _time in range(2):
        assert admin.call("PUT", f"{PURGE}/{number}").status_code == 200
    assert told(admin.get(f"{PURGE}/{number}"))["job_status"] == "Stopped"
    assert AuditEntry.objects.filter(action="stop_job").count() == 1


def test_a_schedule_is_made_changed_and_taken_away(admin: Caller) -> None:
    path = f"{PURGE}/schedule"
    assert told(admin.get(path)) == {"schedule": {"type": "None"}}
    assert admin.post(path, purge_body(HOURLY)).status_code == 201
    assert admin.post(path, purge_body(HOURLY)).status_code == 409
    shown = told(admin.get(path))
    assert shown["schedule"]["type"] == "Hourly"
    assert '"audit_retention_hour": 168' in shown["job_parameters"]
    custom = {"type": "Custom", "cron": "0 30 3 * * 1"}
    assert admin.call("PUT", path, purge_body(custom)).status_code == 200
    assert told(admin.get(path))["schedule"]["cron"] == "0 30 3 * * 1"
    (listed,) = told(admin.get("schedules"))
    assert (listed["vendor_type"], listed["cron"]) == ("PURGE_AUDIT_LOG", "0 30 3 * * 1")
    assert admin.call("PUT", path, {"schedule": {"type": "None"}}).status_code == 200
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"schedule": {"type": "Sometimes"}},
        purge_body({"type": "Custom", "cron": "0 * * * *"}),
        purge_body({"type": "Custom", "cron": "0 99 * * * *"}),
        purge_body({"type": "Custom"}),
        purge_body(HOURLY, audit_retention_hour=0),
        purge_body(HOURLY, audit_retention_hour="a week"),
        purge_body(HOURLY, include_event_types=["x"]),
        {"schedule": HOURLY, "parameters": []},
    ],
)
def test_a_bad_schedule_is_explained(admin: Caller, body: dict[str, Any]) -> None:
    for method in ("POST", "PUT"):
        response = admin.call(method, f"{PURGE}/schedule", body)
        assert response.status_code == 400, response.content
        assert error_of(response)[1]
    assert not Schedule.objects.exists()


def test_workers_and_what_they_do(admin: Caller) -> None:
    queues.show_worker("host:17", pool="thread", concurrency=4)
    run_manually(admin)
    Task.objects.update(state="running", worker="host:17", started_at=timezone.now())
    (pool,) = told(admin.get("jobservice/pools"))
    assert (pool["pid"], pool["host"], pool["concurrency"]) == (17, "host", 4)
    for name in ("all", "host:17"):
        (worker,) = told(admin.get(f"jobservice/pools/{name}/workers"))
        assert worker["job_name"] == "PURGE_AUDIT_LOG"
    assert admin.get("jobservice/pools/other/workers").status_code == 404
    assert admin.get(f"jobservice/jobs/{worker['job_id']}/log").status_code == 200
    assert admin.call("PUT", f"jobservice/jobs/{worker['job_id']}").status_code == 200
    assert Task.objects.get().state == "stopping"


@pytest.mark.parametrize("name", ["1000000", "x", "٣", "9" * 30])
def test_a_job_that_is_not_there(admin: Caller, name: str) -> None:
    assert admin.call("PUT", f"jobservice/jobs/{name}").status_code == 404
    assert admin.get(f"jobservice/jobs/{name}/log").status_code == 404


def test_queues_are_paused_resumed_and_cleared(admin: Caller) -> None:
    run_manually(admin)

    def queue() -> dict[str, Any]:
        rows = {row["job_type"]: row for row in told(admin.get("jobservice/queues"))}
        assert {"PURGE_AUDIT_LOG", "FSCK", "HOUSEKEEPING", "SCHEDULER"} <= rows.keys()
        found: dict[str, Any] = rows["PURGE_AUDIT_LOG"]
        return found

    def act(name: str, action: str) -> int:
        body = {"action": action}
        return int(admin.call("PUT", f"jobservice/queues/{name}", body).status_code)

    assert (queue()["count"], queue()["paused"]) == (1, False)
    assert act("PURGE_AUDIT_LOG", "pause") == 200
    assert queue()["paused"]
    assert act("all", "resume") == 200
    assert act("all", "stop") == 200
    assert queue()["count"] == 0
    assert Execution.objects.get().state == "stopped"
    assert act("PURGE_AUDIT_LOG", "explode") == 422
    assert act("NO_SUCH", "pause") == 404
    assert not QueuePause.objects.exists()


def test_the_scheduler_is_paused(admin: Caller) -> None:
    assert told(admin.get("schedules/all/paused")) == {"paused": False}
    admin.call("PUT", "jobservice/queues/SCHEDULER", {"action": "pause"})
    assert told(admin.get("schedules/all/paused")) == {"paused": True}
    assert admin.get("schedules/FSCK/paused").status_code == 400
