"""Deleting a project with what it holds."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import projects
from accounts.errors import PreconditionFailed
from accounts.models import Project
from accounts.principals import Actor
from registry_sync import immutability, usage
from registry_sync.models import Tag


@transaction.atomic
def remove(project: Project, *, actor: Actor) -> Project:
    """Put a project into the trash.

    Raises ``NotFound`` when it is gone already, ``PreconditionFailed`` while an immutable rule
    holds one of its tags.
    """
    usage.lock(project.pk)
    held = held_tag(project)
    if held:
        raise PreconditionFailed(
            _("The tag %(tag)s is immutable; delete the project's immutable rules first.")
            % {"tag": held}
        )
    return projects.remove(project, actor=actor)


def held_tag(project: Project) -> str:
    """Return one tag that an immutable rule holds, ``app:1.0``; empty where there is none."""
    rules = immutability.rules_of(project.pk)
    if not rules:
        return ""
    tags = Tag.objects.filter(repository__project=project, artifact__isnull=False)
    names = tags.order_by().values_list("repository__path", "name")
    for path, tag in names.iterator():
        if immutability.holding(rules, path, tag):
            return f"{path}:{tag}"
    return ""
