"""How often, and when last, something was pulled, as the contract shows it."""

import datetime
from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts.models import Project
from accounts.principals import Actor, Principal
from registry_sync import statistics
from registry_sync.models import Repository
from tests.factories import make_image, make_repository, push_image
from tests.portal.api.conftest import Caller, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]

ARTIFACTS = "projects/team/repositories/app/artifacts"
NEVER = "0001-01-01T00:00:00.000Z"


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app`` with a tag that was pulled twice, and one that was not."""
    repository = make_repository(team)
    pulled, other = make_image(), make_image()
    push_image(repository, pulled, "pulled")
    push_image(repository, other, "other")
    statistics.discard()
    actor = Actor(Principal("user", "bob"))
    for _time in range(2):
        statistics.note(repository.pk, digest=pulled.digest, tag="pulled", actor=actor)
    statistics.flush()
    return repository


def is_recent(text: str) -> bool:
    """Tell whether the time is one of the last minute."""
    age = timezone.now() - datetime.datetime.fromisoformat(text)
    return datetime.timedelta(0) <= age < datetime.timedelta(minutes=1)


def test_a_repository_has_its_count(caller: Callers, app: Repository) -> None:
    assert told(caller("carol").get("projects/team/repositories/app"))["pull_count"] == 2
    (listed,) = told(caller("carol").get("projects/team/repositories"))
    assert listed["pull_count"] == 2
    (found,) = told(caller("carol").get("search?q=app"))["repository"]
    assert found["pull_count"] == 2


def test_artifacts_and_tags_have_the_time(caller: Callers, app: Repository) -> None:
    shown = told(caller("carol").get(f"{ARTIFACTS}?sort=push_time"))
    times = {artifact["tags"][0]["name"]: artifact for artifact in shown}
    assert is_recent(times["pulled"]["pull_time"])
    assert is_recent(times["pulled"]["tags"][0]["pull_time"])
    assert times["other"]["pull_time"] == times["other"]["tags"][0]["pull_time"] == NEVER


def test_the_list_of_tags_has_the_time(caller: Callers, app: Repository) -> None:
    (tag,) = told(caller("carol").get(f"{ARTIFACTS}/pulled/tags"))
    assert is_recent(tag["pull_time"])
    (tag,) = told(caller("carol").get(f"{ARTIFACTS}/other/tags"))
    assert tag["pull_time"] == NEVER
