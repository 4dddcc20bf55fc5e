"""Removing many tags at once on a page."""

import pytest
from django.test import Client

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from registry_sync import bulk, immutable_rules, tasks
from registry_sync.immutability import Rule
from registry_sync.models import Execution, Repository
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of
from tests.registry_sync.jobs import Broker
from tests.registry_sync.test_bulk import perform
from tests.registry_sync.trashing import tags_of

PAGE = "/p/team/app/-/remove-tags"


@pytest.fixture(autouse=True)
def _broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message leaves these tests."""
    monkeypatch.setattr(tasks.run_task, "apply_async", Broker().send)


@pytest.fixture
def app(team: Project) -> Repository:
    """Make ``team/app`` with ``pr-0`` to ``pr-4`` and ``v1``; ``pr-0`` and ``v1`` are one image."""
    app, shared = make_repository(team), make_image()
    push_image(app, shared, tag="v1")
    for number in range(5):
        push_image(app, make_image() if number else shared, tag=f"pr-{number}")
    return app


@pytest.fixture
def client(cast: Cast, signed_in: SignedIn) -> Client:
    """Alice's browser."""
    return signed_in(cast.alice)


def test_nothing_goes_before_it_was_looked_at(client: Client, app: Repository) -> None:
    page = text_of(client.post(PAGE, {"name": ["pr-0", "pr-1"]}))
    assert "Remove 2 tags" in page
    assert "<dt>Images that lose their last tag</dt><dd>1</dd>" in page
    assert "for 7 days" in page
    assert 'name="with_images" value="1" checked' in page
    assert len(tags_of(app)) == 6
    assert not Execution.objects.exists()
    again = text_of(client.post(PAGE, {"name": ["pr-0", "pr-1"], "seen": "1"}))
    assert "<dt>Images that lose their last tag</dt><dd>0</dd>" in again


def test_ticked_tags_go_as_a_run(client: Client, app: Repository) -> None:
    sent = {"names": "pr-0 pr-1", "seen": "1", "with_images": "1", "confirmed": "1"}
    answer = client.post(PAGE, sent)
    execution = Execution.objects.get(kind=bulk.DELETION)
    assert answer.headers["Location"] == f"/p/team/-/runs/{execution.pk}"
    perform(execution)
    assert set(tags_of(app)) == {"v1", "pr-2", "pr-3", "pr-4"}
    assert "Undo this run" in text_of(client.get(answer.headers["Location"]))


def test_all_that_match_words(client: Client, app: Repository) -> None:
    page = text_of(client.post(PAGE, {"all": "1", "q": "pr-*"}))
    assert "Remove 5 tags" in page
    assert '<input type="hidden" name="q" value="pr-*">' in page
    client.post(PAGE, {"all": "1", "q": "pr-*", "seen": "1", "confirmed": "1"})
    execution = Execution.objects.get(kind=bulk.DELETION)
    assert execution.parameters["query"] == "pr-*"
    perform(execution)
    assert set(tags_of(app)) == {"v1"}


def test_all_that_match_more_than_words(client: Client, app: Repository) -> None:
    push_image(app, tag="pr-9", actor=Actor(Principal("robot", "robot+team+ci", robot_id=1)))
    page = text_of(client.post(PAGE, {"all": "1", "q": "pr-*", "by": "robots"}))
    assert "Remove 1 tag" in page
    assert '<input type="hidden" name="names" value="pr-9">' in page
    assert 'name="all"' not in page
    nothing = client.post(PAGE, {"all": "1", "platform": "linux/s390x"}, follow=True)
    assert nothing.redirect_chain == [("/p/team/app", 302)]
    assert "No tag matches" in text_of(nothing)


def test_without_a_filter_all_means_all(client: Client, app: Repository) -> None:
    assert "Remove 6 tags" in text_of(client.post(PAGE, {"all": "1", "q": ""}))


def test_nothing_ticked(client: Client, app: Repository) -> None:
    answer = client.post(PAGE, {}, follow=True)
    assert answer.redirect_chain == [("/p/team/app", 302)]
    assert "Tick the tags that should go." in text_of(answer)


def test_too_many_names(client: Client, app: Repository) -> None:
    names = [f"t{number}" for number in range(bulk.MAX_NAMES + 1)]
    answer = client.post(PAGE, {"names": " ".join(names)}, follow=True)
    assert "use a filter" in text_of(answer)


def test_what_a_rule_holds_stays_and_is_told(client: Client, app: Repository) -> None:
    immutable_rules.create(app.project, rule=Rule("pr-[12]"), actor=SYSTEM_ACTOR)
    page = text_of(client.post(PAGE, {"all": "1", "q": "pr-*"}))
    assert "Remove 3 tags" in page
    assert "Stay, because a rule holds them" in page
    only = text_of(client.post(PAGE, {"name": ["pr-1"]}))
    assert "None of them can be removed." in only


def test_a_second_run_waits_for_the_first(client: Client, app: Repository) -> None:
    sent = {"name": ["pr-0"], "seen": "1", "confirmed": "1"}
    client.post(PAGE, sent)
    client.post(PAGE, sent)
    assert Execution.objects.filter(kind=bulk.DELETION).count() == 1


@pytest.mark.parametrize(
    ("name", "status"), [(None, 302), ("mallory", 404), ("carol", 403), ("bob", 403)]
)
def test_who_may_not(
    cast: Cast, signed_in: SignedIn, app: Repository, name: str | None, status: int
) -> None:
    client = signed_in(getattr(cast, name) if name else None)
    sent = {"name": ["pr-0"], "seen": "1", "confirmed": "1"}
    assert client.post(PAGE, sent).status_code == status
    assert not Execution.objects.exists()
    assert client.get(PAGE).status_code == 405
