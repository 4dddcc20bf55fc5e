"""Changing a repository's description, and emptying a repository into the trash."""

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from accounts import audit, outbox
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.principals import Actor
from registry_sync import trash, usage
from registry_sync.models import Artifact, ArtifactReference, Repository

MAX_DESCRIPTION = 65_536


@transaction.atomic
def describe(repository: Repository, *, description: str, actor: Actor) -> Repository:
    """Set what people are told about it, in Markdown. Raises ``BadRequest`` (with ``field``)."""
    if len(description) > MAX_DESCRIPTION or "\0" in description:
        raise BadRequest(
            _("A description has at most %(max)d characters.") % {"max": MAX_DESCRIPTION},
            field="description",
        )
    locked = Repository.objects.select_for_update(no_key=True, of=("self",)).get(pk=repository.pk)
    locked.description = description
    locked.save(update_fields=["description"])
    audit.record(actor, "update_repository", repository.name, project=repository.project)
    return locked


def remove(repository: Repository, *, actor: Actor) -> int:
    """Put every artifact into the trash, one by one, and hide the repository.

    Returns how many deletions it took. What is pushed meanwhile stays, and with it the
    repository: that is a ``Conflict``. ``NotFound`` where it is not there.
    """
    count = 0
    while digest := _removable(repository).values_list("body_id", flat=True).first():
        trash.delete_artifact(repository, digest, actor=actor)
        count += 1
    _hide(repository, actor)
    return count


def _removable(repository: Repository) -> QuerySet[Artifact]:
    """Artifacts that no index holds; taking those first frees what they held."""
    parents = ArtifactReference.objects.filter(child=OuterRef("pk"), parent__trash_entry=None)
    live = Artifact.objects.live().filter(repository=repository)
    return live.filter(~Exists(parents)).order_by("pk")


@transaction.atomic
def _hide(repository: Repository, actor: Actor) -> None:
    usage.lock(repository.project_id)
    locked = Repository.objects.select_for_update(no_key=True, of=("self",)).get(pk=repository.pk)
    if locked.pushed_at is None:
        raise NotFound(_("repository not found"))
    if Artifact.objects.live().filter(repository=repository).exists():
        raise Conflict(_("Something was pushed into the repository meanwhile; try again."))
    locked.pushed_at = None
    locked.save(update_fields=["pushed_at"])
    audit.record(actor, "delete_repository", repository.name, project=repository.project)
    outbox.emit("repository.deleted", f"repository:{repository.pk}", repository=repository.name)
