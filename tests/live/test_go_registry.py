"""The client's suite against a registry that shares no code with distribution: crane's own.

Part of `make clients-test`. It mounts nothing, and takes manifests whose blobs are not there, as it
may: those two are left out.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from registry_sync.client import outbound
from registry_sync.client.referrers import tag_of
from registry_sync.client.remote import RemoteRegistry
from tests.factories import descriptor, make_image
from tests.live.client import make_project, unique
from tests.live.images import write_index
from tests.live.replicating import TYPES, Moorage, State, state_of
from tests.live.stack import Stack, wait_for
from tests.live.test_go_clients import built

# pytest runs what it finds here, with the registry below.
from tests.live.test_remote_registry import (  # noqa: F401
    Place,
    push,
    test_a_blob_goes_in_pieces,
    test_a_piece_that_is_cut_costs_no_more_than_one_beginning,
    test_an_image_goes_there_and_comes_back,
    test_bytes_that_are_not_the_digests_are_refused,
    test_it_lets_us_in,
    test_what_is_not_there,
)
from tests.ports import free_port

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run it; yield its address."""
    folder, port = tmp_path_factory.mktemp("crane"), free_port()
    url = f"http://127.0.0.1:{port}"
    crane, blobs = built("crane", folder), folder / "blobs"
    blobs.mkdir()
    command = [crane, "registry", "serve", "--address", f"127.0.0.1:{port}", "--disk", str(blobs)]

    def answers() -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{url}/v2/", timeout=5).status_code == 200
        return False

    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            wait_for(answers, "crane's registry")
            yield url
        finally:
            running.kill()


@pytest.fixture
def place(registry: str) -> Place:
    """A name there that nobody else uses."""
    return Place(registry, "", "", f"{unique('some')}/app")


@pytest.mark.parametrize("is_chunked", [False, True], ids=["whole", "in pieces"])
def test_images_go_there_and_come_back(
    stack: Stack, registry: str, tmp_path: Path, *, is_chunked: bool
) -> None:
    ours, project = Moorage(stack), make_project(stack)
    name = f"{project}/app"
    digest = write_index(tmp_path / "layout", files={"hello": unique("crane").encode()})
    assert stack.push(tmp_path / "layout", f"{name}:1").returncode == 0
    found = ours.client().manifest(name, digest, types=TYPES, limit=1_000_000)
    assert found is not None
    signature = make_image(subject=descriptor(found[1], found[0]))
    push(ours.client(), name, signature)
    there = RemoteRegistry(registry, session=outbound.session(outbound.OPERATOR))

    made = ours.ask("POST", "registries", {"name": unique("crane"), "url": registry})
    number = int(made.headers["Location"].rpartition("/")[2])
    policy = ours.push_policy(number, project, copy_by_chunk=is_chunked)
    assert ours.run(policy)["succeed"] == 1
    original = state_of(ours.client(), name)
    assert without_list(state_of(there, name), digest) == original
    assert ours.run(policy)["succeed"] == 0, "all of it is there"

    other = make_project(stack)
    back = ours.pull_policy(number, project, dest_namespace=other)
    assert ours.run(back)["succeed"] == 1
    assert state_of(ours.client(), f"{other}/app") == original


def without_list(state: State, digest: str) -> State:
    """Return what a repository holds beside the list that stands in for the referrers API."""
    listed = state["tags"].pop(tag_of(digest))
    del state["manifests"][listed], state["referrers"][listed]
    return state
