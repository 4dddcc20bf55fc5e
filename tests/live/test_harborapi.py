"""harborapi, whose answers are validated against its own models, drives the started stack.

What it covers stands in docs/harbor-clients.md, which a test holds to these calls.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.live.client import PASSWORD, make_project, make_user, unique
from tests.live.harbor import ClientError, HarborClient, model, number
from tests.live.stack import Stack, wait_for

pytestmark = pytest.mark.live


def new_user(harbor: HarborClient) -> tuple[str, int]:
    name = unique("anna")
    made = harbor.call(
        "create_user",
        model(
            "UserCreationReq",
            username=name,
            email=f"{name}@example.com",
            realname="Anna",
            password=PASSWORD,
        ),
    )
    return name, number(made)


def new_project(harbor: HarborClient, **fields: Any) -> str:
    name = unique("berth")
    made = harbor.call("create_project", model("ProjectReq", project_name=name, **fields))
    assert "/projects/" in made
    return name


def test_users(harbor: HarborClient) -> None:
    name, user_id = new_user(harbor)
    assert harbor.call("get_user", user_id)["email"] == f"{name}@example.com"
    assert harbor.call("get_user_by_username", name)["user_id"] == user_id
    assert [u["username"] for u in harbor.call("get_users", query=f"username={name}")] == [name]
    found = harbor.call("search_users_by_username", name)
    assert [(u["user_id"], u["username"]) for u in found] == [(user_id, name)]
    profile = model("UserProfile", email=f"{name}@example.org", realname="Anna B.", comment="new")
    harbor.call("update_user", user_id, profile)
    assert harbor.call("get_user", user_id)["comment"] == "new"
    harbor.call("set_user_admin", user_id, is_admin=True)
    assert harbor.call("get_user", user_id)["sysadmin_flag"] is True
    harbor.call("set_user_admin", user_id, is_admin=False)
    harbor.call("set_user_password", user_id, "another-long-password")
    harbor.call("delete_user", user_id)
    with pytest.raises(ClientError) as missing:
        harbor.call("get_user", user_id)
    assert missing.value.status == 404
    harbor.call("delete_user", user_id, missing_ok=True)


def test_a_refused_user_is_told_why(harbor: HarborClient) -> None:
    with pytest.raises(ClientError) as short:
        harbor.call(
            "create_user",
            model(
                "UserCreationReq",
                username=unique("short"),
                email="short@example.com",
                realname="S",
                password="short",
            ),
        )
    assert short.value.status == 400
    assert "12" in short.value.message


def test_the_current_user(stack: Stack) -> None:
    name = make_user(stack)
    with HarborClient("harborapi", stack, username=name, password=PASSWORD) as own:
        me = own.call("get_current_user")
        assert me["username"] == name
        assert me["sysadmin_flag"] is False
        assert isinstance(own.call("get_current_user_permissions"), list)
        with pytest.raises(ClientError) as chosen:
            own.call("set_user_cli_secret", me["user_id"], "A-secret-of-my-own-1")
        assert chosen.value.status == 400
        old = {"old_password": PASSWORD}
        own.call("set_user_password", me["user_id"], "another-long-password", **old)
        with pytest.raises(ClientError) as ended:
            own.call("get_current_user")
        assert ended.value.status == 401


def test_projects(harbor: HarborClient) -> None:
    assert harbor.call("project_exists", "no-such-berth") is False
    name = new_project(harbor, public=True, storage_limit=10_000_000)
    assert harbor.call("project_exists", name) is True
    project = harbor.call("get_project", name)
    assert project["metadata"]["public"] == "true"
    assert harbor.call("get_project", project["project_id"])["name"] == name
    assert [p["name"] for p in harbor.call("get_projects", query=f"name={name}")] == [name]
    assert [p["name"] for p in harbor.call("get_projects", name=name, public=True)] == [name]
    assert len(harbor.call("get_projects", sort="-name", page_size=2, limit=3)) <= 3
    change = model(
        "ProjectReq",
        metadata=model("ProjectMetadata", public="false", reuse_sys_cve_allowlist="false"),
        cve_allowlist=model(
            "CVEAllowlist",
            project_id=project["project_id"],
            items=[model("CVEAllowlistItem", cve_id="CVE-2026-1234")],
        ),
    )
    harbor.call("update_project", name, change)
    changed = harbor.call("get_project", name)
    assert changed["metadata"]["public"] == "false"
    assert changed["metadata"]["reuse_sys_cve_allowlist"] == "false"
    assert [item["cve_id"] for item in changed["cve_allowlist"]["items"]] == ["CVE-2026-1234"]
    summary = harbor.call("get_project_summary", name)
    assert summary["quota"]["hard"]["storage"] == 10_000_000
    assert harbor.call("get_project_deletable", name)["deletable"] is True
    harbor.call("delete_project", name)
    assert harbor.call("project_exists", name) is False
    harbor.call("delete_project", name, missing_ok=True)


def test_a_project_twice(harbor: HarborClient) -> None:
    name = new_project(harbor)
    with pytest.raises(ClientError) as twice:
        harbor.call("create_project", model("ProjectReq", project_name=name))
    assert twice.value.status == 409


def test_members(harbor: HarborClient) -> None:
    project, (name, user_id) = new_project(harbor), new_user(harbor)
    made = harbor.call("add_project_member_user", project, name, 2)
    member = harbor.call("get_project_member", project, number(made))
    assert (member["entity_name"], member["role_id"]) == (name, 2)
    members = harbor.call("get_project_members", project, entity_name=name)
    assert [(m["entity_id"], m["entity_type"]) for m in members] == [(user_id, "u")]
    harbor.call("update_project_member_role", project, number(made), 4)
    assert harbor.call("get_project_member", project, number(made))["role_name"] == "maintainer"
    harbor.call("remove_project_member", project, number(made))
    assert harbor.call("get_project_members", project, entity_name=name) == []
    again = model("ProjectMember", role_id=3, member_user=model("UserEntity", user_id=user_id))
    assert number(harbor.call("add_project_member", project, again)) > 0


def test_groups_come_later(harbor: HarborClient) -> None:
    with pytest.raises(ClientError) as group:
        harbor.call("add_project_member_group", new_project(harbor), 1, 2)
    assert group.value.status == 400
    assert "Groups are not available" in group.value.message


def test_metadata(harbor: HarborClient) -> None:
    project, key = new_project(harbor), "reuse_sys_cve_allowlist"
    harbor.call("set_project_metadata", project, model("ProjectMetadata", **{key: "false"}))
    assert harbor.call("get_project_metadata", project)[key] == "false"
    entry = {key: "true"}
    harbor.call("update_project_metadata_entry", project, key, entry)
    assert harbor.call("get_project_metadata_entry", project, key) == entry
    harbor.call("update_project_metadata_entry", project, "public", {"public": "true"})
    harbor.call("delete_project_metadata_entry", project, "public")
    assert harbor.call("get_project_metadata_entry", project, "public") == {"public": "false"}


def test_robots(harbor: HarborClient, stack: Stack) -> None:
    project = new_project(harbor)
    access = [model("Access", resource="repository", action="pull")]
    permission = model("RobotPermission", kind="project", namespace=project, access=access)
    made = harbor.call(
        "create_robot",
        model("RobotCreate", name="ci", level="project", duration=30, permissions=[permission]),
    )
    assert made["secret"].startswith("mrg_")
    robot = harbor.call("get_robot", made["id"])
    assert (robot["name"], robot["level"]) == (made["name"], "project")
    number_of_project = harbor.call("get_project", project)["project_id"]
    of_project = f"Level=project,ProjectID={number_of_project}"
    assert [r["id"] for r in harbor.call("get_robots", query=of_project)] == [made["id"]]
    assert made["id"] not in [r["id"] for r in harbor.call("get_robots", page_size=100)]
    assert stack.token(f"repository:{project}/app:pull", made["name"], made["secret"])
    kept = ("id", "name", "level", "duration", "permissions")
    fields = {key: robot[key] for key in kept} | {"description": "pulls", "disable": True}
    harbor.call("update_robot", made["id"], model("Robot", **fields))
    changed = harbor.call("get_robot", made["id"])
    assert (changed["description"], changed["disable"]) == ("pulls", True)
    assert harbor.call("refresh_robot_secret", made["id"], "A-secret-of-my-own-1")
    harbor.call("delete_robot", made["id"])
    with pytest.raises(ClientError) as gone:
        harbor.call("get_robot", made["id"])
    assert gone.value.status == 404


def test_quotas(harbor: HarborClient) -> None:
    project = harbor.call("get_project", new_project(harbor, storage_limit=5_000_000))
    reference = {"reference": "project", "reference_id": str(project["project_id"])}
    (quota,) = harbor.call("get_quotas", **reference)
    assert (quota["hard"]["storage"], quota["used"]["storage"]) == (5_000_000, 0)
    hard = model("ResourceList", storage=7_000_000)
    harbor.call("update_quota", quota["id"], model("QuotaUpdateReq", hard=hard))
    assert harbor.call("get_quota", quota["id"])["hard"]["storage"] == 7_000_000


def test_labels(harbor: HarborClient) -> None:
    project = harbor.call("get_project", new_project(harbor))["project_id"]
    fields = {"scope": "p", "project_id": project, "color": "#0065AB"}
    made = harbor.call("create_label", model("Label", name="tested", **fields))
    assert harbor.call("get_label", number(made))["name"] == "tested"
    found = harbor.call("get_labels", scope="p", project_id=project)
    assert [label["name"] for label in found] == ["tested"]
    harbor.call("update_label", number(made), model("Label", name="released", **fields))
    assert harbor.call("get_label", number(made))["name"] == "released"
    harbor.call("delete_label", number(made))
    assert harbor.call("get_labels", scope="p", project_id=project) == []


def test_configuration(harbor: HarborClient) -> None:
    before = harbor.call("get_config")["robot_token_duration"]["value"]
    harbor.call("update_config", model("Configurations", robot_token_duration=before + 1))
    assert harbor.call("get_config")["robot_token_duration"]["value"] == before + 1
    harbor.call("update_config", model("Configurations", robot_token_duration=before))
    harbor.call("update_cve_allowlist", model("CVEAllowlist", items=[{"cve_id": "CVE-2026-1"}]))
    allowlist = harbor.call("get_cve_allowlist")
    assert [item["cve_id"] for item in allowlist["items"]] == ["CVE-2026-1"]


def test_audit(harbor: HarborClient) -> None:
    project = new_project(harbor)
    (log,) = harbor.call("get_project_logs", project)
    assert (log["operation"], log["resource"], log["username"]) == ("create", project, "admin")
    logs = harbor.call("get_audit_logs", query=f"resource={project}")
    assert [entry["id"] for entry in logs] == [log["id"]]


def test_search_and_statistics(harbor: HarborClient, stack: Stack, image: Path) -> None:
    project = make_project(stack)
    assert stack.push(image, f"{project}/deep/app:1").returncode == 0
    found = harbor.call("search", project)
    assert [p["name"] for p in found["project"]] == [project]
    assert [r["repository_name"] for r in found["repository"]] == [f"{project}/deep/app"]
    assert harbor.call("get_statistics")["private_project_count"] >= 1


def test_repositories(harbor: HarborClient, stack: Stack, image: Path) -> None:
    project = make_project(stack)
    assert stack.push(image, f"{project}/deep/app:1").returncode == 0
    assert harbor.call("get_repository", project, "deep/app")["artifact_count"] == 1
    described = model("Repository", description="An application.")
    harbor.call("update_repository", project, "deep/app", described)
    (repository,) = harbor.call("get_repositories", project)
    assert repository["description"] == "An application."
    assert any(r["id"] == repository["id"] for r in harbor.call("get_repositories", page_size=100))
    (artifact,) = harbor.call("get_artifacts", project, "deep/app")
    assert harbor.call("get_artifact", project, "deep/app", "1")["digest"] == artifact["digest"]
    tags = harbor.call("get_artifact_tags", project, "deep/app", artifact["digest"])
    assert [tag["name"] for tag in tags] == ["1"]
    harbor.call("delete_repository", project, "deep/app")
    assert harbor.call("get_repositories", project) == []


def test_artifacts(harbor: HarborClient, stack: Stack, index: Path) -> None:
    project, other = make_project(stack), make_project(stack)
    assert stack.push(index, f"{project}/app:1").returncode == 0
    app = (project, "app")
    place = harbor.call("create_artifact_tag", *app, "1", model("Tag", name="stable"))
    assert place.endswith("/tags/stable")
    (listed,) = harbor.call("get_project_artifacts", project, with_tag=True)
    assert {tag["name"] for tag in listed["tags"]} == {"1", "stable"}
    label = {
        "id": number(harbor.call("create_label", model("Label", name=unique("ok"), scope="g")))
    }
    harbor.call("add_artifact_label", *app, "1", model("Label", **label))
    found = harbor.call("get_artifacts", *app, query=f"labels={label['id']}", with_label=True)
    assert [entry["id"] for entry in found[0]["labels"]] == [label["id"]]
    harbor.call("delete_artifact_label", *app, "1", label["id"])
    assert harbor.call("get_artifact", *app, "1", with_label=True)["labels"] == []
    platform = listed["references"][0]["child_digest"]
    assert isinstance(harbor.call("get_artifact_build_history", *app, platform), list)
    assert harbor.call("get_artifact_accessories", *app, "1") == []
    with pytest.raises(ClientError) as unscanned:
        harbor.call("get_artifact_vulnerability_reports", *app, "1")
    assert unscanned.value.status == 404
    copied = harbor.call("copy_artifact", other, "copy", f"{project}/app@{listed['digest']}")
    assert copied.endswith(listed["digest"])
    assert harbor.call("get_artifact", other, "copy", "stable")["digest"] == listed["digest"]
    harbor.call("delete_artifact_tag", *app, "stable", "stable")
    harbor.call("delete_artifact", *app, "1")
    assert harbor.call("get_artifacts", *app) == []


def test_system(harbor: HarborClient, stack: Stack) -> None:
    assert harbor.call("ping") == "Pong"
    assert harbor.call("health_check")["status"] == "healthy"
    assert harbor.call("get_system_info")["harbor_version"].startswith("v2.")
    assert harbor.call("get_system_volume_info")["storage"][0]["total"] > 0
    assert harbor.call("get_permissions")["project"]
    certificate = stack.home / "ca.crt"
    certificate.write_text("-----BEGIN CERTIFICATE-----\n")
    assert "BEGIN CERTIFICATE" in harbor.call("get_system_certificate")
    certificate.unlink()


def test_audit_rotation(harbor: HarborClient) -> None:
    def parameters(hours: int) -> dict[str, object]:
        return {
            "audit_retention_hour": hours,
            "dry_run": True,
            "include_event_types": "create_artifact",
        }

    def schedule(kind: str, cron: str = "", hours: int = 9000) -> dict[str, Any]:
        when = model("ScheduleObj", type=kind, cron=cron)
        return model("Schedule", schedule=when, parameters=parameters(hours))

    harbor.call("create_purge_job_schedule", schedule("Manual"))
    job = harbor.call("get_purge_job_history")[0]["id"]
    wait_for(lambda: harbor.call("get_purge_job", job)["job_status"] == "Success", "the run")
    assert harbor.call("get_purge_job_log", job)
    harbor.call("create_purge_job_schedule", schedule("Weekly", "0 0 0 * * 0"))
    harbor.call("update_purge_job_schedule", schedule("Custom", "0 30 3 * * 1"))
    assert harbor.call("get_purge_job_schedule")["schedule"]["cron"] == "0 30 3 * * 1"
    harbor.call("update_purge_job_schedule", schedule("None"))
