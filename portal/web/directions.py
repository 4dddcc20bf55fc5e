"""Characters that turn the direction of writing are shown by their number on every page.

None of our own texts has one. In what others wrote, they make `gpj.exe` of what ends in `.jpg`, or
move the end of a command to its beginning (https://trojansource.codes). What stands in a form's
field stays as it is: it would come back written out, and be kept so.
"""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# U+202A to U+202E and U+2066 to U+2069, as UTF-8; and a form's fields, whose texts are escaped.
_TURNING = re.compile(rb"(\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9])")
_FIELD_OR_TURNING = re.compile(
    rb"<textarea\b[^>]*>[^<]*</textarea>|\bvalue=\"[^\"]*\"|" + _TURNING.pattern
)


class DirectionsMiddleware:
    """Writes them out in pages; API and files give every text as it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Called by Django."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with a page in which they are seen."""
        response = self.get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if is_page and not response.streaming and _TURNING.search(response.content):
            response.content = _FIELD_OR_TURNING.sub(_written, response.content)
        return response


def _written(found: re.Match[bytes]) -> bytes:
    return f"⟨U+{ord(found[1].decode()):04X}⟩".encode() if found[1] else found[0]
