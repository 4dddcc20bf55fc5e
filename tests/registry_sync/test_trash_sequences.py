"""Any sequence of pushes, deletions, restorings and purges keeps the catalogue's promises."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.errors import Conflict, NotFound, Unavailable
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import purging, restoring, tag_deletions, trash
from registry_sync.models import Artifact, Repository, Tag, TrashEntry
from registry_sync.restoring import Tags
from tests.factories import Image, descriptor, make_image, make_index, make_repository, push_image
from tests.registry_sync.trashing import live_in, recount, tags_of

# Two plain images that share a layer, one about the first, an index over both.
LEFT = make_image("left", layers=(b"shared", b"left"))
RIGHT = make_image("right", layers=(b"shared", b"right"))
SIGNATURE = make_image("about", subject=descriptor(LEFT.content, LEFT.media_type))
INDEX = make_index(LEFT, RIGHT)
IMAGES = (LEFT, RIGHT, SIGNATURE, INDEX)
NAMES = ("", "a", "b", "c")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 3), st.integers(0, 3)),
        st.tuples(st.just("untag"), st.integers(1, 3), st.just(0)),
        st.tuples(st.just("delete"), st.integers(0, 3), st.integers(0, 1)),
        st.tuples(st.just("many"), st.integers(1, 7), st.integers(0, 1)),
        st.tuples(st.just("repository"), st.just(0), st.just(0)),
        st.tuples(st.just("restore"), st.integers(0, 9), st.integers(0, 2)),
        st.tuples(st.just("purge"), st.integers(0, 9), st.just(0)),
    ),
    max_size=14,
)


def push(app: Repository, number: int, name: int) -> None:
    """Push an image, an index only where its manifests live."""
    image = IMAGES[number]
    children: tuple[Image, ...] = (LEFT, RIGHT) if image is INDEX else ()
    if all(child.digest in live_in(app) for child in children):
        push_image(app, image, tag=NAMES[name], children=children)


def untag(app: Repository, name: int, _unused: int) -> None:
    """Delete one tag."""
    trash.delete_tag(app, NAMES[name], actor=SYSTEM_ACTOR)


def delete(app: Repository, number: int, with_children: int) -> None:
    """Delete an artifact."""
    trash.delete_artifact(
        app, IMAGES[number].digest, actor=SYSTEM_ACTOR, with_children=bool(with_children)
    )


def many(app: Repository, mask: int, with_images: int) -> None:
    """Delete several tags at once."""
    wanted = {
        name: digest
        for name, digest in tags_of(app).items()
        if mask & (1 << (NAMES.index(name) - 1))
    }
    tag_deletions.delete_tags(app, wanted, with_images=bool(with_images), actor=SYSTEM_ACTOR)


def repository(app: Repository, _unused: int, _either: int) -> None:
    """Delete everything."""
    trash.delete_repository(app, actor=SYSTEM_ACTOR)


def entry_of(number: int) -> int:
    """Return one of the entries."""
    ids = list(TrashEntry.objects.order_by("pk").values_list("pk", flat=True))
    return ids[number % len(ids)] if ids else 0


def restore(app: Repository, number: int, tags: int) -> None:
    """Restore an entry; once it is back, everything that it took lives."""
    entry_id = entry_of(number)
    held = set(Artifact.objects.filter(trash_entry=entry_id).values_list("body_id", flat=True))
    entry = restoring.restore(app, entry_id, tags=list(Tags)[tags], actor=SYSTEM_ACTOR)
    assert held <= live_in(app)
    if list(Tags)[tags] == Tags.ALL:
        now = tags_of(app)
        assert all(now[tag["name"]] == tag["digest"] for tag in entry.tags)


def purge(app: Repository, number: int, _unused: int) -> None:
    """Give an entry up."""
    purging.purge(app, entry_of(number), actor=SYSTEM_ACTOR)


STEPS: dict[str, Callable[[Repository, int, int], None]] = {
    step.__name__: step for step in (push, untag, delete, many, repository, restore, purge)
}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sequence=steps)
@pytest.mark.django_db
def test_any_sequence(team: Project, sequence: list[tuple[str, int, int]]) -> None:
    Tag.objects.all().delete()
    app = make_repository(team, f"app{Repository.objects.count()}")
    for name, first, second in sequence:
        was = recount(team)
        try:
            STEPS[name](app, first, second)
        except (Conflict, NotFound, Unavailable):
            assert recount(team) == was, "what is refused changes nothing"
        recount(team)
        app.refresh_from_db()
        restorable = Artifact.objects.exclude(trash_entry=None)
        assert not restorable.exclude(trash_entry__state=TrashEntry.State.TRASHED).exists()
        assert not restorable.filter(kind="image", blobs=None).exists()
        shown = app.pushed_at is not None
        assert shown or not live_in(app)
