"""Many claims in one run, two of them under way at once."""

from pathlib import Path
from typing import Any

import pytest

from accounts.models import Project
from registry_sync import garbage_claims
from registry_sync.models import Blob, ReportLine, Repository, State
from registry_sync.runs import Run, StopRequestedError
from registry_sync.storage.base import StorageUnavailableError
from registry_sync.storage.filesystem import FilesystemStorage
from tests.factories import make_image, make_repository
from tests.registry_sync.collecting import Shelf, collect, discard, log_of, pass_time, resume

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shelf(tmp_path: Path, settings: Any) -> Shelf:
    """An empty storage."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return Shelf(tmp_path)


@pytest.fixture
def app(team: Project) -> Repository:
    """A repository."""
    return make_repository(team)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two digests in a claim: two claims are under way at once."""
    monkeypatch.setattr(garbage_claims, "BATCH", 2)


@pytest.fixture
def lost(shelf: Shelf, app: Repository) -> int:
    """Eleven digests of garbage."""
    image = make_image(layers=tuple(f"layer {n}".encode() for n in range(9)))
    discard(app, shelf.push(app, image, tag="lost").digest)
    pass_time()
    return 11


@pytest.mark.parametrize("workers", [1, 4])
def test_counts_are_exact_over_many(shelf: Shelf, lost: int, workers: int) -> None:
    expected = collect(dry_run=True).result
    task = collect(workers=workers)
    assert task.result["digests"] == expected["found"] == lost
    assert task.result["freed_bytes"] == expected["found_bytes"]
    lines = ReportLine.objects.of(task.execution_id)
    assert (lines.count(), sum(line.size for line in lines)) == (
        lost,
        task.result["freed_bytes"],
    )
    assert shelf.bytes() == 0
    assert shelf.stray() == []


def test_who_fails_in_one_ends_the_others(
    shelf: Shelf, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = FilesystemStorage.set_aside, []

    def failing(storage: FilesystemStorage, token: str, *given: Any, **named: Any) -> None:
        calls.append(token)
        if len(calls) == 4:
            raise StorageUnavailableError("away")
        real(storage, token, *given, **named)

    monkeypatch.setattr(FilesystemStorage, "set_aside", failing)
    task = collect()
    assert task.state != State.SUCCEEDED
    assert not Blob.objects.filter(state=Blob.State.DELETING).exists()
    assert shelf.stray() == []
    monkeypatch.undo()
    # What was undone lives again, and waits for its grace.
    pass_time()
    assert resume(task).state == State.SUCCEEDED
    assert Blob.objects.filter(state=Blob.State.LIVE).count() == 0
    task.refresh_from_db()
    assert task.result["digests"] == lost


def test_who_is_stopped_leaves_no_claim(
    shelf: Shelf, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Run.progress

    def stopped(run: Run, *, done: int | None = None, **named: Any) -> None:
        real(run, done=done, **named)
        if done:
            raise StopRequestedError

    monkeypatch.setattr(Run, "progress", stopped)
    task = collect()
    assert task.state == State.STOPPED
    assert not Blob.objects.filter(state=Blob.State.DELETING).exists()
    # Both that were under way are counted, and no more.
    assert task.result["digests"] == 4
    assert log_of(task).count("removed sha256:") == 4
    assert Blob.objects.filter(state=Blob.State.GONE).count() == 4
    assert shelf.stray() == []
