"""The state directory: its folders, its lock, its secrets and its ports."""

import fcntl
import json
import os
import random
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from portal.stack.errors import CannotStart

# Characters that mean something in one of the rendered configurations.
_FORBIDDEN = set("\"'$;#%{}\\\n\r\t*?")
# Below the range from which the kernel takes ports for outgoing connections.
_PORT_RANGE = range(20000, 32000)
PORT_NAMES = ("registry", "gateway", "web")


@dataclass(frozen=True, slots=True)
class Home:
    """Where everything of one Moorage lies."""

    root: Path
    storage: Path

    @property
    def keys(self) -> Path:
        """Secrets."""
        return self.root / "keys"

    @property
    def run(self) -> Path:
        """Rendered configurations, process numbers, temporary files."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One file per program."""
        return self.root / "logs"

    @property
    def broker(self) -> Path:
        """Messages to the worker."""
        return self.root / "broker"

    @property
    def spool(self) -> Path:
        """What proxy projects are fetching: as large as the layers, so not in memory (``/tmp``)."""
        return self.root / "spool"

    @property
    def admin_password(self) -> Path:
        """The first administrator's password, where Moorage made it."""
        return self.root / "admin-password"


def prepare(home: Home) -> None:
    """Make the folders, or say why this cannot be a home."""
    for path in (home.root, home.storage):
        if bad := sorted(_FORBIDDEN & set(str(path))):
            raise CannotStart(f"the path {str(path)!r} must not contain {' '.join(map(repr, bad))}")
    folders = (
        home.root,
        home.keys,
        home.run,
        home.logs,
        home.broker,
        home.broker / "control",
        home.spool,
        home.storage,
    )
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotStart(f"cannot make {folder}: {error.strerror}") from error
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise CannotStart(f"cannot write to {folder}: choose another MOORAGE_HOME")
    home.keys.chmod(0o700)


def lock(home: Home) -> int:
    """Take the home for this process and those it starts; return the lock's descriptor."""
    path = home.run / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise CannotStart(
            f"another Moorage is running in {home.root}; "
            "stop it first, or choose another MOORAGE_HOME and MOORAGE_PORT"
        ) from error
    return descriptor


def secret(home: Home, name: str) -> str:
    """Return the secret of that name, making it at first use."""
    path = home.keys / name
    if not path.exists():
        write_private(path, secrets.token_urlsafe(50))
    return path.read_text().strip()


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{content}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def ports(home: Home, *, taken: Collection[int]) -> dict[str, int]:
    """Return the loopback ports, chosen at the first start and kept while they are free.

    ``taken`` are the public ports, which none of them may be.
    """
    path = home.root / "ports.json"
    try:
        kept: dict[str, int] = {
            name: int(port) for name, port in json.loads(path.read_text()).items()
        }
    except (OSError, ValueError, AttributeError):
        kept = {}
    chosen: dict[str, int] = {}
    for name in PORT_NAMES:
        port = kept.get(name, 0)
        while port in taken or port in chosen.values() or not _is_free(port):
            port = random.choice(_PORT_RANGE)  # noqa: S311 - no secret
        chosen[name] = port
    if chosen != kept:
        path.write_text(json.dumps(chosen, indent=2) + "\n")
    return chosen


def _is_free(port: int) -> bool:
    if not 0 < port < 65536:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
