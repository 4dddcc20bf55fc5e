"""How many requests the gateway works on at a time: few, for they share one interpreter.

There are more threads than places. Who waits for an upstream, or sends what comes from there, holds
a thread and no place, so that a slow upstream never holds up a pull.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.http import HttpRequest, HttpResponse

PLACES = 8
_places = threading.BoundedSemaphore(PLACES)
_held = threading.local()


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a request in once there is a place; a body that is streamed has none any more."""

    def answer(request: HttpRequest) -> HttpResponse:
        with _places:
            _held.is_held = True
            try:
                return get_response(request)
            finally:
                _held.is_held = False

    return answer


@contextmanager
def given_up() -> Iterator[None]:
    """Give the place up for as long as somebody else is waited for."""
    if not getattr(_held, "is_held", False):
        yield
        return
    _places.release()
    try:
        yield
    finally:
        _places.acquire()
