"""Making, changing and deleting immutable rules, and what one would hold."""

import pytest

from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import AuditEntry, Project, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import immutable_rules
from registry_sync.immutability import Rule, rule_of, rules_of
from registry_sync.models import ImmutableRule, Tag
from registry_sync.models.immutability import Match
from tests.factories import make_image, make_repository, push_image
from tests.registry_sync.jobs import actor_of


def test_made_changed_and_deleted(team: Project, alice: User) -> None:
    actor = actor_of(alice)
    row = immutable_rules.create(team, rule=Rule("v*"), actor=actor)
    assert rules_of(team.pk) == [Rule("v*")]
    wanted = Rule("v?", Match.EXCLUDES, "a/**", Match.EXCLUDES)
    immutable_rules.update(row, rule=wanted, actor=actor)
    assert rules_of(team.pk) == [wanted]
    assert rule_of(ImmutableRule.objects.get()) == wanted
    immutable_rules.update(row, rule=wanted, is_disabled=True, actor=actor)
    assert rules_of(team.pk) == []
    immutable_rules.remove(row, actor=actor)
    with pytest.raises(NotFound):
        immutable_rules.remove(row, actor=actor)
    row.pk = 4711
    with pytest.raises(NotFound):
        immutable_rules.update(row, rule=wanted, actor=actor)
    entries = AuditEntry.objects.filter(action__contains="immutable").order_by("pk")
    assert [(entry.action, entry.actor_name) for entry in entries] == [
        ("create_immutable_rule", "alice"),
        ("update_immutable_rule", "alice"),
        ("update_immutable_rule", "alice"),
        ("delete_immutable_rule", "alice"),
    ]
    assert entries[1].detail == {
        "repositories": "excludes a/**",
        "tags": "excludes v?",
        "disabled": False,
    }


@pytest.mark.parametrize("pattern", ["", "x" * 256, "{1..100000}", "a\0"])
def test_what_is_no_pattern(team: Project, pattern: str) -> None:
    with pytest.raises(BadRequest) as refused:
        immutable_rules.create(team, rule=Rule(pattern), actor=SYSTEM_ACTOR)
    assert refused.value.field == "tag_pattern"
    with pytest.raises(BadRequest) as refused:
        immutable_rules.create(team, rule=Rule("*", repository_pattern=pattern), actor=SYSTEM_ACTOR)
    assert refused.value.field == "repository_pattern"
    assert not ImmutableRule.objects.exists()


def test_the_same_rule_twice(team: Project, library: Project) -> None:
    immutable_rules.create(team, rule=Rule("v*"), actor=SYSTEM_ACTOR)
    immutable_rules.create(library, rule=Rule("v*"), actor=SYSTEM_ACTOR)
    other = immutable_rules.create(team, rule=Rule("w*"), actor=SYSTEM_ACTOR)
    with pytest.raises(Conflict):
        immutable_rules.create(team, rule=Rule("v*"), is_disabled=True, actor=SYSTEM_ACTOR)
    with pytest.raises(Conflict):
        immutable_rules.update(other, rule=Rule("v*"), actor=SYSTEM_ACTOR)
    assert ImmutableRule.objects.count() == 3


def test_there_is_an_end(team: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(immutable_rules, "MAX_RULES", 2)
    for pattern in ("a", "b"):
        row = immutable_rules.create(team, rule=Rule(pattern), actor=SYSTEM_ACTOR)
    with pytest.raises(BadRequest, match="at most 2"):
        immutable_rules.create(team, rule=Rule("c"), actor=SYSTEM_ACTOR)
    immutable_rules.update(row, rule=Rule("c"), actor=SYSTEM_ACTOR)


def test_the_preview_counts_what_people_see(
    team: Project, library: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, web = make_repository(team, "app"), make_repository(team, "web/front")
    image = make_image()
    for repository, names in ((app, ("v1", "v10", "v9", "dev")), (web, ("v1",))):
        for name in names:
            push_image(repository, image, tag=name)
    push_image(app, tag=f"{image.digest.replace(':', '-')}.sig")
    push_image(make_repository(library), tag="v1")
    found = immutable_rules.preview(team, Rule("v*"))
    assert (found.tags, found.repositories, found.is_partial) == (4, 2, False)
    assert found.examples == ["app:v10", "app:v9", "app:v1", "web/front:v1"]
    assert immutable_rules.preview(team, Rule("**")).tags == 5
    narrow = Rule("**", repository_pattern="*")
    assert immutable_rules.preview(team, narrow).repositories == 1
    with pytest.raises(BadRequest):
        immutable_rules.preview(team, Rule(""))
    monkeypatch.setattr(immutable_rules, "_LOOKED_AT", 2)
    assert immutable_rules.preview(team, Rule("v*")).is_partial
    assert Tag.objects.filter(repository__project=team).count() == 6
