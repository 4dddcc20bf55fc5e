"""Which names come in, and as which."""

import pytest

from registry_sync.importing.names import Mapping, NameRefusedError, rules_of

PATTERN = r"^[a-z0-9]+(?:[._-][a-z0-9]+)*\Z"


def mapping(*rules: str, project: str = "") -> Mapping:
    return Mapping(rules_of(rules), project, PATTERN, frozenset({"api"}))


@pytest.mark.parametrize(
    ("rules", "project", "name", "target"),
    [
        ((), "", "team/app", "team/app"),
        ((), "", "team/deep/er/app", "team/deep/er/app"),
        ((), "library", "alpine", "library/alpine"),
        (("alpine=base/alpine",), "library", "alpine", "base/alpine"),
        (("old/=new/",), "", "old/app", "new/app"),
        (("old/=new/", "old/app=other/app"), "", "old/app", "other/app"),
        (("old/=new/deep/",), "", "old/a/b", "new/deep/a/b"),
        (("old=new/x",), "", "old/app", "old/app"),
    ],
)
def test_a_name_becomes(rules: tuple[str, ...], project: str, name: str, target: str) -> None:
    assert str(mapping(*rules, project=project).target(name)) == target


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("alpine", "no project component"),
        ("api/app", "portal itself"),
        ("a__b/app", "cannot be a project's name"),
        ("team/" + "a" * 260, "cannot be a repository's name"),
        ("team/App", "cannot be a repository's name"),
    ],
)
def test_what_cannot_come_in_says_why(name: str, word: str) -> None:
    with pytest.raises(NameRefusedError, match=word):
        mapping().target(name)


@pytest.mark.parametrize("rule", ["x", "=x", "x=", "x/=y", "x=y/"])
def test_a_rule_that_says_nothing_clear_is_refused(rule: str) -> None:
    with pytest.raises(NameRefusedError):
        rules_of([rule])
