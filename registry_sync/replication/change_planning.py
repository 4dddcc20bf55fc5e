"""What a policy has to do about single changes: the same comparison, of these tags only."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from accounts.errors import BadRequest
from registry_sync.accessories import subject_of_tag
from registry_sync.models import (
    ArtifactReference,
    Replica,
    ReplicationChange,
    ReplicationPolicy,
    Repository,
    Tag,
)
from registry_sync.remote_registries import Address
from registry_sync.replication import filters, replicas
from registry_sync.replication.filters import Filters
from registry_sync.replication.planning import (
    Askers,
    Comparison,
    Plan,
    destination_of,
    last_success,
    tags_of,
)
from registry_sync.runs import Run

# So deep are indexes of indexes.
_LEVELS = 4


def make(
    policy: ReplicationPolicy, address: Address, run: Run, changes: Sequence[ReplicationChange]
) -> Plan:
    """Compare what changed. Raises ``RegistryError``."""
    plan, wanted = Plan(), filters.read(policy.filters)
    grouped: dict[int, list[ReplicationChange]] = defaultdict(list)
    for change in changes:
        grouped[change.repository_id].append(change)
    with Askers(address) as askers:
        for done, (repository_id, rows) in enumerate(grouped.items()):
            run.progress(done=done, total=len(grouped), unit="repositories")
            if policy.is_deleting:
                _delete(plan, policy, repository_id, rows)
            repository = _repository(repository_id, wanted)
            if repository is not None:
                _compare(plan, policy, repository, rows, wanted, askers)
    return plan


def _repository(repository_id: int, wanted: Filters) -> Repository | None:
    found = Repository.objects.pushed().filter(pk=repository_id, project__deleted_at=None)
    repository = found.select_related("project").first()
    is_wanted = repository is not None and wanted.takes_repository(repository.name)
    return repository if is_wanted else None


def _delete(
    plan: Plan, policy: ReplicationPolicy, repository_id: int, rows: Iterable[ReplicationChange]
) -> None:
    via = {row.tag: row.via for row in rows if row.tag}
    live = replicas.here(repository_id=repository_id, name__in=via)
    gone = via.keys() - set(live.values_list("name", flat=True))
    put = Replica.objects.filter(policy=policy, repository_id=repository_id, tag__in=gone)
    for replica in put.order_by("pk"):
        plan.add_deletion(replica, via[replica.tag])


def _compare(
    plan: Plan,
    policy: ReplicationPolicy,
    repository: Repository,
    rows: Iterable[ReplicationChange],
    wanted: Filters,
    askers: Askers,
) -> None:
    try:
        destination = destination_of(policy, repository.name)
    except BadRequest as error:
        plan.unnamed.append(f"{repository.name}: {error}")
        return
    via = {row.tag: row.via for row in rows if row.tag}
    forced: set[str] = set()
    for row in rows:
        if row.digest:
            named = _named(repository, row.digest)
            forced |= set(named.values())
            via = {**dict.fromkeys(named, row.via), **via}
    comparison = Comparison(
        plan, policy, repository, destination, last_success(policy), forced=forced, via=via
    )
    for tags in tags_of(repository, wanted, among=via.keys()):
        there = askers.digests([(destination, tag.name) for tag in tags])
        comparison.add(list(zip(tags, there, strict=True)))


def _named(repository: Repository, digest: str) -> dict[str, str]:
    """Return the tags, with their digests, of an image or of the indexes that hold it."""
    found: dict[str, str] = {}
    wave = {digest}
    for _level in range(_LEVELS):
        tags = Tag.objects.filter(
            repository=repository, artifact__body_id__in=wave, artifact__trash_entry=None
        )
        rows = tags.values_list("name", "artifact__body_id")
        found |= {name: str(at) for name, at in rows if not subject_of_tag(name)}
        edges = ArtifactReference.objects.filter(
            child__repository=repository, child__body_id__in=wave, parent__trash_entry=None
        )
        wave = set(edges.values_list("parent__body_id", flat=True))
    return found
