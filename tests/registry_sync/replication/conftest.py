"""A registry in memory at the other end, and one behind us."""

from collections.abc import Callable

import pytest
from pytest_django import Settings

from accounts.crypto import ensure_keys
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR, Actor
from registry_sync import remote_registries, upstream
from registry_sync.models import Repository
from registry_sync.replication import clients
from tests.factories import Image, make_repository, push_image, upload_blobs
from tests.fakes import FakeRegistry
from tests.registry_sync.replication.remote import Remote
from tests.registry_sync.replication.there import There


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> There:
    """Put a registry in memory at the end of every client."""
    made = There()
    clients.forget()
    monkeypatch.setattr(remote_registries, "client_of", lambda _address, **_via: made)
    return made


@pytest.fixture
def push(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, team: Project
) -> Callable[..., Repository]:
    """Return a function that pushes to a repository of ``team``."""
    registry = FakeRegistry()
    monkeypatch.setattr(upstream, "registry", registry)
    settings.MOORAGE_BLOB_DELIVERY = "registry"
    ensure_keys(settings.MOORAGE_KEYS)

    def push_it(
        image: Image,
        tag: str = "",
        path: str = "app",
        children: tuple[Image, ...] = (),
        actor: Actor = SYSTEM_ACTOR,
    ) -> Repository:
        found = Repository.objects.filter(project=team, path=path).first()
        repository = found or make_repository(team, path)
        upload_blobs(registry, repository, image)
        push_image(repository, image, tag, children=children, actor=actor)
        return repository

    return push_it


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, settings: Settings, cast: object) -> Remote:
    """Put a registry in memory at the end of every client, and one behind us."""
    made, behind = Remote(), FakeRegistry()
    monkeypatch.setattr(upstream, "registry", behind)
    clients.forget()
    monkeypatch.setattr(remote_registries, "client_of", lambda _address, **_via: made)
    settings.MOORAGE_BLOB_DELIVERY = "registry"
    ensure_keys(settings.MOORAGE_KEYS)
    return made
