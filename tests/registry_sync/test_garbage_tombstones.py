"""The second look: what is gone is forgotten only where nothing came late."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Project
from registry_sync import garbage_tombstones
from registry_sync.models import Blob, Repository, RepositoryBlob
from registry_sync.storage.base import Link
from tests.factories import Image, digest_of, make_repository
from tests.registry_sync.collecting import Shelf, collect, discard, pass_time


class Scene:
    """An image that was collected."""

    def __init__(self, shelf: Shelf, app: Repository) -> None:
        """Push, purge, let the grace run out, collect."""
        self.shelf, self.app = shelf, app
        self.image: Image = shelf.push(app)
        self.content = self.image.blobs[1]
        self.digest = digest_of(self.content)
        discard(app, self.image.digest)
        pass_time()
        collect()

    def row(self) -> Blob:
        """The layer's row."""
        return Blob.objects.get(digest=self.digest)

    def push_again(self) -> None:
        """Push the image once more."""
        self.shelf.push(self.app, self.image, tag="again")


@pytest.fixture
def scene(tmp_path: Path, settings: Any, team: Project) -> Scene:
    """The scene."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return Scene(Shelf(tmp_path), make_repository(team))


def at(place: str, event: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Let something happen, once, where the second look has come to a step."""
    done: list[str] = []

    def hit(reached: str) -> None:
        if reached == place and not done:
            done.append(reached)
            event()

    patch.setattr(garbage_tombstones, "hit", hit)


def test_it_is_kept_for_the_grace_and_then_forgotten(scene: Scene) -> None:
    collect()
    assert scene.row().state == Blob.State.GONE
    pass_time()
    collect()
    assert not Blob.objects.exists()
    assert not RepositoryBlob.objects.exists()


def test_late_bytes_live_again_as_another_generation(scene: Scene) -> None:
    before = scene.row().generation
    pass_time()
    scene.shelf.write(scene.content)
    assert collect().result["revived"] == 1
    row = scene.row()
    assert (row.state, row.size) == (Blob.State.LIVE, len(scene.content))
    assert row.generation != before


def test_a_late_link_is_removed(scene: Scene) -> None:
    pass_time()
    scene.shelf.link(scene.app, scene.digest)
    assert collect().result["late_links"] == 1
    link = Link(scene.app.registry_name, "layer")
    assert not scene.shelf.storage.has_link(scene.digest, link)


@pytest.mark.parametrize("place", ["gc.tombstone_looked", "gc.tombstone_unlinked"])
def test_what_is_pushed_behind_the_look_stays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    pass_time()
    at(place, scene.push_again, monkeypatch)
    collect()
    assert scene.shelf.holds(scene.app, scene.image)
    assert scene.row().state == Blob.State.LIVE
