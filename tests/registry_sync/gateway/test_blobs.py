"""``/v2/<name>/blobs/<digest>``: who is told of a blob, and where nginx is sent for its bytes."""

import datetime
from functools import partial

import pytest
from pytest_django import Settings

from accounts.models import Project, User
from registry_sync import upstream
from registry_sync.models import Blob, Repository, RepositoryBlob
from tests.factories import (
    digest_of,
    make_blob,
    make_image,
    make_link,
    make_repository,
    push_image,
    some_digest,
)
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Caller, Sign, error_of

LONG_AGO = datetime.timedelta(days=3)


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


class TestHead:
    def test_a_present_blob_is_described_without_asking_the_registry(
        self, bob_app: Caller, app: Repository, registry: FakeRegistry
    ) -> None:
        blob = make_blob(size=1234)
        make_link(app, blob.digest)
        response = bob_app.head(f"team/app/blobs/{blob.digest}")
        assert response.status_code == 200
        assert response["Content-Length"] == "1234"
        assert response["Docker-Content-Digest"] == blob.digest
        assert response["ETag"] == f'"{blob.digest}"'
        assert response["Docker-Distribution-Api-Version"] == "registry/2.0"
        assert registry.calls == []

    def test_telling_of_an_old_blob_counts_its_grace_anew(
        self, bob_app: Caller, app: Repository
    ) -> None:
        blob = make_blob(age=LONG_AGO)
        link = make_link(app, blob.digest, age=LONG_AGO)
        before = blob.touched_at
        assert bob_app.head(f"team/app/blobs/{blob.digest}").status_code == 200
        blob.refresh_from_db()
        link.refresh_from_db()
        assert blob.touched_at > before
        assert link.touched_at == blob.touched_at

    def test_an_expected_blob_is_asked_for_and_recorded(
        self, bob_app: Caller, app: Repository, registry: FakeRegistry
    ) -> None:
        digest = registry.upload("team/app", b"twelve bytes")
        assert bob_app.head(f"team/app/blobs/{digest}")["Content-Length"] == "12"
        assert bob_app.head(f"team/app/blobs/{digest}").status_code == 200
        assert registry.calls == [("head_blob", "team/app", digest)]
        assert Blob.objects.get(digest=digest).size == 12
        link = RepositoryBlob.objects.get(repository=app, digest=digest)
        assert link.state == RepositoryBlob.State.PRESENT

    def test_the_registry_is_asked_by_the_projects_key(
        self, token_for: Sign, bob: User, app: Repository, team: Project, registry: FakeRegistry
    ) -> None:
        Project.objects.filter(pk=team.pk).update(name="crew")
        digest = registry.upload("team/app", b"bytes")
        caller = token_for(bob, "repository:crew/app:pull")
        assert caller.head(f"crew/app/blobs/{digest}").status_code == 200
        assert registry.calls == [("head_blob", "team/app", digest)]

    @pytest.mark.parametrize("state", [Blob.State.DELETING, Blob.State.GONE])
    def test_a_collected_blob_is_unknown_although_the_registry_may_hold_it(
        self, bob_app: Caller, app: Repository, registry: FakeRegistry, state: str
    ) -> None:
        digest = registry.upload("team/app", b"bytes")
        make_blob(digest, state=state)
        make_link(app, digest)
        assert bob_app.head(f"team/app/blobs/{digest}").status_code == 404
        assert registry.calls == []

    def test_a_blob_claimed_while_the_registry_is_asked_is_unknown(
        self, bob_app: Caller, app: Repository, registry: FakeRegistry
    ) -> None:
        digest = registry.upload("team/app", b"bytes")
        registry.meanwhile["head_blob"] = partial(make_blob, digest, state=Blob.State.DELETING)
        assert bob_app.head(f"team/app/blobs/{digest}").status_code == 404

    def test_a_blob_of_another_repository_is_unknown(
        self, bob_app: Caller, app: Repository, team: Project, registry: FakeRegistry
    ) -> None:
        blob = make_blob()
        make_link(make_repository(team, "other"), blob.digest)
        assert bob_app.head(f"team/app/blobs/{blob.digest}").status_code == 404

    def test_a_repository_without_pushes_answers_404_and_asks_nobody(
        self, bob_app: Caller, registry: FakeRegistry
    ) -> None:
        assert bob_app.head(f"team/app/blobs/{some_digest()}").status_code == 404
        assert registry.calls == []
        assert not Repository.objects.exists()

    def test_a_dead_registry_is_503_with_retry_after(
        self, bob_app: Caller, app: Repository, registry: FakeRegistry
    ) -> None:
        registry.is_down = True
        response = bob_app.head(f"team/app/blobs/{some_digest()}")
        assert response.status_code == 503
        assert response["Retry-After"]


class TestGet:
    def test_a_used_blob_is_sent_by_nginx_through_the_registry(
        self, carol_app: Caller, app: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("registry_sync.gateway.blobs.registry_token", lambda access: "ours")
        image = make_image()
        push_image(app, image)
        digest = digest_of(image.blobs[1])
        response = carol_app.get(f"team/app/blobs/{digest}")
        assert response.status_code == 200
        assert response["X-Accel-Redirect"] == f"/_registry/v2/team/app/blobs/{digest}"
        assert response["X-Registry-Auth"] == "Bearer ours"
        assert response.content == b""

    def test_a_used_blob_is_sent_by_nginx_from_the_storage(
        self, carol_app: Caller, app: Repository, settings: Settings
    ) -> None:
        settings.MOORAGE_BLOB_DELIVERY = "file"
        image = make_image()
        push_image(app, image)
        digest = digest_of(image.blobs[1])
        response = carol_app.get(f"team/app/blobs/{digest}")
        hexadecimal = digest.removeprefix("sha256:")
        assert response["X-Accel-Redirect"] == f"/_storage/{hexadecimal[:2]}/{hexadecimal}"
        assert "X-Registry-Auth" not in response

    def test_no_browser_runs_what_a_blob_holds(self, carol_app: Caller, app: Repository) -> None:
        image = make_image()
        push_image(app, image)
        response = carol_app.get(f"team/app/blobs/{digest_of(image.blobs[0])}")
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"] == "attachment"
        assert response["Content-Security-Policy"] == "sandbox"
        assert response["X-Content-Type-Options"] == "nosniff"

    def test_only_public_projects_blobs_are_for_shared_caches(
        self, carol_app: Caller, token_for: Sign, app: Repository, library: Project
    ) -> None:
        image = make_image()
        push_image(app, image)
        push_image(make_repository(library), image)
        path = f"app/blobs/{digest_of(image.blobs[0])}"
        private = carol_app.get(f"team/{path}")
        public = token_for(None, "repository:library/app:pull").get(f"library/{path}")
        assert private["Cache-Control"].split(",")[0] == "private"
        assert public["Cache-Control"].split(",")[0] == "public"

    def test_a_known_etag_is_304(self, carol_app: Caller, app: Repository) -> None:
        image = make_image()
        push_image(app, image)
        digest = digest_of(image.blobs[0])
        response = carol_app.get(f"team/app/blobs/{digest}", If_None_Match=f'"{digest}"')
        assert response.status_code == 304
        assert "X-Accel-Redirect" not in response

    def test_a_fresh_upload_is_readable_once_the_registry_was_seen_to_hold_it(
        self, bob_app: Caller, app: Repository, registry: FakeRegistry
    ) -> None:
        digest = registry.upload("team/app", b"bytes")
        make_blob(digest, size=None)
        make_link(app, digest, state=RepositoryBlob.State.EXPECTED)
        assert "X-Accel-Redirect" in bob_app.get(f"team/app/blobs/{digest}")

    def test_announcing_a_digest_gives_nobody_the_bytes_of_another_project(
        self, token_for: Sign, mallory: User, app: Repository, registry: FakeRegistry
    ) -> None:
        """An upload that never came, announced for a digest whose bytes are elsewhere."""
        image = make_image()
        push_image(app, image)
        secret = registry.upload("team/app", image.blobs[1])
        own = make_repository(
            Project.objects.create(name="own", registry_key="own", owner=mallory), "x"
        )
        Project.objects.get(name="own").members.create(user=mallory, role=1)
        caller = token_for(mallory, "repository:own/x:pull,push")
        assert caller.precheck(f"/v2/own/x/blobs/uploads/u?digest={secret}").status_code == 204
        assert RepositoryBlob.objects.filter(repository=own, digest=secret).exists()
        response = caller.get(f"own/x/blobs/{secret}")
        assert error_of(response) == (404, "BLOB_UNKNOWN")
        assert "X-Accel-Redirect" not in response

    def test_an_old_upload_that_nothing_uses_is_unknown(
        self, bob_app: Caller, app: Repository
    ) -> None:
        blob = make_blob(age=LONG_AGO)
        make_link(app, blob.digest, age=LONG_AGO)
        assert error_of(bob_app.get(f"team/app/blobs/{blob.digest}")) == (404, "BLOB_UNKNOWN")

    @pytest.mark.parametrize("state", [Blob.State.DELETING, Blob.State.GONE])
    def test_a_collected_blob_is_unknown(
        self, bob_app: Caller, app: Repository, state: str
    ) -> None:
        blob = make_blob(state=state)
        make_link(app, blob.digest)
        assert error_of(bob_app.get(f"team/app/blobs/{blob.digest}")) == (404, "BLOB_UNKNOWN")

    def test_a_blob_that_only_another_repository_uses_is_unknown(
        self, bob_app: Caller, app: Repository, team: Project
    ) -> None:
        image = make_image()
        push_image(make_repository(team, "other"), image)
        digest = digest_of(image.blobs[0])
        assert error_of(bob_app.get(f"team/app/blobs/{digest}")) == (404, "BLOB_UNKNOWN")

    @pytest.mark.parametrize(
        "digest", ["sha512:" + "0" * 128, "sha256:" + "A" * 64, "sha256:short", "latest"]
    )
    def test_anything_but_a_sha256_digest_is_invalid(
        self, bob_app: Caller, app: Repository, digest: str
    ) -> None:
        assert error_of(bob_app.get(f"team/app/blobs/{digest}")) == (400, "DIGEST_INVALID")


def test_blobs_cannot_be_deleted_by_anyone(
    token_for: Sign, admin: User, app: Repository, registry: FakeRegistry
) -> None:
    digest = digest_of(b"bytes")
    caller = token_for(admin, "repository:team/app:*")
    assert error_of(caller.call("DELETE", f"team/app/blobs/{digest}")) == (405, "UNSUPPORTED")


def test_the_gateways_own_tokens_are_kept_by_what_they_give(team: Project) -> None:
    pull = upstream.registry_token([("team/app", ("pull",))])
    assert pull == upstream.registry_token([("team/app", ("pull",))])
    assert pull != upstream.registry_token([("team/other", ("pull",))])
