"""Nobody is led away: every address that says where to go on stays on this host."""

import pytest
from django.test import Client

from accounts.models import User
from tests.conftest import password_of
from tests.portal.web.conftest import SignedIn

# Ways by which addresses of other hosts were taken for paths, here or elsewhere.
ELSEWHERE = [
    "https://evil.example/",
    "http:evil.example",
    "HTTPS://evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\x00//evil.example",
    " //evil.example",
    "\u00a0//evil.example",
    "http:///evil.example",
    "https:/\\evil.example",
    "https://testserver@evil.example/",
    "https://testserver.evil.example/",
    "//testserver:80@evil.example",
    "https://evil.example\\@testserver/",
    "https://evil.example#@testserver/",
    "https://[::1",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "ftp://testserver/",
    "//evil。example",
]
HERE = {"/", "/p/", "/account/sign-in"}


def target_of(location: str) -> str:
    """Return where it leads, without the host of the test."""
    return location.removeprefix("http://testserver")


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_nothing_leads_to_another_host(alice: User, signed_in: SignedIn, wanted: str) -> None:
    form = {"username": "alice", "password": password_of("alice"), "next": wanted}
    client = signed_in(alice)
    referer = wanted.encode("ascii", "ignore").decode().translate({0: "", 10: "", 13: ""})
    for answer in (
        Client().post("/account/sign-in", form),
        client.get("/account/sign-in", {"next": wanted}),
        client.post("/account/language", {"language": "en", "next": wanted}),
        client.post("/account/theme", {"theme": "dark"}, headers={"Referer": referer}),
    ):
        assert answer.status_code == 302
        assert target_of(answer.headers["Location"]) in HERE, answer.request["PATH_INFO"]


@pytest.mark.parametrize("wanted", ["/p/team?q=x", "/search?q=//evil.example", "/p/team/-/members"])
def test_a_path_of_ones_own_is_kept(alice: User, signed_in: SignedIn, wanted: str) -> None:
    answer = signed_in(alice).get("/account/sign-in", {"next": wanted})
    assert answer.headers["Location"] == wanted


def test_a_path_adds_no_header(alice: User, signed_in: SignedIn) -> None:
    answer = signed_in(alice).get("/account/sign-in", {"next": "/p/\r\nSet-Cookie: a=b"})
    assert answer.headers["Location"] == "/p/%0D%0ASet-Cookie:%20a=b"
