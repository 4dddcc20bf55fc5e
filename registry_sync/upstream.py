"""Our own way to the registry behind the gateway: our client, our tokens, never a caller's."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from django.conf import settings

from accounts import docker_tokens
from accounts.principals import SYSTEM
from accounts.scopes import Grant
from registry_sync.client.registry import RegistryClient
from registry_sync.storage.filesystem import blob_path, read_blob

_LIFETIME_SECONDS = 300
_RENEW_SECONDS = 60
_MAX_TOKENS = 5_000

Access = tuple[tuple[str, tuple[str, ...]], ...]
_tokens: dict[Access, tuple[float, str]] = {}
_lock = threading.Lock()


def registry_token(access: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    """Return a token for these registry names and actions, made once and kept while it is good."""
    key = tuple(access)
    now = time.monotonic()
    kept = _tokens.get(key)
    if kept is not None and kept[0] > now:
        return kept[1]
    grants = [Grant("repository", name, actions) for name, actions in key]
    token = docker_tokens.issue(SYSTEM, grants, lifetime=_LIFETIME_SECONDS)
    with _lock:
        if len(_tokens) >= _MAX_TOKENS:
            _tokens.clear()
        _tokens[key] = (now + _LIFETIME_SECONDS - _RENEW_SECONDS, token)
    return token


registry = RegistryClient(settings.MOORAGE_REGISTRY_URL, registry_token)


def small_blob(registry_name: str, digest: str, *, limit: int) -> bytes | None:
    """Return a blob's bytes, or None where it is absent or larger than ``limit`` bytes.

    From the storage where it is in reach, which saves a request; else from the registry.
    """
    if settings.MOORAGE_BLOB_DELIVERY == "file":
        return read_blob(settings.MOORAGE_STORAGE_ROOT, digest, limit=limit)
    return registry.get_blob(registry_name, digest, limit=limit)


@contextmanager
def open_blob(registry_name: str, digest: str) -> Iterator[BinaryIO | None]:
    """Give a blob's bytes to be read as far as wanted, or None where it is absent."""
    if settings.MOORAGE_BLOB_DELIVERY != "file":
        with registry.open_blob(registry_name, digest) as stream:
            yield stream
        return
    try:
        file = blob_path(settings.MOORAGE_STORAGE_ROOT, digest).open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        yield file
