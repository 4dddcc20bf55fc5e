"""A token is a promise; what it rests on is looked up with every request."""

from base64 import b64encode
from urllib.parse import urlencode

import jwt
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts import access, docker_tokens, projects, robots, scopes, users
from accounts.credentials import principal_of_user
from accounts.models import Project, User
from accounts.principals import SYSTEM, SYSTEM_ACTOR, Principal
from accounts.robot_terms import Permission, Terms
from accounts.scopes import Grant
from registry_sync import upstream
from tests.conftest import password_of
from tests.factories import Image, digest_of, make_image, make_repository, push_image
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Caller, Sign, error_of, told

V1 = "team/app/manifests/v1"


@pytest.fixture
def image(team: Project) -> Image:
    """``team/app:v1``."""
    image = make_image()
    push_image(make_repository(team), image, "v1")
    return image


def is_refused(caller: Caller, path: str = V1) -> bool:
    """Tell whether the token is of no use for a pull."""
    answer = caller.get(path)
    assert answer.status_code in (200, 401)
    return bool(answer.status_code == 401)


class TestUser:
    def test_a_disabled_one_is_refused_at_once(
        self, carol_app: Caller, carol: User, image: Image
    ) -> None:
        assert not is_refused(carol_app)
        users.set_active(carol, is_active=False, actor=SYSTEM_ACTOR)
        assert is_refused(carol_app)

    def test_one_enabled_again_needs_a_new_token(
        self, carol_app: Caller, carol: User, image: Image, token_for: Sign
    ) -> None:
        users.set_active(carol, is_active=False, actor=SYSTEM_ACTOR)
        users.set_active(carol, is_active=True, actor=SYSTEM_ACTOR)
        assert is_refused(carol_app)
        carol.refresh_from_db()
        assert not is_refused(token_for(carol, "repository:team/app:pull"))

    def test_a_changed_password_ends_the_tokens_made_before(
        self, carol_app: Caller, carol: User, image: Image
    ) -> None:
        users.change_password(carol, password="another password of hers", actor=SYSTEM_ACTOR)
        assert is_refused(carol_app)

    def test_a_deleted_row_ends_its_tokens(
        self, token_for: Sign, mallory: User, library: Project
    ) -> None:
        push_image(make_repository(library), tag="v1")
        caller = token_for(mallory, "repository:library/app:pull")
        assert not is_refused(caller, "library/app/manifests/v1")
        User.objects.filter(pk=mallory.pk).delete()
        assert is_refused(caller, "library/app/manifests/v1")

    def test_a_disabled_one_cannot_even_ask_for_the_version(
        self, carol_app: Caller, carol: User
    ) -> None:
        assert carol_app.get("").status_code == 200
        users.set_active(carol, is_active=False, actor=SYSTEM_ACTOR)
        assert error_of(carol_app.get("")) == (401, "UNAUTHORIZED")


class TestProject:
    def test_one_deleted_and_made_again_refuses_the_old_token(
        self, carol_app: Caller, token_for: Sign, image: Image, team: Project, alice: User
    ) -> None:
        projects.remove(team, actor=SYSTEM_ACTOR)
        assert is_refused(carol_app)
        again = projects.create(name="team", owner=alice, actor=SYSTEM_ACTOR)
        assert is_refused(carol_app)
        assert again.registry_key == "team--2"

    def test_one_made_again_shows_nothing_of_the_old_one(
        self, token_for: Sign, image: Image, team: Project, alice: User
    ) -> None:
        projects.remove(team, actor=SYSTEM_ACTOR)
        projects.create(name="team", owner=alice, actor=SYSTEM_ACTOR)
        caller = token_for(alice, "repository:team/app:pull")
        for reference in ("v1", image.digest):
            answer = caller.get(f"team/app/manifests/{reference}")
            assert error_of(answer) == (404, "NAME_UNKNOWN")
        blob = digest_of(image.blobs[0])
        assert error_of(caller.get(f"team/app/blobs/{blob}")) == (404, "BLOB_UNKNOWN")

    def test_an_old_token_is_no_source_of_a_mount(
        self, token_for: Sign, image: Image, team: Project, alice: User, registry: FakeRegistry
    ) -> None:
        own = projects.create(name="own", owner=alice, actor=SYSTEM_ACTOR)
        caller = token_for(alice, "repository:own/x:push repository:team/app:pull")
        projects.remove(team, actor=SYSTEM_ACTOR)
        projects.create(name="team", owner=alice, actor=SYSTEM_ACTOR)
        query = f"mount={digest_of(image.blobs[0])}&from=team/app"
        answer = caller.call("POST", f"{own.name}/x/blobs/uploads/?{query}")
        assert answer.status_code == 202
        assert registry.calls == [("start_upload", "own/x", "")]

    def test_a_renamed_one_answers_by_its_new_name_with_the_same_bytes(
        self, carol_app: Caller, token_for: Sign, image: Image, team: Project, carol: User
    ) -> None:
        Project.objects.filter(pk=team.pk).update(name="crew")
        assert is_refused(carol_app)
        assert is_refused(carol_app, "crew/app/manifests/v1")
        caller = token_for(carol, "repository:crew/app:pull")
        assert caller.get("crew/app/manifests/v1").content == image.content
        blob = caller.get(f"crew/app/blobs/{digest_of(image.blobs[0])}")
        assert blob["X-Accel-Redirect"].startswith("/_registry/v2/team/app/blobs/")

    @pytest.mark.parametrize("path", ["manifests/v1", "tags/list", "blobs/{blob}"])
    def test_one_that_became_private_refuses_old_tokens_of_the_public(
        self, token_for: Sign, library: Project, mallory: User, path: str
    ) -> None:
        image = make_image()
        push_image(make_repository(library), image, "v1")
        path = f"library/app/{path.format(blob=digest_of(image.blobs[0]))}"
        callers = [token_for(who, "repository:library/app:pull") for who in (None, mallory)]
        assert not any(is_refused(caller, path) for caller in callers)
        Project.objects.filter(pk=library.pk).update(is_public=False)
        assert all(is_refused(caller, path) for caller in callers)

    def test_one_that_became_private_keeps_a_robot_to_its_own_rights(
        self, library: Project, registry: FakeRegistry
    ) -> None:
        """It could pull because anyone could; pushing is its own right."""
        push_image(make_repository(library), tag="v1")
        terms = Terms(permissions=(Permission("repository:push", library),))
        robot, _ = robots.create(name="ci", project=library, terms=terms, actor=SYSTEM_ACTOR)
        principal = Principal("robot", "ci", robot_id=robot.pk, epoch=robot.auth_epoch)
        grants = access.granted(principal, scopes.parse(["repository:library/app:pull,push"]))
        caller = Caller(docker_tokens.issue(principal, grants, lifetime=300))
        assert not is_refused(caller, "library/app/manifests/v1")
        Project.objects.filter(pk=library.pk).update(is_public=False)
        assert is_refused(caller, "library/app/manifests/v1")
        assert caller.call("POST", "library/app/blobs/uploads/").status_code == 202

    def test_one_that_became_private_still_answers_its_members(
        self, token_for: Sign, library: Project, admin: User
    ) -> None:
        push_image(make_repository(library), tag="v1")
        caller = token_for(admin, "repository:library/app:pull")
        Project.objects.filter(pk=library.pk).update(is_public=False)
        assert not is_refused(caller, "library/app/manifests/v1")


class TestToken:
    def test_one_of_the_token_service_pulls(self, image: Image, carol: User) -> None:
        basic = b64encode(f"carol:{password_of('carol')}".encode()).decode()
        query = urlencode({"service": "moorage", "scope": "repository:team/app:push,pull"})
        answer = Client().get(
            f"/service/token?{query}", headers={"Authorization": f"Basic {basic}"}
        )
        caller = Caller(told(answer)["token"])
        assert caller.get(V1).content == image.content
        assert caller.put(V1, image.content, image.media_type).status_code == 401

    def test_one_signed_by_another_key_is_refused(self, image: Image, carol: User) -> None:
        principal = principal_of_user(carol)
        grants = access.granted(principal, scopes.parse(["repository:team/app:pull"]))
        token = docker_tokens.issue(principal, grants, lifetime=300)
        claims = jwt.decode(token, options={"verify_signature": False})
        header = jwt.get_unverified_header(token)
        forged = jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"x5c": header["x5c"]})
        unsigned = jwt.encode(claims, "", algorithm="none", headers={"x5c": header["x5c"]})
        head, _, signature = token.split(".")
        changed = ".".join([head, forged.split(".")[1][:-4] + "AAAA", signature])
        assert not is_refused(Caller(token))
        assert all(is_refused(Caller(bad)) for bad in (forged, unsigned, changed))

    def test_an_expired_one_is_refused(self, image: Image, carol: User) -> None:
        principal = principal_of_user(carol)
        grants = access.granted(principal, scopes.parse(["repository:team/app:pull"]))
        assert is_refused(Caller(docker_tokens.issue(principal, grants, lifetime=-61)))

    def test_one_for_another_service_is_refused(
        self, image: Image, carol: User, settings: Settings
    ) -> None:
        principal = principal_of_user(carol)
        grants = access.granted(principal, scopes.parse(["repository:team/app:pull"]))
        settings.MOORAGE_TOKEN_SERVICE = "another"
        token = docker_tokens.issue(principal, grants, lifetime=300)
        settings.MOORAGE_TOKEN_SERVICE = "moorage"
        assert is_refused(Caller(token))

    def test_the_gateways_own_token_is_no_key_to_the_gateway(self, image: Image) -> None:
        assert is_refused(Caller(upstream.registry_token([("team/app", ("pull",))])))

    def test_a_grant_without_an_incarnation_gives_nothing(self, image: Image) -> None:
        grant = Grant("repository", "team/app", ("pull",))
        for principal in (SYSTEM, Principal("user", "admin", is_administrator=True)):
            token = docker_tokens.issue(principal, [grant], lifetime=300)
            assert is_refused(Caller(token))

    def test_one_for_another_repository_is_refused(
        self, token_for: Sign, carol: User, image: Image
    ) -> None:
        assert is_refused(token_for(carol, "repository:team/app2:pull"))

    def test_a_basic_header_is_no_token(self, image: Image) -> None:
        basic = b64encode(f"carol:{password_of('carol')}".encode()).decode()
        answer = Caller("").get(V1, Authorization=f"Basic {basic}")
        assert error_of(answer) == (401, "UNAUTHORIZED")


def test_a_pull_by_a_known_token_asks_the_database_twice(
    carol_app: Caller, image: Image, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    carol_app.get(V1)
    with django_assert_num_queries(2):
        carol_app.get(V1)
