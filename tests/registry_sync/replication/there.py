"""Another registry, in memory, and policies that copy to it."""

import datetime
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.utils import timezone

from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, remote_registries
from registry_sync.client.errors import RegistryError
from registry_sync.client.managed import UnableError
from registry_sync.models import Execution, Repository, State, Task
from registry_sync.remote_registries import Address
from registry_sync.replication import engine, policies
from registry_sync.replication.policies import KIND, Terms
from registry_sync.runs import Run
from tests.factories import digest_of

Push = Callable[..., Repository]


class There:
    """Another registry; what each client asks of it is written down."""

    def __init__(self) -> None:
        """Start empty."""
        self.tagged: dict[tuple[str, str], str] = {}
        self.manifests: set[tuple[str, str]] = set()
        self.blobs: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str, str]] = []
        self.failure: RegistryError | None = None
        self.deletes_tags = True
        # Where it has none, clients keep a list by the tag schema: by repository and subject.
        self.has_api = True
        self.lists: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self.list_failure: RegistryError | None = None
        self.pause: Callable[[float], None] = lambda _seconds: None
        self._lock = threading.Lock()

    def _note(self, what: str, repository: str, name: str) -> None:
        with self._lock:
            self.asked.append((what, repository, name))
        if self.failure is not None:
            raise self.failure

    def has_project(self, _name: str) -> bool:
        return True

    def prepare(self, _repository: str) -> None:
        pass

    def tagged_digest(self, repository: str, tag: str, **_types: object) -> str:
        self._note("tag", repository, tag)
        return self.tagged.get((repository, tag), "")

    def has_manifest(self, repository: str, digest: str, **_types: object) -> bool:
        self._note("manifest", repository, digest)
        return (repository, digest) in self.manifests

    def has_blob(self, repository: str, digest: str) -> bool:
        self._note("blob", repository, digest)
        return (repository, digest) in self.blobs

    def put_blob(
        self, repository: str, digest: str, size: int, source: Any, *, location: str, piece: int
    ) -> None:
        self._note("send", repository, digest)
        with source(0) as stream:
            content = stream.read()
        assert (digest_of(content), len(content)) == (digest, size)
        self.blobs.add((repository, digest))

    def mount(self, repository: str, digest: str, source: str) -> str:
        if (source, digest) not in self.blobs:
            return "an upload"
        self._note("mount", repository, digest)
        self.blobs.add((repository, digest))
        return ""

    def tags(self, repository: str) -> list[str]:
        return sorted(tag for place, tag in self.tagged if place == repository)

    def delete_tag(self, repository: str, _digest: str, tag: str) -> None:
        self._note("delete", repository, tag)
        if not self.deletes_tags:
            raise UnableError
        self.tagged.pop((repository, tag), None)

    def delete_artifact(self, repository: str, digest: str) -> None:
        self._note("delete", repository, digest)
        self.manifests.discard((repository, digest))
        self.tagged = {
            place: at for place, at in self.tagged.items() if (place[0], at) != (repository, digest)
        }

    def put_manifest(self, repository: str, reference: str, media_type: str, content: bytes) -> str:
        self._note("put", repository, reference)
        self.manifests.add((repository, digest_of(content)))
        if ":" not in reference:
            self.tagged[repository, reference] = digest_of(content)
        subject = json.loads(content).get("subject")
        return str(subject["digest"]) if subject and self.has_api else ""

    def has_referrers_api(self, repository: str, digest: str) -> bool:
        self._note("referrers", repository, digest)
        return self.has_api

    def add_referrers(
        self, repository: str, subject: str, entries: Sequence[dict[str, Any]]
    ) -> bool:
        self._note("list", repository, subject)
        if self.list_failure is not None:
            raise self.list_failure
        listed = self.lists.setdefault((repository, subject), {})
        listed |= {entry["digest"]: entry for entry in entries}
        return True


def make_policy(**terms: Any) -> int:
    there = remote_registries.create(
        name="there", description="", address=Address("https://there.example"), actor=SYSTEM_ACTOR
    )
    return policies.create(Terms("all", there, **terms), actor=SYSTEM_ACTOR).pk


def run_all(policy_id: int) -> Execution:
    """Run a policy to its end, one task after the other."""
    return finish(executions.create(KIND, actor=SYSTEM_ACTOR, policy_id=policy_id))


def finish(execution: Execution) -> Execution:
    """Do the tasks of a run, one after the other."""
    while task := Task.objects.filter(execution=execution, state=State.QUEUED).first():
        lease = timezone.now() + datetime.timedelta(minutes=1)
        Task.objects.filter(pk=task.pk).update(state=State.RUNNING, lease_until=lease)
        task = Task.objects.select_related("execution").get(pk=task.pk)
        run = Run(task)
        engine.run(run)
        run.flush()
        executions.finish(task, State.SUCCEEDED)
    Execution.objects.filter(pk=execution.pk).update(started_at=execution.created_at)
    execution.refresh_from_db()
    return execution
