"""Registries in trouble: they break off, are busy, lose an answer; and whose TLS is believed."""

import contextlib
import datetime
import hashlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from accounts.errors import BadRequest
from registry_sync import remote_registries
from registry_sync.client import outbound
from registry_sync.client.errors import Obstacle, RegistryUnavailableError
from registry_sync.client.remote import RemoteRegistry
from registry_sync.remote_registries import Address
from tests.registry_sync.strange_registry import Answer, Asked, Server, opener, served

CONTENT = bytes(range(256)) * 20
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server() -> Iterator[Server]:
    """Start one."""
    yield from served()


LONG = bytes(range(256)) * 4096
# Of what breaks off we keep what came in whole parts.
PIECE, KEPT = 400_000, 256 * 1024


def in_pieces(ranges: list[str], *, knows_ranges: bool) -> Callable[[Asked], Answer]:
    """Return what breaks off after so many bytes."""

    def answer(asked: Asked) -> Answer:
        ranges.append(asked.headers.get("Range", ""))
        begin = int(ranges[-1].removeprefix("bytes=").rstrip("-") or 0) if knows_ranges else 0
        headers = {"Content-Length": str(len(LONG) - begin), "Connection": "close"}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(LONG) - 1}/{len(LONG)}"
        return 206 if begin else 200, headers, LONG[begin : begin + PIECE]

    return answer


def test_a_blob_that_breaks_off_goes_on_where_it_was(server: Server) -> None:
    ranges: list[str] = []
    server.answer = in_pieces(ranges, knows_ranges=True)
    with server.client().open_blob("a/b", DIGEST) as parts:
        assert parts is not None
        assert b"".join(parts) == LONG
    assert ranges == ["", *(f"bytes={KEPT * number}-" for number in (1, 2, 3))]


def test_one_that_begins_anew_is_not_mixed(server: Server) -> None:
    ranges: list[str] = []
    server.answer = in_pieces(ranges, knows_ranges=False)
    came: list[bytes] = []
    with server.client().open_blob("a/b", DIGEST) as parts:
        assert parts is not None
        with pytest.raises(RegistryUnavailableError, match="broke off"):
            came.extend(parts)
    assert b"".join(came) == LONG[:KEPT]
    assert len(ranges) == 4


@pytest.mark.parametrize("is_sending", [False, True])
def test_one_that_takes_and_says_nothing_is_waited_for_so_long(
    monkeypatch: pytest.MonkeyPatch, *, is_sending: bool
) -> None:
    """A link that is cut and swallows everything looks like this."""
    monkeypatch.setattr(outbound, "READ_SECONDS", 0.2)
    listener = socket.create_server(("127.0.0.1", 0))
    client = RemoteRegistry(f"http://127.0.0.1:{listener.getsockname()[1]}")
    client.pause = lambda _seconds: None
    began = time.monotonic()

    def ask() -> None:
        if is_sending:
            client.put_manifest("a/b", "v1", "application/json", bytes(20_000_000))
        else:
            client.tags("a/b")

    with pytest.raises(RegistryUnavailableError, match="does not answer"):
        ask()
    listener.close()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_registry_is_waited_for_when_it_is_read_too(server: Server, status: int) -> None:
    waits: list[float] = []
    busy: list[Answer] = [(status, {"Retry-After": "7"}, b"")]
    server.answer = lambda _asked: busy.pop() if busy else (200, {}, b'{"tags": ["v1"]}')
    client = server.client()
    client.pause = waits.append
    assert client.tags("a/b") == ["v1"]
    assert waits == [7.0]


def test_an_answer_that_is_lost_costs_no_second_upload(server: Server) -> None:
    """The registry took everything and died before it said so."""
    stored: list[bytes] = []

    def answer(asked: Asked) -> Answer:
        if asked.method == "PUT":
            stored.append(asked.body)
            return 502, {}, b""
        if asked.method == "HEAD":
            return (200 if stored else 404), {}, b""
        return 202, {"Location": "/v2/a/b/blobs/uploads/1"}, b""

    server.answer = answer
    server.client().put_blob("a/b", DIGEST, len(CONTENT), opener(CONTENT))
    assert stored == [CONTENT]


# --- TLS ------------------------------------------------------------------------------------------


def certificate(folder: Path, *names: x509.GeneralName) -> str:
    """Write a self-signed certificate with its key; return it as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "both.pem").write_bytes(text + private)
    return text.decode()


@pytest.mark.parametrize(
    ("trust", "is_right_host", "is_believed"),
    [
        ("nobody", True, False),
        ("it", True, True),
        ("it", False, False),
        ("another", True, False),
        ("everybody", False, True),
    ],
)
def test_whose_certificate_is_believed(
    tmp_path: Path, settings: Settings, trust: str, *, is_right_host: bool, is_believed: bool
) -> None:
    settings.MOORAGE_OUTBOUND_ALLOW = ["127.0.0.0/8"]
    right = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    another = certificate(tmp_path, right)
    own = certificate(tmp_path, right if is_right_host else x509.DNSName("other.example"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")

    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            connection, _address = listener.accept()
            with context.wrap_socket(connection, server_side=True) as safe:
                safe.recv(65536)
                safe.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    believed = {"nobody": "", "everybody": "", "it": own, "another": another}[trust]
    address = Address(url, is_insecure=trust == "everybody", ca_certificate=believed)
    client = remote_registries.client_of(address)
    try:
        if is_believed:
            client.ping()
        else:
            with pytest.raises(RegistryUnavailableError, match="certificate") as failure:
                client.ping()
            assert failure.value.obstacle is Obstacle.UNTRUSTED
    finally:
        thread.join(timeout=5)
        listener.close()


@pytest.mark.parametrize(
    ("url", "networks", "message"),
    [
        ("https://nowhere.invalid", [], "leads to no address"),
        ("http://127.0.0.1:9", [], "may not ask this address"),
        ("http://169.254.169.254", [], "may not ask this address"),
        ("http://127.0.0.1:9", ["127.0.0.0/8"], "No registry answers"),
    ],
)
def test_it_is_said_why_a_registry_was_not_reached(
    settings: Settings, url: str, networks: list[str], message: str
) -> None:
    settings.MOORAGE_OUTBOUND_ALLOW = networks
    with pytest.raises(BadRequest, match=message):
        remote_registries.ping(Address(url))


def test_it_is_said_that_a_registry_speaks_no_tls(server: Server, settings: Settings) -> None:
    settings.MOORAGE_OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with pytest.raises(BadRequest, match="does not speak TLS"):
        remote_registries.ping(Address(server.url.replace("http://", "https://")))
