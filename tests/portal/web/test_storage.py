"""The page of the storage, and the reports of runs: who sees them, and what they tell."""

import datetime

import pytest
from django.utils import timezone

from accounts.models import Project, User
from portal.templatetags.portal import size
from registry_sync import reports, storage_figures, tasks
from registry_sync.models import Execution, ProjectStorage, State, StorageSnapshot
from registry_sync.reports import Outcome
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, text_of

pytestmark = pytest.mark.django_db
PATH = "/admin/storage"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda ids: None)


def test_others_do_not_see_it(cast: Cast, signed_in: SignedIn) -> None:
    assert signed_in(cast.mallory).get(PATH).status_code == 403
    assert signed_in(cast.mallory).post(f"{PATH}/measure").status_code == 403
    assert signed_in(None).get(PATH).status_code == 302
    assert not Execution.objects.exists()


def test_it_is_measured_once_at_a_time(admin: User, signed_in: SignedIn) -> None:
    browser = signed_in(admin)
    assert "Nothing was measured yet" in text_of(browser.get(PATH))
    assert "being measured" in text_of(browser.post(f"{PATH}/measure", follow=True))
    assert "It is being measured already." in text_of(browser.post(f"{PATH}/measure", follow=True))
    assert Execution.objects.filter(kind=storage_figures.KIND).count() == 1


def test_it_tells_the_parts_and_whose_they_are(
    admin: User, signed_in: SignedIn, team: Project
) -> None:
    StorageSnapshot.objects.create(
        at=timezone.now(),
        in_use_bytes=7 * 2**20,
        trash_bytes=5 * 2**20,
        reclaimable_bytes=3 * 2**20,
        later_bytes=2 * 2**20,
        upload_bytes=0,
        unknown_bytes=2**20,
        disk_total=2**40,
        disk_free=2**39,
    )
    ProjectStorage.objects.create(
        project=team, exclusive_bytes=6 * 2**20, shared_bytes=2**20, trash_bytes=0
    )
    shown = text_of(signed_in(admin).get(PATH))
    for number in (18, 7, 5, 3, 2, 6, 1):
        assert size(number * 2**20) in shown
    assert "50 % taken" in shown
    assert "38.9 %" in shown
    assert "damaged and set aside" in shown
    assert "team" in shown


def measured(days: int, growth: int, free: int | None = 300 * 2**30) -> None:
    """As if it had been measured every night, and grown by so many bytes a day."""
    now = datetime.datetime(2026, 11, 24, 3, 0, tzinfo=datetime.UTC)
    for back in range(days):
        StorageSnapshot.objects.create(
            at=now - datetime.timedelta(days=back),
            in_use_bytes=100 * 2**30 - growth * back,
            trash_bytes=0,
            reclaimable_bytes=0,
            later_bytes=0,
            upload_bytes=0,
            unknown_bytes=0,
            disk_total=500 * 2**30,
            disk_free=free,
        )


def test_it_foretells_when_the_disk_is_full(admin: User, signed_in: SignedIn) -> None:
    measured(31, 3 * 2**30)
    shown = text_of(signed_in(admin).get(PATH))
    assert "about 100 days" in shown
    assert "on 2027-03-04" in shown
    assert size(190 * 2**30) in shown
    assert size(210 * 2**30) in shown
    assert shown.count("full before") == 1
    assert "22 earlier measurements" in shown
    assert shown.count(f"+{size(3 * 2**30)}") == 30


def test_what_shrinks_is_never_full(admin: User, signed_in: SignedIn) -> None:
    measured(8, -(2**30))
    shown = text_of(signed_in(admin).get(PATH))
    assert "it shrinks" in shown
    assert "full before" not in shown
    assert f"\N{MINUS SIGN}{size(2**30)}" in shown


def test_a_bucket_has_no_end_and_a_slow_growth_no_day(admin: User, signed_in: SignedIn) -> None:
    measured(5, 2**30, free=None)
    assert "full before" not in text_of(signed_in(admin).get(PATH))
    StorageSnapshot.objects.all().delete()
    measured(5, 1)
    assert "Full in" in text_of(signed_in(admin).get(PATH))


def test_two_days_are_too_few_to_tell(admin: User, signed_in: SignedIn) -> None:
    measured(2, 2**30)
    shown = text_of(signed_in(admin).get(PATH))
    assert "told after three days" in shown
    assert 'id="h-ahead"' not in shown


class TestReport:
    @pytest.fixture
    def execution(self) -> Execution:
        """An import that left something out."""
        made = Execution.objects.create(
            kind="import", trigger="manual", created_at=timezone.now(), state=State.SUCCEEDED
        )
        line = reports.line
        reports.write(
            [
                line(made, Outcome.DONE, "image", "team/app", count=3, size=2**20),
                line(made, Outcome.UNCHANGED, "image", "", count=5),
                line(made, Outcome.LEFT, "repository", "<b>alpine</b>", reason="no project"),
            ]
        )
        return made

    def test_others_do_not_see_it(
        self, cast: Cast, signed_in: SignedIn, execution: Execution
    ) -> None:
        path = f"/jobs/{execution.pk}/report"
        assert signed_in(cast.mallory).get(path).status_code == 403
        assert signed_in(None).get(path).status_code == 302

    def test_it_tells_what_came_in_and_what_was_left_and_why(
        self, admin: User, signed_in: SignedIn, execution: Execution
    ) -> None:
        browser = signed_in(admin)
        shown = text_of(browser.get(f"/jobs/{execution.pk}/report"))
        assert "team/app" in shown
        assert size(2**20) in shown
        assert "&lt;b&gt;alpine&lt;/b&gt;" in shown
        only = text_of(browser.get(f"/jobs/{execution.pk}/report?outcome=left"))
        assert "no project" in only
        assert "team/app" not in only
        assert f"/jobs/{execution.pk}/report" in text_of(browser.get(f"/jobs/{execution.pk}"))

    def test_there_is_none_of_what_never_ran(self, admin: User, signed_in: SignedIn) -> None:
        assert signed_in(admin).get("/jobs/999/report").status_code == 404
        assert signed_in(admin).get(f"/jobs/{2**70}/report").status_code == 404
