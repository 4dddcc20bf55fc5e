"""Marks what something needs, so that the next run looks at the rest alone.

A mark is set under the lock of the digest's row, by a statement that began after the lock was had.
A purge takes that lock before it removes an edge, and takes the mark away in its transaction:
whichever comes first, nothing that nobody needs stays marked. ``fsck`` looks whether it is so.
"""

import datetime

from django.db import connection

from accounts import statements
from accounts.statements import Statement
from registry_sync import transactions
from registry_sync.runs import Run

# Rows in one short transaction.
_BATCH = 1000


def settle(run: Run, *, before: datetime.datetime) -> None:
    """Mark old blobs that an artifact needs, and links that their repository needs."""
    at, last = statements.moment(before), ""
    while rows := statements.run_once(Statement(_BLOBS, [at, last, _BATCH])):
        digests = [digest for (digest,) in rows]
        last = digests[-1]
        _mark(digests, _NEEDED, digests)
        run.check()
    after = 0
    while rows := statements.run_once(Statement(_LINKS, [at, after, _BATCH])):
        after = rows[-1][0]
        _mark(sorted({digest for _id, digest in rows}), _NEEDED_HERE, [pk for pk, _digest in rows])
        run.check()


def unneeded() -> list[str]:
    """Return the digests that are marked, or a link of which is, while nothing needs them."""
    return sorted(digest for (digest,) in statements.run_once(Statement(_UNNEEDED)))


def unsettle(digest: str) -> None:
    """Have the next collection look at a digest and its links."""
    transactions.run(lambda: statements.run_once(*(Statement(sql, [digest]) for sql in _UNSETTLE)))


def _mark(digests: list[str], sql: str, keys: list[str] | list[int]) -> None:
    """Mark rows by their keys where their digests can be locked."""

    def work() -> None:
        locked = _locked(digests)
        if locked:
            text = sql.format(statements.marks(keys), statements.marks(locked))
            statements.run_once(Statement(text, [*keys, *locked]))

    transactions.run(work)


def _locked(digests: list[str]) -> list[str]:
    if not connection.features.has_select_for_update_skip_locked:
        return digests
    rows = statements.run_once(Statement(_FREE.format(statements.marks(digests)), digests))
    return [digest for (digest,) in rows]


_FREE = """
SELECT digest FROM registry_sync_blob WHERE digest IN ({}) AND state = 'live'
ORDER BY digest FOR NO KEY UPDATE SKIP LOCKED
"""
_BLOBS = """
SELECT digest FROM registry_sync_blob
WHERE state = 'live' AND NOT is_settled AND touched_at < %s AND digest > %s
ORDER BY digest LIMIT %s
"""
_LINKS = """
SELECT id, digest FROM registry_sync_repositoryblob
WHERE NOT is_settled AND touched_at < %s AND id > %s ORDER BY id LIMIT %s
"""
_BLOB_NEEDED = """
EXISTS (SELECT 1 FROM registry_sync_artifactblob u WHERE u.digest = registry_sync_blob.digest)
OR EXISTS (SELECT 1 FROM registry_sync_artifact a WHERE a.digest = registry_sync_blob.digest)
"""
_LINK_NEEDED = """
EXISTS (
  SELECT 1 FROM registry_sync_artifact a
  WHERE a.repository_id = registry_sync_repositoryblob.repository_id
  AND a.digest = registry_sync_repositoryblob.digest)
OR EXISTS (
  SELECT 1 FROM registry_sync_artifactblob u
  JOIN registry_sync_artifact a ON a.id = u.artifact_id
  WHERE u.digest = registry_sync_repositoryblob.digest
  AND a.repository_id = registry_sync_repositoryblob.repository_id)
"""
_NEEDED = (
    "UPDATE registry_sync_blob SET is_settled = true "  # noqa: S608 - our own text
    f"WHERE digest IN ({{}}) AND digest IN ({{}}) AND state = 'live' AND ({_BLOB_NEEDED})"
)
_NEEDED_HERE = (
    "UPDATE registry_sync_repositoryblob SET is_settled = true "  # noqa: S608 - our own text
    f"WHERE id IN ({{}}) AND digest IN ({{}}) AND ({_LINK_NEEDED})"
)
_UNNEEDED = (
    "SELECT digest FROM registry_sync_blob "  # noqa: S608 - our own text
    f"WHERE state = 'live' AND is_settled AND NOT ({_BLOB_NEEDED}) "
    "UNION SELECT digest FROM registry_sync_repositoryblob "
    f"WHERE is_settled AND NOT ({_LINK_NEEDED})"
)
_UNSETTLE = (
    "UPDATE registry_sync_blob SET is_settled = false WHERE digest = %s",
    "UPDATE registry_sync_repositoryblob SET is_settled = false WHERE digest = %s",
)
