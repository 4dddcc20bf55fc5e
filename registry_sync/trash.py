"""Deleting: invisible at once, out of the quota at once, restorable until ``purge_at``.

Locks are taken in the catalogue's one order: usage, repository, tags, artifacts.
"""

import datetime

from django.db import transaction
from django.utils import timezone

from accounts import audit, outbox
from accounts.errors import Conflict, NotFound
from accounts.models import Project
from accounts.principals import Actor
from registry_sync import admission, usage
from registry_sync.models import (
    Artifact,
    ArtifactReference,
    ProjectUsage,
    Repository,
    Tag,
    TagEvent,
    TrashEntry,
)


@transaction.atomic
def delete_tag(repository: Repository, name: str, *, actor: Actor) -> TrashEntry:
    """Remove one tag and nothing else. Raises ``NotFound`` where it is not there."""
    project, _used = _lock(repository)
    tag = (
        Tag.objects.select_for_update(of=("self",), no_key=True)
        .filter(repository=repository, name=name)
        .first()
    )
    if tag is None or tag.artifact is None:
        raise NotFound("tag not found")
    entry = _entry(project, repository, tag.artifact.digest, [tag], actor)
    resource = f"{project.name}/{repository.path}:{name}"
    audit.record(actor, "delete_tag", resource, project=project, detail={"digest": entry.digest})
    outbox.emit(
        "tag.deleted",
        f"repository:{repository.pk}",
        repository=f"{project.name}/{repository.path}",
        digest=entry.digest,
        tag=name,
        actor=actor.principal.name,
    )
    return entry


@transaction.atomic
def delete_artifact(repository: Repository, digest: str, *, actor: Actor) -> TrashEntry:
    """Remove an artifact with its tags, and its accessories with theirs; all or nothing.

    Raises ``NotFound`` where it is not there, ``Conflict`` while an index needs it.
    """
    project, used = _lock(repository)
    # The repository's lock holds off every other writer of its tags and artifacts, so that these
    # may be looked up before they are locked in their order.
    artifacts = _with_accessories(repository, digest)
    tags = list(
        Tag.objects.select_for_update(of=("self",), no_key=True)
        .filter(artifact__in=artifacts)
        .select_related("artifact")
        .order_by("pk")
    )
    _lock_artifacts(artifacts)
    _require_free(artifacts)
    entry = _entry(project, repository, digest, tags, actor)
    Artifact.objects.filter(pk__in=[artifact.pk for artifact in artifacts]).update(
        trash_entry=entry
    )
    usage.release(used, usage.digests_of(artifacts))
    resource = f"{project.name}/{repository.path}@{digest}"
    detail = {"tags": [tag["name"] for tag in entry.tags], "artifacts": len(artifacts)}
    audit.record(actor, "delete_artifact", resource, project=project, detail=detail)
    outbox.emit(
        "artifact.deleted",
        f"repository:{repository.pk}",
        repository=f"{project.name}/{repository.path}",
        digest=digest,
        actor=actor.principal.name,
    )
    return entry


def _lock(repository: Repository) -> tuple[Project, ProjectUsage]:
    """Lock usage and repository, and return the project they are in with its usage."""
    used = usage.lock(repository.project_id)
    Repository.objects.select_for_update(no_key=True).get(pk=repository.pk)
    # Locked: who deletes the project waits, and who comes after a deletion is told.
    alive = Project.objects.alive().select_for_update(no_key=True)
    project = alive.filter(pk=repository.project_id).first()
    if project is None:
        raise NotFound("the repository's project is gone")
    admission.require_writable(is_read_only=project.is_read_only)
    return project, used


def _with_accessories(repository: Repository, digest: str) -> list[Artifact]:
    """Return the artifact, what has it as subject, what has that as subject, and so on."""
    found: dict[str, Artifact] = {}
    live = Artifact.objects.live().filter(repository=repository).defer("config")
    wave = list(live.filter(body_id=digest))
    if not wave:
        raise NotFound("artifact not found")
    while wave:
        found.update({artifact.digest: artifact for artifact in wave})
        wave = list(
            live.filter(subject_digest__in=[artifact.digest for artifact in wave]).exclude(
                body_id__in=found
            )
        )
    return list(found.values())


def _lock_artifacts(artifacts: list[Artifact]) -> None:
    ids = [artifact.pk for artifact in artifacts]
    locked = Artifact.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=ids)
    list(locked.order_by("pk").values_list("pk", flat=True))


def _require_free(artifacts: list[Artifact]) -> None:
    """Refuse while a live index outside the deletion holds one of them.

    An index that lies in the trash holds nothing back (OCI conformance deletes index, then
    manifests), and loses nothing: its edges keep the rows until it is purged itself.
    """
    parents = (
        ArtifactReference.objects.filter(child__in=artifacts, parent__trash_entry=None)
        .exclude(parent__in=artifacts)
        .values_list("parent__body_id", flat=True)
    )
    holder = parents.first()
    if holder is not None:
        raise Conflict(f"the index {holder} needs it; delete that first")


def _entry(
    project: Project, repository: Repository, digest: str, tags: list[Tag], actor: Actor
) -> TrashEntry:
    """Write the entry and the tags' history, and remove the tags."""
    now = timezone.now()
    entry = TrashEntry.objects.create(
        repository=repository,
        digest=digest,
        tags=[_kept(tag) for tag in tags],
        actor_kind=actor.principal.kind,
        actor_id=actor.principal.user_id,
        actor_name=actor.principal.name,
        deleted_at=now,
        purge_at=now + datetime.timedelta(days=project.trash_days),
    )
    TagEvent.objects.bulk_create(
        [
            TagEvent(
                repository=repository,
                tag=tag.name,
                from_digest=tag.artifact.digest if tag.artifact else "",
                action=TagEvent.Action.DELETE,
                actor_kind=actor.principal.kind,
                actor_id=actor.principal.user_id,
                actor_name=actor.principal.name,
                address=actor.address,
                client=actor.client,
                at=now,
            )
            for tag in tags
        ]
    )
    Tag.objects.filter(pk__in=[tag.pk for tag in tags]).delete()
    return entry


def _kept(tag: Tag) -> dict[str, str | int | None]:
    return {
        "name": tag.name,
        "digest": tag.artifact.digest if tag.artifact else "",
        "pushed_by_id": tag.pushed_by_id,
        "pushed_by_name": tag.pushed_by_name,
        "pushed_at": tag.pushed_at.isoformat(),
    }
