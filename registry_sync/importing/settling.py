"""From drafts to items: what is new of them, what they need, and whether that is there."""

from collections.abc import Sequence
from dataclasses import dataclass

from registry_sync import image_config
from registry_sync.image_config import ImageFacts
from registry_sync.importing import rows
from registry_sync.importing.drafts import Draft, Left
from registry_sync.importing.items import Item, Key
from registry_sync.importing.rows import Pins
from registry_sync.importing.sources import Source
from registry_sync.models import Artifact, Repository, RepositoryBlob


@dataclass(frozen=True, slots=True)
class Waiting:
    """A draft with the source's name of its repository, and the repository it goes to."""

    name: str
    repository: Repository
    draft: Draft

    @property
    def key(self) -> Key:
        """Names the artifact it becomes."""
        return self.repository.pk, self.draft.digest

    @property
    def subject(self) -> str:
        """Names it in a report, as the source does."""
        return f"{self.name}@{self.draft.digest}"


@dataclass(slots=True)
class Settled:
    """What can be written, with the pins that must hold, and what cannot."""

    items: list[Item]
    pins: Pins
    left: list[Left]


def settle(source: Source, waiting: Sequence[Waiting]) -> Settled:
    """Find what the drafts of a registry's own storage need; all is announced before it is seen."""
    fresh, gone = _fresh(waiting)
    left = [Left(entry.subject, "it was deleted here") for entry in gone.values()]
    digests = {entry.draft.digest for entry in waiting}
    for entry in fresh.values():
        digests |= needed(entry.draft)
    pins = rows.announce(digests)
    items = []
    for entry in waiting:
        if entry.key in gone:
            continue
        if entry.key not in fresh:
            # It is here; of its tags some may not be.
            if entry.draft.digest not in pins.blocked:
                items.append(Item(entry.repository, entry.draft, ImageFacts(), {}))
            continue
        found = describe(source, entry, pins)
        if isinstance(found, Left):
            left.append(found)
        else:
            items.append(found)
    return Settled(items, pins, left)


def _fresh(waiting: Sequence[Waiting]) -> tuple[dict[Key, Waiting], dict[Key, Waiting]]:
    """Return what is not here yet, and what was deleted here: that does not come back."""
    by_key = {entry.key: entry for entry in waiting}
    repositories = {entry.repository.pk for entry in waiting}
    digests = {entry.draft.digest for entry in waiting}
    there = Artifact.objects.filter(repository__in=repositories, body_id__in=digests)
    states = {
        (pk, digest): trash
        for pk, digest, trash in there.values_list("repository_id", "body_id", "trash_entry_id")
    }
    links = RepositoryBlob.objects.filter(
        repository__in=repositories, digest__in=digests, kind=RepositoryBlob.Kind.MANIFEST
    )
    known = set(links.values_list("repository_id", "digest"))
    fresh, gone = {}, {}
    for key, entry in by_key.items():
        if states.get(key) is not None or (key not in states and key in known):
            gone[key] = entry
        elif key not in states:
            fresh[key] = entry
    return fresh, gone


def needed(draft: Draft) -> set[str]:
    """Config, layers, and index entries that are no manifests (BuildKit's cache)."""
    manifest = draft.manifest
    found = {entry.digest for entry in (*manifest.layers, *manifest.children)}
    if manifest.config is not None:
        found.add(manifest.config.digest)
    return found - draft.child_digests


def describe(source: Source, entry: Waiting, pins: Pins | None = None) -> Item | Left:
    """Look for everything that a draft needs. ``pins``: what was announced, where anything was."""
    draft = entry.draft
    may_be_absent = {layer.digest for layer in draft.manifest.layers if layer.may_be_absent}
    sizes = {}
    for digest in sorted(needed(draft)):
        is_given = draft.layers is None or digest in draft.layers
        size = source.blob_size(entry.name, digest) if is_given else None
        if size is not None and pins is not None and digest in pins.blocked:
            return Left(f"{entry.name}@{draft.digest}", f"{digest} is being collected; try later")
        if size is not None:
            sizes[digest] = size
        elif digest not in may_be_absent:
            return Left(f"{entry.name}@{draft.digest}", f"{digest} is missing")
    if pins is not None and draft.digest in pins.blocked:
        return Left(f"{entry.name}@{draft.digest}", "it is being collected; try later")
    return Item(entry.repository, draft, _facts(source, entry), sizes)


def _facts(source: Source, entry: Waiting) -> ImageFacts:
    config = entry.draft.manifest.config
    if config is None or not entry.draft.manifest.is_described:
        return ImageFacts()
    content = source.small_blob(entry.name, config.digest, limit=image_config.MAX_CONFIG_BYTES)
    return image_config.read(content)
