"""Blob rows: which digests exist, in which repositories, and what keeps them from collection.

The numbered rules these functions keep were model-checked: a row is written *before* the effect
it announces (an upload, a mount, a manifest PUT), so that collection can never take what a client
was just promised.
"""

import datetime
import secrets
from collections.abc import Collection, Iterable

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.errors import Unavailable
from registry_sync.models import Blob, Repository, RepositoryBlob


class BlobMissingError(Exception):
    """A blob is being collected, or was; its client must send it again."""

    def __init__(self, digest: str) -> None:
        """``digest``: which one."""
        super().__init__(digest)
        self.digest = digest


def expect(repository: Repository, digest: str) -> None:
    """Announce that a blob is about to be linked here, and keep it from being collected.

    Raises ``BlobMissingError`` while it is being collected.
    """
    now = timezone.now()
    with transaction.atomic():
        _lock_and_touch([digest], now, revivable=[digest])
        link(repository, [digest], RepositoryBlob.Kind.LAYER, RepositoryBlob.State.EXPECTED, now)


def confirm(repository: Repository, digest: str, size: int) -> None:
    """Record that the registry was seen to hold a blob here, ``size`` bytes long.

    Raises ``BlobMissingError`` where it is being collected, or was.
    """
    now = timezone.now()
    with transaction.atomic():
        rows = _lock_and_touch([digest], now, revivable=[])
        if rows[digest].size is None:
            Blob.objects.filter(digest=digest).update(size=size)
        link(repository, [digest], RepositoryBlob.Kind.LAYER, RepositoryBlob.State.PRESENT, now)


def touch(repository: Repository, digest: str) -> None:
    """Count grace anew for a blob that a client was just told is here.

    Writes only what is older than a quarter of the grace. Raises ``BlobMissingError`` where it is
    being collected, or was.
    """
    now = timezone.now()
    stale = _stale_limit(now)
    is_fresh = Blob.objects.filter(
        digest=digest, state=Blob.State.LIVE, touched_at__gte=stale
    ).exists()
    links = RepositoryBlob.objects.filter(repository=repository, digest=digest)
    if is_fresh and not links.filter(touched_at__lt=stale).exists():
        return
    with transaction.atomic():
        _lock_and_touch([digest], now, revivable=[])
        links.update(touched_at=now)


def forget(repository: Repository, digest: str) -> None:
    """Drop ``present`` of a blob that the registry says is not here after all."""
    RepositoryBlob.objects.filter(repository=repository, digest=digest).update(
        state=RepositoryBlob.State.EXPECTED
    )


def pin(
    repository: Repository, manifest_digest: str, blob_digests: Collection[str]
) -> dict[str, int]:
    """Keep a manifest and what it references from being collected; return the generations.

    Raises ``BlobMissingError`` where a reference is being collected or was, ``Unavailable`` while
    the manifest's own digest is being collected.
    """
    now = timezone.now()
    with transaction.atomic():
        try:
            rows = _lock_and_touch(
                {manifest_digest, *blob_digests}, now, revivable=[manifest_digest]
            )
        except BlobMissingError as error:
            if error.digest == manifest_digest:
                raise Unavailable("the manifest is being collected; try again") from error
            raise
        # Their links too: collection takes old ones even of blobs that live elsewhere.
        RepositoryBlob.objects.filter(
            repository=repository, digest__in=blob_digests, touched_at__lt=_stale_limit(now)
        ).update(touched_at=now)
        kind, state = RepositoryBlob.Kind.MANIFEST, RepositoryBlob.State.EXPECTED
        link(repository, [manifest_digest], kind, state, now)
    return {digest: row.generation for digest, row in rows.items()}


def hold_pins(pins: dict[str, int], now: datetime.datetime) -> None:
    """Re-check each pin under its lock: live, and the same generation as when it was pinned.

    Part of the caller's transaction. Raises ``Unavailable`` where one does not hold.
    """
    rows = Blob.objects.select_for_update(no_key=True).filter(digest__in=pins).order_by("digest")
    held = [
        (digest, touched_at)
        for digest, state, generation, touched_at in rows.values_list(
            "digest", "state", "generation", "touched_at"
        )
        if state == Blob.State.LIVE and generation == pins[digest]
    ]
    if len(held) != len(pins):
        raise Unavailable("a blob was collected meanwhile; try again")
    # The pin has just counted grace anew: a base layer's row is not written at every push.
    stale = _stale_limit(now)
    if old := [digest for digest, touched_at in held if touched_at < stale]:
        Blob.objects.filter(digest__in=old).update(touched_at=now)


def _stale_limit(now: datetime.datetime) -> datetime.datetime:
    return now - datetime.timedelta(seconds=settings.MOORAGE_GC_GRACE / 4)


def _new_generation() -> int:
    return secrets.randbits(62)


def _lock_and_touch(
    digests: Iterable[str], now: datetime.datetime, *, revivable: Collection[str]
) -> dict[str, Blob]:
    """Lock the rows by digest, made where missing, and count their grace anew.

    A digest in ``revivable`` may come back from ``gone``: its bytes are about to be written.
    Missing rows are inserted before the first lock is taken, so that two such calls cannot wait
    for each other.
    """
    wanted = sorted(set(digests))
    known = set(Blob.objects.filter(digest__in=wanted).values_list("digest", flat=True))
    Blob.objects.bulk_create(
        [
            Blob(digest=digest, generation=_new_generation(), touched_at=now)
            for digest in wanted
            if digest not in known
        ],
        ignore_conflicts=True,
    )
    rows = {
        row.digest: row
        for row in Blob.objects.select_for_update(no_key=True)
        .filter(digest__in=wanted)
        .order_by("digest")
    }
    for digest in wanted:
        # A row may have been dropped between the insert and the lock.
        if digest not in rows or rows[digest].state == Blob.State.DELETING:
            raise BlobMissingError(digest)
        if rows[digest].state == Blob.State.GONE:
            if digest not in revivable:
                raise BlobMissingError(digest)
            rows[digest].state = Blob.State.LIVE
            rows[digest].generation = _new_generation()
            rows[digest].touched_at = now
            rows[digest].save(update_fields=["state", "generation", "touched_at"])
    stale = _stale_limit(now)
    old = [digest for digest, row in rows.items() if row.touched_at < stale]
    if old:
        Blob.objects.filter(digest__in=old).update(touched_at=now)
    return rows


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
    updated = ["touched_at", "state"] if state == RepositoryBlob.State.PRESENT else ["touched_at"]
    RepositoryBlob.objects.bulk_create(
        [
            RepositoryBlob(
                repository=repository, digest=digest, kind=kind, state=state, touched_at=now
            )
            for digest in sorted(set(digests))
        ],
        update_conflicts=True,
        unique_fields=["repository", "digest", "kind"],
        update_fields=updated,
    )
