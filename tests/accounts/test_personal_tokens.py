"""Personal tokens: made, listed, revoked, found."""

import datetime
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts import credentials, personal_tokens, users
from accounts.errors import BadRequest, NotFound, Unauthorized
from accounts.models import AuditEntry, PersonalToken, ThrottleCounter, User
from accounts.principals import ANONYMOUS, SYSTEM_ACTOR, Actor

pytestmark = pytest.mark.django_db
ACTOR = Actor(ANONYMOUS, "192.0.2.1", "c0ffee")


def make(user: User, **more: Any) -> tuple[PersonalToken, str]:
    """Make a token that reads by the API."""
    values = {"name": "laptop", "scopes": ["api:read"], **more}
    return personal_tokens.create(user, actor=SYSTEM_ACTOR, **values)


class TestCreate:
    def test_ninety_days_unless_said_otherwise(self, bob: User) -> None:
        token, _secret = make(bob)
        assert token.expires_at is not None
        assert (token.expires_at - timezone.now()).days in (89, 90)
        assert make(bob, days=None)[0].expires_at is None

    def test_the_secret_is_not_kept(self, bob: User) -> None:
        token, secret = make(bob)
        token.refresh_from_db()
        assert secret not in str(vars(token))
        assert secret.startswith(token.hint)
        assert secret not in str(list(AuditEntry.objects.values()))

    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"name": " "}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"scopes": []}, "scopes"),
            ({"scopes": ["api:everything"]}, "scopes"),
            ({"days": 0}, "days"),
            ({"days": 3651}, "days"),
        ],
    )
    def test_bad_input_is_named(self, bob: User, values: dict[str, Any], field: str) -> None:
        with pytest.raises(BadRequest) as caught:
            make(bob, **values)
        assert caught.value.field == field


class TestFind:
    def test_a_principal_within_its_scopes(self, bob: User) -> None:
        token, secret = make(bob)
        principal = credentials.authenticate_token(secret, actor=ACTOR)
        assert (principal.user_id, principal.token_id) == (bob.pk, token.pk)
        assert principal.may_use("api:read")
        assert not principal.may_use("api:write")
        token.refresh_from_db()
        assert token.last_used_address == "192.0.2.1"

    def test_a_disabled_users_is_none(self, bob: User) -> None:
        _token, secret = make(bob)
        users.set_active(bob, is_active=False, actor=SYSTEM_ACTOR)
        with pytest.raises(Unauthorized):
            credentials.authenticate_token(secret, actor=ACTOR)

    def test_an_expired_one_is_none(self, bob: User) -> None:
        _token, secret = make(bob, days=1)
        with time_machine.travel(timezone.now() + datetime.timedelta(days=1, seconds=1)):
            assert personal_tokens.find(secret, actor=ACTOR) is None

    def test_what_has_not_its_form_is_refused_unasked(self, cast: object) -> None:
        for text in ("", "x", "mrg_pat_x", "eyJhbGciOi.x.y"):
            with pytest.raises(Unauthorized):
                credentials.authenticate_token(text, actor=ACTOR)
        assert not ThrottleCounter.objects.exists()


class TestRevoke:
    def test_at_once_and_twice(self, bob: User) -> None:
        token, secret = make(bob)
        for _ in range(2):
            personal_tokens.revoke(bob, token.pk, actor=SYSTEM_ACTOR)
        assert personal_tokens.find(secret, actor=ACTOR) is None
        assert not personal_tokens.of_user(bob).exists()
        assert AuditEntry.objects.filter(action="delete_token").count() == 1

    def test_not_anothers(self, alice: User, bob: User) -> None:
        token, secret = make(alice)
        with pytest.raises(NotFound):
            personal_tokens.revoke(bob, token.pk, actor=SYSTEM_ACTOR)
        assert personal_tokens.find(secret, actor=ACTOR) == token
