"""Runs of retention: what is decided is what goes, and nothing else."""

import datetime
from typing import Any

import pytest
from django.utils import timezone

from accounts import projects
from accounts.errors import Conflict
from accounts.models import OutboxEvent, Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import (
    bulk,
    executions,
    retention,
    retention_policies,
    tasks,
    trash,
)
from registry_sync.models import (
    Artifact,
    DigestInUse,
    Execution,
    ImmutableRule,
    PullTotal,
    Repository,
    RetentionOutcome,
    State,
    Tag,
    TagPin,
    Task,
    TrashEntry,
)
from registry_sync.retention_plan import judged
from registry_sync.retention_policies import Terms, reading_of
from tests.factories import descriptor, make_image, make_index, make_repository, push_image
from tests.registry_sync.jobs import Broker
from tests.registry_sync.retaining import (
    OLD_PRS,
    age,
    confirmed,
    make_app,
    perform,
    policy_of,
    rule,
)
from tests.registry_sync.trashing import live_in, recount, tags_of


@pytest.fixture
def app(team: Project, broker: Broker) -> Repository:
    return make_app(team)


class TestRun:
    def test_what_is_old_goes_and_undo_brings_it_back(self, app: Repository) -> None:
        was, used = tags_of(app), recount(app.project)
        task = perform(policy_of(app.project, OLD_PRS))
        assert task.state == State.SUCCEEDED
        assert (task.result["tags"], task.result["images"]) == (2, 2)
        assert set(was) - set(tags_of(app)) == {"pr-3", "pr-4"}
        assert recount(app.project) == used - task.result["freed_bytes"]
        outcome = RetentionOutcome.objects.get()
        assert (outcome.total, outcome.retained, outcome.removed_tags) == (8, 6, 2)
        assert {row["state"] for row in outcome.removals} == {"removed"}
        undo = executions.create(
            bulk.UNDO, actor=SYSTEM_ACTOR, parameters={"execution": task.execution_id}
        )
        tasks.run_task(undo.tasks.get().pk)
        assert tags_of(app) == was
        assert recount(app.project) == used

    def test_a_dry_run_says_the_same_and_removes_nothing(self, app: Repository) -> None:
        policy = policy_of(app.project, OLD_PRS)
        was = tags_of(app)
        dry = perform(policy, is_dry=True)
        assert (tags_of(app), dry.result["would_remove"]) == (was, 2)
        planned = RetentionOutcome.objects.get().freed_bytes
        assert perform(policy).result["freed_bytes"] == planned
        told = OutboxEvent.objects.filter(kind="retention.finished").order_by("pk")
        assert [event.payload["dry_run"] for event in told] == [True, False]

    def test_the_log_is_a_table(self, app: Repository) -> None:
        perform(policy_of(app.project, OLD_PRS))
        text = retention.log_of(RetentionOutcome.objects.get())
        assert "app: 8 images, 6 retained" in text
        assert "| pr-4 |" in text
        assert "Rule 1: older than 15 days" in text

    def test_images_without_a_tag(self, app: Repository) -> None:
        trash.delete_tag(app, "pr-4", actor=SYSTEM_ACTOR)
        policy = policy_of(app.project, rule("nDaysSinceLastPush", 15))
        Artifact.objects.filter(tags=None).update(
            pushed_at=timezone.now() - datetime.timedelta(days=60)
        )
        perform(confirmed(policy))
        assert len(live_in(app)) == 4
        recount(app.project)

    def test_a_run_of_a_project_that_is_gone(self, app: Repository) -> None:
        policy = policy_of(app.project, OLD_PRS)
        projects.remove(app.project, actor=SYSTEM_ACTOR)
        assert perform(policy).state == State.FAILED

    def test_two_at_once(self, app: Repository) -> None:
        policy = policy_of(app.project, OLD_PRS)
        executions.create(retention.KIND, actor=SYSTEM_ACTOR, policy_id=policy.pk)
        with pytest.raises(Conflict):
            perform(policy)

    def test_one_that_dies_in_the_middle_goes_on(
        self, app: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "BATCH", 1)
        policy = policy_of(app.project, OLD_PRS)
        calls: list[str] = []

        def second(name: str) -> None:
            calls.append(name)
            if name == "retention.batch" and calls.count(name) == 2:
                raise SystemExit

        monkeypatch.setattr(retention, "hit", second)
        with pytest.raises(SystemExit):
            perform(policy)
        assert len(tags_of(app)) == 7
        task = Task.objects.get()
        Task.objects.update(state=State.QUEUED, lease_until=None, worker="")
        tasks.run_task(task.pk)
        task.refresh_from_db()
        assert (task.state, task.result["tags"], len(tags_of(app))) == (State.SUCCEEDED, 2, 6)
        assert RetentionOutcome.objects.get().retained == 6


class TestBetweenDecisionAndRemoval:
    """Something happens once the verdicts are stored, before anything goes."""

    def after(self, app: Repository, monkeypatch: pytest.MonkeyPatch, change: Any) -> Task:
        """Do a run in which ``change`` happens meanwhile."""
        policy = policy_of(app.project, OLD_PRS)

        def meanwhile(name: str) -> None:
            if name == "retention.batch":
                change()

        monkeypatch.setattr(retention, "hit", meanwhile)
        return perform(policy)

    def test_a_tag_is_pushed_again(self, app: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        image = make_image()
        self.after(app, monkeypatch, lambda: push_image(app, image, tag="pr-4"))
        assert tags_of(app)["pr-4"] == image.digest
        assert "pr-3" not in tags_of(app)
        row = next(r for r in RetentionOutcome.objects.get().removals if r["tags"] == ["pr-4"])
        assert (row["state"], row["why"]) == ("kept", "pushed again meanwhile")

    def test_its_image_gets_another_tag(
        self, app: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        artifact = Artifact.objects.get(tags__name="pr-4")

        def tag() -> None:
            Tag.objects.create(
                repository=app, name="release", artifact=artifact, sort_key="x",
                pushed_by_name="bob", pushed_at=timezone.now(),
            )  # fmt: skip

        self.after(app, monkeypatch, tag)
        assert {"pr-4", "release"} <= set(tags_of(app))

    def test_it_is_reported_in_use_or_pinned(
        self, app: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = timezone.now()
        digest = tags_of(app)["pr-4"]

        def protect() -> None:
            DigestInUse.objects.create(
                project=app.project, digest=digest, place="prod", reported_at=now,
                reported_by="ci", expires_at=now + datetime.timedelta(hours=1),
            )  # fmt: skip
            TagPin.objects.create(repository=app, name="pr-3", pinned_by="bob", pinned_at=now)

        task = self.after(app, monkeypatch, protect)
        assert (task.result["tags"], len(tags_of(app))) == (0, 8)

    def test_the_repository_is_deleted(
        self, app: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task = self.after(
            app, monkeypatch, lambda: trash.delete_repository(app, actor=SYSTEM_ACTOR)
        )
        assert (task.state, task.result["tags"]) == (State.SUCCEEDED, 0)
        assert TrashEntry.objects.count() == 1


class TestProtected:
    def reasons(self, app: Repository, **more: Any) -> dict[str, str]:
        """Judge by a rule that keeps nothing; return why each tag stays."""
        policy = policy_of(app.project, rule("nothing"), **more)
        found = judged(app.project_id, reading_of(policy), timezone.now())
        return {
            name: verdict.reason
            for part in found
            for verdict in part.verdicts
            if verdict.is_kept
            for name in verdict.image.tags
        }

    def test_immutable_pinned_and_in_use(self, app: Repository) -> None:
        now = timezone.now()
        ImmutableRule.objects.create(project=app.project, tag_pattern="v1")
        TagPin.objects.create(repository=app, name="v2", pinned_by="bob", pinned_at=now)
        expiries = {"v3": now + datetime.timedelta(hours=1), "v4": now}
        for name, expires_at in expiries.items():
            DigestInUse.objects.create(
                project=app.project, digest=tags_of(app)[name], place="prod", reported_at=now,
                reported_by="ci", expires_at=expires_at,
            )  # fmt: skip
        expected = {"v1": "immutable", "v2": "pinned", "v3": "in_use"}
        assert self.reasons(app) == expected, "an expired report protects nothing"

    def test_manifests_of_indexes_and_accessories(self, app: Repository) -> None:
        child = make_image()
        push_image(app, child, tag="child")
        push_image(app, make_index(child), tag="index", children=(child,))
        image = make_image()
        push_image(app, image, tag="signed")
        signature = make_image(subject=descriptor(image.content, image.media_type))
        push_image(app, signature, tag="signature")
        assert self.reasons(app) == {"child": "platform", "signature": "accessory"}

    def test_a_manifest_that_an_index_in_the_trash_needs(self, app: Repository) -> None:
        child = make_image()
        push_image(app, child, tag="child")
        index = make_index(child)
        push_image(app, index, tag="index", children=(child,))
        trash.delete_artifact(app, index.digest, actor=SYSTEM_ACTOR)
        assert self.reasons(app) == {"child": "restorable"}

    def test_an_index_runs_where_one_of_its_manifests_does(self, app: Repository) -> None:
        child = make_image()
        push_image(app, child, tag="")
        push_image(app, make_index(child), tag="index", children=(child,))
        now = timezone.now()
        DigestInUse.objects.create(
            project=app.project, digest=child.digest, place="prod", reported_at=now,
            reported_by="ci", expires_at=now + datetime.timedelta(hours=1),
        )  # fmt: skip
        assert self.reasons(app) == {"index": "in_use"}

    def test_tags_of_tools_follow_their_image(self, app: Repository) -> None:
        digest = tags_of(app)["v1"]
        push_image(app, tag=f"{digest.replace(':', '-')}.sig")
        perform(confirmed(policy_of(app.project, rule("always", tags="v1"), is_harbor=True)))
        assert set(tags_of(app)) == {"v1", f"{digest.replace(':', '-')}.sig"}


class TestPulls:
    def pulled(self, app: Repository, reference: str, *, days: float, automatic: int = 0) -> None:
        """Count a pull that was so many days ago; of automatic ones there is no time."""
        at = None if automatic else timezone.now() - datetime.timedelta(days=days)
        PullTotal.objects.create(
            repository=app, reference=reference, count=1, automatic=automatic, pulled_at=at
        )

    def test_by_tag_or_digest_and_not_by_scanners(self, app: Repository) -> None:
        tags = tags_of(app)
        self.pulled(app, "v1", days=1)
        self.pulled(app, tags["v2"], days=2)
        self.pulled(app, "v3", days=30)
        self.pulled(app, "v4", days=0, automatic=5)
        perform(confirmed(policy_of(app.project, rule("nDaysSinceLastPull", 7))))
        assert set(tags_of(app)) == {"v1", "v2"}

    def test_what_was_pulled_after_the_verdict_stays(
        self, app: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        policy = confirmed(policy_of(app.project, rule("nDaysSinceLastPull", 7)))

        def meanwhile(name: str) -> None:
            if name == "retention.batch":
                self.pulled(app, "v4", days=0)

        monkeypatch.setattr(retention, "hit", meanwhile)
        perform(policy)
        assert set(tags_of(app)) == {"v4"}


class TestBrake:
    def test_more_than_half_waits_for_a_confirmation(self, app: Repository) -> None:
        policy = policy_of(app.project, rule("latestPushedK", 3))
        task = perform(policy)
        assert (task.state, len(tags_of(app))) == (State.FAILED, 8)
        assert "5 of 8 images (63%)" in task.message
        retention_policies.confirm(
            policy, version=policy.version, percent=63, empties=False, actor=SYSTEM_ACTOR
        )
        assert perform(policy).state == State.SUCCEEDED
        assert len(tags_of(app)) == 3

    def test_a_repositorys_last_image_too(self, app: Repository) -> None:
        other = make_repository(app.project, "small")
        push_image(other, tag="pr-9")
        age(other, pr_9=60)
        task = perform(policy_of(app.project, OLD_PRS))
        assert (task.state, "small" in task.message) == (State.FAILED, True)

    def test_a_confirmation_counts_for_what_was_seen(self, app: Repository) -> None:
        policy = confirmed(policy_of(app.project, rule("latestPushedK", 3)))
        terms = Terms([rule("latestPushedK", 1)])
        policy = retention_policies.update(policy, terms=terms, actor=SYSTEM_ACTOR)
        assert not policy.is_confirmed
        with pytest.raises(Conflict):
            retention_policies.confirm(
                policy, version=1, percent=100, empties=True, actor=SYSTEM_ACTOR
            )

    def test_a_scheduled_run_of_a_changed_policy_waits(self, app: Repository) -> None:
        policy = policy_of(app.project, OLD_PRS, cron="0 0 3 * * *")
        task = perform(policy, trigger=Execution.Trigger.SCHEDULE)
        assert (task.state, task.message) == (State.SUCCEEDED, retention.WAITING)
        assert len(tags_of(app)) == 8
        confirmed(policy)
        perform(policy, trigger=Execution.Trigger.SCHEDULE)
        assert len(tags_of(app)) == 6
