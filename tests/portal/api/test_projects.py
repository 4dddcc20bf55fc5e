"""/projects."""

from collections.abc import Callable

import pytest

from accounts.models import AuditEntry, Project, User
from accounts.roles import Role
from tests.portal.api.conftest import Answer, Caller, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]


def names(response: Answer) -> list[str]:
    """The projects of a list."""
    assert response.status_code == 200, response.content
    return [project["name"] for project in told(response)]


class TestMaking:
    def test_the_maker_becomes_its_administrator(self, caller: Callers) -> None:
        response = caller("bob").post("projects", {"project_name": "tools"})
        project = Project.objects.get(name="tools")
        assert response.status_code == 201
        assert response["Location"] == f"/api/v2.0/projects/{project.pk}"
        assert response.content == b""
        assert project.owner.username == "bob"
        assert not project.is_public
        assert [m.role for m in project.members.all()] == [Role.PROJECT_ADMIN]

    def test_it_is_in_the_audit_with_address_and_request(self, caller: Callers) -> None:
        caller("bob").post(
            "projects", {"project_name": "tools"}, X_Real_IP="192.0.2.7", X_Request_Id="ab" * 16
        )
        entry = AuditEntry.objects.get(action="create_project", resource="tools")
        assert (entry.actor_name, entry.address) == ("bob", "192.0.2.7")
        assert entry.request_id == "ab" * 16

    def test_location_holds_the_name_when_asked(self, caller: Callers) -> None:
        response = caller("bob").post(
            "projects", {"project_name": "tools"}, X_Resource_Name_In_Location="true"
        )
        assert response["Location"] == "/api/v2.0/projects/tools"

    @pytest.mark.parametrize(
        "body",
        [
            {"metadata": {"public": "true"}},
            {"public": True},
            {"public": False, "metadata": {"public": "true"}},
        ],
    )
    def test_public_in_both_forms(self, caller: Callers, body: dict[str, object]) -> None:
        assert caller("bob").post("projects", {"project_name": "p1", **body}).status_code == 201
        assert Project.objects.get(name="p1").is_public

    def test_nulls_of_generated_clients_are_nothing(self, caller: Callers) -> None:
        body = {
            "project_name": "p1",
            "public": None,
            "metadata": None,
            "storage_limit": None,
            "registry_id": None,
        }
        assert caller("bob").post("projects", body).status_code == 201
        assert not Project.objects.get(name="p1").is_public

    def test_storage_limit_is_an_administrators(self, caller: Callers) -> None:
        body = {"storage_limit": 1_000_000}
        caller("bob").post("projects", {"project_name": "p1", **body})
        caller("admin").post("projects", {"project_name": "p2", **body})
        assert Project.objects.get(name="p1").storage_limit == -1
        assert Project.objects.get(name="p2").storage_limit == 1_000_000

    def test_members_that_are_not_the_callers_to_set_are_ignored(self, caller: Callers) -> None:
        body = {
            "project_name": "p1",
            "owner_id": 1,
            "owner": 1,
            "registry_key": "team",
            "is_read_only": True,
            "is_public": True,
            "deleted": True,
            "project_id": 4711,
        }
        assert caller("bob").post("projects", body).status_code == 201
        project = Project.objects.get(name="p1")
        assert project.owner.username == "bob"
        assert project.registry_key == "p1"
        assert not project.is_read_only
        assert not project.is_public
        assert project.pk != 4711

    @pytest.mark.parametrize("name", ["team", "library"])
    def test_a_taken_name_is_a_conflict(self, caller: Callers, name: str) -> None:
        response = caller("mallory").post("projects", {"project_name": name})
        assert response.status_code == 409
        assert error_of(response) == ("CONFLICT", "A project of this name exists.")

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "project_name: This field is required."),
            ({"project_name": None}, "project_name"),
            ({"project_name": ""}, "project_name"),
            ({"project_name": ["a"]}, "project_name"),
            ({"project_name": "Team"}, "lower-case"),
            ({"project_name": "a--b"}, "lower-case"),
            ({"project_name": "a/b"}, "lower-case"),
            ({"project_name": " a"}, "lower-case"),
            ({"project_name": "a\n"}, "lower-case"),
            ({"project_name": "a\0"}, "Null characters"),
            ({"project_name": "\ud800"}, "Surrogate"),
            ({"project_name": "a" * 256}, "255"),
            ({"project_name": "api"}, "reserved"),
            ({"project_name": "x", "storage_limit": "much"}, "storage_limit"),
            ({"project_name": "x", "storage_limit": -2}, "storage_limit"),
            ({"project_name": "x", "storage_limit": 2**63}, "storage_limit"),
            ({"project_name": "x", "storage_limit": 0}, "above 0"),
            ({"project_name": "x", "metadata": {"public": "perhaps"}}, "metadata.public"),
            ({"project_name": "x", "metadata": []}, "metadata"),
            ({"project_name": "x", "metadata": {"prevent_vul": "true"}}, "prevent_vul"),
            ({"project_name": "x", "registry_id": 3}, "no such registry"),
            ([], "dictionary"),
            ("text", "dictionary"),
        ],
    )
    def test_bad_input_is_named(self, caller: Callers, body: object, words: str) -> None:
        before = Project.objects.count()
        response = caller("admin").call("POST", "projects", _json(body))
        assert response.status_code == 400, response.content
        code, message = error_of(response)
        assert code == "BAD_REQUEST"
        assert words in message
        assert Project.objects.count() == before

    @pytest.mark.parametrize("text", ["", "{", "[" * 50_000, '{"project_name": NaN}', "\xff"])
    def test_what_is_no_json_is_refused(self, caller: Callers, text: str) -> None:
        response = caller("bob").call("POST", "projects", text.encode("latin-1"))
        assert response.status_code == 400
        error_of(response)

    def test_a_form_is_no_json(self, caller: Callers) -> None:
        response = caller("bob").call(
            "POST",
            "projects",
            "project_name=x",
            **{"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert response.status_code == 415
        error_of(response)

    def test_a_huge_body_is_refused(self, caller: Callers) -> None:
        response = caller("bob").post("projects", {"project_name": "x" * 1024 * 1024})
        assert response.status_code == 413
        assert error_of(response)[0] == "REQUEST_TOO_LARGE"

    def test_messages_are_english_in_every_browser(self, caller: Callers) -> None:
        response = caller("bob").post(
            "projects", {"project_name": "Team"}, Accept_Language="zh-hant"
        )
        assert "lower-case" in error_of(response)[1]


def _json(body: object) -> object:
    return f'"{body}"' if isinstance(body, str) else body


class TestListing:
    @pytest.mark.parametrize(
        ("username", "expected"),
        [
            ("", ["library"]),
            ("mallory", ["library"]),
            ("carol", ["library", "team"]),
            ("admin", ["library", "team"]),
        ],
    )
    def test_everyone_sees_their_own(
        self, caller: Callers, username: str, expected: list[str]
    ) -> None:
        response = caller(username).get("projects")
        assert names(response) == expected
        assert response["X-Total-Count"] == str(len(expected))
        assert "Link" not in response

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("name=tea", ["team"]),
            ("name=TEA", ["team"]),
            ("name=nothing", []),
            ("public=true", ["library"]),
            ("public=false", ["team"]),
            ("public=1", ["library"]),
            ("public=", ["library", "team"]),
            ("owner=nobody", []),
            ("sort=-name", ["team", "library"]),
            ("sort=name,-creation_time", ["library", "team"]),
            ("q=name=team", ["team"]),
            ("q=name=~ea", ["team"]),
            ("q=name={team%20library}", ["library", "team"]),
            ("q=name={team},name=~x", []),
            ("q=", ["library", "team"]),
            ("name=100%25", []),
        ],
    )
    def test_filters(self, caller: Callers, query: str, expected: list[str]) -> None:
        assert names(caller("admin").get(f"projects?{query}")) == expected

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ("page=0", "page"),
            ("page=-1", "page"),
            ("page=x", "page"),
            ("page=1.0", "page"),
            ("page=%2B1", "page"),
            ("page=1_0", "page"),
            ("page=%EF%BC%91", "page"),
            ("page=99999999999999999999", "page"),
            ("page_size=0", "page_size"),
            ("page_size=101", "page_size"),
            ("public=perhaps", "public"),
            ("sort=password", "sort"),
            ("sort=owner__password", "sort"),
            ("q=owner__password=~a", "q"),
            ("q=password=~a", "q"),
            ("q=nonsense", "q"),
            ("q=name=[a~b]", "q"),
            ("q=name={a", "q"),
            ("name=%00", "name"),
            ("q=name=%00", "q"),
        ],
    )
    def test_what_is_not_understood_is_refused(
        self, caller: Callers, query: str, words: str
    ) -> None:
        response = caller("admin").get(f"projects?{query}")
        assert response.status_code == 400, response.content
        assert words in error_of(response)[1]

    def test_paging_with_links(self, caller: Callers) -> None:
        for number in range(5):
            caller("bob").post("projects", {"project_name": f"p{number}"})
        response = caller("bob").get("projects?name=p&page=2&page_size=2&sort=name")
        assert names(response) == ["p2", "p3"]
        assert response["X-Total-Count"] == "5"
        assert response["Link"] == (
            '</api/v2.0/projects?name=p&sort=name&page=1&page_size=2>; rel="prev", '
            '</api/v2.0/projects?name=p&sort=name&page=3&page_size=2>; rel="next"'
        )
        assert "next" not in caller("bob").get("projects?name=p&page=3&page_size=2")["Link"]

    def test_ten_to_a_page(self, caller: Callers) -> None:
        for number in range(12):
            caller("bob").post("projects", {"project_name": f"p{number}"})
        assert len(names(caller("bob").get("projects"))) == 10
        assert len(names(caller("bob").get("projects?page_size=100"))) == 14

    def test_past_the_end_is_empty(self, caller: Callers) -> None:
        response = caller("admin").get("projects?page=999999999&page_size=100")
        assert names(response) == []
        assert 'page=1&page_size=100>; rel="prev"' in response["Link"]

    def test_the_number_of_queries_does_not_grow(
        self, caller: Callers, django_assert_max_num_queries: Callable[[int], object]
    ) -> None:
        for number in range(8):
            caller("bob").post("projects", {"project_name": f"p{number}"})
        bob = caller("bob")
        bob.get("projects")
        with django_assert_max_num_queries(5):  # type: ignore[attr-defined]
            assert len(names(bob.get("projects"))) == 10


class TestExists:
    def test_a_name_is_needed(self, caller: Callers) -> None:
        assert caller("bob").call("HEAD", "projects").status_code == 400

    @pytest.mark.parametrize(
        ("username", "name", "status"),
        [("", "library", 200), ("mallory", "team", 404), ("bob", "team", 200), ("bob", "te", 404)],
    )
    def test_as_far_as_the_caller_may_know(
        self, caller: Callers, username: str, name: str, status: int
    ) -> None:
        response = caller(username).call("HEAD", f"projects?project_name={name}")
        assert response.status_code == status
        assert response.content == b""


class TestShowing:
    def test_the_contracts_fields(self, caller: Callers) -> None:
        project = Project.objects.get(name="team")
        shown = told(caller("bob").get("projects/team"))
        assert shown.pop("creation_time").endswith("Z")
        assert shown.pop("update_time").endswith("Z")
        assert shown == {
            "project_id": project.pk,
            "owner_id": project.owner_id,
            "owner_name": project.owner.username,
            "name": "team",
            "deleted": False,
            "togglable": False,
            "current_user_role_id": 2,
            "current_user_role_ids": [2],
            "repo_count": 0,
            "metadata": {
                "public": "false",
                "read_only": "false",
                "trash_days": "7",
                "reuse_sys_cve_allowlist": "true",
            },
            "cve_allowlist": {"project_id": project.pk, "items": []},
        }

    def test_who_may_toggle(self, caller: Callers) -> None:
        assert told(caller("alice").get("projects/team"))["togglable"] is True
        admin = told(caller("admin").get("projects/team"))
        assert admin["togglable"] is True

    def test_anyone_sees_a_public_project(self, caller: Callers) -> None:
        shown = told(caller("").get("projects/library"))
        assert shown["metadata"]["public"] == "true"
        assert shown["current_user_role_id"] == 0
        assert shown["current_user_role_ids"] == []

    def test_by_number(self, caller: Callers) -> None:
        project = Project.objects.get(name="team")
        assert told(caller("bob").get(f"projects/{project.pk}"))["name"] == "team"

    def test_a_name_of_digits_needs_the_header(self, caller: Callers) -> None:
        caller("bob").post("projects", {"project_name": "2024"})
        assert caller("bob").get("projects/2024").status_code == 404
        response = caller("bob").get("projects/2024", X_Is_Resource_Name="true")
        assert told(response)["name"] == "2024"
        assert caller("bob").get("projects/2024", X_Is_Resource_Name="so").status_code == 400

    @pytest.mark.parametrize("name", ["{id}", "team"])
    def test_hidden_and_missing_look_alike(self, caller: Callers, name: str) -> None:
        hidden = name.format(id=Project.objects.get(name="team").pk)
        missing = "4711" if name != "team" else "no-such"
        for username, status in (("mallory", 404), ("", 401)):
            first = caller(username).get(f"projects/{hidden}")
            second = caller(username).get(f"projects/{missing}")
            assert first.status_code == second.status_code == status
            assert first.content == second.content
            assert _comparable(first) == _comparable(second)

    @pytest.mark.parametrize("name", ["%00", "99999999999999999999", "%FF", "a%2Fb", "%E0%A5%A9"])
    def test_odd_names_are_just_not_there(self, caller: Callers, name: str) -> None:
        response = caller("admin").get(f"projects/{name}")
        assert response.status_code == 404
        assert error_of(response)[0] == "NOT_FOUND"

    def test_a_deleted_project_is_gone(self, caller: Callers, django_user_model: User) -> None:
        Project.objects.filter(name="team").update(deleted_at="2026-01-01T00:00:00Z")
        assert caller("admin").get("projects/team").status_code == 404
        assert caller("admin").post("projects", {"project_name": "team"}).status_code == 201

    @pytest.mark.parametrize("method", ["PATCH", "POST", "OPTIONS"])
    def test_other_methods(self, caller: Callers, method: str) -> None:
        response = caller("mallory").call(method, "projects/team")
        assert response.status_code == 405
        assert response["Allow"] == "GET, HEAD, PUT, DELETE"
        assert error_of(response)[0] == "METHOD_NOT_ALLOWED"


def _comparable(response: Answer) -> dict[str, str]:
    return {name: value for name, value in response.items() if name != "X-Request-Id"}
