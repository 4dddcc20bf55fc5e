"""The one way out to addresses that are not our own: each is checked, and that one connected to.

No proxies, no ``.netrc``, no redirects, no compressed bodies, no cookies; a name is resolved once,
and the connection goes to an address that was looked at.
"""

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    HTTPError,
    LocationParseError,
    NewConnectionError,
)
from urllib3.util import parse_url

from registry_sync.client.errors import Obstacle, RegistryUnavailableError
from registry_sync.client.pace import READ_SECONDS, PacedAnswer

CONNECT_SECONDS = 5
_PORTS = {"http": 80, "https": 443}
_LEFT_BYTES = 64 * 1024
# What is read of a body at once to be sent; urllib3's own 16 KiB cost four times the turns.
_SENT_BYTES = 64 * 1024

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_TOLD = {
    None: "does not answer",
    Obstacle.NO_ADDRESS: "has no address",
    Obstacle.NOT_ALLOWED: "is not an address that may be asked",
    Obstacle.NO_TLS: "does not speak TLS",
    Obstacle.UNTRUSTED: "has a certificate that is not to be trusted",
}
# OpenSSL's words for bytes that are no TLS.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
_METADATA = (ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254"))


class _NotAllowedError(NewConnectionError):
    """The host has no address that may be connected to."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which addresses a request may go to; what no registry ever is stays refused."""

    # The own network, for what the system's administrators name.
    is_private: bool = False
    # This very host, for what its operator names.
    is_own_host: bool = False
    # What the operator lets everybody reach besides.
    networks: tuple[Network, ...] = ()

    def allows(self, address: Address) -> bool:
        """Whether a connection may go there."""
        inner = getattr(address, "ipv4_mapped", None) or address
        if any(inner in network for network in self.networks):
            return True
        if inner in _METADATA or inner.is_link_local or inner.is_multicast or inner.is_unspecified:
            return False
        if inner.is_loopback:
            return self.is_own_host
        return self.is_private or inner.is_global


# For those who have a shell on this machine.
OPERATOR = Reach(is_private=True, is_own_host=True)


def administrators(networks: Iterable[str]) -> Reach:
    """What administrators may name on a page: the internet, and the own network."""
    return Reach(is_private=True, networks=tuple(map(ipaddress.ip_network, networks)))


class Place(NamedTuple):
    """Whom a request reaches."""

    scheme: str
    host: str
    port: int


def place_of(url: str) -> Place:
    """Return whom an address reaches. Raises ``RegistryUnavailableError`` for what is none.

    As the code that connects reads it: ``http://a\\@b`` is ``a`` for that, and ``b`` for urlsplit.
    """
    try:
        parts = parse_url(url)
    except LocationParseError as error:
        raise RegistryUnavailableError("the registry names an address that is none") from error
    if parts.scheme not in _PORTS or not parts.host or parts.auth or "\\" in url:
        raise RegistryUnavailableError("the registry names an address that is none")
    return Place(parts.scheme, parts.host.lower(), parts.port or _PORTS[parts.scheme])


def session(reach: Reach, *, tls: ssl.SSLContext | None = None) -> requests.Session:
    """Return a session whose every connection goes to an address that was checked.

    ``tls`` says whom to believe where that is not the system's list of authorities.
    """
    made = requests.Session()
    made.trust_env = False
    # A body is taken as it is: what is compressed could be of any size.
    made.headers["Accept-Encoding"] = "identity"
    made.headers["User-Agent"] = "moorage"
    # Nobody is recognised again by what they had us keep.
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(reach, tls)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


def beyond(made: requests.Session, host: str) -> requests.Session:
    """Return a session for where a registry at ``host`` points to: its storage, its tokens' maker.

    One on the internet has no business on our own network; one of our own network may.
    """
    adapter = made.get_adapter("https://")
    if not isinstance(adapter, _Adapter) or not _is_on_internet(host):
        return made
    reach = replace(adapter.reach, is_private=False, is_own_host=False)
    return session(reach, tls=adapter.tls)


def send(made: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Send a request; redirects are not followed. Raises ``RegistryUnavailableError``."""
    try:
        response = made.request(
            method,
            url,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            stream=True,
            **options,
        )
    except (requests.RequestException, ValueError) as error:
        obstacle = _obstacle(error)
        told = f"{urlsplit(url).hostname} {_TOLD[obstacle]}"
        raise RegistryUnavailableError(told, obstacle=obstacle) from error
    coding = response.headers.get("Content-Encoding", "identity")
    if coding != "identity" and response.ok and method != "HEAD":
        response.close()
        raise RegistryUnavailableError("the registry answered compressed, which was not wanted")
    return response


def _obstacle(error: BaseException) -> Obstacle | None:
    """Return what was in the way: requests and urllib3 wrap it several times."""
    inner: BaseException | None = error
    while inner is not None:
        match inner:
            case _NotAllowedError():
                return Obstacle.NOT_ALLOWED
            case socket.gaierror() | UnicodeError():
                return Obstacle.NO_ADDRESS
            case ssl.SSLCertVerificationError():
                return Obstacle.UNTRUSTED
            case ssl.SSLError(reason=reason) if reason in _NO_TLS:
                return Obstacle.NO_TLS
        inner = inner.__cause__ or inner.__context__
    return None


def number_of(text: str) -> int | None:
    """Read a number of a header; None for what is none, or none that can be meant."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def release(response: requests.Response) -> None:
    """Be done with an answer: what little is left of it is read, so that its connection serves on.

    Closing one that was not read to its end closes the connection too.
    """
    length = number_of(response.headers.get("Content-Length", "0"))
    is_head = response.request.method == "HEAD"
    if is_head or (length is not None and length <= _LEFT_BYTES):
        with contextlib.suppress(HTTPError):
            response.raw.read(_LEFT_BYTES)
    response.close()


def _connect(connection: HTTPConnection, reach: Reach) -> socket.socket:
    """Connect to the first address of the connection's host that may be connected to."""
    host, port = connection.host.strip("[]"), connection.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NewConnectionError(connection, f"{host} has no address") from error
    allowed = [entry for entry in found if _may_connect(str(entry[4][0]), reach)]
    if not allowed:
        raise _NotAllowedError(connection, f"{host} is not an address that may be asked")
    problem: OSError | None = None
    for family, kind, protocol, _name, address in allowed:
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(CONNECT_SECONDS)
            # A request's head and body are two writes: Nagle would wait for the first's answer.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.connect(address)
            # Else what is sent would have to go as fast as a connection is made.
            made.settimeout(READ_SECONDS)
        except OSError as error:
            made.close()
            problem = error
        else:
            return made
    raise NewConnectionError(connection, f"{host} does not answer") from problem


def _may_connect(text: str, reach: Reach) -> bool:
    return reach.allows(ipaddress.ip_address(text.partition("%")[0]))


def _is_on_internet(host: str) -> bool:
    """Whether a name leads to public addresses only; one that leads nowhere counts as such."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return all(Reach().allows(ipaddress.ip_address(str(e[4][0]).partition("%")[0])) for e in found)


@lru_cache(maxsize=16)
def _pools(reach: Reach) -> dict[str, type[HTTPConnectionPool]]:
    """Pools of connections that go only where they may."""

    class Plain(HTTPConnection):
        response_class = PacedAnswer

        def _new_conn(self) -> socket.socket:
            return _connect(self, reach)

    class Encrypted(HTTPSConnection):
        response_class = PacedAnswer

        def _new_conn(self) -> socket.socket:
            return _connect(self, reach)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

        def _validate_conn(self, conn: Any) -> None:
            # Without a warning for each: whoever marked the registry as insecure was told so then.
            if conn.is_closed:
                conn.connect()

    return {"http": PlainPool, "https": EncryptedPool}


class _Adapter(HTTPAdapter):
    """Uses the connections above."""

    def __init__(self, reach: Reach, tls: ssl.SSLContext | None) -> None:
        """``reach``: where to; ``tls``: whom to believe."""
        self.reach = reach
        self.tls = tls
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Called by requests."""
        if self.tls is not None:
            options["ssl_context"] = self.tls
        options["blocksize"] = _SENT_BYTES
        super().init_poolmanager(*arguments, **options)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = _pools(self.reach)

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        """Called by requests, which would have it that the system's authorities count too."""
        place, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if self.tls is not None:
            is_checked = self.tls.verify_mode == ssl.CERT_REQUIRED
            pool = {"cert_reqs": "CERT_REQUIRED" if is_checked else "CERT_NONE"}
        return place, pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Called by requests; the context has decided."""
        if self.tls is None:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
