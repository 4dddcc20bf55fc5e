"""An import through another registry's API, and one in place under other names."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from accounts.crypto import ensure_keys
from accounts.errors import BadRequest
from accounts.models import Project
from registry_sync import tasks, upstream
from registry_sync.client.errors import RegistryUnavailableError
from registry_sync.client.outbound import OPERATOR, Reach
from registry_sync.importing import engine
from registry_sync.importing.sources import RegistrySource
from registry_sync.models import Artifact, ProjectUsage, ReportLine, Repository, State, Tag
from tests.factories import Image, digest_of, make_image, make_index
from tests.fakes import FakeRegistry
from tests.registry_sync.importing.conftest import Import
from tests.registry_sync.plain_storage import put_image
from tests.registry_sync.strange_registry import served

pytestmark = pytest.mark.django_db
URL = "http://plain.example.com:5000"


class PlainRegistry:
    """Somebody else's registry, with the surface of ``RemoteRegistry``."""

    def __init__(self) -> None:
        """Start empty."""
        self.pointers: dict[str, dict[str, str]] = {}
        self.images: dict[tuple[str, str], Image] = {}
        self.content: dict[str, bytes] = {}
        self.sent: list[str] = []
        self.breaks_at = ""

    def put(self, name: str, image: Image, *tags: str) -> None:
        """Hold an image."""
        self.images[name, image.digest] = image
        self.content |= {digest_of(content): content for content in image.blobs}
        self.pointers.setdefault(name, {}).update(dict.fromkeys(tags, image.digest))

    def repositories(self) -> Iterator[str]:
        yield from self.pointers

    def tags(self, name: str) -> list[str]:
        return list(self.pointers[name])

    def tagged_digest(self, name: str, tag: str, *, types: frozenset[str]) -> str:
        return self.pointers[name].get(tag, "")

    def manifest(
        self, name: str, digest: str, *, types: frozenset[str], limit: int
    ) -> tuple[str, bytes] | None:
        image = self.images.get((name, digest))
        return None if image is None else (image.media_type, image.content)

    def blob_size(self, name: str, digest: str) -> int | None:
        content = self.content.get(digest)
        return None if content is None else len(content)

    @contextmanager
    def open_blob(self, name: str, digest: str) -> Iterator[Iterator[bytes] | None]:
        if digest == self.breaks_at:
            raise RegistryUnavailableError("the registry broke off")
        self.sent.append(digest)
        content = self.content.get(digest)
        yield None if content is None else iter([content[:3], content[3:]])


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, settings: Any, cast: object) -> FakeRegistry:
    """Our own registry, in memory."""
    fake = FakeRegistry()
    monkeypatch.setattr(upstream, "registry", fake)
    ensure_keys(settings.MOORAGE_KEYS)
    return fake


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> PlainRegistry:
    """The registry that is imported."""
    made = PlainRegistry()
    monkeypatch.setattr(engine, "_source", lambda given: RegistrySource(made))  # type: ignore[arg-type]
    return made


def test_everything_that_has_a_tag_comes_in(
    plain: PlainRegistry, registry: FakeRegistry, run_import: Import
) -> None:
    one, two = make_image("one"), make_image("two")
    index = make_index(one, two)
    plain.put("team/app", one, "1.0")
    plain.put("team/app", two)
    plain.put("team/app", index, "all", "latest")
    plain.put("alpine", one, "3")
    execution = run_import(URL, project="library")
    assert execution.state == State.SUCCEEDED, execution.tasks.get().message
    result = execution.tasks.get().result
    assert (result["images"], result["tags"], result["left"]) == (4, 4, 0)
    assert set(Repository.objects.values_list("project__name", "path")) == {
        ("team", "app"),
        ("library", "alpine"),
    }
    assert registry.manifests["team/app", index.digest] == (index.media_type, index.content)
    assert registry.blobs[digest_of(one.blobs[1])] == one.blobs[1]
    assert Artifact.objects.get(body_id=index.digest).references.count() == 2
    again = run_import(URL, project="library").tasks.get().result
    assert (again["images"], again["tags"]) == (0, 0)


def test_one_that_broke_off_goes_on_with_what_is_missing(
    plain: PlainRegistry, registry: FakeRegistry, run_import: Import
) -> None:
    one, two = make_image("one"), make_image("two")
    plain.put("team/a", one, "1")
    plain.put("team/b", two, "1")
    plain.breaks_at = digest_of(two.blobs[1])
    execution = run_import(URL)
    # It is tried again later.
    assert execution.state == State.RUNNING
    assert list(Tag.objects.values_list("repository__path", flat=True)) == ["a"]
    plain.breaks_at = ""
    sent = list(plain.sent)
    task = execution.tasks.get()
    type(task).objects.filter(pk=task.pk).update(run_after=execution.created_at)
    tasks.run_here(task.pk)
    task.refresh_from_db()
    assert task.state == State.SUCCEEDED
    assert (task.result["images"], task.result["tags"]) == (2, 2)
    assert not set(plain.sent[len(sent) :]) & {digest_of(content) for content in one.blobs}


def test_bytes_that_are_others_than_promised_do_not_come_in(
    plain: PlainRegistry, registry: FakeRegistry, run_import: Import
) -> None:
    image = make_image("one")
    plain.put("team/app", image, "1")
    layer = digest_of(image.blobs[1])
    plain.content[layer] = b"X" * len(image.blobs[1])
    execution = run_import(URL)
    (line,) = ReportLine.objects.of(execution.pk)
    assert (line.outcome, line.reason) == ("left", "the registry refused it: DIGEST_INVALID")
    assert not Artifact.objects.exists()
    assert registry.count("put_manifest") == 0


def test_a_tag_that_is_here_stays(
    plain: PlainRegistry, registry: FakeRegistry, run_import: Import
) -> None:
    plain.put("team/app", make_image("old"), "1")
    run_import(URL)
    plain.put("team/app", make_image("new"), "1")
    execution = run_import(URL)
    old = make_image("old").digest
    assert Tag.objects.get().artifact.body_id == old  # type: ignore[union-attr]
    (line,) = ReportLine.objects.of(execution.pk).filter(outcome="left")
    assert line.reason == f"the tag is here and points to {old}"


def test_a_full_project_takes_no_more(
    plain: PlainRegistry, registry: FakeRegistry, run_import: Import, team: Project
) -> None:
    Project.objects.filter(pk=team.pk).update(storage_limit=10)
    plain.put("team/app", make_image("one"), "1")
    execution = run_import(URL)
    (line,) = ReportLine.objects.of(execution.pk)
    assert "storage limit" in line.reason
    assert not Artifact.objects.exists()
    assert not ProjectUsage.objects.exclude(used_bytes=0).exists()
    assert registry.count("upload_blob") == 0


def test_in_place_another_name_mounts_and_moves_no_byte(
    storage: Path, registry: FakeRegistry, run_import: Import
) -> None:
    image = make_image("one")
    put_image(storage, "alpine", image, "3")
    for content in image.blobs:
        registry.upload("alpine", content)
    execution = run_import(project="library")
    assert execution.tasks.get().result["images"] == 1
    assert registry.count("upload_blob") == 0
    assert ("library/alpine", digest_of(image.blobs[1])) in registry.links
    assert Repository.objects.get(path="alpine").registry_name == "library/alpine"


@pytest.mark.parametrize(
    "source", ["ftp://x", "http://", "http://user:secret@plain.example.com", "plain.example.com"]
)
def test_what_is_no_address_is_refused(source: str) -> None:
    with pytest.raises(BadRequest):
        engine.parameters_of(engine.Terms(source))


@pytest.mark.parametrize(
    ("address", "trusted", "public"),
    [
        ("8.8.8.8", True, True),
        ("10.1.2.3", True, False),
        ("127.0.0.1", True, False),
        ("::1", True, False),
        ("::ffff:10.0.0.1", True, False),
        ("100.64.0.1", True, False),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("224.0.0.1", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - an address to be refused
        ("fd00:ec2::254", False, False),
    ],
)
def test_where_requests_may_go(address: str, *, trusted: bool, public: bool) -> None:
    found = ip_address(address)
    assert OPERATOR.allows(found) == trusted
    assert Reach().allows(found) == public


def test_a_tag_is_taken_over_where_the_registry_does_not_say_its_digest() -> None:
    image = make_image("one")
    listed = b'{"tags": ["v1"]}'
    for server in served():
        server.answer = lambda asked: (
            (200, {}, listed)
            if "/tags/list" in asked.path
            else (200, {"Content-Type": image.media_type}, image.content)
        )
        pointers = RegistrySource(server.client()).pointers("a/b")
        assert pointers.tags == {"v1": (image.digest, None)}
