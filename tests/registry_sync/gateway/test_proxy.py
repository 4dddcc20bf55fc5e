"""Projects that another registry fills: what is asked of it, and what it may not do to us."""

import datetime
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts import projects as own_projects
from accounts.credentials import principal_of_user
from accounts.errors import PreconditionFailed
from accounts.models import Project, ProjectMember, User
from accounts.principals import SYSTEM_ACTOR, Actor
from accounts.projects import Changes as ProjectChanges
from accounts.roles import Role
from registry_sync import catalog, fsck, remote_registries
from registry_sync.client.errors import RegistryUnavailableError
from registry_sync.models import (
    Artifact,
    BlobFetch,
    ProxyCheck,
    RemoteRegistry,
    Repository,
    RetentionPolicy,
    Tag,
    UpstreamState,
)
from registry_sync.proxy_cache import fetching, figures, projects
from registry_sync.proxy_cache.turns import Turns
from registry_sync.proxy_cache.upstreams import BrokenError
from tests.factories import digest_of, make_image, make_index
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Caller, Sign, error_of, pull, whole
from tests.registry_sync.gateway.proxied import Upstream, hold_back, until

# The fetch is a thread with a connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)


def test_an_image_becomes_whole_blob_by_blob(upstream: Upstream, puller: Caller) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    assert puller.get("hub/library/app/manifests/1").content == image.content
    artifact = Artifact.objects.get(body_id=image.digest)
    assert not artifact.is_complete
    assert artifact.absent_parts.count() == len(image.blobs)
    assert artifact.pushed_by_id is None
    pull(puller, image)
    artifact = Artifact.objects.get(body_id=image.digest)
    assert artifact.is_complete
    assert not artifact.absent_parts.exists()
    assert list(fsck._quotas(lambda _check: None)) == []
    asked = len(upstream.server.asked)
    pull(puller, image)
    assert len(upstream.server.asked) == asked


def test_what_is_here_costs_little_more_than_a_project_of_ones_own(
    upstream: Upstream, puller: Caller, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    pull(puller, image)
    digest = digest_of(image.blobs[0])
    # Who may what, what fills the project, what it is; of a tag what the upstream said of it.
    for path, most in (
        (f"blobs/{digest}", 3),
        (f"manifests/{image.digest}", 3),
        ("manifests/1", 4),
    ):
        # PostgreSQL prepares each statement once for a connection.
        puller.get(f"hub/library/app/{path}")
        with django_assert_max_num_queries(most):
            assert puller.get(f"hub/library/app/{path}").status_code == 200


def test_a_failure_of_our_own_registry_is_not_the_upstreams(
    upstream: Upstream, puller: Caller, registry: FakeRegistry
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    assert puller.get("hub/library/app/manifests/1").status_code == 200
    registry.failures["upload_blob"] = RegistryUnavailableError("the registry does not answer")
    digest = digest_of(image.blobs[0])
    with pytest.raises(BrokenError):
        whole(puller.get(f"hub/library/app/blobs/{digest}"))
    until(lambda: not BlobFetch.objects.exists())
    state = UpstreamState.objects.get()
    assert (state.error, state.failed_at) == ("", None)
    del registry.failures["upload_blob"]
    pull(puller, image)


def test_a_manifest_is_kept_though_a_purge_took_what_it_leans_on(
    upstream: Upstream, puller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    commit, tries = catalog.commit_manifest, [0]

    def commit_late(*arguments: Any, **terms: Any) -> Artifact:
        tries[0] += 1
        artifact = commit(*arguments, **terms)
        if tries[0] == 1:
            raise IntegrityError("its body was removed")
        return artifact

    monkeypatch.setattr(catalog, "commit_manifest", commit_late)
    assert puller.get("hub/library/app/manifests/1").status_code == 200
    assert tries[0] == 2
    assert Artifact.objects.get(body_id=image.digest).tags.get().name == "1"


def test_the_first_puller_gains_nothing(
    upstream: Upstream, puller: Caller, carol: User, hub: Project
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    pull(puller, image)
    assert ProjectMember.objects.get(project=hub, user=carol).role == Role.GUEST
    refused = puller.put("hub/library/app/manifests/2", image.content, image.media_type)
    assert error_of(refused) == (403, "DENIED")
    assert error_of(puller.call("POST", "hub/library/app/blobs/uploads/")) == (403, "DENIED")


def test_docker_hubs_short_names(
    upstream: Upstream, token_for: Sign, carol: User, hub: Project
) -> None:
    upstream.hold("library/alpine:3", make_image("a"))
    caller = token_for(carol, "repository:hub/alpine:pull")
    assert caller.get("hub/alpine/manifests/3").status_code == 200
    assert Tag.objects.get(name="3").repository.path == "library/alpine"


def test_a_tag_that_moved_is_followed_and_costs_one_head(
    upstream: Upstream, puller: Caller
) -> None:
    first, second = make_image("a"), make_image("b")
    upstream.hold("library/app:1", first)
    pull(puller, first)
    upstream.hold("library/app:1", second)
    pull(puller, first)
    ProxyCheck.objects.all().delete()
    pull(puller, second)
    assert upstream.count("/manifests/1", "HEAD") == 1
    assert Tag.objects.get(name="1").artifact.digest == second.digest  # type: ignore[union-attr]
    assert puller.get(f"hub/library/app/manifests/{first.digest}").status_code == 200


def test_without_the_upstream_what_is_here_is_served(upstream: Upstream, puller: Caller) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    pull(puller, image)
    ProxyCheck.objects.all().delete()
    upstream.instead = lambda _asked: (500, {}, b"")
    answer = puller.get("hub/library/app/manifests/1")
    assert answer.status_code == 200
    assert answer["Warning"].startswith("111")
    assert error_of(puller.get("hub/library/app/manifests/2")) == (503, "UNAVAILABLE")
    assert UpstreamState.objects.get().error


def test_what_was_removed_there_is_gone_unless_it_is_to_stay(
    upstream: Upstream, puller: Caller, hub: Project
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    pull(puller, image)
    upstream.tags.clear()
    ProxyCheck.objects.all().delete()
    assert error_of(puller.get("hub/library/app/manifests/1")) == (404, "MANIFEST_UNKNOWN")
    projects.update(hub, changes=projects.Changes(serves_removed=True), actor=SYSTEM_ACTOR)
    assert puller.get("hub/library/app/manifests/1").status_code == 200


@pytest.mark.parametrize("change", [lambda b: b[:-1] + b"!", lambda b: b[:-1], lambda b: b + b"!"])
def test_other_bytes_than_promised_are_not_kept(
    upstream: Upstream, puller: Caller, registry: FakeRegistry, change: Callable[[bytes], bytes]
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    layer = image.blobs[-1]
    digest = digest_of(layer)
    upstream.blobs[digest] = change(layer)
    assert puller.get("hub/library/app/manifests/1").status_code == 200
    answer = puller.get(f"hub/library/app/blobs/{digest}")
    with pytest.raises(BrokenError):
        whole(answer)
    until(lambda: not BlobFetch.objects.exists())
    assert digest not in registry.blobs
    assert figures.budget(RemoteRegistry.objects.get().pk).is_failing
    upstream.blobs[digest] = layer
    assert whole(puller.get(f"hub/library/app/blobs/{digest}")) == layer


def test_another_manifest_than_asked_for_is_refused(upstream: Upstream, puller: Caller) -> None:
    image, other = make_image("a"), make_image("b")
    upstream.manifests[image.digest] = other
    answer = puller.get(f"hub/library/app/manifests/{image.digest}")
    assert error_of(answer) == (502, "MANIFEST_INVALID")
    assert not Artifact.objects.exists()


def test_what_says_too_many_requests_is_left_alone(upstream: Upstream, puller: Caller) -> None:
    limits = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"}
    upstream.instead = lambda _asked: (429, {"Retry-After": "30", **limits}, b"")
    first = puller.get("hub/library/app/manifests/1")
    assert error_of(first) == (429, "TOOMANYREQUESTS")
    asked = len(upstream.server.asked)
    again = puller.get("hub/library/app/manifests/1")
    assert 0 < int(again["Retry-After"]) <= 30
    assert len(upstream.server.asked) == asked
    budget = figures.budget(RemoteRegistry.objects.get().pk)
    assert (budget.limit, budget.remaining, budget.window) == (100, 0, 21600)
    assert budget.is_failing


def test_an_index_is_kept_whole_with_the_platforms_that_were_pulled(
    upstream: Upstream, puller: Caller
) -> None:
    one, two = make_image("a"), make_image("b")
    index = make_index(one, two)
    upstream.hold("library/app:1", index)
    upstream.hold("library/app:one", one)
    upstream.hold("library/app:two", two)
    assert puller.get("hub/library/app/manifests/1").content == index.content
    pull(puller, one, one.digest)
    held = Artifact.objects.get(body_id=index.digest)
    assert [edge.child.digest for edge in held.references.all()] == [one.digest]
    assert not held.is_complete
    pull(puller, two, two.digest)
    held = Artifact.objects.get(body_id=index.digest)
    assert held.is_complete
    assert [edge.position for edge in held.references.all()] == [0, 1]


def test_a_full_project_passes_on_and_keeps_nothing(
    upstream: Upstream, puller: Caller, hub: Project, admin: User, registry: FakeRegistry
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    Project.objects.filter(pk=hub.pk).update(storage_limit=1)
    pull(puller, image)
    assert not Artifact.objects.exists()
    assert not registry.blobs


def test_a_pattern_says_which_repositories(
    upstream: Upstream, puller: Caller, hub: Project
) -> None:
    upstream.hold("library/app:1", make_image("a"))
    changes = projects.Changes(pattern="library/other*")
    projects.update(hub, changes=changes, actor=SYSTEM_ACTOR)
    assert error_of(puller.get("hub/library/app/manifests/1")) == (404, "NAME_UNKNOWN")
    assert upstream.server.asked == []


def test_a_registry_that_fills_a_project_stays(hub: Project) -> None:
    with pytest.raises(PreconditionFailed, match="hub"):
        remote_registries.remove(RemoteRegistry.objects.get(), actor=SYSTEM_ACTOR)


def test_expiry_is_a_retention_policy_of_the_project(hub: Project, admin: User) -> None:
    made = projects.create(
        name="hub2",
        remote_id=RemoteRegistry.objects.get().pk,
        actor=Actor(principal_of_user(admin)),
    )
    policy = RetentionPolicy.objects.get(project=made)
    assert policy.is_confirmed
    assert made.is_proxy
    assert made.trash_days == 0
    changed = own_projects.update(
        made, changes=ProjectChanges(trash_days=1), actor=Actor(principal_of_user(admin))
    )
    assert changed.trash_days == 1


def test_a_client_that_goes_away_loses_nothing(
    upstream: Upstream, puller: Caller, registry: FakeRegistry
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    digest, gate = digest_of(image.blobs[-1]), threading.Event()
    puller.get("hub/library/app/manifests/1")
    hold_back(upstream, digest, gate)
    puller.get(f"hub/library/app/blobs/{digest}").close()
    gate.set()
    until(lambda: digest in registry.blobs)


def test_no_more_connections_than_allowed(
    upstream: Upstream, puller: Caller, hub: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    projects.update(hub, changes=projects.Changes(max_connections=1), actor=SYSTEM_ACTOR)
    first, second = (digest_of(content) for content in image.blobs[:2])
    puller.get("hub/library/app/manifests/1")
    gate = threading.Event()
    hold_back(upstream, first, gate)
    held = puller.get(f"hub/library/app/blobs/{first}")
    monkeypatch.setattr(fetching, "_ROOM_SECONDS", 0.05)
    refused = puller.get(f"hub/library/app/blobs/{second}")
    assert error_of(refused) == (429, "TOOMANYREQUESTS")
    assert not BlobFetch.objects.filter(digest=second).exists()
    # With a little patience it has its turn.
    monkeypatch.setattr(fetching, "_ROOM_SECONDS", 30)
    threading.Timer(0.2, gate.set).start()
    assert digest_of(whole(puller.get(f"hub/library/app/blobs/{second}"))) == second
    assert digest_of(whole(held)) == first


def test_each_thing_has_its_turn_and_nothing_is_kept_of_it() -> None:
    turns = Turns()
    with turns.of("one"):
        assert not turns.of("one").acquire(blocking=False)
        assert turns.of("another").acquire(blocking=False)
    assert turns.of("one").acquire(blocking=False)
    assert list(turns._locks) == []


def test_nothing_is_kept_of_blobs_that_nobody_has(upstream: Upstream, puller: Caller) -> None:
    upstream.hold("library/app:1", make_image("a"))
    assert puller.get("hub/library/app/manifests/1").status_code == 200
    for content in (b"one", b"another"):
        answer = puller.get(f"hub/library/app/blobs/{digest_of(content)}")
        assert error_of(answer) == (404, "BLOB_UNKNOWN")
    assert list(fetching._opening._locks) == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_asks_for_what_nobody_has_makes_no_repository(
    upstream: Upstream, puller: Caller, method: str
) -> None:
    answer = puller.call(method, f"hub/library/app/blobs/{digest_of(b'nobody has it')}")
    assert answer.status_code == 404
    assert not Repository.objects.exists()
    upstream.blobs[digest_of(b"it is there")] = b"it is there"
    answer = puller.call(method, f"hub/library/app/blobs/{digest_of(b'it is there')}")
    assert (answer.status_code, answer["Content-Length"]) == (200, str(len(b"it is there")))
    answer.close()


def test_another_process_that_fetches_it_is_waited_for(
    upstream: Upstream, puller: Caller, hub: Project
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    digest = digest_of(image.blobs[-1])
    puller.get("hub/library/app/manifests/1")
    soon = timezone.now() + datetime.timedelta(seconds=1)
    repository = Tag.objects.get(name="1").repository
    # It died: its lease runs out.
    BlobFetch.objects.create(
        repository=repository, digest=digest, lease_until=soon, wanted_at=timezone.now()
    )
    assert digest_of(whole(puller.get(f"hub/library/app/blobs/{digest}"))) == digest
    assert timezone.now() >= soon
