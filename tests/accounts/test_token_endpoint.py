"""/service/token, as docker, containerd and their attackers call it."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from django.test import Client

from accounts import docker_tokens
from accounts.models import Project, User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cast", "keys")]
URL = "/service/token"


def basic(username: str, password: str = "") -> dict[str, str]:
    """Headers of somebody of the cast."""
    text = f"{username}:{password or username + '-password-12'}"
    return {"Authorization": "Basic " + b64encode(text.encode()).decode()}


def ask(*scopes: str, username: str = "", **parameters: str) -> Any:
    """GET a token for these scopes."""
    query = urlencode([*(("scope", scope) for scope in scopes), *parameters.items()])
    return Client().get(f"{URL}?{query}", headers=basic(username) if username else {})


def access(response: Any) -> list[dict[str, Any]]:
    """What the token gives."""
    assert response.status_code == 200, response.content
    claims = jwt.decode(response.json()["token"], options={"verify_signature": False})
    given: list[dict[str, Any]] = claims["access"]
    return given


class TestGet:
    def test_what_docker_reads(self) -> None:
        response = ask("repository:team/app:pull,push", username="bob", service="moorage")
        body = response.json()
        assert body["token"] == body["access_token"]
        assert body["expires_in"] == 900
        assert body["issued_at"].endswith("Z")
        assert response["Cache-Control"] == "no-store"
        assert docker_tokens.verify(body["token"]).principal.name == "bob"

    def test_pull_tokens_are_short(self) -> None:
        assert ask("repository:team/app:pull", username="bob").json()["expires_in"] == 300
        assert ask("repository:team/app:pull,push", username="carol").json()["expires_in"] == 300

    def test_login_asks_for_nothing(self) -> None:
        assert access(ask(username="bob", account="bob", client_id="docker")) == []

    def test_requested_and_permitted_only(self) -> None:
        response = ask("repository:team/app:pull,push,delete,*,fly", username="carol")
        assert access(response) == [{"type": "repository", "name": "team/app", "actions": ["pull"]}]

    def test_repeated_and_space_separated_scopes(self) -> None:
        response = ask(
            "repository:team/a:pull repository:library/b:pull",
            "repository:team/c:push",
            "repository:team/a:push",
            username="bob",
        )
        given = {entry["name"]: entry["actions"] for entry in access(response)}
        assert given == {"team/a": ["pull", "push"], "library/b": ["pull"], "team/c": ["push"]}

    def test_a_class_and_a_port(self) -> None:
        assert access(ask("repository(plugin):team/app:pull", username="bob"))
        assert access(ask("repository:host:5000/team/app:pull", username="bob")) == []

    @pytest.mark.parametrize(
        "scope",
        [
            "",
            "garbage",
            "repository",
            "a:b",
            "::",
            "repository::",
            "repository:team/app",
            "\0",
            "%",
        ],
    )
    def test_garbage_is_an_empty_token(self, scope: str) -> None:
        assert access(ask(scope, username="bob")) == []

    def test_a_flood_of_scopes(self) -> None:
        response = Client().get(
            URL, {"scope": " ".join(f"repository:team/a{n}:pull" for n in range(999))}
        )
        assert access(response) == []
        many = "&".join(f"scope=repository:team/a{n}:pull" for n in range(2000))
        assert Client().get(f"{URL}?{many}").status_code in {200, 400}

    @pytest.mark.parametrize("service", ["other", "", "MOORAGE", "moorage\0"])
    def test_another_service(self, service: str) -> None:
        response = ask(service=service, username="bob")
        assert response.status_code == 400
        assert response.json()["errors"][0]["code"] == "BAD_REQUEST"

    def test_the_account_parameter_is_nobody(self) -> None:
        response = ask("repository:team/app:pull", account="alice")
        claims = jwt.decode(response.json()["token"], options={"verify_signature": False})
        assert claims["sub"] == ""
        assert claims["access"] == []


class TestStrangers:
    def test_public_pull(self) -> None:
        response = ask("repository:library/app:pull,push")
        assert access(response) == [
            {"type": "repository", "name": "library/app", "actions": ["pull"]}
        ]

    @pytest.mark.parametrize("username", ["", "mallory"])
    def test_hidden_and_missing_look_alike(self, username: str) -> None:
        answers = []
        for project in ("team", "gone"):
            response = ask(f"repository:{project}/app:pull,push,delete", username=username)
            body = response.json()
            claims = jwt.decode(body["token"], options={"verify_signature": False})
            for name in ("iat", "nbf", "exp", "jti"):
                claims.pop(name)
            sizes = len(body["token"]), sorted(body), response.status_code
            answers.append((claims, sizes, body["expires_in"]))
        assert answers[0] == answers[1]
        assert answers[0][0]["access"] == []

    def test_a_deleted_project_gives_nothing(self) -> None:
        Project.objects.filter(name="team").update(deleted_at="2026-01-01T00:00:00Z")
        assert access(ask("repository:team/app:pull", username="alice")) == []


class TestCredentials:
    @pytest.mark.parametrize(
        "header", ["Basic", "Basic !!!", "Basic \xe9", "Basic Ym9i", "Bearer x", "x", "Basic AAA="]
    )
    def test_malformed(self, header: str) -> None:
        response = Client().get(URL, headers={"Authorization": header})
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == 'Basic realm="Moorage"'

    def test_unknown_wrong_and_disabled_are_one_answer(self) -> None:
        User.objects.filter(username="carol").update(is_active=False)
        answers = [
            Client().get(URL, headers=basic(*who))
            for who in (("bob", "wrong"), ("nobody", "wrong"), ("carol", ""))
        ]
        assert {a.status_code for a in answers} == {401}
        assert len({a.content for a in answers}) == 1
        assert answers[0].json()["errors"][0]["code"] == "UNAUTHORIZED"

    def test_wrong_credentials_get_no_public_token(self) -> None:
        response = Client().get(
            f"{URL}?scope=repository:library/app:pull", headers=basic("bob", "wrong")
        )
        assert response.status_code == 401

    def test_guessing_is_slowed_down(self) -> None:
        for _ in range(5):
            Client().get(URL, headers=basic("bob", "wrong"))
        response = Client().get(URL, headers=basic("bob", "guess"))
        assert response.status_code == 429
        assert int(response["Retry-After"]) >= 1

    @pytest.mark.parametrize(
        "password", ["Harbor12345", "admin", "password", "moorage", "changeme"]
    )
    def test_there_is_no_password_to_know(self, password: str) -> None:
        assert Client().get(URL, headers=basic("admin", password)).status_code == 401


class TestPost:
    @pytest.fixture
    def post(self, client: Client) -> Callable[..., Any]:
        """Return a function that posts a form, as containerd does."""

        def send(**fields: str) -> Any:
            form = {
                "grant_type": "password",
                "service": "moorage",
                "client_id": "containerd-client",
                "username": "bob",
                "password": "bob-password-12",
                "scope": "repository:team/app:pull,push",
                **fields,
            }
            return client.post(
                URL, urlencode(form), content_type="application/x-www-form-urlencoded"
            )

        return send

    def test_containerd(self, post: Callable[..., Any]) -> None:
        assert access(post()) == [
            {"type": "repository", "name": "team/app", "actions": ["pull", "push"]}
        ]

    @pytest.mark.parametrize("grant_type", ["", "refresh_token", "client_credentials"])
    def test_other_grants(self, post: Callable[..., Any], grant_type: str) -> None:
        assert post(grant_type=grant_type).status_code == 400

    @pytest.mark.parametrize("username", ["", "nobody", "bo\0b", "b" * 3000])
    def test_unknown(self, post: Callable[..., Any], username: str) -> None:
        assert post(username=username).status_code == 401

    @pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x"])
    def test_no_form(self, client: Client, content_type: str) -> None:
        response = client.post(URL, b"grant_type=password", content_type=content_type)
        assert response.status_code == 400

    def test_no_csrf_token_is_asked_for(self) -> None:
        form = urlencode(
            {"grant_type": "password", "username": "bob", "password": "bob-password-12"}
        )
        response = Client(enforce_csrf_checks=True).post(
            URL, form, content_type="application/x-www-form-urlencoded"
        )
        assert response.status_code == 200

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    def test_other_methods(self, client: Client, method: str) -> None:
        assert client.generic(method, URL).status_code == 405
