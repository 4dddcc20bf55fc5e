"""/users."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts import configuration, users
from accounts.models import PersonalToken, Project, User
from accounts.principals import SYSTEM_ACTOR
from tests.portal.api.conftest import Caller, basic, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
GOOD = {"username": "dora", "password": "a password of her own"}


class TestMaking:
    def test_an_administrator_makes_a_user(self, caller: Callers) -> None:
        body = {**GOOD, "email": "dora@example.com", "realname": "Dora", "comment": "new"}
        response = caller("admin").post("users", body)
        user = User.objects.get(username="dora")
        assert response.status_code == 201
        assert response["Location"] == f"/api/v2.0/users/{user.pk}"
        assert (user.email, user.realname, user.comment) == ("dora@example.com", "Dora", "new")
        assert b"own" not in response.content

    def test_who_can_sign_in_at_once(self, caller: Callers) -> None:
        caller("admin").post("users", GOOD)
        header = basic("dora", GOOD["password"])
        shown = told(caller("").get("users/current", Authorization=header))
        assert shown["username"] == "dora"

    def test_nobody_becomes_an_administrator_by_the_way(self, caller: Callers) -> None:
        body = {
            **GOOD,
            "sysadmin_flag": True,
            "has_admin_role": True,
            "is_administrator": True,
            "admin_role_in_auth": True,
            "is_active": False,
            "auth_epoch": 99,
            "user_id": 1,
        }
        assert caller("admin").post("users", body).status_code == 201
        user = User.objects.get(username="dora")
        assert not user.is_administrator
        assert user.is_active
        assert user.auth_epoch == 1

    @pytest.mark.parametrize(
        "body", [{"username": "bob"}, {"username": "BOB"}, {"email": "taken@example.com"}]
    )
    def test_a_taken_name_or_address_is_a_conflict(
        self, caller: Callers, body: dict[str, str]
    ) -> None:
        User.objects.filter(username="bob").update(email="taken@example.com")
        response = caller("admin").post("users", {**GOOD, **body})
        assert response.status_code == 409
        assert error_of(response)[0] == "CONFLICT"

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"username": ""}, "username"),
            ({"username": "a/b"}, "lower-case"),
            ({"username": "robot$x"}, "lower-case"),
            ({"username": "a\0b"}, "Null"),
            ({"username": "-a"}, "begin and end"),
            ({"username": "a" * 256}, "255"),
            ({"password": ""}, "password"),
            ({"password": "short"}, "too short"),
            ({"password": "password1234"}, "too common"),
            ({"password": "x1Z" * 342}, "too long"),
            ({"password": None}, "password"),
            ({"password": ["a password in a list"]}, "password"),
            ({"email": "not an address"}, "email"),
            ({"realname": "x" * 256}, "realname"),
            ({"comment": {"a": 1}}, "comment"),
        ],
    )
    def test_bad_input_is_named(self, caller: Callers, body: dict[str, object], words: str) -> None:
        before = User.objects.count()
        response = caller("admin").post("users", {**GOOD, **body})
        assert response.status_code == 400, response.content
        message = error_of(response)[1]
        assert words in message
        assert GOOD["password"] not in message
        assert User.objects.count() == before

    def test_only_an_administrator(self, caller: Callers) -> None:
        response = caller("alice").post("users", GOOD)
        assert response.status_code == 403
        assert error_of(response) == ("FORBIDDEN", "Only an administrator may do this.")

    def test_strangers_register_where_they_may(self, caller: Callers) -> None:
        body = {**GOOD, "has_admin_role": True, "sysadmin_flag": True, "is_superuser": True}
        assert caller("").post("users", body).status_code == 401
        configuration.update({"self_registration": True}, actor=SYSTEM_ACTOR)
        assert caller("").post("users", body).status_code == 201
        assert not User.objects.get(username="dora").is_administrator
        assert caller("alice").post("users", {**GOOD, "username": "eve"}).status_code == 403


class TestCurrent:
    def test_the_contracts_fields(self, caller: Callers) -> None:
        user = User.objects.get(username="bob")
        shown = told(caller("bob").get("users/current"))
        assert shown.pop("creation_time").endswith("Z")
        assert shown.pop("update_time").endswith("Z")
        assert shown == {
            "user_id": user.pk,
            "username": "bob",
            "email": user.email,
            "realname": user.realname,
            "comment": user.comment,
            "sysadmin_flag": False,
            "admin_role_in_auth": False,
        }

    def test_an_administrators_flag(self, caller: Callers) -> None:
        assert told(caller("admin").get("users/current"))["sysadmin_flag"] is True

    def test_a_stranger_is_asked_to_sign_in(self, caller: Callers) -> None:
        response = caller("").get("users/current")
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == 'Basic realm="Moorage"'
        assert error_of(response)[0] == "UNAUTHORIZED"


class TestListing:
    def test_for_administrators(self, caller: Callers, bob: User) -> None:
        response = caller("admin").get("users?sort=-username&page_size=2")
        assert [row["username"] for row in told(response)] == ["mallory", "carol"]
        assert response["X-Total-Count"] == "5"
        assert caller("bob").get("users").status_code == 403

    def test_filters(self, caller: Callers) -> None:
        listed = told(caller("admin").get("users?q=username=~AL,email=~example"))
        assert [row["username"] for row in listed] == ["alice", "mallory"]

    @pytest.mark.parametrize(
        "query",
        [
            "q=password=~argon2",
            "q=password__startswith=a",
            "q=username__regex=a",
            "q=auth_epoch=1",
            "q=_connector=OR",
            "sort=password",
            "sort=memberships__role",
            "sort=username;select pg_sleep(3)--",
            "page_size=1);--",
            "page_size=101",
        ],
    )
    def test_nothing_but_the_fields_it_names(self, caller: Callers, query: str) -> None:
        assert caller("admin").get(f"users?{query}").status_code == 400

    def test_the_deleted_are_gone(self, caller: Callers, bob: User) -> None:
        users.remove(bob, actor=SYSTEM_ACTOR)
        listed = told(caller("admin").get("users"))
        assert "bob" not in str(listed)
        assert caller("admin").get(f"users/{bob.pk}").status_code == 404


class TestSearching:
    def test_everyone_finds_a_whole_name(self, caller: Callers, bob: User) -> None:
        assert told(caller("mallory").get("users/search?username=BOB")) == [
            {"user_id": bob.pk, "username": "bob"}
        ]
        for part in ("bo", "b_b", "%25"):
            assert told(caller("mallory").get(f"users/search?username={part}")) == []

    def test_an_administrator_finds_a_part(self, caller: Callers) -> None:
        listed = told(caller("admin").get("users/search?username=al"))
        assert [row["username"] for row in listed] == ["alice", "mallory"]
        assert told(caller("admin").get("users/search?username=%25")) == []

    def test_a_name_is_needed(self, caller: Callers) -> None:
        assert caller("admin").get("users/search").status_code == 400


class TestOne:
    def test_oneself_and_for_administrators(self, caller: Callers, bob: User) -> None:
        path = f"users/{bob.pk}"
        for username in ("bob", "admin"):
            assert told(caller(username).get(path))["username"] == "bob"
        hidden, missing = caller("mallory").get(path), caller("mallory").get("users/999999")
        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content

    @pytest.mark.parametrize("number", ["0", str(2**63), "9" * 30])
    def test_odd_numbers_are_just_not_there(self, caller: Callers, number: str) -> None:
        assert caller("admin").get(f"users/{number}").status_code == 404

    def test_a_profile(self, caller: Callers, bob: User) -> None:
        body = {
            "realname": "Bob B.",
            "comment": None,
            "sysadmin_flag": True,
            "is_administrator": True,
            "username": "root",
            "password": "a password of their own",
            "auth_epoch": 99,
            "user_id": 1,
        }
        assert caller("bob").call("PUT", f"users/{bob.pk}", body).status_code == 200
        changed = User.objects.get(pk=bob.pk)
        assert (changed.realname, changed.username) == ("Bob B.", "bob")
        assert not changed.is_administrator
        assert (changed.password, changed.auth_epoch) == (bob.password, bob.auth_epoch)

    def test_nobody_changes_anothers_address(self, caller: Callers, alice: User) -> None:
        response = caller("bob").call("PUT", f"users/{alice.pk}", {"email": "evil@example.com"})
        assert response.status_code == 404
        alice.refresh_from_db()
        assert alice.email == "alice@example.com"

    def test_ones_own_takes_the_password(self, bob: User, caller: Callers) -> None:
        path, body = f"/api/v2.0/users/{bob.pk}", {"email": "b@example.com"}
        browser = Client()
        browser.force_login(bob)
        session = browser.session
        session["auth_epoch"] = bob.auth_epoch
        session.save()
        assert browser.put(path, body, "application/json").status_code == 403
        right = {**body, "current_password": "bob-password-12"}
        assert browser.put(path, right, "application/json").status_code == 200
        # By Basic it is in the request already.
        assert caller("bob").call("PUT", path, {"email": "bo@example.com"}).status_code == 200

    def test_a_taken_address_is_a_conflict(self, caller: Callers, bob: User) -> None:
        body = {"email": "alice@example.com"}
        assert caller("bob").call("PUT", f"users/{bob.pk}", body).status_code == 409

    def test_deleting(self, caller: Callers, bob: User) -> None:
        assert caller("alice").call("DELETE", f"users/{bob.pk}").status_code == 403
        assert caller("admin").call("DELETE", f"users/{bob.pk}").status_code == 200
        assert caller("bob").get("users/current").status_code == 401
        assert caller("admin").call("DELETE", f"users/{bob.pk}").status_code == 404

    def test_nobody_deletes_themselves(self, caller: Callers, admin: User) -> None:
        assert caller("admin").call("DELETE", f"users/{admin.pk}").status_code == 403


class TestPassword:
    def test_ones_own_with_the_old_one(self, caller: Callers, bob: User) -> None:
        path = f"users/{bob.pk}/password"
        body = {"old_password": "wrong", "new_password": "a password of their own"}
        assert caller("bob").call("PUT", path, body).status_code == 403
        body["old_password"] = "bob-password-12"
        assert caller("bob").call("PUT", path, body).status_code == 200
        assert caller("bob").get("users/current").status_code == 401

    def test_an_administrators_own_too(self, caller: Callers, admin: User) -> None:
        body = {"new_password": "a password of their own"}
        assert caller("admin").call("PUT", f"users/{admin.pk}/password", body).status_code == 403

    def test_an_administrator_sets_anothers(self, caller: Callers, bob: User) -> None:
        path, body = f"users/{bob.pk}/password", {"new_password": "a password of their own"}
        assert caller("alice").call("PUT", path, body).status_code == 404
        assert caller("admin").call("PUT", path, body).status_code == 200
        header = basic("bob", "a password of their own")
        assert caller("").get("users/current", Authorization=header).status_code == 200

    def test_a_bad_one_is_named_and_not_repeated(self, caller: Callers, bob: User) -> None:
        body = {"new_password": "bob-bob"}
        response = caller("admin").call("PUT", f"users/{bob.pk}/password", body)
        assert response.status_code == 400
        assert "too short" in error_of(response)[1]
        assert "bob-bob" not in error_of(response)[1]


class TestAdministrator:
    def test_promoted_and_demoted(self, caller: Callers, bob: User) -> None:
        path = f"users/{bob.pk}/sysadmin"
        for flag in (True, False):
            response = caller("admin").call("PUT", path, {"sysadmin_flag": flag})
            assert response.status_code == 200
            assert User.objects.get(pk=bob.pk).is_administrator is flag

    def test_nobody_promotes_themselves(self, caller: Callers, bob: User) -> None:
        path = f"users/{bob.pk}/sysadmin"
        assert caller("bob").call("PUT", path, {"sysadmin_flag": True}).status_code == 403
        assert not User.objects.get(pk=bob.pk).is_administrator

    def test_the_last_one_stays(self, caller: Callers, admin: User) -> None:
        path = f"users/{admin.pk}/sysadmin"
        response = caller("admin").call("PUT", path, {"sysadmin_flag": False})
        assert response.status_code == 412
        assert "last active administrator" in error_of(response)[1]


class TestCLISecret:
    def test_is_a_token_for_the_registry(self, caller: Callers, bob: User) -> None:
        path = f"users/{bob.pk}/cli_secret"
        first = told(caller("bob").call("PUT", path, {"secret": ""}))["secret"]
        second = told(caller("bob").call("PUT", path, {}))["secret"]
        (token,) = PersonalToken.objects.filter(revoked_at=None)
        assert second.startswith(token.hint)
        assert token.scopes == ["registry:delete", "registry:pull", "registry:push"]
        for secret, status in ((first, 401), (second, 403)):
            header = basic("bob", secret)
            response = caller("").get("users/current", Authorization=header)
            assert response.status_code == status

    def test_nobody_chooses_it(self, caller: Callers, bob: User) -> None:
        body = {"secret": "a password of their own"}
        response = caller("bob").call("PUT", f"users/{bob.pk}/cli_secret", body)
        assert response.status_code == 400

    def test_nobody_makes_anothers(self, caller: Callers, bob: User) -> None:
        path = f"users/{bob.pk}/cli_secret"
        assert caller("admin").call("PUT", path, {}).status_code == 403
        assert caller("alice").call("PUT", path, {}).status_code == 404


class TestPermissions:
    def test_in_a_project(self, caller: Callers, team: Project) -> None:
        path = f"users/current/permissions?scope=/project/{team.pk}"
        shown = told(caller("carol").get(f"{path}&relative=true"))
        assert {"resource": "repository", "action": "pull"} in shown
        assert {"resource": ".", "action": "read"} in shown
        assert {"resource": "repository", "action": "push"} not in shown
        whole = told(caller("carol").get(path))
        assert {"resource": f"/project/{team.pk}/repository", "action": "pull"} in whole
        assert {"resource": f"/project/{team.pk}", "action": "read"} in whole

    def test_of_a_hidden_project_there_are_none(self, caller: Callers, team: Project) -> None:
        for scope in (f"/project/{team.pk}", "/project/999999", "/project/x", "", "/"):
            shown = told(caller("mallory").get(f"users/current/permissions?scope={scope}"))
            assert shown == []

    def test_in_the_system(self, caller: Callers) -> None:
        path = "users/current/permissions?scope=/system&relative=true"
        assert {"resource": "user", "action": "list"} in told(caller("admin").get(path))
        assert told(caller("bob").get(path)) == [{"resource": "project", "action": "create"}]
