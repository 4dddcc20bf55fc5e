"""What there is to collect, and how collection stands: for the page and for metrics."""

import datetime
from dataclasses import dataclass

from django.db.models import Min, Sum
from django.utils import timezone

from accounts import statements
from accounts.statements import Statement
from registry_sync import fsck, garbage_candidates, garbage_counters
from registry_sync.garbage_candidates import Totals
from registry_sync.models import Blob, Task, TrashEntry
from registry_sync.reconciling import engine as reconciling

# Beyond so many blobs a page does not count anew what the last run has counted.
_COUNTED_ANEW = 200_000


@dataclass(frozen=True, slots=True)
class Reclaimable:
    """What a run would remove now, what later, and what can still be restored."""

    now: Totals
    later: Totals
    # When the first of ``later`` is out of its grace.
    later_at: datetime.datetime | None
    trash_bytes: int
    # Now, unless there is too much to count for a page: then the end of the last run, if any.
    measured_at: datetime.datetime | None
    # Whether they were counted for this page; ``later`` is known only then.
    is_current: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    """What should be nothing, or short."""

    # Seconds since the oldest removal under way began.
    oldest_removal: float
    removals: int
    tombstones: int
    # What the last collection left of links announced before its grace and never seen: to count
    # them is too much for each look at the metrics.
    unconfirmed_links: int
    # What the last consistency check found, and the last reconciliation left.
    drift: int
    counts: dict[str, int]


def reclaimable(kind: str) -> Reclaimable:
    """Return what there is to collect; ``kind`` is the kind of the runs that counted before."""
    now = timezone.now()
    trash = TrashEntry.objects.restorable(now).aggregate(size=Sum("freed_bytes"))["size"] or 0
    if Blob.objects.count() > _COUNTED_ANEW:
        return _of_last_run(kind, trash)
    later, later_at = garbage_candidates.reclaimable_later(now)
    limit = statements.moment(garbage_candidates.old_before(now))
    ((count, size),) = statements.run_once(Statement(_NOW, [limit]))
    return Reclaimable(Totals(int(count), int(size or 0)), later, later_at, trash, now)


_NOW = """
SELECT count(*), sum(b.size) FROM registry_sync_blob b
WHERE b.state = 'live' AND NOT b.is_settled AND b.touched_at < %s
AND NOT EXISTS (SELECT 1 FROM registry_sync_artifactblob u WHERE u.digest = b.digest)
AND NOT EXISTS (SELECT 1 FROM registry_sync_artifact a WHERE a.digest = b.digest)
"""


def _of_last_run(kind: str, trash: int) -> Reclaimable:
    """What the last run found and left."""
    tasks = Task.objects.filter(kind=kind, finished_at__isnull=False)
    task = tasks.order_by("-finished_at").first()
    result = task.result if task else {}
    left = Totals(
        max(0, result.get("found", 0) - result.get("digests", 0)),
        max(0, result.get("found_bytes", 0) - result.get("freed_bytes", 0)),
    )
    return Reclaimable(
        left, Totals(0, 0), None, trash, task.finished_at if task else None, is_current=False
    )


def health(kind: str, now: datetime.datetime | None = None) -> Health:
    """Return how collection stands; ``kind`` is the kind of its runs."""
    now = now or timezone.now()
    deleting = Blob.objects.removed(Blob.State.DELETING)
    oldest = deleting.aggregate(at=Min("claimed_at"))["at"]
    return Health(
        oldest_removal=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
        removals=deleting.count(),
        tombstones=Blob.objects.removed(Blob.State.GONE).count(),
        unconfirmed_links=_last(kind, "unconfirmed_links"),
        drift=_last(fsck.KIND, "findings") + _last(reconciling.KIND, "drift"),
        counts=garbage_counters.counts(),
    )


def _last(kind: str, name: str) -> int:
    """Return a figure of the last run of a kind that came to where it was counted."""
    tasks = Task.objects.filter(kind=kind, finished_at__isnull=False, result__has_key=name)
    task = tasks.order_by("-finished_at").first()
    return int(task.result.get(name, 0)) if task else 0
