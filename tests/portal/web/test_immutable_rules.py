"""The pages of immutable rules."""

import pytest
from django.utils import translation

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import immutable_rules
from registry_sync.immutability import Rule
from registry_sync.models import ImmutableRule
from registry_sync.models.immutability import Match
from tests.conftest import Cast
from tests.factories import make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of

PAGE = "/p/team/-/settings/immutable"
SENTENCE = {
    "repository_match": "matches",
    "repository_pattern": "**",
    "tag_match": "matches",
    "tag_pattern": "v*",
}


@pytest.fixture
def rule(team: Project) -> ImmutableRule:
    """Make a rule of the private project."""
    return immutable_rules.create(team, rule=Rule("v*"), actor=SYSTEM_ACTOR)


def test_an_empty_list_says_what_rules_are_for(cast: Cast, signed_in: SignedIn) -> None:
    page = text_of(signed_in(cast.alice).get(PAGE))
    assert "No tag is immutable" in page
    assert "New rule" in page


def test_a_rule_is_made_and_counted(cast: Cast, signed_in: SignedIn) -> None:
    for tag in ("v1", "v2", "dev"):
        push_image(make_repository(cast.team, f"of-{tag}"), tag=tag)
    client = signed_in(cast.alice)
    answer = client.post(PAGE, SENTENCE, follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    page = text_of(answer)
    assert "In every repository, tags that match v*" in page
    assert '<td class="mo-r mo-num" data-label="Tags it holds">2</td>' in page
    assert ImmutableRule.objects.get().project == cast.team


def test_what_it_would_hold_is_shown_before(cast: Cast, signed_in: SignedIn) -> None:
    push_image(make_repository(cast.team), tag="v1")
    client = signed_in(cast.alice)
    page = text_of(client.post(PAGE, {**SENTENCE, "look": "1"}))
    assert "1 tag matches now." in page
    assert "app:v1" in page
    headers = {"HX-Request": "true", "HX-Target": "preview"}
    fragment = text_of(client.post(PAGE, SENTENCE, headers=headers))
    assert fragment.strip().startswith('<div class="mb-3" id="preview"')
    assert "1 tag matches now." in fragment
    nothing = text_of(client.post(PAGE, {**SENTENCE, "tag_pattern": "w*"}, headers=headers))
    assert "No tag matches now" in nothing
    wrong = client.post(PAGE, {**SENTENCE, "tag_pattern": "{1..100000}"}, headers=headers)
    assert wrong.status_code == 200, "htmx swaps in no error"
    assert "Write a pattern" in text_of(wrong)
    assert not ImmutableRule.objects.exists()


@pytest.mark.parametrize("pattern", ["", "{1..100000}", "x" * 256])
def test_what_is_no_pattern_stays_in_the_form(
    cast: Cast, signed_in: SignedIn, pattern: str
) -> None:
    answer = signed_in(cast.alice).post(PAGE, {**SENTENCE, "tag_pattern": pattern})
    assert answer.status_code == 422
    assert "mo-field-error" in text_of(answer)
    assert not ImmutableRule.objects.exists()


def test_the_same_rule_twice(cast: Cast, signed_in: SignedIn, rule: ImmutableRule) -> None:
    answer = signed_in(cast.alice).post(PAGE, SENTENCE)
    assert answer.status_code == 422
    assert "has this immutable rule already" in text_of(answer)


def test_changed_switched_and_deleted(cast: Cast, signed_in: SignedIn, rule: ImmutableRule) -> None:
    client = signed_in(cast.alice)
    path = f"{PAGE}/{rule.pk}"
    assert 'value="v*"' in text_of(client.get(path))
    assert client.post(path, {**SENTENCE, "tag_match": "excludes"}).status_code == 302
    rule.refresh_from_db()
    assert rule.tag_match == Match.EXCLUDES
    client.post(f"{path}/switch", {"to": "off"})
    assert ImmutableRule.objects.get().is_disabled
    assert client.post(path, SENTENCE).status_code == 302
    assert ImmutableRule.objects.get().is_disabled, "changing its words does not switch it on"
    client.post(f"{path}/switch", {"to": "on"})
    assert not ImmutableRule.objects.get().is_disabled
    assert client.post(f"{path}/delete").status_code == 302
    assert client.post(f"{path}/delete").status_code == 404
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("name", "status"),
    [(None, 302), ("mallory", 404), ("carol", 403), ("bob", 403), ("alice", 200), ("admin", 200)],
)
def test_who_sees_it(
    cast: Cast, signed_in: SignedIn, rule: ImmutableRule, name: str | None, status: int
) -> None:
    client = signed_in(getattr(cast, name) if name else None)
    assert client.get(PAGE).status_code == status
    assert client.get(f"{PAGE}/{rule.pk}").status_code == status
    if status != 200:
        for end in ("", f"/{rule.pk}", f"/{rule.pk}/switch", f"/{rule.pk}/delete"):
            assert client.post(f"{PAGE}{end}", SENTENCE).status_code == status
        assert ImmutableRule.objects.count() == 1
        rule.refresh_from_db()
        assert not rule.is_disabled


def test_another_projects_rule_is_not_there(
    cast: Cast, signed_in: SignedIn, rule: ImmutableRule
) -> None:
    client = signed_in(cast.admin)
    path = f"/p/library/-/settings/immutable/{rule.pk}"
    assert client.get(path).status_code == 404
    for end in ("", "/switch", "/delete"):
        assert client.post(f"{path}{end}", SENTENCE).status_code == 404
    assert client.get(f"{PAGE}/{10**17}").status_code == 404


def test_a_project_that_holds_an_immutable_tag_is_not_deleted(
    cast: Cast, signed_in: SignedIn, rule: ImmutableRule
) -> None:
    push_image(make_repository(cast.team), tag="v1")
    answer = signed_in(cast.alice).post("/p/team/-/settings/delete", {"confirmation": "team"})
    assert answer.status_code == 422
    assert "app:v1 is immutable" in text_of(answer)
    assert Project.objects.alive().filter(name="team").exists()


@pytest.mark.parametrize("language", ["zh-hant", "zh-hans"])
def test_in_chinese(cast: Cast, signed_in: SignedIn, rule: ImmutableRule, language: str) -> None:
    client = signed_in(cast.alice)
    client.cookies["moorage_language"] = language
    with translation.override(None):
        page = text_of(client.get(PAGE))
    assert "Immutable" not in page
    assert "every repository" not in page
