"""Pages of projects that another registry fills."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from accounts.credentials import principal_of_user
from accounts.models import Project
from accounts.principals import Actor
from portal.web.commands import Tool, first_pull
from registry_sync.models import (
    ProxyCache,
    ProxyDay,
    RemoteRegistry,
    Repository,
    RetentionPolicy,
    UpstreamState,
)
from registry_sync.proxy_cache import projects
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, text_of

NEW = "/p/-/new"


@pytest.fixture
def remote(cast: Cast) -> RemoteRegistry:
    """A plain registry."""
    return RemoteRegistry.objects.create(
        name="upstream", kind="docker-registry", url="https://registry.example.com"
    )


@pytest.fixture
def hub(cast: Cast, remote: RemoteRegistry) -> Project:
    """A public project that it fills."""
    actor = Actor(principal_of_user(cast.admin))
    return projects.create(name="hub", is_public=True, remote_id=remote.pk, actor=actor)


class TestCreating:
    def test_only_who_may_know_registries_is_offered_it(
        self, cast: Cast, signed_in: SignedIn
    ) -> None:
        assert "Proxy (mirror)" in text_of(signed_in(cast.admin).get(NEW))
        assert "Proxy (mirror)" not in text_of(signed_in(cast.alice).get(NEW))
        given = {"kind": "proxy", "name": "hub", "registry": "docker-hub"}
        assert signed_in(cast.alice).post(NEW, given).status_code == 302
        assert not Project.objects.get(name="hub").is_proxy

    def test_a_hosted_one_is_still_the_default(self, cast: Cast, signed_in: SignedIn) -> None:
        assert signed_in(cast.admin).post(NEW, {"name": "plain"}).status_code == 302
        assert not Project.objects.get(name="plain").is_proxy

    def test_with_bounds(self, cast: Cast, signed_in: SignedIn, remote: RemoteRegistry) -> None:
        given = {
            "kind": "proxy",
            "name": "hub",
            "registry": remote.pk,
            "pattern": "library/**",
            "speed_limit": "500",
            "max_connections": "4",
            "expiry_days": "0",
            "asks_referrers": "on",
        }
        answer = signed_in(cast.admin).post(NEW, given)
        assert (answer.status_code, answer["Location"]) == (302, "/p/hub")
        cache = projects.of(Project.objects.get(name="hub"))
        assert cache is not None
        assert (cache.remote_id, cache.pattern) == (remote.pk, "library/**")
        assert (cache.speed_limit, cache.max_connections) == (500, 4)
        assert (cache.serves_removed, cache.asks_referrers) == (False, True)
        assert not RetentionPolicy.objects.exists()

    def test_docker_hub_is_added_with_it(self, cast: Cast, signed_in: SignedIn) -> None:
        RemoteRegistry.objects.create(name="docker-hub", url="https://x.example.com")
        given = {"kind": "proxy", "name": "hub", "registry": "docker-hub"}
        assert signed_in(cast.admin).post(NEW, given).status_code == 302
        added = RemoteRegistry.objects.get(kind="docker-hub")
        assert (added.name, added.url) == ("docker-hub-2", "https://registry-1.docker.io")
        page = text_of(signed_in(cast.admin).get(NEW + "?kind=proxy"))
        assert "without signing in there" not in page
        assert RetentionPolicy.objects.count() == 1

    def test_no_registry_is_left_of_a_project_that_cannot_be(
        self, cast: Cast, signed_in: SignedIn
    ) -> None:
        given = {"kind": "proxy", "name": "team", "registry": "docker-hub"}
        answer = signed_in(cast.admin).post(NEW, given)
        assert answer.status_code == 422
        assert not RemoteRegistry.objects.exists()
        assert '<option value="docker-hub" selected>' in text_of(answer)

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"registry": ""}, "Choose which registry"),
            ({"registry": "999"}, "not one of the available choices"),
            ({"pattern": "{a"}, "mo-field-error"),
            ({"speed_limit": "-1"}, "greater than or equal to 0"),
            ({"name": "team"}, "mo-field-error"),
        ],
    )
    def test_what_is_wrong_is_told_at_its_field(
        self,
        cast: Cast,
        signed_in: SignedIn,
        remote: RemoteRegistry,
        wrong: dict[str, str],
        words: str,
    ) -> None:
        given = {"kind": "proxy", "name": "hub", "registry": str(remote.pk)} | wrong
        answer = signed_in(cast.admin).post(NEW, given)
        assert answer.status_code == 422
        assert words in text_of(answer)
        assert not Project.objects.filter(name="hub").exists()


class TestSettings:
    def test_they_are_changed_and_read(self, cast: Cast, signed_in: SignedIn, hub: Project) -> None:
        path = "/p/hub/-/settings/upstream"
        client = signed_in(cast.admin)
        assert "https://registry.example.com" in text_of(client.get(path))
        assert client.post(path, {"pattern": "a/*", "max_connections": "2"}).status_code == 302
        cache = projects.of(hub)
        assert cache is not None
        assert (cache.pattern, cache.max_connections, cache.asks_referrers) == ("a/*", 2, False)
        assert client.post(path, {"pattern": "{a"}).status_code == 422

    def test_only_proxy_projects_have_them(
        self, cast: Cast, signed_in: SignedIn, hub: Project
    ) -> None:
        assert signed_in(cast.admin).get("/p/team/-/settings/upstream").status_code == 404
        assert "settings/upstream" not in text_of(signed_in(cast.admin).get("/p/team/-/settings"))
        assert "settings/upstream" in text_of(signed_in(cast.admin).get("/p/hub/-/settings"))

    def test_strangers_may_not(self, cast: Cast, signed_in: SignedIn, hub: Project) -> None:
        answer = signed_in(cast.mallory).post("/p/hub/-/settings/upstream", {"pattern": "x"})
        assert answer.status_code == 403
        cache = projects.of(hub)
        assert cache is not None
        assert cache.pattern == ""


class TestProject:
    def test_an_empty_one_says_how_to_pull(
        self, cast: Cast, signed_in: SignedIn, hub: Project
    ) -> None:
        page = text_of(signed_in(cast.admin).get("/p/hub"))
        # What this registry has is not known here.
        assert "/hub/REPOSITORY:TAG" in page
        assert "alpine" not in page
        assert "docker push" not in page
        assert "Waiting for the first pull" in page
        listed = text_of(signed_in(cast.admin).get("/p/"))
        assert listed.count("</svg>proxy</span>") == 1

    @pytest.mark.parametrize(
        ("kind", "pattern", "image"),
        [
            ("docker-hub", "", "library/alpine:3.22"),
            ("docker-hub", "library/**", "library/alpine:3.22"),
            ("docker-hub", "library/{nginx,redis}", "library/REPOSITORY:TAG"),
            ("docker-registry", "", "REPOSITORY:TAG"),
            ("docker-registry", "team/tools/**", "team/tools/REPOSITORY:TAG"),
            ("docker-registry", "team/api", "team/api:TAG"),
        ],
    )
    def test_the_example_is_an_image_that_the_registry_has(
        self, hub: Project, remote: RemoteRegistry, kind: str, pattern: str, image: str
    ) -> None:
        remote.kind = kind
        cache = ProxyCache(project=hub, remote=remote, pattern=pattern)
        told = first_pull(Tool("docker"), project=hub, cache=cache)
        assert told.pull.endswith(f"/hub/{image}")
        assert told.is_pattern == ("TAG" in image)

    def test_a_filled_one_has_pull_commands(
        self, cast: Cast, signed_in: SignedIn, hub: Project
    ) -> None:
        Repository.objects.create(project=hub, path="library/alpine", pushed_at=timezone.now())
        page = text_of(signed_in(cast.admin).get("/p/hub"))
        assert 'id="pull"' in page
        assert "docker push" not in page

    def test_the_overview_shows_what_was_saved(
        self, cast: Cast, signed_in: SignedIn, hub: Project, remote: RemoteRegistry
    ) -> None:
        today = timezone.now().date()
        ProxyDay.objects.create(
            project=hub, day=today, hits=3, misses=1, hit_bytes=3 << 20, fetched_bytes=1 << 20
        )
        UpstreamState.objects.create(
            remote=remote,
            rate_limit=100,
            rate_remaining=76,
            rate_window=21600,
            error="it answered 502",
            failed_at=timezone.now(),
        )
        page = text_of(signed_in(cast.admin).get("/p/hub/-/overview"))
        assert "75<small>%</small>" in page
        # What was fetched stands on what was saved, and the day has the chart's whole height.
        assert re.search(r'y="25\.0%" width="[0-9.]+%" height="75\.0%"', page)
        assert re.search(r'y="0\.0%" width="[0-9.]+%" height="25\.0%"', page)
        assert page.count("<td") >= 30 * 7
        assert '<span class="mo-stat-value">76</span>' in page
        assert "pulls left of 100 in 6 hours" in page
        assert "it answered 502" in page
        assert "upstream does not answer" in page
        # Anyone may look at a public project, and not at where it is filled from.
        outside = text_of(Client().get("/p/hub/-/overview"))
        assert "it answered 502" not in outside
        assert "upstream does not answer" not in outside

    def test_without_figures_it_says_so(
        self, cast: Cast, signed_in: SignedIn, hub: Project
    ) -> None:
        page = text_of(signed_in(cast.admin).get("/p/hub/-/overview"))
        assert "nothing was asked for yet" in page
        assert "not asked yet" in page
        team = text_of(signed_in(cast.admin).get("/p/team/-/overview"))
        assert "Upstream budget" not in team
