"""Opening an upload and mounting: what is announced, what is asked of the registry."""

from functools import partial

import pytest

from accounts.models import Configuration, Project, User
from registry_sync.client.errors import RegistryUnavailableError
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

LAYER = b"a layer to be mounted"
DIGEST = digest_of(LAYER)
UPLOADS = "team/app/blobs/uploads/"
BOTH = "repository:team/app:pull,push repository:library/base:pull"


@pytest.fixture
def base(library: Project, registry: FakeRegistry) -> Repository:
    """``library/base``, which holds the layer."""
    base = make_repository(library, "base")
    push_image(base, make_image(layers=(LAYER,)))
    registry.upload("library/base", LAYER)
    return base


def is_linked(digest: str = DIGEST) -> bool:
    """Tell whether the catalogue says that ``team/app`` holds the digest."""
    links = RepositoryBlob.objects.filter(repository__path="app", digest=digest)
    return links.filter(state=RepositoryBlob.State.PRESENT).exists()


class TestUpload:
    def test_202_says_where_the_bytes_go(self, bob_app: Caller, registry: FakeRegistry) -> None:
        answer = bob_app.call("POST", UPLOADS)
        assert answer.status_code == 202
        assert answer["Location"] == "/v2/team/app/blobs/uploads/upload-1?_state=signed"
        assert answer["Docker-Upload-UUID"] == "upload-1"
        assert answer["Range"] == "0-0"
        assert registry.calls == [("start_upload", "team/app", "")]

    def test_a_path_without_the_last_slash_is_the_same(self, bob_app: Caller) -> None:
        assert bob_app.call("POST", UPLOADS.rstrip("/")).status_code == 202

    def test_the_registry_is_asked_by_the_projects_key(
        self, token_for: Sign, bob: User, team: Project, registry: FakeRegistry
    ) -> None:
        Project.objects.filter(pk=team.pk).update(name="crew")
        answer = token_for(bob, "repository:crew/app:push").call("POST", "crew/app/blobs/uploads/")
        assert answer["Location"].startswith("/v2/team/app/blobs/uploads/")
        assert registry.calls == [("start_upload", "team/app", "")]

    def test_the_clients_body_says_nothing(
        self, bob_app: Caller, base: Repository, registry: FakeRegistry
    ) -> None:
        body = f"mount={DIGEST}&from=library/base".encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert bob_app.call("POST", UPLOADS, body, **headers).status_code == 202
        assert registry.calls == [("start_upload", "team/app", "")]

    def test_a_read_only_project_is_403_and_asks_nobody(
        self, bob_app: Caller, team: Project, registry: FakeRegistry
    ) -> None:
        Project.objects.filter(pk=team.pk).update(is_read_only=True)
        assert error_of(bob_app.call("POST", UPLOADS)) == (403, "DENIED")
        assert registry.calls == []

    def test_a_guest_is_401_with_the_scope(self, carol_app: Caller) -> None:
        answer = carol_app.call("POST", UPLOADS)
        assert error_of(answer) == (401, "UNAUTHORIZED")
        assert 'scope="repository:team/app:pull,push"' in answer["WWW-Authenticate"]

    def test_a_dead_registry_is_503(self, bob_app: Caller, registry: FakeRegistry) -> None:
        registry.failures["start_upload"] = RegistryUnavailableError("/srv/secret/path")
        answer = bob_app.call("POST", UPLOADS)
        assert error_of(answer) == (503, "UNAVAILABLE")
        assert b"secret" not in answer.content


class TestMount:
    @pytest.fixture
    def caller(self, token_for: Sign, bob: User, registry: FakeRegistry) -> Caller:
        """Bob, with both scopes of a mount."""
        return token_for(bob, BOTH)

    def test_a_blob_that_the_caller_may_pull_is_mounted(
        self, caller: Caller, base: Repository, registry: FakeRegistry
    ) -> None:
        answer = caller.call("POST", f"{UPLOADS}?mount={DIGEST}&from=library/base")
        assert answer.status_code == 201
        assert answer["Location"] == f"/v2/team/app/blobs/{DIGEST}"
        assert answer["Docker-Content-Digest"] == DIGEST
        assert is_linked()
        assert registry.calls == [("start_upload", "team/app", DIGEST)]

    def test_the_mount_is_announced_before_the_registry_is_asked(
        self, caller: Caller, base: Repository, registry: FakeRegistry
    ) -> None:
        seen: list[str] = []
        links = RepositoryBlob.objects.filter(repository__path="app", digest=DIGEST)
        registry.meanwhile["start_upload"] = lambda: seen.extend(
            links.values_list("state", flat=True)
        )
        caller.call("POST", f"{UPLOADS}?mount={DIGEST}&from=library/base")
        assert seen == [RepositoryBlob.State.EXPECTED]

    def test_without_pull_on_the_source_it_is_a_plain_upload(
        self, bob_app: Caller, base: Repository, registry: FakeRegistry
    ) -> None:
        answer = bob_app.call("POST", f"{UPLOADS}?mount={DIGEST}&from=library/base")
        assert answer.status_code == 202
        assert registry.calls == [("start_upload", "team/app", "")]
        assert not is_linked()

    def test_a_private_source_and_an_unknown_one_answer_the_same(
        self, token_for: Sign, mallory: User, registry: FakeRegistry, team: Project
    ) -> None:
        secret = make_image()
        push_image(make_repository(team, "secret"), secret)
        own = Project.objects.create(name="own", registry_key="own", owner=mallory)
        own.members.create(user=mallory, role=1)
        caller = token_for(mallory, "repository:own/x:push repository:team/secret:pull")
        digest = digest_of(secret.blobs[0])
        for source in ("team/secret", "none/secret", "Not a name", "team"):
            answer = caller.call("POST", f"own/x/blobs/uploads/?mount={digest}&from={source}")
            assert answer.status_code == 202
        assert {call[2] for call in registry.calls} == {""}

    @pytest.mark.parametrize(
        "query",
        [
            f"mount={DIGEST}",
            "from=library/base",
            f"mount={some_digest('unknown')}&from=library/base",
            "mount=sha512:00&from=library/base",
            "mount=&from=",
            "digest=" + DIGEST,
        ],
    )
    def test_what_cannot_be_mounted_is_a_plain_upload(
        self, caller: Caller, base: Repository, registry: FakeRegistry, query: str
    ) -> None:
        assert caller.call("POST", f"{UPLOADS}?{query}").status_code == 202
        assert registry.calls == [("start_upload", "team/app", "")]

    @pytest.mark.parametrize("state", [Blob.State.DELETING, Blob.State.GONE])
    def test_a_blob_that_is_collected_is_a_plain_upload(
        self, caller: Caller, base: Repository, registry: FakeRegistry, state: str
    ) -> None:
        Blob.objects.filter(digest=DIGEST).update(state=state)
        answer = caller.call("POST", f"{UPLOADS}?mount={DIGEST}&from=library/base")
        assert answer.status_code == 202
        assert registry.calls == [("start_upload", "team/app", "")]

    def test_a_blob_claimed_during_the_mount_is_a_plain_upload(
        self, caller: Caller, base: Repository, registry: FakeRegistry
    ) -> None:
        blob = Blob.objects.filter(digest=DIGEST)
        registry.meanwhile["start_upload"] = partial(blob.update, state=Blob.State.DELETING)
        answer = caller.call("POST", f"{UPLOADS}?mount={DIGEST}&from=library/base")
        assert answer.status_code == 202
        assert not is_linked()

    def test_a_blob_that_the_registry_does_not_hold_is_a_plain_upload(
        self, caller: Caller, base: Repository, registry: FakeRegistry
    ) -> None:
        registry.links.clear()
        answer = caller.call("POST", f"{UPLOADS}?mount={DIGEST}&from=library/base")
        assert answer.status_code == 202
        assert "uploads" in answer["Location"]
        assert not is_linked()

    @pytest.mark.parametrize("name", ["mount", "from"])
    def test_a_parameter_given_twice_is_400(
        self, caller: Caller, base: Repository, registry: FakeRegistry, name: str
    ) -> None:
        query = f"mount={DIGEST}&from=library/base&{name}=x"
        answer = caller.call("POST", f"{UPLOADS}?{query}")
        assert error_of(answer) == (400, "UNSUPPORTED")
        assert registry.calls == []

    def test_the_challenge_names_both_scopes(self, nobody: Caller) -> None:
        answer = nobody.call("POST", f"{UPLOADS}?mount={DIGEST}&from=library/base")
        scope = "repository:team/app:pull,push repository:library/base:pull"
        assert f'scope="{scope}"' in answer["WWW-Authenticate"]

    @pytest.mark.parametrize("source", ["a/b%0D%0AX-Evil:1", 'a/b",error="x', "A/B", "%C3%A9/x"])
    def test_the_challenge_never_repeats_what_is_no_name(self, nobody: Caller, source: str) -> None:
        answer = nobody.call("POST", f"{UPLOADS}?mount={DIGEST}&from={source}")
        assert error_of(answer) == (401, "UNAUTHORIZED")
        assert answer["WWW-Authenticate"].endswith('scope="repository:team/app:pull,push"')


class TestQuota:
    """Whoever has no room is told before a byte is sent."""

    MOUNT = f"{UPLOADS}?mount={DIGEST}&from=library/base"

    @pytest.fixture
    def caller(self, token_for: Sign, bob: User, registry: FakeRegistry) -> Caller:
        """Bob, with both scopes of a mount."""
        return token_for(bob, BOTH)

    @pytest.fixture
    def used(self, team: Project, base: Repository) -> int:
        """What ``team`` uses already."""
        image = make_image(layers=(b"there",))
        push_image(make_repository(team, "other"), image)
        return image.size

    def limit(self, team: Project, limit: int) -> None:
        """Set the project's limit."""
        Project.objects.filter(pk=team.pk).update(storage_limit=limit)

    def test_an_upload_into_a_full_project_is_403_and_says_why(
        self, caller: Caller, team: Project, used: int, registry: FakeRegistry
    ) -> None:
        self.limit(team, used)
        answer = caller.call("POST", UPLOADS)
        assert error_of(answer) == (403, "DENIED")
        assert f"storage limit of {used} B is used up" in answer.content.decode()
        assert registry.calls == []

    def test_an_upload_where_there_is_room_for_a_byte_is_let_in(
        self, caller: Caller, team: Project, used: int
    ) -> None:
        self.limit(team, used + 1)
        assert caller.call("POST", UPLOADS).status_code == 202

    def test_an_upload_is_403_while_more_lies_unused_than_the_limit(
        self, caller: Caller, team: Project, used: int, registry: FakeRegistry
    ) -> None:
        self.limit(team, used + 10)
        blob = make_blob(size=used + 11)
        make_link(make_repository(team, "left over"), blob.digest)
        answer = caller.call("POST", UPLOADS)
        assert error_of(answer) == (403, "DENIED")
        assert f"{used + 11} bytes were sent" in answer.content.decode()
        assert registry.calls == []

    def test_a_mount_that_does_not_fit_is_403_and_says_by_how_much(
        self, caller: Caller, team: Project, used: int, registry: FakeRegistry
    ) -> None:
        self.limit(team, used + len(LAYER) - 3)
        answer = caller.call("POST", self.MOUNT)
        assert error_of(answer) == (403, "DENIED")
        assert "would be exceeded by 3" in answer.content.decode()
        assert registry.calls == []
        assert not is_linked()

    def test_a_mount_that_just_fits_is_done(self, caller: Caller, team: Project, used: int) -> None:
        self.limit(team, used + len(LAYER))
        assert caller.call("POST", self.MOUNT).status_code == 201

    def test_a_mount_of_what_the_project_has_needs_no_room(
        self, caller: Caller, team: Project, base: Repository
    ) -> None:
        image = make_image(layers=(LAYER,))
        push_image(make_repository(team, "other"), image)
        self.limit(team, image.size)
        assert caller.call("POST", self.MOUNT).status_code == 201

    def test_limits_do_not_hold_where_quotas_are_off(
        self, caller: Caller, team: Project, used: int
    ) -> None:
        self.limit(team, used)
        Configuration.objects.create(key="quota_per_project_enable", value=False)
        assert caller.call("POST", UPLOADS).status_code == 202
        assert caller.call("POST", self.MOUNT).status_code == 201
