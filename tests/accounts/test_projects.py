"""Making and removing projects."""

import pytest

from accounts import projects
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import AuditEntry, OutboxEvent, Project, User
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from accounts.roles import Role

pytestmark = pytest.mark.django_db


def actor_of(user: User) -> Actor:
    """Somebody at work."""
    return Actor(Principal("user", user.username, user.pk), "192.0.2.9", "c0ffee")


class TestCreate:
    def test_actor_owns_and_administers(self, bob: User) -> None:
        project = projects.create(name="tools", actor=actor_of(bob))
        assert project.owner == bob
        assert [(m.user, m.role) for m in project.members.all()] == [(bob, Role.PROJECT_ADMIN)]

    def test_audit_and_event_in_the_same_transaction(self, bob: User) -> None:
        project = projects.create(name="tools", actor=actor_of(bob))
        entry = AuditEntry.objects.get(action="create_project", project_id=project.pk)
        assert (entry.actor_name, entry.address, entry.request_id) == ("bob", "192.0.2.9", "c0ffee")
        assert OutboxEvent.objects.filter(kind="project.created", payload={"name": "tools"})

    @pytest.mark.parametrize(
        "name",
        [
            "", "A", "a_", "-a", "a--b", "a..b", "a/b", "a b", "a\n", "a\0", "é", "a" * 256,
            "v2", "api", "service", "static", "admin",
        ],
    )  # fmt: skip
    def test_names_that_break_a_rule(self, bob: User, name: str) -> None:
        before = Project.objects.count()
        with pytest.raises(BadRequest) as caught:
            projects.create(name=name, actor=actor_of(bob))
        assert caught.value.field == "name"
        assert Project.objects.count() == before

    @pytest.mark.parametrize("name", ["a", "a.b", "a_b", "a-b-c", "0", "a" * 255])
    def test_names_that_are_fine(self, bob: User, name: str) -> None:
        assert projects.create(name=name, actor=actor_of(bob)).registry_key == name

    @pytest.mark.parametrize("limit", [0, -2, 2**63])
    def test_limits_that_break_a_rule(self, bob: User, limit: int) -> None:
        with pytest.raises(BadRequest) as caught:
            projects.create(name="tools", storage_limit=limit, actor=actor_of(bob))
        assert caught.value.field == "storage_limit"

    def test_a_taken_name(self, bob: User) -> None:
        with pytest.raises(Conflict):
            projects.create(name="team", actor=actor_of(bob))
        assert not AuditEntry.objects.filter(resource="team", actor_name="bob").exists()

    def test_somebody_must_own_it(self, bob: User) -> None:
        User.objects.filter(pk=bob.pk).update(username="system")
        with pytest.raises((BadRequest, User.DoesNotExist)):
            projects.create(name="tools", actor=SYSTEM_ACTOR)


class TestRemove:
    def test_name_is_free_and_the_key_is_not(self, bob: User) -> None:
        first = projects.create(name="tools", actor=actor_of(bob))
        projects.remove(first, actor=actor_of(bob))
        second = projects.create(name="tools", actor=actor_of(bob))
        projects.remove(second, actor=actor_of(bob))
        third = projects.create(name="tools", actor=actor_of(bob))
        assert [p.registry_key for p in (first, second, third)] == [
            "tools",
            "tools--2",
            "tools--3",
        ]
        assert third.pk not in {first.pk, second.pk}

    def test_twice_is_not_found(self, bob: User) -> None:
        project = projects.create(name="tools", actor=actor_of(bob))
        projects.remove(project, actor=actor_of(bob))
        with pytest.raises(NotFound):
            projects.remove(project, actor=actor_of(bob))
        assert AuditEntry.objects.filter(action="delete_project").count() == 1
