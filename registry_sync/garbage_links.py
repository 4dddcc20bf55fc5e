"""Links that no image of their repository needs, of digests that live on elsewhere.

A link gives its repository's readers the bytes: it goes when nothing there needs it any more.
"""

import datetime
from collections.abc import Iterator

from django.db import connection

from accounts import statements
from accounts.statements import Statement
from registry_sync import garbage_claims, transactions
from registry_sync.failpoints import hit
from registry_sync.garbage_sweep import link_of
from registry_sync.models import RepositoryBlob
from registry_sync.runs import Run
from registry_sync.storage.base import Link, Storage

_PAGE = 5000


def count(before: datetime.datetime) -> int:
    """Count them; ``before``: only what was last touched earlier."""
    sql = f"SELECT count(*) FROM ({_OLD}) AS old"  # noqa: S608 - our own text
    ((found,),) = statements.run_once(Statement(sql, [statements.moment(before), 0]))
    return int(found)


def unconfirmed(before: datetime.datetime) -> int:
    """Count those that were announced earlier than that and never seen: reads every link."""
    expected = RepositoryBlob.objects.filter(state=RepositoryBlob.State.EXPECTED)
    return expected.filter(touched_at__lt=before).count()


def collect(run: Run, storage: Storage, *, before: datetime.datetime) -> int:
    """Remove them in short transactions; return how many."""
    run.progress(done=0, total=count(before), unit="links", message="links")
    done = 0
    for ids in _batches(before, storage.links_per_transaction):
        removed = _remove(run, storage, ids, before)
        for digest, link in removed:
            run.log(f"unlinked {digest} from {link.repository}")
        done += len(removed)
        run.progress(done=done)
    return done


def _batches(before: datetime.datetime, size: int) -> Iterator[list[int]]:
    last = 0
    sql = f"{_OLD} ORDER BY l.id LIMIT {_PAGE}"
    while rows := statements.run_once(Statement(sql, [statements.moment(before), last])):
        ids = [row[0] for row in rows]
        for start in range(0, len(ids), size):
            yield ids[start : start + size]
        last = ids[-1]


_OLD = """
SELECT l.id FROM registry_sync_repositoryblob l
JOIN registry_sync_blob b ON b.digest = l.digest AND b.state = 'live'
WHERE NOT l.is_settled AND l.touched_at < %s AND l.id > %s
AND NOT EXISTS (
  SELECT 1 FROM registry_sync_artifact a
  WHERE a.repository_id = l.repository_id AND a.digest = l.digest)
AND NOT EXISTS (
  SELECT 1 FROM registry_sync_artifactblob u
  JOIN registry_sync_artifact a ON a.id = u.artifact_id
  WHERE u.digest = l.digest AND a.repository_id = l.repository_id)
"""


def _remove(
    run: Run, storage: Storage, ids: list[int], before: datetime.datetime
) -> list[tuple[str, Link]]:
    """Drop the rows and set the links aside in one transaction, then remove them for good.

    The rename happens under the locks that announcing a link anew takes: whoever links again does
    so after us. Cut off before the commit, the row is there and the link is put back; cut off
    after it, the link comes back with a row, and is collected again.
    """
    token = garbage_claims.new_token()
    storage.prepare(token)
    tried: list[tuple[str, Link]] = []

    def work() -> list[tuple[str, Link]]:
        if tried:
            storage.put_back(token, [digest for digest, _link in tried])
            tried.clear()
        run.hold()
        rows = _locked(ids, before)
        tried.extend((row.digest, link_of(row)) for row in rows)
        storage.set_aside(token, _by_digest(tried), with_bytes=False)
        hit("gc.link_aside")
        RepositoryBlob.objects.filter(pk__in=[row.pk for row in rows]).delete()
        return list(tried)

    try:
        removed = transactions.run(work)
    except BaseException:
        storage.put_back(token, [digest for digest, _link in tried])
        storage.finish(token)
        raise
    hit("gc.link_committed")
    storage.discard(token, [digest for digest, _link in removed])
    storage.finish(token)
    return removed


def _by_digest(links: list[tuple[str, Link]]) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {}
    for digest, link in links:
        found.setdefault(digest, []).append(link)
    return found


def _locked(ids: list[int], before: datetime.datetime) -> list[RepositoryBlob]:
    """Lock the digests' rows, then look again whether nothing here needs the link."""
    digests = sorted(
        set(RepositoryBlob.objects.filter(pk__in=ids).values_list("digest", flat=True))
    )
    if not digests:
        return []
    if connection.features.has_select_for_update_skip_locked:
        sql = _FREE.format(statements.marks(digests))
        digests = [digest for (digest,) in statements.run_once(Statement(sql, digests))]
        if not digests:
            return []
    sql = _STILL.format(statements.marks(ids), statements.marks(digests))
    parameters = [*ids, *digests, statements.moment(before)]
    still = [pk for (pk,) in statements.run_once(Statement(sql, parameters))]
    rows = RepositoryBlob.objects.filter(pk__in=still).select_related("repository__project")
    return list(rows.order_by("pk"))


_FREE = """
SELECT digest FROM registry_sync_blob WHERE digest IN ({}) AND state = 'live'
ORDER BY digest FOR UPDATE SKIP LOCKED
"""
_STILL = """
SELECT l.id FROM registry_sync_repositoryblob l
JOIN registry_sync_blob b ON b.digest = l.digest AND b.state = 'live'
WHERE l.id IN ({}) AND l.digest IN ({}) AND l.touched_at < %s
AND NOT EXISTS (
  SELECT 1 FROM registry_sync_artifact a
  WHERE a.repository_id = l.repository_id AND a.digest = l.digest)
AND NOT EXISTS (
  SELECT 1 FROM registry_sync_artifactblob u
  JOIN registry_sync_artifact a ON a.id = u.artifact_id
  WHERE u.digest = l.digest AND a.repository_id = l.repository_id)
"""
