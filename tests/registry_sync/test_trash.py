"""Deleting: what goes, what stays, what is kept of it."""

import datetime

import pytest

from accounts import projects
from accounts.errors import Conflict, Denied, NotFound
from accounts.models import AuditEntry, OutboxEvent, Project, User
from accounts.principals import SYSTEM_ACTOR
from accounts.projects import Changes
from registry_sync import tag_deletions, trash
from registry_sync.models import Repository, TagEvent, TrashEntry
from tests.factories import make_image, make_index, make_repository, push_image
from tests.registry_sync.jobs import actor_of
from tests.registry_sync.trashing import live_in, push_signed, recount, tags_of


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


class TestTag:
    def test_the_tag_goes_alone(self, app: Repository, bob: User) -> None:
        image = make_image()
        push_image(app, image, tag="1")
        push_image(app, image, tag="2")
        entry = trash.delete_tag(app, "1", actor=actor_of(bob))
        assert tags_of(app) == {"2": image.digest}
        assert live_in(app) == {image.digest}
        assert (entry.kind, entry.digest, entry.tag_names) == ("tag", image.digest, ["1"])
        assert entry.purge_at - entry.deleted_at == datetime.timedelta(days=7)
        event = TagEvent.objects.get(action="delete")
        assert (event.tag, event.from_digest, event.to_digest) == ("1", image.digest, "")
        assert AuditEntry.objects.get(action="delete_tag").resource == "team/app:1"
        assert OutboxEvent.objects.get(kind="tag.deleted").payload["tag"] == "1"
        recount(app.project)

    def test_one_that_is_not_there(self, app: Repository) -> None:
        with pytest.raises(NotFound):
            trash.delete_tag(app, "nothing", actor=SYSTEM_ACTOR)

    def test_not_in_a_read_only_project(self, app: Repository) -> None:
        push_image(app, tag="1")
        projects.update(app.project, changes=Changes(is_read_only=True), actor=SYSTEM_ACTOR)
        with pytest.raises(Denied, match="read-only"):
            trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)


class TestArtifact:
    def test_its_tags_and_accessories_go_with_it(self, app: Repository) -> None:
        image, signature = push_signed(app)
        stays = make_image()
        push_image(app, stays, tag="other")
        entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        assert live_in(app) == {stays.digest}
        assert tags_of(app) == {"other": stays.digest}
        assert (entry.artifact_count, entry.tag_names) == (2, ["1.0"])
        assert entry.freed_bytes == image.size + signature.size
        assert recount(app.project) == stays.size

    def test_a_signature_by_tag_goes_with_it(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, tag="1")
        push_image(app, make_image(), tag=f"{image.digest.replace(':', '-')}.sig")
        trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        assert tags_of(app) == {}
        assert recount(app.project) == 0

    def test_what_has_a_name_of_its_own_stays(self, app: Repository) -> None:
        image, named = make_image(), make_image()
        push_image(app, image, tag="1")
        push_image(app, named, tag=f"{image.digest.replace(':', '-')}.sig")
        push_image(app, named, tag="mine")
        trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        assert live_in(app) == {named.digest}

    def test_an_index_takes_the_manifests_that_nothing_else_needs(self, app: Repository) -> None:
        lone, shared, tagged = make_image(), make_image(), make_image()
        push_image(app, lone, tag="")
        push_image(app, shared, tag="")
        push_image(app, tagged, tag="tagged")
        index, other = make_index(lone, shared, tagged), make_index(shared)
        push_image(app, index, tag="1", children=(lone, shared, tagged))
        push_image(app, other, tag="2", children=(shared,))
        trash.delete_artifact(app, index.digest, actor=SYSTEM_ACTOR)
        assert live_in(app) == {shared.digest, tagged.digest, other.digest}
        recount(app.project)

    def test_an_index_may_leave_them(self, app: Repository) -> None:
        child = make_image()
        push_image(app, child, tag="")
        index = make_index(child)
        push_image(app, index, tag="1", children=(child,))
        trash.delete_artifact(app, index.digest, actor=SYSTEM_ACTOR, with_children=False)
        assert live_in(app) == {child.digest}

    def test_not_while_an_index_needs_it(self, app: Repository) -> None:
        child = make_image()
        push_image(app, child, tag="child")
        index = make_index(child)
        push_image(app, index, children=(child,))
        with pytest.raises(Conflict, match=index.digest):
            trash.delete_artifact(app, child.digest, actor=SYSTEM_ACTOR)
        assert tags_of(app)["child"] == child.digest


class TestRepository:
    def test_it_is_one_entry(self, app: Repository) -> None:
        push_signed(app, "1")
        push_signed(app, "2")
        entry = trash.delete_repository(app, actor=SYSTEM_ACTOR)
        app.refresh_from_db()
        assert app.pushed_at is None
        assert (entry.kind, entry.artifact_count, entry.tag_count) == ("repository", 4, 2)
        assert (live_in(app), tags_of(app)) == (set(), {})
        assert recount(app.project) == 0

    def test_twice_is_not_found(self, app: Repository) -> None:
        push_image(app)
        trash.delete_repository(app, actor=SYSTEM_ACTOR)
        with pytest.raises(NotFound):
            trash.delete_repository(app, actor=SYSTEM_ACTOR)
        assert TrashEntry.objects.count() == 1


class TestMany:
    def test_an_image_goes_with_its_last_tag(self, app: Repository) -> None:
        both, one = make_image(), make_image()
        push_image(app, both, tag="a")
        push_image(app, both, tag="b")
        push_image(app, one, tag="c")
        push_image(app, one, tag="d")
        wanted = {"a": both.digest, "b": both.digest, "c": one.digest}
        outcome = tag_deletions.delete_tags(
            app, wanted, with_images=True, actor=SYSTEM_ACTOR, execution_id=7
        )
        assert tags_of(app) == {"d": one.digest}
        assert live_in(app) == {one.digest}
        assert (outcome.tags, outcome.images, outcome.freed_bytes) == (3, 1, both.size)
        assert set(TrashEntry.objects.values_list("execution_id", flat=True)) == {7}
        assert set(TagEvent.objects.filter(action="delete").values_list("execution_id")) == {(7,)}
        recount(app.project)

    def test_the_tag_alone_where_images_stay(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, tag="a")
        tag_deletions.delete_tags(app, {"a": image.digest}, with_images=False, actor=SYSTEM_ACTOR)
        assert (tags_of(app), live_in(app)) == ({}, {image.digest})

    def test_what_moved_meanwhile_stays(self, app: Repository) -> None:
        seen, pushed = make_image(), make_image()
        push_image(app, seen, tag="a")
        push_image(app, pushed, tag="a")
        outcome = tag_deletions.delete_tags(
            app, {"a": seen.digest, "b": seen.digest}, with_images=True, actor=SYSTEM_ACTOR
        )
        assert outcome.kept == {"a": "pushed again meanwhile", "b": "gone already"}
        assert tags_of(app) == {"a": pushed.digest}

    def test_what_was_pushed_again_unchanged_stays(self, app: Repository) -> None:
        image = make_image()
        seen = push_image(app, image, tag="a").pushed_at
        push_image(app, image, tag="a")
        outcome = tag_deletions.delete_tags(
            app, {"a": image.digest}, with_images=True, actor=SYSTEM_ACTOR, not_after=seen
        )
        assert (outcome.tags, tags_of(app)) == (0, {"a": image.digest})

    def test_the_manifest_of_a_live_index_stays(self, app: Repository) -> None:
        child = make_image()
        push_image(app, child, tag="child")
        index = make_index(child)
        push_image(app, index, tag="index", children=(child,))
        tag_deletions.delete_tags(
            app, {"child": child.digest}, with_images=True, actor=SYSTEM_ACTOR
        )
        assert live_in(app) == {child.digest, index.digest}

    def test_index_and_its_tagged_manifest_go_together(self, app: Repository) -> None:
        child = make_image()
        push_image(app, child, tag="child")
        index = make_index(child)
        push_image(app, index, tag="index", children=(child,))
        wanted = {"child": child.digest, "index": index.digest}
        tag_deletions.delete_tags(app, wanted, with_images=True, actor=SYSTEM_ACTOR)
        assert live_in(app) == set()
        assert recount(app.project) == 0

    def test_an_accessory_of_an_image_that_stays_stays(self, app: Repository) -> None:
        image, signature = push_signed(app)
        push_image(app, signature, tag="signature")
        tag_deletions.delete_tags(
            app, {"signature": signature.digest}, with_images=True, actor=SYSTEM_ACTOR
        )
        assert live_in(app) == {image.digest, signature.digest}
