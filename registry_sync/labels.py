"""Making, changing and deleting labels."""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import Project
from accounts.principals import Actor
from registry_sync.models import Label


@dataclass(frozen=True, slots=True)
class Look:
    """What people choose of a label."""

    name: str
    description: str = ""
    color: str = ""


def create(project: Project | None, *, look: Look, actor: Actor) -> Label:
    """Make a label of a project, or of the system.

    Raises ``BadRequest`` (with ``field``), ``Conflict`` for a name that is taken.
    """
    label = _dressed(Label(project=project), look)
    try:
        return _save(label, "create_label", actor)
    except IntegrityError as error:
        raise Conflict(_("A label of this name exists."), field="name") from error


def update(label: Label, *, look: Look, actor: Actor) -> Label:
    """Change a label. Raises as ``create`` does."""
    try:
        return _save(_dressed(label, look), "update_label", actor)
    except IntegrityError as error:
        raise Conflict(_("A label of this name exists."), field="name") from error


@transaction.atomic
def _save(label: Label, action: str, actor: Actor) -> Label:
    label.save()
    audit.record(actor, action, _resource(label), project=label.project)
    return label


@transaction.atomic
def remove(label: Label, *, actor: Actor) -> None:
    """Delete a label, wherever it was put. Raises ``NotFound``."""
    resource, project = _resource(label), label.project
    if not Label.objects.filter(pk=label.pk).delete()[0]:
        raise NotFound(_("label not found"))
    audit.record(actor, "delete_label", resource, project=project)


def _dressed(label: Label, look: Look) -> Label:
    label.name, label.description, label.color = look.name.strip(), look.description, look.color
    try:
        label.clean_fields(exclude=["project"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise BadRequest(messages[0], field=field) from error
    return label


def _resource(label: Label) -> str:
    return f"{label.project.name}: {label.name}" if label.project else label.name
