"""Links that nothing in their repository needs, while the digests live elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Project
from registry_sync import blobs, fsck, garbage, garbage_figures, garbage_links
from registry_sync.models import Repository, RepositoryBlob, State
from registry_sync.storage.base import Link, StorageUnavailableError
from registry_sync.storage.filesystem import FilesystemStorage
from tests.factories import Image, digest_of, make_repository
from tests.registry_sync.collecting import Shelf, collect, discard, log_of, pass_time, resume

pytestmark = pytest.mark.django_db


class Scene:
    """An image that lives in one repository, and whose links in another nothing needs."""

    def __init__(self, shelf: Shelf, app: Repository, other: Repository) -> None:
        """Push to both, purge in one, and let the grace run out."""
        self.shelf, self.app, self.other = shelf, app, other
        self.image: Image = shelf.push(app)
        shelf.push(other, self.image)
        discard(other, self.image.digest)
        pass_time()

    def push_again(self) -> None:
        """Push the image to where it was purged."""
        self.shelf.push(self.other, self.image, tag="again")

    def is_linked(self) -> bool:
        """Tell whether the other repository has a row for each of the image's links."""
        digests = {self.image.digest, *map(digest_of, self.image.blobs)}
        rows = RepositoryBlob.objects.filter(repository=self.other)
        return set(rows.values_list("digest", flat=True)) == digests


@pytest.fixture
def scene(tmp_path: Path, settings: Any, team: Project, library: Project) -> Scene:
    """The scene."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return Scene(Shelf(tmp_path), make_repository(team), make_repository(library, "other"))


def test_they_go_with_their_rows(scene: Scene) -> None:
    task = collect()
    assert task.result["links"] == 3
    assert task.result.get("digests", 0) == 0
    assert scene.shelf.holds(scene.app, scene.image)
    assert not scene.shelf.holds(scene.other, scene.image)
    assert not RepositoryBlob.objects.filter(repository=scene.other).exists()


def test_what_nobody_ever_saw_is_counted_for_the_metrics(scene: Scene) -> None:
    here = RepositoryBlob.objects.filter(repository=scene.app)
    here.filter(kind=RepositoryBlob.Kind.MANIFEST).update(state=RepositoryBlob.State.EXPECTED)
    assert garbage_figures.health(garbage.KIND).unconfirmed_links == 0
    collect()
    assert garbage_figures.health(garbage.KIND).unconfirmed_links == 1
    here.update(state=RepositoryBlob.State.PRESENT)
    collect(dry_run=True)
    assert garbage_figures.health(garbage.KIND).unconfirmed_links == 0


def _at(place: str, event: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Let something happen where the collector has come to a step."""
    done: list[str] = []

    def hit(reached: str) -> None:
        if reached == place and not done:
            done.append(reached)
            event()

    patch.setattr(garbage_links, "hit", hit)


def _before_the_locks(event: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Let something happen between the choice of links and the locks."""
    prepare, done = FilesystemStorage.prepare, list[str]()

    def prepared(storage: FilesystemStorage, token: str) -> None:
        prepare(storage, token)
        if not done:
            done.append(token)
            event()

    patch.setattr(FilesystemStorage, "prepare", prepared)


def test_what_is_linked_anew_behind_the_commit_stays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever announces a link after the commit finds the old one gone already."""
    _at("gc.link_committed", scene.push_again, monkeypatch)
    task = collect()
    assert task.state == State.SUCCEEDED, log_of(task)
    assert task.result["links"] == 3
    assert scene.is_linked()
    assert scene.shelf.holds(scene.other, scene.image)
    assert scene.shelf.stray() == []


def test_cut_off_before_the_commit_they_are_back_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are there again: until the next run, a reader would be told of links not there."""

    def fail() -> None:
        raise StorageUnavailableError("the storage is away")

    with monkeypatch.context() as patch:
        _at("gc.link_aside", fail, patch)
        task = collect()
    assert task.state == State.QUEUED, log_of(task)
    assert scene.is_linked()
    assert scene.shelf.holds(scene.other, scene.image)
    assert scene.shelf.stray() == []
    assert resume(task).state == State.SUCCEEDED
    assert not scene.shelf.holds(scene.other, scene.image)
    assert not RepositoryBlob.objects.filter(repository=scene.other).exists()


def test_what_an_image_came_to_need_stays_however_long_ago_that_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def push_and_wait() -> None:
        scene.push_again()
        pass_time()

    _before_the_locks(push_and_wait, monkeypatch)
    task = collect()
    assert task.state == State.SUCCEEDED, log_of(task)
    assert "links" not in task.result or task.result["links"] == 0
    assert scene.is_linked()
    assert scene.shelf.holds(scene.other, scene.image)


def test_what_was_touched_meanwhile_stays(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push was told that the layer is here, and has not sent its manifest yet."""
    layer = digest_of(scene.image.blobs[0])

    def announce() -> None:
        blobs.touch(scene.other, layer)

    _before_the_locks(announce, monkeypatch)
    task = collect()
    assert task.result["links"] == 2
    assert scene.shelf.storage.has_link(layer, Link(scene.other.registry_name, "layer"))
    assert RepositoryBlob.objects.get(repository=scene.other).digest == layer
    assert list(fsck.findings(lambda _check: None)) == []
