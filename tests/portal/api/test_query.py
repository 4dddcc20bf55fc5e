"""The language of ``q``, as lists of projects and users read it."""

import datetime
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from accounts import projects
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from tests.conftest import Cast
from tests.portal.api.conftest import Caller, error_of, told

Callers = Callable[[str], Caller]


@pytest.fixture
def many(cast: Cast) -> Cast:
    """Projects beside those of the cast."""
    for name in ("web-app", "web-api", "apis"):
        projects.create(name=name, owner=cast.alice, actor=SYSTEM_ACTOR)
    long_ago = datetime.datetime(2020, 5, 1, tzinfo=datetime.UTC)
    Project.objects.filter(name="apis").update(created_at=long_ago)
    return cast


def named(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return sorted(project["name"] for project in told(answer))


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("name=apis", ["apis"]),
        ("name=~api", ["apis", "web-api"]),
        ("name={apis team}", ["apis", "team"]),
        ("name={'apis' \"team\"}", ["apis", "team"]),
        ("name={~app ~tea}", ["team", "web-app"]),
        ("name=(~api ~web)", ["web-api"]),
        ("name=(apis web-api)", []),
        ("name=~web,owner=alice", ["web-api", "web-app"]),
        ("name=~web,owner=admin", []),
        ("public=true", ["library"]),
        ("owner=alice,public=false,name=~team", ["team"]),
        ("creation_time=[~2021-01-01 00:00:00]", ["apis"]),
        ("creation_time=[2020-05-01~2020-05-01]", ["apis"]),
        ("creation_time=2020-05-01", ["apis"]),
    ],
)
def test_conditions(caller: Callers, many: Cast, q: str, found: list[str]) -> None:
    assert named(caller("admin").get(f"projects?q={quote(q)}")) == found


def test_numbers(caller: Callers, many: Cast) -> None:
    first, second = sorted([many.team.pk, many.library.pk])
    both = sorted(["team", "library"])
    for q in (
        f"project_id={{{first} {second}}}",
        f"project_id=[{first}~{second}]",
        f"project_id=[~{second}]",
    ):
        assert named(caller("admin").get(f"projects?q={quote(q)}")) == both
    q = f"user_id=[{many.bob.pk}~{many.bob.pk}]"
    (bob,) = told(caller("admin").get(f"users?q={quote(q)}"))
    assert bob["username"] == "bob"


@pytest.mark.parametrize(
    "q",
    [
        "name=[a~b]",
        "name={}",
        "name=()",
        "project_id=~1",
        "project_id=one",
        "project_id=",
        "project_id={1 two}",
        "creation_time=~2020",
        "creation_time=[2020-05-01]",
        "creation_time={yesterday}",
        "public=perhaps",
        "registry_key=team",
        "owner__password=x",
        "name={a(b)}",
        "name",
    ],
)
def test_what_is_refused(caller: Callers, cast: Cast, q: str) -> None:
    answer = caller("admin").get(f"projects?q={quote(q)}")
    assert answer.status_code == 400
    assert error_of(answer)[0] == "BAD_REQUEST"
