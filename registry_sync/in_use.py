"""What runs where: reports of clusters and pipelines, which keep images from retention."""

import datetime
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import access, audit
from accounts.errors import BadRequest
from accounts.models import Project
from accounts.principals import Actor
from registry_sync.models import ArtifactReference, DigestInUse

MAX_IMAGES = 5000
MAX_HOURS = 24 * 90
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,253}")
# registry.example:5000/project/repository@sha256:…, with or without the registry's name.
_IMAGE = re.compile(r"(?:[^/@]*[.:][^/@]*/)?([^/@]+)/([^@]+?)(?::[^:@/]+)?@(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Used:
    """One image that runs, as its runtime names it, and what runs it."""

    image: str
    workload: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """How many images a report protects, and how many it named that are not here."""

    kept: int
    ignored: int


@transaction.atomic
def report(images: Collection[Used], *, place: str, hours: int, actor: Actor) -> Receipt:
    """Replace what a cluster (``place``) said before of the projects it may pull from.

    What belongs to other registries, or to projects that the caller may not pull from, is left
    out and only counted. True for so many hours. Raises ``BadRequest`` (with ``field``).
    """
    _check(place, hours, len(images))
    now = timezone.now()
    projects = {
        project.name: project
        for project in access.projects_where(actor.principal, "repository:pull")
    }
    found: dict[tuple[int, str, str], DigestInUse] = {}
    ignored = 0
    for used in images:
        named = _IMAGE.fullmatch(used.image.removeprefix("docker-pullable://"))
        project = projects.get(named[1]) if named else None
        if named is None or project is None:
            ignored += 1
            continue
        workload = used.workload[:512].replace("\0", "")
        found[project.pk, named[3], workload] = DigestInUse(
            project=project,
            digest=named[3],
            place=place,
            workload=workload,
            reported_by=actor.principal.name,
            reported_at=now,
            expires_at=now + datetime.timedelta(hours=hours),
        )
    ids = [project.pk for project in projects.values()]
    earlier = DigestInUse.objects.filter(
        place=place, project_id__in=ids, reported_by=actor.principal.name
    )
    earlier.delete()
    DigestInUse.objects.bulk_create(
        found.values(),
        update_conflicts=True,
        unique_fields=["project", "digest", "place", "workload"],
        update_fields=["reported_by", "reported_at", "expires_at"],
    )
    detail = {"images": len(found), "ignored": ignored, "hours": hours}
    audit.record(actor, "report_in_use", place, detail=detail)
    return Receipt(len(found), ignored)


def _check(place: str, hours: int, count: int) -> None:
    if not _PLACE.fullmatch(place):
        raise BadRequest(_("The name has letters, digits and . _ / - only."), field="cluster")
    if not 1 <= hours <= MAX_HOURS:
        message = _("Hours are a number from 1 to %(max)d.") % {"max": MAX_HOURS}
        raise BadRequest(message, field="hours")
    if count > MAX_IMAGES:
        message = _("At most %(max)d images in one report.") % {"max": MAX_IMAGES}
        raise BadRequest(message, field="images")


def places_of(project: Project, digests: Iterable[str]) -> dict[str, list[DigestInUse]]:
    """Return by digest where it runs; an index runs where one of its manifests does."""
    wanted = set(digests)
    edges = ArtifactReference.objects.filter(
        parent__repository__project=project, parent__body_id__in=wanted
    )
    parents: dict[str, list[str]] = {}
    for child, parent in edges.values_list("child__body_id", "parent__body_id"):
        parents.setdefault(child, []).append(parent)
    current = DigestInUse.objects.current(timezone.now())
    rows = current.filter(project=project, digest__in=wanted | parents.keys())
    found: dict[str, list[DigestInUse]] = {}
    for row in rows:
        for digest in {row.digest, *parents.get(row.digest, [])} & wanted:
            found.setdefault(digest, []).append(row)
    return found


def forget_expired() -> int:
    """Drop reports that are no longer true; return how many."""
    return DigestInUse.objects.filter(expires_at__lt=timezone.now()).delete()[0]
