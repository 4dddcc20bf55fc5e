"""Copying artifacts between repositories, and giving them tags: no byte of a layer moves.

A copy is a push without bytes: the registry mounts each blob where it is missing, and everything
is committed as any push is, children before indexes, what is about an artifact (signatures,
SBOMs) after it, and the tags last. Killed anywhere it leaves nothing that a tag points to; done
again it begins with what is missing.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from django.utils.translation import gettext as _

from accounts import audit, statements
from accounts.errors import BadRequest, Conflict, NotFound, Unavailable
from accounts.models import Project
from accounts.principals import Actor
from accounts.scopes import is_repository_name
from accounts.statements import Statement
from registry_sync import (
    admission,
    blobs,
    catalog,
    immutability,
    manifests,
    transactions,
    upstream,
    usage,
)
from registry_sync.accessories import accessories_among, subject_of_tag, tool_tags
from registry_sync.blobs import BlobMissingError
from registry_sync.catalog import Push
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.image_config import ImageFacts
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    Blob,
    Repository,
    RepositoryBlob,
    Tag,
    TagEvent,
)
from registry_sync.tag_names import is_tag

logger = logging.getLogger(__name__)

# Artifacts of one copy: an index's platforms, their attestations, signatures of each.
MAX_ARTIFACTS = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """One artifact of a copy, with the tools' tags (``sha256-<hex>.sig``) it keeps."""

    artifact: Artifact
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    """What was found to belong together while a copy is planned."""

    artifacts: dict[int, Artifact] = field(default_factory=dict)
    # What must be there before an artifact, by number.
    needs: dict[int, set[int]] = field(default_factory=dict)
    tags: dict[int, set[str]] = field(default_factory=dict)

    def add(self, artifact: Artifact) -> bool:
        """Take an artifact up; False where it was found before."""
        if artifact.pk in self.artifacts:
            return False
        self.artifacts[artifact.pk] = artifact
        self.needs.setdefault(artifact.pk, set())
        return True


def copy(
    source: Artifact, *, project: Project, path: str, tags: Collection[str], actor: Actor
) -> Artifact:
    """Copy an artifact with its children and accessories to ``project``'s repository ``path``.

    ``tags`` are moved there to it; with none it arrives without a tag. The caller has checked the
    rights on both sides. Raises ``BadRequest`` (with ``field``) for a name or tag that cannot be,
    ``Denied`` where the destination takes nothing of this, ``NotFound`` where source or project
    went away, and ``Unavailable`` where trying again helps.
    """
    if not is_repository_name(f"{project.name}/{path}"):
        raise BadRequest(_("This cannot be a repository's name."), field="repository")
    for tag in tags:
        _require_tag(tag)
    parts = parts_of(source)
    _require_admission(project, parts, tags, actor)
    repository = catalog.open_repository(project.pk, path)
    repository.project = project
    for tag in tags:
        immutability.require_pushable(repository, tag, source.digest)
    for part in parts:
        copied = _carry(part, repository, actor)
        if part.artifact.pk == source.pk:
            target = copied
    return _finish(source, target, repository, tags, actor)


def add_tag(artifact: Artifact, name: str, *, actor: Actor, is_move: bool = False) -> Tag:
    """Let a tag of its repository point to an artifact.

    Raises ``BadRequest`` for a name that cannot be a tag's, ``Conflict`` where the tag exists and
    is not to be moved, and otherwise as ``copy`` does.
    """
    _require_tag(name)
    repository = artifact.repository
    admission.require_writable(is_read_only=repository.project.is_read_only)
    admission.require_tag_allowed(actor.principal, name)
    push = _push(artifact, repository, name)

    def commit() -> None:
        # Every writer of the project's tags waits for this row, so that the answers stay true.
        usage.lock(repository.project_id)
        if not is_move and Tag.objects.filter(repository=repository, name=name).exists():
            raise Conflict(_("A tag of this name exists in the repository."), field="name")
        if not Artifact.objects.live().filter(pk=artifact.pk).exists():
            raise NotFound(_("artifact not found"))
        catalog.commit_manifest(repository, push, actor=actor)

    transactions.run(commit)
    return Tag.objects.get(repository=repository, name=name)


def belonging(source: Artifact) -> list[Artifact]:
    """Return what a copy of the artifact would take along, and itself; for people to see."""
    return [part.artifact for part in parts_of(source)]


def _require_tag(name: str) -> None:
    if not is_tag(name):
        raise BadRequest(_("A tag has 1 to 128 letters, digits, _ . and -."), field="name")


# --- What belongs to a copy -----------------------------------------------------------------------


def parts_of(source: Artifact) -> list[Part]:
    """Return everything a copy needs, each after what it refers to; a few queries a level."""
    if not _may_have_parts(source):
        return [Part(source)]
    found = _Found()
    found.add(source)
    wave = [source]
    while wave:
        wave = [*_children(wave, found), *_accessories(wave, found)]
        if len(found.artifacts) > MAX_ARTIFACTS:
            raise BadRequest(
                _("More than %(max)d artifacts belong to it.") % {"max": MAX_ARTIFACTS}
            )
    order = TopologicalSorter(found.needs).static_order()
    return [Part(found.artifacts[pk], tuple(sorted(found.tags.get(pk, ())))) for pk in order]


_PARTS = """
SELECT EXISTS (SELECT 1 FROM registry_sync_artifactreference WHERE parent_id = %s)
  OR EXISTS (SELECT 1 FROM registry_sync_artifact WHERE repository_id = %s AND subject_digest = %s)
  OR EXISTS (SELECT 1 FROM registry_sync_tag WHERE repository_id = %s AND name IN ({}))
"""


def _may_have_parts(source: Artifact) -> bool:
    """Return False where nothing belongs to it, not even in the trash.

    By hand: so it is with most images, and building the queries would be a quarter of copying one.
    """
    names, place = tool_tags(source.digest), source.repository_id
    asked = [source.pk, place, source.digest, place, *names]
    return bool(statements.run(Statement(_PARTS.format(statements.marks(names)), asked))[0][0])


def _children(parents: Sequence[Artifact], found: _Found) -> list[Artifact]:
    edges = ArtifactReference.objects.filter(parent__in=parents, child__trash_entry=None)
    fresh = []
    for edge in edges.select_related("child__body", "child__repository__project"):
        if found.add(edge.child):
            fresh.append(edge.child)
        found.needs[edge.parent_id].add(edge.child_id)
    return fresh


def _accessories(subjects: Sequence[Artifact], found: _Found) -> list[Artifact]:
    by_digest = {artifact.digest: artifact for artifact in subjects}
    rows = accessories_among({artifact.repository_id for artifact in subjects}, by_digest.keys())
    fresh = []
    for accessory in (row for held in rows.values() for row in held):
        artifact = accessory.artifact
        if not artifact.is_complete:
            # A proxy project knows of it, and has not fetched all of it.
            continue
        if found.add(artifact):
            fresh.append(artifact)
        if accessory.tag:
            found.tags.setdefault(artifact.pk, set()).add(accessory.tag)
        else:
            # A manifest names its subject's digest, so that these cannot form a circle.
            found.needs[artifact.pk].add(by_digest[accessory.subject_digest].pk)
    return fresh


def _require_admission(
    project: Project, parts: Iterable[Part], tags: Iterable[str], actor: Actor
) -> None:
    """Say early what the commit would refuse, before anything is mounted."""
    admission.require_writable(is_read_only=project.is_read_only)
    for tag in tags:
        admission.require_tag_allowed(actor.principal, tag)
    artifacts = [part.artifact for part in parts]
    used = ArtifactBlob.objects.filter(artifact__in=artifacts)
    sizes = dict(used.values_list("blob_id", "size"))
    own = {artifact.digest: len(artifact.body.content) for artifact in artifacts}
    usage.require_room(project.pk, {**sizes, **own})


# --- Carrying one over ----------------------------------------------------------------------------


def _carry(part: Part, repository: Repository, actor: Actor) -> Artifact:
    """Make one artifact part of the repository, unless it is."""
    here = Artifact.objects.live().filter(repository=repository, body_id=part.artifact.digest)
    existing = here.select_related("body").first()
    tagged = Tag.objects.filter(artifact=existing, name__in=part.tags).count()
    if existing is not None and tagged == len(part.tags):
        return existing
    try:
        _mount_blobs(part.artifact, repository)
        pushes = [_push(part.artifact, repository, tag) for tag in part.tags or ("",)]
        manifest = pushes[0].manifest
        upstream.registry.put_manifest(
            repository.registry_name, manifest.digest, manifest.media_type, manifest.content
        )
    except RegistryUnavailableError as error:
        raise Unavailable(_("The registry does not answer; try again.")) from error
    except RegistryRejectedError as error:
        for digest in error.digests:
            blobs.forget(repository, digest)
        logger.warning("%s: the registry refused a copy: %s", repository.registry_name, error)
        raise Unavailable(_("The registry refused the copy; try again.")) from error
    for push in pushes:
        copied = catalog.commit_manifest(repository, push, actor=actor)
    return copied


def _mount_blobs(artifact: Artifact, repository: Repository) -> None:
    """Mount each blob that the repository was not seen to hold, from where the artifact is."""
    sizes = dict(ArtifactBlob.objects.filter(artifact=artifact).values_list("blob_id", "size"))
    links = RepositoryBlob.objects.filter(
        repository=repository,
        digest__in=sizes,
        kind=RepositoryBlob.Kind.LAYER,
        state=RepositoryBlob.State.PRESENT,
    )
    live = Blob.objects.filter(digest__in=links.values("digest"), state=Blob.State.LIVE)
    present = set(live.values_list("digest", flat=True))
    for digest in sorted(sizes.keys() - present):
        try:
            announced = blobs.expect(repository, digest)
            upload = upstream.registry.start_upload(
                repository.registry_name, mount=digest, source=artifact.repository.registry_name
            )
            if not upload.is_mounted:
                raise NotFound(_("A layer of the source is not in the registry any more."))
            blobs.confirm(repository, digest, sizes[digest], since=announced)
        except BlobMissingError as error:
            raise Unavailable(_("A layer is being collected; try again.")) from error


def _push(artifact: Artifact, repository: Repository, tag: str) -> Push:
    """Pin everything and return what a commit needs: all of it is known from the source."""
    if not artifact.is_complete:
        raise Conflict(_("Not all of the image was fetched yet; pull it once, then copy it."))
    manifest = manifests.parse(bytes(artifact.body.content), artifact.body.media_type)
    sizes = dict(ArtifactBlob.objects.filter(artifact=artifact).values_list("blob_id", "size"))
    edges = ArtifactReference.objects.filter(parent=artifact)
    children = frozenset(edges.values_list("child__body_id", flat=True))
    try:
        pins = blobs.pin(repository, manifest.digest, {*sizes, *children})
    except BlobMissingError as error:
        raise Unavailable(_("A layer is being collected; try again.")) from error
    facts = ImageFacts(
        os=artifact.os,
        architecture=artifact.architecture,
        variant=artifact.variant,
        author=artifact.author,
        built_at=artifact.built_at,
        config=artifact.config,
    )
    return Push(manifest, facts, sizes, children, pins, tag, TagEvent.Action.RETAG)


def _finish(
    source: Artifact,
    target: Artifact,
    repository: Repository,
    tags: Collection[str],
    actor: Actor,
) -> Artifact:
    """Move the tags, all or none, and write down from where it came."""
    origin = f"{source.repository.name}@{source.digest}"
    pushes = [_push(target, repository, tag) for tag in sorted(tags)]

    def commit() -> None:
        for push in pushes:
            catalog.commit_manifest(repository, push, actor=actor)
        audit.record(
            actor,
            "copy_artifact",
            f"{repository.name}@{source.digest}",
            project=repository.project,
            detail={"from": origin, "tags": sorted(tags)},
        )

    transactions.run(commit)
    return target


def tags_of(artifact: Artifact) -> list[str]:
    """Return the tags that people gave it; the tools' own go where what they are about goes."""
    names = artifact.tags.order_by("name").values_list("name", flat=True)
    return [name for name in names if not subject_of_tag(name)]
