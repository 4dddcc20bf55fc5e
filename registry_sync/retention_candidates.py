"""Reads what a retention policy decides on: a project's images, repository by repository.

Not among them: what belongs to an image (signatures, an index's manifests without a tag). Facts
that no rule may overrule come along as the image's ``protection``.
"""

import datetime
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef

from registry_sync import immutability
from registry_sync.accessories import subject_of_tag
from registry_sync.models import (
    Artifact,
    ArtifactReference,
    DigestInUse,
    PullTotal,
    Repository,
    Tag,
    TagPin,
)
from registry_sync.retention_rules import Image
from registry_sync.tag_deletions import Veto

# Images that are read together: many small repositories in one query, a large one by itself.
_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Candidates:
    """One repository with its images, oldest first."""

    repository: Repository
    images: list[Image]


def candidates(project_id: int, now: datetime.datetime, *, path: str = "") -> Iterator[Candidates]:
    """Yield each repository of a project (or the one named) with its images."""
    repositories = Repository.objects.pushed().filter(project_id=project_id)
    if path:
        repositories = repositories.filter(path=path)
    counted = repositories.annotate(images=Count("artifacts")).order_by("path")
    in_use = set(
        DigestInUse.objects.current(now)
        .filter(project_id=project_id)
        .values_list("digest", flat=True)
    )
    rules = immutability.rules_of(project_id)
    batch: list[Repository] = []
    size = 0
    for repository in counted.select_related("project"):
        images: int = repository.images  # type: ignore[attr-defined]
        if batch and size + images > _AT_ONCE:
            yield from _read(batch, in_use, rules)
            batch, size = [], 0
        batch.append(repository)
        size += images
    if batch:
        yield from _read(batch, in_use, rules)


def _read(
    repositories: list[Repository], in_use: set[str], rules: list[immutability.Rule]
) -> Iterator[Candidates]:
    ids = [repository.pk for repository in repositories]
    tags = _tags(ids)
    belonging = _belonging(ids)
    used = _used(ids, in_use) if in_use else set()
    pulls = _pulls(ids)
    pins = set(TagPin.objects.filter(repository_id__in=ids).values_list("repository_id", "name"))
    by_repository: dict[int, list[Image]] = defaultdict(list)
    paths = {repository.pk: repository.path for repository in repositories}
    rows = Artifact.objects.live().filter(repository_id__in=ids).order_by("pk")
    columns = rows.values_list("pk", "repository_id", "body_id", "pushed_at")
    for key, repository_id, digest, pushed_at in columns.iterator(chunk_size=2000):
        image = Image(key, digest, pushed_at=pushed_at.timestamp())
        image.pulled_at = pulls.get((repository_id, digest), 0.0)
        for name, at in tags.pop(key, ()):
            image.tags.append(name)
            image.pushed_at = max(image.pushed_at, at)
            if pulls:
                image.pulled_at = max(image.pulled_at, pulls.get((repository_id, name), 0.0))
        reason = belonging.get(key, "")
        if not image.tags and reason:
            continue
        image.protection = _protection(
            image, paths[repository_id], rules, pins, repository_id, used, reason
        )
        by_repository[repository_id].append(image)
    for repository in repositories:
        yield Candidates(repository, by_repository.pop(repository.pk, []))


def _protection(
    image: Image,
    path: str,
    rules: list[immutability.Rule],
    pins: set[tuple[int, str]],
    repository_id: int,
    used: set[int],
    belonging: str,
) -> str:
    if rules and any(immutability.holding(rules, path, name) for name in image.tags):
        return "immutable"
    if pins and any((repository_id, name) in pins for name in image.tags):
        return "pinned"
    return "in_use" if image.key in used else belonging


def _tags(ids: list[int]) -> dict[int, list[tuple[str, float]]]:
    """Return the tags of each artifact; those that tools make follow their images."""
    found: dict[int, list[tuple[str, float]]] = {}
    rows = Tag.objects.filter(repository_id__in=ids, artifact__isnull=False).order_by("pk")
    columns = rows.values_list("artifact_id", "name", "pushed_at")
    for artifact_id, name, pushed_at in columns.iterator(chunk_size=2000):
        if not subject_of_tag(name):
            found.setdefault(artifact_id, []).append((name, pushed_at.timestamp()))
    return found


def _pulls(ids: list[int]) -> dict[tuple[int, str], float]:
    """Return when each tag and digest was pulled last; by scanners and replication is not."""
    rows = PullTotal.objects.filter(repository_id__in=ids, pulled_at__isnull=False)
    columns = rows.exclude(reference="").values_list("repository_id", "reference", "pulled_at")
    return {
        (repository_id, reference): at.timestamp()
        for repository_id, reference, at in columns.iterator(chunk_size=2000)
        if at is not None
    }


def _belonging(ids: list[int]) -> dict[int, str]:
    """Return which artifacts belong to another one, and how."""
    found: dict[int, str] = {}
    edges = ArtifactReference.objects.filter(child__repository_id__in=ids)
    for child_id, trashed in edges.values_list("child_id", "parent__trash_entry_id"):
        # An index in the trash needs its manifests when it is restored.
        if child_id not in found or not trashed:
            found[child_id] = "restorable" if trashed else "platform"
    subjects = Artifact.objects.live().filter(
        repository_id=OuterRef("repository_id"), body_id=OuterRef("subject_digest")
    )
    about = Artifact.objects.live().filter(repository_id__in=ids).exclude(subject_digest="")
    for key in about.filter(Exists(subjects)).values_list("pk", flat=True):
        found[key] = "accessory"
    tools = Tag.objects.filter(repository_id__in=ids, name__startswith="sha256-")
    for artifact_id, name in tools.values_list("artifact_id", "name"):
        if subject_of_tag(name):
            found.setdefault(artifact_id, "accessory")
    return found


def _used(ids: list[int], in_use: set[str]) -> set[int]:
    """Return the artifacts that run: those reported, and indexes one of whose manifests does."""
    live = Artifact.objects.live().filter(repository_id__in=ids)
    found = {key for key, digest in live.values_list("pk", "body_id") if digest in in_use}
    edges = ArtifactReference.objects.filter(child_id__in=found)
    return found | set(edges.values_list("parent_id", flat=True))


def veto(
    repository: Repository, now: datetime.datetime, *, pulled_since: datetime.datetime | None = None
) -> Veto:
    """Return what tells, under the locks, which tags have been protected since they were judged.

    Where pulls count, those after ``pulled_since`` do too: they may have been written down only
    after the verdict.
    """

    def ask(tags: list[Tag]) -> dict[str, str]:
        ids = [tag.artifact_id for tag in tags if tag.artifact_id is not None]
        digests = {tag.artifact.digest for tag in tags if tag.artifact is not None}
        children = ArtifactReference.objects.filter(parent_id__in=ids)
        below = dict(children.values_list("child__body_id", "parent_id"))
        reported = DigestInUse.objects.current(now).filter(
            project_id=repository.project_id, digest__in=digests | below.keys()
        )
        running = set(reported.values_list("digest", flat=True))
        used = {below[digest] for digest in running if digest in below}
        names = [tag.name for tag in tags]
        pins = TagPin.objects.filter(repository=repository, name__in=names)
        pinned = set(pins.values_list("name", flat=True))
        found = dict.fromkeys(pinned, "pinned")
        if pulled_since is not None:
            pulls = PullTotal.objects.filter(repository=repository, pulled_at__gt=pulled_since)
            fresh = set(
                pulls.filter(reference__in=[*names, *digests]).values_list("reference", flat=True)
            )
            found |= {
                tag.name: "pulled meanwhile"
                for tag in tags
                if tag.name in fresh or (tag.artifact and tag.artifact.digest in fresh)
            }
        for tag in tags:
            if tag.artifact_id in used or (tag.artifact and tag.artifact.digest in running):
                found[tag.name] = "in use"
        return found

    return ask
