"""Waiting a little for a digest that is being removed just now, by few threads at once."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django.utils import timezone

from registry_sync import garbage_counters, garbage_sweep
from registry_sync.blobs import BlobMissingError
from registry_sync.configured_storage import storage
from registry_sync.garbage_counters import Counter
from registry_sync.gateway.errors import unavailable
from registry_sync.models import Blob

T = TypeVar("T")

WAIT_SECONDS = 5.0
_POLL_SECONDS = 0.1
# A waiter holds a thread; more than these and pulls would suffer for one collection.
_waiters = threading.BoundedSemaphore(3)


def patiently(digest: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns; while it says that ``digest`` is missing, try it again.

    A removal whose owner died or hangs is finished here. Raises the 503 of who comes too many, or
    waited for too long.
    """
    try:
        return work()
    except BlobMissingError as error:
        if error.digest != digest:
            raise
    if not _waiters.acquire(blocking=False):
        raise unavailable()
    try:
        garbage_counters.count(Counter.WAITS)
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            _finish_abandoned(digest)
            try:
                return work()
            except BlobMissingError as error:
                if error.digest != digest:
                    raise
            time.sleep(_POLL_SECONDS)
    finally:
        _waiters.release()
    raise unavailable()


def _finish_abandoned(digest: str) -> None:
    ended = Blob.objects.filter(digest=digest, state=Blob.State.DELETING)
    if ended.filter(claimed_until__lt=timezone.now()).exists():
        garbage_sweep.finish_abandoned(storage(), owner="a push that waits", only=digest)
