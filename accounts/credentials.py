"""From what a caller shows (header, password, session) to a principal."""

import dataclasses
import threading
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from accounts import audit, passwords, personal_tokens, robots, throttle
from accounts.crypto import is_secret, keyed_digest
from accounts.errors import Denied, Unauthorized
from accounts.models import AuditEntry, User
from accounts.principals import ANONYMOUS, Actor, Principal

REMEMBERED_SECONDS = 60
_REMEMBERED_CHECKS = 10_000


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


def principal_of_user(user: User | AnonymousUser) -> Principal:
    """The principal of a signed-in user; anonymous for nobody and for a disabled one."""
    if not isinstance(user, User) or not user.is_active:
        return ANONYMOUS
    return Principal(
        kind="user",
        name=user.username,
        user_id=user.pk,
        is_administrator=user.is_administrator,
        is_auditor=user.is_auditor,
        epoch=user.auth_epoch,
        rights_epoch=user.rights_epoch,
    )


def authenticate(authorization: str, *, actor: Actor) -> Principal:
    """Return the principal of an ``Authorization: Basic`` header (RFC 7617).

    A user's password, a personal token in its place, or a robot's secret. Raises ``Unauthorized``
    for malformed or wrong credentials, ``TooManyRequests`` when throttled.
    """
    username, password = _basic(authorization)
    return check(username, password, actor=actor)


def password_in(authorization: str) -> str:
    """The password of an ``Authorization: Basic`` header; empty where there is none."""
    try:
        return _basic(authorization)[1]
    except Unauthorized:
        return ""


def _basic(authorization: str) -> tuple[str, str]:
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
    return username, password


def check(username: str, password: str, *, actor: Actor) -> Principal:
    """Return who this is: a user by password or personal token, or a robot.

    Raises as ``authenticate`` does.
    """
    prefix = settings.MOORAGE_ROBOT_PREFIX
    if username.startswith(prefix):
        login = username.removeprefix(prefix)
        return _throttled(
            username,
            actor,
            lambda: robots.find(login, password, actor=actor),
            # A secret that a person chose can be guessed.
            is_guessable=not is_secret(password, robots.KIND),
        )
    if is_secret(password, personal_tokens.KIND):
        return _throttled(username, actor, lambda: _by_token(password, username, actor))
    return principal_of_user(check_password(username, password, actor=actor))


def authenticate_token(secret: str, *, actor: Actor) -> Principal:
    """Return the principal of a personal token sent as ``Authorization: Bearer``.

    Raises as ``authenticate`` does.
    """
    if not is_secret(secret, personal_tokens.KIND):
        raise Unauthorized(_("A personal token is needed here."))
    # A name of its own for each: a shared one would let failures of some throttle all others.
    account = f"token {secret[:12]}"
    return _throttled(account, actor, lambda: _by_token(secret, "", actor))


def _throttled(
    account: str,
    actor: Actor,
    find: Callable[[], Principal | None],
    *,
    is_guessable: bool = False,
) -> Principal:
    """Look for the owner of a secret; count and record a failure.

    Nobody guesses a generated secret, so the right one is let in before the throttle is asked.
    """
    name = account.lower().replace("\0", "\ufffd")[:255]
    if is_guessable:
        throttle.check(name, actor.address)
    principal = find()
    if principal is not None:
        return principal
    throttle.check(name, actor.address)
    throttle.record_failure(name, actor.address)
    audit.record(actor, "login_user", name, outcome=AuditEntry.Outcome.DENIED)
    raise Unauthorized(_("incorrect username or password"))


def _by_token(secret: str, username: str, actor: Actor) -> Principal | None:
    """The token's owner within its scopes; a username beside it must be the owner's."""
    token = personal_tokens.find(secret, actor=actor)
    if token is None or (username and username.lower() != token.user.username):
        return None
    return dataclasses.replace(
        principal_of_user(token.user), token_id=token.pk, scopes=frozenset(token.scopes)
    )


def confirm(user: User, password: str, *, actor: Actor) -> None:
    """Make sure that a signed-in user knows their password, before something that matters.

    Raises ``Denied`` for a wrong one, ``TooManyRequests`` when throttled.
    """
    secret = _comparable(password)
    key = _memo.key(user, secret)
    if _memo.holds(key):
        return
    throttle.check(user.username, actor.address)
    if not passwords.verify(secret, user.password):
        throttle.record_failure(user.username, actor.address)
        audit.record(actor, "confirm_password", user.username, outcome=AuditEntry.Outcome.DENIED)
        raise Denied(_("The current password is wrong."), field="current_password")
    _memo.add(key)


def _comparable(password: str) -> str:
    """What is compared of a password; one that is too long costs no more than one that is not."""
    return passwords.normalised(password[: passwords.MAX_LENGTH + 1])


def check_password(username: str, password: str, *, actor: Actor) -> User:
    """Return the active user whose password this is.

    Raises ``Unauthorized`` with one message for an unknown user, a wrong password and a disabled
    account, in the same time; ``TooManyRequests`` when throttled; ``Unavailable`` when too many
    checks wait.
    """
    # PostgreSQL stores no NUL; no user's name has one.
    name = username.lower().replace("\0", "\ufffd")[:255]
    secret = _comparable(password)
    # By hand: each token that docker asks for begins here.
    found = list(User.objects.raw("SELECT * FROM accounts_user WHERE username = %s", [name]))
    user = found[0] if found and found[0].is_active else None
    key = _memo.key(user, secret) if user else b""
    if user is not None and _memo.holds(key):
        return user
    throttle.check(name, actor.address)
    if passwords.verify(secret, user.password if user else None) and user is not None:
        throttle.record_success(name, actor.address)
        _memo.add(key)
        signed_in = Actor(principal_of_user(user), actor.address, actor.request_id, actor.client)
        audit.record(signed_in, "login_user", name)
        return user
    throttle.record_failure(name, actor.address)
    audit.record(actor, "login_user", name, outcome=AuditEntry.Outcome.DENIED)
    raise Unauthorized(_("incorrect username or password"))
