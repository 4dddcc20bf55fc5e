"""HTTP servers in the tests' own process."""

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class QuietServer(ThreadingHTTPServer):
    """One that a client may leave in the middle: that is nobody's failure."""

    # Where the queue is full, a client waits for a second.
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, except that the client is gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
