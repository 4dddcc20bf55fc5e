"""How many bytes leave a project's quota when some of its artifacts do."""

from collections import Counter
from collections.abc import Iterable, Iterator

from django.db.models import Count

from registry_sync.models import Artifact, ArtifactBlob, ProjectBlob

_BATCH = 2000


def freed_by(project_id: int, artifact_ids: Iterable[int]) -> dict[int, int]:
    """Return by artifact the bytes that go with it when all of these live artifacts go.

    What several of them share is counted once, with the first that needs it, and what any other
    artifact of the project needs is not counted: the sum is what the quota will show.
    """
    ids = list(dict.fromkeys(artifact_ids))
    users: dict[str, int] = {}
    counts: Counter[str] = Counter()
    for artifact_id, digest in _needs(ids):
        users.setdefault(digest, artifact_id)
        counts[digest] += 1
    freed = dict.fromkeys(ids, 0)
    digests = sorted(users)
    for start in range(0, len(digests), _BATCH):
        part = digests[start : start + _BATCH]
        everywhere = _users_in(project_id, part)
        gone = [digest for digest in part if everywhere[digest] <= counts[digest]]
        sizes = ProjectBlob.objects.filter(project_id=project_id, digest__in=gone)
        for digest, size in sizes.values_list("digest", "size"):
            freed[users[digest]] += size
    return freed


def _needs(ids: list[int]) -> Iterator[tuple[int, str]]:
    """Yield each artifact with each digest that it needs, once."""
    for start in range(0, len(ids), _BATCH):
        part = ids[start : start + _BATCH]
        yield from Artifact.objects.filter(pk__in=part).values_list("pk", "body_id")
        edges = ArtifactBlob.objects.filter(artifact_id__in=part).order_by("artifact_id")
        yield from edges.values_list("artifact_id", "blob_id").distinct()


def _users_in(project_id: int, digests: list[str]) -> Counter[str]:
    """Count the live artifacts of a project that need each digest."""
    live = Artifact.objects.live().filter(repository__project_id=project_id)
    own = live.filter(body_id__in=digests).order_by().values_list("body_id")
    found = Counter(dict(own.annotate(n=Count("pk"))))
    edges = ArtifactBlob.objects.filter(artifact__in=live, blob_id__in=digests).order_by()
    by_blob = edges.values_list("blob_id").annotate(n=Count("artifact_id", distinct=True))
    return found + Counter(dict(by_blob))
