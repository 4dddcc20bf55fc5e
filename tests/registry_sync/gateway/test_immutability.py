"""What a client is told that would change an immutable tag, and twenty that race for one."""

from collections import Counter

import pytest
from django.db import OperationalError

from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import immutability, immutable_rules
from registry_sync.immutability import Rule
from registry_sync.models import ImmutableRule, Repository, Tag, TagEvent
from tests.factories import Image, make_image, make_repository, push_image, upload_blobs
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Caller, Sign, error_of, told
from tests.registry_sync.gateway.test_concurrency import push_all
from tests.registry_sync.gateway.test_push import put

V1 = "team/app/manifests/v1"


@pytest.fixture
def app(team: Project, registry: FakeRegistry) -> Repository:
    """``team/app``, of which every tag that begins with v is immutable."""
    immutable_rules.create(team, rule=Rule("v*"), actor=SYSTEM_ACTOR)
    return make_repository(team)


@pytest.fixture
def second(app: Repository, registry: FakeRegistry) -> Image:
    """An image that is uploaded, but for its manifest; ``v1`` is another one."""
    push_image(app, tag="v1")
    image = make_image()
    upload_blobs(registry, app, image)
    return image


def test_a_push_is_refused_before_anything_goes_upstream(
    bob_app: Caller, app: Repository, second: Image, registry: FakeRegistry
) -> None:
    answer = put(bob_app, second)
    assert error_of(answer) == (412, "DENIED")
    message = told(answer)["errors"][0]["message"]
    assert "the tag v1 is immutable (in every repository, tags that match v*)" in message
    assert not registry.manifests


def test_the_commit_asks_again(
    bob_app: Caller, app: Repository, second: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(immutability, "require_pushable", lambda *asked: None)
    before = Tag.objects.values_list("artifact", flat=True).get()
    assert error_of(put(bob_app, second)) == (412, "DENIED")
    assert Tag.objects.values_list("artifact", flat=True).get() == before
    assert TagEvent.objects.count() == 1


def test_by_digest_and_under_another_name_it_gets_in(
    bob_app: Caller, app: Repository, second: Image
) -> None:
    assert put(bob_app, second, f"team/app/manifests/{second.digest}").status_code == 201
    assert put(bob_app, second, "team/app/manifests/v2").status_code == 201
    assert put(bob_app, second, "team/app/manifests/v2").status_code == 201


def test_what_cannot_be_decided_is_503_and_goes_nowhere(
    bob_app: Caller, app: Repository, second: Image, registry: FakeRegistry
) -> None:
    ImmutableRule.objects.update(tag_pattern="{1..100000}")
    assert error_of(put(bob_app, second)) == (503, "UNAVAILABLE")
    assert not registry.manifests


def test_a_database_that_fails_meanwhile_is_503(
    bob_app: Caller,
    app: Repository,
    second: Image,
    registry: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken:
        @staticmethod
        def run(*asked: object) -> None:
            raise OperationalError("the connection broke")

    monkeypatch.setattr(immutability, "statements", Broken)
    assert error_of(put(bob_app, second)) == (503, "UNAVAILABLE")
    assert not registry.manifests


@pytest.mark.parametrize("by_digest", [True, False])
def test_deleting_is_refused(
    token_for: Sign,
    alice: User,
    app: Repository,
    by_digest: bool,  # noqa: FBT001
) -> None:
    artifact = push_image(app, tag="v1")
    caller = token_for(alice, "repository:team/app:pull,push,delete")
    reference = artifact.digest if by_digest else "v1"
    answer = caller.call("DELETE", f"team/app/manifests/{reference}")
    assert error_of(answer) == (412, "DENIED")
    assert caller.get(V1).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_twenty_first_pushes_one_gets_in(
    bob_app: Caller, app: Repository, registry: FakeRegistry
) -> None:
    images = [make_image() for _ in range(20)]
    statuses = push_all(bob_app, registry, images, [V1] * 20)
    assert Counter(statuses) == {201: 1, 412: 19}
    winner = images[statuses.index(201)]
    tag = Tag.objects.select_related("artifact").get()
    assert tag.artifact is not None
    assert tag.artifact.digest == winner.digest
    event = TagEvent.objects.get()
    assert (event.from_digest, event.to_digest) == ("", winner.digest)
