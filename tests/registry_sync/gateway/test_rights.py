"""Registry tokens after rights were taken away, and after a project got another name."""

import pytest
from django.utils import timezone

from accounts import members, projects, users
from accounts.models import Project, ProjectAlias, ProjectMember, User
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role
from registry_sync.models import Repository
from tests.factories import Image, make_image, make_repository, push_image, upload_blobs
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Caller, Sign

V1 = "team/app/manifests/v1"


@pytest.fixture
def image(team: Project) -> Image:
    """``team/app:v1``."""
    image = make_image()
    push_image(make_repository(team), image, "v1")
    return image


def member_of(team: Project, user: User) -> ProjectMember:
    return ProjectMember.objects.get(project=team, user=user)


class TestRights:
    def test_a_removed_members_token_is_void(
        self, bob_app: Caller, bob: User, team: Project, image: Image
    ) -> None:
        assert bob_app.get(V1).status_code == 200
        members.remove(member_of(team, bob), actor=SYSTEM_ACTOR)
        assert bob_app.get(V1).status_code == 401

    def test_a_lowered_role_needs_a_new_token(
        self, bob_app: Caller, bob: User, team: Project, image: Image, token_for: Sign
    ) -> None:
        members.change_role(member_of(team, bob), role=Role.GUEST, actor=SYSTEM_ACTOR)
        assert bob_app.get(V1).status_code == 401
        assert bob_app.put(V1, image.content, image.media_type).status_code == 401
        bob.refresh_from_db()
        guest = token_for(bob, "repository:team/app:pull,push")
        assert guest.get(V1).status_code == 200
        assert guest.put(V1, image.content, image.media_type).status_code == 401

    def test_a_former_administrators_token_is_void(
        self, admin: User, bob: User, image: Image, token_for: Sign
    ) -> None:
        caller = token_for(admin, "repository:team/app:pull")
        users.set_administrator(bob, is_administrator=True, actor=SYSTEM_ACTOR)
        users.set_administrator(admin, is_administrator=False, actor=SYSTEM_ACTOR)
        assert caller.get(V1).status_code == 401

    def test_a_deleted_users_token_is_void(self, bob_app: Caller, bob: User, image: Image) -> None:
        users.remove(bob, actor=SYSTEM_ACTOR)
        assert bob_app.get(V1).status_code == 401


class TestFormerName:
    def test_pulls_by_tokens_old_and_new(
        self, bob_app: Caller, bob: User, team: Project, image: Image, token_for: Sign
    ) -> None:
        projects.rename(team, name="squad", actor=SYSTEM_ACTOR)
        renewed = token_for(bob, "repository:team/app:pull,push")
        for caller in (bob_app, renewed):
            assert caller.get(V1).content == image.content
            assert caller.put(V1, image.content, image.media_type).status_code == 401

    def test_the_new_name_does_everything(
        self, registry: FakeRegistry, bob: User, team: Project, image: Image, token_for: Sign
    ) -> None:
        projects.rename(team, name="squad", actor=SYSTEM_ACTOR)
        caller = token_for(bob, "repository:squad/app:pull,push")
        assert caller.get("squad/app/manifests/v1").content == image.content
        pushed = make_image()
        upload_blobs(registry, Repository.objects.get(project=team), pushed)
        answer = caller.put("squad/app/manifests/v2", pushed.content, pushed.media_type)
        assert answer.status_code == 201

    def test_ends_with_its_time(self, bob_app: Caller, team: Project, image: Image) -> None:
        projects.rename(team, name="squad", actor=SYSTEM_ACTOR)
        ProjectAlias.objects.update(expires_at=timezone.now())
        assert bob_app.get(V1).status_code == 401

    def test_leads_nowhere_after_the_name_was_taken(
        self, bob_app: Caller, mallory: User, team: Project, image: Image
    ) -> None:
        projects.rename(team, name="squad", alias_days=0, actor=SYSTEM_ACTOR)
        projects.create(name="team", owner=mallory, actor=SYSTEM_ACTOR)
        assert bob_app.get(V1).status_code == 401
