"""Run nginx, and let it look up its upstreams again when one has another address.

nginx asks for the address of an upstream only when it reads its configuration. A container that
is made again may get another address; without this nginx would go on knocking at the old one.

    python follow.py NAME[,NAME…] COMMAND…

Only the standard library is imported, and nothing of the project, so that this stays small.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

_SECONDS = 2.0
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

Addresses = dict[str, frozenset[str]]


def addresses(names: list[str]) -> Addresses | None:
    """Return where the names lead; nothing where one of them leads nowhere just now."""
    found = {}
    for name in names:
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except OSError:
            return None
        found[name] = frozenset(str(answer[4][0]) for answer in answers)
    return found


def wait_for(names: list[str]) -> Addresses:
    """Return as soon as all names lead somewhere: without that nginx does not start."""
    while (found := addresses(names)) is None:
        time.sleep(_SECONDS)
    return found


def main(names: list[str], command: list[str]) -> int:
    """Run the command until it ends; return its status."""
    # Before the child exists there is nothing to stop in order.
    for signum in _FORWARDED:
        signal.signal(signum, lambda *_: sys.exit(0))
    known = wait_for(names)
    child = subprocess.Popen(command)

    def forward(signum: int, frame: FrameType | None) -> None:
        child.send_signal(signum)

    for signum in _FORWARDED:
        signal.signal(signum, forward)
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(timeout=_SECONDS)
        now = addresses(names)
        if now is not None and now != known:
            known = now
            child.send_signal(signal.SIGHUP)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].split(","), sys.argv[2:]))
