"""The actors of the collection's protocol: collectors that halt at each step, and pushers."""

import threading
from functools import lru_cache
from typing import Any

import requests
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import access, docker_tokens, scopes
from accounts.credentials import principal_of_user
from accounts.models import User
from registry_sync import (
    garbage_candidates,
    garbage_claims,
    garbage_links,
    garbage_settling,
    garbage_sweep,
    garbage_tombstones,
)
from registry_sync.configured_storage import storage
from registry_sync.models import Repository, Tag
from registry_sync.upstream import registry_token
from tests.factories import Image, digest_of


class DiedError(BaseException):
    """What ends a collector at a failpoint, as a signal would: nobody catches it."""


class Run:
    """Stands in for a job's run: always ours, never stopped."""

    def hold(self) -> None:
        """Hold nothing."""

    def check(self) -> None:
        """Go on."""

    def log(self, line: str) -> None:
        """Write nothing."""

    def progress(self, **_facts: object) -> None:
        """Note nothing."""


class Collector(threading.Thread):
    """One collection that halts at every numbered step until it is told to go on."""

    def __init__(self) -> None:
        """Start it; ``advance`` brings it to its first step."""
        super().__init__(daemon=True)
        self.place = "begin"
        self.error: BaseException | None = None
        self._here = threading.Semaphore(0)
        self._go = threading.Semaphore(0)
        self._dies = False
        self.start()

    def run(self) -> None:
        """Collect: everything but the job around it."""
        self._go.acquire()
        try:
            collect_all()
        except DiedError:
            pass
        except BaseException as error:
            self.error = error
        finally:
            connection.close()
            self.place = "end"
            self._here.release()

    def halt(self, place: str) -> None:
        """Wait here; die where that is what comes."""
        self.place = place
        self._here.release()
        self._go.acquire()
        if self._dies:
            raise DiedError

    def advance(self, *, dies: bool = False) -> None:
        """Go on to the next step, or die where it is."""
        if self.place == "end":
            return
        self._dies = dies
        self._go.release()
        assert self._here.acquire(timeout=30), f"a collector hangs behind {self.place}"
        if self.error is not None:
            raise self.error

    @property
    def is_over(self) -> bool:
        """Whether it has ended or died."""
        return self.place == "end"


def halt_at(place: str) -> None:
    """Halt a collector at a failpoint; within a transaction nobody else could go on."""
    thread = threading.current_thread()
    if isinstance(thread, Collector) and not connection.in_atomic_block:
        thread.halt(place)


def collect_all() -> None:
    """Recover, take over, claim and sweep, then links and tombstones: a run without its job."""
    shelf, run = storage(), Run()
    garbage_sweep.recover(shelf)
    garbage_sweep.finish_abandoned(shelf, owner="model")
    before = garbage_candidates.old_before(timezone.now())
    garbage_candidates.stage(shelf, before=before)
    halt_at("gc.marked")
    for page in garbage_candidates.pages():
        digests = [candidate.digest for candidate in page]
        claim = garbage_claims.claim(digests, owner="model", before=before)
        garbage_sweep.remove(shelf, claim)
    garbage_links.collect(run, shelf, before=before)  # type: ignore[arg-type]
    garbage_tombstones.look_again(run, shelf)  # type: ignore[arg-type]
    garbage_settling.settle(run, before=before)  # type: ignore[arg-type]
    garbage_candidates.clear()


class Pusher:
    """A client that pushes one image into its repository, request by request."""

    def __init__(
        self, repository: Repository, image: Image, address: str, owner: User, *, tag: str
    ) -> None:
        """It has done nothing yet."""
        self.repository, self.image, self.tag, self.address = repository, image, tag, address
        self.name, self.owner = repository.name, owner
        # What it was told is there; whether grace ran out since.
        self.has: set[str] = set()
        self.is_late = False
        # Digests whose upload is announced and not yet sent: their places in the registry.
        self.open: dict[str, str] = {}

    def call(self, method: str, path: str, body: bytes = b"", **more: Any) -> Any:
        """Ask the gateway."""
        token = _token(self.owner, f"repository:{self.name}:pull,push", more.pop("scope", ""))
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return Client().generic(
            method,
            path,
            data=body,
            content_type=more.pop("content_type", "application/octet-stream"),
            headers=headers,
        )

    def head(self, content: bytes) -> int:
        """Ask whether a blob is here."""
        digest = digest_of(content)
        answer = self.call("HEAD", f"/v2/{self.name}/blobs/{digest}")
        if answer.status_code == 200:
            self.has.add(digest)
        return int(answer.status_code)

    def begin(self, content: bytes) -> None:
        """Open an upload, and be let through with its end."""
        digest = digest_of(content)
        answer = self.call("POST", f"/v2/{self.name}/blobs/uploads/")
        assert answer.status_code == 202, answer.content
        place = f"{answer['Location']}&digest={digest}"
        let = self.call(
            "GET",
            "/_internal/upload_precheck",
            headers={"X-Original-URI": place, "X-Original-Method": "PUT"},
        )
        if let.status_code == 204:
            self.open[digest] = place
        else:
            assert let["X-Moorage-Status"] == "503", let.headers

    def finish(self, content: bytes, *, is_cut: bool = False) -> None:
        """Send the bytes to the registry, as nginx does; or break off."""
        digest = digest_of(content)
        place = self.open.pop(digest)
        token = registry_token([(self.repository.registry_name, ("pull", "push"))])
        answer = requests.put(
            f"{self.address}{place}",
            data=content[:-1] if is_cut else content,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/octet-stream",
            },
            timeout=20,
        )
        if is_cut:
            assert answer.status_code == 400
            return
        assert answer.status_code == 201, answer.text
        self.has.add(digest)

    def mount(self, content: bytes, source: Repository) -> None:
        """Mount a blob from the other repository."""
        digest = digest_of(content)
        path = f"/v2/{self.name}/blobs/uploads/?mount={digest}&from={source.name}"
        answer = self.call("POST", path, scope=f"repository:{source.name}:pull")
        assert answer.status_code in (201, 202), answer.content
        if answer.status_code == 201:
            self.has.add(digest)

    def put(self) -> int:
        """Push the manifest; what it was told is here must be, unless it came late."""
        before = tagged(self.repository, self.tag)
        answer = self.call(
            "PUT",
            f"/v2/{self.name}/manifests/{self.tag}",
            self.image.content,
            content_type=self.image.media_type,
        )
        status = int(answer.status_code)
        assert status in (201, 400, 503), answer.content
        if status == 201:
            assert tagged(self.repository, self.tag) == self.image.digest
            return status
        # I8: what was refused leaves no trace.
        assert tagged(self.repository, self.tag) == before
        if status == 400:
            assert b"MANIFEST_BLOB_UNKNOWN" in answer.content
            lost = answer.json()["errors"][0]["detail"]["digest"]
            # A collector that lost its claim may have it out of sight until it looks again.
            aside = {digest for _token, digest in storage().lying_aside()}
            is_excused = self.is_late or lost in aside
            assert is_excused or lost not in self.has, f"{lost} was said to be here"
            self.has.discard(lost)
        return status


@lru_cache(maxsize=1000)
def _token(owner: User, *wanted: str) -> str:
    principal = principal_of_user(owner)
    grants = access.granted(principal, scopes.parse([scope for scope in wanted if scope]))
    return docker_tokens.issue(principal, grants, lifetime=3000)


def tagged(repository: Repository, tag: str) -> str:
    """Return what a tag points to, or nothing."""
    row = Tag.objects.filter(repository=repository, name=tag).first()
    return "" if row is None or row.artifact is None else row.artifact.digest
