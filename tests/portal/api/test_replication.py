"""Other registries and policies in the API: made, changed, refused, deleted."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import AuditEntry
from registry_sync.executions import Order
from registry_sync.fan_out import add_tasks
from registry_sync.models import (
    Execution,
    RemoteRegistry,
    ReplicationPolicy,
    Schedule,
    State,
    Task,
    TaskLog,
)
from registry_sync.runs import Run
from tests.portal.api.conftest import Answer, Caller, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
SECRET = "a-password-of-ours"
REGISTRY: dict[str, Any] = {
    "name": "frankfurt",
    "url": "https://registry.fra.example.com/",
    "credential": {"type": "basic", "access_key": "mover", "access_secret": SECRET},
}


@pytest.fixture
def admin_calls(caller: Callers) -> Caller:
    """The administrator."""
    return caller("admin")


@pytest.fixture
def registry(admin_calls: Caller) -> int:
    """Add a registry."""
    return number(admin_calls.post("registries", REGISTRY))


def number(made: Answer) -> int:
    assert made.status_code == 201, made.content
    return int(made["Location"].rpartition("/")[2])


def policy_of(registry: int, **fields: object) -> dict[str, object]:
    return {"name": "releases", "dest_registry": {"id": registry}, **fields}


class TestRegistries:
    def test_one_is_made_and_its_password_told_to_nobody(
        self, admin_calls: Caller, registry: int
    ) -> None:
        shown = told(admin_calls.get(f"registries/{registry}"))
        assert shown["url"] == "https://registry.fra.example.com"
        assert shown["credential"] == {
            "type": "basic",
            "access_key": "mover",
            "access_secret": "*****",
        }
        assert (shown["type"], shown["status"], shown["insecure"]) == ("docker-registry", "", False)
        stored = RemoteRegistry.objects.get()
        assert SECRET not in stored.sealed_password
        assert stored.sealed_password
        texts = "".join(map(str, AuditEntry.objects.values_list("detail", "resource")))
        assert SECRET not in texts
        assert "frankfurt" in texts

    @pytest.mark.parametrize(
        ("changes", "status", "field"),
        [
            ({"name": "frankfurt"}, 409, "name"),
            ({"url": "ftp://x"}, 400, "address"),
            ({"url": "https://u:p@host"}, 400, "address"),
            ({"type": "floppy"}, 400, "type"),
            ({"ca_certificate": "no pem"}, 400, "PEM"),
            ({"name": " "}, 400, "name"),
        ],
    )
    def test_what_cannot_be(
        self,
        admin_calls: Caller,
        registry: int,
        changes: dict[str, object],
        status: int,
        field: str,
    ) -> None:
        answer = admin_calls.post("registries", REGISTRY | {"name": "other"} | changes)
        assert answer.status_code == status
        assert field in error_of(answer)[1]
        assert RemoteRegistry.objects.count() == 1

    def test_a_change_keeps_the_password_for_the_same_host(
        self, admin_calls: Caller, registry: int
    ) -> None:
        before = RemoteRegistry.objects.get().sealed_password
        path = f"registries/{registry}"
        kept = {"description": "in Frankfurt", "access_secret": "*****"}
        assert admin_calls.call("PUT", path, kept).status_code == 200
        other = {"url": "https://evil.example.com"}
        assert admin_calls.call("PUT", path, other).status_code == 400
        assert admin_calls.call("PUT", path, {"insecure": True}).status_code == 400
        assert admin_calls.call("PUT", path, other | {"access_secret": SECRET}).status_code == 200
        stored = RemoteRegistry.objects.get()
        assert stored.description == "in Frankfurt"
        assert stored.url == "https://evil.example.com"
        assert stored.sealed_password != before

    def test_a_ping_sends_a_stored_password_to_no_other_host(
        self, admin_calls: Caller, registry: int
    ) -> None:
        other = {"id": registry, "url": "https://evil.example.com"}
        answer = admin_calls.post("registries/ping", other)
        assert answer.status_code == 400
        assert "password again" in error_of(answer)[1]

    @pytest.mark.parametrize("port", [9, 22])
    def test_a_ping_tells_nobody_what_listens_here(self, admin_calls: Caller, port: int) -> None:
        answer = admin_calls.post("registries/ping", {"url": f"http://127.0.0.1:{port}"})
        assert answer.status_code == 400
        assert error_of(answer)[1] == "Moorage may not ask this address; its operator can allow it."

    def test_lists(self, admin_calls: Caller, registry: int) -> None:
        admin_calls.post("registries", REGISTRY | {"name": "tokyo"})
        names = [row["name"] for row in told(admin_calls.get("registries?sort=-name"))]
        assert names == ["tokyo", "frankfurt"]
        for asked in ("name=tok", "q=name=~tok", "q=name=tokyo"):
            assert [r["name"] for r in told(admin_calls.get(f"registries?{asked}"))] == ["tokyo"]

    def test_kinds(self, admin_calls: Caller, registry: int) -> None:
        kinds = told(admin_calls.get("replication/adapters"))
        assert {"harbor", "docker-registry", "docker-hub"} <= set(kinds)
        infos = told(admin_calls.get("replication/adapterinfos"))
        assert set(infos) == set(kinds)
        assert infos["docker-hub"]["endpoint_pattern"]["endpoints"][0]["value"].startswith("https:")
        for which in (registry, 0):
            shown = told(admin_calls.get(f"registries/{which}/info"))
            assert {f["type"] for f in shown["supported_resource_filters"]} == {
                "name",
                "tag",
                "label",
                "resource",
            }

    def test_one_that_is_used_stays(self, admin_calls: Caller, registry: int) -> None:
        policy = number(admin_calls.post("replication/policies", policy_of(registry)))
        refused = admin_calls.call("DELETE", f"registries/{registry}")
        assert refused.status_code == 412
        assert "releases" in error_of(refused)[1]
        assert admin_calls.call("DELETE", f"replication/policies/{policy}").status_code == 200
        assert admin_calls.call("DELETE", f"registries/{registry}").status_code == 200
        assert admin_calls.get(f"registries/{registry}").status_code == 404

    def test_a_lost_key_is_said(self, admin_calls: Caller, registry: int) -> None:
        keys = settings.MOORAGE_KEYS / "sealing-keys"
        kept = keys.read_bytes()
        keys.unlink()
        try:
            answer = admin_calls.post("registries/ping", {"id": registry})
            assert answer.status_code == 503
            assert "cannot be decrypted" in error_of(answer)[1]
        finally:
            keys.write_bytes(kept)


class TestPolicies:
    def test_one_is_made_and_changed(self, admin_calls: Caller, registry: int) -> None:
        filters = [
            {"type": "name", "value": "team/**"},
            {"type": "tag", "value": "v*", "decoration": "excludes"},
            {"type": "label", "value": ["ok"], "decoration": "matches"},
        ]
        wanted = policy_of(
            registry,
            filters=filters,
            dest_namespace="mirror",
            dest_namespace_replace_count=0,
            override=False,
            speed=100,
            copy_by_chunk=True,
            trigger={"type": "scheduled", "trigger_settings": {"cron": "0 0 3 * * *"}},
        )
        policy = number(admin_calls.post("replication/policies", wanted))
        path = f"replication/policies/{policy}"
        shown = told(admin_calls.get(path))
        assert shown["filters"] == filters
        assert shown["dest_registry"]["name"] == "frankfurt"
        assert shown["src_registry"]["id"] == 0
        assert shown["trigger"] == wanted["trigger"]
        kept = ("dest_namespace", "dest_namespace_replace_count", "override", "speed")
        assert all(shown[name] == wanted[name] for name in kept)
        assert Schedule.objects.get(kind="replication").policy_id == policy
        # What clients send back is what they were shown.
        assert admin_calls.call("PUT", path, shown | {"enabled": False}).status_code == 200
        assert not told(admin_calls.get(path))["enabled"]
        assert not Schedule.objects.filter(kind="replication").exists()

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"src_registry": {"id": 1}}, "not both"),
            ({"dest_registry": {"id": 0}}, "not both"),
            ({"trigger": {"type": "scheduled"}}, "Say when"),
            ({"trigger": {"type": "scheduled", "trigger_settings": {"cron": "x"}}}, "six fields"),
            ({"replicate_deletion": True}, "at each push"),
            ({"deletion": True}, "at each push"),
            ({"dest_namespace": "Upper"}, "namespace"),
            ({"filters": [{"type": "color", "value": "red"}]}, "Filters are"),
            ({"name": ""}, "name"),
        ],
    )
    def test_what_cannot_be(
        self, admin_calls: Caller, registry: int, changes: dict[str, object], field: str
    ) -> None:
        answer = admin_calls.post("replication/policies", policy_of(registry, **changes))
        assert answer.status_code == 400
        assert field in error_of(answer)[1]
        assert not ReplicationPolicy.objects.exists()

    def test_one_at_each_push(self, admin_calls: Caller, registry: int) -> None:
        events = {"type": "event_based"}
        wanted = policy_of(registry, trigger=events, replicate_deletion=True)
        place = admin_calls.post("replication/policies", wanted)["Location"]
        number = int(place.rpartition("/")[2])
        shown = told(admin_calls.get(f"replication/policies/{number}"))
        assert shown["trigger"]["type"] == "event_based"
        assert (shown["deletion"], shown["replicate_deletion"]) == (True, True)
        fetching = {"name": "pull", "src_registry": {"id": registry}, "trigger": events}
        answer = admin_calls.post("replication/policies", fetching)
        assert answer.status_code == 400
        assert "do not hear" in error_of(answer)[1]

    def test_one_that_fetches(self, admin_calls: Caller, registry: int) -> None:
        wanted = {
            "name": "base images",
            "src_registry": {"id": registry},
            "dest_registry": {"id": 0},
            "filters": [{"type": "name", "value": "library/alpine"}],
        }
        policy = number(admin_calls.post("replication/policies", wanted))
        shown = told(admin_calls.get(f"replication/policies/{policy}"))
        assert shown["src_registry"]["name"] == "frankfurt"
        assert shown["dest_registry"]["id"] == 0
        path = f"replication/policies/{policy}"
        assert admin_calls.call("PUT", path, shown).status_code == 200
        labelled = shown | {"filters": [{"type": "label", "value": ["ok"]}]}
        refused = admin_calls.call("PUT", path, labelled)
        assert refused.status_code == 400
        assert "tells no labels" in error_of(refused)[1]

    def test_a_name_twice(self, admin_calls: Caller, registry: int) -> None:
        number(admin_calls.post("replication/policies", policy_of(registry)))
        twice = admin_calls.post("replication/policies", policy_of(registry))
        assert twice.status_code == 409

    def test_lists(self, admin_calls: Caller, registry: int) -> None:
        for name in ("one", "two"):
            admin_calls.post("replication/policies", policy_of(registry, name=name))
        for asked in ("name=tw", "q=name=two"):
            rows = told(admin_calls.get(f"replication/policies?{asked}"))
            assert [row["name"] for row in rows] == ["two"]


class TestRuns:
    def test_one_is_started_followed_and_stopped(self, admin_calls: Caller, registry: int) -> None:
        policy = number(admin_calls.post("replication/policies", policy_of(registry)))
        run = number(admin_calls.post("replication/executions", {"policy_id": policy}))
        again = admin_calls.post("replication/executions", {"policy_id": policy})
        assert again.status_code == 409
        path = f"replication/executions/{run}"
        shown = told(admin_calls.get(path))
        assert (shown["status"], shown["total"], shown["trigger"]) == ("InProgress", 0, "manual")
        assert shown["retry_of"] is None
        Execution.objects.filter(pk=run).update(parameters={"retry_of": 7})
        assert told(admin_calls.get(path))["retry_of"] == 7
        assert admin_calls.call("DELETE", f"replication/policies/{policy}").status_code == 412
        _plan(run)
        shown = told(admin_calls.get(path))
        assert (shown["total"], shown["in_progress"], shown["succeed"]) == (2, 2, 0)
        tasks = told(admin_calls.get(f"{path}/tasks"))
        assert [(t["src_resource"], t["dst_resource"]) for t in tasks] == [
            ("team/app:v1", "mirror/app:[v1]"),
            ("team/app:v2", "mirror/app:[v2]"),
        ]
        TaskLog.objects.create(task_id=tasks[0]["id"], text="sent\n")
        assert admin_calls.get(f"{path}/tasks/{tasks[0]['id']}/log").content == b"sent\n"
        assert admin_calls.get(f"{path}/tasks/999/log").status_code == 404
        assert admin_calls.call("PUT", path).status_code == 200
        shown = told(admin_calls.get(path))
        assert shown["stopped"] == 2
        assert [
            told(admin_calls.get(f"replication/executions?{asked}")) != []
            for asked in (
                f"policy_id={policy}",
                "policy_id=999",
                "trigger=manual",
                "trigger=scheduled",
            )
        ] == [True, False, True, False]
        for asked in ("status=Odd", "trigger=odd", "policy_id=x"):
            assert admin_calls.get(f"replication/executions?{asked}").status_code == 400

    def test_a_disabled_policy_does_not_run(self, admin_calls: Caller, registry: int) -> None:
        wanted = policy_of(registry, enabled=False)
        policy = number(admin_calls.post("replication/policies", wanted))
        refused = admin_calls.post("replication/executions", {"policy_id": policy})
        assert refused.status_code == 412


def _plan(execution_id: int) -> None:
    """Do what the first task does: find two images to copy."""
    task = Task.objects.select_related("execution").get(execution_id=execution_id)
    lease = timezone.now() + datetime.timedelta(minutes=1)
    Task.objects.filter(pk=task.pk).update(state=State.RUNNING, lease_until=lease)
    Execution.objects.filter(pk=execution_id).update(state=State.RUNNING)
    task.refresh_from_db()
    orders = [
        Order(f"team/app:{tag}", {"destination": "mirror/app", "tags": [tag]})
        for tag in ("v1", "v2")
    ]
    add_tasks(Run(task), orders, there=0)
