"""Making, changing and deleting labels; putting them on artifacts and taking them off."""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import Project
from accounts.principals import Actor
from registry_sync.models import Artifact, ArtifactLabel, Label


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


@transaction.atomic
def attach(artifact: Artifact, label: Label, *, actor: Actor) -> ArtifactLabel:
    """Put a label of the system, or of the artifact's project, on an artifact.

    Raises ``NotFound`` for another project's label or where either is gone, and ``Conflict``
    where it is on it already.
    """
    repository = artifact.repository
    if label.project_id not in {None, repository.project_id}:
        raise NotFound(_("label not found"))
    # Locked, so that neither goes away between the question and the row that names it.
    if not Label.objects.select_for_update(no_key=True).filter(pk=label.pk).exists():
        raise NotFound(_("label not found"))
    live = Artifact.objects.live().select_for_update(of=("self",), no_key=True)
    if not live.filter(pk=artifact.pk).exists():
        raise NotFound(_("artifact not found"))
    labeling, is_new = ArtifactLabel.objects.get_or_create(artifact=artifact, label=label)
    if not is_new:
        raise Conflict(_("The artifact has this label."), field="label")
    _record_labeling(artifact, label, "create_artifact_label", actor)
    return labeling


@transaction.atomic
def detach(artifact: Artifact, label: Label, *, actor: Actor) -> None:
    """Take a label off an artifact. Raises ``NotFound`` where it is not on it."""
    if not ArtifactLabel.objects.filter(artifact=artifact, label=label).delete()[0]:
        raise NotFound(_("The artifact does not have this label."))
    _record_labeling(artifact, label, "delete_artifact_label", actor)


def _record_labeling(artifact: Artifact, label: Label, action: str, actor: Actor) -> None:
    repository = artifact.repository
    resource = f"{repository.name}@{artifact.digest}"
    audit.record(actor, action, resource, project=repository.project, detail={"label": label.name})


def usable_in(project: Project) -> QuerySet[Label]:
    """Return the labels that the project's artifacts may have: the system's and its own."""
    return Label.objects.filter(Q(project=None) | Q(project=project))


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
