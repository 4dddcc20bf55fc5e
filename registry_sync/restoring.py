"""Restoring from the trash: a transaction like a push's commit, whole or not at all.

What was pushed again meanwhile lives already; its entry keeps the rest (its accessories, its
tags), and restoring the entry brings that back.
"""

import datetime
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from accounts import audit, outbox
from accounts.errors import Conflict, Denied, NotFound
from accounts.principals import Actor
from registry_sync import trash, usage
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    Blob,
    ManifestBody,
    Repository,
    RepositoryBlob,
    Tag,
    TagEvent,
    TrashEntry,
)
from registry_sync.tag_names import sort_key
from registry_sync.trash import Place

_BATCH = 1000


class Tags(StrEnum):
    """Which of an entry's tags come back."""

    # All of them, or the entry stays where it is.
    ALL = "all"
    # Those whose names nothing else has taken.
    FREE = "free"
    NONE = "none"


@dataclass(slots=True)
class _Plan:
    """What restoring one entry takes."""

    entry: TrashEntry
    artifacts: list[Artifact] = field(default_factory=list)
    tags: list[dict[str, str]] = field(default_factory=list)


def restore(
    repository: Repository, entry_id: int, *, tags: Tags = Tags.ALL, actor: Actor
) -> TrashEntry:
    """Bring back what an entry took, with the manifests an index needs.

    Raises ``NotFound`` where there is no such entry, and ``Conflict`` with the reason where it
    cannot be whole: purged, project full or deleted, image purged, tag taken.
    """
    refused = restore_many(repository, [entry_id], tags=tags, actor=actor)
    if refused:
        raise Conflict(refused[entry_id])
    return TrashEntry.objects.get(pk=entry_id)


def restore_many(
    repository: Repository,
    entry_ids: Collection[int],
    *,
    tags: Tags = Tags.ALL,
    actor: Actor,
    execution_id: int | None = None,
) -> dict[int, str]:
    """Bring back entries of one repository, newest first; return why the others were refused.

    One transaction. Where the quota has no room for all of them, they are tried one by one.
    Raises ``NotFound`` for an entry that is not there.
    """
    try:
        return _restore(repository, entry_ids, tags, actor, execution_id)
    except (Denied, Conflict) as error:
        # Read-only, full, deleted: the transaction is rolled back.
        if len(entry_ids) == 1:
            return dict.fromkeys(entry_ids, str(error))
    refused: dict[int, str] = {}
    for entry_id in sorted(entry_ids, reverse=True):
        refused |= restore_many(
            repository, [entry_id], tags=tags, actor=actor, execution_id=execution_id
        )
    return refused


@transaction.atomic
def _restore(
    repository: Repository,
    entry_ids: Collection[int],
    wanted: Tags,
    actor: Actor,
    execution_id: int | None,
) -> dict[int, str]:
    now = timezone.now()
    place = _place(repository)
    rows = TrashEntry.objects.select_for_update(no_key=True).filter(repository=repository)
    entries = list(rows.filter(pk__in=entry_ids).order_by("-pk"))
    if len(entries) != len(set(entry_ids)):
        raise NotFound(_("there is no such entry in the trash"))
    plans, refused = _plans(place, entries, wanted, now)
    artifacts = _with_children([artifact for plan in plans for artifact in plan.artifacts])
    trash.lock_artifacts(artifacts)
    _count(place, artifacts, now)
    for start in range(0, len(artifacts), _BATCH):
        ids = [artifact.pk for artifact in artifacts[start : start + _BATCH]]
        Artifact.objects.filter(pk__in=ids).update(trash_entry=None)
    _put_back_tags(place, plans, actor, execution_id, now)
    for plan in plans:
        plan.entry.state, plan.entry.ended_at = TrashEntry.State.RESTORED, now
        _announce(place, plan, actor, execution_id)
    TrashEntry.objects.bulk_update([plan.entry for plan in plans], ["state", "ended_at"], 200)
    if plans:
        _show(place)
    return refused


def _place(repository: Repository) -> Place:
    try:
        return trash.lock(repository)
    except NotFound as error:
        raise Conflict(_("its project was deleted; restore that first")) from error


def _plans(
    place: Place, entries: list[TrashEntry], wanted: Tags, now: datetime.datetime
) -> tuple[list[_Plan], dict[int, str]]:
    """Decide for each entry, the newest first, whether it can come back, and with what."""
    held: dict[int, list[Artifact]] = {}
    for artifact in Artifact.objects.filter(trash_entry__in=entries).defer("config"):
        held.setdefault(artifact.trash_entry_id or 0, []).append(artifact)
    taken = _targets(place, entries)
    known = _states(place, entries)
    plans, refused = [], {}
    for entry in entries:
        plan = _Plan(entry, held.get(entry.pk, []))
        coming = {artifact.digest for artifact in plan.artifacts}
        reason = _over(entry, now)
        if not reason and wanted != Tags.NONE:
            reason = _plan_tags(plan, coming, taken, known, is_lenient=wanted == Tags.FREE)
        if reason:
            refused[entry.pk] = reason
            continue
        plans.append(plan)
        taken |= {tag["name"]: tag["digest"] for tag in plan.tags}
        known |= dict.fromkeys(coming, True)
    return plans, refused


def _plan_tags(
    plan: _Plan,
    coming: set[str],
    taken: dict[str, str],
    known: dict[str, bool],
    *,
    is_lenient: bool,
) -> str:
    """Choose the tags that come back; return why the entry cannot be whole, if so."""
    for tag in plan.entry.tags:
        at = taken.get(tag["name"])
        reason = ""
        if at is None and tag["digest"] not in coming:
            reason = _missing(tag["digest"], known)
        elif at is not None and at != tag["digest"] and not is_lenient:
            reason = _(
                "the tag %(tag)s points to %(digest)s now; restore without the tags that are taken"
            ) % {"tag": tag["name"], "digest": at[:19]}
        if reason:
            return reason
        if at is None:
            plan.tags.append(tag)
    return ""


def _over(entry: TrashEntry, now: datetime.datetime) -> str:
    if entry.state == TrashEntry.State.RESTORED:
        return _("it was restored already")
    if entry.state == TrashEntry.State.PURGED or entry.purge_at <= now:
        return _("its time in the trash is over")
    return ""


def _missing(digest: str, known: dict[str, bool]) -> str:
    """Say why a tag cannot point to a digest; nothing where it can."""
    if digest not in known:
        return _("the image %(digest)s was purged") % {"digest": digest[:19]}
    if not known[digest]:
        return _("the image %(digest)s is in the trash itself; restore that first") % {
            "digest": digest[:19]
        }
    return ""


def _targets(place: Place, entries: Iterable[TrashEntry]) -> dict[str, str]:
    """Return where each of the entries' tags points now, if it is there."""
    names = sorted({name for entry in entries for name in entry.tag_names})
    found: dict[str, str] = {}
    for start in range(0, len(names), _BATCH):
        rows = Tag.objects.filter(
            repository=place.repository,
            name__in=names[start : start + _BATCH],
            artifact__isnull=False,
        )
        found |= dict(rows.values_list("name", "artifact__body_id"))
    return found


def _states(place: Place, entries: Iterable[TrashEntry]) -> dict[str, bool]:
    """Return which of the digests that tags pointed to are there, and whether they live."""
    digests = sorted({tag["digest"] for entry in entries for tag in entry.tags})
    found: dict[str, bool] = {}
    for start in range(0, len(digests), _BATCH):
        rows = Artifact.objects.filter(
            repository=place.repository, body_id__in=digests[start : start + _BATCH]
        )
        found |= {digest: at is None for digest, at in rows.values_list("body_id", "trash_entry")}
    return found


def _with_children(artifacts: list[Artifact]) -> list[Artifact]:
    """Add the manifests that indexes among them need and that are in the trash too."""
    found = {artifact.pk: artifact for artifact in artifacts}
    wave = list(artifacts)
    while wave:
        parents = [a.pk for a in wave if a.kind == Artifact.Kind.INDEX]
        if not parents:
            break
        children = Artifact.objects.filter(parents__parent_id__in=parents).distinct()
        trashed = children.exclude(trash_entry=None).defer("config")
        wave = [child for child in trashed if child.pk not in found]
        found |= {child.pk: child for child in wave}
    return sorted(found.values(), key=lambda artifact: artifact.pk)


def _count(place: Place, artifacts: list[Artifact], now: datetime.datetime) -> None:
    """Hold every blob they need, and count it. Raises ``Conflict``, ``Denied`` where it is full.

    A restorable artifact's blobs are never collected; this proves it once more under the locks.
    """
    needed = {artifact.digest for artifact in artifacts if artifact.is_complete}
    # Of what a proxy project has not wholly fetched only the database has the manifest.
    partial = {artifact.digest for artifact in artifacts if not artifact.is_complete}
    bodies = ManifestBody.objects.filter(pk__in=partial).annotate(length=Length("content"))
    usage.add(place.usage, place.project, dict(bodies.values_list("pk", "length")))
    ids = [artifact.pk for artifact in artifacts]
    for start in range(0, len(ids), _BATCH):
        edges = ArtifactBlob.objects.filter(artifact_id__in=ids[start : start + _BATCH])
        needed |= set(edges.values_list("blob_id", flat=True))
    digests = sorted(needed)
    for start in range(0, len(digests), _BATCH):
        part = digests[start : start + _BATCH]
        rows = Blob.objects.select_for_update(no_key=True).filter(digest__in=part)
        live = rows.filter(state=Blob.State.LIVE).order_by("digest")
        sizes = {digest: size or 0 for digest, size in live.values_list("digest", "size")}
        if lost := set(part) - sizes.keys():
            raise Conflict(_("%(digest)s was collected") % {"digest": min(lost)})
        Blob.objects.filter(digest__in=part).update(touched_at=now)
        links = RepositoryBlob.objects.filter(repository=place.repository, digest__in=part)
        links.update(touched_at=now)
        usage.add(place.usage, place.project, sizes)


def _put_back_tags(
    place: Place,
    plans: list[_Plan],
    actor: Actor,
    execution_id: int | None,
    now: datetime.datetime,
) -> None:
    tags = [tag for plan in plans for tag in plan.tags]
    digests = sorted({tag["digest"] for tag in tags})
    ids: dict[str, int] = {}
    for start in range(0, len(digests), _BATCH):
        rows = Artifact.objects.live().filter(
            repository=place.repository, body_id__in=digests[start : start + _BATCH]
        )
        ids |= dict(rows.values_list("body_id", "pk"))
    Tag.objects.bulk_create(
        [
            Tag(
                repository=place.repository,
                name=tag["name"],
                artifact_id=ids[tag["digest"]],
                sort_key=sort_key(tag["name"]),
                pushed_by_id=tag["pushed_by_id"],
                pushed_by_name=tag["pushed_by_name"],
                pushed_at=parse_datetime(tag["pushed_at"]) or now,
            )
            for tag in tags
        ],
        batch_size=_BATCH,
    )
    TagEvent.objects.bulk_create(
        [
            TagEvent(
                repository=place.repository,
                tag=tag["name"],
                to_digest=tag["digest"],
                action=TagEvent.Action.RESTORE,
                actor_kind=actor.principal.kind,
                actor_id=actor.principal.user_id,
                actor_name=actor.principal.name,
                address=actor.address,
                client=actor.client,
                execution_id=execution_id,
                at=now,
            )
            for tag in tags
        ],
        batch_size=_BATCH,
    )


def _announce(place: Place, plan: _Plan, actor: Actor, execution_id: int | None) -> None:
    entry = plan.entry
    names = [tag["name"] for tag in plan.tags]
    detail: dict[str, object] = {"trash": entry.pk, "digest": entry.digest, "tags": names[:100]}
    if execution_id is not None:
        detail["execution"] = execution_id
    resource = f"{place.name}@{entry.digest}" if entry.digest else place.name
    audit.record(actor, f"restore_{entry.kind}", resource, project=place.project, detail=detail)
    outbox.emit(
        f"{entry.kind}.restored",
        f"repository:{place.repository.pk}",
        repository=place.name,
        digest=entry.digest,
        tags=names[:100],
        actor=actor.principal.name,
        client=actor.client,
    )


def _show(place: Place) -> None:
    """Show the repository again, with the time of the last push into it."""
    if place.repository.pushed_at is None:
        live = Artifact.objects.live().filter(repository=place.repository)
        last = live.aggregate(last=Max("pushed_at"))["last"]
        Repository.objects.filter(pk=place.repository.pk).update(pushed_at=last)
