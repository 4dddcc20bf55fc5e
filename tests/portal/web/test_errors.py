"""Pages for what went wrong."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.utils import translation

from accounts.errors import Denied, NotFound
from accounts.models import User
from portal.web import errors, home
from portal.web.access import public_page
from tests.portal.web.conftest import SignedIn, text_of


def answers(request: HttpRequest) -> dict[int, HttpResponse]:
    """Call every handler."""
    reason = Exception("said nowhere")
    return {
        400: errors.bad_request(request, reason),
        403: errors.permission_denied(request, reason),
        404: errors.page_not_found(request, reason),
        500: errors.server_error(request),
    }


@pytest.mark.parametrize("language", ["en", "zh-hant", "zh-hans"])
def test_every_error_has_a_page_in_every_language(rf: RequestFactory, language: str) -> None:
    with translation.override(language):
        for status, answer in answers(rf.get("/somewhere")).items():
            page = text_of(answer)
            assert answer.status_code == status
            assert f'<p class="mo-error-n" aria-hidden="true">{status}</p>' in page
            assert "somewhere" not in page
            assert "said nowhere" not in page
            assert "no-store" in answer.headers["Cache-Control"]


def test_programs_get_json(rf: RequestFactory) -> None:
    for path in ("/api/v2.0/x", "/v2/x", "/service/x"):
        for status, answer in answers(rf.get(path)).items():
            assert answer.status_code == status
            assert answer.headers["Content-Type"] == "application/json"


def test_a_form_that_is_too_old_says_so(rf: RequestFactory) -> None:
    answer = errors.csrf_failure(rf.post("/p/-/new"), "token missing")
    assert answer.status_code == 403
    assert "This form is too old" in text_of(answer)
    assert "token missing" not in text_of(answer)


def test_a_failing_page_shows_its_requests_id_and_nothing_else(
    alice: User, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the secret reason")

    monkeypatch.setattr(home, "tags_for_people", fail)
    client: Client = signed_in(alice)
    client.raise_request_exception = False
    answer = client.get("/")
    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"] in text_of(answer)
    assert "secret reason" not in text_of(answer)


@pytest.mark.parametrize(
    ("error", "expected"), [(NotFound("gone"), Http404), (Denied("no"), PermissionDenied)]
)
def test_the_domains_errors_become_djangos(
    rf: RequestFactory, error: Exception, expected: type[Exception]
) -> None:
    @public_page
    def view(request: HttpRequest) -> HttpResponse:
        raise error

    request = rf.get("/")
    request.user = AnonymousUser()
    with pytest.raises(expected):
        view(request)
