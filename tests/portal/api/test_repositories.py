"""/repositories, /search and /statistics: only what is visible."""

from collections.abc import Callable

import pytest

from accounts.models import Project
from registry_sync.models import Artifact, Repository
from tests.factories import make_image, make_index, make_repository, push_image
from tests.portal.api.conftest import Answer, Caller, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]


@pytest.fixture
def app(team: Project, library: Project) -> Repository:
    """Push into a nested repository of the private project, and one of the public."""
    app = make_repository(team, "web/app")
    push_image(app, make_image("app"), "v1")
    push_image(make_repository(library, "base"), make_image("base"), "latest")
    make_repository(team, "never-pushed")
    return app


def names(response: Answer) -> list[str]:
    assert response.status_code == 200, response.content
    return [repository["name"] for repository in told(response)]


class TestListing:
    @pytest.mark.parametrize(
        ("username", "found"),
        [
            ("", ["library/base"]),
            ("mallory", ["library/base"]),
            ("carol", ["library/base", "team/web/app"]),
            ("admin", ["library/base", "team/web/app"]),
        ],
    )
    def test_of_all_projects(
        self, caller: Callers, app: Repository, username: str, found: list[str]
    ) -> None:
        response = caller(username).get("repositories")
        assert names(response) == found
        assert response["X-Total-Count"] == str(len(found))

    @pytest.mark.parametrize(
        ("q", "found"),
        [
            ("name=~eb/ap", ["team/web/app"]),
            ("name=~am/web", ["team/web/app"]),
            ("name=team/web/app", ["team/web/app"]),
            ("name=web/app", ["team/web/app"]),
            ("name=web", []),
            ("name=~library/", ["library/base"]),
        ],
    )
    def test_filters(self, caller: Callers, app: Repository, q: str, found: list[str]) -> None:
        assert names(caller("admin").get(f"repositories?q={q}")) == found

    def test_of_one_project(self, caller: Callers, app: Repository) -> None:
        assert names(caller("carol").get("projects/team/repositories")) == ["team/web/app"]
        assert caller("carol").get("projects/team/repositories?q=project_id=1").status_code == 400
        assert caller("carol").get("projects/team/repositories?sort=project").status_code == 400


class TestOne:
    @pytest.mark.parametrize("path", ["web%252Fapp", "web%2Fapp", "web/app"])
    def test_however_it_is_encoded(self, caller: Callers, app: Repository, path: str) -> None:
        shown = told(caller("carol").get(f"projects/team/repositories/{path}"))
        assert shown.pop("creation_time")
        assert shown.pop("update_time")
        assert shown == {
            "id": app.pk,
            "project_id": app.project_id,
            "name": "team/web/app",
            "description": "",
            "artifact_count": 1,
            "pull_count": 0,
        }

    @pytest.mark.parametrize("path", ["none", "never-pushed", "%2500", "web"])
    def test_what_is_not_there(self, caller: Callers, app: Repository, path: str) -> None:
        assert caller("carol").get(f"projects/team/repositories/{path}").status_code == 404

    def test_describing(self, caller: Callers, app: Repository) -> None:
        path, text = "projects/team/repositories/web%252Fapp", {"description": "# The app"}
        assert caller("carol").call("PUT", path, text).status_code == 403
        assert caller("bob").call("PUT", path, text).status_code == 200
        assert told(caller("carol").get(path))["description"] == "# The app"
        assert caller("bob").call("PUT", path, {"description": "x" * 65537}).status_code == 400

    def test_deleting_puts_everything_into_the_trash(
        self, caller: Callers, app: Repository
    ) -> None:
        children = make_image("one"), make_image("two")
        for child in children:
            push_image(app, child, "")
        push_image(app, make_index(*children), "many", children=children)
        path = "projects/team/repositories/web%252Fapp"
        assert caller("bob").call("DELETE", path).status_code == 403
        assert caller("alice").call("DELETE", path).status_code == 200
        assert not Artifact.objects.live().filter(repository=app).exists()
        assert caller("alice").get(path).status_code == 404
        assert caller("alice").call("DELETE", path).status_code == 404
        push_image(app, make_image("again"), "v2")
        assert told(caller("alice").get(path))["artifact_count"] == 1


class TestSearch:
    def test_only_what_is_visible(self, caller: Callers, app: Repository) -> None:
        hidden = told(caller("mallory").get("search?q=app"))
        assert hidden == {"project": [], "repository": [], "tag": [], "artifact": []}
        assert told(caller("mallory").get("search?q=team")) == hidden
        found = told(caller("carol").get("search?q=app"))
        assert [r["repository_name"] for r in found["repository"]] == ["team/web/app"]

    def test_tags_and_digests(self, caller: Callers, app: Repository) -> None:
        digest = app.artifacts.get().digest
        assert told(caller("carol").get("search?q=v1"))["tag"] == [
            {"repository_name": "team/web/app", "tag": "v1", "digest": digest}
        ]
        for text in (digest, digest[:20], digest.removeprefix("sha256:")[:12]):
            assert told(caller("carol").get(f"search?q={text}"))["artifact"] == [
                {"repository_name": "team/web/app", "digest": digest}
            ]
            assert told(caller("mallory").get(f"search?q={text}"))["artifact"] == []

    def test_projects(self, caller: Callers, app: Repository) -> None:
        found = told(caller("bob").get("search?q=tea"))["project"]
        assert [project["name"] for project in found] == ["team"]
        assert caller("bob").get("search?q=%00").status_code == 400


class TestStatistics:
    def test_exact(self, caller: Callers, app: Repository) -> None:
        assert told(caller("mallory").get("statistics")) == {
            "private_project_count": 0,
            "private_repo_count": 0,
            "public_project_count": 1,
            "public_repo_count": 1,
            "total_project_count": 0,
            "total_repo_count": 0,
            "total_storage_consumption": 0,
        }
        total = told(caller("admin").get("statistics"))
        assert (total["total_project_count"], total["total_repo_count"]) == (2, 2)
        size = make_image("app").size + make_image("base").size
        assert total["total_storage_consumption"] == size
