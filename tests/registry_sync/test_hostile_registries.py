"""Registries that mean harm: where they send us, what they make us read, and for how long."""

import contextlib
import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from registry_sync.client import outbound, pace, source
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.registry import RegistryClient
from registry_sync.client.remote import RemoteRegistry
from registry_sync.manifests import IMAGE_TYPES
from tests.registry_sync.strange_registry import Answer, Asked, Server, challenge, opener, served

CONTENT = bytes(range(256)) * 20
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
PASSWORD: dict[str, Any] = {"username": "mover", "password": "secret"}


@pytest.fixture
def server() -> Iterator[Server]:
    """Start one."""
    yield from served()


@pytest.fixture
def evil() -> Iterator[Server]:
    """Start another one, to which nothing of ours should come."""
    yield from served()


# --- Where they send us ---------------------------------------------------------------------------

# Read as 127.0.0.1 by one parser and as localhost by the one that connects.
_TWO_FACED = r"http://localhost:{port}\@127.0.0.1/token"
_ELSEWHERE = (
    _TWO_FACED,
    "http://127.0.0.1@localhost:{port}/token",
    "http://localhost:{port}/token#@127.0.0.1/",
    "//localhost:{port}/token",
    "file:///etc/passwd",
    "",
)


@pytest.mark.parametrize("realm", _ELSEWHERE)
def test_a_password_goes_to_no_realm_that_looks_like_ours(
    server: Server, evil: Server, realm: str
) -> None:
    server.answer = lambda _asked: (401, challenge(realm.format(port=evil.port)), b"")
    with pytest.raises(RegistryUnavailableError):
        server.client(**PASSWORD).ping()
    assert evil.asked == []


@pytest.mark.parametrize("place", _ELSEWHERE)
def test_bytes_go_to_no_place_that_looks_like_ours(
    server: Server, evil: Server, place: str
) -> None:
    location = {"Location": place.format(port=evil.port)}
    server.answer = lambda _asked: (202, location, b"")
    with pytest.raises(RegistryUnavailableError):
        server.client().put_blob("a/b", DIGEST, len(CONTENT), opener(CONTENT))
    assert evil.asked == []


def test_a_password_goes_to_no_realm_in_the_clear(server: Server) -> None:
    client = RemoteRegistry("https://127.0.0.1", **PASSWORD)
    with pytest.raises(RegistryUnavailableError, match="another host"):
        client._token({"realm": f"{server.url}/token"}, "")
    assert server.asked == []


class Internet:
    """Names and public addresses that lead to servers of this test."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.names: dict[str, list[str]] = {}
        self.places: dict[str, int] = {}
        self.connected: list[str] = []
        self.resolved: list[str] = []

    def find(self, host: str, port: object, *_more: object, **_options: object) -> list[object]:
        """Stand in for ``getaddrinfo``: a name's addresses, each time the next ones."""
        self.resolved.append(host)
        known = self.names.get(host, [host])
        address = known.pop(0) if len(known) > 1 else known[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    """Put one between us and the servers."""
    made = Internet()

    class Socket(socket.socket):
        def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]
            made.connected.append(address[0])
            if address[0] not in made.places:
                raise ConnectionRefusedError
            super().connect(("127.0.0.1", made.places[address[0]]))

    monkeypatch.setattr(socket, "socket", Socket)
    monkeypatch.setattr(socket, "getaddrinfo", made.find)
    return made


_PUBLIC, _STORAGE, _PRIVATE = "93.184.216.34", "93.184.216.35", "10.1.2.3"


def administrators_client() -> RemoteRegistry:
    session = outbound.session(outbound.administrators([]))
    return RemoteRegistry("http://registry.example", session=session)


def test_a_registry_on_the_internet_leads_to_no_private_address(
    server: Server, evil: Server, internet: Internet
) -> None:
    internet.names = {"registry.example": [_PUBLIC], "inner.example": [_PRIVATE]}
    internet.places = {_PUBLIC: server.port, _PRIVATE: evil.port}
    for place in (f"http://{_PRIVATE}/admin", "http://inner.example/admin"):
        server.answer = lambda _asked, place=place: (307, {"Location": place}, b"")  # type: ignore[misc]
        client = administrators_client()
        with pytest.raises(RegistryUnavailableError), client.open_blob("a/b", DIGEST):
            pass
        server.answer = lambda _asked, place=place: (401, challenge(place), b"")  # type: ignore[misc]
        with pytest.raises(RegistryUnavailableError):
            client.tags("a/b")
    assert evil.asked == []
    assert _PRIVATE not in internet.connected


def test_but_one_of_our_own_network_does(server: Server, evil: Server, internet: Internet) -> None:
    internet.names = {"registry.example": [_PRIVATE], "storage.example": ["10.1.2.4"]}
    internet.places = {_PRIVATE: server.port, "10.1.2.4": evil.port}
    server.answer = lambda _asked: (307, {"Location": "http://storage.example/blob"}, b"")
    evil.answer = lambda _asked: (200, {}, CONTENT)
    with administrators_client().open_blob("a/b", DIGEST) as parts:
        assert parts is not None
        assert b"".join(parts) == CONTENT


def test_and_the_internet_leads_to_the_internet(
    server: Server, evil: Server, internet: Internet
) -> None:
    internet.names = {"registry.example": [_PUBLIC], "storage.example": [_STORAGE]}
    internet.places = {_PUBLIC: server.port, _STORAGE: evil.port}
    server.answer = lambda _asked: (307, {"Location": "http://storage.example/blob"}, b"")
    evil.answer = lambda _asked: (200, {}, CONTENT)
    with administrators_client().open_blob("a/b", DIGEST) as parts:
        assert parts is not None
        assert b"".join(parts) == CONTENT


def test_a_name_that_changes_its_address_is_looked_at_where_it_is_connected_to(
    server: Server, internet: Internet
) -> None:
    """The first answer is harmless, the next one is this host: nothing asks twice."""
    internet.places = {_PUBLIC: server.port, "127.0.0.1": server.port}
    internet.names = {"registry.example": [_PUBLIC, "127.0.0.1"]}
    server.answer = lambda _asked: (200, {"Connection": "close"}, b"{}")
    client = administrators_client()
    client.ping()
    assert (internet.resolved, internet.connected) == (["registry.example"], [_PUBLIC])
    with pytest.raises(RegistryUnavailableError):
        client.ping()
    assert internet.connected == [_PUBLIC]


def test_nobody_is_known_again_by_what_was_set(server: Server) -> None:
    headers: list[str] = []
    client = server.client()
    server.answer = lambda _asked: (200, {"Set-Cookie": "sid=1; Path=/"}, b"{}")
    client.ping()
    prepared = client._session.prepare_request(requests.Request("GET", server.url))
    headers += [name for name in prepared.headers if name.lower() == "cookie"]
    assert headers == []


# --- What they make us read -----------------------------------------------------------------------

BOMB = gzip.compress(b" " * 50_000_000, compresslevel=1)


def answers_of(client: RemoteRegistry) -> dict[str, Callable[[], object]]:
    """Return everything that reads an answer's body."""

    def blob() -> bytes:
        with client.open_blob("a/b", DIGEST) as parts:
            return b"".join(parts or ())

    return {
        "tags": lambda: client.tags("a/b"),
        "repositories": lambda: list(client.repositories()),
        "referrers": lambda: client.referrers("a/b", DIGEST),
        "manifest": lambda: client.manifest("a/b", "v1", types=IMAGE_TYPES, limit=1000),
        "token": lambda: client._token({"realm": f"{client._base}/token"}, ""),
        "blob": blob,
    }


READS = tuple(answers_of(RemoteRegistry("http://x")))


@pytest.mark.parametrize("what", READS)
def test_what_is_compressed_is_not_unpacked(
    server: Server, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(*_arguments: object) -> None:
        pytest.fail("it was unpacked")

    monkeypatch.setattr("urllib3.response._get_decoder", unpack)
    server.answer = lambda _asked: (200, {"Content-Encoding": "gzip"}, BOMB)
    with pytest.raises(RegistryUnavailableError, match="compressed"):
        answers_of(server.client())[what]()


@pytest.mark.parametrize("content", [b"[" * 200_000, b"\xff\xfe", b"null", b"[]", b'"x"', b"{}"])
@pytest.mark.parametrize("what", ["tags", "repositories", "referrers", "token"])
def test_what_is_no_answer_is_said_to_be_none(server: Server, what: str, content: bytes) -> None:
    server.answer = lambda _asked: (200, {}, content)
    with pytest.raises(RegistryUnavailableError, match="cannot be read"):
        answers_of(server.client())[what]()


def test_a_list_without_an_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MAX_PAGES", 20)

    def answer(_asked: Asked) -> Answer:
        link = f'</v2/a/b/tags/list?last={len(server.asked)}>; rel="next"'
        return 200, {"Link": link}, b'{"tags": ["v1"]}'

    server.answer = answer
    with pytest.raises(RegistryUnavailableError, match="no end"):
        server.client().tags("a/b")
    assert len(server.asked) == 20


@pytest.mark.parametrize("length", ["-1", "²", "x", "9" * 30])
def test_a_length_that_is_none(server: Server, length: str) -> None:
    server.answer = lambda _asked: (200, {"Content-Length": length}, b"")
    with pytest.raises(RegistryUnavailableError):
        server.client().blob_size("a/b", DIGEST)


@pytest.mark.parametrize("named", ["", "sha512:abc", "sha256:../../x", "nonsense"])
def test_a_digest_that_is_none_is_counted(server: Server, named: str) -> None:
    headers = {"Docker-Content-Digest": named} if named else {}
    server.answer = lambda _asked: (200, headers, CONTENT)
    assert server.client().tagged_digest("a/b", "v1", types=IMAGE_TYPES) == DIGEST


@pytest.mark.parametrize("parts", [[CONTENT, b"DELETE /v2/ HTTP/1.1\r\n\r\n"], [CONTENT * 3]])
def test_bytes_beyond_the_promised_length_are_no_request_to_our_registry(
    server: Server, parts: list[bytes]
) -> None:
    server.answer = lambda asked: (
        (202, {"Location": "/v2/a/b/blobs/uploads/1"}, b"")
        if asked.method == "POST"
        else (201, {}, b"")
    )
    ours = RegistryClient(server.url, lambda _access: "token")
    with pytest.raises(RegistryRejectedError, match="SIZE_INVALID"):
        ours.upload_blob("a/b", DIGEST, iter(parts), size=len(CONTENT))
    ours.close()
    assert [asked.method for asked in server.asked if asked.method == "DELETE"] == []


def test_bytes_that_are_too_few_are_not_waited_for(server: Server) -> None:
    server.answer = lambda _asked: (202, {"Location": "/v2/a/b/blobs/uploads/1"}, b"")
    ours = RegistryClient(server.url, lambda _access: "token")
    with pytest.raises(RegistryUnavailableError, match="broke off"):
        ours.upload_blob("a/b", DIGEST, iter([CONTENT[:9]]), size=len(CONTENT))


# --- For how long ---------------------------------------------------------------------------------


@contextlib.contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Give the address of one that does with each connection what a test says."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    serve(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=5)


def client_of(url: str) -> RemoteRegistry:
    client = RemoteRegistry(url)
    client.pause = lambda _seconds: None
    return client


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX: ", _HEAD + b"\r\n"])
def test_a_byte_now_and_then_is_not_waited_for_for_ever(
    begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the answer's head, and in its body."""
    monkeypatch.setattr(pace, "_WINDOW_SECONDS", 0.3)

    def drip(connection: socket.socket) -> None:
        connection.sendall(begin)
        for _byte in range(1000):
            connection.sendall(b"x")
            time.sleep(0.01)

    began = time.monotonic()
    with raw_server(drip) as url, pytest.raises(RegistryUnavailableError):
        client_of(url).manifest("a/b", "v1", types=IMAGE_TYPES, limit=1_000_000)
    assert time.monotonic() - began < 3


def test_a_slow_reader_is_not_the_other_sides_fault(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_WINDOW_SECONDS", 0.2)
    content = bytes(600_000)
    server.answer = lambda _asked: (200, {}, content)
    with server.client().open_blob("a/b", DIGEST) as parts:
        assert parts is not None
        count = 0
        for part in parts:
            count += len(part)
            time.sleep(0.15)
    assert count == len(content)


@pytest.mark.parametrize("what", ["manifest", "tags", "token"])
def test_a_body_without_an_end_is_left(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MAX_PAGE_BYTES", 1_000_000)
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(_HEAD + b"\r\n")
        while True:
            sent += connection.send(b" " * 65536)

    with raw_server(pour) as url:
        read = answers_of(client_of(url))[what]
        if what == "manifest":
            assert read() is None
        else:
            with pytest.raises(RegistryUnavailableError):
                read()
    assert sent < 50_000_000


def test_a_head_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: " + b"y" * 1000 + b"\r\n")

    with raw_server(pour) as url, pytest.raises(RegistryUnavailableError):
        client_of(url).ping()
