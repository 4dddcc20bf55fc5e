"""Search: what is found, by whom, and where a pasted reference leads."""

import re

import pytest
from django.test import Client

from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image
from tests.portal.web.conftest import SignedIn, fragment, text_of

PATH = "/search"


@pytest.fixture
def digest(cast: Cast) -> str:
    """Of an image in the private project."""
    return push_image(make_repository(cast.team, "pay/api"), make_image("one"), "1.4.2").digest


def links(page: str) -> list[str]:
    """Return where the page's content leads."""
    content = page.partition("<main")[2].partition("</main>")[0]
    return re.findall(r'href="(/(?:p|admin)[^"]*)"', content)


def test_each_kind_is_found(cast: Cast, signed_in: SignedIn, digest: str) -> None:
    client = signed_in(cast.admin)
    for query, expected in (
        ("team", "/p/team"),
        ("pay", "/p/team/pay/api"),
        ("1.4", "/p/team/pay/api/-/tags/1.4.2"),
        ("team api 1.4", "/p/team/pay/api/-/tags/1.4.2"),
        (digest[7:15], f"/p/team/pay/api/-/images/{digest}"),
        ("bob@", f"/admin/users/{cast.bob.pk}"),
        ("audit", "/admin/audit"),
        ("new pro", "/p/-/new"),
    ):
        assert expected in links(text_of(client.get(PATH, {"q": query}))), query
    assert links(text_of(client.get(PATH, {"q": "team web 1.4"}))) == []


def test_only_what_one_may_see(cast: Cast, signed_in: SignedIn, digest: str) -> None:
    push_image(make_repository(cast.library, "pay/public"), make_image("two"), "1.4.2")
    for client in (signed_in(cast.mallory), Client()):
        for query in ("team", "pay", "1.4", digest[7:15], "bob", "audit", digest):
            found = links(text_of(client.get(PATH, {"q": query})))
            assert not [link for link in found if not link.startswith("/p/library")], query
    assert "/p/team" in links(text_of(signed_in(cast.carol).get(PATH, {"q": "team"})))


def test_a_pasted_reference_leads_there(cast: Cast, signed_in: SignedIn, digest: str) -> None:
    client = signed_in(cast.carol)
    for query, target in (
        ("127.0.0.1:8080/team/pay/api:1.4.2", "/p/team/pay/api/-/tags/1.4.2"),
        ("http://127.0.0.1:8080/team/pay/api", "/p/team/pay/api"),
        (f"team/pay/api@{digest}", f"/p/team/pay/api/-/images/{digest}"),
        (f"team/pay/api:1.4.2@{digest}", f"/p/team/pay/api/-/images/{digest}"),
        (digest, f"/p/team/pay/api/-/images/{digest}"),
    ):
        assert client.get(PATH, {"q": query}).headers["Location"] == target, query
        assert signed_in(cast.mallory).get(PATH, {"q": query}).status_code == 200
    for query in ("team/pay/api:9", "team/pay/web", "elsewhere.example/team/pay/api:1.4.2"):
        assert client.get(PATH, {"q": query}).status_code == 200, query


def test_a_language_knows_its_pages_and_the_english_ones(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    client.cookies["moorage_language"] = "zh-hant"
    for query in ("稽核", "audit"):
        assert "/admin/audit" in links(text_of(client.get(PATH, {"q": query})))


def test_the_quick_list_is_a_part_of_the_page(cast: Cast, signed_in: SignedIn, digest: str) -> None:
    client = signed_in(cast.carol)
    page = text_of(fragment(client, PATH, "mo-found", q="127.0.0.1:8080/team/pay/api:1.4.2"))
    assert "<html" not in page
    assert page.count('role="option"') >= 1
    assert "/p/team/pay/api/-/tags/1.4.2" in page
    assert "Nothing matches." in text_of(fragment(client, PATH, "mo-found", q="zzz"))


@pytest.mark.parametrize("query", ["%", "\0", "a" * 5000, "<script>alert(1)</script>", "_", "\\"])
def test_odd_input_is_only_text(cast: Cast, signed_in: SignedIn, query: str) -> None:
    answer = signed_in(cast.carol).get(PATH, {"q": query})
    assert answer.status_code == 200
    assert "<script>alert" not in text_of(answer)
