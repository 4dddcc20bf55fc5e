"""Nobody gives more than they have; the rights of the system are decided in one place."""

from typing import Any

import pytest

from accounts import access, configuration, robots
from accounts.errors import BadRequest, Denied
from accounts.models import Project, Robot, User
from accounts.principals import ANONYMOUS, SYSTEM, SYSTEM_ACTOR, Actor, Principal
from accounts.robots import Permission, Terms

pytestmark = pytest.mark.django_db


def make(
    *permissions: Permission,
    actor: Actor = SYSTEM_ACTOR,
    project: Project | None = None,
    name: str = "ci",
    **more: Any,
) -> tuple[Robot, Actor]:
    terms = Terms(permissions=permissions, **more)
    robot, secret = robots.create(name=name, project=project, terms=terms, actor=actor)
    principal = robots.find(robot.login, secret, actor=Actor(ANONYMOUS, "10.0.0.7"))
    assert principal is not None
    return robot, Actor(principal)


def system(action: str) -> Permission:
    return Permission(action, None, is_system=True)


class TestSystem:
    def test_administrators_may_everything_and_strangers_nothing(self) -> None:
        assert access.can_system(SYSTEM, "quota:update")
        assert not access.can_system(ANONYMOUS, "quota:read")
        assert not access.can_system(ANONYMOUS, "project:create")

    def test_auditors_read(self) -> None:
        auditor = Principal("user", "eve", user_id=1, is_auditor=True)
        assert access.can_system(auditor, "audit-log:list")
        assert access.can_system(auditor, "robot:read")
        assert not access.can_system(auditor, "robot:create")
        assert not access.can_system(auditor, "project:create")

    def test_a_robot_what_it_was_given(self, team: Project) -> None:
        _, actor = make(system("quota:list"), Permission("robot:list", None))
        assert access.can_system(actor.principal, "quota:list")
        assert not access.can_system(actor.principal, "robot:list")
        assert not access.can(actor.principal, "quota:list", team)

    def test_making_projects_is_configured(self, bob: User) -> None:
        principal = Principal("user", "bob", user_id=bob.pk)
        assert access.can_system(principal, "project:create")
        configuration.update({"project_creation_restriction": "adminonly"}, actor=SYSTEM_ACTOR)
        assert not access.can_system(principal, "project:create")
        with pytest.raises(Denied):
            access.require_system(principal, "project:create")


class TestKnown:
    @pytest.mark.parametrize(
        "permission",
        [
            system("repository:push"),
            system("nonsense:read"),
            Permission("audit-log:list", None),
            Permission("configuration:update", None),
            Permission("robot:update", None),
        ],
        ids=str,
    )
    def test_unknown_in_its_scope(self, permission: Permission) -> None:
        with pytest.raises(BadRequest, match="no permission"):
            make(permission)

    def test_a_projects_robot_has_none_in_the_system(self, team: Project) -> None:
        with pytest.raises(BadRequest, match="that project only"):
            make(system("quota:list"), project=team)


class TestWithin:
    def test_a_project_admin_gives_no_more_than_they_have(
        self, alice: User, team: Project, library: Project
    ) -> None:
        actor = Actor(Principal("user", "alice", user_id=alice.pk))
        make(Permission("metadata:list", team), project=team, actor=actor)
        for permission in (
            Permission("repository:push", library),
            Permission("repository:pull", None),
            system("quota:read"),
        ):
            with pytest.raises(Denied, match="do not have"):
                make(permission, actor=actor, name="more")

    def test_a_robot_gives_what_it_has(self, team: Project) -> None:
        _, actor = make(
            system("robot:create"), system("quota:read"), Permission("repository:pull", None)
        )
        make(system("quota:read"), actor=actor, name="one")
        make(Permission("repository:pull", None), actor=actor, name="two")
        make(Permission("repository:pull", team), actor=actor, name="three")
        for permission in (
            system("quota:update"),
            Permission("repository:push", None),
            Permission("repository:push", team),
        ):
            with pytest.raises(Denied, match="do not have"):
                make(permission, actor=actor, name="more")

    @pytest.mark.parametrize(
        ("own", "wider"),
        [
            ({"push_tag_patterns": ("pr-*",)}, {}),
            ({"push_tag_patterns": ("pr-*",)}, {"push_tag_patterns": ("pr-*", "*")}),
            ({"allowed_networks": ("10.0.0.0/8",)}, {}),
            ({"allowed_networks": ("10.0.0.0/8",)}, {"allowed_networks": ("0.0.0.0/0",)}),
            ({"allowed_networks": ("10.0.0.0/8",)}, {"allowed_networks": ("::/0",)}),
            ({"days": 7}, {}),
            ({"days": 7}, {"days": 9}),
        ],
    )
    def test_a_robots_robot_is_held_to_its_makers_limits(
        self, own: dict[str, Any], wider: dict[str, Any]
    ) -> None:
        _, actor = make(Permission("repository:push", None), **own)
        make(Permission("repository:push", None), actor=actor, name="same", **own)
        with pytest.raises(Denied, match="robot"):
            make(Permission("repository:push", None), actor=actor, name="wider", **wider)

    def test_a_narrower_network_is_fine(self) -> None:
        _, actor = make(Permission("repository:push", None), allowed_networks=("10.0.0.0/8",))
        make(
            Permission("repository:push", None),
            actor=actor,
            name="narrower",
            allowed_networks=("10.0.0.0/16", "10.2.3.4"),
        )


def test_a_chosen_secret(team: Project) -> None:
    terms = Terms(permissions=(Permission("repository:pull", team),))
    made = {"name": "ci", "project": team, "terms": terms, "actor": SYSTEM_ACTOR}
    with pytest.raises(BadRequest):
        robots.create(chosen="short", **made)  # type: ignore[arg-type]
    robot, secret = robots.create(chosen="a secret of our own", **made)  # type: ignore[arg-type]
    assert secret == "a secret of our own"
    assert robots.find("team+ci", secret, actor=SYSTEM_ACTOR)
    assert "a secret" not in robot.secret_hash


def test_lists_begin_from_where_one_may(
    team: Project, library: Project, alice: User, bob: User
) -> None:
    def where(principal: Principal, action: str) -> set[str]:
        return {project.name for project in access.projects_where(principal, action)}

    alice_principal = Principal("user", "alice", user_id=alice.pk)
    assert where(alice_principal, "repository:list") == {"team", "library"}
    assert where(alice_principal, "log:list") == {"team"}
    assert where(Principal("user", "bob", user_id=bob.pk), "log:list") == set()
    assert where(ANONYMOUS, "repository:list") == {"library"}
    assert where(Principal("user", "eve", is_auditor=True), "log:list") == {"team", "library"}
    _, pusher = make(Permission("repository:push", team))
    assert where(pusher.principal, "repository:list") == {"library"}
    _, lister = make(Permission("repository:list", None), name="lister")
    assert where(lister.principal, "repository:list") == {"team", "library"}
