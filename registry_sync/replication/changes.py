"""Replication at each push: events become rows of what is to be looked at, and those become runs.

What happened is not kept but what may have changed: a tag that was pushed three times is looked at
once, a moment after it came to rest, and what is so then is copied. Whatever is lost on the way,
the next run by hand finds.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts.errors import Conflict
from accounts.models import OutboxEvent
from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions
from registry_sync.accessories import subject_of_tag
from registry_sync.executions import Origin
from registry_sync.models import (
    Artifact,
    Execution,
    Replica,
    ReplicationChange,
    ReplicationPolicy,
    State,
    Tag,
    Task,
)
from registry_sync.replication import filters, lineage
from registry_sync.replication.policies import KIND

# A tag that is pushed again within this waits for its last push, but not for ever.
REST = datetime.timedelta(seconds=1.5)
_LONGEST = datetime.timedelta(seconds=15)
# After a plan that could not be made.
_PAUSE = datetime.timedelta(minutes=5)
# What one run looks at.
_BATCH = 1000

# What is heard of besides pushes.
OTHER_EVENTS = tuple(
    f"{noun}.{what}"
    for noun in ("tag", "artifact", "repository")
    for what in ("deleted", "restored")
)

# (tag, digest): one of them is empty.
Subject = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    repository_id: int
    name: str
    tag: str
    digest: str


def on_event(event: OutboxEvent) -> None:
    """Note what the policies that copy at each push have to look at."""
    listening = ReplicationPolicy.objects.filter(
        is_enabled=True, is_pull=False, trigger=ReplicationPolicy.Trigger.EVENT
    )
    via = lineage.read(str(event.payload.get("client", "")))
    found = list(listening) if lineage.may_go_on(via) else []
    if not found:
        return
    given = event.payload
    told = _Event(
        event.kind,
        int(event.subject.removeprefix("repository:")),
        str(given["repository"]),
        str(given.get("tag", "")),
        str(given.get("digest", "")),
    )
    pushed = _pushed(told)
    for policy in found:
        subjects = pushed
        if told.kind.endswith(".deleted"):
            subjects = _deleted(policy, told)
        elif not filters.read(policy.filters).takes_repository(told.name):
            continue
        _note(policy, told.repository_id, subjects, ",".join(via))


def _pushed(told: _Event) -> set[Subject]:
    """What a push or a restoration may have changed."""
    if told.kind == "artifact.pushed" and told.tag:
        about = subject_of_tag(told.tag)
        return {("", about)} if about else {(told.tag, "")}
    live = Tag.objects.filter(repository_id=told.repository_id, artifact__trash_entry=None)
    if told.kind == "repository.restored":
        return {(name, "") for name in live.values_list("name", flat=True)}
    here = Artifact.objects.live().filter(repository_id=told.repository_id, body_id=told.digest)
    subject = here.values_list("subject_digest", flat=True).first()
    tagged = live.filter(artifact__body_id=told.digest).values_list("name", flat=True)
    names = {(name, "") for name in tagged if not subject_of_tag(name)}
    if told.kind == "artifact.pushed":
        # Without a tag it matters only where it is about something.
        names = set()
    return names | ({("", subject)} if subject else set())


def _deleted(policy: ReplicationPolicy, told: _Event) -> set[Subject]:
    """Of what was deleted, that which this policy put somewhere."""
    if not policy.is_deleting:
        return set()
    put = Replica.objects.filter(policy=policy, repository_id=told.repository_id)
    if told.kind == "tag.deleted":
        put = put.filter(tag=told.tag)
    elif told.kind == "artifact.deleted":
        put = put.filter(digest=told.digest)
    return {(tag, "") for tag in put.values_list("tag", flat=True)}


def _note(
    policy: ReplicationPolicy, repository_id: int, subjects: Iterable[Subject], via: str
) -> None:
    now = timezone.now()
    rows = [
        ReplicationChange(
            policy=policy,
            repository_id=repository_id,
            tag=tag,
            digest=digest,
            via=via[:255],
            first_at=now,
            last_at=now,
        )
        for tag, digest in sorted(subjects)
    ]
    # Counted before what is missing is made: a plan that ends just now drops what it has seen,
    # and must not drop this.
    same = ReplicationChange.objects.filter(policy=policy, repository_id=repository_id)
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        chosen = Q(tag__in=[row.tag for row in part], digest__in=[row.digest for row in part])
        same.filter(chosen).update(count=F("count") + 1, last_at=now, via=via[:255])
        ReplicationChange.objects.bulk_create(part, ignore_conflicts=True)


def due(policy_id: int) -> list[ReplicationChange]:
    """Return what of a policy has come to rest, the first of it first."""
    return list(_rested().filter(policy=policy_id).order_by("pk")[:_BATCH])


def _rested() -> QuerySet[ReplicationChange]:
    now = timezone.now()
    rested = Q(last_at__lte=now - REST) | Q(first_at__lte=now - _LONGEST)
    return ReplicationChange.objects.filter(rested, policy__is_enabled=True)


def start_due() -> list[int]:
    """Make a run of each policy that has something to look at and does not run; return them."""
    made = []
    policies = _rested().order_by("policy_id").values_list("policy_id", flat=True).distinct()
    for policy_id in list(policies):
        if _has_just_failed(policy_id):
            continue
        try:
            execution = executions.create(
                KIND,
                actor=SYSTEM_ACTOR,
                policy_id=policy_id,
                parameters={"changes": True},
                origin=Origin(Execution.Trigger.EVENT),
            )
        except Conflict:
            continue  # It runs; what came since waits for its end.
        made.append(execution.pk)
    return made


def _has_just_failed(policy_id: int) -> bool:
    """Whether the last plan could not be made, or was stopped: the next would end no better now."""
    runs = Execution.objects.filter(kind=KIND, policy_id=policy_id, parameters__changes=True)
    last = runs.order_by("-pk").values_list("pk", flat=True).first()
    ended = Task.objects.filter(execution=last, subject="", state__in=[State.FAILED, State.STOPPED])
    return ended.filter(finished_at__gt=timezone.now() - _PAUSE).exists()


def forget(seen: Iterable[ReplicationChange]) -> None:
    """Drop what a plan has looked at; what came again since then stays."""
    for row in seen:
        ReplicationChange.objects.filter(pk=row.pk, count=row.count).delete()
