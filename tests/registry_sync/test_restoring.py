"""Restoring: whole, or refused with the reason."""

import datetime

import pytest
from django.utils import timezone

from accounts import projects
from accounts.errors import Conflict, NotFound
from accounts.models import AuditEntry, Project
from accounts.principals import SYSTEM_ACTOR
from accounts.projects import Changes
from registry_sync import purging, restoring, trash
from registry_sync.models import Blob, Repository, Tag, TagEvent, TrashEntry
from registry_sync.restoring import Tags
from tests.factories import make_image, make_index, make_repository, push_image
from tests.registry_sync.trashing import live_in, push_signed, recount, tags_of


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


def restore(repository: Repository, entry: TrashEntry, tags: Tags = Tags.ALL) -> TrashEntry:
    """Restore as the system."""
    return restoring.restore(repository, entry.pk, tags=tags, actor=SYSTEM_ACTOR)


class TestWhole:
    def test_a_tag_is_back_as_it_was(self, app: Repository) -> None:
        push_image(app, tag="1")
        before = Tag.objects.values("name", "artifact", "sort_key", "pushed_by_name", "pushed_at")
        was = before.get()
        entry = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
        assert restore(app, entry).state == TrashEntry.State.RESTORED
        assert before.get() == was
        actions = TagEvent.objects.order_by("pk").values_list("action", flat=True)
        assert list(actions) == ["push", "delete", "restore"]
        assert AuditEntry.objects.filter(action="restore_tag").count() == 1

    def test_an_artifact_is_back_with_tags_and_accessories(self, app: Repository) -> None:
        image, signature = push_signed(app)
        was, used = tags_of(app), recount(app.project)
        entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        restore(app, entry)
        assert tags_of(app) == was
        assert live_in(app) == {image.digest, signature.digest}
        assert recount(app.project) == used

    def test_an_index_brings_back_what_was_deleted_after_it(self, app: Repository) -> None:
        child = make_image()
        push_image(app, child, tag="")
        index = make_index(child)
        push_image(app, index, tag="1", children=(child,))
        entry = trash.delete_artifact(app, index.digest, actor=SYSTEM_ACTOR, with_children=False)
        trash.delete_artifact(app, child.digest, actor=SYSTEM_ACTOR)
        restore(app, entry)
        assert live_in(app) == {child.digest, index.digest}
        recount(app.project)

    def test_a_repository_is_shown_again(self, app: Repository) -> None:
        last = push_image(app, tag="1").pushed_at
        was = tags_of(app)
        restore(app, trash.delete_repository(app, actor=SYSTEM_ACTOR))
        app.refresh_from_db()
        assert (app.pushed_at, tags_of(app)) == (last, was)

    def test_grace_begins_anew(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image)
        entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        old = timezone.now() - datetime.timedelta(days=3)
        Blob.objects.update(touched_at=old)
        restore(app, entry)
        assert not Blob.objects.filter(touched_at=old).exists()

    def test_what_was_pushed_again_lives_and_its_entry_keeps_the_rest(
        self, app: Repository
    ) -> None:
        image, signature = push_signed(app, "1.0")
        entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        push_image(app, image, tag="again")
        assert live_in(app) == {image.digest}
        restore(app, entry)
        assert live_in(app) == {image.digest, signature.digest}
        assert tags_of(app) == {"again": image.digest, "1.0": image.digest}
        recount(app.project)


class TestRefused:
    def refusal(self, app: Repository, entry: TrashEntry, tags: Tags = Tags.ALL) -> str:
        """Return why it is refused; nothing changes."""
        was = (tags_of(app), live_in(app), TrashEntry.objects.get(pk=entry.pk).state)
        with pytest.raises(Conflict) as caught:
            restore(app, entry, tags)
        assert was == (tags_of(app), live_in(app), TrashEntry.objects.get(pk=entry.pk).state)
        return str(caught.value)

    def test_in_a_full_project(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image)
        entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        changes = Changes(storage_limit=image.size - 1)
        projects.update(app.project, changes=changes, actor=SYSTEM_ACTOR)
        assert "storage limit" in self.refusal(app, entry)
        assert recount(app.project) == 0

    def test_where_the_tag_points_elsewhere(self, app: Repository) -> None:
        image, other = make_image(), make_image()
        push_image(app, image, tag="1")
        push_image(app, image, tag="2")
        entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        push_image(app, other, tag="1")
        assert other.digest[:19] in self.refusal(app, entry)
        restore(app, entry, Tags.FREE)
        assert tags_of(app) == {"1": other.digest, "2": image.digest}

    def test_without_tags(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, tag="1")
        entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        restore(app, entry, Tags.NONE)
        assert (tags_of(app), live_in(app)) == ({}, {image.digest})

    def test_while_the_image_is_in_the_trash_itself(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, tag="1")
        tag = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
        whole = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        assert "in the trash itself" in self.refusal(app, tag)
        restore(app, whole)
        restore(app, tag)
        assert tags_of(app) == {"1": image.digest}

    def test_after_the_image_was_purged(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, tag="1")
        tag = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
        whole = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        purging.purge(app, whole.pk, actor=SYSTEM_ACTOR)
        assert "purged" in self.refusal(app, tag)

    def test_in_a_deleted_or_read_only_project(self, app: Repository) -> None:
        push_image(app, tag="1")
        entry = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
        projects.update(app.project, changes=Changes(is_read_only=True), actor=SYSTEM_ACTOR)
        assert "read-only" in self.refusal(app, entry)
        projects.remove(app.project, actor=SYSTEM_ACTOR)
        assert "restore that first" in self.refusal(app, entry)

    def test_twice(self, app: Repository) -> None:
        push_image(app, tag="1")
        entry = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
        restore(app, entry)
        assert "already" in self.refusal(app, entry)

    def test_after_its_time(self, app: Repository) -> None:
        push_image(app, tag="1")
        projects.update(app.project, changes=Changes(trash_days=0), actor=SYSTEM_ACTOR)
        entry = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
        assert "over" in self.refusal(app, entry)

    def test_a_blob_that_was_collected(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, tag="1")
        entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        Blob.objects.filter(digest=image.digest).update(state=Blob.State.DELETING)
        assert "collected" in self.refusal(app, entry)

    def test_an_entry_of_another_repository(self, app: Repository) -> None:
        push_image(app, tag="1")
        entry = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
        with pytest.raises(NotFound):
            restore(make_repository(app.project, "other"), entry)


class TestMany:
    def test_the_newest_of_one_name_comes_back(self, app: Repository) -> None:
        first, second = make_image(), make_image()
        push_image(app, first, tag="1")
        old = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
        push_image(app, second, tag="1")
        new = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
        refused = restoring.restore_many(app, [old.pk, new.pk], actor=SYSTEM_ACTOR)
        assert list(refused) == [old.pk]
        assert tags_of(app) == {"1": second.digest}

    def test_as_many_as_there_is_room_for(self, app: Repository) -> None:
        entries = []
        images = [make_image() for _ in range(3)]
        for image in images:
            push_image(app, image, tag="")
        for image in images:
            entries.append(trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR))
        limit = images[2].size + images[1].size
        projects.update(app.project, changes=Changes(storage_limit=limit), actor=SYSTEM_ACTOR)
        ids = [entry.pk for entry in entries]
        refused = restoring.restore_many(app, ids, actor=SYSTEM_ACTOR)
        assert list(refused) == [entries[0].pk]
        assert live_in(app) == {images[1].digest, images[2].digest}
        recount(app.project)
