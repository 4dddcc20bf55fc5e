"""A gateway killed at each numbered step of a push: the tag is where it was, or whole.

The push is a process of its own, the signal is real, and the registry keeps its bytes on a disk.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from accounts.models import Project
from registry_sync import fsck, upstream
from registry_sync.gateway import blobs, push
from registry_sync.models import Artifact, Repository, Tag, TagEvent
from tests.factories import Image, make_image, make_repository, upload_blobs
from tests.fakes import FakeRegistry
from tests.registry_sync.collecting import Shelf
from tests.registry_sync.gateway.conftest import Caller

pytestmark = pytest.mark.django_db(transaction=True)
V1 = "team/app/manifests/v1"
# Before the commit is done nothing of a push may be seen; from then on, all of it.
BEFORE = ("admitted", "seen", "pinned", "stored", "committing")
STEPS = (*BEFORE, "committed")


class DiskRegistry(FakeRegistry):
    """The registry in memory, which also writes what a killed process leaves behind."""

    def __init__(self, shelf: Shelf, repository: Repository) -> None:
        """Everything goes into one repository."""
        super().__init__()
        self.shelf = shelf
        self.repository = repository

    def upload(self, repository: str, content: bytes) -> str:
        """Store and link a blob."""
        self.shelf.link(self.repository, self.shelf.write(content))
        return super().upload(repository, content)

    def put_manifest(self, repository: str, digest: str, media_type: str, content: bytes) -> None:
        """Store a manifest."""
        super().put_manifest(repository, digest, media_type, content)
        self.shelf.link(self.repository, self.shelf.write(content), "manifest")


@pytest.fixture
def app(team: Project, registry: FakeRegistry) -> Repository:
    """``team/app``."""
    return make_repository(team)


@pytest.fixture
def disk(
    app: Repository, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> DiskRegistry:
    """Put the registry with a disk behind the gateway."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    disk = DiskRegistry(Shelf(tmp_path), app)
    for module in (upstream, blobs, push):
        monkeypatch.setattr(module, "registry", disk)
    return disk


def status_of(caller: Caller, image: Image) -> int:
    """Push it as ``team/app:v1``."""
    status: int = caller.put(V1, image.content, image.media_type).status_code
    return status


def killed(work: Callable[[], object]) -> bool:
    """Do it in a process of its own; tell whether that was killed."""
    connections.close_all()
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    _child, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def assert_sound(disk: DiskRegistry) -> None:
    """Nothing is wrong between database and disk."""
    assert list(fsck.findings(lambda _check: None)) == []


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_first", [True, False], ids=["a new tag", "a tag that moves"])
def test_killed(
    bob_app: Caller,
    app: Repository,
    disk: DiskRegistry,
    settings: Any,
    step: str,
    *,
    is_first: bool,
) -> None:
    old, new = make_image("old"), make_image("new")
    for image in (old, new):
        upload_blobs(disk, app, image)
    if not is_first:
        assert status_of(bob_app, old) == 201
    settings.MOORAGE_FAILPOINTS = {f"push.{step}": "kill"}
    assert killed(lambda: status_of(bob_app, new)), "it never came there"
    settings.MOORAGE_FAILPOINTS = {}
    # No answer was given. The tag is where it was, or it is whole.
    tags = list(Tag.objects.values_list("artifact__body_id", flat=True))
    before = [] if is_first else [old.digest]
    assert tags == (before if step in BEFORE else [new.digest])
    for digest in tags:
        assert disk.shelf.holds(app, new if digest == new.digest else old)
    assert Artifact.objects.filter(body_id=new.digest).exists() == (step not in BEFORE)
    assert_sound(disk)
    # The client tries again, as clients do.
    assert status_of(bob_app, new) == 201
    assert Tag.objects.values_list("artifact__body_id", flat=True).get() == new.digest
    assert TagEvent.objects.filter(to_digest=new.digest).count() == 1
    assert disk.shelf.holds(app, new)
    assert_sound(disk)
