"""Pulling manifests: the stored bytes, whatever the client says it accepts."""

import pytest

from accounts.models import Project, User
from registry_sync.gateway import base
from registry_sync.manifests import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from registry_sync.models import Artifact, Repository
from tests.factories import (
    Image,
    make_image,
    make_index,
    make_repository,
    push_image,
    some_digest,
)
from tests.registry_sync.gateway.conftest import Answer, Caller, Sign, error_of, told

KEPT = ("Content-Type", "Content-Length", "Docker-Content-Digest", "ETag", "Cache-Control")


@pytest.fixture
def image(team: Project) -> Image:
    """``team/app:v1``."""
    image = make_image()
    push_image(make_repository(team), image, "v1")
    return image


def essence(response: Answer) -> tuple[object, ...]:
    """Return what must not tell one refusal from another: everything but the request's id."""
    headers = {name: value for name, value in response.items() if name != "X-Request-Id"}
    return response.status_code, headers, response.content


class TestFound:
    @pytest.mark.parametrize("by", ["tag", "digest"])
    def test_the_stored_bytes_and_type_come_back(
        self, carol_app: Caller, image: Image, by: str
    ) -> None:
        reference = "v1" if by == "tag" else image.digest
        response = carol_app.get(f"team/app/manifests/{reference}")
        assert response.status_code == 200
        assert response.content == image.content
        assert response["Content-Type"] == OCI_MANIFEST
        assert response["Docker-Content-Digest"] == image.digest
        assert response["ETag"] == f'"{image.digest}"'
        assert response["Content-Length"] == str(len(image.content))
        assert response["Docker-Distribution-Api-Version"] == "registry/2.0"

    @pytest.mark.parametrize("accept", ["", "*/*", DOCKER_MANIFEST, "text/html"])
    def test_what_the_client_accepts_changes_nothing(
        self, carol_app: Caller, image: Image, accept: str
    ) -> None:
        response = carol_app.get("team/app/manifests/v1", Accept=accept)
        assert (response.content, response["Content-Type"]) == (image.content, OCI_MANIFEST)

    def test_an_index_comes_back_as_an_index(
        self, carol_app: Caller, image: Image, team: Project
    ) -> None:
        index = make_index(image)
        push_image(Repository.objects.get(), index, "multi", children=(image,))
        response = carol_app.get("team/app/manifests/multi", Accept=OCI_MANIFEST)
        assert (response.content, response["Content-Type"]) == (index.content, OCI_INDEX)

    def test_head_equals_get_without_the_bytes(self, carol_app: Caller, image: Image) -> None:
        head = carol_app.head("team/app/manifests/v1")
        get = carol_app.get("team/app/manifests/v1")
        assert head.status_code == get.status_code
        assert {name: head[name] for name in KEPT} == {name: get[name] for name in KEPT}
        assert head.content == b""

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_known_etag_is_304(self, carol_app: Caller, image: Image, method: str) -> None:
        headers = {"If-None-Match": f'"other", "{image.digest}"'}
        response = carol_app.call(method, "team/app/manifests/v1", b"", **headers)
        assert response.status_code == 304
        assert response.content == b""
        assert response["Docker-Content-Digest"] == image.digest

    def test_another_etag_is_sent_the_bytes(self, carol_app: Caller, image: Image) -> None:
        response = carol_app.get("team/app/manifests/v1", If_None_Match=f'"{some_digest()}"')
        assert response.content == image.content

    def test_a_private_projects_manifest_is_not_for_shared_caches(
        self, carol_app: Caller, image: Image
    ) -> None:
        assert "private" in carol_app.get("team/app/manifests/v1")["Cache-Control"]

    @pytest.mark.parametrize(
        "path", ["manifests", "blobs/uploads", "tags/list", "a/manifests/b", "a/b/c/d"]
    )
    def test_a_repository_may_have_a_name_of_the_protocols(
        self, token_for: Sign, carol: User, team: Project, path: str
    ) -> None:
        image = make_image()
        push_image(make_repository(team, path), image)
        caller = token_for(carol, f"repository:team/{path}:pull")
        assert caller.get(f"team/{path}/manifests/latest").content == image.content
        assert told(caller.get(f"team/{path}/tags/list"))["tags"] == ["latest"]


class TestNotFound:
    def test_an_unknown_tag(self, carol_app: Caller, image: Image) -> None:
        answer = carol_app.get("team/app/manifests/v2")
        assert error_of(answer) == (404, "MANIFEST_UNKNOWN")

    def test_an_unknown_digest(self, carol_app: Caller, image: Image) -> None:
        answer = carol_app.get(f"team/app/manifests/{some_digest()}")
        assert error_of(answer) == (404, "MANIFEST_UNKNOWN")

    def test_a_manifest_of_another_repository(
        self, token_for: Sign, carol: User, image: Image, team: Project
    ) -> None:
        make_repository(team, "other")
        caller = token_for(carol, "repository:team/other:pull")
        answer = caller.get(f"team/other/manifests/{image.digest}")
        assert error_of(answer) == (404, "MANIFEST_UNKNOWN")

    def test_a_repository_of_ones_own_project_that_is_not_there(
        self, token_for: Sign, carol: User
    ) -> None:
        caller = token_for(carol, "repository:team/nothing:pull")
        assert error_of(caller.get("team/nothing/manifests/v1")) == (404, "NAME_UNKNOWN")

    @pytest.mark.parametrize("digest", ["sha512:" + "0" * 128, "sha256:" + "A" * 64, "sha256:"])
    def test_another_digest_than_sha256_is_invalid(
        self, carol_app: Caller, image: Image, digest: str
    ) -> None:
        answer = carol_app.get(f"team/app/manifests/{digest}")
        assert error_of(answer) == (400, "DIGEST_INVALID")

    @pytest.mark.parametrize("reference", ["%00", "v1%00", "a%20b", "-v1", "x" * 129])
    def test_a_reference_that_is_no_tag_is_unknown(
        self, carol_app: Caller, image: Image, reference: str
    ) -> None:
        answer = carol_app.get(f"team/app/manifests/{reference}")
        assert error_of(answer) == (404, "MANIFEST_UNKNOWN")

    @pytest.mark.parametrize(
        "name", ["Team/app", "team", "team//app", "team/app-", "team/a%2Fb%00"]
    )
    def test_a_name_outside_the_grammar_is_invalid(self, nobody: Caller, name: str) -> None:
        assert error_of(nobody.get(f"{name}/manifests/v1")) == (400, "NAME_INVALID")

    def test_a_path_that_is_none_of_the_protocols(self, nobody: Caller) -> None:
        assert error_of(nobody.get("team/app/something")) == (404, "UNSUPPORTED")

    def test_another_method_is_405_and_says_which_there_are(self, nobody: Caller) -> None:
        answer = nobody.call("POST", "team/app/manifests/v1")
        assert error_of(answer) == (405, "UNSUPPORTED")
        assert "PUT" in answer["Allow"]


class TestNobody:
    """What is told to a caller without the right is the same for everything."""

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("path", ["library/app/manifests/v1", "nothing/app/manifests/v1"])
    def test_no_token_is_401_with_the_scope_even_in_a_public_project(
        self, nobody: Caller, library: Project, method: str, path: str, settings: object
    ) -> None:
        answer = nobody.call(method, path)
        name = path.removesuffix("/manifests/v1")
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == (
            'Bearer realm="http://127.0.0.1:8080/service/token",service="moorage",'
            f'scope="repository:{name}:pull"'
        )

    @pytest.mark.parametrize(
        ("method", "path", "scope"),
        [
            ("GET", "team/app/tags/list", "repository:team/app:pull"),
            ("GET", f"team/app/blobs/{some_digest('x')}", "repository:team/app:pull"),
            ("PUT", "team/app/manifests/v1", "repository:team/app:pull,push"),
            ("POST", "team/app/blobs/uploads/", "repository:team/app:pull,push"),
            ("DELETE", "team/app/manifests/v1", "repository:team/app:delete"),
        ],
    )
    def test_the_challenge_names_the_scope_of_the_request(
        self, nobody: Caller, team: Project, method: str, path: str, scope: str
    ) -> None:
        answer = nobody.call(method, path)
        assert error_of(answer) == (401, "UNAUTHORIZED")
        assert f'scope="{scope}"' in answer["WWW-Authenticate"]

    def test_version_asks_for_no_scope(self, nobody: Caller) -> None:
        answer = nobody.get("")
        assert error_of(answer) == (401, "UNAUTHORIZED")
        assert "scope" not in answer["WWW-Authenticate"]

    def test_private_and_unknown_answer_the_same(
        self, token_for: Sign, mallory: User, image: Image
    ) -> None:
        caller = token_for(mallory, "repository:team/app:pull repository:none/app:pull")
        private = caller.get("team/app/manifests/v1")
        unknown = caller.get("none/app/manifests/v1")
        assert error_of(private) == (401, "UNAUTHORIZED")
        assert str(essence(private)) == str(essence(unknown)).replace("none/app", "team/app")

    @pytest.mark.parametrize(
        "token", ["x", "a.b.c", "W1tb" * 3000, "Ww.e30.e30", "e30.e30.e30", "\x7f", "é"]
    )
    def test_a_token_that_is_none_is_401(self, image: Image, token: str) -> None:
        answer = Caller(token).get("team/app/manifests/v1")
        assert error_of(answer) == (401, "UNAUTHORIZED")

    def test_a_token_for_pulling_does_not_push(self, carol_app: Caller, image: Image) -> None:
        answer = carol_app.put("team/app/manifests/v2", image.content, image.media_type)
        assert error_of(answer) == (401, "UNAUTHORIZED")
        assert 'error="insufficient_scope"' in answer["WWW-Authenticate"]
        told = "you may not push to team/app, or there is no such project"
        assert told in answer.content.decode()

    def test_a_name_without_a_project_is_told_how_names_begin(self, carol_app: Caller) -> None:
        answer = carol_app.call("POST", "app/blobs/uploads/")
        assert error_of(answer) == (400, "NAME_INVALID")
        assert "PROJECT/app" in answer.content.decode()
        # Clients begin with this one, and no words reach them with it.
        assert carol_app.call("HEAD", f"app/blobs/{some_digest()}").status_code == 404


def test_what_nobody_expected_is_500_without_details(
    carol_app: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(base, "require_caller", fail)
    answer = carol_app.get("")
    assert error_of(answer) == (500, "UNKNOWN")
    assert b"secret" not in answer.content


def test_a_public_projects_manifest_is_for_everyone_with_an_anonymous_token(
    token_for: Sign, library: Project
) -> None:
    artifact: Artifact = push_image(make_repository(library))
    caller = token_for(None, "repository:library/app:pull")
    answer = caller.get("library/app/manifests/latest")
    assert answer["Docker-Content-Digest"] == artifact.digest
