"""What counts in a project's quota: each digest that a live artifact needs, once.

Every function is part of a transaction that holds the project's usage row, which makes the
figures exact under parallel pushes and deletions.
"""

from collections.abc import Collection, Mapping

from django.db import DEFAULT_DB_ALIAS

from accounts import configuration, outbox, statements
from accounts.models import Project
from accounts.statements import Statement
from registry_sync import quota
from registry_sync.models import Artifact, ArtifactBlob, ProjectBlob, ProjectUsage

# So many digests in one query.
_BATCH = 5000


def lock(project_id: int) -> ProjectUsage:
    """Lock the project's usage row, made where it is missing."""
    sql = "SELECT project_id, used_bytes FROM registry_sync_projectusage WHERE project_id = %s"
    select = Statement(sql + statements.lock_clause(), [project_id])
    ((_pk, used),) = statements.run(made(project_id), select)
    return locked(project_id, used)


def made(project_id: int) -> Statement:
    """Make the project's usage row, where it is missing."""
    row = ProjectUsage(project_id=project_id)
    return statements.insert([row], "ON CONFLICT (project_id) DO NOTHING")


def locked(project_id: int, used_bytes: int) -> ProjectUsage:
    """Return a usage row that was read by hand."""
    fields = ["project_id", "used_bytes"]
    return ProjectUsage.from_db(DEFAULT_DB_ALIAS, fields, [project_id, used_bytes])


def add(usage: ProjectUsage, project: Project, sizes: Mapping[str, int]) -> None:
    """Count the digests (with their bytes) that are new in the project.

    Raises ``Denied`` where that would go over the storage limit: the caller's transaction must
    then be rolled back.
    """
    if changes := added(usage, project, sizes):
        statements.run(*changes)


def added(usage: ProjectUsage, project: Project, sizes: Mapping[str, int]) -> list[Statement]:
    """Do as ``add`` does, but for the statements that are returned, to be run with others."""
    if not sizes:
        return []
    # Only what is returned was not there: the others count already.
    counted = statements.insert_values(
        ProjectBlob,
        ("project_id", "digest", "size"),
        [(project.pk, digest, sizes[digest]) for digest in sorted(sizes)],
        "ON CONFLICT (project_id, digest) DO NOTHING RETURNING size",
    )
    total = sum(size for (size,) in statements.run(counted))
    limit = in_force(project.storage_limit)
    quota.require_room(used=usage.used_bytes, added=total, limit=limit)
    if not total:
        return []
    before, usage.used_bytes = usage.used_bytes, usage.used_bytes + total
    changes = [Statement(_SET_USED, [usage.used_bytes, project.pk])]
    if quota.crosses_warning(before=before, after=usage.used_bytes, limit=limit):
        warning = outbox.emitted(
            "quota.warning",
            f"project:{project.pk}",
            project=project.name,
            used=usage.used_bytes,
            limit=limit,
        )
        changes.append(warning)
    return changes


_SET_USED = "UPDATE registry_sync_projectusage SET used_bytes = %s WHERE project_id = %s"


def in_force(limit: int) -> int:
    """The project's limit, or none where the system's quotas are switched off."""
    return limit if limit >= 0 and configuration.is_quota_enforced() else -1


def require_room(project_id: int, sizes: Mapping[str, int]) -> None:
    """Raise ``Denied`` early, without a lock, where the digests would not fit as it looks now."""
    project = Project.objects.filter(pk=project_id).values_list(
        "storage_limit", "usage__used_bytes"
    )
    stored_limit, used = project.get()
    limit = in_force(stored_limit)
    if limit >= 0:
        added = sum(sizes[digest] for digest in _new_in(project_id, sizes))
        quota.require_room(used=used or 0, added=added, limit=limit)


def require_upload(project_id: int, mount: Mapping[str, int]) -> None:
    """Raise ``Denied`` before bytes are sent that would find no room.

    ``mount``: the one digest that comes from elsewhere, with its bytes; of an upload nothing is
    known yet, and it is let in while there is room for a byte.
    """
    if mount:
        require_room(project_id, mount)
        return
    project = Project.objects.filter(pk=project_id)
    limit, used = project.values_list("storage_limit", "usage__used_bytes").get()
    quota.require_any_room(used=used or 0, limit=in_force(limit))


def _new_in(project_id: int, sizes: Mapping[str, int]) -> list[str]:
    known = ProjectBlob.objects.filter(project_id=project_id, digest__in=sizes)
    return sorted(sizes.keys() - set(known.values_list("digest", flat=True)))


def release(usage: ProjectUsage, digests: Collection[str]) -> dict[str, int]:
    """Stop counting those digests that no live artifact of the project needs any more.

    Returns them with their bytes.
    """
    released: dict[str, int] = {}
    wanted = sorted(set(digests))
    for start in range(0, len(wanted), _BATCH):
        released |= _unneeded(usage.pk, wanted[start : start + _BATCH])
    gone = sorted(released)
    for start in range(0, len(gone), _BATCH):
        part = gone[start : start + _BATCH]
        ProjectBlob.objects.filter(project_id=usage.pk, digest__in=part).delete()
    if total := sum(released.values()):
        usage.used_bytes -= total
        usage.save(update_fields=["used_bytes"])
    return released


def _unneeded(project_id: int, digests: list[str]) -> dict[str, int]:
    live = Artifact.objects.live().filter(repository__project_id=project_id)
    needed = set(live.filter(body_id__in=digests).values_list("body_id", flat=True)) | set(
        ArtifactBlob.objects.filter(artifact__in=live, blob_id__in=digests).values_list(
            "blob_id", flat=True
        )
    )
    counted = ProjectBlob.objects.filter(project_id=project_id, digest__in=set(digests) - needed)
    return dict(counted.values_list("digest", "size"))


def digests_of(artifacts: Collection[Artifact]) -> set[str]:
    """Every digest these artifacts need: their manifests' own, and their blobs'."""
    used = ArtifactBlob.objects.filter(artifact__in=artifacts)
    return {artifact.digest for artifact in artifacts} | set(used.values_list("blob_id", flat=True))
