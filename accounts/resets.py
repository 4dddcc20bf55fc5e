"""One-time links with which a user sets a new password: made for them, or mailed on request."""

import datetime
from collections.abc import Callable

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, mail, passwords, throttle, users
from accounts.crypto import is_secret, new_secret, secret_digest
from accounts.errors import NotFound, PreconditionFailed
from accounts.models import PasswordReset, User
from accounts.principals import Actor, Principal

KIND = "rst"
LIFETIME = datetime.timedelta(hours=24)
# Between two links that somebody who did not sign in has mailed to the same user.
PAUSE = datetime.timedelta(minutes=5)


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


def note_request(name: str, *, actor: Actor) -> None:
    """Count that a link was asked for by name or address. Raises ``TooManyRequests``.

    Whether there is such a user is not looked up: the answer is the same and takes as long.
    """
    account = f"forgot {name.strip().lower()[:200]}"
    throttle.check(account, actor.address)
    throttle.record_failure(account, actor.address)


def mail_requested(name: str, *, address_of: Callable[[str], str], actor: Actor) -> bool:
    """Mail a link to the user of that name or address; tell whether one was sent.

    ``address_of`` makes the link of a secret. Nobody is sent one who may not sign in, has no
    address, or was sent one within ``PAUSE``.
    """
    wanted = name.strip().lower()
    users_of_name = User.objects.filter(is_active=True, deleted_at=None).exclude(email="")
    user = users_of_name.filter(Q(username=wanted) | Q(email__iexact=wanted)).first()
    if user is None or not wanted:
        return False
    since = timezone.now() - PAUSE
    if PasswordReset.objects.filter(user=user, created_at__gt=since).exists():
        return False
    reset, secret = create(user, actor=actor)
    return mail_link(reset, address_of(secret))


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
