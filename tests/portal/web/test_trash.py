"""The pages of the trash: what goes is said first, and comes back."""

import pytest
from django.test import Client

from accounts import projects
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import bulk, dispatch, trash
from registry_sync.bulk import Selection
from registry_sync.models import Repository, TrashEntry
from tests.conftest import Cast
from tests.factories import make_image, make_index, make_repository, push_image
from tests.portal.web.conftest import SignedIn, text_of
from tests.registry_sync.trashing import live_in, push_signed, tags_of


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


class TestDeleting:
    def test_the_page_says_what_goes(
        self, cast: Cast, app: Repository, signed_in: SignedIn
    ) -> None:
        image, _signature = push_signed(app)
        path = f"/p/team/app/-/delete?digest={image.digest}"
        page = text_of(signed_in(cast.alice).get(path))
        assert "with 1 signature or other attachment" in page
        assert "It can be restored from the trash for 7 days." in page

    def test_an_image_goes_to_the_trash(
        self, cast: Cast, app: Repository, signed_in: SignedIn
    ) -> None:
        image, _signature = push_signed(app)
        client = signed_in(cast.alice)
        answer = client.post("/p/team/app/-/delete", {"digest": image.digest}, follow=True)
        assert "is in the trash" in text_of(answer)
        assert live_in(app) == set()

    def test_a_tag_that_is_the_last(self, cast: Cast, app: Repository, signed_in: SignedIn) -> None:
        push_image(app, tag="1.0")
        client = signed_in(cast.alice)
        page = text_of(client.get("/p/team/app/-/delete?tag=1.0"))
        assert "It stays, without a tag." in page
        client.post("/p/team/app/-/delete", {"tag": "1.0"})
        assert tags_of(app) == {}

    def test_a_whole_repository(self, cast: Cast, app: Repository, signed_in: SignedIn) -> None:
        push_image(app, tag="1.0")
        client = signed_in(cast.alice)
        assert "team/app" in text_of(client.get("/p/team/app/-/delete"))
        client.post("/p/team/app/-/delete")
        assert client.get("/p/team/app").status_code == 404

    def test_what_an_index_needs_is_refused_and_says_so(
        self, cast: Cast, app: Repository, signed_in: SignedIn
    ) -> None:
        child = make_image()
        push_image(app, child, tag="")
        index = make_index(child)
        push_image(app, index, children=(child,))
        client = signed_in(cast.alice)
        page = text_of(client.get(f"/p/team/app/-/delete?digest={child.digest}"))
        assert "An index needs it" in page
        answer = client.post("/p/team/app/-/delete", {"digest": child.digest})
        assert (answer.status_code, live_in(app)) == (409, {child.digest, index.digest})

    def test_who_may_not(self, cast: Cast, app: Repository, signed_in: SignedIn) -> None:
        push_image(app, tag="1.0")
        for user, status in ((cast.bob, 403), (cast.mallory, 404), (None, 302)):
            for query in ("", "?tag=1.0"):
                path = f"/p/team/app/-/delete{query}"
                assert signed_in(user).get(path).status_code == status
        assert signed_in(cast.alice).get("/p/team/app/-/delete?tag=2").status_code == 404


class TestTrash:
    @pytest.fixture
    def entry(self, app: Repository) -> TrashEntry:
        """A deleted image with the tag 1.0."""
        image = make_image()
        push_image(app, image, tag="1.0")
        return trash.delete_artifact(app, image.digest, actor=SYSTEM_ACTOR)

    def test_the_list_and_the_entry(
        self, cast: Cast, entry: TrashEntry, signed_in: SignedIn
    ) -> None:
        client = signed_in(cast.alice)
        page = text_of(client.get("/p/team/-/trash"))
        assert "1.0" in page
        assert entry.digest[7:19] in page
        assert "Restore" in text_of(client.get(f"/p/team/-/trash/{entry.pk}"))
        assert "No deletion matches" in text_of(client.get("/p/team/-/trash?q=nothing"))

    def test_restore(
        self, cast: Cast, app: Repository, entry: TrashEntry, signed_in: SignedIn
    ) -> None:
        answer = signed_in(cast.alice).post(f"/p/team/-/trash/{entry.pk}/restore", follow=True)
        assert "team/app is restored" in text_of(answer)
        assert tags_of(app) == {"1.0": entry.digest}

    def test_why_not_and_without_the_tags_that_are_taken(
        self, cast: Cast, app: Repository, entry: TrashEntry, signed_in: SignedIn
    ) -> None:
        push_image(app, tag="1.0")
        client = signed_in(cast.alice)
        answer = client.post(f"/p/team/-/trash/{entry.pk}/restore", follow=True)
        assert "the tag 1.0 points to" in text_of(answer)
        client.post(f"/p/team/-/trash/{entry.pk}/restore", {"tags": "free"})
        assert entry.digest in live_in(app)

    def test_for_good_only_where_it_is_confirmed(
        self, cast: Cast, entry: TrashEntry, signed_in: SignedIn
    ) -> None:
        client = signed_in(cast.alice)
        client.post(f"/p/team/-/trash/{entry.pk}/purge")
        entry.refresh_from_db()
        assert entry.state == TrashEntry.State.TRASHED
        client.post(f"/p/team/-/trash/{entry.pk}/purge", {"confirmed": "1"})
        entry.refresh_from_db()
        assert entry.state == TrashEntry.State.PURGED

    def test_who_may_not(self, cast: Cast, entry: TrashEntry, signed_in: SignedIn) -> None:
        for user, status in ((cast.bob, 403), (cast.mallory, 404), (None, 302)):
            client: Client = signed_in(user)
            assert client.get("/p/team/-/trash").status_code == status
            assert client.get(f"/p/team/-/trash/{entry.pk}").status_code == status
            assert client.post(f"/p/team/-/trash/{entry.pk}/restore").status_code == status
        assert signed_in(cast.admin).get(f"/p/library/-/trash/{entry.pk}").status_code == 404

    def test_everywhere_is_for_administrators(
        self, cast: Cast, entry: TrashEntry, signed_in: SignedIn
    ) -> None:
        assert "team/" in text_of(signed_in(cast.admin).get("/admin/trash"))
        assert signed_in(cast.alice).get("/admin/trash").status_code == 404


class TestRun:
    def test_its_page_and_its_undo(self, cast: Cast, app: Repository, signed_in: SignedIn) -> None:
        push_image(app, tag="1.0")
        parameters = bulk.parameters_of(app, Selection("*"), with_images=True)
        execution = dispatch.start(
            bulk.DELETION, actor=SYSTEM_ACTOR, project_id=app.project_id, parameters=parameters
        )
        trash.delete_tag(app, "1.0", actor=SYSTEM_ACTOR, execution_id=execution.pk)
        client = signed_in(cast.alice)
        assert "Deletion of tags" in text_of(client.get(f"/p/team/-/runs/{execution.pk}"))
        answer = client.post(f"/p/team/-/runs/{execution.pk}/undo", follow=True)
        assert "Undo of a run" in text_of(answer)
        assert signed_in(cast.mallory).get(f"/p/team/-/runs/{execution.pk}").status_code == 404
        assert client.get(f"/p/team/-/runs/{execution.pk + 9}").status_code == 404


class TestProjects:
    def test_it_comes_back(self, cast: Cast, signed_in: SignedIn) -> None:
        projects.remove(cast.team, actor=SYSTEM_ACTOR)
        client = signed_in(cast.alice)
        assert "team" in text_of(client.get("/p/-/trash"))
        answer = client.post(f"/p/-/trash/{cast.team.pk}/restore", {"name": "team2"}, follow=True)
        assert "The project team2 is restored." in text_of(answer)

    def test_a_name_that_is_taken_is_explained(self, cast: Cast, signed_in: SignedIn) -> None:
        projects.remove(cast.team, actor=SYSTEM_ACTOR)
        path = f"/p/-/trash/{cast.team.pk}/restore"
        answer = signed_in(cast.alice).post(path, {"name": "library"}, follow=True)
        assert "A project of this name exists." in text_of(answer)

    def test_for_good(self, cast: Cast, signed_in: SignedIn) -> None:
        projects.remove(cast.team, actor=SYSTEM_ACTOR)
        client = signed_in(cast.alice)
        answer = client.post(f"/p/-/trash/{cast.team.pk}/purge", {"confirmed": "1"}, follow=True)
        assert "its time is over" in text_of(answer)

    def test_others_do_not_see_it(self, cast: Cast, signed_in: SignedIn) -> None:
        projects.remove(cast.team, actor=SYSTEM_ACTOR)
        client = signed_in(cast.bob)
        assert "No deleted projects" in text_of(client.get("/p/-/trash"))
        assert client.post(f"/p/-/trash/{cast.team.pk}/restore").status_code == 404
