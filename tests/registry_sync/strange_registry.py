"""A registry that answers as a test says, and what tests of hostile ones need."""

import contextlib
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import BinaryIO

from registry_sync.client import outbound
from registry_sync.client.remote import RemoteRegistry
from tests.servers import QuietServer


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    authorization: str
    body: bytes
    # The port from which it came: each connection has one of its own.
    peer: int
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Server:
    """A registry that answers as a test says."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Answer] = lambda _asked: (404, {}, b"")

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: object) -> RemoteRegistry:
        """Make a client that may reach it and does not wait."""
        session = outbound.session(outbound.OPERATOR)
        client = RemoteRegistry(self.url, session=session, **options)  # type: ignore[arg-type]
        client.pause = lambda _seconds: None
        return client


def served(address: str = "127.0.0.1") -> Iterator[Server]:
    """Run one while a fixture is in use."""
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            authorization = self.headers.get("Authorization", "")
            peer, given = self.client_address[1], dict(self.headers)
            asked = Asked(self.command, self.path, authorization, body, peer, given)
            made.asked.append(asked)
            status, headers, content = made.answer(asked)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    running = QuietServer((address, 0), Handler)
    made.port = running.server_address[1]
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    running.shutdown()
    running.server_close()
    thread.join()


def opener(content: bytes) -> Callable[[int], contextlib.AbstractContextManager[BinaryIO]]:
    """Return what opens these bytes at an offset."""

    @contextlib.contextmanager
    def opened(offset: int) -> Iterator[BinaryIO]:
        yield io.BytesIO(content[offset:])

    return opened


def challenge(realm: str) -> dict[str, str]:
    """Return the header that sends for a token."""
    return {"WWW-Authenticate": f'Bearer realm="{realm}",service="s",scope="x"'}
