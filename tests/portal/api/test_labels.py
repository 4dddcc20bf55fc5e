"""/labels."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Project
from registry_sync.models import Label
from tests.portal.api.conftest import Caller, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]


@pytest.fixture
def of_team(caller: Callers, team: Project) -> int:
    """Make a label of the private project."""
    body = {"name": "ready", "color": "#00AB9A", "scope": "p", "project_id": team.pk}
    response = caller("alice").post("labels", body)
    assert response.status_code == 201, response.content
    return int(response["Location"].rpartition("/")[2])


def test_the_contracts_fields(caller: Callers, of_team: int, team: Project) -> None:
    shown = told(caller("bob").get(f"labels/{of_team}"))
    assert shown.pop("creation_time")
    assert shown.pop("update_time")
    assert shown == {
        "id": of_team,
        "name": "ready",
        "description": "",
        "color": "#00AB9A",
        "scope": "p",
        "project_id": team.pk,
    }


def test_lists(caller: Callers, of_team: int, team: Project) -> None:
    caller("admin").post("labels", {"name": "global", "scope": "g"})
    listed = told(caller("bob").get("labels?scope=g"))
    assert [(label["name"], label["project_id"]) for label in listed] == [("global", 0)]
    path = f"labels?scope=p&project_id={team.pk}"
    assert [label["name"] for label in told(caller("carol").get(path))] == ["ready"]
    assert told(caller("carol").get(f"{path}&name=nothing")) == []
    assert caller("mallory").get(path).status_code == 404
    for strange in ("scope=x", "scope=p", "scope=p&project_id=x", "q=project__name=team"):
        assert caller("admin").get(f"labels?{strange}").status_code == 400


def test_a_projects_label_is_hidden_with_it(caller: Callers, of_team: int) -> None:
    for method in ("GET", "PUT", "DELETE"):
        hidden = caller("mallory").call(method, f"labels/{of_team}", {"name": "x"})
        missing = caller("mallory").call(method, "labels/4711", {"name": "x"})
        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content


@pytest.mark.parametrize(
    ("username", "status"), [("", 401), ("mallory", 404), ("carol", 403), ("bob", 403)]
)
def test_who_may_not_make_one(caller: Callers, team: Project, username: str, status: int) -> None:
    body = {"name": "x", "scope": "p", "project_id": team.pk}
    assert caller(username).post("labels", body).status_code == status
    assert caller("alice").post("labels", {"name": "x", "scope": "g"}).status_code == 403


def test_changing_and_deleting(caller: Callers, of_team: int) -> None:
    changed = {"name": "done", "description": "it is"}
    assert caller("bob").call("PUT", f"labels/{of_team}", changed).status_code == 403
    assert caller("alice").call("PUT", f"labels/{of_team}", changed).status_code == 200
    assert Label.objects.get().name == "done"
    assert caller("bob").call("DELETE", f"labels/{of_team}").status_code == 403
    assert caller("alice").call("DELETE", f"labels/{of_team}").status_code == 200
    assert not Label.objects.exists()


@pytest.mark.parametrize("scope", ["g", "p"])
def test_a_taken_name(caller: Callers, team: Project, scope: str) -> None:
    body = {"name": "x", "scope": scope, "project_id": team.pk}
    assert caller("admin").post("labels", body).status_code == 201
    assert caller("admin").post("labels", body).status_code == 409


@pytest.mark.parametrize(
    ("wanted", "words"),
    [({"name": ""}, "name"), ({"color": "red"}, "colour"), ({"scope": "z"}, "scope")],
)
def test_what_means_nothing(caller: Callers, wanted: dict[str, Any], words: str) -> None:
    response = caller("admin").post("labels", {"name": "x"} | wanted)
    assert response.status_code == 400
    assert words in error_of(response)[1]
