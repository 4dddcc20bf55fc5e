"""The part of a project's ``metadata`` that only proxy projects have, by Harbor's names."""

import re
from collections.abc import Mapping

from accounts.errors import BadRequest
from registry_sync.models import ProxyCache
from registry_sync.proxy_cache.projects import Changes

_SWITCHES = {"true": True, "false": False}
# What each is again when it is deleted.
DEFAULTS = {
    "proxy_speed_kb": "-1",
    "max_upstream_conn": "-1",
    "proxy_cache_filter_pattern": "",
    "proxy_cache_filter_kind": "doublestar",
    "proxy_cache_local_on_not_found": "false",
    "proxy_referrer_api": "true",
}
KEYS = tuple(DEFAULTS)


def shown(cache: ProxyCache) -> dict[str, str]:
    """Return every key of a proxy project; -1 stands for no limit."""
    return {
        "proxy_speed_kb": str(cache.speed_limit or -1),
        "max_upstream_conn": str(cache.max_connections or -1),
        "proxy_cache_filter_pattern": cache.pattern,
        "proxy_cache_filter_kind": "doublestar",
        "proxy_cache_local_on_not_found": str(cache.serves_removed).lower(),
        "proxy_referrer_api": str(cache.asks_referrers).lower(),
    }


def changes(texts: Mapping[str, str]) -> Changes:
    """Read the texts of these keys. Raises ``BadRequest`` for one that is not understood."""
    if texts.get("proxy_cache_filter_kind", "doublestar") != "doublestar":
        raise BadRequest(
            "proxy_cache_filter_kind can only be doublestar here.", field="proxy_cache_filter_kind"
        )
    return Changes(
        speed_limit=_number(texts, "proxy_speed_kb"),
        max_connections=_number(texts, "max_upstream_conn"),
        pattern=texts.get("proxy_cache_filter_pattern"),
        serves_removed=_switch(texts, "proxy_cache_local_on_not_found"),
        asks_referrers=_switch(texts, "proxy_referrer_api"),
    )


def _switch(texts: Mapping[str, str], name: str) -> bool | None:
    text = texts.get(name)
    if text is None:
        return None
    if text not in _SWITCHES:
        raise BadRequest(f"{name} must be true or false.", field=name)
    return _SWITCHES[text]


def _number(texts: Mapping[str, str], name: str) -> int | None:
    text = texts.get(name)
    if text is None:
        return None
    if not re.fullmatch("-1|[0-9]{1,9}", text):
        raise BadRequest(f"{name} must be a whole number, or -1 for no limit.", field=name)
    return max(0, int(text))
