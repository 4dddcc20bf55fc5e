"""Deleting: invisible at once, out of the quota at once, restorable until ``purge_at``.

Locks are taken in the catalogue's one order: usage, repository, tags, artifacts. The lock of the
repository holds off every other writer of its tags and artifacts, so that these may be looked up
before they are locked.
"""

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, outbox
from accounts.errors import Conflict, NotFound
from accounts.models import Project
from accounts.principals import Actor
from registry_sync import admission, immutability, usage
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    ProjectUsage,
    Repository,
    Tag,
    TagEvent,
    TrashEntry,
)

# Tags by which older clients tie something to a digest: they go with it.
_TOOL_SUFFIXES = ("", ".sig", ".att", ".sbom")
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """A repository whose rows are locked, with its project and usage."""

    project: Project
    repository: Repository
    usage: ProjectUsage

    @property
    def name(self) -> str:
        """What people call the repository."""
        return f"{self.project.name}/{self.repository.path}"


@dataclass(slots=True)
class Removal:
    """What one entry takes away."""

    kind: TrashEntry.Kind
    digest: str
    tags: list[Tag] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)


@transaction.atomic
def delete_tag(
    repository: Repository, name: str, *, actor: Actor, execution_id: int | None = None
) -> TrashEntry:
    """Remove one tag and nothing else.

    Raises ``NotFound`` where it is not there, ``PreconditionFailed`` while a rule holds it.
    """
    place = lock(repository)
    tags = locked_tags(repository, [name])
    if not tags:
        raise NotFound(_("tag not found"))
    immutability.require_deletable(repository, tags)
    removal = Removal(TrashEntry.Kind.TAG, digest_of(tags[0]), tags)
    return put_away(place, [removal], actor=actor, execution_id=execution_id)[0]


@transaction.atomic
def delete_artifact(
    repository: Repository,
    digest: str,
    *,
    actor: Actor,
    with_children: bool = True,
    execution_id: int | None = None,
) -> TrashEntry:
    """Remove an artifact with its tags, and its accessories with theirs; all or nothing.

    ``with_children``: an index takes along those of its manifests that nothing else needs. Raises
    ``NotFound`` where it is not there, ``Conflict`` while an index needs it,
    ``PreconditionFailed`` while an immutable rule holds one of the tags.
    """
    place = lock(repository)
    live = Artifact.objects.live().filter(repository=repository, body_id=digest)
    root = live.defer("config").first()
    if root is None:
        raise NotFound(_("artifact not found"))
    artifacts = whole(repository, [root], with_children=with_children)[root.pk]
    tags = tags_of(artifacts)
    lock_artifacts(artifacts)
    _require_free(artifacts)
    immutability.require_deletable(repository, tags, artifacts)
    removal = Removal(TrashEntry.Kind.ARTIFACT, digest, tags, artifacts)
    return put_away(place, [removal], actor=actor, execution_id=execution_id)[0]


@transaction.atomic
def delete_repository(
    repository: Repository, *, actor: Actor, execution_id: int | None = None
) -> TrashEntry:
    """Put everything a repository holds into the trash as one entry, and hide the repository.

    Raises ``NotFound`` where nothing was ever pushed, or it is deleted already, and
    ``PreconditionFailed`` while an immutable rule holds one of its tags.
    """
    place = lock(repository)
    if place.repository.pushed_at is None:
        raise NotFound(_("repository not found"))
    artifacts = list(Artifact.objects.live().filter(repository=repository).defer("config"))
    tags = _locked(Tag.objects.filter(repository=repository, artifact__isnull=False))
    immutability.require_deletable(repository, tags, artifacts)
    removal = Removal(TrashEntry.Kind.REPOSITORY, "", tags, artifacts)
    (entry,) = put_away(place, [removal], actor=actor, execution_id=execution_id)
    Repository.objects.filter(pk=repository.pk).update(pushed_at=None)
    return entry


# --- Inside: the parts that deleting many at once is made of, too --------------------------------


def lock(repository: Repository) -> Place:
    """Lock usage, repository and project. Raises ``NotFound`` when the project is gone."""
    used = usage.lock(repository.project_id)
    locked = Repository.objects.select_for_update(no_key=True).get(pk=repository.pk)
    # Locked: who deletes the project waits, and who comes after a deletion is told.
    alive = Project.objects.alive().select_for_update(no_key=True)
    project = alive.filter(pk=repository.project_id).first()
    if project is None:
        raise NotFound(_("the repository's project is gone"))
    admission.require_writable(is_read_only=project.is_read_only)
    locked.project = project
    return Place(project, locked, used)


def locked_tags(repository: Repository, names: Collection[str]) -> list[Tag]:
    """Lock the tags of these names that are there, with their artifacts."""
    return _locked(
        Tag.objects.filter(repository=repository, name__in=names, artifact__isnull=False)
    )


def tags_of(artifacts: Collection[Artifact]) -> list[Tag]:
    """Lock the tags that point to these artifacts."""
    return _locked(Tag.objects.filter(artifact__in=artifacts))


def _locked(tags: QuerySet[Tag]) -> list[Tag]:
    rows = tags.select_for_update(of=("self",), no_key=True)
    return list(rows.select_related("artifact").defer("artifact__config").order_by("pk"))


def digest_of(tag: Tag) -> str:
    """Return where the tag points."""
    return tag.artifact.digest if tag.artifact else ""


def whole(
    repository: Repository, roots: Collection[Artifact], *, with_children: bool
) -> dict[int, list[Artifact]]:
    """Return what goes with each of these live artifacts, itself first, by its id.

    Accessories (by subject, or by the tags of older clients), what is about those, and so on;
    ``with_children``: of an index the manifests that have no tag and no other live index.
    """
    owner = {root.pk: root.pk for root in roots}
    found = {root.pk: [root] for root in roots}
    wave = list(roots)
    while wave:
        by_digest = {artifact.digest: owner[artifact.pk] for artifact in wave}
        nearby = _accessories(repository, by_digest)
        if with_children:
            nearby += _lone_children(wave, owner)
        wave = []
        for artifact, owner_id in nearby:
            if artifact.pk not in owner:
                owner[artifact.pk] = owner_id
                found[owner_id].append(artifact)
                wave.append(artifact)
    return found


def _accessories(repository: Repository, owners: Mapping[str, int]) -> list[tuple[Artifact, int]]:
    live = Artifact.objects.live().filter(repository=repository).defer("config")
    found = [
        (artifact, owners[artifact.subject_digest])
        for artifact in live.filter(subject_digest__in=owners).order_by("pk")
    ]
    named = {
        f"{digest.replace(':', '-')}{suffix}": owner
        for digest, owner in owners.items()
        for suffix in _TOOL_SUFFIXES
    }
    tags = list(
        Tag.objects.filter(repository=repository, name__in=named, artifact__isnull=False)
        .select_related("artifact")
        .defer("artifact__config")
    )
    # What somebody gave a name of its own stays.
    ids = [tag.artifact_id for tag in tags if tag.artifact_id is not None]
    others = Tag.objects.filter(artifact_id__in=ids).exclude(name__in=named)
    kept = set(others.values_list("artifact_id", flat=True))
    found += [
        (tag.artifact, named[tag.name])
        for tag in tags
        if tag.artifact is not None and tag.artifact_id not in kept
    ]
    return found


def _lone_children(parents: list[Artifact], owner: Mapping[int, int]) -> list[tuple[Artifact, int]]:
    indexes = [artifact.pk for artifact in parents if artifact.kind == Artifact.Kind.INDEX]
    if not indexes:
        return []
    edges = list(
        ArtifactReference.objects.filter(
            parent_id__in=indexes, child__trash_entry=None, child__tags=None
        )
        .select_related("child")
        .defer("child__config", "annotations")
    )
    children = [edge.child_id for edge in edges]
    held = set(
        ArtifactReference.objects.filter(child_id__in=children, parent__trash_entry=None)
        .exclude(parent_id__in=list(owner))
        .values_list("child_id", flat=True)
    )
    return [(edge.child, owner[edge.parent_id]) for edge in edges if edge.child_id not in held]


def lock_artifacts(artifacts: Collection[Artifact]) -> None:
    """Lock the rows in their order."""
    ids = [artifact.pk for artifact in artifacts]
    rows = Artifact.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=ids)
    list(rows.order_by("pk").values_list("pk", flat=True))


def holders(artifacts: Collection[Artifact]) -> dict[int, str]:
    """Return for those that a live index outside the deletion holds that index's digest.

    An index that lies in the trash holds nothing back (OCI conformance deletes index, then
    manifests), and loses nothing: restoring it brings its manifests back.
    """
    edges = ArtifactReference.objects.filter(child__in=artifacts, parent__trash_entry=None)
    outside = edges.exclude(parent__in=artifacts)
    return dict(outside.values_list("child_id", "parent__body_id"))


def _require_free(artifacts: list[Artifact]) -> None:
    for holder in holders(artifacts).values():
        raise Conflict(_("the index %(digest)s needs it; delete that first") % {"digest": holder})


def put_away(
    place: Place, removals: list[Removal], *, actor: Actor, execution_id: int | None = None
) -> list[TrashEntry]:
    """Write the entries, hide the artifacts, remove the tags; history, quota, audit, events.

    Part of the caller's transaction, which holds the locks.
    """
    now = timezone.now()
    entries = TrashEntry.objects.bulk_create(
        [_entry(place, removal, actor, execution_id, now) for removal in removals],
        batch_size=_BATCH,
    )
    for entry, removal in zip(entries, removals, strict=True):
        ids = [artifact.pk for artifact in removal.artifacts]
        for start in range(0, len(ids), _BATCH):
            rows = Artifact.objects.filter(pk__in=ids[start : start + _BATCH])
            rows.update(trash_entry=entry)
    tags = [tag for removal in removals for tag in removal.tags]
    TagEvent.objects.bulk_create(
        [_event(tag, actor, execution_id, now) for tag in tags], batch_size=_BATCH
    )
    for start in range(0, len(tags), _BATCH):
        part = [tag.pk for tag in tags[start : start + _BATCH]]
        Tag.objects.filter(pk__in=part).delete()
    _release(place, entries, removals)
    for entry in entries:
        _announce(place, entry, actor)
    return entries


def _entry(
    place: Place,
    removal: Removal,
    actor: Actor,
    execution_id: int | None,
    now: datetime.datetime,
) -> TrashEntry:
    return TrashEntry(
        repository=place.repository,
        kind=removal.kind,
        digest=removal.digest,
        tags=[_kept(tag) for tag in removal.tags],
        tag_count=len(removal.tags),
        artifact_count=len(removal.artifacts),
        actor_kind=actor.principal.kind,
        actor_id=actor.principal.user_id,
        actor_name=actor.principal.name,
        execution_id=execution_id,
        deleted_at=now,
        purge_at=now + datetime.timedelta(days=place.project.trash_days),
    )


def _kept(tag: Tag) -> dict[str, str | int | None]:
    return {
        "name": tag.name,
        "digest": digest_of(tag),
        "pushed_by_id": tag.pushed_by_id,
        "pushed_by_name": tag.pushed_by_name,
        "pushed_at": tag.pushed_at.isoformat(),
    }


def _event(tag: Tag, actor: Actor, execution_id: int | None, now: datetime.datetime) -> TagEvent:
    return TagEvent(
        repository_id=tag.repository_id,
        tag=tag.name,
        from_digest=digest_of(tag),
        action=TagEvent.Action.DELETE,
        actor_kind=actor.principal.kind,
        actor_id=actor.principal.user_id,
        actor_name=actor.principal.name,
        address=actor.address,
        client=actor.client,
        execution_id=execution_id,
        at=now,
    )


def _release(place: Place, entries: list[TrashEntry], removals: list[Removal]) -> None:
    """Take what nothing needs any more out of the quota, and note with each entry how much."""
    owner = {
        artifact.pk: entry
        for entry, removal in zip(entries, removals, strict=True)
        for artifact in removal.artifacts
    }
    if not owner:
        return
    needed: dict[str, TrashEntry] = {
        artifact.digest: owner[artifact.pk]
        for removal in removals
        for artifact in removal.artifacts
    }
    ids = sorted(owner)
    for start in range(0, len(ids), _BATCH):
        edges = ArtifactBlob.objects.filter(artifact_id__in=ids[start : start + _BATCH])
        for artifact_id, digest in edges.values_list("artifact_id", "blob_id"):
            needed.setdefault(digest, owner[artifact_id])
    for digest, size in usage.release(place.usage, needed).items():
        needed[digest].freed_bytes += size
    TrashEntry.objects.bulk_update(entries, ["freed_bytes"], batch_size=200)


_ACTIONS = {
    TrashEntry.Kind.TAG: ("delete_tag", "tag.deleted"),
    TrashEntry.Kind.ARTIFACT: ("delete_artifact", "artifact.deleted"),
    TrashEntry.Kind.REPOSITORY: ("delete_repository", "repository.deleted"),
}


def _announce(place: Place, entry: TrashEntry, actor: Actor) -> None:
    action, event = _ACTIONS[TrashEntry.Kind(entry.kind)]
    names = entry.tag_names
    subject = f"repository:{place.repository.pk}"
    about = {
        "repository": place.name,
        "actor": actor.principal.name,
        "client": actor.client,
    }
    detail: dict[str, object] = {"trash": entry.pk}
    if entry.execution_id is not None:
        detail["execution"] = entry.execution_id
    if entry.kind == TrashEntry.Kind.TAG:
        detail |= {"digest": entry.digest}
        resource, more = f"{place.name}:{names[0]}", {"digest": entry.digest, "tag": names[0]}
    elif entry.kind == TrashEntry.Kind.ARTIFACT:
        detail |= {"tags": names, "artifacts": entry.artifact_count}
        resource, more = f"{place.name}@{entry.digest}", {"digest": entry.digest}
    else:
        detail |= {"tags": entry.tag_count, "artifacts": entry.artifact_count}
        resource, more = place.name, {}
    audit.record(actor, action, resource, project=place.project, detail=detail)
    outbox.emit(event, subject, **about, **more)
