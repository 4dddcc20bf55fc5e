"""Fills a database with as many rows as a large installation has, by COPY or many-row inserts.

``python -m bench.seed`` fills the one that MOORAGE_HOME and MOORAGE_DATABASE_URL name, which is
fresh from ``manage.py up``: 10 000 projects, 100 000 users, 1 000 000 audit rows, 10 000
repositories, 200 000 artifacts, 1 000 000 tags. ``python -m bench.seed 0.01`` makes a hundredth.

``p00000`` has half of the repositories; its ``r00000`` has a tenth of the artifacts and tags.
"""

import csv
import datetime
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import django

BATCH = 50_000
PROJECTS, USERS, AUDIT = 10_000, 100_000, 1_000_000
REPOSITORIES, ARTIFACTS, TAGS = 10_000, 200_000, 1_000_000
# Above what `manage.py up` makes.
FIRST = 1000


def copy(model: Any, rows: Iterable[dict[str, Any]], **common: Any) -> int:
    """Insert rows that differ in these attributes from a new object; return how many."""
    from django.utils import timezone  # noqa: PLC0415 - only once Django is set up

    now = timezone.now()
    moments = {
        field.attname: now
        for field in model._meta.concrete_fields
        if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    }
    blank = model(**(moments | common))
    fields = {field.attname: field for field in model._meta.concrete_fields}
    made = {name: _plain(field, getattr(blank, name)) for name, field in fields.items()}
    count = 0
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH)):
        write(model, fields, ([*(made | row).values()] for row in batch))
        count += len(batch)
    return count


def _plain(field: Any, value: Any) -> Any:
    """What both databases take for a value."""
    kind = field.get_internal_type()
    if value is not None and kind == "JSONField":
        return json.dumps(value)
    return str(value) if kind == "DateTimeField" and value is not None else value


def write(model: Any, fields: dict[str, Any], rows: Iterator[list[Any]]) -> None:
    """Insert rows of plain values in the order of the fields."""
    from django.db import connection  # noqa: PLC0415 - only once Django is set up

    table = model._meta.db_table
    columns = ", ".join(f'"{field.column}"' for field in fields.values())
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            text = io.StringIO()
            writer = csv.writer(text)
            for row in rows:
                writer.writerow([_as_csv(value) for value in row])
            text.seek(0)
            statement = f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv, NULL '\\N')"
            cursor.cursor.copy_expert(statement, text)
        else:
            marks = ", ".join(["%s"] * len(fields))
            statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - names
            cursor.executemany(statement, list(rows))


def _as_csv(value: Any) -> Any:
    if value is None:
        return "\\N"
    return f"\\x{value.hex()}" if isinstance(value, bytes) else value


def digest(text: str) -> str:
    """Name a text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def fill(scale: float = 1.0) -> dict[str, int]:
    """Insert everything in one transaction; return how many rows of each."""
    from django.db import transaction  # noqa: PLC0415 - only once Django is set up

    with transaction.atomic():
        counts = _people(scale) | _catalogue(scale) | _audit(scale)
    _finish()
    return counts


def _people(scale: float) -> dict[str, int]:
    from accounts import models  # noqa: PLC0415 - only once Django is set up
    from registry_sync.models import ProjectUsage  # noqa: PLC0415

    users, projects = int(USERS * scale), int(PROJECTS * scale)
    user_ids = range(FIRST, FIRST + users)
    project_ids = range(FIRST, FIRST + projects)
    return {
        "users": copy(
            models.User,
            (
                {"id": pk, "username": f"u{n:06}", "email": f"u{n:06}@example.com"}
                for n, pk in enumerate(user_ids)
            ),
            password="!",  # noqa: S106 - no hash, so nobody signs in with it
        ),
        "projects": copy(
            models.Project,
            (
                {
                    "id": pk,
                    "name": f"p{n:05}",
                    "registry_key": f"p{n:05}",
                    "is_public": n % 10 == 0,
                    "owner_id": FIRST + n % users,
                }
                for n, pk in enumerate(project_ids)
            ),
        ),
        "members": copy(
            models.ProjectMember,
            (
                {
                    "id": FIRST + 3 * n + extra,
                    "project_id": pk,
                    "user_id": FIRST + (n + extra) % users,
                    "role": 1 if extra == 0 else 2,
                }
                for n, pk in enumerate(project_ids)
                for extra in range(3)
            ),
        ),
        "usages": copy(ProjectUsage, ({"project_id": pk, "used_bytes": pk} for pk in project_ids)),
    }


def _catalogue(scale: float) -> dict[str, int]:
    from django.utils import timezone  # noqa: PLC0415 - only once Django is set up

    from registry_sync import models  # noqa: PLC0415
    from registry_sync.tag_names import sort_key  # noqa: PLC0415

    projects = int(PROJECTS * scale)
    repositories, artifacts = int(REPOSITORIES * scale), int(ARTIFACTS * scale)
    large = artifacts // 10
    now = timezone.now()
    tags_each = TAGS // ARTIFACTS

    def moment(n: int) -> str:
        return str(now - datetime.timedelta(minutes=artifacts - n))

    def repository_of(n: int) -> int:
        return FIRST + (0 if n < large else 1 + (n - large) % (repositories - 1))

    return {
        "repositories": copy(
            models.Repository,
            (
                {
                    "id": FIRST + n,
                    "project_id": FIRST + (0 if n < repositories // 2 else n % projects),
                    "path": f"r{n:05}",
                }
                for n in range(repositories)
            ),
            pushed_at=now,
        ),
        "bodies": copy(
            models.ManifestBody,
            ({"digest": digest(f"manifest {n}")} for n in range(artifacts)),
            media_type="application/vnd.oci.image.manifest.v1+json",
            content=b"",
        ),
        "artifacts": copy(
            models.Artifact,
            (
                {
                    "id": FIRST + n,
                    "repository_id": repository_of(n),
                    "body_id": digest(f"manifest {n}"),
                    "size": 1000 + n,
                    "pushed_at": moment(n),
                }
                for n in range(artifacts)
            ),
            kind="image",
            media_type="application/vnd.oci.image.manifest.v1+json",
            os="linux",
            architecture="amd64",
            pushed_by_name="bench",
        ),
        "tags": copy(
            models.Tag,
            (
                {
                    "id": FIRST + n * tags_each + minor,
                    "repository_id": repository_of(n),
                    "name": f"1.{n}.{minor}",
                    "artifact_id": FIRST + n,
                    "sort_key": sort_key(f"1.{n}.{minor}"),
                    "pushed_at": moment(n),
                }
                for n in range(artifacts)
                for minor in range(tags_each)
            ),
            pushed_by_name="bench",
        ),
    }


def _audit(scale: float) -> dict[str, int]:
    from accounts.models import AuditChain, AuditEntry  # noqa: PLC0415 - once Django is set up

    count, projects = int(AUDIT * scale), int(PROJECTS * scale)
    ten_million = 10_000_000
    made = copy(
        AuditEntry,
        (
            {
                "id": FIRST + n,
                "resource": f"p{n % projects:05}",
                "project_id": FIRST + (0 if n % 10 == 0 else n % projects),
                "actor_name": f"u{n % 997:06}",
                # Sealed already, as the rows of long ago are.
                "sequence": ten_million + n,
            }
            for n in range(count)
        ),
        actor_kind="user",
        address="192.0.2.1",
        action="create_artifact",
        detail={},
        seal="0" * 64,
    )
    AuditChain.objects.update_or_create(pk=1, defaults={"sequence": ten_million + count})
    return {"audit rows": made}


def _finish() -> None:
    """Let new rows have numbers above these, and the planner know how many there are."""
    from django.apps import apps  # noqa: PLC0415 - only once Django is set up
    from django.core.management.color import no_style  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        models = list(apps.get_models())
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
        cursor.execute("ANALYZE")


def main() -> None:
    """Fill the database of the environment."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    started = time.perf_counter()
    counts = fill(float(sys.argv[1]) if sys.argv[1:] else 1.0)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    print(f"in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
