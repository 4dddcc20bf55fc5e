"""What a policy has to copy: local tags compared with those there, one request for each."""

import datetime
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from accounts.errors import BadRequest
from registry_sync.accessories import accessories_among, subject_of_tag
from registry_sync.artifact_types import type_of
from registry_sync.manifests import IMAGE_TYPES, INDEX_TYPES
from registry_sync.models import (
    Artifact,
    ArtifactLabel,
    Execution,
    Replica,
    ReplicationPolicy,
    Repository,
    State,
    Tag,
)
from registry_sync.remote_registries import Address
from registry_sync.replication import clients, filters, replicas
from registry_sync.replication.filters import Filters
from registry_sync.replication.policies import KIND

TYPES = IMAGE_TYPES | INDEX_TYPES
_THREADS = 8
_BATCH = 400


class Progress(Protocol):
    """Whoever is told how far a plan is, and may end it."""

    def progress(
        self,
        *,
        done: int | None = None,
        total: int | None = None,
        unit: str | None = None,
        message: str | None = None,
    ) -> None:
        """Go on, or raise."""


@dataclass(slots=True)
class Copy:
    """One image for one destination, with the tags it is to get there."""

    # Ours; 0 for one that is to come here.
    artifact_id: int
    digest: str
    size: int
    name: str
    destination: str
    tags: list[str] = field(default_factory=list)
    # Whether nothing of it was found there: what is asked in vain need not be asked.
    is_fresh: bool = True
    via: str = ""


@dataclass(slots=True)
class Deletion:
    """Tags of one image that are to go at a destination."""

    repository_id: int
    digest: str
    destination: str
    tags: list[str] = field(default_factory=list)
    via: str = ""


@dataclass(slots=True)
class Plan:
    """What is to be copied or deleted, and what is not, with the reason."""

    copies: list[Copy] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    there: int = 0
    # Bytes of what is there already.
    there_size: int = 0
    kept: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    # Of proxy projects: what was not wholly fetched cannot be sent.
    partial: list[str] = field(default_factory=list)
    # The deletions by repository, digest and destination.
    _deleting: dict[tuple[int, str, str], Deletion] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of what is to be copied, as if nothing of it were there."""
        return sum(copy.size for copy in self.copies)

    def add_deletion(self, replica: Replica, via: str = "") -> None:
        """Take up a tag that is to go, with others of the same image."""
        place = (replica.repository_id, replica.digest, replica.destination)
        if place not in self._deleting:
            self._deleting[place] = Deletion(*place, via=via)
            self.deletions.append(self._deleting[place])
        self._deleting[place].tags.append(replica.tag)


def make(
    policy: ReplicationPolicy,
    address: Address,
    run: Progress,
    *,
    plan: Plan | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Plan:
    """Compare everything that the policy takes. Raises ``RegistryError``.

    ``plan`` is added to, for who wants to see it as it grows; ``pause`` as for clients.
    """
    plan, wanted = plan or Plan(), filters.read(policy.filters)
    since = last_success(policy)
    compared = 0
    with Askers(address, pause) as askers:
        for batch in _batches(policy, wanted, plan, since):
            asked = [(c.destination, tag.name) for c, tags in batch for tag in tags]
            answers = iter(askers.digests(asked))
            for comparison, tags in batch:
                comparison.add([(tag, next(answers)) for tag in tags])
            compared += len(asked)
            run.progress(done=compared, unit="tags", message=batch[-1][0].repository.name)
    if policy.is_deleting and policy.pk:
        for replica in replicas.orphaned(policy):
            plan.add_deletion(replica)
    return plan


def _batches(
    policy: ReplicationPolicy, wanted: Filters, plan: Plan, since: datetime.datetime | None
) -> Iterator[list[tuple["Comparison", list[Tag]]]]:
    """Yield tags with where they go, of several repositories at once where those are small."""
    batch: list[tuple[Comparison, list[Tag]]] = []
    for repository in _repositories(wanted):
        try:
            destination = destination_of(policy, repository.name)
        except BadRequest as error:
            plan.unnamed.append(f"{repository.name}: {error}")
            continue
        comparison = Comparison(plan, policy, repository, destination, since)
        if repository.project.is_proxy:
            plan.partial += _partial(repository, wanted)
        for tags in tags_of(repository, wanted):
            batch.append((comparison, tags))
            if sum(len(held) for _comparison, held in batch) >= _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _partial(repository: Repository, wanted: Filters) -> list[str]:
    rows = Tag.objects.filter(repository=repository, artifact__is_complete=False)
    names = rows.order_by("name").values_list("name", flat=True)
    return [f"{repository.name}:{name}" for name in names if wanted.takes_tag(name)]


def destination_of(policy: ReplicationPolicy, name: str) -> str:
    """Return what a repository is called there. Raises ``BadRequest`` where it can have no name."""
    return filters.destination(name, policy.namespace, policy.replaced_components)


def last_success(policy: ReplicationPolicy) -> datetime.datetime | None:
    """Return when the last run began that compared everything, and copied it."""
    ended = Execution.objects.filter(kind=KIND, policy_id=policy.pk, state=State.SUCCEEDED)
    whole = ended.exclude(parameters__has_any_keys=["changes", "retry_of"])
    return whole.order_by("-pk").values_list("started_at", flat=True).first()


def _repositories(wanted: Filters) -> Iterator[Repository]:
    found = Repository.objects.pushed().filter(project__deleted_at=None)
    for repository in found.select_related("project").order_by("project__name", "path"):
        if wanted.takes_repository(repository.name):
            yield repository


def tags_of(
    repository: Repository, wanted: Filters, among: Collection[str] | None = None
) -> Iterator[list[Tag]]:
    """Yield the tags that are copied, in batches; what tools tie to an image goes with it.

    ``among``: only these names.
    """
    # What a proxy project has not wholly fetched cannot be sent.
    rows = Tag.objects.filter(
        repository=repository, artifact__trash_entry=None, artifact__is_complete=True
    )
    if among is not None:
        rows = rows.filter(name__in=among)
    rows = rows.exclude(artifact=None).select_related("artifact")
    rows = rows.defer("artifact__config", "artifact__annotations").order_by("name")
    names = [
        name
        for name in rows.values_list("name", flat=True)
        if not subject_of_tag(name) and wanted.takes_tag(name)
    ]
    for start in range(0, len(names), _BATCH):
        tags = list(rows.filter(name__in=names[start : start + _BATCH]))
        labels: dict[int, list[str]] = {}
        if wanted.labels:
            labelings = ArtifactLabel.objects.filter(artifact__in=[tag.artifact_id for tag in tags])
            for artifact_id, name in labelings.values_list("artifact_id", "label__name"):
                labels.setdefault(artifact_id, []).append(name)
        yield [
            tag
            for tag in tags
            if tag.artifact is not None
            and wanted.takes_artifact(type_of(tag.artifact), labels.get(tag.artifact.pk, ()))
        ]


@dataclass(slots=True)
class Comparison:
    """One repository's tags beside those at its destination."""

    plan: Plan
    policy: ReplicationPolicy
    repository: Repository
    destination: str
    # When everything was copied last (never: None); what was attached since is looked for.
    since: datetime.datetime | None
    # Digests that are looked at even where they are there.
    forced: Collection[str] = ()
    via: Mapping[str, str] = field(default_factory=dict)
    copies: dict[int, Copy] = field(default_factory=dict)

    def add(self, tags: Sequence[tuple[Tag, str]]) -> None:
        """Take up tags, each with the digest it has there (nothing where it is not)."""
        fresh = {*self._freshly_attached(tags), *self.forced}
        for tag, there in tags:
            artifact = tag.artifact
            if artifact is None:
                continue
            is_same = there == artifact.digest
            if is_same and artifact.digest not in fresh:
                self.plan.there += 1
                self.plan.there_size += artifact.size
            elif there and not is_same and not self.policy.is_overriding:
                self.plan.kept.append(f"{self.destination}:{tag.name}")
            else:
                copy = self._copy_of(artifact)
                copy.is_fresh = copy.is_fresh and not there
                copy.via = self.via.get(tag.name, "")
                if not is_same:
                    copy.tags.append(tag.name)

    def _copy_of(self, artifact: Artifact) -> Copy:
        copy = self.copies.get(artifact.pk)
        if copy is None:
            name = self.repository.name
            copy = Copy(artifact.pk, artifact.digest, artifact.size, name, self.destination)
            self.copies[artifact.pk] = copy
            self.plan.copies.append(copy)
        return copy

    def _freshly_attached(self, tags: Sequence[tuple[Tag, str]]) -> set[str]:
        """Return the digests that are there, but to which something was attached since."""
        here = {tag.artifact.digest: there for tag, there in tags if tag.artifact is not None}
        same = {digest for digest, there in here.items() if digest == there}
        found = accessories_among([self.repository.pk], same) if same else {}
        return {
            digest
            for (_place, digest), rows in found.items()
            if self.since is None or any(row.artifact.pushed_at >= self.since for row in rows)
        }


class Askers:
    """Threads that ask the other registry, each over connections of its own."""

    def __init__(self, address: Address, pause: Callable[[float], None] = time.sleep) -> None:
        """``address``: the registry's; ``pause`` is how it is waited for."""
        self._address = address
        self._pause = pause
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="replication")
        # By name, where the registry has projects: into a missing one nobody may look.
        self._projects: dict[str, bool] = {}

    def __enter__(self) -> "Askers":
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def digests(self, places: Sequence[tuple[str, str]]) -> list[str]:
        """Return where each repository's tag points there; nothing where it is not.

        Raises ``RegistryError``.
        """
        for project in sorted({repository.partition("/")[0] for repository, _tag in places}):
            self._look_for(project)
        return list(self._pool.map(self._ask, places))

    def pairs(self, repository: str, tags: Sequence[str]) -> list[tuple[str, str]]:
        """Return each tag with where it points there. Raises ``RegistryError``."""
        digests = self.digests([(repository, tag) for tag in tags])
        return list(zip(tags, digests, strict=True))

    def _look_for(self, project: str) -> None:
        """Ask once whether a project is there, where the registry has projects."""
        if project not in self._projects:
            with clients.borrowed(self._address, pause=self._pause) as client:
                self._projects[project] = client.has_project(project)

    def _ask(self, place: tuple[str, str]) -> str:
        repository, tag = place
        if not self._projects.get(repository.partition("/")[0], True):
            return ""
        with clients.borrowed(self._address, pause=self._pause) as client:
            return client.tagged_digest(repository, tag, types=TYPES)
