"""Pushing manifests through all seven steps."""

import datetime
from functools import partial

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from accounts import projects
from accounts.models import AuditEntry, OutboxEvent, Project, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import blobs, garbage_counters
from registry_sync.client.errors import RegistryRejectedError
from registry_sync.gateway import manifests as view
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    Blob,
    ProjectUsage,
    Repository,
    RepositoryBlob,
    Tag,
    TagEvent,
)
from registry_sync.storage.filesystem import blob_path
from tests.factories import (
    Image,
    digest_of,
    make_artifact,
    make_image,
    make_index,
    make_repository,
    push_image,
    some_digest,
    upload_blobs,
)
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Answer, Caller, Sign, error_of

V1 = "team/app/manifests/v1"


@pytest.fixture
def app(team: Project, registry: FakeRegistry) -> Repository:
    """``team/app``."""
    return make_repository(team)


@pytest.fixture
def image(app: Repository, registry: FakeRegistry) -> Image:
    """An image whose blobs were uploaded to ``team/app``."""
    image = make_image()
    upload_blobs(registry, app, image)
    return image


def put(caller: Caller, image: Image, path: str = V1) -> Answer:
    """Push a manifest."""
    return caller.put(path, image.content, image.media_type)


def nothing_happened() -> bool:
    """Tell whether the catalogue shows no trace of a push."""
    rows = (Artifact, Tag, TagEvent, ProjectUsage)
    successes = AuditEntry.objects.filter(outcome=AuditEntry.Outcome.SUCCESS)
    is_told = successes.filter(action="create_artifact").exists()
    is_announced = OutboxEvent.objects.filter(kind="artifact.pushed").exists()
    return not (is_told or is_announced or any(row.objects.exists() for row in rows))


class TestAccepted:
    def test_201_says_where_and_what(self, bob_app: Caller, image: Image) -> None:
        answer = put(bob_app, image)
        assert answer.status_code == 201
        assert answer["Location"] == f"/v2/team/app/manifests/{image.digest}"
        assert answer["Docker-Content-Digest"] == image.digest
        assert "OCI-Subject" not in answer

    def test_what_was_pushed_is_pulled(self, bob_app: Caller, image: Image) -> None:
        put(bob_app, image)
        assert bob_app.get(V1).content == image.content

    def test_the_first_push_makes_the_repository(
        self, bob_app: Caller, registry: FakeRegistry
    ) -> None:
        image = make_image()
        for blob in image.blobs:
            registry.upload("team/app", blob)
        assert put(bob_app, image).status_code == 201
        assert Repository.objects.get().pushed_at is not None

    def test_the_registry_stores_it_by_digest_alone(
        self, bob_app: Caller, image: Image, registry: FakeRegistry
    ) -> None:
        put(bob_app, image)
        assert registry.manifests == {("team/app", image.digest): (image.media_type, image.content)}

    def test_by_digest_there_is_no_tag(self, bob_app: Caller, image: Image) -> None:
        answer = put(bob_app, image, f"team/app/manifests/{image.digest}")
        assert answer.status_code == 201
        assert not Tag.objects.exists()

    def test_a_subject_is_answered_with_its_digest(
        self, bob_app: Caller, app: Repository, registry: FakeRegistry
    ) -> None:
        subject = make_image()
        described = {
            "mediaType": subject.media_type,
            "digest": subject.digest,
            "size": len(subject.content),
        }
        signature = make_image(subject=described)
        upload_blobs(registry, app, signature)
        assert put(bob_app, signature)["OCI-Subject"] == subject.digest

    def test_only_what_was_not_seen_is_asked_for(
        self, bob_app: Caller, image: Image, registry: FakeRegistry
    ) -> None:
        put(bob_app, image)
        assert registry.count("head_blob") == len(image.blobs)
        put(bob_app, image, "team/app/manifests/v2")
        assert registry.count("head_blob") == len(image.blobs)

    def test_the_manifest_is_pinned_before_the_registry_stores_it(
        self, bob_app: Caller, image: Image, registry: FakeRegistry
    ) -> None:
        seen: list[str] = []
        own = RepositoryBlob.objects.filter(digest=image.digest, kind=RepositoryBlob.Kind.MANIFEST)
        registry.meanwhile["put_manifest"] = lambda: seen.extend(
            own.values_list("state", flat=True)
        )
        put(bob_app, image)
        assert seen == [RepositoryBlob.State.EXPECTED]
        assert own.get().state == RepositoryBlob.State.PRESENT

    def test_the_images_facts_are_kept(self, bob_app: Caller, image: Image) -> None:
        put(bob_app, image)
        artifact = Artifact.objects.get()
        assert (artifact.os, artifact.architecture) == ("linux", "amd64")
        assert artifact.pushed_by_name == "bob"

    def test_a_charts_metadata_are_kept(
        self, bob_app: Caller, app: Repository, registry: FakeRegistry
    ) -> None:
        config = {"name": "web", "version": "1.2.0", "apiVersion": "v2"}
        chart = make_artifact("application/vnd.cncf.helm.config.v1+json", config)
        upload_blobs(registry, app, chart)
        assert put(bob_app, chart).status_code == 201
        assert Artifact.objects.get().config == config

    def test_the_config_is_read_from_the_storage_where_it_is_in_reach(
        self, bob_app: Caller, image: Image, registry: FakeRegistry, settings: Settings
    ) -> None:
        settings.MOORAGE_BLOB_DELIVERY = "file"
        path = blob_path(settings.MOORAGE_STORAGE_ROOT, digest_of(image.blobs[0]))
        path.parent.mkdir(parents=True)
        path.write_bytes(image.blobs[0])
        put(bob_app, image)
        assert Artifact.objects.get().os == "linux"
        assert registry.count("get_blob") == 0

    def test_an_index_keeps_its_children(
        self, bob_app: Caller, app: Repository, image: Image
    ) -> None:
        put(bob_app, image, f"team/app/manifests/{image.digest}")
        assert put(bob_app, make_index(image)).status_code == 201
        index = Tag.objects.get().artifact
        assert index is not None
        assert [edge.child.digest for edge in index.references.all()] == [image.digest]

    def test_an_index_of_blobs_keeps_them(
        self, bob_app: Caller, app: Repository, registry: FakeRegistry
    ) -> None:
        """BuildKit's cache."""
        content = b"a cached layer"
        layer = Image("application/vnd.oci.image.layer.v1.tar+gzip", content)
        registry.upload("team/app", content)
        assert put(bob_app, make_index(layer)).status_code == 201
        assert ArtifactBlob.objects.get().blob_id == digest_of(content)

    def test_a_project_made_again_is_stored_by_its_new_key(
        self, token_for: Sign, team: Project, alice: User, registry: FakeRegistry
    ) -> None:
        projects.remove(team, actor=SYSTEM_ACTOR)
        projects.create(name="team", owner=alice, actor=SYSTEM_ACTOR)
        image = make_image()
        for blob in image.blobs:
            registry.upload("team--2/app", blob)
        caller = token_for(alice, "repository:team/app:pull,push")
        assert put(caller, image).status_code == 201
        assert list(registry.manifests) == [("team--2/app", image.digest)]
        assert caller.get(V1).content == image.content


class TestRefusedBeforeTheRegistry:
    @pytest.mark.parametrize("reference", ["-v1", ".v1", "a" * 129, "v%20", "%C3%A9", "v1%0A"])
    def test_a_tag_outside_the_grammar(self, bob_app: Caller, image: Image, reference: str) -> None:
        answer = put(bob_app, image, f"team/app/manifests/{reference}")
        assert error_of(answer) == (400, "TAG_INVALID")

    @pytest.mark.parametrize(
        "reference", ["sha512:" + "0" * 128, "sha256:x", f"sha256:{'A' * 64}", "md5:00"]
    )
    def test_another_digest_than_sha256(
        self, bob_app: Caller, image: Image, reference: str
    ) -> None:
        answer = put(bob_app, image, f"team/app/manifests/{reference}")
        assert error_of(answer) == (400, "DIGEST_INVALID")

    def test_a_digest_that_is_not_the_bytes(self, bob_app: Caller, image: Image) -> None:
        answer = put(bob_app, image, f"team/app/manifests/{some_digest()}")
        assert error_of(answer) == (400, "DIGEST_INVALID")

    def test_what_is_no_manifest(self, bob_app: Caller, app: Repository) -> None:
        answer = bob_app.put(V1, b"{}", "application/vnd.oci.image.manifest.v1+json")
        assert error_of(answer) == (400, "MANIFEST_INVALID")

    @pytest.mark.parametrize("size", [4 * 1024 * 1024 + 1, 5 * 1024 * 1024])
    def test_more_than_four_mebibytes_is_413(
        self, bob_app: Caller, image: Image, size: int
    ) -> None:
        content = image.content + b" " * (size - len(image.content))
        answer = bob_app.put(V1, content, image.media_type)
        assert error_of(answer) == (413, "SIZE_INVALID")

    def test_a_read_only_project(self, bob_app: Caller, image: Image, team: Project) -> None:
        Project.objects.filter(pk=team.pk).update(is_read_only=True)
        assert error_of(put(bob_app, image)) == (403, "DENIED")

    def test_a_refusal_is_in_the_audit_once(
        self, bob_app: Caller, image: Image, team: Project
    ) -> None:
        Project.objects.filter(pk=team.pk).update(is_read_only=True)
        for _attempt in range(3):
            assert error_of(put(bob_app, image)) == (403, "DENIED")
        (entry,) = AuditEntry.objects.filter(outcome=AuditEntry.Outcome.DENIED)
        found = (entry.actor_name, entry.action, entry.resource)
        assert found == ("bob", "create_artifact", "team/app")
        assert "read-only" in entry.detail["reason"]

    def test_more_than_the_storage_limit(
        self, bob_app: Caller, image: Image, team: Project
    ) -> None:
        Project.objects.filter(pk=team.pk).update(storage_limit=image.size - 1)
        assert error_of(put(bob_app, image)) == (403, "DENIED")

    def test_a_size_that_is_not_the_blobs(
        self, bob_app: Caller, image: Image, registry: FakeRegistry
    ) -> None:
        size = f'"size": {len(image.blobs[1])}'.encode()
        wrong = Image(image.media_type, image.content.replace(size, b'"size": 1'))
        assert error_of(put(bob_app, wrong)) == (400, "MANIFEST_INVALID")

    def test_a_blob_that_was_never_uploaded(self, bob_app: Caller, app: Repository) -> None:
        assert error_of(put(bob_app, make_image())) == (400, "MANIFEST_BLOB_UNKNOWN")

    def test_a_blob_of_another_repository(
        self, bob_app: Caller, team: Project, registry: FakeRegistry
    ) -> None:
        image = make_image()
        upload_blobs(registry, make_repository(team, "other"), image)
        assert error_of(put(bob_app, image)) == (400, "MANIFEST_BLOB_UNKNOWN")

    @pytest.mark.parametrize("state", [Blob.State.DELETING, Blob.State.GONE])
    def test_a_blob_that_is_collected(self, bob_app: Caller, image: Image, state: str) -> None:
        Blob.objects.filter(digest=digest_of(image.blobs[1])).update(state=state)
        assert error_of(put(bob_app, image)) == (400, "MANIFEST_BLOB_UNKNOWN")

    def test_its_own_digest_in_collection_is_503(self, bob_app: Caller, image: Image) -> None:
        Blob.objects.create(
            digest=image.digest,
            state=Blob.State.DELETING,
            generation=1,
            touched_at="2026-01-01T00:00:00Z",
        )
        assert error_of(put(bob_app, image)) == (503, "UNAVAILABLE")

    def test_a_database_that_is_locked_is_503(
        self, bob_app: Caller, image: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_args: object) -> None:
            raise OperationalError("database is locked")

        monkeypatch.setattr(blobs, "pin", fail)
        answer = put(bob_app, image)
        assert error_of(answer) == (503, "UNAVAILABLE")
        assert answer["Retry-After"]

    def test_a_failure_nobody_expected_is_500_without_details(
        self, bob_app: Caller, image: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_args: object, **_more: object) -> None:
            raise FileNotFoundError("/srv/secret")

        monkeypatch.setattr(view, "push_manifest", fail)
        answer = put(bob_app, image)
        assert error_of(answer) == (500, "UNKNOWN")
        assert b"secret" not in answer.content

    @pytest.fixture(autouse=True)
    def _leaves_no_trace(self, registry: FakeRegistry) -> object:
        yield
        assert registry.count("put_manifest") == 0
        assert nothing_happened()


class TestRefusedByTheRegistry:
    def test_a_missing_blob_is_named_and_no_longer_present(
        self, bob_app: Caller, image: Image, app: Repository, registry: FakeRegistry
    ) -> None:
        lost = digest_of(image.blobs[1])
        registry.meanwhile["put_manifest"] = partial(registry.links.discard, ("team/app", lost))
        answer = put(bob_app, image)
        assert error_of(answer) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert lost.encode() in answer.content
        link = RepositoryBlob.objects.get(repository=app, digest=lost)
        assert link.state == RepositoryBlob.State.EXPECTED
        assert nothing_happened()
        assert bob_app.head(f"team/app/blobs/{lost}").status_code == 404
        # The client had been told that it is here.
        assert garbage_counters.counts()["unknown_after_head"] == 1

    def test_what_nobody_was_told_is_no_broken_promise(
        self, bob_app: Caller, image: Image, app: Repository, registry: FakeRegistry
    ) -> None:
        lost = digest_of(image.blobs[1])
        registry.links.discard(("team/app", lost))
        links = RepositoryBlob.objects.filter(digest=lost)
        links.update(state=RepositoryBlob.State.EXPECTED)
        assert error_of(put(bob_app, image)) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert error_of(put(bob_app, make_image())) == (400, "MANIFEST_BLOB_UNKNOWN")
        # Told, and a grace ago.
        long_ago = timezone.now() - datetime.timedelta(days=2)
        links.update(state=RepositoryBlob.State.PRESENT, touched_at=long_ago)
        Blob.objects.filter(digest=lost).update(state=Blob.State.DELETING)
        assert error_of(put(bob_app, image)) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert garbage_counters.counts()["unknown_after_head"] == 0

    def test_all_missing_blobs_are_sent_again_at_once(
        self, bob_app: Caller, image: Image, app: Repository, registry: FakeRegistry
    ) -> None:
        registry.meanwhile["put_manifest"] = registry.links.clear
        put(bob_app, image)
        for blob in image.blobs:
            assert bob_app.head(f"team/app/blobs/{digest_of(blob)}").status_code == 404

    def test_its_own_words_do_not_get_out(
        self, bob_app: Caller, image: Image, registry: FakeRegistry
    ) -> None:
        registry.failures["put_manifest"] = RegistryRejectedError(
            400, "MANIFEST_INVALID", ("/srv/secret",)
        )
        answer = put(bob_app, image)
        assert error_of(answer) == (400, "MANIFEST_INVALID")
        assert b"secret" not in answer.content
        assert nothing_happened()

    def test_no_answer_is_503(self, bob_app: Caller, image: Image, registry: FakeRegistry) -> None:
        registry.is_down = True
        assert error_of(put(bob_app, image)) == (503, "UNAVAILABLE")
        assert nothing_happened()


class TestRefusedAtTheCommit:
    """What changed while the registry stored the manifest."""

    def test_a_blob_collected_meanwhile_is_503(
        self, bob_app: Caller, image: Image, registry: FakeRegistry
    ) -> None:
        layer = Blob.objects.filter(digest=digest_of(image.blobs[1]))
        registry.meanwhile["put_manifest"] = partial(layer.update, state=Blob.State.DELETING)
        assert error_of(put(bob_app, image)) == (503, "UNAVAILABLE")
        assert nothing_happened()

    def test_a_blob_collected_and_back_meanwhile_is_503(
        self, bob_app: Caller, image: Image, registry: FakeRegistry
    ) -> None:
        layer = Blob.objects.filter(digest=digest_of(image.blobs[1]))
        registry.meanwhile["put_manifest"] = partial(layer.update, generation=0)
        assert error_of(put(bob_app, image)) == (503, "UNAVAILABLE")
        assert nothing_happened()

    def test_a_project_that_became_read_only_is_403(
        self, bob_app: Caller, image: Image, registry: FakeRegistry, team: Project
    ) -> None:
        project = Project.objects.filter(pk=team.pk)
        registry.meanwhile["put_manifest"] = partial(project.update, is_read_only=True)
        assert error_of(put(bob_app, image)) == (403, "DENIED")
        assert nothing_happened()

    def test_a_project_deleted_meanwhile_is_404(
        self, bob_app: Caller, image: Image, registry: FakeRegistry, team: Project
    ) -> None:
        registry.meanwhile["put_manifest"] = partial(projects.remove, team, actor=SYSTEM_ACTOR)
        assert error_of(put(bob_app, image)) == (404, "NAME_UNKNOWN")
        assert nothing_happened()

    def test_a_project_that_is_full_by_now_is_403(
        self, bob_app: Caller, image: Image, registry: FakeRegistry, team: Project
    ) -> None:
        project = Project.objects.filter(pk=team.pk)
        registry.meanwhile["put_manifest"] = partial(project.update, storage_limit=1)
        assert error_of(put(bob_app, image)) == (403, "DENIED")
        assert nothing_happened()


def test_a_push_over_the_limit_leaves_the_tag_where_it_was(
    bob_app: Caller, image: Image, app: Repository, team: Project, registry: FakeRegistry
) -> None:
    before = push_image(app, make_image(), "v1")
    usage = ProjectUsage.objects.get()
    Project.objects.filter(pk=team.pk).update(storage_limit=usage.used_bytes + 1)
    assert error_of(put(bob_app, image)) == (403, "DENIED")
    assert Tag.objects.get().artifact == before
    assert ProjectUsage.objects.get().used_bytes == usage.used_bytes
    assert TagEvent.objects.count() == 1
    assert registry.count("put_manifest") == 0
