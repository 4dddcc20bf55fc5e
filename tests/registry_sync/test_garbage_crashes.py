"""A collector killed, or stopped for longer than its lease, at each numbered step: one end state.

The collector is a process of its own; the signals are real.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, fsck, garbage, garbage_counters, tasks
from registry_sync.models import Artifact, Blob, Repository, RepositoryBlob, State, Task
from tests.factories import Image, digest_of, make_image, make_repository
from tests.registry_sync.collecting import (
    Shelf,
    collect,
    discard,
    log_of,
    pass_time,
    resume,
)

pytestmark = pytest.mark.django_db(transaction=True)
SWEEP = ("claimed", "links_aside", "bytes_aside", "checked", "discarded", "gone")
STEPS = ("marked", *SWEEP, "link_aside", "link_committed", "tombstone_looked")


class Scene:
    """A storage in which every phase has something to do."""

    def __init__(self, shelf: Shelf, team: Project, library: Project) -> None:
        """Push, delete, purge, collect once, and let the graces run out."""
        self.shelf = shelf
        self.app, self.other = make_repository(team), make_repository(library, "other")
        shared = b"a layer of all of them"
        self.kept = shelf.push(self.app, make_image(layers=(shared, b"kept")), tag="kept")
        # Tombstones, by the time that is looked at.
        discard(self.app, shelf.push(self.app, tag="former").digest)
        pass_time()
        collect()
        self.lost = shelf.push(self.app, make_image(layers=(shared, b"lost")), tag="lost")
        discard(self.app, self.lost.digest)
        # Links that go while the digests stay.
        shelf.push(self.other, self.kept, tag="elsewhere")
        discard(self.other, self.kept.digest)
        pass_time()
        self.expected = int(collect(dry_run=True).result["found_bytes"])
        assert self.expected > 0

    def require_end(self) -> None:
        """What must be so, however it came about."""
        pass_time()
        assert collect().state == State.SUCCEEDED
        assert self.shelf.holds(self.app, self.kept)
        assert not self.shelf.holds(self.app, self.lost)
        assert self.shelf.stray() == []
        assert list(fsck.findings(lambda _check: None)) == []
        needed = set(Artifact.objects.values_list("body_id", flat=True))
        needed |= set(Artifact.objects.values_list("blobs__blob_id", flat=True))
        stored = {f"sha256:{path.parent.name}" for path in self.shelf.root.rglob("data")}
        assert stored == needed
        assert set(Blob.objects.values_list("digest", flat=True)) == needed
        assert {row.digest for row in RepositoryBlob.objects.all()} == needed
        assert not RepositoryBlob.objects.filter(repository=self.other).exists()
        links = self.shelf.root.glob("docker/**/other/**/link")
        assert list(links) == []


@pytest.fixture
def scene(cast: Any, tmp_path: Path, settings: Any) -> Scene:
    """The scene."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return Scene(Shelf(tmp_path), cast.team, cast.library)


def apart(work: Callable[[], object]) -> int:
    """Do it in a process of its own; return its number."""
    connections.close_all()
    number = os.fork()
    if number:
        return number
    try:
        work()
    finally:
        os._exit(0)


def ordered() -> Task:
    """Order a collection."""
    return executions.create(
        garbage.KIND, actor=SYSTEM_ACTOR, parameters=garbage.parameters_of({})
    ).tasks.get()


def leases_end() -> None:
    """Let every lease be over."""
    Blob.objects.filter(state=Blob.State.DELETING).update(claimed_until=timezone.now())
    Task.objects.filter(state=State.RUNNING).update(lease_until=timezone.now())
    executions.sweep(tasks.KINDS)


@pytest.mark.parametrize("step", [*STEPS, "tombstone_unlinked"])
def test_killed(scene: Scene, settings: Any, step: str) -> None:
    task = ordered()
    settings.MOORAGE_FAILPOINTS = {f"gc.{step}": "kill"}
    child = apart(lambda: resume(task))
    _child, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, "it never came there"
    settings.MOORAGE_FAILPOINTS = {}
    leases_end()
    task.refresh_from_db()
    task = resume(task)
    assert task.state == State.SUCCEEDED, log_of(task)
    assert task.result["freed_bytes"] == scene.expected
    scene.require_end()


@pytest.mark.parametrize(
    ("step", "is_pushed_again"),
    [
        *((step, True) for step in SWEEP),
        ("bytes_aside", False),
        ("link_committed", False),
        ("tombstone_looked", False),
    ],
)
def test_stopped_for_longer_than_its_lease(
    scene: Scene, settings: Any, step: str, *, is_pushed_again: bool
) -> None:
    task = ordered()
    settings.MOORAGE_FAILPOINTS = {f"gc.{step}": "stop"}
    child = apart(lambda: resume(task))
    _child, status = os.waitpid(child, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "it never came there"
    settings.MOORAGE_FAILPOINTS = {}
    leases_end()
    task.refresh_from_db()
    task = resume(task)
    assert task.state == State.SUCCEEDED, log_of(task)
    if is_pushed_again:
        _push_again(scene, scene.app, scene.lost)
    os.kill(child, signal.SIGCONT)
    os.waitpid(child, 0)
    if is_pushed_again:
        # What was acknowledged meanwhile is there, whatever the other one did when it woke.
        assert scene.shelf.holds(scene.app, scene.lost)
        discard(scene.app, scene.lost.digest)
        pass_time()
        collect()
    scene.require_end()


def _push_again(scene: Scene, repository: Repository, image: Image) -> None:
    scene.shelf.push(repository, image, tag="again")
    assert all(
        scene.shelf.storage.size(digest_of(content)) is not None
        for content in (image.content, *image.blobs)
    )


def test_who_finishes_for_another_is_counted(scene: Scene, settings: Any) -> None:
    task = ordered()
    settings.MOORAGE_FAILPOINTS = {"gc.bytes_aside": "kill"}
    os.waitpid(apart(lambda: resume(task)), 0)
    settings.MOORAGE_FAILPOINTS = {}
    leases_end()
    task.refresh_from_db()
    resume(task)
    assert garbage_counters.counts()["takeovers"] == 3
