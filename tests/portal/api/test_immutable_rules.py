"""/projects/{name}/immutabletagrules."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Project
from registry_sync.models import ImmutableRule
from tests.factories import make_image, make_repository, push_image
from tests.portal.api.conftest import Answer, Caller, error_of, told
from tests.portal.api.route_matrix import IMMUTABLE_RULE

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
RULES = "projects/team/immutabletagrules"
ARTIFACTS = "projects/team/repositories/app/artifacts"


def refusal(response: Answer) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return response.status_code, error_of(response)[0]


@pytest.fixture
def rule(caller: Callers, team: Project) -> int:
    """Make a rule of the private project; return its number."""
    response = caller("alice").post(RULES, IMMUTABLE_RULE)
    assert response.status_code == 201, response.content
    assert response["Location"].startswith(f"/api/v2.0/projects/{team.pk}/immutabletagrules/")
    return int(response["Location"].rpartition("/")[2])


def test_the_contracts_fields(caller: Callers, rule: int) -> None:
    response = caller("alice").get(RULES)
    assert response["X-Total-Count"] == "1"
    assert told(response) == [{"id": rule, "priority": 0, **IMMUTABLE_RULE}]


def test_switched_off_changed_and_deleted(caller: Callers, rule: int) -> None:
    path = f"{RULES}/{rule}"
    assert caller("alice").call("PUT", path, {"disabled": True}).status_code == 200
    row = ImmutableRule.objects.get()
    assert (row.is_disabled, row.tag_pattern) == (True, "v*")
    selector = {"kind": "doublestar", "decoration": "repoExcludes", "pattern": "a/**"}
    changed = {**IMMUTABLE_RULE, "scope_selectors": {"repository": [selector]}}
    assert caller("alice").call("PUT", path, changed).status_code == 200
    row.refresh_from_db()
    assert (row.is_disabled, row.repository_match, row.repository_pattern) == (
        False,
        "excludes",
        "a/**",
    )
    assert told(caller("alice").get(RULES))[0]["scope_selectors"] == {"repository": [selector]}
    assert caller("alice").call("DELETE", path).status_code == 200
    assert caller("alice").call("DELETE", path).status_code == 404
    assert not ImmutableRule.objects.exists()


def test_the_same_rule_twice(caller: Callers, rule: int) -> None:
    assert refusal(caller("alice").post(RULES, IMMUTABLE_RULE)) == (409, "CONFLICT")


@pytest.mark.parametrize(
    "broken",
    [
        {"tag_selectors": []},
        {"tag_selectors": None},
        {"tag_selectors": [{"decoration": "matches", "pattern": ""}]},
        {"tag_selectors": [{"decoration": "repoMatches", "pattern": "v*"}]},
        {"tag_selectors": [{"decoration": "matches", "pattern": "{1..100000}"}]},
        {"tag_selectors": [{"kind": "regex", "decoration": "matches", "pattern": "v*"}]},
        {"tag_selectors": [{"decoration": "matches", "pattern": "a"}] * 2},
        {"tag_selectors": [{"decoration": "matches", "pattern": "x" * 256}]},
        {"scope_selectors": {"repository": []}},
        {"scope_selectors": {"project": []}},
        {"scope_selectors": {"repository": [{"decoration": "matches", "pattern": "**"}]}},
        {"action": "retain"},
        {"template": "latestPushedK"},
        {"disabled": "perhaps"},
    ],
)
def test_what_is_refused(caller: Callers, team: Project, broken: dict[str, Any]) -> None:
    response = caller("alice").post(RULES, {**IMMUTABLE_RULE, **broken})
    assert refusal(response) == (400, "BAD_REQUEST")
    assert not ImmutableRule.objects.exists()


def test_another_projects_rule_is_not_there(caller: Callers, rule: int, library: Project) -> None:
    path = f"projects/library/immutabletagrules/{rule}"
    for method in ("PUT", "DELETE"):
        assert caller("admin").call(method, path, IMMUTABLE_RULE).status_code == 404
    assert told(caller("admin").get("projects/library/immutabletagrules")) == []


def test_the_preview_changes_nothing(caller: Callers, team: Project) -> None:
    for tag in ("v1", "v2", "dev"):
        push_image(make_repository(team, f"of-{tag}"), tag=tag)
    found = told(caller("alice").post(f"{RULES}/preview", IMMUTABLE_RULE))
    assert found == {
        "tags": 2,
        "repositories": 2,
        "examples": ["of-v1:v1", "of-v2:v2"],
        "is_partial": False,
    }
    assert not ImmutableRule.objects.exists()


def test_what_is_held_says_so_and_stays(caller: Callers, rule: int, team: Project) -> None:
    app, image = make_repository(team), make_image()
    for tag in ("v1", "dev"):
        push_image(app, image, tag=tag)
    push_image(app, tag="other")
    path = f"{ARTIFACTS}/{image.digest}"
    listed = told(caller("bob").get(f"{path}/tags?with_immutable_status=true"))
    assert {tag["name"]: tag["immutable"] for tag in listed} == {"v1": True, "dev": False}
    shown = told(caller("bob").get(f"{path}?with_immutable_status=true"))
    assert {tag["name"]: tag["immutable"] for tag in shown["tags"]} == {"v1": True, "dev": False}
    refused = (412, "PRECONDITION")
    assert refusal(caller("alice").call("DELETE", f"{path}/tags/v1")) == refused
    assert refusal(caller("alice").call("DELETE", path)) == refused
    assert refusal(caller("alice").call("DELETE", f"{ARTIFACTS.rpartition('/')[0]}")) == refused
    assert refusal(caller("alice").call("DELETE", "projects/team?force=true")) == refused
    assert caller("alice").call("DELETE", f"{path}/tags/dev").status_code == 200


def test_a_copy_does_not_move_a_held_tag(caller: Callers, rule: int, team: Project) -> None:
    app, image = make_repository(team), make_image()
    push_image(app, tag="v1")
    push_image(make_repository(team, "from"), image, tag="v1")
    response = caller("alice").call("POST", f"{ARTIFACTS}?from=team/from:v1")
    assert refusal(response) == (412, "PRECONDITION")
