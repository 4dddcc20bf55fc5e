"""Copies at each push, and deletions: what is heard of, what is looked at, what is left alone."""

import datetime
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.errors import BadRequest, Conflict, Denied
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR, Actor
from registry_sync import copying, executions, relay, remote_registries, trash
from registry_sync.client.errors import RegistryRejectedError
from registry_sync.models import (
    Artifact,
    Execution,
    Replica,
    ReplicationChange,
    ReplicationPolicy,
    Repository,
    Task,
)
from registry_sync.remote_registries import Address
from registry_sync.replication import changes, lineage, policies
from registry_sync.tasks import CONSUMERS
from tests.factories import descriptor, make_image
from tests.registry_sync.replication.there import Push, There, finish, make_policy, run_all

pytestmark = pytest.mark.django_db

EVENT = ReplicationPolicy.Trigger.EVENT


def settle() -> list[Execution]:
    """Deliver events, let time pass, and do the runs that come of it."""
    relay.deliver(CONSUMERS)
    long_ago = timezone.now() - datetime.timedelta(minutes=1)
    ReplicationChange.objects.update(first_at=long_ago, last_at=long_ago)
    return [finish(Execution.objects.get(pk=pk)) for pk in changes.start_due()]


def listening(**terms: Any) -> int:
    return make_policy(trigger=EVENT, **terms)


def drop(repository: Repository, tag: str) -> None:
    """Delete a tag."""
    trash.delete_tag(repository, tag, actor=SYSTEM_ACTOR)


def test_a_push_is_copied_once_however_often_it_was_pushed(there: There, push: Push) -> None:
    listening()
    for word in ("one", "two", "three"):
        repository = push(make_image(word), "v1")
    relay.deliver(CONSUMERS)
    assert ReplicationChange.objects.get().count == 3
    assert changes.start_due() == [], "it has not come to rest"
    (execution,) = settle()
    assert execution.trigger == Execution.Trigger.EVENT
    assert there.tagged == {("team/app", "v1"): make_image("three").digest}
    assert [name for what, _at, name in there.asked if what == "put"] == ["v1"]
    assert not ReplicationChange.objects.exists()
    replica = Replica.objects.get()
    assert (replica.repository_id, replica.tag) == (repository.pk, "v1")
    assert settle() == []


def test_only_what_the_filters_take_is_heard(there: There, push: Push) -> None:
    listening(filters=({"type": "name", "value": "team/app"}, {"type": "tag", "value": "v*"}))
    push(make_image("one"), "v1", "other")
    push(make_image("one"), "latest")
    settle()
    assert there.tagged == {}
    push(make_image("one"), "v1")
    settle()
    assert set(there.tagged) == {("team/app", "v1")}


@pytest.mark.parametrize("terms", [{"trigger": "manual"}, {"trigger": EVENT, "is_enabled": False}])
def test_other_policies_do_not_listen(there: There, push: Push, terms: dict[str, Any]) -> None:
    make_policy(**terms)
    push(make_image("one"), "v1")
    assert settle() == []
    assert there.asked == []


def test_one_run_at_a_time_and_what_comes_meanwhile_waits(there: There, push: Push) -> None:
    policy = listening()
    busy = executions.create(policies.KIND, actor=SYSTEM_ACTOR, policy_id=policy)
    push(make_image("one"), "v1")
    assert settle() == []
    assert ReplicationChange.objects.exists()
    executions.stop(busy.pk, actor=SYSTEM_ACTOR)
    assert len(settle()) == 1
    assert there.tagged


def test_a_plan_that_failed_is_not_tried_again_at_once(there: There, push: Push) -> None:
    policy = listening()
    push(make_image("one"), "v1")
    there.failure = RegistryRejectedError(401, "UNAUTHORIZED")
    with pytest.raises(Denied):
        settle()
    run = Execution.objects.get(policy_id=policy)
    now = timezone.now()
    Task.objects.filter(execution=run).update(state="failed", finished_at=now)
    Execution.objects.filter(pk=run.pk).update(state="failed", finished_at=now)
    there.failure = None
    assert settle() == []
    assert ReplicationChange.objects.exists(), "it is not forgotten"
    Task.objects.filter(execution=run).update(finished_at=now - datetime.timedelta(minutes=6))
    settle()
    assert there.tagged


def test_what_is_attached_follows_its_image(there: There, push: Push) -> None:
    listening()
    image = make_image("one")
    push(image, "v1")
    settle()
    there.asked.clear()
    signature = make_image("signature", subject=descriptor(image.content, image.media_type))
    push(signature)
    settle()
    assert ("team/app", signature.digest) in there.manifests
    by_tag = f"{image.digest.replace(':', '-')}.sig"
    push(make_image("older"), by_tag)
    settle()
    assert there.tagged["team/app", by_tag] == make_image("older").digest


def test_what_came_through_here_goes_no_further(there: There, push: Push) -> None:
    listening()
    push(make_image("other"), "v0")
    settle()
    back = Actor(SYSTEM_ACTOR.principal, client=lineage.agent("0123456789ab"))
    push(make_image("one"), "v1", actor=back)
    settle()
    assert set(there.tagged) == {("team/app", "v0")}
    elsewhere = "moorage (replication; via 0123456789ab)"
    onward = Actor(SYSTEM_ACTOR.principal, client=elsewhere)
    push(make_image("two"), "v2", actor=onward)
    relay.deliver(CONSUMERS)
    assert ReplicationChange.objects.get().via == "0123456789ab"
    (execution,) = settle()
    copied = Task.objects.filter(execution=execution).exclude(subject="").get()
    assert lineage.read(lineage.agent(copied.parameters["via"])) == ["0123456789ab", lineage.own()]


def test_the_longest_way(there: There) -> None:
    assert lineage.may_go_on(["0" * 12] * (lineage.LONGEST - 1))
    assert not lineage.may_go_on(["0" * 12] * lineage.LONGEST)
    assert lineage.read("moorage") == lineage.read("Mozilla/5.0") == []
    assert len(lineage.agent(",".join(["0" * 12] * (lineage.LONGEST - 1)))) < 255


# --- Deletions ------------------------------------------------------------------------------------


def test_a_deleted_tag_is_deleted_there_and_no_other(there: There, push: Push) -> None:
    listening(is_deleting=True)
    repository = push(make_image("one"), "v1")
    push(make_image("one"), "v2")
    settle()
    drop(repository, "v1")
    settle()
    assert set(there.tagged) == {("team/app", "v2")}
    assert [name for what, _at, name in there.asked if what == "delete"] == ["v1"]
    assert Replica.objects.get().tag == "v2"


def test_a_deleted_image_goes_whole(there: There, push: Push) -> None:
    listening(is_deleting=True)
    image = make_image("one")
    repository = push(image, "v1")
    push(image, "v2")
    settle()
    trash.delete_artifact(repository, image.digest, actor=SYSTEM_ACTOR)
    (execution,) = settle()
    assert there.tagged == {}
    assert [name for what, _at, name in there.asked if what == "delete"] == [image.digest]
    shown = Task.objects.filter(execution=execution).exclude(subject="").get()
    assert shown.result["deleted"] == 2


def test_what_the_policy_did_not_put_there_stays(there: There, push: Push) -> None:
    listening(is_deleting=True)
    image = make_image("one")
    repository = push(image, "v1")
    there.tagged["team/app", "v1"] = image.digest
    there.manifests.add(("team/app", image.digest))
    settle()
    drop(repository, "v1")
    assert settle() == []
    assert there.tagged == {("team/app", "v1"): image.digest}


def test_what_was_moved_there_stays(there: There, push: Push) -> None:
    listening(is_deleting=True)
    repository = push(make_image("one"), "v1")
    settle()
    there.tagged["team/app", "v1"] = "sha256:" + "1" * 64
    drop(repository, "v1")
    settle()
    assert there.tagged == {("team/app", "v1"): "sha256:" + "1" * 64}
    assert not Replica.objects.exists()


def test_what_came_back_before_it_was_looked_at_stays(there: There, push: Push) -> None:
    listening(is_deleting=True)
    image = make_image("one")
    repository = push(image, "v1")
    settle()
    drop(repository, "v1")
    relay.deliver(CONSUMERS)
    copying.add_tag(
        Artifact.objects.select_related("repository__project", "body").get(),
        "v1",
        actor=SYSTEM_ACTOR,
    )
    settle()
    assert there.tagged == {("team/app", "v1"): image.digest}


def test_nothing_is_deleted_without_being_asked_for(there: There, push: Push) -> None:
    listening()
    repository = push(make_image("one"), "v1")
    settle()
    drop(repository, "v1")
    assert settle() == []
    assert set(there.tagged) == {("team/app", "v1")}


def test_a_whole_repository(there: There, push: Push) -> None:
    listening(is_deleting=True)
    push(make_image("one"), "v1")
    repository = push(make_image("two"), "v2")
    settle()
    trash.delete_repository(repository, actor=SYSTEM_ACTOR)
    settle()
    assert there.tagged == {}


def test_a_registry_that_deletes_no_tag_alone(there: There, push: Push) -> None:
    listening(is_deleting=True)
    there.deletes_tags = False
    image = make_image("one")
    repository = push(image, "v1")
    settle()
    there.tagged["team/app", "theirs"] = image.digest
    drop(repository, "v1")
    with pytest.raises(Conflict, match="deletes no tag alone"):
        settle()
    assert set(there.tagged) == {("team/app", "v1"), ("team/app", "theirs")}
    del there.tagged["team/app", "theirs"]
    Execution.objects.active().update(state="failed")
    # The next run by hand finds what failed.
    run_all(ReplicationPolicy.objects.get().pk)
    assert there.tagged == {}


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"trigger": EVENT, "is_pull": True}, "trigger"),
        ({"trigger": "manual", "is_deleting": True}, "replicate_deletion"),
    ],
)
def test_what_cannot_be(cast: object, terms: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        make_policy(**terms)
    assert caught.value.field == field


def test_a_disabled_policy_forgets_what_it_had_to_look_at(
    there: There, push: Push, team: Project
) -> None:
    listening()
    push(make_image("one"), "v1")
    relay.deliver(CONSUMERS)
    policy = ReplicationPolicy.objects.get()
    terms = policies.Terms(policy.name, policy.remote, trigger=EVENT, is_enabled=False)
    policies.update(policy, terms, actor=SYSTEM_ACTOR)
    assert not ReplicationChange.objects.exists()


def test_a_run_by_hand_finds_what_was_attached_while_nobody_listened(
    there: There, push: Push
) -> None:
    policy = listening()
    image = make_image("one")
    push(image, "v1")
    settle()
    ReplicationPolicy.objects.update(is_enabled=False)
    signature = make_image("signature", subject=descriptor(image.content, image.media_type))
    push(signature)
    settle()
    ReplicationPolicy.objects.update(is_enabled=True)
    # A run for one change, or one that tries again what failed, has not looked at everything.
    push(make_image("two"), "v2")
    assert len(settle()) == 1
    again = {"retry_of": Execution.objects.latest("pk").pk}
    made = executions.create(
        policies.KIND, actor=SYSTEM_ACTOR, policy_id=policy, parameters=again, orders=()
    )
    now = timezone.now()
    Execution.objects.filter(pk=made.pk).update(state="succeeded", started_at=now)
    assert ("team/app", signature.digest) not in there.manifests
    run_all(policy)
    assert ("team/app", signature.digest) in there.manifests


def test_a_change_that_comes_while_another_is_forgotten_is_kept(there: There, push: Push) -> None:
    listening()
    push(make_image("one"), "v1")
    relay.deliver(CONSUMERS)
    seen = list(ReplicationChange.objects.all())
    push(make_image("two"), "v1")
    wrote: list[str] = []

    def forget_in_between(execute: Any, sql: str, *arguments: Any) -> Any:
        """Let the plan of the first push end after the second one's first write."""
        made = execute(sql, *arguments)
        if "replicationchange" in sql and not sql.startswith("SELECT") and not wrote:
            wrote.append(sql)
            changes.forget(seen)
        return made

    with connection.execute_wrapper(forget_in_between):
        relay.deliver(CONSUMERS)
    assert wrote
    settle()
    assert there.tagged == {("team/app", "v1"): make_image("two").digest}


def test_what_was_put_into_another_registry_is_not_deleted_in_this_one(
    there: There, push: Push, team: Project
) -> None:
    listening(is_deleting=True)
    image = make_image("one")
    repository = push(image, "v1")
    settle()
    policy = ReplicationPolicy.objects.get()
    other = remote_registries.create(
        name="other", description="", address=Address("https://other.example"), actor=SYSTEM_ACTOR
    )
    kept = policies.Terms("all", policy.remote, trigger=EVENT, is_deleting=True, description="x")
    policies.update(policy, kept, actor=SYSTEM_ACTOR)
    assert Replica.objects.exists()
    policies.update(policy, replace(kept, remote=other), actor=SYSTEM_ACTOR)
    drop(repository, "v1")
    assert settle() == []
    assert there.tagged == {("team/app", "v1"): image.digest}
