"""How far behind a policy's copies are."""

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count, Max, Min

from registry_sync.models import Execution, ReplicationChange, ReplicationPolicy, State
from registry_sync.replication.policies import KIND


@dataclass(frozen=True, slots=True)
class Lag:
    """Of one policy."""

    # When the last run began that copied all it had to: everything, or what had changed.
    succeeded_at: datetime.datetime | None = None
    # Changes that were heard of and not looked at yet, and since when the first waits.
    waiting: int = 0
    since: datetime.datetime | None = None


def of(policies: Collection[ReplicationPolicy]) -> dict[int, Lag]:
    """Return the lag of each policy by its number; two queries."""
    ids = [policy.pk for policy in policies]
    ended = Execution.objects.filter(kind=KIND, policy_id__in=ids, state=State.SUCCEEDED)
    times = dict(ended.order_by().values_list("policy_id").annotate(at=Max("started_at")))
    rows = ReplicationChange.objects.filter(policy__in=ids).order_by().values("policy_id")
    waiting = {
        row["policy_id"]: (row["n"], row["since"])
        for row in rows.annotate(n=Count("pk"), since=Min("first_at"))
    }
    return {pk: Lag(times.get(pk), *waiting.get(pk, (0, None))) for pk in ids}
