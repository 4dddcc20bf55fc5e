"""A look at what a policy would do, without doing it: the plan of a run, for a few seconds."""

import time
from dataclasses import dataclass, field
from typing import Any

from accounts.errors import BadRequest
from registry_sync.client.errors import RegistryError
from registry_sync.models import ReplicationPolicy
from registry_sync.remote_registries import address_of, why_not
from registry_sync.replication import planning, pull_planning
from registry_sync.replication.planning import Plan

# Somebody waits for the page.
_SECONDS = 8.0


class _EnoughError(Exception):
    """It has looked for long enough."""


@dataclass(slots=True)
class Preview:
    """What would be done, as far as was looked."""

    plan: Plan = field(default_factory=Plan)
    # How many tags were compared.
    compared: int = 0
    # Whether everything was looked at.
    is_whole: bool = False


class _Glance:
    """What planning takes for its run: it ends by itself."""

    def __init__(self, found: Preview) -> None:
        """``found`` is written down as it comes."""
        self._found = found
        self._deadline = time.monotonic() + _SECONDS

    def progress(self, *, done: int | None = None, **_more: Any) -> None:
        """Go on, or end. Raises ``_EnoughError``."""
        self._found.compared = done or 0
        if time.monotonic() > self._deadline:
            raise _EnoughError

    def pause(self, _seconds: float) -> None:
        """Wait for no registry that is busy."""
        raise _EnoughError


def make(policy: ReplicationPolicy) -> Preview:
    """Return what a run of a policy, stored or not, would do now.

    Raises ``BadRequest`` with why the other registry could not be asked.
    """
    found = Preview()
    glance = _Glance(found)
    planned = pull_planning.make if policy.is_pull else planning.make
    try:
        planned(policy, address_of(policy.remote), glance, plan=found.plan, pause=glance.pause)
    except _EnoughError:
        return found
    except RegistryError as error:
        raise BadRequest(why_not(error, username=policy.remote.username)) from error
    found.is_whole = True
    return found
