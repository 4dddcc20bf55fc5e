"""Changing, renaming and deleting projects; their metadata and figures."""

from collections.abc import Callable

import pytest

from accounts import members
from accounts.models import Project, ProjectAlias, ProjectMember, User
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role
from tests.factories import make_repository, push_image
from tests.portal.api.conftest import Caller, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
TEAM = "projects/team"


def maintain(team: Project, user: User) -> None:
    """Make a member a maintainer."""
    member = ProjectMember.objects.get(project=team, user=user)
    members.change_role(member, role=Role.MAINTAINER, actor=SYSTEM_ACTOR)


class TestChanging:
    def test_switches(self, caller: Callers, team: Project) -> None:
        metadata = {"public": "true", "read_only": "true", "trash_days": "30", "severity": "low"}
        assert caller("alice").call("PUT", TEAM, {"metadata": metadata}).status_code == 200
        team.refresh_from_db()
        assert (team.is_public, team.is_read_only, team.trash_days) == (True, True, 30)

    def test_what_is_not_the_callers_to_set_is_passed_over(
        self, caller: Callers, team: Project
    ) -> None:
        body = {
            "project_name": "other",
            "storage_limit": 5,
            "owner_id": 1,
            "registry_key": "library",
            "deleted_at": "2026-01-01T00:00:00Z",
        }
        before = Project.objects.filter(pk=team.pk).values().get()
        assert caller("alice").call("PUT", TEAM, body).status_code == 200
        assert Project.objects.filter(pk=team.pk).values().get() == before

    def test_an_administrator_sets_the_limit(self, caller: Callers, team: Project) -> None:
        assert caller("admin").call("PUT", TEAM, {"storage_limit": 5000}).status_code == 200
        team.refresh_from_db()
        assert team.storage_limit == 5000

    def test_an_allowlist(self, caller: Callers) -> None:
        items = [{"cve_id": "CVE-2024-3094"}]
        body = {
            "cve_allowlist": {"items": items, "expires_at": 1893456000},
            "metadata": {"reuse_sys_cve_allowlist": "false"},
        }
        assert caller("alice").call("PUT", TEAM, body).status_code == 200
        shown = told(caller("alice").get(TEAM))["cve_allowlist"]
        assert (shown["items"], shown["expires_at"]) == (items, 1893456000)

    def test_the_systems_allowlist_instead_of_its_own(self, caller: Callers, team: Project) -> None:
        systems = [{"cve_id": "CVE-2026-1"}]
        admin = caller("admin")
        assert admin.call("PUT", "system/CVEAllowlist", {"items": systems}).status_code == 200
        own = {"cve_allowlist": {"items": [{"cve_id": "CVE-2024-3094"}]}}
        assert caller("alice").call("PUT", TEAM, own).status_code == 200
        shown = told(caller("alice").get(TEAM))["cve_allowlist"]
        assert (shown["items"], shown["project_id"]) == (systems, team.pk)
        switch = {"reuse_sys_cve_allowlist": "false"}
        path = f"{TEAM}/metadatas/reuse_sys_cve_allowlist"
        assert caller("alice").call("PUT", path, switch).status_code == 200
        shown = told(caller("alice").get(TEAM))["cve_allowlist"]
        assert (shown["items"], shown["project_id"]) == (own["cve_allowlist"]["items"], team.pk)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"metadata": {"public": "yes"}}, "public"),
            ({"metadata": {"trash_days": "many"}}, "trash_days"),
            ({"metadata": {"trash_days": "366"}}, "days in the trash"),
            ({"metadata": {"prevent_vul": "true"}}, "not available"),
            ({"storage_limit": -2}, "storage_limit"),
            ({"cve_allowlist": {"items": [{"cve_id": "<img>"}]}}, "number of a vulnerability"),
        ],
    )
    def test_bad_input_is_named(self, caller: Callers, body: dict[str, object], words: str) -> None:
        response = caller("admin").call("PUT", TEAM, body)
        assert response.status_code == 400
        assert words in error_of(response)[1]

    def test_a_maintainer_publishes_by_no_way(
        self, caller: Callers, team: Project, bob: User
    ) -> None:
        maintain(team, bob)
        body = {"public": "true", "metadata": {"public": "true"}}
        for method, path in (
            ("PUT", TEAM),
            ("PUT", f"{TEAM}/metadatas/public"),
            ("POST", f"{TEAM}/metadatas/"),
            ("DELETE", f"{TEAM}/metadatas/public"),
        ):
            assert caller("bob").call(method, path, body).status_code == 403
        assert not Project.objects.get(pk=team.pk).is_public


class TestMetadata:
    def test_all_and_one(self, caller: Callers) -> None:
        every = {
            "public": "false",
            "read_only": "false",
            "trash_days": "7",
            "reuse_sys_cve_allowlist": "true",
        }
        assert told(caller("alice").get(f"{TEAM}/metadatas/")) == every
        assert told(caller("alice").get(f"{TEAM}/metadatas/public")) == {"public": "false"}
        assert caller("alice").get(f"{TEAM}/metadatas/registry_key").status_code == 404

    def test_changed_and_set_back(self, caller: Callers, team: Project) -> None:
        path = f"{TEAM}/metadatas/trash_days"
        assert caller("alice").call("PUT", path, {"trash_days": "1"}).status_code == 200
        team.refresh_from_db()
        assert team.trash_days == 1
        assert caller("alice").call("DELETE", path).status_code == 200
        team.refresh_from_db()
        assert team.trash_days == 7

    def test_what_still_has_its_default_can_be_added_once(
        self, caller: Callers, team: Project
    ) -> None:
        for path, value in (("metadatas/", "true"), ("metadatas", "false")):
            key = "read_only" if value == "true" else "reuse_sys_cve_allowlist"
            for status in (200, 409):
                answer = caller("alice").post(f"{TEAM}/{path}", {key: value})
                assert answer.status_code == status, answer.content
        team.refresh_from_db()
        assert team.is_read_only
        assert not team.reuses_system_allowlist

    def test_what_is_there_cannot_be_added(self, caller: Callers) -> None:
        response = caller("alice").post(f"{TEAM}/metadatas/", {"public": "true"})
        assert response.status_code == 409
        assert error_of(response)[1] == "public exists; change it with PUT."

    @pytest.mark.parametrize(
        "body",
        [None, [], {}, {"public": True}, {"public": "x"}, {"other": "x"}, {"read_only": "true"}],
    )
    def test_bad_input(self, caller: Callers, team: Project, body: object) -> None:
        response = caller("alice").call("PUT", f"{TEAM}/metadatas/public", body)
        assert response.status_code == 400
        assert not Project.objects.get(pk=team.pk).is_read_only


class TestDeleting:
    def test_an_empty_one(self, caller: Callers) -> None:
        shown = told(caller("alice").get(f"{TEAM}/_deletable"))
        assert shown == {"deletable": True, "message": ""}
        assert caller("alice").call("DELETE", TEAM).status_code == 200
        assert caller("alice").get(TEAM).status_code == 404

    def test_one_with_images_takes_force(self, caller: Callers, team: Project) -> None:
        push_image(make_repository(team))
        shown = told(caller("alice").get(f"{TEAM}/_deletable"))
        assert shown["deletable"] is False
        response = caller("alice").call("DELETE", TEAM)
        assert response.status_code == 412
        assert error_of(response) == ("PRECONDITION", shown["message"])
        assert caller("alice").call("DELETE", f"{TEAM}?force=so").status_code == 400
        assert caller("alice").call("DELETE", f"{TEAM}?force=true").status_code == 200

    def test_force_is_no_right(self, caller: Callers, team: Project, bob: User) -> None:
        maintain(team, bob)
        assert caller("bob").call("DELETE", f"{TEAM}?force=true").status_code == 403


class TestRenaming:
    def test_a_new_name(self, caller: Callers, team: Project) -> None:
        body = {"project_name": "squad", "keep_days": 3}
        response = caller("alice").post(f"{TEAM}/rename", body)
        assert response.status_code == 200
        assert response["Location"] == "/api/v2.0/projects/squad"
        alias = ProjectAlias.objects.get(name="team")
        assert alias.project == team
        assert caller("alice").get(TEAM).status_code == 404

    def test_the_former_name_is_nobodys_meanwhile(self, caller: Callers) -> None:
        caller("alice").post(f"{TEAM}/rename", {"project_name": "squad"})
        response = caller("mallory").post("projects", {"project_name": "team"})
        taken = caller("mallory").post("projects", {"project_name": "library"})
        assert response.status_code == taken.status_code == 409
        assert response.content == taken.content

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 400),
            ({"project_name": "A B"}, 400),
            ({"project_name": "api"}, 400),
            ({"project_name": "squad", "keep_days": -1}, 400),
            ({"project_name": "squad", "keep_days": 366}, 400),
            ({"project_name": "library"}, 409),
        ],
    )
    def test_bad_input(self, caller: Callers, body: dict[str, object], status: int) -> None:
        assert caller("alice").post(f"{TEAM}/rename", body).status_code == status
        assert caller("alice").get(TEAM).status_code == 200


class TestSummary:
    def test_the_contracts_fields(self, caller: Callers, team: Project) -> None:
        push_image(make_repository(team))
        shown = told(caller("carol").get(f"{TEAM}/summary"))
        assert shown.pop("quota")["hard"] == {"storage": -1}
        assert shown == {
            "repo_count": 1,
            "project_admin_count": 1,
            "maintainer_count": 0,
            "developer_count": 1,
            "guest_count": 1,
            "limited_guest_count": 0,
        }

    def test_a_stranger_sees_less_of_a_public_one(self, caller: Callers) -> None:
        shown = told(caller("mallory").get("projects/library/summary"))
        assert shown == {"repo_count": 0}
