"""The question before the PUT that ends an upload: is the digest announced, may it come?"""

import threading
import time
from functools import partial

import pytest
from django.test import Client

from accounts import projects
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import blobs
from registry_sync.gateway import waiting
from registry_sync.models import Blob, Repository, RepositoryBlob
from tests.factories import make_blob, some_digest
from tests.registry_sync.gateway.conftest import PRECHECK, Answer, Caller, Sign

DIGEST = some_digest("layer")
UPLOAD = "/v2/team/app/blobs/uploads/0b1c-d2.e_f="


def refusal(answer: Answer) -> tuple[str, str]:
    """Return what nginx is to tell the client."""
    assert answer.status_code == 403
    assert answer.content == b""
    return answer["X-Moorage-Status"], answer["X-Moorage-Code"]


class TestLetThrough:
    @pytest.mark.parametrize(
        "query",
        [
            f"digest={DIGEST}",
            f"digest={DIGEST.replace(':', '%3A')}",
            f"%64igest={DIGEST}",
            f"_state=a%2Fb%3D&digest={DIGEST}&x=1",
            f"digest={DIGEST}&_state=xyz",
        ],
    )
    def test_a_digest_is_announced(self, bob_app: Caller, query: str) -> None:
        assert bob_app.precheck(f"{UPLOAD}?{query}").status_code == 204
        link = RepositoryBlob.objects.select_related("repository__project").get(digest=DIGEST)
        assert link.repository.name == "team/app"
        assert link.state == RepositoryBlob.State.EXPECTED
        assert Blob.objects.get(digest=DIGEST).state == Blob.State.LIVE

    def test_an_encoded_path_is_the_same_path(self, bob_app: Caller) -> None:
        path = UPLOAD.replace("team", "%74eam")
        assert bob_app.precheck(f"{path}?digest={DIGEST}").status_code == 204
        assert RepositoryBlob.objects.get(digest=DIGEST).repository.path == "app"

    def test_a_present_blob_stays_present(self, bob_app: Caller) -> None:
        bob_app.precheck(f"{UPLOAD}?digest={DIGEST}")
        blobs.confirm(Repository.objects.get(), DIGEST, 7)
        assert bob_app.precheck(f"{UPLOAD}?digest={DIGEST}").status_code == 204
        assert RepositoryBlob.objects.get().state == RepositoryBlob.State.PRESENT

    def test_a_collected_digest_comes_back_as_another_generation(self, bob_app: Caller) -> None:
        make_blob(DIGEST, state=Blob.State.GONE, generation=5)
        assert bob_app.precheck(f"{UPLOAD}?digest={DIGEST}").status_code == 204
        blob = Blob.objects.get(digest=DIGEST)
        assert blob.state == Blob.State.LIVE
        assert blob.generation != 5

    def test_a_repository_called_uploads(self, token_for: Sign, bob: User) -> None:
        caller = token_for(bob, "repository:team/x/blobs/uploads/y:push")
        uri = f"/v2/team/x/blobs/uploads/y/blobs/uploads/u?digest={DIGEST}"
        assert caller.precheck(uri).status_code == 204
        assert Repository.objects.get().path == "x/blobs/uploads/y"


class TestRefused:
    @pytest.mark.parametrize(
        "query",
        [
            "",
            "_state=x",
            "digest=",
            f"digest={DIGEST}&digest={DIGEST}",
            f"digest={DIGEST}&digest={some_digest('other')}",
            f"digest={DIGEST}&%64igest={DIGEST}",
            "digest=sha512:" + "0" * 128,
            f"digest={DIGEST.upper()}",
            f"digest={DIGEST}%00",
            f"digest={DIGEST};x",
            f"digest=%20{DIGEST}",
            f"digest={DIGEST}" + "&a=b" * 50,
        ],
    )
    def test_anything_but_one_sha256_digest_is_400(self, bob_app: Caller, query: str) -> None:
        answer = bob_app.precheck(f"{UPLOAD}?{query}")
        assert refusal(answer) == ("400", "DIGEST_INVALID")
        assert not Blob.objects.exists()

    @pytest.mark.parametrize(
        "uri",
        [
            "",
            "/",
            "/v2/team/app/blobs/uploads/",
            "/v2/team/app/manifests/v1",
            "/v2/team/app/blobs/uploads/a/b",
            "/v2/team/app%0D%0AX:y/blobs/uploads/u",
            "/v2/team/app%0D/blobs/uploads/u",
            "/v2/Team/App/blobs/uploads/u",
            '/v2/a/b"c/blobs/uploads/u',
        ],
    )
    def test_a_path_that_is_no_upload_is_404(self, bob_app: Caller, uri: str) -> None:
        answer = bob_app.precheck(f"{uri}?digest={DIGEST}")
        assert refusal(answer) == ("404", "NAME_UNKNOWN")

    def test_a_read_only_project_is_403(self, bob_app: Caller, team: Project) -> None:
        Project.objects.filter(pk=team.pk).update(is_read_only=True)
        answer = bob_app.precheck(f"{UPLOAD}?digest={DIGEST}")
        assert refusal(answer) == ("403", "DENIED")
        assert not Blob.objects.exists()

    def test_no_token_is_401_with_the_scope(self, nobody: Caller, team: Project) -> None:
        answer = nobody.precheck(f"{UPLOAD}?digest={DIGEST}")
        assert answer.status_code == 401
        assert 'scope="repository:team/app:pull,push"' in answer["WWW-Authenticate"]

    @pytest.mark.parametrize(
        "scope", ["repository:team/app:pull", "repository:team/other:push", "registry:catalog:*"]
    )
    def test_a_token_for_something_else_is_401(
        self, token_for: Sign, bob: User, scope: str
    ) -> None:
        answer = token_for(bob, scope).precheck(f"{UPLOAD}?digest={DIGEST}")
        assert answer.status_code == 401
        assert not Blob.objects.exists()

    def test_a_project_that_is_not_there_is_401_like_a_private_one(self, bob_app: Caller) -> None:
        answer = bob_app.precheck(f"/v2/none/app/blobs/uploads/u?digest={DIGEST}")
        assert answer.status_code == 401
        assert 'scope="repository:none/app:pull,push"' in answer["WWW-Authenticate"]

    def test_the_content_of_a_failure_stays_inside(
        self, bob_app: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(blobs, "expect", lambda *_: 1 / 0)
        assert refusal(bob_app.precheck(f"{UPLOAD}?digest={DIGEST}")) == ("500", "UNKNOWN")


class TestRegistryKey:
    """The path of an upload names the repository as the registry does."""

    def test_a_project_made_again_is_reached_by_its_new_key(
        self, token_for: Sign, team: Project, alice: User
    ) -> None:
        projects.remove(team, actor=SYSTEM_ACTOR)
        again = projects.create(name="team", owner=alice, actor=SYSTEM_ACTOR)
        caller = token_for(alice, "repository:team/app:push")
        uri = f"/v2/{again.registry_key}/app/blobs/uploads/u?digest={DIGEST}"
        assert again.registry_key == "team--2"
        assert caller.precheck(uri).status_code == 204
        assert RepositoryBlob.objects.get().repository.project == again

    def test_the_key_of_a_deleted_project_is_401_with_the_new_ones_token(
        self, token_for: Sign, team: Project, alice: User
    ) -> None:
        projects.remove(team, actor=SYSTEM_ACTOR)
        projects.create(name="team", owner=alice, actor=SYSTEM_ACTOR)
        caller = token_for(alice, "repository:team/app:push")
        assert caller.precheck(f"{UPLOAD}?digest={DIGEST}").status_code == 401
        assert not Blob.objects.exists()

    def test_a_renamed_project_keeps_its_key(
        self, token_for: Sign, team: Project, bob: User
    ) -> None:
        Project.objects.filter(pk=team.pk).update(name="crew")
        caller = token_for(bob, "repository:crew/app:push")
        assert caller.precheck(f"{UPLOAD}?digest={DIGEST}").status_code == 204

    def test_the_key_alone_is_no_right(self, token_for: Sign, team: Project, bob: User) -> None:
        old = token_for(bob, "repository:team/app:push")
        Project.objects.filter(pk=team.pk).update(name="crew")
        assert old.precheck(f"{UPLOAD}?digest={DIGEST}").status_code == 401


class TestCollection:
    @pytest.fixture(autouse=True)
    def _hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waiting, "_POLL_SECONDS", 0.001)

    def test_a_digest_in_collection_is_waited_for(
        self, bob_app: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        blob = make_blob(DIGEST, state=Blob.State.DELETING)
        end = partial(Blob.objects.filter(pk=blob.pk).update, state=Blob.State.GONE)
        monkeypatch.setattr(time, "sleep", lambda _seconds: end())
        assert bob_app.precheck(f"{UPLOAD}?digest={DIGEST}").status_code == 204
        assert Blob.objects.get().state == Blob.State.LIVE

    def test_a_collection_that_takes_too_long_is_503(
        self, bob_app: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.01)
        make_blob(DIGEST, state=Blob.State.DELETING)
        answer = bob_app.precheck(f"{UPLOAD}?digest={DIGEST}")
        assert refusal(answer) == ("503", "UNAVAILABLE")
        assert not RepositoryBlob.objects.exists()

    def test_only_a_few_wait_at_once(
        self, bob_app: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "_waiters", threading.BoundedSemaphore(1))
        slept: list[float] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        make_blob(DIGEST, state=Blob.State.DELETING)
        with waiting._waiters:
            answer = bob_app.precheck(f"{UPLOAD}?digest={DIGEST}")
        assert refusal(answer) == ("503", "UNAVAILABLE")
        assert slept == []

    def test_who_waited_lets_the_next_one_wait(
        self, bob_app: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "_waiters", threading.BoundedSemaphore(1))
        monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.005)
        make_blob(DIGEST, state=Blob.State.DELETING)
        bob_app.precheck(f"{UPLOAD}?digest={DIGEST}")
        assert waiting._waiters.acquire(blocking=False)


def test_the_header_is_needed(bob_app: Caller) -> None:
    answer = Client().get(PRECHECK, headers={"Authorization": f"Bearer {bob_app.token}"})
    assert refusal(answer) == ("404", "NAME_UNKNOWN")
