"""What of a plain registry's repository can come in: manifests in the order of their pushes."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from registry_sync import manifests
from registry_sync.importing.sources import Pointers, Source
from registry_sync.manifests import Manifest, ManifestError
from registry_sync.tag_names import is_tag

# By tag: when it was pushed, where the source knows.
Times = dict[str, datetime.datetime | None]


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest to be taken over, with its tags; times are the source's, where it knows them."""

    manifest: Manifest
    tags: Times
    pushed_at: datetime.datetime | None
    # Index entries that are manifests of the repository.
    child_digests: frozenset[str] = frozenset()
    # The blobs that the repository gives, where the source cannot say so itself.
    layers: frozenset[str] | None = None

    @property
    def digest(self) -> str:
        """The manifest's."""
        return self.manifest.digest


@dataclass(frozen=True, slots=True)
class Left:
    """Something that cannot come in; ``subject`` is ``repository@digest`` or ``:tag``."""

    subject: str
    reason: str


def read(source: Source, repository: str) -> Iterator[Draft | Left]:
    """Yield the repository's manifests, each after what its index entries need.

    Images come as they are read; indexes are held until everything else was given.
    """
    pointers = source.pointers(repository)
    tags: dict[str, Times] = {}
    for tag, (digest, at) in sorted(pointers.tags.items()):
        if is_tag(tag):
            tags.setdefault(digest, {})[tag] = at
        else:
            yield Left(f"{repository}:{tag}", "this cannot be a tag")
    named = {*pointers.revisions, *tags}
    waiting, known = sorted(named), set(named)
    indexes: dict[str, Manifest] = {}
    given: set[str] = set()
    while waiting:
        digest = waiting.pop()
        manifest = _manifest(source, repository, digest, pointers)
        if isinstance(manifest, Left):
            # An entry of an index that is no manifest is perhaps a blob.
            if digest in named:
                yield manifest
        elif manifest.is_index:
            indexes[digest] = manifest
            fresh = _unseen(manifest, known, pointers)
            known |= fresh
            waiting.extend(sorted(fresh))
        else:
            given.add(digest)
            yield _draft(manifest, tags, pointers)
    for manifest, children in _in_order(indexes, given):
        yield _draft(manifest, tags, pointers, children)


def _unseen(manifest: Manifest, known: set[str], pointers: Pointers) -> set[str]:
    """What of an index was not named yet; of a storage all manifests are named at once."""
    if pointers.layers is not None:
        return set()
    return {entry.digest for entry in manifest.children} - known


def _draft(
    manifest: Manifest,
    tags: dict[str, Times],
    pointers: Pointers,
    children: frozenset[str] = frozenset(),
) -> Draft:
    digest = manifest.digest
    return Draft(
        manifest,
        tags.get(digest, {}),
        pointers.revisions.get(digest),
        children,
        pointers.layers,
    )


def _manifest(source: Source, repository: str, digest: str, pointers: Pointers) -> Manifest | Left:
    # A tag may point to what was deleted, though its bytes lie there yet.
    is_linked = pointers.layers is None or digest in pointers.revisions
    stored = source.manifest(repository, digest) if is_linked else None
    subject = f"{repository}@{digest}"
    if stored is None:
        return Left(subject, "its manifest is missing")
    try:
        manifest = manifests.parse(stored.content, stored.media_type)
    except ManifestError as error:
        return Left(subject, str(error))
    if manifest.digest != digest:
        return Left(subject, f"its bytes are those of {manifest.digest}")
    return manifest


def _in_order(
    indexes: dict[str, Manifest], given: set[str]
) -> Iterator[tuple[Manifest, frozenset[str]]]:
    """Yield indexes after the indexes they hold; what a digest names cannot go in a circle."""
    while indexes:
        ready = [
            digest
            for digest, manifest in indexes.items()
            if not any(entry.digest in indexes for entry in manifest.children)
        ]
        for digest in sorted(ready):
            manifest = indexes.pop(digest)
            children = frozenset(entry.digest for entry in manifest.children) & given
            given.add(digest)
            yield manifest, children
