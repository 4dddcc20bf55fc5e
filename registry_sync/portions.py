"""How much one transaction of a long job does: so much as others can wait for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

# SQLite has one writer, and a push waits for whoever writes.
_GOAL_SECONDS = 0.04
# Fewer than that, and most of it is what every transaction costs.
_LEAST = 25


class Portion:
    """A number of rows that follows how long the last ones took."""

    def __init__(self, most: int) -> None:
        """``most``: rows that one transaction does at most; it begins with few."""
        self.size = min(_LEAST, most)
        self._most = most

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Do ``size`` rows in a transaction, and fit the size of the next one.

        Where the disk takes longer to commit than that, as long is spent on the rows: else the job
        would do little but commit. How long it waits for its turn does not count.
        """
        with transaction.atomic():
            begun = time.monotonic()
            yield
            done = time.monotonic()
        committing = time.monotonic() - done
        goal = max(_GOAL_SECONDS, committing)
        # No more than twice as many: the next rows may be larger ones.
        wanted = int(self.size * min(2.0, goal / max(done - begun, 1e-6)))
        self.size = max(min(_LEAST, self._most), min(wanted, self._most))
