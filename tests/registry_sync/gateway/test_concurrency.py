"""Many pushes at once, each in a thread and a connection of its own."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier

import pytest
from django.db import connection
from django.db.models import Sum

from accounts.models import AuditEntry, Project, User
from registry_sync.models import (
    Artifact,
    ProjectBlob,
    ProjectUsage,
    Repository,
    Tag,
    TagEvent,
)
from tests.factories import Image, make_image
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Caller, Sign

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(work: Callable[[int], int], count: int) -> list[int]:
    """Run the work in so many threads that start together; return what each returned."""
    barrier = Barrier(count)

    def run(number: int) -> int:
        barrier.wait(timeout=10)
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def push_all(
    caller: Caller, registry: FakeRegistry, images: Sequence[Image], paths: Sequence[str]
) -> list[int]:
    """Upload and push each image to its path (``name/manifests/tag``), all at once."""
    for image, path in zip(images, paths, strict=True):
        for blob in image.blobs:
            registry.upload(path.partition("/manifests/")[0], blob)

    def push(number: int) -> int:
        image = images[number]
        status: int = caller.put(paths[number], image.content, image.media_type).status_code
        return status

    return at_once(push, len(images))


def assert_usage_is_exact() -> None:
    """The stored usage of every project is what a recount says."""
    for usage in ProjectUsage.objects.all():
        counted = ProjectBlob.objects.filter(project=usage.pk).aggregate(n=Sum("size"))["n"]
        assert usage.used_bytes == counted


def test_pushes_of_one_tag_all_succeed_and_make_one_history(
    bob_app: Caller, registry: FakeRegistry
) -> None:
    images = [make_image() for _ in range(50)]
    statuses = push_all(bob_app, registry, images, ["team/app/manifests/v1"] * 50)
    assert statuses == [201] * 50
    # The last commit is where the tag is, and no push is without its line of history.
    events = list(TagEvent.objects.order_by("id"))
    assert len(events) == 50
    assert events[0].from_digest == ""
    assert all(one.to_digest == two.from_digest for one, two in pairwise(events))
    assert {event.to_digest for event in events} == {image.digest for image in images}
    assert Tag.objects.values_list("artifact__body_id", flat=True).get() == events[-1].to_digest
    assert_usage_is_exact()


def test_the_audit_tells_of_the_pushes_in_the_order_of_the_history(
    bob_app: Caller, registry: FakeRegistry
) -> None:
    images = [make_image() for _ in range(4)]
    push_all(bob_app, registry, images, ["team/app/manifests/v1"] * 4)
    told = AuditEntry.objects.filter(action="create_artifact").order_by("id")
    history = TagEvent.objects.order_by("id").values_list("to_digest", flat=True)
    assert [entry.detail["digest"] for entry in told] == list(history)


def test_pushes_of_one_image_make_one_artifact(bob_app: Caller, registry: FakeRegistry) -> None:
    image = make_image()
    statuses = push_all(bob_app, registry, [image] * 8, ["team/app/manifests/v1"] * 8)
    assert statuses == [201] * 8
    assert Artifact.objects.count() == TagEvent.objects.count() == 1
    assert ProjectUsage.objects.get().used_bytes == image.size


def test_first_pushes_make_one_repository(bob_app: Caller, registry: FakeRegistry) -> None:
    images = [make_image() for _ in range(6)]
    paths = [f"team/app/manifests/v{number}" for number in range(6)]
    assert push_all(bob_app, registry, images, paths) == [201] * 6
    assert Repository.objects.count() == 1
    assert Tag.objects.count() == 6


def test_exactly_as_many_pushes_as_there_is_room_for_are_accepted(
    bob_app: Caller, registry: FakeRegistry, team: Project
) -> None:
    images = [make_image(f"one of twenty {number:02}") for number in range(20)]
    size = images[0].size
    assert {image.size for image in images} == {size}
    Project.objects.filter(pk=team.pk).update(storage_limit=10 * size + size // 2)
    paths = [f"team/app/manifests/v{number}" for number in range(20)]
    assert Counter(push_all(bob_app, registry, images, paths)) == {201: 10, 403: 10}
    assert ProjectUsage.objects.get().used_bytes == 10 * size
    assert Tag.objects.count() == Artifact.objects.count() == 10
    assert_usage_is_exact()


def test_images_that_share_layers_in_another_order_do_not_wait_for_each_other(
    token_for: Sign, admin: User, registry: FakeRegistry, team: Project, library: Project
) -> None:
    layers = tuple(f"shared {number}".encode() for number in range(12))
    images = [make_image(layers=layers[:: 1 if number % 2 else -1]) for number in range(8)]
    names = ["team/app", "library/app", "team/other", "library/other"] * 2
    scopes = [f"repository:{name}:pull,push" for name in names]
    paths = [f"{name}/manifests/v{number}" for number, name in enumerate(names)]
    assert push_all(token_for(admin, *scopes), registry, images, paths) == [201] * 8
    assert_usage_is_exact()
