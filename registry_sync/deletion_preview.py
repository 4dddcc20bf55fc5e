"""What a deletion would touch, told before it is ordered; the deletion itself decides anew."""

import datetime
from collections.abc import Collection
from dataclasses import dataclass, field

from django.utils import timezone

from accounts.errors import NotFound
from accounts.models import Project
from registry_sync import freeing, immutability, trash
from registry_sync.models import Artifact, PullTotal, Repository, Tag
from registry_sync.tag_filters import tags_for_people

# So many names are told; the rest is counted.
SHOWN = 100
_LATELY = datetime.timedelta(days=7)


@dataclass(slots=True)
class Preview:
    """What goes, what stays, and what stands in the way."""

    repositories: int = 0
    artifacts: int = 0
    tag_count: int = 0
    # The first of the tags that go, and those of the same image that stay.
    tags: list[str] = field(default_factory=list)
    sibling_tags: list[str] = field(default_factory=list)
    # Signatures, SBOMs and the like, and manifests of an index, that go along.
    accessories: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    # Indexes that need it: it cannot be deleted before them.
    parents: list[str] = field(default_factory=list)
    # Tags that an immutable rule holds: nothing goes while there is one.
    immutable_tags: list[str] = field(default_factory=list)
    # Tags that somebody pulled in the last week.
    pulled_lately: list[str] = field(default_factory=list)
    freed_bytes: int = 0
    # Days that it can be restored.
    days: int = 0


def of_tag(repository: Repository, name: str) -> Preview:
    """Tell what deleting one tag touches. Raises ``NotFound``."""
    tags = Tag.objects.filter(repository=repository, artifact__isnull=False)
    tag = tags.filter(name=name.replace("\0", "")).first()
    if tag is None:
        raise NotFound("tag not found")
    others = tags.filter(artifact=tag.artifact_id).exclude(pk=tag.pk).order_by("-sort_key", "-id")
    return Preview(
        tags=[tag.name],
        tag_count=1,
        sibling_tags=list(others.values_list("name", flat=True)[:SHOWN]),
        immutable_tags=list(immutability.held_among(repository, [tag.name])),
        pulled_lately=_pulled_lately(repository, [tag.name]),
        days=repository.project.trash_days,
    )


def of_artifact(repository: Repository, digest: str) -> Preview:
    """Tell what deleting an artifact touches. Raises ``NotFound``."""
    live = Artifact.objects.live().filter(repository=repository, body_id=digest)
    root = live.defer("config").first()
    if root is None:
        raise NotFound("artifact not found")
    going = trash.whole(repository, [root], with_children=True)[root.pk]
    children = {row.child_id for row in root.references.all()}
    tags = Tag.objects.filter(artifact__in=going).order_by("-sort_key", "-id")
    names = list(tags.values_list("name", flat=True))
    freed = freeing.freed_by(repository.project_id, [artifact.pk for artifact in going])
    return Preview(
        artifacts=len(going),
        tag_count=len(names),
        tags=names[:SHOWN],
        immutable_tags=list(immutability.held_among(repository, names))[:SHOWN],
        pulled_lately=_pulled_lately(repository, names),
        accessories=[a.digest for a in going[1:] if a.pk not in children],
        children=[a.digest for a in going[1:] if a.pk in children],
        parents=sorted(set(trash.holders(going).values())),
        freed_bytes=sum(freed.values()),
        days=repository.project.trash_days,
    )


def of_repository(repository: Repository) -> Preview:
    """Tell what deleting a whole repository touches."""
    live = Artifact.objects.live().filter(repository=repository)
    tags = tags_for_people(Tag.objects.filter(repository=repository))
    names = list(tags.order_by("-sort_key", "-id").values_list("name", flat=True))
    ids = list(live.order_by().values_list("pk", flat=True))
    return Preview(
        repositories=1,
        artifacts=len(ids),
        tag_count=len(names),
        tags=names[:SHOWN],
        immutable_tags=list(immutability.held_among(repository, names))[:SHOWN],
        pulled_lately=_pulled_lately(repository, names),
        freed_bytes=sum(freeing.freed_by(repository.project_id, ids).values()),
        days=repository.project.trash_days,
    )


def _pulled_lately(repository: Repository, names: Collection[str]) -> list[str]:
    """Return those of the tags that somebody pulled in the last days, the last pull first."""
    since = timezone.now() - _LATELY
    pulls = PullTotal.objects.filter(repository=repository, pulled_at__gt=since)
    found = pulls.exclude(reference="").order_by("-pulled_at")
    wanted = set(names)
    return [name for name in found.values_list("reference", flat=True) if name in wanted][:SHOWN]


def of_project(project: Project) -> Preview:
    """Tell what deleting a project touches."""
    repositories = Repository.objects.pushed().filter(project=project)
    live = Artifact.objects.live().filter(repository__project=project)
    tags = tags_for_people(Tag.objects.filter(repository__project=project))
    return Preview(
        repositories=repositories.count(),
        artifacts=live.count(),
        tag_count=tags.count(),
        freed_bytes=project.usage.used_bytes if hasattr(project, "usage") else 0,
        days=project.trash_days,
    )
