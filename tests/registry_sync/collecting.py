"""A storage on a directory with what was pushed, time that goes by, and runs of collection."""

import datetime
from pathlib import Path
from typing import Any

from django.db.models import F
from django.utils import timezone

from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, garbage, purging, task_claims, tasks, trash
from registry_sync.models import Blob, Repository, RepositoryBlob, Task, TaskLog, TrashEntry
from registry_sync.storage.base import Link
from registry_sync.storage.filesystem import FilesystemStorage, blob_path
from tests.factories import Image, digest_of, make_image, push_image

DAY = datetime.timedelta(days=1)


class Shelf:
    """The registry's directory, written as the registry writes it."""

    def __init__(self, root: Path) -> None:
        """``root`` is what ``MOORAGE_STORAGE_ROOT`` names."""
        self.root = root
        self.storage = FilesystemStorage(root)

    def write(self, content: bytes) -> str:
        """Write a blob's bytes; return its digest."""
        path = blob_path(self.root, digest_of(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest_of(content)

    def link(self, repository: Repository, digest: str, kind: str = "layer") -> None:
        """Link a digest in a repository."""
        folder = {"layer": "_layers", "manifest": "_manifests/revisions"}[kind]
        place = self.root / "docker/registry/v2/repositories" / repository.registry_name / folder
        path = place / "sha256" / digest.removeprefix("sha256:") / "link"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(digest)

    def push(
        self,
        repository: Repository,
        image: Image | None = None,
        tag: str = "latest",
        children: tuple[Image, ...] = (),
    ) -> Image:
        """Push an image: bytes, links and rows."""
        image = image or make_image()
        for content in image.blobs:
            self.link(repository, self.write(content))
        self.link(repository, self.write(image.content), "manifest")
        push_image(repository, image, tag, children=children)
        return image

    def holds(self, repository: Repository, image: Image) -> bool:
        """Tell whether the registry could serve all of an image from a repository."""
        digests = [(digest_of(content), "layer") for content in image.blobs]
        digests.append((image.digest, "manifest"))
        return all(
            self.storage.size(digest) is not None
            and self.storage.has_link(digest, Link(repository.registry_name, kind))  # type: ignore[arg-type]
            for digest, kind in digests
        )

    def bytes(self) -> int:
        """Return how many bytes of blobs lie here, also aside."""
        return sum(path.stat().st_size for path in self.root.rglob("data"))

    def stray(self) -> list[Path]:
        """Return what collection left lying aside."""
        return list((self.root / "moorage/aside").glob("*"))


def pass_time(by: datetime.timedelta = DAY + datetime.timedelta(minutes=1)) -> None:
    """Let time go by for everything that collection looks at."""
    Blob.objects.update(
        touched_at=F("touched_at") - by,
        claimed_until=F("claimed_until") - by,
        gone_at=F("gone_at") - by,
    )
    RepositoryBlob.objects.update(touched_at=F("touched_at") - by)


def discard(repository: Repository, digest: str) -> None:
    """Delete an artifact and purge it at once."""
    entry = trash.delete_artifact(repository, digest, actor=SYSTEM_ACTOR)
    purging.purge(repository, entry.pk, actor=SYSTEM_ACTOR)


def expire_trash() -> None:
    """Let the time in the trash be over for everything there."""
    TrashEntry.objects.update(purge_at=timezone.now())


def collect(**parameters: Any) -> Task:
    """Run a collection as a worker does; return its ended task."""
    execution = executions.create(
        garbage.KIND, actor=SYSTEM_ACTOR, parameters=garbage.parameters_of(parameters)
    )
    return resume(execution.tasks.get())


def resume(task: Task) -> Task:
    """Let a worker take a task, once more where it was put back."""
    Task.objects.filter(pk=task.pk).update(run_after=timezone.now())
    claimed = task_claims.claim(task.pk, worker="test:1", slots=9, kinds=tasks.KINDS)
    assert claimed is not None
    tasks._perform(claimed)
    task.refresh_from_db()
    return task


def log_of(task: Task) -> str:
    """Return what a run wrote."""
    return "".join(TaskLog.objects.filter(task=task).order_by("pk").values_list("text", flat=True))
