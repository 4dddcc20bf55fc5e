"""Who may remove a digest: what is claimed, ended and taken over, and what is not."""

import datetime

import pytest
from django.utils import timezone

from accounts.models import Project
from registry_sync import garbage_claims
from registry_sync.garbage_claims import Claim
from registry_sync.models import Blob, Repository, RepositoryBlob
from tests.factories import digest_of, make_blob, make_image, make_link, make_repository, push_image

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


def claim(*digests: str, before: datetime.datetime | None = None) -> Claim:
    """Claim what was not touched since; usually anything."""
    before = before or timezone.now() + DAY
    return garbage_claims.claim(digests, owner="test", before=before)


def lease_ends() -> None:
    """Let every lease be over."""
    Blob.objects.filter(state=Blob.State.DELETING).update(claimed_until=timezone.now())


class TestClaim:
    def test_garbage_is_ours_with_its_bytes(self) -> None:
        digest = make_blob(size=7).digest
        assert claim(digest).sizes == {digest: 7}
        assert Blob.objects.get().state == Blob.State.DELETING

    def test_nothing_that_an_image_came_to_need(self, app: Repository) -> None:
        """Looked at again under the locks, whatever was marked before."""
        image = make_image()
        push_image(app, image)
        assert claim(*map(digest_of, image.blobs)).sizes == {}
        assert claim(image.digest).sizes == {}

    def test_nothing_that_was_touched_within_the_grace(self) -> None:
        digest = make_blob(age=DAY).digest
        assert claim(digest, before=timezone.now() - 2 * DAY).sizes == {}

    def test_nothing_that_another_has_claimed(self) -> None:
        digest = make_blob().digest
        first = claim(digest)
        assert claim(digest).sizes == {}
        assert garbage_claims.held(first) == {digest}

    def test_its_links_count_as_unseen(self, app: Repository) -> None:
        digest = make_blob().digest
        link = make_link(app, digest)
        assert claim(digest).sizes
        link.refresh_from_db()
        assert link.state == RepositoryBlob.State.EXPECTED


class TestTakeOver:
    def test_only_when_the_lease_has_ended(self) -> None:
        digest = make_blob().digest
        first = claim(digest)
        assert garbage_claims.take_over(owner="other") == {}
        lease_ends()
        assert garbage_claims.take_over(owner="other")[first.token].sizes == {digest: 7}
        assert garbage_claims.held(first) == set()


class TestEnd:
    def test_what_is_gone_keeps_its_links_rows(self, app: Repository) -> None:
        """A tombstone looks there for links that come late."""
        digest = make_blob().digest
        make_link(app, digest)
        assert garbage_claims.end(claim(digest), lambda _gone: None) == {digest}
        assert Blob.objects.get().state == Blob.State.GONE
        assert RepositoryBlob.objects.filter(digest=digest).exists()

    def test_who_lost_it_ends_nothing(self) -> None:
        digest = make_blob().digest
        first = claim(digest)
        lease_ends()
        assert garbage_claims.take_over(owner="other")
        assert garbage_claims.end(first, lambda _gone: None) == set()
        assert Blob.objects.get().state == Blob.State.DELETING
