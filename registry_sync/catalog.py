"""The only writer of artifacts and tags: a stored manifest becomes part of the catalogue here.

Every function is one short transaction and calls no registry. Locks are taken in one order:
usage, repository, tag, artifacts, blobs by digest.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from accounts import audit, outbox, statements
from accounts.errors import NotFound, Unavailable
from accounts.models import Project
from accounts.principals import Actor
from accounts.statements import Statement
from registry_sync import admission, blobs, immutability, late_links, nesting, transactions, usage
from registry_sync.failpoints import hit
from registry_sync.image_config import ImageFacts
from registry_sync.manifests import Descriptor, Manifest
from registry_sync.models import (
    AbsentPart,
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    ManifestBody,
    ProjectUsage,
    Repository,
    RepositoryBlob,
    Tag,
    TagEvent,
)
from registry_sync.tag_names import sort_key


@dataclass(frozen=True, slots=True)
class Push:
    """A manifest ready to be committed."""

    manifest: Manifest
    facts: ImageFacts
    # Bytes of each referenced blob, as the registry holds them.
    blob_sizes: dict[str, int]
    # Index entries that are manifests of this repository; the other entries are blobs.
    child_digests: frozenset[str]
    # Each pinned digest's generation.
    pins: dict[str, int]
    tag: str
    # What the tag's history calls it.
    action: str = TagEvent.Action.PUSH
    # False for what a proxy fetched: only the database has it; what is here is seen under locks.
    is_complete: bool = True


def open_repository(project_id: int, path: str) -> Repository:
    """Return the repository, made where it is missing; it is shown once a push finished."""
    return Repository.objects.get_or_create(project_id=project_id, path=path)[0]


def commit_manifest(repository: Repository, push: Push, *, actor: Actor) -> Artifact:
    """Make a stored manifest part of the catalogue, and move its tag.

    Raises ``NotFound`` when the project went away, ``Denied`` where it may not grow, and
    ``Unavailable`` when a pin or a child no longer holds: the client tries again;
    ``PreconditionFailed`` where an immutable rule holds the tag where it is.
    """
    with late_links.announced_again(repository, push.manifest.digest):
        return transactions.run(lambda: _commit(repository, push, actor))


def _commit(repository: Repository, push: Push, actor: Actor) -> Artifact:
    now = timezone.now()
    place = _lock(repository, push.tag, actor, now)
    admission.require_writable(is_read_only=place.project.is_read_only)
    if push.is_complete:
        admission.require_own(is_proxy=place.project.is_proxy)
    immutability.require_movable(
        repository, push.tag, current=place.tagged_digest, target=push.manifest.digest
    )
    if not push.is_complete:
        push = replace(push, child_digests=_children_here(repository, push.manifest))
    children = _lock_artifacts(repository, push)
    if push.is_complete:
        blobs.hold_pins(repository, push.pins, now)
    else:
        needed = {entry.digest for _position, entry in blob_entries(push.manifest)}
        push = replace(push, blob_sizes=blobs.hold_present(repository, needed, now))
    sizes = {**push.blob_sizes, push.manifest.digest: len(push.manifest.content)}
    counted = usage.added(place.usage, place.project, sizes)
    artifact, is_new = _save_artifact(repository, push, children, actor, now)
    edges = _edges(artifact, push, children) if is_new else []
    statements.run(
        *counted,
        *edges,
        *_moved_tag(place, artifact, repository, push, actor, now),
        Statement(_PUSHED, [statements.moment(now), repository.pk]),
        *_announced(place.project, repository, push, actor),
    )
    hit("push.committing")
    return artifact


_PUSHED = "UPDATE registry_sync_repository SET pushed_at = %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class _Place:
    """What a commit has locked: where the manifest goes, and what its tag says so far."""

    project: Project
    usage: ProjectUsage
    tag_id: int | None
    tagged_digest: str


def _lock(repository: Repository, tag: str, actor: Actor, now: datetime.datetime) -> _Place:
    """Lock usage, repository, project and tag, each made where it is missing, in this order.

    The project: who deletes it waits, and who comes after a deletion is told.
    """
    found = statements.run(
        usage.made(repository.project_id),
        *_row_locks(repository),
        *([_opened_tag(repository, tag, actor, now)] if tag else []),
        # A statement of its own: it sees what those before us committed while we waited.
        Statement(_PLACE, [tag, repository.pk]),
    )
    if not found:
        raise NotFound("the repository's project is gone")
    used, tag_id, digest, *fields = found[0]
    project = Project.from_db(DEFAULT_DB_ALIAS, _PROJECT_FIELDS, fields)
    return _Place(project, usage.locked(project.pk, used), tag_id, digest or "")


_PROJECT_FIELDS = ["id", "name", "registry_key", "is_read_only", "is_proxy", "storage_limit"]
_PLACE = """
SELECT u.used_bytes, t.id, a.digest,
  p.id, p.name, p.registry_key, p.is_read_only, p.is_proxy, p.storage_limit
FROM registry_sync_repository r
JOIN accounts_project p ON p.id = r.project_id AND p.deleted_at IS NULL
JOIN registry_sync_projectusage u ON u.project_id = p.id
LEFT JOIN registry_sync_tag t ON t.repository_id = r.id AND t.name = %s
LEFT JOIN registry_sync_artifact a ON a.id = t.artifact_id
WHERE r.id = %s
"""


def _row_locks(repository: Repository) -> list[Statement]:
    clause = statements.lock_clause()
    if not clause:
        return []
    return [
        Statement(sql + clause, [key])
        for sql, key in (
            (
                "SELECT 1 FROM registry_sync_projectusage WHERE project_id = %s",
                repository.project_id,
            ),
            ("SELECT 1 FROM registry_sync_repository WHERE id = %s", repository.pk),
            ("SELECT 1 FROM accounts_project WHERE id = %s", repository.project_id),
        )
    ]


def _opened_tag(
    repository: Repository, name: str, actor: Actor, now: datetime.datetime
) -> Statement:
    """Make the tag where it is missing; either way its row is ours from now on."""
    tag = Tag(
        repository=repository,
        name=name,
        sort_key=sort_key(name),
        pushed_by_id=actor.principal.user_id,
        pushed_by_name=actor.principal.name,
        pushed_at=now,
    )
    return statements.insert(
        [tag], "ON CONFLICT (repository_id, name) DO UPDATE SET pushed_at = excluded.pushed_at"
    )


def _children_here(repository: Repository, manifest: Manifest) -> frozenset[str]:
    digests = {entry.digest for entry in manifest.children}
    here = Artifact.objects.live().filter(repository=repository, body_id__in=digests)
    return frozenset(here.values_list("body_id", flat=True))


def _lock_artifacts(repository: Repository, push: Push) -> dict[str, Artifact]:
    """Lock children and subject; return the children by digest."""
    digests = set(push.child_digests)
    if push.manifest.subject_digest:
        digests.add(push.manifest.subject_digest)
    if not digests:
        return {}
    rows = {
        artifact.digest: artifact
        for artifact in Artifact.objects.live()
        .select_for_update(of=("self",), no_key=True)
        .filter(repository=repository, body_id__in=digests)
        .defer("config")
        .order_by("pk")
    }
    if push.child_digests - rows.keys():
        raise Unavailable("a manifest of the index was removed meanwhile; try again")
    return {digest: rows[digest] for digest in push.child_digests}


def _save_artifact(
    repository: Repository,
    push: Push,
    children: dict[str, Artifact],
    actor: Actor,
    now: datetime.datetime,
) -> tuple[Artifact, bool]:
    """Write manifest and artifact; return it, and whether it is new here."""
    manifest = push.manifest
    body = ManifestBody(
        digest=manifest.digest, media_type=manifest.media_type, content=manifest.content
    )
    kind, state = RepositoryBlob.Kind.MANIFEST, RepositoryBlob.State.PRESENT
    artifact = new_artifact(repository, push, children, actor, now)
    in_registry = [
        blobs.linked(repository, [manifest.digest], kind, state, now),
        blobs.sized(manifest.digest, len(manifest.content)),
    ]
    inserted = statements.run(
        statements.insert([body], "ON CONFLICT (digest) DO NOTHING"),
        *(in_registry if push.is_complete else []),
        statements.insert(
            [artifact], "ON CONFLICT (repository_id, digest) DO NOTHING RETURNING id"
        ),
    )
    if inserted:
        ((artifact.pk,),) = inserted
        artifact._state.adding = False
        artifact._state.db = DEFAULT_DB_ALIAS
        return artifact, True
    # The same manifest again, perhaps out of the trash: its edges are what they were.
    there = Artifact.objects.get(repository=repository, body_id=manifest.digest)
    if there.trash_entry_id is not None:
        there.trash_entry = None
        there.save(update_fields=["trash_entry"])
    return there, False


def new_artifact(
    repository: Repository,
    push: Push,
    children: dict[str, Artifact],
    actor: Actor,
    now: datetime.datetime,
) -> Artifact:
    """Return the artifact's row as it is to be written, pushed at ``now``."""
    manifest, facts = push.manifest, push.facts
    # What is to come is as long as the manifest says, or it does not come.
    said = {e.digest: e.size for _n, e in blob_entries(manifest) if not e.is_manifest}
    sizes = push.blob_sizes if push.is_complete else said
    own_size = len(manifest.content) + sum(sizes.values())
    return Artifact(
        repository=repository,
        body_id=manifest.digest,
        kind=_kind(manifest),
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type
        or (manifest.config.media_type if manifest.config else ""),
        size=own_size + nesting.size_of(children.values()),
        os=facts.os,
        architecture=facts.architecture,
        variant=facts.variant,
        author=facts.author,
        built_at=facts.built_at,
        config=facts.config,
        annotations=manifest.annotations,
        subject_digest=manifest.subject_digest,
        is_complete=push.is_complete,
        pushed_by_id=actor.principal.user_id,
        pushed_by_name=actor.principal.name,
        pushed_at=now,
    )


def _kind(manifest: Manifest) -> Artifact.Kind:
    if manifest.is_index:
        return Artifact.Kind.INDEX
    return Artifact.Kind.IMAGE if manifest.is_image else Artifact.Kind.OTHER


def _edges(artifact: Artifact, push: Push, children: dict[str, Artifact]) -> list[Statement]:
    manifest = push.manifest
    references = [
        ArtifactReference(
            parent=artifact,
            child=children[entry.digest],
            position=position,
            os=entry.platform.os,
            architecture=entry.platform.architecture,
            variant=entry.platform.variant,
            annotations=entry.annotations,
        )
        for position, entry in enumerate(manifest.children)
        if entry.digest in children
    ]
    found = [statements.insert(references)] if references else []
    uses = [
        (artifact.pk, entry.digest, position, entry.media_type, push.blob_sizes[entry.digest])
        for position, entry in blob_entries(manifest)
        if entry.digest in push.blob_sizes
    ]
    if uses:
        columns = ("artifact_id", "blob_id", "position", "media_type", "size")
        found.append(statements.insert_values(ArtifactBlob, columns, uses))
    if not push.is_complete:
        found += _absent_parts(artifact, push, children)
    return found


def _absent_parts(artifact: Artifact, push: Push, children: dict[str, Artifact]) -> list[Statement]:
    """Write down what a manifest names that is not here."""
    rows = [
        (artifact.pk, entry.digest, position, entry.is_manifest, entry.size)
        for position, entry in blob_entries(push.manifest)
        if entry.digest not in push.blob_sizes
        and entry.digest not in children
        and not entry.may_be_absent
    ]
    if not rows:
        return []
    columns = ("artifact_id", "digest", "position", "is_manifest", "size")
    return [statements.insert_values(AbsentPart, columns, rows)]


def blob_entries(manifest: Manifest) -> Iterable[tuple[int, Descriptor]]:
    """The config at position 0, layers from 1 on; of an index its entries from 1 on."""
    if manifest.config is not None:
        yield 0, manifest.config
    yield from enumerate(manifest.layers or manifest.children, start=1)


def _moved_tag(
    place: _Place,
    artifact: Artifact,
    repository: Repository,
    push: Push,
    actor: Actor,
    now: datetime.datetime,
) -> list[Statement]:
    """Point the locked tag at the artifact; a move that is none is no event."""
    if not push.tag:
        return []
    caller = actor.principal
    pushed = [artifact.pk, caller.user_id, caller.name, place.tag_id]
    moved = Statement(_MOVE_TAG, pushed)
    if place.tagged_digest == artifact.digest:
        return [moved]
    event = TagEvent(
        repository=repository,
        tag=push.tag,
        from_digest=place.tagged_digest,
        to_digest=artifact.digest,
        action=push.action,
        actor_kind=caller.kind,
        actor_id=caller.user_id,
        actor_name=caller.name,
        address=actor.address,
        client=actor.client,
        at=now,
    )
    return [moved, statements.insert([event])]


# The time it was pushed is there since it was locked.
_MOVE_TAG = """
UPDATE registry_sync_tag SET artifact_id = %s, pushed_by_id = %s, pushed_by_name = %s WHERE id = %s
"""


def _announced(
    project: Project, repository: Repository, push: Push, actor: Actor
) -> list[Statement]:
    name = f"{project.name}/{repository.path}"
    digest = push.manifest.digest
    resource = f"{name}:{push.tag}" if push.tag else f"{name}@{digest}"
    action = "create_artifact" if push.is_complete else "fetch_artifact"
    noted = audit.recorded(actor, action, resource, project=project, detail={"digest": digest})
    if not push.is_complete:
        return [noted]
    return [
        noted,
        outbox.emitted(
            "artifact.pushed",
            f"repository:{repository.pk}",
            repository=name,
            digest=digest,
            tag=push.tag,
            actor=actor.principal.name,
            client=actor.client,
        ),
    ]
