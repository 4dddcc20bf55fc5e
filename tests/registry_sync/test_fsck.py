"""fsck: silent where all is well, and one finding for each kind of damage."""

import datetime
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import dispatch, executions, fsck, scrub, tasks, upstream
from registry_sync.configured_storage import storage as configured_storage
from registry_sync.findings import Finding
from registry_sync.garbage_epoch import InterlockError
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    Blob,
    Execution,
    ManifestBody,
    ProjectUsage,
    RepositoryBlob,
    State,
    Tag,
    Task,
)
from registry_sync.storage.filesystem import blob_path
from tests.conftest import Cast
from tests.factories import digest_of, make_image, make_index, make_repository, push_image

pytestmark = pytest.mark.django_db


@pytest.fixture
def storage(team: Project, tmp_path: Path, settings: Any) -> Path:
    """Push an image and an index; return the storage that holds their bytes."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    repository = make_repository(team)
    image = make_image("one")
    index = make_index(image)
    push_image(repository, image, "1.0")
    push_image(repository, index, "2.0", children=(image,))
    for content in (image.content, index.content, *image.blobs):
        path = blob_path(tmp_path, digest_of(content))
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return tmp_path


def found(storage: Path) -> set[str]:
    """Return the checks that find something."""
    return {finding.check for finding in fsck.findings(lambda check: None)}


def test_nothing_is_found_where_all_is_well(storage: Path) -> None:
    assert list(fsck.findings(lambda check: None)) == []


def _lose_tag() -> None:
    Tag.objects.filter(name="1.0").update(artifact=None)


def _spoil_manifest() -> None:
    ManifestBody.objects.filter(artifacts__tags__name="1.0").update(content=b"{}")


def _spoil_usage() -> None:
    ProjectUsage.objects.update(used_bytes=1)


def _spoil_state() -> None:
    Blob.objects.filter(artifacts__isnull=False).update(state=Blob.State.GONE)


def _unlink() -> None:
    RepositoryBlob.objects.all().delete()


def _mark_what_nothing_needs() -> None:
    Blob.objects.create(
        digest=f"sha256:{'0' * 64}", generation=1, touched_at=timezone.now(), is_settled=True
    )


def _lose_lease() -> None:
    execution = Execution.objects.create(
        kind="test", trigger="manual", task_count=1, created_at=timezone.now(), state=State.RUNNING
    )
    long_ago = timezone.now() - datetime.timedelta(hours=1)
    Task.objects.create(
        execution=execution,
        kind="test",
        state=State.RUNNING,
        lease_until=long_ago,
        run_after=long_ago,
        created_at=long_ago,
    )


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (_lose_tag, "tag"),
        (_spoil_manifest, "manifest"),
        (_spoil_usage, "quota"),
        (_spoil_state, "blob"),
        (_unlink, "link"),
        (_mark_what_nothing_needs, "mark"),
        (_lose_lease, "lease"),
    ],
)
def test_damage_in_the_tables_is_found(storage: Path, spoil: object, check: str) -> None:
    assert callable(spoil)
    spoil()
    assert found(storage) == {check}


@pytest.mark.parametrize("content", [None, b"short"])
def test_damage_in_the_storage_is_found(storage: Path, content: bytes | None) -> None:
    layer = ArtifactBlob.objects.filter(position=1).values_list("blob_id", flat=True)[0]
    path = blob_path(storage, layer)
    path.unlink() if content is None else path.write_bytes(content)
    (finding,) = fsck.findings(lambda check: None)
    assert (finding.check, finding.subject) == ("blob", layer)


def test_what_lies_in_the_trash_is_no_finding_unless_an_index_needs_it(storage: Path) -> None:
    child = Artifact.objects.get(kind=Artifact.Kind.IMAGE)
    assert child.parents.count() == 1


def test_the_command_tells_people_and_programs(storage: Path) -> None:
    out = io.StringIO()
    call_command("fsck", stdout=out)
    assert "0 findings" in out.getvalue()
    _spoil_usage()
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("fsck", "--json", stdout=out)
    assert ended.value.code == 1
    report = json.loads(out.getvalue())
    assert not report["clean"]
    assert report["findings"][0]["check"] == "quota"
    assert report["checked"]["blob"] == 4


@pytest.fixture
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda ids: None)


@pytest.mark.usefixtures("_no_broker")
def test_the_job_succeeds_or_names_the_damage(storage: Path, cast: Cast) -> None:
    for expected in (State.SUCCEEDED, State.FAILED):
        execution = dispatch.start("fsck", actor=SYSTEM_ACTOR)
        tasks.run_task(execution.tasks.get().pk)
        execution.refresh_from_db()
        task = execution.tasks.get()
        assert execution.state == expected, task.message
        _spoil_usage()
    assert task.message == "1 findings; the log names each"
    assert task.result["findings"] == 1
    assert "quota: team:" in task.logs.get().text


@pytest.mark.usefixtures("_no_broker")
def test_housekeeping_runs_as_a_job() -> None:
    execution = dispatch.start("housekeeping", actor=SYSTEM_ACTOR)
    tasks.run_task(execution.tasks.get().pk)
    execution.refresh_from_db()
    assert execution.state == State.SUCCEEDED, execution.tasks.get().message
    assert executions.stop(execution.pk, actor=SYSTEM_ACTOR).state == State.SUCCEEDED


class TestDeep:
    """Reading every byte."""

    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scrub, "_SETTLE_SECONDS", 0)

    def deep(self, storage: Path, *, is_repairing: bool = False) -> list[Finding]:
        depth = fsck.Depth(is_deep=True, is_repairing=is_repairing)
        return list(fsck.findings(lambda check: None, depth))

    def test_nothing_is_found_where_all_is_well(self, storage: Path) -> None:
        assert self.deep(storage) == []

    def test_one_flipped_byte_is_found(self, storage: Path) -> None:
        layer = ArtifactBlob.objects.filter(position=1).values_list("blob_id", flat=True)[0]
        path = blob_path(storage, layer)
        content = bytearray(path.read_bytes())
        content[0] ^= 1
        path.write_bytes(content)
        assert found(storage) == set()
        (finding,) = self.deep(storage)
        assert (finding.check, finding.subject) == ("content", layer)
        assert digest_of(bytes(content)) in finding.problem
        assert path.exists()

    def test_a_damaged_layer_is_set_aside_so_that_it_can_come_again(self, storage: Path) -> None:
        layer = ArtifactBlob.objects.filter(position=1).values_list("blob_id", flat=True)[0]
        blob_path(storage, layer).write_bytes(b"rot")
        (finding,) = [f for f in self.deep(storage, is_repairing=True) if f.check == "content"]
        assert not finding.is_mended
        assert not blob_path(storage, layer).exists()
        kept = storage / "moorage/damaged" / layer.removeprefix("sha256:") / "data"
        assert kept.read_bytes() == b"rot"
        states = RepositoryBlob.objects.filter(digest=layer).values_list("state", flat=True)
        assert set(states) == {RepositoryBlob.State.EXPECTED}

    def test_a_damaged_manifest_is_stored_again(
        self, storage: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = make_image("one")
        blob_path(storage, image.digest).write_bytes(image.content.replace(b"{", b"[", 1))

        class Registry:
            def put_manifest(self, name: str, digest: str, kind: str, content: bytes) -> None:
                blob_path(storage, digest).parent.mkdir(parents=True)
                blob_path(storage, digest).write_bytes(content)

        monkeypatch.setattr(upstream, "registry", Registry())
        (finding,) = self.deep(storage, is_repairing=True)
        assert finding.is_mended
        assert self.deep(storage) == []

    def test_nothing_is_mended_in_a_storage_of_another_life(self, storage: Path) -> None:
        self.deep(storage, is_repairing=True)
        configured_storage().write_marker("of another life")
        with pytest.raises(InterlockError):
            self.deep(storage, is_repairing=True)
        assert self.deep(storage) == []
