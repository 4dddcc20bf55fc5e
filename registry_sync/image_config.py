"""Facts from an image's configuration (OCI image-spec 1.1, "Image Configuration")."""

import datetime
import json
from dataclasses import dataclass, field
from typing import Any

from registry_sync.texts import storable_json

# Larger ones are kept by the registry as ever; their facts are just not shown.
MAX_CONFIG_BYTES = 1024 * 1024
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What pages and lists show of an image; empty where the configuration says nothing."""

    os: str = ""
    architecture: str = ""
    variant: str = ""
    author: str = ""
    built_at: datetime.datetime | None = None
    config: dict[str, Any] = field(default_factory=dict)


def read(content: bytes | None) -> ImageFacts:
    """Read a configuration; what cannot be read gives no facts, and never an error.

    A push is never refused for its configuration: the registry stores whatever it is.
    """
    if content is None:
        return ImageFacts()
    try:
        document = storable_json(json.loads(content.decode()), depth=_MAX_DEPTH)
    except (ValueError, RecursionError):
        return ImageFacts()
    if not isinstance(document, dict):
        return ImageFacts()

    def text(key: str, limit: int) -> str:
        value = document.get(key)
        return value[:limit] if isinstance(value, str) else ""

    return ImageFacts(
        os=text("os", 64),
        architecture=text("architecture", 64),
        variant=text("variant", 64),
        author=text("author", 512),
        built_at=_time(document.get("created")),
        config=document,
    )


def _time(value: Any) -> datetime.datetime | None:
    """Read RFC 3339; reproducible builds write 1970 or 1980, which means: not recorded."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            return None
        moment = moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year > 1980 else None
