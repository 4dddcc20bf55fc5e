"""What a robot may do, as people choose and read it: three common choices, and every single right.

A right is ``resource:verb``. The rights of one place (the system, every project, one project) are
one block of the form.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django import forms
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Project, Robot, RobotGrant
from accounts.robots import Permission
from accounts.roles import ROBOT_ACTIONS, SYSTEM_ACTIONS

_PULL = (
    "repository:pull",
    "repository:list",
    "repository:read",
    "artifact:list",
    "artifact:read",
    "tag:list",
)
# What each choice stands for. A push asks what is there already, so it cannot do without pulling.
RIGHTS: dict[str, tuple[str, ...]] = {
    "pull": _PULL,
    "push": (*_PULL, "repository:push"),
    "delete": ("artifact:delete", "tag:delete", "repository:delete"),
}
# The action by which a robot, however it was made, is known to have a right.
_TELLING = {"pull": "repository:pull", "push": "repository:push", "delete": "artifact:delete"}
_WORDS: dict[str, str | Promise] = {
    "pull": _("Pull images"),
    "push": _("Push images"),
    "delete": _("Delete images"),
}
_CHOICES = [
    ("pull", _("Pull images, and list what is there")),
    ("push", _("Push images, and pull them")),
    ("delete", _("Delete images, tags and whole repositories")),
]
_RESOURCES: dict[str, Promise] = {
    "repository": _("Repositories"),
    "artifact": _("Images"),
    "tag": _("Tags"),
    "accessory": _("Attached to images"),
    "artifact-addition": _("Details of images"),
    "artifact-label": _("Labels on images"),
    "label": _("Labels"),
    "project": _("Projects"),
    "metadata": _("Project's settings"),
    "member": _("Members"),
    "robot": _("Robots"),
    "quota": _("Quotas"),
    "log": _("Activity"),
    "tag-retention": _("Tag retention"),
    "immutable-tag": _("Immutable tags"),
    "notification-policy": _("Webhooks"),
    "preheat-policy": _("Preheating"),
    "scan": _("Scans"),
    "sbom": _("Lists of components"),
    "scanner": _("Scanners"),
    "export-cve": _("Export of vulnerabilities"),
    "user": _("Users"),
    "user-group": _("Groups"),
    "ldap-user": _("LDAP users"),
    "audit-log": _("Audit"),
    "catalog": _("List of all repositories"),
    "security-hub": _("Overview of vulnerabilities"),
    "scan-all": _("Scans of everything"),
    "garbage-collection": _("Garbage collection"),
    "purge-audit": _("Clearing of the audit"),
    "jobservice-monitor": _("Jobs"),
    "system-volumes": _("Storage"),
    "registry": _("Other registries"),
    "replication": _("Replication runs"),
    "replication-policy": _("Replication rules"),
    "replication-adapter": _("Kinds of registries"),
    "preheat-instance": _("Preheating services"),
}
_VERBS: dict[str, Promise] = {
    "list": pgettext_lazy("right", "list"),
    "read": pgettext_lazy("right", "read"),
    "pull": pgettext_lazy("right", "pull"),
    "push": pgettext_lazy("right", "push"),
    "create": pgettext_lazy("right", "create"),
    "update": pgettext_lazy("right", "change"),
    "delete": pgettext_lazy("right", "delete"),
    "stop": pgettext_lazy("right", "stop"),
}
# A common right's name, its words, whether it is given.
Right = tuple[str, str | Promise, bool]
_ORDER = list(_RESOURCES)
_VERB_ORDER = list(_VERBS)


def _by_resource(actions: Iterable[str]) -> dict[str, list[str]]:
    """Sort actions into their resources, both in the order in which people read them."""
    found: dict[str, list[str]] = {}
    for action in actions:
        found.setdefault(action.partition(":")[0], []).append(action)
    return {
        resource: sorted(
            found[resource], key=lambda action: _VERB_ORDER.index(action.partition(":")[2])
        )
        for resource in sorted(found, key=_ORDER.index)
    }


def in_words(actions: Iterable[str]) -> list[tuple[Promise, list[Promise]]]:
    """Return resources with what may be done to each."""
    return [
        (_RESOURCES[resource], [_VERBS[action.partition(":")[2]] for action in of_it])
        for resource, of_it in _by_resource(actions).items()
    ]


def rights_of(
    grants: Iterable[RobotGrant],
) -> tuple[list[tuple[str, str | Promise, bool]], list[str]]:
    """Return each common right with its words and whether it is given, then all other actions."""
    given = {grant.action for grant in grants}
    rights = [(name, words, _TELLING[name] in given) for name, words in _WORDS.items()]
    said = {action for name, _words, has in rights if has for action in RIGHTS[name]}
    return rights, sorted(given - said)


class RightsForm(forms.Form):
    """The rights in one project, or in every one."""

    rights = forms.MultipleChoiceField(
        label=_("It may"),
        choices=_CHOICES,
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
    )
    more = forms.MultipleChoiceField(
        label=_("Single rights"), choices=[(name, name) for name in ROBOT_ACTIONS], required=False
    )
    known = ROBOT_ACTIONS

    def actions(self) -> list[str]:
        """Return every action that was chosen, each once."""
        common = [action for right in self.cleaned_data["rights"] for action in RIGHTS[right]]
        return list(dict.fromkeys([*common, *self.cleaned_data["more"]]))

    @property
    def grid(self) -> list[tuple[Promise, list[tuple[str, Promise, bool]]]]:
        """Return every single right by resource: its value, its verb, whether it is ticked."""
        chosen = set(self["more"].value() or [])
        return [
            (
                _RESOURCES[resource],
                [(name, _VERBS[name.partition(":")[2]], name in chosen) for name in actions],
            )
            for resource, actions in _by_resource(self.known).items()
        ]

    @property
    def is_detailed(self) -> bool:
        """Whether any single right is ticked: the list of them is then open."""
        return bool(self["more"].value())


class SystemRightsForm(RightsForm):
    """The rights in the system as a whole."""

    more = forms.MultipleChoiceField(
        label=_("Single rights"), choices=[(name, name) for name in SYSTEM_ACTIONS], required=False
    )
    known = SYSTEM_ACTIONS


@dataclass(frozen=True, slots=True)
class Block:
    """The rights of a robot in one place."""

    form: RightsForm
    project: Project | None = None
    is_system: bool = False

    def permissions(self) -> list[Permission]:
        """Return what was chosen, where it holds."""
        actions = self.form.actions()
        return [Permission(action, self.project, self.is_system) for action in actions]


def of_project(data: QueryDict | None, project: Project, robot: Robot | None) -> list[Block]:
    """Return the one block of a project's robot, filled from the request or the robot."""
    initial = _initial(robot.grants.all()) if robot else {"rights": ["pull"]}
    return [Block(RightsForm(data, initial=initial), project)]


def of_system(
    data: QueryDict | None,
    projects: Iterable[Project],
    added: Iterable[Project],
    robot: Robot | None,
) -> list[Block]:
    """Return the blocks of a robot of the system: the system, every project, then each of these."""
    grants = list(robot.grants.all()) if robot else []
    scope = RobotGrant.Scope
    system = _initial(grant for grant in grants if grant.scope == scope.SYSTEM)
    # In the system's block there are single rights only.
    system = {"more": system["more"]}
    everywhere = _initial(grant for grant in grants if grant.scope == scope.ALL_PROJECTS)
    blocks = [
        Block(SystemRightsForm(data, prefix="system", initial=system), is_system=True),
        Block(RightsForm(data, prefix="all", initial=everywhere)),
    ]
    for project in projects:
        own = _initial(grant for grant in grants if grant.project_id == project.pk)
        blocks.append(Block(RightsForm(data, prefix=f"p{project.pk}", initial=own), project))
    for project in added:
        fresh = RightsForm(prefix=f"p{project.pk}", initial={"rights": ["pull"]})
        blocks.append(Block(fresh, project))
    return blocks


def _initial(grants: Iterable[RobotGrant]) -> dict[str, list[str]]:
    rights, others = rights_of(grants)
    return {"rights": [name for name, _words, is_given in rights if is_given], "more": others}


@dataclass(frozen=True, slots=True)
class Given:
    """What a robot may do in one place, as it is read."""

    project: Project | None
    scope: str
    rights: list[Right]
    others: list[tuple[Promise, list[Promise]]]


def given_to(robot: Robot) -> list[Given]:
    """Return what a robot may do, place by place."""
    places: dict[tuple[str, Project | None], list[RobotGrant]] = {}
    for grant in robot.grants.all():
        places.setdefault((grant.scope, grant.project), []).append(grant)
    found = []
    for (scope, project), grants in places.items():
        rights, others = rights_of(grants)
        is_system = scope == RobotGrant.Scope.SYSTEM
        found.append(Given(project, scope, [] if is_system else rights, in_words(others)))
    return found
