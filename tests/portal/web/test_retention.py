"""The page of retention: what is written is judged, saved, confirmed, and run."""

import pytest

from accounts.models import Project
from registry_sync import retention, tasks
from registry_sync.models import Execution, Repository, RetentionPolicy, TagPin
from tests.conftest import Cast
from tests.factories import make_repository, push_image
from tests.portal.web.conftest import SignedIn, fragment, text_of
from tests.registry_sync.retaining import OLD_PRS, age, policy_of, rule
from tests.registry_sync.trashing import tags_of


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app`` with v1, v2, pr-1 and an old pr-2."""
    repository = make_repository(team)
    for name in ("v1", "v2", "pr-1", "pr-2"):
        push_image(repository, tag=name)
    age(repository, pr_2=60)
    return repository


def written(*rules: tuple[str, str, str], **more: str) -> dict[str, str]:
    """What a browser sends: each rule is a template, its number and the tags."""
    data = {
        "rule-TOTAL_FORMS": str(len(rules)),
        "rule-INITIAL_FORMS": "0",
        "rule-MIN_NUM_FORMS": "0",
        "rule-MAX_NUM_FORMS": "16",
        "keep_pulled_days": "0",
        "cron": "",
        **more,
    }
    for number, (template, count, tags) in enumerate(rules):
        data |= {
            f"rule-{number}-template": template,
            f"rule-{number}-number": count,
            f"rule-{number}-tag_match": "matches",
            f"rule-{number}-tag_pattern": tags,
            f"rule-{number}-repository_match": "repoMatches",
            f"rule-{number}-repository_pattern": "**",
        }
    return data


PATH = "/p/team/-/retention"
OLD = ("nDaysSinceLastPush", "15", "pr-*")


def test_without_a_policy_everything_stays(
    cast: Cast, app: Repository, signed_in: SignedIn
) -> None:
    page = text_of(signed_in(cast.bob).get(PATH))
    assert "No rule speaks of it" in page
    assert "is-drop" not in page


def test_what_is_written_is_judged_and_not_saved(
    cast: Cast, app: Repository, signed_in: SignedIn
) -> None:
    answer = signed_in(cast.bob).post(PATH, written(OLD, action="look"))
    page = text_of(answer)
    assert answer.status_code == 200
    assert "Rule 1: older than 15 days" in page
    assert page.count('class="is-drop"') == 1
    assert not RetentionPolicy.objects.exists()


def test_the_table_follows_its_filter(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    only = text_of(client.post(PATH, written(OLD, verdict="remove")))
    assert (only.count('class="is-drop"'), only.count('class="is-keep"')) == (1, 0)
    named = text_of(client.post(PATH, written(OLD, q="v2")))
    assert named.count('class="is-keep"') == 1
    headers = {"HX-Request": "true", "HX-Target": "preview"}
    part = text_of(client.post(PATH, written(OLD), headers=headers))
    assert "<html" not in part
    assert 'id="preview"' in part


def test_saved_and_confirmed(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    answer = client.post(PATH, written(OLD, action="save", cron="0 0 3 * * 0"), follow=True)
    assert "waits for a confirmed preview" in text_of(answer)
    policy = RetentionPolicy.objects.get()
    assert (policy.is_confirmed, policy.rules[0]["params"]) == (
        False,
        {"nDaysSinceLastPush": 15},
    )
    page = text_of(client.get(PATH))
    assert "remove nothing until somebody has confirmed" in page
    client.post(PATH, written(OLD, action="confirm", cron="0 0 3 * * 0"))
    policy.refresh_from_db()
    assert (policy.is_confirmed, policy.version) == (True, 1)


def test_what_is_wrong_is_said_and_loses_nothing(
    cast: Cast, app: Repository, signed_in: SignedIn
) -> None:
    client = signed_in(cast.bob)
    for bad, words in (
        (("latestPushedK", "", "v*"), "whole number from 1"),
        (("always", "", "{v"), "not closed"),
        (("always", "", ""), "pattern is empty"),
    ):
        answer = client.post(PATH, written(bad, action="save"))
        assert answer.status_code == 422
        assert words in text_of(answer)
    assert not RetentionPolicy.objects.exists()


def test_a_run_from_the_page_and_its_page(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    policy_of(cast.team, OLD_PRS)
    client = signed_in(cast.bob)
    answer = client.post(f"{PATH}/run", {"dry_run": "0"}, follow=True)
    assert "Retention" in text_of(answer)
    execution = Execution.objects.get(kind=retention.KIND)
    tasks.run_task(execution.tasks.get().pk)
    assert set(tags_of(app)) == {"v1", "v2", "pr-1"}
    run = f"/p/team/-/runs/{execution.pk}"
    assert "Undo this run" not in text_of(client.get(run)), "a developer cannot delete"
    assert "Undo this run" in text_of(signed_in(cast.alice).get(run))
    assert f"Run {execution.pk}" in text_of(client.get(PATH))


def test_pinned_with_one_click(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    policy_of(cast.team, OLD_PRS)
    client = signed_in(cast.bob)
    client.post(f"{PATH}/pin", {"pin": "app:pr-2"})
    assert TagPin.objects.get().name == "pr-2"
    assert "Somebody pinned it" in text_of(client.get(PATH))
    client.post(f"{PATH}/pin", {"pin": "app:pr-2", "to": "off"})
    assert not TagPin.objects.exists()
    assert client.post(f"{PATH}/pin", {"pin": "other:x"}).status_code == 404


def test_the_export_is_a_table(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    policy_of(cast.team, OLD_PRS)
    answer = signed_in(cast.bob).get(f"{PATH}/export")
    table = answer.getvalue().decode()
    assert "app,pr-2," in table
    assert ",remove,1,age,Rule 1: older than 15 days," in table


def test_rules_of_the_api_that_do_not_fit_are_shown(
    cast: Cast, app: Repository, signed_in: SignedIn
) -> None:
    two = [
        {"kind": "doublestar", "decoration": "matches", "pattern": "v*"},
        {"kind": "doublestar", "decoration": "excludes", "pattern": "*-rc*"},
    ]
    policy_of(cast.team, rule("always", tag_selectors=two))
    page = text_of(signed_in(cast.bob).get(PATH))
    assert "these gaps cannot hold" in page
    assert "other than *-rc*" in page


def test_who_may(cast: Cast, app: Repository, signed_in: SignedIn) -> None:
    policy_of(cast.team, OLD_PRS)
    for user, status in ((cast.carol, 403), (cast.mallory, 404), (None, 302)):
        client = signed_in(user)
        assert client.get(PATH).status_code == status
        assert client.post(f"{PATH}/run").status_code == status
        assert client.get(f"{PATH}/export").status_code == status
    client = signed_in(cast.alice)
    assert fragment(client, PATH, "preview").status_code == 200
    client.post(f"{PATH}/delete")
    assert not RetentionPolicy.objects.exists()
    assert client.get(f"{PATH}/export").status_code == 404
