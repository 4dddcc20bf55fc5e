"""Which tags a policy put where: what it may delete there, and nothing else."""

from collections.abc import Iterable, Iterator

from django.db.models import QuerySet
from django.utils import timezone

from registry_sync.models import Replica, ReplicationPolicy, Tag

_BATCH = 500


def put(
    policy: ReplicationPolicy,
    *,
    repository_id: int,
    digest: str,
    destination: str,
    tags: Iterable[str],
) -> None:
    """Note that tags there are this policy's."""
    now = timezone.now()
    rows = [
        Replica(
            policy=policy,
            repository_id=repository_id,
            tag=tag,
            digest=digest,
            destination=destination,
            at=now,
        )
        for tag in tags
    ]
    Replica.objects.bulk_create(
        rows,
        update_conflicts=True,
        update_fields=["repository_id", "digest", "at"],
        unique_fields=["policy", "destination", "tag"],
    )


def remove(policy: ReplicationPolicy, destination: str, tag: str) -> None:
    """Note that a tag there is not this policy's any more."""
    Replica.objects.filter(policy=policy, destination=destination, tag=tag).delete()


def here(**wanted: object) -> QuerySet[Tag]:
    """Return those of the tags that are here: neither they nor what holds them in the trash."""
    live = Tag.objects.filter(artifact__trash_entry=None, repository__project__deleted_at=None)
    return live.filter(**wanted).exclude(artifact=None)


def orphaned(policy: ReplicationPolicy) -> Iterator[Replica]:
    """Yield what this policy put somewhere, and what is here no more."""
    last = 0
    while True:
        rows = list(Replica.objects.filter(policy=policy, pk__gt=last).order_by("pk")[:_BATCH])
        if not rows:
            return
        last = rows[-1].pk
        live = here(
            repository_id__in={row.repository_id for row in rows},
            name__in={row.tag for row in rows},
        )
        kept = set(live.values_list("repository_id", "name"))
        yield from (row for row in rows if (row.repository_id, row.tag) not in kept)
