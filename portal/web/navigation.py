"""The places that every page links to, and which of them a caller may open.

A new page of the administration is one line here. An icon's name stands after ``icon=``, where
``tools/vendor_update.py`` finds it.
"""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.access import can_system
from accounts.principals import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A page, what to call it, and the system's right one needs to see it (none: everybody)."""

    section: str
    words: Promise
    icon: str
    view: str
    right: str = ""
    is_for_strangers: bool = False

    @property
    def url(self) -> str:
        """Its address."""
        return reverse(self.view)

    def is_open_to(self, principal: Principal) -> bool:
        """Whether they may see it."""
        if self.right:
            return bool(can_system(principal, self.right))
        return self.is_for_strangers or not principal.is_anonymous


@dataclass(frozen=True, slots=True)
class Group:
    """Places that belong together; the first group has no heading."""

    heading: str | Promise
    places: tuple[Place, ...]


GROUPS = (
    Group(
        "",
        (
            Place(section="home", words=_("Home"), icon="home", view="home"),
            Place(
                section="projects",
                words=_("Projects"),
                icon="stack-2",
                view="projects:list",
                is_for_strangers=True,
            ),
            Place(
                section="search",
                words=pgettext_lazy("page", "Search"),
                icon="search",
                view="search",
                is_for_strangers=True,
            ),
            Place(section="activity", words=_("Activity"), icon="activity", view="activity"),
            Place(section="mirror", words=_("Use as a mirror"), icon="rocket", view="mirror"),
        ),
    ),
    Group(
        _("Access"),
        (
            Place(
                section="users",
                words=_("Users"),
                icon="user",
                view="administration:users",
                right="user:list",
            ),
            Place(
                section="robots",
                words=_("Robots"),
                icon="robot",
                view="administration:robots",
                right="robot:list",
            ),
        ),
    ),
    Group(
        _("Storage"),
        (
            Place(
                section="storage",
                words=_("Usage"),
                icon="database",
                view="administration:storage",
                right="system-volumes:read",
            ),
            Place(
                section="quotas",
                words=_("Quotas"),
                icon="gauge",
                view="administration:quotas",
                right="quota:list",
            ),
            Place(
                section="garbage",
                words=_("Garbage collection"),
                icon="recycle",
                view="administration:garbage",
                right="garbage-collection:list",
            ),
            Place(
                section="trash",
                words=_("Trash"),
                icon="trash",
                view="administration:trash",
                right="audit-log:list",
            ),
        ),
    ),
    Group(
        _("Sync"),
        (
            Place(
                section="replication",
                words=_("Replication"),
                icon="arrows-left-right",
                view="administration:replication",
                right="replication-policy:list",
            ),
            Place(
                section="registries",
                words=_("Other registries"),
                icon="world",
                view="administration:registries",
                right="registry:list",
            ),
        ),
    ),
    Group(
        _("System"),
        (
            Place(
                section="jobs",
                words=_("Jobs"),
                icon="clock",
                view="jobs:list",
                right="jobservice-monitor:list",
            ),
            Place(
                section="audit",
                words=_("Audit"),
                icon="list-details",
                view="administration:audit",
                right="audit-log:list",
            ),
            Place(
                section="labels",
                words=_("Labels"),
                icon="tag",
                view="administration:labels",
                right="label:read",
            ),
            Place(
                section="settings",
                words=_("Settings"),
                icon="adjustments-horizontal",
                view="administration:settings",
                right="configuration:read",
            ),
        ),
    ),
)

# What search leads to beside the pages above: where something is begun.
ACTIONS = (
    Place(
        section="projects",
        words=_("New project"),
        icon="plus",
        view="projects:create",
        right="project:create",
    ),
    Place(
        section="users",
        words=_("New user"),
        icon="plus",
        view="administration:create_user",
        right="user:create",
    ),
    Place(
        section="robots",
        words=_("New robot"),
        icon="plus",
        view="administration:new_robot",
        right="robot:create",
    ),
    Place(
        section="registries",
        words=_("Add a registry"),
        icon="plus",
        view="administration:new_registry",
        right="registry:create",
    ),
    Place(
        section="replication",
        words=_("New replication policy"),
        icon="plus",
        view="administration:new_replication",
        right="replication-policy:create",
    ),
    Place(section="account", words=_("Access tokens"), icon="terminal-2", view="account:tokens"),
    Place(
        section="account", words=_("Password and sessions"), icon="lock", view="account:security"
    ),
    Place(
        section="account",
        words=_("Preferences"),
        icon="adjustments-horizontal",
        view="account:preferences",
    ),
)


def groups_for(principal: Principal) -> list[Group]:
    """Return the groups with what this caller may open; none is empty."""
    found = []
    for group in GROUPS:
        places = tuple(place for place in group.places if place.is_open_to(principal))
        if places:
            found.append(Group(group.heading, places))
    return found
