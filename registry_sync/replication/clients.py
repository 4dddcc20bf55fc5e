"""Clients that go on from one image to the next: connections are kept, and so are tokens."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from registry_sync import remote_registries
from registry_sync.client.managed import ManagedRegistry
from registry_sync.remote_registries import Address

# Of one address; and how long one may lie.
_KEPT = 16
_SECONDS = 60.0

_idle: dict[tuple[Address, str], list[tuple[float, ManagedRegistry]]] = {}
_lock = threading.Lock()


@contextmanager
def borrowed(
    address: Address,
    *,
    via: str = "",
    pause: Callable[[float], None] = time.sleep,
    is_sending: bool = False,
) -> Iterator[ManagedRegistry]:
    """Give a client for one thread, as long as it needs it.

    ``pause`` is how it waits for the registry's sake; ``via`` as for ``client_of``, ``is_sending``
    as the client says.
    """
    key = (address, via)
    client = _taken(key) or remote_registries.client_of(address, via=via)
    client.pause, client.is_sending = pause, is_sending
    yield client
    # Only what came to a good end: of the others nobody knows what is on their connections.
    with _lock:
        kept = _idle.setdefault(key, [])
        if len(kept) < _KEPT:
            kept.append((time.monotonic(), client))


def _taken(key: tuple[Address, str]) -> ManagedRegistry | None:
    oldest = time.monotonic() - _SECONDS
    with _lock:
        for old in [each for each, rows in _idle.items() if not rows or rows[-1][0] < oldest]:
            del _idle[old]
        rows = _idle.get(key)
        return rows.pop()[1] if rows else None


def forget() -> None:
    """Drop every client that is kept."""
    with _lock:
        _idle.clear()
