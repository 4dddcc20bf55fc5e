"""Copies and tags without a push: everything that belongs together, and no byte of a layer."""

from collections.abc import Callable

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import projects
from accounts.crypto import ensure_keys
from accounts.errors import BadRequest, Conflict, Denied, NotFound, Unavailable
from accounts.models import AuditEntry, Project
from accounts.principals import SYSTEM_ACTOR
from accounts.projects import Changes
from registry_sync import copying, trash, upstream
from registry_sync.client.errors import RegistryUnavailableError
from registry_sync.copying import Part
from registry_sync.models import (
    Artifact,
    ProjectUsage,
    Repository,
    RepositoryBlob,
    Tag,
    TagEvent,
)
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
Pushed = Callable[..., Artifact]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, settings: Settings, cast: object) -> FakeRegistry:
    """Put a registry in memory behind."""
    fake = FakeRegistry()
    monkeypatch.setattr(upstream, "registry", fake)
    ensure_keys(settings.MOORAGE_KEYS)
    return fake


@pytest.fixture
def app(team: Project) -> Repository:
    """Make the repository that is copied from."""
    return make_repository(team, "app")


@pytest.fixture
def pushed(registry: FakeRegistry, app: Repository) -> Pushed:
    """Return a function that pushes for real: into the registry and into the catalogue."""

    def push(image: Image, tag: str = "", children: tuple[Image, ...] = ()) -> Artifact:
        upload_blobs(registry, app, image)
        registry.put_manifest(app.registry_name, image.digest, image.media_type, image.content)
        return push_image(app, image, tag, children=children)

    return push


def copy(source: Artifact, project: Project, *tags: str, path: str = "copy") -> Artifact:
    found = Artifact.objects.select_related("repository__project", "body").get(pk=source.pk)
    return copying.copy(found, project=project, path=path, tags=tags, actor=SYSTEM_ACTOR)


def test_an_image_alone_is_found_so_by_one_question(
    pushed: Pushed, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    image = make_image("one")
    artifact = pushed(image, "v1")
    with django_assert_num_queries(1):
        assert copying.parts_of(artifact) == [Part(artifact)]
    signature = pushed(make_image("two"), f"{image.digest.replace(':', '-')}.sig")
    assert [part.artifact for part in copying.parts_of(artifact)] == [artifact, signature]


def state(project: Project) -> set[tuple[str, str]]:
    """Each artifact with each of its tags; with none where it has none."""
    rows = Artifact.objects.live().filter(repository__project=project)
    return {
        (artifact.digest, name)
        for artifact in rows
        for name in (artifact.tags.values_list("name", flat=True) or [""])
    }


def test_an_image_arrives_without_its_bytes_moving(
    registry: FakeRegistry, pushed: Pushed, library: Project
) -> None:
    image = make_image("one", layers=(b"first", b"second"))
    source = pushed(image, "v1")
    blobs, registry.calls = dict(registry.blobs), []
    copied = copy(source, library, "v1")
    assert state(library) == {(image.digest, "v1")}
    assert copied.size == source.size
    assert registry.blobs == blobs
    assert registry.manifests["library/copy", image.digest] == (image.media_type, image.content)
    assert {digest for name, digest in registry.links if name == "library/copy"} == set(blobs)
    assert registry.count("get_blob") == registry.count("open_blob") == 0
    assert ProjectUsage.objects.get(project=library).used_bytes == image.size
    event = TagEvent.objects.get(repository__project=library)
    assert (event.tag, event.from_digest, event.to_digest) == ("v1", "", image.digest)
    entry = AuditEntry.objects.get(action="copy_artifact")
    assert entry.detail == {"from": f"team/app@{image.digest}", "tags": ["v1"]}


def test_what_belongs_to_it_comes_along(pushed: Pushed, library: Project) -> None:
    children = make_image("a"), make_image("b")
    for child in children:
        pushed(child)
    index = make_index(*children)
    source = pushed(index, "many", children)
    signature = make_image("sig", subject=descriptor(index.content, index.media_type))
    pushed(signature)
    pushed(make_image("sig of sig", subject=descriptor(signature.content, signature.media_type)))
    by_tag = f"{children[0].digest.replace(':', '-')}.sig"
    pushed(make_image("old"), by_tag)
    pushed(make_image("unrelated"), "v1")
    copy(source, library, "one", "two")
    assert state(library) == {
        (children[0].digest, ""),
        (children[1].digest, ""),
        (index.digest, "one"),
        (index.digest, "two"),
        (signature.digest, ""),
        (
            make_image(
                "sig of sig", subject=descriptor(signature.content, signature.media_type)
            ).digest,
            "",
        ),
        (make_image("old").digest, by_tag),
    }


def test_again_it_does_nothing(registry: FakeRegistry, pushed: Pushed, library: Project) -> None:
    source = pushed(make_image("one"), "v1")
    copy(source, library, "v1")
    registry.calls = []
    copy(source, library, "v1")
    assert registry.calls == []
    assert TagEvent.objects.filter(repository__project=library).count() == 1
    assert Artifact.objects.filter(repository__project=library).count() == 1


@pytest.mark.parametrize("call", range(1, 9))
def test_broken_off_anywhere_it_leaves_no_tag_and_can_go_on(
    registry: FakeRegistry, pushed: Pushed, library: Project, call: int
) -> None:
    """The registry goes away at its ``call``-th call: three mounts and a PUT for each image."""
    children = make_image("a", layers=(b"1", b"2")), make_image("b", layers=(b"2", b"3"))
    for child in children:
        pushed(child)
    source = pushed(make_index(*children), "many", children)
    begun = len(registry.calls)
    begin = registry._begin

    def fail(method: str, repository: str, digest: str) -> None:
        begin(method, repository, digest)
        if len(registry.calls) - begun == call:
            raise RegistryUnavailableError("gone")

    registry._begin = fail  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        copy(source, library, "many")
    assert not Tag.objects.filter(repository__project=library).exists()
    registry._begin = begin  # type: ignore[method-assign]
    copy(source, library, "many")
    assert (source.digest, "many") in state(library)
    assert len(state(library)) == 3


def test_a_blob_that_is_gone_is_said(
    registry: FakeRegistry, pushed: Pushed, library: Project
) -> None:
    image = make_image("one")
    source = pushed(image, "v1")
    registry.links.discard(("team/app", digest_of(image.blobs[0])))
    with pytest.raises(NotFound, match="not in the registry"):
        copy(source, library, "v1")
    assert state(library) == set()


def test_within_a_project_nothing_is_counted_twice(pushed: Pushed, team: Project) -> None:
    image = make_image("one")
    source = pushed(image, "v1")
    copy(source, team, "v1")
    assert ProjectUsage.objects.get(project=team).used_bytes == image.size


@pytest.mark.parametrize("changes", [Changes(is_read_only=True), Changes(storage_limit=5)])
def test_what_the_destination_does_not_take(
    registry: FakeRegistry, pushed: Pushed, library: Project, changes: Changes
) -> None:
    source = pushed(make_image("one"), "v1")
    projects.update(library, changes=changes, actor=SYSTEM_ACTOR)
    library.refresh_from_db()
    with pytest.raises(Denied):
        copy(source, library, "v1")
    assert not RepositoryBlob.objects.filter(repository__project=library).exists()
    assert not any(name.startswith("library/") for name, _digest in registry.links)


@pytest.mark.parametrize(("path", "tag"), [("Upper", "v1"), ("a//b", "v1"), ("a", "-"), ("", "v1")])
def test_names_that_cannot_be(pushed: Pushed, library: Project, path: str, tag: str) -> None:
    with pytest.raises(BadRequest):
        copy(pushed(make_image("one"), "v1"), library, tag, path=path)


def test_tags_that_point_at_each_other_form_no_endless_circle(
    pushed: Pushed, library: Project
) -> None:
    one, two = make_image("one"), make_image("two")
    pushed(one, f"{two.digest.replace(':', '-')}.sig")
    source = pushed(two, f"{one.digest.replace(':', '-')}.sig")
    copy(source, library, "v1")
    assert {digest for digest, _tag in state(library)} == {one.digest, two.digest}


# --- Tags -----------------------------------------------------------------------------------------


def test_a_new_tag_asks_the_registry_nothing(
    registry: FakeRegistry, pushed: Pushed, app: Repository
) -> None:
    source = pushed(make_image("one"), "v1")
    registry.calls = []
    tag = copying.add_tag(source, "stable", actor=SYSTEM_ACTOR)
    assert (tag.name, tag.artifact_id) == ("stable", source.pk)
    assert registry.calls == []


def test_a_tag_moves_only_where_that_was_said(pushed: Pushed) -> None:
    old, new = pushed(make_image("old"), "stable"), pushed(make_image("new"), "v2")
    with pytest.raises(Conflict):
        copying.add_tag(new, "stable", actor=SYSTEM_ACTOR)
    moved = copying.add_tag(new, "stable", actor=SYSTEM_ACTOR, is_move=True)
    assert moved.artifact_id == new.pk
    event = TagEvent.objects.filter(tag="stable").first()
    assert event is not None
    assert event.action == TagEvent.Action.RETAG
    assert (event.from_digest, event.to_digest) == (old.digest, new.digest)


def test_what_was_deleted_meanwhile_gets_no_tag(pushed: Pushed, app: Repository) -> None:
    source = pushed(make_image("one"), "v1")
    trash.delete_artifact(app, source.digest, actor=SYSTEM_ACTOR)
    with pytest.raises(NotFound):
        copying.add_tag(source, "stable", actor=SYSTEM_ACTOR)
    assert not Tag.objects.filter(repository=app).exists()
