"""Who may remove which digest: claimed under locks, fenced by a token, ended in one transaction.

A row goes from ``live`` to ``deleting``, and from there to ``gone`` alone. While it is ``deleting``
no push can rely on it: pins are taken, and commits re-checked, only of ``live`` rows.
"""

import datetime
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts import statements
from accounts.statements import Statement
from registry_sync import transactions
from registry_sync.models import LayerIndex

# Rows in one claim at most.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """Digests that are ours to remove, with their bytes where they are known."""

    token: str
    sizes: dict[str, int | None]
    # By the clock that only goes forward, before the lease was written.
    began: float = field(default_factory=time.monotonic)


def new_token() -> str:
    """Return a token that nobody had before."""
    return secrets.token_hex(16)


def new_generation() -> int:
    """Return what tells a row that becomes live from what it was before."""
    return secrets.randbits(62)


def claim(digests: Collection[str], *, owner: str, before: datetime.datetime) -> Claim:
    """Claim those of the digests that still are garbage, ``BATCH`` of them at most.

    Rows that somebody works with just now are left out. Their links count as unseen from here on:
    the registry is asked for them again.
    """
    token, began = new_token(), time.monotonic()
    wanted = sorted(digests)

    def work() -> dict[str, int | None]:
        mine = _lock(wanted, before)
        if not mine:
            return {}
        marks = statements.marks(mine)
        sizes = dict(
            statements.run_once(
                # A statement of its own: its snapshot is younger than our locks.
                Statement(
                    _CLAIM.format(marks),
                    [owner[:128], token, _lease(), _now(), *mine, statements.moment(before)],
                )
            )
        )
        if sizes:
            marks = statements.marks(list(sizes))
            statements.run_once(Statement(_UNSEEN.format(marks), list(sizes)))
        return sizes

    return Claim(token, transactions.run(work) if wanted else {}, began)


def _lock(digests: list[str], before: datetime.datetime) -> list[str]:
    if not connection.features.has_select_for_update_skip_locked:
        return digests
    sql = _FREE.format(statements.marks(digests))
    rows = statements.run_once(Statement(sql, [*digests, statements.moment(before)]))
    return [digest for (digest,) in rows]


def _now() -> object:
    return statements.moment(timezone.now())


def _lease() -> object:
    until = timezone.now() + datetime.timedelta(seconds=settings.MOORAGE_JOB_LEASE)
    return statements.moment(until)


_FREE = """
SELECT digest FROM registry_sync_blob
WHERE digest IN ({}) AND state = 'live' AND touched_at < %s
ORDER BY digest FOR UPDATE SKIP LOCKED
"""
_CLAIM = """
UPDATE registry_sync_blob
SET state = 'deleting', claim_owner = %s, claim_token = %s, claimed_until = %s, claimed_at = %s
WHERE digest IN ({}) AND state = 'live' AND touched_at < %s
AND NOT EXISTS (
  SELECT 1 FROM registry_sync_artifactblob u WHERE u.digest = registry_sync_blob.digest)
AND NOT EXISTS (
  SELECT 1 FROM registry_sync_artifact a WHERE a.digest = registry_sync_blob.digest)
RETURNING digest, size
"""
_UNSEEN = "UPDATE registry_sync_repositoryblob SET state = 'expected' WHERE digest IN ({})"


def held(claim: Claim) -> set[str]:
    """Return which digests still are ours, and prolong their lease when half of it is over."""
    if not claim.sizes:
        return set()
    digests = sorted(claim.sizes)
    marks = statements.marks(digests)
    if time.monotonic() < claim.began + settings.MOORAGE_JOB_LEASE / 2:
        rows = statements.run_once(Statement(_HELD.format(marks), [claim.token, *digests]))
    else:
        sql = Statement(_RENEW.format(marks), [_lease(), claim.token, *digests])
        rows = transactions.run(lambda: statements.run_once(sql))
    return {digest for (digest,) in rows}


_HELD = """
SELECT digest FROM registry_sync_blob
WHERE state = 'deleting' AND claim_token = %s AND digest IN ({})
"""
_RENEW = """
UPDATE registry_sync_blob SET claimed_until = %s
WHERE state = 'deleting' AND claim_token = %s AND digest IN ({}) RETURNING digest
"""


def take_over(*, owner: str, only: str = "", limit: int = BATCH) -> dict[str, Claim]:
    """Take claims whose lease ended from their owners; return them by their former token.

    ``only``: this digest alone. The former owner may be stopped, not dead: what it has set aside
    must be put back before it is removed under the new token.
    """
    now = statements.moment(timezone.now())

    def work() -> dict[str, Claim]:
        sql, parameters = _ENDED, [now]
        if only:
            sql += " AND digest = %s"
            parameters.append(only)
        sql += " ORDER BY digest LIMIT %s"
        if connection.features.has_select_for_update_skip_locked:
            sql += " FOR UPDATE SKIP LOCKED"
        found: dict[str, Claim] = {}
        for digest, size, former in statements.run_once(Statement(sql, [*parameters, limit])):
            claim = found.setdefault(former, Claim(new_token(), {}))
            claim.sizes[digest] = size
        for claim in found.values():
            digests = sorted(claim.sizes)
            sql = _TAKE.format(statements.marks(digests))
            statements.run_once(Statement(sql, [owner[:128], claim.token, _lease(), *digests]))
        return found

    return transactions.run(work)


_ENDED = """
SELECT digest, size, claim_token FROM registry_sync_blob
WHERE state = 'deleting' AND NOT state = 'live' AND claimed_until < %s
"""
_TAKE = """
UPDATE registry_sync_blob SET claim_owner = %s, claim_token = %s, claimed_until = %s
WHERE state = 'deleting' AND digest IN ({})
"""


def end(claim: Claim, also: Callable[[set[str]], None]) -> set[str]:
    """Call what is still ours ``gone``; return it. ``also`` is done in the same transaction."""
    digests = sorted(claim.sizes)

    def work() -> set[str]:
        at = statements.moment(timezone.now())
        sql = _GONE.format(statements.marks(digests))
        rows = statements.run_once(Statement(sql, [at, claim.token, *digests]))
        gone = sorted(digest for (digest,) in rows)
        if gone:
            marks = statements.marks(gone)
            statements.run_once(Statement(_BODIES.format(marks), gone))
            LayerIndex.objects.filter(digest__in=gone).delete()
        also(set(gone))
        return set(gone)

    return transactions.run(work)


_GONE = """
UPDATE registry_sync_blob
SET state = 'gone', gone_at = %s, claim_owner = '', claim_token = '', claimed_until = NULL,
claimed_at = NULL
WHERE state = 'deleting' AND claim_token = %s AND digest IN ({}) RETURNING digest
"""
# No push can bring the artifact now: it would have to hold the row.
_BODIES = """
DELETE FROM registry_sync_manifestbody WHERE digest IN ({}) AND NOT EXISTS (
  SELECT 1 FROM registry_sync_artifact a WHERE a.digest = registry_sync_manifestbody.digest)
"""


def release(claim: Claim) -> set[str]:
    """Let live again what is ours and of which nothing was removed; return it.

    Each gets a new generation: a push that pinned it before begins again.
    """

    def work() -> set[str]:
        at = statements.moment(timezone.now())
        released = set()
        for digest in sorted(claim.sizes):
            released |= {
                row[0]
                for row in statements.run_once(
                    Statement(_RELEASE, [new_generation(), at, digest, claim.token])
                )
            }
        return released

    return transactions.run(work)


_RELEASE = """
UPDATE registry_sync_blob SET state = 'live', generation = %s, touched_at = %s,
claim_owner = '', claim_token = '', claimed_until = NULL, claimed_at = NULL
WHERE digest = %s AND state = 'deleting' AND claim_token = %s RETURNING digest
"""
