"""May this principal do that? One table (roles), one function (can), and the token's grants."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts import configuration, statements
from accounts.errors import Denied, NotFound
from accounts.models import Project, ProjectAlias, ProjectMember, RobotGrant
from accounts.principals import Principal
from accounts.roles import ALL_ACTIONS, PUBLIC_ACTIONS, READING_ACTIONS, ROLE_ACTIONS, Role
from accounts.scopes import Grant, Scope, is_repository_name
from accounts.statements import Statement

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


def rights(principal: Principal, projects: Iterable[Project]) -> dict[int, frozenset[str]]:
    """Return what the principal itself may do in each project, by the project's id.

    What anyone may do in a public project is not in it. At most one query.
    """
    return _rights(principal, [project.pk for project in projects])


def _rights(principal: Principal, ids: list[int]) -> dict[int, frozenset[str]]:
    if principal.is_administrator:
        return dict.fromkeys(ids, ALL_ACTIONS)
    if principal.robot_id is not None:
        return _robot_rights(principal.robot_id, ids)
    if principal.is_auditor:
        # Whatever roles they have besides: auditors change nothing.
        return dict.fromkeys(ids, READING_ACTIONS)
    found: dict[int, frozenset[str]] = dict.fromkeys(ids, frozenset())
    if principal.user_id is not None and ids:
        for project_id, role in _rows(_MEMBERS, principal.user_id, ids):
            found[project_id] = ROLE_ACTIONS[Role(role)]
    return found


# By hand: tokens are issued so often that building the same SQL anew would be half their cost.
_MEMBERS = "SELECT project_id, role FROM accounts_projectmember WHERE user_id = %s AND project_id"
_GRANTS = """
SELECT scope, project_id, action FROM accounts_robotgrant
WHERE robot_id = %s AND (scope = 'all' OR scope = 'project' AND project_id{})
"""
_PLACES = """
SELECT id, name, registry_key, is_public, is_proxy FROM accounts_project
WHERE deleted_at IS NULL AND name
"""


def _rows(query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Run a query whose last argument is a list: ``IN (…)`` goes to its end, or to ``{}``."""
    *first, last = arguments
    within = f" IN ({', '.join(['%s'] * len(last))})"
    sql = query.format(within) if "{}" in query else query + within
    return statements.run(Statement(sql, [*first, *last]))


def _robot_rights(robot_id: int, project_ids: list[int]) -> dict[int, frozenset[str]]:
    everywhere: set[str] = set()
    found: dict[int, set[str]] = {project_id: set() for project_id in project_ids}
    for scope, project_id, action in _rows(_GRANTS, robot_id, project_ids or [0]):
        is_everywhere = scope == RobotGrant.Scope.ALL_PROJECTS
        (everywhere if is_everywhere else found[project_id]).add(action)
    return {project_id: frozenset(own | everywhere) for project_id, own in found.items()}


def can(principal: Principal, action: str, project: Project) -> Decision:
    """Decide one ``resource:verb`` in one project."""
    if project.is_public and action in PUBLIC_ACTIONS:
        return Decision(allowed=True, reason="the project is public")
    allowed = action in rights(principal, [project])[project.pk]
    if principal.robot_id is not None:
        return Decision(allowed, f"the robot {'has' if allowed else 'lacks'} {action}")
    return Decision(allowed=allowed, reason=_reason(principal, action, project))


def _reason(principal: Principal, action: str, project: Project) -> str:
    if principal.is_administrator:
        return "administrators may do everything"
    if principal.is_auditor:
        return "auditors only read"
    role = role_in(principal, project)
    if role is not None:
        verb = "has" if action in ROLE_ACTIONS[role] else "lacks"
        return f"the role {role.label} {verb} {action}"
    return "not a member of the project"


def require(principal: Principal, action: str, project: Project) -> None:
    """Raise ``NotFound`` where the project is invisible, ``Denied`` where it is not allowed."""
    decision = can(principal, action, project)
    if decision:
        return
    if not _is_known(principal, project):
        raise NotFound("project not found")
    raise Denied(decision.reason)


def _is_known(principal: Principal, project: Project) -> bool:
    """Whether a project that is asked for may be spoken of; a robot knows where it was let in."""
    if principal.robot_id is not None and rights(principal, [project])[project.pk]:
        return True
    return bool(can(principal, "project:read", project))


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
    projects = _by_name(names)
    own = _rights(principal, [place.pk for place in projects.values()])
    grants = []
    for scope in wanted:
        grant = _grant(principal, scope, projects, own)
        if grant is not None:
            grants.append(grant)
    return grants


@dataclass(frozen=True, slots=True)
class _Place:
    """What a token needs to know of a project."""

    pk: int
    name: str
    registry_key: str
    is_public: bool
    is_proxy: bool


def _by_name(names: set[str]) -> dict[str, _Place]:
    """Return the projects of these names, or of these former names."""
    if not names:
        return {}
    found = {row[1]: _Place(*row) for row in _rows(_PLACES, sorted(names))}
    missing = names - found.keys()
    if missing:
        former = ProjectAlias.objects.current(timezone.now()).filter(name__in=missing)
        for alias in former.select_related("project"):
            now = alias.project
            found[alias.name] = _Place(
                now.pk, now.name, now.registry_key, now.is_public, now.is_proxy
            )
    return found


def _grant(
    principal: Principal,
    scope: Scope,
    projects: dict[str, _Place],
    own: dict[int, frozenset[str]],
) -> Grant | None:
    if scope.type == "registry" and scope.name == "catalog":
        # Anyone may list; the list holds only what the caller may pull.
        return Grant("registry", "catalog", ("*",)) if "*" in scope.actions else None
    project_name, _, path = scope.name.partition("/")
    project = projects.get(project_name)
    # The name's own check: its project may be here for the sake of another scope.
    if scope.type != "repository" or project is None or not is_repository_name(scope.name):
        return None
    public = PUBLIC_ACTIONS if project.is_public else frozenset()
    wanted = frozenset(_DOCKER_ACTIONS) if "*" in scope.actions else scope.actions
    if project.name != project_name:
        # A former name serves those who still pull by it, and nobody who changes anything.
        wanted &= {"pull"}
    if project.is_proxy:
        # Whatever their role: it holds what the other registry has.
        wanted -= {"push"}
    actions = tuple(
        action
        for action, needed in _DOCKER_ACTIONS.items()
        if action in wanted
        and needed in own[project.pk] | public
        and principal.may_use(f"registry:{action}")
    )
    if not actions:
        return None
    return Grant(
        "repository",
        scope.name,
        actions,
        project_id=project.pk,
        registry_name=f"{project.registry_key}/{path}",
        is_by_public="pull" in actions and _DOCKER_ACTIONS["pull"] not in own[project.pk],
    )


def can_system(principal: Principal, action: str) -> Decision:
    """Decide one ``resource:verb`` of the whole system; administrators may do everything."""
    if principal.is_administrator:
        return Decision(allowed=True, reason="administrators may do everything")
    if principal.robot_id is not None:
        grants = RobotGrant.objects.filter(
            robot_id=principal.robot_id, scope=RobotGrant.Scope.SYSTEM, action=action
        )
        return Decision(grants.exists(), f"the robot's permissions decide on {action}")
    if principal.is_auditor:
        is_reading = action.rpartition(":")[2] in {"read", "list"}
        return Decision(is_reading, "auditors only read")
    if action == "project:create" and principal.user_id is not None:
        is_open = configuration.may_everyone_create_projects()
        return Decision(is_open, "only an administrator may make projects here")
    return Decision(allowed=False, reason="only an administrator may do this")


def require_system(principal: Principal, action: str) -> None:
    """Raise ``Denied`` where ``can_system`` says no."""
    decision = can_system(principal, action)
    if not decision:
        raise Denied(decision.reason)


def is_everywhere(principal: Principal, action: str) -> bool:
    """Tell whether the caller may do that in every project."""
    return principal.is_administrator or (principal.is_auditor and action in READING_ACTIONS)


def projects_where(principal: Principal, action: str) -> QuerySet[Project]:
    """Return the projects in which the caller may do that: what lists over projects begin from."""
    projects = Project.objects.visible_to(principal)
    if is_everywhere(principal, action):
        return projects
    allowed = Q(is_public=True) if action in PUBLIC_ACTIONS else Q(pk__in=())
    if principal.is_auditor:
        return projects.filter(allowed)
    if principal.robot_id is not None:
        grants = RobotGrant.objects.filter(robot_id=principal.robot_id, action=action)
        everywhere = grants.filter(scope=RobotGrant.Scope.ALL_PROJECTS)
        allowed |= Q(Exists(everywhere)) | Q(Exists(grants.filter(project=OuterRef("pk"))))
    elif principal.user_id is not None:
        roles = [role.value for role, actions in ROLE_ACTIONS.items() if action in actions]
        members = ProjectMember.objects.filter(user_id=principal.user_id, role__in=roles)
        allowed |= Q(Exists(members.filter(project=OuterRef("pk"))))
    return projects.filter(allowed)
