"""Giving up what is in the trash: at somebody's word, or when its time is over."""

import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, projects
from accounts.errors import Conflict, NotFound
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR, Actor
from registry_sync import usage
from registry_sync.failpoints import hit
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    Blob,
    ManifestBody,
    ProjectBlob,
    Repository,
    RepositoryBlob,
    Tag,
    TrashEntry,
)
from registry_sync.runs import Run

KIND = "trash-purge"
# Entries in one run at most, so that it ends; the next one goes on.
_MOST = 20_000
_BATCH = 500
# How long an entry says what became of it.
_KEEP_ENDED = datetime.timedelta(days=90)


@transaction.atomic
def purge(repository: Repository, entry_id: int, *, actor: Actor) -> TrashEntry:
    """Give up what one entry holds: it can never be restored.

    An image that an index in the trash needs is handed over to that index's entry. Each blob's
    grace begins anew before it may be collected. Raises ``NotFound``, and ``Conflict`` where the
    entry was restored or purged already.
    """
    now = timezone.now()
    Repository.objects.select_for_update(no_key=True).get(pk=repository.pk)
    changed = TrashEntry.objects.filter(
        pk=entry_id, repository=repository, state=TrashEntry.State.TRASHED
    ).update(state=TrashEntry.State.PURGED, ended_at=now)
    entry = TrashEntry.objects.filter(pk=entry_id, repository=repository).first()
    if entry is None:
        raise NotFound(_("there is no such entry in the trash"))
    if not changed:
        raise Conflict(_("it was restored or purged already"))
    _hand_over(entry)
    ids = list(
        Artifact.objects.filter(trash_entry=entry).order_by("pk").values_list("pk", flat=True)
    )
    for start in range(0, len(ids), _BATCH):
        _give_up(repository, ids[start : start + _BATCH], now)
    project = Project.objects.get(pk=repository.project_id)
    resource = f"{project.name}/{repository.path}"
    if entry.digest:
        resource += f"@{entry.digest}"
    detail = {"trash": entry.pk, "artifacts": len(ids), "tags": entry.tag_count}
    audit.record(actor, f"purge_{entry.kind}", resource, project=project, detail=detail)
    return entry


def _hand_over(entry: TrashEntry) -> None:
    """Give what indexes of other entries need to those entries, nested ones in their turn."""
    while True:
        edges = ArtifactReference.objects.filter(
            child__trash_entry=entry, parent__trash_entry__isnull=False
        ).exclude(parent__trash_entry=entry)
        heirs = dict(edges.values_list("child_id", "parent__trash_entry_id"))
        if not heirs:
            return
        for child_id, heir_id in heirs.items():
            Artifact.objects.filter(pk=child_id).update(trash_entry_id=heir_id)


def _give_up(repository: Repository, ids: list[int], now: datetime.datetime) -> None:
    """Remove artifacts with their edges; count the grace of what they needed anew."""
    edges = ArtifactBlob.objects.filter(artifact_id__in=ids)
    digests = set(edges.values_list("blob_id", flat=True))
    digests |= set(Artifact.objects.filter(pk__in=ids).values_list("body_id", flat=True))
    rows = Blob.objects.select_for_update(no_key=True).filter(digest__in=digests)
    list(rows.order_by("digest").values_list("digest", flat=True))
    held = Blob.objects.filter(digest__in=digests, state=Blob.State.LIVE)
    held.update(touched_at=now, is_settled=False)
    links = RepositoryBlob.objects.filter(repository=repository, digest__in=digests)
    links.update(touched_at=now, is_settled=False)
    # Indexes and what they hold may be in one batch or in two.
    ArtifactReference.objects.filter(parent_id__in=ids).delete()
    needed = ArtifactReference.objects.filter(child_id__in=ids)
    inner = set(needed.values_list("child_id", flat=True))
    ArtifactReference.objects.filter(child_id__in=inner).delete()
    bodies = set(Artifact.objects.filter(pk__in=ids).values_list("body_id", flat=True))
    Artifact.objects.filter(pk__in=ids).delete()
    # A push of the same manifest has to hold the digest's row, which is locked here.
    others = Artifact.objects.filter(body=OuterRef("pk"))
    ManifestBody.objects.filter(~Exists(others), pk__in=bodies).delete()
    # What is garbage from here on is so because of this purge: collection asks.
    Blob.objects.filter(
        ~Exists(ArtifactBlob.objects.filter(blob=OuterRef("pk"))),
        ~Exists(Artifact.objects.filter(body=OuterRef("pk"))),
        digest__in=digests,
    ).update(released_at=now)


def run(run: Run) -> None:
    """Purge what is over, the oldest first, entry by entry; then deleted projects that are."""
    now = timezone.now()
    expired = TrashEntry.objects.expired(now).order_by("purge_at", "pk")
    total = min(expired.count(), _MOST)
    run.progress(done=0, total=total, unit="entries")
    done = 0
    while done < total:
        batch = list(expired.select_related("repository").defer("tags")[:100])
        if not batch:
            break
        for entry in batch:
            done += _purged(run, entry)
            run.progress(done=done)
    run.log(f"purged {done} entries")
    gone = 0
    for project in Project.objects.trashed().filter(purge_at__lte=now).order_by("pk"):
        purge_project(project, run=run)
        gone += 1
    run.log(f"purged {gone} projects")
    old = TrashEntry.objects.exclude(state=TrashEntry.State.TRASHED)
    ids = old.filter(ended_at__lt=now - _KEEP_ENDED).values_list("pk", flat=True)[:_MOST]
    forgotten = TrashEntry.objects.filter(pk__in=list(ids)).delete()[0]
    run.log(f"forgot {forgotten} entries that ended long ago")
    run.result(entries=done, projects=gone, forgotten=forgotten)


def _purged(run: Run, entry: TrashEntry) -> int:
    hit("trash_purge.entry")
    with transaction.atomic():
        run.hold()
        try:
            purge(entry.repository, entry.pk, actor=SYSTEM_ACTOR)
        except Conflict:
            return 0  # Somebody restored or purged it meanwhile.
    return 1


def purge_project(project: Project, *, run: Run) -> None:
    """Give up everything that a deleted project held whose time is over, in short transactions.

    May be ended in the middle and begun again.
    """
    repositories = list(Repository.objects.filter(project=project).order_by("pk"))
    for repository in repositories:
        while _emptied(repository, run):
            run.check()
    with transaction.atomic():
        used = usage.lock(project.pk)
        ProjectBlob.objects.filter(project=project).delete()
        used.used_bytes = 0
        used.save(update_fields=["used_bytes"])
        projects.mark_purged(project, actor=SYSTEM_ACTOR)


@transaction.atomic
def _emptied(repository: Repository, run: Run) -> int:
    """Remove a batch of a repository's artifacts, indexes first; return how many."""
    run.hold()
    now = timezone.now()
    Repository.objects.select_for_update(no_key=True).get(pk=repository.pk)
    TrashEntry.objects.filter(repository=repository, state=TrashEntry.State.TRASHED).update(
        state=TrashEntry.State.PURGED, ended_at=now
    )
    free = Artifact.objects.filter(repository=repository, parents=None).order_by("pk")
    ids = list(free.values_list("pk", flat=True)[:_BATCH])
    Tag.objects.filter(artifact_id__in=ids).delete()
    if ids:
        _give_up(repository, ids, now)
    return len(ids)
