"""A robot's permissions in the contract's blocks, to and from grants."""

from collections.abc import Iterable
from typing import Any

from accounts.errors import BadRequest, NotFound
from accounts.models import Project, RobotGrant
from accounts.principals import Principal
from accounts.robots import Permission
from accounts.roles import ROBOT_ACTIONS, SYSTEM_ACTIONS


def read(blocks: Iterable[dict[str, Any]], principal: Principal) -> list[Permission]:
    """Read the contract's blocks. Raises ``BadRequest`` (with ``field``), ``NotFound``."""
    found = []
    for block in blocks:
        is_system = block["kind"] == "system"
        if is_system != (block["namespace"] == "/"):
            raise BadRequest("The namespace / is the system's, and only it.", field="permissions")
        project = None
        if not is_system and block["namespace"] != "*":
            project = project_named(block["namespace"], principal)
        known = SYSTEM_ACTIONS if is_system else ROBOT_ACTIONS
        found += [
            Permission(action, project, is_system=is_system)
            for entry in block["access"]
            for action in _actions(entry, known)
        ]
    return found


def project_named(name: str, principal: Principal) -> Project:
    """Return a project that the caller may know of. Raises ``NotFound``."""
    project = None
    if "\0" not in name:
        project = Project.objects.visible_to(principal).filter(name=name).first()
    if project is None:
        raise NotFound("project not found")
    return project


def shown(grants: Iterable[RobotGrant]) -> list[dict[str, Any]]:
    """Write grants as the contract's blocks, one for each project."""
    blocks: dict[tuple[str, str], list[dict[str, str]]] = {}
    for grant in grants:
        if grant.scope == RobotGrant.Scope.SYSTEM:
            key = ("system", "/")
        elif grant.project is not None:
            key = ("project", grant.project.name)
        else:
            key = ("project", "*")
        resource, _colon, verb = grant.action.partition(":")
        blocks.setdefault(key, []).append({"resource": resource, "action": verb, "effect": "allow"})
    return [
        {"kind": kind, "namespace": namespace, "access": access_list}
        for (kind, namespace), access_list in blocks.items()
    ]


def _actions(entry: dict[str, Any], known: frozenset[str]) -> list[str]:
    """Write a star out: what is added to the table later is nobody's by surprise."""
    resource, verb = entry["resource"], entry["action"]
    if verb != "*":
        return [f"{resource}:{verb}"]
    found = sorted(a for a in known if resource in ("*", a.partition(":")[0]))
    return found or [f"{resource}:{verb}"]
