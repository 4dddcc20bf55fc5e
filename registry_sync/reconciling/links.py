"""Links: what a repository holds by the storage, and what by the tables."""

import secrets

from django.utils import timezone

from registry_sync import blobs, transactions
from registry_sync.models import Artifact, ArtifactBlob, Blob, Repository, RepositoryBlob
from registry_sync.reconciling.drift import Drift, Ledger
from registry_sync.runs import Run
from registry_sync.storage.base import Link, LinkKind, Storage

UNKNOWN_MANIFEST = "unknown-manifest"
UNKNOWN_LINK = "unknown-link"
DANGLING_LINK = "dangling-link"
MISSING_LINK = "missing-link"
FOREIGN = "repository"
_KINDS: tuple[LinkKind, ...] = ("manifest", "layer")


def compare(run: Run, storage: Storage, ledger: Ledger, *, accepts_loss: bool) -> set[str]:
    """Compare repository by repository; return the digests that are not ours to judge.

    Those are what foreign repositories hold, and, unless ``accepts_loss``, what lies beside
    manifests that no table knows: an import may take them in yet.
    """
    known = {row.registry_name: row for row in Repository.objects.select_related("project")}
    names = sorted({*storage.repositories(), *known})
    foreign: set[str] = set()
    run.progress(done=0, total=len(names), unit="repositories", message="links")
    for done, name in enumerate(names, start=1):
        repository = known.get(name)
        if repository is None:
            for kind in _KINDS:
                foreign |= storage.links(name, kind).keys()
            ledger.leave(FOREIGN, name, "it is no repository here; import_registry takes it in")
        else:
            foreign |= _compare(storage, ledger, repository, accepts_loss=accepts_loss)
        run.progress(done=done)
    return foreign


def _compare(
    storage: Storage, ledger: Ledger, repository: Repository, *, accepts_loss: bool
) -> set[str]:
    """Compare one repository; return the unknown digests that were left alone."""
    left: set[str] = set()
    for kind in _KINDS:
        # The storage first: a row is written before its link is.
        there = storage.links(repository.registry_name, kind).keys()
        rows = RepositoryBlob.objects.filter(repository=repository, kind=kind)
        states = dict(rows.values_list("digest", "state"))
        for digest in sorted(there - states.keys()):
            drift = _unknown(storage, repository, digest, kind)
            is_held = drift.check != DANGLING_LINK and not accepts_loss
            if is_held and (left or kind == "manifest"):
                left.add(digest)
                if kind == "manifest":
                    ledger.take(Drift(drift.check, drift.subject, drift.problem))
            else:
                ledger.take(drift)
        present = {d for d, state in states.items() if state == RepositoryBlob.State.PRESENT}
        missing = sorted(present - there)
        needed = _needed(repository, missing, kind)
        for digest in missing:
            if gone := _missing(storage, repository, digest, kind, is_needed=digest in needed):
                ledger.take(gone)
    return left


def _needed(repository: Repository, digests: list[str], kind: LinkKind) -> set[str]:
    """Return those that an artifact here needs, in the trash or not."""
    if kind == "manifest":
        artifacts = Artifact.objects.filter(repository=repository, body_id__in=digests)
        return set(artifacts.values_list("body_id", flat=True))
    used = ArtifactBlob.objects.filter(artifact__repository=repository, blob_id__in=digests)
    return set(used.values_list("blob_id", flat=True))


def _unknown(storage: Storage, repository: Repository, digest: str, kind: LinkKind) -> Drift:
    """A link that no row tells of: it is written down, so that collection can take it."""
    subject = f"{repository.name}@{digest}"

    def note() -> str:
        if storage.size(digest) is None:
            return "" if _unlink(storage, repository, digest, kind) else "it is announced by now"
        now, state = timezone.now(), RepositoryBlob.State.EXPECTED
        kinds = RepositoryBlob.Kind(kind)
        transactions.run(lambda: blobs.link(repository, [digest], kinds, state, now))
        return ""

    if storage.size(digest) is None:
        return Drift(DANGLING_LINK, subject, "a link to bytes that are not there", note)
    if kind == "manifest":
        reason = "no table knows this manifest; import_registry takes it in, else it is collected"
        return Drift(UNKNOWN_MANIFEST, subject, reason, note)
    return Drift(UNKNOWN_LINK, subject, "no table knows this link", note)


def _unlink(storage: Storage, repository: Repository, digest: str, kind: LinkKind) -> bool:
    """Remove a link that leads nowhere, unless somebody announced it meanwhile."""
    token, link = secrets.token_hex(16), Link(repository.registry_name, kind)
    storage.set_aside(token, {digest: [link]}, with_bytes=False)
    rows = RepositoryBlob.objects.filter(repository=repository, digest=digest, kind=kind)
    is_announced = rows.exists()
    if is_announced:
        storage.put_back(token, [digest])
    else:
        storage.discard(token, [digest])
    storage.finish(token)
    return not is_announced


def _missing(
    storage: Storage, repository: Repository, digest: str, kind: LinkKind, *, is_needed: bool
) -> Drift | None:
    """A row says ``present``, and there is no link."""
    link = Link(repository.registry_name, kind)
    row = RepositoryBlob.objects.filter(
        repository=repository, digest=digest, kind=kind, state=RepositoryBlob.State.PRESENT
    )
    # Looked at again: it may have been collected, or have come, meanwhile.
    if not row.exists() or storage.has_link(digest, link):
        return None

    def relink() -> str:
        if storage.size(digest) is None:
            # The bytes are another check's; without them a link is of no use.
            row.update(state=RepositoryBlob.State.EXPECTED)
            return "its bytes are missing too" if is_needed else ""
        if is_needed and Blob.objects.filter(pk=digest, state=Blob.State.LIVE).exists():
            storage.link(digest, link)
        else:
            row.update(state=RepositoryBlob.State.EXPECTED)
        return ""

    problem = "an image needs this link" if is_needed else "the tables call a link present"
    return Drift(MISSING_LINK, f"{repository.name}@{digest}", problem, relink)
