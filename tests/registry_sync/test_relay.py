"""The relay: at least once, in each subject's order, and no event holds up the others."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts import outbox
from accounts.errors import Unavailable
from accounts.models import OutboxEvent
from registry_sync import leases, relay
from registry_sync.failpoints import FailpointError
from registry_sync.models import OutboxDelivery

pytestmark = pytest.mark.django_db
Consumer = Callable[[OutboxEvent], None]


def emit(subject: str, *names: str) -> None:
    """Add events."""
    for name in names:
        outbox.emit("test", subject, name=name)


class Receiver:
    """A consumer that remembers what it got, and fails where it is told to."""

    def __init__(self) -> None:
        """Nothing was received."""
        self.got: list[str] = []
        self.fails: set[str] = set()

    def __call__(self, event: OutboxEvent) -> None:
        """Take an event."""
        name = event.payload["name"]
        if name in self.fails:
            raise Unavailable("the receiver does not answer")
        self.got.append(name)

    def deliver(self, *, after: float = 0) -> int:
        """Run the relay, so many seconds later."""
        with time_machine.travel(timezone.now() + datetime.timedelta(seconds=after)):
            return relay.deliver({"test": [self]})


def test_without_consumers_an_event_is_marked() -> None:
    emit("a", "1", "2")
    assert relay.deliver({}) == 2
    assert not relay.waiting().exists()


def test_events_of_a_subject_come_in_order_and_once() -> None:
    receiver = Receiver()
    emit("a", "a1", "a2")
    emit("b", "b1")
    emit("a", "a3")
    assert receiver.deliver() == 4
    assert [name for name in receiver.got if name[0] == "a"] == ["a1", "a2", "a3"]
    assert receiver.deliver() == 0


def test_a_failure_holds_up_its_subject_only_and_is_tried_again() -> None:
    receiver = Receiver()
    receiver.fails = {"a1"}
    emit("a", "a1", "a2")
    emit("b", "b1")
    receiver.deliver()
    assert receiver.got == ["b1"]
    delivery = OutboxDelivery.objects.get(event__payload__name="a1")
    assert (delivery.attempts, delivery.error) == (1, "the receiver does not answer")
    receiver.fails = set()
    assert receiver.deliver() == 0
    assert receiver.deliver(after=3) == 2
    assert receiver.got == ["b1", "a1", "a2"]


def test_a_dead_event_lets_its_subject_go_on() -> None:
    receiver = Receiver()
    receiver.fails = {"a1"}
    emit("a", "a1", "a2")
    for number in range(relay.MAX_ATTEMPTS):
        assert receiver.got == []
        receiver.deliver(after=number * 3600)
    assert receiver.got == ["a2"]
    dead = OutboxDelivery.objects.get(is_dead=True)
    assert dead.event.payload["name"] == "a1"
    assert dead.event.delivered_at is None
    assert receiver.deliver(after=10**6) == 0


def test_a_relay_that_dies_before_it_marks_delivers_again(settings: Any) -> None:
    receiver = Receiver()
    emit("a", "a1")
    settings.MOORAGE_FAILPOINTS = {"relay.delivered": "raise"}
    with pytest.raises(FailpointError):
        receiver.deliver()
    settings.MOORAGE_FAILPOINTS = {}
    assert receiver.deliver() == 0
    assert receiver.deliver(after=61) == 1
    assert receiver.got == ["a1", "a1"]


def test_what_another_relay_holds_is_left_until_its_lease_ends() -> None:
    receiver = Receiver()
    emit("a", "a1", "a2")
    event = OutboxEvent.objects.earliest("pk")
    now = timezone.now()
    OutboxDelivery.objects.create(event=event, next_attempt_at=now)
    until = now + datetime.timedelta(seconds=60)
    assert leases.claim(OutboxDelivery.objects.all(), event.pk, until=until)
    assert receiver.deliver() == 0
    assert receiver.deliver(after=61) == 2


def test_delivered_events_are_pruned() -> None:
    emit("a", "1")
    relay.deliver({})
    emit("a", "2")
    assert relay.prune(timezone.now() + datetime.timedelta(days=1)) == 1
    assert OutboxEvent.objects.get().payload["name"] == "2"
