"""Pulls, counted: noted in memory by the gateway, written in batches, read as totals and days.

Noting one is an append. What was not yet written when a process is killed is lost: at most ten
seconds of it.
"""

import datetime
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.utils import timezone

from accounts import statements
from accounts.models import Project
from accounts.principals import Actor, Principal
from registry_sync import push_days, transactions
from registry_sync.models import PullDay, PullTotal
from registry_sync.proxy_cache import figures

logger = logging.getLogger(__name__)

# Programs that pull to look or to copy, by the beginning of their User-Agent.
_AUTOMATIC_CLIENTS = (
    "anchore",
    "clair",
    "grype",
    "harbor-registry-client",
    "harbor-scanner",
    "moorage",
    "snyk",
    "syft",
    "trivy",
)
# Beyond this, while the database is away, the oldest pulls are forgotten.
_MAX_NOTED = 100_000
# A client asks for its platform's manifest right after the index.
_CHILD_SECONDS = 60.0
_MAX_INDEXES = 1_000
_MAX_INDEX_BYTES = 32 * 1024
_POLL_SECONDS = 0.5
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Pull:
    """A manifest that was sent; ``tag`` is empty where it was asked for by digest."""

    repository_id: int
    digest: str
    tag: str
    actor: Actor
    at: datetime.datetime
    # False for what shows use but is no pull of its own: an index's platform, an unchanged copy.
    is_counted: bool

    @property
    def is_automatic(self) -> bool:
        """Whether a scanner or a replication pulled, whom nobody counts as a use."""
        is_ours = self.actor.principal.kind == "system"
        return is_ours or self.actor.client.lower().startswith(_AUTOMATIC_CLIENTS)


@dataclass(frozen=True, slots=True)
class Pulls:
    """What is known of one tag, digest or repository."""

    count: int = 0
    automatic: int = 0
    pulled_at: datetime.datetime | None = None
    pulled_by_kind: str = ""
    pulled_by: str = ""


NEVER_PULLED = Pulls()


@dataclass(frozen=True, slots=True)
class Day:
    """One day's pulls."""

    day: datetime.date
    count: int
    automatic: int


_noted: "deque[Pull]" = deque(maxlen=_MAX_NOTED)
# Repository, who, from which address: many are nobody in particular.
_Caller = tuple[int, Principal, str]
# Indexes that were just sent: until when that counts, and their bytes.
_indexes: "OrderedDict[_Caller, tuple[float, bytes]]" = OrderedDict()
_lock = threading.Lock()
_writer: threading.Thread | None = None


def note(
    repository_id: int,
    *,
    digest: str,
    tag: str,
    actor: Actor,
    index: bytes = b"",
    is_sent: bool = True,
) -> None:
    """Take note of a manifest that was asked for; ``index`` is its content where it is an index.

    The platform's manifest that its puller asks for next is no second pull. ``is_sent`` is False
    where the caller had it already.
    """
    caller = repository_id, actor.principal, actor.address
    is_counted = is_sent and not _is_child(caller, digest)
    now = timezone.now()
    _noted.append(Pull(repository_id, digest, tag, actor, now, is_counted))
    if index and len(index) <= _MAX_INDEX_BYTES:
        _remember(caller, index)
    _start_writing()


def note_push(repository_id: int, principal: Principal) -> None:
    """Take note of a tag that a client pushed; it is written when the pulls are."""
    push_days.note(repository_id, principal)
    _start_writing()


def note_proxy(project_id: int, **counts: int) -> None:
    """Add to what a proxy project served and fetched today; it is written when the pulls are."""
    figures.note(project_id, **counts)
    _start_writing()


def _start_writing() -> None:
    if _writer is None and settings.MOORAGE_PULL_FLUSH_SECONDS:
        _start()


def _is_child(caller: _Caller, digest: str) -> bool:
    sent = _indexes.get(caller)
    return sent is not None and sent[0] > time.monotonic() and digest.encode() in sent[1]


def _remember(caller: _Caller, index: bytes) -> None:
    with _lock:
        _indexes[caller] = time.monotonic() + _CHILD_SECONDS, index
        _indexes.move_to_end(caller)
        while len(_indexes) > _MAX_INDEXES:
            _indexes.popitem(last=False)


def _start() -> None:
    global _writer
    with _lock:
        if _writer is None:
            # A process that ends waits for what it still has to write. (It has to be said: the
            # server's own threads, from which this is called, are daemons, which is inherited.)
            _writer = threading.Thread(target=_write_on, name="pulls", daemon=False)
            _writer.start()


def _write_on() -> None:
    """Write every few seconds for as long as the process lives, and once more at its end."""
    due = time.monotonic() + settings.MOORAGE_PULL_FLUSH_SECONDS
    while threading.main_thread().is_alive():
        time.sleep(_POLL_SECONDS)
        if time.monotonic() >= due:
            _try_flush()
            due = time.monotonic() + settings.MOORAGE_PULL_FLUSH_SECONDS
    _try_flush()
    connection.close()


def _try_flush() -> None:
    try:
        connection.close_if_unusable_or_obsolete()
        flush()
        push_days.flush()
        figures.flush()
    except DatabaseError as error:
        # They are noted still; the next time may find the database there.
        logger.warning("pulls and pushes could not be counted: %s", error)


def flush() -> int:
    """Write what was noted and return how much that was."""
    taken = []
    while _noted:
        taken.append(_noted.popleft())
    if not taken:
        return 0
    try:
        transactions.run(lambda: _write(taken))
    except BaseException:
        _noted.extendleft(reversed(taken))
        raise
    return len(taken)


def discard() -> None:
    """Forget what was noted; for tests."""
    _noted.clear()
    _indexes.clear()


def _write(taken: Iterable[Pull]) -> None:
    """Add up and write, in the rows' order: two processes cannot wait for each other."""
    totals: dict[tuple[int, str], Pulls] = {}
    days: dict[tuple[int, str, datetime.date], Pulls] = {}
    for pull in taken:
        for reference in {"", pull.tag, pull.digest}:
            key = pull.repository_id, reference
            totals[key] = _with(totals.get(key, Pulls()), pull)
        for reference in {"", pull.tag}:
            at = pull.repository_id, reference, pull.at.date()
            days[at] = _with(days.get(at, Pulls()), pull)
    total_rows = [
        (
            repository,
            reference,
            sums.count,
            sums.automatic,
            statements.moment(sums.pulled_at) if sums.pulled_at else None,
            sums.pulled_by_kind,
            sums.pulled_by,
        )
        for (repository, reference), sums in sorted(totals.items())
    ]
    day_rows = [
        (repository, reference, day.isoformat(), sums.count, sums.automatic)
        for (repository, reference, day), sums in sorted(days.items())
        if sums.count or sums.automatic
    ]
    for rows in _batches(total_rows):
        statements.run(statements.insert_values(PullTotal, _TOTAL, rows, _ADD_TOTAL))
    for rows in _batches(day_rows):
        statements.run(statements.insert_values(PullDay, _DAY, rows, _ADD_DAY))


_TOTAL = (
    "repository_id",
    "reference",
    "count",
    "automatic",
    "pulled_at",
    "pulled_by_kind",
    "pulled_by_name",
)
_DAY = ("repository_id", "reference", "day", "count", "automatic")


def _with(sums: Pulls, pull: Pull) -> Pulls:
    if pull.is_automatic:
        return replace(sums, automatic=sums.automatic + pull.is_counted)
    caller = pull.actor.principal
    count = sums.count + pull.is_counted
    return Pulls(count, sums.automatic, pull.at, caller.kind, caller.name)


def _batches(rows: Sequence[tuple[object, ...]]) -> Iterable[Sequence[tuple[object, ...]]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]


# A batch may come after a later one of another process.
_ADD_TOTAL = """
ON CONFLICT (repository_id, reference) DO UPDATE SET
count = registry_sync_pulltotal.count + excluded.count,
automatic = registry_sync_pulltotal.automatic + excluded.automatic,
pulled_at = CASE WHEN {later} THEN excluded.pulled_at ELSE registry_sync_pulltotal.pulled_at END,
pulled_by_kind = CASE WHEN {later} THEN excluded.pulled_by_kind
  ELSE registry_sync_pulltotal.pulled_by_kind END,
pulled_by_name = CASE WHEN {later} THEN excluded.pulled_by_name
  ELSE registry_sync_pulltotal.pulled_by_name END
""".format(
    later="excluded.pulled_at IS NOT NULL AND (registry_sync_pulltotal.pulled_at IS NULL "
    "OR excluded.pulled_at > registry_sync_pulltotal.pulled_at)"
)
_ADD_DAY = """
ON CONFLICT (repository_id, reference, day) DO UPDATE SET
count = registry_sync_pullday.count + excluded.count,
automatic = registry_sync_pullday.automatic + excluded.automatic
"""


def of_repositories(ids: Collection[int]) -> dict[int, Pulls]:
    """Return the pulls of whole repositories, of those that were pulled at all. One query."""
    rows = PullTotal.objects.filter(repository_id__in=ids, reference="")
    return {row.repository_id: _read(row) for row in rows}


def of_references(
    repository_ids: Collection[int], references: Collection[str]
) -> dict[tuple[int, str], Pulls]:
    """Return the pulls of tags and digests, by repository and reference. One query."""
    wanted = set(references) - {""}
    rows = PullTotal.objects.filter(repository_id__in=repository_ids, reference__in=wanted)
    return {(row.repository_id, row.reference): _read(row) for row in rows}


def pulled_at(reference: str) -> Subquery:
    """When the rows of a query (of tags: ``name``; of artifacts: ``body_id``) were last pulled."""
    rows = PullTotal.objects.filter(
        repository=OuterRef("repository_id"), reference=OuterRef(reference)
    )
    return Subquery(rows.values("pulled_at")[:1])


def _read(row: PullTotal) -> Pulls:
    return Pulls(row.count, row.automatic, row.pulled_at, row.pulled_by_kind, row.pulled_by_name)


def days_of_repository(
    repository_id: int, *, reference: str = "", days: int = 30, today: datetime.date | None = None
) -> list[Day]:
    """Return each of the last days (UTC), oldest first, of a repository or one of its tags."""
    rows = PullDay.objects.filter(repository_id=repository_id, reference=reference)
    return _days(rows, days, today)


def days_of_repositories(
    ids: Collection[int], *, days: int = 30, today: datetime.date | None = None
) -> dict[int, list[Day]]:
    """Return each of the last days (UTC), oldest first, of each repository. One query."""
    last = today or timezone.now().date()
    every = [last - datetime.timedelta(days=age) for age in reversed(range(days))]
    rows = PullDay.objects.filter(
        repository_id__in=ids, reference="", day__range=(every[0], every[-1])
    )
    found = {(row.repository_id, row.day): Day(row.day, row.count, row.automatic) for row in rows}
    return {pk: [found.get((pk, day), Day(day, 0, 0)) for day in every] for pk in ids}


def days_of_project(
    project_id: int, *, days: int = 30, today: datetime.date | None = None
) -> list[Day]:
    """Return each of the last days (UTC), oldest first, of a whole project."""
    rows = PullDay.objects.filter(repository__project_id=project_id, reference="")
    return _days(rows, days, today)


def days_of_projects(
    projects: QuerySet[Project], *, days: int = 30, today: datetime.date | None = None
) -> list[Day]:
    """Return each of the last days (UTC), oldest first, of all these projects together."""
    rows = PullDay.objects.filter(repository__project__in=projects, reference="")
    return _days(rows, days, today)


def _days(rows: QuerySet[PullDay], days: int, today: datetime.date | None) -> list[Day]:
    last = today or timezone.now().date()
    first = last - datetime.timedelta(days=days - 1)
    sums = rows.filter(day__range=(first, last)).order_by().values_list("day")
    found = {
        day: (count, automatic)
        for day, count, automatic in sums.annotate(n=Sum("count"), m=Sum("automatic"))
    }
    return [
        Day(day, *found.get(day, (0, 0)))
        for day in (first + datetime.timedelta(days=number) for number in range(days))
    ]


def prune(before: datetime.date) -> int:
    """Drop the days before; the totals stay. Returns how many rows went."""
    return PullDay.objects.filter(day__lt=before).delete()[0]
