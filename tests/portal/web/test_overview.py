"""The overview of a project, what needs attention, and the geometry of charts."""

import datetime

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts import projects, robots
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from accounts.projects import Changes
from accounts.robots import Permission, Terms
from portal.web.charts import MOST_TILES, Part, pull_columns, treemap
from registry_sync.models import Execution, ProjectUsage, PullDay, State
from registry_sync.statistics import Day
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of

PATH = "/p/team/-/overview"


@pytest.mark.parametrize(
    "sizes", [[1], [1, 1], [6, 6, 4, 3, 2, 2, 1], [10**12, 1], list(range(1, 30))]
)
def test_tiles_fill_the_map_by_size(sizes: list[int]) -> None:
    tiles = treemap([Part(str(n), size) for n, size in enumerate(sizes)], "others")
    assert len(tiles) == min(len(sizes), MOST_TILES + 1)
    total = sum(sizes)
    for tile in tiles:
        area = tile.width * tile.height / 100
        assert area == pytest.approx(100 * tile.part.size / total, abs=0.3)
        assert -0.01 <= tile.x <= tile.x + tile.width <= 100.02
        assert -0.01 <= tile.y <= tile.y + tile.height <= 100.02
    assert sum(tile.part.size for tile in tiles) == total


def test_nothing_has_no_tiles() -> None:
    assert treemap([Part("empty", 0)], "others") == []


def test_columns_reach_up_to_the_busiest_day() -> None:
    first = datetime.date(2026, 1, 1)
    counts = [0, 5, 10]
    days = [Day(first + datetime.timedelta(days=n), count, 0) for n, count in enumerate(counts)]
    shown = pull_columns(days)
    assert [day.height for day in shown.days] == [0, 50, 100]
    assert (shown.total, shown.most) == (15, 10)
    assert pull_columns([Day(first, 0, 0)]).days[0].height == 0


def test_who_may_look(cast: Cast, signed_in: SignedIn) -> None:
    assert signed_in(cast.carol).get(PATH).status_code == 200
    assert signed_in(cast.mallory).get(PATH).status_code == 404
    assert Client().get(PATH).status_code == 302
    assert Client().get("/p/library/-/overview").status_code == 200


def test_it_shows_pushes_pulls_and_what_is_stored(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team, "tools/app")
    push_image(repository, make_image(), "1.0")
    PullDay.objects.create(repository=repository, day=timezone.now().date(), count=7)
    page = text_of(signed_in(cast.carol).get(PATH))
    assert "/p/team/tools/app/-/tags/1.0" in page
    assert "Pulls in 30 days: 7, 7 on the busiest day" in page
    assert 'class="mo-map"' in page
    assert "Needs attention" not in page
    assert "Needs attention" in text_of(signed_in(cast.alice).get(PATH))


def test_an_empty_one_says_so(cast: Cast, signed_in: SignedIn) -> None:
    page = text_of(signed_in(cast.alice).get(PATH))
    assert "Nothing has been pushed yet" in page
    assert "Nothing was pulled in these days." in page
    assert "mo-map" not in page


def test_what_needs_attention(cast: Cast, signed_in: SignedIn) -> None:
    push_image(make_repository(cast.team), make_image(), "1.0")
    projects.update(cast.team, changes=Changes(storage_limit=100), actor=SYSTEM_ACTOR)
    ProjectUsage.objects.update_or_create(project=cast.team, defaults={"used_bytes": 90})
    _robot(cast.team, "soon", 5)
    _robot(cast.team, "later", 20)
    Execution.objects.create(
        kind="fsck",
        state=State.FAILED,
        created_at=timezone.now(),
        finished_at=timezone.now(),
        actor_name="system",
    )
    for user, path, jobs in ((cast.alice, PATH, 0), (cast.alice, "/", 0), (cast.admin, "/", 1)):
        page = text_of(signed_in(user).get(path)).partition("Needs attention")[2]
        page = page.partition("</section>")[0]
        assert "uses 90% of its storage limit." in page
        assert "soon" in page
        assert "within 5 days" in page
        assert "later" not in page
        assert page.count("failed.") == jobs
    page = text_of(signed_in(cast.bob).get("/"))
    assert "uses 90%" not in page
    assert "robot+team+soon" not in page


def _robot(project: Project, name: str, days: int) -> None:
    terms = Terms(days=days, permissions=(Permission("repository:pull", project),))
    robots.create(name=name, project=project, terms=terms, actor=SYSTEM_ACTOR)


def test_an_expired_robot_is_told_for_a_week(cast: Cast, signed_in: SignedIn) -> None:
    _robot(cast.team, "ci", 1)
    for days, is_told in ((2, True), (30, False)):
        with time_machine.travel(timezone.now() + datetime.timedelta(days=days), tick=False):
            page = text_of(signed_in(cast.alice).get(PATH))
        assert ("has expired." in page) == is_told


def test_a_lone_repository_shows_its_older_pushes(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    for tag in ("1.0", "1.1", "1.2"):
        push_image(repository, make_image(), tag)
    page = text_of(signed_in(cast.carol).get(PATH)).partition('id="h-push"')[2]
    for tag in ("1.0", "1.1", "1.2"):
        assert f"/p/team/app/-/tags/{tag}" in page
