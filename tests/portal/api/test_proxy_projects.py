"""Projects that another registry fills, by Harbor's API."""

from collections.abc import Callable

import pytest

from accounts.models import AuditEntry, Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import remote_registries
from registry_sync.models import ProxyCache, RemoteRegistry
from registry_sync.remote_registries import Address
from tests.portal.api.conftest import Caller, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]


@pytest.fixture
def remote(cast: object) -> RemoteRegistry:
    """Another registry."""
    address = Address("https://registry.example.com")
    return remote_registries.create(name="up", description="", address=address, actor=SYSTEM_ACTOR)


def _body(remote: RemoteRegistry, **metadata: str) -> dict[str, object]:
    return {"project_name": "hub", "registry_id": remote.pk, "metadata": metadata}


def test_it_is_made_with_its_bounds_and_shown(caller: Callers, remote: RemoteRegistry) -> None:
    admin = caller("admin")
    metadata = {"public": "true", "proxy_speed_kb": "512", "max_upstream_conn": "3"}
    unset = {"proxy_cache_filter_pattern": "", "proxy_cache_filter_kind": ""}
    made = admin.post("projects", _body(remote, **metadata, **unset))
    assert made.status_code == 201, made.content
    shown = told(admin.get("projects/hub"))
    assert shown["registry_id"] == remote.pk
    assert metadata.items() <= shown["metadata"].items()
    assert shown["metadata"]["proxy_cache_filter_kind"] == "doublestar"
    assert shown["metadata"]["trash_days"] == "0"
    assert "retention_id" in shown["metadata"]
    assert AuditEntry.objects.filter(action="create_proxy_cache").exists()


def test_only_who_may_know_the_registries_makes_one(
    caller: Callers, remote: RemoteRegistry
) -> None:
    refused = caller("bob").post("projects", _body(remote))
    assert refused.status_code == 403
    assert not Project.objects.filter(name="hub").exists()


def test_bounds_are_changed_and_set_back(caller: Callers, remote: RemoteRegistry) -> None:
    admin = caller("admin")
    admin.post("projects", _body(remote))
    changed = admin.call(
        "PUT", "projects/hub", {"metadata": {"proxy_cache_filter_pattern": "library/**"}}
    )
    assert changed.status_code == 200, changed.content
    key = "projects/hub/metadatas/max_upstream_conn"
    assert admin.call("PUT", key, {"max_upstream_conn": "7"}).status_code == 200
    cache = ProxyCache.objects.get()
    assert (cache.pattern, cache.max_connections) == ("library/**", 7)
    assert admin.call("DELETE", key).status_code == 200
    assert told(admin.get(key)) == {"max_upstream_conn": "-1"}


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"proxy_speed_kb": "fast"}, "proxy_speed_kb"),
        ({"proxy_speed_kb": "-2"}, "or -1 for no limit"),
        ({"max_upstream_conn": "100000"}, "number from 0"),
        ({"proxy_cache_filter_pattern": "a{b"}, "bracket"),
        ({"proxy_cache_filter_kind": "regex"}, "doublestar"),
        ({"proxy_referrer_api": "perhaps"}, "proxy_referrer_api"),
    ],
)
def test_bad_bounds_are_named(
    caller: Callers, remote: RemoteRegistry, metadata: dict[str, str], field: str
) -> None:
    refused = caller("admin").post("projects", _body(remote, **metadata))
    assert refused.status_code == 400
    assert field in error_of(refused)[1]
    assert not Project.objects.filter(name="hub").exists()


def test_a_project_of_ones_own_has_no_bounds(caller: Callers) -> None:
    admin = caller("admin")
    refused = admin.call("PUT", "projects/team", {"metadata": {"max_upstream_conn": "7"}})
    assert refused.status_code == 400
    assert admin.get("projects/team/metadatas/proxy_speed_kb").status_code == 404
    assert "registry_id" not in told(admin.get("projects/team"))
