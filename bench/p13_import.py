"""P13: the rows of an import of 10 000 images, against ``bulk_create`` of the same rows."""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.catalogue import a_project, database
from bench.harness import WrongAnswerError, cpu_seconds
from bench.store import Image, is_garbage, write_files
from tests.postgres import cluster

# Fewer on the command line, for a first look.
IMAGES = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
PAIRS = 5
GOAL = 5


def main() -> int:
    """Import on PostgreSQL, take the rows out and put them in again, in turn."""
    os.environ["MOORAGE_TEST_DATABASE"] = "postgresql"
    with cluster() as url:
        os.environ["MOORAGE_TEST_DATABASE_URL"] = url
        with database(), tempfile.TemporaryDirectory(prefix="moorage-bench-") as folder:
            _measure(Path(folder))
    return 0


def _measure(root: Path) -> None:
    from registry_sync import models  # noqa: PLC0415 - only once Django is set up

    images = [Image(number) for number in range(IMAGES)]
    project = a_project()
    # In the order in which rows need each other.
    kept = [
        models.Repository,
        models.ManifestBody,
        models.Blob,
        models.Artifact,
        models.ArtifactBlob,
        models.RepositoryBlob,
        models.ProjectBlob,
        models.Tag,
        models.TagEvent,
    ]
    ours, theirs, rows = [], [], []
    _import(project, images[:100])
    for _pair in range(PAIRS):
        _empty(kept)
        ours.append(_import(project, images))
        rows = [list(model._default_manager.all()) for model in kept]
        _empty(kept)
        theirs.append(_bulk_create(kept, rows))
        for model, before in zip(kept, rows, strict=True):
            if model._default_manager.count() != len(before):
                raise WrongAnswerError(f"{model.__name__}: other rows")
    whole = _whole(root, images, project)
    count = sum(len(found) for found in rows)
    print("## P13: import of an existing registry\n")
    print(f"{IMAGES} images, {count} rows, PostgreSQL; median (range) of {PAIRS} pairs.\n")
    print("| What | Against | Ratio | Goal | Seconds, ours / theirs | Rows a second |")
    print("|---|---|---|---|---|---|")
    ratio = [
        _row(what, [one[at] for one in ours], [one[at] for one in theirs], count)
        for at, what in enumerate(("rows of the import", "the same, CPU of client and database"))
    ]
    print(f"| the whole job, storage read in place | | | | {whole:.1f} | {count / whole:.0f} |\n")
    print(
        json.dumps(
            {
                "bench": "p13",
                "ratio": ratio[0],
                "cpu_ratio": ratio[1],
                "rows": count,
                "whole": whole,
            }
        )
    )


def _row(what: str, ours: list[float], theirs: list[float], count: int) -> float:
    """Print a line, and return the median of the ratios."""
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    ours_, theirs_ = statistics.median(ours), statistics.median(theirs)
    print(
        f"| {what} | bulk_create of the same rows | {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} - {max(ratios):.2f}) | ≥ {GOAL} | {ours_:.1f} / {theirs_:.1f} | "
        f"{count / ours_:.0f} / {count / theirs_:.0f} |"
    )
    return statistics.median(ratios)


def _empty(kept: list[Any]) -> None:
    from django.db import connection  # noqa: PLC0415

    from registry_sync.models import ProjectUsage  # noqa: PLC0415

    tables = ", ".join(model._meta.db_table for model in kept)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} CASCADE")
        cursor.execute("ANALYZE")
    ProjectUsage.objects.update(used_bytes=0)


class _Clock:
    """Seconds that passed, and of CPU that this process and its database's took."""

    def __init__(self) -> None:
        """Begin."""
        from django.db import connection  # noqa: PLC0415

        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            self._server = int(cursor.fetchone()[0])
        self._cpu, self._wall = self._used(), time.perf_counter()

    def _used(self) -> float:
        return time.process_time() + cpu_seconds([self._server])

    def read(self) -> tuple[float, float]:
        """Return both."""
        return time.perf_counter() - self._wall, self._used() - self._cpu


def _import(project: Any, images: list[Image]) -> tuple[float, float]:
    """Write the rows as the job does, batch by batch; everything was read before."""
    from accounts.principals import SYSTEM_ACTOR  # noqa: PLC0415
    from registry_sync import catalog, manifests  # noqa: PLC0415
    from registry_sync.image_config import read  # noqa: PLC0415
    from registry_sync.importing import engine, rows  # noqa: PLC0415
    from registry_sync.importing.drafts import Draft  # noqa: PLC0415
    from registry_sync.importing.items import Item  # noqa: PLC0415

    repositories = {}
    for name in sorted({image.repository for image in images}):
        repositories[name] = catalog.open_repository(project.pk, name)
        repositories[name].project = project
    items = [
        Item(
            repositories[image.repository],
            Draft(manifests.parse(image.manifest, manifests.OCI_MANIFEST), {f"v{n}": None}, None),
            read(image.contents[0]),
            dict(zip(image.digests, map(len, image.contents), strict=True)),
        )
        for n, image in enumerate(images)
    ]
    clock = _Clock()
    for start in range(0, len(items), engine.BATCH):
        part = items[start : start + engine.BATCH]
        digests = {digest for item in part for digest in (item.draft.digest, *item.sizes)}
        pins = rows.announce(digests)
        rows.commit(project.pk, part, pins, actor=SYSTEM_ACTOR, origin="bench")
    return clock.read()


def _bulk_create(kept: list[Any], rows: list[list[Any]]) -> tuple[float, float]:
    clock = _Clock()
    for model, objects in zip(kept, rows, strict=True):
        model._default_manager.bulk_create(objects, batch_size=1000)
    return clock.read()


def _whole(root: Path, images: list[Image], project: Any) -> float:
    """Run the job over a storage in place."""
    from django.conf import settings  # noqa: PLC0415

    from accounts.models import User  # noqa: PLC0415
    from accounts.principals import Actor, Principal  # noqa: PLC0415
    from registry_sync import dispatch, models, tasks  # noqa: PLC0415
    from registry_sync.importing import engine  # noqa: PLC0415
    from registry_sync.importing.engine import Terms  # noqa: PLC0415

    _empty([models.Repository, models.ManifestBody, models.Blob])
    write_files(root, images)
    settings.MOORAGE_STORAGE_ROOT = root
    tasks.wake = lambda task_ids: None
    user = User.objects.get(username="bench-owner")
    execution = dispatch.start(
        engine.KIND,
        actor=Actor(Principal("user", user.username, user.pk, is_administrator=True)),
        parameters=engine.parameters_of(Terms(engine.STORAGE)),
    )
    began = time.perf_counter()
    tasks.run_here(execution.tasks.get().pk)
    seconds = time.perf_counter() - began
    task = execution.tasks.get()
    # Of every tenth image the store has bytes, and no manifest link: it is garbage.
    wanted = sum(not is_garbage(number) for number in range(len(images)))
    if task.result.get("images") != wanted:
        raise WrongAnswerError(f"{task.message} {task.result}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
