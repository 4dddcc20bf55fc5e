"""What must hold before anything is started, each failure with the way out of it."""

import errno
import os
import shutil
import socket

from portal.stack.errors import CannotStart

# Debian keeps servers where an ordinary user's PATH does not look.
_SERVER_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# Program and the Debian package that brings it.
_PACKAGES = {"nginx": "nginx", "docker-registry": "docker-registry"}


def search_path() -> str:
    """Return PATH with the directories of servers."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *_SERVER_DIRECTORIES])


def programs() -> dict[str, str]:
    """Return where each program is, or say how to install the missing ones."""
    found = {name: shutil.which(name, path=search_path()) for name in _PACKAGES}
    missing = [_PACKAGES[name] for name, path in found.items() if path is None]
    if missing:
        names = " ".join(missing)
        raise CannotStart(
            f"{' and '.join(missing)} not found; install with: "
            f"sudo apt-get install -y --no-install-recommends {names}"
        )
    return {name: path for name, path in found.items() if path is not None}


def public_address(bind: str, port: int, *, setting: str = "MOORAGE_PORT") -> None:
    """Say so where a public address cannot be listened on; ``setting`` is what names its port."""
    if not 0 < port < 65536:
        raise CannotStart(f"{setting} must be between 1 and 65535, not {port}")
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
            # Of two sockets bound with SO_REUSEADDR only one may listen.
            probe.listen(1)
        except socket.gaierror as error:
            raise CannotStart(f"MOORAGE_BIND must be an IP address, not {bind!r}") from error
        except OSError as error:
            raise CannotStart(_reason(error, bind, port, setting)) from error


def _reason(error: OSError, bind: str, port: int, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {bind} is taken; choose another with {setting}"
    if error.errno == errno.EACCES:
        return f"port {port} needs privileges; choose one above 1023 with {setting}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{bind} is not an address of this machine; correct MOORAGE_BIND"
    return f"cannot listen on {bind} port {port}: {error.strerror}"
