"""A registry client that sends exactly what a test says, and what tests need around it."""

import contextlib
import hashlib
import http.client
import json
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live.images import CONFIG, LAYER, MANIFEST
from tests.live.stack import PATIENCE, ROOT, Stack, environment

Body = bytes | Iterable[bytes] | None
PASSWORD = "a-password-of-a-member"


def digest_of(content: bytes) -> str:
    """Return a content's digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def unique(word: str) -> str:
    """Return a name that no other test uses."""
    return f"{word}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a registry error, which must be JSON in the specification's form."""
        assert self.headers.get_content_type() == "application/json", self.body[:200]
        return str(self.json["errors"][0]["code"])

    @property
    def upload(self) -> str:
        """Where the upload goes on."""
        return self.headers["Location"]


@dataclass(frozen=True)
class Client:
    """Sends requests to one port with one token; nothing is normalised, followed or tried again."""

    port: int
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        target: str,
        body: Body = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """Send one request, a body that is not bytes in chunks, and return the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            self._send(connection, method, target, body, list(headers))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        body: Body,
        headers: list[tuple[str, str]],
    ) -> None:
        connection.putrequest(method, target, skip_accept_encoding=True)
        if self.token:
            connection.putheader("Authorization", f"Bearer {self.token}")
        for name, value in [*self.headers.items(), *headers]:
            connection.putheader(name, value)
        is_chunked = body is not None and not isinstance(body, bytes)
        if is_chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif isinstance(body, bytes):
            connection.putheader("Content-Length", str(len(body)))
        # A server that refuses early need not read all of it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.endheaders(body, encode_chunked=is_chunked)

    # --- Pushing ----------------------------------------------------------------------------------

    def start_upload(self, name: str, query: str = "") -> Answer:
        """POST a new upload."""
        return self.ask("POST", f"/v2/{name}/blobs/uploads/{query}", b"")

    def push_blob(self, name: str, content: bytes) -> str:
        """Upload a blob in one PUT; return its digest."""
        digest = digest_of(content)
        started = self.start_upload(name)
        assert started.status == 202, started.body
        finished = self.ask("PUT", f"{started.upload}&digest={digest}", content)
        assert finished.status == 201, finished.body
        assert finished.headers["Docker-Content-Digest"] == digest
        return digest

    def push_manifest(
        self, name: str, reference: str, content: bytes, media_type: str = MANIFEST
    ) -> Answer:
        """PUT a manifest."""
        return self.ask(
            "PUT", f"/v2/{name}/manifests/{reference}", content, [("Content-Type", media_type)]
        )

    def push_image(self, name: str, tag: str = "latest", seed: bytes = b"") -> "Image":
        """Push an image of one config and one layer."""
        image = make_image(seed or name.encode())
        for blob in (image.config, image.layer):
            self.push_blob(name, blob)
        pushed = self.push_manifest(name, tag, image.manifest)
        assert pushed.status == 201, pushed.body
        return image


@dataclass(frozen=True)
class Image:
    """An image's three parts."""

    config: bytes
    layer: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest_of(self.manifest)


def make_image(seed: bytes) -> Image:
    """Make an image of its own for each seed."""
    layer = b"layer " + seed
    rootfs = {"type": "layers", "diff_ids": [digest_of(layer)]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": digest_of(layer), "size": len(layer)}],
    }
    return Image(config, layer, json.dumps(manifest).encode())


# --- Around a stack -------------------------------------------------------------------------------


def client(stack: Stack, scope: str, username: str = "admin", password: str = "") -> Client:
    """Return a client with a token for a scope; an empty username asks as nobody."""
    return Client(stack.port, stack.token(scope, username, password))


def pusher(stack: Stack, name: str, **who: str) -> Client:
    """Return a client that may push to, pull from and delete in a repository."""
    return client(stack, f"repository:{name}:pull,push,delete", **who)


def raw(stack: Stack, request: str) -> bytes:
    """Send these very bytes; return everything that comes back.

    A server that closes without having read all of them resets the connection, and its answer may
    be lost with it: then they are sent again.
    """
    received = b""
    for _attempt in range(5):
        with (
            contextlib.suppress(ConnectionResetError, BrokenPipeError),
            socket.create_connection(("127.0.0.1", stack.port), timeout=10) as connection,
        ):
            connection.sendall(request.encode())
            while part := connection.recv(65536):
                received += part
        if received:
            break
    return received


def registry_port(stack: Stack) -> int:
    """Return the registry's own port, which only programs on this machine reach."""
    return int(json.loads((stack.home / "ports.json").read_text())["registry"])


def make_project(stack: Stack, *, is_public: bool = False, name: str = "") -> str:
    """Make a project of the administrator's through the API; return its name."""
    name = name or unique("project")
    made = stack.request(
        "POST",
        "/api/v2.0/projects",
        auth=("admin", stack.admin_password),
        json={"project_name": name, "metadata": {"public": "true" if is_public else "false"}},
    )
    assert made.status_code == 201, made.text
    return name


def make_user(stack: Stack) -> str:
    """Make a user through the API; return the name."""
    name = unique("user")
    made = stack.request(
        "POST",
        "/api/v2.0/users",
        auth=("admin", stack.admin_password),
        json={
            "username": name,
            "password": PASSWORD,
            "email": f"{name}@example.com",
            "realname": name,
        },
    )
    assert made.status_code == 201, made.text
    return name


def run_in(stack: Stack, code: str) -> str:
    """Run Python in the stack's home, as an operator does with `manage.py shell`."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", code],
        env=environment(stack.home, stack.port, **stack.settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def blobs_of(layout: Path) -> dict[str, bytes]:
    """Return every blob of a layout by its digest, having checked it."""
    blobs = {f"sha256:{path.name}": path.read_bytes() for path in layout.glob("blobs/sha256/*")}
    assert blobs
    assert all(digest_of(content) == digest for digest, content in blobs.items())
    return blobs
