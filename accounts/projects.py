"""Making and removing projects; every function writes its audit row in its own transaction."""

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, outbox
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import Project, ProjectMember, User
from accounts.models.projects import RESERVED_PROJECT_NAMES
from accounts.principals import Actor
from accounts.roles import Role

_MAX_BYTES = 2**63 - 1


def create(
    *,
    name: str,
    is_public: bool = False,
    storage_limit: int = -1,
    owner: User | None = None,
    actor: Actor,
) -> Project:
    """Make a project; the owner (the actor where none is given) becomes its administrator.

    Raises ``BadRequest`` (with ``field``) for a name or limit that breaks a rule, ``Conflict``
    for a name that is taken.
    """
    if storage_limit != -1 and not 0 < storage_limit <= _MAX_BYTES:
        raise BadRequest(
            _("The storage limit is a number of bytes above 0, or -1 for none."),
            field="storage_limit",
        )
    if name in RESERVED_PROJECT_NAMES:
        raise BadRequest(_("This name is reserved; choose another."), field="name")
    try:
        return _create(
            Project(name=name, is_public=is_public, storage_limit=storage_limit),
            owner=owner,
            actor=actor,
        )
    except IntegrityError as error:
        # Two at once: the database's constraint decided.
        raise Conflict(_("A project of this name exists."), field="name") from error


@transaction.atomic
def _create(project: Project, *, owner: User | None, actor: Actor) -> Project:
    project.owner = owner or User.objects.get(pk=actor.principal.user_id or 0)
    try:
        project.clean_fields(exclude=["registry_key"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise BadRequest(messages[0], field=field) from error
    if Project.objects.alive().filter(name=project.name).exists():
        raise Conflict(_("A project of this name exists."), field="name")
    project.registry_key = _free_registry_key(project.name)
    project.save(force_insert=True)
    ProjectMember.objects.create(project=project, user=project.owner, role=Role.PROJECT_ADMIN.value)
    audit.record(
        actor,
        "create_project",
        project.name,
        project=project,
        detail={"public": project.is_public},
    )
    outbox.emit("project.created", f"project:{project.pk}", name=project.name)
    return project


@transaction.atomic
def remove(project: Project, *, actor: Actor) -> Project:
    """Delete a project: invisible at once, its name free at once, its tokens void at once.

    Rows and bytes stay until they are collected. Raises ``NotFound`` when it is gone already.
    """
    locked = Project.objects.alive().select_for_update().filter(pk=project.pk).first()
    if locked is None:
        raise NotFound(_("project not found"))
    locked.deleted_at = timezone.now()
    locked.save(update_fields=["deleted_at", "updated_at"])
    audit.record(actor, "delete_project", locked.name, project=locked)
    outbox.emit("project.deleted", f"project:{locked.pk}", name=locked.name)
    return locked


def _free_registry_key(name: str) -> str:
    """The name itself, or ``name--2`` and so on when that key was ever used.

    A double dash cannot stand in a project's name, so no project's name is another one's key.
    """
    key, number = name, 1
    while Project.objects.filter(registry_key=key).exists():
        number += 1
        key = f"{name}--{number}"
    return key
