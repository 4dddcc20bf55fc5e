"""Measuring the storage: the parts add up to what lies there, and say whose it is."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import dispatch, storage_figures, tasks, trash
from registry_sync.models import Blob, ProjectStorage, Repository, State, StorageSnapshot
from registry_sync.storage.filesystem import FilesystemStorage, blob_path
from tests.factories import digest_of, make_image, make_repository, push_image
from tests.registry_sync.plain_storage import put_blob, put_image

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda ids: None)


@pytest.fixture
def storage(tmp_path: Path, settings: Any) -> Path:
    """The registry's directory."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return tmp_path


def measure() -> StorageSnapshot:
    execution = dispatch.start(storage_figures.KIND, actor=SYSTEM_ACTOR)
    tasks.run_here(execution.tasks.get().pk)
    execution.refresh_from_db()
    assert execution.state == State.SUCCEEDED, execution.tasks.get().message
    return StorageSnapshot.objects.latest("at")


def _push(storage: Path, repository: Repository, word: str, *layers: bytes) -> Any:
    image = make_image(word, layers=layers)
    push_image(repository, image, word)
    put_image(storage, repository.registry_name, image)
    return image


def test_every_byte_belongs_to_one_part(storage: Path, team: Project, library: Project) -> None:
    mine, theirs = make_repository(team), make_repository(library, "other")
    shared = b"a layer that both have"
    first = _push(storage, mine, "one", shared, b"only mine")
    second = _push(storage, theirs, "two", shared, b"only theirs and longer")
    gone = _push(storage, mine, "three", b"deleted with its image")
    trash.delete_artifact(mine, gone.digest, actor=SYSTEM_ACTOR)
    old, fresh = put_blob(storage, b"collected soon"), put_blob(storage, b"just sent")
    Blob.objects.create(digest=old, size=14, generation=1, touched_at=timezone.now() - 3 * DAY)
    Blob.objects.create(digest=fresh, size=9, generation=1, touched_at=timezone.now())
    put_blob(storage, b"nobody knows")
    upload = storage / "docker/registry/v2/repositories/team/app/_uploads/abc/data"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"half")
    found = measure()
    live = first.size + second.size - len(shared)
    assert found.in_use_bytes == live
    assert found.trash_bytes == gone.size
    assert (found.reclaimable_bytes, found.later_bytes) == (14, 9)
    assert (found.upload_bytes, found.unknown_bytes) == (4, len(b"nobody knows"))
    lies = sum(path.stat().st_size for path in storage.rglob("data"))
    assert found.total_bytes == lies
    own = ProjectStorage.objects.get(project=team)
    assert (own.exclusive_bytes, own.shared_bytes) == (first.size - len(shared), len(shared))
    assert own.trash_bytes == gone.size
    other = ProjectStorage.objects.get(project=library)
    assert (other.exclusive_bytes, other.shared_bytes) == (second.size - len(shared), len(shared))
    assert found.disk_total is not None
    assert digest_of(shared)


def test_what_is_out_of_the_registrys_sight_belongs_to_one_part_too(
    storage: Path, team: Project
) -> None:
    kept = _push(storage, make_repository(team), "one", b"only the beginning of this is there")
    shelf = FilesystemStorage(storage)
    now = timezone.now()
    # Whoever collects these was stopped: one is claimed still, the other's image came back.
    claimed = put_blob(storage, b"claimed, and set aside")
    Blob.objects.create(
        digest=claimed, size=22, generation=1, touched_at=now, state=Blob.State.DELETING
    )
    shelf.set_aside("1" * 32, {claimed: []}, with_bytes=True)
    shelf.set_aside("2" * 32, {kept.digest: []}, with_bytes=True)
    # Its bytes are here, and their number was never asked for.
    sent = put_blob(storage, b"sent a moment ago")
    Blob.objects.create(digest=sent, size=None, generation=1, touched_at=now)
    # In use by its image, and damaged: no byte of it is of use to anybody.
    damaged = digest_of(kept.blobs[1])
    blob_path(storage, damaged).write_bytes(b"only the beg")
    shelf.condemn(damaged)
    found = measure()
    assert found.in_use_bytes == len(kept.content) + len(kept.blobs[0])
    assert (found.reclaimable_bytes, found.later_bytes) == (22, len(b"sent a moment ago"))
    assert (found.trash_bytes, found.unknown_bytes) == (0, len(b"only the beg"))
    lies = sum(path.stat().st_size for path in storage.rglob("data"))
    assert found.total_bytes == lies


def test_an_empty_storage_is_measured(storage: Path) -> None:
    assert measure().total_bytes == 0


def test_a_storage_that_is_away_is_no_empty_one(settings: Any, tmp_path: Path) -> None:
    settings.MOORAGE_STORAGE_ROOT = tmp_path / "not mounted"
    execution = dispatch.start(storage_figures.KIND, actor=SYSTEM_ACTOR)
    tasks.run_here(execution.tasks.get().pk)
    assert not StorageSnapshot.objects.exists()


def _snapshot(days_ago: float, size: int, *, free: int | None = None) -> StorageSnapshot:
    return StorageSnapshot(
        at=timezone.now() - days_ago * DAY,
        in_use_bytes=size,
        trash_bytes=0,
        reclaimable_bytes=0,
        later_bytes=0,
        upload_bytes=0,
        unknown_bytes=0,
        disk_free=free,
    )


class TestForecast:
    def test_growth_is_told_from_a_few_days(self) -> None:
        rows = [_snapshot(day, 1000 - 10 * day, free=205) for day in range(8)]
        assert storage_figures.forecast(rows) == storage_figures.Forecast(10, 20)

    def test_it_is_not_told_too_early(self) -> None:
        assert storage_figures.forecast([]) is None
        assert storage_figures.forecast([_snapshot(0, 5)]) is None
        assert storage_figures.forecast([_snapshot(0, 5), _snapshot(1, 4)]) is None

    def test_what_shrinks_is_never_full(self) -> None:
        rows = [_snapshot(day, 1000 + 10 * day, free=205) for day in range(8)]
        assert storage_figures.forecast(rows) == storage_figures.Forecast(-10, None)

    def test_what_is_long_ago_does_not_count(self) -> None:
        rows = [_snapshot(day, 1000 - 10 * day) for day in range(8)]
        assert storage_figures.forecast([*rows, _snapshot(300, 10**9)]) == (
            storage_figures.Forecast(10, None)
        )
