"""Guessing gets slower, and nobody is locked out for ever."""

import datetime

import pytest
import time_machine
from django.utils import timezone

from accounts import throttle
from accounts.errors import TooManyRequests
from accounts.models import ThrottleCounter

pytestmark = pytest.mark.django_db
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def fail(times: int, account: str = "bob", address: str = "192.0.2.1") -> None:
    """Guess wrongly."""
    for _ in range(times):
        throttle.record_failure(account, address)


def test_a_few_mistakes_are_free() -> None:
    fail(4)
    throttle.check("bob", "192.0.2.1")


def test_the_fifth_waits_and_every_further_one_longer() -> None:
    with time_machine.travel(START, tick=False):
        waits = []
        fail(4)
        for _ in range(4):
            fail(1)
            with pytest.raises(TooManyRequests) as caught:
                throttle.check("bob", "192.0.2.1")
            waits.append(caught.value.retry_after)
    assert waits == sorted(set(waits))


def test_no_wait_is_longer_than_a_quarter_of_an_hour() -> None:
    with time_machine.travel(START, tick=False):
        fail(60)
        with pytest.raises(TooManyRequests) as caught:
            throttle.check("bob", "192.0.2.1")
        assert caught.value.retry_after <= 15 * 60 + 1


def test_waiting_helps() -> None:
    with time_machine.travel(START, tick=False) as clock:
        fail(5)
        clock.shift(16 * 60)
        throttle.check("bob", "192.0.2.1")


def test_a_colleague_at_another_address_is_not_locked_out() -> None:
    fail(20, address="192.0.2.66")
    throttle.check("bob", "192.0.2.1")


def test_spraying_from_one_address_is_stopped() -> None:
    for number in range(50):
        fail(1, account=f"user{number}")
    with pytest.raises(TooManyRequests):
        throttle.check("somebody else", "192.0.2.1")


def test_a_botnet_is_slowed_down() -> None:
    for number in range(100):
        fail(1, address=f"198.51.100.{number}")
    with pytest.raises(TooManyRequests):
        throttle.check("bob", "192.0.2.1")


def test_success_forgets_the_pair_alone() -> None:
    fail(5)
    throttle.record_success("bob", "192.0.2.1")
    throttle.check("bob", "192.0.2.1")
    assert ThrottleCounter.objects.get(key="address:192.0.2.1").failures == 5


def test_an_hour_of_quiet_starts_anew() -> None:
    with time_machine.travel(START, tick=False) as clock:
        fail(30)
        clock.shift(3601)
        fail(1)
        throttle.check("bob", "192.0.2.1")
        clock.shift(3601)
        assert throttle.remove_old(timezone.now()) == 3


def test_the_longest_names_fit() -> None:
    throttle.record_failure("b" * 255, "2001:0db8:0000:0000:0000:0000:192.0.2.128")
