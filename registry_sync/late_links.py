"""Links that the registry made after collection had dropped their rows.

Collection finds by rows alone: a link that has none would lie there for ever.
"""

import contextlib
from collections.abc import Iterator

from django.utils import timezone

from accounts.errors import Unavailable
from registry_sync import blobs, transactions
from registry_sync.models import Blob, Repository, RepositoryBlob


@contextlib.contextmanager
def announced_again(repository: Repository, manifest_digest: str) -> Iterator[None]:
    """Where the commit of a stored manifest is refused, see to it that its link has a row."""
    try:
        yield
    except Unavailable:
        transactions.run(lambda: _announce(repository, manifest_digest))
        raise


def _announce(repository: Repository, digest: str) -> None:
    rows = Blob.objects.select_for_update(no_key=True).filter(digest=digest)
    # What is not live is looked at again by collection itself.
    if any(row.state == Blob.State.LIVE for row in rows):
        kind, state = RepositoryBlob.Kind.MANIFEST, RepositoryBlob.State.EXPECTED
        blobs.link(repository, [digest], kind, state, timezone.now())
