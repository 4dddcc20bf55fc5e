"""A container's health check."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from portal.stack import probe

HEALTH = (
    b'{"components": [{"name": "database", "status": "healthy"},'
    b' {"name": "jobservice", "status": "unhealthy", "error": "x"}]}'
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the programs do."""

    def do_GET(self) -> None:
        found = {"/v2/": (401, b""), "/health": (200, HEALTH), "/text": (200, b"text")}
        status, body = found.get(self.path, (404, b""))
        # The name that every program answers to.
        self.send_response(status if self.headers["Host"] == "localhost" else 400)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server to ask."""
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "expected", "healthy"),
    [
        ("/v2/", "401", True),
        ("/v2/", "200", False),
        ("/nothing", "200", False),
        ("/health", "database", True),
        ("/health", "jobservice", False),
        ("/health", "another", False),
        ("/text", "database", False),
    ],
)
def test_the_answer_decides(address: str, path: str, expected: str, healthy: bool) -> None:  # noqa: FBT001 - a parameter of pytest's
    assert probe.is_healthy(address + path, expected) is healthy


def test_nobody_answers() -> None:
    assert not probe.is_healthy("http://127.0.0.1:1/", "200")
