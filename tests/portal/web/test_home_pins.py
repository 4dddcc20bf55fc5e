"""What somebody pins is on their own home page, while they may see it."""

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts import members, projects
from accounts.models import ProjectMember
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role
from portal.web.charts import spark
from registry_sync import home_pins
from registry_sync.models import HomePin, PullDay, PushDay, Repository
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of

PROJECT = "/p/team/-/pin-to-home"
REPOSITORY = "/p/team/tools/app/-/pin-to-home"


@pytest.fixture
def app(cast: Cast) -> Repository:
    """``team/tools/app:1.0``."""
    push_image(make_repository(cast.team, "tools/app"), make_image(), "1.0")
    return Repository.objects.get(path="tools/app")


def pinned(page: str) -> str:
    """The card of the home page."""
    return page.partition('id="h-pinned"')[2].partition("</section>")[0]


def test_pinning_and_taking_off(cast: Cast, signed_in: SignedIn, app: Repository) -> None:
    client = signed_in(cast.carol)
    assert "Pin to home" in text_of(client.get("/p/team"))
    answer = client.post(PROJECT)
    assert answer.headers["Location"] == "/p/team"
    assert client.post(PROJECT).status_code == 302
    assert client.post(REPOSITORY).headers["Location"] == "/p/team/tools/app"
    for path in ("/p/team", "/p/team/-/overview", "/p/team/tools/app"):
        assert "On home" in text_of(client.get(path)), path
    card = pinned(text_of(client.get("/")))
    assert '<a class="mo-name" href="/p/team">team</a>' in card
    assert '<a class="mo-name" href="/p/team/tools/app">team/tools/app</a>' in card
    assert "1.0" in card
    answer = client.post(REPOSITORY, {"pinned": "no", "from": "home"})
    assert answer.headers["Location"] == "/"
    assert "tools/app" not in pinned(text_of(client.get("/")))
    assert HomePin.objects.count() == 1


def test_it_is_nobody_elses(cast: Cast, signed_in: SignedIn, app: Repository) -> None:
    signed_in(cast.carol).post(PROJECT)
    assert "that you pin are listed here" in pinned(text_of(signed_in(cast.alice).get("/")))
    assert "Pin to home" in text_of(signed_in(cast.alice).get("/p/team"))
    assert "Pin to home" not in text_of(Client().get("/p/library"))


@pytest.mark.parametrize("path", [PROJECT, REPOSITORY, "/p/team/nothing/-/pin-to-home"])
def test_who_may_not_see_it_cannot_pin_it(
    cast: Cast, signed_in: SignedIn, app: Repository, path: str
) -> None:
    assert signed_in(cast.mallory).post(path).status_code == 404
    assert Client().post(path).status_code == 302
    assert HomePin.objects.count() == 0


def test_what_is_no_longer_visible_or_there_is_not_shown(
    cast: Cast, signed_in: SignedIn, app: Repository
) -> None:
    client = signed_in(cast.carol)
    client.post(REPOSITORY)
    push_image(make_repository(cast.library), make_image(), "9")
    Repository.objects.filter(pk=app.pk).update(pushed_at=None)
    assert "tools/app" not in pinned(text_of(client.get("/")))
    Repository.objects.filter(pk=app.pk).update(pushed_at=timezone.now())
    assert "tools/app" in pinned(text_of(client.get("/")))
    projects.rename(cast.team, name="crew", actor=SYSTEM_ACTOR)
    assert 'href="/p/crew/tools/app"' in pinned(text_of(client.get("/")))
    members.remove(ProjectMember.objects.get(user=cast.carol), actor=SYSTEM_ACTOR)
    assert "tools/app" not in pinned(text_of(client.get("/")))


def test_there_is_an_end(
    cast: Cast, signed_in: SignedIn, app: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_pins, "MOST", 1)
    client = signed_in(cast.carol)
    client.post(PROJECT)
    answer = client.post(REPOSITORY, follow=True)
    assert "At most 1 things can be pinned" in text_of(answer)
    assert HomePin.objects.count() == 1


def test_many_pins_ask_no_more(
    cast: Cast, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(cast.bob)
    for number in range(12):
        project = projects.create(name=f"pier-{number}", owner=cast.alice, actor=SYSTEM_ACTOR)
        members.add(project, user=cast.bob, role=Role.GUEST, actor=SYSTEM_ACTOR)
        repository = make_repository(project)
        push_image(repository, make_image(), "1.0")
        PullDay.objects.create(repository=repository, day=timezone.now().date(), count=7)
        client.post(f"/p/pier-{number}/-/pin-to-home")
        client.post(f"/p/pier-{number}/app/-/pin-to-home")
    with django_assert_max_num_queries(24):
        card = pinned(text_of(client.get("/")))
    assert card.count('class="mo-name"') == 24
    assert card.count("7 pulls in 30 days") == 12


def test_pushes_by_day_are_drawn_with_their_table(
    cast: Cast, signed_in: SignedIn, app: Repository
) -> None:
    today = timezone.now().date()
    PushDay.objects.create(repository=app, day=today, count=9, by_robots=6)
    for path in ("/", "/p/team/-/overview"):
        page = text_of(signed_in(cast.carol).get(path))
        assert "Pushes in 30 days: 9, 6 of them by robots, 9 on the busiest day" in page
        table = page.partition('id="h-pushes"')[2].partition("</table>")[0]
        assert table.count("<tr>") == 31
        assert '<td class="mo-r mo-num">3</td><td class="mo-r mo-num">6</td>' in table
    assert "No tag was pushed in these days." in text_of(
        signed_in(cast.carol).get("/p/library/-/overview")
    )


def test_a_line_of_nothing_lies_flat() -> None:
    assert spark([0, 0]).line == "0.0,23.0 84.0,23.0"
    assert spark([0, 4, 2]).line == "0.0,23.0 42.0,1.0 84.0,12.0"
    assert spark([]).total == 0
