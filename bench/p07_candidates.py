"""P7: candidates among 1 000 000 blobs, 200 000 manifests, 2 000 000 edges, on both databases.

``python -m bench.p07_candidates [MANIFESTS]``. The other side asks for each manifest's blobs by a
query of its own, keeps what it hears in memory, and looks at every blob.
"""

import datetime
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.catalogue import a_project, database
from bench.harness import emit
from tests.postgres import cluster

MANIFESTS = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
BLOBS, EDGES, GARBAGE = MANIFESTS * 5, 10, MANIFESTS // 20
_LAYERS = BLOBS - MANIFESTS - GARBAGE
_STEP = 7919


def main() -> None:
    """Measure on SQLite, then in a process of its own on PostgreSQL."""
    if len(sys.argv) > 2:
        with database() as vendor:
            print(_measure(vendor))
        return
    lines = [
        "| Database | A SELECT per manifest, s | First run, s | Times as fast "
        "| Later runs, s | Times as fast | Goal |",
        "|---|---|---|---|---|---|---|",
    ]
    with cluster() as url:
        for kind in ("sqlite", "postgresql"):
            done = subprocess.run(
                [sys.executable, "-m", "bench.p07_candidates", str(MANIFESTS), kind],
                cwd=Path(__file__).resolve().parent.parent,
                env=os.environ | {"MOORAGE_TEST_DATABASE": kind, "MOORAGE_TEST_DATABASE_URL": url},
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            lines.append(done.stdout.strip().splitlines()[-1])
    words = f"{BLOBS} blobs, {MANIFESTS} manifests, {MANIFESTS * EDGES} edges, {GARBAGE} garbage"
    emit("p07", f"P7: candidates among {words}", lines)


def _measure(vendor: str) -> str:
    _fill(vendor)
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    began = time.perf_counter()
    expected = _by_manifest(before)
    theirs = time.perf_counter() - began
    first = _staged(before, expected)
    _settle(vendor)
    settled = _staged(before, expected)
    goal = "≥ 10 x, ≤ 3 s" if vendor == "postgresql" else "≥ 10 x"
    return (
        f"| {vendor} | {theirs:.1f} | {first:.2f} | {theirs / first:.1f} "
        f"| {settled:.3f} | {theirs / settled:.0f} | {goal} |"
    )


def _staged(before: datetime.datetime, expected: set[str]) -> float:
    """Return the median of three times; the digests found must be those expected."""
    from registry_sync import garbage_candidates  # noqa: PLC0415 - only once Django is set up
    from registry_sync.configured_storage import storage  # noqa: PLC0415

    times = []
    for _ in range(3):
        began = time.perf_counter()
        totals = garbage_candidates.stage(storage(), before=before)
        times.append(time.perf_counter() - began)
    found = {c.digest for page in garbage_candidates.pages() for c in page}
    if found != expected or totals.digests != GARBAGE:
        raise SystemExit("the two sides found different digests")
    return sorted(times)[1]


def _settle(vendor: str) -> None:
    """Mark what a first collection marks, and clean up as the database does by itself in time."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE registry_sync_blob SET is_settled = true "
            "WHERE digest NOT IN (SELECT digest FROM garbage_candidate)"
        )
        cursor.execute("VACUUM ANALYZE registry_sync_blob" if vendor == "postgresql" else "ANALYZE")


def _by_manifest(before: datetime.datetime) -> set[str]:
    from django.db import connection  # noqa: PLC0415

    needed: set[str] = set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, digest FROM registry_sync_artifact")
        for number, digest in cursor.fetchall():
            needed.add(digest)
            cursor.execute(
                "SELECT digest FROM registry_sync_artifactblob WHERE artifact_id = %s", [number]
            )
            needed.update(row[0] for row in cursor.fetchall())
        cursor.execute(
            "SELECT digest FROM registry_sync_blob WHERE state = 'live' AND touched_at < %s",
            [connection.ops.adapt_datetimefield_value(before)],
        )
        return {row[0] for row in cursor.fetchall()} - needed


def _fill(vendor: str) -> None:
    """Number every digest once; the tables are made from the numbers."""
    from django.db import connection  # noqa: PLC0415

    from registry_sync import models  # noqa: PLC0415

    project = a_project()
    rows = [(n, f"sha256:{hashlib.sha256(str(n).encode()).hexdigest()}") for n in range(BLOBS)]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE n (i integer PRIMARY KEY, digest varchar(71))")
        for start in range(0, BLOBS, 10_000):
            part = rows[start : start + 10_000]
            marks = ", ".join(["(%s, %s)"] * len(part))
            cursor.execute(
                f"INSERT INTO n VALUES {marks}",  # noqa: S608 - our own marks
                [value for row in part for value in row],
            )
        repository = models.Repository.objects.create(project=project, path="app")
        for model, given, source in _tables(project.pk, repository.pk):
            cursor.execute(*_insertion(model, given, source))
        cursor.execute("ANALYZE")


def _tables(project: int, repository: int) -> list[tuple[Any, dict[str, str], str]]:
    from registry_sync import models  # noqa: PLC0415

    old = (
        "'2020-01-01 00:00:00+00:00'"
        if os.environ["MOORAGE_TEST_DATABASE"] == "postgresql"
        else "'2020-01-01 00:00:00'"
    )
    manifests = f"n WHERE i < {MANIFESTS}"
    used = f"n WHERE i < {BLOBS - GARBAGE}"
    tens = " UNION ALL ".join(f"SELECT {k} AS k" for k in range(EDGES))
    # Its product is more than a 32-bit integer holds.
    edge = f"(CAST(n.i AS bigint) * {EDGES} + t.k)"
    layer = f"{MANIFESTS} + ({edge} % {_LAYERS} * {_STEP} % {_LAYERS})"
    return [
        (
            models.Blob,
            {
                "digest": "digest",
                "size": "1000",
                "generation": "1",
                "touched_at": old,
                "released_at": old,
            },
            "n",
        ),
        (
            models.ManifestBody,
            {"digest": "digest", "media_type": "'x'", "content": "''"},
            manifests,
        ),
        (
            models.Artifact,
            {
                "id": "i + 1",
                "repository_id": str(repository),
                "digest": "digest",
                "kind": "'image'",
                "media_type": "'x'",
                "size": "1",
                "pushed_by_name": "'x'",
                "pushed_at": old,
                "created_at": old,
            },
            manifests,
        ),
        (
            models.ArtifactBlob,
            {
                "artifact_id": "n.i + 1",
                "digest": "l.digest",
                "position": "t.k",
                "media_type": "'x'",
                "size": "1000",
            },
            f"n CROSS JOIN ({tens}) t JOIN n l ON l.i = {layer} WHERE n.i < {MANIFESTS}",
        ),
        (
            models.RepositoryBlob,
            {
                "repository_id": str(repository),
                "digest": "digest",
                "kind": "'layer'",
                "state": "'present'",
                "touched_at": old,
            },
            "n",
        ),
        (
            models.ProjectBlob,
            {"project_id": str(project), "digest": "digest", "size": "1000"},
            used,
        ),
    ]


def _insertion(model: Any, given: dict[str, str], source: str) -> tuple[str, list[Any] | None]:
    """``INSERT … SELECT``; the columns that are not given get their fields' defaults."""
    from django.db import connection  # noqa: PLC0415

    columns, parameters = dict(given), []
    for field in model._meta.concrete_fields:
        if field.column in given or field.primary_key or field.has_db_default():
            continue
        columns[field.column] = "%s"
        parameters.append(field.get_db_prep_save(field.get_default(), connection))
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(columns.values())
    source = source.replace("%", "%%") if parameters else source
    # Django's cursor takes a percent sign as a mark wherever there are parameters.
    sql = f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {values} FROM {source}'  # noqa: S608
    return sql, parameters or None


if __name__ == "__main__":
    main()
