"""Removes audit rows that are older than the retention, of the chosen kinds of events."""

import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit_chain
from accounts.errors import BadRequest
from accounts.models import AuditEntry
from accounts.principals import SYSTEM_ACTOR
from registry_sync.failpoints import hit
from registry_sync.runs import Run

KIND = "audit-purge"
MAX_HOURS = 240_000
_BATCH = 1000


def parameters_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """Check the parameters of a run or schedule. Raises ``BadRequest`` (with ``field``)."""
    hours = wanted.get("audit_retention_hour")
    if not isinstance(hours, int) or isinstance(hours, bool) or not 1 <= hours <= MAX_HOURS:
        raise BadRequest(
            f"audit_retention_hour must be a whole number from 1 to {MAX_HOURS}.",
            field="audit_retention_hour",
        )
    dry_run = wanted.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise BadRequest("dry_run must be true or false.", field="dry_run")
    types = wanted.get("include_event_types", "")
    if not isinstance(types, str) or len(types) > 4096:
        raise BadRequest(
            "include_event_types must be names with commas between them.",
            field="include_event_types",
        )
    names = sorted({name.strip() for name in types.split(",") if name.strip()})
    if bad := [name for name in names if not name.replace("_", "").isalnum()]:
        raise BadRequest(f"{bad[0]!r} is no type of event.", field="include_event_types")
    return {
        "audit_retention_hour": hours,
        "include_event_types": ",".join(names),
        "dry_run": dry_run,
    }


def run(run: Run) -> None:
    """Remove them in batches, oldest first; a dry run only counts. No types: nothing at all."""
    hours = int(run.parameters["audit_retention_hour"])
    before = timezone.now() - datetime.timedelta(hours=hours)
    types = [name for name in run.parameters.get("include_event_types", "").split(",") if name]
    is_dry = bool(run.parameters.get("dry_run"))
    old = AuditEntry.objects.filter(at__lt=before, action__in=types)
    # What says which entries were removed holds the rest of the chain together.
    old = old.exclude(action=audit_chain.REMOVAL)
    counts = {name: old.filter(action=name).count() for name in types}
    total = sum(counts.values())
    run.log(f"{total} entries are older than {hours} hours ({before:%Y-%m-%d %H:%M:%S} UTC)")
    for name, count in counts.items():
        run.log(f"{name}: {count}")
    run.progress(done=0, total=total, unit="entries")
    removed = 0
    while not is_dry:
        hit("audit_purge.batch")
        with transaction.atomic():
            run.hold()
            ids = list(old.order_by("pk").values_list("pk", flat=True)[:_BATCH])
            count = audit_chain.remove(ids, actor=SYSTEM_ACTOR)
        if not ids:
            break
        removed += count
        run.progress(done=min(removed, total), total=total)
    run.log("dry run: nothing was removed" if is_dry else f"removed {removed} entries")
    run.result(found=total, removed=removed)
