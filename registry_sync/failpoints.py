"""Places where a test can make a job die, hang or fail; in production each does nothing.

``MOORAGE_FAILPOINTS`` (test settings only) maps a place to what happens there: ``kill``, ``raise``,
``unavailable``, ``stop`` (until somebody says SIGCONT) or ``sleep:SECONDS``.
"""

import os
import signal
import time

from django.conf import settings

from accounts.errors import Unavailable


class FailpointError(Exception):
    """What ``raise`` raises."""


def hit(place: str) -> None:
    """Do what the test wants to happen here."""
    action: str = settings.MOORAGE_FAILPOINTS.get(place, "")
    if not action:
        return
    word, _colon, argument = action.partition(":")
    if word == "sleep":
        time.sleep(float(argument))
    elif word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif word == "unavailable":
        raise Unavailable(f"failpoint {place}")
    else:
        raise FailpointError(place)
