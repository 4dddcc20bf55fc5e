"""Secrets that must be replayed (registries' passwords), kept encrypted in the database.

The key is a file beside the others: a copy of the database alone opens nothing. One key a line; the
first encrypts, every one decrypts, so that a key is changed by putting a new one first.
"""

import fcntl
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from accounts.crypto import write_secret
from accounts.errors import Unavailable

_NAME = "sealing-keys"


def seal(directory: Path, text: str) -> str:
    """Encrypt a text with the newest key, made where there is none; nothing stays nothing."""
    return _keys(directory).encrypt(text.encode()).decode() if text else ""


def unseal(directory: Path, sealed: str) -> str:
    """Decrypt. Raises ``Unavailable`` where none of the keys fits: the file was lost or changed."""
    if not sealed:
        return ""
    try:
        return _keys(directory).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise Unavailable(
            "A stored secret cannot be decrypted: put back the file of the sealing keys, or enter "
            "the secret again."
        ) from error


def _keys(directory: Path) -> MultiFernet:
    path = directory / _NAME
    if not path.exists():
        _make(path)
    return MultiFernet([Fernet(line) for line in path.read_bytes().split()])


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (path.parent / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            write_secret(path, Fernet.generate_key())
