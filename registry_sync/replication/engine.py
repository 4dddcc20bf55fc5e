"""The job: its first task makes the plan and adds one task for each image, which sends it."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from django.db import transaction

from accounts.errors import Denied, DomainError, NotFound, Unavailable
from registry_sync import fan_out
from registry_sync.client.errors import (
    RegistryError,
    RegistryRejectedError,
    RegistryUnavailableError,
)
from registry_sync.client.remote import SourceBrokenError
from registry_sync.executions import Order
from registry_sync.models import Artifact, ReplicationChange, ReplicationPolicy
from registry_sync.remote_registries import address_of
from registry_sync.replication import (
    change_planning,
    changes,
    clients,
    deleting,
    fetching,
    planning,
    pull_planning,
)
from registry_sync.replication.fetching import Fetcher
from registry_sync.replication.planning import Copy, Deletion, Plan
from registry_sync.replication.sending import Sender
from registry_sync.replication.transfers import Meter
from registry_sync.runs import Run

_SHOWN = 100
_LOOK_SECONDS = 0.5
# What another registry means by its refusals, as far as that can be known.
_REFUSALS = {
    401: "refuses our name and password",
    403: "refuses it: it may want other rights, be read-only, or its quota may be full",
    409: "refuses it: something there stands against it",
    412: "protects the tag or image there: it is immutable, or not to be pulled",
    413: "takes nothing of this size",
}


def run(run: Run) -> None:
    """Do one task of a replication. Raises errors of the table."""
    rows = ReplicationPolicy.objects.select_related("remote")
    try:
        found = rows.get(pk=run.task.execution.policy_id)
    except ReplicationPolicy.DoesNotExist as error:
        raise NotFound("the policy was deleted") from error
    try:
        if "source" in run.parameters:
            _fetch(found, run)
        elif "artifact" in run.parameters:
            _send(found, run)
        elif "deletion" in run.parameters:
            _delete(found, run)
        elif not fan_out.is_planned(run):
            _plan(found, run)
    except RegistryError as error:
        raise _told(error, found) from error


def _plan(policy: ReplicationPolicy, run: Run) -> None:
    address = address_of(policy.remote)
    seen: list[ReplicationChange] = []
    if run.parameters.get("changes"):
        seen = changes.due(policy.pk)
        plan = change_planning.make(policy, address, run, seen)
    else:
        planner = pull_planning if policy.is_pull else planning
        plan = planner.make(policy, address, run)
    for line in _lines(plan):
        run.log(line)
    orders = [_order(copy, is_pull=policy.is_pull) for copy in plan.copies]
    orders += [_deletion(deletion) for deletion in plan.deletions]
    with transaction.atomic():
        fan_out.add_tasks(
            run,
            orders,
            there=plan.there,
            there_size=plan.there_size,
            kept=len(plan.kept),
            unnamed=len(plan.unnamed),
            deletions=len(plan.deletions),
            size=plan.size,
        )
        changes.forget(seen)


def _order(copy: Copy, *, is_pull: bool) -> Order:
    named = f":{copy.tags[0]}" if copy.tags else f"@{copy.digest[:19]}"
    origin: dict[str, object] = {"artifact": copy.artifact_id}
    return Order(
        subject=f"{copy.name}{named}",
        parameters={
            **({"source": copy.name} if is_pull else origin),
            "digest": copy.digest,
            "destination": copy.destination,
            "tags": copy.tags,
            "size": copy.size,
            "is_fresh": copy.is_fresh,
            "via": copy.via,
        },
    )


def _deletion(deletion: Deletion) -> Order:
    return Order(
        subject=f"{deletion.destination}:{deletion.tags[0]}",
        parameters={
            "deletion": deletion.repository_id,
            "digest": deletion.digest,
            "destination": deletion.destination,
            "tags": deletion.tags,
            "via": deletion.via,
        },
    )


def _lines(plan: Plan) -> list[str]:
    """Say what will be done, and what not."""
    lines = [
        f"{len(plan.copies)} images to copy, {plan.size} bytes of ours where nothing is there; "
        f"{plan.there} tags are there already"
    ]
    if plan.deletions:
        lines.append(f"{len(plan.deletions)} images to delete there that were deleted here")
    lines += [
        f"{name} differs there and stays: the policy does not override"
        for name in plan.kept[:_SHOWN]
    ]
    lines += [f"left out: {reason}" for reason in plan.unnamed[:_SHOWN]]
    lines += [
        f"left out: {name} was not wholly fetched from its upstream yet; pull all of it once"
        for name in plan.partial[:_SHOWN]
    ]
    return lines


def _send(policy: ReplicationPolicy, run: Run) -> None:
    given = run.parameters
    live = Artifact.objects.live().filter(pk=given["artifact"], body_id=given["digest"])
    artifact = live.select_related("repository__project", "body").first()
    if artifact is None or artifact.repository.project.deleted_at is not None:
        run.log("it was deleted meanwhile; there is nothing to copy")
        return
    address, destination = address_of(policy.remote), str(given["destination"])
    meter, via = Meter(policy.speed_limit), str(given.get("via", ""))
    # A first attempt at what the plan did not find there.
    is_fresh = bool(given.get("is_fresh")) and run.task.attempts + run.task.takeovers <= 1
    with clients.borrowed(address, via=via, pause=meter.pause, is_sending=True) as client:
        client.prepare(destination)
        run.progress(total=artifact.size, unit="bytes")
        sender = Sender(policy, address, destination, run, meter, client, via, is_fresh)
        tags = [str(tag) for tag in given["tags"]]
        count = sender.send(artifact, tags)
    run.result(sent=meter.sent, manifests=count)
    run.progress(done=meter.sent, message=f"{meter.sent} bytes sent")
    run.log(f"done: {count} manifests and {meter.sent} bytes of blobs were sent")


def _delete(policy: ReplicationPolicy, run: Run) -> None:
    given = run.parameters
    address, via = address_of(policy.remote), str(given.get("via", ""))
    with clients.borrowed(address, via=via, pause=_pause_of(run)) as client:
        count = deleting.delete(
            policy,
            client,
            run,
            repository_id=int(given["deletion"]),
            destination=str(given["destination"]),
            digest=str(given["digest"]),
            tags=[str(tag) for tag in given["tags"]],
        )
    run.result(deleted=count)


def _fetch(policy: ReplicationPolicy, run: Run) -> None:
    given = run.parameters
    address, meter = address_of(policy.remote), Meter(policy.speed_limit)
    with clients.borrowed(address, pause=_pause_of(run)) as client:
        count = fetching.fetch(
            Fetcher(policy, address, client, run, meter),
            name=str(given["source"]),
            destination=str(given["destination"]),
            digest=str(given["digest"]),
            tags=[str(tag) for tag in given["tags"]],
        )
    run.result(sent=meter.sent, manifests=count)
    run.progress(done=meter.sent)
    run.log(f"done: {count} manifests and {meter.sent} bytes of blobs came")


def _pause_of(run: Run) -> Callable[[float], None]:
    """Return what waits for another registry's sake, and looks up meanwhile."""

    def pause(seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
            run.check()

    return pause


def _told(error: RegistryError, policy: ReplicationPolicy) -> DomainError:
    """Say it in words for people; a stranger's own may hold a secret."""
    host = urlsplit(policy.remote.url).netloc
    if isinstance(error, SourceBrokenError):
        return DomainError("a blob of our own registry is shorter than its image says")
    if isinstance(error, RegistryRejectedError):
        if error.code == "BLOB_UNKNOWN" and error.digests:
            return NotFound(f"{error.digests[0]} is not in our own registry any more")
        told = _REFUSALS.get(error.status, "refused it")
        code = f" {error.code}" if error.code.isupper() else ""
        kind = Denied if error.status in {401, 403} else DomainError
        return kind(f"{host} {told} ({error.status}{code})")
    if isinstance(error, RegistryUnavailableError):
        return (DomainError if error.is_lasting else Unavailable)(str(error))
    return Unavailable(f"{host} does not answer")
