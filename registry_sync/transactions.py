"""A change as one transaction that begins again where the database made it give way."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection, transaction

T = TypeVar("T")

TRIES = 5
_PAUSE_SECONDS = 0.02
# PostgreSQL's deadlock_detected and serialization_failure.
_GAVE_WAY = frozenset({"40P01", "40001"})
# SQLITE_BUSY and SQLITE_LOCKED; what is above the lowest byte only tells why.
_BUSY = frozenset({5, 6})
_WAIT_SECONDS = 20


def run(work: Callable[[], T]) -> T:
    """Run ``work`` in a transaction and return what it returns.

    Where it is chosen to end a deadlock, or SQLite is busy, the whole of it is run again, a few
    times: it must do nothing outside the database. Within a transaction it is a part of that one,
    and only the outermost is run again.
    """
    if connection.in_atomic_block:
        with transaction.atomic():
            return work()
    patience = time.monotonic() + _WAIT_SECONDS
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            if not left or time.monotonic() > patience or not _gave_way(error):
                raise
        # Not at the same moment as the other one.
        time.sleep(random.uniform(0, _PAUSE_SECONDS * (TRIES - left)))  # noqa: S311
    raise AssertionError("the last try returns or raises")


def _gave_way(error: OperationalError) -> bool:
    cause = error.__cause__
    if getattr(cause, "pgcode", None) in _GAVE_WAY:
        return True
    code = getattr(cause, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BUSY
