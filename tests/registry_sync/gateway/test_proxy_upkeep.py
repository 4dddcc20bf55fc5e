"""Proxy projects beside collection, checks, expiry, trash and replication."""

from pathlib import Path

import pytest
from pytest_django import Settings

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import (
    dispatch,
    fsck,
    image_analysis,
    purging,
    remote_registries,
    restoring,
    statistics,
    tasks,
    trash,
)
from registry_sync.models import (
    Artifact,
    BlobFetch,
    ImageAnalysis,
    ProxyCheck,
    PullTotal,
    Repository,
    State,
    Tag,
    Task,
    TaskLog,
    TrashEntry,
)
from registry_sync.reconciling import engine as reconciling
from registry_sync.replication import clients
from tests.factories import Image, digest_of, make_artifact, make_image, make_index
from tests.fakes import FakeRegistry
from tests.registry_sync.collecting import Shelf, collect, log_of, pass_time
from tests.registry_sync.gateway.conftest import Caller, pull, told, whole
from tests.registry_sync.gateway.proxied import Upstream, about, until
from tests.registry_sync.replication.there import There, make_policy, run_all
from tests.registry_sync.retaining import age, confirmed, perform, policy_of, rule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shelf(tmp_path: Path, settings: Settings) -> Shelf:
    """An empty storage."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return Shelf(tmp_path)


@pytest.fixture
def registry(registry: FakeRegistry, shelf: Shelf) -> FakeRegistry:
    """A registry that writes to the storage what it is given."""
    upload, put = registry.upload, registry.put_manifest

    def link(name: str, digest: str, kind: str) -> None:
        project, path = name.split("/", 1)
        shelf.link(Repository(project=Project(registry_key=project), path=path), digest, kind)

    def uploaded(name: str, content: bytes) -> str:
        link(name, shelf.write(content), "layer")
        return upload(name, content)

    def put_manifest(name: str, digest: str, media_type: str, content: bytes) -> None:
        put(name, digest, media_type, content)
        link(name, shelf.write(content), "manifest")

    registry.upload = uploaded  # type: ignore[assignment,method-assign]
    registry.put_manifest = put_manifest  # type: ignore[assignment,method-assign]
    return registry


def _fetch_some(puller: Caller, image: Image, *parts: bytes, reference: str = "1") -> Artifact:
    """Pull the manifest and some of an image's blobs."""
    assert puller.get(f"hub/library/app/manifests/{reference}").status_code == 200
    for content in parts:
        assert whole(puller.get(f"hub/library/app/blobs/{digest_of(content)}")) == content
    until(lambda: not BlobFetch.objects.exists())
    artifact = Artifact.objects.get(body_id=image.digest)
    assert not artifact.is_complete
    return artifact


def _findings() -> list[str]:
    return [str(finding) for finding in fsck.findings(lambda _check: None)]


def _reconcile() -> dict[str, object]:
    parameters = reconciling.parameters_of({})
    execution = dispatch.start(reconciling.KIND, actor=SYSTEM_ACTOR, parameters=parameters)
    tasks.run_here(execution.tasks.get().pk)
    task: Task = execution.tasks.get()
    assert task.state == State.SUCCEEDED, task.message
    found: dict[str, object] = task.result
    return found


# --- Collection and checks ------------------------------------------------------------------------


def test_collection_leaves_what_an_incomplete_image_has(
    upstream: Upstream, puller: Caller, shelf: Shelf
) -> None:
    half = make_image("half", layers=(b"here" * 50, b"to come" * 50))
    gone = make_image("gone", layers=(b"removed" * 50,))
    upstream.hold("library/app:1", half)
    upstream.hold("library/app:2", gone)
    pull(puller, gone, "2")
    _fetch_some(puller, half, *half.blobs[:2])
    repository = Repository.objects.get(path="library/app")
    entry = trash.delete_artifact(repository, gone.digest, actor=SYSTEM_ACTOR)
    purging.purge(repository, entry.pk, actor=SYSTEM_ACTOR)
    pass_time()
    dry = collect(dry_run=True)
    before = shelf.bytes()
    task = collect()
    assert task.state == State.SUCCEEDED, log_of(task)
    assert before - shelf.bytes() == dry.result["found_bytes"] == task.result["freed_bytes"] > 0
    kept = [shelf.storage.size(digest_of(content)) for content in half.blobs]
    assert kept == [len(half.blobs[0]), len(half.blobs[1]), None]
    assert all(shelf.storage.size(digest_of(content)) is None for content in gone.blobs)
    assert _findings() == []
    asked = upstream.count(digest_of(half.blobs[1]))
    pull(puller, half)
    assert upstream.count(digest_of(half.blobs[1])) == asked
    assert Artifact.objects.get(body_id=half.digest).is_complete
    assert shelf.holds(repository, half)
    pull(puller, gone, "2")
    assert shelf.holds(repository, gone)
    assert _findings() == []


def test_checks_and_analysis_know_of_nothing_that_is_not_here(
    upstream: Upstream, puller: Caller
) -> None:
    half = make_image("half", layers=(b"here" * 50, b"to come" * 50))
    upstream.hold("library/app:1", half)
    _fetch_some(puller, half, *half.blobs[:2])
    assert _findings() == []
    found = _reconcile()
    assert not found.get("found"), found
    image_analysis._request_all()
    assert not ImageAnalysis.objects.exists()
    pull(puller, half)
    assert _findings() == []
    found = _reconcile()
    assert not found.get("found"), found
    image_analysis._request_all()
    assert ImageAnalysis.objects.get().digest == half.digest


# --- Trash ----------------------------------------------------------------------------------------


def test_an_incomplete_image_comes_back_from_the_trash_and_becomes_whole(
    upstream: Upstream, puller: Caller, hub: Project
) -> None:
    Project.objects.filter(pk=hub.pk).update(trash_days=1)
    half = make_image("half", layers=(b"here" * 50, b"to come" * 50))
    upstream.hold("library/app:1", half)
    _fetch_some(puller, half, *half.blobs[:2])
    repository = Repository.objects.get(path="library/app")
    entry = trash.delete_artifact(repository, half.digest, actor=SYSTEM_ACTOR)
    assert _findings() == []
    restoring.restore(repository, entry.pk, actor=SYSTEM_ACTOR)
    assert _findings() == []
    assert not Artifact.objects.live().get(body_id=half.digest).is_complete
    pull(puller, half)
    assert Artifact.objects.live().get(body_id=half.digest).is_complete
    assert _findings() == []


def test_what_came_while_an_image_was_in_the_trash_is_joined_when_it_is_pulled(
    upstream: Upstream, puller: Caller
) -> None:
    layer = b"both have it" * 50
    one, two = make_image("one", layers=(layer,)), make_image("two", layers=(layer,))
    upstream.hold("library/app:1", one)
    upstream.hold("library/app:2", two)
    _fetch_some(puller, one, one.blobs[0])
    repository = Repository.objects.get(path="library/app")
    trash.delete_artifact(repository, one.digest, actor=SYSTEM_ACTOR)
    pull(puller, two, "2")
    ProxyCheck.objects.all().delete()
    pull(puller, one)
    assert Artifact.objects.live().get(body_id=one.digest).is_complete
    assert _findings() == []


# --- Expiry ---------------------------------------------------------------------------------------


def _expire(hub: Project) -> None:
    """Let nobody have pulled anything for 8 days, and run the project's policy."""
    statistics.discard()
    age(Repository.objects.get(path="library/app"), **{"1": 8})
    PullTotal.objects.all().delete()
    days = [rule("nDaysSinceLastPull", 7), rule("nDaysSinceLastPush", 7)]
    task = perform(confirmed(policy_of(hub, *days)))
    assert task.state == State.SUCCEEDED, task.message


@pytest.mark.parametrize("then", ["in the trash", "purged"])
def test_what_expired_comes_back_with_the_next_pull(
    upstream: Upstream, puller: Caller, hub: Project, then: str
) -> None:
    one, two = make_image("one"), make_image("two")
    index = make_index(one, two)
    upstream.hold("library/app:1", index)
    upstream.manifests |= {one.digest: one, two.digest: two}
    upstream.blobs |= {digest_of(each): each for each in (*one.blobs, *two.blobs)}
    assert puller.get("hub/library/app/manifests/1").status_code == 200
    pull(puller, one, one.digest)
    pull(puller, two, two.digest)
    assert Artifact.objects.get(body_id=index.digest).is_complete
    _expire(hub)
    assert not Tag.objects.filter(artifact__isnull=False).exists()
    assert not Artifact.objects.live().exists()
    if then == "purged":
        repository = Repository.objects.get(path="library/app")
        for entry in TrashEntry.objects.all():
            purging.purge(repository, entry.pk, actor=SYSTEM_ACTOR)
    ProxyCheck.objects.all().delete()
    assert puller.get("hub/library/app/manifests/1").content == index.content
    assert _findings() == []
    pull(puller, one, one.digest)
    held = Artifact.objects.live().get(body_id=index.digest)
    assert [edge.child.digest for edge in held.references.all()] == [one.digest]
    assert not held.is_complete
    pull(puller, two, two.digest)
    held = Artifact.objects.live().get(body_id=index.digest)
    assert held.is_complete
    assert [edge.position for edge in held.references.all()] == [0, 1]
    assert held.size == len(index.content) + one.size + two.size
    assert _findings() == []


# --- Replication ----------------------------------------------------------------------------------


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> There:
    """Another registry to which everything is copied."""
    made = There()
    clients.forget()
    return made


def test_replication_sends_what_is_whole_and_says_what_is_not(
    upstream: Upstream, puller: Caller, there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, half = make_image("full"), make_image("half", layers=(b"here" * 50, b"to come" * 50))
    signature = make_artifact(
        "application/vnd.test.config",
        {"s": 1},
        ("application/vnd.test.sig", b"signed", ""),
        subject={
            "mediaType": full.media_type,
            "digest": full.digest,
            "size": len(full.content),
        },
    )
    upstream.hold("library/app:full", full)
    upstream.hold("library/app:half", half)
    upstream.manifests[signature.digest] = signature
    upstream.instead = about(full, signature)
    pull(puller, full, "full")
    # Its signature is known of, and not here.
    assert told(puller.get(f"hub/library/app/referrers/{full.digest}"))["manifests"]
    _fetch_some(puller, half, *half.blobs[:2], reference="half")
    monkeypatch.setattr(remote_registries, "client_of", lambda _address, **_via: there)
    execution = run_all(make_policy())
    assert there.tagged == {("hub/library/app", "full"): full.digest}
    assert there.manifests == {("hub/library/app", full.digest)}
    log = "".join(TaskLog.objects.filter(task__execution=execution).values_list("text", flat=True))
    assert "left out: hub/library/app:half was not wholly fetched" in log
