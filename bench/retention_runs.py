"""A project of 10 000 tags: preview, run, undo; and how soon 100 000 tags show their first rows.

``python -m bench.retention_runs``; on PostgreSQL ``python -m tests.postgres python -m
bench.retention_runs``.
"""

import sys
import time
from typing import Any

from bench.catalogue import a_project, database, fill
from bench.trash_runs import state

TAGS = 10_000
MANY = 100_000
OLD_PRS: dict[str, Any] = {
    "template": "nDaysSinceLastPush",
    "params": {"nDaysSinceLastPush": 30},
    "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "pr-*"}],
}


def main() -> int:
    """Measure; 1 where the undo leaves anything different."""
    with database() as vendor:
        project = a_project()
        fill(project, "app", TAGS)
        is_back = _run(vendor, project)
        if "--many" in sys.argv:
            _first_rows(vendor)
        return 0 if is_back else 1


def _run(vendor: str, project: Any) -> bool:
    from accounts.principals import SYSTEM_ACTOR  # noqa: PLC0415 - only once Django is set up
    from registry_sync import bulk, retention, retention_policies  # noqa: PLC0415
    from registry_sync.retention_policies import Terms, reading_of  # noqa: PLC0415
    from registry_sync.retention_preview import Filter, preview  # noqa: PLC0415

    policy = retention_policies.create(project, terms=Terms([OLD_PRS]), actor=SYSTEM_ACTOR)
    was = state()
    began = time.perf_counter()
    shown = preview(project, reading_of(policy), Filter())
    took = time.perf_counter() - began
    print(
        f"{vendor}: preview of {TAGS} tags {took:.2f} s: {shown.totals.removed} go, "
        f"{shown.freed_bytes} bytes"
    )
    result, took, run = _perform(project, retention.KIND, policy.pk, dry_run=False)
    print(f"{vendor}: removed {result['tags']} tags, {result['freed_bytes']} bytes in {took:.2f} s")
    is_same = (result["tags"], result["freed_bytes"]) == (shown.totals.removed, shown.freed_bytes)
    result, took, _undo = _perform(project, bulk.UNDO, run, execution=run)
    is_back = state() == was
    print(f"{vendor}: restored {result['restored']} in {took:.2f} s")
    print(f"{vendor}: preview and run agree: {is_same}; all is as it was: {is_back}")
    return is_same and is_back


def _first_rows(vendor: str) -> None:
    from registry_sync.retention_policies import Terms, reading_of  # noqa: PLC0415
    from registry_sync.retention_preview import Filter, preview, rows  # noqa: PLC0415

    project = a_project("many")
    for number in range(20):
        fill(project, f"app{number}", MANY // 20, layers=2)
    reading = reading_of(Terms([OLD_PRS]))
    began = time.perf_counter()
    next(rows(project, reading))
    first = time.perf_counter() - began
    began = time.perf_counter()
    shown = preview(project, reading, Filter())
    whole = time.perf_counter() - began
    tags = shown.totals.kept + shown.totals.removed
    print(f"{vendor}: {tags} tags: first row of the stream {first:.2f} s, page {whole:.2f} s")


def _perform(
    project: Any, kind: str, policy_id: int, **parameters: Any
) -> tuple[dict[str, Any], float, int]:
    from accounts.principals import SYSTEM_ACTOR  # noqa: PLC0415
    from registry_sync import executions, tasks  # noqa: PLC0415

    order = executions.create(
        kind,
        actor=SYSTEM_ACTOR,
        policy_id=policy_id,
        project_id=project.pk,
        parameters=parameters,
    )
    began = time.perf_counter()
    tasks.run_task(order.tasks.get().pk)
    task = order.tasks.get()
    if task.state != "succeeded":
        raise SystemExit(task.message)
    return task.result, time.perf_counter() - began, order.pk


if __name__ == "__main__":
    sys.exit(main())
