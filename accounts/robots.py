"""Robots: made, changed, deleted, and found again by their secret.

A robot's rights are never wider than its maker's, at the moment they are given.
"""

import datetime
import hmac
import ipaddress
from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, outbox, passwords, robot_terms
from accounts.crypto import new_secret, secret_digest
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import Project, Robot, RobotGrant
from accounts.principals import Actor, Principal
from accounts.robot_terms import MAX_DAYS, Permission, Terms

__all__ = ["MAX_DAYS", "Permission", "Terms"]

KIND = "robot"
SECRET_OVERLAP = datetime.timedelta(hours=24)
USE_RESOLUTION = datetime.timedelta(minutes=1)


def create(
    *, name: str, project: Project | None, terms: Terms, chosen: str = "", actor: Actor
) -> tuple[Robot, str]:
    """Make a robot of a project, or of the system, and return it with its secret.

    The secret is generated unless one is ``chosen``. Raises ``BadRequest`` (with ``field``),
    ``Conflict`` for a name that is taken, and ``Denied`` for rights that the maker does not have.
    """
    robot_terms.require_sound(terms, project)
    robot_terms.require_within(actor.principal, terms)
    robot = Robot(
        level=Robot.Level.PROJECT if project else Robot.Level.SYSTEM,
        project=project,
        name=name,
        login=f"{project.name}+{name}" if project else name,
        created_by_kind=actor.principal.kind,
        created_by_id=actor.principal.user_id or actor.principal.robot_id,
        created_by_name=actor.principal.name,
    )
    secret, robot.secret_hash = _secret(chosen)
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
    robot_terms.require_sound(terms, robot.project)
    robot_terms.require_within(actor.principal, terms)
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
    secret, hashed = _secret(chosen)
    return _store_secret(robot, hashed, overlap, actor), secret


def _secret(chosen: str) -> tuple[str, str]:
    """Return a secret, the chosen one or a new one, with what is stored of it."""
    if chosen:
        secret = passwords.normalised(chosen)
        passwords.require_good(secret, field="secret")
        return secret, make_password(secret)
    secret = new_secret(KIND)
    return secret, f"sha256${secret_digest(secret)}"


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


# By hand: each token a pipeline asks for begins here, and building the SQL would be half of it.
_BY_LOGIN = """
SELECT r.*, p.deleted_at AS project_deleted_at
FROM accounts_robot r LEFT JOIN accounts_project p ON p.id = r.project_id
WHERE r.login = %s AND r.deleted_at IS NULL
"""


def find(login: str, secret: str, *, actor: Actor) -> Principal | None:
    """Return the robot whose login and secret these are, if it may come from here now."""
    now = timezone.now()
    rows = list(Robot.objects.raw(_BY_LOGIN, [login[:512].replace("\0", "\ufffd")]))
    if not rows or rows[0].project_deleted_at is not None:  # type: ignore[attr-defined] # the query's
        return None
    robot = rows[0]
    if not robot.is_usable(now) or not _is_from(robot, actor.address):
        return None
    hashes = [robot.secret_hash]
    if robot.previous_secret_until is not None and robot.previous_secret_until > now:
        hashes.append(robot.previous_secret_hash)
    if not any(_is_secret_of(secret, kept) for kept in hashes):
        return None
    # To the minute: a busy pipeline must not write at each request.
    is_noted = robot.last_used_at is not None and robot.last_used_at > now - USE_RESOLUTION
    if not is_noted or robot.last_used_address != actor.address:
        Robot.objects.filter(pk=robot.pk).update(last_used_at=now, last_used_address=actor.address)
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
    if permission.is_system:
        return RobotGrant.Scope.SYSTEM
    if permission.project is not None:
        return RobotGrant.Scope.PROJECT
    return RobotGrant.Scope.ALL_PROJECTS
