"""What a policy has to fetch: the tags of another registry compared with ours."""

from collections.abc import Callable, Iterator

from accounts.errors import BadRequest
from registry_sync.accessories import subject_of_tag
from registry_sync.models import ReplicationPolicy, Tag
from registry_sync.remote_registries import Address, client_of
from registry_sync.replication import filters
from registry_sync.replication.filters import Filters
from registry_sync.replication.planning import Askers, Copy, Plan, destination_of
from registry_sync.runs import Run

# What a pattern may hold; a name without any of it is one repository.
_WILDCARDS = frozenset("*?[]{}!")


def make(policy: ReplicationPolicy, address: Address, run: Run) -> Plan:
    """Compare everything that the policy takes. Raises ``RegistryError``."""
    plan, wanted = Plan(), filters.read(policy.filters)
    client = client_of(address)
    compared = 0
    with Askers(address) as askers:
        for name in _names(client.repositories, wanted):
            try:
                destination = destination_of(policy, name)
            except BadRequest as error:
                plan.unnamed.append(f"{name}: {error}")
                continue
            if "/" not in destination:
                plan.unnamed.append(f"{name}: a repository here is in a project; give a namespace")
                continue
            tags = [tag for tag in client.tags(name) if _is_wanted(tag, wanted)]
            _compare(plan, policy, (name, destination), askers.pairs(name, tags))
            compared += len(tags)
            run.progress(done=compared, unit="tags", message=name)
    return plan


def _names(listed: Callable[[], Iterator[str]], wanted: Filters) -> Iterator[str]:
    """Ask for the catalogue only where a pattern needs it: not every registry gives one."""
    if wanted.name and not _WILDCARDS & set(wanted.name):
        yield wanted.name
        return
    for name in listed():
        if wanted.takes_repository(name):
            yield name


def _is_wanted(tag: str, wanted: Filters) -> bool:
    return not subject_of_tag(tag) and wanted.takes_tag(tag)


def _compare(
    plan: Plan,
    policy: ReplicationPolicy,
    place: tuple[str, str],
    tags: list[tuple[str, str]],
) -> None:
    name, destination = place
    project, _slash, path = destination.partition("/")
    ours = Tag.objects.filter(
        repository__project__name=project,
        repository__project__deleted_at=None,
        repository__path=path,
    )
    here = dict(ours.values_list("name", "artifact__body_id"))
    copies: dict[str, Copy] = {}
    for tag, digest in tags:
        if not digest:
            continue  # It went while we looked.
        if here.get(tag) == digest:
            plan.there += 1
        elif tag in here and not policy.is_overriding:
            plan.kept.append(f"{destination}:{tag}")
        else:
            if digest not in copies:
                copies[digest] = Copy(0, digest, 0, name, destination)
                plan.copies.append(copies[digest])
            copies[digest].tags.append(tag)
