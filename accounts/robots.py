"""Robots: made, changed, deleted, and found again by their secret.

A robot's rights are never wider than its maker's, at the moment they are given.
"""

import datetime
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import access, audit, outbox, passwords
from accounts.crypto import new_secret, secret_digest
from accounts.errors import BadRequest, Conflict, Denied, NotFound
from accounts.models import Project, Robot, RobotGrant
from accounts.principals import Actor, Principal
from accounts.roles import ALL_ACTIONS

KIND = "robot"
MAX_DAYS = 36500
SECRET_OVERLAP = datetime.timedelta(hours=24)
USE_RESOLUTION = datetime.timedelta(minutes=1)
# A glob over tags: what a tag may hold, wildcards, classes and alternatives.
_TAG_PATTERN = re.compile(r"[A-Za-z0-9._*?\[\]{},!-]{1,256}")


@dataclass(frozen=True, slots=True)
class Permission:
    """One right to be given: ``project`` is ``None`` for every project."""

    action: str
    project: Project | None


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything about a robot that its maker chooses; ``days`` is ``None`` for never."""

    description: str = ""
    days: int | None = None
    permissions: tuple[Permission, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    push_tag_patterns: tuple[str, ...] = ()
    is_disabled: bool = False


def create(*, name: str, project: Project | None, terms: Terms, actor: Actor) -> tuple[Robot, str]:
    """Make a robot of a project, or of the system, and return it with its secret.

    Raises ``BadRequest`` (with ``field``), ``Conflict`` for a name that is taken, and ``Denied``
    for rights that the maker does not have.
    """
    _require_sound(terms, project)
    _require_within(actor.principal, terms.permissions)
    robot = Robot(
        level=Robot.Level.PROJECT if project else Robot.Level.SYSTEM,
        project=project,
        name=name,
        login=f"{project.name}+{name}" if project else name,
        created_by_kind=actor.principal.kind,
        created_by_id=actor.principal.user_id or actor.principal.robot_id,
        created_by_name=actor.principal.name,
    )
    secret = new_secret(KIND)
    robot.secret_hash = f"sha256${secret_digest(secret)}"
    try:
        return _create(robot, terms, actor), secret
    except IntegrityError as error:
        raise Conflict(_("A robot of this name exists."), field="name") from error


@transaction.atomic
def _create(robot: Robot, terms: Terms, actor: Actor) -> Robot:
    try:
        robot.clean_fields(exclude=["allowed_networks", "push_tag_patterns"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise BadRequest(messages[0], field=field) from error
    robot.expires_at = _expiry(terms.days, timezone.now())
    _apply(robot, terms)
    robot.save(force_insert=True)
    _save_grants(robot, terms.permissions)
    audit.record(actor, "create_robot", login_name(robot), project=robot.project)
    outbox.emit("robot.created", f"robot:{robot.pk}", name=login_name(robot))
    return robot


def update(robot: Robot, *, terms: Terms, actor: Actor) -> Robot:
    """Replace what its maker chose; tokens made before stop working.

    ``days`` counts from the robot's making, as Harbor's does. Raises as ``create`` does.
    """
    _require_sound(terms, robot.project)
    _require_within(actor.principal, terms.permissions)
    return _update(robot, terms, actor)


@transaction.atomic
def _update(robot: Robot, terms: Terms, actor: Actor) -> Robot:
    locked = _locked(robot)
    locked.expires_at = _expiry(terms.days, locked.created_at)
    _apply(locked, terms)
    locked.auth_epoch += 1
    locked.save()
    locked.grants.all().delete()
    _save_grants(locked, terms.permissions)
    audit.record(actor, "update_robot", login_name(locked), project=locked.project)
    return locked


def refresh_secret(
    robot: Robot, *, chosen: str = "", overlap: datetime.timedelta = SECRET_OVERLAP, actor: Actor
) -> tuple[Robot, str]:
    """Give a robot a new secret, generated or chosen; the old one works on for ``overlap``.

    Raises ``BadRequest`` for a chosen one that breaks the password rules, ``NotFound``.
    """
    if chosen:
        secret = passwords.normalised(chosen)
        passwords.require_good(secret, field="secret")
        hashed = make_password(secret)
    else:
        secret = new_secret(KIND)
        hashed = f"sha256${secret_digest(secret)}"
    return _store_secret(robot, hashed, overlap, actor), secret


@transaction.atomic
def _store_secret(robot: Robot, hashed: str, overlap: datetime.timedelta, actor: Actor) -> Robot:
    locked = _locked(robot)
    locked.previous_secret_hash = locked.secret_hash
    locked.previous_secret_until = timezone.now() + overlap
    locked.secret_hash = hashed
    if not overlap:
        locked.auth_epoch += 1
    locked.save()
    audit.record(actor, "refresh_robot_secret", login_name(locked), project=locked.project)
    return locked


@transaction.atomic
def remove(robot: Robot, *, actor: Actor) -> Robot:
    """Delete a robot; its tokens stop working at once and its name is free. ``NotFound``."""
    locked = _locked(robot)
    locked.deleted_at = timezone.now()
    locked.auth_epoch += 1
    locked.save(update_fields=["deleted_at", "auth_epoch", "updated_at"])
    audit.record(actor, "delete_robot", login_name(locked), project=locked.project)
    outbox.emit("robot.deleted", f"robot:{locked.pk}", name=login_name(locked))
    return locked


def login_name(robot: Robot) -> str:
    """What it signs in with."""
    return f"{settings.MOORAGE_ROBOT_PREFIX}{robot.login}"


def find(login: str, secret: str, *, actor: Actor) -> Principal | None:
    """Return the robot whose login and secret these are, if it may come from here now."""
    now = timezone.now()
    robot = (
        Robot.objects.filter(login=login[:512].replace("\0", "\ufffd"), deleted_at=None)
        .select_related("project")
        .first()
    )
    if robot is None or not robot.is_usable(now) or not _is_from(robot, actor.address):
        return None
    if robot.project is not None and robot.project.deleted_at is not None:
        return None
    hashes = [robot.secret_hash]
    if robot.previous_secret_until is not None and robot.previous_secret_until > now:
        hashes.append(robot.previous_secret_hash)
    if not any(_is_secret_of(secret, kept) for kept in hashes):
        return None
    # To the minute: a busy pipeline must not write at each request.
    Robot.objects.filter(
        Q(last_used_at=None)
        | Q(last_used_at__lt=now - USE_RESOLUTION)
        | ~Q(last_used_address=actor.address),
        pk=robot.pk,
    ).update(last_used_at=now, last_used_address=actor.address)
    return Principal(
        kind="robot", name=login_name(robot), robot_id=robot.pk, epoch=robot.auth_epoch
    )


def _is_secret_of(secret: str, kept: str) -> bool:
    if kept.startswith("sha256$"):
        return hmac.compare_digest(f"sha256${secret_digest(secret)}", kept)
    return passwords.verify(passwords.normalised(secret), kept)


def _is_from(robot: Robot, address: str) -> bool:
    """Whether the robot may come from this address; an unknown address fits no list."""
    if not robot.allowed_networks:
        return True
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(source in ipaddress.ip_network(network) for network in robot.allowed_networks)


def _locked(robot: Robot) -> Robot:
    locked = (
        Robot.objects.select_for_update(of=("self",))
        .select_related("project")
        .filter(pk=robot.pk, deleted_at=None)
        .first()
    )
    if locked is None:
        raise NotFound(_("robot not found"))
    return locked


def _apply(robot: Robot, terms: Terms) -> None:
    robot.description = terms.description
    robot.is_disabled = terms.is_disabled
    robot.allowed_networks = list(terms.allowed_networks)
    robot.push_tag_patterns = list(terms.push_tag_patterns)


def _expiry(days: int | None, since: datetime.datetime) -> datetime.datetime | None:
    return None if days is None else since + datetime.timedelta(days=days)


def _save_grants(robot: Robot, permissions: Iterable[Permission]) -> None:
    RobotGrant.objects.bulk_create(
        [
            RobotGrant(
                robot=robot,
                scope=_scope(permission),
                project=permission.project,
                action=permission.action,
            )
            for permission in dict.fromkeys(permissions)
        ]
    )


def _scope(permission: Permission) -> RobotGrant.Scope:
    if permission.project is not None:
        return RobotGrant.Scope.PROJECT
    return RobotGrant.Scope.ALL_PROJECTS


def _require_sound(terms: Terms, project: Project | None) -> None:
    if terms.days is not None and not 0 < terms.days <= MAX_DAYS:
        raise BadRequest(
            _("The days until it expires are a number from 1 to %(max)d.") % {"max": MAX_DAYS},
            field="duration",
        )
    if not terms.permissions:
        raise BadRequest(_("Choose at least one permission."), field="permissions")
    _require_known(terms.permissions, project)
    for network in terms.allowed_networks:
        _require_network(network)
    for pattern in terms.push_tag_patterns:
        if not _TAG_PATTERN.fullmatch(pattern):
            raise BadRequest(
                _("%(pattern)s is not a pattern for tags, such as pr-* or v1.?.")
                % {"pattern": pattern[:64]},
                field="push_tag_patterns",
            )


def _require_known(permissions: Iterable[Permission], project: Project | None) -> None:
    for permission in permissions:
        if permission.action not in ALL_ACTIONS:
            raise BadRequest(
                _("There is no permission %(action)s.") % {"action": permission.action[:64]},
                field="permissions",
            )
        if project is not None and permission.project != project:
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


def _require_within(maker: Principal, permissions: Iterable[Permission]) -> None:
    """Raise ``Denied`` for a right that the maker lacks; nobody widens themselves by a robot."""
    if maker.is_administrator:
        return
    by_project: dict[Project | None, set[str]] = {}
    for permission in permissions:
        by_project.setdefault(permission.project, set()).add(permission.action)
    if None in by_project:
        raise Denied(_("Only an administrator may give permissions in every project."))
    projects = [project for project in by_project if project is not None]
    own = access.rights(maker, projects)
    for project in projects:
        missing = by_project[project] - own[project.pk]
        if missing:
            raise Denied(
                _("You cannot give a permission that you do not have: %(actions)s.")
                % {"actions": ", ".join(sorted(missing))}
            )
