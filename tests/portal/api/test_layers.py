"""Layers and comparisons in the API."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings

from registry_sync import layer_indexes, tasks
from registry_sync.models import Artifact, ImageAnalysis
from tests.conftest import Cast
from tests.factories import make_image, make_index, make_repository, push_image
from tests.portal.api.conftest import Caller, told
from tests.portal.web.test_layers import BASE, CLEAN, DIRTY, push
from tests.registry_sync.jobs import Broker
from tests.registry_sync.layers.archives import read_here

Callers = Callable[[str], Caller]
IMAGE = "projects/team/repositories/app/artifacts/1.0/layers"


@pytest.fixture
def artifact(
    cast: Cast, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Artifact:
    """``team/app:1.0``, read."""
    settings.MOORAGE_BLOB_DELIVERY = "file"
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    monkeypatch.setattr(tasks.run_task, "apply_async", Broker().send)
    monkeypatch.setattr(layer_indexes, "run_child", read_here)
    return push(make_repository(cast.team), tmp_path, "1.0", BASE, DIRTY, CLEAN)


def test_the_analysis(artifact: Artifact, caller: Callers) -> None:
    found = caller("carol").get(IMAGE).json()
    assert found["digest"] == artifact.digest
    assert found["live"] + found["wasted"] == found["total"]
    assert [share["number"] for share in found["layers"]] == [1, 2, 3]
    assert found["secrets"][0]["path"] == "root/key.pem"
    assert "sizes" not in found


def test_files_of_a_layer(artifact: Artifact, caller: Callers) -> None:
    rows = caller("carol").get(f"{IMAGE}/3/files?path=root").json()
    assert [(row["name"], row["change"], row["layer"]) for row in rows] == [
        ("key.pem", "removed", 2)
    ]
    final = caller("carol").get(f"{IMAGE}/1/files?mode=final").json()
    assert [row["name"] for row in final] == ["app", "etc", "root", "tmp", "usr"]


def test_paths(artifact: Artifact, caller: Callers) -> None:
    copies = caller("carol").get(f"{IMAGE}/paths?path=app/data").json()
    assert [(each["layer"], each["fate"], each["by"]) for each in copies] == [
        (2, "rewritten", 3),
        (3, "live", 3),
    ]
    found = caller("carol").get(f"{IMAGE}/paths?match=*.pem").json()
    assert [each["path"] for each in found] == ["root/key.pem"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/0/files", 404),
        ("/4/files", 404),
        ("/1/files?path=nowhere", 404),
        ("/1/files?mode=other", 400),
        ("/paths", 400),
        ("/paths?path=a&match=b", 400),
    ],
)
def test_what_means_nothing(artifact: Artifact, caller: Callers, path: str, status: int) -> None:
    assert caller("carol").get(f"{IMAGE}{path}").status_code == status


def test_before_it_was_read(cast: Cast, caller: Callers) -> None:
    push_image(make_repository(cast.team), make_image(layers=(BASE,)), "1.0")
    for path in ("", "/1/files", "/paths?match=a"):
        answer = caller("carol").get(f"{IMAGE}{path}")
        assert answer.status_code == 409
        assert "have not been read yet" in str(told(answer))
    assert ImageAnalysis.objects.get().is_urgent


def test_an_index_names_its_images(cast: Cast, caller: Callers) -> None:
    repository = make_repository(cast.team)
    child = make_image(layers=(BASE,))
    push_image(repository, child, "")
    push_image(repository, make_index(child), "1.0", children=(child,))
    assert caller("carol").get(IMAGE).status_code == 404


def test_compare(artifact: Artifact, caller: Callers) -> None:
    answer = caller("carol").get(f"compare?base=team/app:1.0&head=team/app@{artifact.digest}")
    found = answer.json()
    assert (found["shared_layers"], found["download_bytes"]) == (3, 0)
    assert found["files"]["largest"] == []
    assert caller("carol").get("compare?base=nonsense&head=x").status_code == 400
    assert caller("mallory").get("compare?base=team/app:1.0&head=team/app:1.0").status_code == 404


def test_the_policy(cast: Cast, caller: Callers) -> None:
    path = "projects/team/layer-policy"
    assert caller("alice").get(path).json()["least_efficiency"] == 0
    answer = caller("alice").call("PUT", path, {"least_efficiency": 80, "is_enforced": True})
    assert answer.json()["is_enforced"] is True
    refused = caller("alice").call("PUT", path, {"least_efficiency": 180})
    assert refused.status_code == 400
    assert caller("alice").get(path).json()["least_efficiency"] == 80
