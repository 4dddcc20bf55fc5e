"""Owners are warned of what the next run takes."""

import datetime

import pytest
from django.utils import timezone

from accounts.models import OutboxEvent, Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import (
    executions,
    retention_notices,
    tasks,
)
from registry_sync.models import (
    Repository,
    RetentionPolicy,
    Schedule,
    Task,
)
from tests.registry_sync.jobs import Broker
from tests.registry_sync.retaining import (
    OLD_PRS,
    make_app,
    policy_of,
    rule,
)


@pytest.fixture
def app(team: Project, broker: Broker) -> Repository:
    return make_app(team)


class TestNotices:
    def tell(self) -> Task:
        """Run the job of warnings."""
        execution = executions.create(retention_notices.KIND, actor=SYSTEM_ACTOR)
        tasks.run_task(execution.tasks.get().pk)
        return execution.tasks.get()

    def test_owners_are_told_once_what_the_next_run_takes(self, app: Repository) -> None:
        policy_of(app.project, OLD_PRS, cron="0 0 3 * * *")
        assert self.tell().result == {"told": 1}
        assert self.tell().result == {"told": 0}
        event = OutboxEvent.objects.get(kind="retention.upcoming")
        assert (event.payload["tags"], event.payload["confirmed"]) == (2, False)
        assert event.payload["first"] == ["app:pr-3", "app:pr-4"]

    def test_nothing_is_told_where_nothing_goes_or_it_is_far_off(self, app: Repository) -> None:
        policy = policy_of(app.project, rule("always"), cron="0 0 3 * * *")
        assert self.tell().result == {"told": 0}
        far = timezone.now() + datetime.timedelta(days=9)
        Schedule.objects.filter(policy_id=policy.pk).update(next_at=far)
        RetentionPolicy.objects.update(rules=[OLD_PRS], warned_slot=None)
        assert self.tell().result == {"told": 0}
        assert not OutboxEvent.objects.filter(kind="retention.upcoming").exists()
