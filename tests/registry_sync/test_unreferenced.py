"""What was sent to a project and no image uses has an allowance: the project's storage limit."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.errors import Denied
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import blobs, trash, unreferenced
from registry_sync.models import ProjectUsage, Repository
from tests.factories import (
    digest_of,
    make_blob,
    make_image,
    make_link,
    make_repository,
    push_image,
)
from tests.registry_sync.collecting import Shelf, collect, discard, pass_time

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


def send(repository: Repository, size: int | None) -> str:
    """Let a blob lie in a repository that no image uses."""
    blob = make_blob(size=size)
    make_link(repository, blob.digest)
    return blob.digest


def count_anew() -> None:
    """Let the last count be too old."""
    long_ago = timezone.now() - datetime.timedelta(minutes=1)
    ProjectUsage.objects.update(unreferenced_at=long_ago)


def test_what_images_use_and_what_is_in_the_trash_does_not_count(app: Repository) -> None:
    push_image(app, make_image(), "kept")
    gone = make_image()
    push_image(app, gone, "gone")
    trash.delete_artifact(app, gone.digest, actor=SYSTEM_ACTOR)
    assert unreferenced.count(app.project_id) == 0


def test_what_a_purge_dropped_counts_until_it_is_collected(
    tmp_path: Path, settings: Any, app: Repository
) -> None:
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    image = Shelf(tmp_path).push(app)
    assert unreferenced.count(app.project_id) == 0
    discard(app, image.digest)
    sent = len(image.content) + sum(len(content) for content in image.blobs)
    assert unreferenced.count(app.project_id) == sent
    pass_time()
    collect()
    assert unreferenced.count(app.project_id) == 0


def test_it_counts_once_in_a_project_and_not_in_others(app: Repository, library: Project) -> None:
    digest = send(app, 30)
    make_link(make_repository(app.project, "second"), digest)
    send(make_repository(library, "other"), 500)
    assert unreferenced.count(app.project_id) == 30


def test_what_another_project_uses_counts_where_no_image_does(
    app: Repository, library: Project
) -> None:
    image = make_image()
    push_image(make_repository(library, "other"), image)
    for content in image.blobs:
        make_link(app, digest_of(content))
    assert unreferenced.count(app.project_id) == sum(len(content) for content in image.blobs)


def test_more_than_the_limit_is_refused_until_collection_has_removed_it(
    tmp_path: Path, settings: Any, app: Repository
) -> None:
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    shelf = Shelf(tmp_path)
    # Nobody ever asked for it: its size is in no row.
    blobs.expect(app, shelf.write(b"x" * 11))
    unreferenced.require_allowance(app.project_id, 11)
    count_anew()
    with pytest.raises(Denied, match="11 bytes were sent"):
        unreferenced.require_allowance(app.project_id, 10)
    unreferenced.require_allowance(app.project_id, -1)
    pass_time()
    collect()
    count_anew()
    unreferenced.require_allowance(app.project_id, 10)


def test_it_is_counted_every_few_seconds_only(
    app: Repository, django_assert_num_queries: Any
) -> None:
    unreferenced.require_allowance(app.project_id, 10)
    send(app, 11)
    with django_assert_num_queries(2):
        unreferenced.require_allowance(app.project_id, 10)
    count_anew()
    with pytest.raises(Denied):
        unreferenced.require_allowance(app.project_id, 10)
