"""harbor-api-client, generated from Harbor's contract, drives the started stack.

What it covers stands in docs/harbor-clients.md, which a test holds to these calls. Its lists name
their filter ``q``; each answer comes with its status and headers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.client import PASSWORD, make_project, unique
from tests.live.harbor import ClientError, HarborClient, model
from tests.live.stack import Stack, wait_for

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def harbor(stack: Stack) -> Iterator[HarborClient]:
    """The library, signed in as the administrator."""
    with HarborClient("harbor_client", stack) as client:
        yield client


def data(harbor: HarborClient, method: str, *positional: Any, **named: Any) -> Any:
    """Call and return what the library made of the answer."""
    return harbor.call(method, *positional, **named)["data"]


def made(harbor: HarborClient, method: str, *positional: Any, **named: Any) -> int:
    """Create something; return the number in ``Location``."""
    answer = harbor.call(method, *positional, **named)
    assert answer["status"] == 201
    return int(answer["headers"]["location"].rpartition("/")[2])


def new_user(harbor: HarborClient) -> tuple[str, int]:
    name = unique("anna")
    wanted = {"username": name, "email": f"{name}@example.com", "realname": "Anna"}
    user = model("UserCreationReq", password=PASSWORD, **wanted)
    return name, made(harbor, "UserApi.create_user", user)


def new_project(harbor: HarborClient, **fields: Any) -> tuple[str, int]:
    name = unique("quay")
    wanted = model("ProjectReq", project_name=name, **fields)
    return name, made(harbor, "ProjectApi.create_project", wanted)


def refused(harbor: HarborClient, method: str, *positional: Any, **named: Any) -> int:
    """Call what must fail; return the status that the library told."""
    with pytest.raises(ClientError) as refusal:
        harbor.call(method, *positional, **named)
    assert '"errors"' in refusal.value.message
    return refusal.value.status


def test_users(harbor: HarborClient) -> None:
    name, user_id = new_user(harbor)
    assert data(harbor, "UserApi.get_user", user_id)["username"] == name
    listed = harbor.call("UserApi.list_users", q=f"username={name}", sort="-username")
    assert [user["user_id"] for user in listed["data"]] == [user_id]
    assert listed["headers"]["x-total-count"] == "1"
    (found,) = data(harbor, "UserApi.search_users", name)
    assert found == {"user_id": user_id, "username": name}
    profile = model("UserProfile", email=f"{name}@example.org", realname="Anna B.", comment="new")
    harbor.call("UserApi.update_user_profile", user_id, profile)
    harbor.call(
        "UserApi.set_user_sys_admin", user_id, model("UserSysAdminFlag", sysadmin_flag=True)
    )
    shown = data(harbor, "UserApi.get_user", user_id)
    assert (shown["comment"], shown["sysadmin_flag"]) == ("new", True)
    password = model("PasswordReq", new_password="another-long-password")
    harbor.call("UserApi.update_user_password", user_id, password)
    assert data(harbor, "UserApi.get_current_user_info")["username"] == "admin"
    rights = data(harbor, "UserApi.get_current_user_permissions", scope="/project/1")
    assert {"action": "read", "resource": "/project/1/label"} in rights
    harbor.call("UserApi.delete_user", user_id)
    assert refused(harbor, "UserApi.get_user", user_id) == 404
    secret = model("OIDCCliSecretReq", secret="A-secret-of-my-own-1")
    assert refused(harbor, "UserApi.set_cli_secret", 1, secret) == 400


def test_projects(harbor: HarborClient) -> None:
    name, project_id = new_project(harbor, storage_limit=10_000_000, public=True)
    assert harbor.call("ProjectApi.head_project", name)["status"] == 200
    with pytest.raises(ClientError) as missing:
        harbor.call("ProjectApi.head_project", "no-such-quay")
    assert missing.value.status == 404
    shown = data(harbor, "ProjectApi.get_project", name)
    assert (shown["project_id"], shown["metadata"]["public"]) == (project_id, "true")
    assert data(harbor, "ProjectApi.get_project", project_id)["name"] == name
    listed = data(harbor, "ProjectApi.list_projects", q=f"name=~{name}", with_detail=False)
    assert [project["project_id"] for project in listed] == [project_id]
    change = model(
        "ProjectReq",
        metadata=model("ProjectMetadata", public="false", reuse_sys_cve_allowlist="false"),
        cve_allowlist=model("CVEAllowlist", items=[model("CVEAllowlistItem", cve_id="CVE-2026-7")]),
    )
    harbor.call("ProjectApi.update_project", name, change)
    shown = data(harbor, "ProjectApi.get_project", name)
    assert shown["metadata"]["public"] == "false"
    assert shown["cve_allowlist"]["items"] == [{"cve_id": "CVE-2026-7"}]
    summary = data(harbor, "ProjectApi.get_project_summary", name)
    assert summary["quota"]["hard"] == {"storage": 10_000_000}
    logs = data(harbor, "ProjectApi.get_logs", name, sort="op_time")
    assert logs[0]["operation"] == "create"
    assert data(harbor, "ProjectApi.get_project_deletable", name)["deletable"] is True
    twice = model("ProjectReq", project_name=name)
    assert refused(harbor, "ProjectApi.create_project", twice) == 409
    harbor.call("ProjectApi.delete_project", name)
    assert refused(harbor, "ProjectApi.get_project", name) == 404


def test_members(harbor: HarborClient) -> None:
    (project, _id), (name, user_id) = new_project(harbor), new_user(harbor)
    member = model("ProjectMember", role_id=2, member_user=model("UserEntity", username=name))
    mid = made(harbor, "MemberApi.create_project_member", project, project_member=member)
    shown = data(harbor, "MemberApi.get_project_member", project, mid)
    assert (shown["entity_id"], shown["role_id"]) == (user_id, 2)
    role = model("RoleRequest", role_id=4)
    harbor.call("MemberApi.update_project_member", project, mid, role=role)
    members = data(harbor, "MemberApi.list_project_members", project, entityname=name)
    assert [row["role_name"] for row in members] == ["maintainer"]
    harbor.call("MemberApi.delete_project_member", project, mid)
    assert refused(harbor, "MemberApi.get_project_member", project, mid) == 404
    group = model("ProjectMember", role_id=2, member_group=model("UserGroup", id=1))
    refusal = refused(harbor, "MemberApi.create_project_member", project, project_member=group)
    assert refusal == 400


def test_metadata(harbor: HarborClient) -> None:
    (project, _id), key = new_project(harbor), "reuse_sys_cve_allowlist"
    one = model("ProjectMetadata", **{key: "false"})
    harbor.call("ProjectMetadataApi.add_project_metadatas", project, metadata=one)
    assert data(harbor, "ProjectMetadataApi.list_project_metadatas", project)[key] == "false"
    update = {"metadata": {key: "true"}}
    harbor.call("ProjectMetadataApi.update_project_metadata", project, key, **update)
    shown = data(harbor, "ProjectMetadataApi.get_project_metadata", project, key)
    assert shown == {key: "true"}
    harbor.call("ProjectMetadataApi.delete_project_metadata", project, key)


def test_robots(harbor: HarborClient, stack: Stack) -> None:
    project, project_id = new_project(harbor)
    access = [model("Access", resource="repository", action="pull")]
    permission = model("RobotPermission", kind="project", namespace=project, access=access)
    wanted = {"name": "ci", "level": "project", "duration": 30, "permissions": [permission]}
    answer = harbor.call("RobotApi.create_robot", model("RobotCreate", **wanted))
    robot = answer["data"]
    assert answer["headers"]["location"].endswith(f"/robots/{robot['id']}")
    assert stack.token(f"repository:{project}/app:pull", robot["name"], robot["secret"])
    listed = data(harbor, "RobotApi.list_robot", q=f"Level=project,ProjectID={project_id}")
    assert [row["id"] for row in listed] == [robot["id"]]
    shown = data(harbor, "RobotApi.get_robot_by_id", robot["id"])
    kept = ("id", "name", "level", "duration", "permissions")
    change = {key: shown[key] for key in kept} | {"description": "pulls", "disable": True}
    harbor.call("RobotApi.update_robot", robot["id"], model("Robot", **change))
    assert data(harbor, "RobotApi.get_robot_by_id", robot["id"])["disable"] is True
    fresh = data(harbor, "RobotApi.refresh_sec", robot["id"], model("RobotSec"))
    assert fresh["secret"] != robot["secret"]
    harbor.call("RobotApi.delete_robot", robot["id"])
    assert refused(harbor, "RobotApi.get_robot_by_id", robot["id"]) == 404


def test_quotas(harbor: HarborClient) -> None:
    _project, project_id = new_project(harbor, storage_limit=5_000_000)
    reference = {"reference": "project", "reference_id": str(project_id)}
    (quota,) = data(harbor, "QuotaApi.list_quotas", **reference)
    assert quota["hard"] == {"storage": 5_000_000}
    hard = model("QuotaUpdateReq", hard={"storage": 7_000_000})
    harbor.call("QuotaApi.update_quota", quota["id"], hard)
    assert data(harbor, "QuotaApi.get_quota", quota["id"])["hard"] == {"storage": 7_000_000}


def test_labels(harbor: HarborClient) -> None:
    _project, project_id = new_project(harbor)
    fields = {"scope": "p", "project_id": project_id, "color": "#0065AB"}
    label = made(harbor, "LabelApi.create_label", model("Label", name="tested", **fields))
    renamed = model("Label", name="released", **fields)
    harbor.call("LabelApi.update_label", label, renamed)
    assert data(harbor, "LabelApi.get_label_by_id", label)["name"] == "released"
    listed = data(harbor, "LabelApi.list_labels", scope="p", project_id=project_id)
    assert [row["id"] for row in listed] == [label]
    harbor.call("LabelApi.delete_label", label)
    assert refused(harbor, "LabelApi.get_label_by_id", label) == 404


def test_configuration(harbor: HarborClient) -> None:
    key = "robot_token_duration"
    before = data(harbor, "ConfigureApi.get_configurations")[key]["value"]
    for days in (before + 1, before):
        wanted = model("Configurations", **{key: days})
        harbor.call("ConfigureApi.update_configurations", wanted)
        assert data(harbor, "ConfigureApi.get_configurations")[key]["value"] == days
    items = [model("CVEAllowlistItem", cve_id="CVE-2026-8")]
    allowlist = model("CVEAllowlist", items=items)
    harbor.call("SystemCVEAllowlistApi.put_system_cve_allowlist", allowlist=allowlist)
    shown = data(harbor, "SystemCVEAllowlistApi.get_system_cve_allowlist")
    assert shown["items"] == [{"cve_id": "CVE-2026-8"}]


def test_audit(harbor: HarborClient) -> None:
    project, _id = new_project(harbor)
    (log,) = data(harbor, "AuditlogApi.list_audit_logs", q=f"resource={project}")
    assert (log["operation"], log["username"]) == ("create", "admin")


def test_search_and_repositories(harbor: HarborClient, stack: Stack, image: Path) -> None:
    project = make_project(stack)
    assert stack.push(image, f"{project}/deep/app:1").returncode == 0
    found = data(harbor, "SearchApi.search", project)
    assert [row["repository_name"] for row in found["repository"]] == [f"{project}/deep/app"]
    where = (project, "deep/app")
    change = model("Repository", description="An application.")
    harbor.call("RepositoryApi.update_repository", *where, change)
    shown = data(harbor, "RepositoryApi.get_repository", *where)
    assert (shown["description"], shown["artifact_count"]) == ("An application.", 1)
    (listed,) = data(harbor, "RepositoryApi.list_repositories", project)
    everywhere = data(harbor, "RepositoryApi.list_all_repositories", page_size=100)
    assert listed["id"] in [row["id"] for row in everywhere]
    (artifact,) = data(harbor, "ArtifactApi.list_artifacts", *where)
    assert data(harbor, "ArtifactApi.get_artifact", *where, "1")["digest"] == artifact["digest"]
    tags = data(harbor, "ArtifactApi.list_tags", *where, artifact["digest"])
    assert [tag["name"] for tag in tags] == ["1"]
    harbor.call("RepositoryApi.delete_repository", *where)
    assert refused(harbor, "RepositoryApi.get_repository", *where) == 404


def test_system(harbor: HarborClient) -> None:
    assert data(harbor, "PingApi.get_ping") == "Pong"
    assert data(harbor, "HealthApi.get_health")["status"] == "healthy"
    assert data(harbor, "SysteminfoApi.get_system_info")["harbor_version"].startswith("v2.")
    assert data(harbor, "SysteminfoApi.get_volumes")["storage"][0]["total"] > 0
    assert data(harbor, "StatisticApi.get_statistic")["total_project_count"] >= 1
    assert data(harbor, "PermissionsApi.get_permissions")["project"]


def test_jobs(harbor: HarborClient) -> None:
    parameters = {
        "audit_retention_hour": 9000,
        "dry_run": True,
        "include_event_types": "create_artifact",
    }

    def schedule(kind: str, cron: str = "") -> dict[str, Any]:
        when = model("ScheduleObj", type=kind, cron=cron)
        return model("Schedule", schedule=when, parameters=parameters)

    assert harbor.call("PurgeApi.create_purge_schedule", schedule("Manual"))["status"] == 201
    job = data(harbor, "PurgeApi.get_purge_history", sort="-id")[0]["id"]
    wait_for(
        lambda: data(harbor, "PurgeApi.get_purge_job", job)["job_status"] == "Success", "the run"
    )
    assert data(harbor, "PurgeApi.get_purge_job_log", job)
    (pool,) = data(harbor, "JobserviceApi.get_worker_pools")
    assert isinstance(data(harbor, "JobserviceApi.get_workers", pool["worker_pool_id"]), list)
    assert data(harbor, "JobserviceApi.list_job_queues")
    assert isinstance(data(harbor, "ScheduleApi.list_schedules"), list)
    assert data(harbor, "ScheduleApi.get_schedule_paused", "all") == {"paused": False}
