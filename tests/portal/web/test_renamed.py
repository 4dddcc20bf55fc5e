"""Pages below a project's former name lead on, for those who may see the project."""

import datetime

import pytest
from django.test import Client
from django.utils import timezone

from accounts import projects
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from accounts.projects import Changes
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, fragment, text_of


@pytest.fixture
def renamed(cast: Cast) -> Project:
    """``team``, which is called ``crew`` now."""
    push_image(make_repository(cast.team), make_image(), "1.0")
    return projects.rename(cast.team, name="crew", alias_days=5, actor=SYSTEM_ACTOR)


@pytest.mark.parametrize(
    "rest", ["", "/-/overview", "/-/activity", "/app", "/app?q=1&size=50", "/app/-/tags/1.0"]
)
def test_every_page_leads_on_with_a_notice(
    cast: Cast, signed_in: SignedIn, renamed: Project, rest: str
) -> None:
    client = signed_in(cast.carol)
    answer = client.get(f"/p/team{rest}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/p/crew{rest}")
    assert "no-store" in answer.headers["Cache-Control"]
    page = text_of(client.get("/p/crew"))
    assert "The project team is called crew now." in page


def test_who_may_not_see_the_project_learns_nothing(
    cast: Cast, signed_in: SignedIn, renamed: Project
) -> None:
    there, not_there = (signed_in(cast.mallory).get(f"/p/{name}") for name in ("team", "nothing"))
    assert there.status_code == not_there.status_code == 404
    assert Client().get("/p/team").headers["Location"] == "/account/sign-in?next=/p/team"
    projects.update(renamed, changes=Changes(is_public=True), actor=SYSTEM_ACTOR)
    assert Client().get("/p/team").headers["Location"] == "/p/crew"


def test_what_one_may_not_do_stays_forbidden(
    cast: Cast, signed_in: SignedIn, renamed: Project
) -> None:
    answer = signed_in(cast.carol).get("/p/team/-/settings/delete", follow=True)
    assert answer.redirect_chain == [("/p/crew/-/settings/delete", 302)]
    assert answer.status_code == 403


def test_a_form_that_was_open_is_sent_on(cast: Cast, signed_in: SignedIn, renamed: Project) -> None:
    client = signed_in(cast.alice)
    answer = client.post("/p/team/-/settings/name", {"name": "gang", "alias_days": "5"})
    assert (answer.status_code, answer.headers["Location"]) == (307, "/p/crew/-/settings/name")
    # What is typed to confirm a deletion is the name, and the former one is none.
    answer = client.post("/p/team/-/settings/delete", {"confirmation": "team"}, follow=True)
    assert answer.status_code == 422
    assert Project.objects.get(pk=renamed.pk).deleted_at is None


def test_a_part_of_a_page_leads_on_without_a_notice(
    cast: Cast, signed_in: SignedIn, renamed: Project
) -> None:
    client = signed_in(cast.carol)
    answer = fragment(client, "/p/team", "rows", q="a")
    assert answer.headers["Location"] == "/p/crew?q=a"
    assert "is called crew now" not in text_of(client.get("/p/crew"))


def test_it_ends_with_the_former_name(cast: Cast, signed_in: SignedIn, renamed: Project) -> None:
    client = signed_in(cast.carol)
    assert client.get("/p/team").status_code == 302
    renamed.aliases.update(expires_at=timezone.now())
    assert client.get("/p/team").status_code == 404
    renamed.aliases.update(expires_at=timezone.now() + datetime.timedelta(days=1))
    projects.remove(renamed, actor=SYSTEM_ACTOR)
    assert client.get("/p/team").status_code == 404
