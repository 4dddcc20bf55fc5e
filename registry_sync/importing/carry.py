"""Brings one manifest with its blobs into another repository: as a push, by our own hand.

From the same registry blobs are mounted; from another one they are sent. What is there is not
sent again, and the tag comes last: killed anywhere it leaves nothing that a tag points to.
"""

from collections.abc import Callable, Mapping

from accounts.errors import Unavailable
from accounts.principals import Actor
from registry_sync import blobs, catalog, upstream, usage
from registry_sync.blobs import BlobMissingError
from registry_sync.catalog import Push
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.importing.drafts import Left
from registry_sync.importing.items import Item, Written
from registry_sync.importing.settling import Waiting, describe
from registry_sync.importing.sources import RegistrySource, Source
from registry_sync.models import Artifact, Repository, Tag

# Brings one blob, of so many bytes, into the repository: (source's name, digest, bytes).
Transfer = Callable[[str, str, int], None]


# Brings blobs that are missing into the repository: (source's name, repository, bytes by digest).
Bring = Callable[[str, Repository, Mapping[str, int]], None]


def transfer_of(source: Source, repository: Repository) -> Transfer:
    """Return how blobs of the source come into the repository."""
    target = repository.registry_name

    def mount(name: str, digest: str, size: int) -> None:
        if not upstream.registry.start_upload(target, mount=digest, source=name).is_mounted:
            raise BlobMissingError(digest)

    if not isinstance(source, RegistrySource):
        return mount
    registry = source

    def send(name: str, digest: str, size: int) -> None:
        with registry.open_blob(name, digest) as parts:
            if parts is None:
                raise BlobMissingError(digest)
            upstream.registry.upload_blob(target, digest, parts, size=size)

    return send


def carry(source: Source, entry: Waiting, *, actor: Actor, bring: Bring | None = None) -> Written:
    """Bring a draft in from the source. ``bring``: how its blobs come; else one after the other.

    Raises ``Denied`` where the project may not grow, ``Unavailable`` where trying again helps.
    """
    written = Written()
    here = Artifact.objects.filter(repository=entry.repository, body_id=entry.draft.digest)
    artifact = here.only("trash_entry_id").first()
    if artifact is not None and artifact.trash_entry_id is not None:
        written.left.append(Left(entry.subject, "it was deleted here"))
        return written
    tags = _free_tags(entry, written)
    if artifact is not None:
        written.unchanged += 1
        if not tags:
            return written
    item = describe(source, entry)
    if isinstance(item, Left):
        written.left.append(item)
        return written
    if artifact is None and bring is None:
        bring = _one_by_one(source, entry.repository)
    problem = _bring(entry, item, tags, actor=actor, bring=None if artifact else bring)
    if problem is not None:
        written.left.append(Left(entry.subject, problem))
        return written
    if artifact is None:
        written.images.append(item)
    written.tags += len(tags)
    return written


def _bring(
    entry: Waiting, item: Item, tags: list[str], *, actor: Actor, bring: Bring | None
) -> str | None:
    """Bring blobs, manifest and tags; return what stands against it."""
    repository, manifest = item.repository, item.draft.manifest
    try:
        if bring is not None:
            own = {manifest.digest: len(manifest.content)}
            usage.require_room(repository.project_id, {**item.sizes, **own})
            _bring_blobs(entry.name, item, bring)
            upstream.registry.put_manifest(
                repository.registry_name, manifest.digest, manifest.media_type, manifest.content
            )
        _commit(item, tags, actor)
    except BlobMissingError as error:
        return f"{error.digest} is missing, or is being collected"
    except RegistryRejectedError as error:
        for digest in error.digests:
            blobs.forget(repository, digest)
        return f"the registry refused it: {error.code or error.status}"
    except RegistryUnavailableError as error:
        raise Unavailable(str(error)) from error
    return None


def _free_tags(entry: Waiting, written: Written) -> list[str]:
    """Return the tags to be made: one that is here stays where it points."""
    tags = Tag.objects.filter(repository=entry.repository, name__in=entry.draft.tags)
    there = dict(tags.values_list("name", "artifact__body_id"))
    for name, digest in there.items():
        if digest == entry.draft.digest:
            written.unchanged += 1
        else:
            subject = f"{entry.repository.name}:{name}"
            written.left.append(Left(subject, f"the tag is here and points to {digest}"))
    return sorted(entry.draft.tags.keys() - there.keys())


def _bring_blobs(name: str, item: Item, bring: Bring) -> None:
    """Announce what is missing, have it brought, and write down that it is there."""
    present = blobs.present_sizes(item.repository.pk, item.sizes)
    missing = {digest: item.sizes[digest] for digest in sorted(item.sizes.keys() - present.keys())}
    for digest in missing:
        blobs.expect(item.repository, digest)
    bring(name, item.repository, missing)
    for digest, size in missing.items():
        blobs.confirm(item.repository, digest, size)


def _one_by_one(source: Source, repository: Repository) -> Bring:
    transfer = transfer_of(source, repository)

    def bring(name: str, repository: Repository, sizes: Mapping[str, int]) -> None:
        for digest, size in sizes.items():
            if upstream.registry.head_blob(repository.registry_name, digest) is None:
                transfer(name, digest, size)

    return bring


def _commit(item: Item, tags: list[str], actor: Actor) -> None:
    draft = item.draft
    pins = blobs.pin(item.repository, draft.digest, {*item.sizes, *draft.child_digests})
    for tag in tags or [""]:
        push = Push(draft.manifest, item.facts, item.sizes, draft.child_digests, pins, tag)
        catalog.commit_manifest(item.repository, push, actor=actor)
