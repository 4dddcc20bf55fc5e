"""The grammar of tags, and the order in which people expect them."""

import random
from itertools import pairwise

import pytest

from accounts.models import Project
from registry_sync.models import Tag
from registry_sync.tag_names import is_tag, sort_key
from tests.factories import make_image, make_repository, push_image

# As they are listed: from the first to the last.
LISTED = [
    "latest",
    "v10.0",
    "2.0.0",
    "2.0.0-rc.10",
    "2.0.0-rc.9",
    "2.0.0-beta",
    "1.10",
    "1.9",
    "1.4.2",
    "1.4.2-alpine3.20",
    "1.4.2-alpine3.9",
    "1.4",
    "1.4-rc1",
    "v1",
    "0.9",
    "stable",
    "nightly-20240110",
    "nightly-20240109",
    "main",
    "build-10",
    "build-9",
    "_hidden",
]


@pytest.mark.parametrize(("above", "below"), list(pairwise(LISTED)))
def test_each_is_listed_above_the_next(above: str, below: str) -> None:
    assert sort_key(above) > sort_key(below)


@pytest.mark.parametrize(("one", "other"), [("v1.2", "1.2"), ("V1", "v1"), ("Main", "main")])
def test_a_leading_v_and_the_case_say_nothing(one: str, other: str) -> None:
    assert sort_key(one) == sort_key(other)


def test_latest_is_only_that_word() -> None:
    assert sort_key("latest-1") < sort_key("1.0") < sort_key("latest")


def test_the_longest_key_fits_its_column() -> None:
    column = Tag._meta.get_field("sort_key")
    names = ["1" * 128, "1." * 63 + "12", "a1" * 64, "1-" + "a1" * 63, "1a" * 64]
    assert max(len(sort_key(name)) for name in names) <= (column.max_length or 0)


def test_the_database_lists_in_that_order(team: Project) -> None:
    app, image = make_repository(team), make_image()
    for name in random.Random(7).sample(LISTED, len(LISTED)):  # noqa: S311 - no secret
        push_image(app, image, name)
    assert list(Tag.objects.order_by("-sort_key", "-id").values_list("name", flat=True)) == LISTED


@pytest.mark.parametrize("name", ["a", "_", "1", "A.b-C_d", "v1.0", "x" * 128])
def test_what_is_a_tag(name: str) -> None:
    assert is_tag(name)


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "a:b", "a/b", "a b", "a\n", "é", "a\0", "x" * 129]
)
def test_what_is_none(name: str) -> None:
    assert not is_tag(name)
