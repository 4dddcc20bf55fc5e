"""/users/current/tokens, and what a token does at the API's door."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import access, docker_tokens, personal_tokens, scopes, users
from accounts.credentials import principal_of_user
from accounts.crypto import ensure_keys
from accounts.models import AuditEntry, PersonalToken, User
from accounts.principals import SYSTEM_ACTOR
from tests.portal.api.conftest import Caller, basic, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
TOKENS = "users/current/tokens"


def secret_of(user: User, *wanted: str) -> str:
    """Make a token and return its secret."""
    _token, secret = personal_tokens.create(
        user, name="laptop", scopes=list(wanted), actor=SYSTEM_ACTOR
    )
    return secret


class TestMaking:
    def test_the_secret_is_shown_once(self, caller: Callers) -> None:
        response = caller("bob").post(TOKENS, {"name": "laptop", "scopes": ["api:read"]})
        assert response.status_code == 201
        made = told(response)
        assert made["secret"].startswith(made["hint"])
        (listed,) = told(caller("bob").get(TOKENS))
        assert listed == {name: value for name, value in made.items() if name != "secret"}
        assert made["secret"] not in str(list(AuditEntry.objects.values()))

    @pytest.mark.parametrize(("duration", "days"), [(None, 90), (7, 7), (-1, None)])
    def test_how_long_it_works(
        self, caller: Callers, duration: int | None, days: int | None
    ) -> None:
        body = {"name": "laptop", "scopes": ["api:read"], "duration": duration}
        shown = told(caller("bob").post(TOKENS, body))
        token = PersonalToken.objects.get()
        lasts = token.expires_at - token.created_at if token.expires_at else None
        assert (lasts.total_seconds() if lasts else None) == pytest.approx(
            days * 86400 if days else None, abs=2
        )
        assert (shown["expires_at"] == -1) is (days is None)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "name"),
            ({"name": "x"}, "scopes"),
            ({"name": "x", "scopes": []}, "Choose"),
            ({"name": "x", "scopes": ["root"]}, "Choose"),
            ({"name": "x", "scopes": "api:read"}, "scopes"),
            ({"name": "x", "scopes": ["api:read"], "duration": 0}, "days"),
            ({"name": "x", "scopes": ["api:read"], "duration": 99999}, "duration"),
        ],
    )
    def test_bad_input_is_named(self, caller: Callers, body: dict[str, Any], words: str) -> None:
        response = caller("bob").post(TOKENS, body)
        assert response.status_code == 400
        assert words in error_of(response)[1]

    def test_a_token_makes_no_other(self, caller: Callers, bob: User) -> None:
        header = f"Bearer {secret_of(bob, 'api:read', 'api:write')}"
        body = {"name": "wider", "scopes": list(personal_tokens.SCOPES), "duration": -1}
        response = caller("").post(TOKENS, body, Authorization=header)
        assert response.status_code == 403
        assert "personal token cannot" in error_of(response)[1]
        for path, wanted in (
            ("password", {"old_password": "x", "new_password": "a password of their own"}),
            ("cli_secret", {}),
        ):
            sent = caller("").call("PUT", f"users/{bob.pk}/{path}", wanted, Authorization=header)
            assert sent.status_code == 403


class TestRevoking:
    def test_at_once(self, caller: Callers, bob: User) -> None:
        secret = secret_of(bob, "api:read")
        token = PersonalToken.objects.get()
        assert caller("bob").call("DELETE", f"{TOKENS}/{token.pk}").status_code == 200
        assert told(caller("bob").get(TOKENS)) == []
        assert caller("").get(TOKENS, Authorization=f"Bearer {secret}").status_code == 401

    def test_anothers_is_not_there(self, caller: Callers, alice: User) -> None:
        secret_of(alice, "api:read")
        token = PersonalToken.objects.get()
        response = caller("bob").call("DELETE", f"{TOKENS}/{token.pk}")
        assert response.status_code == 404
        missing = caller("bob").call("DELETE", f"{TOKENS}/999999")
        assert response.content == missing.content
        token.refresh_from_db()
        assert token.revoked_at is None

    def test_not_even_by_an_administrator(self, caller: Callers, alice: User) -> None:
        secret_of(alice, "api:read")
        assert told(caller("admin").get(TOKENS)) == []


class TestScopes:
    def test_reading_needs_read(self, caller: Callers, alice: User) -> None:
        header = f"Bearer {secret_of(alice, 'registry:pull', 'api:write')}"
        response = caller("").get("projects/team", Authorization=header)
        assert response.status_code == 403
        assert "api:read" in error_of(response)[1]

    def test_changing_needs_write(self, caller: Callers, alice: User) -> None:
        body = {"metadata": {"public": "true"}}
        reading = f"Bearer {secret_of(alice, 'api:read')}"
        writing = f"Bearer {secret_of(alice, 'api:write')}"
        for header, status in ((reading, 403), (writing, 200)):
            response = caller("").call("PUT", "projects/team", body, Authorization=header)
            assert response.status_code == status

    def test_in_place_of_the_password_too(self, caller: Callers, alice: User) -> None:
        header = basic("alice", secret_of(alice, "api:read"))
        assert caller("").get("projects/team", Authorization=header).status_code == 200
        response = caller("").call("DELETE", "projects/team", Authorization=header)
        assert response.status_code == 403

    def test_never_more_than_its_owner(self, caller: Callers, carol: User) -> None:
        header = f"Bearer {secret_of(carol, *personal_tokens.SCOPES)}"
        response = caller("").call("DELETE", "projects/team", Authorization=header)
        assert response.status_code == 403


class TestDoor:
    def test_a_disabled_users_token_stops_at_once(self, caller: Callers, bob: User) -> None:
        header = f"bearer {secret_of(bob, 'api:read')}"
        assert caller("").get("users/current", Authorization=header).status_code == 200
        users.set_active(bob, is_active=False, actor=SYSTEM_ACTOR)
        assert caller("").get("users/current", Authorization=header).status_code == 401

    def test_a_registry_token_opens_nothing_here(
        self, client: Client, alice: User, settings: Settings
    ) -> None:
        ensure_keys(settings.MOORAGE_KEYS)
        principal = principal_of_user(alice)
        grants = access.granted(principal, scopes.parse(["repository:team/app:pull,push"]))
        token = docker_tokens.issue(principal, grants, lifetime=300)
        header = {"Authorization": f"Bearer {token}"}
        for path in ("users/current", "projects", "projects/library"):
            assert client.get(f"/api/v2.0/{path}", headers=header).status_code == 401

    def test_needs_no_csrf_token(self, bob: User) -> None:
        client = Client(enforce_csrf_checks=True)
        header = {"Authorization": f"Bearer {secret_of(bob, 'api:write')}"}
        response = client.post(
            "/api/v2.0/projects", {"project_name": "tools"}, "application/json", headers=header
        )
        assert response.status_code == 201
