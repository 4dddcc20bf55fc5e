"""The first run: who sees it, what each step finds, and that it can be left and taken up again."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import first_run, projects
from accounts.models import AuditEntry, Project, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import blobs
from tests.conftest import Cast, password_of
from tests.factories import digest_of, make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, fragment, text_of


@pytest.fixture(autouse=True)
def _here(settings: Settings) -> None:
    settings.MOORAGE_EXTERNAL_URL = "http://testserver"
    settings.MOORAGE_IS_HTTPS = False


@pytest.fixture
def made_up(settings: Settings, tmp_path: Path) -> None:
    """The first password was made up."""
    settings.MOORAGE_HOME = tmp_path
    (tmp_path / "admin-password").write_text("anything")


def sign_in(user: str, **more: str) -> str:
    """Sign in through the form; return where that leads."""
    form = {"username": user, "password": password_of(user), **more}
    return str(Client().post("/account/sign-in", form).headers["Location"])


@pytest.mark.parametrize("path", ["/setup", "/setup?step=account", "/setup?step=push"])
def test_only_administrators_see_it(cast: Cast, signed_in: SignedIn, path: str) -> None:
    assert signed_in(cast.admin).get(path).status_code == 200
    User.objects.filter(pk=cast.carol.pk).update(is_auditor=True)
    for user in (cast.alice, cast.mallory, User.objects.get(pk=cast.carol.pk)):
        assert signed_in(user).get(path).status_code == 403
        assert signed_in(user).post("/setup", {"step": "project", "name": "x"}).status_code == 403
        assert signed_in(user).post("/setup/close").status_code == 403
    answer = Client().get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/account/sign-in")
    assert not first_run.is_closed()


def test_the_first_sign_in_leads_there_until_it_is_closed(cast: Cast, signed_in: SignedIn) -> None:
    assert sign_in("admin") == "/setup"
    assert sign_in("alice") == "/"
    assert sign_in("admin", next="/p/") == "/p/"
    answer = signed_in(cast.admin).post("/setup/close")
    assert answer.headers["Location"] == "/"
    assert sign_in("admin") == "/"
    assert AuditEntry.objects.filter(action="close_first_run").count() == 1
    signed_in(cast.admin).post("/setup/close")
    assert AuditEntry.objects.filter(action="close_first_run").count() == 1
    assert 'href="/setup"' in text_of(signed_in(cast.admin).get("/"))
    assert 'href="/setup"' not in text_of(signed_in(cast.alice).get("/"))
    assert signed_in(cast.admin).get("/setup").status_code == 200


def test_where_images_are_nobody_is_led_there(cast: Cast) -> None:
    push_image(make_repository(cast.team), make_image(), "1.0")
    assert sign_in("admin") == "/"


@pytest.mark.usefixtures("made_up")
def test_a_made_up_password_is_the_first_thing_to_change(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    page = text_of(client.get("/setup"))
    assert "made up at its first start" in page
    form = {"step": "account", "current": "wrong", "password": "a password of my own"}
    answer = client.post("/setup", form)
    assert answer.status_code == 422
    assert "a password of my own" not in text_of(answer)
    answer = client.post("/setup", {**form, "current": password_of("admin")})
    assert answer.headers["Location"] == "/account/sign-in?next=/setup"
    # The old session ended with the old password.
    assert client.get("/setup").status_code == 302
    assert "made up at its first start" not in text_of(
        signed_in(User.objects.get(pk=cast.admin.pk)).get("/setup?step=account")
    )


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://testserver", "come by the same address"),
        ("https://testserver", "You came by http://testserver, but clients are told https://"),
        ("http://registry.example.com", "but clients are told http://registry.example.com"),
    ],
)
def test_the_address_is_compared_with_the_browsers(
    cast: Cast, signed_in: SignedIn, settings: Settings, address: str, told: str
) -> None:
    settings.MOORAGE_EXTERNAL_URL = address
    settings.MOORAGE_IS_HTTPS = address.startswith("https")
    page = text_of(signed_in(cast.admin).get("/setup?step=address"))
    assert told in page
    assert ("There is no TLS." in page) == (not settings.MOORAGE_IS_HTTPS)
    assert "The database answers." in page


def test_what_reaches_this_machine_alone_is_said(
    cast: Cast, signed_in: SignedIn, settings: Settings
) -> None:
    settings.MOORAGE_EXTERNAL_URL = "http://127.0.0.1:8080"
    page = text_of(signed_in(cast.admin).get("/setup?step=address"))
    assert "Only this machine reaches 127.0.0.1:8080." in page


def test_the_project_step(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    answer = client.post("/setup", {"step": "project", "name": "Not A Name"})
    assert answer.status_code == 422
    assert 'value="Not A Name"' in text_of(answer)
    answer = client.post("/setup", {"step": "project", "name": "shop"})
    assert answer.headers["Location"] == "/setup?step=push&project=shop"
    assert Project.objects.get(name="shop").owner == cast.admin
    page = text_of(client.get(answer.headers["Location"]))
    assert "docker login -u admin testserver" in page
    assert "docker push testserver/shop/alpine:3.22" in page
    assert "podman login" in text_of(client.get("/setup?step=push&project=shop&tool=podman"))
    assert client.get("/setup?step=push&project=%00").status_code == 200


def test_nobody_is_told_to_push_to_a_project_that_another_registry_fills(
    cast: Cast, signed_in: SignedIn
) -> None:
    projects.create(name="hub", owner=cast.admin, is_proxy=True, actor=SYSTEM_ACTOR)
    client = signed_in(cast.admin)
    for path in ("/setup?step=push", "/setup?step=push&project=hub"):
        page = text_of(client.get(path))
        assert "docker push testserver/" in page
        assert "docker push testserver/hub/" not in page
    assert "project=hub" not in text_of(client.get("/setup?step=project"))
    Project.objects.exclude(name="hub").update(deleted_at="2026-01-01T00:00:00Z")
    assert "No project to push to yet" in text_of(client.get("/setup?step=push"))
    assert "docker push testserver/hub/" not in text_of(client.get("/"))


def test_without_any_project_it_says_so(cast: Cast, signed_in: SignedIn) -> None:
    Project.objects.all().update(deleted_at="2026-01-01T00:00:00Z")
    page = text_of(signed_in(cast.admin).get("/setup?step=push"))
    assert "No project to push to yet" in page


def test_it_waits_for_the_push_and_then_says_what_came(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    path = "/setup?step=push"
    assert "Waiting for the first push" in text_of(client.get(path))
    assert fragment(client, path, "waiting").status_code == 204
    image = make_image()
    repository = make_repository(cast.team)
    layer = image.blobs[-1]
    blobs.expect(repository, digest_of(layer))
    blobs.confirm(repository, digest_of(layer), len(layer))
    part = text_of(fragment(client, path, "waiting"))
    assert "1 layer of it is here already" in part
    assert "<h1>" not in part
    push_image(repository, image, "1.0", actor=SYSTEM_ACTOR)
    answer = fragment(client, path, "waiting")
    assert answer.headers["HX-Retarget"] == "#content"
    for page in (text_of(answer), text_of(client.get("/setup"))):
        assert "The first image is here" in page
        assert 'href="/p/team/app/-/tags/1.0"' in page
        assert "docker pull testserver/team/app:1.0" in page
        assert 'href="/p/team/-/robots/new"' in page
        assert "Waiting for" not in page


def test_a_failed_docker_login_is_told(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    assert Client().get("/service/token", HTTP_AUTHORIZATION="Basic Ym9iOm5v").status_code == 401
    page = text_of(fragment(client, "/setup?step=push", "waiting"))
    assert "Somebody just failed to sign in as bob" in page


def test_steps_say_what_is_done(cast: Cast, signed_in: SignedIn) -> None:
    page = text_of(signed_in(cast.admin).get("/setup"))
    # The cast has a project beside the first one.
    assert "3 of 4" in page
    assert 'aria-current="step">First push' in page
    push_image(make_repository(cast.team), make_image(), "1.0")
    page = text_of(signed_in(cast.admin).get("/setup"))
    assert "4 of 4" in page
    assert "Finish the set-up" in page
