"""Registries with an API of their own, each against a local server of the documented shape.

Amazon ECR: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/, with signatures made anew by
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html. Docker Hub:
https://docs.docker.com/reference/api/hub/latest/. Harbor: its API v2.0.
"""

import contextlib
import hashlib
import hmac
import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest
from pytest_django import Settings

from accounts.errors import BadRequest
from registry_sync import remote_registries
from registry_sync.client import amazon, outbound
from registry_sync.client.amazon import AmazonRegistry
from registry_sync.client.docker_hub import DockerHubRegistry
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.harbor import HarborRegistry
from registry_sync.client.managed import ManagedRegistry, UnableError
from registry_sync.remote_registries import Address
from tests.registry_sync.strange_registry import Answer, Asked, Server, served

M = TypeVar("M", bound=ManagedRegistry)
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def server() -> Iterator[Server]:
    """Start one."""
    yield from served()


def made(kind: type[M], url: str, name: str = "", password: str = "") -> M:
    """Return a client that may reach this host."""
    session = outbound.session(outbound.OPERATOR)
    return kind(url, username=name, password=password, session=session)


# --- Amazon ECR -----------------------------------------------------------------------------------


def is_signed(asked: Asked, secret: str) -> bool:
    """Make the signature anew (Signature Version 4) and compare."""
    given = {name.lower(): value for name, value in asked.headers.items()}
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/([^/]+)/([^/]+)/aws4_request, "
        r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
        asked.authorization,
    )
    assert found is not None, asked.authorization
    key, day, region, service, names, signature = found.groups()
    assert (key, service) == (KEY, "ecr")
    headers = "".join(f"{name}:{given[name].strip()}\n" for name in names.split(";"))
    body = hashlib.sha256(asked.body).hexdigest()
    request = f"POST\n/\n\n{headers}\n{names}\n{body}"
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            given["x-amz-date"],
            scope,
            hashlib.sha256(request.encode()).hexdigest(),
        ]
    )
    key_bytes = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key_bytes = hmac.new(key_bytes, part.encode(), hashlib.sha256).digest()
    return hmac.new(key_bytes, text.encode(), hashlib.sha256).hexdigest() == signature


class Ecr:
    """The API and the registry of AWS, at one address."""

    def __init__(self, lasts: float = 12 * 3600) -> None:
        """``lasts``: seconds that a password is good."""
        self.repositories: set[str] = set()
        self.passwords: list[str] = []
        self.lasts = lasts
        self.calls: list[tuple[str, Any]] = []

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/":
            return self._api(asked)
        wanted = f"AWS:{self.passwords[-1]}" if self.passwords else ""
        if asked.authorization != f"Basic {b64encode(wanted.encode()).decode()}":
            return 401, {"WWW-Authenticate": 'Basic realm="ecr",service="ecr.amazonaws.com"'}, b""
        return 200, {}, b"{}"

    def _api(self, asked: Asked) -> Answer:
        if not is_signed(asked, SECRET):
            return self._error("InvalidSignatureException")
        action = asked.headers["X-Amz-Target"].rpartition(".")[2]
        given = json.loads(asked.body)
        self.calls.append((action, given))
        if action == "GetAuthorizationToken":
            self.passwords.append(f"password-{len(self.passwords)}")
            token = b64encode(f"AWS:{self.passwords[-1]}".encode()).decode()
            data = {"authorizationToken": token, "expiresAt": time.time() + self.lasts}
            return self._shown({"authorizationData": [data]})
        names = given.get("repositoryNames") or sorted(self.repositories)
        if action == "CreateRepository":
            if given["repositoryName"] in self.repositories:
                return self._error("RepositoryAlreadyExistsException")
            self.repositories.add(given["repositoryName"])
            return self._shown({})
        if action == "DescribeRepositories":
            if not self.repositories.issuperset(names):
                return self._error("RepositoryNotFoundException")
            begin = int(given.get("nextToken", 0))
            page: dict[str, Any] = {
                "repositories": [{"repositoryName": name} for name in names[begin : begin + 2]]
            }
            if begin + 2 < len(names):
                page["nextToken"] = str(begin + 2)
            return self._shown(page)
        return self._shown({})

    def _shown(self, document: object) -> Answer:
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()

    def _error(self, kind: str) -> Answer:
        return 400, {}, json.dumps({"__type": kind, "message": "no"}).encode()


@pytest.fixture
def ecr(server: Server, monkeypatch: pytest.MonkeyPatch) -> Ecr:
    """Let the server be AWS."""
    there = Ecr()
    server.answer = there.answer
    monkeypatch.setattr(AmazonRegistry, "api", server.url)
    monkeypatch.setattr(amazon, "_passwords", {})
    return there


def test_ecr_signs_in_with_a_password_that_serves_many(server: Server, ecr: Ecr) -> None:
    for _client in range(2):
        made(AmazonRegistry, server.url, KEY, SECRET).ping()
    assert [action for action, _given in ecr.calls] == ["GetAuthorizationToken"]


def test_ecr_has_a_new_password_made_in_time(server: Server, ecr: Ecr) -> None:
    ecr.lasts = 3599
    client = made(AmazonRegistry, server.url, KEY, SECRET)
    client.ping()
    # The registry takes the old one no more: the same client goes on.
    ecr.passwords.append("another")
    client.ping()
    assert [action for action, _given in ecr.calls] == ["GetAuthorizationToken"] * 2


def test_ecr_makes_a_repository_that_is_missing_once(server: Server, ecr: Ecr) -> None:
    client = made(AmazonRegistry, server.url, KEY, SECRET)
    client.prepare("team/app")
    client.prepare("team/app")
    assert ecr.repositories == {"team/app"}
    made_calls = [action for action, _given in ecr.calls if action == "CreateRepository"]
    assert len(made_calls) == 1


def test_ecr_lists_page_by_page_and_deletes_tags(server: Server, ecr: Ecr) -> None:
    ecr.repositories = {"a", "b", "c", "d/e", "f"}
    client = made(AmazonRegistry, server.url, KEY, SECRET)
    assert list(client.repositories_in("")) == ["a", "b", "c", "d/e", "f"]
    client.delete_tag("a", DIGEST, "v1")
    deleted = {"repositoryName": "a", "imageIds": [{"imageTag": "v1"}]}
    assert ecr.calls[-1] == ("BatchDeleteImage", deleted)


def test_ecr_that_does_not_know_us(server: Server, ecr: Ecr) -> None:
    with pytest.raises(RegistryRejectedError) as caught:
        made(AmazonRegistry, server.url, KEY, "wrong").ping()
    assert caught.value.status == 403
    with pytest.raises(RegistryRejectedError):
        made(AmazonRegistry, server.url).prepare("a")


@pytest.mark.parametrize("document", [b"{}", b"[", b'{"authorizationData": [{"a": 1}]}'])
def test_ecr_that_answers_nonsense(server: Server, ecr: Ecr, document: bytes) -> None:
    server.answer = lambda asked: (
        (200, {}, document) if asked.path == "/" else (401, {"WWW-Authenticate": "Basic"}, b"")
    )
    with pytest.raises(RegistryUnavailableError):
        made(AmazonRegistry, server.url, KEY, SECRET).ping()


def test_where_ecr_is() -> None:
    client = AmazonRegistry(
        "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", username=KEY, password=SECRET
    )
    assert client._api == "https://api.ecr.cn-north-1.amazonaws.com.cn"
    with pytest.raises(BadRequest) as caught:
        remote_registries.checked(Address("https://registry.example.com", "aws-ecr"))
    assert caught.value.field == "url"


# --- Docker Hub -----------------------------------------------------------------------------------


@pytest.fixture
def hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Let the server be the Hub's API."""
    monkeypatch.setattr(DockerHubRegistry, "api", server.url)

    def answer(asked: Asked) -> Answer:
        if asked.path == "/v2/auth/token":
            given = json.loads(asked.body)
            if given != {"identifier": "mover", "secret": "pat"}:
                return 401, {}, b'{"message": "no"}'
            return 200, {}, b'{"access_token": "hub-token"}'
        if asked.authorization not in {"", "Bearer hub-token"}:
            return 401, {}, b"{}"
        page = f"{server.url}/v2/namespaces/acme/repositories?page=2"
        if asked.path.startswith("/v2/namespaces/acme/repositories?page_size"):
            return 200, {}, json.dumps({"next": page, "results": [{"name": "one"}]}).encode()
        if asked.path == "/v2/namespaces/acme/repositories?page=2":
            return 200, {}, b'{"next": null, "results": [{"name": "two"}]}'
        return 404, {}, b"{}"

    server.answer = answer
    return server


@pytest.mark.parametrize(("name", "password"), [("mover", "pat"), ("", "")])
def test_the_hub_lists_a_namespace(hub: Server, name: str, password: str) -> None:
    client = made(DockerHubRegistry, hub.url, name, password)
    assert list(client.repositories_in("acme")) == ["acme/one", "acme/two"]
    assert list(client.repositories_in("nobody")) == []


def test_the_hub_lists_no_namespace_without_a_name(hub: Server) -> None:
    with pytest.raises(RegistryUnavailableError, match="name one"):
        list(made(DockerHubRegistry, hub.url).repositories())


def test_the_hub_with_a_wrong_password(hub: Server) -> None:
    with pytest.raises(RegistryRejectedError):
        list(made(DockerHubRegistry, hub.url, "mover", "wrong").repositories_in("acme"))


def test_a_list_of_the_hub_does_not_lead_elsewhere(hub: Server) -> None:
    page = {"next": "http://evil.example/v2/", "results": []}
    hub.answer = lambda _asked: (200, {}, json.dumps(page).encode())
    with pytest.raises(RegistryUnavailableError, match="another address"):
        list(made(DockerHubRegistry, hub.url).repositories_in("acme"))


# --- Harbor, and plain ones -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "username", "message"),
    [
        ("harbor", 404, "", "neither a Harbor nor a Moorage"),
        ("harbor", 200, "", ""),
        ("docker-registry", 404, "", ""),
        ("docker-registry", 401, "", "asks for a name"),
        ("docker-registry", 401, "mover", "refuses this name"),
    ],
)
def test_what_a_ping_says(
    server: Server, settings: Settings, kind: str, status: int, username: str, message: str
) -> None:
    def answer(asked: Asked) -> Answer:
        is_status_of = "/api/v2.0/ping" if status != 401 else "/v2/"
        return (status if asked.path == is_status_of else 200), {}, b"{}"

    settings.MOORAGE_OUTBOUND_ALLOW = ["127.0.0.0/8"]
    server.answer = answer
    address = Address(server.url, kind, username, "secret" if username else "")
    with pytest.raises(BadRequest, match=message) if message else contextlib.nullcontext():
        remote_registries.ping(address)


def test_harbor_tells_types_and_labels(server: Server) -> None:
    rows = [
        {"digest": DIGEST, "type": "IMAGE", "labels": [{"name": "ok"}, {"name": "released"}]},
        {"digest": "sha256:" + "b" * 64, "type": "CHART", "labels": None},
    ]
    server.answer = lambda _asked: (200, {}, json.dumps(rows).encode())
    found = made(HarborRegistry, server.url, "mover", "secret").described("team/web/app")
    assert found[DIGEST].labels == {"ok", "released"}
    assert [row.kind for row in found.values()] == ["IMAGE", "CHART"]
    (asked,) = server.asked
    assert asked.path.startswith("/api/v2.0/projects/team/repositories/web%252Fapp/artifacts?")
    assert asked.authorization.startswith("Basic ")


def test_harbor_deletes_a_tag_alone_and_says_why_not(server: Server) -> None:
    statuses = iter([200, 404, 412])
    server.answer = lambda _asked: (next(statuses), {}, b"{}")
    client = made(HarborRegistry, server.url)
    for _time in range(2):
        client.delete_tag("team/app", DIGEST, "v1")
    with pytest.raises(RegistryRejectedError) as caught:
        client.delete_artifact("team/app", DIGEST)
    assert caught.value.status == 412
    asked = server.asked[0]
    path = f"/api/v2.0/projects/team/repositories/app/artifacts/{DIGEST}/tags/v1"
    assert (asked.method, asked.path) == ("DELETE", path)


def test_harbor_gets_its_project(server: Server) -> None:
    server.answer = lambda asked: (404 if asked.method == "HEAD" else 201, {}, b"")
    made(HarborRegistry, server.url).prepare("team/app")
    assert [(asked.method, asked.body) for asked in server.asked] == [
        ("HEAD", b""),
        ("POST", b'{"project_name": "team"}'),
    ]


@pytest.mark.parametrize("status", [400, 404, 405])
def test_a_plain_registry_may_be_unable_to_delete_a_tag(server: Server, status: int) -> None:
    server.answer = lambda asked: (status if asked.path.endswith("/v1") else 202, {}, b"")
    client = made(ManagedRegistry, server.url)
    with pytest.raises(UnableError):
        client.delete_tag("team/app", DIGEST, "v1")
    client.delete_artifact("team/app", DIGEST)
    with pytest.raises(UnableError):
        client.described("team/app")


@pytest.mark.parametrize("row", ['{"labels": [{}]}', '{"labels": 7}', "{}"])
def test_artifacts_that_cannot_be_read(server: Server, row: str) -> None:
    server.answer = lambda _asked: (200, {}, f"[{row}]".encode())
    with pytest.raises(RegistryUnavailableError, match="cannot be read"):
        made(HarborRegistry, server.url, "mover", "secret").described("team/app")
