"""Deletes there what was deleted here: only tags that the policy put there, where they put it."""

from collections.abc import Sequence

from accounts.errors import Conflict
from registry_sync.client.managed import ManagedRegistry, UnableError
from registry_sync.models import Artifact, ReplicationPolicy
from registry_sync.replication import replicas
from registry_sync.replication.planning import TYPES
from registry_sync.runs import Run

# A repository with more tags is not looked through to delete one image.
_MANY = 1000


def delete(
    policy: ReplicationPolicy,
    client: ManagedRegistry,
    run: Run,
    *,
    repository_id: int,
    destination: str,
    digest: str,
    tags: Sequence[str],
) -> int:
    """Delete tags of one image there, and the image where it is gone here too; return how many.

    Raises ``Conflict`` where the registry cannot delete just these, ``RegistryError``.
    """
    ours = [
        tag
        for tag in tags
        if _is_deleted_here(repository_id, tag, run)
        and _is_ours_there(policy, client, run, destination, tag, digest)
    ]
    if not ours:
        return 0
    here = Artifact.objects.live().filter(repository_id=repository_id, body_id=digest).first()
    others = _others(client, destination, digest, ours)
    if here is None and not others:
        client.delete_artifact(destination, digest)
    else:
        is_held = here is not None and here.parents.filter(parent__trash_entry=None).exists()
        _delete_tags(client, destination, digest, ours, is_shared=bool(others) or is_held)
    for tag in ours:
        replicas.remove(policy, destination, tag)
        run.log(f"{destination}:{tag} ({digest}) is deleted there")
    return len(ours)


def _is_deleted_here(repository_id: int, tag: str, run: Run) -> bool:
    if replicas.here(repository_id=repository_id, name=tag).exists():
        run.log(f"{tag} is here again; nothing is deleted there")
        return False
    return True


def _is_ours_there(
    policy: ReplicationPolicy,
    client: ManagedRegistry,
    run: Run,
    destination: str,
    tag: str,
    digest: str,
) -> bool:
    there = client.tagged_digest(destination, tag, types=TYPES)
    if there == digest:
        return True
    told = f"points to {there} there: it stays" if there else "is not there any more"
    run.log(f"{destination}:{tag} {told}")
    replicas.remove(policy, destination, tag)
    return False


def _others(
    client: ManagedRegistry, destination: str, digest: str, ours: Sequence[str]
) -> list[str]:
    """Return the tags there that point to the same image and are not to go."""
    names = [name for name in client.tags(destination) if name not in ours]
    if len(names) > _MANY:
        return names[:1]
    return [
        name for name in names if client.tagged_digest(destination, name, types=TYPES) == digest
    ]


def _delete_tags(
    client: ManagedRegistry, destination: str, digest: str, tags: Sequence[str], *, is_shared: bool
) -> None:
    """Delete the tags one by one; where that cannot be, the image if it is only theirs."""
    for tag in tags:
        try:
            client.delete_tag(destination, digest, tag)
        except UnableError as error:
            if is_shared:
                raise Conflict(
                    f"{destination}:{tag}: the registry there deletes no tag alone, and other tags "
                    "or an index need the image"
                ) from error
            client.delete_artifact(destination, digest)
            return
