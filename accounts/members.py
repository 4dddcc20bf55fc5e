"""Who belongs to a project, and as what."""

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit, outbox
from accounts.errors import Conflict
from accounts.models import Project, ProjectMember, User
from accounts.principals import Actor
from accounts.roles import Role


def add(project: Project, *, user: User, role: Role, actor: Actor) -> ProjectMember:
    """Give a user a role in a project. Raises ``Conflict`` for a member."""
    try:
        return _add(project, user=user, role=role, actor=actor)
    except IntegrityError as error:
        raise Conflict(_("This user is a member already."), field="user") from error


@transaction.atomic
def _add(project: Project, *, user: User, role: Role, actor: Actor) -> ProjectMember:
    member = ProjectMember.objects.create(project=project, user=user, role=role.value)
    audit.record(
        actor,
        "create_member",
        f"{project.name}: {user.username}",
        project=project,
        detail={"role": role.label},
    )
    outbox.emit("member.created", f"project:{project.pk}", username=user.username)
    return member
