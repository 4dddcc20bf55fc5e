"""A catalogue without any registry: images with layers of their own and shared ones, in rows.

For what is measured inside the database; the rows are those that pushes make.
"""

import datetime
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django

_BATCH = 1000
SIZE = 1000


@contextmanager
def database() -> Iterator[str]:
    """Yield the kind of a database of the tests' own, as ``MOORAGE_TEST_DATABASE`` names it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from django.db import connection  # noqa: PLC0415 - only once Django is set up
    from django.test.runner import DiscoverRunner  # noqa: PLC0415

    runner = DiscoverRunner(verbosity=0, interactive=False)
    made = runner.setup_databases(serialized_aliases=set())
    try:
        yield connection.vendor
    finally:
        runner.teardown_databases(made)


def a_project(name: str = "bench") -> Any:
    """Make a project with its owner."""
    from accounts import projects, users  # noqa: PLC0415
    from accounts.principals import SYSTEM_ACTOR  # noqa: PLC0415

    owner = users.create(
        username=f"{name}-owner",
        password="correct-horse-12",  # noqa: S106 - of a database that is thrown away
        email="",
        is_administrator=True,
        actor=SYSTEM_ACTOR,
    )
    return projects.create(name=name, owner=owner, actor=SYSTEM_ACTOR)


def digest(text: str) -> str:
    """Name a text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def fill(project: Any, path: str, count: int, *, layers: int = 5, days: int = 365) -> None:
    """Make a repository with ``count`` tags, an image each, pushed evenly over so many days.

    Every other tag is a version, the others ``pr-…``. Of the layers one is shared by all images,
    one by ten, the others are each image's own.
    """
    from django.db import transaction  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from registry_sync import models  # noqa: PLC0415

    now = timezone.now()
    needs = [
        [
            digest(f"{path} base"),
            digest(f"{path} ten {n // 10}"),
            *(digest(f"{path} {n} {layer}") for layer in range(layers - 2)),
        ]
        for n in range(count)
    ]
    manifests = [digest(f"{path} manifest {n}") for n in range(count)]
    everything = sorted({d for row in needs for d in row}) + manifests
    moments = [now - datetime.timedelta(days=days * (count - n) / count) for n in range(count)]
    with transaction.atomic():
        repository = models.Repository.objects.create(project=project, path=path, pushed_at=now)
        _blobs(project, repository, everything, now)
        _many(
            models.ManifestBody,
            ({"digest": d, "media_type": "application/json", "content": b"{}"} for d in manifests),
        )
        artifacts = _many(
            models.Artifact,
            (
                {
                    "repository": repository,
                    "body_id": d,
                    "kind": "image",
                    "media_type": "application/json",
                    "size": SIZE * (layers + 1),
                    "pushed_by_name": "bench",
                    "pushed_at": at,
                }
                for d, at in zip(manifests, moments, strict=True)
            ),
        )
        _many(
            models.ArtifactBlob,
            (
                {
                    "artifact": artifact,
                    "blob_id": d,
                    "position": position,
                    "media_type": "x",
                    "size": SIZE,
                }
                for artifact, row in zip(artifacts, needs, strict=True)
                for position, d in enumerate(row)
            ),
        )
        _tags(repository, artifacts, moments)


def _blobs(project: Any, repository: Any, digests: list[str], now: datetime.datetime) -> None:
    from registry_sync import models, usage  # noqa: PLC0415

    _many(
        models.Blob,
        ({"digest": d, "size": SIZE, "generation": 1, "touched_at": now} for d in digests),
    )
    links = {"repository": repository, "kind": "layer", "state": "present", "touched_at": now}
    _many(models.RepositoryBlob, ({**links, "digest": d} for d in digests))
    used = usage.lock(project.pk)
    _many(models.ProjectBlob, ({"project": project, "digest": d, "size": SIZE} for d in digests))
    used.used_bytes += SIZE * len(digests)
    used.save(update_fields=["used_bytes"])


def _tags(repository: Any, artifacts: list[Any], moments: list[datetime.datetime]) -> None:
    from registry_sync import models  # noqa: PLC0415
    from registry_sync.tag_names import sort_key  # noqa: PLC0415

    names = [f"pr-{n}" if n % 2 else f"1.{n // 200}.{n // 2 % 100}" for n in range(len(artifacts))]
    _many(
        models.Tag,
        (
            {
                "repository": repository,
                "name": name,
                "artifact": artifact,
                "sort_key": sort_key(name),
                "pushed_by_name": "bench",
                "pushed_at": at,
            }
            for name, artifact, at in zip(names, artifacts, moments, strict=True)
        ),
    )


def _many(model: Any, rows: Iterator[dict[str, Any]]) -> list[Any]:
    made: list[Any] = model.objects.bulk_create([model(**row) for row in rows], batch_size=_BATCH)
    return made
