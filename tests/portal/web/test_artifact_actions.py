"""Copying an image, tagging and labelling it, on pages."""

import pytest
from pytest_django import Settings

from accounts import projects
from accounts.crypto import ensure_keys
from accounts.principals import SYSTEM_ACTOR
from registry_sync import labels, upstream
from registry_sync.labels import Look
from registry_sync.models import Artifact, Repository, Tag
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image, upload_blobs
from tests.fakes import FakeRegistry
from tests.portal.web.conftest import SignedIn, text_of

IMAGE = make_image("copied")
PAGE = f"/p/team/app/-/images/{IMAGE.digest}"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> FakeRegistry:
    """Put a registry in memory behind."""
    fake = FakeRegistry()
    monkeypatch.setattr(upstream, "registry", fake)
    ensure_keys(settings.MOORAGE_KEYS)
    return fake


@pytest.fixture
def app(cast: Cast, registry: FakeRegistry) -> Repository:
    """``team/app:1.0``."""
    app = make_repository(cast.team)
    upload_blobs(registry, app, IMAGE)
    push_image(app, IMAGE, "1.0")
    return app


def test_an_image_is_copied(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    projects.create(name="hub", owner=cast.bob, is_proxy=True, actor=SYSTEM_ACTOR)
    projects.create(name="own", owner=cast.bob, actor=SYSTEM_ACTOR)
    client = signed_in(cast.bob)
    page = text_of(client.get(f"{PAGE}/copy"))
    assert 'value="team/app"' in page
    # Where one may push; into a project that another registry fills nobody does.
    assert 'value="own/app"' in page
    assert 'value="hub/app"' not in page
    assert 'value="1.0"' in page
    answer = client.post(f"{PAGE}/copy", {"destination": "team/web/other", "tags": "a b"})
    assert answer.headers["Location"] == f"/p/team/web/other/-/images/{IMAGE.digest}"
    assert set(Tag.objects.filter(repository__path="web/other").values_list("name", flat=True)) == {
        "a",
        "b",
    }
    assert client.get(answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize(
    ("destination", "tags", "message"),
    [
        ("library/app", "1.0", "You may not push to this project."),
        ("hidden/app", "1.0", "There is no such project"),
        ("team", "1.0", "cannot be a repository"),
        ("team/Upper", "1.0", "cannot be a repository"),
        ("team/other", "1.0 -x", "A tag has 1 to 128"),
        ("", "1.0", "required"),
    ],
)
def test_what_cannot_be_copied_keeps_the_form(
    cast: Cast,
    app: Repository,
    signed_in: SignedIn,
    destination: str,
    tags: str,
    message: str,
) -> None:
    given = {"destination": destination, "tags": tags}
    answer = signed_in(cast.bob).post(f"{PAGE}/copy", given)
    assert answer.status_code == 422
    page = text_of(answer)
    assert message in page
    assert f'value="{tags}"' in page
    assert Artifact.objects.count() == 1


def test_a_guest_copies_to_where_they_may_push(
    cast: Cast, app: Repository, signed_in: SignedIn
) -> None:
    client = signed_in(cast.carol)
    assert "/copy" in text_of(client.get(PAGE))
    assert client.get(f"{PAGE}/copy").status_code == 200
    answer = client.post(f"{PAGE}/copy", {"destination": "team/other", "tags": ""})
    assert "You may not push" in text_of(answer)


def test_a_tag_is_added(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    assert client.get(f"{PAGE}/tag").status_code == 200
    answer = client.post(f"{PAGE}/tag", {"name": "stable"})
    assert answer.headers["Location"] == "/p/team/app/-/tags/stable"
    assert Tag.objects.filter(name="stable", artifact__body=IMAGE.digest).exists()


def test_a_tag_moves_once_that_is_said(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    push_image(app, make_image("newer"), "stable")
    client = signed_in(cast.bob)
    refused = client.post(f"{PAGE}/tag", {"name": "stable"})
    assert refused.status_code == 422
    assert "A tag of this name exists" in text_of(refused)
    assert 'value="stable"' in text_of(refused)
    assert client.post(f"{PAGE}/tag", {"name": "stable", "is_move": "on"}).status_code == 302
    assert Tag.objects.get(name="stable").artifact == Artifact.objects.get(body=IMAGE.digest)


def test_labels_are_put_on_and_taken_off(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    label = labels.create(cast.team, look=Look("checked"), actor=SYSTEM_ACTOR)
    other = labels.create(cast.library, look=Look("library's"), actor=SYSTEM_ACTOR)
    client = signed_in(cast.bob)
    assert "No labels yet" in text_of(client.get(PAGE))
    assert "checked" not in text_of(signed_in(cast.carol).get(PAGE))
    # A second click changes nothing and is no error.
    for _click in range(2):
        assert client.post(f"{PAGE}/label", {"label": str(label.pk)}).status_code == 302
    assert "checked" in text_of(signed_in(cast.carol).get(PAGE))
    for _click in range(2):
        assert client.post(f"{PAGE}/label", {"remove": str(label.pk)}).status_code == 302
    assert "No labels yet" in text_of(client.get(PAGE))
    for number in (str(other.pk), "0", "x", ""):
        assert client.post(f"{PAGE}/label", {"label": number}).status_code == 404


def test_who_may_not(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    assert signed_in(cast.carol).get(f"{PAGE}/tag").status_code == 403
    assert signed_in(cast.carol).post(f"{PAGE}/label", {"label": "1"}).status_code == 403
    for action in ("copy", "tag"):
        assert signed_in(cast.mallory).get(f"{PAGE}/{action}").status_code == 404
        assert signed_in(None).get(f"{PAGE}/{action}").status_code == 302
    assert signed_in(cast.bob).get(f"{PAGE}/label").status_code == 405
