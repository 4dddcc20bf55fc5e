"""Passwords that people choose: their rules, and Argon2 within bounds."""

import threading
import unicodedata

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from accounts.errors import BadRequest, Unavailable
from accounts.models import User

MAX_LENGTH = 1024
# Each Argon2 run takes 100 MiB; more at once would let a flood of guesses fill the memory.
_argon2_runs = threading.BoundedSemaphore(2)
_WAIT_SECONDS = 10
_nobodys_hash: list[str] = []


class MaximumLengthValidator:
    """Refuses passwords so long that hashing them would be work for an attacker to give."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ``ValidationError`` above the limit."""
        if len(password) > MAX_LENGTH:
            raise ValidationError(
                _("This password is too long. It may have at most %(max)d characters.")
                % {"max": MAX_LENGTH}
            )

    def get_help_text(self) -> str:
        """Say the rule."""
        return _("At most %(max)d characters.") % {"max": MAX_LENGTH}


def normalised(password: str) -> str:
    """The form in which passwords are stored and compared (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def require_good(password: str, user: User | None = None, *, field: str = "password") -> None:
    """Raise ``BadRequest`` with every rule that the password breaks."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BadRequest(" ".join(error.messages), field=field) from error


def hashed(password: str) -> str:
    """Hash a password that was found good.

    Raises ``Unavailable`` when too many wait already.
    """
    if not _argon2_runs.acquire(timeout=_WAIT_SECONDS):
        raise Unavailable(_("Too many sign-ins at once; try again in a moment."))
    try:
        return make_password(password)
    finally:
        _argon2_runs.release()


def verify(password: str, hashed: str | None) -> bool:
    """Check a password; ``None`` (nobody's) costs the same time and is always wrong.

    Raises ``Unavailable`` when too many checks wait already.
    """
    if not _argon2_runs.acquire(timeout=_WAIT_SECONDS):
        raise Unavailable(_("Too many sign-ins at once; try again in a moment."))
    try:
        if hashed is not None:
            return len(password) <= MAX_LENGTH and check_password(password, hashed)
        if not _nobodys_hash:
            _nobodys_hash.append(make_password(get_random_string(20)))
        check_password(password, _nobodys_hash[0])
        return False
    finally:
        _argon2_runs.release()
