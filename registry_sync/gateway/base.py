"""``/v2/`` itself, and whatever else begins so."""

from django.http import HttpRequest, HttpResponse

from registry_sync.gateway.errors import ProtocolError, protocol_view, respond
from registry_sync.gateway.standing import require_caller


@protocol_view("GET", "HEAD")
def version(request: HttpRequest) -> HttpResponse:
    """Say that this is a registry, to a caller with a token."""
    require_caller(request)
    return respond(b"{}")


@protocol_view("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
def unknown(request: HttpRequest) -> HttpResponse:
    """404 in the protocol's form for a path that is none of its."""
    raise ProtocolError(404, "UNSUPPORTED", "no such endpoint")
