"""Which images of a repository a page lists, and their rows."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from portal.web.tag_rows import index_content
from registry_sync.accessories import TOOL_TAG
from registry_sync.models import Artifact, ArtifactReference, Repository, Tag


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image as its row shows it."""

    artifact: Artifact
    tags: list[str]
    chips: list[str]


def images_of(repository: Repository) -> QuerySet[Artifact]:
    """Return what stands for itself: an index's manifests and accessories are on its page."""
    parents = ArtifactReference.objects.filter(child=OuterRef("pk"), parent__trash_entry=None)
    tags = Tag.objects.filter(artifact=OuterRef("pk"))
    return (
        Artifact.objects.live()
        .filter(repository=repository, subject_digest="")
        .annotate(has_tag=Exists(tags.exclude(TOOL_TAG)))
        .filter(~Exists(parents) | Q(has_tag=True))
        .exclude(Exists(tags.filter(TOOL_TAG)) & Q(has_tag=False))
        .defer("config", "annotations")
    )


def image_rows(artifacts: list[Artifact]) -> list[ImageRow]:
    """Add tags and platforms to images, with one query each."""
    ids = [artifact.pk for artifact in artifacts]
    names: dict[int, list[str]] = {pk: [] for pk in ids}
    tags = Tag.objects.filter(artifact_id__in=ids).exclude(TOOL_TAG)
    for name, artifact_id in tags.order_by("-sort_key", "-pk").values_list("name", "artifact_id"):
        names[artifact_id or 0].append(name)
    entries: dict[int, list[ArtifactReference]] = {pk: [] for pk in ids}
    references = ArtifactReference.objects.filter(parent_id__in=ids).select_related("child")
    for reference in references.defer("child__config", "child__annotations").order_by("position"):
        entries[reference.parent_id].append(reference)
    rows = []
    for artifact in artifacts:
        content = index_content(entries[artifact.pk])
        chips = [platform.architecture for platform in content.platforms]
        if not chips and artifact.platform:
            chips = [artifact.platform.removeprefix("linux/")]
        rows.append(ImageRow(artifact, names[artifact.pk], chips))
    return rows
