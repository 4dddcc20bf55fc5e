"""Who belongs to a project, and as what."""

import pytest

from accounts import members, users
from accounts.errors import Conflict, NotFound, PreconditionFailed
from accounts.models import AuditEntry, OutboxEvent, Project, ProjectMember, User
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role

pytestmark = pytest.mark.django_db


def member_of(team: Project, user: User) -> ProjectMember:
    """The row of a member."""
    return ProjectMember.objects.get(project=team, user=user)


def rights_epoch(user: User) -> int:
    """The number that registry tokens carry."""
    return User.objects.values_list("rights_epoch", flat=True).get(pk=user.pk)


class TestAdd:
    def test_adding_voids_no_token(self, team: Project, mallory: User) -> None:
        members.add(team, user=mallory, role=Role.GUEST, actor=SYSTEM_ACTOR)
        assert rights_epoch(mallory) == mallory.rights_epoch

    def test_a_member_is_a_conflict(self, team: Project, bob: User) -> None:
        with pytest.raises(Conflict):
            members.add(team, user=bob, role=Role.GUEST, actor=SYSTEM_ACTOR)


class TestChangeRole:
    def test_voids_the_registry_tokens_but_no_session(self, team: Project, bob: User) -> None:
        members.change_role(member_of(team, bob), role=Role.GUEST, actor=SYSTEM_ACTOR)
        assert member_of(team, bob).role == Role.GUEST
        assert rights_epoch(bob) == bob.rights_epoch + 1
        assert User.objects.get(pk=bob.pk).auth_epoch == bob.auth_epoch

    def test_audit_and_event(self, team: Project, bob: User) -> None:
        members.change_role(member_of(team, bob), role=Role.MAINTAINER, actor=SYSTEM_ACTOR)
        entry = AuditEntry.objects.get(action="update_member")
        assert entry.resource == "team: bob"
        assert entry.detail == {"role": "Maintainer", "former": "Developer"}
        assert OutboxEvent.objects.filter(kind="member.updated", payload={"username": "bob"})

    def test_the_same_role_changes_nothing(self, team: Project, bob: User) -> None:
        members.change_role(member_of(team, bob), role=Role.DEVELOPER, actor=SYSTEM_ACTOR)
        assert rights_epoch(bob) == bob.rights_epoch
        assert not AuditEntry.objects.filter(action="update_member").exists()

    def test_the_last_administrator_stays(self, team: Project, alice: User) -> None:
        with pytest.raises(PreconditionFailed, match="last administrator"):
            members.change_role(member_of(team, alice), role=Role.GUEST, actor=SYSTEM_ACTOR)
        assert member_of(team, alice).role == Role.PROJECT_ADMIN

    def test_one_of_two_may_go(self, team: Project, alice: User, bob: User) -> None:
        members.change_role(member_of(team, bob), role=Role.PROJECT_ADMIN, actor=SYSTEM_ACTOR)
        members.change_role(member_of(team, alice), role=Role.GUEST, actor=SYSTEM_ACTOR)
        assert member_of(team, alice).role == Role.GUEST

    def test_a_disabled_administrator_does_not_count(
        self, team: Project, alice: User, bob: User
    ) -> None:
        members.change_role(member_of(team, bob), role=Role.PROJECT_ADMIN, actor=SYSTEM_ACTOR)
        users.set_active(bob, is_active=False, actor=SYSTEM_ACTOR)
        with pytest.raises(PreconditionFailed):
            members.remove(member_of(team, alice), actor=SYSTEM_ACTOR)

    def test_a_member_who_left_meanwhile(self, team: Project, bob: User) -> None:
        member = member_of(team, bob)
        members.remove(member_of(team, bob), actor=SYSTEM_ACTOR)
        with pytest.raises(NotFound):
            members.change_role(member, role=Role.GUEST, actor=SYSTEM_ACTOR)


class TestRemove:
    def test_is_no_member_and_has_no_token(self, team: Project, bob: User) -> None:
        members.remove(member_of(team, bob), actor=SYSTEM_ACTOR)
        assert not ProjectMember.objects.filter(project=team, user=bob).exists()
        assert rights_epoch(bob) == bob.rights_epoch + 1
        assert AuditEntry.objects.get(action="delete_member").detail == {"role": "Developer"}
        assert OutboxEvent.objects.filter(kind="member.deleted")

    def test_the_last_administrator_stays(self, team: Project, alice: User) -> None:
        with pytest.raises(PreconditionFailed):
            members.remove(member_of(team, alice), actor=SYSTEM_ACTOR)
        assert member_of(team, alice).role == Role.PROJECT_ADMIN
