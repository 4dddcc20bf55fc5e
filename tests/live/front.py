"""nginx with its rendered configuration, between upstreams that say what they were asked."""

import http.client
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from portal.stack import checks
from portal.stack.home import Home
from portal.stack.render import Site, render_nginx
from tests.live.stack import wait_for
from tests.ports import free_port
from tests.servers import QuietServer


@dataclass
class Upstream:
    """A server that remembers its requests and answers as it was told."""

    name: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    def tell(self, status: int, **headers: str) -> None:
        """Set the answer to come; headers are written ``X_Name``."""
        self.status, self.headers = status, {k.replace("_", "-"): v for k, v in headers.items()}
        self.seen.clear()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body go out together: nginx ends a sub-request when it has the head.
    wbufsize = -1
    upstream: Upstream

    def handle_any(self) -> None:
        upstream = self.upstream
        body = self._body()
        upstream.seen.append(
            {
                "method": self.command,
                "path": self.path,
                "headers": {k.lower(): v for k, v in self.headers.items()},
                "accept": self.headers.get_all("Accept", []),
                "body": body,
            }
        )
        text = upstream.name.encode()
        self.send_response(upstream.status)
        for name, value in upstream.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Front:
    """A running nginx with its three upstreams."""

    port: int
    mirror_port: int
    home: Home
    gateway: Upstream
    web: Upstream
    registry: Upstream

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
        port: int = 0,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request with the path exactly as given; ``port`` 0 is the main listener's."""
        port = port or self.port
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return response.status, named, response.read()


@contextmanager
def started(root: Path) -> Iterator[Front]:
    """Start everything, with its files under ``root``."""
    home = Home(root, root / "storage")
    for folder in (home.run, home.storage, root / "static"):
        folder.mkdir()
    servers, upstreams = [], {}
    for name in ("gateway", "web", "registry"):
        upstream = upstreams[name] = Upstream(name)
        handler = type(name, (Handler,), {"upstream": upstream})
        server = QuietServer(("127.0.0.1", 0), handler)
        upstream.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
    port, mirror_port = free_port(), free_port()
    ports = {name: upstream.port for name, upstream in upstreams.items()}
    site = Site(
        "127.0.0.1",
        port,
        "https://registry.test",
        root / "static",
        "s",
        "i",
        ports,
        mirror_port=mirror_port,
    )
    render_nginx(home, site)
    command = [checks.programs()["nginx"], "-p", f"{home.run}/nginx/", "-e", "stderr"]
    log = (root / "error.log").open("wb")
    nginx = subprocess.Popen(
        [*command, "-c", str(home.run / "nginx.conf")], stdout=subprocess.DEVNULL, stderr=log
    )
    front = Front(port, mirror_port, home, **upstreams)

    def listens() -> bool:
        assert nginx.poll() is None, (root / "error.log").read_text()
        try:
            return front.ask("GET", "/")[0] == 200
        except OSError:
            return False

    try:
        wait_for(listens, "nginx")
        yield front
    finally:
        nginx.terminate()
        nginx.wait()
        log.close()
        for server in servers:
            server.shutdown()
            server.server_close()
