"""What the client of other registries does when one of them means harm, or is in trouble."""

import hashlib
import ipaddress
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from registry_sync.client import outbound
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.remote import RemoteRegistry
from registry_sync.manifests import IMAGE_TYPES
from tests.registry_sync.strange_registry import Answer, Asked, Server, challenge, opener, served

CONTENT = bytes(range(256)) * 20
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
BASIC = "Basic " + b64encode(b"mover:secret").decode()


@pytest.fixture
def server() -> Iterator[Server]:
    """Start one."""
    yield from served()


@pytest.fixture
def evil() -> Iterator[Server]:
    """Start another one, to which nothing of ours should come."""
    yield from served()


# --- Credentials ----------------------------------------------------------------------------------


def test_a_password_goes_to_no_other_realm(server: Server, evil: Server) -> None:
    realm = evil.url.replace("127.0.0.1", "localhost")
    server.answer = lambda _asked: (401, challenge(f"{realm}/token"), b"")
    with pytest.raises(RegistryUnavailableError, match="another host"):
        server.client(username="mover", password="secret").ping()
    assert evil.asked == []


def test_it_goes_to_the_realm_that_is_known_of_this_kind(server: Server, evil: Server) -> None:
    realm = evil.url.replace("127.0.0.1", "localhost")
    evil.answer = lambda _asked: (200, {}, b'{"token": "t"}')
    server.answer = lambda asked: (
        (200, {}, b"{}")
        if asked.authorization == "Bearer t"
        else (401, challenge(f"{realm}/token"), b"")
    )
    client = server.client(
        username="mover", password="secret", is_realm=lambda host: host == "localhost"
    )
    client.ping()
    assert [asked.authorization for asked in evil.asked] == [BASIC]


def test_a_redirect_takes_no_credentials_along(server: Server, evil: Server) -> None:
    evil.answer = lambda _asked: (200, {}, CONTENT)

    def answer(asked: Asked) -> Answer:
        if not asked.authorization:
            return 401, {"WWW-Authenticate": "Basic"}, b""
        return 307, {"Location": f"{evil.url}/elsewhere"}, b""

    server.answer = answer
    client = server.client(username="mover", password="secret")
    with client.open_blob("a/b", DIGEST) as parts:
        assert parts is not None
        assert b"".join(parts) == CONTENT
    assert [asked.authorization for asked in evil.asked] == [""]


@pytest.mark.parametrize("place", ["http://localhost:{}/up", "//localhost:{}/up"])
def test_bytes_go_to_no_other_host(server: Server, evil: Server, place: str) -> None:
    server.answer = lambda _asked: (202, {"Location": place.format(evil.port)}, b"")
    with pytest.raises(RegistryUnavailableError, match="another host"):
        server.client().put_blob("a/b", DIGEST, len(CONTENT), opener(CONTENT))
    assert evil.asked == []


def test_who_only_looks_asks_for_no_right_to_push(server: Server) -> None:
    """GHCR gives strangers no token at all where they want that too."""
    scopes: list[str] = []

    def answer(asked: Asked) -> Answer:
        place, _mark, query = asked.path.partition("?")
        if place == "/token":
            scopes.extend(parse_qs(query)["scope"])
            return (403, {}, b"") if "push" in query else (200, {}, b'{"token": "t"}')
        if not asked.authorization:
            return 401, challenge(f"{server.url}/token"), b""
        return 200, {"Docker-Content-Digest": DIGEST}, b'{"manifests": []}'

    server.answer = answer
    client = server.client()
    assert client.tagged_digest("a/b", "v1", types=IMAGE_TYPES) == DIGEST
    assert client.has_manifest("a/b", DIGEST, types=IMAGE_TYPES)
    assert client.has_blob("a/b", DIGEST)
    assert client.referrers("a/b", DIGEST) == []
    assert scopes == ["repository:a/b:pull"]
    # Who sends asks for both at once.
    client.is_sending = True
    with pytest.raises(RegistryRejectedError):
        client.has_blob("a/b", DIGEST)
    assert scopes[1:] == ["repository:a/b:pull,push"]


# --- Trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("", 2.0), ("soon", 2.0), ("99999", 60.0), ("-1", 2.0)]
)
def test_a_busy_registry_is_waited_for(server: Server, header: str, seconds: float) -> None:
    waits: list[float] = []
    busy: list[Answer] = [(429, {"Retry-After": header}, b""), (503, {}, b"")]
    found: Answer = (200, {"Docker-Content-Digest": DIGEST}, b"")
    server.answer = lambda _asked: busy.pop(0) if busy else found
    client = server.client()
    client.pause = waits.append
    assert client.tagged_digest("a/b", "v1", types=IMAGE_TYPES) == DIGEST
    assert waits == [seconds, 2.0]


def test_but_not_for_ever(server: Server) -> None:
    server.answer = lambda _asked: (429, {}, b"")
    with pytest.raises(RegistryUnavailableError, match="429"):
        server.client().tagged_digest("a/b", "v1", types=IMAGE_TYPES)
    assert len(server.asked) == 4


def test_a_body_that_breaks_off_is_an_error(server: Server) -> None:
    short = {"Content-Length": str(len(CONTENT) + 9), "Connection": "close"}
    server.answer = lambda _asked: (200, short, CONTENT)
    with server.client().open_blob("a/b", DIGEST) as parts:
        assert parts is not None
        with pytest.raises(RegistryUnavailableError, match="broke off"):
            list(parts)


def test_an_endless_manifest_is_not_read(server: Server) -> None:
    server.answer = lambda _asked: (200, {}, b" " * 100_000)
    assert server.client().manifest("a/b", "v1", types=IMAGE_TYPES, limit=1000) is None


def test_compressed_bodies_are_not_unpacked(server: Server) -> None:
    server.answer = lambda _asked: (200, {}, b"{}")
    server.client().ping()
    # Whoever wants none gets none that grows.
    assert outbound.session(outbound.OPERATOR).headers["Accept-Encoding"] == "identity"


def test_a_refusal_says_its_code_and_nothing_else(server: Server) -> None:
    body = b'{"errors": [{"code": "DENIED", "message": "<script>secret</script>"}]}'
    server.answer = lambda _asked: (403, {}, body)
    with pytest.raises(RegistryRejectedError) as refused:
        server.client().put_manifest("a/b", "v1", "application/json", b"{}")
    assert (refused.value.status, refused.value.code) == (403, "DENIED")
    assert "secret" not in str(refused.value)


def test_what_was_just_being_written_is_asked_for_again(server: Server) -> None:
    refused: tuple[int, dict[str, str], bytes] = (
        400,
        {},
        b'{"errors": [{"code": "DIGEST_INVALID"}]}',
    )
    answers = [(500, {}, b""), (200, {}, b""), refused, refused, (201, {}, b"")]
    server.answer = lambda _asked: answers.pop(0)
    client = server.client()
    assert client.has_blob("a/b", DIGEST)
    client.put_manifest("a/b", "v1", "application/json", b"{}")
    assert not answers


def test_a_digest_that_stays_wrong_is_said_to_be(server: Server) -> None:
    server.answer = lambda _asked: (400, {}, b'{"errors": [{"code": "DIGEST_INVALID"}]}')
    with pytest.raises(RegistryRejectedError, match="DIGEST_INVALID"):
        server.client().put_manifest("a/b", "v1", "application/json", b"{}")
    assert len(server.asked) == 6


def test_pieces_go_on_after_the_last_byte_that_came(server: Server) -> None:
    """A registry that keeps what it got, and breaks off once in the middle."""
    got = bytearray()
    breaks = [True]

    def answer(asked: Asked) -> Answer:
        place = {"Location": "/v2/a/b/blobs/uploads/1"}
        if asked.method == "PATCH":
            if len(got) == 2000 and breaks and breaks.pop():
                got.extend(asked.body[:300])
                return 500, {}, b""
            got.extend(asked.body)
            return 202, place | {"Range": f"0-{len(got) - 1}"}, b""
        if asked.method == "GET":
            return 204, place | {"Range": f"0-{len(got) - 1}"}, b""
        return (201 if asked.method == "PUT" else 202), place, b""

    server.answer = answer
    server.client().put_blob("a/b", DIGEST, len(CONTENT), opener(CONTENT), piece=1000)
    assert bytes(got) == CONTENT
    sizes = [len(asked.body) for asked in server.asked if asked.method == "PATCH"]
    assert sizes == [1000, 1000, 1000, 1000, 1000, 820]


@pytest.mark.parametrize("status", [400, 404, 405])
def test_pieces_begin_anew_where_a_registry_does_not_tell_how_far_they_came(
    server: Server, status: int
) -> None:
    """As crane's does, which also answers pieces with 204."""
    uploads: list[bytearray] = []
    breaks = [True]

    def answer(asked: Asked) -> Answer:
        place = {"Location": "/v2/a/b/blobs/uploads/1"}
        if asked.method == "POST":
            uploads.append(bytearray())
            return 202, place, b""
        if asked.method == "GET":
            return status, {}, b""
        if asked.method == "PATCH" and len(uploads[-1]) == 2000 and breaks and breaks.pop():
            return 500, {}, b""
        uploads[-1].extend(asked.body)
        return (204 if asked.method == "PATCH" else 201), place, b""

    server.answer = answer
    client = server.client()
    client.pause = lambda _seconds: None
    client.put_blob("a/b", DIGEST, len(CONTENT), opener(CONTENT), piece=1000)
    assert [len(upload) for upload in uploads] == [2000, len(CONTENT)]
    assert bytes(uploads[-1]) == CONTENT


# --- Where to -------------------------------------------------------------------------------------

_PUBLIC, _PRIVATE, _OWN = "93.184.216.34", "10.1.2.3", "127.0.0.1"
_NEVER = (
    "169.254.169.254",
    "169.254.1.1",
    "0.0.0.0",  # noqa: S104 - an address, nothing listens there
    "224.0.0.1",
    "fd00:ec2::254",
    "fe80::1",
    "::",
    "ff02::1",
    "::ffff:169.254.169.254",
)


def allows(reach: outbound.Reach, address: str) -> bool:
    return reach.allows(ipaddress.ip_address(address))


def test_which_addresses_may_be_reached() -> None:
    strangers, administrators = outbound.Reach(), outbound.administrators([])
    for reach in (strangers, administrators, outbound.OPERATOR):
        assert allows(reach, _PUBLIC)
        assert not any(allows(reach, address) for address in _NEVER)
    assert not allows(strangers, _PRIVATE)
    assert allows(administrators, _PRIVATE)
    for address in (_OWN, "::1", "::ffff:127.0.0.1", "127.9.9.9"):
        assert not allows(administrators, address)
        assert allows(outbound.OPERATOR, address)
    assert allows(outbound.administrators(["127.0.0.0/8"]), _OWN)


def test_an_address_that_may_not_be_reached_is_not_connected_to(server: Server) -> None:
    session = outbound.session(outbound.administrators([]))
    for host in ("127.0.0.1", "localhost"):
        client = RemoteRegistry(f"http://{host}:{server.port}", session=session)
        with pytest.raises(RegistryUnavailableError):
            client.ping()
    assert server.asked == []


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://user:pass@host", "registry.example.com", "http:///x"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="looks like"):
        RemoteRegistry(url)


def test_one_connection_serves_many_requests(server: Server) -> None:
    place = {"Location": "/v2/a/b/blobs/uploads/1", "Docker-Content-Digest": DIGEST}
    statuses = {"HEAD": 404, "POST": 202, "PUT": 201}
    server.answer = lambda asked: (statuses[asked.method], place, b"")
    client = server.client()
    for _number in range(3):
        assert not client.has_blob("a/b", DIGEST)
        client.put_blob("a/b", DIGEST, len(CONTENT), opener(CONTENT))
        client.put_manifest("a/b", "v1", "application/json", b"{}")
    assert len(server.asked) == 12
    assert len({asked.peer for asked in server.asked}) == 1
