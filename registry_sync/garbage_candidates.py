"""What nothing needs any more: which digests, why, how many bytes, and of whom.

What no artifact needs, those in the trash included, is found by one set operation, not by a
question for each manifest, and staged in a table of this connection. Looked at is only what is not
settled: what came since the last run, and what purges dropped (``garbage_settling``).
"""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import statements
from accounts.statements import Statement
from registry_sync.models import Artifact, ArtifactBlob
from registry_sync.storage.base import Storage

_PAGE = 5000


class Reason(models.TextChoices):
    """Why a digest is garbage."""

    PURGED = "purged", _("The last image that needed it was purged")
    UNUSED = "unused", _("Uploaded, and no image came to use it")
    UNFINISHED = "unfinished", _("A push that did not finish")
    CLAIMED = "claimed", _("A run that died had begun to remove it")
    UNEXPLAINED = "unexplained", _("Nothing accounts for it")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A digest that may be collected; ``size`` in bytes, 0 where nothing is stored."""

    digest: str
    size: int
    reason: Reason
    # Where it was linked last: the repository's name, its project's, both empty where nowhere.
    repository: str
    project: str


@dataclass(frozen=True, slots=True)
class Totals:
    """How much may be collected."""

    digests: int
    size: int


def old_before(now: datetime.datetime) -> datetime.datetime:
    """Return since when a row must not have been touched to be old enough."""
    return now - datetime.timedelta(seconds=settings.MOORAGE_GC_GRACE)


def stage(storage: Storage, *, before: datetime.datetime) -> Totals:
    """Find what may be collected and keep it in a table of this connection, until ``clear``.

    ``before``: only what was last touched earlier.
    """
    clear()
    digest = 'varchar(71) COLLATE "C"' if connection.vendor == "postgresql" else "varchar(71)"
    statements.run_once(
        Statement(
            "CREATE TEMPORARY TABLE garbage_candidate "
            f"(digest {digest} PRIMARY KEY, size bigint, reason varchar(16) NOT NULL)"
        ),
        Statement(_STAGE, [statements.moment(before)]),
    )
    if connection.vendor == "postgresql":
        statements.run_once(Statement("ANALYZE garbage_candidate"))
    statements.run_once(*(Statement(sql) for sql in _EXPLAIN))
    _measure(storage)
    return totals()


# Where nothing is settled yet PostgreSQL makes two hash anti-joins of it; SQLite looks into two
# indexes for each row.
_STAGE = """
INSERT INTO garbage_candidate (digest, size, reason)
SELECT b.digest, b.size, CASE WHEN b.released_at IS NULL THEN 'unused' ELSE 'purged' END
FROM registry_sync_blob b
WHERE b.state = 'live' AND NOT b.is_settled AND b.touched_at < %s
AND NOT EXISTS (SELECT 1 FROM registry_sync_artifactblob u WHERE u.digest = b.digest)
AND NOT EXISTS (SELECT 1 FROM registry_sync_artifact a WHERE a.digest = b.digest)
"""
# The order matters: what comes later is the stronger evidence.
_EXPLAIN = (
    """
UPDATE garbage_candidate SET reason = 'unfinished' WHERE reason = 'unused' AND EXISTS (
  SELECT 1 FROM registry_sync_repositoryblob l
  WHERE l.digest = garbage_candidate.digest AND l.kind = 'manifest')
""",
    # A commit wrote the manifest down, and no purge let it go.
    """
UPDATE garbage_candidate SET reason = 'unexplained' WHERE reason <> 'purged' AND EXISTS (
  SELECT 1 FROM registry_sync_manifestbody m WHERE m.digest = garbage_candidate.digest)
""",
    # A quota still counts it.
    """
UPDATE garbage_candidate SET reason = 'unexplained' WHERE digest IN (
  SELECT p.digest FROM registry_sync_projectblob p
  JOIN garbage_candidate c ON c.digest = p.digest)
""",
)


def _measure(storage: Storage) -> None:
    """Fill in the bytes of what no client ever asked for."""
    unknown = statements.run_once(
        Statement("SELECT digest FROM garbage_candidate WHERE size IS NULL")
    )
    for (digest,) in unknown:
        size = storage.size(digest) or 0
        sql = "UPDATE garbage_candidate SET size = %s WHERE digest = %s"
        statements.run_once(Statement(sql, [size, digest]))


def clear() -> None:
    """Drop what was staged."""
    statements.run_once(Statement("DROP TABLE IF EXISTS garbage_candidate"))


def totals(reason: Reason | None = None) -> Totals:
    """Count what is staged, or what is of one reason."""
    sql = "SELECT count(*), coalesce(sum(size), 0) FROM garbage_candidate"
    parameters = []
    if reason is not None:
        sql += " WHERE reason = %s"
        parameters.append(reason.value)
    ((count, size),) = statements.run_once(Statement(sql, parameters))
    return Totals(int(count), int(size))


def pages(size: int = _PAGE) -> Iterator[list[Candidate]]:
    """Yield what is staged, by digest, so many at a time."""
    last = ""
    while rows := statements.run_once(Statement(_NEXT, [last, size])):
        places = _last_places([row[0] for row in rows])
        yield [
            Candidate(digest, int(stored), Reason(reason), *places.get(digest, ("", "")))
            for digest, stored, reason in rows
        ]
        last = rows[-1][0]


_NEXT = """
SELECT digest, size, reason FROM garbage_candidate WHERE digest > %s ORDER BY digest LIMIT %s
"""


def described(sizes: Mapping[str, int | None]) -> list[Candidate]:
    """Return what is known of claimed digests, given with their bytes."""
    digests = sorted(sizes)
    places = _last_places(digests)
    return [
        Candidate(digest, sizes[digest] or 0, Reason.CLAIMED, *places.get(digest, ("", "")))
        for digest in digests
    ]


def _last_places(digests: list[str]) -> dict[str, tuple[str, str]]:
    """Return where each was linked last: the repository's name, and its project's."""
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(digests), 500):
        part = digests[start : start + 500]
        for digest, project, path in statements.run_once(
            Statement(_PLACES.format(statements.marks(part)), part)
        ):
            found[digest] = (f"{project}/{path}", project)
    return found


_PLACES = """
SELECT l.digest, p.name, r.path FROM registry_sync_repositoryblob l
JOIN registry_sync_repository r ON r.id = l.repository_id
JOIN accounts_project p ON p.id = r.project_id
WHERE l.digest IN ({}) ORDER BY l.digest, l.touched_at, l.id
"""


def by_reason() -> dict[str, Totals]:
    """Return what is staged, by reason."""
    sql = "SELECT reason, count(*), sum(size) FROM garbage_candidate GROUP BY reason"
    return {
        name: Totals(int(n), int(size)) for name, n, size in statements.run_once(Statement(sql))
    }


def images_without_blobs() -> int:
    """Count images that seem to need nothing, which no push makes: edges were lost."""
    edges = ArtifactBlob.objects.filter(artifact=models.OuterRef("pk"))
    # What a proxy project fetched may not have its blobs yet.
    images = Artifact.objects.exclude(kind=Artifact.Kind.INDEX).filter(is_complete=True)
    return images.filter(~models.Exists(edges)).count()


def reclaimable_later(now: datetime.datetime) -> tuple[Totals, datetime.datetime | None]:
    """Return what is inside its grace, and when the first of it will be out; stages nothing."""
    ((count, size, first),) = statements.run_once(
        Statement(_LATER, [statements.moment(old_before(now))])
    )
    if first is None:
        return Totals(0, 0), None
    at = first if isinstance(first, datetime.datetime) else _parsed(first)
    due = at + datetime.timedelta(seconds=settings.MOORAGE_GC_GRACE)
    return Totals(int(count), int(size or 0)), due


def _parsed(text: str) -> datetime.datetime:
    at = datetime.datetime.fromisoformat(text)
    return timezone.make_aware(at, datetime.UTC) if timezone.is_naive(at) else at


_LATER = """
SELECT count(*), sum(b.size), min(b.touched_at) FROM registry_sync_blob b
WHERE b.state = 'live' AND NOT b.is_settled AND b.touched_at >= %s
AND NOT EXISTS (SELECT 1 FROM registry_sync_artifactblob u WHERE u.digest = b.digest)
AND NOT EXISTS (SELECT 1 FROM registry_sync_artifact a WHERE a.digest = b.digest)
"""
