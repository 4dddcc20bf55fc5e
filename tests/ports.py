"""Ports for the servers that tests start, whatever else listens on this machine."""

import random
import socket

# Below where Linux takes the ports of outgoing connections from, and where Moorage looks for those
# of its programs: who is given one finds it free some seconds later too.
_RANGE = range(10_000, 20_000)
# As long as this process lives.
_reserved: list[socket.socket] = []


def free_port() -> int:
    """Return a port nobody listens on, and that no other process is given by this function.

    A name in the abstract namespace of Unix sockets reserves it: the kernel frees it with the
    process, and it is seen where the port is, in this network namespace.
    """
    while True:
        port = random.choice(_RANGE)  # noqa: S311 - no secret
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0moorage-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        _reserved.append(reservation)
        return port
