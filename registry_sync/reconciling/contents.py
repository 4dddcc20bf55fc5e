"""Bytes: what lies in the storage, and what the tables say lies there."""

import secrets
from collections.abc import Iterator

from django.db.models import Exists, OuterRef
from django.utils import timezone

from registry_sync import upstream
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.models import Artifact, ArtifactBlob, Blob, ManifestBody, RepositoryBlob
from registry_sync.reconciling.drift import Drift, Ledger
from registry_sync.runs import Run
from registry_sync.storage.base import Storage

UNKNOWN_BYTES = "unknown-bytes"
MISSING_BYTES = "missing-bytes"
WRONG_SIZE = "wrong-size"
# Digests by their first digit: a sixteenth of all is held at a time.
_DIGITS = "0123456789abcdef"


def compare(run: Run, storage: Storage, ledger: Ledger, foreign: set[str]) -> None:
    """Compare all bytes with all rows. ``foreign``: what repositories need that are not ours."""
    run.progress(done=0, total=len(_DIGITS), unit="parts", message="bytes")
    manifests: list[str] = []
    filled = storage.prefixes()
    for done, digit in enumerate(_DIGITS, start=1):
        # The storage first: a row is written before its bytes are.
        there: dict[str, int] = {}
        for prefix in sorted(name for name in filled if name.startswith(digit)):
            there |= storage.blobs(prefix)
        rows = {
            digest: (state, size)
            for digest, state, size in Blob.objects.filter(
                digest__gte=f"sha256:{digit}", digest__lt=f"sha256:{digit}g"
            ).values_list("digest", "state", "size")
        }
        for digest in sorted(there.keys() - rows.keys() - foreign):
            if drift := _unknown(storage, digest):
                ledger.take(drift)
        for digest, size in sorted(there.items()):
            stated = rows.get(digest, ("", None))[1]
            if stated is not None and stated != size and storage.size(digest) != stated:
                problem = f"it has {size} bytes instead of {stated}; fsck --deep says what it is"
                ledger.take(Drift(WRONG_SIZE, digest, problem, size=size))
        missing = [
            digest
            for digest, (state, size) in sorted(rows.items())
            if state == Blob.State.LIVE and size is not None and digest not in there
        ]
        manifests += _missing(storage, ledger, missing)
        run.progress(done=done)
    for digest in _images_first(manifests):
        ledger.take(_lost_manifest(storage, digest))


def _unknown(storage: Storage, digest: str) -> Drift | None:
    size = storage.size(digest)
    # Looked at again: what was collected meanwhile had a row until its bytes were gone.
    if size is None or Blob.objects.filter(pk=digest).exists():
        return None

    def note() -> str:
        row = Blob(
            digest=digest,
            size=size,
            generation=secrets.randbits(62),
            touched_at=timezone.now(),
        )
        Blob.objects.bulk_create([row], ignore_conflicts=True)
        return ""

    return Drift(UNKNOWN_BYTES, digest, "no table knows these bytes", note, size)


def _missing(storage: Storage, ledger: Ledger, digests: list[str]) -> Iterator[str]:
    """Take up what is no manifest; yield the manifests."""
    bodies = set(
        Artifact.objects.filter(body_id__in=digests, is_complete=True)
        .values_list("body_id", flat=True)
        .distinct()
    )
    used = ArtifactBlob.objects.filter(blob=OuterRef("pk"))
    live = Blob.objects.filter(digest__in=digests, state=Blob.State.LIVE)
    needed = dict(live.annotate(is_needed=Exists(used)).values_list("digest", "is_needed"))
    for digest in digests:
        if digest not in needed or storage.size(digest) is not None:
            continue
        if digest in bodies:
            yield digest
        else:
            ledger.take(_lost_layer(digest, is_needed=needed[digest]))


def _lost_layer(digest: str, *, is_needed: bool) -> Drift:
    """Bytes that are gone: clients must be asked for them again."""

    def forget() -> str:
        RepositoryBlob.objects.filter(digest=digest).update(state=RepositoryBlob.State.EXPECTED)
        if is_needed:
            return "images need them: the next push of one sends them again"
        # Nothing is freed by collecting the row.
        Blob.objects.filter(pk=digest).update(size=None)
        return ""

    return Drift(MISSING_BYTES, digest, "its bytes are missing", forget)


def _images_first(digests: list[str]) -> list[str]:
    """Sort: what an index holds must be there before it."""
    rows = Artifact.objects.filter(body_id__in=digests)
    indexes = set(rows.filter(kind=Artifact.Kind.INDEX).values_list("body_id", flat=True))
    return sorted(digests, key=lambda digest: (digest in indexes, digest))


def _lost_manifest(storage: Storage, digest: str) -> Drift:
    """A manifest whose bytes are gone: we keep them too."""

    def store() -> str:
        body = ManifestBody.objects.get(pk=digest)
        rows = Artifact.objects.filter(body=body).select_related("repository__project")
        for artifact in rows.defer("config"):
            try:
                upstream.registry.put_manifest(
                    artifact.repository.registry_name,
                    digest,
                    body.media_type,
                    bytes(body.content),
                )
            except RegistryRejectedError as error:
                return f"the registry refused it: {error.code or error.status}"
            except RegistryUnavailableError as error:
                return str(error)
        return "" if storage.size(digest) is not None else "the registry did not keep it"

    return Drift(MISSING_BYTES, digest, "a manifest's bytes are missing", store)
