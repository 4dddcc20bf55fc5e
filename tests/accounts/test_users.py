"""Making and changing users."""

from functools import partial

import pytest
from django.core import mail as outgoing
from pytest_django import Settings

from accounts import credentials, personal_tokens, users
from accounts.errors import (
    BadRequest,
    Conflict,
    Denied,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthorized,
)
from accounts.models import AuditEntry, Project, User
from accounts.principals import SYSTEM_ACTOR, Actor

pytestmark = pytest.mark.django_db
GOOD = "a password of their own"


class TestCreate:
    def test_stored_lower_case_and_hashed(self) -> None:
        user = users.create(username=" Dora ", password=GOOD, actor=SYSTEM_ACTOR)
        assert user.username == "dora"
        assert GOOD not in user.password
        assert not user.is_administrator

    def test_the_audit_holds_no_secret(self) -> None:
        users.create(username="dora", password=GOOD, actor=SYSTEM_ACTOR)
        entry = AuditEntry.objects.get(action="create_user")
        assert entry.resource == "dora"
        assert GOOD not in str(vars(entry))

    @pytest.mark.parametrize("length", [12, 13, 1024])
    def test_password_lengths(self, length: int) -> None:
        password = ("xk7 q-wz" * 128)[:length]
        users.create(username="dora", password=password, actor=SYSTEM_ACTOR)
        user = credentials.check_password("dora", password, actor=SYSTEM_ACTOR)
        assert user.username == "dora"

    @pytest.mark.parametrize(
        "password", ["", "a" * 11, "xk7 q-wz" * 128 + "x", "password1234", "dora-the-explorer"]
    )
    def test_passwords_that_break_a_rule(self, password: str) -> None:
        with pytest.raises(BadRequest) as caught:
            users.create(
                username="dora", realname="Dora the explorer", password=password, actor=SYSTEM_ACTOR
            )
        assert caught.value.field == "password"
        assert not User.objects.filter(username="dora").exists()

    def test_more_than_72_characters_count(self) -> None:
        password = "xk7 q-wz" * 10
        users.create(username="dora", password=password, actor=SYSTEM_ACTOR)
        with pytest.raises(Unauthorized):
            credentials.check_password("dora", password[:72], actor=SYSTEM_ACTOR)

    @pytest.mark.parametrize(
        "name", ["", "a b", "a/b", "a:b", "a$", "robot+x", "-a", "a-", "é", "a\0", "a" * 256]
    )
    def test_names_that_break_a_rule(self, name: str) -> None:
        with pytest.raises(BadRequest) as caught:
            users.create(username=name, password=GOOD, actor=SYSTEM_ACTOR)
        assert caught.value.field == "username"

    def test_taken_name_and_address(self) -> None:
        users.create(username="dora", email="d@example.com", password=GOOD, actor=SYSTEM_ACTOR)
        with pytest.raises(Conflict) as caught:
            users.create(username="DORA", password=GOOD, actor=SYSTEM_ACTOR)
        assert caught.value.field == "username"
        with pytest.raises(Conflict) as caught:
            users.create(username="eve", email="d@example.com", password=GOOD, actor=SYSTEM_ACTOR)
        assert caught.value.field == "email"

    def test_of_two_at_once_one_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        users.create(username="dora", password=GOOD, actor=SYSTEM_ACTOR)
        # What the slower of the two sees: nobody of that name, yet.
        monkeypatch.setattr(User.objects, "filter", lambda **_: User.objects.none())
        monkeypatch.setattr(User, "validate_constraints", lambda *_, **__: None)
        with pytest.raises(Conflict):
            users.create(username="dora", password=GOOD, actor=SYSTEM_ACTOR)

    def test_many_without_an_address(self) -> None:
        for name in ("dora", "eve"):
            users.create(username=name, password=GOOD, actor=SYSTEM_ACTOR)


class TestChange:
    def test_a_new_password_raises_the_epoch(self, cast: object) -> None:
        bob = User.objects.get(username="bob")
        credentials.check_password("bob", "bob-password-12", actor=SYSTEM_ACTOR)
        changed = users.change_password(bob, password=GOOD, actor=SYSTEM_ACTOR)
        assert changed.auth_epoch == bob.auth_epoch + 1
        with pytest.raises(Unauthorized):
            credentials.check_password("bob", "bob-password-12", actor=SYSTEM_ACTOR)
        assert credentials.check_password("bob", GOOD, actor=SYSTEM_ACTOR) == bob

    def test_a_bad_password_changes_nothing(self, cast: object) -> None:
        bob = User.objects.get(username="bob")
        with pytest.raises(BadRequest):
            users.change_password(bob, password="short", actor=SYSTEM_ACTOR)
        assert User.objects.get(pk=bob.pk).auth_epoch == bob.auth_epoch

    def test_disabling_locks_out_at_once(self, cast: object) -> None:
        bob = User.objects.get(username="bob")
        credentials.check_password("bob", "bob-password-12", actor=SYSTEM_ACTOR)
        disabled = users.set_active(bob, is_active=False, actor=SYSTEM_ACTOR)
        assert disabled.auth_epoch == bob.auth_epoch + 1
        with pytest.raises(Unauthorized):
            credentials.check_password("bob", "bob-password-12", actor=SYSTEM_ACTOR)


class TestProfile:
    def test_what_is_not_named_stays(self, bob: User) -> None:
        users.update_profile(bob, realname=" Bob B. ", actor=SYSTEM_ACTOR)
        bob.refresh_from_db()
        assert (bob.realname, bob.email) == ("Bob B.", "bob@example.com")
        entry = AuditEntry.objects.get(action="update_user")
        assert entry.detail == {"realname": "Bob B."}

    def test_ones_own_address_takes_the_password(self, bob: User) -> None:
        own = Actor(credentials.principal_of_user(bob), "192.0.2.1")
        for wrong in ("", "guess"):
            with pytest.raises(Denied):
                users.update_profile(bob, email="b@example.com", current_password=wrong, actor=own)
        password = "bob-password-12"
        users.update_profile(bob, email="b@example.com", current_password=password, actor=own)
        bob.refresh_from_db()
        assert bob.email == "b@example.com"

    def test_the_old_address_is_told(self, bob: User, settings: Settings) -> None:
        settings.MOORAGE_SENDS_MAIL = True
        users.update_profile(bob, email="b@example.com", actor=SYSTEM_ACTOR)
        assert [message.to for message in outgoing.outbox] == [["bob@example.com"]]

    def test_taken_and_malformed_addresses(self, alice: User, bob: User) -> None:
        with pytest.raises(Conflict):
            users.update_profile(bob, email=alice.email, actor=SYSTEM_ACTOR)
        with pytest.raises(BadRequest) as caught:
            users.update_profile(bob, email="no address", actor=SYSTEM_ACTOR)
        assert caught.value.field == "email"


class TestOwnPassword:
    def test_with_the_current_one(self, bob: User) -> None:
        own = Actor(credentials.principal_of_user(bob), "192.0.2.1")
        users.change_own_password(bob, current="bob-password-12", password=GOOD, actor=own)
        assert credentials.check_password("bob", GOOD, actor=SYSTEM_ACTOR) == bob

    def test_guessing_it_is_slowed_down(self, bob: User) -> None:
        for _ in range(5):
            with pytest.raises(Denied):
                users.change_own_password(bob, current="?", password=GOOD, actor=SYSTEM_ACTOR)
        with pytest.raises(TooManyRequests):
            users.change_own_password(bob, current="?", password=GOOD, actor=SYSTEM_ACTOR)

    def test_the_same_again_is_none(self, bob: User) -> None:
        same = "bob-password-12"
        with pytest.raises(BadRequest):
            users.change_own_password(bob, current=same, password=same, actor=SYSTEM_ACTOR)


class TestRights:
    def test_an_administrator_no_longer(self, admin: User, bob: User) -> None:
        users.set_administrator(bob, is_administrator=True, actor=SYSTEM_ACTOR)
        users.set_administrator(admin, is_administrator=False, actor=SYSTEM_ACTOR)
        admin.refresh_from_db()
        assert not admin.is_administrator
        assert admin.rights_epoch == 1
        assert AuditEntry.objects.filter(action="update_user").count() == 2

    def test_the_last_administrator_stays(self, admin: User, bob: User) -> None:
        users.set_administrator(bob, is_administrator=True, actor=SYSTEM_ACTOR)
        users.set_active(bob, is_active=False, actor=SYSTEM_ACTOR)
        for change in (
            partial(users.set_administrator, is_administrator=False),
            partial(users.set_active, is_active=False),
            users.remove,
        ):
            with pytest.raises(PreconditionFailed, match="last active administrator"):
                change(admin, actor=SYSTEM_ACTOR)
        admin.refresh_from_db()
        assert admin.is_administrator
        assert admin.is_active

    def test_an_auditor(self, bob: User) -> None:
        users.set_auditor(bob, is_auditor=True, actor=SYSTEM_ACTOR)
        bob.refresh_from_db()
        assert bob.is_auditor
        assert bob.rights_epoch == 1


class TestRemove:
    def test_name_and_address_are_free(self, bob: User) -> None:
        removed = users.remove(bob, actor=SYSTEM_ACTOR)
        assert removed.username == f"bob#{bob.pk}"
        again = users.create(
            username="bob", email="bob@example.com", password=GOOD, actor=SYSTEM_ACTOR
        )
        assert again.pk != bob.pk
        assert not again.memberships.exists()

    def test_the_longest_name(self, cast: object) -> None:
        user = users.create(username="a" * 255, password=GOOD, actor=SYSTEM_ACTOR)
        assert (
            users.remove(user, actor=SYSTEM_ACTOR).username
            == "a" * (255 - len(f"#{user.pk}")) + f"#{user.pk}"
        )

    def test_nothing_of_theirs_works_any_more(self, alice: User) -> None:
        _token, secret = personal_tokens.create(
            alice, name="x", scopes=["api:read"], actor=SYSTEM_ACTOR
        )
        removed = users.remove(alice, actor=SYSTEM_ACTOR)
        assert not removed.memberships.exists()
        for name in ("alice", removed.username):
            with pytest.raises(Unauthorized):
                credentials.check_password(name, "alice-password-12", actor=SYSTEM_ACTOR)
        with pytest.raises(Unauthorized):
            credentials.authenticate_token(secret, actor=SYSTEM_ACTOR)
        assert AuditEntry.objects.get(action="delete_user").resource == "alice"

    def test_not_oneself_and_not_twice(self, bob: User) -> None:
        own = Actor(credentials.principal_of_user(bob))
        with pytest.raises(Denied):
            users.remove(bob, actor=own)
        users.remove(bob, actor=SYSTEM_ACTOR)
        for change in (
            users.remove,
            partial(users.set_active, is_active=True),
            partial(users.change_password, password=GOOD),
        ):
            with pytest.raises(NotFound):
                change(bob, actor=SYSTEM_ACTOR)


class TestFirstAdministrator:
    def test_with_a_random_password(self) -> None:
        password = users.ensure_first_administrator(None)
        assert password is not None
        assert len(password) >= 20
        admin = credentials.check_password("admin", password, actor=SYSTEM_ACTOR)
        assert admin.is_administrator
        assert Project.objects.get(name="library").is_public

    def test_only_once(self) -> None:
        assert users.ensure_first_administrator(GOOD) == GOOD
        assert users.ensure_first_administrator("another password") is None

    @pytest.mark.parametrize("password", ["Harbor12345", "short", "administrator"])
    def test_a_given_password_obeys_the_rules(self, password: str) -> None:
        with pytest.raises(BadRequest):
            users.ensure_first_administrator(password)
        assert not User.objects.exists()
