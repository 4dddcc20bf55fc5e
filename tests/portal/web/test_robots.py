"""The pages of a project's robots."""

import html
import re

import pytest
from django.test import Client
from django.utils import timezone

from accounts import robots
from accounts.models import Project, Robot, User
from accounts.principals import SYSTEM_ACTOR
from accounts.robots import Permission, Terms
from portal.web.robot_snippets import PLACES
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, fragment, text_of

PATH = "/p/team/-/robots"
NEW = f"{PATH}/new"
FORM = {"name": "ci", "rights": ["push"], "patterns": "pr-* v1.?", "days": "30"}
SECRET = re.compile(r'<div class="mo-secret"><code>(\S+)</code>')


def make(project: Project, name: str = "ci", *, action: str = "repository:pull") -> Robot:
    """Make a robot."""
    terms = Terms(days=30, permissions=(Permission(action, project),), push_tag_patterns=("pr-*",))
    robot, _secret = robots.create(name=name, project=project, terms=terms, actor=SYSTEM_ACTOR)
    return robot


def test_a_robot_is_made_and_its_secret_shown_once(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.alice)
    page = text_of(client.post(NEW, {**FORM, "networks": "10.0.0.0/8"}))
    robot = Robot.objects.get(project=cast.team)
    login, secret = SECRET.findall(page)
    assert login == "robot+team+ci"
    assert robots.find("team+ci", secret, actor=SYSTEM_ACTOR) is None, "from an unknown network"
    assert page.count(secret) == 2, "to read and to copy, and nowhere else"
    assert "no-store" in client.post(NEW, {**FORM, "name": "b"}).headers["Cache-Control"]
    assert secret not in text_of(client.get(f"{PATH}/{robot.pk}"))
    assert robot.push_tag_patterns == ["pr-*", "v1.?"]
    assert robot.allowed_networks == ["10.0.0.0/8"]
    assert robot.expires_at is not None
    assert {"repository:pull", "repository:push"} <= {g.action for g in robot.grants.all()}
    assert "artifact:delete" not in {g.action for g in robot.grants.all()}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: str(place.key))
def test_a_snippet_names_the_secret(cast: Cast, signed_in: SignedIn, place: object) -> None:
    robot = make(cast.team)
    key = getattr(place, "key", "")
    answer = text_of(fragment(signed_in(cast.carol), f"{PATH}/{robot.pk}", "use", **{"for": key}))
    assert "<html" not in answer
    text = html.unescape(answer)
    assert "MOORAGE_TOKEN" in text
    assert "robot+team+ci" in text


def test_the_first_use_is_noticed(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(cast.team)
    client, path = signed_in(cast.alice), f"{PATH}/{robot.pk}"
    assert "Waiting for the first use" in text_of(client.get(path))
    assert fragment(client, path, "first-use").status_code == 204
    Robot.objects.update(last_used_at=timezone.now(), last_used_address="192.0.2.7")
    answer = text_of(fragment(client, path, "first-use"))
    assert "First used" in answer
    assert "192.0.2.7" in answer
    assert "x-poll" not in answer


def test_a_new_secret_is_shown_and_the_old_one_works_on(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(cast.team)
    page = text_of(signed_in(cast.alice).post(f"{PATH}/{robot.pk}/secret"))
    _login, secret = SECRET.findall(page)
    assert robots.find("team+ci", secret, actor=SYSTEM_ACTOR) is not None
    assert "The old secret works for another 24 hours." in page


def test_disabling_keeps_everything_else(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(cast.team)
    client = signed_in(cast.alice)
    assert client.post(f"{PATH}/{robot.pk}/switch", {"enabled": "false"}).status_code == 302
    after = Robot.objects.get(pk=robot.pk)
    assert after.is_disabled
    assert after.push_tag_patterns == ["pr-*"]
    assert [grant.action for grant in after.grants.all()] == ["repository:pull"]
    assert after.expires_at is not None
    assert (after.expires_at - after.created_at).days == 30
    client.post(f"{PATH}/{robot.pk}/switch", {"enabled": "true"})
    assert not Robot.objects.get(pk=robot.pk).is_disabled


def test_deleting_says_what_follows(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(cast.team)
    client = signed_in(cast.alice)
    assert "fails from then on" in text_of(client.get(f"{PATH}/{robot.pk}"))
    assert client.post(f"{PATH}/{robot.pk}/delete").headers["Location"] == PATH
    assert client.get(f"{PATH}/{robot.pk}").status_code == 404
    assert "The robot robot+team+ci is deleted." in text_of(client.get(PATH))
    assert "robot+team+ci" not in text_of(client.get(PATH))


def test_a_guest_and_a_developer_only_read(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(cast.team, action="label:read")
    for user in (cast.carol, cast.bob):
        client = signed_in(user)
        page = text_of(client.get(PATH))
        assert "robot+team+ci" in page
        assert "1 more right" in page
        assert "New robot" not in page
        page = text_of(client.get(f"{PATH}/{robot.pk}"))
        assert '<p>Labels<span class="mo-sub">read</span>' in page
        assert "/edit" not in page
        assert client.get(NEW).status_code == 403
        assert client.post(NEW, FORM).status_code == 403
        for action in ("secret", "switch", "delete"):
            assert client.post(f"{PATH}/{robot.pk}/{action}").status_code == 403
    assert Robot.objects.filter(deleted_at=None).count() == 1


def test_an_outsider_cannot_tell(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(cast.team)
    client = signed_in(cast.mallory)
    for path in ("", "/new", f"/{robot.pk}"):
        there, nowhere = client.get(PATH + path), client.get(f"/p/nothing/-/robots{path}")
        assert there.status_code == nowhere.status_code == 404
        assert there.content == nowhere.content
    assert client.get("/p/library/-/robots").status_code == 403
    assert Client().get(PATH).status_code == 302


def test_a_robot_of_another_project_is_not_there(cast: Cast, signed_in: SignedIn) -> None:
    other = make(cast.library)
    client = signed_in(cast.alice)
    assert client.get(f"{PATH}/{other.pk}").status_code == 404
    assert client.post(f"{PATH}/{other.pk}/delete").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Not A Name"),
        ("name", "taken"),
        ("rights", []),
        ("patterns", "a/b"),
        ("networks", "somewhere"),
        ("days", "0"),
    ],
)
def test_wrong_input_is_told_beside_its_field(
    cast: Cast, signed_in: SignedIn, field: str, value: str | list[str]
) -> None:
    make(cast.team, "taken")
    answer = signed_in(cast.alice).post(NEW, {**FORM, field: value})
    assert answer.status_code == 422
    assert re.findall(r'class="mo-field-error" id="id_(\w+)_error"', text_of(answer)) == [field]
    assert Robot.objects.count() == 1


def test_the_project_links_to_its_robots(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.carol)
    assert 'href="/p/team/-/members"' in text_of(client.get("/p/team"))
    assert f'href="{PATH}"' in text_of(client.get("/p/team/-/members"))
    seen: list[tuple[User | None, str]] = [(cast.mallory, "/p/library"), (None, "/p/library")]
    for user, path in seen:
        assert "/-/robots" not in text_of(signed_in(user).get(path))
