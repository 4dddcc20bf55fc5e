"""Docker's scope grammar."""

import pytest

from accounts.scopes import Scope, is_repository_name, parse


def one(text: str) -> Scope:
    """The only scope of a text."""
    (scope,) = parse([text])
    return scope


def test_a_plain_scope() -> None:
    assert one("repository:team/app:pull,push") == Scope(
        "repository", "team/app", frozenset({"pull", "push"})
    )


def test_colons_in_the_name() -> None:
    assert one("repository:host:5000/a/b:pull").name == "host:5000/a/b"


def test_a_class_is_read_past() -> None:
    assert one("repository(plugin):a/b:pull").type == "repository"


def test_repeated_and_space_separated_scopes_are_one_list() -> None:
    assert parse(["repository:a/b:pull repository:c/d:pull", "repository:a/b:push"]) == [
        Scope("repository", "a/b", frozenset({"pull", "push"})),
        Scope("repository", "c/d", frozenset({"pull"})),
    ]


def test_empty_actions() -> None:
    assert one("repository:a/b:").actions == frozenset()
    assert one("repository:a/b:pull,,pull").actions == {"pull"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "garbage",
        "repository",
        "repository:",
        "a:b",
        "::",
        ":::",
        ":a/b:pull",
        "repository::pull",
        "Repository:a/b:pull",
        "repository(:a/b:pull",
        "repository):a/b:pull",
        "repository(plugin:a/b:pull",
        "réposit:a/b:pull",
        "\0:\0:\0",
        "\n",
    ],
)
def test_garbage_is_left_out(text: str) -> None:
    assert parse([text]) == []
    assert len(parse([text, "repository:a/b:pull"])) == 1


def test_no_more_than_a_hundred() -> None:
    assert len(parse([f"repository:a/b{n}:pull" for n in range(1000)])) == 100


@pytest.mark.parametrize("name", ["a/b", "a/b/c", "a.b/c__d", "a-b/c---d", "a/" + "b" * 253])
def test_repository_names(name: str) -> None:
    assert is_repository_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "/a",
        "a/",
        "A/b",
        "a//b",
        "a/../b",
        "a/.b",
        "a/b\n",
        "a/b?c",
        "host:5/a",
        "a/" * 128 + "b",
    ],
)
def test_other_names(name: str) -> None:
    assert not is_repository_name(name)
