"""Fetches one image from another registry into ours: as a push by our own hand, tags last."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from accounts import projects
from accounts.errors import BadRequest, Conflict, NotFound, PreconditionFailed
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import catalog, copying, upstream
from registry_sync.accessories import tool_tags
from registry_sync.blobs import BlobMissingError
from registry_sync.client.managed import ManagedRegistry
from registry_sync.importing.carry import carry
from registry_sync.importing.drafts import Left, read
from registry_sync.importing.settling import Waiting
from registry_sync.importing.sources import Pointers, RegistrySource
from registry_sync.models import (
    Artifact,
    ArtifactReference,
    ReplicationPolicy,
    Repository,
    Tag,
)
from registry_sync.remote_registries import Address
from registry_sync.replication import clients
from registry_sync.replication.planning import TYPES
from registry_sync.replication.transfers import Meter, each
from registry_sync.runs import Run


class _OneImage(RegistrySource):
    """Of another registry's repository only one manifest, with what an index of it needs."""

    def __init__(self, client: ManagedRegistry, digest: str, tags: tuple[str, ...] = ()) -> None:
        """``tags``: of tools, which come along."""
        super().__init__(client)
        self._digest = digest
        self._tags = tags

    def pointers(self, repository: str) -> Pointers:
        """Say that there is nothing else."""
        return Pointers(dict.fromkeys(self._tags, (self._digest, None)), {self._digest: None})


@dataclass(frozen=True, slots=True)
class Fetcher:
    """From where images come, and how fast."""

    policy: ReplicationPolicy
    address: Address
    client: ManagedRegistry
    run: Run
    meter: Meter

    def bring(self, name: str, repository: Repository, sizes: Mapping[str, int]) -> None:
        """Bring blobs into a repository, several at once, each checked as it is stored."""
        self.run.progress(total=(self.run.task.total or 0) + sum(sizes.values()), unit="bytes")
        target = repository.registry_name

        def fetch(digest: str) -> None:
            if upstream.registry.head_blob(target, digest) is not None:
                return
            with (
                clients.borrowed(self.address, pause=self.meter.pause) as client,
                client.open_blob(name, digest) as parts,
            ):
                if parts is None:
                    raise BlobMissingError(digest)
                metered = self.meter.counted(parts)
                upstream.registry.upload_blob(target, digest, metered, size=sizes[digest])

        each(fetch, list(sizes), meter=self.meter, run=self.run)


def fetch(fetcher: Fetcher, *, name: str, destination: str, digest: str, tags: list[str]) -> int:
    """Fetch an image with what belongs to it, then its tags; return how many manifests came.

    Raises errors of the table where it cannot come in whole, and ``RegistryError``.
    """
    run = fetcher.run
    repository = _repository(destination, run)
    count = _bring(fetcher, name, repository, digest)
    count += _bring_attached(fetcher, name, repository, digest)
    artifact = _here(repository, digest)
    for tag in tags:
        _point(run, artifact, tag, is_overriding=fetcher.policy.is_overriding)
    return count


def _bring_attached(fetcher: Fetcher, name: str, repository: Repository, digest: str) -> int:
    """Bring what is about an image, about the images of an index, and about any of that.

    Raises ``Conflict`` where that is more than an image can have.
    """
    count, seen, waiting = 0, {digest}, [digest]
    while waiting:
        subject = waiting.pop()
        found = _undeleted(repository, fetcher.client.referrers(name, subject))
        if len(seen.union(found)) > copying.MAX_ARTIFACTS:
            raise Conflict(f"more than {copying.MAX_ARTIFACTS} artifacts belong to {digest}")
        for tag in tool_tags(subject):
            attached = fetcher.client.tagged_digest(name, tag, types=TYPES)
            if attached and _undeleted(repository, [attached]):
                count += _bring(fetcher, name, repository, attached)
                _point(fetcher.run, _here(repository, attached), tag, is_overriding=True)
        for referrer in found:
            if fetcher.client.has_manifest(name, referrer, types=TYPES):
                count += _bring(fetcher, name, repository, referrer)
            else:
                # A list that clients write (or did not, when they deleted it) may be out of date.
                fetcher.run.log(f"{referrer}, said to be about {subject}, is not there")
        edges = ArtifactReference.objects.filter(
            parent__repository=repository, parent__body_id=subject
        )
        fresh = {*found, *edges.values_list("child__body_id", flat=True)} - seen
        seen |= fresh
        waiting += sorted(fresh)
        if len(seen) > copying.MAX_ARTIFACTS:
            raise Conflict(f"more than {copying.MAX_ARTIFACTS} artifacts belong to {digest}")
    return count


def _undeleted(repository: Repository, digests: Collection[str]) -> list[str]:
    """Return those that are not in the trash here: that does not come back by itself."""
    rows = Artifact.objects.filter(repository=repository, body_id__in=digests)
    deleted = rows.exclude(trash_entry=None).values_list("body_id", flat=True)
    return sorted(set(digests) - set(deleted))


def _here(repository: Repository, digest: str) -> Artifact:
    live = Artifact.objects.live().filter(repository=repository, body_id=digest)
    artifact = live.select_related("repository__project", "body").first()
    if artifact is None:
        raise NotFound(f"{digest} was deleted here meanwhile")
    return artifact


def _repository(destination: str, run: Run) -> Repository:
    """Return where it goes, made with its project where that is missing."""
    name, _slash, path = destination.partition("/")
    project = Project.objects.alive().filter(name=name).first()
    if project is None:
        administrators = User.objects.filter(is_administrator=True, is_active=True)
        try:
            owner = administrators.order_by("pk").first()
            project = projects.create(name=name, owner=owner, actor=SYSTEM_ACTOR)
            run.log(f"made the project {name}")
        except Conflict:
            project = Project.objects.alive().get(name=name)
        except BadRequest as error:
            raise BadRequest(f"{name} cannot be a project: {error}") from error
    repository = catalog.open_repository(project.pk, path)
    repository.project = project
    return repository


def _bring(fetcher: Fetcher, name: str, repository: Repository, digest: str) -> int:
    """Bring one manifest, an index with its own first; return how many were not here."""
    source = _OneImage(fetcher.client, digest)
    count = 0
    for draft in read(source, name):
        fetcher.run.check()
        if isinstance(draft, Left):
            raise Conflict(f"{draft.subject}: {draft.reason}")
        entry = Waiting(name, repository, draft)
        written = carry(source, entry, actor=SYSTEM_ACTOR, bring=fetcher.bring)
        for left in written.left:
            raise Conflict(f"{left.subject}: {left.reason}")
        count += len(written.images)
    return count


def _point(run: Run, artifact: Artifact, tag: str, *, is_overriding: bool) -> None:
    """Let a tag point to it, where that is still wanted."""
    repository = artifact.repository
    here = Tag.objects.filter(repository=repository, name=tag)
    current = here.values_list("artifact__body_id", flat=True).first()
    if current == artifact.digest:
        return
    if current and not is_overriding:
        run.log(f"{repository.name}:{tag} is {current} here and stays so")
        return
    try:
        copying.add_tag(artifact, tag, is_move=is_overriding, actor=SYSTEM_ACTOR)
    except PreconditionFailed as error:
        raise Conflict(f"{repository.name}:{tag}: {error}") from error
    run.log(f"{repository.name}:{tag} is {artifact.digest}")
