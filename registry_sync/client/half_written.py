"""Asks again where distribution was just writing what it read.

Its file system driver empties a link file before it writes it. Whoever uploads a blob that a
repository has already writes its link anew; a manifest that is stored in that moment is refused
(400 ``DIGEST_INVALID``, though its digest is right or was not even named), and a HEAD of the blob
is answered 500. A moment later all is as it was.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from registry_sync.client.errors import (
    RegistryError,
    RegistryRejectedError,
    RegistryUnavailableError,
)

T = TypeVar("T")

_PAUSES = (0.005, 0.02, 0.05, 0.1, 0.2)


def until_written(ask: Callable[[], T], *, pause: Callable[[float], None] = time.sleep) -> T:
    """Return what ``ask`` returns, called again a few times within half a second.

    It may be called twice without harm. ``pause`` waits so many seconds.
    """
    for seconds in _PAUSES:
        try:
            return ask()
        except (RegistryRejectedError, RegistryUnavailableError) as error:
            if not _is_half_written(error):
                raise
        pause(seconds)
    return ask()


def _is_half_written(error: RegistryError) -> bool:
    if isinstance(error, RegistryRejectedError):
        return error.code == "DIGEST_INVALID"
    return isinstance(error, RegistryUnavailableError) and error.status == 500
