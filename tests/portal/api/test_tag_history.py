"""/projects/{name}/repositories/{path}/tag-history."""

from collections.abc import Callable

import pytest

from accounts import members
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from accounts.roles import Role
from registry_sync import immutable_rules, trash
from registry_sync.immutability import Rule
from registry_sync.models import Repository, TagEvent
from tests.factories import Image, make_image, make_repository, push_image
from tests.portal.api.conftest import Caller, error_of, told
from tests.registry_sync.trashing import tags_of

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
HISTORY = "projects/team/repositories/app/tag-history"


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


@pytest.fixture
def two(app: Repository, bob: User) -> tuple[Image, Image]:
    """Two images to which ``latest`` pointed; bob pushed them."""
    actor = Actor(Principal("user", "bob", bob.pk), "192.0.2.7", "r", "docker/28")
    first, second = make_image(), make_image()
    for image in (first, second):
        push_image(app, image, tag="latest", actor=actor)
    push_image(app, tag="other")
    return first, second


def first_state() -> int:
    """Return the number of the oldest state."""
    return TagEvent.objects.order_by("pk").values_list("pk", flat=True)[0]


def test_the_fields(caller: Callers, two: tuple[Image, Image]) -> None:
    response = caller("alice").get(f"{HISTORY}?q=tag=latest")
    assert response["X-Total-Count"] == "2"
    second, first = told(response)
    assert second.pop("from") == first.pop("until")
    assert first.pop("from") < told(response)[0]["from"]
    assert second == {
        "id": second["id"],
        "tag": "latest",
        "action": "push",
        "from_digest": two[0].digest,
        "digest": two[1].digest,
        "artifact": "live",
        "until": None,
        "is_current": True,
        "actor": "bob",
        "actor_kind": "user",
        "address": "192.0.2.7",
        "client": "docker/28",
        "execution_id": None,
    }
    assert (first["digest"], first["is_current"], first["from_digest"]) == (
        two[0].digest,
        False,
        "",
    )


@pytest.mark.parametrize("name", ["carol", "bob"])
def test_addresses_are_for_who_may_read_the_log(
    caller: Callers, two: tuple[Image, Image], name: str
) -> None:
    for state in told(caller(name).get(HISTORY)):
        assert (state["address"], state["client"]) == ("", "")
        assert state["actor"]


def test_pages_filters_and_order(caller: Callers, two: tuple[Image, Image]) -> None:
    alice = caller("alice")
    page = alice.get(f"{HISTORY}?page_size=1&page=2")
    assert [state["tag"] for state in told(page)] == ["latest"]
    assert 'rel="next"' in page["Link"]
    oldest = told(alice.get(f"{HISTORY}?sort=id"))
    assert oldest[0]["id"] == first_state()
    found = told(alice.get(f"{HISTORY}?q=digest={two[0].digest}"))
    assert [state["id"] for state in found] == [first_state()]
    assert len(told(alice.get(f"{HISTORY}?q=until=[2020-01-01~]"))) == 1
    assert told(alice.get(f"{HISTORY}?q=from=[~2020-01-01]")) == []
    for strange in ("q=password=x", "sort=actor_id", "page=0"):
        assert alice.get(f"{HISTORY}?{strange}").status_code == 400


def test_going_back(caller: Callers, app: Repository, two: tuple[Image, Image]) -> None:
    path = f"{HISTORY}/{first_state()}/restore"
    assert caller("carol").post(path, {}).status_code == 403
    response = caller("bob").post(path, {})
    assert response.status_code == 200, response.content
    assert response["Location"] == "/api/v2.0/projects/team/repositories/app/artifacts/latest"
    assert tags_of(app)["latest"] == two[0].digest
    again = caller("bob").post(path, {})
    assert again.status_code == 409
    assert error_of(again) == ("CONFLICT", "the tag points there already")


def test_out_of_the_trash_it_takes_the_right_to_delete(
    caller: Callers, app: Repository, two: tuple[Image, Image]
) -> None:
    trash.delete_artifact(app, two[0].digest, actor=SYSTEM_ACTOR)
    states = told(caller("bob").get(f"{HISTORY}?q=tag=latest"))
    assert [state["artifact"] for state in states] == ["live", "trashed"]
    path = f"{HISTORY}/{first_state()}/restore"
    assert caller("bob").post(path, {}).status_code == 403
    assert tags_of(app)["latest"] == two[1].digest
    assert caller("alice").post(path, {}).status_code == 200
    assert tags_of(app)["latest"] == two[0].digest


def test_a_held_tag_stays(caller: Callers, app: Repository, two: tuple[Image, Image]) -> None:
    immutable_rules.create(app.project, rule=Rule("latest"), actor=SYSTEM_ACTOR)
    response = caller("alice").post(f"{HISTORY}/{first_state()}/restore", {})
    assert response.status_code == 412
    assert error_of(response)[0] == "PRECONDITION"
    assert tags_of(app)["latest"] == two[1].digest


def test_states_of_elsewhere_are_not_there(
    caller: Callers, two: tuple[Image, Image], library: Project, mallory: User
) -> None:
    push_image(make_repository(library), tag="latest")
    path = f"projects/library/repositories/app/tag-history/{first_state()}/restore"
    assert caller("admin").post(path, {}).status_code == 404
    assert caller("mallory").get(HISTORY).status_code == 404
    assert caller("").get("projects/library/repositories/app/tag-history").status_code == 200
    assert caller("").get(HISTORY).status_code == 401
    members.add(library, user=mallory, role=Role.GUEST, actor=SYSTEM_ACTOR)
    assert caller("mallory").post(path, {}).status_code == 403
    huge = f"{HISTORY}/{10**30}/restore"
    assert caller("alice").post(huge, {}).status_code == 404


def test_a_nested_repository(caller: Callers, team: Project) -> None:
    push_image(make_repository(team, "a/b"), tag="v1")
    (state,) = told(caller("bob").get("projects/team/repositories/a%252Fb/tag-history"))
    assert state["tag"] == "v1"
