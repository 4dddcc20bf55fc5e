"""What a policy takes, and what it is called there."""

from typing import Any

import pytest

from accounts.errors import BadRequest
from registry_sync.replication import filters


@pytest.mark.parametrize(
    ("namespace", "replaced", "there"),
    [
        ("", -1, "a/b/c/image"),
        ("n", -1, "n/image"),
        ("n", 0, "n/a/b/c/image"),
        ("n", 1, "n/b/c/image"),
        ("n", 2, "n/c/image"),
        ("n", 3, "n/image"),
        ("x/y", 3, "x/y/image"),
    ],
)
def test_names_there(namespace: str, replaced: int, there: str) -> None:
    assert filters.destination("a/b/c/image", namespace, replaced) == there


def test_too_few_components() -> None:
    with pytest.raises(BadRequest, match="fewer than 2"):
        filters.destination("team/app", "n", 2)


@pytest.mark.parametrize(
    ("pattern", "name", "is_taken"),
    [
        ("team/**", "team/web/app", True),
        ("team/*", "team/web/app", False),
        ("{team,library}/*", "library/app", True),
        ("team/app", "team/app2", False),
        ("**", "any/thing/at/all", True),
    ],
)
def test_repositories(pattern: str, name: str, *, is_taken: bool) -> None:
    found = filters.read(filters.checked([{"type": "name", "value": pattern}]))
    assert found.takes_repository(name) is is_taken


def test_tags_are_taken_or_left() -> None:
    entry = {"type": "tag", "value": "v*"}
    taking = filters.read(filters.checked([entry]))
    leaving = filters.read(filters.checked([entry | {"decoration": "excludes"}]))
    assert [taking.takes_tag(tag) for tag in ("v1", "latest")] == [True, False]
    assert [leaving.takes_tag(tag) for tag in ("v1", "latest")] == [False, True]


def test_labels_and_types() -> None:
    stored: list[dict[str, Any]] = [
        {"type": "label", "value": ["a", "b"]},
        {"type": "resource", "value": "image"},
    ]
    found = filters.read(filters.checked(stored))
    assert found.takes_artifact("IMAGE", ["a", "b", "c"])
    assert not found.takes_artifact("IMAGE", ["a"])
    assert not found.takes_artifact("CHART", ["a", "b"])
    others = filters.read(filters.checked([{"type": "resource", "value": "artifact"}]))
    assert others.takes_artifact("CHART", [])
    assert not others.takes_artifact("IMAGE", [])


def test_empty_ones_are_none() -> None:
    given: list[dict[str, Any]] = [{"type": "name", "value": ""}, {"type": "label", "value": []}]
    assert filters.checked(given) == []
    assert filters.read([]).takes_repository("any/thing")


@pytest.mark.parametrize(
    "entries",
    [
        [{"type": "color", "value": "red"}],
        [{"type": "name", "value": "a"}, {"type": "name", "value": "b"}],
        [{"type": "tag", "value": "a", "decoration": "maybe"}],
        [{"type": "tag", "value": "a" * 256}],
        [{"type": "tag", "value": ["a"]}],
        [{"type": "tag", "value": "{" + ",".join("abcdefghij") + "}" * 1 + "{1..200}"}],
        [{"type": "label", "value": "a"}],
        [{"type": "label", "value": [1]}],
        [{"type": "resource", "value": "chart"}],
        [{}],
    ],
)
def test_what_cannot_be(entries: list[dict[str, Any]]) -> None:
    with pytest.raises(BadRequest) as refused:
        filters.checked(entries)
    assert refused.value.field == "filters"
