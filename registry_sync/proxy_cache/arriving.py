"""What was fetched becomes part of the catalogue, piece by piece, until an artifact is whole.

A manifest comes first and is kept in the database alone; ``AbsentPart`` says what it still lacks.
Each blob and each manifest of an index that comes is joined to those that wait for it. One that
lacks nothing is given to the registry and is from then on what a push makes.
"""

import contextlib
import logging
from collections.abc import Callable

from django.db import IntegrityError
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts import outbox, statements
from accounts.errors import Denied, DomainError
from accounts.principals import SYSTEM_ACTOR
from registry_sync import blobs, catalog, image_config, manifests, nesting, transactions, usage
from registry_sync.blobs import BlobMissingError
from registry_sync.catalog import Push
from registry_sync.client.errors import RegistryError
from registry_sync.failpoints import hit
from registry_sync.image_config import ImageFacts
from registry_sync.manifests import Manifest
from registry_sync.models import (
    AbsentPart,
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    Repository,
    RepositoryBlob,
)
from registry_sync.upstream import registry, small_blob

logger = logging.getLogger(__name__)

_ATTEMPTS = 3


def keep(repository: Repository, manifest: Manifest, tag: str) -> Artifact:
    """Keep a fetched manifest, and let a tag (where it is not empty) point to it.

    Raises errors of ``catalog.commit_manifest``.
    """
    push = Push(manifest, ImageFacts(), {}, frozenset(), {}, tag, is_complete=False)

    def commit() -> Artifact:
        usage.lock(repository.project_id)
        artifact = catalog.commit_manifest(repository, push, actor=SYSTEM_ACTOR)
        _let_go(artifact, manifest)
        return artifact

    artifact = _again(lambda: transactions.run(commit))
    hit("proxy.kept")
    # Out of the trash it may lack what came meanwhile.
    for _repository, digest in _overlooked(artifact):
        join(repository, digest)
    finish(join(repository, manifest.digest) | {artifact.pk})
    return artifact


def _again(commit: Callable[[], Artifact]) -> Artifact:
    """Commit; anew where a purge removed meanwhile what the manifest was to lean on.

    Nothing is pinned for a manifest of which nothing is here yet.
    """
    for _time in range(_ATTEMPTS - 1):
        with contextlib.suppress(IntegrityError):
            return commit()
    return commit()


def _let_go(index: Artifact, manifest: Manifest) -> None:
    """Let an index that came out of the trash wait for those of its manifests that did not."""
    lost = ArtifactReference.objects.filter(parent=index).exclude(child__trash_entry=None)
    positions = set(lost.values_list("position", flat=True))
    if not positions:
        return
    AbsentPart.objects.bulk_create(
        AbsentPart(
            artifact=index,
            digest=entry.digest,
            position=position,
            is_manifest=True,
            size=entry.size,
        )
        for position, entry in catalog.blob_entries(manifest)
        if position - 1 in positions
    )
    lost.delete()
    Artifact.objects.filter(pk=index.pk).update(is_complete=False)
    index.is_complete = False
    _measure(index)


def blob_came(repository: Repository, digest: str, size: int) -> None:
    """Note that the registry holds a blob here, for all that waited for it.

    Where the project may not grow it stays nobody's, and is collected like an unfinished push's.
    """
    blobs.confirm(repository, digest, size)
    hit("proxy.blob")
    try:
        finish(join(repository, digest))
    except Denied as error:
        logger.info("%s is not kept in %s: %s", digest, repository.registry_name, error)


def join(repository: Repository, digest: str) -> set[int]:
    """Join what came to the artifacts of the repository that wait for it; return these.

    Raises ``Denied`` where the project may not grow.
    """
    return transactions.run(lambda: _join(repository, digest))


def _join(repository: Repository, digest: str) -> set[int]:
    waiting = AbsentPart.objects.filter(
        digest=digest, artifact__repository=repository, artifact__trash_entry=None
    )
    if not waiting.exists():
        return set()
    used = usage.lock(repository.project_id)
    parts = list(waiting.select_related("artifact__body").order_by("artifact_id", "position"))
    child = Artifact.objects.live().filter(repository=repository, body_id=digest).first()
    sizes = blobs.hold_present(repository, [digest], timezone.now())
    joined = []
    for part in parts:
        if part.is_manifest and child is not None:
            _add_child(part, child)
        elif not part.is_manifest and sizes.get(digest) == part.size:
            _add_blob(part)
        else:
            continue
        joined.append(part)
    if any(not part.is_manifest for part in joined):
        usage.add(used, repository.project, sizes)
    AbsentPart.objects.filter(pk__in=[part.pk for part in joined]).delete()
    return {part.artifact_id for part in joined}


def _add_blob(part: AbsentPart) -> None:
    entry = dict(catalog.blob_entries(_manifest(part.artifact)))[part.position]
    ArtifactBlob.objects.create(
        artifact=part.artifact,
        blob_id=part.digest,
        position=part.position,
        media_type=entry.media_type,
        size=part.size,
    )


def _add_child(part: AbsentPart, child: Artifact) -> None:
    index = part.artifact
    entry = dict(catalog.blob_entries(_manifest(index)))[part.position]
    ArtifactReference.objects.create(
        parent=index,
        child=child,
        # Entries are counted from 1 there, from 0 here.
        position=part.position - 1,
        os=entry.platform.os,
        architecture=entry.platform.architecture,
        variant=entry.platform.variant,
        annotations=entry.annotations,
    )
    _measure(index)


def _measure(index: Artifact) -> None:
    children = Artifact.objects.filter(parents__parent=index).distinct()
    size = len(index.body.content) + nesting.size_of(children)
    Artifact.objects.filter(pk=index.pk).update(size=size)


def _manifest(artifact: Artifact) -> Manifest:
    return manifests.parse(bytes(artifact.body.content), artifact.body.media_type)


# --- Whole ----------------------------------------------------------------------------------------


def finish(artifact_ids: set[int]) -> int:
    """Make those that lack nothing whole, then the indexes that had waited for them.

    Returns how many. What does not succeed now, housekeeping tries again.
    """
    count, wave = 0, set(artifact_ids)
    for _level in range(nesting.MAX_DEPTH):
        whole = {pk for pk in _ready(wave) if _try_to_finish(pk)}
        count += len(whole)
        parents = ArtifactReference.objects.filter(child_id__in=whole)
        wave = set(parents.values_list("parent_id", flat=True))
        if not wave:
            break
    return count


def mend() -> int:
    """Join what is here to those that wait for it, and make whole what lacks nothing.

    Both were due when something came, and somebody was interrupted. Returns how many became whole.
    """
    for repository, digest in _overlooked():
        try:
            join(repository, digest)
        except Denied as error:
            logger.info("%s is not kept in %s: %s", digest, repository.registry_name, error)
    return finish(_ready(None))


def _overlooked(artifact: Artifact | None = None) -> list[tuple[Repository, str]]:
    """Return what live artifacts (or this one) wait for though it is here."""
    same = {"repository_id": OuterRef("artifact__repository_id")}
    links = RepositoryBlob.objects.filter(
        **same,
        digest=OuterRef("digest"),
        kind=RepositoryBlob.Kind.LAYER,
        state=RepositoryBlob.State.PRESENT,
    )
    children = Artifact.objects.live().filter(**same, body_id=OuterRef("digest"))
    parts = AbsentPart.objects.filter(
        Q(is_manifest=False) & Exists(links) | Q(is_manifest=True) & Exists(children),
        artifact__trash_entry=None,
        artifact__repository__project__deleted_at=None,
    )
    if artifact is not None:
        parts = parts.filter(artifact=artifact)
    pairs = set(parts.values_list("artifact__repository_id", "digest"))
    rows = Repository.objects.select_related("project").in_bulk({pk for pk, _digest in pairs})
    return [(rows[pk], digest) for pk, digest in sorted(pairs)]


def _ready(ids: set[int] | None) -> set[int]:
    partial = ArtifactReference.objects.filter(parent=OuterRef("pk"), child__is_complete=False)
    rows = Artifact.objects.live().filter(
        ~Exists(AbsentPart.objects.filter(artifact=OuterRef("pk"))),
        ~Exists(partial),
        is_complete=False,
    )
    if ids is not None:
        rows = rows.filter(pk__in=ids)
    return set(rows.values_list("pk", flat=True))


def _try_to_finish(artifact_id: int) -> bool:
    rows = Artifact.objects.live().select_related("repository__project", "body")
    artifact = rows.filter(pk=artifact_id, is_complete=False).first()
    if artifact is None:
        return False
    try:
        return _finish(artifact)
    except (BlobMissingError, DomainError, RegistryError) as error:
        logger.info("%s is not whole yet: %s", artifact.digest, error)
        return False


def _finish(artifact: Artifact) -> bool:
    repository, manifest = artifact.repository, _manifest(artifact)
    needed = set(ArtifactBlob.objects.filter(artifact=artifact).values_list("blob_id", flat=True))
    children = ArtifactReference.objects.filter(parent=artifact)
    needed |= set(children.values_list("child__body_id", flat=True))
    pins = blobs.pin(repository, manifest.digest, needed)
    registry.put_manifest(
        repository.registry_name, manifest.digest, manifest.media_type, manifest.content
    )
    facts = _facts(repository, manifest)
    hit("proxy.stored")
    return transactions.run(lambda: _commit(artifact, manifest, facts, pins))


def _facts(repository: Repository, manifest: Manifest) -> ImageFacts:
    if manifest.config is None or not manifest.is_described:
        return ImageFacts()
    limit = image_config.MAX_CONFIG_BYTES
    content = small_blob(repository.registry_name, manifest.config.digest, limit=limit)
    return image_config.read(content)


def _commit(
    artifact: Artifact, manifest: Manifest, facts: ImageFacts, pins: dict[str, int]
) -> bool:
    repository, now = artifact.repository, timezone.now()
    usage.lock(repository.project_id)
    rows = Artifact.objects.live().select_for_update(of=("self",), no_key=True)
    locked = rows.filter(pk=artifact.pk, is_complete=False).first()
    if locked is None:
        return False
    blobs.hold_pins(repository, pins, now)
    kind, state = RepositoryBlob.Kind.MANIFEST, RepositoryBlob.State.PRESENT
    statements.run(
        blobs.linked(repository, [manifest.digest], kind, state, now),
        blobs.sized(manifest.digest, len(manifest.content)),
    )
    locked.is_complete = True
    locked.os, locked.architecture, locked.variant = facts.os, facts.architecture, facts.variant
    locked.author, locked.built_at, locked.config = facts.author, facts.built_at, facts.config
    locked.save(
        update_fields=[
            *("is_complete", "os", "architecture", "variant"),
            *("author", "built_at", "config"),
        ]
    )
    outbox.emit(
        "artifact.pushed",
        f"repository:{repository.pk}",
        repository=repository.name,
        digest=manifest.digest,
        tag=locked.tags.order_by("name").values_list("name", flat=True).first() or "",
        actor=SYSTEM_ACTOR.principal.name,
    )
    return True
