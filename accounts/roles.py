"""Harbor's five project roles and what each may do, as data.

Actions are written ``resource:verb``. The table is Harbor's (``rbac_role.go``), so that people
and tools who come from there find the rights they know.
"""

from enum import IntEnum

_VERBS = {"C": "create", "R": "read", "U": "update", "D": "delete", "L": "list"}


class Role(IntEnum):
    """The numbers are those of Harbor's API."""

    PROJECT_ADMIN = 1
    DEVELOPER = 2
    GUEST = 3
    MAINTAINER = 4
    LIMITED_GUEST = 5

    @property
    def label(self) -> str:
        """The role's English name, as shown and as translated."""
        return _LABELS[self]


_LABELS = {
    Role.PROJECT_ADMIN: "Project admin",
    Role.DEVELOPER: "Developer",
    Role.GUEST: "Guest",
    Role.MAINTAINER: "Maintainer",
    Role.LIMITED_GUEST: "Limited guest",
}

# resource: rights of projectAdmin, maintainer, developer, guest, limitedGuest.
_COLUMNS = (
    Role.PROJECT_ADMIN,
    Role.MAINTAINER,
    Role.DEVELOPER,
    Role.GUEST,
    Role.LIMITED_GUEST,
)
_TABLE: dict[str, tuple[str, str, str, str, str]] = {
    "project": ("R U D", "R", "R", "R", "R"),
    "member": ("C R U D L", "R L", "R L", "R L", ""),
    "metadata": ("C R U D", "R", "", "", ""),
    "log": ("L", "", "", "", ""),
    "label": ("C R U D L", "C R U D L", "R L", "R L", ""),
    "quota": ("R", "R", "R", "R", "R"),
    "repository": (
        "C R U D L pull push",
        "C R U D L pull push",
        "C R U L pull push",
        "R L pull",
        "R L pull",
    ),
    "tag-retention": ("C R U D L operate", "C R U D L operate", "C R U D L operate", "", ""),
    "immutable-tag": ("C U D L", "C U D L", "", "", ""),
    "configuration": ("R U", "R", "R", "R", "R"),
    "robot": ("C R U D L", "R L", "R L", "R L", ""),
    "notification-policy": ("C R U D L", "R L", "", "", ""),
    "scan": ("C R stop", "C R stop", "R", "R", "R"),
    "sbom": ("C R stop", "C R stop", "R", "R", "R"),
    "scanner": ("C R", "R", "R", "R", "R"),
    "artifact": ("C R D L", "C R D L", "C R L", "R L", "R L"),
    "artifact-addition": ("R", "R", "R", "R", "R"),
    "tag": ("C D L", "C D L", "C L", "L", "L"),
    "accessory": ("L", "L", "L", "L", "L"),
    "artifact-label": ("C D", "C D", "C D", "", ""),
    "preheat-policy": ("C R U D L", "", "", "", ""),
    "export-cve": ("C R L", "C R L", "C R L", "", ""),
}


def _expand(resource: str, rights: str) -> frozenset[str]:
    return frozenset(f"{resource}:{_VERBS.get(right, right)}" for right in rights.split())


ROLE_ACTIONS: dict[Role, frozenset[str]] = {
    role: frozenset().union(
        *(_expand(resource, rights[column]) for resource, rights in _TABLE.items())
    )
    for column, role in enumerate(_COLUMNS)
}

# What anyone may do in a public project, signed in or not.
PUBLIC_ACTIONS: frozenset[str] = frozenset().union(
    *(
        _expand(resource, rights)
        for resource, rights in {
            "project": "R",
            "label": "R L",
            "repository": "L R pull",
            "scan": "R",
            "scanner": "R",
            "tag": "L",
            "artifact": "R L",
            "artifact-addition": "R",
            "accessory": "L",
        }.items()
    )
)

# Everything that can be granted in a project, and what of it changes nothing.
ALL_ACTIONS: frozenset[str] = frozenset().union(*ROLE_ACTIONS.values())
READING_ACTIONS: frozenset[str] = frozenset(
    action for action in ALL_ACTIONS if action.rpartition(":")[2] in {"read", "list", "pull"}
)

# What a robot can be given: Harbor's catalogue (``const.go``), for one project and for the system.
_ROBOT_TABLE = {
    "log": "L",
    "project": "R D U",
    "metadata": "C R U D L",
    "repository": "R U D L pull push",
    "artifact": "R C L D",
    "scan": "C R stop",
    "sbom": "C R stop",
    "tag": "C L D",
    "accessory": "L",
    "artifact-addition": "R",
    "artifact-label": "C D",
    "scanner": "C R",
    "preheat-policy": "C R U D L",
    "immutable-tag": "C D L U",
    "notification-policy": "C R U D L",
    "tag-retention": "C R U D L",
    "label": "C R U D L",
    "quota": "R",
    "robot": "C R L D",
    "export-cve": "C R",
    "member": "C R U D L",
}
_SYSTEM_TABLE = {
    "audit-log": "L",
    "preheat-instance": "C R U D L",
    "project": "L C",
    "replication-policy": "C R U D L",
    "replication": "R C L",
    "replication-adapter": "L",
    "registry": "C R U D L",
    "scan-all": "C R U stop",
    "system-volumes": "R",
    "garbage-collection": "C R U L stop",
    "purge-audit": "C R U L stop",
    "jobservice-monitor": "L stop",
    "scanner": "C R U D L",
    "label": "C R U D",
    "security-hub": "R L",
    "catalog": "R",
    "quota": "R L U",
    "robot": "C R L D",
    "user": "C R U D L",
    "ldap-user": "C L",
    "user-group": "C R U D L",
}


def _expanded(table: dict[str, str]) -> frozenset[str]:
    return frozenset().union(*(_expand(resource, rights) for resource, rights in table.items()))


ROBOT_ACTIONS: frozenset[str] = _expanded(_ROBOT_TABLE)
SYSTEM_ACTIONS: frozenset[str] = _expanded(_SYSTEM_TABLE)
