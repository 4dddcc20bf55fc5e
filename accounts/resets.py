"""One-time links with which a user sets a new password: made by administrators, used once."""

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, mail, passwords, throttle, users
from accounts.crypto import is_secret, new_secret, secret_digest
from accounts.errors import NotFound, PreconditionFailed
from accounts.models import PasswordReset, User
from accounts.principals import Actor, Principal

KIND = "rst"
LIFETIME = datetime.timedelta(hours=24)


@transaction.atomic
def create(user: User, *, actor: Actor) -> tuple[PasswordReset, str]:
    """Make a link's secret, shown this once; links made before for this user stop working.

    Raises ``PreconditionFailed`` for a user who may not sign in anyway.
    """
    locked = User.objects.select_for_update().get(pk=user.pk)
    if not locked.is_active:
        raise PreconditionFailed(_("This user is disabled; enable them first."))
    now = timezone.now()
    PasswordReset.objects.filter(user=locked, used_at=None).update(used_at=now)
    secret = new_secret(KIND)
    reset = PasswordReset.objects.create(
        user=locked, secret_hash=secret_digest(secret), expires_at=now + LIFETIME
    )
    audit.record(actor, "create_password_reset", locked.username)
    return reset, secret


def mail_link(reset: PasswordReset, link: str) -> bool:
    """Send the link to the user's address; tell whether a mail server took it."""
    text = _("Set a new password within 24 hours here:") + f"\n\n{link}\n"
    return mail.send(reset.user.email, _("A new password for Moorage"), text)


def find(secret: str, *, actor: Actor) -> PasswordReset:
    """Return the reset that is still good for one password.

    Raises ``NotFound`` for one that is unknown, used or expired, ``TooManyRequests``.
    """
    if not is_secret(secret, KIND):
        raise _gone()
    # A name of its own for each: a shared one would let failures of some throttle all others.
    account = f"reset {secret[:12]}"
    throttle.check(account, actor.address)
    reset = (
        PasswordReset.objects.select_related("user")
        .filter(secret_hash=secret_digest(secret), used_at=None)
        .filter(expires_at__gt=timezone.now(), user__is_active=True)
        .first()
    )
    if reset is None:
        throttle.record_failure(account, actor.address)
        raise _gone()
    return reset


def use(secret: str, *, password: str, actor: Actor) -> User:
    """Set the password; every session and token of the user made before stops working.

    Raises as ``find`` does, and ``BadRequest`` for a password that breaks a rule: the link then
    stays good for another try.
    """
    reset = find(secret, actor=actor)
    chosen = passwords.normalised(password)
    passwords.require_good(chosen, reset.user)
    # Before the transaction: hashing takes its time, and SQLite has one writer.
    return _use(reset, passwords.hashed(chosen), actor)


@transaction.atomic
def _use(reset: PasswordReset, hashed: str, actor: Actor) -> User:
    # The condition decides between two who use it at once.
    unused = PasswordReset.objects.filter(pk=reset.pk, used_at=None)
    if not unused.update(used_at=timezone.now()):
        raise _gone()
    user = reset.user
    owner = Principal("user", user.username, user.pk)
    by_link = Actor(owner, actor.address, actor.request_id, actor.client)
    audit.record(by_link, "use_password_reset", user.username)
    return users.store_password(user, hashed, actor=by_link)


def _gone() -> NotFound:
    return NotFound(_("This link was used already, has expired, or never existed."))
