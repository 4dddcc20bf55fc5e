"""What a robot's maker may choose, and the rule that nobody gives more than they have."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import access
from accounts.errors import BadRequest, Denied
from accounts.models import Project, Robot, RobotGrant
from accounts.principals import Principal
from accounts.roles import ROBOT_ACTIONS, SYSTEM_ACTIONS

MAX_DAYS = 36500
# A glob over tags: what a tag may hold, wildcards, classes and alternatives.
_TAG_PATTERN = re.compile(r"[A-Za-z0-9._*?\[\]{},!-]{1,256}")


@dataclass(frozen=True, slots=True)
class Permission:
    """One right to be given: in one project, in every project (``None``), or in the system."""

    action: str
    project: Project | None
    is_system: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything about a robot that its maker chooses; ``days`` is ``None`` for never."""

    description: str = ""
    days: int | None = None
    permissions: tuple[Permission, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    push_tag_patterns: tuple[str, ...] = ()
    is_disabled: bool = False


def require_sound(terms: Terms, project: Project | None) -> None:
    """Raise ``BadRequest`` (with ``field``) for terms that mean nothing."""
    if terms.days is not None and not 0 < terms.days <= MAX_DAYS:
        raise BadRequest(
            _("The days until it expires are a number from 1 to %(max)d.") % {"max": MAX_DAYS},
            field="duration",
        )
    if not terms.permissions:
        raise BadRequest(_("Choose at least one permission."), field="permissions")
    for permission in terms.permissions:
        _require_known(permission, project)
    for network in terms.allowed_networks:
        _require_network(network)
    for pattern in terms.push_tag_patterns:
        if not _TAG_PATTERN.fullmatch(pattern):
            raise BadRequest(
                _("%(pattern)s is not a pattern for tags, such as pr-* or v1.?.")
                % {"pattern": pattern[:64]},
                field="push_tag_patterns",
            )


def _require_known(permission: Permission, project: Project | None) -> None:
    known = SYSTEM_ACTIONS if permission.is_system else ROBOT_ACTIONS
    if permission.action not in known:
        raise BadRequest(
            _("There is no permission %(action)s.") % {"action": permission.action[:64]},
            field="permissions",
        )
    if project is not None and (permission.is_system or permission.project != project):
        raise BadRequest(
            _("A project's robot has permissions in that project only."), field="permissions"
        )


def _require_network(network: str) -> None:
    try:
        ipaddress.ip_network(network)
    except ValueError as error:
        raise BadRequest(
            _("%(network)s is not an address or a network such as 10.0.0.0/8.")
            % {"network": network[:64]},
            field="allowed_networks",
        ) from error


def require_within(maker: Principal, terms: Terms) -> None:
    """Raise ``Denied`` for a right that the maker lacks; nobody widens themselves by a robot."""
    if maker.is_administrator:
        return
    by_project: dict[Project, set[str]] = {}
    beyond: set[str] = set()
    for permission in terms.permissions:
        if permission.project is not None:
            by_project.setdefault(permission.project, set()).add(permission.action)
        elif not _has_beyond_projects(maker, permission):
            beyond.add(permission.action)
    own = access.rights(maker, by_project)
    for project, wanted in by_project.items():
        beyond |= {action for action in wanted if not _covers(own[project.pk], action)}
    if beyond:
        raise Denied(
            _("You cannot give a permission that you do not have: %(actions)s.")
            % {"actions": ", ".join(sorted(beyond))}
        )
    if maker.robot_id is not None:
        _require_within_robot(Robot.objects.get(pk=maker.robot_id), terms)


def _has_beyond_projects(maker: Principal, permission: Permission) -> bool:
    """Whether a maker has this in the system or in every project; people have not."""
    scope = RobotGrant.Scope.SYSTEM if permission.is_system else RobotGrant.Scope.ALL_PROJECTS
    return (
        maker.robot_id is not None
        and RobotGrant.objects.filter(
            scope=scope, robot_id=maker.robot_id, action=permission.action
        ).exists()
    )


def _covers(own: frozenset[str], action: str) -> bool:
    """Whether that is among one's rights; who may read a thing may list it."""
    resource, _colon, verb = action.partition(":")
    return action in own or (verb == "list" and f"{resource}:read" in own)


def _require_within_robot(maker: Robot, terms: Terms) -> None:
    """Hold what a robot makes to its own networks, tags and time."""
    if maker.push_tag_patterns and not (
        terms.push_tag_patterns and set(terms.push_tag_patterns) <= set(maker.push_tag_patterns)
    ):
        raise Denied(_("A robot with tag patterns gives only patterns of its own."))
    if maker.allowed_networks and not (
        terms.allowed_networks
        and all(_is_inside(network, maker.allowed_networks) for network in terms.allowed_networks)
    ):
        raise Denied(_("A robot with networks gives only networks within its own."))
    if maker.expires_at is not None:
        left = maker.expires_at - timezone.now()
        if terms.days is None or terms.days > left.days + 1:
            raise Denied(_("A robot that expires makes none that lives longer."))


def _is_inside(network: str, others: Iterable[str]) -> bool:
    inner = ipaddress.ip_network(network)
    for other in map(ipaddress.ip_network, others):
        bounds = (inner.network_address, inner.broadcast_address)
        # Membership is false, and no error, for addresses of the other family.
        if all(address in other for address in bounds):
            return True
    return False
