"""Changing a robot's rights, and the robots of the system."""

import pytest
from django.test import Client

from accounts import robots, users
from accounts.models import AuditEntry, Project, Robot, RobotGrant
from accounts.principals import SYSTEM_ACTOR
from accounts.robots import Permission, Terms
from accounts.roles import ROBOT_ACTIONS, SYSTEM_ACTIONS
from portal.web.robot_rights import in_words
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, text_of

OF_TEAM, OF_SYSTEM = "/p/team/-/robots", "/admin/robots"


def make(project: Project | None, *permissions: Permission) -> Robot:
    """Make a robot."""
    terms = Terms(days=30, permissions=permissions, push_tag_patterns=("pr-*",))
    return robots.create(name="ci", project=project, terms=terms, actor=SYSTEM_ACTOR)[0]


def rights(robot: Robot) -> set[tuple[str, str, str]]:
    """Return what a robot may do: where, in which project, what."""
    grants = RobotGrant.objects.filter(robot=robot).select_related("project")
    return {(g.scope, g.project.name if g.project else "", g.action) for g in grants}


@pytest.mark.parametrize("actions", [ROBOT_ACTIONS, SYSTEM_ACTIONS])
def test_every_right_has_words(actions: frozenset[str]) -> None:
    assert sum(len(verbs) for _resource, verbs in in_words(actions)) == len(actions)


def test_the_form_of_a_change_holds_what_the_robot_has(cast: Cast, signed_in: SignedIn) -> None:
    pull = Permission("repository:pull", cast.team)
    robot = make(cast.team, pull, Permission("label:create", cast.team))
    client = signed_in(cast.alice)
    path = f"{OF_TEAM}/{robot.pk}"
    assert f'href="{path}/edit"' in text_of(client.get(path))
    page = text_of(client.get(f"{path}/edit"))
    assert 'value="label:create" checked' in page
    assert 'value="label:delete">' in page
    assert 'value="pr-*"' in page
    assert 'value="30"' in page
    assert 'name="name"' not in page


def test_rights_and_limits_are_changed(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(cast.team, Permission("repository:pull", cast.team))
    form = {
        "rights": ["delete"],
        "more": ["label:create", "scan:stop"],
        "patterns": "v*",
        "networks": "10.0.0.0/8",
        "days": "",
    }
    answer = signed_in(cast.alice).post(f"{OF_TEAM}/{robot.pk}/edit", form, follow=True)
    assert "The robot is changed" in text_of(answer)
    changed = Robot.objects.get(pk=robot.pk)
    wanted = ("artifact:delete", "tag:delete", "repository:delete", "label:create", "scan:stop")
    assert rights(changed) == {("project", "team", action) for action in wanted}
    assert (changed.push_tag_patterns, changed.allowed_networks) == (["v*"], ["10.0.0.0/8"])
    assert changed.expires_at is None
    assert changed.auth_epoch == robot.auth_epoch + 1
    assert AuditEntry.objects.filter(action="update_robot", actor_name="alice").exists()


def test_a_right_beyond_ones_own_is_explained_and_the_input_kept(
    cast: Cast, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = make(cast.team, Permission("repository:pull", cast.team))
    before = rights(robot)
    # No role of today lacks a right that its holders could give: take one away from all.
    monkeypatch.setattr("accounts.robot_terms._covers", lambda own, action: action != "scan:stop")
    form = {"rights": ["pull"], "more": ["scan:stop"], "description": "mine", "days": "5"}
    answer = signed_in(cast.alice).post(f"{OF_TEAM}/{robot.pk}/edit", form)
    page = text_of(answer)
    assert answer.status_code == 422
    assert "scan:stop. Nobody gives a robot more than they may do themselves." in page
    assert 'value="mine"' in page
    assert 'value="scan:stop" checked' in page
    assert rights(robot) == before
    assert AuditEntry.objects.filter(outcome="denied", actor_name="alice").count() == 1


def test_nothing_chosen_is_told(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(cast.team, Permission("repository:pull", cast.team))
    answer = signed_in(cast.alice).post(f"{OF_TEAM}/{robot.pk}/edit", {})
    assert answer.status_code == 422
    assert 'id="id_rights_error"' in text_of(answer)


def test_who_may_see_the_systems_robots(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(None, Permission("user:list", None, is_system=True))
    auditor = users.set_auditor(cast.carol, is_auditor=True, actor=SYSTEM_ACTOR)
    for path in (OF_SYSTEM, f"{OF_SYSTEM}/{robot.pk}"):
        assert signed_in(cast.admin).get(path).status_code == 200
        assert signed_in(auditor).get(path).status_code == 200
        assert signed_in(cast.alice).get(path).status_code == 403
        assert Client().get(path).status_code == 302
    for path in ("new", f"{robot.pk}/edit"):
        assert signed_in(auditor).get(f"{OF_SYSTEM}/{path}").status_code == 403
    for path in ("secret", "switch", "delete", "edit"):
        assert signed_in(cast.alice).post(f"{OF_SYSTEM}/{robot.pk}/{path}").status_code == 403
    assert signed_in(cast.admin).get(f"{OF_SYSTEM}/{10**30}").status_code == 404


def test_a_projects_robot_is_not_one_of_the_system(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(cast.team, Permission("repository:pull", cast.team))
    client = signed_in(cast.admin)
    assert client.get(f"{OF_SYSTEM}/{robot.pk}").status_code == 404
    assert client.post(f"{OF_SYSTEM}/{robot.pk}/delete").status_code == 404
    assert "robot+team+ci" not in text_of(client.get(OF_SYSTEM))


def test_a_robot_of_the_system_is_made_in_two_steps(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    team, library = cast.team.pk, cast.library.pk
    form = {"name": "ops", "system-more": ["user:list"], "all-rights": ["pull"]}
    answer = client.post(f"{OF_SYSTEM}/new", {**form, "names": "team library", "add": "1"})
    page = text_of(answer)
    assert answer.status_code == 200
    assert not Robot.objects.exists()
    assert f'name="projects" value="{team}"' in page
    assert 'value="user:list" checked' in page
    form |= {"projects": [str(team), str(library)], f"p{team}-rights": ["push"]}
    form |= {f"p{library}-more": ["label:read"]}
    page = text_of(client.post(f"{OF_SYSTEM}/new", form))
    assert "The secret is shown once." in page
    given = rights(Robot.objects.get())
    assert ("system", "", "user:list") in given
    assert ("all", "", "repository:pull") in given
    assert ("project", "team", "repository:push") in given
    assert ("project", "library", "label:read") in given
    assert ("project", "library", "repository:push") not in given


def test_an_unknown_project_is_told_and_nothing_lost(cast: Cast, signed_in: SignedIn) -> None:
    form = {"name": "ops", "system-more": ["user:list"], "names": "teem library", "days": "9"}
    answer = signed_in(cast.admin).post(f"{OF_SYSTEM}/new", form)
    page = text_of(answer)
    assert answer.status_code == 422
    assert "There is no project teem." in page
    assert 'id="id_names" name="names" value="teem"' in page
    assert 'value="user:list" checked' in page
    assert not Robot.objects.exists()


def test_a_change_keeps_what_differs_from_place_to_place(cast: Cast, signed_in: SignedIn) -> None:
    robot = make(
        None,
        Permission("user:list", None, is_system=True),
        Permission("repository:pull", cast.team),
        Permission("label:read", cast.library),
    )
    client = signed_in(cast.admin)
    path = f"{OF_SYSTEM}/{robot.pk}"
    page = text_of(client.get(path))
    assert "In the system" in page
    assert "In team" in page
    client.post(f"{path}/switch", {"enabled": "false"})
    assert ("system", "", "user:list") in rights(robot)
    page = text_of(client.get(f"{path}/edit"))
    for ticked in ("user:list", "label:read"):
        assert f'value="{ticked}" checked' in page
    form = {
        "projects": [str(cast.team.pk), str(cast.library.pk)],
        "system-more": ["user:list"],
        f"p{cast.library.pk}-more": ["label:read"],
    }
    client.post(f"{path}/edit", form)
    assert rights(robot) == {("system", "", "user:list"), ("project", "library", "label:read")}
    assert Robot.objects.get(pk=robot.pk).is_disabled
