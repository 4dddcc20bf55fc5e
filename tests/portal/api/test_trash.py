"""The trash in the API: what a deletion touches, restore, purge, runs."""

import datetime
from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import bulk, tasks, trash
from registry_sync.models import Execution, PullTotal, Repository, TrashEntry
from tests.factories import make_image, make_repository, push_image
from tests.portal.api.conftest import Caller, error_of, told
from tests.registry_sync.trashing import live_in, push_signed, tags_of

Find = Callable[[str], Caller]


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


def test_what_a_deletion_touches(caller: Find, app: Repository) -> None:
    image, signature = push_signed(app, "1.0")
    push_image(app, image, tag="latest")
    alice = caller("alice")
    tag = told(alice.get("projects/team/deletion?repository=app&reference=1.0&tag=1.0"))
    assert (tag["tags"], tag["sibling_tags"], tag["freed_bytes"]) == (["1.0"], ["latest"], 0)
    whole = told(alice.get("projects/team/deletion?repository=app&reference=latest"))
    assert (whole["tag_count"], whole["accessories"]) == (2, [signature.digest])
    assert whole["freed_bytes"] == image.size + signature.size
    repository = told(alice.get("projects/team/deletion?repository=app"))
    assert (repository["artifacts"], repository["tag_count"], repository["days"]) == (2, 2, 7)
    project = told(alice.get("projects/team/deletion"))
    assert (project["repositories"], project["freed_bytes"]) == (1, whole["freed_bytes"])
    missing = alice.get("projects/team/deletion?repository=app&reference=2.0")
    assert missing.status_code == 404


def test_deleted_by_the_contract_and_restored(caller: Find, app: Repository) -> None:
    image, _signature = push_signed(app, "1.0")
    alice = caller("alice")
    assert alice.call("DELETE", "projects/team/repositories/app").status_code == 200
    (entry,) = told(alice.get("projects/team/trash"))
    assert (entry["kind"], entry["artifact_count"], entry["tags"]) == ("repository", 2, ["1.0"])
    assert told(alice.get(f"projects/team/trash/{entry['id']}")) == entry
    answer = alice.post(f"projects/team/trash/{entry['id']}/restore", {})
    assert (answer.status_code, told(answer)["state"]) == (200, "restored")
    assert tags_of(app) == {"1.0": image.digest}
    assert told(alice.get("projects/team/trash")) == []
    assert len(told(alice.get("projects/team/trash?q=state=restored"))) == 1


def test_a_restore_that_cannot_be_whole_says_why(caller: Find, app: Repository) -> None:
    image = make_image()
    push_image(app, image, tag="1.0")
    entry = trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)
    push_image(app, tag="1.0")
    alice = caller("alice")
    path = f"projects/team/trash/{entry.pk}/restore"
    refused = alice.post(path, {"tags": "all"})
    assert refused.status_code == 409
    assert "the tag 1.0 points to" in error_of(refused)[1]
    assert alice.post(path, {"tags": "some"}).status_code == 400
    assert alice.post(path, {"tags": "none"}).status_code == 200
    assert image.digest in live_in(app)
    assert alice.post(path, {}).status_code == 409


def test_purge(caller: Find, app: Repository) -> None:
    push_image(app, tag="1.0")
    entry = trash.delete_tag(app, "1.0", actor=SYSTEM_ACTOR)
    alice = caller("alice")
    path = f"projects/team/trash/{entry.pk}"
    assert alice.call("DELETE", path).status_code == 200
    assert alice.call("DELETE", path).status_code == 409
    assert told(alice.get(path))["state"] == "purged"


def test_the_list_is_filtered_and_sorted(caller: Find, app: Repository) -> None:
    for tag in ("a", "b"):
        push_image(app, tag=tag)
        trash.delete_tag(app, tag, actor=SYSTEM_ACTOR, execution_id=ord(tag))
    admin = caller("admin")
    assert [row["tags"] for row in told(admin.get("trash?sort=id"))] == [["a"], ["b"]]
    assert [row["tags"] for row in told(admin.get("trash?q=execution=98"))] == [["b"]]
    assert told(admin.get("trash?q=repository=other")) == []
    assert admin.get("trash?q=secret=1").status_code == 400


class TestRuns:
    def test_dry_run_run_and_undo(self, caller: Find, app: Repository) -> None:
        for number in range(4):
            push_image(app, tag=f"pr-{number}")
        push_image(app, tag="1.0")
        was = tags_of(app)
        alice = caller("alice")
        wanted = {"repository": "app", "q": "pr-*"}
        dry = alice.post("projects/team/tag-deletions", {**wanted, "dry_run": True})
        assert (dry.status_code, told(dry)["tags"], told(dry)["images"]) == (200, 4, 4)
        answer = alice.post("projects/team/tag-deletions", wanted)
        assert answer.status_code == 201
        place = answer.headers["Location"]
        self.perform(bulk.DELETION)
        shown = told(alice.get(place))
        assert (shown["status"], shown["done"], shown["undoable"]) == ("Success", 4, 4)
        assert set(tags_of(app)) == {"1.0"}
        undone = alice.post(f"{place}/undo", None)
        assert undone.status_code == 201
        self.perform(bulk.UNDO)
        assert tags_of(app) == was
        assert told(alice.get(undone.headers["Location"]))["result"]["restored"] == 4

    def perform(self, kind: str) -> None:
        """Do what was ordered."""
        tasks.run_task(Execution.objects.get(kind=kind).tasks.get().pk)

    def test_two_at_once(self, caller: Find, app: Repository) -> None:
        push_image(app, tag="1.0")
        alice = caller("alice")
        wanted = {"repository": "app", "names": ["1.0"]}
        assert alice.post("projects/team/tag-deletions", wanted).status_code == 201
        assert alice.post("projects/team/tag-deletions", wanted).status_code == 409

    @pytest.mark.parametrize("wanted", [{}, {"q": "x" * 300}, {"names": "1.0"}])
    def test_what_is_refused(
        self, caller: Find, app: Repository, wanted: dict[str, object]
    ) -> None:
        push_image(app, tag="1.0")
        body = {"repository": "app", **wanted}
        assert caller("alice").post("projects/team/tag-deletions", body).status_code == 400


class TestProjects:
    def test_a_project_goes_and_comes_back(self, caller: Find, app: Repository) -> None:
        push_image(app, tag="1.0")
        alice = caller("alice")
        assert alice.call("DELETE", "projects/team?force=true").status_code == 200
        (shown,) = told(alice.get("trash/projects"))
        assert shown["name"] == "team"
        taken = alice.post(f"trash/projects/{shown['project_id']}/restore", {"name": "library"})
        assert taken.status_code == 409
        answer = alice.post(f"trash/projects/{shown['project_id']}/restore", {})
        assert told(answer)["name"] == "team"
        assert alice.get("projects/team").status_code == 200
        assert told(alice.get("trash/projects")) == []

    def test_for_good(self, caller: Find, team: Project) -> None:
        alice = caller("alice")
        alice.call("DELETE", "projects/team")
        assert caller("bob").call("DELETE", f"trash/projects/{team.pk}").status_code == 404
        assert alice.call("DELETE", f"trash/projects/{team.pk}").status_code == 202
        assert alice.post(f"trash/projects/{team.pk}/restore", {}).status_code == 409
        assert TrashEntry.objects.count() == 0


def test_what_was_pulled_lately_is_told(caller: Find, app: Repository) -> None:
    push_image(app, tag="1.0")
    now = timezone.now()
    for tag, days in (("1.0", 1), ("0.9", 1)):
        PullTotal.objects.create(
            repository=app, reference=tag, pulled_at=now - datetime.timedelta(days=days)
        )
    shown = told(caller("alice").get("projects/team/deletion?repository=app"))
    assert shown["pulled_lately"] == ["1.0"]
