"""A repository of 5 000 tags: delete half by a filter, and take the whole run back.

``python -m bench.trash_runs``; on PostgreSQL ``python -m tests.postgres python -m
bench.trash_runs``.
"""

import sys
import time
from typing import Any

from bench.catalogue import a_project, database, fill

TAGS = 5_000


def main() -> int:
    """Order, run, undo; print times; 1 where anything is not as it was."""
    with database() as vendor:
        from registry_sync import bulk  # noqa: PLC0415 - only once Django is set up
        from registry_sync.bulk import Selection  # noqa: PLC0415
        from registry_sync.models import Repository, TagEvent  # noqa: PLC0415

        project = a_project()
        fill(project, "app", TAGS)
        repository = Repository.objects.get()
        was = state()
        began = time.perf_counter()
        shown = bulk.preview(repository, Selection("pr-*"), with_images=True)
        print(f"{vendor}: preview of {shown.tags} tags {time.perf_counter() - began:.2f} s")
        parameters = bulk.parameters_of(repository, Selection("pr-*"), with_images=True)
        result, took, run = perform(project, bulk.DELETION, **parameters)
        print(f"{vendor}: deleted {result['tags']} tags in {took:.2f} s")
        result, took, _run = perform(project, bulk.UNDO, execution=run)
        print(f"{vendor}: restored {result['restored']} in {took:.2f} s")
        is_back = state() == was and TagEvent.objects.count() == 2 * shown.tags
        print(f"{vendor}: tags and quota as they were: {is_back}")
        return 0 if is_back else 1


def state() -> tuple[dict[str, str], int]:
    """Return where every tag points, and the quota."""
    from registry_sync.models import ProjectUsage, Tag  # noqa: PLC0415

    tags = Tag.objects.values_list("name", "artifact__body_id")
    return {name: digest or "" for name, digest in tags}, ProjectUsage.objects.get().used_bytes


def perform(project: Any, kind: str, **parameters: Any) -> tuple[dict[str, Any], float, int]:
    """Order a run and do it; return its result, the seconds it took, and its number."""
    from accounts.principals import SYSTEM_ACTOR  # noqa: PLC0415
    from registry_sync import executions, tasks  # noqa: PLC0415

    order = executions.create(
        kind, actor=SYSTEM_ACTOR, project_id=project.pk, parameters=parameters
    )
    began = time.perf_counter()
    tasks.run_task(order.tasks.get().pk)
    task = order.tasks.get()
    if task.state != "succeeded":
        raise SystemExit(task.message)
    return task.result, time.perf_counter() - began, order.pk


if __name__ == "__main__":
    sys.exit(main())
