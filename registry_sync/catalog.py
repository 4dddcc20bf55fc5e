"""The only writer of artifacts and tags: a stored manifest becomes part of the catalogue here.

Every function is one short transaction and calls no registry. Locks are taken in one order:
usage, repository, tag, artifacts, blobs by digest.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts import audit, outbox
from accounts.errors import NotFound, Unavailable
from accounts.models import Project
from accounts.principals import Actor
from registry_sync import admission, blobs, usage
from registry_sync.image_config import ImageFacts
from registry_sync.manifests import Descriptor, Manifest
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    Blob,
    ManifestBody,
    Repository,
    RepositoryBlob,
    Tag,
    TagEvent,
)
from registry_sync.tag_names import sort_key


@dataclass(frozen=True, slots=True)
class Push:
    """A manifest ready to be committed."""

    manifest: Manifest
    facts: ImageFacts
    # Bytes of each referenced blob, as the registry holds them.
    blob_sizes: dict[str, int]
    # Index entries that are manifests of this repository; the other entries are blobs.
    child_digests: frozenset[str]
    # Each pinned digest's generation.
    pins: dict[str, int]
    tag: str


def open_repository(project_id: int, path: str) -> Repository:
    """Return the repository, made where it is missing; it is shown once a push finished."""
    return Repository.objects.get_or_create(project_id=project_id, path=path)[0]


@transaction.atomic
def commit_manifest(repository: Repository, push: Push, *, actor: Actor) -> Artifact:
    """Make a stored manifest part of the catalogue, and move its tag.

    Raises ``NotFound`` when the project went away, ``Denied`` where it may not grow, and
    ``Unavailable`` when a pin or a child no longer holds: the client tries again.
    """
    now = timezone.now()
    used = usage.lock(repository.project_id)
    Repository.objects.select_for_update(no_key=True).get(pk=repository.pk)
    # Locked: who deletes the project waits, and who comes after a deletion is told.
    alive = Project.objects.alive().select_for_update(no_key=True)
    project = alive.filter(pk=repository.project_id).first()
    if project is None:
        raise NotFound("the repository's project is gone")
    admission.require_writable(is_read_only=project.is_read_only)
    tag = _lock_tag(repository, push.tag, actor, now) if push.tag else None
    children = _lock_artifacts(repository, push)
    blobs.hold_pins(push.pins, now)
    sizes = {**push.blob_sizes, push.manifest.digest: len(push.manifest.content)}
    usage.add(used, project, sizes)
    artifact = _save_artifact(repository, push, children, actor, now)
    if tag is not None:
        _move_tag(tag, artifact, actor, now)
    Repository.objects.filter(pk=repository.pk).update(pushed_at=now)
    _announce(project, repository, push, actor)
    return artifact


def _lock_tag(repository: Repository, name: str, actor: Actor, now: datetime.datetime) -> Tag:
    Tag.objects.bulk_create(
        [
            Tag(
                repository=repository,
                name=name,
                sort_key=sort_key(name),
                pushed_by_id=actor.principal.user_id,
                pushed_by_name=actor.principal.name,
                pushed_at=now,
            )
        ],
        ignore_conflicts=True,
    )
    return Tag.objects.select_for_update(of=("self",), no_key=True).get(
        repository=repository, name=name
    )


def _lock_artifacts(repository: Repository, push: Push) -> dict[str, Artifact]:
    """Lock children and subject; return the children by digest."""
    digests = set(push.child_digests)
    if push.manifest.subject_digest:
        digests.add(push.manifest.subject_digest)
    if not digests:
        return {}
    rows = {
        artifact.digest: artifact
        for artifact in Artifact.objects.live()
        .select_for_update(of=("self",), no_key=True)
        .filter(repository=repository, body_id__in=digests)
        .defer("config")
        .order_by("pk")
    }
    if push.child_digests - rows.keys():
        raise Unavailable("a manifest of the index was removed meanwhile; try again")
    return {digest: rows[digest] for digest in push.child_digests}


def _save_artifact(
    repository: Repository,
    push: Push,
    children: dict[str, Artifact],
    actor: Actor,
    now: datetime.datetime,
) -> Artifact:
    manifest = push.manifest
    ManifestBody.objects.bulk_create(
        [
            ManifestBody(
                digest=manifest.digest, media_type=manifest.media_type, content=manifest.content
            )
        ],
        ignore_conflicts=True,
    )
    blobs.link(
        repository,
        [manifest.digest],
        RepositoryBlob.Kind.MANIFEST,
        RepositoryBlob.State.PRESENT,
        now,
    )
    artifact = Artifact.objects.filter(repository=repository, body_id=manifest.digest).first()
    if artifact is not None:
        # The same manifest again, perhaps out of the trash: its edges are what they were.
        if artifact.trash_entry_id is not None:
            artifact.trash_entry = None
            artifact.save(update_fields=["trash_entry"])
        return artifact
    Blob.objects.filter(digest=manifest.digest, size=None).update(size=len(manifest.content))
    artifact = _new_artifact(repository, push, children, actor, now)
    artifact.save(force_insert=True)
    _save_edges(artifact, push, children)
    return artifact


def _new_artifact(
    repository: Repository,
    push: Push,
    children: dict[str, Artifact],
    actor: Actor,
    now: datetime.datetime,
) -> Artifact:
    manifest, facts = push.manifest, push.facts
    own_size = len(manifest.content) + sum(push.blob_sizes.values())
    return Artifact(
        repository=repository,
        body_id=manifest.digest,
        kind=_kind(manifest),
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type
        or (manifest.config.media_type if manifest.config else ""),
        size=own_size + sum(child.size for child in children.values()),
        os=facts.os,
        architecture=facts.architecture,
        variant=facts.variant,
        author=facts.author,
        built_at=facts.built_at,
        config=facts.config,
        annotations=manifest.annotations,
        subject_digest=manifest.subject_digest,
        pushed_by_id=actor.principal.user_id,
        pushed_by_name=actor.principal.name,
        pushed_at=now,
    )


def _kind(manifest: Manifest) -> Artifact.Kind:
    if manifest.is_index:
        return Artifact.Kind.INDEX
    return Artifact.Kind.IMAGE if manifest.is_image else Artifact.Kind.OTHER


def _save_edges(artifact: Artifact, push: Push, children: dict[str, Artifact]) -> None:
    manifest = push.manifest
    ArtifactReference.objects.bulk_create(
        [
            ArtifactReference(
                parent=artifact,
                child=children[entry.digest],
                position=position,
                os=entry.platform.os,
                architecture=entry.platform.architecture,
                variant=entry.platform.variant,
                annotations=entry.annotations,
            )
            for position, entry in enumerate(manifest.children)
            if entry.digest in children
        ]
    )
    ArtifactBlob.objects.bulk_create(
        [
            ArtifactBlob(
                artifact=artifact,
                blob_id=entry.digest,
                position=position,
                media_type=entry.media_type,
                size=push.blob_sizes[entry.digest],
            )
            for position, entry in _blob_entries(manifest)
            if entry.digest in push.blob_sizes
        ]
    )


def _blob_entries(manifest: Manifest) -> Iterable[tuple[int, Descriptor]]:
    """The config at position 0, layers from 1 on; of an index its entries from 1 on."""
    if manifest.config is not None:
        yield 0, manifest.config
    yield from enumerate(manifest.layers or manifest.children, start=1)


def _move_tag(tag: Tag, artifact: Artifact, actor: Actor, now: datetime.datetime) -> None:
    before = tag.artifact.digest if tag.artifact else ""
    tag.artifact = artifact
    tag.pushed_by_id = actor.principal.user_id
    tag.pushed_by_name = actor.principal.name
    tag.pushed_at = now
    tag.save(update_fields=["artifact", "pushed_by_id", "pushed_by_name", "pushed_at"])
    if before == artifact.digest:
        return
    TagEvent.objects.create(
        repository_id=tag.repository_id,
        tag=tag.name,
        from_digest=before,
        to_digest=artifact.digest,
        action=TagEvent.Action.PUSH,
        actor_kind=actor.principal.kind,
        actor_id=actor.principal.user_id,
        actor_name=actor.principal.name,
        address=actor.address,
        client=actor.client,
        at=now,
    )


def _announce(project: Project, repository: Repository, push: Push, actor: Actor) -> None:
    name = f"{project.name}/{repository.path}"
    digest = push.manifest.digest
    resource = f"{name}:{push.tag}" if push.tag else f"{name}@{digest}"
    audit.record(actor, "create_artifact", resource, project=project, detail={"digest": digest})
    outbox.emit(
        "artifact.pushed",
        f"repository:{repository.pk}",
        repository=name,
        digest=digest,
        tag=push.tag,
        actor=actor.principal.name,
    )
