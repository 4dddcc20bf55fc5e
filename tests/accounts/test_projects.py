"""Making and removing projects."""

import datetime

import pytest
import time_machine
from django.utils import timezone

from accounts import projects
from accounts.errors import BadRequest, Conflict, Denied, NotFound
from accounts.models import AuditEntry, OutboxEvent, Project, ProjectAlias, User
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from accounts.projects import Changes
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


class TestUpdate:
    def test_only_what_is_named(self, team: Project) -> None:
        changes = Changes(is_public=True, trash_days=0)
        updated = projects.update(team, changes=changes, actor=SYSTEM_ACTOR)
        assert (updated.is_public, updated.trash_days) == (True, 0)
        assert not updated.is_read_only
        entry = AuditEntry.objects.get(action="update_project")
        assert entry.detail == {"is_public": True, "trash_days": 0}
        assert OutboxEvent.objects.filter(kind="project.updated")

    def test_no_change_leaves_no_trace(self, team: Project) -> None:
        projects.update(team, changes=Changes(is_public=False), actor=SYSTEM_ACTOR)
        assert not AuditEntry.objects.filter(action="update_project").exists()

    def test_a_storage_limit_is_an_administrators(self, team: Project, alice: User) -> None:
        changes = Changes(storage_limit=1000)
        with pytest.raises(Denied):
            projects.update(team, changes=changes, actor=actor_of(alice))
        assert projects.update(team, changes=changes, actor=SYSTEM_ACTOR).storage_limit == 1000

    @pytest.mark.parametrize(
        "changes",
        [
            Changes(storage_limit=-2),
            Changes(storage_limit=0),
            Changes(storage_limit=2**63),
            Changes(trash_days=-1),
            Changes(trash_days=366),
        ],
    )
    def test_bad_numbers(self, team: Project, changes: Changes) -> None:
        with pytest.raises(BadRequest):
            projects.update(team, changes=changes, actor=SYSTEM_ACTOR)


class TestRename:
    def test_keeps_everything_but_the_name(self, team: Project) -> None:
        renamed = projects.rename(team, name="squad", actor=SYSTEM_ACTOR)
        assert (renamed.pk, renamed.name, renamed.registry_key) == (team.pk, "squad", "team")
        assert AuditEntry.objects.get(action="rename_project").detail["former"] == "team"
        assert OutboxEvent.objects.filter(kind="project.renamed")

    def test_nobody_takes_the_former_name_meanwhile(self, team: Project, mallory: User) -> None:
        projects.rename(team, name="squad", actor=SYSTEM_ACTOR)
        with pytest.raises(Conflict) as caught:
            projects.create(name="team", actor=actor_of(mallory))
        # It does not tell that there was such a project.
        assert str(caught.value) == "A project of this name exists."
        other = projects.create(name="other", actor=actor_of(mallory))
        with pytest.raises(Conflict):
            projects.rename(other, name="team", actor=actor_of(mallory))

    def test_afterwards_it_is_free(self, team: Project, bob: User) -> None:
        projects.rename(team, name="squad", alias_days=1, actor=SYSTEM_ACTOR)
        with time_machine.travel(timezone.now() + datetime.timedelta(days=2)):
            again = projects.create(name="team", actor=actor_of(bob))
        assert again.registry_key == "team--2"
        assert not ProjectAlias.objects.exists()

    def test_at_once_where_no_days_are_kept(self, team: Project, bob: User) -> None:
        projects.rename(team, name="squad", alias_days=0, actor=SYSTEM_ACTOR)
        assert projects.create(name="team", actor=actor_of(bob)).pk != team.pk

    def test_back_again(self, team: Project) -> None:
        projects.rename(team, name="squad", actor=SYSTEM_ACTOR)
        assert projects.rename(team, name="team", actor=SYSTEM_ACTOR).name == "team"
        assert list(ProjectAlias.objects.values_list("name", flat=True)) == ["squad"]

    def test_a_deleted_project_gives_its_names_back(self, team: Project, bob: User) -> None:
        projects.rename(team, name="squad", actor=SYSTEM_ACTOR)
        projects.remove(team, actor=SYSTEM_ACTOR)
        for name in ("team", "squad"):
            assert projects.create(name=name, actor=actor_of(bob)).pk != team.pk

    @pytest.mark.parametrize("name", ["", "A", "a--b", "v2", "library", "a" * 256])
    def test_names_that_break_a_rule(self, team: Project, name: str) -> None:
        with pytest.raises((BadRequest, Conflict)) as caught:
            projects.rename(team, name=name, actor=SYSTEM_ACTOR)
        assert caught.value.field == "name"
        assert Project.objects.get(pk=team.pk).name == "team"

    @pytest.mark.parametrize("days", [-1, 366])
    def test_days_out_of_range(self, team: Project, days: int) -> None:
        with pytest.raises(BadRequest):
            projects.rename(team, name="squad", alias_days=days, actor=SYSTEM_ACTOR)
