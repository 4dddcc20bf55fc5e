"""What counts in a project's quota: each digest that a live artifact needs, once.

Every function is part of a transaction that holds the project's usage row, which makes the
figures exact under parallel pushes and deletions.
"""

from collections.abc import Collection, Mapping

from accounts import configuration, outbox
from accounts.models import Project
from registry_sync import quota
from registry_sync.models import Artifact, ArtifactBlob, ProjectBlob, ProjectUsage


def lock(project_id: int) -> ProjectUsage:
    """Lock the project's usage row, made where it is missing."""
    rows = ProjectUsage.objects.select_for_update(no_key=True).filter(pk=project_id)
    usage = rows.first()
    if usage is None:
        ProjectUsage.objects.bulk_create(
            [ProjectUsage(project_id=project_id)], ignore_conflicts=True
        )
        usage = rows.get()
    return usage


def add(usage: ProjectUsage, project: Project, sizes: Mapping[str, int]) -> None:
    """Count the digests (with their bytes) that are new in the project.

    Raises ``Denied`` where that would go over the storage limit.
    """
    new = _new_in(project.pk, sizes)
    added = sum(sizes[digest] for digest in new)
    limit = _in_force(project.storage_limit)
    quota.require_room(used=usage.used_bytes, added=added, limit=limit)
    ProjectBlob.objects.bulk_create(
        [ProjectBlob(project=project, digest=digest, size=sizes[digest]) for digest in new]
    )
    if added:
        before, usage.used_bytes = usage.used_bytes, usage.used_bytes + added
        usage.save(update_fields=["used_bytes"])
        if quota.crosses_warning(before=before, after=usage.used_bytes, limit=limit):
            outbox.emit(
                "quota.warning",
                f"project:{project.pk}",
                project=project.name,
                used=usage.used_bytes,
                limit=limit,
            )


def _in_force(limit: int) -> int:
    """The project's limit, or none where the system's quotas are switched off."""
    return limit if limit >= 0 and configuration.is_quota_enforced() else -1


def require_room(project_id: int, sizes: Mapping[str, int]) -> None:
    """Raise ``Denied`` early, without a lock, where the digests would not fit as it looks now."""
    project = Project.objects.filter(pk=project_id).values_list(
        "storage_limit", "usage__used_bytes"
    )
    stored_limit, used = project.get()
    limit = _in_force(stored_limit)
    if limit >= 0:
        added = sum(sizes[digest] for digest in _new_in(project_id, sizes))
        quota.require_room(used=used or 0, added=added, limit=limit)


def _new_in(project_id: int, sizes: Mapping[str, int]) -> list[str]:
    known = ProjectBlob.objects.filter(project_id=project_id, digest__in=sizes)
    return sorted(sizes.keys() - set(known.values_list("digest", flat=True)))


def release(usage: ProjectUsage, digests: Collection[str]) -> None:
    """Stop counting those digests that no live artifact of the project needs any more."""
    live = Artifact.objects.live().filter(repository__project_id=usage.pk)
    needed = set(live.filter(body_id__in=digests).values_list("body_id", flat=True)) | set(
        ArtifactBlob.objects.filter(artifact__in=live, blob_id__in=digests).values_list(
            "blob_id", flat=True
        )
    )
    freed = ProjectBlob.objects.filter(project_id=usage.pk, digest__in=set(digests) - needed)
    total = sum(freed.values_list("size", flat=True))
    freed.delete()
    if total:
        usage.used_bytes -= total
        usage.save(update_fields=["used_bytes"])


def digests_of(artifacts: Collection[Artifact]) -> set[str]:
    """Every digest these artifacts need: their manifests' own, and their blobs'."""
    used = ArtifactBlob.objects.filter(artifact__in=artifacts)
    return {artifact.digest for artifact in artifacts} | set(used.values_list("blob_id", flat=True))
