"""One-time links with which a user sets a new password."""

import datetime

import pytest
import time_machine
from django.core import mail as outgoing
from django.utils import timezone
from pytest_django import Settings

from accounts import credentials, resets, users
from accounts.errors import BadRequest, NotFound, PreconditionFailed, TooManyRequests
from accounts.models import AuditEntry, PasswordReset, User
from accounts.principals import ANONYMOUS, SYSTEM_ACTOR, Actor

pytestmark = pytest.mark.django_db
ACTOR = Actor(ANONYMOUS, "192.0.2.1", "c0ffee")
GOOD = "a password of their own"


class TestCreate:
    def test_the_secret_is_not_kept(self, bob: User) -> None:
        reset, secret = resets.create(bob, actor=SYSTEM_ACTOR)
        assert secret.startswith("mrg_rst_")
        assert secret not in str(vars(reset))
        assert secret not in str(list(AuditEntry.objects.values()))

    def test_a_newer_one_ends_the_older(self, bob: User) -> None:
        _reset, older = resets.create(bob, actor=SYSTEM_ACTOR)
        _reset, newer = resets.create(bob, actor=SYSTEM_ACTOR)
        with pytest.raises(NotFound):
            resets.find(older, actor=ACTOR)
        assert resets.find(newer, actor=ACTOR).user == bob

    def test_none_for_a_disabled_user(self, bob: User) -> None:
        users.set_active(bob, is_active=False, actor=SYSTEM_ACTOR)
        with pytest.raises(PreconditionFailed):
            resets.create(bob, actor=SYSTEM_ACTOR)


class TestUse:
    def test_once(self, bob: User) -> None:
        _reset, secret = resets.create(bob, actor=SYSTEM_ACTOR)
        changed = resets.use(secret, password=GOOD, actor=ACTOR)
        assert changed.auth_epoch == bob.auth_epoch + 1
        assert credentials.check_password("bob", GOOD, actor=ACTOR) == bob
        with pytest.raises(NotFound):
            resets.use(secret, password="yet another password", actor=ACTOR)
        assert AuditEntry.objects.get(action="use_password_reset").actor_name == "bob"

    def test_a_bad_password_leaves_the_link_good(self, bob: User) -> None:
        _reset, secret = resets.create(bob, actor=SYSTEM_ACTOR)
        with pytest.raises(BadRequest):
            resets.use(secret, password="short", actor=ACTOR)
        resets.use(secret, password=GOOD, actor=ACTOR)

    def test_of_two_at_once_one_is_told(self, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
        reset, secret = resets.create(bob, actor=SYSTEM_ACTOR)
        resets.use(secret, password=GOOD, actor=ACTOR)
        monkeypatch.setattr(resets, "find", lambda *_, **__: reset)
        with pytest.raises(NotFound):
            resets.use(secret, password="yet another password", actor=ACTOR)

    def test_a_day_later_it_has_expired(self, bob: User) -> None:
        _reset, secret = resets.create(bob, actor=SYSTEM_ACTOR)
        later = timezone.now() + resets.LIFETIME + datetime.timedelta(seconds=1)
        with time_machine.travel(later), pytest.raises(NotFound):
            resets.use(secret, password=GOOD, actor=ACTOR)

    def test_a_user_disabled_meanwhile(self, bob: User) -> None:
        _reset, secret = resets.create(bob, actor=SYSTEM_ACTOR)
        users.set_active(bob, is_active=False, actor=SYSTEM_ACTOR)
        with pytest.raises(NotFound):
            resets.use(secret, password=GOOD, actor=ACTOR)

    @pytest.mark.parametrize("secret", ["", "x", "mrg_rst_" + "a" * 36, "mrg_pat_x", "\0"])
    def test_a_wrong_secret(self, cast: object, secret: str) -> None:
        with pytest.raises(NotFound):
            resets.find(secret, actor=ACTOR)

    def test_guessing_is_slowed_down(self, bob: User) -> None:
        _reset, secret = resets.create(bob, actor=SYSTEM_ACTOR)
        PasswordReset.objects.update(used_at=timezone.now())
        for _ in range(5):
            with pytest.raises(NotFound):
                resets.find(secret, actor=ACTOR)
        with pytest.raises(TooManyRequests):
            resets.find(secret, actor=ACTOR)


class TestMail:
    def test_none_without_a_server(self, bob: User) -> None:
        reset, _secret = resets.create(bob, actor=SYSTEM_ACTOR)
        assert not resets.mail_link(reset, "https://example.com/x")
        assert not outgoing.outbox

    def test_the_link_goes_to_its_user(self, bob: User, settings: Settings) -> None:
        settings.MOORAGE_SENDS_MAIL = True
        reset, _secret = resets.create(bob, actor=SYSTEM_ACTOR)
        assert resets.mail_link(reset, "https://example.com/x")
        (message,) = outgoing.outbox
        assert message.to == ["bob@example.com"]
        assert "https://example.com/x" in str(message.body)

    def test_a_server_that_fails_breaks_nothing(self, bob: User, settings: Settings) -> None:
        settings.MOORAGE_SENDS_MAIL = True
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        reset, _secret = resets.create(bob, actor=SYSTEM_ACTOR)
        assert not resets.mail_link(reset, "https://example.com/x")
