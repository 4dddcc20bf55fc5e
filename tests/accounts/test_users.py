"""Making and changing users."""

import pytest

from accounts import credentials, users
from accounts.errors import BadRequest, Conflict, Unauthorized
from accounts.models import AuditEntry, Project, User
from accounts.principals import SYSTEM_ACTOR

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
