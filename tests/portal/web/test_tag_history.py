"""The page of a repository's history."""

import re

import pytest
from django.test import Client

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from registry_sync import immutable_rules, trash
from registry_sync.immutability import Rule
from registry_sync.models import Repository, TagEvent
from tests.conftest import Cast
from tests.factories import Image, make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, fragment, text_of
from tests.registry_sync.trashing import tags_of

PAGE = "/p/team/app/-/history"


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


@pytest.fixture
def two(app: Repository, cast: Cast) -> tuple[Image, Image]:
    """Two images to which ``latest`` pointed; bob pushed them."""
    actor = Actor(Principal("user", "bob", cast.bob.pk), "192.0.2.7", "r", "docker/28")
    first, second = make_image(), make_image()
    for image in (first, second):
        push_image(app, image, tag="latest", actor=actor)
    push_image(app, tag="other")
    return first, second


def restore_path() -> str:
    """Return where the oldest state is restored."""
    oldest = TagEvent.objects.order_by("pk").values_list("pk", flat=True)[0]
    return f"{PAGE}/{oldest}/restore"


@pytest.fixture
def client(cast: Cast, signed_in: SignedIn) -> Client:
    """Alice's browser."""
    return signed_in(cast.alice)


def test_states_and_their_ends(client: Client, two: tuple[Image, Image]) -> None:
    page = text_of(client.get(PAGE))
    assert "3 changes" in page
    assert page.count("Go back to this") == 1
    assert restore_path() in page
    assert "192.0.2.7 · docker/28" in page
    assert f"before: {two[0].digest[7:19]}" in page
    one = text_of(client.get(f"{PAGE}?tag=latest"))
    assert "2 changes" in one
    assert ">other<" not in one
    assert "1 change" in text_of(fragment(client, PAGE, "rows", q="oth"))
    assert "No change of such a tag" in text_of(client.get(f"{PAGE}?q=nothing"))
    assert "3 changes" in text_of(client.get(f"{PAGE}?tag=%00"))


def test_addresses_are_for_who_may_read_the_log(
    cast: Cast, signed_in: SignedIn, two: tuple[Image, Image]
) -> None:
    for name, may_go_back in (("carol", False), ("bob", True)):
        page = text_of(signed_in(getattr(cast, name)).get(PAGE))
        assert "192.0.2.7" not in page
        assert ("Go back to this" in page) is may_go_back


def test_going_back(client: Client, app: Repository, two: tuple[Image, Image]) -> None:
    answer = client.post(restore_path(), follow=True)
    assert answer.redirect_chain == [(f"{PAGE}?tag=latest", 302)]
    assert "latest points to sha256:" in text_of(answer)
    assert tags_of(app)["latest"] == two[0].digest
    again = text_of(client.post(restore_path(), follow=True))
    assert "It was not restored: the tag points there already." in again


def test_out_of_the_trash(
    cast: Cast, signed_in: SignedIn, app: Repository, two: tuple[Image, Image]
) -> None:
    trash.delete_artifact(app, two[0].digest, actor=SYSTEM_ACTOR)
    bob = signed_in(cast.bob)
    page = text_of(bob.get(PAGE))
    assert "in the trash" in page
    assert "Go back to this" not in page
    assert bob.post(restore_path()).status_code == 403
    alice = signed_in(cast.alice)
    assert "Go back to this" in text_of(alice.get(PAGE))
    alice.post(restore_path())
    assert tags_of(app)["latest"] == two[0].digest


def test_a_held_tag_has_no_way_back(
    client: Client, app: Repository, two: tuple[Image, Image]
) -> None:
    immutable_rules.create(app.project, rule=Rule("latest"), actor=SYSTEM_ACTOR)
    assert "Go back to this" not in text_of(client.get(PAGE))
    refused = text_of(client.post(restore_path(), follow=True))
    assert "It was not restored: the tag latest is immutable" in refused
    assert tags_of(app)["latest"] == two[1].digest


def test_a_run_is_named(client: Client, app: Repository, two: tuple[Image, Image]) -> None:
    trash.delete_tag(app, "latest", actor=SYSTEM_ACTOR, execution_id=4711)
    page = text_of(client.get(PAGE))
    assert re.search(r"/p/team/-/runs/4711[^>]*>\s*Run 4711", page)


@pytest.mark.parametrize(
    ("name", "status"), [(None, 302), ("mallory", 404), ("carol", 403), ("bob", 302)]
)
def test_who_may_go_back(
    cast: Cast, signed_in: SignedIn, two: tuple[Image, Image], name: str | None, status: int
) -> None:
    client = signed_in(getattr(cast, name) if name else None)
    assert client.post(restore_path()).status_code == status
    assert client.get(restore_path()).status_code == 405


def test_a_state_of_elsewhere_is_not_there(
    cast: Cast, signed_in: SignedIn, two: tuple[Image, Image]
) -> None:
    push_image(make_repository(cast.library), tag="latest")
    elsewhere = restore_path().replace("/p/team/", "/p/library/")
    assert signed_in(cast.admin).post(elsewhere).status_code == 404
    assert signed_in(None).get("/p/library/app/-/history").status_code == 200
