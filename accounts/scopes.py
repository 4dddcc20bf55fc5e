"""Docker token scopes: what a client asks for, and what it is granted.

Grammar: distribution, "Token Scope Documentation". ``type[(class)]:name:action[,action]``, where
the name may hold colons of its own (``host:5000/a``), so the type ends at the first colon and the
actions begin after the last.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# OCI distribution-spec 1.1, "Pulling manifests": a name's grammar; and its usual limit.
NAME_PATTERN = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
NAME_MAX_LENGTH = 255
_TYPE = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?")
_MAX_SCOPES = 100


@dataclass(frozen=True, slots=True)
class Scope:
    """What one ``scope`` asks for; actions are as the client wrote them, deduplicated."""

    type: str
    name: str
    actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token gives for one name.

    ``project_id`` is the project's incarnation; ``registry_name`` is what the registry calls the
    repository; ``is_by_public`` tells that pull rests on the project's being public alone.
    """

    type: str
    name: str
    actions: tuple[str, ...]
    project_id: int | None = None
    registry_name: str = ""
    is_by_public: bool = False


def is_repository_name(name: str) -> bool:
    """True for ``project/path`` in the specification's grammar, of at most 255 characters."""
    return "/" in name and len(name) <= NAME_MAX_LENGTH and bool(NAME_PATTERN.fullmatch(name))


def parse(values: Iterable[str]) -> list[Scope]:
    """Read repeated and space-separated scopes; union the actions of one name.

    What cannot be understood is left out: the client then simply is not granted it.
    """
    actions: dict[tuple[str, str], set[str]] = {}
    for text in " ".join(values).split(" "):
        kind_text, separator, rest = text.partition(":")
        name, last, action_text = rest.rpartition(":")
        kind = _TYPE.fullmatch(kind_text)
        if not separator or not last or not name or kind is None:
            continue
        if len(actions) >= _MAX_SCOPES and (kind[1], name) not in actions:
            continue
        wanted = {action for action in action_text.split(",") if action}
        actions.setdefault((kind[1], name), set()).update(wanted)
    return [Scope(kind, name, frozenset(wanted)) for (kind, name), wanted in actions.items()]
