"""A Moorage that copies to and from others, as its administrator has it do."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import requests

from registry_sync.client import outbound
from registry_sync.client.remote import RemoteRegistry
from registry_sync.manifests import IMAGE_TYPES, INDEX_TYPES
from tests.factories import Image, digest_of
from tests.live.client import unique
from tests.live.stack import Stack, wait_for

TYPES = IMAGE_TYPES | INDEX_TYPES
_UPLOAD = re.compile(r'"PUT /v2/(\S+)/blobs/uploads/\S+ \S+" 201 .* received=(\d+) ')
# More than the heads of a request, less than the layers of tests differ by.
HEADS = 4096

# What a repository holds: tags by their digests, manifests by their bytes, referrers and blobs.
State = dict[str, Any]


@dataclass(frozen=True)
class Moorage:
    """A started one, seen by its administrator."""

    stack: Stack

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        """Ask its API; nothing but success is expected."""
        answer = self.stack.request(
            method,
            f"/api/v2.0/{path}",
            json=body,
            auth=("admin", self.stack.admin_password),
        )
        assert answer.status_code in (200, 201), answer.text
        return answer

    def client(self) -> RemoteRegistry:
        """Return a client of its registry."""
        session = outbound.session(outbound.OPERATOR)
        password = self.stack.admin_password
        return RemoteRegistry(self.stack.url, username="admin", password=password, session=session)

    def register(self, other: "Moorage", url: str = "") -> int:
        """Make another one known, at another address than its own where one is given."""
        credential = {"access_key": "admin", "access_secret": other.stack.admin_password}
        body = {
            "name": unique("other"),
            "url": url or other.stack.url,
            "type": "harbor",
            "credential": {"type": "basic", **credential},
        }
        return _number(self.ask("POST", "registries", body))

    def push_policy(self, registry: int, project: str, **fields: Any) -> int:
        """Copy a project there, under the same name."""
        return self._policy(project, dest_registry={"id": registry}, **fields)

    def pull_policy(self, registry: int, project: str, **fields: Any) -> int:
        """Copy a project from there, under the same name."""
        return self._policy(project, src_registry={"id": registry}, **fields)

    def _policy(self, project: str, **fields: Any) -> int:
        body = {
            "name": unique("policy"),
            "filters": [{"type": "name", "value": f"{project}/**"}],
            **fields,
        }
        return _number(self.ask("POST", "replication/policies", body))

    def start(self, policy: int) -> int:
        """Start a policy; return the run's number."""
        return _number(self.ask("POST", "replication/executions", {"policy_id": policy}))

    def shown(self, run: int) -> dict[str, Any]:
        """Return what the API says of a run."""
        found: dict[str, Any] = self.ask("GET", f"replication/executions/{run}").json()
        return found

    def ended(self, run: int) -> dict[str, Any]:
        """Wait for a run's end and return it; it must have succeeded."""
        wait_for(lambda: self.shown(run)["status"] != "InProgress", "the replication")
        shown = self.shown(run)
        assert shown["status"] == "Succeed", (shown, self.log(run))
        return shown

    def run(self, policy: int) -> dict[str, Any]:
        """Start a policy and wait for its end."""
        return self.ended(self.start(policy))

    def log(self, run: int) -> str:
        """Return the logs of a run's tasks."""
        base = f"replication/executions/{run}/tasks"
        tasks = self.ask("GET", f"{base}?page_size=100").json()
        return "\n".join(self.ask("GET", f"{base}/{task['id']}/log").text for task in tasks)

    # --- What is there ----------------------------------------------------------------------------

    def state(self, *names: str) -> dict[str, State]:
        """Return everything that these repositories hold, each byte of it read."""
        client = self.client()
        return {name: state_of(client, name) for name in names}

    def received(self, name: str) -> Counter[int]:
        """Count the blobs of a repository that came in whole, by size in steps of ``HEADS``."""
        log = (self.stack.home / "logs" / "nginx.log").read_text()
        found = [(where, int(size) // HEADS) for where, size in _UPLOAD.findall(log)]
        return Counter(size for where, size in found if where == name)

    def stored(self) -> set[str]:
        """Return the digests whose bytes its storage holds."""
        root = self.stack.home / "registry" / "docker" / "registry" / "v2" / "blobs" / "sha256"
        return {f"sha256:{path.parent.name}" for path in root.glob("*/*/data")}


def state_of(client: RemoteRegistry, name: str) -> State:
    """Return everything that a repository holds, each byte of it read."""
    tags = {tag: client.tagged_digest(name, tag, types=TYPES) for tag in client.tags(name)}
    manifests: dict[str, bytes] = {}
    referrers: dict[str, list[str]] = {}
    blobs: set[str] = set()
    waiting = list(tags.values())
    while waiting:
        digest = waiting.pop()
        if digest in manifests:
            continue
        found = client.manifest(name, digest, types=TYPES, limit=1_000_000)
        assert found is not None, digest
        assert digest_of(found[1]) == digest
        manifest = Image(found[0], found[1]).manifest
        manifests[digest] = found[1]
        referrers[digest] = sorted(client.referrers(name, digest))
        waiting += [*referrers[digest], *(child.digest for child in manifest.children)]
        used = [*manifest.layers, *([manifest.config] if manifest.config else [])]
        blobs |= {descriptor.digest for descriptor in used}
    for digest in blobs:
        with client.open_blob(name, digest) as parts:
            assert parts is not None, digest
            assert digest_of(b"".join(parts)) == digest
    return {"tags": tags, "manifests": manifests, "referrers": referrers, "blobs": blobs}


def _number(made: requests.Response) -> int:
    return int(made.headers["Location"].rpartition("/")[2])
