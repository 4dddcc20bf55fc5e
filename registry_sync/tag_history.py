"""A tag's history: where it pointed, from when until when; going back, and forgetting."""

import datetime
from collections.abc import Collection
from enum import StrEnum

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, outbox
from accounts.errors import Conflict, NotFound
from accounts.principals import Actor
from registry_sync import admission, immutability, restoring, trash
from registry_sync.models import Artifact, Repository, Tag, TagEvent
from registry_sync.restoring import Tags
from registry_sync.runs import Run
from registry_sync.tag_names import sort_key
from registry_sync.trash import Place

KIND = "tag-history"
_LOOKED_AT = 2000


class Whereabouts(StrEnum):
    """Where an image is to which a tag pointed."""

    LIVE = "live"
    TRASHED = "trashed"
    GONE = "gone"


def states(repository: Repository, tag: str = "") -> QuerySet[TagEvent]:
    """Return a repository's states, or one tag's, the newest first; ``until`` is each one's end.

    The end of the current state is empty. A state without ``to_digest`` is the absence of the tag.
    """
    found = TagEvent.objects.filter(repository=repository)
    if tag:
        found = found.filter(tag=tag)
    return found.annotate(until=Subquery(_later().values("at")[:1])).order_by("-pk")


def end_of(state: TagEvent) -> datetime.datetime | None:
    """Return when one of ``states`` ended; nothing for a current one."""
    found: datetime.datetime | None = getattr(state, "until", None)
    return found


def _later() -> QuerySet[TagEvent]:
    """Return what came after a state, the next one first."""
    later = TagEvent.objects.filter(repository=OuterRef("repository"), tag=OuterRef("tag"))
    return later.filter(pk__gt=OuterRef("pk")).order_by("pk")


def whereabouts(repository: Repository, digests: Collection[str]) -> dict[str, Whereabouts]:
    """Tell of each digest where its image is now; one query."""
    rows = Artifact.objects.filter(repository=repository, body_id__in=set(digests))
    there = dict(rows.values_list("body_id", "trash_entry"))
    return {
        digest: Whereabouts.GONE
        if digest not in there
        else Whereabouts.LIVE
        if there[digest] is None
        else Whereabouts.TRASHED
        for digest in digests
    }


# --- Going back -----------------------------------------------------------------------------------


@transaction.atomic
def go_back(repository: Repository, event_id: int, *, actor: Actor) -> Tag:
    """Let a tag point again to where it pointed in an earlier state.

    An image that lies in the trash is restored first, with those of its tags whose names are free.
    Raises ``NotFound`` where there is no such state, ``PreconditionFailed`` while an immutable rule
    holds the tag where it is, and ``Conflict`` with the reason where there is no way back.
    """
    place = _place(repository)
    event = TagEvent.objects.filter(repository=repository, pk=event_id).first()
    if event is None:
        raise NotFound(_("there is no such state"))
    if not event.to_digest:
        raise Conflict(_("the tag was not there then; to have it so again, delete it"))
    admission.require_tag_allowed(actor.principal, event.tag)
    tag = trash.locked_tags(repository, [event.tag])
    current = trash.digest_of(tag[0]) if tag else ""
    if current == event.to_digest:
        raise Conflict(_("the tag points there already"))
    immutability.require_movable(repository, event.tag, current=current, target=event.to_digest)
    artifact = _brought_back(place, event, actor)
    return _point(place, event, artifact, actor)


def _place(repository: Repository) -> Place:
    try:
        return trash.lock(repository)
    except NotFound as error:
        raise Conflict(_("its project was deleted; restore that first")) from error


def _brought_back(place: Place, event: TagEvent, actor: Actor) -> Artifact:
    """Return the state's image, out of the trash where it is there."""
    rows = Artifact.objects.filter(repository=place.repository, body_id=event.to_digest)
    artifact = rows.defer("config").first()
    if artifact is None:
        message = _("the image %(digest)s was purged")
        raise Conflict(message % {"digest": event.to_digest[:19]})
    if artifact.trash_entry_id is not None:
        restoring.restore(place.repository, artifact.trash_entry_id, tags=Tags.FREE, actor=actor)
        artifact = rows.defer("config").get()
    trash.lock_artifacts([artifact])
    return artifact


def _point(place: Place, event: TagEvent, artifact: Artifact, actor: Actor) -> Tag:
    now, caller = timezone.now(), actor.principal
    # Restoring the image may have brought the tag along.
    there = trash.locked_tags(place.repository, [event.tag])
    current = trash.digest_of(there[0]) if there else ""
    if current == artifact.digest:
        return there[0]
    tag, _is_new = Tag.objects.update_or_create(
        repository=place.repository,
        name=event.tag,
        defaults={
            "artifact": artifact,
            "sort_key": sort_key(event.tag),
            "pushed_by_id": caller.user_id,
            "pushed_by_name": caller.name,
            "pushed_at": now,
        },
    )
    TagEvent.objects.create(
        repository=place.repository,
        tag=event.tag,
        from_digest=current,
        to_digest=artifact.digest,
        action=TagEvent.Action.RESTORE,
        actor_kind=caller.kind,
        actor_id=caller.user_id,
        actor_name=caller.name,
        address=actor.address,
        client=actor.client,
        at=now,
    )
    detail: dict[str, object] = {"digest": artifact.digest, "from": current}
    resource = f"{place.name}:{event.tag}"
    audit.record(actor, "restore_tag", resource, project=place.project, detail=detail)
    outbox.emit(
        "tag.restored",
        f"repository:{place.repository.pk}",
        repository=place.name,
        digest=artifact.digest,
        tags=[event.tag],
        actor=caller.name,
    )
    return tag


# --- Forgetting -----------------------------------------------------------------------------------


def forget(before: datetime.datetime, *, after: int, limit: int) -> tuple[int, int]:
    """Delete states that ended before then, of the next ``limit`` with a number above ``after``.

    Returns how many went, and the last number that was looked at, 0 at the end. What is current
    stays, however old; of a tag that is gone, nothing is.
    """
    looked_at = list(
        TagEvent.objects.filter(pk__gt=after, at__lt=before)
        .order_by("pk")
        .values_list("pk", flat=True)[:limit]
    )
    if not looked_at:
        return 0, 0
    ended = Exists(_later().filter(at__lt=before))
    absent = Q(to_digest="") & ~Exists(_later())
    old = TagEvent.objects.filter(pk__gt=after, pk__lte=looked_at[-1], at__lt=before)
    # By number: a statement that deletes may not look for later rows in its own table on the way.
    going = list(old.filter(ended | absent).values_list("pk", flat=True))
    count = 0
    for start in range(0, len(going), 500):
        count += TagEvent.objects.filter(pk__in=going[start : start + 500]).delete()[0]
    return count, looked_at[-1]


def run(run: Run) -> None:
    """Forget what ended so long ago as the setting says, in short transactions."""
    before = timezone.now() - datetime.timedelta(days=settings.MOORAGE_TAG_HISTORY_DAYS)
    last, forgotten = 0, 0
    run.progress(done=0, unit="states")
    while True:
        count, last = forget(before, after=last, limit=_LOOKED_AT)
        forgotten += count
        if not last:
            break
        run.progress(done=forgotten)
    run.log(f"forgot {forgotten} states that ended before {before:%Y-%m-%d}")
    run.result(forgotten=forgotten)
