"""May this principal do that? One table (roles), one function (can), and the token's grants."""

from collections.abc import Iterable
from dataclasses import dataclass

from accounts.errors import Denied, NotFound
from accounts.models import Project, ProjectMember
from accounts.principals import Principal
from accounts.roles import PUBLIC_ACTIONS, ROLE_ACTIONS, Role
from accounts.scopes import Grant, Scope, is_repository_name

# What a docker action asks of the role table.
_DOCKER_ACTIONS = {
    "pull": "repository:pull",
    "push": "repository:push",
    "delete": "repository:delete",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer with its reason, in words that can be shown."""

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


def role_in(principal: Principal, project: Project) -> Role | None:
    """Return the principal's role in the project, if it has one."""
    if principal.user_id is None:
        return None
    member = ProjectMember.objects.filter(project=project, user_id=principal.user_id).first()
    return Role(member.role) if member else None


def can(principal: Principal, action: str, project: Project) -> Decision:
    """Decide one ``resource:verb`` in one project."""
    if principal.is_administrator:
        return Decision(allowed=True, reason="administrators may do everything")
    role = role_in(principal, project)
    return _decide(action, role, is_public=project.is_public)


def require(principal: Principal, action: str, project: Project) -> None:
    """Raise ``NotFound`` where the project is invisible, ``Denied`` where it is not allowed."""
    decision = can(principal, action, project)
    if decision:
        return
    if not can(principal, "project:read", project):
        raise NotFound("project not found")
    raise Denied(decision.reason)


def _decide(action: str, role: Role | None, *, is_public: bool) -> Decision:
    if is_public and action in PUBLIC_ACTIONS:
        return Decision(allowed=True, reason="the project is public")
    if role is None:
        return Decision(allowed=False, reason="not a member of the project")
    allowed = action in ROLE_ACTIONS[role]
    return Decision(
        allowed=allowed,
        reason=f"the role {role.label} {'has' if allowed else 'lacks'} {action}",
    )


def granted(principal: Principal, scopes: Iterable[Scope]) -> list[Grant]:
    """Return what of the asked-for scopes a token may give: requested and permitted, no more.

    Projects that do not exist and projects the caller may not know of give the same: nothing.
    """
    wanted = list(scopes)
    names = {
        scope.name.split("/", 1)[0]
        for scope in wanted
        if scope.type == "repository" and is_repository_name(scope.name)
    }
    projects = {p.name: p for p in Project.objects.alive().filter(name__in=names)} if names else {}
    roles = _roles(principal, projects.values())
    grants = []
    for scope in wanted:
        grant = _grant(principal, scope, projects, roles)
        if grant is not None:
            grants.append(grant)
    return grants


def _roles(principal: Principal, projects: Iterable[Project]) -> dict[int, Role]:
    ids = [project.pk for project in projects]
    if principal.user_id is None or principal.is_administrator or not ids:
        return {}
    rows = ProjectMember.objects.filter(user_id=principal.user_id, project__in=ids)
    return {project_id: Role(role) for project_id, role in rows.values_list("project_id", "role")}


def _grant(
    principal: Principal, scope: Scope, projects: dict[str, Project], roles: dict[int, Role]
) -> Grant | None:
    if scope.type == "registry" and scope.name == "catalog":
        # Anyone may list; the list holds only what the caller may pull.
        return Grant("registry", "catalog", ("*",)) if "*" in scope.actions else None
    project_name, _, path = scope.name.partition("/")
    project = projects.get(project_name)
    # The name's own check: its project may be here for the sake of another scope.
    if scope.type != "repository" or project is None or not is_repository_name(scope.name):
        return None
    role = roles.get(project.pk)
    wanted = _DOCKER_ACTIONS.keys() if "*" in scope.actions else scope.actions
    actions = tuple(
        action
        for action, needed in _DOCKER_ACTIONS.items()
        if action in wanted
        and (principal.is_administrator or _decide(needed, role, is_public=project.is_public))
    )
    if not actions:
        return None
    is_member = principal.is_administrator or role is not None
    return Grant(
        "repository",
        scope.name,
        actions,
        project_id=project.pk,
        registry_name=f"{project.registry_key}/{path}",
        is_by_public=not is_member,
    )
