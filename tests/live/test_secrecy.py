"""A stranger hears of a private project what he hears of one that does not exist."""

import re
from typing import Any

import jwt
import pytest
import requests

from tests.live.client import (
    PASSWORD,
    Answer,
    Client,
    Image,
    client,
    digest_of,
    make_project,
    make_user,
    pusher,
    unique,
)
from tests.live.stack import Stack

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def secret(stack: Stack) -> tuple[str, Image]:
    """A private image."""
    name = f"{make_project(stack)}/app"
    return name, pusher(stack, name).push_image(name, "1")


@pytest.fixture(scope="module")
def stranger(stack: Stack) -> str:
    """A user who belongs to nothing."""
    return make_user(stack)


class TestSecrecy:
    @pytest.mark.parametrize("is_known", [True, False])
    def test_tokens(
        self, stack: Stack, secret: tuple[str, Image], stranger: str, *, is_known: bool
    ) -> None:
        told = [
            self._told(stack, name, stranger if is_known else "")
            for name in (secret[0], f"{unique('project')}/app")
        ]
        assert told[0] == told[1]

    @staticmethod
    def _told(stack: Stack, name: str, who: str) -> tuple[Any, ...]:
        answer = stack.get(
            "/service/token",
            params={"service": "moorage", "scope": f"repository:{name}:pull,push,delete"},
            auth=(who, PASSWORD) if who else None,
        )
        body = answer.json()
        claims = jwt.decode(body.pop("token"), options={"verify_signature": False})
        for chance in ("jti", "exp", "nbf", "iat"):
            claims.pop(chance)
        for chance in ("access_token", "issued_at"):
            body.pop(chance)
        assert claims["access"] == []
        headers = {
            key: value
            for key, value in answer.headers.items()
            if key.lower() not in ("date", "x-request-id", "content-length")
        }
        return answer.status_code, body, claims, headers

    @pytest.mark.parametrize("holder", ["nobody", "anonymous", "stranger"])
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "manifests/1"),
            ("HEAD", "manifests/1"),
            ("GET", "manifests/{digest}"),
            ("PUT", "manifests/1"),
            ("DELETE", "manifests/{digest}"),
            ("GET", "blobs/{layer}"),
            ("HEAD", "blobs/{layer}"),
            ("DELETE", "blobs/{layer}"),
            ("POST", "blobs/uploads/"),
            ("POST", "blobs/uploads/?mount={layer}&from={name}"),
            ("PATCH", "blobs/uploads/x"),
            ("PUT", "blobs/uploads/x?digest={layer}"),
            ("GET", "tags/list"),
            ("GET", "referrers/{digest}"),
        ],
    )
    def test_the_registry(
        self,
        stack: Stack,
        secret: tuple[str, Image],
        stranger: str,
        holder: str,
        method: str,
        path: str,
    ) -> None:
        name, image = secret
        nowhere = f"{unique('project')}/app"
        answers = []
        for asked in (name, nowhere):
            asking = self._asking(stack, holder, asked, stranger)
            target = path.format(digest=image.digest, layer=digest_of(image.layer), name=asked)
            body = b"{}" if method in ("PUT", "PATCH", "POST") else None
            answer = asking.ask(method, f"/v2/{asked}/{target}", body)
            answers.append(_comparable(answer, asked))
        assert answers[0] == answers[1]
        assert " 401 " in answers[0] or " 405 " in answers[0]

    @staticmethod
    def _asking(stack: Stack, holder: str, name: str, stranger: str) -> Client:
        scope = f"repository:{name}:pull,push,delete"
        if holder == "nobody":
            return Client(stack.port)
        return client(stack, scope, "" if holder == "anonymous" else stranger, PASSWORD)

    def test_the_catalogue(self, stack: Stack, secret: tuple[str, Image], stranger: str) -> None:
        for who in ("", stranger):
            asking = client(stack, "registry:catalog:*", who, PASSWORD)
            listed = asking.ask("GET", "/v2/_catalog")
            assert listed.status == 200
            assert secret[0] not in listed.json["repositories"]

    @pytest.mark.parametrize("is_known", [True, False])
    def test_the_api(
        self, stack: Stack, secret: tuple[str, Image], stranger: str, *, is_known: bool
    ) -> None:
        who = (stranger, PASSWORD) if is_known else None
        names = (secret[0].partition("/")[0], unique("project"))
        for path in ("/projects/{}", "/projects?name={}"):
            told = [
                _page(stack.get("/api/v2.0" + path.format(name), auth=who), name) for name in names
            ]
            assert told[0] == told[1], path
        heads = {
            stack.request("HEAD", f"/api/v2.0/projects?project_name={name}", auth=who).status_code
            for name in names
        }
        assert heads == {404}

    @pytest.mark.parametrize("is_known", [True, False])
    def test_the_pages(
        self, stack: Stack, secret: tuple[str, Image], stranger: str, *, is_known: bool
    ) -> None:
        browser = _browser(stack, stranger if is_known else "")
        for path in ("", "/app", "/app/-/tags/1", f"/app/-/images/{secret[1].digest}"):
            told = []
            for project in (secret[0].partition("/")[0], unique("project")):
                answer = browser.get(f"{stack.url}/p/{project}{path}", allow_redirects=False)
                assert answer.status_code in (302, 404)
                told.append(_page(answer, project))
            assert told[0] == told[1], path


def _browser(stack: Stack, username: str) -> requests.Session:
    """Return a browser, signed in where a username is given."""
    browser = requests.Session()
    browser.trust_env = False
    if username:
        page = browser.get(f"{stack.url}/account/sign-in").text
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found is not None
        form = {"username": username, "password": PASSWORD, "csrfmiddlewaretoken": found[1]}
        signed_in = browser.post(f"{stack.url}/account/sign-in", form, allow_redirects=False)
        assert signed_in.status_code == 302, signed_in.text
    return browser


def _page(answer: requests.Response, project: str) -> str:
    """Return all that an answer says, without what differs from one answer to the next."""
    text = f"{answer.status_code} {answer.headers.get('Location')} {answer.text}"
    text = re.sub(r'value="[A-Za-z0-9]{64}"|"X-CSRFToken": ?"[^"]+"|[0-9a-f]{32}', "", text)
    return text.replace(project, "PROJECT")


def _comparable(answer: Answer, name: str) -> str:
    headers = [
        f"{key}: {value}"
        for key, value in answer.headers.items()
        if key.lower() not in ("date", "x-request-id")
    ]
    text = f"status {answer.status} {headers} {answer.body!r}".replace(name, "NAME")
    # The registry names the actions in any order.
    return text.replace("push,pull", "pull,push")
