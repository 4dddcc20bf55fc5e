"""Asks the registry that fills a project: few questions, each counted, never while it said not to.

Clients are kept with their connections and tokens: signing in for every pull would itself use up
what an upstream allows.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import requests
from django.utils import timezone

from registry_sync import remote_registries, statistics
from registry_sync.client.errors import (
    RegistryError,
    RegistryRejectedError,
    RegistryUnavailableError,
)
from registry_sync.client.remote import RemoteRegistry as RemoteClient
from registry_sync.models import ProxyCache, UpstreamState
from registry_sync.remote_registries import Address

# A broken-off answer is asked for once more, a busy one not waited for: somebody waits for us.
_ATTEMPTS = 2
_LONGEST_PAUSE = 1.0
_BLOCKED_SECONDS = 60
_MOST_BLOCKED_SECONDS = 3600
# After a failure, what is here is served for so long without asking.
_DOWN_SECONDS = 10.0
_MAX_IDLE = 16
# Docker Hub: ``100;w=21600``.
_RATE = re.compile(r"(\d{1,9})(?:;w=(\d{1,9}))?")

_idle: dict[tuple[int, Address], list[RemoteClient]] = {}
_down: dict[int, float] = {}
_lock = threading.Lock()


class UpstreamBusyError(RegistryError):
    """It was asked too often and said so; it is left alone for ``seconds``."""

    def __init__(self, seconds: int) -> None:
        """``seconds``: until it may be asked again."""
        super().__init__("the upstream registry allows no more pulls for now")
        self.seconds = seconds


class BrokenError(RegistryError):
    """Its bytes broke off or are others than was said; nothing of them is kept."""


def name_of(cache: ProxyCache, path: str) -> str:
    """Return what the upstream calls a repository."""
    return named(cache.remote.kind, path)


def named(kind: str, path: str) -> str:
    """Return what such a registry calls a repository; Docker Hub's own are named without a part."""
    if kind == "docker-hub" and "/" not in path:
        return f"library/{path}"
    return path


def is_down(cache: ProxyCache) -> bool:
    """Return whether it just failed, so that what is here is served without asking."""
    return _down.get(cache.remote_id, 0.0) > time.monotonic()


@contextmanager
def asking(cache: ProxyCache) -> Iterator[RemoteClient]:
    """Give a client for one thread's questions; what it answers is written down.

    Raises ``UpstreamBusyError`` while it is to be left alone, and errors of the client.
    """
    _require_unblocked(cache)
    key = cache.remote_id, remote_registries.address_of(cache.remote)
    client = _take(key)
    last: list[requests.Response] = []

    def see(response: requests.Response, *_arguments: object, **_options: object) -> None:
        statistics.note_proxy(cache.project_id, upstream_requests=1)
        last[:] = [response]

    client.watch(see)
    try:
        yield client
    except RegistryError as error:
        if last and last[0].status_code == 429:
            raise _blocked(cache, last[0]) from error
        if isinstance(error, (RegistryUnavailableError, RegistryRejectedError, BrokenError)):
            _failed(cache, error)
        raise
    else:
        _succeeded(cache, last[0] if last else None)
        with _lock:
            kept = _idle.setdefault(key, [])
            if len(kept) < _MAX_IDLE:
                kept.append(client)


def _take(key: tuple[int, Address]) -> RemoteClient:
    with _lock:
        # A registry that was changed since: its old clients are of no use.
        for other in [other for other in _idle if other[0] == key[0] and other != key]:
            del _idle[other]
        kept = _idle.get(key)
        if kept:
            return kept.pop()
    client = remote_registries.client_of(key[1])
    client.attempts = _ATTEMPTS
    client.pause = lambda seconds: time.sleep(min(seconds, _LONGEST_PAUSE))
    return client


def forget() -> None:
    """Forget clients and failures; for tests."""
    with _lock:
        _idle.clear()
        _down.clear()


def _require_unblocked(cache: ProxyCache) -> None:
    until = (
        UpstreamState.objects.filter(pk=cache.remote_id, blocked_until__gt=timezone.now())
        .values_list("blocked_until", flat=True)
        .first()
    )
    if until is not None:
        raise UpstreamBusyError(max(1, int((until - timezone.now()).total_seconds())))


def _blocked(cache: ProxyCache, response: requests.Response) -> UpstreamBusyError:
    text = response.headers.get("Retry-After", "")
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else _BLOCKED_SECONDS
    seconds = max(1, min(seconds, _MOST_BLOCKED_SECONDS))
    error = UpstreamBusyError(seconds)
    now = timezone.now()
    statistics.note_proxy(cache.project_id, upstream_errors=1)
    _write(
        cache,
        blocked_until=now + timedelta(seconds=seconds),
        error=str(error),
        failed_at=now,
        **_rate(response),
    )
    return error


def _failed(cache: ProxyCache, error: RegistryError) -> None:
    statistics.note_proxy(cache.project_id, upstream_errors=1)
    if isinstance(error, RegistryUnavailableError):
        _down[cache.remote_id] = time.monotonic() + _DOWN_SECONDS
    _write(cache, error=str(error)[:512], failed_at=timezone.now())


def _succeeded(cache: ProxyCache, response: requests.Response | None) -> None:
    _down.pop(cache.remote_id, None)
    rate = _rate(response) if response is not None else {}
    known = UpstreamState.objects.filter(pk=cache.remote_id).first()
    is_old = known is None or known.succeeded_at is None
    if known is not None and known.succeeded_at is not None:
        age = timezone.now() - known.succeeded_at
        is_old = age > timedelta(seconds=10) or (known.failed_at or known.succeeded_at) > (
            known.succeeded_at
        )
    if rate or is_old:
        _write(cache, succeeded_at=timezone.now(), **rate)


def _rate(response: requests.Response) -> dict[str, object]:
    """Read what an answer says of the budget; nothing where it says nothing."""
    limit = _RATE.match(response.headers.get("RateLimit-Limit", ""))
    left = _RATE.match(response.headers.get("RateLimit-Remaining", ""))
    if limit is None or left is None:
        return {}
    window = limit[2] or left[2]
    return {
        "rate_limit": int(limit[1]),
        "rate_remaining": int(left[1]),
        "rate_window": int(window) if window else None,
        "rate_at": timezone.now(),
    }


def _write(cache: ProxyCache, **facts: object) -> None:
    UpstreamState.objects.update_or_create(remote_id=cache.remote_id, defaults=facts)
