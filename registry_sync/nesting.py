"""Indexes of indexes: how deep they may go, and what all of it weighs together."""

from collections.abc import Collection, Iterable

from registry_sync.manifests import ManifestError
from registry_sync.models import Artifact, ArtifactBlob, ArtifactReference, Blob

# Indexes above each other. Image-spec 1.1 allows any number; nobody pulls through more than two.
MAX_DEPTH = 32


def size_of(children: Iterable[Artifact]) -> int:
    """Return the bytes of an index's children, each manifest and blob below it counted once.

    Shared parts of a nested index would otherwise count once for each way that leads to them, of
    which there may be billions. Raises ``ManifestError`` for an index that is nested too deeply.
    """
    direct = list(children)
    if not any(child.kind == Artifact.Kind.INDEX for child in direct):
        return sum(child.size for child in direct)
    found = _everything_below(direct)
    digests = set(
        ArtifactBlob.objects.filter(artifact_id__in=found).values_list("blob_id", flat=True)
    )
    digests |= set(found.values())
    sizes = Blob.objects.filter(digest__in=digests).values_list("size", flat=True)
    return sum(size or 0 for size in sizes)


def _everything_below(direct: Collection[Artifact]) -> dict[int, str]:
    """Return the digests of the children and of all below them, by their number.

    Each is visited once for each level at which it stands, of which there are few.
    """
    found = {child.pk: child.digest for child in direct}
    wave = {child.pk for child in direct if child.kind == Artifact.Kind.INDEX}
    # The index itself is the first level, the indexes among its children the second.
    for _level in range(MAX_DEPTH - 1):
        if not wave:
            return found
        edges = ArtifactReference.objects.filter(parent_id__in=wave)
        rows = edges.values_list("child_id", "child__body_id", "child__kind").distinct()
        wave = set()
        for pk, digest, kind in rows:
            found[pk] = digest
            if kind == Artifact.Kind.INDEX:
                wave.add(pk)
    if wave:
        raise ManifestError(f"indexes may be nested {MAX_DEPTH} deep at most")
    return found
