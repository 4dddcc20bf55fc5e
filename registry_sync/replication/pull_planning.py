"""What a policy has to fetch: the tags of another registry compared with ours."""

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.utils import timezone

from accounts.errors import BadRequest
from accounts.scopes import is_repository_name
from registry_sync import manifests
from registry_sync.accessories import subject_of_tag, tool_tags
from registry_sync.client.managed import Described, ManagedRegistry, UnableError
from registry_sync.copying import MAX_ARTIFACTS
from registry_sync.manifests import MAX_MANIFEST_BYTES, Manifest, ManifestError
from registry_sync.models import Artifact, ReplicationPolicy, Tag, TagEvent
from registry_sync.remote_registries import Address
from registry_sync.replication import clients, filters
from registry_sync.replication.filters import Filters
from registry_sync.replication.planning import TYPES, Askers, Copy, Plan, Progress, destination_of
from registry_sync.tag_names import is_tag

# For so long after an image came, what is attached to it is looked for.
_SIGNED_WITHIN = datetime.timedelta(days=7)
# What a pattern may hold; a name without any of it is one repository.
_WILDCARDS = frozenset("*?[]{}!")


def make(
    policy: ReplicationPolicy,
    address: Address,
    run: Progress,
    *,
    plan: Plan | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Plan:
    """Compare everything that the policy takes; as ``planning.make``."""
    plan, wanted = plan or Plan(), filters.read(policy.filters)
    compared = 0
    with Askers(address, pause) as askers, clients.borrowed(address, pause=pause) as client:
        for name in _names(client, wanted):
            try:
                destination = destination_of(policy, name)
            except BadRequest as error:
                plan.unnamed.append(f"{name}: {error}")
                continue
            if "/" not in destination:
                plan.unnamed.append(f"{name}: a repository here is in a project; give a namespace")
                continue
            if not is_repository_name(destination):
                # What a registry says may be anything; ours takes it for a path.
                plan.unnamed.append(f"{ascii(name)[:200]} cannot be a repository's name")
                continue
            listed = client.tags(name)
            tags = [tag for tag in listed if _is_wanted(tag, wanted)]
            found = askers.pairs(name, tags)
            if wanted.looks_into:
                found = _Look(client, name, wanted).chosen(found)
            attached = _Attached(client, name, frozenset(listed))
            _compare(plan, policy, (name, destination), found, attached)
            compared += len(tags)
            run.progress(done=compared, unit="tags", message=name)
    return plan


def _names(client: ManagedRegistry, wanted: Filters) -> Iterator[str]:
    """Ask for the catalogue only where a pattern needs it: not every registry gives one."""
    if wanted.name and not _WILDCARDS & set(wanted.name):
        yield wanted.name
        return
    namespace = wanted.name.partition("/")[0]
    is_literal = "/" in wanted.name and not _WILDCARDS & set(namespace)
    for name in client.repositories_in(namespace if is_literal else ""):
        if wanted.takes_repository(name):
            yield name


class _Look:
    """Looks into images of one repository, as far as filters by type or label need it."""

    def __init__(self, client: ManagedRegistry, name: str, wanted: Filters) -> None:
        """``wanted`` says by what they are chosen."""
        self._client = client
        self._name = name
        self._wanted = wanted
        self._described: Mapping[str, Described] = {}
        self._chosen: dict[str, bool] = {}

    def chosen(self, tags: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those tags, each with its digest, whose images the policy takes."""
        # Policies with labels are not made for registries that tell none.
        with contextlib.suppress(UnableError):
            self._described = self._client.described(self._name)
        return [(tag, digest) for tag, digest in tags if digest and self._is_chosen(digest)]

    def _is_chosen(self, digest: str) -> bool:
        if digest not in self._chosen:
            kind, labels = self._facts(digest)
            self._chosen[digest] = self._wanted.takes_artifact(kind, labels)
        return self._chosen[digest]

    def _facts(self, digest: str) -> tuple[str, frozenset[str]]:
        """Return an image's type and labels; its manifest tells the former too."""
        told = self._described.get(digest)
        if told is not None:
            return told.kind, told.labels
        found = self._client.manifest(self._name, digest, types=TYPES, limit=MAX_MANIFEST_BYTES)
        try:
            is_image = found is not None and _is_image(manifests.parse(found[1], found[0]))
        except ManifestError:
            is_image = False
        return ("IMAGE" if is_image else ""), frozenset()


def _is_image(manifest: Manifest) -> bool:
    return manifest.is_index or manifest.is_image


def _is_wanted(tag: str, wanted: Filters) -> bool:
    return is_tag(tag) and not subject_of_tag(tag) and wanted.takes_tag(tag)


@dataclass(frozen=True, slots=True)
class _Attached:
    """What is about the images of a repository there: signing often comes after the push."""

    client: ManagedRegistry
    name: str
    tags: frozenset[str]

    def is_more(self, artifact: Artifact) -> bool:
        """Whether something is about an image there that never was here.

        One request, one for each tool's tag, and one for each digest that is unknown here.
        """
        if artifact.pushed_at < timezone.now() - _SIGNED_WITHIN:
            return False
        there = set(self.client.referrers(self.name, artifact.digest))
        known = Artifact.objects.filter(repository=artifact.repository_id, body_id__in=there)
        fresh = sorted(there - set(known.values_list("body_id", flat=True)))
        return len(fresh) > MAX_ARTIFACTS or self._is_there(fresh) or self._has_moved(artifact)

    def _is_there(self, digests: Sequence[str]) -> bool:
        """Whether any of what is said to be about an image is there: a list may be out of date."""
        has = self.client.has_manifest
        return any(has(self.name, digest, types=TYPES) for digest in digests)

    def _has_moved(self, artifact: Artifact) -> bool:
        """Whether a tool's tag points there to what it never pointed to here; a request a tag.

        One that was moved here since it came (an image that was signed here too) is not.
        """
        for tag in self.tags.intersection(tool_tags(artifact.digest)):
            digest = self.client.tagged_digest(self.name, tag, types=TYPES)
            if digest and not self._was_here(artifact.repository_id, tag, digest):
                return True
        return False

    @staticmethod
    def _was_here(repository_id: int, tag: str, digest: str) -> bool:
        here = Tag.objects.filter(repository=repository_id, name=tag)
        now = here.values_list("artifact__body_id", flat=True)[:1]
        if not now or digest in now:
            return bool(now)
        before = TagEvent.objects.filter(repository=repository_id, tag=tag, to_digest=digest)
        return before.exists()


def _compare(
    plan: Plan,
    policy: ReplicationPolicy,
    place: tuple[str, str],
    tags: list[tuple[str, str]],
    attached: _Attached,
) -> None:
    name, destination = place
    project, _slash, path = destination.partition("/")
    ours = Tag.objects.filter(
        repository__project__name=project,
        repository__project__deleted_at=None,
        repository__path=path,
    ).select_related("artifact")
    rows = ours.defer("artifact__config", "artifact__annotations")
    here = {tag.name: tag.artifact for tag in rows if tag.artifact is not None}
    copies: dict[str, Copy] = {}
    complete: dict[str, bool] = {}
    for tag, digest in tags:
        if not digest:
            continue  # It went while we looked.
        artifact = here.get(tag)
        is_same = artifact is not None and artifact.digest == digest
        if artifact is not None and is_same and digest not in complete:
            complete[digest] = not attached.is_more(artifact)
        if is_same and complete[digest]:
            plan.there += 1
        elif artifact is not None and not is_same and not policy.is_overriding:
            plan.kept.append(f"{destination}:{tag}")
        else:
            if digest not in copies:
                copies[digest] = Copy(0, digest, 0, name, destination)
                plan.copies.append(copies[digest])
            if not is_same:
                copies[digest].tags.append(tag)
