"""What the tests of the trash share: a repository, and what must be so after every step."""

from django.db.models import Sum

from accounts.models import Project
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    Blob,
    ProjectBlob,
    ProjectUsage,
    Repository,
    Tag,
)
from tests.factories import Image, descriptor, make_image, push_image


def tags_of(repository: Repository) -> dict[str, str]:
    """Return where each tag points."""
    rows = Tag.objects.filter(repository=repository)
    return dict(rows.values_list("name", "artifact__body_id"))


def live_in(repository: Repository) -> set[str]:
    """Return the digests of what lives."""
    live = Artifact.objects.live().filter(repository=repository)
    return set(live.values_list("body_id", flat=True))


def push_signed(repository: Repository, tag: str = "1.0") -> tuple[Image, Image]:
    """Push an image and something that has it as its subject."""
    image = make_image()
    push_image(repository, image, tag=tag)
    signature = make_image(subject=descriptor(image.content, image.media_type))
    push_image(repository, signature, tag="")
    return image, signature


def recount(project: Project) -> int:
    """Count what live artifacts need, from their edges; the usage and its rows must say the same.

    Holds besides: no live index lacks a manifest, no tag leads into the trash, and the blobs of
    whatever can be restored are there.
    """
    live = Artifact.objects.live().filter(repository__project=project)
    digests = set(live.values_list("body_id", flat=True))
    digests |= set(ArtifactBlob.objects.filter(artifact__in=live).values_list("blob_id", flat=True))
    total = Blob.objects.filter(digest__in=digests).aggregate(n=Sum("size"))["n"] or 0
    counted = ProjectBlob.objects.filter(project=project)
    assert set(counted.values_list("digest", flat=True)) == digests
    assert (counted.aggregate(n=Sum("size"))["n"] or 0) == total
    usage = ProjectUsage.objects.filter(project=project).first()
    assert (usage.used_bytes if usage else 0) == total
    assert not Tag.objects.exclude(artifact__trash_entry=None).exists()
    assert not ArtifactReference.objects.filter(parent__trash_entry=None).exclude(
        child__trash_entry=None
    )
    return total
