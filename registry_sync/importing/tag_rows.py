"""Makes the tags of a batch, as a part of its transaction."""

import datetime
from collections.abc import Sequence

from accounts.principals import Actor
from registry_sync.importing import staging
from registry_sync.importing.drafts import Left
from registry_sync.importing.items import Item, Key, Written
from registry_sync.models import Artifact, Tag, TagEvent
from registry_sync.tag_names import sort_key


def write_tags(
    items: Sequence[Item],
    artifacts: dict[Key, Artifact],
    actor: Actor,
    now: datetime.datetime,
    written: Written,
) -> None:
    """Make the tags that are missing; one that is there stays where it points."""
    wanted: dict[Key, tuple[Item, datetime.datetime]] = {}
    for item in items:
        if item.key in artifacts:
            for name, at in item.draft.tags.items():
                wanted[item.repository.pk, name] = (item, at or now)
    caller = actor.principal
    made = staging.merge(
        Tag,
        (
            "repository_id",
            "name",
            "artifact_id",
            "sort_key",
            "pushed_by_id",
            "pushed_by_name",
            "pushed_at",
        ),
        [
            (pk, name, artifacts[item.key].pk, sort_key(name), caller.user_id, caller.name, at)
            for (pk, name), (item, at) in sorted(wanted.items(), key=lambda pair: pair[0])
        ],
        "ON CONFLICT (repository_id, name) DO NOTHING RETURNING repository_id, name",
    )
    fresh = {(pk, name) for pk, name in made}
    _events([(key, *wanted[key]) for key in sorted(fresh)], actor)
    written.tags += len(fresh)
    _kept_tags({key: found for key, found in wanted.items() if key not in fresh}, written)


def _events(tags: Sequence[tuple[Key, Item, datetime.datetime]], actor: Actor) -> None:
    caller = actor.principal
    staging.append(
        TagEvent,
        (
            "repository_id",
            "tag",
            "to_digest",
            "action",
            "actor_kind",
            "actor_id",
            "actor_name",
            "address",
            "client",
            "at",
        ),
        [
            (
                pk,
                name,
                item.draft.digest,
                TagEvent.Action.PUSH.value,
                caller.kind,
                caller.user_id,
                caller.name,
                actor.address,
                actor.client,
                at,
            )
            for (pk, name), item, at in tags
        ],
    )


def _kept_tags(tags: dict[Key, tuple[Item, datetime.datetime]], written: Written) -> None:
    if not tags:
        return
    repositories = {pk for pk, _name in tags}
    rows = Tag.objects.filter(repository__in=repositories, name__in={name for _pk, name in tags})
    for pk, name, digest in rows.values_list("repository_id", "name", "artifact__body_id"):
        item = tags.get((pk, name))
        if item is None:
            continue
        if digest == item[0].draft.digest:
            written.unchanged += 1
        else:
            subject = f"{item[0].repository.name}:{name}"
            written.left.append(Left(subject, f"the tag is here and points to {digest}"))
