"""Holds an answer to a pace: a time-out of each read alone lets a byte a minute go on for ever."""

import http.client
import io
import time
from typing import Any

# The longest that nothing at all may come.
READ_SECONDS = 60
# What has to come in so many seconds of waiting, in bytes; the waiting alone counts, so that
# whoever takes it in slowly is not held against the other side.
_WINDOW_SECONDS = 60.0
_LEAST_BYTES = 32 * 1024


class _Paced(io.RawIOBase):
    """What a socket gives, for as long as it gives enough."""

    def __init__(self, raw: io.RawIOBase) -> None:
        """``raw`` reads the socket."""
        self._raw = raw
        self._waited = 0.0
        self._came = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """Read what there is. Raises ``TimeoutError`` where that is too little for too long."""
        began = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited += time.monotonic() - began
        self._came += count or 0
        if self._waited >= _WINDOW_SECONDS:
            if self._came < _LEAST_BYTES:
                raise TimeoutError("too little came")
            self._waited, self._came = 0.0, 0
        return count

    def close(self) -> None:
        """Close what is read."""
        self._raw.close()
        super().close()


class PacedAnswer(http.client.HTTPResponse):
    """An answer whose head and body come at a pace."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As ``http.client.HTTPResponse``."""
        super().__init__(*arguments, **options)
        self.fp = io.BufferedReader(_Paced(self.fp.detach()))
