"""Blob rows: which digests exist, in which repositories, and what keeps them from collection.

The numbered rules these functions keep were model-checked: a row is written *before* the effect
it announces (an upload, a mount, a manifest PUT), so that collection can never take what a client
was just promised.
"""

import datetime
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from django.conf import settings
from django.utils import timezone

from accounts import statements
from accounts.errors import Unavailable
from accounts.statements import Statement
from registry_sync import transactions
from registry_sync.models import Blob, Repository, RepositoryBlob


class BlobMissingError(Exception):
    """A blob is being collected, or was; its client must send it again."""

    def __init__(self, digest: str) -> None:
        """``digest``: which one."""
        super().__init__(digest)
        self.digest = digest


@dataclass(frozen=True, slots=True)
class Asked:
    """The rows of a blob and its link as they are before the registry is asked for it."""

    state: str
    generation: int
    # The link's key: one that collection dropped comes back with another.
    link: int | None


def asked(repository_id: int, digest: str) -> Asked | None:
    """Return a blob's rows for ``confirm``, or nothing where no one ever announced it."""
    rows = statements.run(Statement(_ASKED, [repository_id, digest]))
    return Asked(*rows[0]) if rows else None


_ASKED = """
SELECT b.state, b.generation, l.id FROM registry_sync_blob b
LEFT JOIN registry_sync_repositoryblob l
ON l.digest = b.digest AND l.repository_id = %s AND l.kind = 'layer' WHERE b.digest = %s
"""


def expect(repository: Repository, digest: str) -> Asked:
    """Announce that a blob is about to be linked here, and keep it from being collected.

    Raises ``BlobMissingError`` while it is being collected.
    """
    now = timezone.now()

    def work() -> Asked:
        found = _lock_and_touch([digest], now, revivable=[digest])
        kind, state = RepositoryBlob.Kind.LAYER, RepositoryBlob.State.EXPECTED
        statement = linked(repository, [digest], kind, state, now)
        ((link_id,),) = statements.run(replace(statement, sql=f"{statement.sql} RETURNING id"))
        return Asked(Blob.State.LIVE, found[digest], link_id)

    return transactions.run(work)


def confirm(repository: Repository, digest: str, size: int, *, since: Asked | None = None) -> None:
    """Record that the registry was seen to hold a blob here, ``size`` bytes long.

    ``since``: the rows before the registry was asked; what it said of earlier ones is no proof.
    Raises ``BlobMissingError`` where it is being collected, or was, also from here alone.
    """
    now = timezone.now()

    def work() -> bool:
        found = _lock_and_touch([digest], now, revivable=[])
        if since is not None and found[digest] != since.generation:
            raise BlobMissingError(digest)
        is_seen = since is None or since.link is None or _has_link(since.link)
        kind, states = RepositoryBlob.Kind.LAYER, RepositoryBlob.State
        # Also one that the registry made after its row was dropped must have a row again.
        state = states.PRESENT if is_seen else states.EXPECTED
        statements.run(sized(digest, size), linked(repository, [digest], kind, state, now))
        return is_seen

    if not transactions.run(work):
        raise BlobMissingError(digest)


def _has_link(key: int) -> bool:
    sql = "SELECT 1 FROM registry_sync_repositoryblob WHERE id = %s"
    return bool(statements.run(Statement(sql, [key])))


def touch(repository: Repository, digest: str) -> None:
    """Count grace anew for a blob that a client is about to be told is here.

    Writes only what is older than a quarter of the grace. Raises ``BlobMissingError`` where it is
    being collected, or was, also from this repository alone.
    """
    now = timezone.now()
    stale = statements.moment(_stale_limit(now))
    if statements.run(Statement(_FRESH, [repository.pk, stale, digest, stale])):
        return

    def work() -> None:
        _lock_and_touch([digest], now, revivable=[])
        at = statements.moment(now)
        if not statements.run(Statement(_TOUCH_PRESENT, [at, repository.pk, digest])):
            raise BlobMissingError(digest)

    transactions.run(work)


_FRESH = """
SELECT 1 FROM registry_sync_repositoryblob l
JOIN registry_sync_blob b ON b.digest = l.digest
WHERE l.repository_id = %s AND l.kind = 'layer' AND l.state = 'present' AND l.touched_at >= %s
AND b.digest = %s AND b.state = 'live' AND b.touched_at >= %s
"""
_TOUCH_PRESENT = """
UPDATE registry_sync_repositoryblob SET touched_at = %s
WHERE repository_id = %s AND digest = %s AND kind = 'layer' AND state = 'present' RETURNING id
"""


def was_promised(repository: Repository, digest: str) -> bool:
    """Tell whether a client that heard within the grace of a blob here may rely on it still.

    Three quarters of it: what is touched more often than each quarter is not written.
    """
    fresh = timezone.now() - datetime.timedelta(seconds=settings.MOORAGE_GC_GRACE * 3 / 4)
    asked = [repository.pk, digest, statements.moment(fresh)]
    return bool(statements.run(Statement(_PROMISED, asked)))


# A removal makes links ``expected`` again, and takes none that fresh.
_PROMISED = """
SELECT 1 FROM registry_sync_repositoryblob l
LEFT JOIN registry_sync_blob b ON b.digest = l.digest
WHERE l.repository_id = %s AND l.digest = %s AND l.kind = 'layer' AND l.touched_at >= %s
AND (l.state = 'present' OR b.digest IS NULL OR b.state <> 'live')
"""


def forget(repository: Repository, digest: str) -> None:
    """Drop ``present`` of a blob that the registry says is not here after all."""
    RepositoryBlob.objects.filter(repository=repository, digest=digest).update(
        state=RepositoryBlob.State.EXPECTED
    )


_PRESENT = """
SELECT b.digest, b.size FROM registry_sync_repositoryblob l
JOIN registry_sync_blob b ON b.digest = l.digest AND b.state = 'live' AND b.size IS NOT NULL
WHERE l.repository_id = %s AND l.kind = 'layer' AND l.state = 'present' AND l.digest IN ({})
"""


def present_sizes(repository_id: int, digests: Collection[str]) -> dict[str, int]:
    """Return the bytes of those blobs that were seen present here and are not being collected."""
    if not digests:
        return {}
    wanted = list(digests)
    sql = _PRESENT.format(statements.marks(wanted))
    return dict(statements.run(Statement(sql, [repository_id, *wanted])))


def pin(
    repository: Repository, manifest_digest: str, blob_digests: Collection[str]
) -> dict[str, int]:
    """Keep a manifest and what it references from being collected; return the generations.

    Raises ``BlobMissingError`` where a reference is being collected or was, and while the
    manifest's own digest is being collected: that one the caller waits for.
    """
    now = timezone.now()
    kind, state = RepositoryBlob.Kind.MANIFEST, RepositoryBlob.State.EXPECTED

    def work() -> dict[str, int]:
        digests = {manifest_digest, *blob_digests}
        generations = _lock_and_touch(digests, now, revivable=[manifest_digest])
        statements.run(
            # Their links too: collection takes old ones even of blobs that live elsewhere.
            *_touched_links(repository, blob_digests, now),
            linked(repository, [manifest_digest], kind, state, now),
        )
        return generations

    return transactions.run(work)


def _touched_links(
    repository: Repository, digests: Collection[str], now: datetime.datetime
) -> list[Statement]:
    if not digests:
        return []
    wanted = sorted(digests)
    sql = _TOUCH_LINKS.format(statements.marks(wanted))
    at, stale = statements.moment(now), statements.moment(_stale_limit(now))
    return [Statement(sql, [at, repository.pk, stale, *wanted])]


_TOUCH_LINKS = """
UPDATE registry_sync_repositoryblob SET touched_at = %s
WHERE repository_id = %s AND touched_at < %s AND digest IN ({})
"""
_HELD = """
SELECT digest, state, generation, touched_at < %s, released_at IS NOT NULL FROM registry_sync_blob
WHERE digest IN ({}) ORDER BY digest
"""
_TOUCH = "UPDATE registry_sync_blob SET touched_at = %s WHERE digest IN ({})"
_NEEDED = "UPDATE registry_sync_blob SET released_at = NULL WHERE digest IN ({})"
_REVIVE = """
UPDATE registry_sync_blob SET state = 'live', generation = %s, touched_at = %s, gone_at = NULL
WHERE digest = %s
"""
_SIZE = "UPDATE registry_sync_blob SET size = %s WHERE digest = %s AND size IS NULL"


@dataclass(frozen=True, slots=True)
class _Held:
    """A locked row."""

    digest: str
    state: str
    generation: int
    is_stale: bool
    # A purge let it go: from now on something needs it again.
    is_released: bool


def hold_pins(repository: Repository, pins: dict[str, int], now: datetime.datetime) -> None:
    """Re-check each pin under its lock: live, linked here, and of the generation that was pinned.

    Part of the caller's transaction. Raises ``Unavailable`` where one does not hold.
    """
    rows = _lock(sorted(pins), now)
    held = [
        row for row in rows if row.state == Blob.State.LIVE and row.generation == pins[row.digest]
    ]
    if len(held) != len(pins) or _links_here(repository, pins) < len(pins):
        raise Unavailable("a blob was collected meanwhile; try again")
    # The pin has just counted grace anew: a base layer's row is not written at every push.
    _touch_stale(held, now)
    released = [row.digest for row in held if row.is_released]
    if released:
        statements.run(Statement(_NEEDED.format(statements.marks(released)), released))


def _links_here(repository: Repository, digests: Collection[str]) -> int:
    """Count those that are linked here: collection takes old links of what lives elsewhere too."""
    wanted = sorted(digests)
    sql = _LINKED.format(statements.marks(wanted))
    ((count,),) = statements.run(Statement(sql, [repository.pk, *wanted]))
    return int(count)


_LINKED = """
SELECT count(DISTINCT digest) FROM registry_sync_repositoryblob
WHERE repository_id = %s AND (kind = 'manifest' OR state = 'present') AND digest IN ({})
"""


def hold_present(
    repository: Repository, digests: Collection[str], now: datetime.datetime
) -> dict[str, int]:
    """Lock those blobs that are here, and count their grace anew; return their bytes.

    Part of the caller's transaction, which makes something that needs them.
    """
    rows = _lock(sorted(digests), now)
    live = [row for row in rows if row.state == Blob.State.LIVE]
    # A statement of its own: it sees what those before us committed while we waited.
    sizes = present_sizes(repository.pk, [row.digest for row in live])
    held = [row for row in live if row.digest in sizes]
    _touch_stale(held, now)
    released = [row.digest for row in held if row.is_released]
    if released:
        statements.run(Statement(_NEEDED.format(statements.marks(released)), released))
    if sizes:
        statements.run(*_touched_links(repository, sizes, now))
    return sizes


def _lock(digests: list[str], now: datetime.datetime, *before: Statement) -> list[_Held]:
    """Lock the rows by digest, after what is to be run before."""
    if not digests:
        return []
    sql = _HELD.format(statements.marks(digests)) + statements.lock_clause()
    select = Statement(sql, [statements.moment(_stale_limit(now)), *digests])
    return [_Held(*row) for row in statements.run(*before, select)]


def _touch_stale(rows: Iterable[_Held], now: datetime.datetime) -> None:
    old = [row.digest for row in rows if row.is_stale]
    if old:
        sql = _TOUCH.format(statements.marks(old))
        statements.run(Statement(sql, [statements.moment(now), *old]))


def sized(digest: str, size: int) -> Statement:
    """Record a blob's bytes, where they were not known."""
    return Statement(_SIZE, [size, digest])


def _stale_limit(now: datetime.datetime) -> datetime.datetime:
    return now - datetime.timedelta(seconds=settings.MOORAGE_GC_GRACE / 4)


def _new_generation() -> int:
    return secrets.randbits(62)


def _lock_and_touch(
    digests: Iterable[str], now: datetime.datetime, *, revivable: Collection[str]
) -> dict[str, int]:
    """Lock the rows by digest, made where missing, count their grace anew; return generations.

    A digest in ``revivable`` may come back from ``gone``: its bytes are about to be written.
    Missing rows are inserted before the first lock is taken, and both go by digest, so that two
    such calls cannot wait for each other.
    """
    wanted = sorted(set(digests))
    at = statements.moment(now)
    missing = statements.insert_values(
        Blob,
        ("digest", "generation", "touched_at"),
        [(digest, _new_generation(), at) for digest in wanted],
        "ON CONFLICT (digest) DO NOTHING",
    )
    rows = {row.digest: row for row in _lock(wanted, now, missing)}
    generations = {}
    for digest in wanted:
        row = rows.get(digest)
        # A row may have been dropped between the insert and the lock.
        if row is None or row.state == Blob.State.DELETING:
            raise BlobMissingError(digest)
        generations[digest] = row.generation
        if row.state == Blob.State.GONE:
            if digest not in revivable:
                raise BlobMissingError(digest)
            generations[digest] = _new_generation()
            statements.run(Statement(_REVIVE, [generations[digest], at, digest]))
    _touch_stale(rows.values(), now)
    return generations


def link(
    repository: Repository,
    digests: Iterable[str],
    kind: RepositoryBlob.Kind,
    state: RepositoryBlob.State,
    now: datetime.datetime,
) -> None:
    """Write links; one that is ``present`` never falls back to ``expected``.

    Part of the caller's transaction.
    """
    statements.run(linked(repository, digests, kind, state, now))


def linked(
    repository: Repository,
    digests: Iterable[str],
    kind: RepositoryBlob.Kind,
    state: RepositoryBlob.State,
    now: datetime.datetime,
) -> Statement:
    """The statement of ``link``, to be run with others; there is at least one digest."""
    updated = "touched_at = excluded.touched_at"
    if state == RepositoryBlob.State.PRESENT:
        updated += ", state = excluded.state"
    at = statements.moment(now)
    return statements.insert_values(
        RepositoryBlob,
        ("repository_id", "digest", "kind", "state", "touched_at"),
        [(repository.pk, digest, kind.value, state.value, at) for digest in sorted(set(digests))],
        f"ON CONFLICT (repository_id, digest, kind) DO UPDATE SET {updated}",
    )
