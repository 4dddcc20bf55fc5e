"""Rows of tags as pages show them: platforms, sizes, and the other names of each image."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from django.db.models import QuerySet

from portal.web.commands import Tool, pull_by_tag
from registry_sync.models import Artifact, ArtifactReference, Tag
from registry_sync.tag_filters import tags_for_people

_ATTESTATION = "vnd.docker.reference.type"
# The platform whose size stands for a multi-platform image: the one most people pull.
_USUAL_PLATFORM = ("linux", "amd64")


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform of a multi-platform image."""

    name: str
    digest: str
    size: int
    artifact_id: int

    @property
    def architecture(self) -> str:
        """The name without its operating system, unless that is unusual."""
        return self.name.removeprefix("linux/")


@dataclass(frozen=True, slots=True)
class IndexContent:
    """What an index holds, attestations apart."""

    platforms: list[Platform] = field(default_factory=list)
    attestations: int = 0

    @property
    def pull_size(self) -> int | None:
        """Bytes a client of the usual platform downloads."""
        usual = "/".join(_USUAL_PLATFORM)
        chosen = [p for p in self.platforms if p.name == usual] or self.platforms
        return chosen[0].size if chosen else None


def index_content(references: Iterable[ArtifactReference]) -> IndexContent:
    """Sort an index's entries into platforms and attestations."""
    content, attestations = IndexContent(), 0
    for reference in references:
        is_attestation = reference.annotations.get(_ATTESTATION) or reference.os == "unknown"
        if is_attestation:
            attestations += 1
            continue
        child = reference.child
        name = reference.platform or child.platform or child.kind
        content.platforms.append(Platform(name, child.digest, child.size, child.pk))
    return IndexContent(content.platforms, attestations)


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag as its row shows it."""

    tag: Tag
    artifact: Artifact
    aliases: list[str]
    content: IndexContent
    pull: str
    is_expanded: bool = False

    @property
    def short_digest(self) -> str:
        """What stands for the artifact in the address of this page."""
        return self.artifact.digest.partition(":")[2][:12]

    @property
    def pull_size(self) -> int:
        """Bytes a client downloads."""
        size = self.content.pull_size
        return self.artifact.size if size is None else size

    @property
    def chips(self) -> list[str]:
        """Short platform names."""
        if self.content.platforms:
            return [platform.architecture for platform in self.content.platforms]
        return [self.artifact.platform.removeprefix("linux/")] if self.artifact.platform else []


def with_artifacts(tags: QuerySet[Tag]) -> QuerySet[Tag]:
    """Read the artifacts along, without their large columns."""
    return tags.select_related("artifact").defer("artifact__config", "artifact__annotations")


def tag_rows(tags: Iterable[Tag], tool: Tool) -> list[TagRow]:
    """Add aliases and platforms to tags, with one query each."""
    pairs = [(tag, tag.artifact) for tag in tags if tag.artifact is not None]
    ids = {artifact.pk for _, artifact in pairs}
    names: dict[int, list[str]] = defaultdict(list)
    for name, artifact_id in (
        tags_for_people(Tag.objects.filter(artifact_id__in=ids))
        .order_by("-sort_key", "-id")
        .values_list("name", "artifact_id")
    ):
        if artifact_id is not None:
            names[artifact_id].append(name)
    entries: dict[int, list[ArtifactReference]] = defaultdict(list)
    for reference in (
        ArtifactReference.objects.filter(parent_id__in=ids)
        .select_related("child")
        .defer("child__config", "child__annotations")
        .order_by("parent_id", "position")
    ):
        entries[reference.parent_id].append(reference)
    return [
        TagRow(
            tag=tag,
            artifact=artifact,
            aliases=[name for name in names[artifact.pk] if name != tag.name],
            content=index_content(entries[artifact.pk]),
            pull=pull_by_tag(
                tool,
                name=tag.repository.name,
                tag=tag.name,
                kind=artifact.kind,
                artifact_type=artifact.artifact_type,
            ),
        )
        for tag, artifact in pairs
    ]


def one_per_artifact(rows: list[TagRow], *, expanded: str = "") -> list[TagRow]:
    """Keep one row of each artifact; it names the others as aliases.

    The row is that of the highest version: ``latest`` stands behind it.
    """
    groups: dict[int, list[TagRow]] = {}
    for row in rows:
        groups.setdefault(row.artifact.pk, []).append(row)
    kept = []
    for group in groups.values():
        versions = [row for row in group if row.tag.name != "latest"] or group
        head = max(versions, key=lambda row: (row.tag.sort_key, row.tag.pk))
        kept.append(replace(head, is_expanded=head.short_digest == expanded))
    return kept
