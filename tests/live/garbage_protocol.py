"""The protocol of pushes and collection as a state machine, over a real registry and storage.

The actions are those of the model that the protocol was checked with: pushers in two repositories
that share a layer; two collectors that stop at each numbered step, die there, or go on long after
others have taken their claims over; deletion, restoring, purge; and time that may be over anywhere,
also while a push asks the registry. After each step: what was acknowledged is there. In the end: it
is pulled back identical, quotas add up, fsck is clean, and what nothing needs is gone, to the byte.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone
from hypothesis import currently_in_test_context, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from accounts.errors import DomainError
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from registry_sync import catalog, fsck, purging, restoring, trash, upstream
from registry_sync.client.registry import RegistryClient
from registry_sync.configured_storage import storage
from registry_sync.models import Artifact, ArtifactBlob, Blob, Repository, RepositoryBlob
from registry_sync.storage.base import Link
from tests.factories import digest_of, make_image
from tests.live.garbage_actors import Collector, Pusher, collect_all, tagged
from tests.registry_sync.collecting import pass_time
from tests.registry_sync.trashing import recount

PUSHERS = st.integers(0, 1)
OWNERS = st.integers(0, 3)
COLLECTORS = st.integers(0, 1)
PLACES = ("gc.marked", "gc.claimed", "gc.links_aside", "gc.bytes_aside", "gc.checked", "end")


@dataclass(frozen=True, slots=True)
class Turn:
    """What others do while a request is at the registry, before it is answered there or after."""

    is_before: bool = True
    # Steps of each collector under way.
    steps: int = 0
    # Where a collector comes for which the grace has run out, or nowhere.
    place: str = ""
    is_pushed_by_others: bool = False


TURNS = st.one_of(
    st.just(Turn()),
    st.builds(Turn, st.booleans(), st.integers(0, 4)),
    st.builds(Turn, st.booleans(), place=st.sampled_from(PLACES)),
    st.booleans().map(lambda is_: Turn(is_before=is_, place="end", is_pushed_by_others=True)),
)


def _note(words: str) -> None:
    """Tell what happened, where a sequence that failed is printed."""
    if currently_in_test_context():
        note(words)


class Protocol(RuleBasedStateMachine):
    """Every action of the model; what must hold after each, and at the end."""

    address = ""
    client: RegistryClient
    owner: User
    project: Project

    def __init__(self) -> None:
        """Two repositories, two images with one layer in common, each pushed to both."""
        super().__init__()
        number = Repository.objects.count()
        self.shared = make_image(f"shared {number}").blobs[1]
        homes = [catalog.open_repository(self.project.pk, f"r{number + n}") for n in range(2)]
        images = [make_image(f"image {number} {n}", layers=(self.shared,)) for n in range(2)]
        self.pushers = [
            Pusher(homes[n], images[n], self.address, self.owner, tag="latest") for n in range(2)
        ]
        # Others, who push the same images, each into the other repository.
        self.pushers += [
            Pusher(homes[1 - n], images[n], self.address, self.owner, tag="copy") for n in range(2)
        ]
        self.collectors: list[Collector | None] = [None, None]
        self._is_interrupted = False

    # --- Pushers ------------------------------------------------------------------------------

    @rule(who=PUSHERS, part=st.integers(0, 1), turn=TURNS)
    def head(self, who: int, part: int, turn: Turn) -> None:
        """HEAD a blob; the registry is asked where it was not seen there yet."""
        with self._interrupted("head_blob", who, turn):
            self.pushers[who].head(self.pushers[who].image.blobs[part])

    @rule(who=PUSHERS, part=st.integers(0, 1))
    def begin(self, who: int, part: int) -> None:
        """Open an upload and pass the precheck."""
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
            if pusher.head(content) != 200:
                pusher.begin(content)
                if digest_of(content) in pusher.open:
                    pusher.finish(content)

    @rule(who=PUSHERS)
    def push_whole(self, who: int) -> None:
        """Push an image from beginning to end."""
        self.upload_what_is_missing(who)
        _note(f"PUT manifest: {self.pushers[who].put()}")

    @rule(who=OWNERS, is_old=st.booleans())
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

    @rule(who=PUSHERS, turn=TURNS)
    def mount(self, who: int, turn: Turn) -> None:
        """Mount the shared layer from the other repository."""
        with self._interrupted("start_upload", who, turn):
            self.pushers[who].mount(self.shared, self.pushers[1 - who].repository)

    @rule(who=PUSHERS, turn=TURNS)
    def put(self, who: int, turn: Turn) -> None:
        """Push the manifest; between its pin, its PUT and its commit others go on."""
        with self._interrupted("put_manifest", who, turn):
            _note(f"PUT manifest: {self.pushers[who].put()}")

    @contextmanager
    def _interrupted(self, request: str, who: int, turn: Turn) -> Iterator[None]:
        """Let others have their turn just before the registry is asked, or just after."""
        ask = getattr(self.client, request)

        def asked(*given: Any, **more: Any) -> Any:
            if not self._is_interrupted:
                self._is_interrupted = True
                if turn.is_before:
                    self._others_go_on(who, turn)
                    return ask(*given, **more)
                answer = ask(*given, **more)
                self._others_go_on(who, turn)
                return answer
            return ask(*given, **more)

        setattr(self.client, request, asked)
        try:
            yield
        finally:
            delattr(self.client, request)
            self._is_interrupted = False

    def _others_go_on(self, who: int, turn: Turn) -> None:
        for _ in range(turn.steps):
            for collector in self.collectors:
                if collector is not None:
                    collector.advance()
        if turn.place:
            self.grace_runs_out()
            self.collect_to(0, turn.place)
        if turn.is_pushed_by_others:
            self.push_whole(who + 2)

    # --- Collectors ---------------------------------------------------------------------------

    @rule(who=COLLECTORS)
    def collect(self, who: int) -> None:
        """Begin a collection, or go on with one."""
        collector = self.collectors[who]
        if collector is None or collector.is_over:
            collector = self.collectors[who] = Collector()
        collector.advance()
        _note(f"collector {who} is at {collector.place}")

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
            _note(f"collector {who} dies at {collector.place}")
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

    @rule(who=OWNERS)
    def delete(self, who: int) -> None:
        """Put the image into the trash."""
        pusher = self.pushers[who]
        try:
            trash.delete_artifact(pusher.repository, pusher.image.digest, actor=SYSTEM_ACTOR)
        except DomainError as error:
            _note(str(error))

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
            _note(str(error))

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
                assert Blob.objects.get(digest=digest).state == Blob.State.LIVE
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
        linked = set(RepositoryBlob.objects.values_list("repository", "digest"))
        own = set(Artifact.objects.values_list("repository", "body_id"))
        layers = ArtifactBlob.objects.values_list("artifact__repository", "blob_id")
        assert linked == own | set(layers)
        # Not a link without a row: nobody would ever find it.
        links = settings.MOORAGE_STORAGE_ROOT.glob("docker/registry/v2/repositories/**/link")
        assert len([path for path in links if "_uploads" not in path.parts]) == len(linked)
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
