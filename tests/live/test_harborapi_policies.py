"""harborapi drives what goes on by itself: immutable rules, retention, replication."""

from pathlib import Path
from typing import Any

import pytest

from tests.live.client import make_project, unique
from tests.live.harbor import ClientError, HarborClient, model, number
from tests.live.stack import Stack, wait_for

pytestmark = pytest.mark.live


def test_immutable_rules(harbor: HarborClient, stack: Stack, image: Path) -> None:
    project = make_project(stack)
    assert stack.push(image, f"{project}/app:v1").returncode == 0
    tag = model("ImmutableSelector", kind="doublestar", decoration="matches", pattern="v*")
    scope = model("ImmutableSelector", kind="doublestar", decoration="repoMatches", pattern="**")
    fields = {"template": "immutable_template", "action": "immutable", "tag_selectors": [tag]}
    rule = model("ImmutableRule", **fields, scope_selectors={"repository": [scope]})
    made = number(harbor.call("create_project_immutable_tag_rule", project, rule))
    (listed,) = harbor.call("get_project_immutable_tag_rules", project)
    assert (listed["id"], listed["tag_selectors"][0]["pattern"]) == (made, "v*")
    asked = (project, "app", "v1")
    assert harbor.call("get_artifact_tags", *asked, with_immutable_status=True)[0]["immutable"]
    with pytest.raises(ClientError) as held:
        harbor.call("delete_artifact", *asked)
    assert held.value.status == 412
    harbor.call("enable_project_immutable_tagrule", project, made, enabled=False)
    harbor.call("update_project_immutable_tag_rule", project, made, rule)
    harbor.call("delete_project_immutable_tag_rule", project, made)
    harbor.call("delete_artifact", *asked)


def test_retention(harbor: HarborClient, stack: Stack, image: Path) -> None:
    name = make_project(stack)
    for tag in ("v1", "pr-1", "pr-2"):
        assert stack.push(image, f"{name}/{tag}:{tag}").returncode == 0
    templates = harbor.call("get_retention_metadata")["templates"]
    assert "latestPushedK" in [template["rule_template"] for template in templates]
    chosen = model("RetentionSelector", kind="doublestar", decoration="matches", pattern="pr-*")
    scope = model("RetentionSelector", kind="doublestar", decoration="repoMatches", pattern="**")
    rule = model(
        "RetentionRule",
        action="retain",
        template="nothing",
        params={},
        tag_selectors=[chosen],
        scope_selectors={"repository": [scope]},
    )
    project = harbor.call("get_project", name)["project_id"]
    policy = model(
        "RetentionPolicy",
        algorithm="or",
        rules=[rule],
        trigger=model("RetentionRuleTrigger", kind="Schedule", settings={"cron": ""}),
        scope=model("RetentionPolicyScope", level="project", ref=project),
    )
    made = number(harbor.call("create_retention_policy", policy))
    assert harbor.call("get_project_retention_id", name) == made
    assert harbor.call("get_retention_policy", made)["rules"][0]["template"] == "nothing"
    harbor.call("update_retention_policy", made, policy)

    def ended(*, dry_run: bool) -> dict[str, Any]:
        run = number(harbor.call("start_retention_execution", made, dry_run=dry_run))
        runs: list[dict[str, Any]] = []

        def is_over() -> bool:
            runs[:] = harbor.call("get_retention_executions", made)
            return runs[0]["id"] == run and runs[0]["status"] in {"Success", "Error"}

        wait_for(is_over, "the run")
        return runs[0]

    run = ended(dry_run=True)
    assert (run["status"], run["dry_run"]) == ("Success", True)
    tasks = harbor.call("get_retention_tasks", made, run["id"])
    assert {task["repository"]: task["retained"] for task in tasks} == {
        "v1": 1,
        "pr-1": 0,
        "pr-2": 0,
    }
    one = next(task["id"] for task in tasks if task["repository"] == "pr-1")
    log = harbor.call("get_retention_execution_task_log", made, run["id"], one)
    assert "DEL (dry run)" in log
    assert ended(dry_run=False)["status"] == "Error", "the brake: two of three images"
    assert harbor.call("get_artifact", name, "pr-1", "pr-1")["digest"]
    harbor.call("stop_retention_execution", made, run["id"])
    harbor.call("delete_retention_policy", made)


def test_replication(harbor: HarborClient, stack: Stack, image: Path) -> None:
    """To itself, as to any other registry of Harbor's kind."""
    project, there = make_project(stack), unique("mirror")
    assert stack.push(image, f"{project}/app:1").returncode == 0
    keys = {"access_key": "admin", "access_secret": stack.admin_password}
    harbor.call("check_registry_status", model("RegistryPing", url=stack.url, **keys))
    assert "harbor" in harbor.call("get_registry_adapters")
    assert harbor.call("get_registry_providers")
    credential = model("RegistryCredential", type="basic", **keys)
    fields = {"name": unique("other"), "url": stack.url, "type": "harbor"}
    made = harbor.call("create_registry", model("Registry", credential=credential, **fields))
    registry = harbor.call("get_registry", number(made))
    change = model("RegistryUpdate", name=fields["name"], description="itself")
    harbor.call("update_registry", registry["id"], change)
    assert harbor.call("get_registries", name=fields["name"])[0]["description"] == "itself"
    assert harbor.call("get_registry_info", registry["id"])["type"] == "harbor"
    policy: dict[str, Any] = {
        "name": unique("policy"),
        "dest_registry": model("Registry", id=registry["id"]),
        "dest_namespace": there,
        "filters": [model("ReplicationFilter", type="name", value=f"{project}/**")],
        "trigger": model("ReplicationTrigger", type="manual"),
        "enabled": True,
        "override": True,
    }
    made = harbor.call("create_replication_policy", model("ReplicationPolicy", **policy))
    shown = harbor.call("get_replication_policy", number(made))
    assert shown["dest_registry"]["name"] == fields["name"]
    policy |= {"trigger": model("ReplicationTrigger", type="event_based")}
    policy |= {"replicate_deletion": True, "description": "all of it"}
    changed = model("ReplicationPolicy", **policy)
    harbor.call("update_replication_policy", shown["id"], changed)
    (shown,) = harbor.call("get_replication_policies", name=policy["name"])
    assert (shown["trigger"]["type"], shown["replicate_deletion"]) == ("event_based", True)
    run = number(harbor.call("start_replication", shown["id"]))
    wait_for(lambda: harbor.call("get_replication", run)["status"] == "Succeed", "the copy")
    (task,) = harbor.call("get_replication_tasks", run)
    assert (task["src_resource"], task["status"]) == (f"{project}/app:1", "Succeed")
    assert "done" in harbor.call("get_replication_task_log", run, task["id"])
    assert harbor.call("get_artifact", there, "app", "1")["digest"]
    assert [row["id"] for row in harbor.call("get_replications", policy_id=shown["id"])] == [run]
    harbor.call("stop_replication", run)
    harbor.call("delete_replication_policy", shown["id"])
    harbor.call("delete_registry", registry["id"])
