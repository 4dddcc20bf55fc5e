"""What a policy plans and sends, with another registry in memory."""

import datetime
from typing import Any

import pytest
from django.utils import timezone

from accounts.errors import Denied, DomainError, NotFound, Unavailable
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, labels, trash
from registry_sync.client.errors import (
    Obstacle,
    RegistryError,
    RegistryRejectedError,
    RegistryUnavailableError,
)
from registry_sync.client.remote import SourceBrokenError
from registry_sync.labels import Look
from registry_sync.models import Repository, State, Tag, Task
from registry_sync.replication import engine, planning, sending
from registry_sync.replication.policies import KIND
from registry_sync.runs import Run
from tests.factories import (
    descriptor,
    digest_of,
    make_image,
    make_index,
    push_image,
)
from tests.registry_sync.replication.there import Push, There, finish, make_policy, run_all

pytestmark = pytest.mark.django_db


def test_children_go_before_their_index_and_its_tag_last(there: There, push: Push) -> None:
    children = make_image("a"), make_image("b")
    for child in children:
        push(child)
    index = make_index(*children)
    push(index, "v1", children=children)
    assert run_all(make_policy()).state == State.SUCCEEDED
    puts = [name for what, _repository, name in there.asked if what == "put"]
    assert set(puts[:2]) == {child.digest for child in children}
    assert puts[2:] == ["v1"]
    assert there.tagged == {("team/app", "v1"): index.digest}
    sent = [name for what, _repository, name in there.asked if what == "send"]
    assert len(sent) == len(set(sent)) == 4


def test_nothing_to_do_costs_one_question_a_tag(there: There, push: Push) -> None:
    push(make_image("one"), "v1")
    push(make_image("one"), "v2")
    policy = make_policy()
    run_all(policy)
    there.asked.clear()
    execution = run_all(policy)
    assert sorted(there.asked) == [("tag", "team/app", "v1"), ("tag", "team/app", "v2")]
    assert execution.task_count == 1
    assert Task.objects.get(execution=execution).result["there"] == 2


def test_what_is_attached_later_follows(there: There, push: Push) -> None:
    image = make_image("one")
    push(image, "v1")
    policy = make_policy()
    run_all(policy)
    subject = descriptor(image.content, image.media_type)
    signature = make_image("signature", subject=subject)
    push(signature)
    by_tag = f"{image.digest.replace(':', '-')}.sig"
    push(make_image("old"), by_tag)
    run_all(policy)
    assert ("team/app", signature.digest) in there.manifests
    assert there.tagged["team/app", by_tag] == make_image("old").digest
    there.asked.clear()
    run_all(policy)
    assert there.asked == [("tag", "team/app", "v1")]


def test_a_layer_is_mounted_from_where_the_policy_put_it(there: There, push: Push) -> None:
    layer = b"a layer that both have"
    push(make_image("one", layers=(layer,)), "v1", "first")
    push(make_image("two", layers=(layer,)), "v1", "second")
    run_all(make_policy(namespace="n"))
    asked = [(what, name) for what, _repository, name in there.asked if what in {"mount", "send"}]
    assert sorted(what for what, name in asked if name == digest_of(layer)) == ["mount", "send"]


def test_only_what_may_be_there_is_asked_for(
    there: There, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_UNASKED_BYTES", 1000)
    shared, large = b"a layer that two have", b"large " * 200
    push(make_image("one", layers=(shared,)), "v1")
    push(make_image("two", layers=(shared, large, b"its own")), "v2")
    run_all(make_policy())
    asked = [name for what, _repository, name in there.asked if what == "blob"]
    assert sorted(asked) == sorted([digest_of(shared)] * 2 + [digest_of(large)])
    sent = [name for what, _repository, name in there.asked if what == "send"]
    assert len(sent) == len(set(sent)) == 5


def test_two_repositories_of_one_destination_are_asked_for(there: There, push: Push) -> None:
    shared = b"a layer that two have"
    push(make_image("one", layers=(shared,)), "v1", "a/app")
    push(make_image("two", layers=(shared,)), "v2", "b/app")
    run_all(make_policy(namespace="n", replaced_components=-1))
    asked = [name for what, _repository, name in there.asked if what == "blob"]
    assert asked == [digest_of(shared)] * 2


def test_a_later_attempt_asks_for_everything(there: There, push: Push) -> None:
    push(make_image("one"), "v1")
    execution = executions.create(KIND, actor=SYSTEM_ACTOR, policy_id=make_policy())
    lease = timezone.now() + datetime.timedelta(minutes=1)
    Task.objects.update(state=State.RUNNING, lease_until=lease)
    plan = Task.objects.select_related("execution").get(execution=execution)
    engine.run(Run(plan))
    executions.finish(plan, State.SUCCEEDED)
    Task.objects.filter(execution=execution, state=State.QUEUED).update(attempts=2)
    finish(execution)
    asked = {name for what, _repository, name in there.asked if what == "blob"}
    assert asked == {digest_of(blob) for blob in make_image("one").blobs}


def test_a_tag_that_differs_stays_where_nothing_is_overridden(there: There, push: Push) -> None:
    push(make_image("one"), "v1")
    push(make_image("two"), "v2")
    there.tagged["team/app", "v1"] = "sha256:" + "1" * 64
    execution = run_all(make_policy(is_overriding=False))
    assert there.tagged["team/app", "v1"] == "sha256:" + "1" * 64
    assert there.tagged["team/app", "v2"] == make_image("two").digest
    plan = Task.objects.filter(execution=execution).first()
    assert plan is not None
    assert (plan.result["kept"], plan.result["planned"]) == (1, 1)


def test_only_what_the_filters_take(there: There, push: Push, team: Project) -> None:
    push(make_image("one"), "v1")
    push(make_image("two"), "latest")
    push(make_image("three"), "v1", "web/other")
    label = labels.create(team, look=Look("ok"), actor=SYSTEM_ACTOR)
    for tag in Tag.objects.select_related("artifact__repository__project"):
        if tag.artifact is not None:
            labels.attach(tag.artifact, label, actor=SYSTEM_ACTOR)
    found = (
        {"type": "name", "value": "team/*"},
        {"type": "tag", "value": "v*"},
        {"type": "label", "value": ["ok"]},
    )
    run_all(make_policy(filters=found))
    assert set(there.tagged) == {("team/app", "v1")}


def test_names_that_are_too_short_are_left_out_and_said(there: There, push: Push) -> None:
    push(make_image("one"), "v1")
    push(make_image("two"), "v1", "web/deep")
    execution = run_all(make_policy(namespace="n", replaced_components=2))
    assert set(there.tagged) == {("n/deep", "v1")}
    plan = Task.objects.filter(execution=execution).first()
    assert plan is not None
    assert plan.result["unnamed"] == 1


def test_what_was_deleted_or_moved_meanwhile(
    there: There, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(make_image("one"), "v1", "first")
    second = push(make_image("two"), "v1", "second")
    make = planning.make

    def then_change(*arguments: Any) -> planning.Plan:
        plan = make(*arguments)
        first = Repository.objects.get(path="first")
        trash.delete_artifact(first, make_image("one").digest, actor=SYSTEM_ACTOR)
        push_image(second, make_image("newer"), "v1")
        return plan

    monkeypatch.setattr(planning, "make", then_change)
    assert run_all(make_policy()).state == State.SUCCEEDED
    assert there.tagged == {}


@pytest.mark.parametrize(
    ("failure", "told", "message"),
    [
        (RegistryUnavailableError("there does not answer"), Unavailable, "does not answer"),
        (
            RegistryUnavailableError("there has no address", obstacle=Obstacle.NO_ADDRESS),
            Unavailable,
            "has no address",
        ),
        (
            RegistryUnavailableError("there does not speak TLS", obstacle=Obstacle.NO_TLS),
            DomainError,
            "does not speak TLS",
        ),
        (RegistryRejectedError(401, "UNAUTHORIZED"), Denied, "name and password"),
        (RegistryRejectedError(403, "DENIED"), Denied, r"quota may be full \(403 DENIED\)"),
        (RegistryRejectedError(412, "PRECONDITION"), DomainError, "immutable"),
        (RegistryRejectedError(413, ""), DomainError, r"this size \(413\)"),
        (RegistryRejectedError(418, "teapot"), DomainError, r"refused it \(418\)"),
        (RegistryRejectedError(404, "BLOB_UNKNOWN", ("sha256:1",)), NotFound, "our own registry"),
        (SourceBrokenError(), DomainError, "our own registry is shorter"),
    ],
)
def test_what_goes_wrong_is_said_in_our_words(
    there: There, push: Push, failure: RegistryError, told: type[Exception], message: str
) -> None:
    push(make_image("one"), "v1")
    there.failure = failure
    with pytest.raises(told, match=message) as caught:
        run_all(make_policy())
    # What is `Unavailable` is tried again, and nothing else.
    assert type(caught.value) is told


def test_a_plan_is_made_once_however_often_it_is_tried(there: There, push: Push) -> None:
    push(make_image("one"), "v1")
    execution = executions.create(KIND, actor=SYSTEM_ACTOR, policy_id=make_policy())
    lease = timezone.now() + datetime.timedelta(minutes=1)
    Task.objects.update(state=State.RUNNING, lease_until=lease)
    for _attempt in range(2):
        task = Task.objects.select_related("execution").get(execution=execution, subject="")
        engine.run(Run(task))
    execution.refresh_from_db()
    assert execution.task_count == Task.objects.filter(execution=execution).count() == 2
