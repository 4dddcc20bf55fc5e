"""Who belongs to a project, and as what; every function writes its audit row and event.

Taking rights away voids the registry tokens that the user holds; adding rights leaves them.
"""

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from accounts import audit, outbox
from accounts.errors import Conflict, NotFound, PreconditionFailed
from accounts.models import Project, ProjectMember, User
from accounts.principals import Actor, Principal
from accounts.roles import ROLE_ACTIONS, Role

# More than that nobody looks through; whoever types goes on by the name itself.
_MAX_KNOWN = 500
_LISTING_ROLES = [role.value for role in Role if "member:list" in ROLE_ACTIONS[role]]


def known_to(principal: Principal, *, outside: Project) -> QuerySet[User]:
    """Return the people that somebody can see anyhow, who are not in a project yet, by name.

    That is everybody for administrators, for others who is in one of their projects: nobody learns
    a name here.
    """
    found = User.objects.filter(is_active=True, deleted_at=None)
    if not principal.is_administrator:
        own = ProjectMember.objects.filter(
            user_id=principal.user_id or 0, role__in=_LISTING_ROLES, project__deleted_at=None
        )
        found = found.filter(
            pk__in=ProjectMember.objects.filter(project__in=own.values("project")).values("user")
        )
    there = ProjectMember.objects.filter(project=outside)
    return found.exclude(pk__in=there.values("user")).order_by("username")[:_MAX_KNOWN]


def add(project: Project, *, user: User, role: Role, actor: Actor) -> ProjectMember:
    """Give a user a role in a project. Raises ``Conflict`` for a member."""
    try:
        return _add(project, user=user, role=role, actor=actor)
    except IntegrityError as error:
        raise Conflict(_("This user is a member already."), field="user") from error


@transaction.atomic
def _add(project: Project, *, user: User, role: Role, actor: Actor) -> ProjectMember:
    member = ProjectMember.objects.create(project=project, user=user, role=role.value)
    _record(member, "create", actor, role=role.label)
    return member


@transaction.atomic
def change_role(member: ProjectMember, *, role: Role, actor: Actor) -> ProjectMember:
    """Give a member another role.

    Raises ``PreconditionFailed`` for the project's last administrator, ``NotFound`` for a member
    who left meanwhile.
    """
    locked = _locked(member)
    if locked.role == role.value:
        return locked
    _require_another_administrator(locked)
    former = Role(locked.role)
    locked.role = role.value
    locked.save(update_fields=["role", "updated_at"])
    _void_registry_tokens(locked.user_id)
    _record(locked, "update", actor, role=role.label, former=former.label)
    return locked


@transaction.atomic
def remove(member: ProjectMember, *, actor: Actor) -> None:
    """Take a user out of a project. Raises as ``change_role`` does."""
    locked = _locked(member)
    _require_another_administrator(locked)
    _remove(locked, actor=actor)


def remove_everywhere(user: User, *, actor: Actor) -> None:
    """Take a user who is being deleted out of every project, even as its last administrator.

    Part of the caller's transaction.
    """
    for member in user.memberships.select_related("project", "user"):
        _remove(member, actor=actor)


def _remove(member: ProjectMember, *, actor: Actor) -> None:
    _record(member, "delete", actor, role=Role(member.role).label)
    member.delete()
    _void_registry_tokens(member.user_id)


def _locked(member: ProjectMember) -> ProjectMember:
    """Return the row as it is now, with the project locked: its administrators are counted."""
    Project.objects.select_for_update(no_key=True).get(pk=member.project_id)
    locked = (
        ProjectMember.objects.select_related("project", "user")
        .filter(pk=member.pk, project=member.project_id)
        .first()
    )
    if locked is None:
        raise NotFound(_("member not found"))
    return locked


def _require_another_administrator(member: ProjectMember) -> None:
    if member.role != Role.PROJECT_ADMIN.value:
        return
    others = ProjectMember.objects.filter(
        project=member.project_id, role=Role.PROJECT_ADMIN.value, user__is_active=True
    ).exclude(pk=member.pk)
    if not others.exists():
        raise PreconditionFailed(
            _("This is the project's last administrator; make somebody else one first.")
        )


def _void_registry_tokens(user_id: int) -> None:
    User.objects.filter(pk=user_id).update(rights_epoch=F("rights_epoch") + 1)


def _record(member: ProjectMember, verb: str, actor: Actor, **detail: str) -> None:
    project, username = member.project, member.user.username
    resource = f"{project.name}: {username}"
    audit.record(actor, f"{verb}_member", resource, project=project, detail=detail)
    outbox.emit(f"member.{verb}d", f"project:{project.pk}", username=username)
