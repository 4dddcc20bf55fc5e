"""Reconciling: silent where all is well; each difference found, mended, and not found again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.crypto import ensure_keys
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import dispatch, fsck, garbage, garbage_epoch, garbage_figures, tasks, upstream
from registry_sync.client.errors import RegistryUnavailableError
from registry_sync.configured_storage import storage as configured_storage
from registry_sync.garbage_epoch import InterlockError
from registry_sync.models import (
    Artifact,
    Blob,
    Execution,
    ProjectUsage,
    ReportLine,
    Repository,
    RepositoryBlob,
    State,
    StorageEpoch,
)
from registry_sync.reconciling import engine
from registry_sync.storage.filesystem import blob_path
from tests.factories import Image, digest_of, make_image, make_index, make_repository, push_image
from tests.registry_sync.plain_storage import layer_link, put_blob, put_image, revision_link

pytestmark = pytest.mark.django_db

Reconcile = Callable[..., Execution]
NAME = "team/app"


class Stores:
    """A registry that writes what is put into the directory."""

    def __init__(self, root: Path, images: dict[str, Image]) -> None:
        """``images``: what may come."""
        self.root = root
        self.images = images
        self.is_down = False
        self.order: list[str] = []

    def put_manifest(self, repository: str, digest: str, media_type: str, content: bytes) -> None:
        """Store a manifest."""
        if self.is_down:
            raise RegistryUnavailableError("the registry does not answer")
        self.order.append(digest)
        put_image(self.root, repository, Image(media_type, content))


@pytest.fixture
def image() -> Image:
    return make_image("one")


@pytest.fixture
def index(image: Image) -> Image:
    return make_index(image)


@pytest.fixture
def storage(
    team: Project,
    tmp_path: Path,
    settings: Any,
    image: Image,
    index: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """An image and an index, pushed; their bytes and links lie in the storage."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    ensure_keys(settings.MOORAGE_KEYS)
    repository = make_repository(team)
    push_image(repository, image, "1.0")
    push_image(repository, index, "2.0", children=(image,))
    put_image(tmp_path, NAME, image)
    put_image(tmp_path, NAME, index)
    registry = Stores(tmp_path, {image.digest: image, index.digest: index})
    monkeypatch.setattr(upstream, "registry", registry)
    monkeypatch.setattr(tasks, "wake", lambda ids: None)
    return tmp_path


@pytest.fixture
def reconcile(storage: Path) -> Reconcile:
    """Return a function that runs the job and returns its execution."""

    def run(**parameters: bool) -> Execution:
        execution = dispatch.start(
            engine.KIND, actor=SYSTEM_ACTOR, parameters=engine.parameters_of(parameters)
        )
        tasks.run_here(execution.tasks.get().pk)
        execution.refresh_from_db()
        return execution

    return run


def result(execution: Execution) -> dict[str, Any]:
    task = execution.tasks.get()
    assert task.state == State.SUCCEEDED, task.message
    found: dict[str, Any] = task.result
    return found


def test_nothing_is_found_where_all_is_well(reconcile: Reconcile) -> None:
    found = result(reconcile())
    assert (found["drift"], found["repaired"]) == (0, {})
    assert not ReportLine.objects.exists()


def _add_bytes(root: Path, image: Image) -> None:
    put_blob(root, b"nobody knows these")


def _add_link(root: Path, image: Image) -> None:
    path = layer_link(root, NAME, put_blob(root, b"linked and unknown"))
    path.parent.mkdir(parents=True)
    path.write_text(digest_of(b"linked and unknown"))
    digest = digest_of(b"linked and unknown")
    Blob.objects.create(digest=digest, size=18, generation=1, touched_at="2024-01-01T00:00:00Z")


def _add_dangling_link(root: Path, image: Image) -> None:
    digest = digest_of(b"never came")
    path = layer_link(root, NAME, digest)
    path.parent.mkdir(parents=True)
    path.write_text(digest)


def _lose_manifest(root: Path, image: Image) -> None:
    blob_path(root, image.digest).unlink()


def _lose_layer_link(root: Path, image: Image) -> None:
    layer_link(root, NAME, digest_of(image.blobs[1])).unlink()


def _lose_revision_link(root: Path, image: Image) -> None:
    revision_link(root, NAME, image.digest).unlink()


def _lose_unneeded_bytes(root: Path, image: Image) -> None:
    digest = digest_of(b"of no image")
    repository = Repository.objects.get()
    Blob.objects.create(digest=digest, size=11, generation=1, touched_at="2024-01-01T00:00:00Z")
    RepositoryBlob.objects.create(
        repository=repository,
        digest=digest,
        kind="layer",
        state="present",
        touched_at="2024-01-01T00:00:00Z",
    )


def _spoil_usage(root: Path, image: Image) -> None:
    ProjectUsage.objects.update(used_bytes=1)


@pytest.mark.parametrize(
    ("spoil", "checks"),
    [
        (_add_bytes, {"unknown-bytes"}),
        (_add_link, {"unknown-link"}),
        (_add_dangling_link, {"dangling-link"}),
        (_lose_manifest, {"missing-bytes"}),
        (_lose_layer_link, {"missing-link"}),
        (_lose_revision_link, {"missing-link"}),
        (_lose_unneeded_bytes, {"missing-link", "missing-bytes"}),
        (_spoil_usage, {"quota"}),
    ],
)
def test_what_differs_is_found_and_mended(
    storage: Path,
    reconcile: Reconcile,
    image: Image,
    spoil: Callable[[Path, Image], None],
    checks: set[str],
) -> None:
    spoil(storage, image)
    dry = result(reconcile(dry_run=True))
    assert dry["found"].keys() == checks
    assert result(reconcile(dry_run=True))["found"] == dry["found"]
    mended = result(reconcile())
    assert (mended["found"], mended["repaired"]) == ({}, dry["found"])
    assert result(reconcile())["repaired"] == {}
    assert list(fsck.findings(lambda check: None)) == []


def test_images_are_stored_again_before_their_index(
    storage: Path, reconcile: Reconcile, image: Image, index: Image
) -> None:
    for lost in (index, image):
        blob_path(storage, lost.digest).unlink()
    assert result(reconcile())["repaired"] == {"missing-bytes": 2}
    registry: Any = upstream.registry
    assert registry.order == [image.digest, index.digest]


def test_a_registry_that_is_away_leaves_the_difference(
    storage: Path, reconcile: Reconcile, image: Image
) -> None:
    blob_path(storage, image.digest).unlink()
    registry: Any = upstream.registry
    registry.is_down = True
    assert result(reconcile())["found"] == {"missing-bytes": 1}
    registry.is_down = False
    assert result(reconcile())["repaired"] == {"missing-bytes": 1}


def test_a_layer_that_is_gone_is_told_until_it_comes_again(
    storage: Path, reconcile: Reconcile, image: Image
) -> None:
    layer = digest_of(image.blobs[1])
    blob_path(storage, layer).unlink()
    for _again in range(2):
        execution = reconcile()
        assert result(execution)["found"] == {"missing-bytes": 1}
        (line,) = ReportLine.objects.of(execution.pk)
        assert line.subject == layer
        assert "the next push of one sends them again" in line.reason
    # So that a push is not told that it is there.
    assert RepositoryBlob.objects.get(digest=layer).state == RepositoryBlob.State.EXPECTED


def test_what_other_repositories_hold_is_left_alone(storage: Path, reconcile: Reconcile) -> None:
    other = make_image("other")
    put_image(storage, "not/ours", other, "1")
    execution = reconcile()
    assert result(execution)["drift"] == 0
    (line,) = ReportLine.objects.of(execution.pk)
    assert (line.outcome, line.subject) == ("left", "not/ours")
    assert not Blob.objects.filter(digest=digest_of(other.blobs[1])).exists()


def test_a_manifest_that_no_table_knows_waits_for_an_import(
    storage: Path, reconcile: Reconcile
) -> None:
    other = make_image("pushed past us")
    put_image(storage, NAME, other)
    execution = reconcile()
    assert result(execution)["found"] == {"unknown-manifest": 1}
    assert not Blob.objects.filter(digest=digest_of(other.blobs[1])).exists()
    found = result(reconcile(accept_loss=True))
    assert (found["drift"], found["repaired"]["unknown-manifest"]) == (0, 1)
    assert Blob.objects.filter(digest=other.digest).exists()


class TestInterlock:
    def test_a_restored_database_is_only_looked_at(
        self, storage: Path, reconcile: Reconcile
    ) -> None:
        reconcile()
        configured_storage().write_marker("of another life")
        put_blob(storage, b"nobody knows these")
        found = result(reconcile())
        assert (found["joined"], found["found"]) == (False, {"unknown-bytes": 1})
        assert not Blob.objects.filter(digest=digest_of(b"nobody knows these")).exists()

    def test_adopting_joins_it_again(self, storage: Path, reconcile: Reconcile) -> None:
        reconcile()
        configured_storage().write_marker("of another life")
        with pytest.raises(InterlockError):
            garbage_epoch.require(configured_storage())
        assert result(reconcile(adopt=True))["joined"]
        garbage_epoch.require(configured_storage())

    def test_not_while_manifests_would_be_lost(
        self, storage: Path, reconcile: Reconcile, cast: object
    ) -> None:
        reconcile()
        StorageEpoch.objects.update(current="of a backup", previous="")
        put_image(storage, NAME, make_image("pushed since"))
        execution = reconcile(adopt=True)
        task = execution.tasks.get()
        assert task.state == State.FAILED
        assert "1 manifests lie in the storage that no table knows" in task.message
        with pytest.raises(InterlockError):
            garbage_epoch.require(configured_storage())
        assert Artifact.objects.count() == 2
        assert result(reconcile(adopt=True, accept_loss=True))["joined"]


def test_what_is_left_is_told_to_prometheus(storage: Path, reconcile: Reconcile) -> None:
    put_blob(storage, b"nobody knows these")
    reconcile(dry_run=True)
    assert garbage_figures.health(garbage.KIND).drift == 1
    reconcile()
    assert garbage_figures.health(garbage.KIND).drift == 0
