"""Runs of retention: judge, brake, remove under the locks, and write down what it came to.

A run may be ended in the middle and begun again: what was decided is stored first, repository by
repository, and each removal asks once more under the locks whether the tag is what was judged.
"""

import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import outbox
from accounts.errors import Conflict, NotFound, PreconditionFailed
from accounts.principals import Actor
from registry_sync import retention_words, tag_deletions, trash
from registry_sync.bulk import actor_of
from registry_sync.failpoints import hit
from registry_sync.models import (
    Artifact,
    Execution,
    Repository,
    RetentionOutcome,
    RetentionPolicy,
    Tag,
    TrashEntry,
)
from registry_sync.portions import Portion
from registry_sync.retention_candidates import veto
from registry_sync.retention_plan import Judged, Totals, frees, judged
from registry_sync.retention_policies import KIND, reading_of
from registry_sync.retention_rules import Verdict
from registry_sync.runs import Run
from registry_sync.tag_deletions import Veto

__all__ = ["KIND", "run"]
# Images in one transaction: a push into the repository waits for one of these at most.
BATCH = 100
_PULLS_LATE = datetime.timedelta(seconds=20)
WAITING = "waiting for a confirmed preview"


def run(run: Run) -> None:
    """Do one run of a policy; a dry one only writes down what it would remove."""
    execution = run.task.execution
    policy = RetentionPolicy.objects.select_related("project").filter(pk=execution.policy_id)
    found = policy.first()
    if found is None or found.project.deleted_at is not None:
        raise NotFound("the policy or its project is gone")
    is_dry = bool(run.parameters.get("dry_run"))
    is_scheduled = execution.trigger == Execution.Trigger.SCHEDULE
    is_waiting = is_scheduled and not found.is_confirmed
    totals = _decide(run, found)
    run.result(
        dry_run=is_dry or is_waiting,
        tags=0,
        images=0,
        freed_bytes=0,
        would_remove=totals.removed,
        kept=totals.kept,
        percent=totals.percent,
        emptied=totals.emptied[:20],
    )
    if is_waiting:
        run.progress(message=WAITING)
        run.log("the policy has changed: nothing is removed before a preview is confirmed")
    elif not is_dry:
        _require_no_brake(run, found, totals)
        _remove(run, execution, asks_for_pulls=reading_of(found).asks_for_pulls)
    _tell(found, execution, is_dry=is_dry or is_waiting)


def _decide(run: Run, policy: RetentionPolicy) -> Totals:
    """Judge every image and store what goes, unless an earlier attempt has done that."""
    now, execution = timezone.now(), run.task.execution
    known = set(
        RetentionOutcome.objects.filter(execution=execution).values_list("repository_id", flat=True)
    )
    totals = Totals()
    going: dict[int, list[int]] = {}
    for part in judged(policy.project_id, reading_of(policy), now):
        hit("retention.judged")
        totals.count(part)
        if part.repository.pk not in known and (keys := _store(execution, part, now)):
            going[part.repository.pk] = keys
        run.progress(total=totals.removed, unit="tags", done=0)
    _measure(policy.project_id, execution, going)
    run.log(
        f"{totals.kept + totals.removed} tags of {totals.images} images: "
        f"{totals.kept} stay, {totals.removed} go"
    )
    return totals


def _store(execution: Execution, part: Judged, now: datetime.datetime) -> list[int]:
    """Write down what was decided in one repository; return the ids of the images that go."""
    going = [verdict for verdict in part.verdicts if not verdict.is_kept]
    by_rule: dict[str, int] = {}
    for verdict in part.verdicts:
        if verdict.is_kept:
            by_rule[str(verdict.rule)] = by_rule.get(str(verdict.rule), 0) + 1
    RetentionOutcome.objects.create(
        execution=execution,
        repository_id=part.repository.pk,
        path=part.repository.path,
        total=len(part.verdicts),
        retained=len(part.verdicts) - len(going),
        by_rule=by_rule,
        removals=[_removal(verdict) for verdict in going],
        started_at=now,
        is_done=not going,
        finished_at=None if going else now,
    )
    return [verdict.image.key for verdict in going]


def _measure(project_id: int, execution: Execution, going: dict[int, list[int]]) -> None:
    """Add to what was decided how many bytes it frees."""
    freed = frees(project_id, going)
    for repository_id, keys in going.items():
        outcome = RetentionOutcome.objects.get(execution=execution, repository_id=repository_id)
        for row, key in zip(outcome.removals, keys, strict=True):
            row["bytes"] = freed.get(key, 0)
        outcome.freed_bytes = sum(row["bytes"] for row in outcome.removals)
        outcome.save(update_fields=["removals", "freed_bytes"])


def _removal(verdict: Verdict) -> dict[str, Any]:
    image = verdict.image
    reason, rule, detail = verdict.reason, verdict.rule, list(verdict.detail)
    return {
        "tags": image.tags,
        "digest": image.digest,
        "rule": rule,
        "reason": reason,
        "detail": detail,
        "bytes": 0,
        "state": "planned",
    }


def _require_no_brake(run: Run, policy: RetentionPolicy, totals: Totals) -> None:
    """Raise ``PreconditionFailed`` where it would remove more than anybody has confirmed."""
    policy.refresh_from_db()
    percent = policy.confirmed_percent if policy.is_confirmed else 0
    may_empty = policy.is_confirmed and policy.confirmed_empties
    if RetentionOutcome.objects.filter(execution=run.task.execution, removed_tags__gt=0):
        return  # An earlier attempt was let through.
    if reason := totals.brake(confirmed_percent=percent, may_empty=may_empty):
        outbox.emit(
            "retention.stopped",
            f"project:{policy.project_id}",
            project=policy.project.name,
            execution=run.task.execution_id,
            reason=reason,
        )
        raise PreconditionFailed(reason)


def _remove(run: Run, execution: Execution, *, asks_for_pulls: bool) -> None:
    actor = actor_of(execution)
    tags = images = freed = 0
    waiting = RetentionOutcome.objects.filter(execution=execution, is_done=False)
    for outcome in list(waiting.order_by("pk")):
        _remove_from(run, outcome, actor, asks_for_pulls=asks_for_pulls)
    for outcome in RetentionOutcome.objects.filter(execution=execution).order_by("pk"):
        tags += outcome.removed_tags
        images += sum(row["state"] == "removed" for row in outcome.removals)
        freed += outcome.freed_bytes
    run.log(f"removed {tags} tags and {images} images, {freed} bytes")
    run.result(tags=tags, images=images, freed_bytes=freed)


def _remove_from(
    run: Run, outcome: RetentionOutcome, actor: Actor, *, asks_for_pulls: bool
) -> None:
    """Remove what was decided in one repository."""
    # Pulls are written down every few seconds: the last ones may have been missing.
    since = outcome.started_at - _PULLS_LATE if asks_for_pulls else None
    repository = Repository.objects.filter(pk=outcome.repository_id, pushed_at__isnull=False)
    found = repository.select_related("project").first()
    entries = TrashEntry.objects.filter(
        execution_id=outcome.execution_id, repository_id=outcome.repository_id
    )
    _take_up(outcome, entries)
    planned = [row for row in outcome.removals if row["state"] == "planned"]
    if found is None:
        for row in planned:
            row |= {"state": "kept", "why": "the repository was deleted meanwhile"}
        planned = []
    portion, start = Portion(BATCH), 0
    while part := planned[start : start + portion.size]:
        hit("retention.batch")
        start += len(part)
        with portion.atomic():
            run.hold()
            if found is not None:
                asked = veto(found, timezone.now(), pulled_since=since)
                _remove_part(outcome, found, part, asked, actor)
            outcome.removed_tags += sum(
                len(row["tags"]) for row in part if row["state"] == "removed"
            )
            # The list is long, and written once at the end: the entries say what was done.
            outcome.save(update_fields=["removed_tags"])
        run.progress(done=run.task.done + sum(len(row["tags"]) for row in part))
    outcome.is_done, outcome.finished_at = True, timezone.now()
    outcome.retained = outcome.total - sum(r["state"] == "removed" for r in outcome.removals)
    outcome.freed_bytes = sum(entries.values_list("freed_bytes", flat=True))
    outcome.save(update_fields=["is_done", "finished_at", "removals", "retained", "freed_bytes"])


def _take_up(outcome: RetentionOutcome, entries: QuerySet[TrashEntry]) -> None:
    """Mark what an earlier attempt removed, as the trash tells."""
    names: set[str] = set()
    digests: set[str] = set()
    for entry in entries:
        names.update(entry.tag_names)
        digests.add(entry.digest)
    for row in outcome.removals:
        if names.issuperset(row["tags"]) if row["tags"] else row["digest"] in digests:
            row["state"] = "removed"


def _remove_part(
    outcome: RetentionOutcome,
    repository: Repository,
    part: list[dict[str, Any]],
    asked: Veto,
    actor: Actor,
) -> None:
    """Remove a batch; note with each image what became of it."""
    wanted = {name: row["digest"] for row in part for name in row["tags"]}
    result = tag_deletions.delete_tags(
        repository,
        wanted,
        with_images=True,
        actor=actor,
        execution_id=outcome.execution_id,
        not_after=outcome.started_at,
        veto=asked,
    )
    for row in part:
        if not row["tags"]:
            _remove_untagged(outcome, repository, row, asked, actor)
            continue
        kept = [result.kept[name] for name in row["tags"] if name in result.kept]
        row["state"] = "kept" if kept else "removed"
        if kept:
            row["why"] = kept[0]


def _remove_untagged(
    outcome: RetentionOutcome,
    repository: Repository,
    row: dict[str, Any],
    asked: Veto,
    actor: Actor,
) -> None:
    """Remove an image that has no tag, if that still is so."""
    trash.lock(repository)
    live = Artifact.objects.live().filter(repository=repository, body_id=row["digest"])
    found = live.first()
    reason = ""
    if found is None:
        reason = "gone already"
    elif found.pushed_at > outcome.started_at or Tag.objects.filter(artifact=found).exists():
        reason = "pushed again meanwhile"
    elif asked([Tag(artifact=found)]):
        reason = "in use"
    if not reason:
        try:
            with transaction.atomic():
                trash.delete_artifact(
                    repository, row["digest"], actor=actor, execution_id=outcome.execution_id
                )
        except (Conflict, PreconditionFailed, NotFound) as error:
            reason = str(error)
        else:
            row["state"] = "removed"
            return
    row |= {"state": "kept", "why": reason}


def _tell(policy: RetentionPolicy, execution: Execution, *, is_dry: bool) -> None:
    outcomes = RetentionOutcome.objects.filter(execution=execution)
    outbox.emit(
        "retention.finished",
        f"project:{policy.project_id}",
        project=policy.project.name,
        execution=execution.pk,
        dry_run=is_dry,
        total=sum(outcomes.values_list("total", flat=True)),
        retained=sum(outcomes.values_list("retained", flat=True)),
    )


def log_of(outcome: RetentionOutcome) -> str:
    """Write what one run came to in one repository, as a table in plain English."""
    lines = [
        f"{outcome.path}: {outcome.total} images, {outcome.retained} retained",
        *(f"rule {number or '-'} kept {count}" for number, count in outcome.by_rule.items()),
        "",
        "Digest | Tags | Bytes | Result | Why",
    ]
    states = {"planned": "DEL (dry run)", "removed": "DEL", "kept": "RETAIN"}
    for row in outcome.removals:
        reason = row.get("why") or retention_words.why(
            row["reason"], row["rule"], row["detail"], is_kept=False
        )
        tags = ",".join(row["tags"]) or _("(no tag)")
        state = states[row["state"]]
        lines.append(f"{row['digest']} | {tags} | {row['bytes']} | {state} | {reason}")
    return "\n".join(lines) + "\n"
