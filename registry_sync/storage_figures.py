"""Measures the storage as a job: what lies there, why, and whose it is; and how it grows."""

import datetime
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from accounts import statements
from accounts.models import Project
from accounts.statements import Statement
from registry_sync import garbage_candidates
from registry_sync.configured_storage import storage as configured_storage
from registry_sync.models import ProjectStorage, StorageSnapshot, TrashEntry
from registry_sync.runs import Run
from registry_sync.storage.base import Storage

KIND = "storage-figures"
_KEEP = datetime.timedelta(days=731)
# Growth is told from the measurements of so many days, where they span at least a few.
GROWTH_DAYS = 30
_LEAST_DAYS = 3


@dataclass(frozen=True, slots=True)
class Forecast:
    """How the storage grows: bytes a day, and in how many days the disk is full."""

    bytes_a_day: int
    days_left: int | None


def run(run: Run) -> None:
    """Measure, and keep what was found. Raises ``StorageUnavailableError``."""
    storage = configured_storage()
    now = timezone.now()
    parts = _parts(run, storage, now)
    uploads = sum(upload.size for upload in storage.uploads())
    total, free = _disk()
    snapshot = StorageSnapshot(
        at=now,
        in_use_bytes=parts["in_use"],
        trash_bytes=parts["trash"],
        reclaimable_bytes=parts["now"],
        later_bytes=parts["later"],
        upload_bytes=uploads,
        unknown_bytes=parts[_UNKNOWN] + storage.condemned_bytes(),
        disk_total=total,
        disk_free=free,
    )
    with transaction.atomic():
        run.hold()
        snapshot.save(force_insert=True)
        StorageSnapshot.objects.filter(at__lt=now - _KEEP).delete()
        _write_projects()
    run.result(bytes=snapshot.total_bytes, unknown=snapshot.unknown_bytes)
    run.log(f"{snapshot.total_bytes} bytes lie in the storage, {parts['in_use']} in use")


def _parts(run: Run, storage: Storage, now: datetime.datetime) -> Counter[str]:
    """Count the bytes of every blob in the storage, also of those that collection set aside.

    They are counted as they lie, each for the part that the tables have for its digest.
    """
    limit = statements.moment(garbage_candidates.old_before(now))
    aside: dict[str, list[tuple[str, int]]] = {}
    for digest, size in storage.set_aside_bytes():
        aside.setdefault(digest[:_PREFIX], []).append((digest, size))
    prefixes = sorted({f"sha256:{prefix}" for prefix in storage.prefixes()} | aside.keys())
    run.progress(done=0, total=len(prefixes), unit="parts", message="bytes")
    found: Counter[str] = Counter()
    for done, prefix in enumerate(prefixes, start=1):
        # The tables first: what is pushed meanwhile is then unknown for a moment.
        part_of = dict(statements.run(Statement(_PARTS, [limit, prefix, f"{prefix}g"])))
        stored = storage.blobs(prefix.removeprefix("sha256:")).items()
        for digest, size in (*stored, *aside.get(prefix, ())):
            found[part_of.get(digest, _UNKNOWN)] += size
        run.progress(done=done)
    return found


# Of a digest, as far as the storage has a directory for it.
_PREFIX = len("sha256:00")
_UNKNOWN = "unknown"
_PARTS = """
SELECT b.digest, CASE
  WHEN EXISTS (SELECT 1 FROM registry_sync_artifactblob u
               JOIN registry_sync_artifact a ON a.id = u.artifact_id
               WHERE u.digest = b.digest AND a.trash_entry_id IS NULL)
    OR EXISTS (SELECT 1 FROM registry_sync_artifact a
               WHERE a.digest = b.digest AND a.trash_entry_id IS NULL) THEN 'in_use'
  WHEN EXISTS (SELECT 1 FROM registry_sync_artifactblob u WHERE u.digest = b.digest)
    OR EXISTS (SELECT 1 FROM registry_sync_artifact a WHERE a.digest = b.digest) THEN 'trash'
  WHEN b.state = 'deleting' OR b.touched_at < %s THEN 'now'
  ELSE 'later' END
FROM registry_sync_blob b WHERE b.state <> 'gone' AND b.digest >= %s AND b.digest < %s
"""


def _disk() -> tuple[int | None, int | None]:
    if settings.MOORAGE_S3_BUCKET:
        return None, None
    usage = shutil.disk_usage(settings.MOORAGE_STORAGE_ROOT)
    return usage.total, usage.free


def _write_projects() -> None:
    trashed = dict(
        TrashEntry.objects.restorable(timezone.now())
        .order_by()
        .values_list("repository__project")
        .annotate(size=Sum("freed_bytes"))
    )
    used = {pk: (int(own), int(shared)) for pk, own, shared in statements.run(Statement(_SHARES))}
    alive = set(Project.objects.alive().values_list("pk", flat=True))
    ProjectStorage.objects.all().delete()
    rows = [
        ProjectStorage(
            project_id=pk,
            exclusive_bytes=used.get(pk, (0, 0))[0],
            shared_bytes=used.get(pk, (0, 0))[1],
            trash_bytes=trashed.get(pk, 0),
        )
        for pk in sorted((used.keys() | trashed.keys()) & alive)
    ]
    ProjectStorage.objects.bulk_create(rows, batch_size=500)


_SHARES = """
SELECT project_id, sum(CASE WHEN n = 1 THEN size ELSE 0 END),
  sum(CASE WHEN n > 1 THEN size ELSE 0 END)
FROM (SELECT project_id, size, count(*) OVER (PARTITION BY digest) AS n
      FROM registry_sync_projectblob) AS counted
GROUP BY project_id
"""


def forecast(snapshots: Sequence[StorageSnapshot]) -> Forecast | None:
    """Tell the growth from measurements, by a line of least squares; None where it is too early."""
    if not snapshots:
        return None
    newest = max(snapshots, key=lambda row: row.at)
    since = newest.at - datetime.timedelta(days=GROWTH_DAYS)
    points = [
        ((row.at - newest.at).total_seconds() / 86_400, row.total_bytes)
        for row in snapshots
        if row.at >= since
    ]
    if min(days for days, _size in points) > -_LEAST_DAYS:
        return None
    middle = sum(days for days, _size in points) / len(points)
    mean = sum(size for _days, size in points) / len(points)
    spread = sum((days - middle) ** 2 for days, _size in points)
    growth = sum((days - middle) * (size - mean) for days, size in points) / spread
    free = newest.disk_free
    left = int(free / growth) if free is not None and growth > 0 else None
    return Forecast(round(growth), left)
