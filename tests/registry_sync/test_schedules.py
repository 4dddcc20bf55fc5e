"""Schedules: slots that are claimed once, however many schedulers look, whenever they look."""

import datetime
import threading
from typing import Any

import pytest
import time_machine
from django.db import connection

from accounts.errors import BadRequest
from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, queues, schedules
from registry_sync.executions import Kind
from registry_sync.models import Execution, Schedule

NOON = datetime.datetime(2026, 11, 24, 12, 0, 30, tzinfo=datetime.UTC)
HOURLY = "0 0 * * * *"
KINDS = {"test": Kind(lambda run: None), "free": Kind(lambda run: None, is_exclusive=False)}


@pytest.mark.parametrize(
    ("cron", "zone", "field", "words"),
    [
        ("", "UTC", "cron", "six fields"),
        ("0 * * * *", "UTC", "cron", "six fields"),
        ("0 61 * * * *", "UTC", "cron", "cannot be read"),
        ("0 0 0 30 2 *", "UTC", "cron", "cannot be read"),
        ("* * * * * *", "UTC", "cron", "one number"),
        ("*/5 0 * * * *", "UTC", "cron", "one number"),
        ("0 0 0 * * nonsense", "UTC", "cron", "cannot be read"),
        (HOURLY, "Mars/Olympus", "zone", "no time zone"),
        (HOURLY, "../../etc/passwd", "zone", "no time zone"),
    ],
)
def test_a_bad_expression_or_zone_is_explained(
    cron: str, zone: str, field: str, words: str
) -> None:
    with pytest.raises(BadRequest, match=words) as caught:
        schedules.next_slot(cron, zone, NOON)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("cron", "zone", "expected"),
    [
        (HOURLY, "UTC", "2026-11-24T13:00:00"),
        ("15 30 3 * * *", "Asia/Taipei", "2026-11-24T19:30:15"),
        ("0 0 0 * * ?", "UTC", "2026-11-25T00:00:00"),
        ("0 0 0 ? * MON", "Asia/Taipei", "2026-11-29T16:00:00"),
        ("0 0 0 29 2 *", "UTC", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_slot(cron: str, zone: str, expected: str) -> None:
    assert schedules.next_slot(cron, zone, NOON).isoformat() == f"{expected}+00:00"


@pytest.mark.parametrize("day", [datetime.date(2026, 3, 29), datetime.date(2026, 10, 25)])
def test_a_time_that_a_clock_change_leaves_out_or_repeats_happens_once(day: datetime.date) -> None:
    noon = datetime.time(12, tzinfo=datetime.UTC)
    before = datetime.datetime.combine(day - datetime.timedelta(days=1), noon)
    slots = schedules.upcoming("30 30 2 * * *", "Europe/Berlin", before)
    assert [next(slots).date() for _time in range(2)] == [day, day + datetime.timedelta(days=1)]


def put(kind: str = "test", cron: str = HOURLY) -> Schedule:
    """Make a schedule at noon."""
    with time_machine.travel(NOON, tick=False):
        return schedules.put(kind, cron=cron, actor=SYSTEM_ACTOR)


def fire(at: datetime.datetime) -> list[Execution]:
    """Look for what is due at a moment."""
    with time_machine.travel(at, tick=False):
        return schedules.fire_due(KINDS)


def hours(number: float) -> datetime.datetime:
    """So long after noon."""
    return NOON + datetime.timedelta(hours=number)


def finish(execution: Execution) -> None:
    """End an execution."""
    executions.stop(execution.pk, actor=SYSTEM_ACTOR)


@pytest.mark.django_db
class TestFiring:
    def test_nothing_happens_before_its_time(self) -> None:
        put()
        assert fire(hours(0.9)) == []

    def test_a_slot_is_run_once(self) -> None:
        schedule = put()
        (execution,) = fire(hours(1))
        assert (execution.trigger, execution.schedule) == ("schedule", schedule)
        assert execution.slot == datetime.datetime(2026, 11, 24, 13, tzinfo=datetime.UTC)
        finish(execution)
        assert fire(hours(1)) == []

    def test_what_was_missed_is_caught_up_with_once(self) -> None:
        put(cron="0 * * * * *")
        (execution,) = fire(hours(1))
        finish(execution)
        assert fire(hours(1)) == []
        assert len(fire(hours(1.05))) == 1

    def test_a_clock_that_steps_back_runs_nothing_twice(self) -> None:
        put()
        finish(fire(hours(1))[0])
        assert fire(hours(0)) == []
        assert fire(hours(1)) == []

    def test_a_slot_waits_for_the_end_of_the_last_run(self) -> None:
        put()
        (first,) = fire(hours(1))
        assert fire(hours(2)) == []
        finish(first)
        (second,) = fire(hours(2.1))
        assert second.slot == datetime.datetime(2026, 11, 24, 14, tzinfo=datetime.UTC)

    def test_one_that_cannot_run_holds_up_no_other(self) -> None:
        Schedule.objects.filter(pk=put("free").pk).update(time_zone="Mars/Olympus")
        put("test")
        assert [execution.kind for execution in fire(hours(1))] == ["test"]

    def test_a_scheduler_that_dies_on_the_way_loses_no_slot(self, settings: Any) -> None:
        put()
        settings.MOORAGE_FAILPOINTS = {"schedules.claimed": "raise"}
        assert fire(hours(1)) == []
        settings.MOORAGE_FAILPOINTS = {}
        assert len(fire(hours(1))) == 1

    def test_a_suspended_one_and_a_paused_scheduler(self) -> None:
        schedule = put()
        schedules.set_enabled(schedule.pk, is_enabled=False, actor=SYSTEM_ACTOR)
        assert fire(hours(1)) == []
        with time_machine.travel(hours(1.5), tick=False):
            schedules.set_enabled(schedule.pk, is_enabled=True, actor=SYSTEM_ACTOR)
        queues.pause(queues.SCHEDULER, actor=SYSTEM_ACTOR)
        assert fire(hours(5)) == []
        queues.resume(queues.SCHEDULER, actor=SYSTEM_ACTOR)
        assert len(fire(hours(5))) == 1

    def test_a_policy_has_one_schedule(self) -> None:
        first, second = put(), put(cron="0 0 0 * * *")
        assert first.pk == second.pk
        schedules.remove("test", actor=SYSTEM_ACTOR)
        schedules.remove("test", actor=SYSTEM_ACTOR)
        assert not Schedule.objects.exists()

    def test_defaults_are_made_once(self) -> None:
        for _time in range(2):
            schedules.ensure({"test": HOURLY}, {})
        assert Schedule.objects.count() == 1

    def test_a_new_moorage_has_more_which_may_be_taken_away(self) -> None:
        schedules.ensure({"test": HOURLY}, {"free": "0 M 4 * * *"})
        second, minute, hour, *_days = Schedule.objects.get(kind="free").cron.split()
        assert (second, hour) == ("0", "4")
        assert 0 <= int(minute) < 60
        schedules.remove("free", actor=SYSTEM_ACTOR)
        schedules.ensure({"test": HOURLY}, {"free": "0 M 4 * * *"})
        assert not Schedule.objects.filter(kind="free").exists()

    def test_one_that_grew_up_without_them_gets_none(self) -> None:
        put()
        schedules.ensure({"test": HOURLY}, {"free": "0 M 4 * * *"})
        assert not Schedule.objects.filter(kind="free").exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_schedulers_at_once_one_fires() -> None:
    schedule = put("free")
    Schedule.objects.filter(pk=schedule.pk).update(next_at=NOON - datetime.timedelta(days=365))
    barrier = threading.Barrier(5)

    def look() -> None:
        barrier.wait()
        try:
            schedules.fire_due(KINDS)
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Execution.objects.count() == 1
