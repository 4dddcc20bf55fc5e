"""The part of a project's ``metadata`` that only proxy projects have, by Harbor's names."""

from collections.abc import Mapping

from accounts.errors import BadRequest
from portal.api.metadata_texts import number, switch
from registry_sync.models import ProxyCache
from registry_sync.proxy_cache.projects import Changes

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
    if texts.get("proxy_cache_filter_kind") not in {None, "", "doublestar"}:
        raise BadRequest(
            "proxy_cache_filter_kind can only be doublestar here.", field="proxy_cache_filter_kind"
        )
    return Changes(
        speed_limit=_limit(texts, "proxy_speed_kb"),
        max_connections=_limit(texts, "max_upstream_conn"),
        pattern=texts.get("proxy_cache_filter_pattern"),
        serves_removed=switch(texts, "proxy_cache_local_on_not_found"),
        asks_referrers=switch(texts, "proxy_referrer_api"),
    )


def _limit(texts: Mapping[str, str], name: str) -> int | None:
    """Return a limit as the bounds have it: 0 for none."""
    found = number(texts, name, least=-1)
    return None if found is None else max(0, found)
