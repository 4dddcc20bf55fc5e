"""Deleting tags by a filter, and taking a whole run back: jobs, in short transactions.

Both may be ended in the middle and begun again: what is done is not done twice.
"""

import datetime
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.errors import BadRequest, NotFound
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from registry_sync import freeing, immutability, restoring, tag_deletions, tag_filters
from registry_sync.failpoints import hit
from registry_sync.models import Execution, Repository, Tag, TrashEntry
from registry_sync.portions import Portion
from registry_sync.runs import Run

DELETION = "tag-deletion"
UNDO = "trash-undo"
# Tags in one transaction: a push into the repository waits for one of these at most.
BATCH = 100
MAX_NAMES = 1000
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tags of a repository are meant: those that match ``query``, or those of ``names``."""

    query: str = ""
    names: tuple[str, ...] = ()

    def tags(self, repository: Repository) -> QuerySet[Tag]:
        """Return them; the tags that tools use among themselves follow their images."""
        tags = tag_filters.tags_for_people(Tag.objects.filter(repository=repository))
        if self.names:
            return tags.filter(name__in=self.names)
        return tag_filters.matching(tags, self.query)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a deletion would do, as it looks now."""

    tags: int
    # The first of them, in the order of the page of tags.
    names: list[str]
    images: int
    freed_bytes: int
    # Tags that match and that an immutable rule holds: they stay.
    immutable: int


def parameters_of(
    repository: Repository, selection: Selection, *, with_images: bool
) -> dict[str, Any]:
    """Check what is to be deleted, and write it down for the job. Raises ``BadRequest``."""
    if not selection.query.strip() and not selection.names:
        raise BadRequest(_("Say which tags: a filter, or names; * means all."), field="q")
    if len(selection.query) > tag_filters.MAX_QUERY or "\0" in selection.query:
        raise BadRequest(_("The filter is too long."), field="q")
    if len(selection.names) > MAX_NAMES:
        message = _("At most %(max)d names; use a filter.") % {"max": MAX_NAMES}
        raise BadRequest(message, field="names")
    return {
        "repository": repository.pk,
        "query": selection.query.strip(),
        "names": list(selection.names),
        "with_images": with_images,
    }


def preview(repository: Repository, selection: Selection, *, with_images: bool) -> Preview:
    """Tell what would be deleted; the run decides anew."""
    tags = selection.tags(repository)
    found = list(tags.order_by("-sort_key", "-id").values_list("name", "artifact_id"))
    held = immutability.held_among(repository, [name for name, _id in found])
    rows = [(name, artifact_id) for name, artifact_id in found if name not in held]
    images: list[int] = []
    if with_images and rows:
        going = {name for name, _id in rows}
        every = Tag.objects.filter(repository=repository, artifact__isnull=False)
        kept = {pk for name, pk in every.values_list("name", "artifact_id") if name not in going}
        images = sorted({artifact_id for _name, artifact_id in rows} - kept)
    freed = sum(freeing.freed_by(repository.project_id, images).values())
    names = [name for name, _id in rows[:_SHOWN]]
    return Preview(len(rows), names, len(images), freed, len(held))


def run_deletion(run: Run) -> None:
    """Delete the tags that match and were there when the run was ordered, in batches."""
    execution = run.task.execution
    repository = Repository.objects.filter(pk=run.parameters["repository"]).first()
    if repository is None:
        raise NotFound("the repository is gone")
    names = tuple(run.parameters["names"])
    tags = Selection(run.parameters["query"], names).tags(repository)
    tags = tags.filter(pushed_at__lte=execution.created_at).order_by("pk")
    actor = actor_of(execution)
    earlier = TrashEntry.objects.filter(execution_id=execution.pk)
    done = sum(earlier.values_list("tag_count", flat=True))
    run.progress(done=done, total=done + tags.count(), unit="tags")
    last, images, freed, portion = 0, 0, 0, Portion(BATCH)
    while rows := list(_next(tags, last)[: portion.size]):
        hit("bulk.batch")
        last = rows[-1][0]
        with portion.atomic():
            run.hold()
            outcome = tag_deletions.delete_tags(
                repository,
                {name: digest for _pk, name, digest in rows},
                with_images=run.parameters["with_images"],
                actor=actor,
                execution_id=execution.pk,
                not_after=execution.created_at,
            )
        for name, reason in outcome.kept.items():
            run.log(f"kept {name}: {reason}")
        done += outcome.tags
        images += outcome.images
        freed += outcome.freed_bytes
        run.progress(done=done)
    run.log(f"deleted {done} tags and {images} images, {freed} bytes")
    run.result(tags=done, images=images, freed_bytes=freed)


def _next(tags: QuerySet[Tag], last: int) -> QuerySet[Tag, tuple[int, str, str]]:
    """The next batch, behind the last one's end: what was kept is not looked at again."""
    return tags.filter(pk__gt=last).values_list("pk", "name", "artifact__body_id")


def undoable(execution_id: int, now: datetime.datetime) -> QuerySet[TrashEntry]:
    """Return what a run deleted and can still be restored."""
    return TrashEntry.objects.restorable(now).filter(execution_id=execution_id)


def run_undo(run: Run) -> None:
    """Restore what a run deleted, the last deletion first, in batches."""
    target = int(run.parameters["execution"])
    execution = run.task.execution
    entries = TrashEntry.objects.filter(execution_id=target)
    waiting = entries.filter(state=TrashEntry.State.TRASHED)
    done = entries.filter(state=TrashEntry.State.RESTORED).count()
    run.progress(done=done, total=done + waiting.count(), unit="entries")
    actor, refused, portion = actor_of(execution), 0, Portion(BATCH)
    for repository_id in sorted(set(waiting.order_by().values_list("repository_id", flat=True))):
        repository = Repository.objects.get(pk=repository_id)
        own = waiting.filter(repository=repository).order_by("-pk")
        border = None
        while ids := list(_before(own, border)[: portion.size]):
            hit("bulk.undo")
            border = ids[-1]
            with portion.atomic():
                run.hold()
                reasons = restoring.restore_many(
                    repository, ids, actor=actor, execution_id=execution.pk
                )
            for entry_id, reason in reasons.items():
                run.log(f"entry {entry_id} stays in the trash: {reason}")
            refused += len(reasons)
            done += len(ids) - len(reasons)
            run.progress(done=done)
    run.log(f"restored {done} entries, {refused} stay in the trash")
    run.result(restored=done, refused=refused, execution=target)


def _before(entries: QuerySet[TrashEntry], border: int | None) -> QuerySet[TrashEntry, int]:
    found = entries if border is None else entries.filter(pk__lt=border)
    return found.values_list("pk", flat=True)


def actor_of(execution: Execution) -> Actor:
    """Return who ordered a run, at work now."""
    if execution.actor_id is not None:
        return Actor(Principal("user", execution.actor_name, execution.actor_id))
    if execution.actor_name == SYSTEM_ACTOR.principal.name:
        return SYSTEM_ACTOR
    return Actor(Principal("robot", execution.actor_name))
