"""Programs killed while clients push: the second try succeeds, and what is pulled is right."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.client import (
    Client,
    blobs_of,
    digest_of,
    make_image,
    make_project,
    pusher,
    run_in,
)
from tests.live.images import MANIFEST, write_index
from tests.live.stack import PROGRAMS, Stack, wait_for

pytestmark = pytest.mark.live

TAGS = """
from registry_sync.models import Tag
for tag in Tag.objects.select_related("repository__project").order_by("pk"):
    print(tag.repository.name, tag.name)
"""
# When a push is disturbed, by what the registry then holds of its repository. After the last one
# only the commit of a manifest that is stored already is left.
MOMENTS = {
    "while bytes are sent": "_uploads/*/data",
    "when a blob has come": "_layers/sha256/*/link",
    "when a manifest is stored": "_manifests/revisions/sha256/*/link",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One that may be broken."""
    running = Stack(tmp_path_factory.mktemp("chaos")).start()
    yield running
    running.stop()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """An index whose layers do not compress, so that its push takes a while."""
    layout = tmp_path / "large"
    write_index(layout, files={f"file{n}": os.urandom(6_000_000) for n in range(2)})
    return layout


def held(stack: Stack, name: str, what: str) -> bool:
    """Tell whether the registry holds something in a repository."""
    root = stack.home / "registry" / "docker" / "registry" / "v2" / "repositories"
    return any((root / name).glob(what))


def disturb(stack: Stack, layout: Path, name: str, moment: str, blow: Callable[[], object]) -> None:
    """Push, and strike at that moment; whether the push succeeds is not known."""
    pushing = threading.Thread(target=stack.push, args=(layout, f"{name}:1"))
    pushing.start()
    while pushing.is_alive() and not held(stack, name, MOMENTS[moment]):
        pass  # The moment is short: no rest between two looks.
    blow()
    pushing.join()


def assert_second_try_is_right(stack: Stack, layout: Path, name: str, back: Path) -> None:
    """Push again, pull, and look at every tag there is."""
    again = stack.push(layout, f"{name}:1")
    assert again.returncode == 0, again.stderr
    pulled = stack.pull(f"{name}:1", back)
    assert pulled.returncode == 0, pulled.stderr
    assert blobs_of(back) == blobs_of(layout)
    assert_every_tag_resolves(stack)


class TestKilled:
    @pytest.mark.parametrize("moment", MOMENTS)
    @pytest.mark.parametrize("program", ["nginx", "registry", "gateway"])
    def test_on_a_pushs_way(
        self, own: Stack, large: Path, tmp_path: Path, program: str, moment: str
    ) -> None:
        wait_for(own.is_healthy, "health before")
        name = f"{make_project(own)}/app"
        disturb(own, large, name, moment, lambda: own.kill(program))
        wait_for(own.is_healthy, f"health after {program} was killed")
        assert_every_tag_resolves(own)
        assert_second_try_is_right(own, large, name, tmp_path / "back")

    @pytest.mark.parametrize("program", ["web", "worker"])
    def test_beside_it(self, own: Stack, large: Path, tmp_path: Path, program: str) -> None:
        wait_for(own.is_healthy, "health before")
        name = f"{make_project(own)}/app"
        results = []
        pushing = threading.Thread(
            target=lambda: results.append(own.push(large, f"{name}:1").returncode)
        )
        pushing.start()
        wait_for(lambda: held(own, name, MOMENTS["while bytes are sent"]), "the push")
        own.kill(program)
        pushing.join()
        # Neither has a part in it.
        assert results == [0]
        assert_second_try_is_right(own, large, name, tmp_path / "back")

    def test_an_upload_goes_on_where_it_was(self, own: Stack) -> None:
        wait_for(own.is_healthy, "health before")
        name = f"{make_project(own)}/app"
        pushing = pusher(own, name)
        first = pushing.ask("PATCH", pushing.start_upload(name).upload, b"first ")
        assert first.status == 202
        for program in PROGRAMS:
            own.kill(program)
        wait_for(own.is_healthy, "health after everything was killed")
        content = b"first second"
        second = [("Content-Range", "6-11")]
        sent = pushing.ask("PATCH", first.upload, b"second", second)
        assert sent.status == 202, sent.body
        ended = pushing.ask("PUT", f"{sent.upload}&digest={digest_of(content)}", b"")
        assert ended.status == 201, ended.body
        assert pushing.ask("GET", f"/v2/{name}/blobs/{digest_of(content)}").body == content


def test_stopped_in_the_middle(large: Path, tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home").start()
    try:
        name = f"{make_project(stack)}/app"
        moment = "while bytes are sent"
        disturb(stack, large, name, moment, lambda: stack.stop(signal.SIGTERM))
        assert stack.processes() == {}
        stack = Stack(tmp_path / "home", port=stack.port).start()
        assert_every_tag_resolves(stack)
        assert_second_try_is_right(stack, large, name, tmp_path / "back")
    finally:
        stack.stop()


class TestAbsent:
    """What answers while a program is not there: JSON, 503, and when to come again."""

    @pytest.fixture
    def name(self, own: Stack) -> str:
        """A repository with an image."""
        wait_for(own.is_healthy, "health before")
        name = f"{make_project(own)}/app"
        pusher(own, name).push_image(name)
        return name

    def test_no_registry(self, own: Stack, name: str) -> None:
        pushing, image = pusher(own, name), make_image(b"not yet there")
        upload = pushing.start_upload(name).upload
        kind = [("Content-Type", MANIFEST)]
        with absent(own, "registry"):
            there = pushing.ask("GET", f"/v2/{name}/manifests/latest")
            layer = there.json["layers"][0]["digest"]
            # What is there already needs no registry.
            assert there.status == 200
            assert digest_of(pushing.ask("GET", f"/v2/{name}/blobs/{layer}").body) == layer
            assert_unavailable(pushing, "POST", f"/v2/{name}/blobs/uploads/", b"")
            assert_unavailable(pushing, "PATCH", upload, b"x")
            assert_unavailable(pushing, "PUT", f"{upload}&digest={digest_of(b'x')}", b"x")
            assert_unavailable(pushing, "PUT", f"/v2/{name}/manifests/1", image.manifest, kind)

    def test_no_gateway(self, own: Stack, name: str) -> None:
        pushing = pusher(own, name)
        upload = pushing.start_upload(name).upload
        with absent(own, "gateway"):
            for method, target in (
                ("GET", "/v2/"),
                ("GET", f"/v2/{name}/manifests/latest"),
                ("HEAD", f"/v2/{name}/manifests/latest"),
                ("GET", f"/v2/{name}/blobs/{digest_of(b'x')}"),
                ("PUT", f"/v2/{name}/manifests/1"),
                ("POST", f"/v2/{name}/blobs/uploads/"),
                ("PUT", f"{upload}&digest={digest_of(b'x')}"),
                ("GET", "/service/token"),
            ):
                body = b"x" if method in ("PUT", "POST") else None
                assert_unavailable(pushing, method, target, body)
        wait_for(own.is_healthy, "health")
        # Nothing was ended unasked: the same PUT does it now.
        assert pushing.ask("PUT", f"{upload}&digest={digest_of(b'x')}", b"x").status == 201

    def test_no_web(self, own: Stack, name: str) -> None:
        with absent(own, "web"):
            page = own.get("/")
            assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
            assert_unavailable(pusher(own, name), "GET", "/api/v2.0/ping", None)
            assert pusher(own, name).ask("GET", f"/v2/{name}/manifests/latest").status == 200


class absent:  # noqa: N801 - used as a function is
    """Hold a program down: supervisor is stopped, so that nothing starts it again."""

    def __init__(self, stack: Stack, program: str) -> None:
        """Take note of both."""
        self.stack = stack
        self.program = program
        self.supervisor = int((stack.home / "run" / "supervisord.pid").read_text())

    def __enter__(self) -> None:
        """Stop supervisor, then kill every process of the program."""
        os.kill(self.supervisor, signal.SIGSTOP)
        os.killpg(self.stack.pid(self.program), signal.SIGKILL)

    def __exit__(self, *_error: object) -> None:
        """Let supervisor find out."""
        before = self.stack.pid(self.program)
        os.kill(self.supervisor, signal.SIGCONT)
        wait_for(lambda: self.stack.pid(self.program) != before, f"another {self.program}")


def assert_unavailable(
    asking: Client,
    method: str,
    target: str,
    body: bytes | None,
    headers: list[tuple[str, str]] | None = None,
) -> None:
    """Check for 503, JSON, and a time to come again."""
    answer = asking.ask(method, target, body, headers or [])
    assert answer.status == 503, (method, target, answer.body)
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers.get_content_type() == "application/json"
    if method != "HEAD":
        assert answer.code == "UNAVAILABLE"


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
