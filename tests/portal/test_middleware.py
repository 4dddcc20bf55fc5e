"""What the middleware writes into the environment, and whom it believes."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from accounts.principals import ANONYMOUS, Actor
from portal.middleware import RequestContextMiddleware

ID = "0123456789abcdef0123456789abcdef"
Pass = Callable[..., tuple[HttpRequest, HttpResponse]]


@pytest.fixture
def through(rf: RequestFactory) -> Pass:
    """Return a function that sends a request through the middleware alone."""

    def send(
        path: str = "/", answer: HttpResponse | None = None, **meta: str
    ) -> tuple[HttpRequest, HttpResponse]:
        request = rf.get(path, **meta)  # type: ignore[arg-type]
        response = answer or HttpResponse()
        return request, RequestContextMiddleware(lambda _: response)(request)

    return send


class TestAddress:
    @pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1"])
    def test_the_proxy_on_this_host_is_believed(self, through: Pass, peer: str) -> None:
        request, _ = through(REMOTE_ADDR=peer, HTTP_X_REAL_IP="192.0.2.7")
        assert request.META["moorage.address"] == "192.0.2.7"

    @pytest.mark.parametrize("peer", ["192.0.2.1", "::ffff:192.0.2.1", "10.0.0.1"])
    def test_others_are_not(self, through: Pass, peer: str) -> None:
        request, _ = through(REMOTE_ADDR=peer, HTTP_X_REAL_IP="192.0.2.7")
        assert request.META["moorage.address"] == peer

    @pytest.mark.parametrize("peer", ["10.0.0.1", "192.0.2.200"])
    def test_named_proxies_are(self, through: Pass, settings: Any, peer: str) -> None:
        settings.MOORAGE_TRUSTED_PROXIES = ["10.0.0.1", "192.0.2.128/25"]
        request, _ = through(REMOTE_ADDR=peer, HTTP_X_REAL_IP="198.51.100.3")
        assert request.META["moorage.address"] == "198.51.100.3"

    @pytest.mark.parametrize("text", ["", "x", "1.2.3.4, 5.6.7.8", "1.2.3.4\n", "a" * 999])
    def test_what_is_no_address_is_not_taken(self, through: Pass, text: str) -> None:
        request, _ = through(REMOTE_ADDR="127.0.0.1", HTTP_X_REAL_IP=text)
        assert request.META["moorage.address"] == "127.0.0.1"

    def test_other_headers_mean_nothing(self, through: Pass) -> None:
        request, _ = through(REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.7")
        assert request.META["moorage.address"] == "127.0.0.1"

    def test_a_socket_without_an_address(self, through: Pass) -> None:
        request, _ = through(REMOTE_ADDR="", HTTP_X_REAL_IP="192.0.2.7")
        assert request.META["moorage.address"] == ""

    def test_the_actor_finds_it(self, through: Pass) -> None:
        request, _ = through(HTTP_X_REAL_IP="192.0.2.7", HTTP_X_REQUEST_ID=ID)
        actor = Actor.of(ANONYMOUS, request.META)
        assert (actor.address, actor.request_id) == ("192.0.2.7", ID)


class TestRequestId:
    def test_nginxs_own(self, through: Pass) -> None:
        request, response = through(REMOTE_ADDR="127.0.0.1", HTTP_X_REQUEST_ID=ID)
        assert request.META["moorage.request_id"] == response["X-Request-Id"] == ID

    @pytest.mark.parametrize("text", ["", "x", ID.upper(), ID + "0", ID + "\n", "g" * 32])
    def test_another_form_is_replaced(self, through: Pass, text: str) -> None:
        request, response = through(REMOTE_ADDR="127.0.0.1", HTTP_X_REQUEST_ID=text)
        made = request.META["moorage.request_id"]
        assert made != text
        assert len(made) == 32
        assert response["X-Request-Id"] == made

    def test_a_strangers_is_replaced(self, through: Pass) -> None:
        request, _ = through(REMOTE_ADDR="192.0.2.1", HTTP_X_REQUEST_ID=ID)
        assert request.META["moorage.request_id"] != ID


class TestHeaders:
    @pytest.mark.parametrize("path", ["/api/v2.0/ping", "/service/token"])
    def test_answers_for_one_caller_are_not_stored(self, through: Pass, path: str) -> None:
        assert through(path)[1]["Cache-Control"] == "no-store"

    def test_a_views_own_choice_stands(self, through: Pass) -> None:
        answer = HttpResponse(headers={"Cache-Control": "max-age=60"})
        assert through("/api/v2.0/icons", answer)[1]["Cache-Control"] == "max-age=60"

    def test_pages_and_images_choose_themselves(self, through: Pass) -> None:
        assert "Cache-Control" not in through("/v2/library/app/manifests/latest")[1]
        assert "Cache-Control" not in through("/apiary")[1]

    def test_nosniff(self, through: Pass) -> None:
        assert through()[1]["X-Content-Type-Options"] == "nosniff"
