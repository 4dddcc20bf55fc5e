"""What administrators want everybody to know: the banner, and that the system is read-only.

Harbor's banner is JSON with a message, a kind and two days; any other text is shown as it is.
"""

import datetime
import json
from dataclasses import dataclass

from django.utils import timezone
from django.utils.dateparse import parse_date

from accounts import configuration

# Harbor's kinds, and ours.
_TONES = {"info": "info", "success": "ok", "warning": "warn", "danger": "danger"}


@dataclass(frozen=True, slots=True)
class Banner:
    """A message to everybody."""

    text: str
    tone: str = "info"


@dataclass(frozen=True, slots=True)
class Notices:
    """What is shown above every page."""

    banner: Banner | None
    is_read_only: bool


def current() -> Notices:
    """Return today's, in one query."""
    values = configuration.values_of("banner_message", "read_only")
    return Notices(_banner(str(values["banner_message"])), values["read_only"] is True)


def _banner(text: str) -> Banner | None:
    if not text.strip():
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return Banner(text)
    if not isinstance(found, dict) or not isinstance(found.get("message"), str):
        return Banner(text)
    today = timezone.localdate()
    first, last = (_day(found.get(name)) for name in ("fromDate", "toDate"))
    if (first and today < first) or (last and today > last) or not found["message"].strip():
        return None
    return Banner(found["message"], _TONES.get(str(found.get("type")), "info"))


def _day(text: object) -> datetime.date | None:
    try:
        # Harbor writes 2026/11/24.
        return parse_date(str(text).replace("/", "-")) if text else None
    except ValueError:
        return None
