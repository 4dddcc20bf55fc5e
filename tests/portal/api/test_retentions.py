"""Retention by Harbor's contract, and what is added: previews, reasons, pins, what runs."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Project
from registry_sync import retention, tasks
from registry_sync.models import DigestInUse, Execution, Repository, RetentionPolicy
from tests.factories import make_image, make_index, make_repository, push_image
from tests.portal.api.conftest import Caller, error_of, told
from tests.registry_sync.retaining import OLD_PRS, age, rule
from tests.registry_sync.trashing import tags_of

Find = Callable[[str], Caller]


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app`` with v1 and v2, and pr-1 to pr-3 of which the last is old."""
    repository = make_repository(team)
    for name in ("v1", "v2", "pr-1", "pr-2", "pr-3"):
        push_image(repository, tag=name)
    age(repository, pr_3=60)
    return repository


def body(project: Project, *rules: dict[str, Any], cron: str = "", **more: Any) -> dict[str, Any]:
    """A policy as Harbor's clients send it."""
    return {
        "algorithm": "or",
        "rules": list(rules),
        "trigger": {"kind": "Schedule", "settings": {"cron": cron}, "references": {}},
        "scope": {"level": "project", "ref": project.pk},
        **more,
    }


@pytest.fixture
def policy(caller: Find, team: Project, app: Repository) -> str:
    """Make the policy of ``team``; return its path."""
    answer = caller("bob").post("retentions", body(team, OLD_PRS))
    assert answer.status_code == 201
    place: str = answer.headers["Location"]
    return place


def perform() -> None:
    """Do what was ordered last."""
    execution = Execution.objects.filter(kind=retention.KIND).order_by("-pk")[0]
    tasks.run_task(execution.tasks.get().pk)


class TestPolicies:
    def test_made_shown_changed_deleted(self, caller: Find, team: Project, policy: str) -> None:
        bob = caller("bob")
        shown = told(bob.get(policy))
        assert shown["scope"] == {"level": "project", "ref": team.pk}
        assert shown["rules"] == [{"id": 1, "priority": 0, "disabled": False, **OLD_PRS}]
        assert (shown["harbor_reading"], shown["confirmed"], shown["version"]) == (False, False, 1)
        project = told(bob.get("projects/team"))
        assert project["metadata"]["retention_id"] == policy.rpartition("/")[2]
        changed = body(team, rule("always"), cron="0 0 3 * * *", harbor_reading=True)
        assert bob.call("PUT", policy, changed).status_code == 200
        shown = told(bob.get(policy))
        assert (shown["harbor_reading"], shown["version"]) == (True, 2)
        assert shown["trigger"]["settings"]["cron"] == "0 0 3 * * *"
        assert shown["trigger"]["settings"]["next_scheduled_time"].endswith("Z")
        assert bob.call("DELETE", policy).status_code == 200
        assert bob.get(policy).status_code == 404

    def test_one_for_each_project(self, caller: Find, team: Project, policy: str) -> None:
        assert caller("bob").post("retentions", body(team, OLD_PRS)).status_code == 409

    def test_who_may_not(self, caller: Find, team: Project, policy: str) -> None:
        for name, status in (("carol", 403), ("mallory", 404), ("", 401)):
            assert caller(name).get(policy).status_code == status
            assert caller(name).call("DELETE", policy).status_code == status
            answer = caller(name).post("retentions", body(team, OLD_PRS))
            assert answer.status_code == status

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"rules": [rule("latestPushedK")]}, "whole number"),
            ({"rules": "all"}, "list"),
            ({"algorithm": "and"}, "choice"),
            ({"scope": {"level": "system", "ref": 1}}, "scope"),
            ({"scope": None}, "scope"),
            ({"trigger": {"settings": {"cron": "daily"}}}, "cron"),
            ({"trigger": {"settings": []}, "rules": 7}, "list"),
            ({"keep_pulled_days": -1}, "greater"),
        ],
    )
    def test_what_is_refused(
        self, caller: Find, team: Project, change: dict[str, Any], words: str
    ) -> None:
        answer = caller("bob").post("retentions", body(team, OLD_PRS) | change)
        assert answer.status_code == 400
        assert words in error_of(answer)[1]
        assert not RetentionPolicy.objects.exists()

    def test_metadatas(self, caller: Find) -> None:
        shown = told(caller("carol").get("retentions/metadatas"))
        by_name = {entry["rule_template"]: entry for entry in shown["templates"]}
        assert by_name["latestPushedK"]["params"] == [
            {"type": "int", "unit": "COUNT", "required": True}
        ]
        assert by_name["always"]["params"] == []
        assert shown["tag_selectors"][0]["decorations"] == ["matches", "excludes"]


class TestRuns:
    def test_dry_run_run_tasks_and_log(self, caller: Find, app: Repository, policy: str) -> None:
        bob = caller("bob")
        was = tags_of(app)
        assert bob.post(f"{policy}/executions", {"dry_run": True}).status_code == 201
        perform()
        assert tags_of(app) == was
        assert bob.post(f"{policy}/executions", {"dry_run": False}).status_code == 201
        perform()
        assert set(was) - set(tags_of(app)) == {"pr-3"}
        real, dry = told(bob.get(f"{policy}/executions"))
        assert (real["status"], real["trigger"], real["dry_run"]) == ("Success", "Manual", False)
        assert (dry["dry_run"], dry["policy_id"]) == (True, int(policy.rpartition("/")[2]))
        (task,) = told(bob.get(f"{policy}/executions/{real['id']}/tasks"))
        assert (task["repository"], task["total"], task["retained"]) == ("app", 5, 4)
        log = bob.get(f"{policy}/executions/{real['id']}/tasks/{task['id']}")
        assert "| pr-3 |" in log.content.decode()
        other = bob.get(f"{policy}/executions/{dry['id']}/tasks/{task['id']}")
        assert other.status_code == 404
        undo = caller("alice").post(f"projects/team/executions/{real['id']}/undo", None)
        assert undo.status_code == 201

    def test_stop(self, caller: Find, policy: str) -> None:
        bob = caller("bob")
        place = bob.post(f"{policy}/executions", {}).headers["Location"]
        assert bob.post(f"{policy}/executions", {}).status_code == 409, "one at a time"
        assert bob.call("PATCH", place, {"action": "pause"}).status_code == 400
        assert bob.call("PATCH", place, {"action": "stop"}).status_code == 200
        assert told(bob.get(f"{policy}/executions"))[0]["status"] == "Stopped"


class TestPreviews:
    def test_of_the_policy(self, caller: Find, app: Repository, policy: str) -> None:
        bob = caller("bob")
        shown = told(bob.get("projects/team/retention/preview?verdict=remove"))
        assert (shown["kept"], shown["removed"], shown["percent"]) == (4, 1, 20)
        assert (shown["by_rule"], shown["brake"]) == ({"0": 2, "1": 2}, "")
        (row,) = shown["rows"]
        assert (row["tag"], row["verdict"], row["reason"]) == ("pr-3", "remove", "age")
        assert row["why"] == "Rule 1: older than 15 days"
        assert row["frees"] == shown["freed_bytes"] > 0
        found = bob.get("projects/team/retention/preview?tag=v1")
        assert (found.headers["X-Total-Count"], len(told(found)["rows"])) == ("1", 1)
        assert bob.get("projects/team/retention/preview?verdict=maybe").status_code == 400

    def test_of_one_that_is_not_saved(self, caller: Find, team: Project, app: Repository) -> None:
        answer = caller("bob").post("projects/team/retention/preview", body(team, rule("nothing")))
        shown = told(answer)
        assert (shown["removed"], shown["emptied"]) == (5, ["app"])
        assert "confirm" in shown["brake"]
        assert not RetentionPolicy.objects.exists()

    def test_every_verdict_as_a_stream(self, caller: Find, app: Repository, policy: str) -> None:
        bob = caller("bob")
        answer = bob.get("projects/team/retention/verdicts")
        lines = [json.loads(line) for line in answer.getvalue().decode().splitlines()]
        assert {line["tag"]: line["verdict"] for line in lines} == {
            "v1": "keep", "v2": "keep", "pr-1": "keep", "pr-2": "keep", "pr-3": "remove",
        }  # fmt: skip
        table = bob.get("projects/team/retention/verdicts?format=csv").getvalue().decode()
        assert table.splitlines()[0].startswith("repository,tag,digest,verdict")
        assert len(table.splitlines()) == 6
        assert bob.get("projects/team/retention/verdicts?format=xml").status_code == 400

    def test_confirmed(self, caller: Find, policy: str) -> None:
        bob = caller("bob")
        assert bob.post("projects/team/retention/confirmation", {"version": 9}).status_code == 409
        assert bob.post("projects/team/retention/confirmation", {"version": 1}).status_code == 200
        assert told(bob.get(policy))["confirmed"] is True


class TestInUse:
    def report(self, caller: Find, name: str, *images: str, **more: Any) -> Any:
        """Report what a cluster runs."""
        entries = [{"image": image, "workload": "shop/web"} for image in images]
        return caller(name).post("in-use", {"cluster": "prod", "images": entries, **more})

    def test_it_keeps_what_it_names(self, caller: Find, app: Repository, policy: str) -> None:
        digest = tags_of(app)["pr-3"]
        answer = self.report(
            caller, "carol", f"registry.example:5000/team/app:pr-3@{digest}", "nginx:1"
        )
        assert told(answer) == {"kept": 1, "ignored": 1}
        (row,) = told(caller("carol").get("projects/team/in-use"))
        assert (row["digest"], row["cluster"], row["workload"]) == (digest, "prod", "shop/web")
        preview = told(caller("bob").get("projects/team/retention/preview?tag=pr-3"))
        assert preview["rows"][0]["reason"] == "in_use"

    def test_a_report_replaces_the_one_before(self, caller: Find, app: Repository) -> None:
        tags = tags_of(app)
        self.report(caller, "carol", f"team/app@{tags['v1']}")
        self.report(caller, "carol", f"team/app@{tags['v2']}")
        assert [row.digest for row in DigestInUse.objects.all()] == [tags["v2"]]

    def test_an_index_runs_where_its_manifest_does(
        self, caller: Find, app: Repository, policy: str
    ) -> None:
        child = make_image()
        push_image(app, child, tag="")
        push_image(app, make_index(child), tag="pr-9", children=(child,))
        age(app, pr_9=90)
        self.report(caller, "carol", f"docker-pullable://r.example/team/app@{child.digest}")
        preview = told(caller("bob").get("projects/team/retention/preview?tag=pr-9"))
        assert preview["rows"][0]["reason"] == "in_use"

    def test_only_where_one_may_pull(self, caller: Find, app: Repository) -> None:
        answer = self.report(caller, "mallory", f"r.example/team/app@{tags_of(app)['v1']}")
        assert told(answer) == {"kept": 0, "ignored": 1}
        assert not DigestInUse.objects.exists()

    @pytest.mark.parametrize("more", [{"cluster": ""}, {"cluster": "a b"}, {"hours": 0}])
    def test_what_is_refused(self, caller: Find, app: Repository, more: dict[str, Any]) -> None:
        assert self.report(caller, "carol", **more).status_code == 400


class TestPins:
    def test_pinned_and_let_go(self, caller: Find, app: Repository, policy: str) -> None:
        bob = caller("bob")
        wanted = {"repository": "app", "tag": "pr-3"}
        pin = told(bob.post("projects/team/pins", wanted))
        assert told(bob.post("projects/team/pins", wanted))["id"] == pin["id"]
        assert [row["tag"] for row in told(bob.get("projects/team/pins"))] == ["pr-3"]
        preview = told(bob.get("projects/team/retention/preview?tag=pr-3"))
        assert preview["rows"][0]["reason"] == "pinned"
        assert bob.call("DELETE", f"projects/team/pins/{pin['id']}").status_code == 200
        assert bob.call("DELETE", f"projects/team/pins/{pin['id']}").status_code == 404

    def test_what_is_not_there(self, caller: Find, app: Repository) -> None:
        wanted = {"repository": "app", "tag": "none"}
        assert caller("bob").post("projects/team/pins", wanted).status_code == 404
        assert caller("carol").post("projects/team/pins", wanted).status_code == 403
