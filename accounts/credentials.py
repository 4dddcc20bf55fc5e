"""From what a caller shows (header, password, session) to a principal."""

import threading
import time
import unicodedata
from base64 import b64decode
from collections import OrderedDict

from django.contrib.auth.hashers import check_password as check_hash
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from accounts import audit, throttle
from accounts.crypto import keyed_digest
from accounts.errors import Unauthorized, Unavailable
from accounts.models import AuditEntry, User
from accounts.principals import ANONYMOUS, Actor, Principal

PASSWORD_MAX_LENGTH = 1024
REMEMBERED_SECONDS = 60
_REMEMBERED_CHECKS = 10_000
# Each Argon2 run takes 100 MiB; more at once would let a flood of guesses fill the memory.
_argon2_runs = threading.BoundedSemaphore(2)


class _Memo:
    """Successful password checks of the last minute.

    The key is a keyed digest over the user, the stored hash, the epoch and the password: a
    changed password or a revoked user finds nothing here, in any process, at once.
    """

    def __init__(self) -> None:
        self._key = get_random_string(50).encode()
        self._lock = threading.Lock()
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def key(self, user: User, password: str) -> bytes:
        return keyed_digest(self._key, str(user.pk), user.password, str(user.auth_epoch), password)

    def holds(self, key: bytes) -> bool:
        return self._until.get(key, 0.0) > time.monotonic()

    def add(self, key: bytes) -> None:
        with self._lock:
            self._until.pop(key, None)
            self._until[key] = time.monotonic() + REMEMBERED_SECONDS
            while len(self._until) > _REMEMBERED_CHECKS:
                self._until.popitem(last=False)


_memo = _Memo()
_unknown_user_hash: list[str] = []


def normalised(password: str) -> str:
    """The form in which passwords are stored and compared (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def principal_of_user(user: User | AnonymousUser) -> Principal:
    """The principal of a signed-in user; anonymous for nobody and for a disabled one."""
    if not isinstance(user, User) or not user.is_active:
        return ANONYMOUS
    return Principal(
        kind="user",
        name=user.username,
        user_id=user.pk,
        is_administrator=user.is_administrator,
        epoch=user.auth_epoch,
    )


def authenticate(authorization: str, *, actor: Actor) -> Principal:
    """Return the principal of an ``Authorization: Basic`` header (RFC 7617).

    Raises ``Unauthorized`` for malformed or wrong credentials, ``TooManyRequests`` when throttled.
    """
    scheme, _separator, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized(_("Basic credentials are needed here."))
    try:
        text = b64decode(encoded.strip(), validate=True).decode()
    except ValueError as error:
        raise Unauthorized(_("The Authorization header is malformed.")) from error
    username, separator, password = text.partition(":")
    if not separator or not username or "\0" in text:
        raise Unauthorized(_("The Authorization header is malformed."))
    return principal_of_user(check_password(username, password, actor=actor))


def check_password(username: str, password: str, *, actor: Actor) -> User:
    """Return the active user whose password this is.

    Raises ``Unauthorized`` with one message for an unknown user, a wrong password and a disabled
    account, in the same time; ``TooManyRequests`` when throttled; ``Unavailable`` when too many
    checks wait.
    """
    # PostgreSQL stores no NUL; no user's name has one.
    name = username.lower().replace("\0", "\ufffd")[:255]
    secret = normalised(password[: PASSWORD_MAX_LENGTH + 1])
    user = User.objects.filter(username=name, is_active=True).first()
    key = _memo.key(user, secret) if user else b""
    if user is not None and _memo.holds(key):
        return user
    throttle.check(name, actor.address)
    if _is_right(user, secret) and user is not None:
        throttle.record_success(name, actor.address)
        _memo.add(key)
        signed_in = Actor(principal_of_user(user), actor.address, actor.request_id, actor.client)
        audit.record(signed_in, "login_user", name)
        return user
    throttle.record_failure(name, actor.address)
    audit.record(actor, "login_user", name, outcome=AuditEntry.Outcome.DENIED)
    raise Unauthorized(_("incorrect username or password"))


def _is_right(user: User | None, password: str) -> bool:
    if not _argon2_runs.acquire(timeout=10):
        raise Unavailable(_("Too many sign-ins at once; try again in a moment."))
    try:
        if user is not None:
            return len(password) <= PASSWORD_MAX_LENGTH and check_hash(password, user.password)
        # An unknown user costs the same time as a known one.
        if not _unknown_user_hash:
            _unknown_user_hash.append(make_password(get_random_string(20)))
        check_hash(password, _unknown_user_hash[0])
        return False
    finally:
        _argon2_runs.release()
