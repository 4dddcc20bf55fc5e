"""Collection as a whole: what goes, what stays, what it says, and where it refuses."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.errors import BadRequest, Conflict
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import blobs, executions, fsck, garbage, trash
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    Blob,
    ManifestBody,
    ReportLine,
    Repository,
    RepositoryBlob,
    State,
    StorageEpoch,
    Tag,
)
from tests.factories import descriptor, digest_of, make_image, make_index, make_repository
from tests.registry_sync.collecting import (
    Shelf,
    collect,
    discard,
    expire_trash,
    log_of,
    pass_time,
    resume,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def shelf(tmp_path: Path, settings: Any) -> Shelf:
    """An empty storage."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return Shelf(tmp_path)


@pytest.fixture
def app(team: Project) -> Repository:
    """A repository."""
    return make_repository(team)


class TestWhatGoes:
    def test_what_was_purged_goes_with_its_links_and_rows(
        self, shelf: Shelf, app: Repository
    ) -> None:
        kept, lost = shelf.push(app, tag="kept"), shelf.push(app, tag="lost")
        discard(app, lost.digest)
        pass_time()
        task = collect()
        assert task.state == State.SUCCEEDED, log_of(task)
        assert shelf.holds(app, kept)
        assert all(
            shelf.storage.size(digest_of(content)) is None
            for content in (lost.content, *lost.blobs)
        )
        assert not list(shelf.root.glob(f"**/{lost.digest.removeprefix('sha256:')}"))
        assert not ManifestBody.objects.filter(digest=lost.digest).exists()
        assert task.result["digests"] == 3
        assert shelf.stray() == []

    def test_the_store_shrinks_by_exactly_what_the_dry_run_said(
        self, shelf: Shelf, app: Repository, library: Project
    ) -> None:
        shared = b"a layer that both have" * 100
        shelf.push(app, make_image(layers=(shared, b"mine" * 50)), tag="kept")
        lost = shelf.push(app, make_image(layers=(shared, b"only mine" * 70)), tag="lost")
        other = make_repository(library, "other")
        gone = shelf.push(other, tag="gone")
        # Nobody ever asked for this one: its size is in no row.
        blobs.expect(app, shelf.write(b"sent, and forgotten" * 9))
        discard(app, lost.digest)
        discard(other, gone.digest)
        pass_time()
        dry = collect(dry_run=True)
        before = shelf.bytes()
        assert dry.state == State.SUCCEEDED
        assert dry.result["found_bytes"] > 0
        assert Blob.objects.exclude(state=Blob.State.LIVE).count() == 0
        real = collect()
        assert before - shelf.bytes() == dry.result["found_bytes"] == real.result["freed_bytes"]
        assert real.result["by_project"] == dry.result["by_project"]
        assert sum(real.result["by_project"].values()) == real.result["freed_bytes"]
        assert set(real.result["by_project"]) == {"team", "library"}

    def test_a_dry_run_gives_each_digest_a_reason_and_its_repository(
        self, shelf: Shelf, app: Repository
    ) -> None:
        lost = shelf.push(app)
        sent = shelf.write(b"sent")
        blobs.expect(app, sent)
        unfinished = make_image()
        blobs.pin(app, shelf.write(unfinished.content), set())
        discard(app, lost.digest)
        pass_time()
        dry = collect(dry_run=True)
        lines = ReportLine.objects.of(dry.execution_id)
        reasons = dict(lines.values_list("subject", "reason"))
        assert reasons[f"team/app@{lost.digest}"] == "purged"
        assert reasons[f"team/app@{sent}"] == "unused"
        assert reasons[f"team/app@{unfinished.digest}"] == "unfinished"
        assert dry.result["by_reason"]["purged"][0] == 3
        assert f"would remove {sent}" in log_of(dry)

    def test_trash_whose_time_is_over_is_purged_first_and_waits_for_its_grace(
        self, shelf: Shelf, app: Repository
    ) -> None:
        lost = shelf.push(app)
        trash.delete_artifact(app, lost.digest, actor=SYSTEM_ACTOR)
        expire_trash()
        pass_time()
        collect()
        assert not Artifact.objects.exists()
        assert shelf.holds(app, lost)
        pass_time()
        collect()
        assert not shelf.holds(app, lost)

    def test_an_abandoned_upload_goes(self, shelf: Shelf, app: Repository, settings: Any) -> None:
        folder = (
            shelf.root / "docker/registry/v2/repositories" / app.registry_name / "_uploads/some-id"
        )
        folder.mkdir(parents=True)
        (folder / "data").write_bytes(b"half")
        (folder / "startedat").write_text("then")
        collect()
        assert folder.exists()
        settings.MOORAGE_GC_GRACE = -1
        task = collect()
        assert not folder.exists()
        assert folder.parent.exists()
        assert (task.result["uploads"], task.result["upload_bytes"]) == (1, 4)

    def test_a_link_that_nothing_here_needs_goes_while_the_digest_lives_elsewhere(
        self, shelf: Shelf, app: Repository, library: Project
    ) -> None:
        image = make_image()
        shelf.push(app, image)
        other = make_repository(library, "other")
        shelf.push(other, image)
        discard(other, image.digest)
        pass_time()
        task = collect()
        assert task.result["links"] == 3
        assert task.result.get("digests", 0) == 0
        assert shelf.holds(app, image)
        assert not shelf.holds(other, image)
        assert not RepositoryBlob.objects.filter(repository=other).exists()


class TestWhatStays:
    def test_an_index_its_images_signatures_and_shared_layers(
        self, shelf: Shelf, app: Repository
    ) -> None:
        base = b"the base of all"
        children = tuple(make_image(layers=(base, bytes([n]))) for n in range(3))
        for child in children:
            shelf.push(app, child, tag="")
        index = shelf.push(app, make_index(*children), tag="1.0", children=children)
        signature = make_image(subject=descriptor(index.content, index.media_type))
        shelf.push(app, signature, tag="")
        other = shelf.push(app, make_image(layers=(base,)), tag="other")
        discard(app, other.digest)
        pass_time()
        collect(delete_untagged=True)
        assert all(shelf.holds(app, image) for image in (*children, index, signature))
        assert not shelf.holds(app, other)

    def test_what_can_be_restored(self, shelf: Shelf, app: Repository) -> None:
        image = shelf.push(app)
        trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
        pass_time()
        assert collect().result["found"] == 0
        assert shelf.holds(app, image)

    def test_what_was_touched_within_the_grace(self, shelf: Shelf, app: Repository) -> None:
        image = shelf.push(app)
        discard(app, image.digest)
        blobs.expect(app, shelf.write(b"just sent"))
        assert collect().result["found"] == 0
        assert shelf.holds(app, image)

    def test_what_a_push_takes_up_while_it_runs(self, shelf: Shelf, app: Repository) -> None:
        image = shelf.push(app)
        discard(app, image.digest)
        pass_time()

        def push_again() -> None:
            shelf.push(app, image, tag="again")

        task = _collect_with(push_again, at="gc.marked")
        assert shelf.holds(app, image)
        assert task.result.get("digests", 0) == 0
        assert "used again meanwhile" in log_of(task)

    def test_foreign_files_in_the_tree(self, shelf: Shelf, app: Repository) -> None:
        image = shelf.push(app)
        discard(app, image.digest)
        strangers = [
            shelf.root / "notes.txt",
            shelf.root / "docker/registry/v2/blobs/sha256/readme",
            shelf.root / "moorage/aside/of somebody else/file",
        ]
        for path in strangers:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
        pass_time()
        assert collect().state == State.SUCCEEDED
        assert all(path.read_text() == "mine" for path in strangers)


def _collect_with(event: Any, *, at: str) -> Any:
    """Collect, and let something happen at a failpoint."""
    patch = pytest.MonkeyPatch()
    done: list[str] = []

    def hit(place: str) -> None:
        if place == at and not done:
            done.append(place)
            event()

    patch.setattr(garbage, "hit", hit)
    try:
        return collect()
    finally:
        patch.undo()


class TestUntagged:
    def test_an_untagged_image_moves_into_the_trash(self, shelf: Shelf, app: Repository) -> None:
        image = shelf.push(app, tag="")
        Artifact.objects.update(pushed_at="2020-01-01T00:00:00Z")
        pass_time()
        assert collect().result.get("untagged") is None
        assert Artifact.objects.live().count() == 1
        task = collect(delete_untagged=True)
        assert task.result["untagged"] == 1
        assert Artifact.objects.live().count() == 0
        entry = app.trash.get()
        assert entry.digest == image.digest
        assert entry.execution_id == task.execution_id
        assert shelf.holds(app, image)

    def test_a_young_one_stays(self, shelf: Shelf, app: Repository) -> None:
        shelf.push(app, tag="")
        assert collect(delete_untagged=True).result["untagged"] == 0
        assert Artifact.objects.live().count() == 1


class TestRefusals:
    def test_garbage_that_nothing_accounts_for_stops_the_run(
        self, shelf: Shelf, app: Repository
    ) -> None:
        image = shelf.push(app)
        Tag.objects.all().delete()
        ArtifactBlob.objects.all().delete()
        Artifact.objects.all().delete()
        pass_time()
        task = collect()
        assert task.state == State.FAILED
        assert "no purge and no upload accounts for 3 digests" in task.message
        assert shelf.holds(app, image)
        assert collect(dry_run=True).result["by_reason"]["unexplained"][0] == 3
        assert collect(accept_unexplained=True).result["digests"] == 3

    def test_lost_edges_stop_the_run(self, shelf: Shelf, app: Repository) -> None:
        image = shelf.push(app)
        ArtifactBlob.objects.all().delete()
        pass_time()
        task = collect()
        assert task.state == State.FAILED
        assert "has lost what they need" in task.message
        assert shelf.holds(app, image)

    def test_a_digest_pushed_again_and_lost_then_is_not_explained_by_its_first_purge(
        self, shelf: Shelf, app: Repository
    ) -> None:
        image = shelf.push(app)
        discard(app, image.digest)
        shelf.push(app, image)
        Tag.objects.all().delete()
        Artifact.objects.all().delete()
        pass_time()
        assert collect().state == State.FAILED

    def test_a_database_older_than_the_storage(self, shelf: Shelf, app: Repository) -> None:
        image = shelf.push(app)
        discard(app, image.digest)
        collect()
        backup = StorageEpoch.objects.get()
        collect()
        collect()
        backup.save()
        pass_time()
        for parameters in ({}, {"dry_run": True}):
            task = collect(**parameters)
            assert task.state == State.FAILED
            assert "older than the storage" in task.message
        assert shelf.holds(app, image)

    def test_a_database_that_was_emptied(self, shelf: Shelf) -> None:
        collect()
        StorageEpoch.objects.all().delete()
        assert "another database" in collect().message

    def test_another_storage(self, shelf: Shelf) -> None:
        collect()
        (shelf.root / "moorage/epoch").unlink()
        assert "lost its marker" in collect().message

    def test_cut_off_between_database_and_marker(self, shelf: Shelf) -> None:
        collect()
        marker = shelf.storage.read_marker()
        collect()
        shelf.storage.write_marker(marker)
        assert collect().state == State.SUCCEEDED

    def test_a_storage_that_is_away_is_tried_again(
        self, shelf: Shelf, app: Repository, settings: Any
    ) -> None:
        discard(app, shelf.push(app).digest)
        pass_time()
        settings.MOORAGE_STORAGE_ROOT = shelf.root / "nowhere"
        task = collect()
        assert task.state == State.QUEUED
        assert "the storage is not there" in task.message
        assert not Blob.objects.exclude(state=Blob.State.LIVE).exists()

    @pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EIO])
    @pytest.mark.parametrize("is_of_bytes", [True, False])
    def test_a_storage_that_fails_in_the_middle_loses_nothing(
        self,
        shelf: Shelf,
        app: Repository,
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        *,
        is_of_bytes: bool,
    ) -> None:
        lost = shelf.push(app)
        discard(app, lost.digest)
        pass_time()
        rename, seen = os.rename, []

        def failing(path: str, target: str) -> None:
            if ("/blobs/" in str(path)) is is_of_bytes and "/aside/" not in str(path):
                seen.append(path)
                if len(seen) > 1:
                    raise OSError(number, os.strerror(number))
            rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", failing)
            task = collect()
        assert task.state == State.QUEUED
        assert os.strerror(number) in task.message
        assert shelf.holds(app, lost)
        assert not Blob.objects.exclude(state=Blob.State.LIVE).exists()
        # What came to live again has a whole grace before it.
        pass_time()
        assert resume(task).state == State.SUCCEEDED
        assert not shelf.holds(app, lost)
        assert shelf.stray() == []

    def test_a_run_while_one_runs(self, shelf: Shelf) -> None:
        executions.create(garbage.KIND, actor=SYSTEM_ACTOR)
        with pytest.raises(Conflict, match="running already"):
            executions.create(garbage.KIND, actor=SYSTEM_ACTOR)

    @pytest.mark.parametrize(
        ("wanted", "field"),
        [
            ({"workers": 0}, "workers"),
            ({"workers": 11}, "workers"),
            ({"workers": True}, "workers"),
            ({"workers": "4"}, "workers"),
            ({"dry_run": "yes"}, "dry_run"),
            ({"delete_untagged": 1}, "delete_untagged"),
            ({"rate": -1}, "rate"),
        ],
    )
    def test_bad_parameters(self, wanted: dict[str, Any], field: str) -> None:
        with pytest.raises(BadRequest) as error:
            garbage.parameters_of(wanted)
        assert error.value.field == field


def test_fsck_is_clean_after_it(shelf: Shelf, app: Repository) -> None:
    shelf.push(app, tag="kept")
    discard(app, shelf.push(app, tag="lost").digest)
    pass_time()
    collect(workers=4)
    assert list(fsck.findings(lambda check: None)) == []


def test_nothing_is_left_in_the_connection(shelf: Shelf) -> None:
    collect()
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
    assert not [name for name in tables if name.startswith("garbage_")]
