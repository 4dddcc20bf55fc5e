"""Proxy projects where something is slow, asked twice, interrupted, or not wanted any more."""

import datetime
import itertools
import threading
from collections.abc import Callable

import orjson
import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts import projects as own_projects
from accounts.models import Project, ProjectMember, User
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role
from registry_sync import dispatch, fsck, housekeeping, tasks
from registry_sync.models import (
    Artifact,
    BlobFetch,
    ProxyCache,
    ProxyCheck,
    RemoteRegistry,
    Repository,
    State,
    Tag,
)
from registry_sync.proxy_cache import fetching, figures, projects, upstreams
from registry_sync.proxy_cache.turns import Turns
from tests.factories import Image, digest_of, make_artifact, make_image, make_index
from tests.fakes import FakeRegistry
from tests.registry_sync.gateway.conftest import Caller, Sign, error_of, pull, told, whole
from tests.registry_sync.gateway.proxied import Upstream, about, hold_back, until
from tests.registry_sync.strange_registry import Answer as Told
from tests.registry_sync.strange_registry import Asked

# The fetch is a thread with a connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)

KIB = 1024


class Clock:
    """Time that goes by only where somebody sleeps."""

    def __init__(self) -> None:
        """It is zero."""
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.now += max(0.0, seconds)


# --- How fast -------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 100])
def test_no_faster_than_the_project_may(
    upstream: Upstream, puller: Caller, hub: Project, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    image = make_image(layers=(b"x" * 300 * KIB,))
    upstream.hold("library/app:1", image)
    projects.update(hub, changes=projects.Changes(speed_limit=limit), actor=SYSTEM_ACTOR)
    puller.get("hub/library/app/manifests/1")
    clock = Clock()
    monkeypatch.setattr(fetching, "time", clock)
    # Each time that it renewed its lease it was in time.
    renewed, renew = [0.0], fetching._renew

    def renewing(lease: BlobFetch) -> None:
        renewed.append(clock.now)
        renew(lease)

    monkeypatch.setattr(fetching, "_renew", renewing)
    layer = image.blobs[-1]
    assert whole(puller.get(f"hub/library/app/blobs/{digest_of(layer)}")) == layer
    until(lambda: not BlobFetch.objects.exists())
    assert clock.now == pytest.approx(300 / limit, rel=0.02)
    pauses = [after - before for before, after in itertools.pairwise(renewed)]
    assert max(pauses) < fetching._LEASE.total_seconds()


def test_the_speed_is_the_projects_however_many_are_fetched(
    hub: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects.update(hub, changes=projects.Changes(speed_limit=10), actor=SYSTEM_ACTOR)
    cache = ProxyCache.objects.select_related("project").get()
    clock = Clock()
    monkeypatch.setattr(fetching, "time", clock)
    one = fetching.paced(cache, iter([b"x" * 100 * KIB]))
    two = fetching.paced(cache, iter([b"x" * 100 * KIB]))
    came = 0
    # Side by side, then one alone: what the other left unused before is not caught up.
    for _step in range(10):
        came += len(next(one)) + len(next(two))
        assert came <= clock.now * 10 * KIB + 1
    for part in one:
        came += len(part)
        assert came <= clock.now * 10 * KIB + 1


# --- Lists ----------------------------------------------------------------------------------------


def _list(*names: str) -> Callable[[Asked], Told | None]:
    content = orjson.dumps({"name": "library/app", "tags": names})
    return lambda asked: (200, {}, content) if "/tags/list" in asked.path else None


def test_tags_of_both_are_listed_page_by_page(upstream: Upstream, puller: Caller) -> None:
    upstream.hold("library/app:here", make_image("a"))
    assert puller.get("hub/library/app/manifests/here").status_code == 200
    upstream.instead = _list("c", "a", "e")
    path = "hub/library/app/tags/list"
    whole_list = puller.get(path)
    assert told(whole_list) == {"name": "hub/library/app", "tags": ["a", "c", "e", "here"]}
    assert "Link" not in whole_list
    first = puller.get(f"{path}?n=2")
    assert told(first)["tags"] == ["a", "c"]
    assert first["Link"] == f'</v2/{path}?n=2&last=c>; rel="next"'
    second = puller.get(f"{path}?n=2&last=c")
    assert told(second)["tags"] == ["e", "here"]
    assert "Link" not in second
    assert told(puller.get(f"{path}?n=0"))["tags"] == []


def test_without_the_upstream_the_tags_here_are_listed(upstream: Upstream, puller: Caller) -> None:
    upstream.hold("library/app:here", make_image("a"))
    puller.get("hub/library/app/manifests/here")
    path = "hub/library/app/tags/list"
    assert "Warning" not in puller.get(path)
    upstream.instead = lambda _asked: (500, {}, b"")
    answer = puller.get(path)
    assert told(answer)["tags"] == ["here"]
    assert answer["Warning"].startswith("111")


def test_of_what_is_not_here_no_tags_are_known_without_the_upstream(
    upstream: Upstream, puller: Caller
) -> None:
    path = "hub/library/app/tags/list"
    assert error_of(puller.get(path)) == (404, "NAME_UNKNOWN")
    upstream.instead = lambda _asked: (500, {}, b"")
    assert error_of(puller.get(path)) == (503, "UNAVAILABLE")
    upstreams.forget()
    upstream.instead = lambda _asked: (429, {"Retry-After": "30"}, b"")
    assert error_of(puller.get(path)) == (429, "TOOMANYREQUESTS")


def _signature(image: Image) -> Image:
    subject = {
        "mediaType": image.media_type,
        "digest": image.digest,
        "size": len(image.content),
    }
    layer = ("application/vnd.test.sig", b"signed", "")
    return make_artifact("application/vnd.test.config", {"s": 1}, layer, subject=subject)


def test_what_is_about_an_image_is_asked_for_once(upstream: Upstream, puller: Caller) -> None:
    image = make_image("a")
    signature = _signature(image)
    upstream.hold("library/app:1", image)
    upstream.hold("library/app:sig", signature)
    upstream.instead = about(image, signature)
    path = f"hub/library/app/referrers/{image.digest}"
    answer = puller.get(path)
    assert [entry["digest"] for entry in told(answer)["manifests"]] == [signature.digest]
    assert "Warning" not in answer
    pull(puller, signature, signature.digest)
    asked = len(upstream.server.asked)
    assert told(puller.get(path))["manifests"] == told(answer)["manifests"]
    assert len(upstream.server.asked) == asked
    # It is still told of when the upstream does not answer.
    ProxyCheck.objects.all().delete()
    upstream.instead = lambda _asked: (500, {}, b"")
    stale = puller.get(path)
    assert told(stale)["manifests"] == told(answer)["manifests"]
    assert stale["Warning"].startswith("111")


def test_where_it_is_not_wanted_nobody_asks_what_is_about_an_image(
    upstream: Upstream, puller: Caller, hub: Project
) -> None:
    image = make_image("a")
    signature = _signature(image)
    upstream.hold("library/app:sig", signature)
    upstream.instead = about(image, signature)
    projects.update(hub, changes=projects.Changes(asks_referrers=False), actor=SYSTEM_ACTOR)
    answer = puller.get(f"hub/library/app/referrers/{image.digest}")
    assert told(answer)["manifests"] == []
    assert upstream.server.asked == []


# --- Whose blob -----------------------------------------------------------------------------------


def test_a_blob_of_the_same_project_is_not_fetched_again(
    upstream: Upstream, puller: Caller, hub: Project, token_for: Sign, carol: User
) -> None:
    base = b"a base layer" * 100
    one, two = make_image("a", layers=(base, b"one")), make_image("b", layers=(base, b"two"))
    upstream.hold("library/app:1", one)
    upstream.hold("library/other:1", two)
    pull(puller, one)
    other = token_for(carol, "repository:hub/library/other:pull")
    other.get("hub/library/other/manifests/1")
    for content in two.blobs:
        assert whole(other.get(f"hub/library/other/blobs/{digest_of(content)}")) == content
    until(lambda: not BlobFetch.objects.exists())
    assert Artifact.objects.get(body_id=two.digest).is_complete
    assert upstream.count(digest_of(base)) == 1
    assert list(fsck._quotas(lambda _check: None)) == []


def test_a_blob_that_only_another_project_has_is_fetched(
    upstream: Upstream,
    puller: Caller,
    registry: FakeRegistry,
    token_for: Sign,
    carol: User,
    admin: User,
) -> None:
    base = b"a base layer" * 100
    image = make_image("a", layers=(base,))
    upstream.hold("library/app:1", image)
    pull(puller, image)
    second = own_projects.create(name="hub2", owner=admin, is_proxy=True, actor=SYSTEM_ACTOR)
    ProxyCache.objects.create(project=second, remote=RemoteRegistry.objects.get())
    ProjectMember.objects.create(project=second, user=carol, role=Role.GUEST.value)
    caller = token_for(carol, "repository:hub2/library/app:pull")
    assert caller.get("hub2/library/app/manifests/1").status_code == 200
    # The upstream says that it has it, and does not: nothing of the first project is given away.
    digest = digest_of(base)
    held = upstream.blobs.pop(digest)
    with pytest.raises(upstreams.BrokenError):
        whole(caller.get(f"hub2/library/app/blobs/{digest}"))
    until(lambda: not BlobFetch.objects.exists())
    upstream.blobs[digest] = held
    assert whole(caller.get(f"hub2/library/app/blobs/{digest}")) == base
    until(lambda: not BlobFetch.objects.exists())
    assert registry.count("start_upload") == 0


# --- Interrupted ----------------------------------------------------------------------------------


def _keep_house() -> None:
    execution = dispatch.start(housekeeping.KIND, actor=SYSTEM_ACTOR)
    tasks.run_here(execution.tasks.get().pk)
    execution.refresh_from_db()
    assert execution.state == State.SUCCEEDED


@pytest.mark.parametrize("place", ["proxy.blob", "proxy.stored"])
def test_what_was_interrupted_is_finished_by_housekeeping(
    upstream: Upstream, puller: Caller, settings: Settings, place: str
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    puller.get("hub/library/app/manifests/1")
    settings.MOORAGE_FAILPOINTS = {place: "raise"}
    for content in image.blobs:
        whole(puller.get(f"hub/library/app/blobs/{digest_of(content)}"))
    until(lambda: not BlobFetch.objects.exists())
    assert not Artifact.objects.get(body_id=image.digest).is_complete
    settings.MOORAGE_FAILPOINTS = {}
    asked = len(upstream.server.asked)
    _keep_house()
    assert Artifact.objects.get(body_id=image.digest).is_complete
    assert list(fsck._quotas(lambda _check: None)) == []
    pull(puller, image)
    assert len(upstream.server.asked) == asked


def test_an_index_is_finished_though_its_image_came_in_a_crash(
    upstream: Upstream, puller: Caller, settings: Settings
) -> None:
    image = make_image("a")
    index = make_index(image)
    upstream.hold("library/app:one", image)
    upstream.hold("library/app:1", index)
    puller.get("hub/library/app/manifests/1")
    settings.MOORAGE_FAILPOINTS = {"proxy.kept": "raise"}
    with pytest.raises(AssertionError):
        pull(puller, image, image.digest)
    settings.MOORAGE_FAILPOINTS = {}
    pull(puller, image, image.digest)
    _keep_house()
    held = Artifact.objects.get(body_id=index.digest)
    assert held.is_complete
    assert [edge.child.digest for edge in held.references.all()] == [image.digest]


def test_what_a_process_that_died_was_fetching_is_forgotten(hub: Project) -> None:
    now = timezone.now()
    repository = Repository.objects.create(project=hub, path="library/app")
    for hours, lease in ((25, 24.5), (25, -1), (1, 0.5)):
        BlobFetch.objects.create(
            repository=repository,
            digest=digest_of(f"{hours} {lease}".encode()),
            wanted_at=now - datetime.timedelta(hours=hours),
            lease_until=now - datetime.timedelta(hours=lease),
        )
    _keep_house()
    assert BlobFetch.objects.count() == 2
    BlobFetch.objects.all().delete()


@pytest.mark.parametrize("worth", [0, 2 << 20])
def test_what_nobody_reads_any_more_is_fetched_only_if_it_is_nearly_here(
    upstream: Upstream,
    puller: Caller,
    registry: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
    worth: int,
) -> None:
    image, is_kept = make_image(layers=(b"x" * (2 << 20),)), worth > 0
    upstream.hold("library/app:1", image)
    digest, gate = digest_of(image.blobs[-1]), threading.Event()
    puller.get("hub/library/app/manifests/1")
    hold_back(upstream, digest, gate)
    # Every part renews the lease; nobody waits for it in another process.
    monkeypatch.setattr(fetching, "_RENEW_SECONDS", -1.0)
    monkeypatch.setattr(fetching, "_WORTH_BYTES", worth)
    puller.get(f"hub/library/app/blobs/{digest}").close()
    gate.set()
    until(lambda: not BlobFetch.objects.exists())
    assert (digest in registry.blobs) == is_kept
    assert not figures.budget(RemoteRegistry.objects.get().pk).is_failing
    assert fetching._fetches == {}
    # Whoever comes then gets it.
    upstream.instead = lambda _asked: None
    answer = puller.get(f"hub/library/app/blobs/{digest}")
    assert answer.streaming != is_kept
    assert is_kept or digest_of(whole(answer)) == digest


# --- Two processes --------------------------------------------------------------------------------


def _another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on act as one that knows of no fetch but by the database."""
    monkeypatch.setattr(fetching, "_fetches", {})
    monkeypatch.setattr(fetching, "_opening", Turns())


def test_what_another_process_stores_is_served(
    upstream: Upstream, puller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    digest, gate = digest_of(image.blobs[-1]), threading.Event()
    puller.get("hub/library/app/manifests/1")
    hold_back(upstream, digest, gate)
    _another_process(monkeypatch)
    first = puller.get(f"hub/library/app/blobs/{digest}")
    _another_process(monkeypatch)
    threading.Timer(0.1, gate.set).start()
    answer = puller.get(f"hub/library/app/blobs/{digest}")
    # nginx sends what is stored.
    assert (answer.status_code, answer.streaming) == (200, False)
    assert digest_of(whole(first)) == digest
    assert upstream.count(digest) == 1


def test_a_process_that_dies_in_the_middle_is_followed_by_the_next(
    upstream: Upstream, puller: Caller, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image("a")
    upstream.hold("library/app:1", image)
    digest, gate = digest_of(image.blobs[-1]), threading.Event()
    puller.get("hub/library/app/manifests/1")
    hold_back(upstream, digest, gate)
    monkeypatch.setattr(fetching, "_LEASE", datetime.timedelta(seconds=0.5))
    _another_process(monkeypatch)
    first = puller.get(f"hub/library/app/blobs/{digest}")
    # It hangs where a dead one would be; the next one's request is answered.
    until(lambda: upstream.count(digest) == 1)
    _another_process(monkeypatch)
    began = timezone.now()
    upstream.instead = lambda _asked: None
    assert digest_of(whole(puller.get(f"hub/library/app/blobs/{digest}"))) == digest
    assert timezone.now() - began > datetime.timedelta(seconds=0.2)
    until(lambda: not BlobFetch.objects.exists())
    assert digest in registry.blobs
    # And if it only slept: it does no harm, and its client gets what it asked for.
    gate.set()
    assert digest_of(whole(first)) == digest
    repository = Repository.objects.get(path="library/app")
    assert Tag.objects.get(repository=repository).artifact is not None
    assert list(fsck._quotas(lambda _check: None)) == []
