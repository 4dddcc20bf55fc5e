"""The mirror's listener: names without a project, read by everyone where everyone may."""

from base64 import b64encode

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Project
from registry_sync.models import Artifact, ArtifactBlob, Repository
from tests.conftest import password_of
from tests.factories import Image, make_image, make_repository, push_image
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Answer, error_of, told

MAIN, MIRROR = "http://registry.test", "http://mirror.test:8081"


@pytest.fixture(autouse=True)
def _mirror(settings: Settings, registry: FakeRegistry) -> None:
    """The mirror stands for docker.io with the images of ``team``."""
    settings.MOORAGE_EXTERNAL_URL = MAIN
    settings.MOORAGE_MIRROR_URL = MIRROR
    settings.MOORAGE_MIRROR_PROJECT = "team"
    settings.MOORAGE_MIRROR_OF = "docker.io"


@pytest.fixture
def image(team: Project) -> Image:
    """``team/library/alpine:3``, which the mirror calls ``library/alpine:3``."""
    image = make_image()
    push_image(make_repository(team, "library/alpine"), image, "3")
    return image


@pytest.fixture
def public(team: Project) -> Project:
    """The project, from which everyone may pull."""
    team.is_public = True
    team.save(update_fields=["is_public"])
    return team


def ask(path: str, **headers: str) -> Answer:
    """GET what nginx makes of ``/v2/<path>``."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client().get(f"/_mirror/v2/{path}", headers=sent)


def token_of(username: str, scope: str) -> str:
    """Ask the mirror's token service."""
    basic = b64encode(f"{username}:{password_of(username)}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"} if username else {}
    answer = Client().get("/_mirror/service/token", {"scope": scope}, headers=headers)
    assert answer.status_code == 200
    return str(told(answer)["token"])


@pytest.mark.usefixtures("public")
class TestPublic:
    def test_the_ping_asks_for_nothing(self) -> None:
        answer = ask("")
        assert (answer.status_code, told(answer)) == (200, {})
        assert answer["Docker-Distribution-Api-Version"] == "registry/2.0"

    @pytest.mark.parametrize("by", ["tag", "digest"])
    def test_a_manifest_is_found_without_its_project(self, image: Image, by: str) -> None:
        answer = ask(f"library/alpine/manifests/{'3' if by == 'tag' else image.digest}")
        assert (answer.status_code, answer.content) == (200, image.content)

    def test_a_blob_is_sent_by_nginx(self, image: Image) -> None:
        digest = ArtifactBlob.objects.values_list("blob_id", flat=True)[0]
        answer = ask(f"library/alpine/blobs/{digest}")
        assert answer.status_code == 200
        assert answer["X-Accel-Redirect"].endswith(f"/team/library/alpine/blobs/{digest}")

    def test_credentials_are_not_looked_at(self, image: Image) -> None:
        basic = b64encode(b"alice:the password of Docker Hub").decode()
        for header in (f"Basic {basic}", "Bearer of.another.registry"):
            answer = ask("library/alpine/manifests/3", Authorization=header)
            assert answer.status_code == 200

    def test_tags_bear_the_name_and_link_the_client_knows(
        self, image: Image, team: Project
    ) -> None:
        push_image(Repository.objects.get(project=team), make_image(), "4")
        answer = ask("library/alpine/tags/list?n=1")
        assert told(answer) == {"name": "library/alpine", "tags": ["3"]}
        assert answer["Link"].startswith("</v2/library/alpine/tags/list?")
        assert answer["Content-Length"] == str(len(answer.content))

    def test_referrers_are_found(self, image: Image) -> None:
        assert told(ask(f"library/alpine/referrers/{image.digest}"))["manifests"] == []

    def test_a_pull_asks_no_more_than_one_with_a_token(
        self, image: Image, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        digest = ArtifactBlob.objects.values_list("blob_id", flat=True)[0]
        for path in ("manifests/3", f"blobs/{digest}"):
            assert ask(f"library/alpine/{path}").status_code == 200
            # Who may what, and what it is.
            with django_assert_num_queries(2):
                ask(f"library/alpine/{path}")

    def test_what_everyone_was_granted_ends_with_the_projects_publicity(
        self, image: Image, public: Project
    ) -> None:
        for is_public, status in ((True, 200), (False, 401), (True, 200)):
            Project.objects.filter(pk=public.pk).update(is_public=is_public)
            for _time in range(2):
                assert ask("library/alpine/manifests/3").status_code == status

    def test_what_everyone_was_granted_is_not_the_next_projects(
        self, image: Image, public: Project
    ) -> None:
        assert ask("library/alpine/manifests/3").status_code == 200
        Project.objects.filter(pk=public.pk).update(name="former", deleted_at=timezone.now())
        other = Project.objects.create(name="team", owner=public.owner, is_public=True)
        assert ask("library/alpine/manifests/3").status_code == 404
        mine = make_image()
        push_image(make_repository(other, "library/alpine"), mine, "3")
        assert ask("library/alpine/manifests/3").content == mine.content

    @pytest.mark.parametrize(("ns", "status"), [("docker.io", 200), ("quay.io", 404)])
    def test_containerds_namespace_must_be_the_mirrors(
        self, image: Image, ns: str, status: int
    ) -> None:
        assert ask(f"library/alpine/manifests/3?ns={ns}").status_code == status

    @pytest.mark.parametrize("name", ["team/library/alpine", "library/thing"])
    def test_no_other_name_is_reached(self, image: Image, library: Project, name: str) -> None:
        assert ask(f"{name}/manifests/3").status_code in {401, 404}

    @pytest.mark.parametrize(
        "path", ["library/alpine/manifests/3", "library/alpine/blobs/uploads/"]
    )
    def test_nothing_is_written(self, image: Image, path: str) -> None:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = Client().generic(method, f"/_mirror/v2/{path}", data=b"{}")
            assert answer.status_code in {404, 405}
        assert Artifact.objects.count() == 1

    def test_the_catalogue_is_not_there(self) -> None:
        assert error_of(ask("_catalog"))[0] == 404

    def test_once_private_it_is_refused_at_once(self, image: Image, public: Project) -> None:
        public.is_public = False
        public.save(update_fields=["is_public"])
        assert error_of(ask("library/alpine/manifests/3")) == (401, "UNAUTHORIZED")


class TestPrivate:
    def test_the_challenge_names_what_the_client_will_ask_for(self, image: Image) -> None:
        for path in ("", "library/alpine/manifests/3"):
            challenge = ask(path)["WWW-Authenticate"]
            assert f'realm="{MIRROR}/service/token"' in challenge
            assert "team" not in challenge
        assert 'scope="repository:library/alpine:pull"' in challenge

    def test_dockers_own_scope_leads_to_the_image(self, carol: object, image: Image) -> None:
        token = token_of("carol", "repository:library/alpine:pull")
        answer = ask("library/alpine/manifests/3", Authorization=f"Bearer {token}")
        assert (answer.status_code, answer.content) == (200, image.content)
        assert ask("", Authorization=f"Bearer {token}").status_code == 200

    def test_containerds_form_leads_to_it_too(self, carol: object, image: Image) -> None:
        asked = {
            "grant_type": "password",
            "username": "carol",
            "password": password_of("carol"),
            "scope": "repository:library/alpine:pull",
        }
        answer = Client().post("/_mirror/service/token", asked)
        found = ask("library/alpine/manifests/3", Authorization=f"Bearer {told(answer)['token']}")
        assert found.status_code == 200

    def test_its_tokens_are_good_for_pulling_alone(self, bob: object, image: Image) -> None:
        wanted = "repository:library/alpine:delete,pull,push repository:library/other:push"
        token = token_of("bob", wanted)
        header = {"Authorization": f"Bearer {token}"}
        assert ask("library/alpine/manifests/3", **header).status_code == 200
        for path in ("team/library/alpine", "team/library/other"):
            refused = Client().post(f"/v2/{path}/blobs/uploads/", headers=header)
            assert error_of(refused) == (401, "UNAUTHORIZED")

    @pytest.mark.parametrize("username", ["", "mallory"])
    def test_an_outsider_learns_nothing(self, mallory: object, image: Image, username: str) -> None:
        token = token_of(username, "repository:library/alpine:pull")
        for name in ("library/alpine", "library/missing"):
            answer = ask(f"{name}/manifests/3", Authorization=f"Bearer {token}")
            assert error_of(answer) == (401, "UNAUTHORIZED")


def test_without_the_setting_there_is_no_mirror(settings: Settings, image: Image) -> None:
    settings.MOORAGE_MIRROR_PROJECT = ""
    for path in ("", "library/alpine/manifests/3", "team/library/alpine/manifests/3"):
        assert error_of(ask(path)) == (404, "NAME_UNKNOWN")
