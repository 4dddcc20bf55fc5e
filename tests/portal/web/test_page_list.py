"""Every address of the pages has a row in the list by which a browser looks at them."""

from collections.abc import Iterable, Iterator

from django.test import Client
from django.urls import URLPattern, URLResolver, reverse

from portal.web import urls
from tests.conftest import Cast
from tests.live.page_list import ACTIONS, OUTSIDE, PAGES, PARTS
from tests.portal.web.conftest import SignedIn

# For addresses with arguments: what fits the patterns.
_EXAMPLES = {
    "project": "team",
    "path": "app",
    "tag": "1.0",
    "digest": "sha256:" + "0" * 64,
    "kind": "fsck",
    "action": "pause",
    "name": "active",
}


def addresses(patterns: Iterable[object], place: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Return every address with its full name."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{place}{pattern.namespace}:" if pattern.namespace else place
            yield from addresses(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            yield f"{place}{pattern.name}", pattern


def test_every_address_has_one_row() -> None:
    there = sorted(name for name, _pattern in addresses(urls.urlpatterns))
    rows = sorted([*PAGES, *OUTSIDE, *ACTIONS, *PARTS])
    assert there == rows, "add a row to tests/live/page_list.py"


def test_an_action_is_no_page(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    for name, pattern in addresses(urls.urlpatterns):
        if name in ACTIONS:
            arguments = {
                word: _EXAMPLES.get(word, "1") for word in pattern.pattern.regex.groupindex
            }
            answer = client.get(reverse(name, kwargs=arguments))
            assert answer.status_code == 405, name
            assert Client().post(reverse(name, kwargs=arguments)).status_code in {302, 404}, name
