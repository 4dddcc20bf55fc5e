"""Two Moorages copy to and from each other: whole, once, and on after whatever was killed."""

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from tests.factories import Image, descriptor, digest_of, make_artifact, make_image, make_index
from tests.live.client import make_project, unique
from tests.live.replicating import HEADS, Moorage
from tests.live.stack import Stack, wait_for
from tests.live.test_remote_registry import push

pytestmark = pytest.mark.live

_LEASE = "3"
_SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"


@pytest.fixture(scope="module")
def here(stack: Stack) -> Moorage:
    """The session's."""
    return Moorage(stack)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moorage]:
    """Another one, whose programs are killed."""
    settings = {"MOORAGE_OUTBOUND_ALLOW": "127.0.0.0/8", "MOORAGE_JOB_LEASE": _LEASE}
    running = Stack(tmp_path_factory.mktemp("there"), port=None, **settings).start()
    yield Moorage(running)
    running.stop()


def about(subject: Image, word: str) -> Image:
    """Make a signature of an image."""
    named = descriptor(subject.content, subject.media_type)
    return make_image(word, artifactType=_SIGNATURE, subject=named)


def fill(moorage: Moorage, project: str, word: str) -> list[str]:
    """Push one of each kind; return the repositories' names."""
    client = moorage.client()
    image = make_image(f"{word} image")
    push(client, f"{project}/app", image, "1.0", "latest")
    signature = about(image, f"{word} signature")
    push(client, f"{project}/app", signature)
    # What is about a signature, and what older cosign ties by a tag.
    push(client, f"{project}/app", about(signature, f"{word} countersignature"))
    tag = f"{image.digest.replace(':', '-')}.sig"
    push(client, f"{project}/app", make_image(f"{word} old signature"), tag)
    children = make_image(f"{word} amd64"), make_image(f"{word} arm64")
    for child in children:
        push(client, f"{project}/deep/multi", child)
    index = make_index(*children)
    push(client, f"{project}/deep/multi", index, "1.0")
    push(client, f"{project}/deep/multi", about(index, f"{word} of the index"))
    push(client, f"{project}/deep/multi", about(children[1], f"{word} of one platform"))
    layer = ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", word.encode(), "")
    chart = make_artifact("application/vnd.cncf.helm.config.v1+json", {"name": word}, layer)
    push(client, f"{project}/chart", chart, "0.1.0")
    return [f"{project}/app", f"{project}/deep/multi", f"{project}/chart"]


def test_everything_goes_both_ways_and_then_nothing_does(here: Moorage, there: Moorage) -> None:
    project, word = make_project(here.stack), unique("word")
    names = fill(here, project, word)
    first = here.state(*names)
    push_there = here.push_policy(here.register(there), project)
    assert here.run(push_there)["total"] == 3
    assert there.state(*names) == first
    # The other one fetches what was made meanwhile, into a project that it makes.
    other = make_project(here.stack)
    more = fill(here, other, unique("more"))
    registry = there.register(here)
    fetch = there.pull_policy(registry, other)
    assert there.run(fetch)["total"] == 3
    assert there.state(*more) == here.state(*more)
    # Both ways at once: each has something new, and a third time nobody has anything to do.
    back = there.push_policy(registry, project)
    push(here.client(), f"{project}/app", make_image(), "of-here")
    push(there.client(), f"{project}/app", make_image(), "of-there")

    def run_all() -> list[int]:
        runs = [(here, here.start(push_there))]
        runs += [(there, there.start(policy)) for policy in (back, fetch)]
        return [int(moorage.ended(run)["total"]) for moorage, run in runs]

    # A policy's first run looks at everything that is signed; what is there is not sent again.
    assert run_all()[2] == 0
    assert here.state(*names, *more) == there.state(*names, *more)
    assert {"of-here", "of-there"} <= here.state(names[0])[names[0]]["tags"].keys()
    assert run_all() == [0, 0, 0]


# --- Killed in the middle -------------------------------------------------------------------------


def slow_image() -> Image:
    """Make one whose layers take seconds, and can be told apart in a log by their sizes."""
    layers = tuple(os.urandom(100_000 + 3 * HEADS * number) for number in range(8))
    return make_image(unique("slow"), layers=layers)


def size_of(content: bytes) -> int:
    """Return a layer's place among those that a log counts."""
    return len(content) // HEADS


def sizes(image: Image, digests: set[str]) -> set[int]:
    """Return the places of those of an image's layers that are among the digests."""
    return {size_of(blob) for blob in image.blobs[1:] if digest_of(blob) in digests}


def counted(moorage: Moorage, name: str, image: Image) -> dict[int, int]:
    """Return how often each layer of an image came, by the log; its head counts too."""
    found = moorage.received(name)
    return {
        size_of(blob): found[size_of(blob)] + found[size_of(blob) + 1] for blob in image.blobs[1:]
    }


def test_a_worker_killed_in_the_middle_sends_no_layer_twice(here: Moorage, there: Moorage) -> None:
    """The other one sends, and its worker dies."""
    project, image = make_project(there.stack), slow_image()
    name = f"{project}/app"
    push(there.client(), name, image, "v1")
    run = there.start(there.push_policy(there.register(here), project, speed=300))
    wait_for(lambda: len(sizes(image, here.stored())) >= 2, "the first layers")
    there.stack.kill("worker")
    # What was on its way when it died may come twice; what had arrived may not.
    kept = sizes(image, here.stored())
    assert 2 <= len(kept) < 8
    assert here.client().tags(name) == []
    there.ended(run)
    assert here.state(name) == there.state(name)

    def are_logged() -> bool:
        return all(counted(here, name, image).values())

    wait_for(are_logged, "the log")
    came = counted(here, name, image)
    assert {size: came[size] for size in kept} == dict.fromkeys(kept, 1), came


def test_the_other_one_killed_in_the_middle_is_sent_no_layer_twice(
    here: Moorage, there: Moorage
) -> None:
    """The session's sends, and every process of the other one dies."""
    project, image = make_project(here.stack), slow_image()
    name = f"{project}/app"
    push(here.client(), name, image, "v1")
    run = here.start(here.push_policy(here.register(there), project, speed=300))
    wait_for(lambda: len(sizes(image, there.stored())) >= 2, "the first layers")
    for pid in [there.stack.process.pid, *there.stack.processes()]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    there.stack.process.communicate()
    kept = sizes(image, there.stored())
    assert 2 <= len(kept) < 8
    log = there.stack.home / "logs" / "nginx.log"
    log.write_text("")
    there.stack.start()
    here.ended(run)
    assert there.state(name) == here.state(name)
    missing = {size_of(blob) for blob in image.blobs[1:]} - kept
    wait_for(lambda: counted(there, name, image)[max(missing)], "the log")
    came = counted(there, name, image)
    assert {size: came[size] for size in kept} == dict.fromkeys(kept, 0), came
