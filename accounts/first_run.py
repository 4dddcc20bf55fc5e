"""Whether the first administrator is still led through the set-up."""

import datetime

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, Configuration
from accounts.principals import Actor

# Beside the system's settings, and none of them: no API reads or writes it.
_KEY = "first_run_closed"
_LATELY = datetime.timedelta(minutes=2)


def is_closed() -> bool:
    """Whether an administrator finished the set-up, or put it off."""
    return Configuration.objects.filter(key=_KEY).exists()


@transaction.atomic
def close(*, actor: Actor) -> None:
    """Lead nobody to the set-up any more; its page stays. Once is enough."""
    _row, is_new = Configuration.objects.get_or_create(key=_KEY, defaults={"value": True})
    if is_new:
        audit.record(actor, "close_first_run", "setup")


def last_failed_sign_in() -> AuditEntry | None:
    """Return the refused sign-in of the last two minutes, if there was one."""
    since = timezone.now() - _LATELY
    failed = AuditEntry.objects.filter(
        at__gte=since, action="login_user", outcome=AuditEntry.Outcome.DENIED
    )
    return failed.order_by("-pk").first()
