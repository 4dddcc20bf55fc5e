"""Counts what a project uses anew, and compares that with what is kept of it."""

from django.db import transaction
from django.db.models import Sum

from accounts.models import Project
from registry_sync import transactions, usage
from registry_sync.models import Artifact, ArtifactBlob, Blob, ProjectBlob, ProjectUsage


def problem(project: Project) -> str:
    """Say what is wrong with a project's figures; empty where nothing is."""
    if not _problem(project):
        return ""
    with transaction.atomic():
        # Nobody pushes or deletes here while it is counted again.
        usage.lock(project.pk)
        return _problem(project)


def mend(project: Project) -> None:
    """Write the figures anew."""
    transactions.run(lambda: _mend(project))


def _needed(project: Project) -> set[str]:
    live = Artifact.objects.live().filter(repository__project=project)
    return set(live.values_list("body_id", flat=True)) | set(
        ArtifactBlob.objects.filter(artifact__in=live).values_list("blob_id", flat=True)
    )


def _problem(project: Project) -> str:
    needed = _needed(project)
    counted = ProjectBlob.objects.filter(project=project)
    digests = set(counted.values_list("digest", flat=True))
    if extra := digests - needed:
        return f"{len(extra)} digests are counted that nothing needs"
    if missing := needed - digests:
        return f"{len(missing)} digests are needed and not counted"
    total = counted.aggregate(total=Sum("size"))["total"] or 0
    row = ProjectUsage.objects.filter(project=project).first()
    used = row.used_bytes if row else 0
    return f"{used} bytes are counted instead of {total}" if used != total else ""


def _mend(project: Project) -> None:
    row = usage.lock(project.pk)
    needed = _needed(project)
    counted = ProjectBlob.objects.filter(project=project)
    digests = set(counted.values_list("digest", flat=True))
    extra, missing = sorted(digests - needed), sorted(needed - digests)
    for start in range(0, len(extra), 5000):
        counted.filter(digest__in=extra[start : start + 5000]).delete()
    for start in range(0, len(missing), 5000):
        part = missing[start : start + 5000]
        sizes = dict(Blob.objects.filter(pk__in=part).values_list("digest", "size"))
        made = [ProjectBlob(project=project, digest=d, size=sizes.get(d) or 0) for d in part]
        ProjectBlob.objects.bulk_create(made, batch_size=500)
    row.used_bytes = counted.aggregate(total=Sum("size"))["total"] or 0
    row.save(update_fields=["used_bytes"])
