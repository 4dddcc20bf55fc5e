"""Where collection refuses or fails: it says why, and nothing is lost."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from accounts.errors import BadRequest, Conflict
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, garbage
from registry_sync.models import Artifact, ArtifactBlob, Blob, Repository, State, StorageEpoch, Tag
from tests.factories import make_repository
from tests.registry_sync.collecting import Shelf, collect, discard, pass_time, resume

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


def test_garbage_that_nothing_accounts_for_stops_the_run(shelf: Shelf, app: Repository) -> None:
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


def test_lost_edges_stop_the_run(shelf: Shelf, app: Repository) -> None:
    image = shelf.push(app)
    ArtifactBlob.objects.all().delete()
    pass_time()
    task = collect()
    assert task.state == State.FAILED
    assert "has lost what they need" in task.message
    assert shelf.holds(app, image)


def test_a_digest_pushed_again_and_lost_then_is_not_explained_by_its_first_purge(
    shelf: Shelf, app: Repository
) -> None:
    image = shelf.push(app)
    discard(app, image.digest)
    shelf.push(app, image)
    Tag.objects.all().delete()
    Artifact.objects.all().delete()
    pass_time()
    assert collect().state == State.FAILED


def test_a_database_older_than_the_storage(shelf: Shelf, app: Repository) -> None:
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


def test_a_database_that_was_emptied(shelf: Shelf) -> None:
    collect()
    StorageEpoch.objects.all().delete()
    assert "another database" in collect().message


def test_another_storage(shelf: Shelf) -> None:
    collect()
    (shelf.root / "moorage/epoch").unlink()
    assert "lost its marker" in collect().message


def test_cut_off_between_database_and_marker(shelf: Shelf) -> None:
    collect()
    marker = shelf.storage.read_marker()
    collect()
    shelf.storage.write_marker(marker)
    assert collect().state == State.SUCCEEDED


def test_a_storage_that_is_away_is_tried_again(
    shelf: Shelf, app: Repository, settings: Any
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


def test_a_run_while_one_runs(shelf: Shelf) -> None:
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
def test_bad_parameters(wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as error:
        garbage.parameters_of(wanted)
    assert error.value.field == field
