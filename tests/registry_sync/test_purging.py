"""Purging: at somebody's word, or when the time is over."""

import datetime

import pytest
from django.utils import timezone

from accounts import projects
from accounts.errors import Conflict, NotFound
from accounts.models import AuditEntry, Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, purging, restoring, tasks, trash
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    Blob,
    ManifestBody,
    ProjectUsage,
    Repository,
    RepositoryBlob,
    Tag,
    Task,
    TrashEntry,
)
from tests.factories import make_image, make_index, make_repository, push_image
from tests.registry_sync.jobs import Broker
from tests.registry_sync.trashing import live_in, push_signed, recount

LONG_AGO = datetime.timedelta(days=30)


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


def perform() -> Task:
    """Run the job as a worker does."""
    execution = executions.create(purging.KIND, actor=SYSTEM_ACTOR)
    tasks.run_task(execution.tasks.get().pk)
    return execution.tasks.get()


def test_rows_go_and_grace_begins_anew(app: Repository) -> None:
    image, _signature = push_signed(app)
    entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
    old = timezone.now() - LONG_AGO
    Blob.objects.update(touched_at=old)
    RepositoryBlob.objects.update(touched_at=old)
    purged = purging.purge(app, entry.pk, actor=SYSTEM_ACTOR)
    assert purged.state == TrashEntry.State.PURGED
    assert not Artifact.objects.exists()
    assert not ArtifactBlob.objects.exists()
    assert not ManifestBody.objects.exists()
    assert not Blob.objects.filter(touched_at=old).exists()
    assert not RepositoryBlob.objects.filter(touched_at=old).exists()
    assert AuditEntry.objects.get(action="purge_artifact").detail["artifacts"] == 2


def test_what_was_pushed_again_stays(app: Repository) -> None:
    image, _signature = push_signed(app)
    entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
    push_image(app, image, tag="again")
    purging.purge(app, entry.pk, actor=SYSTEM_ACTOR)
    assert live_in(app) == {image.digest}
    recount(app.project)


def test_a_manifest_that_another_repository_has_too_keeps_its_bytes(
    app: Repository, team: Project
) -> None:
    image = make_image()
    push_image(app, image, "one")
    push_image(make_repository(team, "other"), image, "two")
    entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
    purging.purge(app, entry.pk, actor=SYSTEM_ACTOR)
    assert ManifestBody.objects.get().pk == image.digest


def test_a_manifest_goes_over_to_the_index_that_needs_it(app: Repository) -> None:
    child = make_image()
    push_image(app, child, tag="")
    index = make_index(child)
    push_image(app, index, tag="1", children=(child,))
    whole = trash.delete_artifact(app, index.digest, actor=SYSTEM_ACTOR, with_children=False)
    lone = trash.delete_artifact(app, child.digest, actor=SYSTEM_ACTOR)
    purging.purge(app, lone.pk, actor=SYSTEM_ACTOR)
    assert set(Artifact.objects.values_list("trash_entry", flat=True)) == {whole.pk}
    restoring.restore(app, whole.pk, actor=SYSTEM_ACTOR)
    assert live_in(app) == {child.digest, index.digest}


def test_twice_and_after_a_restore(app: Repository) -> None:
    push_image(app, tag="1")
    entry = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
    restoring.restore(app, entry.pk, actor=SYSTEM_ACTOR)
    with pytest.raises(Conflict):
        purging.purge(app, entry.pk, actor=SYSTEM_ACTOR)
    with pytest.raises(NotFound):
        purging.purge(app, entry.pk + 1, actor=SYSTEM_ACTOR)


def test_the_job_takes_what_is_over_and_nothing_else(app: Repository, broker: Broker) -> None:
    entries = []
    for tag in ("old", "young"):
        image = make_image()
        push_image(app, image, tag=tag)
        entries.append(trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR))
    TrashEntry.objects.filter(pk=entries[0].pk).update(purge_at=timezone.now())
    assert perform().result == {"entries": 1, "projects": 0, "forgotten": 0}
    states = TrashEntry.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["purged", "trashed"]


def test_ended_entries_are_forgotten_after_a_while(app: Repository, broker: Broker) -> None:
    push_image(app, tag="1")
    entry = trash.delete_tag(app, "1", actor=SYSTEM_ACTOR)
    purging.purge(app, entry.pk, actor=SYSTEM_ACTOR)
    TrashEntry.objects.update(ended_at=timezone.now() - datetime.timedelta(days=91))
    assert perform().result["forgotten"] == 1


class TestProject:
    def test_it_is_back_with_everything(self, app: Repository) -> None:
        push_image(app, tag="1")
        removed = projects.remove(app.project, actor=SYSTEM_ACTOR)
        restored = projects.restore(removed, actor=SYSTEM_ACTOR)
        assert (restored.deleted_at, restored.registry_key) == (None, app.project.registry_key)
        assert Tag.objects.get().name == "1"
        recount(restored)

    def test_under_another_name_where_its_own_is_taken(self, team: Project) -> None:
        removed = projects.remove(team, actor=SYSTEM_ACTOR)
        projects.create(name="team", owner=team.owner, actor=SYSTEM_ACTOR)
        with pytest.raises(Conflict, match="exists"):
            projects.restore(removed, actor=SYSTEM_ACTOR)
        assert projects.restore(removed, name="team-old", actor=SYSTEM_ACTOR).name == "team-old"

    def test_not_after_its_time(self, team: Project) -> None:
        removed = projects.remove(team, actor=SYSTEM_ACTOR)
        projects.abandon(removed, actor=SYSTEM_ACTOR)
        with pytest.raises(Conflict, match="over"):
            projects.restore(removed, actor=SYSTEM_ACTOR)

    def test_not_one_that_lives(self, team: Project) -> None:
        for change in (projects.restore, projects.abandon):
            with pytest.raises(Conflict):
                change(team, actor=SYSTEM_ACTOR)

    def test_the_job_gives_up_all_that_it_held(self, app: Repository, broker: Broker) -> None:
        child = make_image()
        push_image(app, child, tag="")
        push_image(app, make_index(child), tag="1", children=(child,))
        gone = make_image()
        push_image(app, gone, tag="2")
        trash.delete_artifact(app, gone.digest, actor=SYSTEM_ACTOR)
        projects.abandon(projects.remove(app.project, actor=SYSTEM_ACTOR), actor=SYSTEM_ACTOR)
        assert perform().result["projects"] == 1
        assert not Artifact.objects.exists()
        assert not Tag.objects.exists()
        assert ProjectUsage.objects.get().used_bytes == 0
        assert Project.objects.get(pk=app.project_id).purged_at is not None
        assert perform().result["projects"] == 0
