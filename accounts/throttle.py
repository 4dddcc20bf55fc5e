"""Slows down guessing, wherever a secret is accepted.

Three counters per failed attempt: the account from this address (strict), the address (against
spraying) and the account from everywhere (against a botnet, lenient so that nobody can lock a
colleague out). Each doubles its wait with every further failure; none locks for ever.
"""

import datetime

from django.db import transaction
from django.utils import timezone

from accounts.errors import TooManyRequests
from accounts.models import ThrottleCounter

_LONGEST_WAIT = 15 * 60
_FORGET_AFTER = datetime.timedelta(hours=1)


def _keys(account: str, address: str) -> dict[str, int]:
    """Each counter's key with the failures it lets pass."""
    return {
        f"pair:{account}|{address}": 5,
        f"address:{address}": 50,
        f"account:{account}": 100,
    }


def check(account: str, address: str) -> None:
    """Raise ``TooManyRequests`` while any counter says wait."""
    now = timezone.now()
    blocked = (
        ThrottleCounter.objects.filter(key__in=_keys(account, address), blocked_until__gt=now)
        .order_by("-blocked_until")
        .values_list("blocked_until", flat=True)
        .first()
    )
    if blocked is not None:
        seconds = int((blocked - now).total_seconds()) + 1
        raise TooManyRequests(
            f"too many failed attempts; try again in {seconds} s", retry_after=seconds
        )


@transaction.atomic
def record_failure(account: str, address: str) -> None:
    """Count one failure and set how long the next attempt has to wait."""
    now = timezone.now()
    for key, allowed in sorted(_keys(account, address).items()):
        ThrottleCounter.objects.get_or_create(key=key, defaults={"last_failure_at": now})
        counter = ThrottleCounter.objects.select_for_update().get(key=key)
        if counter.last_failure_at < now - _FORGET_AFTER:
            counter.failures = 0
        counter.failures += 1
        counter.last_failure_at = now
        excess = counter.failures - allowed
        if excess >= 0:
            wait = min(2 ** min(excess, 16), _LONGEST_WAIT)
            counter.blocked_until = now + datetime.timedelta(seconds=wait)
        counter.save(update_fields=["failures", "last_failure_at", "blocked_until"])


def record_success(account: str, address: str) -> None:
    """Forget the failures of this account from this address."""
    ThrottleCounter.objects.filter(key=f"pair:{account}|{address}").delete()


def remove_old(now: datetime.datetime) -> int:
    """Delete counters that no longer count; return how many."""
    return ThrottleCounter.objects.filter(last_failure_at__lt=now - _FORGET_AFTER).delete()[0]
