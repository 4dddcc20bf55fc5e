"""The pages of jobs: who sees them, what they show, and what their buttons do."""

import datetime
import re

import pytest
from django.conf import settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from accounts.principals import SYSTEM_ACTOR
from portal.templatetags.portal import duration
from portal.web.access import SEEN_KEY
from portal.web.jobs import KIND_LABELS, UNITS
from registry_sync import dispatch, executions, queues, schedules, tasks
from registry_sync.executions import Order
from registry_sync.models import Execution, QueuePause, Schedule, State, Task
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, fragment, text_of

pytestmark = pytest.mark.django_db
PAGES = ("/jobs/", "/jobs/queues", "/jobs/schedules")


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda ids: None)


@pytest.mark.parametrize("path", PAGES)
def test_jobs_are_for_administrators_and_auditors(
    cast: Cast, signed_in: SignedIn, path: str
) -> None:
    assert signed_in(cast.alice).get(path).status_code == 403
    assert signed_in(None).get(path).status_code == 302
    User.objects.filter(pk=cast.carol.pk).update(is_auditor=True)
    page = signed_in(User.objects.get(pk=cast.carol.pk)).get(path)
    assert page.status_code == 200
    assert text_of(page).count("<h1") == 1
    assert 'action="/jobs' not in text_of(page)


def test_nobody_else_starts_stops_or_pauses(cast: Cast, signed_in: SignedIn) -> None:
    execution = dispatch.start("fsck", actor=SYSTEM_ACTOR)
    for path in (
        "/jobs/start/fsck",
        f"/jobs/{execution.pk}/stop",
        "/jobs/queues/fsck/pause",
    ):
        assert signed_in(cast.alice).post(path).status_code == 403, path
    assert Execution.objects.get().state == State.QUEUED
    assert "mo-jobs" not in text_of(signed_in(cast.alice).get("/p/"))


def test_the_mark_in_the_head_follows_what_runs(
    cast: Cast, signed_in: SignedIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    visitor = signed_in(cast.admin)
    page = text_of(visitor.get("/jobs/"))
    assert "/jobs/tray?shown=0" in page
    assert 'data-first="20000"' in page
    # Nothing is sent, nor is anything on the page touched, while it is as shown.
    assert visitor.get("/jobs/tray?shown=0").status_code == 204
    dispatch.start("fsck", actor=SYSTEM_ACTOR)
    # The session, the user, their rights, the number.
    with django_assert_num_queries(4):
        mark = visitor.get("/jobs/tray?shown=0")
    assert "Jobs, 1 active" in text_of(mark)
    assert "data-first" not in text_of(mark)
    assert "no-store" in mark.headers["Cache-Control"]
    assert visitor.get("/jobs/tray?shown=1").status_code == 204


def test_every_unit_of_progress_has_a_name() -> None:
    found = set()
    for path in (settings.BASE_DIR / "registry_sync").rglob("*.py"):
        found |= set(re.findall(r'unit="(\w+)"', path.read_text()))
    assert found
    assert found <= set(UNITS)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0, "< 1 s"), (59, "59 s"), (125, "2 min 5 s"), (7260, "2 h 1 min")],
)
def test_a_duration_has_its_units(seconds: int | None, words: str) -> None:
    assert duration(seconds) == words
    assert duration(None if seconds is None else datetime.timedelta(seconds=seconds)) == words


def test_the_mark_leads_nobody_away_and_keeps_no_session(cast: Cast, signed_in: SignedIn) -> None:
    assert signed_in(None).get("/jobs/tray?shown=3").status_code == 204
    assert signed_in(cast.alice).get("/jobs/tray?shown=3").status_code == 204
    visitor = signed_in(cast.admin)
    session = visitor.session
    session[SEEN_KEY] = 0
    session.save()
    visitor.get("/jobs/tray")
    assert visitor.session[SEEN_KEY] == 0
    visitor.get("/jobs/")
    assert visitor.session[SEEN_KEY] > 0


def test_a_job_is_started_followed_and_stopped(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    started = client.post("/jobs/start/fsck")
    execution = Execution.objects.get()
    assert started.headers["Location"] == f"/jobs/{execution.pk}"
    assert client.post("/jobs/start/fsck").headers["Location"] == f"/jobs/{execution.pk}"
    page = text_of(client.get(f"/jobs/{execution.pk}"))
    assert "<x-poll hx-get" in page
    assert "Nothing was written yet" in page
    assert "Jobs, 1 active" in page
    Task.objects.update(done=3, total=4, unit="rows", message="<b>")
    part = text_of(fragment(client, f"/jobs/{execution.pk}", "content"))
    assert "<html" not in part
    assert 'width="75%"' in part
    assert "&lt;b&gt;" in part
    client.post(f"/jobs/{execution.pk}/stop")
    execution.refresh_from_db()
    assert execution.state == State.STOPPED
    assert "<x-poll" not in text_of(fragment(client, f"/jobs/{execution.pk}", "content"))
    assert client.post("/jobs/start/audit-purge").status_code == 404
    assert client.get("/jobs/1000000").status_code == 404


def test_the_log_of_one_task_is_shown(cast: Cast, signed_in: SignedIn) -> None:
    execution = dispatch.start("housekeeping", actor=SYSTEM_ACTOR)
    tasks.run_task(execution.tasks.get().pk)
    page = text_of(signed_in(cast.admin).get(f"/jobs/{execution.pk}"))
    assert "the signing key&#x27;s certificate is valid" in page
    assert "Succeeded" in page


def test_tasks_are_counted_filtered_and_paged(cast: Cast, signed_in: SignedIn) -> None:
    orders = [Order(f"image-{number:02}") for number in range(30)]
    execution = executions.create("fsck", actor=SYSTEM_ACTOR, orders=orders)
    Task.objects.filter(subject__lt="image-03").update(state=State.FAILED)
    client = signed_in(cast.admin)
    page = text_of(client.get(f"/jobs/{execution.pk}"))
    assert "1–25 of 30 tasks" in page
    assert "Waiting 27" in page
    failed = text_of(client.get(f"/jobs/{execution.pk}", {"view": "failed"}))
    assert "image-02" in failed
    assert "image-03" not in failed


def test_queues_are_paused_resumed_and_cleared(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    dispatch.start("fsck", actor=SYSTEM_ACTOR)
    queues.show_worker("host:17", pool="thread", concurrency=4)
    assert "host:17" in text_of(client.get("/jobs/queues"))
    client.post("/jobs/queues/fsck/pause")
    assert QueuePause.objects.get().kind == "fsck"
    assert "paused" in text_of(client.get("/jobs/queues"))
    client.post("/jobs/queues/fsck/resume")
    client.post("/jobs/queues/fsck/clear")
    assert not QueuePause.objects.exists()
    assert Execution.objects.get().state == State.STOPPED
    for path in ("/jobs/queues/fsck/explode", "/jobs/queues/nothing/pause"):
        assert client.post(path).status_code == 404


def test_a_schedule_is_previewed_changed_and_suspended(cast: Cast, signed_in: SignedIn) -> None:
    schedule = schedules.put("fsck", cron="0 30 3 * * 0", actor=SYSTEM_ACTOR)
    client = signed_in(cast.admin)
    path = f"/jobs/schedules/{schedule.pk}"
    wanted = {"cron": "0 0 4 1 1 *", "zone": "Asia/Taipei"}
    assert "-12-31 20:00:00" in text_of(client.post(path, {**wanted, "preview": "1"}))
    schedule.refresh_from_db()
    assert schedule.cron == "0 30 3 * * 0"
    client.post(path, wanted)
    schedule.refresh_from_db()
    assert (schedule.cron, schedule.time_zone) == ("0 0 4 1 1 *", "Asia/Taipei")
    for bad, words in (({"cron": "0 4 * * *"}, "six fields"), ({"zone": "Mars"}, "no time zone")):
        answer = client.post(path, {**wanted, **bad})
        assert answer.status_code == 422
        assert words in text_of(answer)
    client.post(f"{path}/switch", {"enabled": "false"})
    assert not Schedule.objects.get().is_enabled
    assert "suspended" in text_of(client.get("/jobs/schedules"))


def test_queries_do_not_grow_with_rows(
    cast: Cast, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    for _number in range(12):
        execution = Execution.objects.create(
            kind="fsck", trigger="manual", created_at=now, task_count=30
        )
        Task.objects.bulk_create(
            Task(execution=execution, kind="fsck", run_after=now, created_at=now)
            for _number in range(30)
        )
        queues.show_worker(f"host:{execution.pk}", pool="thread", concurrency=4)
    client = signed_in(cast.admin)
    for path in (*PAGES, f"/jobs/{execution.pk}"):
        with django_assert_max_num_queries(11):
            assert client.get(path).status_code == 200, path


def test_every_kind_of_job_has_a_name() -> None:
    assert set(tasks.KINDS) - set(KIND_LABELS) == set()
