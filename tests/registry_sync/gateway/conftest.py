"""Calling ``/v2`` as somebody, with a registry in memory behind it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from django.test import Client
from pytest_django import Settings

from accounts import access, docker_tokens, projects, scopes
from accounts.credentials import principal_of_user
from accounts.crypto import ensure_keys
from accounts.models import Project, ProjectMember, User
from accounts.principals import ANONYMOUS, SYSTEM_ACTOR
from accounts.roles import Role
from registry_sync import remote_registries, upstream
from registry_sync.gateway import blobs, precheck, push, uploads
from registry_sync.models import BlobFetch, ProxyCache
from registry_sync.proxy_cache import arriving, fetching, figures, storing, upstreams
from registry_sync.remote_registries import Address
from tests.factories import Image, digest_of
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.proxied import Upstream, until
from tests.registry_sync.strange_registry import served

# The test client's response has no public type.
Answer = Any
PRECHECK = "/_internal/upload_precheck"


@dataclass(frozen=True)
class Caller:
    """A client with a bearer token; an empty one sends none."""

    token: str

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Send a request to ``/v2/<path>``; headers are written ``If_None_Match``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        content_type = sent.pop("Content-Type", "application/octet-stream")
        return Client().generic(
            method, f"/v2/{path}", data=body, content_type=content_type, headers=sent
        )

    def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return self.call("GET", path, b"", **headers)

    def head(self, path: str, **headers: str) -> Answer:
        """HEAD."""
        return self.call("HEAD", path, b"", **headers)

    def put(self, path: str, body: bytes, media_type: str, **headers: str) -> Answer:
        """PUT."""
        return self.call("PUT", path, body, **{"Content-Type": media_type, **headers})

    def precheck(self, uri: str) -> Answer:
        """Ask what nginx asks before it passes the PUT to ``uri`` on."""
        headers = {"X-Original-URI": uri, "X-Original-Method": "PUT"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return Client().get(PRECHECK, headers=headers)


def error_of(response: Answer) -> tuple[int, str]:
    """Return the status and the code of an error in the specification's form."""
    assert response["Content-Type"] == "application/json"
    body = orjson.loads(response.content)
    assert list(body) == ["errors"]
    (error,) = body["errors"]
    assert set(error) == {"code", "message", "detail"}
    return response.status_code, error["code"]


def told(response: Answer) -> Any:
    """Return the JSON of an answer."""
    return orjson.loads(response.content)


@pytest.fixture(autouse=True)
def _gateway(settings: Settings) -> None:
    """Answer as the gateway process does."""
    settings.ROOT_URLCONF = "portal.gateway_urls"
    settings.MIDDLEWARE = ["portal.middleware.RequestContextMiddleware"]
    settings.MOORAGE_BLOB_DELIVERY = "registry"
    ensure_keys(settings.MOORAGE_KEYS)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, cast: object) -> FakeRegistry:
    """Put a registry in memory behind the gateway."""
    fake = FakeRegistry()
    for module in (upstream, blobs, precheck, push, uploads):
        monkeypatch.setattr(module, "registry", fake, raising=False)
    return fake


Sign = Callable[..., Caller]


@pytest.fixture
def token_for() -> Sign:
    """Return a function from a user (or None) and scopes to a caller with what is granted."""

    def sign(user: User | None, *wanted: str) -> Caller:
        principal = principal_of_user(user) if user is not None else ANONYMOUS
        grants = access.granted(principal, scopes.parse(wanted))
        return Caller(docker_tokens.issue(principal, grants, lifetime=300))

    return sign


@pytest.fixture
def bob_app(token_for: Sign, bob: User, registry: FakeRegistry) -> Caller:
    """Bob, who may pull from and push to ``team/app``; a registry stands behind the gateway."""
    return token_for(bob, "repository:team/app:pull,push")


@pytest.fixture
def carol_app(token_for: Sign, carol: User, registry: FakeRegistry) -> Caller:
    """Carol, who may pull from ``team/app``; a registry stands behind the gateway."""
    return token_for(carol, "repository:team/app:pull")


@pytest.fixture
def nobody() -> Caller:
    """A caller without a token."""
    return Caller("")


# --- A project that another registry fills --------------------------------------------------------


@pytest.fixture(name="upstream")
def _upstream() -> Iterator[Upstream]:
    """Start one."""
    for server in served():
        yield Upstream(server)


@pytest.fixture
def hub(
    upstream: Upstream,
    registry: FakeRegistry,
    admin: User,
    carol: User,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Project]:
    """A project that it fills; carol is a guest."""
    settings.MOORAGE_OUTBOUND_ALLOW = ["127.0.0.0/8"]
    for module in (arriving, fetching, storing):
        monkeypatch.setattr(module, "registry", registry)
    address = Address(upstream.server.url, "docker-hub")
    remote = remote_registries.create(
        name="up", description="", address=address, actor=SYSTEM_ACTOR
    )
    project = projects.create(name="hub", owner=admin, is_proxy=True, actor=SYSTEM_ACTOR)
    ProxyCache.objects.create(project=project, remote=remote)
    ProjectMember.objects.create(project=project, user=carol, role=Role.GUEST.value)
    yield project
    until(lambda: not BlobFetch.objects.exists())
    upstreams.forget()
    figures.discard()


@pytest.fixture
def puller(token_for: Sign, carol: User, hub: Project) -> Caller:
    """Carol, who may pull ``hub/library/app``."""
    return token_for(carol, "repository:hub/library/app:pull,push")


def whole(response: Answer) -> bytes:
    """Return all that an answer sends."""
    return b"".join(response.streaming_content) if response.streaming else response.content


def pull(caller: Caller, image: Image, reference: str = "1") -> None:
    """Pull an image of ``hub/library/app`` as clients do, and let the fetches end."""
    answer = caller.get(f"hub/library/app/manifests/{reference}")
    assert answer.status_code == 200, answer.content
    assert answer.content == image.content
    for content in image.blobs:
        got = caller.get(f"hub/library/app/blobs/{digest_of(content)}")
        assert got.status_code == 200
        if got.streaming:
            assert whole(got) == content
    until(lambda: not BlobFetch.objects.exists())
