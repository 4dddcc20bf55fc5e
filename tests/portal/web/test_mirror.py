"""How clients are told to use this registry as a mirror, and whether that will work."""

import json

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import projects
from accounts.principals import SYSTEM_ACTOR
from portal.web.mirror import CLIENTS, mirror
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of

BY_KEY = {one.key: one for one in CLIENTS}


@pytest.fixture
def listener(settings: Settings) -> None:
    """The second listener is on."""
    settings.MOORAGE_MIRROR_PORT = 5001
    settings.MOORAGE_MIRROR_PROJECT = "hub"
    settings.MOORAGE_MIRROR_URL = "http://mirror.test:5001"
    settings.MOORAGE_MIRROR_OF = "docker.io"


def test_each_client_is_shown(cast: Cast, signed_in: SignedIn) -> None:
    assert Client().get("/mirror").status_code == 302
    client = signed_in(cast.bob)
    for one in CLIENTS:
        page = text_of(client.get("/mirror", {"for": one.key}))
        assert one.file.format(of="docker.io") in page
        assert "127.0.0.1:8080" in one.write(mirror())
        assert "Test my mirror" not in page
    told = json.loads(BY_KEY["docker"].write(mirror()))
    assert told["insecure-registries"] == ["127.0.0.1:8080"]
    assert CLIENTS[0].file in text_of(client.get("/mirror", {"for": "nothing"}))


def test_with_tls_nothing_is_insecure(settings: Settings) -> None:
    settings.MOORAGE_EXTERNAL_URL = "https://registry.example.com"
    for one in CLIENTS:
        written = one.write(mirror())
        assert "registry.example.com" in written
        assert "insecure" not in written
        assert "http:" not in written
        assert "http = true" not in written


@pytest.mark.usefixtures("listener")
class TestListener:
    def test_clients_are_told_its_address(self, cast: Cast, signed_in: SignedIn) -> None:
        for one in CLIENTS:
            page = text_of(signed_in(cast.bob).get("/mirror", {"for": one.key}))
            assert "mirror.test:5001" in page
            assert "127.0.0.1:8080" not in one.write(mirror())

    def test_another_registry_is_named(self, settings: Settings) -> None:
        settings.MOORAGE_MIRROR_OF = "quay.io"
        assert 'server = "https://quay.io"' in BY_KEY["containerd"].write(mirror())
        assert 'prefix = "quay.io"' in BY_KEY["podman"].write(mirror())
        assert "  quay.io:" in BY_KEY["k3s"].write(mirror())
        assert '[registry."quay.io"]' in BY_KEY["buildkit"].write(mirror())

    def test_a_missing_project_is_told(self, cast: Cast, signed_in: SignedIn) -> None:
        page = text_of(signed_in(cast.admin).post("/mirror", {"image": "alpine"}))
        assert "There is a project hub." in page
        assert "Make it, as a proxy project." in page

    @pytest.mark.parametrize("image", ["alpine:3", "docker.io/library/alpine:3"])
    def test_an_image_is_looked_for_as_docker_names_it(
        self, cast: Cast, signed_in: SignedIn, image: str
    ) -> None:
        # One of its own images is enough to look for; another registry is nobody's to ask here.
        hub = projects.create(name="hub", owner=cast.admin, actor=SYSTEM_ACTOR)
        pushed = make_image()
        push_image(make_repository(hub, "library/alpine"), pushed, "3")
        client = signed_in(cast.admin)
        private = text_of(client.post("/mirror", {"image": image}))
        assert "docker sends no password to a mirror" in private
        assert "is found" not in private
        hub.is_public = True
        hub.save(update_fields=["is_public"])
        for named, known in ((image, "3"), (f"{image[:-2]}@{pushed.digest}", pushed.digest)):
            page = text_of(client.post("/mirror", {"image": named}))
            assert f"library/alpine:{known} is found." in page
            assert "The answer is" not in page
        for odd in ("alpine@sha256:0", "UPPER:1", "a//b", ":", ""):
            assert "The answer is 4" in text_of(client.post("/mirror", {"image": odd}))
