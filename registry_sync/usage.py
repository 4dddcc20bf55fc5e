"""What counts in a project's quota: each digest that a live artifact needs, once.

Every function is part of a transaction that holds the project's usage row, which makes the
figures exact under parallel pushes and deletions.
"""

from collections.abc import Collection, Mapping

from accounts.models import Project
from registry_sync import quota
from registry_sync.models import Artifact, ArtifactBlob, ProjectBlob, ProjectUsage


def lock(project_id: int) -> ProjectUsage:
    """Lock the project's usage row, made where it is missing."""
    ProjectUsage.objects.bulk_create([ProjectUsage(project_id=project_id)], ignore_conflicts=True)
    return ProjectUsage.objects.select_for_update(no_key=True).get(pk=project_id)


def add(usage: ProjectUsage, project: Project, sizes: Mapping[str, int]) -> None:
    """Count the digests (with their bytes) that are new in the project.

    Raises ``Denied`` where that would go over the storage limit.
    """
    known = set(
        ProjectBlob.objects.filter(project=project, digest__in=sizes).values_list(
            "digest", flat=True
        )
    )
    new = sorted(sizes.keys() - known)
    added = sum(sizes[digest] for digest in new)
    quota.require_room(used=usage.used_bytes, added=added, limit=project.storage_limit)
    ProjectBlob.objects.bulk_create(
        [ProjectBlob(project=project, digest=digest, size=sizes[digest]) for digest in new]
    )
    if added:
        usage.used_bytes += added
        usage.save(update_fields=["used_bytes"])


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
