"""Checks what Moorage believes: tags, blobs, quotas and leases; deep, the storage's every byte.

A finding is looked at twice: pushes and deletions go on meanwhile.
"""

import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.errors import BadRequest, DomainError
from accounts.models import Project
from registry_sync import garbage_epoch, garbage_settling, recount, reports, scrub
from registry_sync.configured_storage import is_in_reach
from registry_sync.configured_storage import storage as configured_storage
from registry_sync.failpoints import hit
from registry_sync.findings import Finding, Step
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    Blob,
    Execution,
    ManifestBody,
    ReportLine,
    RepositoryBlob,
    Tag,
    Task,
)
from registry_sync.models.executions import ACTIVE, HELD
from registry_sync.reports import Outcome
from registry_sync.runs import Run
from registry_sync.storage.base import Storage

KIND = "fsck"
_BATCH = 500
_MAX_LINES = 5_000
# A lease that ended longer ago should have been found by a sweep.
_OVERDUE = datetime.timedelta(minutes=2)


class DamageFound(DomainError):
    """Something is not as it should be; the log names each."""

    code = "DAMAGE"


@dataclass(frozen=True, slots=True)
class Depth:
    """How far a check goes: ``is_deep`` reads every byte, ``is_repairing`` mends what it can."""

    is_deep: bool = False
    is_repairing: bool = False


def findings(step: Step, depth: Depth = Depth()) -> Iterator[Finding]:
    """Yield everything that is wrong. Raises ``InterlockError`` where nothing may be mended."""
    if depth.is_repairing:
        garbage_epoch.require(configured_storage())
    yield from _manifests(step)
    yield from _tags(step)
    yield from _children(step)
    if is_in_reach():
        yield from _blobs(step)
    yield from _links(step)
    yield from _marks(step, depth)
    yield from _quotas(step)
    yield from _leases(step)
    if depth.is_deep:
        yield from scrub.contents(configured_storage(), step, is_repairing=depth.is_repairing)


def parameters_of(wanted: dict[str, Any]) -> dict[str, bool]:
    """Check the parameters of a run or schedule. Raises ``BadRequest`` (with ``field``)."""
    found = {}
    for name in ("deep", "repair"):
        value = wanted.get(name, False)
        if not isinstance(value, bool):
            raise BadRequest(f"{name} must be true or false.", field=name)
        found[name] = value
    if found["repair"] and not found["deep"]:
        raise BadRequest("Only a deep check repairs; reconcile mends the rest.", field="repair")
    return found


def run(run: Run) -> None:
    """Check everything as a job, which fails where something is found and not mended."""
    given = parameters_of(run.parameters)
    counts: dict[str, int] = {}

    def step(check: str) -> None:
        hit("fsck.step")
        if check:
            counts[check] = counts.get(check, 0) + 1
        run.progress(done=sum(counts.values()), unit="rows", message=check or None)

    run.progress(total=_amount() + (Blob.objects.count() if given["deep"] else 0))
    if not is_in_reach():
        run.log("the storage is not reachable from here: blobs are not looked at")
    found = mended = 0
    execution = run.task.execution
    ReportLine.objects.of(execution.pk).filter(outcome=Outcome.FOUND).delete()
    for finding in findings(step, Depth(given["deep"], given["repair"])):
        outcome = Outcome.REPAIRED if finding.is_mended else Outcome.FOUND
        mended += finding.is_mended
        found += not finding.is_mended
        run.log(str(finding))
        if found + mended <= _MAX_LINES:
            line = reports.line(
                execution, outcome, finding.check, finding.subject, reason=finding.problem
            )
            reports.write([line])
    for check, count in counts.items():
        run.log(f"{check}: {count} looked at")
    run.result(findings=found, mended=mended, **counts)
    if found:
        raise DamageFound(f"{found} findings; the log names each")
    run.log("all is as it should be")


def _amount() -> int:
    """About how many rows will be looked at."""
    return (
        ManifestBody.objects.count()
        + Tag.objects.count()
        + _needed().count()
        + Project.objects.alive().count()
        + 1
    )


def _manifests(step: Step) -> Iterator[Finding]:
    """A manifest's bytes must have its digest."""
    last = ""
    while rows := list(ManifestBody.objects.filter(pk__gt=last).order_by("pk")[: _BATCH // 5]):
        for body in rows:
            if f"sha256:{hashlib.sha256(body.content).hexdigest()}" != body.digest:
                yield Finding("manifest", body.digest, "its bytes have another digest")
            step("manifest")
        last = rows[-1].pk


def _tags(step: Step) -> Iterator[Finding]:
    """A tag must lead to an artifact that is not in the trash, in its own repository."""
    last = 0
    tags = Tag.objects.select_related("artifact", "repository__project").defer("artifact__config")
    while rows := list(tags.filter(pk__gt=last).order_by("pk")[:_BATCH]):
        for tag in rows:
            if not _leads_somewhere(tag) and _is_still_lost(tag.pk):
                name = f"{tag.repository.name}:{tag.name}"
                yield Finding("tag", name, "it leads to no live artifact")
            step("tag")
        last = rows[-1].pk


def _leads_somewhere(tag: Tag) -> bool:
    artifact = tag.artifact
    return (
        artifact is not None
        and artifact.trash_entry_id is None
        and artifact.repository_id == tag.repository_id
    )


def _is_still_lost(tag_id: int) -> bool:
    tag = Tag.objects.select_related("artifact").filter(pk=tag_id).first()
    return tag is not None and not _leads_somewhere(tag)


def _children(step: Step) -> Iterator[Finding]:
    """What a live index holds must live too."""
    broken = ArtifactReference.objects.filter(parent__trash_entry=None).exclude(
        child__trash_entry=None
    )
    for reference in broken.select_related("parent", "child").iterator(chunk_size=_BATCH):
        yield Finding("index", reference.parent.digest, f"{reference.child.digest} is in the trash")
        step("index")


def _needed() -> QuerySet[Blob]:
    """Blobs of live artifacts, their manifests' own digests included."""
    live = Artifact.objects.live()
    return Blob.objects.filter(
        Exists(ArtifactBlob.objects.filter(blob=OuterRef("pk"), artifact__in=live))
        # Of what is not whole yet only the database has the manifest.
        | Exists(live.filter(body_id=OuterRef("pk"), is_complete=True))
    )


def _blobs(step: Step) -> Iterator[Finding]:
    """What a live artifact needs must lie in the storage, as long as the row says."""
    storage, last = configured_storage(), ""
    while rows := list(_needed().filter(pk__gt=last).order_by("pk")[:_BATCH]):
        for blob in rows:
            problem = _blob_problem(storage, blob)
            if problem and _needed().filter(pk=blob.pk).exists():
                yield Finding("blob", blob.digest, problem)
            step("blob")
        last = rows[-1].pk


def _blob_problem(storage: Storage, blob: Blob) -> str:
    if blob.state != Blob.State.LIVE:
        return f"an artifact needs it, and its state is {blob.state}"
    size = storage.size(blob.digest)
    if size is None:
        return "its bytes are missing"
    if blob.size is not None and size != blob.size:
        return f"it has {size} bytes instead of {blob.size}"
    return ""


def _links(step: Step) -> Iterator[Finding]:
    """A live artifact's blobs must be linked in its repository."""
    link = RepositoryBlob.objects.filter(
        repository=OuterRef("artifact__repository"), digest=OuterRef("blob_id")
    )
    unlinked = ArtifactBlob.objects.filter(~Exists(link), artifact__trash_entry=None)
    for row in unlinked.select_related("artifact__repository__project").iterator(_BATCH):
        name = row.artifact.repository.name
        yield Finding("link", name, f"{row.blob_id} is not linked here")
        step("link")


def _marks(step: Step, depth: Depth) -> Iterator[Finding]:
    """What collection passes over must be needed: else it would lie there for ever."""
    for digest in garbage_settling.unneeded():
        if depth.is_repairing:
            garbage_settling.unsettle(digest)
        problem = "marked as needed, and nothing needs it"
        yield Finding("mark", digest, problem, is_mended=depth.is_repairing)
        step("mark")


def _quotas(step: Step) -> Iterator[Finding]:
    """What a project uses must be the sum of what its live artifacts need, each digest once."""
    for project in Project.objects.alive().order_by("pk").iterator(chunk_size=_BATCH):
        if problem := recount.problem(project):
            yield Finding("quota", project.name, problem)
        step("quota")


def _leases(step: Step) -> Iterator[Finding]:
    """No task is held beyond its lease, and no execution outlives its tasks."""
    late = timezone.now() - _OVERDUE
    for task in Task.objects.filter(state__in=HELD, lease_until__lt=late):
        yield Finding("lease", f"task {task.pk}", f"its lease ended at {task.lease_until}")
    ended = Execution.objects.active().annotate(
        left=Count("tasks", filter=Q(tasks__state__in=ACTIVE))
    )
    for execution in ended.filter(left=0, created_at__lt=late):
        yield Finding("lease", f"execution {execution.pk}", "it has no task left and has not ended")
    step("lease")
