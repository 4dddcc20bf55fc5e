"""Eight clients push, mount, pull, delete, restore and purge while collection runs over and over.

``python -m bench.garbage_soak SECONDS GRACE``: a grace below half an hour is for this alone.
``--bucket``: on an S3 service instead of a directory. On PostgreSQL where ``python -m
tests.postgres`` runs it. Ends with 1 where an acknowledged image did not come back byte for byte,
anything answered 5xx, or the consistency check finds something.
"""

import argparse
import contextlib
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.buckets import Service
from tests.live.client import digest_of, make_project
from tests.live.images import CONFIG, LAYER, MANIFEST
from tests.live.stack import ROOT, Stack, environment

CLIENTS = 8
SHARED = [f"a layer that many share {n} ".encode() * 400 for n in range(24)]
_API = "/api/v2.0"


@dataclass
class Image:
    """What a client pushed: the manifest and its blobs by digest."""

    manifest: bytes
    blobs: dict[str, bytes]

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest_of(self.manifest)


@dataclass
class Tallies:
    """What all clients saw."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str) -> None:
        """Add one."""
        with self.lock:
            self.counts[name] += 1

    def fail(self, text: str) -> None:
        """Write down what must not be."""
        with self.lock:
            self.wrong.append(text)


class Worker(threading.Thread):
    """A client with a project of its own; it shares layers with all others."""

    def __init__(self, stack: Stack, number: int, names: list[str], tallies: Tallies) -> None:
        """``names``: the repositories of all clients."""
        super().__init__(daemon=True)
        self.stack, self.tallies, self.names = stack, tallies, names
        self.name_here = names[number]
        self.random = random.Random(number)  # noqa: S311 - no secret hangs on it
        self.session = requests.Session()
        self.session.trust_env = False
        self.until = 0.0
        # What was acknowledged and not deleted since, by tag.
        self.live: dict[str, Image] = {}
        self.trash: dict[str, tuple[str, Image]] = {}
        self.count = 0
        scopes = [f"repository:{self.name_here}:pull,push,delete"]
        scopes += [f"repository:{name}:pull" for name in names if name != self.name_here]
        token = stack.get(
            "/service/token",
            params=[("service", "moorage"), *(("scope", scope) for scope in scopes)],
            auth=("admin", stack.admin_password),
        ).json()["token"]
        self.bearer = {"Authorization": f"Bearer {token}"}

    def run(self) -> None:
        """Do one thing after another until the time is over."""
        acts = [self.push] * 5 + [self.delete] * 3 + [self.restore, self.purge, self.purge]
        acts += [self.pull] * 3
        while time.monotonic() < self.until:
            try:
                self.random.choice(acts)()
            except Exception as error:
                self.tallies.fail(f"{self.name_here}: {error!r}")

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request; count what it answers."""
        headers = {**self.bearer, **options.pop("headers", {})}
        if path.startswith(_API):
            headers, options["auth"] = {}, ("admin", self.stack.admin_password)
        answer = self.session.request(
            method, self.stack.url + path, headers=headers, timeout=60, **options
        )
        if answer.status_code >= 500:
            self.tallies.fail(f"{answer.status_code} {method} {path}: {answer.text[:200]}")
        self.tallies.count(f"{method} {answer.status_code}")
        return answer

    # --- What clients do ------------------------------------------------------------------------

    def push(self) -> None:
        """Push as docker does: ask, mount or send what is not there, then the manifest."""
        self.count += 1
        note = f"{self.name_here} {self.count} {self.random.random()}"
        layers = [*self.random.sample(SHARED, 3), f"only here {note} ".encode() * 200]
        image = _image(note, layers)
        for digest, content in image.blobs.items():
            self._bring(digest, content)
        tag = f"t{self.count % 15}"
        answer = self.ask(
            "PUT",
            f"/v2/{self.name_here}/manifests/{tag}",
            data=image.manifest,
            headers={"Content-Type": MANIFEST},
        )
        if answer.status_code == 201:
            self.live[tag] = image
            self.tallies.count("pushed")
        elif answer.status_code == 400 and "MANIFEST_BLOB_UNKNOWN" in answer.text:
            self.tallies.count("told to push again")
        else:
            self.tallies.fail(f"PUT manifest {answer.status_code}: {answer.text[:200]}")

    def _bring(self, digest: str, content: bytes) -> None:
        path = f"/v2/{self.name_here}/blobs"
        if self.ask("HEAD", f"{path}/{digest}").status_code == 200:
            return
        query = ""
        if content in SHARED and self.random.random() < 0.5:
            query = f"?mount={digest}&from={self.random.choice(self.names)}"
        started = self.ask("POST", f"{path}/uploads/{query}")
        if started.status_code == 201:
            self.tallies.count("mounted")
            return
        place = started.headers["Location"]
        self.ask(
            "PUT",
            f"{place}&digest={digest}",
            data=content,
            headers={"Content-Type": "application/octet-stream"},
        )

    def delete(self) -> None:
        """Delete an image."""
        if not self.live:
            return
        tag = self.random.choice(list(self.live))
        image = self.live.pop(tag)
        answer = self.ask("DELETE", f"/v2/{self.name_here}/manifests/{image.digest}")
        if answer.status_code == 202:
            self.trash[image.digest] = (tag, image)
            self.tallies.count("deleted")

    def restore(self) -> None:
        """Bring one back."""
        found = self._entry()
        if found is None:
            return
        number, digest, (tag, image) = found
        answer = self.ask("POST", f"{self._trash()}/{number}/restore", json={"tags": "free"})
        if answer.status_code == 200:
            # Its tag comes back where nothing else has it now.
            if tag not in self.live:
                self.live[tag] = image
            del self.trash[digest]
            self.tallies.count("restored")

    def purge(self) -> None:
        """Give one up for good."""
        found = self._entry()
        if found is None:
            return
        number, digest, _image = found
        if self.ask("DELETE", f"{self._trash()}/{number}").status_code == 200:
            del self.trash[digest]
            self.tallies.count("purged")

    def _trash(self) -> str:
        return f"{_API}/projects/{self.name_here.partition('/')[0]}/trash"

    def _entry(self) -> tuple[int, str, tuple[str, Image]] | None:
        listed = self.ask("GET", self._trash(), params={"page_size": 100})
        rows = [row for row in listed.json() if row["digest"] in self.trash]
        if not rows:
            return None
        row = self.random.choice(rows)
        return row["id"], row["digest"], self.trash[row["digest"]]

    def pull(self) -> None:
        """Pull an image and look at every byte."""
        if self.live:
            tag = self.random.choice(list(self.live))
            self.check(tag, self.live[tag])

    def check(self, tag: str, image: Image) -> None:
        """Compare what comes back."""
        answer = self.ask("GET", f"/v2/{self.name_here}/manifests/{tag}")
        if answer.content != image.manifest:
            self.tallies.fail(f"{self.name_here}:{tag} is not what was pushed: {answer.text[:99]}")
            return
        for digest, content in image.blobs.items():
            if self.ask("GET", f"/v2/{self.name_here}/blobs/{digest}").content != content:
                self.tallies.fail(f"{self.name_here}:{tag} has lost {digest}")
        self.tallies.count("pulled identical")


def _image(note: str, layers: list[bytes]) -> Image:
    config = json.dumps({"os": "linux", "architecture": "amd64", "author": note}).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [
            {"mediaType": LAYER, "digest": digest_of(layer), "size": len(layer)} for layer in layers
        ],
    }
    blobs = {digest_of(content): content for content in (config, *layers)}
    return Image(json.dumps(document).encode(), blobs)


class Collecting(threading.Thread):
    """Collects, again and again, four workers at a time."""

    def __init__(self, stack: Stack, tallies: Tallies) -> None:
        """``is_over`` ends it."""
        super().__init__(daemon=True)
        self.stack, self.tallies = stack, tallies
        self.is_over = threading.Event()
        self.runs, self.freed = 0, 0

    def run(self) -> None:
        """Order a run, wait for its end, order the next."""
        while not self.is_over.is_set():
            number = self._order()
            while (row := self._row(number))["job_status"] in ("Pending", "Running"):
                time.sleep(0.2)
            if row["job_status"] != "Success":
                log = self._ask("GET", f"{_API}/system/gc/{number}/log").text
                self.tallies.fail(f"collection {number}: {row['job_status']}: {log[-500:]}")
            self.runs += 1
            self.freed += json.loads(row["job_parameters"])["freed_space"]

    def _order(self) -> int:
        body = {"schedule": {"type": "Manual"}, "parameters": {"workers": 4}}
        made = self._ask("POST", f"{_API}/system/gc/schedule", json=body)
        return int(made.headers["Location"].rpartition("/")[2])

    def _row(self, number: int) -> Any:
        return self._ask("GET", f"{_API}/system/gc/{number}").json()

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.stack.request(
            method, path, auth=("admin", self.stack.admin_password), **options
        )


def main() -> int:
    """Run it; print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("grace", type=int, help="seconds")
    parser.add_argument("--bucket", action="store_true")
    wanted = parser.parse_args()
    settings = {"MOORAGE_GC_GRACE": str(wanted.grace), "MOORAGE_UNSAFE_GC_GRACE": "1"}
    if database := os.environ.get("MOORAGE_TEST_DATABASE_URL"):
        settings["MOORAGE_DATABASE_URL"] = database
    with contextlib.ExitStack() as ends, tempfile.TemporaryDirectory(prefix="moorage-") as folder:
        if wanted.bucket:
            settings |= _bucket(ends)
        stack = Stack(Path(folder), port=None, **settings).start()
        try:
            return _soak(stack, wanted.seconds)
        finally:
            stack.stop()


def _bucket(ends: contextlib.ExitStack) -> dict[str, str]:
    """Start an S3 service; return the settings for a bucket of it that keeps versions."""
    # It would say each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    service = Service().start()
    ends.callback(service.stop)
    bucket = service.bucket(has_versions=True)
    # Debian's registry, with a wrapped transport, ends where this is set.
    os.environ.pop("AWS_CA_BUNDLE", None)
    return {
        "MOORAGE_S3_BUCKET": bucket.name,
        "MOORAGE_S3_PREFIX": bucket.prefix,
        "MOORAGE_S3_ENDPOINT": bucket.endpoint,
        "MOORAGE_S3_ACCESS_KEY": bucket.access_key,
        "MOORAGE_S3_SECRET_KEY": bucket.secret_key,
    }


def _soak(stack: Stack, seconds: float) -> int:
    tallies = Tallies()
    names = [f"{make_project(stack)}/app" for _ in range(CLIENTS)]
    workers = [Worker(stack, number, names, tallies) for number in range(CLIENTS)]
    collecting = Collecting(stack, tallies)
    until = time.monotonic() + seconds
    for worker in workers:
        worker.until = until
        worker.start()
    collecting.start()
    for worker in workers:
        worker.join()
    collecting.is_over.set()
    collecting.join()
    for worker in workers:
        for tag, image in worker.live.items():
            worker.check(tag, image)
    fsck = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "fsck", "--deep"],
        env=environment(stack.home, stack.port, **stack.settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if fsck.returncode:
        tallies.fail(f"fsck: {fsck.stdout[-1000:]}{fsck.stderr[-1000:]}")
    return _report(stack, tallies, collecting)


def _report(stack: Stack, tallies: Tallies, collecting: Collecting) -> int:
    """Print what was done and what was wrong; return the process's status."""
    for name, count in sorted(tallies.counts.items()):
        print(f"{count:7} {name}")
    print(f"{collecting.runs:7} collections, which freed {collecting.freed} bytes")
    print(f"{len(tallies.wrong):7} wrong")
    for text in tallies.wrong[:20]:
        print(text)
    if tallies.wrong:
        print(stack.logs())
    return 1 if tallies.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
