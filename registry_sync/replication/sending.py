"""Sends one image to another registry: blobs before manifests, children before indexes, tags last.

Whatever is there already is not sent again, so that an attempt after a broken one goes on with the
first blob that is missing.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, cast

from accounts import statements
from accounts.errors import BadRequest
from accounts.statements import Statement
from registry_sync import copying, upstream
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.managed import ManagedRegistry
from registry_sync.copying import Part
from registry_sync.models import Artifact, ArtifactBlob, ReplicationPolicy, RepositoryBlob
from registry_sync.remote_registries import Address
from registry_sync.replication import clients, filters, planning, replicas
from registry_sync.replication.planning import TYPES
from registry_sync.replication.referring import Referring
from registry_sync.replication.transfers import Meter, each
from registry_sync.runs import Run

PIECE_BYTES = 10 * 1024 * 1024
_READ_BYTES = 256 * 1024
_UNASKED_BYTES = 1024 * 1024
_MAX_LINKS = 1000
_POINTS = "SELECT 1 FROM registry_sync_tag WHERE artifact_id = %s AND name = %s"


@dataclass(frozen=True, slots=True)
class Sender:
    """Where one image goes, and how."""

    policy: ReplicationPolicy
    address: Address
    destination: str
    run: Run
    meter: Meter
    client: ManagedRegistry
    via: str = ""
    # Whether nothing of it is there, as far as anybody knows.
    is_fresh: bool = False
    referring: Referring = field(default_factory=Referring)

    def send(self, artifact: Artifact, tags: Sequence[str]) -> int:
        """Send an image and what belongs to it, then its tags; return how many manifests went.

        Raises ``RegistryError``, and ``Conflict`` where all is there, but signatures and what else
        names its subject cannot be found by it.
        """
        parts = copying.parts_of(artifact)
        count = 0
        for part in parts:
            # A tag alone does, where nothing comes after the image itself.
            is_last = part is parts[-1] and part.artifact.pk == artifact.pk and bool(tags)
            count += self._part(part, is_named_later=is_last)
        self.referring.announce(self.client, self.destination)
        for tag in tags:
            if self._may_tag(artifact, tag):
                self._put(artifact, tag)
                self.run.note(partial(self._own, artifact, tag))
                self.run.log(f"{self.destination}:{tag} is {artifact.digest}")
        self.referring.announce(self.client, self.destination)
        self.referring.require_all(self.destination)
        return count

    def _part(self, part: Part, *, is_named_later: bool) -> int:
        artifact = part.artifact
        if part.tags:
            is_there = all(self._points(tag, artifact.digest) for tag in part.tags)
        elif self.is_fresh and is_named_later:
            is_there = False
        else:
            is_there = self.client.has_manifest(self.destination, artifact.digest, types=TYPES)
        if is_there:
            self.referring.found(artifact)
            return 0
        self._blobs(artifact)
        if not is_named_later:
            for reference in part.tags or (artifact.digest,):
                self._put(artifact, reference)
        return 1

    def _put(self, artifact: Artifact, reference: str) -> None:
        media_type, content = artifact.body.media_type, bytes(artifact.body.content)
        noted = self.client.put_manifest(self.destination, reference, media_type, content)
        self.referring.sent(artifact, noted)

    def _own(self, artifact: Artifact, tag: str) -> None:
        """Remember that the tag there is this policy's."""
        replicas.put(
            self.policy,
            repository_id=artifact.repository_id,
            digest=artifact.digest,
            destination=self.destination,
            tags=[tag],
        )

    def _points(self, tag: str, digest: str) -> bool:
        return self.client.tagged_digest(self.destination, tag, types=TYPES) == digest

    def _may_tag(self, artifact: Artifact, tag: str) -> bool:
        """Look again: the tag may have moved since the plan was made, here or there."""
        if not statements.run(Statement(_POINTS, [artifact.pk, tag])):
            self.run.log(f"{tag} points elsewhere by now; it is not copied")
            return False
        if self.policy.is_overriding:
            return True
        there = self.client.tagged_digest(self.destination, tag, types=TYPES)
        if there and there != artifact.digest:
            self.run.log(f"{self.destination}:{tag} is {there} there and stays so")
        return not there

    # --- Blobs ------------------------------------------------------------------------------------

    def _blobs(self, artifact: Artifact) -> None:
        used = ArtifactBlob.objects.filter(artifact=artifact).order_by("-size")
        sizes = dict(used.values_list("blob_id", "size"))
        guess = self._guess(artifact, sizes)
        registry_name = artifact.repository.registry_name

        def send(digest: str) -> None:
            with clients.borrowed(
                self.address, via=self.via, pause=self.meter.pause, is_sending=True
            ) as client:
                location, source = "", guess.elsewhere.get(digest, "")
                if digest in guess.to_ask and client.has_blob(self.destination, digest):
                    return
                if source:
                    location = client.mount(self.destination, digest, source)
                    if not location:
                        return
                client.put_blob(
                    self.destination,
                    digest,
                    sizes[digest],
                    _opener(registry_name, digest, self.meter),
                    location=location,
                    piece=PIECE_BYTES if self.policy.is_chunked else 0,
                )

        each(send, list(sizes), meter=self.meter, run=self.run)

    def _guess(self, artifact: Artifact, sizes: Mapping[str, int]) -> "_Guess":
        """Guess where each blob may be there, by where this policy puts what holds it here."""
        wanted = filters.read(self.policy.filters)
        links = RepositoryBlob.objects.filter(
            digest__in=sizes,
            kind=RepositoryBlob.Kind.LAYER,
            state=RepositoryBlob.State.PRESENT,
            repository__project__deleted_at=None,
        ).exclude(repository=artifact.repository)
        rows = ArtifactBlob.objects.filter(
            artifact__repository=artifact.repository, blob_id__in=sizes
        ).exclude(artifact=artifact)
        here = set(rows.values_list("blob_id", flat=True))
        elsewhere: dict[str, str] = {}
        for link in links.select_related("repository__project").order_by("pk")[:_MAX_LINKS]:
            name = link.repository.name
            if not wanted.takes_repository(name):
                continue
            with contextlib.suppress(BadRequest):
                there = planning.destination_of(self.policy, name)
                if there == self.destination:
                    here.add(link.digest)
                else:
                    elsewhere.setdefault(link.digest, there)
        if not self.is_fresh:
            return _Guess(elsewhere, frozenset(sizes))
        large = {digest for digest, size in sizes.items() if size > _UNASKED_BYTES}
        # What can be mounted need not be asked for: that is one request too, and does no harm.
        return _Guess(elsewhere, frozenset((here | large) - elsewhere.keys()))


@dataclass(frozen=True, slots=True)
class _Guess:
    """What may be there already: wrong guesses cost a request, or bytes, and nothing else."""

    # In which other repository a blob may be.
    elsewhere: Mapping[str, str]
    # Blobs that may be where they are to go. The others are small and of a new image alone: sending
    # one costs hardly more than to ask for it.
    to_ask: frozenset[str]


def _opener(
    registry_name: str, digest: str, meter: Meter
) -> Callable[[int], contextlib.AbstractContextManager[BinaryIO]]:
    """Return what opens our blob at an offset, counted by the meter as it is read."""

    @contextlib.contextmanager
    def opened(offset: int) -> Iterator[BinaryIO]:
        with upstream.open_blob(registry_name, digest) as stream:
            if stream is None:
                raise RegistryRejectedError(404, "BLOB_UNKNOWN", (digest,))
            _skip(stream, offset)
            yield cast(BinaryIO, _Counted(stream, meter))

    return opened


def _skip(stream: BinaryIO, offset: int) -> None:
    if offset and stream.seekable():
        stream.seek(offset)
        return
    while offset:
        read = len(stream.read(min(offset, _READ_BYTES)))
        if not read:
            raise RegistryUnavailableError("the blob is shorter than it was")
        offset -= read


class _Counted:
    def __init__(self, stream: BinaryIO, meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._meter.count(len(content))
        return content
