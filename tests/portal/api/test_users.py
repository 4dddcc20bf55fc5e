"""/users."""

from collections.abc import Callable

import pytest

from accounts import configuration
from accounts.models import User
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
