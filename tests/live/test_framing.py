"""Requests that are hardly HTTP: JSON tells what was wrong, never a page of nginx's."""

import pytest

from tests.live.client import Client, digest_of, make_project, pusher, raw
from tests.live.stack import Stack

pytestmark = pytest.mark.live

_FRAMING = {
    "chunk": "Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    "both": "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "coding": "Transfer-Encoding: gzip\r\n\r\n",
    "negative": "Content-Length: -1\r\n\r\n",
    "twice": "Content-Length: 0\r\nContent-Length: 1\r\n\r\n",
    "folded": "X-Long: a\r\n b\r\nContent-Length: x\r\n\r\n",
}


class TestNoHtml:
    """Whatever a client does under /v2, a JSON error says what was wrong."""

    @pytest.fixture
    def name(self, stack: Stack) -> str:
        """A repository in a project of its own."""
        return f"{make_project(stack)}/app"

    @pytest.fixture
    def pushing(self, stack: Stack, name: str) -> Client:
        """May push there."""
        return pusher(stack, name)

    @pytest.fixture(params=["PATCH upload", "PUT upload", "PUT manifest", "POST start"])
    def head(self, request: pytest.FixtureRequest, pushing: Client, name: str) -> str:
        method, _, what = request.param.partition(" ")
        upload = pushing.start_upload(name).upload
        target = {
            "upload": f"{upload}&digest={digest_of(b'x')}",
            "manifest": f"/v2/{name}/manifests/a",
            "start": f"/v2/{name}/blobs/uploads/",
        }[what]
        return (
            f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: Bearer {pushing.token}\r\n"
        )

    @pytest.mark.parametrize("framing", _FRAMING)
    def test_broken_framing(self, stack: Stack, head: str, framing: str) -> None:
        answer = raw(stack, head + _FRAMING[framing])
        first, _, rest = answer.partition(b"\r\n")
        assert first.split()[1] in (b"400", b"501"), answer
        assert b"application/json" in rest
        assert b"<html" not in answer

    @pytest.mark.parametrize(
        "request_line",
        [
            "GET /v2/ HTTP/2.0",
            "GET /v2/ HTTP/1.1",
            "TRACE /v2/ HTTP/1.1",
            "get /v2/ HTTP/1.1",
            "OPTIONS /v2/x/y/blobs/uploads/z HTTP/1.1",
            "POST /v2/x/y/blobs/uploads/z HTTP/1.1",
            f"GET /v2/{'a' * 40000}/tags/list HTTP/1.1",
            f"GET /v2/{'a/' * 4000}tags/list HTTP/1.1",
            "GET /v2/x y HTTP/1.1",
            "GET /v2/\x01/tags/list HTTP/1.1",
            "PROPFIND /v2/x/y/manifests/a HTTP/1.1",
            "GET /v2/x/y/unknown HTTP/1.1",
            "GET /v2 HTTP/1.1",
            "GET /v2/x/y/manifests/a:b HTTP/1.1",
            "GET /v2/x/y/blobs/sha256:short HTTP/1.1",
            "GET /v2/_catalog?n=-1 HTTP/1.1",
        ],
    )
    @pytest.mark.parametrize("header", ["Host: localhost", "Host: a/b\\c", f"X: {'x' * 40000}"])
    def test_odd_requests(self, stack: Stack, request_line: str, header: str) -> None:
        answer = raw(stack, f"{request_line}\r\n{header}\r\nConnection: close\r\n\r\n")
        status = int(answer.split()[1])
        assert 400 <= status < 500 or status in (501, 505), answer[:300]
        assert b"application/json" in answer, answer[:300]
        assert b"<html" not in answer
