"""Marks: what a run looked at and found needed is passed over until a purge drops something."""

from pathlib import Path
from typing import Any

import pytest

from accounts.models import Project
from registry_sync import blobs, fsck
from registry_sync.models import Artifact, Blob, Repository, RepositoryBlob, Tag
from tests.factories import digest_of, make_image, make_repository
from tests.registry_sync.collecting import Shelf, collect, discard, pass_time

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shelf(tmp_path: Path, settings: Any) -> Shelf:
    """A storage."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return Shelf(tmp_path)


@pytest.fixture
def app(team: Project) -> Repository:
    """A repository."""
    return make_repository(team)


def unsettled() -> set[str]:
    """What the next run looks at."""
    return set(Blob.objects.filter(is_settled=False).values_list("digest", flat=True))


def test_what_is_needed_is_looked_at_once(shelf: Shelf, app: Repository) -> None:
    kept = shelf.push(app, tag="kept")
    collect()
    # Within its grace.
    assert kept.digest in unsettled()
    pass_time()
    collect()
    assert unsettled() == set()
    assert not RepositoryBlob.objects.filter(is_settled=False).exists()


def test_what_nothing_needs_stays_unmarked(shelf: Shelf, app: Repository) -> None:
    shelf.push(app, tag="kept")
    pass_time()
    digest = shelf.write(b"sent, and forgotten")
    blobs.expect(app, digest)
    collect()
    assert unsettled() == {digest}
    pass_time()
    assert collect().result["digests"] == 1


def test_a_purge_takes_marks_away_and_the_next_run_collects(shelf: Shelf, app: Repository) -> None:
    shared = b"a layer of both"
    kept = shelf.push(app, make_image(layers=(shared, b"kept")), tag="kept")
    lost = shelf.push(app, make_image(layers=(shared, b"lost")), tag="lost")
    pass_time()
    collect()
    discard(app, lost.digest)
    assert lost.digest in unsettled()
    pass_time()
    assert collect().result["digests"] == 3
    assert shelf.holds(app, kept)
    # The shared layer, which the purge unmarked, is needed still.
    assert Blob.objects.get(digest=digest_of(shared)).is_settled


def test_a_link_that_was_marked_goes_when_its_repository_needs_it_no_more(
    shelf: Shelf, app: Repository, library: Project
) -> None:
    other = make_repository(library, "other")
    image = shelf.push(app, tag="kept")
    shelf.push(other, image, tag="elsewhere")
    pass_time()
    collect()
    discard(other, image.digest)
    pass_time()
    assert collect().result["links"] == 3
    assert shelf.holds(app, image)


def test_fsck_takes_a_wrong_mark_away(shelf: Shelf, app: Repository) -> None:
    image = shelf.push(app, tag="kept")
    pass_time()
    collect()
    # Lost by other means than a purge.
    Tag.objects.all().delete()
    Artifact.objects.filter(body=image.digest).delete()
    pass_time()
    assert collect(dry_run=True).result["found"] == 0
    list(fsck.findings(lambda check: None, fsck.Depth(is_repairing=True)))
    assert image.digest in unsettled()
