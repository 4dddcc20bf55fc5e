"""Robots as they sign in: secret, network, expiry, and what ends them."""

import datetime
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts import credentials, projects, robots
from accounts.errors import Conflict, NotFound, Unauthorized
from accounts.models import AuditEntry, Project, Robot
from accounts.principals import ANONYMOUS, SYSTEM_ACTOR, Actor, Principal
from accounts.robots import Permission, Terms

pytestmark = pytest.mark.django_db
ACTOR = Actor(ANONYMOUS, "192.0.2.1", "c0ffee")


def make(team: Project, name: str = "ci", **terms: Any) -> tuple[Robot, str]:
    """Make a robot of ``team`` that pulls."""
    permissions = (Permission("repository:pull", team),)
    wanted = Terms(permissions=permissions, **terms)
    return robots.create(name=name, project=team, terms=wanted, actor=SYSTEM_ACTOR)


def sign_in(secret: str, address: str = "192.0.2.1") -> Principal:
    """Prove to be ``robot+team+ci``."""
    return credentials.check("robot+team+ci", secret, actor=Actor(ANONYMOUS, address))


class TestSignIn:
    def test_a_principal_with_its_last_use_noted(self, team: Project) -> None:
        robot, secret = make(team)
        principal = sign_in(secret)
        assert (principal.kind, principal.robot_id) == ("robot", robot.pk)
        assert principal.user_id is None
        robot.refresh_from_db()
        assert robot.last_used_address == "192.0.2.1"

    def test_the_secret_is_not_kept(self, team: Project) -> None:
        robot, secret = make(team)
        assert secret not in str(vars(robot))
        assert secret not in str(list(AuditEntry.objects.values()))

    @pytest.mark.parametrize("secret", ["", "x", "mrg_robot_" + "a" * 36, "bob-password-12"])
    def test_a_wrong_secret(self, team: Project, secret: str) -> None:
        make(team)
        with pytest.raises(Unauthorized):
            sign_in(secret)

    @pytest.mark.parametrize(
        ("network", "is_let_in"), [("192.0.2.0/24", True), ("198.51.100.7", False)]
    )
    def test_only_from_its_networks(self, team: Project, network: str, *, is_let_in: bool) -> None:
        _robot, secret = make(team, allowed_networks=(network,))
        if is_let_in:
            assert sign_in(secret).robot_id
        else:
            with pytest.raises(Unauthorized):
                sign_in(secret)

    def test_not_after_its_days(self, team: Project) -> None:
        _robot, secret = make(team, days=1)
        later = timezone.now() + datetime.timedelta(days=1, seconds=1)
        with time_machine.travel(later), pytest.raises(Unauthorized):
            sign_in(secret)

    def test_not_while_disabled(self, team: Project) -> None:
        _robot, secret = make(team, is_disabled=True)
        with pytest.raises(Unauthorized):
            sign_in(secret)


class TestEnd:
    def test_with_its_project(self, team: Project) -> None:
        _robot, secret = make(team)
        projects.remove(team, actor=SYSTEM_ACTOR)
        with pytest.raises(Unauthorized):
            sign_in(secret)

    def test_deleted(self, team: Project) -> None:
        robot, secret = make(team)
        robots.remove(robot, actor=SYSTEM_ACTOR)
        with pytest.raises(Unauthorized):
            sign_in(secret)
        with pytest.raises(NotFound):
            robots.remove(robot, actor=SYSTEM_ACTOR)

    def test_a_taken_name(self, team: Project) -> None:
        robot, _secret = make(team)
        with pytest.raises(Conflict):
            make(team)
        robots.remove(robot, actor=SYSTEM_ACTOR)
        assert make(team)[0].pk != robot.pk

    def test_its_name_outlives_the_projects(self, team: Project) -> None:
        _robot, secret = make(team)
        projects.rename(team, name="squad", actor=SYSTEM_ACTOR)
        assert sign_in(secret).name == "robot+team+ci"


class TestSecret:
    def test_the_old_one_works_on_for_a_day(self, team: Project) -> None:
        robot, old = make(team)
        _robot, new = robots.refresh_secret(robot, actor=SYSTEM_ACTOR)
        assert sign_in(old).robot_id == sign_in(new).robot_id == robot.pk
        with time_machine.travel(timezone.now() + robots.SECRET_OVERLAP):
            assert sign_in(new).robot_id == robot.pk
            with pytest.raises(Unauthorized):
                sign_in(old)

    def test_without_overlap_it_ends_at_once(self, team: Project) -> None:
        robot, old = make(team)
        robots.refresh_secret(robot, overlap=datetime.timedelta(0), actor=SYSTEM_ACTOR)
        with pytest.raises(Unauthorized):
            sign_in(old)
