"""Moves images that nothing names any more into the trash, for who orders it with a collection.

Untagged is what has no tag, is held by no index, is about no other image (no ``subject``), and was
pushed longer ago than the grace. It can be restored until its time in the trash is over, and only
then do its bytes become garbage.
"""

import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.errors import DomainError
from accounts.principals import Actor
from registry_sync import trash
from registry_sync.failpoints import hit
from registry_sync.models import Artifact, ArtifactReference, Repository, Tag
from registry_sync.runs import Run

_BATCH = 100


def untagged(before: datetime.datetime) -> QuerySet[Artifact]:
    """Return the images that nothing names; ``before``: pushed earlier."""
    held = ArtifactReference.objects.filter(child=OuterRef("pk"), parent__trash_entry=None)
    tagged = Tag.objects.filter(artifact=OuterRef("pk"))
    return Artifact.objects.live().filter(
        ~Exists(tagged), ~Exists(held), subject_digest="", pushed_at__lt=before
    )


def delete(run: Run, *, before: datetime.datetime, actor: Actor) -> int:
    """Put them into the trash, one by one; return how many."""
    rows = untagged(before).order_by("pk").values_list("pk", "repository_id", "body_id")
    run.progress(done=0, total=rows.count(), unit="images", message="untagged")
    last, done = 0, 0
    while batch := list(rows.filter(pk__gt=last)[:_BATCH]):
        last = batch[-1][0]
        for pk, repository_id, digest in batch:
            hit("gc.untagged")
            done += _delete_one(run, pk, repository_id, digest, before=before, actor=actor)
            run.progress(done=done)
    return done


@transaction.atomic
def _delete_one(
    run: Run,
    pk: int,
    repository_id: int,
    digest: str,
    *,
    before: datetime.datetime,
    actor: Actor,
) -> int:
    """Look again under the locks that a push takes; 1 where it went."""
    run.hold()
    repository = Repository.objects.select_related("project").get(pk=repository_id)
    try:
        trash.lock(repository)
        if not untagged(before).filter(pk=pk).exists():
            return 0
        trash.delete_artifact(repository, digest, actor=actor, execution_id=run.task.execution_id)
    except DomainError as error:
        run.log(f"left {repository.name}@{digest}: {error}")
        return 0
    run.log(f"moved {repository.name}@{digest} into the trash")
    return 1
