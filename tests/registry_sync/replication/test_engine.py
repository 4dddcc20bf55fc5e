"""What a policy plans and sends, with another registry in memory."""

import datetime
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.crypto import ensure_keys
from accounts.errors import Denied, NotFound, Unavailable
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, labels, remote_registries, trash, upstream
from registry_sync.client.errors import (
    RegistryError,
    RegistryRejectedError,
    RegistryUnavailableError,
)
from registry_sync.labels import Look
from registry_sync.models import Execution, Repository, State, Tag, Task
from registry_sync.remote_registries import Address
from registry_sync.replication import engine, planning, policies, sending
from registry_sync.replication.policies import KIND, Terms
from registry_sync.runs import Run
from tests.factories import (
    Image,
    descriptor,
    digest_of,
    make_image,
    make_index,
    make_repository,
    push_image,
    upload_blobs,
)
from tests.fakes import FakeRegistry

pytestmark = pytest.mark.django_db


class Remote:
    """Another registry; what each client asks of it is written down."""

    def __init__(self) -> None:
        """Start empty."""
        self.tags: dict[tuple[str, str], str] = {}
        self.manifests: set[tuple[str, str]] = set()
        self.blobs: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str, str]] = []
        self.failure: RegistryError | None = None
        self.pause: Callable[[float], None] = lambda _seconds: None
        self._lock = threading.Lock()

    def _note(self, what: str, repository: str, name: str) -> None:
        with self._lock:
            self.asked.append((what, repository, name))
        if self.failure is not None:
            raise self.failure

    def tagged_digest(self, repository: str, tag: str, **_types: object) -> str:
        self._note("tag", repository, tag)
        return self.tags.get((repository, tag), "")

    def has_manifest(self, repository: str, digest: str, **_types: object) -> bool:
        self._note("manifest", repository, digest)
        return (repository, digest) in self.manifests

    def has_blob(self, repository: str, digest: str) -> bool:
        self._note("blob", repository, digest)
        return (repository, digest) in self.blobs

    def put_blob(
        self, repository: str, digest: str, size: int, source: Any, *, mount_from: str, piece: int
    ) -> int:
        self._note("mount" if (mount_from, digest) in self.blobs else "send", repository, digest)
        with source(0) as stream:
            assert digest_of(stream.read()) == digest
        self.blobs.add((repository, digest))
        return size

    def put_manifest(
        self, repository: str, reference: str, media_type: str, content: bytes
    ) -> None:
        self._note("put", repository, reference)
        self.manifests.add((repository, digest_of(content)))
        if ":" not in reference:
            self.tags[repository, reference] = digest_of(content)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    """Put a registry in memory at the end of every client."""
    made = Remote()
    for module in (planning, sending, engine):
        monkeypatch.setattr(module, "client_of", lambda _address: made)
    return made


@pytest.fixture
def push(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, team: Project
) -> Callable[..., Repository]:
    """Return a function that pushes to a repository of ``team``."""
    registry = FakeRegistry()
    monkeypatch.setattr(upstream, "registry", registry)
    settings.MOORAGE_BLOB_DELIVERY = "registry"
    ensure_keys(settings.MOORAGE_KEYS)

    def push_it(
        image: Image, tag: str = "", path: str = "app", children: tuple[Image, ...] = ()
    ) -> Repository:
        found = Repository.objects.filter(project=team, path=path).first()
        repository = found or make_repository(team, path)
        upload_blobs(registry, repository, image)
        push_image(repository, image, tag, children=children)
        return repository

    return push_it


Push = Callable[..., Repository]


def make_policy(**terms: Any) -> int:
    there = remote_registries.create(
        name="there", description="", address=Address("https://there.example"), actor=SYSTEM_ACTOR
    )
    return policies.create(Terms("all", there, **terms), actor=SYSTEM_ACTOR).pk


def run_all(policy_id: int) -> Execution:
    """Run a policy to its end, one task after the other."""
    execution = executions.create(KIND, actor=SYSTEM_ACTOR, policy_id=policy_id)
    while task := Task.objects.filter(execution=execution, state=State.QUEUED).first():
        lease = timezone.now() + datetime.timedelta(minutes=1)
        Task.objects.filter(pk=task.pk).update(state=State.RUNNING, lease_until=lease)
        task = Task.objects.select_related("execution").get(pk=task.pk)
        run = Run(task)
        engine.run(run)
        run.flush()
        executions.finish(task, State.SUCCEEDED)
    Execution.objects.filter(pk=execution.pk).update(started_at=execution.created_at)
    execution.refresh_from_db()
    return execution


def test_children_go_before_their_index_and_its_tag_last(remote: Remote, push: Push) -> None:
    children = make_image("a"), make_image("b")
    for child in children:
        push(child)
    index = make_index(*children)
    push(index, "v1", children=children)
    assert run_all(make_policy()).state == State.SUCCEEDED
    puts = [name for what, _repository, name in remote.asked if what == "put"]
    assert set(puts[:2]) == {child.digest for child in children}
    assert puts[2:] == ["v1"]
    assert remote.tags == {("team/app", "v1"): index.digest}
    sent = [name for what, _repository, name in remote.asked if what == "send"]
    assert len(sent) == len(set(sent)) == 4


def test_nothing_to_do_costs_one_question_a_tag(remote: Remote, push: Push) -> None:
    push(make_image("one"), "v1")
    push(make_image("one"), "v2")
    policy = make_policy()
    run_all(policy)
    remote.asked.clear()
    execution = run_all(policy)
    assert sorted(remote.asked) == [("tag", "team/app", "v1"), ("tag", "team/app", "v2")]
    assert execution.task_count == 1
    assert Task.objects.get(execution=execution).result["there"] == 2


def test_what_is_attached_later_follows(remote: Remote, push: Push) -> None:
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
    assert ("team/app", signature.digest) in remote.manifests
    assert remote.tags["team/app", by_tag] == make_image("old").digest
    remote.asked.clear()
    run_all(policy)
    assert remote.asked == [("tag", "team/app", "v1")]


def test_a_layer_is_mounted_from_where_the_policy_put_it(remote: Remote, push: Push) -> None:
    layer = b"a layer that both have"
    push(make_image("one", layers=(layer,)), "v1", "first")
    push(make_image("two", layers=(layer,)), "v1", "second")
    run_all(make_policy(namespace="n"))
    asked = [(what, name) for what, _repository, name in remote.asked if what in {"mount", "send"}]
    assert sorted(what for what, name in asked if name == digest_of(layer)) == ["mount", "send"]


def test_a_tag_that_differs_stays_where_nothing_is_overridden(remote: Remote, push: Push) -> None:
    push(make_image("one"), "v1")
    push(make_image("two"), "v2")
    remote.tags["team/app", "v1"] = "sha256:" + "1" * 64
    execution = run_all(make_policy(is_overriding=False))
    assert remote.tags["team/app", "v1"] == "sha256:" + "1" * 64
    assert remote.tags["team/app", "v2"] == make_image("two").digest
    plan = Task.objects.filter(execution=execution).first()
    assert plan is not None
    assert (plan.result["kept"], plan.result["planned"]) == (1, 1)


def test_only_what_the_filters_take(remote: Remote, push: Push, team: Project) -> None:
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
    assert set(remote.tags) == {("team/app", "v1")}


def test_names_that_are_too_short_are_left_out_and_said(remote: Remote, push: Push) -> None:
    push(make_image("one"), "v1")
    push(make_image("two"), "v1", "web/deep")
    execution = run_all(make_policy(namespace="n", replaced_components=2))
    assert set(remote.tags) == {("n/deep", "v1")}
    plan = Task.objects.filter(execution=execution).first()
    assert plan is not None
    assert plan.result["unnamed"] == 1


def test_what_was_deleted_or_moved_meanwhile(
    remote: Remote, push: Push, monkeypatch: pytest.MonkeyPatch
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
    assert remote.tags == {}


@pytest.mark.parametrize(
    ("failure", "told", "message"),
    [
        (RegistryUnavailableError("there does not answer"), Unavailable, "does not answer"),
        (RegistryRejectedError(401, "UNAUTHORIZED"), Denied, "name and password"),
        (RegistryRejectedError(404, "BLOB_UNKNOWN", ("sha256:1",)), NotFound, "our own registry"),
    ],
)
def test_what_goes_wrong_is_said_in_our_words(
    remote: Remote, push: Push, failure: RegistryError, told: type[Exception], message: str
) -> None:
    push(make_image("one"), "v1")
    remote.failure = failure
    with pytest.raises(told, match=message):
        run_all(make_policy())


def test_a_plan_is_made_once_however_often_it_is_tried(remote: Remote, push: Push) -> None:
    push(make_image("one"), "v1")
    execution = executions.create(KIND, actor=SYSTEM_ACTOR, policy_id=make_policy())
    lease = timezone.now() + datetime.timedelta(minutes=1)
    Task.objects.update(state=State.RUNNING, lease_until=lease)
    for _attempt in range(2):
        task = Task.objects.select_related("execution").get(execution=execution, subject="")
        engine.run(Run(task))
    execution.refresh_from_db()
    assert execution.task_count == Task.objects.filter(execution=execution).count() == 2
