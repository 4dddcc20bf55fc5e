"""Pins: tags that somebody wants kept, whatever a retention policy says."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import NotFound
from accounts.principals import Actor
from registry_sync.models import Repository, Tag, TagPin


@transaction.atomic
def pin(repository: Repository, name: str, *, actor: Actor) -> TagPin:
    """Keep a tag; twice is as good as once. Raises ``NotFound`` for a tag that is not there."""
    tags = Tag.objects.filter(repository=repository, artifact__isnull=False)
    if "\0" in name or not tags.filter(name=name).exists():
        raise NotFound(_("tag not found"))
    found, is_new = TagPin.objects.get_or_create(
        repository=repository,
        name=name,
        defaults={"pinned_by": actor.principal.name, "pinned_at": timezone.now()},
    )
    if is_new:
        resource = f"{repository.name}:{name}"
        audit.record(actor, "pin_tag", resource, project=repository.project)
    return found


@transaction.atomic
def unpin(repository: Repository, name: str, *, actor: Actor) -> None:
    """Let retention decide on a tag again. Raises ``NotFound`` where it is not pinned."""
    pins = TagPin.objects.filter(repository=repository, name=name.replace("\0", ""))
    if not pins.delete()[0]:
        raise NotFound(_("the tag is not pinned"))
    resource = f"{repository.name}:{name}"
    audit.record(actor, "unpin_tag", resource, project=repository.project)
