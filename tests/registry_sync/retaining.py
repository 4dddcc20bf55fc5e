"""Policies of retention and their runs, for tests."""

import datetime
from typing import Any

from django.utils import timezone

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, retention, retention_policies, tasks
from registry_sync.executions import Origin
from registry_sync.models import Artifact, Repository, RetentionPolicy, Tag, Task
from registry_sync.retention_policies import Terms
from tests.factories import make_repository, push_image


def rule(template: str, parameter: int = 0, tags: str = "**", **more: Any) -> dict[str, Any]:
    """A rule as Harbor's clients send it."""
    return {
        "template": template,
        "action": "retain",
        "params": {template: parameter} if parameter else {},
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": tags}],
        "scope_selectors": {
            "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]
        },
        **more,
    }


def age(repository: Repository, **days: int) -> None:
    """Let tags and their images have been pushed so many days ago; ``pr_1`` is ``pr-1``."""
    for name, count in days.items():
        at = timezone.now() - datetime.timedelta(days=count)
        tags = Tag.objects.filter(repository=repository, name=name.replace("_", "-"))
        Artifact.objects.filter(tags__in=tags).update(pushed_at=at)
        tags.update(pushed_at=at)


def policy_of(project: Project, *rules: dict[str, Any], **more: Any) -> RetentionPolicy:
    """Make a policy."""
    terms = Terms(rules, **more)
    return retention_policies.create(project, terms=terms, actor=SYSTEM_ACTOR)


def confirmed(policy: RetentionPolicy) -> RetentionPolicy:
    """Confirm whatever it removes."""
    return retention_policies.confirm(
        policy, version=policy.version, percent=100, empties=True, actor=SYSTEM_ACTOR
    )


def perform(policy: RetentionPolicy, *, is_dry: bool = False, trigger: str = "manual") -> Task:
    """Order a run and do it as a worker does."""
    execution = executions.create(
        retention.KIND,
        actor=SYSTEM_ACTOR,
        policy_id=policy.pk,
        project_id=policy.project_id,
        parameters={"dry_run": is_dry},
        origin=Origin(trigger),
    )
    tasks.run_task(execution.tasks.get().pk)
    return execution.tasks.get()


def make_app(team: Project) -> Repository:
    """Make ``team/app`` with v1 to v4 and pr-1 to pr-4, pushed one to four weeks ago."""
    repository = make_repository(team)
    for number in range(1, 5):
        push_image(repository, tag=f"v{number}")
        push_image(repository, tag=f"pr-{number}")
        age(repository, **{f"v{number}": 7 * number, f"pr_{number}": 7 * number})
    return repository


OLD_PRS = rule("nDaysSinceLastPush", 15, "pr-*")
