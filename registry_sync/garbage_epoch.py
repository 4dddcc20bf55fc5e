"""Keeps a database that was restored from a backup from collecting a storage that is newer.

What was pushed after the backup is unknown to such a database, and what it calls garbage may be
needed again. Both hold the same text, which moves on together with every run and every hour.
"""

import secrets

from django.utils import timezone

from accounts import audit
from accounts.errors import PreconditionFailed
from accounts.principals import Actor
from registry_sync import transactions
from registry_sync.models import StorageEpoch
from registry_sync.storage.base import Storage


class InterlockError(PreconditionFailed):
    """Database and storage do not belong together: nothing may be removed."""


def require(storage: Storage) -> None:
    """Raise ``InterlockError`` unless storage and database are of the same epoch.

    The very first time they are joined here.
    """
    marker, row = storage.read_marker(), StorageEpoch.objects.first()
    if row is None and not marker:
        _move(storage, "")
    elif row is None:
        raise InterlockError(
            "the storage belongs to another database, or to one that was emptied: "
            "nothing is removed until `manage.py reconcile --adopt` has passed"
        )
    elif not marker:
        raise InterlockError(
            "the storage has lost its marker, or is another one: "
            "nothing is removed until `manage.py reconcile --adopt` has passed"
        )
    elif marker not in {row.current, row.previous}:
        raise InterlockError(
            "the database is older than the storage, as after a restored backup: "
            "nothing is removed until `manage.py reconcile --adopt` has passed"
        )


def advance(storage: Storage) -> None:
    """Move both on, if they belong together. Raises ``InterlockError`` where not."""
    require(storage)
    _move(storage, storage.read_marker())


def adopt(storage: Storage, *, actor: Actor) -> None:
    """Join them again: whoever calls has reconciled what they hold."""
    audit.record(actor, "adopt_storage", "storage")
    _move(storage, storage.read_marker())


def _move(storage: Storage, previous: str) -> None:
    """Database first: cut off in between, the marker is the previous one."""
    new = secrets.token_hex(16)

    def work() -> None:
        StorageEpoch.objects.update_or_create(
            pk=1, defaults={"current": new, "previous": previous, "moved_at": timezone.now()}
        )

    transactions.run(work)
    storage.write_marker(new)
