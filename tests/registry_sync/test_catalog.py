"""The commit of a push: everything of it, or nothing."""

import dataclasses

import pytest
from django.db.models import Sum

from accounts import outbox, projects
from accounts.errors import Denied, NotFound, Unavailable
from accounts.models import AuditEntry, OutboxEvent, Project, User
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from registry_sync import catalog
from registry_sync.catalog import Push
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    Blob,
    ManifestBody,
    ProjectBlob,
    ProjectUsage,
    Repository,
    RepositoryBlob,
    Tag,
    TagEvent,
)
from tests.factories import (
    OCI_CONFIG,
    OCI_LAYER,
    descriptor,
    digest_of,
    make_image,
    make_index,
    make_repository,
    prepare_push,
    push_image,
)


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


def used(project: Project) -> int:
    """What the project's usage says; it must be what a recount says."""
    said: int = ProjectUsage.objects.get(project=project).used_bytes
    counted = ProjectBlob.objects.filter(project=project).aggregate(n=Sum("size"))["n"] or 0
    assert said == counted
    return said


def shown() -> tuple[int, ...]:
    """How much the catalogue shows."""
    rows = (Artifact, Tag, TagEvent, ManifestBody, ProjectBlob, ArtifactBlob, ArtifactReference)
    told = OutboxEvent.objects.filter(kind="artifact.pushed").count()
    noted = AuditEntry.objects.filter(action="create_artifact").count()
    return (*(row.objects.count() for row in rows), told, noted)


class TestArtifact:
    def test_what_is_kept_of_an_image(self, app: Repository, bob: User) -> None:
        image = make_image("known", annotations={"a": "b"})
        actor = Actor(Principal("user", "bob", bob.pk), "192.0.2.7", "r", "docker/28")
        artifact = push_image(app, image, actor=actor)
        artifact.refresh_from_db()
        assert artifact.digest == image.digest
        assert bytes(artifact.body.content) == image.content
        assert artifact.kind == Artifact.Kind.IMAGE
        assert artifact.media_type == image.media_type
        assert artifact.artifact_type == OCI_CONFIG
        assert artifact.size == image.size
        assert artifact.platform == "linux/amd64"
        assert artifact.annotations == {"a": "b"}
        assert (artifact.pushed_by_id, artifact.pushed_by_name) == (bob.pk, "bob")

    def test_config_and_layers_are_its_edges_in_their_order(self, app: Repository) -> None:
        image = make_image(layers=(b"bottom", b"top", b"bottom"))
        artifact = push_image(app, image)
        edges = ArtifactBlob.objects.filter(artifact=artifact).values_list(
            "position", "blob_id", "size", "media_type"
        )
        bottom, top = digest_of(b"bottom"), digest_of(b"top")
        assert list(edges) == [
            (0, digest_of(image.blobs[0]), len(image.blobs[0]), OCI_CONFIG),
            (1, bottom, 6, OCI_LAYER),
            (2, top, 3, OCI_LAYER),
            (3, bottom, 6, OCI_LAYER),
        ]

    def test_its_own_manifest_is_present_with_its_size(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image)
        own = RepositoryBlob.objects.get(repository=app, digest=image.digest)
        assert (own.kind, own.state) == (
            RepositoryBlob.Kind.MANIFEST,
            RepositoryBlob.State.PRESENT,
        )
        assert Blob.objects.get(digest=image.digest).size == len(image.content)

    def test_an_index_has_its_children_and_their_size(self, app: Repository) -> None:
        children = (make_image(), make_image())
        for child in children:
            push_image(app, child, tag="")
        index = make_index(*children)
        artifact = push_image(app, index, children=children)
        assert artifact.kind == Artifact.Kind.INDEX
        assert artifact.size == len(index.content) + sum(child.size for child in children)
        edges = [(edge.child.digest, edge.platform) for edge in artifact.references.all()]
        assert edges == [
            (children[0].digest, "linux/amd64"),
            (children[1].digest, "linux/arm64"),
        ]

    def test_a_subject_need_not_exist(self, app: Repository) -> None:
        subject = make_image()
        described = descriptor(subject.content, subject.media_type)
        artifact = push_image(app, make_image(subject=described))
        assert artifact.subject_digest == subject.digest

    def test_a_foreign_layer_that_is_absent_has_no_edge(self, app: Repository) -> None:
        image = make_image(layers=(b"here", b"elsewhere"))
        push = prepare_push(app, image)
        sizes = {**push.blob_sizes}
        del sizes[digest_of(b"elsewhere")]
        absent = dataclasses.replace(push, blob_sizes=sizes)
        artifact = catalog.commit_manifest(app, absent, actor=SYSTEM_ACTOR)
        assert not artifact.blobs.filter(blob_id=digest_of(b"elsewhere")).exists()
        assert artifact.size == image.size - len(b"elsewhere")

    def test_the_same_manifest_again_keeps_the_artifact(self, app: Repository) -> None:
        image = make_image()
        first = push_image(app, image)
        assert push_image(app, image).pk == first.pk
        assert push_image(app, image, "other").pk == first.pk
        assert ArtifactBlob.objects.count() == 2

    def test_the_same_manifest_in_another_repository_is_another_artifact(
        self, app: Repository, team: Project
    ) -> None:
        image = make_image()
        first = push_image(app, image)
        assert push_image(make_repository(team, "other"), image).pk != first.pk
        assert ManifestBody.objects.count() == 1

    def test_the_repository_is_shown_from_its_first_push_on(self, app: Repository) -> None:
        assert not Repository.objects.pushed().exists()
        push_image(app)
        assert Repository.objects.pushed().get() == app


class TestTag:
    def test_a_new_tag_is_an_event_from_nothing(self, app: Repository, bob: User) -> None:
        image = make_image()
        actor = Actor(Principal("user", "bob", bob.pk), "192.0.2.7", "r", "docker/28")
        push_image(app, image, "v1", actor=actor)
        event = TagEvent.objects.get()
        assert (event.tag, event.from_digest, event.to_digest) == ("v1", "", image.digest)
        assert (event.actor_name, event.actor_id) == ("bob", bob.pk)
        assert (event.address, event.client) == ("192.0.2.7", "docker/28")

    def test_a_moved_tag_is_an_event_from_the_old_digest(self, app: Repository) -> None:
        one, two = make_image(), make_image()
        push_image(app, one, "v1")
        push_image(app, two, "v1")
        event = TagEvent.objects.order_by("-id")[0]
        assert (event.from_digest, event.to_digest) == (one.digest, two.digest)
        assert Tag.objects.get().artifact_id == Artifact.objects.get(body_id=two.digest).pk

    def test_a_tag_that_did_not_move_is_no_event(self, app: Repository) -> None:
        image = make_image()
        push_image(app, image, "v1")
        push_image(app, image, "v1")
        assert TagEvent.objects.count() == 1

    def test_a_push_by_digest_moves_none(self, app: Repository) -> None:
        push_image(app, tag="")
        assert not Tag.objects.exists()
        assert not TagEvent.objects.exists()

    def test_tags_that_differ_in_case_are_two(self, app: Repository) -> None:
        push_image(app, tag="v1")
        push_image(app, tag="V1")
        assert Tag.objects.count() == 2


class TestUsage:
    def test_a_push_counts_manifest_config_and_layers(self, app: Repository, team: Project) -> None:
        image = make_image(layers=(b"one", b"two", b"one"))
        push_image(app, image)
        assert used(team) == image.size

    def test_what_a_project_has_counts_once(self, app: Repository, team: Project) -> None:
        shared = b"a shared layer"
        one, two = make_image(layers=(shared,)), make_image(layers=(shared, b"more"))
        push_image(app, one)
        push_image(app, one, "again")
        push_image(make_repository(team, "other"), two)
        push_image(make_repository(team, "third"), one)
        assert used(team) == one.size + two.size - len(shared)

    def test_each_project_counts_for_itself(
        self, app: Repository, team: Project, library: Project
    ) -> None:
        image = make_image()
        push_image(app, image)
        push_image(make_repository(library), image)
        assert used(team) == used(library) == image.size

    def test_an_index_adds_only_its_own_bytes(self, app: Repository, team: Project) -> None:
        child = make_image()
        push_image(app, child)
        index = make_index(child)
        push_image(app, index, "multi", children=(child,))
        assert used(team) == child.size + len(index.content)

    def test_the_limit_may_be_reached_exactly(self, app: Repository, team: Project) -> None:
        image = make_image()
        Project.objects.filter(pk=team.pk).update(storage_limit=image.size)
        push_image(app, image)
        assert used(team) == image.size

    def test_one_byte_over_the_limit_is_denied_and_leaves_nothing(
        self, app: Repository, team: Project
    ) -> None:
        image = make_image()
        Project.objects.filter(pk=team.pk).update(storage_limit=image.size - 1)
        refuse(app, prepare_push(app, image, "v1"), Denied)
        assert not ProjectUsage.objects.filter(used_bytes__gt=0).exists()

    def test_what_is_there_already_may_be_pushed_in_a_full_project(
        self, app: Repository, team: Project
    ) -> None:
        image = make_image()
        push_image(app, image)
        Project.objects.filter(pk=team.pk).update(storage_limit=1)
        push_image(app, image, "again")
        assert used(team) == image.size


def refuse(repository: Repository, push: Push, error: type[Exception]) -> None:
    """Commit what must not be; nothing of it may stay."""
    before = shown()
    with pytest.raises(error):
        catalog.commit_manifest(repository, push, actor=SYSTEM_ACTOR)
    assert shown() == before
    repository.refresh_from_db()
    assert repository.pushed_at is None


class TestRefused:
    """Whatever is found under the locks."""

    @pytest.fixture
    def push(self, app: Repository) -> Push:
        """A push that could be committed."""
        return prepare_push(app, make_image(layers=(b"layer",)), "v1")

    @pytest.mark.parametrize("state", [Blob.State.DELETING, Blob.State.GONE])
    def test_a_blob_that_is_collected(self, app: Repository, push: Push, state: str) -> None:
        Blob.objects.filter(digest=digest_of(b"layer")).update(state=state)
        refuse(app, push, Unavailable)

    def test_a_blob_of_another_generation(self, app: Repository, push: Push) -> None:
        Blob.objects.filter(digest=digest_of(b"layer")).update(generation=0)
        refuse(app, push, Unavailable)

    def test_a_manifest_of_another_generation(self, app: Repository, push: Push) -> None:
        Blob.objects.filter(digest=push.manifest.digest).update(generation=0)
        refuse(app, push, Unavailable)

    def test_a_child_that_was_removed(self, app: Repository, push: Push) -> None:
        children = frozenset({make_image().digest})
        refuse(app, dataclasses.replace(push, child_digests=children), Unavailable)

    def test_a_deleted_project(self, app: Repository, push: Push, team: Project) -> None:
        projects.remove(team, actor=SYSTEM_ACTOR)
        refuse(app, push, NotFound)

    def test_a_read_only_project(self, app: Repository, push: Push, team: Project) -> None:
        Project.objects.filter(pk=team.pk).update(is_read_only=True)
        refuse(app, push, Denied)

    def test_a_push_without_its_event(
        self, app: Repository, push: Push, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The event is written in the transaction of the push itself."""

        def fail(*_args: object, **_more: object) -> None:
            raise RuntimeError

        monkeypatch.setattr(outbox, "emitted", fail)
        refuse(app, push, RuntimeError)


def test_audit_and_outbox_tell_of_the_push(app: Repository, bob: User) -> None:
    image = make_image()
    actor = Actor(Principal("user", "bob", bob.pk), "192.0.2.7", "r")
    push_image(app, image, "v1", actor=actor)
    entry = AuditEntry.objects.get(action="create_artifact")
    assert (entry.resource, entry.actor_name) == ("team/app:v1", "bob")
    assert entry.detail == {"digest": image.digest}
    event = OutboxEvent.objects.get(kind="artifact.pushed")
    assert event.payload["repository"] == "team/app"
    assert (event.payload["digest"], event.payload["tag"]) == (image.digest, "v1")
