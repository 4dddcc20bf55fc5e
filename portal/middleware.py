"""What every request gets in both processes: an id, the caller's address, two headers."""

import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_REQUEST_ID = re.compile(r"[0-9a-f]{32}")
# Answers that are made for one caller and never worth keeping.
_PRIVATE_PATHS = ("/api/", "/service/")


@lru_cache(maxsize=1024)
def _is_trusted(address: str, proxies: tuple[str, ...]) -> bool:
    """Tell whether what this peer says about the caller may be believed."""
    try:
        peer = ip_address(address)
        return peer.is_loopback or any(peer in ip_network(proxy) for proxy in proxies)
    except ValueError:
        return False


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
