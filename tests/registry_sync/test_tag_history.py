"""A tag's history: intervals, going back, and forgetting what ended long ago."""

import datetime

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.errors import Conflict, Denied, NotFound, PreconditionFailed
from accounts.models import AuditEntry, OutboxEvent, Project, User
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from registry_sync import executions, immutable_rules, purging, tag_history, trash
from registry_sync.immutability import Rule
from registry_sync.models import Artifact, Repository, State, Tag, TagEvent, TrashEntry
from registry_sync.tag_history import Whereabouts
from tests.factories import Image, make_image, make_repository, push_image
from tests.registry_sync.jobs import Broker
from tests.registry_sync.test_bulk import perform
from tests.registry_sync.trashing import live_in, recount, tags_of


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


@pytest.fixture
def two(app: Repository) -> tuple[Image, Image]:
    """Two images to which ``latest`` pointed, one after the other."""
    first, second = make_image(), make_image()
    for image in (first, second):
        push_image(app, image, tag="latest")
    return first, second


def first_event(tag: str = "latest") -> int:
    """Return the number of a tag's first state."""
    return TagEvent.objects.filter(tag=tag).order_by("pk").values_list("pk", flat=True)[0]


class TestStates:
    def test_each_ends_where_the_next_begins(
        self, app: Repository, two: tuple[Image, Image]
    ) -> None:
        push_image(app, make_image(), tag="other")
        trash.delete_tag(app, "latest", actor=SYSTEM_ACTOR, execution_id=7)
        gone, second, first = tag_history.states(app, "latest")
        assert (first.to_digest, second.to_digest) == tuple(image.digest for image in two)
        assert (second.from_digest, gone.from_digest) == tuple(image.digest for image in two)
        ends = [tag_history.end_of(state) for state in (gone, second, first)]
        assert ends == [None, gone.at, second.at]
        assert (gone.to_digest, gone.execution_id) == ("", 7)
        assert tag_history.states(app).count() == 4

    def test_another_repositorys_tag_is_another(self, app: Repository, library: Project) -> None:
        push_image(app, tag="latest")
        push_image(make_repository(library), tag="latest")
        (only,) = tag_history.states(app, "latest")
        assert tag_history.end_of(only) is None

    def test_the_same_push_again_is_no_new_state(self, app: Repository) -> None:
        image = make_image()
        for _ in range(3):
            push_image(app, image, tag="latest")
        assert tag_history.states(app, "latest").count() == 1

    def test_who_from_where_by_what(self, app: Repository, bob: User) -> None:
        actor = Actor(Principal("user", "bob", bob.pk), "192.0.2.7", "r", "docker/28")
        push_image(app, tag="latest", actor=actor)
        (state,) = tag_history.states(app)
        assert (state.actor_kind, state.actor_id, state.actor_name) == ("user", bob.pk, "bob")
        assert (state.address, state.client) == ("192.0.2.7", "docker/28")

    def test_where_the_images_are(self, app: Repository, two: tuple[Image, Image]) -> None:
        first, second = two
        trash.delete_artifact(app, first.digest, actor=SYSTEM_ACTOR)
        found = tag_history.whereabouts(app, [first.digest, second.digest, "sha256:0"])
        assert list(found.values()) == [Whereabouts.TRASHED, Whereabouts.LIVE, Whereabouts.GONE]


class TestGoingBack:
    def test_to_an_image_that_lives(
        self, app: Repository, two: tuple[Image, Image], alice: User
    ) -> None:
        first, second = two
        used = recount(app.project)
        actor = Actor(Principal("user", "alice", alice.pk), "192.0.2.1", "r", "browser")
        tag = tag_history.go_back(app, first_event(), actor=actor)
        assert (tag.name, tag.pushed_by_name) == ("latest", "alice")
        assert tags_of(app) == {"latest": first.digest}
        assert recount(app.project) == used
        newest = tag_history.states(app, "latest")[0]
        assert (newest.action, newest.from_digest, newest.to_digest, newest.actor_name) == (
            "restore",
            second.digest,
            first.digest,
            "alice",
        )
        entry = AuditEntry.objects.get(action="restore_tag")
        assert (entry.resource, entry.actor_name) == ("team/app:latest", "alice")
        assert OutboxEvent.objects.filter(kind="tag.restored").count() == 1

    def test_of_a_tag_that_is_gone(self, app: Repository, two: tuple[Image, Image]) -> None:
        trash.delete_tag(app, "latest", actor=SYSTEM_ACTOR)
        tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)
        assert tags_of(app) == {"latest": two[0].digest}
        assert Tag.objects.get().sort_key == "9"

    def test_to_an_image_in_the_trash(self, app: Repository, two: tuple[Image, Image]) -> None:
        first, _second = two
        push_image(app, first, tag="1.0")
        entry = trash.delete_artifact(app, first.digest, actor=SYSTEM_ACTOR)
        tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)
        assert tags_of(app) == {"latest": first.digest, "1.0": first.digest}
        entry.refresh_from_db()
        assert entry.state == TrashEntry.State.RESTORED
        recount(app.project)

    def test_a_deleted_image_brings_its_tag_along(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, tag="latest")
        trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        tag = tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)
        assert tag.name == "latest"
        assert tags_of(app) == {"latest": image.digest}
        assert [state.action for state in tag_history.states(app)] == ["restore", "delete", "push"]

    def test_not_where_it_is_held(self, app: Repository, two: tuple[Image, Image]) -> None:
        immutable_rules.create(app.project, rule=Rule("latest"), actor=SYSTEM_ACTOR)
        trash_before = live_in(app)
        with pytest.raises(PreconditionFailed, match="immutable"):
            tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)
        assert tags_of(app) == {"latest": two[1].digest}
        assert live_in(app) == trash_before

    def test_there_already(self, app: Repository) -> None:
        push_image(app, tag="latest")
        with pytest.raises(Conflict, match="points there already"):
            tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)

    def test_to_where_it_was_not(self, app: Repository) -> None:
        push_image(app, tag="latest")
        trash.delete_tag(app, "latest", actor=SYSTEM_ACTOR)
        last = TagEvent.objects.latest("pk").pk
        with pytest.raises(Conflict, match="was not there then"):
            tag_history.go_back(app, last, actor=SYSTEM_ACTOR)

    def test_to_what_was_purged(self, app: Repository, two: tuple[Image, Image]) -> None:
        entry = trash.delete_artifact(app, two[0].digest, actor=SYSTEM_ACTOR)
        purging.purge(app, entry.pk, actor=SYSTEM_ACTOR)
        with pytest.raises(Conflict, match="was purged"):
            tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)

    def test_to_what_is_over(self, app: Repository, two: tuple[Image, Image]) -> None:
        trash.delete_artifact(app, two[0].digest, actor=SYSTEM_ACTOR)
        TrashEntry.objects.update(purge_at=timezone.now())
        with pytest.raises(Conflict, match="time in the trash is over"):
            tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)
        assert tags_of(app) == {"latest": two[1].digest}

    def test_in_a_full_project(self, app: Repository, two: tuple[Image, Image]) -> None:
        trash.delete_artifact(app, two[0].digest, actor=SYSTEM_ACTOR)
        Project.objects.update(storage_limit=1)
        with pytest.raises(Conflict):
            tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)
        assert Artifact.objects.live().count() == 1

    def test_in_a_read_only_or_deleted_project(
        self, app: Repository, two: tuple[Image, Image]
    ) -> None:
        Project.objects.update(is_read_only=True)
        with pytest.raises(Denied):
            tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)
        Project.objects.filter(pk=app.project_id).update(
            is_read_only=False, deleted_at=timezone.now()
        )
        with pytest.raises(Conflict, match="project was deleted"):
            tag_history.go_back(app, first_event(), actor=SYSTEM_ACTOR)

    def test_another_repositorys_state_is_not_there(
        self, app: Repository, two: tuple[Image, Image], library: Project
    ) -> None:
        with pytest.raises(NotFound):
            tag_history.go_back(make_repository(library), first_event(), actor=SYSTEM_ACTOR)


def aged(*days: int) -> None:
    """Let the states have begun so many days ago, in their order."""
    events = list(TagEvent.objects.order_by("pk"))
    for event, age in zip(events, days, strict=True):
        event.at = timezone.now() - datetime.timedelta(days=age)
        event.save(update_fields=["at"])


class TestForgetting:
    def test_what_ended_long_ago_goes_and_what_is_current_stays(
        self, app: Repository, broker: Broker, settings: Settings
    ) -> None:
        settings.MOORAGE_TAG_HISTORY_DAYS = 30
        for tag in ("old", "old", "old", "still", "gone"):
            push_image(app, tag=tag)
        trash.delete_tag(app, "gone", actor=SYSTEM_ACTOR)
        # The first "old" ended 40 days ago, the second 10 days ago; "still" never did.
        aged(90, 40, 10, 400, 80, 70)
        execution = executions.create(tag_history.KIND, actor=SYSTEM_ACTOR)
        task = perform(execution)
        assert (task.state, task.result) == (State.SUCCEEDED, {"forgotten": 3})
        left = TagEvent.objects.order_by("pk").values_list("tag", flat=True)
        assert list(left) == ["old", "old", "still"]
        assert set(tags_of(app)) == {"old", "still"}

    def test_in_parts(self, app: Repository) -> None:
        for _ in range(5):
            push_image(app, tag="latest")
        aged(90, 80, 70, 60, 50)
        before = timezone.now() - datetime.timedelta(days=30)
        total, last = 0, 0
        for _ in range(3):
            count, last = tag_history.forget(before, after=last, limit=2)
            total += count
        assert total == 4
        assert tag_history.forget(before, after=last, limit=2) == (0, 0)
        (current,) = tag_history.states(app)
        assert tag_history.end_of(current) is None
