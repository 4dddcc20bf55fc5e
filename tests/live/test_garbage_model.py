"""The protocol of pushes and collection, in any order its steps can have, over a real registry.

The actions are those of the model that the protocol was checked with: two pushers in two
repositories that share a layer; two collectors that stop at each numbered step, die there, or go
on long after others have taken their claims over; deletion, restoring, purge; and time that may be
over anywhere. After each step: what was acknowledged is there. In the end: it is pulled back
identical, quotas add up, fsck is clean, and what nothing needs is gone, to the byte.

``MOORAGE_TEST_SOAK`` multiplies how many sequences are tried.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts import projects
from accounts.errors import DomainError
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import (
    catalog,
    fsck,
    garbage_links,
    garbage_sweep,
    garbage_tombstones,
    purging,
    restoring,
    trash,
    upstream,
)
from registry_sync.client.registry import RegistryClient
from registry_sync.configured_storage import storage
from registry_sync.gateway import blobs, precheck, push, uploads
from registry_sync.models import Artifact, Blob, Repository, RepositoryBlob
from registry_sync.storage.base import Link
from registry_sync.upstream import registry_token
from tests import bare_registry
from tests.conftest import make_user
from tests.factories import digest_of, make_image
from tests.live.garbage_actors import Collector, Pusher, collect_all, halt_at, tagged
from tests.registry_sync.collecting import pass_time
from tests.registry_sync.trashing import recount

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
SOAK = int(os.environ.get("MOORAGE_TEST_SOAK", "1"))
PUSHERS = st.integers(0, 1)
COLLECTORS = st.integers(0, 1)
PLACES = ("gc.marked", "gc.claimed", "gc.links_aside", "gc.bytes_aside", "gc.checked", "end")


class Protocol(RuleBasedStateMachine):
    """Every action of the model; what must hold after each, and at the end."""

    address = ""
    owner: User
    project: Project

    def __init__(self) -> None:
        """Two repositories, two images with one layer in common."""
        super().__init__()
        number = Repository.objects.count()
        shared = make_image(f"shared {number}").blobs[1]
        self.pushers = [
            Pusher(
                catalog.open_repository(self.project.pk, f"r{number + n}"),
                make_image(f"image {number} {n}", layers=(shared,)),
                self.address,
                self.owner,
            )
            for n in range(2)
        ]
        self.shared = shared
        self.collectors: list[Collector | None] = [None, None]

    # --- Pushers ------------------------------------------------------------------------------

    @rule(who=PUSHERS, part=st.integers(0, 1))
    def head(self, who: int, part: int) -> None:
        """HEAD a blob."""
        self.pushers[who].head(self.pushers[who].image.blobs[part])

    @rule(who=PUSHERS, part=st.integers(0, 1))
    def begin(self, who: int, part: int) -> None:
        """Open an upload and pass the precheck."""
        if not self._is_held_by_a_halted_one(self.pushers[who].image.blobs[part]):
            self.pushers[who].begin(self.pushers[who].image.blobs[part])

    @rule(who=PUSHERS, part=st.integers(0, 1), is_cut=st.booleans())
    def finish(self, who: int, part: int, *, is_cut: bool) -> None:
        """Send what was announced."""
        content = self.pushers[who].image.blobs[part]
        if digest_of(content) in self.pushers[who].open:
            self.pushers[who].finish(content, is_cut=is_cut)

    @rule(who=PUSHERS)
    def upload_what_is_missing(self, who: int) -> None:
        """Do as docker does: ask, and send what is not there."""
        pusher = self.pushers[who]
        for content in pusher.image.blobs:
            if self._is_held_by_a_halted_one(content):
                return
            if pusher.head(content) != 200:
                pusher.begin(content)
                if digest_of(content) in pusher.open:
                    pusher.finish(content)

    @rule(who=PUSHERS)
    def push_whole(self, who: int) -> None:
        """Push an image from beginning to end."""
        self.upload_what_is_missing(who)
        self.put(who, 0, 0)

    @rule(who=PUSHERS, is_old=st.booleans())
    def drop_whole(self, who: int, *, is_old: bool) -> None:
        """Delete and purge an image; perhaps its grace runs out too."""
        self.delete(who)
        self.end_of_trash(who, is_purge=True)
        if is_old:
            self.grace_runs_out()

    @rule(who=COLLECTORS, place=st.sampled_from(PLACES))
    def collect_to(self, who: int, place: str) -> None:
        """Bring a collector to a step that endangers most."""
        for _ in range(15):
            self.collect(who)
            collector = self.collectors[who]
            if collector is None or collector.is_over or collector.place == place:
                return

    @rule(who=PUSHERS, place=st.sampled_from(PLACES))
    def race(self, who: int, place: str) -> None:
        """Push again what a halted collector had claimed, once another has finished for it."""
        self.push_whole(who)
        self.drop_whole(who, is_old=True)
        self.start_over(who)
        self.collect_to(0, place)
        self.outrun(0)
        self.push_whole(who)

    @rule(who=COLLECTORS)
    def outrun(self, who: int) -> None:
        """Take the claims of a halted collector over, with one that runs to its end."""
        self.leases_end()
        self.collect_far(1 - who, 15)

    @rule(who=PUSHERS)
    def mount(self, who: int) -> None:
        """Mount the shared layer from the other repository."""
        self.pushers[who].mount(self.shared, self.pushers[1 - who].repository)

    @rule(who=PUSHERS, before=st.integers(0, 4), after=st.integers(0, 4))
    def put(self, who: int, before: int, after: int) -> None:
        """Push the manifest, while collectors go on between its pin, its PUT and its commit."""
        pusher = self.pushers[who]
        if self._is_held_by_a_halted_one(pusher.image.content):
            return
        store = push._store

        def between(*given: Any) -> None:
            self._step(before)
            store(*given)
            self._step(after)

        push._store = between  # type: ignore[assignment]
        try:
            note(f"PUT manifest: {pusher.put()}")
        finally:
            push._store = store

    def _step(self, count: int) -> None:
        for _ in range(count):
            for collector in self.collectors:
                if collector is not None:
                    collector.advance()

    def _is_held_by_a_halted_one(self, content: bytes) -> bool:
        """Whether a push would wait its five seconds for a collector that halts: it is 503."""
        rows = Blob.objects.filter(digest=digest_of(content), state=Blob.State.DELETING)
        return rows.filter(claimed_until__gte=timezone.now()).exists()

    # --- Collectors ---------------------------------------------------------------------------

    @rule(who=COLLECTORS)
    def collect(self, who: int) -> None:
        """Begin a collection, or go on with one."""
        collector = self.collectors[who]
        if collector is None or collector.is_over:
            collector = self.collectors[who] = Collector()
        collector.advance()
        note(f"collector {who} is at {collector.place}")

    def collect_far(self, who: int, steps: int) -> None:
        """Go on for several steps."""
        for _ in range(steps):
            self.collect(who)

    @precondition(lambda self: any(c is not None and not c.is_over for c in self.collectors))
    @rule(who=COLLECTORS)
    def die(self, who: int) -> None:
        """Kill a collector where it is."""
        collector = self.collectors[who]
        if collector is not None and not collector.is_over:
            note(f"collector {who} dies at {collector.place}")
            collector.advance(dies=True)

    # --- Time and people ----------------------------------------------------------------------

    @rule()
    def grace_runs_out(self) -> None:
        """Let everything become old; leases end."""
        pass_time()
        for pusher in self.pushers:
            pusher.is_late = bool(pusher.has or pusher.open)

    @rule()
    def leases_end(self) -> None:
        """Let others take over from who still lives."""
        Blob.objects.filter(state=Blob.State.DELETING).update(claimed_until=timezone.now())

    @rule(who=PUSHERS)
    def start_over(self, who: int) -> None:
        """Forget what one was told: another client, another day."""
        self.pushers[who].has.clear()
        self.pushers[who].is_late = False

    @rule(who=PUSHERS)
    def delete(self, who: int) -> None:
        """Put the image into the trash."""
        pusher = self.pushers[who]
        try:
            trash.delete_artifact(pusher.repository, pusher.image.digest, actor=SYSTEM_ACTOR)
        except DomainError as error:
            note(str(error))

    @rule(who=PUSHERS, is_purge=st.booleans())
    def end_of_trash(self, who: int, *, is_purge: bool) -> None:
        """Restore, or purge, what lies in the trash."""
        repository = self.pushers[who].repository
        entry = repository.trash.filter(state="trashed").first()
        if entry is None:
            return
        act = purging.purge if is_purge else restoring.restore
        try:
            act(repository, entry.pk, actor=SYSTEM_ACTOR)
        except DomainError as error:
            note(str(error))

    # --- What must hold -----------------------------------------------------------------------

    @invariant()
    def acknowledged_is_there(self) -> None:
        """I1: bytes and links of what lives or can be restored, at home or lying aside."""
        shelf = storage()
        aside: set[str] = {digest for _token, digest in shelf.lying_aside()}
        for pusher in self.pushers:
            if not Artifact.objects.filter(
                repository=pusher.repository, body=pusher.image.digest
            ).exists():
                continue
            for content in (pusher.image.content, *pusher.image.blobs):
                digest = digest_of(content)
                kind = "manifest" if content == pusher.image.content else "layer"
                link = Link(pusher.repository.registry_name, kind)  # type: ignore[arg-type]
                assert shelf.size(digest) is not None or digest in aside, f"{digest} is lost"
                assert shelf.has_link(digest, link) or digest in aside, f"{digest} is unlinked"

    def teardown(self) -> None:
        """Come to rest; then everything must be right."""
        for collector in self.collectors:
            while collector is not None and not collector.is_over:
                collector.advance()
        for _ in range(3):
            pass_time()
            collect_all()
        self._require_order()

    def _require_order(self) -> None:
        shelf = storage()
        # I10, and nothing of a lost claim lies about.
        assert list(fsck.findings(lambda _check: None)) == []
        assert list(shelf.lying_aside()) == []
        assert not Blob.objects.exclude(state=Blob.State.LIVE).exists()
        # I4: the quota, and the bytes on disk, are what the images need.
        recount(self.project)
        needed = set(Artifact.objects.values_list("body_id", flat=True))
        needed |= set(Artifact.objects.values_list("blobs__blob_id", flat=True)) - {None}
        stored = settings.MOORAGE_STORAGE_ROOT.glob("docker/registry/v2/blobs/sha256/*/*/data")
        assert {f"sha256:{path.parent.name}" for path in stored} == needed
        assert set(Blob.objects.values_list("digest", flat=True)) == needed
        linked = {row.digest for row in RepositoryBlob.objects.all()}
        assert linked == needed
        for pusher in self.pushers:
            if tagged(pusher.repository, pusher.tag):
                self._require_pull(pusher)

    def _require_pull(self, pusher: Pusher) -> None:
        """I1 and I2: it comes back byte for byte, from the registry itself."""
        answer = pusher.call("GET", f"/v2/{pusher.name}/manifests/{pusher.tag}")
        assert answer.content == pusher.image.content
        for content in pusher.image.blobs:
            found = upstream.registry.get_blob(
                pusher.repository.registry_name, digest_of(content), limit=10_000
            )
            assert found is not None
            assert hashlib.sha256(found).digest() == hashlib.sha256(content).digest()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Put a real registry behind the gateway, in this process."""
    with bare_registry.running(tmp_path) as address:
        client = RegistryClient(address, registry_token)
        for module in (upstream, blobs, precheck, push, uploads):
            monkeypatch.setattr(module, "registry", client, raising=False)
        for module in (garbage_sweep, garbage_links, garbage_tombstones):
            monkeypatch.setattr(module, "hit", halt_at)
        (tmp_path / "storage").mkdir(exist_ok=True)
        with override_settings(
            ROOT_URLCONF="portal.gateway_urls",
            MIDDLEWARE=["portal.middleware.RequestContextMiddleware"],
            MOORAGE_BLOB_DELIVERY="registry",
            MOORAGE_STORAGE_ROOT=tmp_path / "storage",
        ):
            yield address
        client.close()


def test_no_order_of_steps_loses_anything(registry: str) -> None:
    Protocol.address = registry
    Protocol.owner = make_user("owner")
    Protocol.project = projects.create(name="model", owner=Protocol.owner, actor=SYSTEM_ACTOR)
    run_state_machine_as_test(
        Protocol,
        settings=hypothesis_settings(
            max_examples=20 * SOAK,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
