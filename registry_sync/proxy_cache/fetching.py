"""Fetches a blob once: to everybody who wants it, and into the registry (docs/adr/0018).

A thread of its own reads the upstream into a file without a name and gives the same bytes to the
registry; who wants the blob reads the file as it grows. The last bytes are given out only once the
digest of all of them is right. A lease in the database keeps other processes from fetching it too.
"""

import hashlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import BinaryIO

from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone

from accounts import configuration
from accounts.errors import Denied, DomainError
from registry_sync import blobs, leases, statistics, usage
from registry_sync.blobs import BlobMissingError
from registry_sync.client.errors import RegistryError, RegistryUnavailableError
from registry_sync.failpoints import hit
from registry_sync.leases import LeaseLostError
from registry_sync.models import AbsentPart, BlobFetch, ProxyCache, Repository, RepositoryBlob
from registry_sync.proxy_cache import arriving, storing, upstreams
from registry_sync.proxy_cache.turns import Turns
from registry_sync.proxy_cache.upstreams import BrokenError
from registry_sync.upstream import registry

logger = logging.getLogger(__name__)

# So many at a time in one process; each is a thread and two connections. One upstream, however
# slow, leaves room for the others.
_MAX_FETCHES = 24
_MAX_OF_UPSTREAM = 16
_LEASE = timedelta(seconds=20)
# A client waits so long for room before it is told to come again; shorter than the lease.
_ROOM_SECONDS = 15.0
_RENEW_SECONDS = 5.0
_PART_BYTES = 256 * 1024
# When nobody reads any more, what is nearly here is fetched to its end; the rest is given up.
_WORTH_BYTES = 64 * 1024 * 1024
_STALL_SECONDS = 70.0
MAX_BLOB_BYTES = 1 << 40


class TooManyError(RegistryError):
    """As many blobs are fetched already as may be at a time."""


class UnwantedError(Exception):
    """Nobody reads it any more: it is given up, which is no fault of the upstream."""


@dataclass(slots=True)
class Fetch:
    """One blob on its way; ``size`` in bytes, as the upstream says."""

    cache: ProxyCache
    repository: Repository
    digest: str
    size: int
    file: BinaryIO
    changed: threading.Condition = field(default_factory=threading.Condition)
    came: int = 0
    readers: int = 0
    is_sound: bool = False
    problem: Exception | None = None

    def parts(self, start: int, end: int) -> Iterator[bytes]:
        """Yield bytes ``start`` to ``end`` as they come. Raises ``BrokenError`` where they do not.

        The reader was counted when it was given out by ``of``, until it calls ``leave``.
        """
        at = start
        while at < end:
            ready = min(self._wait(at), end)
            while at < ready:
                part = os.pread(self.file.fileno(), min(_PART_BYTES, ready - at), at)
                at += len(part)
                yield part

    def leave(self) -> None:
        """Say that one reader reads no more."""
        with self.changed:
            self.readers -= 1
            if self.problem is not None or self.is_sound:
                self._close_unread()

    def _wait(self, at: int) -> int:
        """Wait until there are bytes after ``at``; return how far they go."""
        with self.changed:
            while True:
                if self.problem is not None:
                    raise BrokenError("the upstream broke off") from self.problem
                # Of what is not known to be right the end is kept back: no client takes it.
                ready = self.came if self.is_sound else min(self.came, self.size - 1)
                if ready > at:
                    return ready
                if not self.changed.wait(_STALL_SECONDS):
                    raise BrokenError("the upstream is too slow")

    def end(self, problem: Exception | None) -> None:
        """Say that no more bytes come; with a problem they are not what they should be."""
        with self.changed:
            self.problem = problem
            self.is_sound = problem is None
            self.changed.notify_all()
            self._close_unread()

    def _close_unread(self) -> None:
        if not self.readers:
            self.file.close()


_fetches: dict[tuple[int, str], Fetch] = {}
_lock = threading.Lock()
# Told whenever a fetch ends.
_room = threading.Condition(_lock)
# Until when each project's upstream speed is spoken for.
_due: dict[int, float] = {}
# Of many that want the same blob one begins to fetch it.
_opening = Turns()


def size_of(cache: ProxyCache, path: str, digest: str) -> int | None:
    """Return how long a blob is that is not here, or None where the upstream has none.

    Where a manifest here names it, the upstream is not asked.
    """
    parts = AbsentPart.objects.filter(digest=digest, is_manifest=False).filter(
        artifact__repository__project_id=cache.project_id, artifact__repository__path=path
    )
    known = parts.values_list("size", flat=True).first()
    if known is not None:
        return known
    with upstreams.asking(cache) as client:
        return client.blob_size(upstreams.name_of(cache, path), digest)


def is_here(repository_id: int, digest: str) -> bool:
    """Return whether the catalogue holds a blob."""
    return bool(blobs.present_sizes(repository_id, [digest]))


def of(cache: ProxyCache, repository: Repository, digest: str) -> Fetch | None:
    """Return the fetch of a blob, begun where nobody fetches it, with one reader more.

    None where it came meanwhile or the upstream has none; the caller looks. Raises
    ``RegistryError``.
    """
    key = repository.pk, digest
    with _opening.of(key):
        with _lock:
            running = _fetches.get(key)
        if running is not None:
            with running.changed:
                if running.problem is None and not running.file.closed:
                    running.readers += 1
                    return running
        if blobs.present_sizes(repository.pk, [digest]):
            return None
        return _begin(cache, repository, digest, key)


def _begin(
    cache: ProxyCache, repository: Repository, digest: str, key: tuple[int, str]
) -> Fetch | None:
    size = size_of(cache, repository.path, digest)
    if size is None:
        return None
    if not 0 <= size <= MAX_BLOB_BYTES:
        raise BrokenError("the upstream's blob is longer than can be")
    lease = _claim(repository, digest)
    if lease is None:
        # Another process had it, and it is here now.
        return None
    fetch = Fetch(cache, repository, digest, size, tempfile.TemporaryFile(), readers=1)  # noqa: SIM115
    try:
        with _room:
            if not _room.wait_for(lambda: _has_room(cache), _ROOM_SECONDS):
                raise TooManyError("as many blobs as allowed are being fetched; try again")
            _fetches[key] = fetch
    except TooManyError:
        BlobFetch.objects.filter(pk=lease.pk, fencing_token=lease.fencing_token).delete()
        fetch.file.close()
        raise
    threading.Thread(target=_run, args=(fetch, lease), name="fetch", daemon=True).start()
    return fetch


def _has_room(cache: ProxyCache) -> bool:
    running = list(_fetches.values())
    if len(running) >= _MAX_FETCHES:
        return False
    if sum(fetch.cache.remote_id == cache.remote_id for fetch in running) >= _MAX_OF_UPSTREAM:
        return False
    own = sum(fetch.cache.project_id == cache.project_id for fetch in running)
    return not cache.max_connections or own < cache.max_connections


def _claim(repository: Repository, digest: str) -> BlobFetch | None:
    """Take the lease of a blob; wait while another process has it. None where it came meanwhile."""
    end = time.monotonic() + _STALL_SECONDS
    while time.monotonic() < end:
        now = timezone.now()
        row, _is_new = BlobFetch.objects.get_or_create(
            repository=repository, digest=digest, defaults={"wanted_at": now}
        )
        free = BlobFetch.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now))
        lease = leases.claim(free, row.pk, until=now + _LEASE)
        if lease is not None:
            return lease
        BlobFetch.objects.filter(pk=row.pk).update(wanted_at=now)
        time.sleep(0.25)
        if blobs.present_sizes(repository.pk, [digest]):
            return None
    raise TooManyError("another process fetches it; try again in a moment")


# --- The thread -----------------------------------------------------------------------------------


_EXPECTED = (RegistryError, BlobMissingError, DomainError, LeaseLostError, UnwantedError, OSError)


def _run(fetch: Fetch, lease: BlobFetch) -> None:
    problem: Exception | None = None
    try:
        _fetch(fetch, lease)
    except _EXPECTED as error:
        logger.warning("%s was not fetched: %s", fetch.digest, error)
        problem = error
    except Exception as error:
        logger.exception("%s was not fetched", fetch.digest)
        problem = error
    finally:
        with _room:
            _fetches.pop((fetch.repository.pk, fetch.digest), None)
            _room.notify_all()
        if not fetch.is_sound:
            fetch.end(problem or BrokenError("the upstream broke off"))
        try:
            BlobFetch.objects.filter(pk=lease.pk, fencing_token=lease.fencing_token).delete()
        except DatabaseError:
            logger.exception("the lease of %s is left to run out", fetch.digest)
        connection.close()


def _fetch(fetch: Fetch, lease: BlobFetch) -> None:
    repository, digest = fetch.repository, fetch.digest
    _renew(lease)
    if _mounted(fetch):
        return
    is_kept = _may_keep(fetch)
    name = upstreams.name_of(fetch.cache, repository.path)
    hit("proxy.fetching")
    with upstreams.asking(fetch.cache) as client, client.open_blob(name, digest) as parts:
        if parts is None:
            raise BrokenError("the upstream does not have it")
        incoming = _incoming(fetch, lease, parts)
        if is_kept:
            blobs.expect(repository, digest)
            storing.store(repository, digest, incoming, size=fetch.size)
        else:
            for _part in incoming:
                pass
    if is_kept:
        arriving.blob_came(repository, digest, fetch.size)


def _incoming(fetch: Fetch, lease: BlobFetch, parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what the upstream gives, once it is in the file; the end only if it is all right."""
    sha, renewed = hashlib.sha256(), time.monotonic()
    for part in paced(fetch.cache, parts):
        if fetch.came + len(part) > fetch.size:
            raise BrokenError("the upstream's blob is longer than was said")
        sha.update(part)
        os.pwrite(fetch.file.fileno(), part, fetch.came)
        with fetch.changed:
            fetch.came += len(part)
            fetch.changed.notify_all()
        statistics.note_proxy(fetch.cache.project_id, fetched_bytes=len(part))
        if time.monotonic() - renewed > _RENEW_SECONDS:
            renewed = time.monotonic()
            _renew(lease)
            _require_wanted(fetch, lease)
        if fetch.came == fetch.size:
            _require_sound(fetch, sha.hexdigest())
        yield part
    if fetch.came < fetch.size:
        raise BrokenError("the upstream broke off")
    if not fetch.is_sound:
        # Of no bytes at all.
        _require_sound(fetch, sha.hexdigest())


def _renew(lease: BlobFetch) -> None:
    """Keep the lease for a while more. Raises ``LeaseLostError``."""
    until = timezone.now() + _LEASE
    leases.renew(BlobFetch.objects.all(), lease.pk, lease.fencing_token, until=until)


def _require_sound(fetch: Fetch, hexadecimal: str) -> None:
    if f"sha256:{hexadecimal}" != fetch.digest:
        raise BrokenError("the upstream's bytes have another digest")
    fetch.end(None)


def paced(cache: ProxyCache, parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the parts, cut small, as fast as the project's speed allows all that it fetches."""
    limit = cache.speed_limit * 1024
    for part in parts:
        # Half a second's worth, so that each lease is renewed in time however many wait.
        step = limit // 2 or len(part)
        for start in range(0, len(part), step):
            piece = part[start : start + step]
            if limit:
                _wait_turn(cache.project_id, len(piece) / limit)
            yield piece


def _wait_turn(project_id: int, seconds: float) -> None:
    """Wait until those before have had their time and these seconds are over too."""
    with _lock:
        now = time.monotonic()
        # What was not used before is not caught up.
        due = _due[project_id] = max(now, _due.get(project_id, now)) + seconds
    time.sleep(due - now)


def _require_wanted(fetch: Fetch, lease: BlobFetch) -> None:
    """Give up what nobody reads any more, unless it is nearly here."""
    left = fetch.size - fetch.came
    if fetch.readers or left <= max(fetch.came, _WORTH_BYTES):
        return
    recent = timezone.now() - timedelta(seconds=2 * _RENEW_SECONDS)
    if BlobFetch.objects.filter(pk=lease.pk, wanted_at__gt=recent).exists():
        return
    with fetch.changed:
        if not fetch.readers:
            # Said under the lock: who comes now begins anew and joins nothing that ends.
            fetch.problem = UnwantedError("nobody waits for it any more")
            raise fetch.problem


def _may_keep(fetch: Fetch) -> bool:
    """Return whether there is room for it; without room, and read-only, it is only passed on."""
    project = fetch.repository.project
    if project.is_read_only or configuration.is_read_only():
        return False
    try:
        usage.require_room(project.pk, {fetch.digest: fetch.size})
    except Denied:
        return False
    return True


def _mounted(fetch: Fetch) -> bool:
    """Take it from another repository of the project: the same upstream gave it.

    Never from elsewhere: an upstream could name what only another project may read.
    """
    link = RepositoryBlob.objects.filter(
        repository__project_id=fetch.cache.project_id,
        digest=fetch.digest,
        kind=RepositoryBlob.Kind.LAYER,
        state=RepositoryBlob.State.PRESENT,
    )
    other = link.exclude(repository=fetch.repository).select_related("repository__project").first()
    if other is None or not _may_keep(fetch):
        return False
    blobs.expect(fetch.repository, fetch.digest)
    source = other.repository.registry_name
    if blobs.present_sizes(other.repository_id, [fetch.digest]).get(fetch.digest) != fetch.size:
        return False
    target = fetch.repository.registry_name
    if not registry.start_upload(target, mount=fetch.digest, source=source).is_mounted:
        return False
    with registry.open_blob(target, fetch.digest) as stream:
        if stream is None:
            raise RegistryUnavailableError("the registry lost a blob")
        while part := stream.read(_PART_BYTES):
            os.pwrite(fetch.file.fileno(), part, fetch.came)
            with fetch.changed:
                fetch.came += len(part)
                fetch.changed.notify_all()
    fetch.end(None)
    arriving.blob_came(fetch.repository, fetch.digest, fetch.size)
    return True
