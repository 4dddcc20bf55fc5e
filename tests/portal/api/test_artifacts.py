"""Artifacts and tags of a repository."""

from collections.abc import Callable

import pytest

from accounts.models import Project
from registry_sync.models import Repository
from tests.factories import make_image, make_index, make_repository, push_image
from tests.portal.api.conftest import Answer, Caller, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
BASE = "projects/team/repositories/web%252Fapp/artifacts"


@pytest.fixture
def app(team: Project) -> Repository:
    """Push an image under two tags, an index of two, and an image without a tag."""
    app = make_repository(team, "web/app")
    image = make_image("app", config={"config": {"User": "app"}})
    push_image(app, image, "v1")
    push_image(app, image, "stable")
    children = make_image("one"), make_image("two")
    for child in children:
        push_image(app, child, "")
    push_image(app, make_index(*children), "many", children=children)
    push_image(app, make_image("bare"), "")
    return app


def digests(response: Answer) -> set[str]:
    assert response.status_code == 200, response.content
    return {artifact["digest"] for artifact in told(response)}


def test_an_image(caller: Callers, app: Repository) -> None:
    shown = told(caller("carol").get(f"{BASE}/v1"))
    assert {tag["name"] for tag in shown["tags"]} == {"v1", "stable"}
    assert (shown["type"], shown["repository_name"]) == ("IMAGE", "team/web/app")
    assert shown["extra_attrs"]["config"] == {"User": "app"}
    assert shown["references"] == []
    by_digest = told(caller("carol").get(f"{BASE}/{shown['digest']}"))
    assert by_digest == shown


def test_an_index(caller: Callers, app: Repository) -> None:
    shown = told(caller("carol").get(f"{BASE}/many"))
    assert [entry["platform"]["architecture"] for entry in shown["references"]] == [
        "amd64",
        "arm64",
    ]


def test_the_list_holds_what_was_pushed_itself(caller: Callers, app: Repository) -> None:
    response = caller("carol").get(BASE)
    assert response["X-Total-Count"] == "3"
    children = {make_image("one").digest, make_image("two").digest}
    assert not digests(response) & children
    assert told(caller("carol").get(f"{BASE}?with_tag=false"))[0]["tags"] == []


@pytest.mark.parametrize(
    ("q", "count"),
    [("tags=*", 2), ("tags=nil", 1), ("tags=v1", 1), ("tags=~a", 2), ("tags=none", 0)],
)
def test_filters(caller: Callers, app: Repository, q: str, count: int) -> None:
    assert len(digests(caller("carol").get(f"{BASE}?q={q}"))) == count


@pytest.mark.parametrize("asked", ["q=tags={a b}", "q=config=x", "sort=config", "with_tag=so"])
def test_strange_questions(caller: Callers, app: Repository, asked: str) -> None:
    assert caller("carol").get(f"{BASE}?{asked}").status_code == 400


def test_the_number_of_queries_does_not_grow(
    caller: Callers,
    app: Repository,
    django_assert_max_num_queries: Callable[[int], object],
) -> None:
    for number in range(5):
        push_image(app, make_image(), f"t{number}")
    carol = caller("carol")
    carol.get(BASE)
    with django_assert_max_num_queries(12):  # type: ignore[attr-defined]
        assert len(digests(carol.get(BASE))) == 8


def test_tags(caller: Callers, app: Repository) -> None:
    names = {tag["name"] for tag in told(caller("carol").get(f"{BASE}/v1/tags"))}
    assert names == {"v1", "stable"}
    one = caller("carol").get(f"{BASE}/v1/tags?q=name=stable")
    assert one["X-Total-Count"] == "1"


@pytest.mark.parametrize("reference", ["none", "sha256:" + "0" * 64, "sha256:x", "%2500"])
def test_what_is_not_there(caller: Callers, app: Repository, reference: str) -> None:
    assert caller("carol").get(f"{BASE}/{reference}").status_code == 404
    assert caller("carol").get(f"{BASE}/{reference}/tags").status_code == 404


def test_outsiders_see_nothing(caller: Callers, app: Repository) -> None:
    for path in (BASE, f"{BASE}/v1", f"{BASE}/v1/tags"):
        assert caller("mallory").get(path).status_code == 404
        assert caller("").get(path).status_code == 401
