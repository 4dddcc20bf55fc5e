"""Programs killed while clients push: the second try succeeds, and what is pulled is right."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.client import blobs_of, digest_of, pusher, run_in
from tests.live.images import write_index
from tests.live.stack import PROGRAMS, Stack, wait_for

pytestmark = pytest.mark.live

TAGS = """
from registry_sync.models import Tag
for tag in Tag.objects.select_related("repository__project").order_by("pk"):
    print(tag.repository.name, tag.name)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One that may be broken."""
    running = Stack(tmp_path_factory.mktemp("chaos")).start()
    yield running
    running.stop()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """An image whose push takes long enough to be disturbed."""
    layout = tmp_path / "large"
    files = {f"file{n}": bytes([n]) * 4_000_000 + str(tmp_path).encode() for n in range(4)}
    write_index(layout, files=files)
    return layout


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_push_survives_the_end_of_a_program(
    own: Stack, large: Path, tmp_path: Path, program: str
) -> None:
    wait_for(own.is_healthy, "health before")
    name = f"library/{program}:1"
    log = own.home / "logs" / "nginx.log"
    size = log.stat().st_size
    pushing = threading.Thread(target=own.push, args=(large, name))
    pushing.start()
    # Killed when the first bytes are under way: the log's next lines are this push's.
    wait_for(lambda: log.stat().st_size > size, "the push")
    own.kill(program)
    pushing.join()
    wait_for(own.is_healthy, f"health after {program} was killed")
    again = own.push(large, name)
    assert again.returncode == 0, again.stderr
    pulled = own.pull(name, tmp_path / "back")
    assert pulled.returncode == 0, pulled.stderr
    assert blobs_of(tmp_path / "back") == blobs_of(large)
    assert_every_tag_resolves(own)


def assert_every_tag_resolves(stack: Stack) -> None:
    """Pull every tag's manifest, its children and every blob, and compare the digests."""
    for line in run_in(stack, TAGS).splitlines():
        name, tag = line.split()
        here = pusher(stack, name)
        waiting = [tag]
        while waiting:
            reference = waiting.pop()
            manifest = here.ask("GET", f"/v2/{name}/manifests/{reference}")
            assert manifest.status == 200, (name, reference)
            assert digest_of(manifest.body) == manifest.headers["Docker-Content-Digest"]
            waiting += [child["digest"] for child in manifest.json.get("manifests", [])]
            for blob in [*manifest.json.get("layers", []), manifest.json.get("config")]:
                if blob:
                    sent = here.ask("GET", f"/v2/{name}/blobs/{blob['digest']}")
                    assert digest_of(sent.body) == blob["digest"], (name, blob)
