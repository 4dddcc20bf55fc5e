"""Delivers the outbox: at least once, in each subject's order, and never held up by one event.

An event's consumers are functions that are given it and return, or raise. One that fails is tried
again later; meanwhile its subject waits and the others go on. After ``MAX_ATTEMPTS`` it is dead:
it stays in the table for people to look at, and its subject goes on without it.
"""

import datetime
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.errors import DomainError
from accounts.models import OutboxEvent
from registry_sync import leases
from registry_sync.failpoints import hit
from registry_sync.leases import LeaseLostError
from registry_sync.models import OutboxDelivery

logger = logging.getLogger(__name__)

Consumer = Callable[[OutboxEvent], None]
# By the event's kind.
Consumers = Mapping[str, Sequence[Consumer]]

MAX_ATTEMPTS = 10
_LEASE = datetime.timedelta(seconds=60)
_FIRST_BACKOFF = 2
_LONGEST_BACKOFF = 15 * 60
_BATCH = 100


def deliver(consumers: Consumers, *, seconds: float = 5) -> int:
    """Deliver what is due, for about so many seconds; return how many events were."""
    deadline = time.monotonic() + seconds
    delivered = 0
    while time.monotonic() < deadline:
        events = list(_heads(timezone.now())[:_BATCH])
        if not events:
            break
        delivered += sum(_deliver(event, consumers.get(event.kind, ())) for event in events)
    return delivered


def waiting() -> QuerySet[OutboxEvent]:
    """Return what has not been delivered nor given up."""
    return OutboxEvent.objects.filter(delivered_at=None).exclude(delivery__is_dead=True)


def dead() -> QuerySet[OutboxDelivery]:
    """Return what was given up."""
    return OutboxDelivery.objects.filter(is_dead=True)


def prune(before: datetime.datetime) -> int:
    """Remove a batch of what was delivered before; return how many."""
    old = OutboxEvent.objects.filter(delivered_at__lt=before).values_list("pk", flat=True)
    return OutboxEvent.objects.filter(pk__in=list(old[: _BATCH * 10])).delete()[0]


def _heads(now: datetime.datetime) -> QuerySet[OutboxEvent]:
    """The first waiting event of each subject, where its turn has come."""
    earlier = waiting().filter(subject=OuterRef("subject"), pk__lt=OuterRef("pk"))
    is_due = Q(delivery=None) | (
        Q(delivery__next_attempt_at__lte=now)
        & (Q(delivery__lease_until=None) | Q(delivery__lease_until__lt=now))
    )
    return waiting().filter(is_due, ~Exists(earlier)).order_by("pk")


def _deliver(event: OutboxEvent, consumers: Sequence[Consumer]) -> int:
    if not consumers:
        return _mark(event)
    now = timezone.now()
    OutboxDelivery.objects.bulk_create(
        [OutboxDelivery(event=event, next_attempt_at=now)], ignore_conflicts=True
    )
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    wanted = OutboxDelivery.objects.filter(
        free, is_dead=False, next_attempt_at__lte=now, event__delivered_at=None
    )
    claimed = leases.claim(wanted, event.pk, until=now + _LEASE, attempts=F("attempts") + 1)
    if claimed is None:
        return 0
    try:
        for consumer in consumers:
            consumer(event)
    except Exception as error:
        _failed(claimed, event, error)
        return 0
    hit("relay.delivered")
    return _mark(event)


def _mark(event: OutboxEvent) -> int:
    rows = OutboxEvent.objects.filter(pk=event.pk, delivered_at=None)
    return rows.update(delivered_at=timezone.now())


def _failed(claimed: OutboxDelivery, event: OutboxEvent, error: Exception) -> None:
    """Plan the next attempt, or give up."""
    is_dead = claimed.attempts >= MAX_ATTEMPTS
    level = logging.ERROR if is_dead else logging.WARNING
    logger.log(
        level,
        "Event %s (%s): attempt %s failed.",
        event.pk,
        event.kind,
        claimed.attempts,
        exc_info=error,
    )
    wait = min(_FIRST_BACKOFF * 2 ** (claimed.attempts - 1), _LONGEST_BACKOFF)
    reason = str(error) if isinstance(error, DomainError) else type(error).__name__
    rows = OutboxDelivery.objects.filter(is_dead=False)
    try:
        with transaction.atomic():
            leases.hold(rows, claimed.pk, claimed.fencing_token)
            rows.filter(pk=claimed.pk).update(
                lease_until=None,
                next_attempt_at=timezone.now() + datetime.timedelta(seconds=wait),
                is_dead=is_dead,
                error=reason[:1024],
            )
    except LeaseLostError:
        logger.warning("Event %s: another relay has taken it over.", event.pk)
