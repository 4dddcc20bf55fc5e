"""The link to another registry is slow, and is cut in the middle: then it goes on."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.factories import digest_of, make_image
from tests.live.client import make_project, unique
from tests.live.links import Link, Namespace, Proxy, why_no_namespaces
from tests.live.plain_registry import PlainRegistry
from tests.live.replicating import Moorage
from tests.live.stack import Stack, wait_for
from tests.live.test_remote_registry import push

pytestmark = pytest.mark.live

# Bytes a second.
_SPEED = 400_000


@dataclass(frozen=True)
class Far:
    """Another registry, at the end of a link."""

    registry: PlainRegistry
    link: Link
    url: str

    def stored(self) -> set[str]:
        """Return the digests of the blobs that came in whole, by its log."""
        return {
            path.rpartition("digest=")[2].replace("%3A", ":")
            for method, path, status in self.registry.requests()
            if method == "PUT" and status == 201 and "/blobs/" in path
        }


@pytest.fixture(params=["proxy", "namespace"])
def far(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Far]:
    """Behind sockets of the test, anywhere; behind a real cable, where that may be made."""
    with ExitStack() as stack:
        if request.param == "proxy":
            registry = PlainRegistry(tmp_path / "far").start()
            stack.callback(registry.stop)
            proxy = Proxy(registry.port, speed=_SPEED)
            stack.callback(proxy.close)
            yield Far(registry, proxy, proxy.url)
        else:
            if reason := why_no_namespaces():
                pytest.skip(reason)
            cable = Namespace(speed=_SPEED)
            stack.callback(cable.close)
            inside = PlainRegistry(tmp_path / "far", host=cable.address, prefix=cable.prefix)
            inside.start()
            stack.callback(inside.stop)
            yield Far(inside, cable, inside.url)


def test_a_slow_link_that_is_cut_goes_on_where_it_was(stack: Stack, far: Far) -> None:
    moorage, project = Moorage(stack), make_project(stack)
    layers = tuple(bytes([number]) * 150_000 for number in range(8))
    image = make_image(unique("far"), layers=layers)
    push(moorage.client(), f"{project}/app", image, "v1")
    body = {"name": unique("far"), "url": far.url}
    registry = int(moorage.ask("POST", "registries", body).headers["Location"].rpartition("/")[2])
    run = moorage.start(moorage.push_policy(registry, project))
    wait_for(lambda: len(far.stored()) >= 2, "the first layers")
    far.link.cut()
    # What was under way when it was cut has arrived by now; for a second then nothing does.
    time.sleep(0.3)
    asked = len(far.registry.requests())
    time.sleep(1)
    assert len(far.registry.requests()) == asked
    kept, before = far.stored(), len(far.registry.requests())
    assert len(kept) < len(image.blobs)
    # The pages and the API answer as ever, and the run says that it goes on.
    assert moorage.shown(run)["status"] == "InProgress"
    assert ("PUT", "/v1") not in [(m, path[-3:]) for m, path, _s in far.registry.requests()]
    far.link.heal()
    shown = moorage.ended(run)
    assert (shown["status"], shown["succeed"]) == ("Succeed", 1)
    assert far.stored() == {digest_of(blob) for blob in image.blobs}
    again = [path for method, path, _s in far.registry.requests()[before:] if method == "PUT"]
    assert not [path for path in again for digest in kept if digest in path.replace("%3A", ":")]
