"""A registry that fills a project, and how tests wait for it."""

import threading
import time
from collections.abc import Callable

import orjson

from tests.factories import Image, digest_of
from tests.registry_sync.strange_registry import Answer as Told
from tests.registry_sync.strange_registry import Asked, Server


class Upstream:
    """A registry with images, which may answer otherwise."""

    def __init__(self, server: Server) -> None:
        """``server`` is where it listens."""
        self.server = server
        self.tags: dict[str, Image] = {}
        self.manifests: dict[str, Image] = {}
        self.blobs: dict[str, bytes] = {}
        self.instead: Callable[[Asked], Told | None] = lambda _asked: None
        server.answer = self._answer

    def hold(self, name: str, image: Image) -> None:
        """Hold an image under a tag, ``library/app:1``."""
        self.tags[name] = image
        self.manifests[image.digest] = image
        self.blobs |= {digest_of(content): content for content in image.blobs}

    def count(self, part: str, method: str = "GET") -> int:
        """Count the requests whose path has a part."""
        return sum(part in each.path and each.method == method for each in self.server.asked)

    def _answer(self, asked: Asked) -> Told:
        found = self.instead(asked)
        if found is not None:
            return found
        head, _slash, reference = asked.path.rpartition("/")
        if head.endswith("/blobs"):
            content = self.blobs.get(reference)
            return (404, {}, b"") if content is None else (200, {}, content)
        name = head.removeprefix("/v2/").removesuffix("/manifests")
        image = self.manifests.get(reference) or self.tags.get(f"{name}:{reference}")
        if image is None:
            return 404, {}, b""
        headers = {"Content-Type": image.media_type, "Docker-Content-Digest": image.digest}
        return 200, headers | {"Content-Length": str(len(image.content))}, image.content


def until(condition: Callable[[], object]) -> None:
    """Wait for it, 10 s at most."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def hold_back(upstream: Upstream, digest: str, gate: threading.Event) -> None:
    """Let the upstream answer for a blob only once the gate is open."""

    def instead(asked: Asked) -> Told | None:
        if asked.path.endswith(digest):
            gate.wait(10)
        return None

    upstream.instead = instead


def about(subject: Image, *held: Image) -> Callable[[Asked], Told | None]:
    """Let the upstream say what is about an image."""
    entries = [
        {"mediaType": each.media_type, "digest": each.digest, "size": len(each.content)}
        for each in held
    ]
    content = orjson.dumps({"schemaVersion": 2, "manifests": entries})
    path = f"/referrers/{subject.digest}"
    return lambda asked: (200, {}, content) if asked.path.endswith(path) else None
