"""What counts as a push of a day, and what is read of it."""

import datetime
from collections.abc import Iterator

import pytest
import time_machine
from django.db import DatabaseError
from django.utils import timezone

from accounts.models import Project
from accounts.principals import Principal
from registry_sync import push_days, statistics, transactions
from registry_sync.models import PushDay, Repository
from tests.factories import Image, make_image, make_repository, upload_blobs
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Caller

PERSON = Principal("user", "bob", 1)
ROBOT = Principal("robot", "robot+ci", robot_id=1)


@pytest.fixture(autouse=True)
def _nothing_is_noted() -> Iterator[None]:
    push_days.discard()
    yield
    push_days.discard()
    statistics.discard()


@pytest.fixture
def app(team: Project, registry: FakeRegistry) -> Repository:
    """``team/app``."""
    return make_repository(team)


def today(project: Project) -> tuple[int, int]:
    """Write what was noted; return today's pushes and how many of them are robots'."""
    push_days.flush()
    (day,) = push_days.of_project(project.pk, days=1)
    return day.count, day.by_robots


def test_a_tag_counts_and_a_digest_alone_does_not(
    bob_app: Caller, app: Repository, team: Project, registry: FakeRegistry
) -> None:
    image = make_image()
    upload_blobs(registry, app, image)
    for reference in ("v1", "v1", image.digest):
        answer = bob_app.put(f"team/app/manifests/{reference}", image.content, image.media_type)
        assert answer.status_code == 201
    assert today(team) == (2, 0)


def test_what_is_refused_does_not_count(bob_app: Caller, app: Repository, team: Project) -> None:
    image: Image = make_image()
    answer = bob_app.put("team/app/manifests/v1", image.content, image.media_type)
    assert answer.status_code == 400
    assert today(team) == (0, 0)


def test_robots_are_told_apart_and_repositories_added_up(
    app: Repository, team: Project, library: Project
) -> None:
    for repository, caller in (
        (app, PERSON),
        (app, ROBOT),
        (make_repository(team, "other"), ROBOT),
        (make_repository(library), PERSON),
    ):
        push_days.note(repository.pk, caller)
    assert today(team) == (3, 2)
    push_days.note(app.pk, PERSON)
    assert today(team) == (4, 2)
    (both,) = push_days.of_projects(Project.objects.alive(), days=1)
    assert (both.count, both.by_robots) == (5, 2)


def test_each_day_is_there_and_old_ones_are_dropped(app: Repository, team: Project) -> None:
    now = timezone.now()
    for age in (0, 2, 500):
        with time_machine.travel(now - datetime.timedelta(days=age), tick=False):
            push_days.note(app.pk, PERSON)
    push_days.flush()
    assert [day.count for day in push_days.of_project(team.pk, days=4)] == [0, 1, 0, 1]
    assert push_days.prune((now - datetime.timedelta(days=400)).date()) == 1
    assert PushDay.objects.count() == 2


def test_what_cannot_be_written_is_kept(
    app: Repository, team: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_days.note(app.pk, PERSON)

    def away(_change: object) -> None:
        raise DatabaseError("away")

    with monkeypatch.context() as patch:
        patch.setattr(transactions, "run", away)
        with pytest.raises(DatabaseError):
            push_days.flush()
    assert today(team) == (1, 0)
