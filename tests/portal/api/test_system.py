"""/ping, /health, the paths that do not exist, and what stands on every answer."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.principals import Principal
from portal.api import users
from portal.api.base import Anyone, Deny
from portal.api.endpoint import Endpoint
from tests.portal.api.conftest import Caller, error_of, told

Callers = Callable[[str], Caller]


@pytest.mark.django_db
class TestAlive:
    def test_ping_says_pong(self, client: Client) -> None:
        response = client.get("/api/v2.0/ping")
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/plain")
        assert response.content.strip() == b"Pong"

    def test_health_names_the_components(self, client: Client) -> None:
        health = told(client.get("/api/v2.0/health"))
        assert health["status"] in {"healthy", "unhealthy"}
        assert {"name", "status"} <= set(health["components"][0])

    @pytest.mark.parametrize("path", ["ping", "health"])
    def test_credentials_are_not_looked_at(self, client: Client, path: str) -> None:
        response = client.get(f"/api/v2.0/{path}", headers={"Authorization": "Basic !"})
        assert response.status_code == 200

    @pytest.mark.parametrize("path", ["ping", "health"])
    def test_other_methods(self, client: Client, path: str) -> None:
        response = client.post(f"/api/v2.0/{path}")
        assert response.status_code == 405
        assert error_of(response)[0] == "METHOD_NOT_ALLOWED"


class TestUnknownPaths:
    @pytest.mark.parametrize(
        "path", ["", "v2.0", "v2.0/", "v1.0/projects", "v2.0/projects/", "v2.0/ping/x", "../x"]
    )
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_are_404_in_json(self, path: str, method: str) -> None:
        response = Client(enforce_csrf_checks=True).generic(method, f"/api/{path}")
        assert response.status_code == 404
        assert error_of(response)[0] == "NOT_FOUND"


@pytest.mark.django_db
class TestEveryAnswer:
    @pytest.mark.parametrize("path", ["ping", "projects", "users/current", "nothing"])
    def test_headers(self, client: Client, path: str) -> None:
        response = client.get(f"/api/v2.0/{path}")
        assert len(response["X-Request-Id"]) == 32
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Cache-Control"] == "no-store"

    def test_json_whatever_is_asked_for(self, caller: Callers) -> None:
        response = caller("").get("projects?format=xml", Accept="text/html")
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"


class Unguarded(Endpoint):
    """An endpoint whose author forgot to say who may use it."""

    permissions = {"GET": Anyone}

    def post(self, request: object) -> None:
        """Never reached."""
        raise AssertionError


@pytest.mark.django_db
class TestDefaultDeny:
    def test_an_endpoint_without_a_permission_answers_nobody(
        self, rf: object, cast: object
    ) -> None:
        request = rf.post("/", HTTP_AUTHORIZATION="Basic YWRtaW46YWRtaW4tcGFzc3dvcmQtMTI=")  # type: ignore[attr-defined]
        assert Unguarded.as_view()(request).status_code == 403
        assert Unguarded.as_view()(rf.post("/")).status_code == 401  # type: ignore[attr-defined]

    def test_the_frameworks_default_is_the_same(self, settings: object) -> None:
        classes = settings.REST_FRAMEWORK["DEFAULT_PERMISSION_CLASSES"]  # type: ignore[attr-defined]
        assert classes == [f"{Deny.__module__}.{Deny.__name__}"]


@pytest.mark.django_db
def test_a_caller_who_is_no_user_has_no_current_user(
    rf: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = Principal(kind="robot", name="robot")
    monkeypatch.setattr("accounts.credentials.authenticate", lambda header, actor: robot)
    response = users.CurrentUser.as_view()(rf.get("/", HTTP_AUTHORIZATION="Basic x"))  # type: ignore[attr-defined]
    assert response.status_code == 412
