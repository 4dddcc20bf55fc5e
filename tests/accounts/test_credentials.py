"""From a header or a password to a principal."""

import threading
from base64 import b64encode

import pytest
from django.contrib.auth.models import AnonymousUser

from accounts import credentials, passwords
from accounts.errors import Unauthorized, Unavailable
from accounts.models import AuditEntry, ThrottleCounter, User
from accounts.principals import ANONYMOUS, Actor, Principal

pytestmark = pytest.mark.django_db
ACTOR = Actor(ANONYMOUS, "192.0.2.1", "c0ffee")


def header(text: str, scheme: str = "Basic") -> str:
    """Make an Authorization header."""
    return f"{scheme} {b64encode(text.encode()).decode()}"


class TestAuthenticate:
    @pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
    def test_a_principal(self, bob: User, scheme: str) -> None:
        principal = credentials.authenticate(header("bob:bob-password-12", scheme), actor=ACTOR)
        assert principal == Principal("user", "bob", bob.pk, epoch=bob.auth_epoch)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "Basic",
            "Basic !!!",
            "Basic \xe9",
            "Basic \udcff",
            "Bearer x",
            "Basic Ym9i",
            "Basic =",
        ],
    )
    def test_malformed(self, bob: User, text: str) -> None:
        with pytest.raises(Unauthorized):
            credentials.authenticate(text, actor=ACTOR)
        assert not ThrottleCounter.objects.exists()

    def test_colons_belong_to_the_password(self, bob: User) -> None:
        bob.set_password("with:colons:in it")
        bob.save()
        assert credentials.authenticate(header("bob:with:colons:in it"), actor=ACTOR).name == "bob"


class TestCheckPassword:
    @pytest.mark.parametrize("name", ["nobody", "", "bo\0b", "b" * 5000])
    def test_no_such_user(self, bob: User, name: str) -> None:
        with pytest.raises(Unauthorized, match="incorrect username or password"):
            credentials.check_password(name, "bob-password-12", actor=ACTOR)

    @pytest.mark.parametrize("password", ["", "wrong", "bob-password-1", "x" * 1_000_000])
    def test_wrong_password(self, bob: User, password: str) -> None:
        with pytest.raises(Unauthorized, match="incorrect username or password"):
            credentials.check_password("bob", password, actor=ACTOR)

    def test_a_disabled_user(self, bob: User) -> None:
        credentials.check_password("bob", "bob-password-12", actor=ACTOR)
        User.objects.filter(pk=bob.pk).update(is_active=False)
        with pytest.raises(Unauthorized, match="incorrect username or password"):
            credentials.check_password("bob", "bob-password-12", actor=ACTOR)

    def test_one_password_in_two_unicode_forms(self, bob: User) -> None:
        bob.set_password(passwords.normalised("cafe\u0301 au lait \u2460"))
        bob.save()
        assert credentials.check_password("bob", "caf\u00e9 au lait 1", actor=ACTOR) == bob

    def test_the_audit_of_both_outcomes(self, bob: User) -> None:
        with pytest.raises(Unauthorized):
            credentials.check_password("bob", "wrong", actor=ACTOR)
        credentials.check_password("bob", "bob-password-12", actor=ACTOR)
        entries = AuditEntry.objects.filter(action="login_user").order_by("id")
        assert [(e.outcome, e.actor_name, e.address) for e in entries] == [
            ("denied", "anonymous", "192.0.2.1"),
            ("success", "bob", "192.0.2.1"),
        ]

    def test_a_right_password_is_remembered_for_a_while(
        self, bob: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        credentials.check_password("bob", "bob-password-12", actor=ACTOR)
        monkeypatch.setattr(passwords, "verify", lambda *_: pytest.fail("hashed again"))
        assert credentials.check_password("bob", "bob-password-12", actor=ACTOR) == bob

    def test_an_unknown_user_costs_a_hash_too(
        self, bob: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs: list[str] = []
        monkeypatch.setattr(passwords, "verify", lambda *_: runs.append("run"))
        for name in ("bob", "nobody"):
            with pytest.raises(Unauthorized):
                credentials.check_password(name, "wrong", actor=ACTOR)
        assert len(runs) == 2

    def test_too_many_at_once_is_unavailable(
        self, bob: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Busy(threading.BoundedSemaphore):
            def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002
                return False

        monkeypatch.setattr(passwords, "_argon2_runs", Busy(1))
        with pytest.raises(Unavailable):
            credentials.check_password("bob", "something new", actor=ACTOR)


class TestPrincipalOfUser:
    def test_nobody(self) -> None:
        assert credentials.principal_of_user(AnonymousUser()) is ANONYMOUS

    def test_disabled(self, bob: User) -> None:
        bob.is_active = False
        assert credentials.principal_of_user(bob) is ANONYMOUS
