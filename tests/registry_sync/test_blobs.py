"""Blob rows: what is announced, seen, told and pinned, in every state of a collection."""

import datetime
from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.errors import Unavailable
from accounts.models import Project
from registry_sync import blobs
from registry_sync.blobs import BlobMissingError
from registry_sync.models import Blob, Repository, RepositoryBlob
from tests.factories import make_blob, make_link, make_repository, some_digest

DIGEST = some_digest("layer")
MANIFEST = some_digest("manifest")
QUARTER = datetime.timedelta(seconds=settings.MOORAGE_GC_GRACE / 4)
SOON = datetime.timedelta(minutes=1)
COLLECTED = [Blob.State.DELETING, Blob.State.GONE]
Expected, Present = RepositoryBlob.State.EXPECTED, RepositoryBlob.State.PRESENT


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


def blob() -> Blob:
    """The row as it is now."""
    return Blob.objects.get(digest=DIGEST)


def link() -> RepositoryBlob:
    """The link as it is now."""
    return RepositoryBlob.objects.get(digest=DIGEST)


def age_of(moment: datetime.datetime) -> datetime.timedelta:
    """How long ago that was."""
    return timezone.now() - moment


def writes(work: Callable[[], object]) -> list[str]:
    """Run the work; return the statements that wrote."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        work()
    return [
        query["sql"]
        for query in captured.captured_queries
        if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))
    ]


class TestExpect:
    def test_an_unknown_digest_gets_a_row_and_a_link(self, app: Repository) -> None:
        blobs.expect(app, DIGEST)
        assert (blob().state, blob().size) == (Blob.State.LIVE, None)
        assert (link().state, link().repository) == (Expected, app)

    def test_present_never_falls_back(self, app: Repository) -> None:
        make_blob(DIGEST)
        make_link(app, DIGEST)
        blobs.expect(app, DIGEST)
        assert link().state == Present

    def test_an_old_one_counts_its_grace_anew(self, app: Repository) -> None:
        make_blob(DIGEST, age=QUARTER * 8)
        make_link(app, DIGEST, age=QUARTER * 8)
        blobs.expect(app, DIGEST)
        assert age_of(blob().touched_at) < SOON
        assert age_of(link().touched_at) < SOON

    def test_a_live_one_keeps_generation_and_size(self, app: Repository) -> None:
        make_blob(DIGEST, generation=5, size=9)
        blobs.expect(app, DIGEST)
        assert (blob().generation, blob().size) == (5, 9)

    def test_a_gone_one_comes_back_as_another_generation(self, app: Repository) -> None:
        make_blob(DIGEST, state=Blob.State.GONE, generation=5, age=QUARTER * 8)
        blobs.expect(app, DIGEST)
        assert blob().state == Blob.State.LIVE
        assert blob().generation != 5
        assert age_of(blob().touched_at) < SOON

    def test_one_in_collection_is_refused_and_left_alone(self, app: Repository) -> None:
        before = make_blob(DIGEST, state=Blob.State.DELETING, age=QUARTER * 8)
        with pytest.raises(BlobMissingError) as error:
            blobs.expect(app, DIGEST)
        assert error.value.digest == DIGEST
        assert (blob().state, blob().touched_at) == (Blob.State.DELETING, before.touched_at)
        assert not RepositoryBlob.objects.exists()

    def test_each_new_row_has_a_generation_of_its_own(self, app: Repository) -> None:
        digests = [some_digest() for _ in range(5)]
        for digest in digests:
            blobs.expect(app, digest)
        assert len(set(Blob.objects.values_list("generation", flat=True))) == 5


class TestConfirm:
    def test_an_announced_one_becomes_present_with_its_size(self, app: Repository) -> None:
        blobs.expect(app, DIGEST)
        blobs.confirm(app, DIGEST, 123)
        assert (link().state, blob().size) == (Present, 123)

    def test_one_that_nobody_announced_is_recorded(self, app: Repository) -> None:
        blobs.confirm(app, DIGEST, 123)
        assert (link().state, blob().state, blob().size) == (Present, Blob.State.LIVE, 123)

    def test_a_known_size_stays(self, app: Repository) -> None:
        make_blob(DIGEST, size=7)
        blobs.confirm(app, DIGEST, 123)
        assert blob().size == 7

    @pytest.mark.parametrize("is_announced", [True, False])
    def test_what_was_said_of_a_link_that_was_collected_since_is_no_proof(
        self, app: Repository, *, is_announced: bool
    ) -> None:
        """The digest lives elsewhere; whatever the registry made must have a row all the same."""
        since = blobs.expect(app, DIGEST)
        RepositoryBlob.objects.all().delete()
        if is_announced:
            blobs.expect(app, DIGEST)
        with pytest.raises(BlobMissingError):
            blobs.confirm(app, DIGEST, 123, since=since)
        assert link().state == Expected

    def test_what_was_said_of_an_earlier_generation_is_no_proof(self, app: Repository) -> None:
        since = blobs.asked(app.pk, DIGEST) or blobs.expect(app, DIGEST)
        Blob.objects.update(generation=since.generation + 1)
        with pytest.raises(BlobMissingError):
            blobs.confirm(app, DIGEST, 123, since=since)
        assert link().state == Expected

    def test_what_was_said_of_these_rows_is_believed(self, app: Repository) -> None:
        blobs.expect(app, DIGEST)
        blobs.confirm(app, DIGEST, 123, since=blobs.asked(app.pk, DIGEST))
        assert (link().state, blob().size) == (Present, 123)

    @pytest.mark.parametrize("state", COLLECTED)
    def test_a_collected_one_is_refused(self, app: Repository, state: str) -> None:
        make_blob(DIGEST, state=state)
        with pytest.raises(BlobMissingError):
            blobs.confirm(app, DIGEST, 123)
        assert blob().state == state
        assert not RepositoryBlob.objects.exists()


class TestPresentSizes:
    def test_only_what_was_seen_here_is_believed(self, app: Repository) -> None:
        """An announcement proves nothing, of whatever lives elsewhere."""
        make_blob(DIGEST, size=7)
        make_link(app, DIGEST, state=Expected)
        assert blobs.present_sizes(app.pk, [DIGEST]) == {}
        RepositoryBlob.objects.update(state=Present)
        assert blobs.present_sizes(app.pk, [DIGEST]) == {DIGEST: 7}

    @pytest.mark.parametrize("state", COLLECTED)
    def test_nothing_that_is_collected(self, app: Repository, state: str) -> None:
        make_blob(DIGEST, size=7, state=state)
        make_link(app, DIGEST)
        assert blobs.present_sizes(app.pk, [DIGEST]) == {}


class TestTouch:
    def test_a_fresh_one_is_not_written(self, app: Repository) -> None:
        make_blob(DIGEST, age=QUARTER - SOON)
        make_link(app, DIGEST, age=QUARTER - SOON)
        assert writes(lambda: blobs.touch(app, DIGEST)) == []

    @pytest.mark.parametrize(("blob_age", "link_age"), [(1, 0), (0, 1), (1, 1)])
    def test_what_is_older_than_a_quarter_of_the_grace_is_written(
        self, app: Repository, blob_age: int, link_age: int
    ) -> None:
        make_blob(DIGEST, age=(QUARTER + SOON) * blob_age)
        make_link(app, DIGEST, age=(QUARTER + SOON) * link_age)
        blobs.touch(app, DIGEST)
        assert age_of(blob().touched_at) < SOON
        assert age_of(link().touched_at) < SOON

    def test_links_in_other_repositories_are_not_touched(
        self, app: Repository, team: Project
    ) -> None:
        make_blob(DIGEST, age=QUARTER * 2)
        make_link(app, DIGEST, age=QUARTER * 2)
        other = make_link(make_repository(team, "other"), DIGEST, age=QUARTER * 2)
        blobs.touch(app, DIGEST)
        other.refresh_from_db()
        assert age_of(other.touched_at) > QUARTER

    @pytest.mark.parametrize("state", COLLECTED)
    def test_a_collected_one_is_refused(self, app: Repository, state: str) -> None:
        make_blob(DIGEST, state=state)
        make_link(app, DIGEST)
        with pytest.raises(BlobMissingError):
            blobs.touch(app, DIGEST)
        assert blob().state == state


def test_a_forgotten_blob_is_only_expected(app: Repository) -> None:
    make_blob(DIGEST)
    make_link(app, DIGEST)
    blobs.forget(app, DIGEST)
    assert link().state == Expected


class TestPin:
    def test_it_returns_each_generation(self, app: Repository) -> None:
        make_blob(DIGEST, generation=5)
        pins = blobs.pin(app, MANIFEST, {DIGEST})
        assert pins == {DIGEST: 5, MANIFEST: Blob.objects.get(digest=MANIFEST).generation}

    def test_the_manifests_own_digest_is_announced(self, app: Repository) -> None:
        blobs.pin(app, MANIFEST, set())
        own = RepositoryBlob.objects.get(digest=MANIFEST)
        assert (own.kind, own.state) == (RepositoryBlob.Kind.MANIFEST, Expected)

    def test_its_own_digest_comes_back_from_gone(self, app: Repository) -> None:
        make_blob(MANIFEST, state=Blob.State.GONE, generation=5)
        pins = blobs.pin(app, MANIFEST, set())
        assert pins[MANIFEST] != 5
        assert Blob.objects.get(digest=MANIFEST).state == Blob.State.LIVE

    def test_its_own_digest_in_collection_is_told(self, app: Repository) -> None:
        make_blob(MANIFEST, state=Blob.State.DELETING)
        with pytest.raises(BlobMissingError) as error:
            blobs.pin(app, MANIFEST, set())
        assert error.value.digest == MANIFEST

    @pytest.mark.parametrize("state", COLLECTED)
    def test_a_collected_reference_is_refused_and_nothing_is_written(
        self, app: Repository, state: str
    ) -> None:
        make_blob(DIGEST, state=state)
        with pytest.raises(BlobMissingError) as error:
            blobs.pin(app, MANIFEST, {DIGEST})
        assert error.value.digest == DIGEST
        assert not Blob.objects.filter(digest=MANIFEST).exists()
        assert not RepositoryBlob.objects.exists()

    def test_old_references_and_their_links_count_their_grace_anew(self, app: Repository) -> None:
        """Else a link could be collected here between the pin and the commit."""
        make_blob(DIGEST, age=QUARTER * 2)
        make_link(app, DIGEST, age=QUARTER * 2)
        blobs.pin(app, MANIFEST, {DIGEST})
        assert age_of(blob().touched_at) < SOON
        assert age_of(link().touched_at) < SOON

    def test_fresh_references_are_not_written(self, app: Repository) -> None:
        make_blob(DIGEST, age=QUARTER - SOON)
        make_link(app, DIGEST, age=QUARTER - SOON)
        blobs.pin(app, MANIFEST, {DIGEST})
        before = (blob().touched_at, link().touched_at)
        blobs.pin(app, MANIFEST, {DIGEST})
        assert (blob().touched_at, link().touched_at) == before


class TestHoldPins:
    @pytest.fixture
    def pins(self, app: Repository) -> dict[str, int]:
        """A manifest pinned with one blob."""
        make_blob(DIGEST)
        make_link(app, DIGEST)
        return blobs.pin(app, MANIFEST, {DIGEST})

    def test_pins_that_hold_and_are_old_are_touched(
        self, app: Repository, pins: dict[str, int]
    ) -> None:
        now = timezone.now() + QUARTER + SOON
        blobs.hold_pins(app, pins, now)
        assert set(Blob.objects.values_list("touched_at", flat=True)) == {now}

    def test_fresh_pins_are_not_written(self, app: Repository, pins: dict[str, int]) -> None:
        before = set(Blob.objects.values_list("touched_at", flat=True))
        blobs.hold_pins(app, pins, timezone.now() + SOON)
        assert set(Blob.objects.values_list("touched_at", flat=True)) == before

    @pytest.mark.parametrize("digest", [DIGEST, MANIFEST])
    @pytest.mark.parametrize(
        "change", [{"state": Blob.State.DELETING}, {"state": Blob.State.GONE}, {"generation": 0}]
    )
    def test_one_that_does_not_hold_is_unavailable(
        self, app: Repository, pins: dict[str, int], digest: str, change: dict[str, object]
    ) -> None:
        Blob.objects.filter(digest=digest).update(**change)
        with pytest.raises(Unavailable):
            blobs.hold_pins(app, pins, timezone.now())

    @pytest.mark.parametrize(
        "change", [{"kind": "manifest", "digest": MANIFEST}, {"digest": DIGEST}]
    )
    def test_one_that_is_not_linked_here_any_more_is_unavailable(
        self, app: Repository, pins: dict[str, int], change: dict[str, str]
    ) -> None:
        """Collection took the link, of a digest that lives on elsewhere."""
        RepositoryBlob.objects.filter(**change).delete()
        with pytest.raises(Unavailable):
            blobs.hold_pins(app, pins, timezone.now())

    def test_one_that_was_announced_anew_is_unavailable(
        self, app: Repository, pins: dict[str, int]
    ) -> None:
        RepositoryBlob.objects.filter(digest=DIGEST).update(state=Expected)
        with pytest.raises(Unavailable):
            blobs.hold_pins(app, pins, timezone.now())

    def test_a_row_that_went_is_unavailable(self, app: Repository, pins: dict[str, int]) -> None:
        Blob.objects.filter(digest=DIGEST).delete()
        with pytest.raises(Unavailable):
            blobs.hold_pins(app, pins, timezone.now())


def test_rows_are_locked_by_digest(app: Repository) -> None:
    """One order everywhere, so that no two pushes wait for each other."""
    digests = [some_digest() for _ in range(6)]
    with CaptureQueriesContext(connection) as captured:
        blobs.pin(app, digests[0], set(digests))
    told = [query["sql"] for query in captured if all(one in query["sql"] for one in digests)]
    # The rows are made, then locked; PostgreSQL is told both at once.
    places = [[sql.index(one) for one in sorted(digests)] for sql in told]
    assert places
    assert all(place == sorted(place) for place in places)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement FROM pg_prepared_statements")
            prepared = [sql for (sql,) in cursor.fetchall() if "FROM registry_sync_blob" in sql]
        assert any("ORDER BY digest\n FOR NO KEY UPDATE" in sql for sql in prepared)
