"""What comes from another registry, and what cannot come in whole."""

import datetime

import pytest
from django.utils import timezone

from accounts import projects
from accounts.errors import Conflict, Denied
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from accounts.projects import Changes
from registry_sync import trash
from registry_sync.client.managed import Described
from registry_sync.models import (
    Artifact,
    ImmutableRule,
    ReplicationPolicy,
    Repository,
    State,
    TagEvent,
    TaskLog,
)
from tests.factories import (
    Image,
    descriptor,
    digest_of,
    make_artifact,
    make_image,
    make_index,
    make_repository,
    push_image,
)
from tests.registry_sync.replication.remote import Remote, make_policy, state
from tests.registry_sync.replication.there import run_all

pytestmark = pytest.mark.django_db


def test_an_index_comes_with_its_images_and_signatures(remote: Remote) -> None:
    children = make_image("a"), make_image("b")
    index = make_index(*children)
    subject = descriptor(index.content, index.media_type)
    signature = make_image("signature", subject=subject)
    for image in (*children, signature):
        remote.put("base/tool", image)
    remote.put("base/tool", index, "v1", "v2")
    remote.about[index.digest] = [signature.digest]
    by_tag = f"{index.digest.replace(':', '-')}.sig"
    remote.put("base/tool", make_image("old"), by_tag)
    assert run_all(make_policy()).state == State.SUCCEEDED
    assert state() == {
        ("tool", "v1", index.digest),
        ("tool", "v2", index.digest),
        ("tool", by_tag, make_image("old").digest),
    }
    digests = set(Artifact.objects.values_list("body_id", flat=True))
    assert {child.digest for child in children} | {signature.digest} <= digests
    again = run_all(ReplicationPolicy.objects.get().pk)
    assert again.task_count == 1


def test_what_is_about_one_platform_or_about_a_signature_comes_too(remote: Remote) -> None:
    children = make_image("a"), make_image("b")
    index = make_index(*children)

    def about(image: Image, word: str) -> Image:
        made = make_image(word, subject=descriptor(image.content, image.media_type))
        remote.put("base/tool", made)
        remote.about.setdefault(image.digest, []).append(made.digest)
        return made

    for image in children:
        remote.put("base/tool", image)
    remote.put("base/tool", index, "v1")
    first = about(children[1], "of one platform")
    second = about(first, "of the signature")
    by_tag = f"{children[0].digest.replace(':', '-')}.sig"
    remote.put("base/tool", make_image("old"), by_tag)
    # A registry that means harm lets them go round in a circle.
    remote.about[second.digest] = [first.digest]
    assert run_all(make_policy()).state == State.SUCCEEDED
    digests = set(Artifact.objects.values_list("body_id", flat=True))
    assert {first.digest, second.digest} <= digests
    assert ("tool", by_tag, make_image("old").digest) in state()


def test_more_than_belongs_to_an_image_is_refused(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_sync.copying.MAX_ARTIFACTS", 3)
    image = make_image("a")
    remote.put("base/tool", image, "v1")
    subject = descriptor(image.content, image.media_type)
    signatures = [make_image(f"signature {number}", subject=subject) for number in range(4)]
    for signature in signatures:
        remote.put("base/tool", signature)
    remote.about[image.digest] = [signature.digest for signature in signatures]
    with pytest.raises(Conflict, match="more than 3"):
        run_all(make_policy())
    assert state() == set()


CHART = "application/vnd.cncf.helm.config.v1+json"


@pytest.mark.parametrize(("resource", "tags"), [("image", {"v1"}), ("artifact", {"chart"})])
def test_a_type_is_read_from_the_manifest_where_nobody_tells_it(
    remote: Remote, resource: str, tags: set[str]
) -> None:
    remote.put("base/tool", make_image("one"), "v1")
    chart = make_artifact(CHART, {"name": "tool"}, ("application/tar+gzip", b"chart", ""))
    remote.put("base/tool", chart, "chart")
    run_all(make_policy("base/tool", {"type": "resource", "value": resource}))
    assert {tag for _path, tag, _digest in state()} == tags


@pytest.mark.parametrize(("decoration", "tags"), [("matches", {"v1"}), ("excludes", {"v2"})])
def test_labels_are_told_by_a_harbor(remote: Remote, decoration: str, tags: set[str]) -> None:
    one, two = make_image("one"), make_image("two")
    remote.put("base/tool", one, "v1")
    remote.put("base/tool", two, "v2")
    remote.told = {
        one.digest: Described("IMAGE", frozenset({"ok", "more"})),
        two.digest: Described("IMAGE", frozenset()),
    }
    wanted: dict[str, object] = {"type": "label", "value": ["ok"], "decoration": decoration}
    run_all(make_policy("base/tool", wanted, kind="harbor"))
    assert {tag for _path, tag, _digest in state()} == tags


def test_a_project_is_made_where_it_is_missing(remote: Remote, admin: User) -> None:
    remote.catalogue = ["base/tool", "other/thing"]
    remote.put("base/tool", make_image("one"), "v1")
    remote.put("other/thing", make_image("two"), "v1")
    policy = make_policy("base/*")
    ReplicationPolicy.objects.update(namespace="fresh")
    run_all(policy)
    assert Project.objects.get(name="fresh").owner == admin
    assert {path for path, _tag, _digest in state()} == {"tool"}


def test_a_tag_that_moved_there_moves_here_if_that_is_wanted(remote: Remote, team: Project) -> None:
    push_image(make_repository(team, "tool"), make_image("ours"), "v1")
    remote.put("base/tool", make_image("theirs"), "v1")
    kept = make_policy(is_overriding=False)
    run_all(kept)
    assert state() == {("tool", "v1", make_image("ours").digest)}
    ReplicationPolicy.objects.update(is_overriding=True)
    run_all(kept)
    assert state() == {("tool", "v1", make_image("theirs").digest)}
    event = TagEvent.objects.filter(tag="v1").first()
    assert event is not None
    assert event.from_digest == make_image("ours").digest


def test_an_immutable_tag_stays(remote: Remote, team: Project) -> None:
    push_image(make_repository(team, "tool"), make_image("ours"), "v1")
    ImmutableRule.objects.create(project=team, tag_pattern="v*")
    remote.put("base/tool", make_image("theirs"), "v1")
    with pytest.raises(Conflict, match="immutable"):
        run_all(make_policy())
    assert state() == {("tool", "v1", make_image("ours").digest)}


def test_what_was_deleted_here_does_not_come_back(remote: Remote) -> None:
    remote.put("base/tool", make_image("one"), "v1")
    policy = make_policy()
    run_all(policy)
    repository = Repository.objects.get(path="tool")
    trash.delete_artifact(repository, make_image("one").digest, actor=SYSTEM_ACTOR)
    with pytest.raises(Conflict, match="deleted here"):
        run_all(policy)
    assert state() == set()


@pytest.mark.parametrize("changes", [Changes(is_read_only=True), Changes(storage_limit=5)])
def test_what_the_project_does_not_take(remote: Remote, team: Project, changes: Changes) -> None:
    remote.put("base/tool", make_image("one"), "v1")
    projects.update(team, changes=changes, actor=SYSTEM_ACTOR)
    with pytest.raises((Denied, Conflict)):
        run_all(make_policy())
    assert not Artifact.objects.exists()


def test_a_missing_layer_leaves_no_tag(remote: Remote) -> None:
    image = make_image("one")
    remote.put("base/tool", image, "v1")
    del remote.blobs[digest_of(image.blobs[1])]
    with pytest.raises(Conflict, match="missing"):
        run_all(make_policy())
    assert state() == set()


def test_a_manifest_that_is_another_is_refused(remote: Remote) -> None:
    good, evil = make_image("good"), make_image("evil")
    remote.put("base/tool", good, "v1")
    remote.images[good.digest] = evil
    with pytest.raises(Conflict, match="its bytes are those of"):
        run_all(make_policy())
    assert not Artifact.objects.exists()


@pytest.mark.parametrize(
    "name", ["base/x%2f..%2ftool", "base/tool?x=1", "base/Tool", "base/to\nol", "base//tool"]
)
def test_a_name_that_is_none_is_left_out_and_said(remote: Remote, name: str) -> None:
    remote.catalogue = [name, "base/good"]
    remote.put(name, make_image("a"), "v1")
    remote.put("base/good", make_image("b"), "v1", "no tag", "../v2", "")
    policy = make_policy("base/**", replaced_components=0)
    assert run_all(policy).state == State.SUCCEEDED
    assert state() == {("base/good", "v1", make_image("b").digest)}
    assert list(Repository.objects.values_list("path", flat=True)) == ["base/good"]
    log = "".join(TaskLog.objects.values_list("text", flat=True))
    assert "cannot be a repository's name" in log
    assert all(line.count(" cannot be ") <= 1 for line in log.splitlines())


def test_what_is_attached_after_an_image_came_follows(remote: Remote) -> None:
    image = make_image("a")
    remote.put("base/tool", image, "v1", "v2")
    policy = make_policy()
    run_all(policy)
    signature = make_image("s", subject=descriptor(image.content, image.media_type))
    remote.put("base/tool", signature)
    remote.about[image.digest] = [signature.digest]
    assert run_all(policy).task_count == 2
    assert Artifact.objects.live().filter(body_id=signature.digest).exists()
    by_tag = f"{image.digest.replace(':', '-')}.sig"
    remote.put("base/tool", make_image("old"), by_tag)
    assert run_all(policy).task_count == 2
    assert ("tool", by_tag, make_image("old").digest) in state()
    assert run_all(policy).task_count == 1
    # What was deleted here is not missed, and after a week nothing is looked for.
    gone = Artifact.objects.get(body_id=signature.digest)
    trash.delete_artifact(gone.repository, signature.digest, actor=SYSTEM_ACTOR)
    assert run_all(policy).task_count == 1
    other = make_image("o", subject=descriptor(image.content, image.media_type))
    remote.put("base/tool", other)
    remote.about[image.digest].append(other.digest)
    assert run_all(policy).task_count == 2
    assert not Artifact.objects.live().filter(body_id=signature.digest).exists()
    assert Artifact.objects.live().filter(body_id=other.digest).exists()
    later = make_image("l", subject=descriptor(image.content, image.media_type))
    remote.put("base/tool", later)
    remote.about[image.digest].append(later.digest)
    Artifact.objects.update(pushed_at=timezone.now() - datetime.timedelta(days=8))
    assert run_all(policy).task_count == 1


def test_a_signature_that_was_replaced_there_follows(remote: Remote) -> None:
    """As cosign does that adds a second one: the image stays, and its tag for signatures moves."""
    image = make_image("a")
    by_tag = f"{image.digest.replace(':', '-')}.sig"
    remote.put("base/tool", image, "v1")
    remote.put("base/tool", make_image("one signature"), by_tag)
    policy = make_policy()
    run_all(policy)
    remote.put("base/tool", make_image("two signatures"), by_tag)
    assert run_all(policy).task_count == 2
    assert ("tool", by_tag, make_image("two signatures").digest) in state()
    assert run_all(policy).task_count == 1
    # One that was made here since then is not taken back.
    repository = Repository.objects.get(path="tool")
    push_image(repository, make_image("ours besides"), by_tag)
    assert run_all(policy).task_count == 1
    assert ("tool", by_tag, make_image("ours besides").digest) in state()
    # What was deleted here does not come back with another one.
    sbom = by_tag.replace(".sig", ".sbom")
    trash.delete_artifact(repository, make_image("two signatures").digest, actor=SYSTEM_ACTOR)
    remote.put("base/tool", make_image("a bill"), sbom)
    assert run_all(policy).task_count == 2
    tags = {(tag, digest) for _path, tag, digest in state()}
    assert {(by_tag, make_image("ours besides").digest), (sbom, make_image("a bill").digest)} < tags
    # After a week nothing is looked for.
    remote.put("base/tool", make_image("three signatures"), by_tag)
    Artifact.objects.update(pushed_at=timezone.now() - datetime.timedelta(days=8))
    assert run_all(policy).task_count == 1


def test_what_a_list_names_that_is_not_there_stops_nothing(remote: Remote) -> None:
    image = make_image("a")
    remote.put("base/tool", image, "v1")
    signature = make_image("s", subject=descriptor(image.content, image.media_type))
    remote.put("base/tool", signature)
    gone = "sha256:" + "0" * 64
    remote.about[image.digest] = [gone, signature.digest]
    policy = make_policy()
    assert run_all(policy).state == State.SUCCEEDED
    assert state() == {("tool", "v1", image.digest)}
    assert Artifact.objects.live().filter(body_id=signature.digest).exists()
    log = "".join(TaskLog.objects.values_list("text", flat=True))
    assert f"{gone}, said to be about {image.digest}, is not there" in log
    assert run_all(policy).task_count == 1
