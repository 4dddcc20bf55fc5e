"""The page of garbage collection: who sees it, a run from it, its digests, its schedule."""

import datetime

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.principals import SYSTEM_ACTOR
from portal.templatetags.portal import size
from registry_sync import executions, garbage, garbage_figures, tasks
from registry_sync.models import Execution, ReportLine, Schedule, State
from tests.conftest import Cast
from tests.factories import make_blob, some_digest
from tests.portal.web.conftest import SignedIn, fragment, text_of

pytestmark = pytest.mark.django_db
PATH = "/admin/garbage"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda ids: None)


def test_others_do_not_see_it(cast: Cast, signed_in: SignedIn) -> None:
    mallory = signed_in(cast.mallory)
    assert mallory.get(PATH).status_code == 403
    assert mallory.post(f"{PATH}/run").status_code == 403
    assert mallory.get(f"{PATH}/schedule").status_code == 403
    assert signed_in(None).get(PATH).status_code == 302
    assert not Execution.objects.exists()


def test_it_tells_what_can_be_reclaimed_now_and_later(admin: User, signed_in: SignedIn) -> None:
    make_blob(age=datetime.timedelta(days=2), size=3 * 1024 * 1024)
    make_blob(size=5 * 1024 * 1024)
    shown = text_of(signed_in(admin).get(PATH))
    assert size(3 * 1024 * 1024) in shown
    assert size(5 * 1024 * 1024) in shown
    assert "Nothing was collected yet" in shown


def test_what_is_too_much_to_count_for_a_page_is_told_as_the_last_run_left_it(
    admin: User, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage_figures, "_COUNTED_ANEW", 0)
    make_blob(age=datetime.timedelta(days=2), size=3 * 1024 * 1024)
    shown = text_of(signed_in(admin).get(PATH))
    assert "no run has counted them yet" in shown
    assert "Reclaimable" not in shown
    ended = timezone.now() - datetime.timedelta(hours=5)
    run = executions.create(garbage.KIND, actor=SYSTEM_ACTOR)
    Execution.objects.update(state=State.SUCCEEDED)
    run.tasks.update(
        state=State.SUCCEEDED,
        finished_at=ended,
        result={"found": 9, "digests": 7, "found_bytes": 9 * 1024**2, "freed_bytes": 7 * 1024**2},
    )
    answer = signed_in(admin).get(PATH)
    shown = text_of(answer)
    assert "the figures that the last run ended with" in shown
    assert ended.isoformat(timespec="seconds")[:16] in answer.content.decode()
    assert size(2 * 1024 * 1024) in shown
    assert "inside" not in shown


def test_a_dry_run_begins_from_the_page_and_can_be_stopped(
    admin: User, signed_in: SignedIn
) -> None:
    browser = signed_in(admin)
    assert browser.post(f"{PATH}/run", {"dry_run": "1"}).status_code == 302
    execution = Execution.objects.get(kind=garbage.KIND)
    assert execution.parameters["dry_run"] is True
    again = browser.post(f"{PATH}/run", follow=True)
    assert "It runs already." in text_of(again)
    assert Execution.objects.count() == 1
    assert f"/{execution.pk}/stop" in text_of(fragment(browser, PATH, "content"))
    browser.post(f"{PATH}/{execution.pk}/stop")
    execution.refresh_from_db()
    assert execution.state == State.STOPPED


def test_a_runs_digests_have_reasons_and_repositories(admin: User, signed_in: SignedIn) -> None:
    execution = Execution.objects.create(
        kind=garbage.KIND, trigger="manual", created_at=timezone.now(), state=State.SUCCEEDED
    )
    digest = some_digest()
    for repository, reason in (("team/app", "purged"), ("team/other", "unused")):
        ReportLine.objects.create(
            execution=execution,
            outcome=ReportLine.Outcome.FOUND,
            subject_kind="blob",
            subject=f"{repository}@{digest}",
            reason=reason,
            size=10,
        )
    browser = signed_in(admin)
    shown = text_of(browser.get(f"{PATH}/{execution.pk}"))
    assert "team/app" in shown
    assert "The last image that needed it was purged" in shown
    only = text_of(fragment(browser, f"{PATH}/{execution.pk}", "content", reason="unused"))
    assert "team/other" in only
    assert "team/app" not in only
    assert browser.get(f"{PATH}/999999").status_code == 404


@pytest.mark.parametrize(
    ("state", "tone"), [(State.FAILED, "mo-note--danger"), (State.QUEUED, "mo-note--warn")]
)
def test_why_a_run_did_not_go_on_stands_above_its_phases(
    admin: User, signed_in: SignedIn, state: str, tone: str
) -> None:
    run = executions.create(garbage.KIND, actor=SYSTEM_ACTOR)
    Execution.objects.update(state=state)
    run.tasks.update(state=state, message="the storage cannot be used: Read-only file system")
    page = signed_in(admin).get(PATH).content.decode()
    note = page.index(tone)
    assert "Read-only file system" in page[note : page.index("mo-phases")]


class TestSchedule:
    def test_it_is_set_changed_and_taken_away(self, admin: User, signed_in: SignedIn) -> None:
        browser = signed_in(admin)
        wanted = {"times": "0 0 3 * * 0", "workers": "4", "rate": "0", "delete_untagged": "on"}
        assert browser.post(f"{PATH}/schedule", wanted).status_code == 302
        schedule = Schedule.objects.get(kind=garbage.KIND)
        assert (schedule.cron, schedule.parameters["workers"]) == ("0 0 3 * * 0", 4)
        assert schedule.parameters["delete_untagged"] is True
        assert "0 0 3 * * 0" in text_of(browser.get(PATH))
        assert browser.post(f"{PATH}/schedule", {**wanted, "times": ""}).status_code == 302
        assert not Schedule.objects.exists()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"workers": "11"}, "less than or equal to 10"),
            ({"times": "custom", "cron": "every day"}, "six fields"),
            ({"rate": "-1"}, "greater than or equal to 0"),
        ],
    )
    def test_what_is_wrong_is_told_beside_the_field(
        self, admin: User, signed_in: SignedIn, change: dict[str, str], words: str
    ) -> None:
        wanted = {"times": "0 0 3 * * 0", "workers": "1", "rate": "0", **change}
        answer = signed_in(admin).post(f"{PATH}/schedule", wanted)
        assert answer.status_code == 422
        assert words in text_of(answer)
        assert not Schedule.objects.exists()
