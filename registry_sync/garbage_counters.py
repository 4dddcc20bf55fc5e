"""How often something rare happened, in whichever process it did."""

from django.db import models

from accounts import statements
from accounts.statements import Statement
from registry_sync.models import GarbageCounter


class Counter(models.TextChoices):
    """What is counted."""

    TAKEOVERS = "takeovers", "Claims finished for somebody who died or hung"
    WAITS = "precheck_waits", "Uploads that waited for a removal to end"
    UNKNOWN = "unknown_after_head", "Blobs refused that a client had been told are here"


def count(counter: Counter, by: int = 1) -> None:
    """Add to a counter."""
    statements.run(Statement(_ADD, [counter.value, by]))


_ADD = """
INSERT INTO registry_sync_garbagecounter (name, count) VALUES (%s, %s)
ON CONFLICT (name) DO UPDATE SET count = registry_sync_garbagecounter.count + excluded.count
"""


def counts() -> dict[str, int]:
    """Return every counter, those that never counted too."""
    found = dict(GarbageCounter.objects.values_list("name", "count"))
    return {counter.value: found.get(counter.value, 0) for counter in Counter}
