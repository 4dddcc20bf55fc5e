"""Through which installations a copy came, so that none goes in circles.

Each Moorage names itself in the ``User-Agent`` of what it copies, behind those before it. One that
finds itself named there copies nothing on by itself: A → B → A ends at A, whatever the image is
called by then, and two that change the same tag at once come to an end.
"""

import re

from django.utils.crypto import salted_hmac

# The longest way: what comes from farther is not copied on.
LONGEST = 8
_VIA = re.compile(r"moorage \(replication; via ([0-9a-f]{12}(?:,[0-9a-f]{12})*)\)")


def own() -> str:
    """Return this installation's name: the same for all its processes, and for ever."""
    return salted_hmac("registry_sync.replication.lineage", "installation").hexdigest()[:12]


def read(agent: str) -> list[str]:
    """Return whom a ``User-Agent`` names; nobody where no replication sent it."""
    found = _VIA.fullmatch(agent)
    return found[1].split(",") if found else []


def agent(via: str = "") -> str:
    """Return the ``User-Agent`` of what is copied on. ``via``: names with commas between."""
    before = via.split(",") if via else []
    return f"moorage (replication; via {','.join([*before, own()])})"


def may_go_on(via: list[str]) -> bool:
    """Return whether what came through these is copied on by itself."""
    return own() not in via and len(via) < LONGEST
