"""Makes many manifests whose bytes are in place part of the catalogue, in one transaction.

The same rules and the same order of locks as a push: blobs are announced before their bytes are
looked for, and the commit holds only where what was announced still is what it was.
"""

import datetime
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from accounts import audit, outbox, statements
from accounts.errors import NotFound, Unavailable
from accounts.models import Project
from accounts.principals import Actor
from accounts.statements import Statement
from registry_sync import admission, catalog, transactions, usage
from registry_sync.catalog import Push
from registry_sync.importing import staging
from registry_sync.importing.drafts import Left
from registry_sync.importing.items import Item, Key, Written
from registry_sync.importing.tag_rows import write_tags
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactReference,
    Blob,
    ManifestBody,
    ProjectUsage,
    Repository,
    RepositoryBlob,
)

_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Pins:
    """What digests were before their bytes were looked for.

    ``generations`` are of those whose rows live; a digest in ``blocked`` is being collected, or was
    and is not forgotten yet. Any other has no row: nothing can collect it, and a row that comes
    meanwhile is somebody's announcement.
    """

    generations: dict[str, int]
    blocked: frozenset[str]


def announce(digests: Collection[str]) -> Pins:
    """Keep the digests that have rows from being collected, and return what they are."""
    wanted = sorted(set(digests))
    generations: dict[str, int] = {}
    blocked: set[str] = set()
    now = statements.moment(timezone.now())

    def work() -> None:
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            marks = statements.marks(part)
            lock = Statement(_SEEN.format(marks) + statements.lock_clause(), part)
            for digest, state, generation in statements.run(lock):
                if state == Blob.State.LIVE:
                    generations[digest] = generation
                else:
                    blocked.add(digest)
            statements.run(Statement(_TOUCH.format(marks), [now, *part]))

    transactions.run(work)
    return Pins(generations, frozenset(blocked))


_SEEN = """
SELECT digest, state, generation FROM registry_sync_blob WHERE digest IN ({}) ORDER BY digest
"""
_TOUCH = """
UPDATE registry_sync_blob SET touched_at = %s WHERE digest IN ({}) AND state = 'live'
"""


def commit(
    project_id: int, items: Sequence[Item], pins: Pins, *, actor: Actor, origin: str
) -> Written:
    """Write the items, each after what its index entries need; all of one project.

    A tag that is there and points elsewhere stays: somebody moved it since. Raises ``NotFound``
    where the project went away, ``Denied`` where it may not grow, ``Unavailable`` where a pin
    does not hold any more.
    """
    return transactions.run(lambda: _commit(project_id, items, pins, actor, origin))


def _commit(
    project_id: int, items: Sequence[Item], pins: Pins, actor: Actor, origin: str
) -> Written:
    now = timezone.now()
    counted, project, repositories = _lock(project_id, items)
    admission.require_writable(is_read_only=project.is_read_only)
    _hold(pins, sizes_of(items), now)
    written = Written()
    artifacts = _artifacts(items, actor, now, written)
    usage.add(counted, project, sizes_of(written.images))
    _links(written.images, now)
    write_tags(items, artifacts, actor, now, written)
    _announce(project, repositories, written, actor, origin, now)
    return written


def _lock(project_id: int, items: Sequence[Item]) -> tuple[ProjectUsage, Project, list[Repository]]:
    counted = usage.lock(project_id)
    ids = {item.repository.pk for item in items}
    wanted = Repository.objects.filter(pk__in=ids).order_by("pk")
    repositories = list(wanted.select_for_update(no_key=True))
    alive = Project.objects.alive().select_for_update(no_key=True).filter(pk=project_id)
    project = alive.first()
    if project is None or len(repositories) != len(ids):
        raise NotFound("the project is gone")
    return counted, project, repositories


def sizes_of(items: Iterable[Item]) -> dict[str, int]:
    """Return the bytes of everything that the items need."""
    sizes: dict[str, int] = {}
    for item in items:
        sizes |= item.sizes
        sizes[item.draft.digest] = len(item.draft.manifest.content)
    return sizes


def _hold(pins: Pins, sizes: dict[str, int], now: datetime.datetime) -> None:
    """Re-check each pin under its lock, note its bytes, and make the rows that were missing."""
    if pins.blocked & sizes.keys():
        raise Unavailable("a blob is being collected; try again")
    known = sorted(pins.generations.keys() & sizes.keys())
    fresh = sorted(sizes.keys() - pins.generations.keys())
    rows = [(digest, pins.generations[digest], sizes[digest]) for digest in known]
    held = sum(_held(rows[start : start + _CHUNK]) for start in range(0, len(rows), _CHUNK))
    made = staging.merge(
        Blob,
        ("digest", "size", "generation", "touched_at"),
        [(digest, sizes[digest], secrets.randbits(62), now) for digest in fresh],
        "ON CONFLICT (digest) DO NOTHING RETURNING digest",
    )
    if held != len(known) or len(made) != len(fresh):
        raise Unavailable("a blob came or went meanwhile; try again")


def _held(rows: list[tuple[str, int, int]]) -> int:
    """Lock the rows by digest, and return how many still are what they were."""
    digests, generations, sizes = (list(column) for column in zip(*rows, strict=True))
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            # The transaction holds the one write lock.
            cursor.executemany(_HOLD_ONE, [(s, d, g) for d, g, s in rows])
            return int(cursor.rowcount)
        cursor.execute(_LOCK_ALL, [digests])
        cursor.execute(_HOLD_ALL, [digests, generations])
        ((held,),) = cursor.fetchall()
        cursor.execute(_SIZE_ALL, [digests, sizes])
        return int(held)


_LOCK_ALL = """
SELECT 1 FROM registry_sync_blob WHERE digest = ANY(%s) ORDER BY digest FOR NO KEY UPDATE
"""
_HOLD_ALL = """
SELECT count(*) FROM registry_sync_blob b
JOIN unnest(%s::text[], %s::bigint[]) p (digest, generation)
ON b.digest = p.digest AND b.generation = p.generation WHERE b.state = 'live'
"""
_SIZE_ALL = """
UPDATE registry_sync_blob b SET size = p.size FROM unnest(%s::text[], %s::bigint[]) p (digest, size)
WHERE b.digest = p.digest AND b.size IS NULL
"""
_HOLD_ONE = """
UPDATE registry_sync_blob SET size = COALESCE(size, %s)
WHERE digest = %s AND generation = %s AND state = 'live'
"""


# --- Artifacts with their edges -------------------------------------------------------------------


def _artifacts(
    items: Sequence[Item], actor: Actor, now: datetime.datetime, written: Written
) -> dict[Key, Artifact]:
    """Write manifests, artifacts and edges; return the artifacts, old and new."""
    bodies = {item.draft.digest: item.draft.manifest for item in items}
    staging.merge(
        ManifestBody,
        ("digest", "media_type", "content"),
        [(m.digest, m.media_type, m.content) for _d, m in sorted(bodies.items())],
        "ON CONFLICT (digest) DO NOTHING",
    )
    known = _known(items)
    for wave in _waves(items):
        fresh = []
        for item in wave:
            children = _children(item, known)
            if item.key in known:
                written.unchanged += 1
            elif len(children) != len(item.draft.child_digests):
                subject = f"{item.repository.name}@{item.draft.digest}"
                written.left.append(Left(subject, "a manifest of the index did not come in"))
            else:
                push = Push(
                    item.draft.manifest, item.facts, item.sizes, item.draft.child_digests, {}, ""
                )
                pushed_at = item.draft.pushed_at or now
                row = catalog.new_artifact(item.repository, push, children, actor, pushed_at)
                fresh.append((item, row, children))
        _insert(fresh, known, written)
    return known


def _known(items: Sequence[Item]) -> dict[Key, Artifact]:
    """Return the live artifacts that are there, of the items and of what their indexes hold."""
    digests = {item.draft.digest for item in items}
    digests |= {digest for item in items for digest in item.draft.child_digests}
    rows = (
        Artifact.objects.live()
        .filter(repository__in={item.repository.pk for item in items}, body_id__in=digests)
        .only("id", "repository_id", "body_id", "size")
    )
    return {(row.repository_id, row.digest): row for row in rows}


def _waves(items: Sequence[Item]) -> Iterable[list[Item]]:
    """Yield what can be written at once: images, then indexes over them, one after the other."""
    yield [item for item in items if not item.draft.child_digests]
    for item in items:
        if item.draft.child_digests:
            yield [item]


def _children(item: Item, known: dict[Key, Artifact]) -> dict[str, Artifact]:
    keys = ((digest, (item.repository.pk, digest)) for digest in item.draft.child_digests)
    return {digest: known[key] for digest, key in keys if key in known}


Fresh = list[tuple[Item, Artifact, dict[str, Artifact]]]


def _insert(fresh: Fresh, known: dict[Key, Artifact], written: Written) -> None:
    if not fresh:
        return
    tail = "ON CONFLICT (repository_id, digest) DO NOTHING RETURNING id, repository_id, digest"
    ids: dict[Key, int] = {}
    for start in range(0, len(fresh), 1000):
        rows = [row for _item, row, _children in fresh[start : start + 1000]]
        for pk, repository_id, digest in statements.run(statements.insert(rows, tail)):
            ids[repository_id, digest] = pk
    uses, references = [], []
    for item, row, children in fresh:
        pk = ids.get(item.key)
        if pk is None:
            # It lies in the trash: whoever deleted it meant it.
            subject = f"{item.repository.name}@{item.draft.digest}"
            written.left.append(Left(subject, "it was deleted here"))
            continue
        row.pk = pk
        known[item.key] = row
        written.images.append(item)
        uses += _uses(row, item)
        references += _references(row, item, children)
    columns = ("artifact_id", "blob_id", "position", "media_type", "size")
    staging.append(ArtifactBlob, columns, uses)
    ArtifactReference.objects.bulk_create(references, batch_size=500)


def _uses(row: Artifact, item: Item) -> list[staging.Row]:
    return [
        (row.pk, entry.digest, position, entry.media_type, item.sizes[entry.digest])
        for position, entry in catalog.blob_entries(item.draft.manifest)
        if entry.digest in item.sizes
    ]


def _references(
    row: Artifact, item: Item, children: dict[str, Artifact]
) -> list[ArtifactReference]:
    return [
        ArtifactReference(
            parent_id=row.pk,
            child_id=children[entry.digest].pk,
            position=position,
            os=entry.platform.os,
            architecture=entry.platform.architecture,
            variant=entry.platform.variant,
            annotations=entry.annotations,
        )
        for position, entry in enumerate(item.draft.manifest.children)
        if entry.digest in children
    ]


def _links(items: Sequence[Item], now: datetime.datetime) -> None:
    """Note that the blobs and manifests were seen linked in their repositories."""
    layer, manifest = RepositoryBlob.Kind.LAYER.value, RepositoryBlob.Kind.MANIFEST.value
    present = RepositoryBlob.State.PRESENT.value
    keys = {(item.repository.pk, digest, layer) for item in items for digest in item.sizes}
    keys |= {(*item.key, manifest) for item in items}
    staging.merge(
        RepositoryBlob,
        ("repository_id", "digest", "kind", "state", "touched_at"),
        [(*key, present, now) for key in sorted(keys)],
        "ON CONFLICT (repository_id, digest, kind) DO UPDATE "
        "SET state = excluded.state, touched_at = excluded.touched_at",
    )


# --- What is told ---------------------------------------------------------------------------------


def _announce(
    project: Project,
    repositories: list[Repository],
    written: Written,
    actor: Actor,
    origin: str,
    now: datetime.datetime,
) -> None:
    counts: dict[int, int] = {}
    times: dict[int, datetime.datetime] = {}
    for item in written.images:
        pk = item.repository.pk
        counts[pk] = counts.get(pk, 0) + 1
        times[pk] = max(times.get(pk, item.draft.pushed_at or now), item.draft.pushed_at or now)
    for repository in repositories:
        if repository.pk not in counts:
            continue
        if repository.pushed_at is None or repository.pushed_at < times[repository.pk]:
            repository.pushed_at = times[repository.pk]
            repository.save(update_fields=["pushed_at"])
        name, images = f"{project.name}/{repository.path}", counts[repository.pk]
        detail = {"from": origin, "images": images}
        audit.record(actor, "import_repository", name, project=project, detail=detail)
        outbox.emit(
            "repository.imported", f"repository:{repository.pk}", repository=name, images=images
        )
