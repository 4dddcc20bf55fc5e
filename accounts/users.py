"""Making and changing users; every function writes its audit row in its own transaction."""

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from accounts import audit, outbox, passwords, projects
from accounts.errors import BadRequest, Conflict
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
    user.set_password(secret)
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


@transaction.atomic
def set_active(user: User, *, is_active: bool, actor: Actor) -> User:
    """Enable or disable a user; either way every token made before stops working."""
    locked = User.objects.select_for_update().get(pk=user.pk)
    locked.is_active = is_active
    locked.auth_epoch += 1
    locked.save(update_fields=["is_active", "auth_epoch", "updated_at"])
    audit.record(actor, "update_user", locked.username, detail={"is_active": is_active})
    outbox.emit("user.updated", f"user:{locked.pk}", username=locked.username)
    return locked


def change_password(user: User, *, password: str, actor: Actor) -> User:
    """Set a new password; every session and token made before stops working.

    Raises ``BadRequest`` for a password that breaks a rule.
    """
    secret = passwords.normalised(password)
    passwords.require_good(secret, user)
    # Before the transaction: hashing takes its time, and SQLite has one writer.
    return _store_password(user, make_password(secret), actor=actor)


@transaction.atomic
def _store_password(user: User, hashed: str, *, actor: Actor) -> User:
    locked = User.objects.select_for_update().get(pk=user.pk)
    locked.password = hashed
    locked.auth_epoch += 1
    locked.save(update_fields=["password", "auth_epoch", "updated_at"])
    audit.record(actor, "update_user", locked.username, detail={"password": "changed"})
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


def _domain_error(error: ValidationError) -> BadRequest | Conflict:
    for field, messages in error.message_dict.items():
        if field == "__all__":
            return Conflict(messages[0], field="email")
        return BadRequest(messages[0], field=field)
    return BadRequest(_("The input breaks a rule."))
