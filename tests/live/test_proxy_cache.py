"""A project that another registry fills: fetched once, served without the other, collected."""

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.live.client import Answer, Client, blobs_of, client, run_in, unique
from tests.live.images import write_image, write_index
from tests.live.plain_registry import PlainRegistry
from tests.live.stack import Stack, wait_for

pytestmark = pytest.mark.live
_ACCEPT = (
    ("Accept", "application/vnd.oci.image.index.v1+json"),
    ("Accept", "application/vnd.oci.image.manifest.v1+json"),
)


@dataclass
class Filled:
    """A proxy project and what fills it."""

    stack: Stack
    upstream: PlainRegistry
    project: str

    def client(self, path: str) -> Client:
        """Return a client that may pull a repository."""
        return client(self.stack, f"repository:{self.project}/{path}:pull")

    def manifest(self, path: str, reference: str) -> Answer:
        """Ask for a manifest."""
        target = f"/v2/{self.project}/{path}/manifests/{reference}"
        return self.client(path).ask("GET", target, headers=_ACCEPT)

    def asked(self, part: str, method: str = "GET") -> Counter[str]:
        """Count what the upstream answered, by path."""
        return Counter(
            path
            for verb, path, status in self.upstream.requests()
            if verb == method and part in path and status == 200
        )

    def pull(self, path: str, folder: Path, *flags: str) -> None:
        """Pull with skopeo."""
        shutil.rmtree(folder, ignore_errors=True)
        name = f"docker://{self.stack.address}/{self.project}/{path}:latest"
        done = self.stack.skopeo("copy", *flags, name, f"oci:{folder}:latest")
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def filled(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A registry with images, and a project that it fills."""
    upstream = PlainRegistry(tmp_path_factory.mktemp("upstream")).start()
    name = unique("hub")
    made = _api(stack, "POST", "registries", name=name, type="docker-registry", url=upstream.url)
    registry = int(made.headers["Location"].rpartition("/")[2])
    _api(stack, "POST", "projects", project_name=name, registry_id=registry)
    yield Filled(stack, upstream, name)
    upstream.stop()


def _api(stack: Stack, method: str, path: str, **body: object) -> requests.Response:
    auth = ("admin", stack.admin_password)
    done = stack.request(method, f"/api/v2.0/{path}", auth=auth, json=body)
    assert done.status_code in {200, 201}, done.text
    return done


def _push(filled: Filled, folder: Path, path: str, content: bytes = b"") -> Path:
    write_image(folder, files={"seed": path.encode(), "content": content})
    filled.upstream.push(folder, path)
    return folder


def test_an_image_is_fetched_once_and_served_without_the_upstream(
    filled: Filled, tmp_path: Path
) -> None:
    layout = _push(filled, tmp_path / "image", "library/once", b"x" * 100_000)
    filled.pull("library/once", tmp_path / "first")
    wait_for(lambda: "True" in _state(filled, "library/once"), "the image to be whole")
    filled.pull("library/once", tmp_path / "second")
    assert blobs_of(tmp_path / "first") == blobs_of(tmp_path / "second") == blobs_of(layout)
    assert set(filled.asked("library/once/blobs/").values()) == {1}
    assert sum(filled.asked("library/once/manifests/").values()) == 1


def test_many_clients_cause_one_download(filled: Filled, tmp_path: Path) -> None:
    _push(filled, tmp_path / "image", "library/many", b"y" * 3_000_000)
    index = filled.manifest("library/many", "latest").json
    digests = [layer["digest"] for layer in index["layers"]] + [index["config"]["digest"]]
    puller, start = filled.client("library/many"), threading.Barrier(20)

    def pull(_number: int) -> list[int]:
        start.wait(20)
        found = []
        for digest in digests:
            target = f"/v2/{filled.project}/library/many/blobs/{digest}"
            answer = puller.ask("GET", target)
            assert answer.status == 200
            found.append(len(answer.body))
        return found

    with ThreadPoolExecutor(20) as pool:
        lengths = list(pool.map(pull, range(20)))
    assert len({tuple(each) for each in lengths}) == 1
    assert filled.asked("library/many/blobs/") == Counter(
        {f"/v2/library/many/blobs/{digest}": 1 for digest in digests}
    )


def test_a_range_of_what_is_not_here(filled: Filled, tmp_path: Path) -> None:
    _push(filled, tmp_path / "image", "library/range", b"z" * 50_000)
    layer = filled.manifest("library/range", "latest").json["layers"][0]
    target = f"/v2/{filled.project}/library/range/blobs/{layer['digest']}"
    whole = (tmp_path / "image" / "blobs" / "sha256" / layer["digest"][7:]).read_bytes()
    answer = filled.client("library/range").ask("GET", target, headers=[("Range", "bytes=10-19")])
    assert (answer.status, answer.body) == (206, whole[10:20])
    head = filled.client("library/range").ask("HEAD", target)
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(whole)))


def test_what_does_not_exist_is_not_asked_for_twice(filled: Filled) -> None:
    for _time in range(2):
        assert filled.manifest("library/nothing", "latest").status == 404
    missing = [p for _m, p, _s in filled.upstream.requests() if "library/nothing" in p]
    assert len(missing) == 1


def test_nobody_pushes_into_it(filled: Filled, tmp_path: Path) -> None:
    write_image(tmp_path / "image", files={"a": b"b"})
    done = filled.stack.push(tmp_path / "image", f"{filled.project}/library/pushed:latest")
    assert done.returncode != 0
    assert "filled from another registry" in done.stderr


def test_one_platform_of_an_index_then_collection_and_no_upstream(
    filled: Filled, tmp_path: Path
) -> None:
    write_index(tmp_path / "index", files={"hello": b"platforms\n"})
    filled.upstream.push(tmp_path / "index", "library/multi")
    first = filled.manifest("library/multi", "latest")
    assert first.status == 200
    children = first.json["manifests"]
    filled.pull("library/multi", tmp_path / "one", "--override-arch", "amd64")
    pulled = blobs_of(tmp_path / "one")
    assert len(filled.asked("library/multi/manifests/")) == 2
    assert len(children) == 2
    # Nothing of it is garbage, nothing is damaged.
    said = run_in(filled.stack, _COLLECT.format(project=filled.project))
    assert said.endswith("sound"), said
    run_in(filled.stack, _FORGET_CHECKS)
    filled.upstream.stop()
    try:
        filled.pull("library/multi", tmp_path / "again", "--override-arch", "amd64")
        stale = filled.manifest("library/multi", "latest")
        assert stale.headers["Warning"].startswith("111")
        assert stale.body == first.body
    finally:
        filled.upstream.start()
    assert blobs_of(tmp_path / "again") == pulled


_STATE = """
from registry_sync.models import Artifact
rows = Artifact.objects.live().filter(repository__project__name="{project}")
print([row.is_complete for row in rows.filter(repository__path="{path}")])
"""
_FORGET_CHECKS = """
from registry_sync.models import ProxyCheck
ProxyCheck.objects.all().delete()
"""
_COLLECT = """
from django.test import override_settings
from registry_sync import fsck, garbage_candidates
from registry_sync.configured_storage import storage
from registry_sync.models import Artifact, ArtifactBlob
from django.utils import timezone
import datetime
later = timezone.now() + datetime.timedelta(days=30)
garbage_candidates.stage(storage(), before=later)
held = set(ArtifactBlob.objects.filter(artifact__repository__project__name="{project}")
    .values_list("blob_id", flat=True))
assert held
taken = {{c.digest for page in garbage_candidates.pages() for c in page}}
assert not held & taken, held & taken
found = [f for f in fsck.findings(lambda _check: None) if "{project}" in str(f)]
found += [f for f in fsck.findings(lambda _check: None) if any(d in str(f) for d in held)]
assert not found, found
print("sound")
"""


def _state(filled: Filled, path: str) -> str:
    return run_in(filled.stack, _STATE.format(project=filled.project, path=path))
