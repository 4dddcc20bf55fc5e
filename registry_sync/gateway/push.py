"""The manifest PUT, in seven steps; the order is the design's, and model-checked.

1 token · 2 syntax · 3 admission · 4 registry HEADs · 5 pin · 6 upstream PUT · 7 commit.
A crash between two steps leaves an unreferenced manifest and nothing else; a 201 was true at its
commit.
"""

import dataclasses
from collections.abc import Iterable

from accounts.principals import Actor
from registry_sync import (
    admission,
    blobs,
    catalog,
    garbage_counters,
    image_config,
    immutability,
    layer_policy,
    usage,
)
from registry_sync.blobs import BlobMissingError
from registry_sync.catalog import Push
from registry_sync.client.errors import RegistryRejectedError
from registry_sync.failpoints import hit
from registry_sync.garbage_counters import Counter
from registry_sync.gateway.blobs import find_upstream
from registry_sync.gateway.errors import ProtocolError
from registry_sync.gateway.standing import Standing
from registry_sync.gateway.waiting import patiently
from registry_sync.image_config import ImageFacts
from registry_sync.manifests import Descriptor, Manifest, ManifestError
from registry_sync.models import Artifact, Blob, Repository
from registry_sync.upstream import registry, small_blob


def push_manifest(standing: Standing, manifest: Manifest, tag: str, *, actor: Actor) -> Artifact:
    """Store a valid manifest and move its tag; the token was checked before (steps 1 and 2)."""
    admission.require_writable(is_read_only=standing.is_read_only)
    admission.require_tag_allowed(standing.principal, tag)
    repository = standing.open_repository()
    standing = _in(repository, standing)
    immutability.require_pushable(repository, tag, manifest.digest)
    hit("push.admitted")
    try:
        children = _known_children(repository, manifest)
        sizes = _blob_sizes(standing, repository, manifest, children.keys())
        _check_sizes(manifest, {**children, **sizes})
        if standing.storage_limit >= 0:
            own = {manifest.digest: len(manifest.content)}
            usage.require_room(standing.project_id, {**sizes, **own})
        layer_policy.require_pushable(standing.project_id, standing.registry_name, manifest)
        hit("push.seen")
        facts = _facts(standing, manifest)
        needed = {*sizes, *children}
        pins = patiently(manifest.digest, lambda: blobs.pin(repository, manifest.digest, needed))
        hit("push.pinned")
        _store(standing, repository, manifest)
        hit("push.stored")
    except BlobMissingError as error:
        raise _blob_missing(repository, error.digest) from error
    push = Push(manifest, facts, sizes, frozenset(children), pins, tag)
    artifact = catalog.commit_manifest(repository, push, actor=actor)
    hit("push.committed")
    return artifact


def _in(repository: Repository, standing: Standing) -> Standing:
    """The standing with the repository that a first push just made."""
    if standing.repository_id == repository.pk:
        return standing
    return dataclasses.replace(standing, repository_id=repository.pk)


def _known_children(repository: Repository, manifest: Manifest) -> dict[str, int]:
    """Return the index's entries that are manifests of this repository, with their bytes."""
    if not manifest.children:
        return {}
    rows = Artifact.objects.live().filter(
        repository=repository, body_id__in={child.digest for child in manifest.children}
    )
    known = set(rows.values_list("body_id", flat=True))
    sizes = Blob.objects.filter(digest__in=known).values_list("digest", "size")
    return {digest: size or 0 for digest, size in sizes}


def _needed_blobs(manifest: Manifest, children: Iterable[str]) -> list[Descriptor]:
    """Config, layers, and index entries that are no manifests here (BuildKit's cache)."""
    known = set(children)
    entries = [*manifest.layers, *(e for e in manifest.children if e.digest not in known)]
    if manifest.config is not None:
        entries.insert(0, manifest.config)
    return entries


def _blob_sizes(
    standing: Standing, repository: Repository, manifest: Manifest, children: Iterable[str]
) -> dict[str, int]:
    """Return each referenced blob's bytes; the registry is asked for what is not ``present``."""
    needed = _needed_blobs(manifest, children)
    digests = {entry.digest for entry in needed}
    sizes = blobs.present_sizes(repository.pk, digests)
    may_be_absent = {entry.digest for entry in needed if entry.may_be_absent}
    for digest in sorted(digests - sizes.keys()):
        size = find_upstream(standing, digest)
        if size is not None:
            sizes[digest] = size
        elif digest not in may_be_absent:
            raise BlobMissingError(digest)
    return sizes


def _check_sizes(manifest: Manifest, sizes: dict[str, int]) -> None:
    """Refuse a size that is not the blob's: the registry takes any, clients rely on it."""
    entries = [*manifest.layers, *manifest.children]
    if manifest.config is not None:
        entries.append(manifest.config)
    for entry in entries:
        if entry.digest in sizes and entry.size != sizes[entry.digest]:
            raise ManifestError(
                f"{entry.digest} is {sizes[entry.digest]} bytes long, not {entry.size}",
            )


def _facts(standing: Standing, manifest: Manifest) -> ImageFacts:
    if manifest.config is None or not manifest.is_described:
        return ImageFacts()
    return image_config.read(
        small_blob(
            standing.registry_name, manifest.config.digest, limit=image_config.MAX_CONFIG_BYTES
        )
    )


def _store(standing: Standing, repository: Repository, manifest: Manifest) -> None:
    try:
        registry.put_manifest(
            standing.registry_name, manifest.digest, manifest.media_type, manifest.content
        )
    except RegistryRejectedError as error:
        if error.code != "MANIFEST_BLOB_UNKNOWN":
            raise
        missing = [_blob_missing(repository, digest) for digest in error.digests or [""]]
        for digest in error.digests:
            blobs.forget(repository, digest)
        raise missing[0] from error


def _blob_missing(repository: Repository, digest: str) -> ProtocolError:
    """The refusal; counted where a client had been told that the blob is here."""
    if blobs.was_promised(repository, digest):
        garbage_counters.count(Counter.UNKNOWN)
    return ProtocolError(
        400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", detail={"digest": digest}
    )
