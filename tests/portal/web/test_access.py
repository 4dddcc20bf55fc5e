"""Who sees which page, and what everybody else gets."""

import pytest
from django.test import Client

from accounts import users
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from tests.conftest import Cast
from tests.factories import make_repository, push_image
from tests.portal.web.conftest import SignedIn, fragment, text_of

MISSING = "sha256:" + "0" * 64


@pytest.fixture
def pages(cast: Cast) -> dict[str, list[str]]:
    """Paths below a private and a public project; both have an image."""
    found = {}
    for project in (cast.team, cast.library):
        artifact = push_image(make_repository(project, "app"), tag="1.0")
        below = f"/p/{project.name}"
        found[project.name] = [
            below,
            f"{below}/app",
            f"{below}/app/-/tags/1.0",
            f"{below}/app/-/images/{artifact.digest}",
        ]
    return found


@pytest.mark.parametrize("name", ["admin", "alice", "bob", "carol"])
def test_members_and_administrators_see_the_private_project(
    cast: Cast, pages: dict[str, list[str]], signed_in: SignedIn, name: str
) -> None:
    client = signed_in(getattr(cast, name))
    assert [client.get(path).status_code for path in pages["team"]] == [200] * 4


def test_an_outsider_gets_the_same_bytes_as_for_what_does_not_exist(
    cast: Cast, pages: dict[str, list[str]], signed_in: SignedIn
) -> None:
    client = signed_in(cast.mallory)
    for path in pages["team"]:
        hidden = client.get(path)
        absent = client.get(path.replace("/p/team", "/p/nobodys"))
        assert hidden.status_code == absent.status_code == 404
        assert hidden.content == absent.content
        assert "team" not in text_of(hidden)


def test_an_outsider_and_a_stranger_see_the_public_project(
    cast: Cast, pages: dict[str, list[str]], signed_in: SignedIn
) -> None:
    for user in (cast.mallory, None):
        client = signed_in(user)
        assert [client.get(path).status_code for path in pages["library"]] == [200] * 4


def test_a_stranger_is_asked_to_sign_in_whether_or_not_a_project_exists(
    pages: dict[str, list[str]], signed_in: SignedIn
) -> None:
    client = signed_in(None)
    for path in [*pages["team"], "/p/nobodys", "/p/nobodys/app", "/", "/p/-/new"]:
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/account/sign-in?next=/")


def test_a_fragment_is_refused_like_its_page(
    cast: Cast, pages: dict[str, list[str]], signed_in: SignedIn
) -> None:
    assert fragment(signed_in(cast.mallory), "/p/team", "rows").status_code == 404
    stranger = fragment(signed_in(None), "/p/team", "rows")
    assert stranger.headers["HX-Redirect"] == "/account/sign-in"
    assert b"app" not in stranger.content


def test_what_a_repository_does_not_hold_is_not_found(
    cast: Cast, pages: dict[str, list[str]], signed_in: SignedIn
) -> None:
    client = signed_in(cast.alice)
    make_repository(cast.team, "never-pushed")
    for path in (
        "/p/team/other",
        "/p/team/never-pushed",
        "/p/team/app/-/tags/2.0",
        f"/p/team/app/-/images/{MISSING}",
        "/p/team/app/-/images/sha512:00",
        "/p/team/app/-/unknown",
        "/p/Team",
        "/nowhere",
    ):
        assert client.get(path).status_code == 404, path


def test_an_image_of_another_repository_is_not_found(
    cast: Cast, pages: dict[str, list[str]], signed_in: SignedIn
) -> None:
    digest_in_team = pages["team"][3].rsplit("/", 1)[1]
    client = signed_in(cast.alice)
    assert client.get(f"/p/library/app/-/images/{digest_in_team}").status_code == 404


def test_a_deleted_project_is_not_found(
    cast: Cast, pages: dict[str, list[str]], signed_in: SignedIn
) -> None:
    client = signed_in(cast.alice)
    Project.objects.filter(pk=cast.team.pk).update(deleted_at=cast.team.created_at)
    assert client.get("/p/team").status_code == 404


def test_a_disabled_users_session_ends_at_once(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.alice)
    assert client.get("/p/team").status_code == 200
    users.set_active(cast.alice, is_active=False, actor=SYSTEM_ACTOR)
    assert client.get("/p/team").status_code == 302
    users.set_active(cast.alice, is_active=True, actor=SYSTEM_ACTOR)
    assert client.get("/p/team").status_code == 302, "what was revoked does not come back"


def test_a_changed_password_ends_every_session(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.alice)
    users.change_password(cast.alice, password="another-password-34", actor=SYSTEM_ACTOR)
    assert client.get("/p/team").status_code == 302


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/", "post"),
        ("/p/", "post"),
        ("/p/library", "post"),
        ("/account/sign-out", "get"),
        ("/account/language", "get"),
        ("/account/theme", "get"),
        ("/p/-/new", "delete"),
    ],
)
def test_other_methods_are_refused(cast: Cast, path: str, method: str) -> None:
    assert getattr(Client(), method)(path).status_code == 405


def test_pages_are_kept_nowhere_and_vary(cast: Cast, signed_in: SignedIn) -> None:
    answer = signed_in(cast.alice).get("/p/team")
    assert "no-store" in answer.headers["Cache-Control"]
    assert {"Cookie", "HX-Request"} <= set(answer.headers["Vary"].split(", "))


def test_unknown_paths_of_programs_are_answered_in_json(db: None) -> None:
    answer = Client().get("/api/v2.0/nothing-here")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/json"
