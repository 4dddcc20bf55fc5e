"""Making, changing and removing projects; every function writes its audit row and event."""

import datetime
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import access, audit, configuration, outbox
from accounts.errors import BadRequest, Conflict, Denied, NotFound
from accounts.models import Project, ProjectAlias, ProjectMember, User
from accounts.models.projects import RESERVED_PROJECT_NAMES
from accounts.principals import Actor, Principal
from accounts.roles import Role

_MAX_BYTES = 2**63 - 1
MAX_TRASH_DAYS = 365
# How long pulls by a former name work, where the one who renames says nothing else.
ALIAS_DAYS = 30
MAX_ALIAS_DAYS = 365


@dataclass(frozen=True, slots=True)
class Changes:
    """What of a project is to be changed; ``None`` leaves it as it is."""

    is_public: bool | None = None
    is_read_only: bool | None = None
    storage_limit: int | None = None
    trash_days: int | None = None
    reuses_system_allowlist: bool | None = None


def create(
    *,
    name: str,
    is_public: bool = False,
    storage_limit: int | None = None,
    owner: User | None = None,
    is_proxy: bool = False,
    actor: Actor,
) -> Project:
    """Make a project; the owner (the actor where none is given) becomes its administrator.

    ``is_proxy``: filled from another registry; nobody pushes into it, and what is removed is gone
    at once, for it can be fetched again. The limit is the system's default where none is given.
    Raises ``BadRequest`` (with ``field``) for a name or limit that breaks a rule, ``Conflict`` for
    a name that is taken, ``Denied`` where not everyone may make projects.
    """
    access.require_system(actor.principal, "project:create")
    limit = configuration.default_storage_limit() if storage_limit is None else storage_limit
    _require_limit(limit)
    _require_unreserved(name)
    project = Project(name=name, is_public=is_public, storage_limit=limit, is_proxy=is_proxy)
    if is_proxy:
        project.trash_days = 0
    try:
        return _create(project, owner=owner, actor=actor)
    except IntegrityError as error:
        # Two at once: the database's constraint decided.
        raise Conflict(_("A project of this name exists."), field="name") from error


@transaction.atomic
def _create(project: Project, *, owner: User | None, actor: Actor) -> Project:
    project.owner = owner or _owner(actor)
    _require_sound(project)
    project.registry_key = _free_registry_key(project.name)
    project.save(force_insert=True)
    _take_name(project)
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


def _owner(actor: Actor) -> User:
    """The actor; of a robot's project the first administrator, for a robot is no member."""
    if actor.principal.robot_id is not None:
        return User.objects.filter(is_administrator=True, is_active=True).order_by("pk")[0]
    return User.objects.get(pk=actor.principal.user_id or 0)


@transaction.atomic
def update(project: Project, *, changes: Changes, actor: Actor) -> Project:
    """Change a project's switches and limits.

    Raises ``BadRequest`` (with ``field``), ``Denied`` for a storage limit that is not set by an
    administrator, ``NotFound`` for a project that is gone.
    """
    if changes.storage_limit is not None:
        if not access.can_system(actor.principal, "quota:update"):
            raise Denied(_("Only an administrator may set a storage limit."))
        _require_limit(changes.storage_limit)
    if changes.trash_days is not None and not 0 <= changes.trash_days <= MAX_TRASH_DAYS:
        raise BadRequest(
            _("The days in the trash are a number from 0 to %(max)d.") % {"max": MAX_TRASH_DAYS},
            field="trash_days",
        )
    locked = _locked(project)
    detail = {}
    for name in Changes.__slots__:
        wanted = getattr(changes, name)
        if wanted is not None and wanted != getattr(locked, name):
            setattr(locked, name, wanted)
            detail[name] = wanted
    if detail:
        locked.save(update_fields=[*detail, "updated_at"])
        audit.record(actor, "update_project", locked.name, project=locked, detail=detail)
        outbox.emit("project.updated", f"project:{locked.pk}", name=locked.name)
    return locked


def rename(project: Project, *, name: str, alias_days: int = ALIAS_DAYS, actor: Actor) -> Project:
    """Give a project another name; by the former one pulls still work for ``alias_days``.

    Raises ``BadRequest`` (with ``field``), ``Conflict`` for a name that is taken, ``NotFound``.
    """
    if not 0 <= alias_days <= MAX_ALIAS_DAYS:
        raise BadRequest(
            _("The days that the former name still works are a number from 0 to %(max)d.")
            % {"max": MAX_ALIAS_DAYS},
            field="alias_days",
        )
    _require_unreserved(name)
    try:
        return _rename(project, name, datetime.timedelta(days=alias_days), actor)
    except IntegrityError as error:
        raise Conflict(_("A project of this name exists."), field="name") from error


@transaction.atomic
def _rename(project: Project, name: str, alias_life: datetime.timedelta, actor: Actor) -> Project:
    locked = _locked(project)
    former = locked.name
    if name == former:
        return locked
    locked.name = name
    _require_sound(locked)
    locked.save(update_fields=["name", "updated_at"])
    _take_name(locked)
    if alias_life:
        expires_at = timezone.now() + alias_life
        ProjectAlias.objects.create(name=former, project=locked, expires_at=expires_at)
    detail = {"former": former, "alias_days": alias_life.days}
    audit.record(actor, "rename_project", name, project=locked, detail=detail)
    outbox.emit("project.renamed", f"project:{locked.pk}", name=name, former=former)
    return locked


@transaction.atomic
def remove(project: Project, *, actor: Actor) -> Project:
    """Put a project into the trash: invisible, its name free and its tokens void at once.

    It can be restored for as many days as it keeps what is deleted in it. Raises ``NotFound``
    when it is gone already.
    """
    locked = _locked(project)
    now = timezone.now()
    locked.deleted_at = now
    locked.purge_at = now + datetime.timedelta(days=locked.trash_days)
    locked.save(update_fields=["deleted_at", "purge_at", "updated_at"])
    locked.aliases.all().delete()
    audit.record(actor, "delete_project", locked.name, project=locked)
    outbox.emit("project.deleted", f"project:{locked.pk}", name=locked.name)
    return locked


def trashed_for(principal: Principal) -> QuerySet[Project]:
    """Return the deleted projects that the caller may know of: its administrators' own."""
    trashed = Project.objects.trashed()
    if principal.is_administrator or principal.is_auditor:
        return trashed
    own = ProjectMember.objects.filter(
        user_id=principal.user_id or 0, role=Role.PROJECT_ADMIN.value
    )
    return trashed.filter(pk__in=own.values("project_id"))


def restore(project: Project, *, name: str = "", actor: Actor) -> Project:
    """Bring a deleted project back, under another name where one is given.

    Its images were never touched: their place in the registry is not tied to the name. Raises
    ``BadRequest`` (with ``field``), and ``Conflict`` where the name is taken meanwhile or its time
    in the trash is over.
    """
    _require_unreserved(name or project.name)
    try:
        return _restore(project, name or project.name, actor)
    except IntegrityError as error:
        raise Conflict(_("A project of this name exists."), field="name") from error


@transaction.atomic
def _restore(project: Project, name: str, actor: Actor) -> Project:
    locked = _locked_in_trash(project)
    if locked.purge_at is None or locked.purge_at <= timezone.now():
        raise Conflict(_("The project's time in the trash is over."))
    former, locked.name = locked.name, name
    _require_sound(locked)
    locked.deleted_at = locked.purge_at = None
    locked.save(update_fields=["name", "deleted_at", "purge_at", "updated_at"])
    _take_name(locked)
    audit.record(actor, "restore_project", name, project=locked, detail={"former": former})
    outbox.emit("project.restored", f"project:{locked.pk}", name=name)
    return locked


@transaction.atomic
def abandon(project: Project, *, actor: Actor) -> Project:
    """Let a deleted project never be restored; what it held may be given up from now on.

    Raises ``Conflict`` for one that is alive or purged.
    """
    locked = _locked_in_trash(project)
    now = timezone.now()
    if locked.purge_at is None or locked.purge_at > now:
        locked.purge_at = now
        locked.save(update_fields=["purge_at", "updated_at"])
    audit.record(actor, "abandon_project", locked.name, project=locked)
    return locked


@transaction.atomic
def mark_purged(project: Project, *, actor: Actor) -> None:
    """Note that everything a deleted project held was given up."""
    if Project.objects.trashed().filter(pk=project.pk).update(purged_at=timezone.now()):
        audit.record(actor, "purge_project", project.name, project=project)


def _locked_in_trash(project: Project) -> Project:
    locked = Project.objects.trashed().select_for_update().filter(pk=project.pk).first()
    if locked is None:
        raise Conflict(_("The project is not in the trash."))
    return locked


def _locked(project: Project) -> Project:
    locked = Project.objects.alive().select_for_update().filter(pk=project.pk).first()
    if locked is None:
        raise NotFound(_("project not found"))
    return locked


def _require_limit(storage_limit: int) -> None:
    if storage_limit != -1 and not 0 < storage_limit <= _MAX_BYTES:
        raise BadRequest(
            _("The storage limit is a number of bytes above 0, or -1 for none."),
            field="storage_limit",
        )


def _require_unreserved(name: str) -> None:
    if name in RESERVED_PROJECT_NAMES:
        raise BadRequest(_("This name is reserved; choose another."), field="name")


def _require_sound(project: Project) -> None:
    try:
        project.clean_fields(exclude=["registry_key"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise BadRequest(messages[0], field=field) from error
    if Project.objects.alive().filter(name=project.name).exclude(pk=project.pk).exists():
        raise Conflict(_("A project of this name exists."), field="name")


def _take_name(project: Project) -> None:
    """Make sure that the name, just given to the project, is nobody's former one.

    After the write: of two at once, the second waited there and sees the first one's alias.
    """
    aliases = ProjectAlias.objects.filter(name=project.name)
    if aliases.current(timezone.now()).exclude(project=project).exists():
        raise Conflict(_("A project of this name exists."), field="name")
    aliases.delete()


def _free_registry_key(name: str) -> str:
    """The name itself, or ``name--2`` and so on when that key was ever used.

    A double dash cannot stand in a project's name, so no project's name is another one's key.
    """
    key, number = name, 1
    while Project.objects.filter(registry_key=key).exists():
        number += 1
        key = f"{name}--{number}"
    return key
