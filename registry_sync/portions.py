"""How much one transaction of a long job does: so much as others can wait for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

# SQLite has one writer, and a push waits for whoever writes.
_GOAL_SECONDS = 0.04
_LEAST = 10


class Portion:
    """A number of rows that follows how long the last ones took."""

    def __init__(self, most: int) -> None:
        """``most``: rows that one transaction does at most; it begins with few."""
        self.size = min(_LEAST, most)
        self._most = most

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Time the work of ``size`` rows, within its transaction: not how long it waited."""
        begun = time.monotonic()
        yield
        took = max(time.monotonic() - begun, 1e-6)
        # No more than twice as many: the next rows may be larger ones.
        wanted = int(self.size * min(2.0, _GOAL_SECONDS / took))
        self.size = max(min(_LEAST, self._most), min(wanted, self._most))
