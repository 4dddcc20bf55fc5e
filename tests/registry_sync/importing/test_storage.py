"""An import from the storage in place: what comes in, what stays out, and why."""

from pathlib import Path
from typing import Any

import pytest

from accounts.models import AuditEntry, Project
from registry_sync import fsck, tasks, trash
from registry_sync.failpoints import FailpointError
from registry_sync.importing import engine
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    Blob,
    ManifestBody,
    ProjectUsage,
    ReportLine,
    Repository,
    RepositoryBlob,
    State,
    Tag,
    TagEvent,
)
from registry_sync.storage.filesystem import blob_path
from tests.conftest import Cast
from tests.factories import digest_of, encoded, make_image, make_index, push_image
from tests.registry_sync.importing.conftest import Import
from tests.registry_sync.jobs import actor_of
from tests.registry_sync.plain_storage import (
    PUSHED_AT,
    layer_link,
    put_blob,
    put_image,
    revision_link,
)

pytestmark = pytest.mark.django_db


def left(execution: Any) -> dict[str, str]:
    lines = ReportLine.objects.of(execution.pk).filter(outcome=ReportLine.Outcome.LEFT)
    return dict(lines.values_list("subject", "reason"))


def test_images_indexes_and_tags_come_in(storage: Path, run_import: Import) -> None:
    one, other = make_image("one"), make_image("two", layers=(b"shared", b"layer of one"))
    index = make_index(one, other)
    put_image(storage, "team/app", one, "1.0", "latest")
    put_image(storage, "team/app", other)
    put_image(storage, "team/app", index, "all")
    put_image(storage, "team/other/deep", one, "x")
    execution = run_import()
    assert execution.state == State.SUCCEEDED, execution.tasks.get().message
    assert execution.tasks.get().result == {
        "images": 4,
        "tags": 4,
        "unchanged": 0,
        "left": 0,
        # A layer that both images have counts once.
        "bytes": one.size * 2 + other.size + index.size - len(b"layer of one"),
    }
    repository = Repository.objects.get(path="app")
    assert repository.registry_name == "team/app"
    assert repository.pushed_at == PUSHED_AT
    artifact = Artifact.objects.get(repository=repository, body_id=index.digest)
    assert artifact.kind == Artifact.Kind.INDEX
    assert artifact.size == len(index.content) + one.size + other.size
    children = artifact.references.order_by("position").values_list("child__body_id", flat=True)
    assert list(children) == [one.digest, other.digest]
    image = Artifact.objects.get(repository=repository, body_id=one.digest)
    assert (image.os, image.author, image.pushed_at) == ("linux", "one", PUSHED_AT)
    assert bytes(ManifestBody.objects.get(pk=one.digest).content) == one.content
    tag = Tag.objects.get(repository=repository, name="latest")
    assert (tag.artifact_id, tag.pushed_at) == (image.pk, PUSHED_AT)
    event = TagEvent.objects.get(repository=repository, tag="latest")
    assert (event.to_digest, event.action, event.at) == (one.digest, "push", PUSHED_AT)
    assert list(fsck.findings(lambda check: None)) == []
    assert AuditEntry.objects.filter(action="import_repository").count() == 2


def test_what_an_import_wrote_is_what_a_push_writes(
    storage: Path, run_import: Import, team: Project
) -> None:
    image = make_image("one", layers=(b"a", b"b", b"a"))
    index = make_index(image)
    put_image(storage, "copy/app", image, "1")
    put_image(storage, "copy/app", index, "2")
    run_import()
    repository = Repository.objects.create(project=team, path="app")
    pushed = (
        push_image(repository, image, "1"),
        push_image(repository, index, "2", children=(image,)),
    )
    skipped = {"id", "repository_id", "pushed_by_id", "pushed_by_name", "pushed_at", "created_at"}
    for artifact in pushed:
        copy = Artifact.objects.get(repository__project__name="copy", body_id=artifact.digest)
        for field in Artifact._meta.concrete_fields:
            name = field.attname
            assert name in skipped or getattr(copy, name) == getattr(artifact, name), name
        edges = [
            list(
                ArtifactBlob.objects.filter(artifact=a).values_list(
                    "blob_id", "position", "media_type", "size"
                )
            )
            for a in (artifact, copy)
        ]
        assert edges[0] == edges[1]
    links = [
        set(RepositoryBlob.objects.filter(repository=r).values_list("digest", "kind", "state"))
        for r in (repository, Repository.objects.get(project__name="copy"))
    ]
    assert links[0] == links[1]
    usages = ProjectUsage.objects.order_by("used_bytes").values_list("used_bytes", flat=True)
    assert usages[0] == usages[1] == image.size + index.size


def test_a_second_run_changes_nothing(storage: Path, run_import: Import) -> None:
    put_image(storage, "team/app", make_image("one"), "1.0", "latest")
    run_import()
    before = list(TagEvent.objects.values()), list(ProjectUsage.objects.values())
    execution = run_import()
    assert execution.tasks.get().result == {
        "images": 0,
        "tags": 0,
        "bytes": 0,
        "unchanged": 3,
        "left": 0,
    }
    assert before == (list(TagEvent.objects.values()), list(ProjectUsage.objects.values()))


def test_a_run_that_was_killed_goes_on_and_counts_once(
    storage: Path, run_import: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BATCH", 2)
    for number in range(5):
        put_image(storage, f"team/app{number}", make_image(f"image {number}"), "1")
    calls: list[int] = []

    def third(place: str) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise FailpointError(place)

    monkeypatch.setattr(engine, "hit", third)
    execution = run_import()
    assert execution.state == State.FAILED
    assert 0 < Artifact.objects.count() < 5
    # As the sweep does for a worker that died: the same task again.
    task = execution.tasks.get()
    monkeypatch.setattr(engine, "hit", lambda place: None)
    type(task).objects.filter(pk=task.pk).update(state=State.QUEUED, finished_at=None)
    type(execution).objects.filter(pk=execution.pk).update(
        state=State.QUEUED, failed_count=0, finished_at=None
    )
    tasks.run_here(task.pk)
    task.refresh_from_db()
    assert task.state == State.SUCCEEDED
    assert (task.result["images"], task.result["left"]) == (5, 0)
    assert Artifact.objects.count() == 5


def test_a_tag_that_moved_here_since_stays(
    storage: Path, run_import: Import, team: Project
) -> None:
    put_image(storage, "team/app", make_image("old"), "1.0")
    newer = push_image(
        Repository.objects.create(project=team, path="app"), make_image("new"), "1.0"
    )
    execution = run_import()
    assert Tag.objects.get(name="1.0").artifact == newer
    assert left(execution) == {"team/app:1.0": f"the tag is here and points to {newer.digest}"}
    assert Artifact.objects.count() == 2


def test_what_was_deleted_here_stays_deleted(storage: Path, run_import: Import, cast: Cast) -> None:
    image = make_image("one")
    put_image(storage, "team/app", image, "1.0")
    run_import()
    used = ProjectUsage.objects.get().used_bytes
    repository = Repository.objects.get()
    trash.delete_artifact(repository, image.digest, actor=actor_of(cast.admin))
    execution = run_import()
    assert left(execution) == {f"team/app@{image.digest}": "it was deleted here"}
    assert not Tag.objects.exists()
    assert (used, ProjectUsage.objects.get().used_bytes) == (image.size, 0)


def test_what_cannot_come_in_is_left_and_said_why(storage: Path, run_import: Import) -> None:
    fine = make_image("fine")
    put_image(storage, "team/app", fine, "fine")
    for name in ("alpine", "a__b/app"):
        put_image(storage, name, fine, "1")
    gone = make_image("gone")
    put_image(storage, "team/gone", gone, "1")
    blob_path(storage, digest_of(gone.blobs[1])).unlink()
    unlinked = make_image("unlinked")
    put_image(storage, "team/unlinked", unlinked, "1")
    layer_link(storage, "team/unlinked", digest_of(unlinked.blobs[1])).unlink()
    index = make_index(fine, gone)
    put_image(storage, "team/gone", index, "all")
    put_image(storage, "team/gone", fine)
    broken = put_blob(storage, b"{")
    revision_link(storage, "team/app", broken).parent.mkdir(parents=True)
    revision_link(storage, "team/app", broken).write_text(broken)
    old = encoded({"schemaVersion": 1, "name": "x"})
    put_image(storage, "team/old", make_image("x").__class__("", old), "1")
    rotten = make_image("rotten")
    put_image(storage, "team/rotten", rotten, "1")
    blob_path(storage, rotten.digest).write_bytes(fine.content)
    execution = run_import()
    assert execution.state == State.SUCCEEDED
    reasons = left(execution)
    assert reasons.keys() == {
        "alpine",
        "a__b/app",
        f"team/gone@{gone.digest}",
        f"team/gone@{index.digest}",
        f"team/unlinked@{unlinked.digest}",
        f"team/app@{broken}",
        f"team/old@{digest_of(old)}",
        f"team/rotten@{rotten.digest}",
    }
    assert reasons[f"team/gone@{gone.digest}"] == f"{digest_of(gone.blobs[1])} is missing"
    assert reasons[f"team/gone@{index.digest}"] == "a manifest of the index did not come in"
    assert "not supported" in reasons[f"team/old@{digest_of(old)}"]
    assert Artifact.objects.count() == 2
    assert ProjectUsage.objects.get().used_bytes == fine.size
    assert list(fsck.findings(lambda check: None)) == []


def test_the_quota_takes_what_fits(storage: Path, run_import: Import, team: Project) -> None:
    base = b"a layer of all of them"
    images = [make_image(f"image {number}", layers=(base, b"%d" % number)) for number in range(4)]
    for number, image in enumerate(images):
        put_image(storage, "team/app", image, f"{number}")
    fits = images[0].size * 2 - len(base)
    Project.objects.filter(pk=team.pk).update(storage_limit=fits)
    execution = run_import()
    assert execution.state == State.SUCCEEDED, execution.tasks.get().message
    assert Artifact.objects.count() == 2
    assert ProjectUsage.objects.get().used_bytes == fits
    assert len(left(execution)) == 2
    assert all("storage limit" in reason for reason in left(execution).values())


def test_what_is_being_collected_is_left_for_later(storage: Path, run_import: Import) -> None:
    image = make_image("one")
    put_image(storage, "team/app", image, "1")
    run_import()
    other = make_image("two", layers=image.blobs[1:])
    put_image(storage, "team/app", other, "2")
    layer = digest_of(image.blobs[1])
    Blob.objects.filter(pk=layer).update(state=Blob.State.DELETING)
    execution = run_import()
    assert left(execution) == {f"team/app@{other.digest}": f"{layer} is being collected; try later"}
    assert Tag.objects.count() == 1
