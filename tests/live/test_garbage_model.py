"""No order of the steps of pushes and collection loses anything: known races, and any others.

``MOORAGE_TEST_SOAK`` multiplies how many sequences are tried; with ``MOORAGE_TEST_HASTY`` one that
fails is not made shorter, which takes minutes.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from accounts import projects
from accounts.principals import SYSTEM_ACTOR
from registry_sync import garbage_links, garbage_sweep, garbage_tombstones, upstream
from registry_sync.client.registry import RegistryClient
from registry_sync.configured_storage import storage
from registry_sync.gateway import blobs, precheck, push, uploads, waiting
from registry_sync.upstream import registry_token
from tests import bare_registry
from tests.conftest import make_user
from tests.factories import digest_of
from tests.live.garbage_actors import halt_at
from tests.live.garbage_protocol import PLACES, Protocol, Turn

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
SOAK = int(os.environ.get("MOORAGE_TEST_SOAK", "1"))
PHASES = [
    phase for phase in Phase if phase != Phase.shrink or not os.environ.get("MOORAGE_TEST_HASTY")
]
TURNS = [
    *(Turn(is_before=is_before, place=place) for place in PLACES for is_before in (True, False)),
    *(Turn(is_before=is_, place="end", is_pushed_by_others=True) for is_ in (True, False)),
]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Protocol]]:
    """Put a real registry behind the gateway, in this process."""
    with bare_registry.running(tmp_path) as address:
        client = RegistryClient(address, registry_token)
        for module in (upstream, blobs, precheck, push, uploads):
            monkeypatch.setattr(module, "registry", client, raising=False)
        for module in (garbage_sweep, garbage_links, garbage_tombstones):
            monkeypatch.setattr(module, "hit", halt_at)
        # A push that meets a removal tries once more, and is refused.
        monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.01)
        monkeypatch.setattr(waiting, "_POLL_SECONDS", 0.01)
        (tmp_path / "storage").mkdir(exist_ok=True)
        with override_settings(
            ROOT_URLCONF="portal.gateway_urls",
            MIDDLEWARE=["portal.middleware.RequestContextMiddleware"],
            MOORAGE_BLOB_DELIVERY="registry",
            MOORAGE_STORAGE_ROOT=tmp_path / "storage",
        ):
            Protocol.address, Protocol.client = address, client
            Protocol.owner = make_user("owner")
            Protocol.project = projects.create(
                name="model", owner=Protocol.owner, actor=SYSTEM_ACTOR
            )
            yield Protocol
        client.close()


def _come_to_rest(state: Protocol) -> None:
    state.acknowledged_is_there()
    state.teardown()


def test_a_push_that_the_grace_overtakes(machine: type[Protocol]) -> None:
    for turn in TURNS:
        state = machine()
        state.upload_what_is_missing(0)
        state.put(0, turn)
        _come_to_rest(state)


def test_a_push_whose_links_the_grace_overtakes(machine: type[Protocol]) -> None:
    for turn in TURNS:
        state = machine()
        # All of it lives on in the other repository.
        state.push_whole(2)
        state.upload_what_is_missing(0)
        state.put(0, turn)
        _come_to_rest(state)


def test_an_answer_to_head_that_the_grace_overtakes(machine: type[Protocol]) -> None:
    for turn in TURNS:
        state = machine()
        state.upload_what_is_missing(0)
        state.start_over(0)
        state.head(0, 1, turn)
        state.upload_what_is_missing(0)
        state.put(0, Turn())
        _come_to_rest(state)


def test_a_mount_that_the_grace_overtakes(machine: type[Protocol]) -> None:
    for turn in TURNS:
        state = machine()
        state.upload_what_is_missing(1)
        state.head(1, 1, Turn())
        state.mount(0, turn)
        state.upload_what_is_missing(0)
        state.put(0, Turn())
        _come_to_rest(state)


def test_a_mount_whose_link_the_grace_overtakes(machine: type[Protocol]) -> None:
    for turn in TURNS:
        state = machine()
        state.push_whole(1)
        state.mount(0, turn)
        # Whatever it was told: who asks now may rely on the answer.
        state.start_over(0)
        state.push_whole(0)
        _come_to_rest(state)


def test_an_answer_to_head_whose_link_is_collected(machine: type[Protocol]) -> None:
    for turn in TURNS:
        state = machine()
        state.push_whole(1)
        state.begin(0, 1)
        state.finish(0, 1, is_cut=False)
        state.start_over(0)
        state.head(0, 1, turn)
        state.start_over(0)
        state.push_whole(0)
        _come_to_rest(state)


def test_a_collector_that_others_outran(machine: type[Protocol]) -> None:
    for place in (*PLACES, "gc.discarded"):
        state = machine()
        state.race(0, place)
        if place == "gc.links_aside":
            # Who has lost its claim takes no bytes out of sight, not even for a moment.
            state.collect(0)
            for content in state.pushers[0].image.blobs:
                assert storage().size(digest_of(content)) is not None
        state.collect_to(0, "end")
        assert list(storage().lying_aside()) == []
        _come_to_rest(state)


def test_what_is_pushed_while_it_is_being_removed(machine: type[Protocol]) -> None:
    for place in PLACES:
        state = machine()
        state.push_whole(0)
        state.drop_whole(0, is_old=True)
        state.start_over(0)
        state.collect_to(0, place)
        state.push_whole(0)
        state.collect_to(0, "end")
        state.acknowledged_is_there()
        state.push_whole(0)
        _come_to_rest(state)


def test_no_order_of_steps_loses_anything(machine: type[Protocol]) -> None:
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=20 * SOAK,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        ),
    )
