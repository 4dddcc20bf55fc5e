"""Collection as a whole: what goes, what stays, what it says, and where it refuses."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import blobs, fsck, garbage, trash
from registry_sync.models import (
    Artifact,
    Blob,
    ManifestBody,
    ReportLine,
    Repository,
    State,
)
from tests.factories import descriptor, digest_of, make_image, make_index, make_repository
from tests.registry_sync.collecting import (
    Shelf,
    collect,
    discard,
    expire_trash,
    log_of,
    pass_time,
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
        assert collect(dry_run=True).result["found_bytes"] == 0
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
