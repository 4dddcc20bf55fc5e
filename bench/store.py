"""A store of many small images: rows in the database, files as the registry lays them out.

``python -m bench.store IMAGES`` fills the Moorage that the environment names: images, garbage with
its files, and a project of as many tags with a retention policy, whose number it prints.

Ten images in a repository, eight layers in an image, two of them shared by the repository. What
is garbage has its bytes and its layers' links, and no manifest link any more: what a purge leaves.
"""

import datetime
import hashlib
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

from bench.catalogue import _many, a_project, fill

_ROWS = 500
LAYERS, SHARED, PER_REPOSITORY = 8, 2, 10
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Image:
    """One image: its manifest, and the contents that it names, the config first."""

    def __init__(self, number: int) -> None:
        """The same number makes the same bytes."""
        repository = number // PER_REPOSITORY
        self.repository = f"r{repository:05d}"
        config = f'{{"os":"linux","architecture":"amd64","author":"{number}"}}'.encode()
        shared = [f"shared {repository} {n}".encode() for n in range(SHARED)]
        own = [f"layer {number} {n}".encode() for n in range(LAYERS - SHARED)]
        self.contents = [config, *shared, *own]
        entries = ",".join(_entry(LAYER, content) for content in self.contents[1:])
        self.manifest = (
            f'{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{_entry(CONFIG, config)},'
            f'"layers":[{entries}]}}'
        ).encode()
        self.digest = digest_of(self.manifest)
        self.digests = [digest_of(content) for content in self.contents]


def _entry(media_type: str, content: bytes) -> str:
    return f'{{"mediaType":"{media_type}","digest":"{digest_of(content)}","size":{len(content)}}}'


def digest_of(content: bytes) -> str:
    """``sha256:…``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_garbage(number: int, most: int | None = None) -> bool:
    """Every tenth image: one of each repository; of the first so many repositories."""
    repository, place = divmod(number, PER_REPOSITORY)
    return place == 0 and (most is None or repository < most)


def write_files(
    root: Path, images: list[Image], *, only_garbage: bool = False, garbage: int | None = None
) -> None:
    """Write bytes and links; ``only_garbage`` leaves out what collection never looks at."""
    top = root / "docker/registry/v2"
    written: set[str] = set()
    for number, image in enumerate(images):
        if only_garbage and not is_garbage(number, garbage):
            continue
        place = top / "repositories/bench" / image.repository
        for digest, content in zip(image.digests, image.contents, strict=True):
            _blob(top, digest, content, written)
            _link(place / "_layers/sha256", digest, written)
        _blob(top, image.digest, image.manifest, written)
        if not is_garbage(number, garbage):
            _link(place / "_manifests/revisions/sha256", image.digest, written)


def _blob(top: Path, digest: str, content: bytes, written: set[str]) -> None:
    if digest in written:
        return
    written.add(digest)
    name = digest.removeprefix("sha256:")
    folder = top / "blobs/sha256" / name[:2] / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").write_bytes(content)


def _link(place: Path, digest: str, written: set[str]) -> None:
    key = f"{place} {digest}"
    if key not in written:
        written.add(key)
        folder = place / digest.removeprefix("sha256:")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "link").write_text(digest)


def write_rows(
    images: list[Image], *, is_settled: bool = False, garbage: int | None = None
) -> None:
    """Write what pushes of all images, and purges of the garbage, leave in the database.

    ``is_settled``: a collection has run between the pushes and the purges.
    """
    from django.db import connection  # noqa: PLC0415 - only once Django is set up
    from django.utils import timezone  # noqa: PLC0415

    from accounts import statements  # noqa: PLC0415
    from registry_sync import models  # noqa: PLC0415

    project = a_project()
    old = timezone.now() - datetime.timedelta(days=3)
    names = sorted({image.repository for image in images})
    repositories = {
        row.path: row
        for row in _many(models.Repository, ({"project": project, "path": name} for name in names))
    }
    live = [image for number, image in enumerate(images) if not is_garbage(number, garbage)]
    sizes = {image.digest: len(image.manifest) for image in images}
    for image in images:
        sizes |= dict(zip(image.digests, map(len, image.contents), strict=True))
    needed = {d for image in live for d in (image.digest, *image.digests)} if is_settled else set()
    links = {
        (repositories[image.repository].pk, digest, kind)
        for image in images
        for digest, kind in [*((d, "layer") for d in image.digests), (image.digest, "manifest")]
    }
    at = statements.moment(old)
    blobs = ((d, size, 1, at, at, d in needed) for d, size in sizes.items())
    columns = ("digest", "size", "generation", "touched_at", "released_at", "is_settled")
    _insert(models.Blob, columns, blobs)
    _insert(
        models.RepositoryBlob,
        ("repository_id", "digest", "kind", "state", "touched_at", "is_settled"),
        ((pk, d, k, "present", at, d in needed) for pk, d, k in sorted(links)),
    )
    _many(
        models.ManifestBody,
        ({"digest": i.digest, "media_type": MANIFEST, "content": i.manifest} for i in images),
    )
    artifacts = _many(models.Artifact, (_artifact(image, repositories, old) for image in live))
    _insert(
        models.ArtifactBlob,
        ("artifact_id", "blob_id", "position", "media_type", "size"),
        (
            (row.pk, d, n, LAYER, 1)
            for row, image in zip(artifacts, live, strict=True)
            for n, d in enumerate(image.digests)
        ),
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def _insert(model: Any, names: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> None:
    """Write many rows: objects of the ORM would take four times as long."""
    from django.db import transaction  # noqa: PLC0415 - only once Django is set up

    from accounts import statements  # noqa: PLC0415

    with transaction.atomic():
        while part := list(itertools.islice(rows, _ROWS)):
            statements.run_once(statements.insert_values(model, names, part))


def _artifact(image: Image, repositories: dict[str, Any], at: datetime.datetime) -> dict[str, Any]:
    return {
        "repository": repositories[image.repository],
        "body_id": image.digest,
        "kind": "image",
        "media_type": MANIFEST,
        "size": 1,
        "pushed_by_name": "bench",
        "pushed_at": at,
    }


def main() -> None:
    """Fill the database and the storage of ``portal.settings``."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from django.conf import settings  # noqa: PLC0415 - only once Django is set up

    from accounts.principals import SYSTEM_ACTOR  # noqa: PLC0415
    from registry_sync import retention_policies  # noqa: PLC0415
    from registry_sync.retention_policies import Terms  # noqa: PLC0415

    count = int(sys.argv[1])
    images = [Image(number) for number in range(count)]
    write_rows(images, is_settled=True)
    write_files(Path(settings.MOORAGE_STORAGE_ROOT), images, only_garbage=True)
    project = a_project("kept")
    fill(project, "app", count)
    rule = {
        "template": "nDaysSinceLastPush",
        "params": {"nDaysSinceLastPush": 30},
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "pr-*"}],
    }
    print(retention_policies.create(project, terms=Terms([rule]), actor=SYSTEM_ACTOR).pk)


if __name__ == "__main__":
    main()
