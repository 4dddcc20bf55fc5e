"""One at a time for each thing: of many who want the same, one asks the upstream."""

import threading
from collections.abc import Hashable
from weakref import WeakValueDictionary


class Turns:
    """A lock for each thing, kept for as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        """Nobody waits for anything yet."""
        self._locks: WeakValueDictionary[Hashable, threading.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()

    def of(self, thing: Hashable) -> threading.Lock:
        """Return the lock of a thing, the same to all who want it at a time."""
        with self._lock:
            return self._locks.setdefault(thing, threading.Lock())
