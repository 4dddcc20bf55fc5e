"""Changing what a repository says of itself."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import BadRequest
from accounts.principals import Actor
from registry_sync.models import Repository

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
