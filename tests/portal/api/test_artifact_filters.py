"""What stands for itself in a repository: listed and counted alike."""

import pytest

from accounts.principals import SYSTEM_ACTOR
from portal.api.artifact_filters import count_top_level, top_level
from portal.api.paging import Page
from registry_sync import trash
from registry_sync.models import Artifact, Repository
from tests.conftest import Cast
from tests.factories import (
    Image,
    descriptor,
    make_image,
    make_index,
    make_repository,
    push_image,
)


@pytest.fixture
def app(cast: Cast) -> Repository:
    return make_repository(cast.team, "app")


def _push_index(app: Repository, *words: str, tag: str) -> tuple[Artifact, list[Image]]:
    children = [make_image(word) for word in words]
    for child in children:
        push_image(app, child, "")
    return push_image(app, make_index(*children), tag, children=tuple(children)), children


def _listed(app: Repository) -> int:
    return top_level(Artifact.objects.live().filter(repository=app)).count()


def test_counted_as_listed(app: Repository, cast: Cast) -> None:
    # An index with two manifests, of which one has a tag of its own.
    _index, children = _push_index(app, "arm", "amd", tag="1.0")
    push_image(app, children[0], "1.0-arm")
    # A signature by its tag, one by its subject, a bill of materials with a tag for people.
    signed = make_image("signed")
    push_image(app, signed, "2.0")
    push_image(app, make_image("by tag"), f"{signed.digest.replace(':', '-')}.sig")
    subject = descriptor(signed.content, signed.media_type)
    push_image(app, make_image("by subject", subject=subject), "")
    push_image(app, make_image("bill", subject=subject), "bill")
    # An image without a tag, one whose tag only looks like a tool's, and one in the trash.
    push_image(app, make_image("untagged"), "")
    push_image(app, make_image("odd"), "sha256-abc")
    gone = push_image(app, make_image("gone"), "gone")
    trash.delete_artifact(app, gone.digest, actor=SYSTEM_ACTOR)
    other = make_repository(cast.team, "other")
    push_image(other, make_image("by subject", subject=subject), "")
    push_image(other, make_image("alone"), "1")
    empty = make_repository(cast.team, "empty")

    # 1.0, its tagged manifest, 2.0, the bill, the one without a tag, the odd one.
    assert _listed(app) == 6
    assert count_top_level([app.pk, other.pk, empty.pk]) == {app.pk: 6, other.pk: 1}


def test_an_index_in_the_trash_holds_nothing(app: Repository) -> None:
    index, _children = _push_index(app, "arm", "amd", tag="1.0")
    assert count_top_level([app.pk]) == {app.pk: 1} == {app.pk: _listed(app)}
    trash.delete_artifact(app, index.digest, actor=SYSTEM_ACTOR)
    assert count_top_level([app.pk]).get(app.pk, 0) == _listed(app)


def test_a_page_is_chosen_by_key(app: Repository) -> None:
    pushed = [push_image(app, make_image(), str(number)).pk for number in range(5)]
    found = Artifact.objects.filter(repository=app).order_by("-pushed_at", "-pk")
    keys = [row["pk"] for row in Page(2, 2).of_keys(found)]
    assert keys == pushed[::-1][2:4]
