"""Removing what was claimed: who loses a claim on the way puts back, and nothing lies about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Project
from registry_sync import blobs, garbage_claims, garbage_sweep
from registry_sync.garbage_claims import Claim
from registry_sync.gateway import waiting
from registry_sync.models import Blob, Repository, RepositoryBlob
from registry_sync.storage.base import Link
from tests.factories import make_repository
from tests.registry_sync.collecting import Shelf, pass_time

CONTENT = b"a layer that nothing needs"


class Scene:
    """A layer that nothing needs, with its link."""

    def __init__(self, shelf: Shelf, app: Repository) -> None:
        """Upload it, and let the grace run out."""
        self.shelf, self.app, self.storage = shelf, app, shelf.storage
        self.link = Link(app.registry_name, "layer")
        self.digest = self.upload()
        pass_time()

    def upload(self) -> str:
        """Upload it as a client does."""
        digest = self.shelf.write(CONTENT)
        blobs.expect(self.app, digest)
        self.shelf.link(self.app, digest)
        blobs.confirm(self.app, digest, len(CONTENT))
        return digest

    def claim(self) -> Claim:
        """Claim it."""
        return garbage_claims.claim([self.digest], owner="test", before=timezone.now())

    def put_aside(self, token: str) -> None:
        """Do what a collector does first."""
        self.storage.prepare(token)
        self.storage.set_aside(token, {self.digest: [self.link]}, with_bytes=False)
        self.storage.set_aside(token, {self.digest: []}, with_bytes=True)

    def is_whole(self) -> bool:
        """Tell whether the registry could serve it, and nothing lies aside."""
        has_link = self.storage.has_link(self.digest, self.link)
        is_there = self.storage.size(self.digest) == len(CONTENT)
        return has_link and is_there and not self.shelf.stray()


@pytest.fixture
def scene(tmp_path: Path, settings: Any, team: Project) -> Scene:
    """The scene."""
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    return Scene(Shelf(tmp_path), make_repository(team))


def at(places: dict[str, Callable[[], None]], patch: pytest.MonkeyPatch) -> None:
    """Let something happen, once, where a collector has come to a step."""

    def hit(place: str) -> None:
        if place in places:
            places.pop(place)()

    patch.setattr(garbage_sweep, "hit", hit)


def lease_ends() -> None:
    """Let every lease be over."""
    Blob.objects.filter(state=Blob.State.DELETING).update(claimed_until=timezone.now())


def test_what_is_still_ours_is_gone(scene: Scene) -> None:
    assert garbage_sweep.remove(scene.storage, scene.claim()) == {scene.digest}
    assert not scene.storage.has_link(scene.digest, scene.link)
    assert (scene.shelf.bytes(), scene.shelf.stray()) == (0, [])


def test_who_lost_it_before_the_bytes_were_renamed_never_renames_them(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others finished, and it was pushed again: not for a moment is it out of sight."""

    def outrun() -> None:
        lease_ends()
        assert garbage_sweep.finish_abandoned(scene.storage, owner="other") == {scene.digest}
        scene.upload()
        events["gc.bytes_aside"] = look

    def look() -> None:
        assert scene.storage.size(scene.digest) == len(CONTENT)

    events = {"gc.links_aside": outrun}
    at(events, monkeypatch)
    assert garbage_sweep.remove(scene.storage, scene.claim()) == set()
    assert scene.is_whole()
    assert events == {}


def test_who_lost_it_afterwards_puts_it_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose() -> None:
        Blob.objects.update(claim_token="another's")

    at({"gc.bytes_aside": lose}, monkeypatch)
    assert garbage_sweep.remove(scene.storage, scene.claim()) == set()
    assert scene.is_whole()


def test_what_is_put_back_has_rows(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others had forgotten it by then: without rows nobody would ever find it."""

    def forget() -> None:
        RepositoryBlob.objects.all().delete()
        Blob.objects.all().delete()

    at({"gc.bytes_aside": forget}, monkeypatch)
    assert garbage_sweep.remove(scene.storage, scene.claim()) == set()
    assert scene.is_whole()
    assert Blob.objects.get().state == Blob.State.LIVE
    assert RepositoryBlob.objects.get().state == RepositoryBlob.State.EXPECTED


class TestOthers:
    def test_who_takes_over_removes_what_lay_aside_too(self, scene: Scene) -> None:
        scene.put_aside(scene.claim().token)
        lease_ends()
        assert garbage_sweep.finish_abandoned(scene.storage, owner="other") == {scene.digest}
        assert (scene.shelf.bytes(), scene.shelf.stray()) == (0, [])

    def test_what_lies_aside_and_is_nobodys_comes_back(self, scene: Scene) -> None:
        scene.put_aside(garbage_claims.new_token())
        assert garbage_sweep.recover(scene.storage) == 1
        assert scene.is_whole()

    def test_what_a_claim_holds_stays_aside(self, scene: Scene) -> None:
        scene.put_aside(scene.claim().token)
        assert garbage_sweep.recover(scene.storage) == 0
        assert scene.storage.size(scene.digest) is None

    def test_a_push_finishes_what_a_dead_collector_had_in_hand(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.3)
        monkeypatch.setattr(waiting, "_POLL_SECONDS", 0.01)
        scene.put_aside(scene.claim().token)
        lease_ends()
        waiting.patiently(scene.digest, lambda: blobs.expect(scene.app, scene.digest))
        assert Blob.objects.get().state == Blob.State.LIVE
        assert (scene.shelf.bytes(), scene.shelf.stray()) == (0, [])
