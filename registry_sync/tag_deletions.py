"""Deleting many tags of one repository at once: one short transaction, one entry for each."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.db import transaction

from accounts.principals import Actor
from registry_sync import immutability, trash
from registry_sync.models import Artifact, Repository, Tag, TrashEntry
from registry_sync.trash import Place, Removal

# Asked under the locks: which of these tags must stay after all, and why.
Veto = Callable[[list[Tag]], dict[str, str]]


@dataclass(slots=True)
class Outcome:
    """What was deleted, and which tags were kept after all, with the reason."""

    entries: list[TrashEntry] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    # Images that went with their last tag, and the bytes that left the quota.
    images: int = 0
    freed_bytes: int = 0

    @property
    def tags(self) -> int:
        """How many tags went."""
        return sum(entry.tag_count for entry in self.entries)


@transaction.atomic
def delete_tags(
    repository: Repository,
    wanted: Mapping[str, str],
    *,
    with_images: bool,
    actor: Actor,
    execution_id: int | None = None,
    not_after: datetime.datetime | None = None,
    veto: Veto | None = None,
) -> Outcome:
    """Delete tags, each only if it still points to the digest that is named with it.

    Nor is one deleted that was pushed after ``not_after``, be it the same image again. With a
    ``veto`` an image stays with all its tags where one of them stays.

    ``with_images``: an image whose last tag goes, goes with it, and its accessories and manifests
    that nothing else needs; one that an index needs stays without a tag. What was pushed anew
    since the caller looked stays. Raises ``NotFound`` when the project is gone.
    """
    place = trash.lock(repository)
    outcome = Outcome()
    tags = []
    for tag in trash.locked_tags(repository, list(wanted)):
        is_newer = not_after is not None and tag.pushed_at > not_after
        if is_newer or trash.digest_of(tag) != wanted[tag.name]:
            outcome.kept[tag.name] = "pushed again meanwhile"
        else:
            tags.append(tag)
    there = {tag.name for tag in tags}
    for name in wanted.keys() - there - outcome.kept.keys():
        outcome.kept[name] = "gone already"
    outcome.kept |= immutability.obstacles(repository, tags)
    if veto is not None:
        outcome.kept |= veto(tags)
        outcome.kept |= _with_others(tags, outcome.kept)
    tags = [tag for tag in tags if tag.name not in outcome.kept]
    removals = _removals(place, tags, with_images=with_images)
    if removals:
        outcome.entries = trash.put_away(place, removals, actor=actor, execution_id=execution_id)
    outcome.images = sum(removal.kind == TrashEntry.Kind.ARTIFACT for removal in removals)
    outcome.freed_bytes = sum(entry.freed_bytes for entry in outcome.entries)
    return outcome


def _with_others(tags: list[Tag], kept: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of images that have another tag, which stays or is new."""
    going = {tag.name for tag in tags} - kept.keys()
    ids = [tag.artifact_id for tag in tags if tag.artifact_id is not None]
    every = Tag.objects.filter(artifact_id__in=ids).values_list("name", "artifact_id")
    staying = {artifact_id for name, artifact_id in every if name not in going}
    return {
        tag.name: "another tag of its image stays"
        for tag in tags
        if tag.artifact_id in staying and tag.name in going
    }


def _removals(place: Place, tags: list[Tag], *, with_images: bool) -> list[Removal]:
    images = _freed_images(place, tags) if with_images else {}
    whole = trash.whole(place.repository, list(images.values()), with_children=True)
    everything = [artifact for group in whole.values() for artifact in group]
    trash.lock_artifacts(everything)
    by_artifact: dict[int, list[Tag]] = {}
    # The tags of accessories too, which nobody named.
    all_tags = trash.tags_of(everything) if everything else []
    for tag in all_tags:
        if tag.artifact_id is not None:
            by_artifact.setdefault(tag.artifact_id, []).append(tag)
    held = immutability.obstacles(place.repository, all_tags, everything) if everything else {}
    removals, going = [], set()
    for root, group in whole.items():
        named = [tag for artifact in group for tag in by_artifact.get(artifact.pk, [])]
        # An image stays, without its tag, where something about it must.
        if not held.keys() & {*(tag.name for tag in named), *(a.digest for a in group)}:
            going.add(root)
            kind, digest = TrashEntry.Kind.ARTIFACT, images[root].digest
            removals.append(Removal(kind, digest, named, group))
    return [
        Removal(TrashEntry.Kind.TAG, trash.digest_of(tag), [tag])
        for tag in tags
        if tag.artifact_id not in going
    ] + removals


def _freed_images(place: Place, tags: list[Tag]) -> dict[int, Artifact]:
    """Return the images of which no tag is left, and that no live index needs."""
    artifacts = {tag.artifact.pk: tag.artifact for tag in tags if tag.artifact is not None}
    rest = Tag.objects.filter(artifact_id__in=list(artifacts))
    rest = rest.exclude(pk__in=[tag.pk for tag in tags])
    tagged = set(rest.values_list("artifact_id", flat=True))
    free = [artifact for pk, artifact in artifacts.items() if pk not in tagged]
    spared = trash.holders(free).keys() | _about_live(place, free)
    return {artifact.pk: artifact for artifact in free if artifact.pk not in spared}


def _about_live(place: Place, artifacts: list[Artifact]) -> set[int]:
    """Return those that are accessories of an image that stays: they go with that one."""
    going = {artifact.digest for artifact in artifacts}
    subjects = {a.subject_digest for a in artifacts if a.subject_digest} - going
    live = Artifact.objects.live().filter(repository=place.repository, body_id__in=subjects)
    staying = set(live.values_list("body_id", flat=True))
    return {artifact.pk for artifact in artifacts if artifact.subject_digest in staying}
