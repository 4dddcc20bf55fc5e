"""/projects/{name_or_id}/members."""

from collections.abc import Callable

import pytest

from accounts import members, projects
from accounts.models import Project, ProjectMember, User
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role
from tests.portal.api.conftest import Caller, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
TEAM = "projects/team/members"


def member_of(project: Project, username: str) -> ProjectMember:
    """The row of a member."""
    return ProjectMember.objects.get(project=project, user__username=username)


class TestListing:
    def test_the_contracts_fields(self, caller: Callers, team: Project, bob: User) -> None:
        response = caller("carol").get(TEAM)
        assert response["X-Total-Count"] == "3"
        member = member_of(team, "bob")
        assert told(response)[1] == {
            "id": member.pk,
            "project_id": team.pk,
            "entity_name": "bob",
            "role_name": "developer",
            "role_id": 2,
            "entity_id": bob.pk,
            "entity_type": "u",
        }
        assert told(caller("bob").get(f"{TEAM}/{member.pk}")) == told(response)[1]

    def test_by_a_part_of_the_name(self, caller: Callers) -> None:
        listed = told(caller("alice").get(f"{TEAM}?entityname=O"))
        assert [row["entity_name"] for row in listed] == ["bob", "carol"]

    @pytest.mark.parametrize("wild", ["_", "%25", "%5C"])
    def test_a_sign_of_sql_is_just_a_sign(self, caller: Callers, wild: str) -> None:
        assert told(caller("alice").get(f"{TEAM}?entityname={wild}")) == []

    def test_anyone_reads_a_public_project_but_not_its_members(self, caller: Callers) -> None:
        assert caller("mallory").get("projects/library/members").status_code == 403

    def test_a_limited_guest_does_not_list(self, caller: Callers, team: Project) -> None:
        member = member_of(team, "carol")
        members.change_role(member, role=Role.LIMITED_GUEST, actor=SYSTEM_ACTOR)
        assert caller("carol").get(TEAM).status_code == 403


class TestAdding:
    @pytest.mark.parametrize("key", ["username", "user_id"])
    def test_by_name_or_number(
        self, caller: Callers, team: Project, mallory: User, key: str
    ) -> None:
        reference = {"username": "Mallory", "user_id": mallory.pk}[key]
        body = {"role_id": 4, "member_user": {key: reference}}
        response = caller("alice").post(TEAM, body)
        member = member_of(team, "mallory")
        assert response.status_code == 201
        assert response["Location"] == f"/api/v2.0/projects/{team.pk}/members/{member.pk}"
        assert member.role == Role.MAINTAINER

    def test_a_member_is_a_conflict(self, caller: Callers) -> None:
        body = {"role_id": 3, "member_user": {"username": "bob"}}
        response = caller("alice").post(TEAM, body)
        assert response.status_code == 409
        assert error_of(response) == ("CONFLICT", "This user is a member already.")

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"member_user": {"username": "mallory"}}, "role_id"),
            ({"role_id": 0, "member_user": {"username": "mallory"}}, "role_id"),
            ({"role_id": 6, "member_user": {"username": "mallory"}}, "role_id"),
            ({"role_id": 3}, "Name a user"),
            ({"role_id": 3, "member_user": {}}, "Name a user"),
            ({"role_id": 3, "member_user": {"username": "nobody"}}, "no such user"),
            ({"role_id": 3, "member_user": {"username": ""}}, "no such user"),
            ({"role_id": 3, "member_user": {"user_id": 2**63}}, "user_id"),
            ({"role_id": 3, "member_group": {"id": 1}}, "Groups"),
        ],
    )
    def test_bad_input_is_named(self, caller: Callers, body: dict[str, object], words: str) -> None:
        response = caller("alice").post(TEAM, body)
        assert response.status_code == 400
        assert words in error_of(response)[1]

    def test_other_members_are_ignored(self, caller: Callers, team: Project) -> None:
        library = Project.objects.get(name="library")
        body = {
            "role_id": 3,
            "member_user": {"username": "mallory", "is_administrator": True},
            "project_id": library.pk,
            "id": 1,
        }
        assert caller("alice").post(TEAM, body).status_code == 201
        assert member_of(team, "mallory").role == Role.GUEST
        assert not User.objects.get(username="mallory").is_administrator


class TestChanging:
    def test_a_role(self, caller: Callers, team: Project) -> None:
        member = member_of(team, "bob")
        response = caller("alice").call("PUT", f"{TEAM}/{member.pk}", {"role_id": 5})
        assert response.status_code == 200
        assert member_of(team, "bob").role == Role.LIMITED_GUEST

    def test_removing(self, caller: Callers, team: Project) -> None:
        member = member_of(team, "bob")
        assert caller("alice").call("DELETE", f"{TEAM}/{member.pk}").status_code == 200
        assert caller("bob").get("projects/team").status_code == 404

    @pytest.mark.parametrize(("method", "body"), [("PUT", {"role_id": 3}), ("DELETE", None)])
    def test_the_last_administrator_stays(
        self, caller: Callers, team: Project, method: str, body: object
    ) -> None:
        member = member_of(team, "alice")
        response = caller("admin").call(method, f"{TEAM}/{member.pk}", body)
        assert response.status_code == 412
        assert "last administrator" in error_of(response)[1]

    @pytest.mark.parametrize("username", ["bob", "carol"])
    def test_nobody_raises_themselves(self, caller: Callers, team: Project, username: str) -> None:
        member = member_of(team, username)
        response = caller(username).call("PUT", f"{TEAM}/{member.pk}", {"role_id": 1})
        assert response.status_code == 403
        assert member_of(team, username).role != Role.PROJECT_ADMIN

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_a_member_of_another_project_is_not_there(
        self, caller: Callers, team: Project, mallory: User, method: str
    ) -> None:
        projects.create(name="theirs", owner=mallory, actor=SYSTEM_ACTOR)
        member = member_of(team, "bob")
        path = f"projects/theirs/members/{member.pk}"
        response = caller("mallory").call(method, path, {"role_id": 3})
        missing = caller("mallory").call(method, "projects/theirs/members/999999", {"role_id": 3})
        assert response.status_code == 404
        assert response.content == missing.content
        assert member_of(team, "bob").role == Role.DEVELOPER

    @pytest.mark.parametrize("number", ["0", str(2**63), "9" * 30])
    def test_odd_numbers_are_just_not_there(self, caller: Callers, number: str) -> None:
        assert caller("alice").get(f"{TEAM}/{number}").status_code == 404

    def test_other_methods(self, caller: Callers) -> None:
        assert caller("alice").call("PATCH", f"{TEAM}/1").status_code == 405
