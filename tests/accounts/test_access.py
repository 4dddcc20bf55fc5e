"""One table, one function: may this principal do that?"""

from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts import access, projects, scopes
from accounts.errors import Denied, NotFound
from accounts.models import Project, ProjectAlias, ProjectMember, User
from accounts.principals import ANONYMOUS, SYSTEM_ACTOR, Principal
from accounts.roles import Role
from accounts.scopes import Grant

pytestmark = pytest.mark.django_db
Principals = Callable[[str], Principal]


class TestCan:
    @pytest.mark.parametrize(
        ("username", "action", "allowed"),
        [
            ("", "project:read", False),
            ("mallory", "project:read", False),
            ("carol", "project:read", True),
            ("carol", "repository:pull", True),
            ("carol", "repository:push", False),
            ("bob", "repository:push", True),
            ("bob", "repository:delete", False),
            ("alice", "member:create", True),
            ("admin", "member:create", True),
        ],
    )
    def test_in_a_private_project(
        self, principal: Principals, team: Project, username: str, action: str, *, allowed: bool
    ) -> None:
        decision = access.can(principal(username), action, team)
        assert bool(decision) is allowed
        assert decision.reason

    @pytest.mark.parametrize("username", ["", "mallory"])
    def test_a_public_project_can_be_read(
        self, principal: Principals, library: Project, username: str
    ) -> None:
        assert access.can(principal(username), "repository:pull", library)
        assert not access.can(principal(username), "repository:push", library)
        assert not access.can(principal(username), "member:list", library)

    def test_the_reason_is_for_people(self, principal: Principals, team: Project) -> None:
        reason = access.can(principal("carol"), "repository:push", team).reason
        assert reason == "the role Guest lacks repository:push"

    def test_auditors_read_and_change_nothing(self, principal: Principals, team: Project) -> None:
        # Bob has a role besides, which does not count any more.
        User.objects.filter(username="bob").update(is_auditor=True)
        auditor = principal("bob")
        for action in ("project:read", "member:list", "log:list", "repository:pull"):
            assert access.can(auditor, action, team)
        for action in ("repository:push", "tag:create", "member:create", "metadata:update"):
            decision = access.can(auditor, action, team)
            assert not decision
            assert decision.reason == "auditors only read"

    def test_a_role_taken_away_is_gone_at_once(self, principal: Principals, team: Project) -> None:
        bob = principal("bob")
        ProjectMember.objects.filter(project=team, user__username="bob").delete()
        assert not access.can(bob, "repository:pull", team)


class TestRequire:
    def test_allowed(self, principal: Principals, team: Project) -> None:
        access.require(principal("bob"), "repository:push", team)

    def test_invisible_is_not_found(self, principal: Principals, team: Project) -> None:
        with pytest.raises(NotFound):
            access.require(principal("mallory"), "repository:push", team)

    def test_visible_is_denied(self, principal: Principals, team: Project) -> None:
        with pytest.raises(Denied, match="Guest lacks"):
            access.require(principal("carol"), "repository:push", team)

    def test_public_is_denied(self, library: Project) -> None:
        with pytest.raises(Denied, match="not a member"):
            access.require(ANONYMOUS, "repository:push", library)


class TestVisible:
    @pytest.mark.parametrize(
        ("username", "names"),
        [("", {"library"}), ("mallory", {"library"}), ("carol", {"library", "team"})],
    )
    def test_to(self, principal: Principals, username: str, names: set[str]) -> None:
        visible = Project.objects.visible_to(principal(username))
        assert {project.name for project in visible} == names

    def test_deleted_projects_are_nobodys(self, principal: Principals, team: Project) -> None:
        Project.objects.filter(pk=team.pk).update(deleted_at="2026-01-01T00:00:00Z")
        for username in ("alice", "admin"):
            assert team not in Project.objects.visible_to(principal(username))


def grants(principal: Principal, *wanted: str) -> dict[str, tuple[str, ...]]:
    """What a token would give, by name."""
    given = access.granted(principal, scopes.parse(wanted))
    return {grant.name: grant.actions for grant in given}


class TestGranted:
    def test_requested_and_permitted_and_no_more(self, principal: Principals) -> None:
        wanted = "repository:team/app:pull,push,delete"
        assert grants(principal("carol"), wanted) == {"team/app": ("pull",)}
        assert grants(principal("bob"), wanted) == {"team/app": ("pull", "push")}
        assert grants(principal("alice"), wanted) == {"team/app": ("pull", "push", "delete")}
        assert grants(principal("bob"), "repository:team/app:pull") == {"team/app": ("pull",)}

    def test_strangers_pull_what_is_public(self, principal: Principals) -> None:
        both = ("repository:library/a:pull,push", "repository:team/a:pull,push")
        assert grants(principal(""), *both) == {"library/a": ("pull",)}
        assert grants(principal("mallory"), *both) == {"library/a": ("pull",)}

    def test_hidden_and_missing_give_the_same(self, principal: Principals) -> None:
        for username in ("", "mallory"):
            assert grants(principal(username), "repository:team/a:pull") == {}
            assert grants(principal(username), "repository:nowhere/a:pull") == {}

    def test_a_star_is_all_that_is_permitted(self, principal: Principals) -> None:
        assert grants(principal("bob"), "repository:team/app:*") == {"team/app": ("pull", "push")}

    def test_unknown_actions_are_dropped(self, principal: Principals) -> None:
        assert grants(principal("bob"), "repository:team/app:pull,fly,PUSH") == {
            "team/app": ("pull",)
        }
        assert grants(principal("bob"), "repository:team/app:fly") == {}

    @pytest.mark.parametrize(
        "name", ["team/../x", "team//x", "team/X", "team/", "team", "team/a\n"]
    )
    def test_a_name_outside_the_grammar_gets_nothing_in_any_company(
        self, principal: Principals, name: str
    ) -> None:
        given = grants(principal("alice"), f"repository:{name}:pull", "repository:team/a:pull")
        assert given == {"team/a": ("pull",)}

    def test_catalog(self, principal: Principals) -> None:
        assert grants(principal("bob"), "registry:catalog:*") == {"catalog": ("*",)}
        assert grants(principal("bob"), "registry:catalog:read") == {}
        assert grants(principal("admin"), "registry:other:*", "robot:x:*") == {}

    def test_incarnation_and_registry_name(self, principal: Principals, team: Project) -> None:
        Project.objects.filter(pk=team.pk).update(registry_key="team--2")
        wanted = scopes.parse(["repository:team/app:pull"])
        assert access.granted(principal("bob"), wanted) == [
            Grant(
                "repository",
                "team/app",
                ("pull",),
                project_id=team.pk,
                registry_name="team--2/app",
                is_by_public=False,
            )
        ]

    def test_pull_of_a_member_does_not_rest_on_the_projects_being_public(
        self, principal: Principals, library: Project
    ) -> None:
        wanted = scopes.parse(["repository:library/app:pull"])
        assert access.granted(principal("mallory"), wanted)[0].is_by_public
        mallory = User.objects.get(username="mallory")
        ProjectMember.objects.create(project=library, user=mallory, role=Role.GUEST.value)
        assert not access.granted(principal("mallory"), wanted)[0].is_by_public

    def test_a_former_name_pulls_for_a_while(self, principal: Principals, team: Project) -> None:
        projects.rename(team, name="squad", alias_days=30, actor=SYSTEM_ACTOR)
        alice = principal("alice")
        assert grants(alice, "repository:team/app:pull,push,delete") == {"team/app": ("pull",)}
        assert grants(alice, "repository:team/app:*") == {"team/app": ("pull",)}
        assert grants(alice, "repository:squad/app:pull,push") == {"squad/app": ("pull", "push")}
        assert grants(principal("mallory"), "repository:team/app:pull") == {}
        ProjectAlias.objects.update(expires_at=timezone.now())
        assert grants(alice, "repository:team/app:pull") == {}

    def test_a_hundred_scopes_cost_two_queries(
        self, principal: Principals, django_assert_num_queries: Callable[[int], object]
    ) -> None:
        bob = principal("bob")
        wanted = scopes.parse([f"repository:team/a{n}:pull" for n in range(100)])
        with django_assert_num_queries(2):  # type: ignore[attr-defined]
            assert len(access.granted(bob, wanted)) == 100
