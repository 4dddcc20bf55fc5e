"""Making, changing and deleting users; every function writes its audit row and event."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from accounts import audit, credentials, mail, members, outbox, passwords, projects, sessions
from accounts.errors import BadRequest, Conflict, Denied, NotFound, PreconditionFailed
from accounts.models import User
from accounts.principals import SYSTEM_ACTOR, Actor

FIRST_ADMINISTRATOR = "admin"
FIRST_PROJECT = "library"


def create(
    *,
    username: str,
    password: str,
    email: str = "",
    realname: str = "",
    comment: str = "",
    is_administrator: bool = False,
    actor: Actor,
) -> User:
    """Make a user.

    Raises ``BadRequest`` (with ``field``) for a name, address or password that breaks a rule,
    ``Conflict`` for a name or address that is taken.
    """
    user = User(
        username=username.strip().lower(),
        email=email.strip(),
        realname=realname.strip(),
        comment=comment.strip(),
        is_administrator=is_administrator,
    )
    secret = passwords.normalised(password)
    passwords.require_good(secret, user)
    # Before the transaction: hashing takes its time, and SQLite has one writer.
    user.password = passwords.hashed(secret)
    try:
        return _create(user, actor=actor)
    except IntegrityError as error:
        # Two at once: the database's constraint decided.
        raise Conflict(_("A user of this name or address exists."), field="username") from error


@transaction.atomic
def _create(user: User, *, actor: Actor) -> User:
    try:
        user.clean_fields()
        if User.objects.filter(username=user.username).exists():
            raise Conflict(_("A user of this name exists."), field="username")
        user.validate_constraints()
    except ValidationError as error:
        raise _domain_error(error) from error
    user.save(force_insert=True)
    audit.record(actor, "create_user", user.username)
    outbox.emit("user.created", f"user:{user.pk}", username=user.username)
    return user


def update_profile(
    user: User,
    *,
    email: str | None = None,
    realname: str | None = None,
    comment: str | None = None,
    current_password: str = "",
    actor: Actor,
) -> User:
    """Change what a user says about themselves; ``None`` leaves it as it is.

    To change one's own address takes the current password, and the old address is told: whoever
    has it can ask for a new password. Raises ``BadRequest`` (with ``field``), ``Conflict`` for an
    address that is taken, ``Denied`` for a wrong password, ``NotFound`` for a deleted user.
    """
    wanted = {"email": email, "realname": realname, "comment": comment}
    changes = {name: text.strip() for name, text in wanted.items() if text is not None}
    former = user.email
    has_new_address = "email" in changes and changes["email"] != former
    if has_new_address and actor.principal.user_id == user.pk:
        credentials.confirm(user, current_password, actor=actor)
    try:
        changed = _update_profile(user, changes, actor=actor)
    except IntegrityError as error:
        raise Conflict(_("Another user has this e-mail address."), field="email") from error
    if has_new_address:
        mail.send(
            former,
            _("Your e-mail address was changed"),
            _(
                "The address of the account %(name)s is now another one. If that was not you, "
                "tell an administrator."
            )
            % {"name": user.username},
        )
    return changed


@transaction.atomic
def _update_profile(user: User, changes: dict[str, str], *, actor: Actor) -> User:
    locked = _locked(user)
    for name, text in changes.items():
        setattr(locked, name, text)
    try:
        locked.clean_fields()
        locked.validate_constraints()
    except ValidationError as error:
        raise _domain_error(error) from error
    return _save(locked, actor, {name: changes[name] for name in changes})


@transaction.atomic
def set_administrator(user: User, *, is_administrator: bool, actor: Actor) -> User:
    """Make a user an administrator, or one no longer.

    Raises ``PreconditionFailed`` for the last active administrator, ``NotFound``.
    """
    if not is_administrator:
        _require_another_administrator(user)
    locked = _locked(user)
    locked.is_administrator = is_administrator
    locked.rights_epoch += 1
    return _save(locked, actor, {"is_administrator": is_administrator}, "rights_epoch")


@transaction.atomic
def set_auditor(user: User, *, is_auditor: bool, actor: Actor) -> User:
    """Let a user read everything and change nothing, or no longer. Raises ``NotFound``."""
    locked = _locked(user)
    locked.is_auditor = is_auditor
    locked.rights_epoch += 1
    return _save(locked, actor, {"is_auditor": is_auditor}, "rights_epoch")


@transaction.atomic
def set_active(user: User, *, is_active: bool, actor: Actor) -> User:
    """Enable or disable a user; either way every session and token made before stops working.

    Raises ``PreconditionFailed`` for the last active administrator, ``NotFound``.
    """
    if not is_active:
        _require_another_administrator(user)
    locked = _locked(user)
    locked.is_active = is_active
    locked.auth_epoch += 1
    sessions.end_all(locked)
    return _save(locked, actor, {"is_active": is_active}, "auth_epoch")


def change_own_password(user: User, *, current: str, password: str, actor: Actor) -> User:
    """Set a new password for oneself; every session and token made before stops working.

    Raises ``Denied`` for a wrong current one, ``BadRequest`` for a new one that breaks a rule,
    ``TooManyRequests``.
    """
    credentials.confirm(user, current, actor=actor)
    if passwords.normalised(password) == passwords.normalised(current):
        raise BadRequest(_("The new password is the old one."), field="password")
    return change_password(user, password=password, actor=actor)


def change_password(user: User, *, password: str, actor: Actor) -> User:
    """Set another's password; every session and token made before stops working.

    Raises ``BadRequest`` for a password that breaks a rule, ``NotFound`` for a deleted user.
    """
    secret = passwords.normalised(password)
    passwords.require_good(secret, user)
    # Before the transaction: hashing takes its time, and SQLite has one writer.
    return store_password(user, passwords.hashed(secret), actor=actor)


@transaction.atomic
def store_password(user: User, hashed: str, *, actor: Actor) -> User:
    """Set a password that was checked and hashed already."""
    locked = _locked(user)
    locked.password = hashed
    locked.auth_epoch += 1
    sessions.end_all(locked)
    locked.save(update_fields=["password", "auth_epoch", "updated_at"])
    audit.record(actor, "update_user", locked.username, detail={"password": "changed"})
    return locked


@transaction.atomic
def remove(user: User, *, actor: Actor) -> User:
    """Delete a user: signed out everywhere, in no project, name and address free at once.

    The row stays, since projects and history point at it, under a name that nobody can sign in
    with. Raises ``PreconditionFailed`` for the last active administrator, ``Denied`` for oneself,
    ``NotFound``.
    """
    if actor.principal.user_id == user.pk:
        raise Denied(_("You cannot delete yourself."))
    _require_another_administrator(user)
    locked = _locked(user)
    former = locked.username
    members.remove_everywhere(locked, actor=actor)
    sessions.end_all(locked)
    now = timezone.now()
    locked.personal_tokens.filter(revoked_at=None).update(revoked_at=now)
    suffix = f"#{locked.pk}"
    locked.username = f"{former[: 255 - len(suffix)]}{suffix}"
    locked.email = ""
    locked.is_active = locked.is_administrator = locked.is_auditor = False
    locked.auth_epoch += 1
    locked.deleted_at = now
    locked.save()
    audit.record(actor, "delete_user", former)
    outbox.emit("user.deleted", f"user:{locked.pk}", username=former)
    return locked


@transaction.atomic
def ensure_first_administrator(password: str | None) -> str | None:
    """Make ``admin`` and the public project ``library`` in an installation without users.

    Returns the administrator's password (a random one where none was given), or None where there
    are users already. Raises ``BadRequest`` for a password that breaks a rule.
    """
    if User.objects.exists():
        return None
    secret = password if password is not None else get_random_string(24)
    admin = create(
        username=FIRST_ADMINISTRATOR,
        password=secret,
        is_administrator=True,
        actor=SYSTEM_ACTOR,
    )
    projects.create(name=FIRST_PROJECT, is_public=True, owner=admin, actor=SYSTEM_ACTOR)
    return secret


def _locked(user: User) -> User:
    locked = User.objects.select_for_update().filter(pk=user.pk, deleted_at=None).first()
    if locked is None:
        raise NotFound(_("user not found"))
    return locked


def _save(user: User, actor: Actor, changes: dict[str, Any], *more: str) -> User:
    """Store the changed fields with their audit row and event."""
    user.save(update_fields=[*changes, *more, "updated_at"])
    audit.record(actor, "update_user", user.username, detail=changes)
    outbox.emit("user.updated", f"user:{user.pk}", username=user.username)
    return user


def _require_another_administrator(user: User) -> None:
    """Raise ``PreconditionFailed`` where nobody could administer the system without this user."""
    # All of them locked, in one order: two that remove each other wait for one another.
    active = User.objects.filter(is_administrator=True, is_active=True).order_by("pk")
    ids = list(active.select_for_update().values_list("pk", flat=True))
    if ids == [user.pk]:
        raise PreconditionFailed(
            _("This is the last active administrator; make somebody else one first.")
        )


def _domain_error(error: ValidationError) -> BadRequest | Conflict:
    for field, messages in error.message_dict.items():
        if field == "__all__":
            return Conflict(messages[0], field="email")
        return BadRequest(messages[0], field=field)
    return BadRequest(_("The input breaks a rule."))
