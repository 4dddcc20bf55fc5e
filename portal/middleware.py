"""What every request gets in both processes: an id, the caller's address, two headers."""

import re
import socket
import time
import uuid
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_REQUEST_ID = re.compile(r"[0-9a-f]{32}")
# Answers that are made for one caller and never worth keeping.
_PRIVATE_PATHS = ("/api/", "/service/")


# A proxy's container may get another address; so long may the old one still be believed.
_NAME_SECONDS = 2


def _is_trusted(address: str, proxies: tuple[str, ...]) -> bool:
    """Tell whether what this peer says about the caller may be believed."""
    if _is_within(address, proxies):
        return True
    moment = int(time.monotonic() / _NAME_SECONDS)
    return any(address in _addresses(proxy, moment) for proxy in proxies if _is_name(proxy))


@lru_cache(maxsize=1024)
def _is_within(address: str, proxies: tuple[str, ...]) -> bool:
    """Tell whether it is loopback, or one of the proxies given as address or network."""
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    networks = (ip_network(proxy) for proxy in proxies if not _is_name(proxy))
    return peer.is_loopback or any(peer in network for network in networks)


@lru_cache(maxsize=64)
def _is_name(proxy: str) -> bool:
    try:
        ip_network(proxy)
    except ValueError:
        return True
    return False


@lru_cache(maxsize=64)
def _addresses(name: str, moment: int) -> frozenset[str]:
    """Return where a host name leads; with the next ``moment`` it is asked again."""
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(name, None))
    except (OSError, UnicodeError):
        return frozenset()


@lru_cache(maxsize=1024)
def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class RequestContextMiddleware:
    """Completes the WSGI environment for ``Actor.of`` and marks the response.

    The gateway runs no other middleware, so this one does nothing that a pull must wait for.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Read the trusted proxies once."""
        self.get_response = get_response
        self.proxies = tuple(getattr(settings, "MOORAGE_TRUSTED_PROXIES", ()))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the request's id."""
        meta = request.META
        address = meta.get("REMOTE_ADDR", "")
        request_id = ""
        if _is_trusted(address, self.proxies):
            request_id = meta.get("HTTP_X_REQUEST_ID", "")
            forwarded = meta.get("HTTP_X_REAL_IP", "")
            if _is_address(forwarded):
                address = forwarded
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        meta["moorage.address"] = address
        meta["moorage.request_id"] = request_id

        response = self.get_response(request)
        headers = response.headers
        headers["X-Request-Id"] = request_id
        headers.setdefault("X-Content-Type-Options", "nosniff")
        if request.path_info.startswith(_PRIVATE_PATHS):
            headers.setdefault("Cache-Control", "no-store")
        return response
