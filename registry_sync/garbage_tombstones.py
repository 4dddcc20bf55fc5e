"""The second look at what is gone: bytes and links that came late are found before it is forgotten.

A registry may write for a request that began before the removal did. The row stays ``gone`` for
as long as the grace, and is dropped only where nothing came.
"""

import datetime

from django.db import connection
from django.utils import timezone

from accounts import statements
from accounts.statements import Statement
from registry_sync import garbage_claims, transactions
from registry_sync.failpoints import hit
from registry_sync.garbage_candidates import old_before
from registry_sync.garbage_sweep import link_of
from registry_sync.models import Blob, RepositoryBlob
from registry_sync.runs import Run
from registry_sync.storage.base import Link, Storage

_BATCH = 500


def look_again(run: Run, storage: Storage) -> dict[str, int]:
    """Look at every row that has been ``gone`` for the grace; return how many were what."""
    before = old_before(timezone.now())
    rows = Blob.objects.removed(Blob.State.GONE).filter(gone_at__lt=before).order_by("digest")
    run.progress(done=0, total=rows.count(), unit="tombstones", message="check")
    last, done, revived, late, dropped = "", 0, 0, 0, 0
    while batch := list(rows.filter(digest__gt=last).values_list("digest", flat=True)[:_BATCH]):
        last = batch[-1]
        bare = []
        for digest in batch:
            size = storage.size(digest)
            if size is None:
                bare.append(digest)
            else:
                revived += _revive(digest, size, before)
                run.log(f"{digest}: its bytes came late; it is kept for another grace")
        hit("gc.tombstone_looked")
        late += _unlink(storage, bare, before)
        hit("gc.tombstone_unlinked")
        dropped += _drop(bare, before)
        done += len(batch)
        run.progress(done=done)
    return {"revived": revived, "late_links": late, "forgotten": dropped}


def _revive(digest: str, size: int, before: datetime.datetime) -> int:
    parameters = [
        garbage_claims.new_generation(),
        statements.moment(timezone.now()),
        size,
        digest,
        statements.moment(before),
    ]
    return len(transactions.run(lambda: statements.run_once(Statement(_LIVE, parameters))))


_LIVE = """
UPDATE registry_sync_blob
SET state = 'live', generation = %s, touched_at = %s, size = %s, gone_at = NULL
WHERE digest = %s AND state = 'gone' AND gone_at < %s RETURNING digest
"""


def _lock(digests: list[str], before: datetime.datetime) -> list[str]:
    """Lock those that still are ``gone``: a push that revives one waits, and comes after us."""
    sql = _GONE.format(statements.marks(digests))
    if connection.features.has_select_for_update_skip_locked:
        sql += " FOR UPDATE SKIP LOCKED"
    rows = statements.run_once(Statement(sql, [*digests, statements.moment(before)]))
    return [digest for (digest,) in rows]


_GONE = """
SELECT digest FROM registry_sync_blob WHERE digest IN ({}) AND state = 'gone' AND gone_at < %s
ORDER BY digest
"""


def _unlink(storage: Storage, digests: list[str], before: datetime.datetime) -> int:
    """Remove links that came without bytes: they would give bytes that come later to others."""
    found: dict[str, list[Link]] = {}
    rows = RepositoryBlob.objects.filter(digest__in=digests).select_related("repository__project")
    for row in rows:
        link = link_of(row)
        if storage.has_link(row.digest, link):
            found.setdefault(row.digest, []).append(link)
    for digest, links in found.items():
        token = garbage_claims.new_token()

        def work(digest: str = digest, links: list[Link] = links, token: str = token) -> None:
            if _lock([digest], before):
                storage.set_aside(token, {digest: links}, with_bytes=False)

        transactions.run(work)
        storage.discard(token, [digest])
        storage.finish(token)
    return sum(len(links) for links in found.values())


def _drop(digests: list[str], before: datetime.datetime) -> int:
    """Forget rows and their links' rows."""
    if not digests:
        return 0

    def work() -> int:
        mine = _lock(digests, before)
        if mine:
            marks = statements.marks(mine)
            statements.run_once(
                Statement(_DROP_LINKS.format(marks), mine), Statement(_DROP.format(marks), mine)
            )
        return len(mine)

    return transactions.run(work)


_DROP_LINKS = "DELETE FROM registry_sync_repositoryblob WHERE digest IN ({})"
_DROP = "DELETE FROM registry_sync_blob WHERE digest IN ({})"
