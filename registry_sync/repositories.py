"""Repositories: which of them a caller sees, and what they say of themselves."""

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts import access, audit
from accounts.errors import BadRequest
from accounts.principals import Actor, Principal
from registry_sync.models import Repository

MAX_DESCRIPTION = 65_536


def visible_to(principal: Principal, action: str = "repository:list") -> QuerySet[Repository]:
    """Return those with something in them, in the projects in which the caller may do that.

    Who may everywhere is asked for no list of projects: the database can then follow their names
    and stop when a page is full.
    """
    pushed = Repository.objects.pushed()
    if access.is_everywhere(principal, action):
        return pushed.filter(project__deleted_at=None)
    return pushed.filter(project__in=access.projects_where(principal, action))


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
