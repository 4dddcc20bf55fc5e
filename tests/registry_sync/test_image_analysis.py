"""The job that reads layers: asked for by pushes, once per layer, whatever the layers are."""

from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import OutboxEvent, Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import image_analysis, layer_indexes, relay, tasks, trash
from registry_sync.layers import index, tree
from registry_sync.models import Execution, ImageAnalysis, LayerFrame, LayerIndex, State
from registry_sync.storage.filesystem import blob_path
from tests.factories import Image, digest_of, make_image, make_index, make_repository, push_image
from tests.registry_sync.jobs import Broker
from tests.registry_sync.layers.archives import layer

pytestmark = pytest.mark.django_db

BASE = layer({"etc/os": b"1" * 100, "tmp/big": b"2" * 5000})
CLEAN = layer({"tmp/.wh.big": b""})


@pytest.fixture(autouse=True)
def storage(settings: Settings, tmp_path: Path) -> Path:
    """The registry's storage, in reach."""
    settings.MOORAGE_BLOB_DELIVERY = "file"
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return tmp_path


def store(root: Path, image: Image) -> Image:
    """Put an image's blobs where the registry would."""
    for blob in image.blobs:
        path = blob_path(root, digest_of(blob))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob)
    return image


def work() -> Execution:
    """Let the scheduler look, and a worker work."""
    broker_ids = list(Execution.objects.values_list("pk", flat=True))
    tasks.tick()
    execution = Execution.objects.filter(kind="layers").exclude(pk__in=broker_ids).get()
    for task in execution.tasks.all():
        tasks.run_task(task.pk)
    execution.refresh_from_db()
    return execution


@pytest.mark.usefixtures("broker")
class TestPushed:
    """A push is followed by its analysis."""

    def test_an_image_is_read(self, team: Project, storage: Path) -> None:
        image = store(storage, make_image(layers=(BASE, CLEAN)))
        push_image(make_repository(team), image)
        assert work().state == State.SUCCEEDED
        row = ImageAnalysis.objects.get(digest=image.digest)
        assert (row.wasted_bytes, row.secret_count) == (5000, 0)
        assert row.efficiency == pytest.approx(100 / 5100)
        assert [share["wasted"] for share in row.result["layers"]] == [5000, 0]
        assert row.result["layers"][1]["whiteouts"] == 1

    def test_a_shared_layer_is_read_once(self, team: Project, storage: Path) -> None:
        repository = make_repository(team)
        for word in ("one", "two"):
            push_image(repository, store(storage, make_image(word, layers=(BASE,))), word)
        work()
        assert LayerIndex.objects.count() == 1
        assert ImageAnalysis.objects.filter(version=image_analysis.VERSION).count() == 2

    def test_of_an_index_its_images_are(self, team: Project, storage: Path) -> None:
        repository = make_repository(team)
        child = store(storage, make_image(layers=(BASE,)))
        push_image(repository, child, "")
        push_image(repository, make_index(child), "all", children=(child,))
        work()
        assert list(ImageAnalysis.objects.values_list("digest", flat=True)) == [child.digest]

    def test_a_layer_that_cannot_be_read_says_why(self, team: Project, storage: Path) -> None:
        image = store(storage, make_image(layers=(BASE, b"<html>")))
        push_image(make_repository(team), image)
        assert work().state == State.SUCCEEDED
        shares = ImageAnalysis.objects.get().result["layers"]
        assert shares[0]["error"] == ""
        assert "no tar archive" in shares[1]["error"]

    def test_bytes_that_are_not_here(self, team: Project) -> None:
        push_image(make_repository(team), make_image(layers=(BASE,)))
        work()
        assert "not kept here" in LayerIndex.objects.get().error

    def test_one_odd_image_does_not_keep_the_others(
        self, team: Project, storage: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        repository = make_repository(team)
        for word in ("one", "two"):
            push_image(repository, store(storage, make_image(word, layers=(BASE,))), word)
        results = iter([ValueError("odd")])

        def once(indexes: list[LayerIndex], real: object = image_analysis.result_of) -> object:
            for error in results:
                raise error
            return real(indexes)  # type: ignore[operator]

        monkeypatch.setattr(image_analysis, "result_of", once)
        assert work().state == State.SUCCEEDED
        assert not ImageAnalysis.objects.filter(version=0).exists()
        assert ImageAnalysis.objects.filter(efficiency=None).count() == 1

    def test_one_that_was_deleted_meanwhile_is_forgotten(
        self, team: Project, storage: Path
    ) -> None:
        repository = make_repository(team)
        image = store(storage, make_image(layers=(BASE,)))
        push_image(repository, image)
        relay.deliver(tasks.CONSUMERS)
        trash.delete_artifact(repository, image.digest, actor=SYSTEM_ACTOR)
        assert work().state == State.SUCCEEDED
        assert not ImageAnalysis.objects.exists()

    def test_no_second_execution_while_one_waits_or_just_failed(self, team: Project) -> None:
        image_analysis.request(["sha256:" + "0" * 64])
        assert image_analysis.is_due()
        tasks.tick()
        assert not image_analysis.is_due()
        tasks.tick()
        assert Execution.objects.filter(kind="layers").count() == 1
        Execution.objects.update(state=State.FAILED)
        assert not image_analysis.is_due()
        Execution.objects.update(created_at=timezone.now() - image_analysis._PAUSE)
        assert image_analysis.is_due()

    def test_every_image_on_demand(self, team: Project, storage: Path, broker: Broker) -> None:
        image = store(storage, make_image(layers=(BASE,)))
        push_image(make_repository(team), image)
        relay.deliver({})
        assert image_analysis._request_all() == 1
        assert image_analysis._request_all() == 0


class TestRequests:
    """Waiting rows."""

    def test_an_older_result_is_made_anew(self) -> None:
        image_analysis.request(["sha256:" + "0" * 64])
        ImageAnalysis.objects.update(version=1)
        image_analysis.request(["sha256:" + "0" * 64], is_urgent=True)
        row = ImageAnalysis.objects.get()
        assert (row.version, row.is_urgent) == (0, True)

    def test_a_result_that_is_there_stays(self) -> None:
        image_analysis.request(["sha256:" + "0" * 64])
        ImageAnalysis.objects.update(version=image_analysis.VERSION)
        image_analysis.request(["sha256:" + "0" * 64])
        assert ImageAnalysis.objects.get().version == image_analysis.VERSION

    def test_other_events_are_none_of_ours(self, team: Project) -> None:
        repository = make_repository(team)
        event = OutboxEvent(
            kind="artifact.pushed",
            subject=f"repository:{repository.pk}",
            payload={"digest": "sha256:" + "1" * 64},
        )
        image_analysis.on_push(event)
        assert not ImageAnalysis.objects.exists()


def nothing() -> None:
    """Go on."""


class TestIndexes:
    """Rows of a layer's index."""

    def test_an_index_that_was_cut_off_is_made_anew(self, storage: Path) -> None:
        store(storage, make_image(layers=(BASE,)))
        digest = digest_of(BASE)
        LayerIndex.objects.create(digest=digest, version=0)
        LayerFrame.objects.create(layer_id=digest, position=0, data=b"half")
        assert layer_indexes.by_digest([digest]) == {}
        row = layer_indexes.ensure("x/y", digest, check=nothing)
        assert row.version == index.VERSION
        assert [each.path for each in layer_indexes.directories(row)] == ["", "etc", "tmp"]

    def test_one_directory_is_read_without_the_others(
        self, storage: Path, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        files: dict[str, bytes | None] = {
            f"d{number:04}/f{n}": b"" for number in range(300) for n in range(10)
        }
        many = layer(files)
        store(storage, make_image(layers=(many,)))
        row = layer_indexes.ensure("x/y", digest_of(many), check=nothing)
        assert len(row.table) > 2
        with django_assert_max_num_queries(3):
            chain = layer_indexes.chain([row], "d0299")
        assert [each.path for each in chain[0]] == ["", "d0299"]
        assert len(tree.seen(tree.merged(chain)["d0299"], 0)) == 10

    def test_what_nobody_has_any_more_is_dropped(self) -> None:
        LayerIndex.objects.create(digest="sha256:" + "1" * 64, version=1)
        ImageAnalysis.objects.create(
            digest="sha256:" + "2" * 64, version=1, requested_at=timezone.now()
        )
        image_analysis._forget()
        assert not LayerIndex.objects.exists()
        assert not ImageAnalysis.objects.exists()
